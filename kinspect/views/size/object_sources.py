"""The source file of each object in a kernel.

The symbol table names objects without their folders; compile units name sources without their objects. Code that lies
in both matches them. As both lists are in link order, the rest is matched by name between two matched neighbours.
"""

import posixpath
from bisect import bisect_right
from collections import Counter
from collections.abc import Sequence

from kinspect.artifacts.dwarf.compile_units import CompileUnit
from kinspect.artifacts.elf.mapping_symbols import ObjectMap


def stem(path: str) -> str:
    """The name of a file without folder and extension: `main` of `init/main.c`."""
    return posixpath.basename(path).lstrip(".").split(".", 1)[0]


def object_sources(found: ObjectMap, code_sections: Sequence[int], units: Sequence[CompileUnit]) -> list[str]:
    """The path of each object's source; `?/main.c` where only its name is known."""
    ranges = sorted((start, end, number) for number, unit in enumerate(units) for start, end in unit.ranges)
    starts = [start for start, _, _ in ranges]
    votes: dict[int, Counter[int]] = {}
    for section in code_sections:
        for address, owner in zip(*found.blocks.get(section, ((), ())), strict=True):
            at = bisect_right(starts, address) - 1
            if at >= 0 and address < ranges[at][1] and owner >= 0:
                votes.setdefault(owner, Counter())[ranges[at][2]] += 1
    chosen: dict[int, int] = {}
    for owner, counted in votes.items():
        own = [number for number, _ in counted.most_common() if _same(found.objects[owner], units[number])]
        if own:
            chosen[owner] = own[0]
    _between(found.objects, units, chosen)
    _unique(found.objects, units, chosen)
    return [
        units[chosen[number]].path if number in chosen else f"?/{name}" for number, name in enumerate(found.objects)
    ]


def _same(name: str, unit: CompileUnit) -> bool:
    if unit.part:
        return name == unit.part
    source, linked = stem(unit.path), stem(name)
    # objcopy adds a prefix to the symbols of some objects.
    return linked == source or (linked.startswith("__") and linked.endswith(f"_{source}"))


def _between(objects: Sequence[str], units: Sequence[CompileUnit], chosen: dict[int, int]) -> None:
    """Match the objects between two matched ones by name, in order."""
    taken, upto = set(chosen.values()), 0
    ends = sorted(chosen)
    for number, name in enumerate(objects):
        if number in chosen:
            upto = chosen[number] + 1
            continue
        at = bisect_right(ends, number)
        limit = chosen[ends[at]] if at < len(ends) else len(units)
        for candidate in range(upto, limit):
            if candidate not in taken and _same(name, units[candidate]):
                chosen[number] = candidate
                taken.add(candidate)
                upto = candidate + 1
                break


def _unique(objects: Sequence[str], units: Sequence[CompileUnit], chosen: dict[int, int]) -> None:
    """Match objects whose name only one remaining unit has."""
    taken = set(chosen.values())
    free: dict[str, list[int]] = {}
    for number, unit in enumerate(units):
        if number not in taken:
            free.setdefault(stem(unit.path), []).append(number)
    for number, name in enumerate(objects):
        candidates = free.get(stem(name), [])
        if number not in chosen and len(candidates) == 1:
            chosen[number] = candidates[0]
