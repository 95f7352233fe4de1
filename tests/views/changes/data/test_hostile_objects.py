"""Data that no compiler makes: it is compared in bounded time, and nothing but a KinspectError is raised."""

import random
from collections.abc import Callable
from pathlib import Path

import pytest

import kinspect
from kinspect.artifacts.elf.vmlinux import Vmlinux
from kinspect.artifacts.kinds import open_as
from kinspect.errors import KinspectError
from kinspect.views.changes.causes.banner import Stamps
from kinspect.views.changes.data.changed import ChangedData, compared_data
from kinspect.views.changes.data.named import object_name
from kinspect.views.changes.side import KernelSide, kernel_side
from kinspect.views.changes.uses.slots import slots_of
from tests.toy_program import toy_kernel

SOURCE = r"""
extern __attribute__((visibility("hidden"))) int put(const char *);
int put(const char *text) { return text[0]; }
int (*const calls[])(const char *) = { put, put };
const char *const words[] = { "one", "two" };
char area[70000] = { 1 };
asm(".pushsection .data\n.align 3\n.global knot\n.type knot, %object\nknot: .quad 1f, 2f\n.size knot, 16\n"
    "1: .quad 1b, 2f\n2: .quad 1b, 2b, 7\n.popsection");
"""
SHIFT = ("int put(const char *text)", 'asm(".skip 4096, 0");\nint put(const char *text)')


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory, tool: Callable[[str], str]) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("kernels")
    return toy_kernel(folder, tool, "old", SOURCE), toy_kernel(folder, tool, "new", SOURCE.replace(*SHIFT))


def sides(pair: tuple[Path, Path]) -> tuple[KernelSide, KernelSide]:
    old, new = (kernel_side(open_as(Vmlinux, path)) for path in pair)
    return old, new


def compared(old: KernelSide, new: KernelSide) -> ChangedData:
    functions = {
        ours: theirs for ours in old.functions for theirs in new.functions if old.names[ours] == new.names[theirs]
    }
    return compared_data(old, new, functions, Stamps())


def place_of(side: KernelSide, name: str) -> int:
    return next(offset for offset in side.objects if object_name(side, offset) == name)


def test_data_that_refers_to_itself(pair: tuple[Path, Path]) -> None:
    old, new = sides(pair)
    found = compared(old, new)
    assert found == ChangedData(objects=found.objects)
    knot = place_of(new, "knot")
    data = bytearray(new.data)
    data[knot + 48] = 8
    (change,) = compared(old, new._replace(data=bytes(data))).changed
    assert (change.name, change.first, change.pointers) == ("knot", 8, 1)


def test_very_many_bytes(pair: tuple[Path, Path]) -> None:
    old, new = sides(pair)
    area = place_of(new, "area")
    data = bytearray(new.data)
    data[area : area + 70000] = b"\xa5" * 70000
    (change,) = compared(old, new._replace(data=bytes(data))).changed
    assert (change.name, change.bytes, change.first) == ("area", 70000, 0)


def test_an_address_outside_of_the_kernel(pair: tuple[Path, Path]) -> None:
    old, new = sides(pair)
    data = bytearray(new.data)
    slots = slots_of(new)
    calls = place_of(new, "calls")
    target = slots.targets[slots.within(calls, calls + 8)[0]]
    at = data.find((target + (new.start or 0)).to_bytes(8, "little"))
    data[at : at + 8] = b"\xff" * 8
    (change,) = compared(old, new._replace(data=bytes(data))).changed
    assert (change.name, change.first, change.pointers, change.expected) == ("calls", 0, 1, "put")


@pytest.mark.parametrize("seed", range(24))
def test_damaged_kernels(seed: int, pair: tuple[Path, Path], tmp_path: Path) -> None:
    rng, data = random.Random(seed), bytearray(pair[1].read_bytes())
    for _ in range(rng.choice([3, 30, 300])):
        at = rng.randrange(64, len(data))
        data[at] = rng.choice([0, 1, 0x7F, 0xFF, rng.randrange(256)])
    damaged = tmp_path / "damaged.elf"
    damaged.write_bytes(data)
    try:
        report = kinspect.diff(pair[0], damaged)
    except KinspectError:
        return
    assert report.to_json()
