"""The functions of a kernel and their code, in the same form from an Image and from a vmlinux."""

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator
from functools import cached_property
from itertools import repeat
from typing import NamedTuple

from kinspect.artifacts.boot.image import Image
from kinspect.artifacts.elf.vmlinux import Vmlinux
from kinspect.artifacts.raw.limits import LARGEST_KERNEL
from kinspect.errors import MalformedError, UnsupportedError
from kinspect.views.hardening.instructions import Patterns, aligned, calls
from kinspect.views.hardening.pointers import pointers, without_long_tables
from kinspect.views.kernel.listed_symbols import SymbolsFacts, symbols_facts
from kinspect.views.tables.raw_exports import readable_exports

_CODE = (("_stext", "_etext"), ("_sinittext", "_einittext"))
_HAND_WRITTEN = (("__entry_text_start", "__entry_text_end"), ("__idmap_text_start", "__idmap_text_end"))
"""Entry from user mode and from exceptions, and what runs with the MMU off: assembly that nothing protects."""
_STARTUP = ("__pi_", "__efistub_")
"""What runs before the kernel is mapped, or is not part of it: built without any of this."""
_SMALL, _GROUP, _EVERY = 16_384, 256, 10
"""A sample of more symbols is every tenth group of 256."""
_LABEL = re.compile(r"(?:__pi_|__efistub_|__kvm_nvhe_)*\$|(?:_s(?:init)?text|__\w+_text_(?:start|end))$")
"""Mapping symbols, also of objects whose symbols objcopy gave a prefix, and the bounds of parts of the code."""


class CodeRange(NamedTuple):
    """Bytes of a kernel, and the offset of the first from `_text`."""

    start: int
    data: bytes

    @property
    def end(self) -> int:
        """The offset of the first byte after it."""
        return self.start + len(self.data)


class KernelCode:
    """The functions in .text and .init.text, without those that start the kernel. All places are offsets from `_text`.

    With `sampled`, a tenth of them, in groups from everywhere, or all of a small kernel.

    Raises as `symbols_facts` does, UnsupportedError without code, MalformedError when the code is outside the file.
    """

    def __init__(self, kernel: Image | Vmlinux, sampled: bool = False) -> None:
        self._kernel = kernel
        found = symbols_facts(kernel)
        self.layers, self.start = found.layers, found.start
        self.places = {name: place for name, place in zip(found.names, found.offsets, strict=True) if place is not None}
        ranges = list(self._ranges(_CODE))
        if not ranges:
            raise UnsupportedError("no symbols _stext and _etext: it is not known where the code is", kernel.at())
        if sampled and len(found.names) > _SMALL:
            found, ranges = _sample(found, ranges)
        self._names = _function_names(found, ranges, list(self._ranges(_HAND_WRITTEN)))
        self._starts = sorted(self._names)
        self.functions = [place for place in self._starts if self._names[place]]
        self.parts = [CodeRange(start, self._read(start, end)) for start, end in ranges]

    def _ranges(self, bounds: Iterable[tuple[str, str]]) -> Iterator[tuple[int, int]]:
        for names in bounds:
            start, end = map(self.places.get, names)
            if start is not None and end is not None and start != end:
                if not 0 <= start < end <= LARGEST_KERNEL or start & 3:
                    problem = f"{names[0]} and {names[1]} do not enclose code"
                    raise MalformedError(problem, self._kernel.at(), actual=f"{start:#x} to {end:#x} from _text on")
                yield start, end & -4

    def _read(self, start: int, end: int) -> bytes:
        kernel = self._kernel
        if isinstance(kernel, Image):
            return kernel.source.read(start, end - start, "code")
        code, text = bytearray(end - start), self.start or 0
        for section in kernel.loaded_sections:
            first, last = max(start, section.address - text), min(end, section.end - text)
            if section.in_file and first < last:
                offset = section.offset + first + text - section.address
                code[first - start : last - start] = kernel.source.read(offset, last - first, section.name)
        return bytes(code)

    def names(self, places: Iterable[int]) -> list[str]:
        """The names of some functions."""
        return [self._names[place] for place in places]

    def matching(self, patterns: Patterns) -> dict[int, int]:
        """For each function with an instruction that matches, the first place of one."""
        found: dict[int, int] = {}
        for start, data in self.parts:
            found |= self._owners([start + place for place in aligned(patterns, data)])
        return found

    def _owners(self, places: list[int]) -> dict[int, int]:
        """For each function that has some of the places, which ascend, the first."""
        numbers = list(map(bisect_right, repeat(self._starts), places))
        first = dict(zip(reversed(numbers), reversed(places), strict=True))
        first.pop(0, None)
        starts = map(self._starts.__getitem__, (number - 1 for number in first))
        return {start: place for start, place in zip(starts, first.values(), strict=True) if self._names[start]}

    def callers(self, *groups: tuple[str, ...]) -> list[int]:
        """For each group of functions, how many functions call one of them."""
        wanted = {
            self.places[name]: number for number, group in enumerate(groups) for name in group if name in self.places
        }
        found: list[set[int]] = [set() for _ in groups]
        for start, data in self.parts if wanted else ():
            called = calls(data, {place - start: number for place, number in wanted.items()})
            for number, sites in called.items():
                found[number] |= self._owners([start + site for site in sites]).keys()
        return list(map(len, found))

    def words(self, places: list[int]) -> dict[int, int]:
        """The instructions at those of some places, which ascend, that are in the code."""
        found: dict[int, int] = {}
        for part in self.parts:
            start, view = part.start, memoryview(part.data).cast("I")
            inside = places[bisect_left(places, start) : bisect_left(places, part.end)]
            found |= {place: view[place - start >> 2] for place in inside}
        return found

    @cached_property
    def pointed(self) -> list[int]:
        """The functions that data points to, or that are exported: where an indirect branch may go."""
        functions, found = set(self.functions), set[int]()
        if self.start is not None:
            ranges = [(self.start + part.start, self.start + part.end) for part in self.parts]
            for data in self._data():
                targets = without_long_tables(pointers(data, ranges))
                found |= functions.intersection(target - self.start for target in targets)
        lead = 0 if isinstance(self._kernel, Image) else self.start or 0
        for table in readable_exports(self._kernel).tables:
            found |= functions.intersection(target - lead for target in table.targets)
        return sorted(found)

    def _data(self) -> Iterator[bytes]:
        """What is in the file and is not code, from an address on that is a multiple of eight."""
        kernel, lead = self._kernel, self.start or 0
        if isinstance(kernel, Image):
            extents = [(0, 0, kernel.searched)]
        else:
            extents = [
                (section.offset, section.address - lead, section.size)
                for section in kernel.loaded_sections
                if section.in_file
            ]
        for offset, start, size in extents:
            at, end = start + 7 & -8, start + size
            for part in sorted((*self.parts, CodeRange(end, b""))):
                if at < min(part.start, end):
                    yield kernel.source.read(offset + at - start, min(part.start, end) - at, "data")
                if part.start < end and part.end > at:
                    at = part.end + 7 & -8


def _sample(found: SymbolsFacts, ranges: list[tuple[int, int]]) -> tuple[SymbolsFacts, list[tuple[int, int]]]:
    """Some of the symbols, and the parts of some ranges from the first to the last of each group of them."""
    names, letters, offsets, parts = list[str](), list[str](), list[int | None](), list[tuple[int, int]]()
    for number in range(0, len(found.names), _GROUP * _EVERY):
        group = slice(number, number + _GROUP)
        places = [
            place
            for place, letter in zip(found.offsets[group], found.letters[group], strict=True)
            if letter in "tTwW" and place is not None
        ]
        for start, end in ranges:
            inside = [place for place in places if start <= place < end]
            if inside and min(inside) < max(inside):
                parts.append((min(inside), max(inside)))
        names += found.names[group]
        letters += found.letters[group]
        offsets += found.offsets[group]
    return found._replace(names=names, letters=letters, offsets=offsets), sorted(parts)


def _function_names(
    found: SymbolsFacts, ranges: list[tuple[int, int]], left_out: list[tuple[int, int]]
) -> dict[int, str]:
    """The name of each function by its place; empty for those that are left out, which have code all the same."""
    code = [
        (place, name)
        for place, letter, name in zip(found.offsets, found.letters, found.names, strict=True)
        if letter in "tTwW" and place is not None
    ]
    names: dict[int, str] = {}
    for start, end in ranges:
        inside = [row for row in code if start <= row[0] < end]
        named = [row for row in inside if not (("$" in row[1] or "text" in row[1]) and _LABEL.match(row[1]))]
        names |= dict.fromkeys([place for place, name in named if name.startswith(_STARTUP)], "")
        # Of several names, the first.
        names |= {place: name for place, name in reversed(named) if not name.startswith(_STARTUP)}
    for start, end in left_out:
        names |= {place: "" for place in names if start <= place < end}
    return names
