"""An Image gives the verdicts that its vmlinux gives: its symbols and parameters tell what the vmlinux tells."""

import struct
from pathlib import Path

import pytest

from kinspect.artifacts.boot.image import Image
from kinspect.artifacts.elf.vmlinux import Vmlinux
from kinspect.artifacts.kinds import open_as
from kinspect.inspection.load import load_report
from kinspect.views.kernel.values import boolean, text_address
from kinspect.views.loader.kernel import TargetKernel
from tests.conftest import OLD_KERNEL, SAMPLE, kernel_named
from tests.toy_kallsyms import BASE, Toy, image, symbols

ALL_KERNELS = (OLD_KERNEL, "bookworm-cloud", "trixie-cloud", "backports-cloud")


@pytest.mark.corpus
@pytest.mark.parametrize("name", ALL_KERNELS)
def test_real_kernels(name: str) -> None:
    """Without a .config. Kernels without KALLSYMS_ALL have no symbol sig_enforce; a parameter sets it."""
    kernel = kernel_named(name)
    modules = sorted((kernel.folder / "lib").rglob("*.ko*"))[:60:3]
    (ours,), (theirs,) = (load_report(path, modules).facts for path in (kernel.image, kernel.vmlinux))
    assert ours._replace(kernel="") == theirs._replace(kernel="")
    assert ours.enforced is False
    first, second = TargetKernel(open_as(Image, kernel.image)), TargetKernel(Vmlinux(kernel.vmlinux))
    assert (first.address_bits, first.page_size) == (second.address_bits, second.page_size)


def toy(folder: Path, offset: int, value: int = 0) -> Image:
    path = folder / "Image"
    data = bytearray(image([*symbols(), Toy(offset, "d", "sig_enforce")])[0])
    if offset < len(data):
        data[offset] = value
    path.write_bytes(data)
    return Image(path)


@pytest.mark.parametrize(("offset", "value", "known"), [(0x7000, 1, True), (0x7000, 0, False), (0x190000, 0, False)])
def test_the_value_of_a_symbol(offset: int, value: int, known: bool, tmp_path: Path) -> None:
    found = toy(tmp_path, offset, value)
    assert boolean(found, "sig_enforce") is known
    assert TargetKernel(found).enforced is known
    assert boolean(found, "sig_enforced") is None
    assert text_address(found) == BASE
    assert TargetKernel(found).address_bits == 48


def test_a_place_outside_of_the_kernel(tmp_path: Path) -> None:
    found = toy(tmp_path, 0x7FFFFFF0)
    assert boolean(found, "sig_enforce") is None


def test_without_kallsyms() -> None:
    found = Image(SAMPLE / "Image")
    assert boolean(found, "sig_enforce") is text_address(found) is None


def test_the_variable_of_a_parameter(tmp_path: Path) -> None:
    """Pointers in place, as in a kernel that is never moved."""
    data = bytearray(0x20000)
    data[:64] = struct.pack("<IIQQQ24x4sI", 0, 0, 0, 0x40000, 0xA, b"ARM\x64", 0)
    data[0x4000:0x4013] = b"\0module.sig_enforce"
    data[0x5000] = 1
    names = [BASE + 0x4001]
    for number, name in enumerate(names):
        row = struct.pack("<QQQHbB4xQ", name, 0, BASE + 0x3000, 0o644, -1, 0, BASE + 0x5000)
        data[0x6000 + 40 * number : 0x6028 + 40 * number] = row
    path = tmp_path / "Image"
    for value, known in ((1, True), (0, False)):
        data[0x5000] = value
        path.write_bytes(data)
        assert TargetKernel(Image(path)).enforced is known
    struct.pack_into("<Q", data, 0x6020, BASE - 4096)
    path.write_bytes(data)
    assert TargetKernel(Image(path)).enforced is None
