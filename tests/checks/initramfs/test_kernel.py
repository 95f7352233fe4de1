"""The checks of an initramfs with its kernel, and where else one may be: in a kernel, in a boot loader's container."""

import gzip
import json
import lzma
import struct
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

import kinspect
from kinspect.artifacts.boot.image import Image
from kinspect.artifacts.build.kernel_config import KernelConfig
from kinspect.artifacts.elf.vmlinux import Vmlinux
from kinspect.cli import main
from kinspect.errors import UnsupportedError
from kinspect.inspection.build.initramfs import initramfs
from kinspect.source import Source
from kinspect.views.initramfs.built_in import built_in_initramfs
from kinspect.views.initramfs.built_in_firmware import built_in_firmware
from kinspect.views.initramfs.decompressors import decompressors_of
from kinspect.views.loader.tree import ConfiguredKernel
from tests.conftest import SAMPLE, Build, Kernel, kernel_named
from tests.toy_boot import boot_image, boot_image_v4, uimage_of_files, vendor_boot
from tests.toy_initramfs import FOLDER, Entry, archive
from tests.toy_tree import ko
from tests.toy_uki import uki
from tests.toy_zboot import compressed, squeezed

IMAGE = (SAMPLE / "Image").read_bytes()
PLAIN = archive(Entry("init", b"#!/bin/sh\n"), Entry("dev", mode=FOLDER))
ALL = ("GZIP", "BZIP2", "LZMA", "XZ", "LZO", "LZ4", "ZSTD")


def config(*on: str) -> bytes:
    return b"#\n# Automatically generated file; DO NOT EDIT.\n#\n" + b"".join(
        b"CONFIG_%s\n" % (name if "=" in name else f"{name}=y").encode() for name in on
    )


def with_config(text: bytes) -> bytes:
    return IMAGE + b"IKCFG_ST" + gzip.compress(text) + b"IKCFG_ED"


def errors(data: bytes, folder: Path, kernel: bytes = b"") -> list[str]:
    path, image = folder / "initrd", folder / "Image"
    path.write_bytes(data)
    image.write_bytes(kernel)
    report = initramfs(path, image if kernel else None)
    return [str(found.evidence) for found in report.findings if found.severity == "error"]


@pytest.mark.parametrize("form", ["gzip", "bzip2", "lzma", "xz", "lz4"])
def test_decompressors_of_a_config(form: str, tmp_path: Path) -> None:
    packed, option = squeezed(PLAIN, form), f"DECOMPRESS_{form.upper()}"
    assert errors(packed, tmp_path, with_config(config("BLK_DEV_INITRD", option))) == []
    others = [f"DECOMPRESS_{name}" for name in ALL if name != form.upper()]
    (found,) = errors(packed, tmp_path, with_config(config("BLK_DEV_INITRD", *others)))
    assert found == f"the kernel cannot decompress {form}, by its .config: CONFIG_RD_{form.upper()} is off"
    # What is not compressed needs none.
    assert errors(PLAIN, tmp_path, with_config(config("BLK_DEV_INITRD"))) == []
    assert errors(PLAIN, tmp_path, IMAGE) == []


def test_kernel_without_initramfs(tmp_path: Path) -> None:
    found = errors(PLAIN, tmp_path, with_config(config("MODULES")))
    assert found == ["the kernel does not support an initramfs: CONFIG_BLK_DEV_INITRD is off"]


def test_nothing_is_said_of_a_kernel_that_does_not_say(tmp_path: Path) -> None:
    assert errors(squeezed(PLAIN, "gzip"), tmp_path, IMAGE) == []


@pytest.mark.corpus
def test_decompressors_of_real_kernels(build: Build) -> None:
    """Those of Debian's kernels by their symbols, against the .config beside them."""
    for name in ("bullseye-cloud", "bookworm-cloud", "trixie-cloud", "backports-cloud"):
        kernel: Kernel = kernel_named(name)
        stated = decompressors_of(ConfiguredKernel(Image(kernel.image), KernelConfig(str(kernel.folder / "config"))))
        for found in (decompressors_of(Image(kernel.image)), decompressors_of(Vmlinux(kernel.vmlinux))):
            assert found
            assert stated
            assert (found.compressions, found.initramfs) == (stated.compressions, stated.initramfs)
            assert found.known_from == "its symbols"
            assert len(found.compressions) == len(ALL)
    none = decompressors_of(Vmlinux(str(build.out / "vmlinux")))
    assert none
    assert none.compressions == frozenset()


def test_forms_that_no_kernel_has(tmp_path: Path, tool: Callable[[str], str]) -> None:
    """tests/load has what a booted kernel says of them."""
    (found,) = errors(lzma.compress(PLAIN, check=lzma.CHECK_CRC64), tmp_path)
    assert found == "the kernel refuses this check of xz: use xz --check=crc32: expected CRC32, found CRC64"
    (found,) = errors(lzma.compress(PLAIN, check=lzma.CHECK_SHA256), tmp_path)
    assert "found SHA-256" in found
    assert errors(lzma.compress(PLAIN, check=lzma.CHECK_NONE), tmp_path) == []
    (found,) = errors(compressed(PLAIN, "lz4 frame", tool), tmp_path)
    assert found == "the kernel knows only the legacy frame of lz4: use lz4 -l"
    assert errors(compressed(PLAIN, "lz4", tool), tmp_path) == []


def built_in(data: bytes, lead: int = 0) -> bytes:
    """The sample's Image with an archive built in, as the linker places it."""
    image = IMAGE + bytes(-len(IMAGE) % 8) + bytes(4 * lead) + data
    return image + bytes(-len(image) % 8) + struct.pack("<Q", len(data)) + b"more"


@pytest.mark.parametrize("form", ["", "gzip", "bzip2", "lzma", "xz", "lz4"])
@pytest.mark.parametrize("lead", [0, 1])
def test_built_in(form: str, lead: int) -> None:
    data = squeezed(PLAIN, form) if form else PLAIN
    found = built_in_initramfs(Image(Source("Image", built_in(data, lead))))
    assert found.source.read(0, found.size) == data
    assert found.path == "Image:initramfs"


def test_no_built_in() -> None:
    """An archive whose size does not follow is data of something else."""
    for data in (IMAGE, IMAGE + PLAIN, IMAGE + gzip.compress(PLAIN) + bytes(64)):
        with pytest.raises(UnsupportedError, match="no built-in initramfs"):
            built_in_initramfs(Image(Source("Image", data)))


def test_built_in_by_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "Image"
    path.write_bytes(built_in(squeezed(PLAIN, "gzip")))
    assert main(["initramfs", str(path)]) == 0
    out = capsys.readouterr().out
    assert f"{path}:initramfs: built-in initramfs" in out
    assert main(["initramfs", "--list", str(path)]) == 0
    assert capsys.readouterr().out == "init\ndev\n"
    path.write_bytes(gzip.compress(path.read_bytes()))
    assert main(["initramfs", str(path), "--json"]) == 0
    (facts,) = json.loads(capsys.readouterr().out)["facts"]
    assert (facts["built_in"], facts["default"], facts["members"]) == (True, False, 2)
    assert main(["initramfs", str(SAMPLE / "Image")]) == 2
    assert "no built-in initramfs" in capsys.readouterr().err


def test_built_in_of_a_build(tmp_path: Path, tool: Callable[[str], str]) -> None:
    """`check` judges that of a vmlinux too."""
    source = """
    .section .init.text, "ax"
    .globl _text, __initramfs_start, __initramfs_size, _end
_text: nop
    .section .init.data, "a"
    .balign 4
__initramfs_start: .incbin "data"
data_end: .balign 8
__initramfs_size: .quad data_end - __initramfs_start
_end:
"""
    (tmp_path / "a.s").write_text(source)
    for data, expected in ((archive(Entry("init", b"x" * 900)), False), (archive(Entry("a", b"x" * 900))[:600], True)):
        (tmp_path / "data").write_bytes(data)
        for command in (["as", "-o", "a.o", "a.s"], ["ld", "-e", "_text", "-o", "vmlinux", "a.o"]):
            subprocess.run([tool(f"aarch64-linux-gnu-{command[0]}"), *command[1:]], cwd=tmp_path, check=True)
        report = kinspect.check(tmp_path / "vmlinux")
        assert ("initramfs-is-whole" in {found.id for found in report.findings}) == expected
        assert "initramfs-is-whole" in report.ran


@pytest.mark.corpus
@pytest.mark.parametrize("name", ["bullseye-cloud", "bookworm-cloud", "trixie-cloud", "backports-cloud"])
def test_built_in_of_real_kernels(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Found in the Image by search where the symbols of vmlinux say that it is."""
    kernel = kernel_named(name)
    image, vmlinux = Image(kernel.image), Vmlinux(kernel.vmlinux)
    found, true = built_in_initramfs(image), built_in_initramfs(vmlinux)
    address, text = vmlinux.symbols.value("__initramfs_start"), vmlinux.text
    assert address is not None
    assert text is not None
    assert found.start == address - text
    assert found.source.read(0, found.size) == true.source.read(0, true.size)
    assert main(["initramfs", kernel.image]) == 0
    assert "what every kernel has: /dev, /dev/console and /root" in capsys.readouterr().out


BROKEN = gzip.compress(PLAIN)[:-20]
OTHER = gzip.compress(
    archive(Entry("init", b"x"), Entry("lib/modules/6.2.0-other/m.ko", ko(info=("name=m", "vermagic=6.2.0-other SMP"))))
)


@pytest.mark.parametrize(
    "container",
    [
        pytest.param(lambda ramdisk: boot_image(1, IMAGE, ramdisk), id="boot.img v1"),
        pytest.param(lambda ramdisk: boot_image_v4(4, IMAGE, ramdisk), id="boot.img v4"),
        pytest.param(lambda ramdisk: uimage_of_files(IMAGE, ramdisk), id="uImage"),
        pytest.param(lambda ramdisk: uki((".linux", IMAGE), (".initrd", ramdisk)), id="UKI"),
        pytest.param(lambda ramdisk: vendor_boot([ramdisk], b"", version=3), id="vendor_boot"),
    ],
)
def test_ramdisk_of_a_container(container: Callable[[bytes], bytes], tmp_path: Path) -> None:
    path = tmp_path / "boot.img"

    def found(ramdisk: bytes) -> set[str]:
        path.write_bytes(container(ramdisk))
        reports: list[kinspect.Report] = [kinspect.check(path)]
        if b"VNDRBOOT" not in path.read_bytes()[:8]:
            reports.append(kinspect.image(path))
        every = [{one.id for one in report.findings if one.severity == "error"} for report in reports]
        assert every[0] == every[-1]
        for report in reports:
            assert ("initramfs-is-whole" in report.ran) == ramdisk.startswith((b"0707", b"\x1f\x8b"))
        return every[0]

    good = found(gzip.compress(PLAIN))
    assert found(PLAIN) == good
    assert found(b"\0" * 1080 + b"\x53\xef" + bytes(2000)) == good  # a file system
    assert found(BROKEN) == good | {"initramfs-is-whole"}
    if b"VNDRBOOT" not in path.read_bytes()[:8]:
        assert found(OTHER) >= good | {"initramfs-has-modules-of-the-kernel"}


def test_initramfs_of_a_container(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "boot.img"
    path.write_bytes(boot_image(2, IMAGE, gzip.compress(PLAIN)))
    assert main(["initramfs", "--list", str(path)]) == 0
    assert capsys.readouterr().out == "init\ndev\n"


def test_built_in_firmware(tmp_path: Path, tool: Callable[[str], str]) -> None:
    """As drivers/base/firmware_loader/builtin/Makefile writes it; and by the .config alone."""
    source = """
    .section .rodata
_fw_disk_one_bin_bin: .byte 0
    .section .rodata.str, "aMS", %progbits, 1
_fw_disk_one_bin_name: .string "disk/one.bin"
    .section .builtin_fw, "a"
    .quad _fw_disk_one_bin_name, _fw_disk_one_bin_bin, 0
    .section .init.text, "ax"
    .globl _start
_start: ret
"""
    subprocess.run([tool("aarch64-linux-gnu-as"), "-o", tmp_path / "a.o"], input=source, text=True, check=True)
    subprocess.run([tool("aarch64-linux-gnu-ld"), "-o", tmp_path / "vmlinux", tmp_path / "a.o"], check=True)
    assert built_in_firmware(Vmlinux(str(tmp_path / "vmlinux"))) == {"disk/one.bin"}
    named = with_config(config('EXTRA_FIRMWARE="disk/one.bin other.fw"'))
    assert built_in_firmware(Image(Source("Image", named))) == {"disk/one.bin", "other.fw"}

    module = ko(info=("name=disk", "depends=", "firmware=disk/one.bin"))
    data = archive(Entry("init", b"x"), Entry("lib/modules/6.1.0-hello/disk.ko", module))
    for text, missing in ((config('EXTRA_FIRMWARE="disk/one.bin"'), 0), (config('EXTRA_FIRMWARE=""'), 1)):
        path, image = tmp_path / "initrd", tmp_path / "Image"
        path.write_bytes(data)
        image.write_bytes(with_config(text))
        (facts,) = initramfs(path, image).facts
        assert (facts.firmware, len(facts.missing_firmware)) == (1, missing)
