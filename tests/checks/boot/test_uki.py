"""Each check of a unified kernel image fails when, and only when, its fault is put in; objcopy reads the same parts."""

import gzip
import struct
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

import kinspect
from kinspect.artifacts.boot.parts import BootContainer
from kinspect.artifacts.boot.uki import Uki
from kinspect.artifacts.kinds import open_as
from kinspect.cli import main
from kinspect.errors import WrongKindError
from tests.conftest import SAMPLE
from tests.load.modules import new_key
from tests.toy_module import pkcs7
from tests.toy_uki import uki
from tests.toy_zboot import padded, squeezed, zboot

IMAGE = (SAMPLE / "Image").read_bytes()
DTB = (SAMPLE / "dtb" / "hello.dtb").read_bytes()
ZBOOT = zboot(squeezed(padded(IMAGE), "gzip"), "gzip")
UNAME, SBAT, LINUX = (".uname", b"6.1.0-hello"), (".sbat", b"sbat,1\n"), (".linux", IMAGE)
INITRD, CMDLINE, TREE = (".initrd", b"ramdisk!"), (".cmdline", b"console=ttyS0"), (".dtb", DTB)


def signature() -> bytes:
    message = pkcs7()
    table = struct.pack("<IHH", 8 + len(message), 0x200, 2) + message
    return table + bytes(-len(table) % 8)


FAULTS: dict[str, tuple[bytes, set[str]]] = {
    "an Image": (uki((".osrel", b"ID=toy\n"), CMDLINE, UNAME, TREE, LINUX, INITRD, SBAT), set()),
    "a zboot image": (uki(UNAME, (".linux", ZBOOT), INITRD), set()),
    "without .uname": (uki(LINUX), set()),
    "with a newline": (uki((".uname", b"6.1.0-hello\n\0"), LINUX), set()),
    "two trees for the firmware to choose": (uki((".dtbauto", DTB), (".dtbauto", DTB), LINUX), set()),
    "profiles": (uki(LINUX, (".profile", b"ID=a"), CMDLINE, (".profile", b"ID=b"), CMDLINE), set()),
    "another release": (uki((".uname", b"6.1.0"), LINUX), {"uki-uname-is-of-the-kernel"}),
    "gzip": (uki((".linux", gzip.compress(IMAGE))), {"uki-kernel-is-an-efi-program"}),
    "two kernels": (uki(LINUX, LINUX), {"uki-sections-are-there-once"}),
    "two initrds": (uki(LINUX, INITRD, INITRD), {"uki-sections-are-there-once"}),
    "bytes behind it": (uki(LINUX) + b"initrd here", {"pe-sections-reach-the-end-of-the-file"}),
    "a tree that is cut": (uki(LINUX, (".dtb", DTB[:1000])), {"dtb-is-whole"}),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_gives_its_findings_and_no_other(name: str, tmp_path: Path) -> None:
    data, expected = FAULTS[name]
    path = tmp_path / "linux.efi"
    path.write_bytes(data)
    found = {finding.id for finding in kinspect.image(path).findings}
    assert found == expected or (name == "a tree that is cut" and expected <= found)
    if expected or name == "an Image":
        assert {finding.id for finding in kinspect.check(path).findings} == found


def test_signed_without_sbat(tmp_path: Path) -> None:
    path = tmp_path / "linux.efi"
    for sections, missing in (((LINUX,), True), ((LINUX, SBAT), False)):
        path.write_bytes(uki(*sections, certificates=signature()))
        report = kinspect.image(path)
        assert ("uki-has-its-sbat" in {finding.id for finding in report.findings}) == missing
        # The signature is that of the whole, and it is not one of this file.
        assert report.facts_of(kinspect.ImageFacts)[0].signature == "present"
        assert "image-signature-is-of-the-image" in report.ran


def test_the_signature_of_every_layer_is_judged(tmp_path: Path) -> None:
    """One of the kernel inside, too, which firmware does not see: here it is of another file."""
    kernel = uki(UNAME, LINUX, SBAT, certificates=signature())
    path = tmp_path / "linux.efi"
    path.write_bytes(uki(UNAME, (".linux", kernel), SBAT))
    report = kinspect.image(path)
    assert "image-signature-is-of-the-image" in report.ran
    assert report.facts_of(kinspect.ImageFacts)[0].signature == "none"


def test_parts_are_the_very_bytes(tmp_path: Path, tool: Callable[[str], str]) -> None:
    path, out, theirs = tmp_path / "linux.efi", tmp_path / "out", tmp_path / "theirs"
    path.write_bytes(FAULTS["an Image"][0])
    for part in open_as(BootContainer, path).parts:
        assert main(["unpack", "-q", str(path), "--part", part.name, "-o", str(out)]) in (0, 1)
        command = [tool("aarch64-linux-gnu-objcopy"), "-O", "binary", f"--only-section={part.title}", path, theirs]
        subprocess.run([str(word) for word in command], check=True, capture_output=True)
        assert out.read_bytes() == theirs.read_bytes()[: out.stat().st_size], part
        assert not theirs.read_bytes()[out.stat().st_size :].strip(b"\0")
    assert [part.name for part in Uki(path).parts] == [
        *("osrel", "cmdline", "uname", "dtb", "kernel", "ramdisk", "sbat")
    ]
    assert main(["unpack", "-q", str(path), "-o", str(out)]) == 0
    assert out.read_bytes() == IMAGE


def test_what_objcopy_adds_comes_out_again(tmp_path: Path, tool: Callable[[str], str]) -> None:
    """A container made as distributions made it before ukify, signed by sbsign: the parts are the very bytes."""
    files = {".cmdline": b"quiet", ".initrd": b"ramdisk" * 99, ".dtb": DTB, ".linux": IMAGE}
    path, out = tmp_path / "linux.efi", tmp_path / "out"
    command = [tool("aarch64-linux-gnu-objcopy"), "-I", "pei-aarch64-little", "-O", "pei-aarch64-little"]
    for number, (name, data) in enumerate(files.items(), 1):
        (tmp_path / name).write_bytes(data)
        command += ["--add-section", f"{name}={tmp_path / name}", "--change-section-vma", f"{name}={number:#x}00000"]
    subprocess.run([*command, str(SAMPLE / "Image"), str(path)], check=True, capture_output=True)
    key = new_key(tmp_path, "key")
    sign = [tool("sbsign"), "--key", str(key.key), "--cert", str(key.certificate), "--output", str(path), str(path)]
    subprocess.run(sign, check=True, capture_output=True)
    for part, name in (("cmdline", ".cmdline"), ("ramdisk", ".initrd"), ("dtb", ".dtb"), ("kernel", ".linux")):
        assert main(["unpack", "-q", str(path), "--part", part, "-o", str(out)]) == 0
        assert out.read_bytes() == files[name]


def test_an_empty_kernel(tmp_path: Path) -> None:
    path = tmp_path / "linux.efi"
    path.write_bytes(uki((".linux", b""), UNAME))
    with pytest.raises(WrongKindError, match="expected a kernel, found nothing"):
        kinspect.image(path)


def test_other_machines_are_named(tmp_path: Path) -> None:
    path = tmp_path / "linux.efi"
    path.write_bytes(uki(LINUX, machine=0x8664))
    with pytest.raises(WrongKindError, match=r"arm64 kernels only\): expected an arm64 Image, found a unified kernel"):
        kinspect.image(path)


@pytest.mark.parametrize("size", [60, 100, 300, 4096, 9000, 100_000])
def test_a_cut_is_one_line_or_a_finding(size: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "linux.efi"
    path.write_bytes(FAULTS["an Image"][0][:size])
    assert main(["check", str(path)]) == 2
    assert capsys.readouterr().err.count("\n") == 1
