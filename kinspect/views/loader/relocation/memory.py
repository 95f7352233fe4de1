"""The contents of a module's memory after its relocations, as far as its file decides them."""

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
_LONGEST_TEXT = 4096


class Patch(NamedTuple):
    """The bytes that a relocation writes; None when they depend on where the module lies."""

    start: int
    width: int
    kind: int
    value: int | None
    target: Address


class Memory:
    """The memory of a module that has passed the tests of relocations."""

    def __init__(self, info: LoadInfo) -> None:
        self.info, self.areas = info, Areas(info)

    @cached_property
    def _sections(self) -> dict[Area | None, list[tuple[int, int, int]]]:
        """By area, the offsets of the sections in it: start, end, number."""
        found: dict[Area | None, list[tuple[int, int, int]]] = {}
        for number, place in self.areas.places.items():
            size = self.info.sections.sizes[number]
            found.setdefault(place.area, []).append((place.offset, place.offset + size, number))
        return found

    def patches(self, number: int) -> Iterator[Patch]:
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

    def contents(self, number: int) -> tuple[bytes, set[int]]:
        """The contents of a section, and the offsets of bytes that depend on where the module lies."""
        info, unknown = self.info, set[int]()
        size = info.sections.sizes[number]
        if number in info.stubs or number == info.index["sym"]:
            return bytes(size), set(range(size))  # the kernel fills these
        data = bytearray(info.bytes_of(number).ljust(size, b"\0"))
        for start, width, _, value, _ in self.patches(number):
            if value is not None:
                data[start : start + width] = (value & (1 << 8 * width) - 1).to_bytes(width, "little")
            span = range(start, start + width)
            unknown = unknown - set(span) if value is not None else unknown | set(span)
        return bytes(data), unknown

    def is_there(self, address: Address) -> bool | None:
        """Whether there is memory at an address; None when that depends on where the module lies."""
        if address.space is Space.PER_CPU:
            return False
        if not isinstance(address.space, Area):
            return True if address.space is Space.KERNEL and abs(address.offset) < 1 << 16 else None
        room, page = self.areas.page_end(self.areas.sizes[address.space]), self.info.kernel.page_size
        if 0 <= address.offset < room:
            return True
        # The page behind an area stays free, and so does that behind the area before it.
        return False if -page <= address.offset < room + page else None

    def known(self, address: Address, size: int) -> bytes | None:
        """Bytes at an address; None when they depend on where the module lies, or there is no memory."""
        found = b""
        while isinstance(address.space, Area) and len(found) < size:
            if not self.is_there(address._replace(offset=address.offset + len(found))):
                return None
            part, unknown = self._part(address.space, address.offset + len(found))
            if any(offset < size - len(found) for offset in unknown):
                return None
            found += part[: size - len(found)]
        return found if len(found) == size else None

    def text(self, address: Address) -> str | None:
        """The text at an address where there is memory; None when it depends on where the module or the kernel lies."""
        if not isinstance(address.space, Area):
            return None
        found, at = bytearray(), address.offset
        while len(found) < _LONGEST_TEXT:
            part, unknown = self._part(address.space, at)
            end = part.find(0)
            upto = len(part) if end < 0 else end
            if any(offset <= upto for offset in unknown):
                return None
            found += part[:upto]
            if end >= 0 or not part:
                break
            at += len(part)
        return text_of(bytes(found[:_LONGEST_TEXT]))

    def _part(self, area: Area, at: int) -> tuple[bytes, list[int]]:
        """The bytes from an offset in an area to the end of what lies there; what nothing lies in is zero."""
        for start, end, number in self._sections.get(area, ()):
            if start <= at < end:
                if self.info.sections.types[number] == elf.SHT_NOBITS:
                    return b"\0", []
                data, unknown = self.contents(number)
                return data[at - start :], [offset - (at - start) for offset in unknown if offset >= at - start]
        return b"\0", []
