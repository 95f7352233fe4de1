"""What is not of the kind that a command takes is named in one line that says what to do."""

import gzip
import io
import struct
import subprocess
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from kinspect.cli import main
from kinspect.inspection.package.taken import is_package
from kinspect.views.filetype.line import description
from tests.conftest import SAMPLE

VMLINUX, IMAGE = str(SAMPLE / "vmlinux"), str(SAMPLE / "Image")
SYMVERS = str(SAMPLE / "modules" / "Module.symvers")
MODULES = str(SAMPLE / "modules")
DTB = str(SAMPLE / "dtb" / "hello.dtb")
MODULE = next((SAMPLE / "modules").rglob("hello-door.ko"))
ARM64_ONLY = "kinspect reads arm64 kernels only"


def padded(*parts: tuple[int, bytes], size: int = 8192) -> bytes:
    """Zeros with bytes at some offsets."""
    data = bytearray(size)
    for offset, part in parts:
        data[offset : offset + len(part)] = part
    return bytes(data)


def pe(machine: int, *parts: tuple[int, bytes]) -> bytes:
    """A PE32+ program for EFI, with bytes at some offsets."""
    header = struct.pack("<4sH18xH66xH", b"PE\0\0", machine, 0x20B, 10)
    return padded((0, b"MZ"), (0x3C, struct.pack("<I", 0x80)), (0x80, header), *parts)


def tar() -> bytes:
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w") as archive:
        archive.add(SAMPLE / "README.md", "README.md")
    return data.getvalue()


def zipped() -> bytes:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        archive.write(SAMPLE / "README.md", "README.md")
    return data.getvalue()


def for_x86(path: Path | str) -> bytes:
    data = bytearray(Path(path).read_bytes())
    data[18:20] = struct.pack("<H", 62)
    return bytes(data)


RISCV = (0x30, b"RISCV\0\0\0RSC\x05")
ZIMAGE = struct.pack("<3I", 0x016F2818, 0, 8192)
NOP = struct.pack("<I", 0xE1A00000)
CPIO = b"070701" + b"0" * 104 + bytes(400)
FOREIGN = {
    "riscv": (pe(0x5064, RISCV), "a RISC-V Image", ARM64_ONLY),
    "riscv without EFI": (padded(RISCV), "a RISC-V Image", ARM64_ONLY),
    "loongarch": (pe(0x6264, (0x38, b"\xcd\x23\x82\x81")), "a LoongArch Image", ARM64_ONLY),
    "x86": (pe(0x8664, (0x1FE, b"\x55\xaaxxHdrS")), "an x86 bzImage", ARM64_ONLY),
    "x86 without EFI": (padded((0, b"\xea\x05"), (0x1FE, b"\x55\xaaxxHdrS")), "an x86 bzImage", ARM64_ONLY),
    "arm": (pe(0x1C0, (0x24, ZIMAGE)), "an ARM32 zImage", ARM64_ONLY),
    "arm without EFI": (padded((0, NOP * 8), (0x24, ZIMAGE)), "an ARM32 zImage", ARM64_ONLY),
    "tar": (tar(), "a tar archive", "unpack it"),
    "tar.gz": (gzip.compress(tar()), "a tar archive", "unpack it"),
    "zip": (zipped(), "a zip archive", "unpack it"),
    "deb": (
        b"!<arch>\ndebian-binary   1342943816  0     0     100644  4         `\n2.0\n",
        "a Debian package",
        "dpkg-deb",
    ),
    "rpm": (padded((0, b"\xed\xab\xee\xdb\3\0")), "an RPM package", "rpm2cpio"),
    "initramfs": (b"070701" + b"0" * 104 + bytes(400), "a cpio archive (an initramfs)", "kinspect initramfs"),
    "initramfs.gz": (
        gzip.compress(b"070701" + b"0" * 104 + bytes(400)),
        "a cpio archive (an initramfs)",
        "kinspect initramfs",
    ),
    "pointer": (
        b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 135680\n",
        "a git-LFS pointer, not the file itself",
        "git lfs pull",
    ),
    "page": (
        b"<!DOCTYPE html>\n<html><title>404</title></html>\n",
        "an HTML page",
        "did a download save an error page",
    ),
    "zeros": (bytes(100_000), "nothing but zeros at its start", "get it again"),
    "dts": (b"// SPDX\n/dts-v1/;\n/ { };\n", "the source of a device tree", "dtc -O dtb"),
    "build log": (b"  CC      init/main.o\n  CC      init/version.o\n", "a build log", "kinspect log"),
}


@pytest.fixture
def said(capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """The one line that a command says to refuse its arguments."""

    def refusal(*words: str | Path) -> str:
        status = main([str(word) for word in words])
        out, err = capsys.readouterr()
        assert (status, err.count("\n")) == (2, 1), (words, out, err)
        assert err.startswith("kinspect: ")
        return err.removeprefix("kinspect: ").rstrip("\n")

    return refusal


@pytest.mark.parametrize("name", FOREIGN)
def test_what_kinspect_does_not_read_is_named_with_what_to_do(
    name: str, tmp_path: Path, said: Callable[..., str]
) -> None:
    data, kind, hint = FOREIGN[name]
    path = tmp_path / "Image"
    path.write_bytes(data)
    # `check` reads an initramfs.
    checked = () if name.startswith("initramfs") else (("check",),)
    # These take packages, of which this is only the beginning.
    taken = ("check", "image", "vmlinux", "abi", "modules", "symvers") if is_package(path) else ()
    for words in (*checked, ("image",), ("vmlinux",), ("module",), ("dtb",), ("unpack", "-o", tmp_path / "out")):
        told = said(*words, path)
        if words[0] in taken:
            assert told.startswith(str(path))
            continue
        assert told.endswith((f", found {kind}", f": found {kind}")), told
        assert hint in told
    # Whose own first bytes decide nothing says what a file is that is certainly of another kind.
    plain = {"tar.gz": "gzip-compressed data", "initramfs.gz": "gzip-compressed data"}.get(name, kind)
    for before in (("symvers",), ("load", IMAGE, MODULE, "--config"), ("check", IMAGE, "--policy")):
        assert (len(before) == 1 and before[0] in taken) or f"found {plain}" in said(*before, path)
    assert "abi" in taken or f"found {kind}" in said("abi", SYMVERS, path)
    assert "modules" in taken or "not a folder" in said("modules", path)
    assert not (tmp_path / "out").exists()


def test_a_text_is_called_a_text(tmp_path: Path, said: Callable[..., str]) -> None:
    path = tmp_path / "notes"
    for text in ("hello there, this is no kernel\n" * 200, "Grüße\n" * 2000, "x" * 5000):
        path.write_text(text)
        assert said("check", path) == f"{path}: unsupported kind of file: found a text file"
        assert said("image", path) == f"{path}: wrong kind of file: expected an arm64 Image, found a text file"
    path.write_bytes(b"text and \0")
    assert said("check", path).endswith("found a file of unknown kind")


def test_elf_files_for_another_machine(tmp_path: Path, said: Callable[..., str]) -> None:
    for name, source in (("vmlinux", VMLINUX), ("hello.ko", MODULE)):
        (tmp_path / name).write_bytes(for_x86(source))
    assert "expected AArch64 (183), found x86-64 (62)" in said("vmlinux", tmp_path / "vmlinux")
    assert "expected AArch64 (183), found x86-64 (62)" in said("check", tmp_path / "vmlinux")
    assert "for x86-64, not an arm64 module" in said("module", tmp_path / "hello.ko")


@pytest.mark.parametrize(
    ("path", "kind", "hint"),
    [
        (IMAGE, "an arm64 Image", "kinspect image"),
        (VMLINUX, "an ELF file", "kinspect vmlinux"),
        (MODULE, "a relocatable ELF file (.ko or .o)", "kinspect module"),
        (SYMVERS, "a Module.symvers", "kinspect symvers"),
        (SAMPLE / "System.map", "a System.map", "kinspect check"),
        (DTB, "a flattened device tree", "kinspect dtb"),
    ],
)
def test_a_file_of_another_command_names_that_command(
    path: str | Path, kind: str, hint: str, said: Callable[..., str]
) -> None:
    commands = ("image", "vmlinux", "module", "symvers", "dtb", "modules", "unpack --out x", "config", "log")
    for words in commands:
        if words == hint.removeprefix("kinspect ") or (path, words) == (VMLINUX, "config"):
            continue
        if words in ("unpack --out x", "config") and path in (IMAGE, VMLINUX, MODULE):
            continue
        assert f"(`{hint}` " in said(*words.split(), path), words


def test_options_that_take_a_file_of_another_kind(tmp_path: Path, said: Callable[..., str]) -> None:
    for words, expected in (
        (("load", IMAGE, MODULES, "--config", VMLINUX), "a kernel configuration (.config)"),
        (("load", IMAGE, MODULES, "--order", VMLINUX), "the names of modules, one per line"),
        (("load", IMAGE, MODULES, "--cert", VMLINUX), "a certificate, PEM or DER"),
        (("image", IMAGE, "--cert", VMLINUX), "a certificate, PEM or DER"),
        (("abi", SYMVERS, SYMVERS, "--rules", VMLINUX), "rules on changes to tolerate"),
        (("size", VMLINUX, "--by", "object", "--map", VMLINUX), "a linker map"),
        (("size", VMLINUX, "--budget", VMLINUX), "a budget"),
        (("check", IMAGE, "--policy", VMLINUX), "a policy"),
        (("modules", MODULES, "--symvers", VMLINUX), "a Module.symvers"),
        (("module", MODULE, "--symvers", VMLINUX), "a Module.symvers"),
    ):
        told = said(*words)
        assert told.startswith(f"{VMLINUX}: wrong kind of file (`kinspect vmlinux` shows a linked kernel)"), words
        assert told.endswith(f"expected {expected}, found an ELF file"), words
    assert "(`kinspect vmlinux` shows a linked kernel)" in said("symvers", SYMVERS, "--modules", VMLINUX)
    assert "(`kinspect module` shows it)" in said("size", VMLINUX, "--against", MODULE)


def test_a_folder_where_a_file_is_expected(tmp_path: Path, said: Callable[..., str]) -> None:
    for command in ("image", "vmlinux", "module", "symvers", "dtb"):
        told = said(command, tmp_path)
        assert told.startswith(f"{tmp_path}: is a directory (name a file in it; `kinspect check` takes whole folders)")
    assert "expected the folder of a build" in said("check", tmp_path)
    assert "no modules are in this folder" in said("modules", tmp_path)


def test_swapped_arguments_work_where_they_can(capsys: pytest.CaptureFixture[str], said: Callable[..., str]) -> None:
    for command in ("diff", "size"):
        assert main([command, VMLINUX, IMAGE]) == 0
        expected = capsys.readouterr()
        assert main([command, IMAGE, VMLINUX]) == 0
        assert capsys.readouterr() == expected
    for words in (("load", MODULES, IMAGE), ("load", MODULE, IMAGE)):
        assert "; the kernel comes first, then the modules" in said(*words)
    assert "(`kinspect image` shows it): expected a Module.symvers" in said("symvers", IMAGE, "--vmlinux", SYMVERS)


def test_file_prints_of_an_arm32_zimage_what_file_prints(tmp_path: Path, tool: Callable[[str], str]) -> None:
    for name, data in {
        **{name: data for name, (data, _, _) in FOREIGN.items() if name.startswith("arm")},
        "big-endian": padded((0x24, struct.pack(">I", 0x016F2818))),
        "cut": padded((0x24, ZIMAGE))[:0x28],
        "one byte less": padded((0x24, ZIMAGE))[:0x27],
        "also arm64": padded((0x24, ZIMAGE), (56, b"ARMd")),
        **{
            f"starts with {start.hex()}": padded((0x24, ZIMAGE), (0, start))
            for start in (
                b"\x1f\x8b\x08",
                b"\x7fELF\2\1\1",
                b"\xfd7zXZ\0",
                b"\x27\x05\x19\x56",
                b"070701",
                b"\x02\x21\x4c\x18",
                b"\x04\x22\x4d\x18",
                b"\x28\xb5\x2f\xfd",
                b"BZh9",
                b"\x5d\0\0\x80",
                b"MZ\0\0zimg",
                b"!<arch>\n",
                b"\xff\xfe\0\0",
                b"+/v8",
            )
        },
    }.items():
        path = tmp_path / name
        path.write_bytes(data)
        theirs = subprocess.run([tool("file"), "-b", str(path)], capture_output=True, text=True, check=True).stdout
        assert description(str(path)) + "\n" == theirs, name
