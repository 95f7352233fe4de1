"""The contents of a module's memory after its relocations, as far as its file decides them."""

from bisect import bisect_right
from collections.abc import Iterator
from functools import cached_property
from typing import NamedTuple

from kinspect.schemas import elf
from kinspect.views.loader.load_info import LoadInfo, text_of
from kinspect.views.loader.relocation.areas import Area, Areas
from kinspect.views.loader.relocation.rows import address_at, relocations_of, symbol_address, width_of
from kinspect.views.loader.relocation.values import Address, Space

_WORDS = frozenset((257, 258, 259))
_DISTANCES = frozenset((260, 261, 262))
_LONGEST_TEXT = 256
LARGEST = 1 << 24
"""Bytes of a section that are read."""


class Patch(NamedTuple):
    """The bytes that a relocation writes; None when they depend on where the module lies."""

    start: int
    width: int
    kind: int
    value: int | None
    target: Address


class PatchedSection(NamedTuple):
    """The bytes of a section, and by offset the last relocation that wrote an unknown byte."""

    data: bytes
    unknown: dict[int, Patch]


class Memory:
    """The memory of a module that has passed the tests of relocations."""

    def __init__(self, info: LoadInfo) -> None:
        self.info, self.areas = info, Areas(info)
        self._contents: dict[int, PatchedSection] = {}

    @cached_property
    def _sections(self) -> dict[Area | None, list[tuple[int, int, int]]]:
        """By area, the sections in it in their order: start, end, number."""
        found: dict[Area | None, list[tuple[int, int, int]]] = {}
        for number, place in self.areas.places.items():
            size = self.info.sections.sizes[number]
            if size:
                found.setdefault(place.area, []).append((place.offset, place.offset + size, number))
        return {area: sorted(sections) for area, sections in found.items()}

    def _patches(self, number: int) -> Iterator[Patch]:
        """What relocations write into a section, in their order."""
        info = self.info
        for offset, kind, symbol, addend in relocations_of(info, number):
            target, place = symbol_address(info, self.areas, symbol), address_at(self.areas, number, offset)
            target = target._replace(offset=target.offset + addend)
            width, value = width_of(kind), None
            if kind in _WORDS and target.space is Space.ABSOLUTE:
                value = target.offset
            elif kind in _DISTANCES and target.space == place.space:
                value = target.offset - place.offset
            if width:
                yield Patch(offset, width, kind, value, target)

    def contents(self, number: int) -> PatchedSection:
        """The contents of a section of at most LARGEST bytes."""
        if number not in self._contents:
            self._contents[number] = self._read(number)
        return self._contents[number]

    def _read(self, number: int) -> PatchedSection:
        info, size = self.info, min(self.info.sections.sizes[number], LARGEST)
        if number in info.stubs or number == info.index["sym"]:
            everything = Patch(0, size, 0, None, Address(Space.ABSOLUTE, 0))  # the kernel fills these
            return PatchedSection(bytes(size), dict.fromkeys(range(size), everything))
        data, unknown = bytearray(info.bytes_of(number)[:size].ljust(size, b"\0")), dict[int, Patch]()
        for patch in self._patches(number):
            start, width, _, value, _ = patch
            if not 0 <= start <= size - width:
                continue
            if value is None:
                unknown.update(dict.fromkeys(range(start, start + width), patch))
                continue
            data[start : start + width] = (value & (1 << 8 * width) - 1).to_bytes(width, "little")
            for offset in range(start, start + width):
                unknown.pop(offset, None)
        return PatchedSection(bytes(data), unknown)

    def is_there(self, address: Address) -> bool | None:
        """Whether there is memory at an address; None when that depends on where the module lies."""
        if address.space is Space.PER_CPU:
            return False
        if not isinstance(address.space, Area):
            return True if address.space is Space.KERNEL and abs(address.offset) < 1 << 16 else None
        room, page = self.areas.page_end(self.areas.sizes.get(address.space, 0)), self.info.kernel.page_size
        if 0 <= address.offset < room:
            return True
        # The page behind an area stays free, and so does that behind the area before it.
        return False if -page <= address.offset < room + page else None

    def known(self, address: Address, size: int) -> bytes | None:
        """Bytes at an address; None when they depend on where the module lies, or there is no memory."""
        found = b""
        while isinstance(address.space, Area) and len(found) < size:
            at = address.offset + len(found)
            part = (
                self._part(address.space, at, size - len(found)) if self.is_there(address._replace(offset=at)) else None
            )
            if not part:
                return None
            found += part
        return found if len(found) == size else None

    def text(self, address: Address) -> str | None:
        """The text at an address where there is memory; None when it depends on where the module or the kernel lies."""
        found, at = b"", address.offset
        while isinstance(address.space, Area) and len(found) < _LONGEST_TEXT:
            part = self._part(address.space, at, _LONGEST_TEXT, until=0)
            if part is None:
                return None
            found, at = found + part.partition(b"\0")[0], at + len(part)
            if 0 in part:
                return text_of(found)
        return text_of(found) if found else None

    def _part(self, area: Area, at: int, size: int, until: int | None = None) -> bytes | None:
        """Some bytes from an offset in an area, at most to the end of what lies there; None for unknown ones.

        What nothing lies in is zero. `until` ends the bytes too.
        """
        sections = self._sections.get(area, [(0, 0, 0)])
        start, end, number = sections[max(0, bisect_right(sections, (at, LARGEST << 40)) - 1)]
        if not start <= at < end:
            return b"\0"
        if self.info.sections.types[number] == elf.SHT_NOBITS and number not in self.info.stubs:
            return b"\0"
        data, unknown = self.contents(number)
        part = data[at - start : at - start + size]
        if until is not None and until in part:
            part = part[: part.index(until) + 1]
        return None if unknown and any(at - start + offset in unknown for offset in range(len(part))) else part
