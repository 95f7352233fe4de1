"""Elements of a signature as the kernel's decoder reads them, which takes more than DER: see kernel_parser.

Source: lib/asn1_decoder.c.
"""

from collections.abc import Callable
from errno import EBADMSG  # type: ignore[attr-defined,unused-ignore]

_CONSTRUCTED, _LONG_TAG = 0x20, 0x1F


class StopError(Exception):
    """The parser ends with an errno."""

    def __init__(self, errno: int = EBADMSG) -> None:
        super().__init__(errno)
        self.errno = errno


class IndefiniteError(Exception):
    """An element whose inside is not known here has no length."""


class KernelDecoder:
    """The elements of some bytes, as lib/asn1_decoder.c reads them."""

    __slots__ = ("data", "end", "offset", "open")

    def __init__(self, data: bytes, offset: int, end: int, is_open: bool = False) -> None:
        self.data, self.offset, self.end, self.open = data, offset, end, is_open

    @property
    def more(self) -> bool:
        """Whether another element follows: two bytes of zero end what has no length."""
        if self.open and self.end - self.offset < 2:
            raise StopError
        return self.data[self.offset] != 0 if self.open else self.offset < self.end

    def match(self, tag: int | None, optional: bool = False) -> tuple[int, int, int] | None:
        """Tag, start and end of the next element; None where an optional one is missing."""
        if optional and self.offset == self.end:
            return None
        if self.end - self.offset < 2 or self.data[self.offset] & _LONG_TAG == _LONG_TAG:
            raise StopError
        found, length = self.data[self.offset], self.data[self.offset + 1]
        if tag is not None and (tag ^ found) & ~(tag & _CONSTRUCTED):
            if optional:
                return None
            raise StopError
        start = self.offset + 2
        if length == 0x80:
            return found, start, self._open_end(found, tag)
        if length > 0x80:
            start += length - 0x80
            if length > 0x82 or start > self.end:
                raise StopError
            length = int.from_bytes(self.data[self.offset + 2 : start], "big")
        if length > self.end - start:
            raise StopError
        return found, start, start + length

    def _open_end(self, found: int, tag: int | None) -> int:
        """The end of what surrounds an element without a length, which only a constructed one may be."""
        if found & _CONSTRUCTED and (tag is None or not tag & _CONSTRUCTED):
            raise IndefiniteError
        if not found & _CONSTRUCTED or self.offset + 4 > self.end:
            raise StopError
        return self.end

    def leaf(self, tag: int | None, optional: bool = False) -> bytes | None:
        """The contents of the next element."""
        found = self.match(tag, optional)
        if found is None:
            return None
        self.offset = found[2]
        return self.data[found[1] : found[2]]

    def inside(self, tag: int, read: Callable[["KernelDecoder"], object], optional: bool = False) -> bool:
        """Read what fills the next element; whether it is there."""
        found = self.match(tag, optional)
        if found is None:
            return False
        part = KernelDecoder(
            self.data, found[1], found[2], self.data[found[1] - 1] == 0x80 and found[1] == self.offset + 2
        )
        read(part)
        if part.open and part.data[part.offset : part.offset + 2] == bytes(2) and part.offset + 2 <= part.end:
            part.offset, part.end = (part.offset + 2,) * 2
        if part.offset != part.end:
            raise StopError
        self.offset = part.end
        return True

    def either(self, tags: tuple[int, int], read: Callable[["KernelDecoder"], object]) -> bool:
        """The same for an element with one of two tags, which may be missing."""
        return self.inside(tags[0], read, optional=True) or self.inside(tags[1], read, optional=True)


def each(read: Callable[[KernelDecoder], object]) -> Callable[[KernelDecoder], object]:
    """A reader of one or more elements."""

    def all_of(part: KernelDecoder) -> None:
        read(part)
        while part.more:
            read(part)

    return all_of
