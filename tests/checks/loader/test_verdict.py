"""The checks of what the kernel would load fail when, and only when, their fault is put into a module of the sample."""

from collections.abc import Callable
from pathlib import Path

import pytest

from kinspect.artifacts.boot.image import Image
from kinspect.artifacts.elf.vmlinux import Vmlinux
from kinspect.artifacts.module.tree import ModuleTree
from kinspect.inspection.report import run_checks
from kinspect.schemas.elf import Rela
from kinspect.schemas.record import build, parse, size_of
from tests.toy_build import BOOT, edit, put, sample_build
from tests.toy_module import put as put_bytes
from tests.toy_module import section_of, with_section

OUTSIDE = "a relocation outside its section"
DOOR, LOADED, KNOWN = "drivers/hello/hello-door", "modules-are-loaded", "modules-are-known-to-load"


def door(change: Callable[[bytes], bytes]) -> Callable[[Path], None]:
    """A change of one of the sample's modules."""
    return lambda folder: edit(folder / f"{DOOR}.ko", change)


def relocated(data: bytes, **fields: int) -> bytes:
    """Other fields in the first relocation of the code."""
    start = section_of(data, ".rela.text").sh_offset
    row = parse(Rela, data[start : start + size_of(Rela)])
    return put_bytes(data, start, build(row._replace(**fields)))


FAULTS: dict[str, tuple[Callable[[Path], None], list[str]]] = {
    "nothing": (lambda folder: None, []),
    # With versions the kernel does not compare the release.
    "another release in the vermagic": (door(lambda data: data.replace(b"vermagic=6.1", b"vermagic=6.2")), []),
    "another vermagic": (door(lambda data: data.replace(b" SMP mod_unload", b" UMP mod_unload")), [LOADED]),
    "a relocation of an unknown type": (door(lambda data: relocated(data, r_info=9999)), [LOADED]),
    # The kernel writes to the place without a test.
    OUTSIDE: (door(lambda data: relocated(data, r_offset=1 << 40)), [LOADED]),
    "more memory than the machine may have": (
        door(lambda data: with_section(data, ".bss", sh_size=128 << 20)),
        [KNOWN],
    ),
    # Why it is not loaded is a finding of other checks.
    "a module that cannot be read": (lambda folder: put(folder / f"{DOOR}.ko", b"\x7fELF"), []),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_found_and_no_other(fault: str, tmp_path: Path) -> None:
    change, expected = FAULTS[fault]
    folder = sample_build(tmp_path)
    change(folder)
    for kernel in (Vmlinux(folder / "vmlinux"), Image(folder / BOOT / "Image")):
        report = run_checks((ModuleTree(folder), kernel), "loader.verdict")
        assert report.ran == (LOADED, KNOWN)
        assert [found.id for found in report.findings] == expected, report.findings
        assert all("hello_door" in str(found) for found in report.findings)


def test_a_kernel_that_does_not_say_what_it_takes(sample: Path) -> None:
    """The sample's own vmlinux has no vermagic."""
    tree = ModuleTree(sample / "modules/lib/modules/6.1.0-hello")
    (found,) = run_checks((tree, Vmlinux(sample / "vmlinux")), "loader.verdict").findings
    assert found.id == KNOWN
    assert found.evidence.message.startswith("not known for any module: no vermagic found")
