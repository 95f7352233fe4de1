"""Where and why an Image differs from a vmlinux: sections, symbols, source lines, the likely cause."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import NamedTuple

from kinspect.artifacts.boot.image import Image
from kinspect.artifacts.dwarf.line_program import SourceLines
from kinspect.artifacts.elf.debug_file import find_debug_file, has_dwarf
from kinspect.artifacts.elf.file import Section
from kinspect.artifacts.elf.vmlinux import Vmlinux
from kinspect.errors import KinspectError
from kinspect.views.diff.cause import Cause, cause_of
from kinspect.views.diff.comparison import Comparison, Ranges, compare
from kinspect.views.diff.places import SymbolsOfPlaces

SHOWN_BYTES = 16
"""Bytes of each side that a hunk shows, at most."""
MOST_BY_SYMBOL = 200_000
"""Ranges that are counted by symbol, at most; by section all are."""
GAP = "(gap)"


class Hunk(NamedTuple):
    """One differing range: offset in the Image and size in bytes, address and place, the first bytes of both sides."""

    offset: int
    size: int
    address: int
    section: str
    place: str
    line: str | None
    expected: bytes
    actual: bytes


class DiffStat(NamedTuple):
    """The differences in one section or symbol: differing bytes (for a symbol, all of its ranges), and ranges."""

    name: str
    bytes: int
    ranges: int


class ImageDifference(NamedTuple):
    """Why an Image differs from a vmlinux, how much differs in which section and symbol, and the first ranges.

    `without_lines` says why the ranges have no source lines; None when they have.
    """

    cause: Cause
    sections: tuple[DiffStat, ...]
    symbols: tuple[DiffStat, ...]
    differences: tuple[Hunk, ...]
    without_lines: str | None


def explain(vmlinux: Vmlinux, image: Image, most: int) -> ImageDifference:
    """The likely cause, the differences by section and symbol, and the first `most` ranges with their source lines."""
    comparison = compare(vmlinux, image)
    sections = [
        DiffStat(found.stretch.span.section.name if found.stretch.span else GAP, found.differing, len(found.starts))
        for found in comparison.ranges
    ]
    lines = _Lines(vmlinux)
    return ImageDifference(
        cause_of(vmlinux, image),
        _merged(sections),
        _merged(_symbols(comparison, SymbolsOfPlaces(vmlinux, image, comparison.flat.base))),
        tuple(differences(vmlinux, image, most, lines.line)),
        lines.problem,
    )


def differences(
    vmlinux: Vmlinux, image: Image, most: int, line: Callable[[Section, int], str | None] = lambda *_: None
) -> Iterator[Hunk]:
    """The first `most` ranges that differ."""
    comparison = compare(vmlinux, image)
    every = ((found, index) for found in comparison.ranges for index in range(len(found.starts)))
    symbols = SymbolsOfPlaces(vmlinux, image, comparison.flat.base)
    for found, index in islice(every, most):
        yield _hunk(vmlinux, image, comparison, found, index, line, symbols)


def _symbols(comparison: Comparison, symbols: SymbolsOfPlaces) -> Iterator[DiffStat]:
    """The symbols of the first ranges; a symbol with two ranges comes twice."""
    left = MOST_BY_SYMBOL
    for found in comparison.ranges:
        span = found.stretch.span
        if span is None:
            continue
        for start, end in islice(zip(found.starts, found.ends, strict=True), left):
            address = _address(found, start)
            for name, size in symbols.shares(span.section, address, address + end - start):
                yield DiffStat(name or span.section.name, size, 1)
        left = max(0, left - len(found.starts))


def _merged(stats: Iterable[DiffStat]) -> tuple[DiffStat, ...]:
    """One for each name, the largest first."""
    sizes: Counter[str] = Counter()
    ranges: Counter[str] = Counter()
    for stat in stats:
        sizes[stat.name] += stat.bytes
        ranges[stat.name] += stat.ranges
    return tuple(DiffStat(name, size, ranges[name]) for name, size in sizes.most_common())


def _address(found: Ranges, offset: int) -> int:
    """The address in memory of a byte of the Image."""
    span = found.stretch.span
    assert span is not None
    return span.section.address + span.source_offset - span.section.offset + offset - span.offset


def _hunk(
    vmlinux: Vmlinux,
    image: Image,
    comparison: Comparison,
    found: Ranges,
    index: int,
    line: Callable[[Section, int], str | None],
    symbols: SymbolsOfPlaces,
) -> Hunk:
    start, end = found.starts[index], found.ends[index]
    shown = min(end - start, SHOWN_BYTES)
    actual = image.source.read(start, shown)
    span = found.stretch.span
    if span is None:
        address = comparison.flat.base + start
        return Hunk(start, end - start, address, GAP, _gap_name(comparison, start), None, bytes(shown), actual)
    address = _address(found, start)
    place = symbols.place(span.section, address)
    name = str(place) if place else f"{span.section.name}+{address - span.section.address:#x}"
    expected = vmlinux.source.read(span.source_offset + start - span.offset, shown)
    return Hunk(start, end - start, address, span.section.name, name, line(span.section, address), expected, actual)


def _gap_name(comparison: Comparison, offset: int) -> str:
    before = [span.section.name for span in comparison.flat.spans if span.offset <= offset]
    return f"after {before[-1]}" if before else "before the first section"


class _Lines:
    """Source lines of code addresses; `problem` says why there are none."""

    def __init__(self, vmlinux: Vmlinux) -> None:
        self._vmlinux, self._lines = vmlinux, SourceLines(vmlinux)
        try:
            self.problem = None if self._lines else _without_lines(vmlinux)
        except KinspectError as error:
            self.problem = str(error)

    def line(self, section: Section, address: int) -> str | None:
        if self.problem or not section.executable:
            return None
        try:
            found = self._lines.line(address)
        except KinspectError as error:
            # DWARF whose strings are elsewhere looks broken.
            self.problem = self._vmlinux.debug_note or str(error)
            return None
        return str(found) if found else None


def _without_lines(vmlinux: Vmlinux) -> str:
    problem = "vmlinux has no line information (.debug_aranges)"
    missing = not has_dwarf(vmlinux) and vmlinux.cached(find_debug_file).problem
    return f"{problem}: {vmlinux.debug_note}" if missing else problem
