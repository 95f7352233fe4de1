"""Whether an Image is objcopy's output for a vmlinux, and every place where it is not.

Both files are read once, in step, into two buffers that one C call compares: neither is ever whole in memory.
"""

from array import array
from collections.abc import Iterator
from typing import NamedTuple

from kinspect.artifacts.boot.image import Image
from kinspect.artifacts.elf.file import Elf
from kinspect.artifacts.raw.limits import LARGEST_KERNEL
from kinspect.errors import UnsupportedError
from kinspect.source import WINDOW, Source
from kinspect.views.diff.objcopy import FlatImage, Span, flags_for, flat_image

MERGED = 15
"""Differing bytes with at most this many equal ones between them are one range."""
_PAGE = 4096
_DIFFERS = bytes([0]) + bytes([1]) * 255
_EQUAL_RUN = bytes(MERGED + 1)
_ZEROS = bytes(WINDOW)


class Stretch(NamedTuple):
    """A run of the flat image: of one span, or a gap of zeros (`span` is None). Offset and size in bytes."""

    offset: int
    size: int
    span: Span | None


class Ranges(NamedTuple):
    """The differing ranges of one stretch: starts and ends in the Image, ascending; the number of differing bytes."""

    stretch: Stretch
    starts: "array[int]"
    ends: "array[int]"
    differing: int


class Comparison(NamedTuple):
    """An Image compared with a vmlinux. Size in bytes; what only the longer of the two has is not in `ranges`."""

    flat: FlatImage
    image_size: int
    ranges: tuple[Ranges, ...]

    @property
    def same(self) -> bool:
        """Whether both are equal, byte for byte and in length."""
        return not self.ranges and self.image_size == self.flat.size

    @property
    def differing_bytes(self) -> int:
        """How many bytes differ, up to the end of the shorter one."""
        return sum(found.differing for found in self.ranges)

    @property
    def range_count(self) -> int:
        """How many ranges differ."""
        return sum(len(found.starts) for found in self.ranges)


def compare(vmlinux: Elf, image: Image) -> Comparison:
    """Compare every byte of an Image with objcopy's output for a vmlinux. UnsupportedError for an Image over 1 GiB."""
    # Kept with the Image, not with vmlinux: a packed Image is unpacked in memory, and vmlinux would hold on to it.
    return image.cached(_compare, vmlinux)


def _compare(image: Image, vmlinux: Elf) -> Comparison:
    if image.size > LARGEST_KERNEL:
        expected = f"at most {LARGEST_KERNEL:,} bytes"
        raise UnsupportedError("too large for a kernel", image.at(), expected=expected, actual=image.size)
    flat = flat_image(vmlinux, flags_for(image.path, image.wrapped_in is not None))
    buffers = bytearray(WINDOW), bytearray(WINDOW)
    found = []
    for stretch in stretches(flat, image.size):
        finder = RangeFinder()
        if stretch.span:
            at = stretch.span.source_offset
            _compare_bytes(vmlinux.source, at, image.source, stretch.offset, stretch.size, buffers, finder)
        else:
            _compare_zeros(image.source, stretch.offset, stretch.size, buffers[1], finder)
        finder.finish()
        if finder.starts:
            found.append(Ranges(stretch, finder.starts, finder.ends, finder.differing))
    return Comparison(flat, image.size, tuple(found))


def stretches(flat: FlatImage, limit: int) -> Iterator[Stretch]:
    """The flat image from 0 to `limit` bytes, spans and the gaps between them."""
    at = 0
    for span in flat.spans:
        start, end = min(span.offset, limit), min(span.end, limit)
        if at < start:
            yield Stretch(at, start - at, None)
        if start < end:
            yield Stretch(start, end - start, span)
        at = max(at, end)


def _compare_bytes(
    expected: Source,
    expected_at: int,
    actual: Source,
    actual_at: int,
    size: int,
    buffers: tuple[bytearray, bytearray],
    finder: "RangeFinder",
) -> None:
    left, right = buffers
    left_view, right_view = memoryview(left), memoryview(right)
    for done in range(0, size, WINDOW):
        length = min(WINDOW, size - done)
        expected.read_into(expected_at + done, left_view[:length])
        actual.read_into(actual_at + done, right_view[:length])
        # Whole buffers are compared, by one memcmp: what is left over in them must be equal.
        if length < WINDOW:
            left_view[length:] = right_view[length:]
        if left != right:
            finder.add(left, right, actual_at + done, length)


def _compare_zeros(actual: Source, at: int, size: int, buffer: bytearray, finder: "RangeFinder") -> None:
    view = memoryview(buffer)
    for done in range(0, size, WINDOW):
        length = min(WINDOW, size - done)
        actual.read_into(at + done, view[:length])
        if not buffer.startswith(memoryview(_ZEROS)[:length]):
            finder.add(_ZEROS, buffer, at + done, length)


class RangeFinder:
    """Collects the differing ranges of one stretch, window by window."""

    def __init__(self) -> None:
        # 32 bits are enough for LARGEST_KERNEL, and there may be sixty million ranges.
        self.starts, self.ends = array("I"), array("I")
        self.differing = 0
        self._start: int | None = None
        self._end = 0

    def add(self, expected: bytes | bytearray, actual: bytes | bytearray, at: int, length: int) -> None:
        """Add the differences of the window at offset `at`."""
        for page in range(0, length, _PAGE):
            stop = min(page + _PAGE, length)
            left, right = expected[page:stop], actual[page:stop]
            if left != right:
                number = int.from_bytes(left, "little") ^ int.from_bytes(right, "little")
                self._add_page(number.to_bytes(stop - page, "little").translate(_DIFFERS), at + page)

    def _add_page(self, differs: bytes, at: int) -> None:
        self.differing += differs.count(1)
        start = differs.find(1)
        while start >= 0:
            stop = differs.find(_EQUAL_RUN, start)
            stop = len(differs.rstrip(b"\0")) if stop < 0 else stop
            if self._start is None or at + start - self._end > MERGED:
                self.finish()
                self._start = at + start
            self._end = at + stop
            start = differs.find(1, stop)

    def finish(self) -> None:
        """Close the open range."""
        if self._start is not None:
            self.starts.append(self._start)
            self.ends.append(self._end)
            self._start = None
