"""Kernels and containers of boot loaders from reports: what kinspect says of each, by its name."""

from pathlib import Path
from typing import NamedTuple

import pytest

from kinspect.cli import main
from tests.conftest import SAMPLE


class Case(NamedTuple):
    """A file below the folder of cases, the exit status of `kinspect check`, and a phrase that it prints."""

    name: str
    status: int
    phrase: str


CHECKED = (
    Case("boot/zstd.efi", 0, "6.1.0-hello in EFI zboot (zstd)"),
    Case("boot/gzip.signed", 0, "good"),
    Case("boot/gzip.tampered", 1, "the image was changed after signing"),
    Case("boot/magic-patched.efi", 1, "a zboot image with the magic number of an Image"),
    Case("boot/gz.two", 0, "6.1.0-hello in gzip"),
    Case("boot/zst.long31", 2, "needs a window of 2 GiB to be unpacked: expected at most 128 MiB (--limit)"),
    Case("boot/kernel8.img", 0, "6.1.0-hello in gzip"),
    Case("boot/Image.gz-dtb", 0, "1,990 bytes (1 device tree: hello on QEMU's virt) follow the compressed stream"),
    Case("boot/lz4.size.dtb", 0, "1,990 bytes (1 device tree: hello on QEMU's virt) follow the compressed stream"),
    Case("modules/dt/Image.gz-dtb", 0, "510 bytes (1 device tree: lamp board) follow the compressed stream"),
    Case("modules/dt/Image-dtb", 1, "510 bytes (1 device tree: lamp board) follow the last PE section"),
    Case("modules/dt/two.dtb", 0, "383 bytes (1 device tree: lamp board) after the end of the device tree"),
    Case("boot/test_arm64_image.bin", 1, "code0 at 0x0"),
    Case("boot/boot-v0.img", 0, "6.1.0-hello in gzip in Android boot image v0 (beside it: cmdline, ramdisk)"),
    Case("boot/boot-v2.img", 0, "6.1.0-hello in gzip in Android boot image v2 (beside it: ramdisk, dtb)"),
    Case("boot/uki.efi", 0, "6.1.0-hello in UKI (beside it: osrel, cmdline, uname)"),
    Case("boot/uki-gz.efi", 1, "the kernel is not an EFI program: expected MZ, found gzip-compressed data"),
    Case("boot/uImage.gz", 0, "6.1.0-hello in gzip in uImage"),
    Case("boot/vmlinux.kpart", 2, "a ChromeOS kernel partition"),
    Case("boot/prog", 2, "not a vmlinux: expected a linked kernel, found a statically linked program"),
    Case("boot/far32m", 1, ".stray of 6 bytes lies outside the kernel and makes the Image 33,418,758 bytes larger"),
    Case("boot/zero", 1, "expected within 0xffff800008000000 to 0xffff800008030000, found 0x0"),
    Case("boot/kernel_fdt-broken.itb", 1, "the sha256 does not match the image's data"),
    Case("boot/kernel_fdt-external-truncated.itb", 1, "the image's data ends past the file"),
    Case("modules/dt/its-badhash.fit", 1, "the sha256 does not match the image's data"),
    Case("modules/dt/its.fit", 1, "the image fdt-2 does not exist"),
    Case("modules/dt/auto.fit", 0, "good"),
    Case("modules/dt/ext.fit", 0, "good"),
    Case("modules/dt/dtbo.img", 0, "an Android DTBO image"),
    Case("fuzz/zboot-cut-100.vmlinuz.efi", 1, "the section extends past the end of the file"),
)


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str]:
    """The exit status of a command, and what it prints on both streams."""
    status = main(list(arguments))
    out, err = capsys.readouterr()
    return status, out + err


@pytest.mark.parametrize("case", CHECKED, ids=lambda case: case.name)
def test_check(case: Case, cases: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, out = run(capsys, "check", str(cases / case.name))
    assert case.phrase in out
    assert status == case.status


@pytest.mark.parametrize("name", ["boot/gzip.signed", "boot/gzip.tampered", "boot/zstd.efi"])
def test_the_signature_is_that_of_the_program(name: str, cases: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, out = run(capsys, "image", "--cert", str(cases / "boot" / "c.pem"), str(cases / name))
    expected = {"boot/gzip.signed": "yes, and trusted", "boot/gzip.tampered": "changed after signing"}
    assert expected.get(name, "the image is not signed") in out
    assert status == (0 if name == "boot/gzip.signed" else 1)


@pytest.mark.parametrize("name", ["boot/magic-patched.efi", "boot/gz.two"])
def test_unpack_writes_the_whole_image(
    name: str, cases: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    out = tmp_path / "Image"
    run(capsys, "unpack", str(cases / name), "-o", str(out))
    assert out.read_bytes()[56:60] == b"ARM\x64"
    assert out.stat().st_size == 135_680


@pytest.mark.parametrize("suffix", ["gz", "xz", "zst"])
def test_garbage_behind_a_module(suffix: str, cases: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """modinfo reads the .gz, as zlib does, and refuses the others."""
    status, out = run(capsys, "module", str(cases / "fuzz" / f"trailing-garbage-toy.ko.{suffix}"))
    assert ("bytes follow the compressed stream: modinfo and depmod refuse the file" in out) == (suffix != "gz")
    # The module has other faults.
    assert status == (1 if suffix == "gz" else 2)


@pytest.mark.parametrize("name", ["boot/prog", "boot/vmlinux.kpart"])
def test_unpack_fails_on_what_is_not_a_kernel(
    name: str, cases: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    status, _ = run(capsys, "unpack", str(cases / name), "-o", str(tmp_path / "out"))
    assert status == 2
    assert not list(tmp_path.iterdir())


def test_diff_names_the_section_that_is_far_away(cases: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, out = run(capsys, "diff", str(cases / "boot" / "zero"), str(SAMPLE / "Image"))
    assert ".stray at 0x0 is far from the other sections" in out
    assert status == 2
