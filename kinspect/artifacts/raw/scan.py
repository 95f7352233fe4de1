"""The banner and the build ID, found in the raw bytes of a kernel without symbols."""

import re
from collections.abc import Iterable, Iterator
from itertools import islice

from kinspect.artifacts.raw.notes import build_id_of
from kinspect.schemas import elf
from kinspect.schemas.record import parse_table, size_of
from kinspect.source import Source

_BANNER = b"Linux version "
_NUMBERED = re.compile(rb"Linux version [^\0\n]{1,1000}? #\d[^\0\n]{0,400}\n")
_GNU_BUILD_ID = b"\x03\0\0\0GNU"
_LONGEST_BUILD_ID = 64
MOST_CANDIDATES = 1000
"""Matches that are examined. A kernel has a handful; a file that consists of matches would take forever."""


def banner_in(source: Source, ranges: Iterable[tuple[int, int]]) -> tuple[int, str] | None:
    """The first `Linux version` line with a build number in ranges (start, end) of a file: its offset and text.

    The text has no newline.
    """
    candidates = ((offset, end) for start, end in ranges for offset in source.find(_BANNER, start, end))
    for offset, end in islice(candidates, MOST_CANDIDATES):
        line = source.read(offset, min(1500, end - offset))
        if found := _NUMBERED.match(line):
            return offset, found.group().rstrip(b"\n").decode("utf-8", "backslashreplace")
    return None


def build_id_in(source: Source, start: int, end: int) -> tuple[int, bytes] | None:
    """The first GNU build ID in a range of a file, with its note's offset; those of embedded ELF files do not count."""
    for offset in islice(source.find(_GNU_BUILD_ID, start, end), MOST_CANDIDATES):
        note = offset - 8
        if note < start or note % 4 or any(first <= note < last for first, last in _embedded(source, note)):
            continue
        found = build_id_of(source.read(note, min(128, source.size - note)))
        if found and len(found) <= _LONGEST_BUILD_ID:
            return note, found
    return None


def _embedded(source: Source, offset: int) -> Iterator[tuple[int, int]]:
    """The ranges of page-aligned ELF files that begin in the 64 KiB before an offset: the vDSOs."""
    for start in range(offset & ~0xFFF, max(-1, offset - 0x10000), -0x1000):
        head = source.read(start, min(size_of(elf.ElfHeader), source.size - start))
        if head.startswith(elf.MAGIC) and len(head) == size_of(elf.ElfHeader):
            if head[4] == elf.CLASS_64:
                header = parse_table(elf.ElfHeader, head)[0]
                end = header.e_shoff + header.e_shnum * header.e_shentsize
            else:
                # Elf32_Ehdr: e_shoff at 32, e_shnum at 48, headers of 40 bytes.
                end = int.from_bytes(head[32:36], "little") + 40 * int.from_bytes(head[48:50], "little")
            yield start, start + end
