"""What `objcopy -O binary` would write, as spans of the ELF file: only headers are read, and nothing is written.

The rules are GNU BFD's (bfd/elf.c, bfd/binary.c): each section that takes memory and has contents is at its load
address, the lowest at offset 0; gaps are zero; the file ends with the last section; of two that overlap, the later in
the section table wins. A section's load address is p_paddr plus its place in the segment.
"""

import os
import re
from collections.abc import Iterator
from fnmatch import fnmatchcase
from heapq import heappop, heappush
from itertools import pairwise
from typing import NamedTuple

from kinspect.artifacts.elf.file import Elf, Section
from kinspect.artifacts.raw.limits import LARGEST_KERNEL
from kinspect.errors import Location, MalformedError, UnsupportedError
from kinspect.schemas import elf
from kinspect.schemas.elf import ProgramHeader
from kinspect.source import Source

MAKEFILE_FLAGS = ("-O", "binary", "-R", ".note", "-R", ".note.gnu.build-id", "-R", ".comment", "-S")
"""OBJCOPYFLAGS_Image of arch/arm64/boot/Makefile."""
_REMOVALS, _OUTPUTS = ("-R", "--remove-section"), ("-O", "--output-target")
# Symbols and debug sections never reach a flat image.
_STRIPPING = ("-S", "--strip-all", "-g", "--strip-debug", "-x", "--discard-all", "-X", "--discard-locals")
_WITHOUT_EFFECT = ("-p", "--preserve-dates", "-v", "--verbose", "-D", "--enable-deterministic-archives")
_ODD_PATTERN = re.compile(r"\\|\[\^|\[[^]]*\[[:.=]")
"""Patterns that fnmatch(3) reads differently than Python does: escapes, `[^...]`, character classes."""
_COPIED = frozenset({1, 3, 4, 5, 6, 7, 9, 11, 14, 15, 16, 19, 0x6FFFFF00, *range(0x6FFFFFF5, 0x70000000)})
"""The section types that BFD copies (0x6fffff00 is SHT_ANDROID_RELR, which LLD writes). It skips symbol tables, and
refuses a file with an unknown type.
"""


class Span(NamedTuple):
    """A run of bytes of the flat image that comes from one section. Offsets and size in bytes."""

    offset: int
    size: int
    source_offset: int
    section: Section

    @property
    def end(self) -> int:
        """The offset after it."""
        return self.offset + self.size


class Flags(NamedTuple):
    """The flags of objcopy: patterns of sections to remove, in order; all words; where they were read."""

    removed: tuple[str, ...]
    words: tuple[str, ...]
    origin: str

    def removes(self, name: str) -> bool:
        """Whether a section is removed; as in objcopy, `!pattern` keeps what other patterns remove."""
        chosen = False
        for pattern in self.removed:
            if pattern.startswith("!"):
                if fnmatchcase(name, pattern[1:]):
                    return False
            elif fnmatchcase(name, pattern):
                chosen = True
        return chosen


class FlatImage(NamedTuple):
    """The flat image: spans by offset, without overlaps; gaps are zero. `base` is the load address of offset 0."""

    spans: tuple[Span, ...]
    size: int
    base: int
    flags: Flags


def flags_from(words: list[str], at: Location, origin: str) -> Flags:
    """The flags in the words of a command. UnsupportedError for a flag whose effect on the bytes is not known."""
    removed, flat, rest = [], False, iter(words)
    for word in rest:
        if word in _STRIPPING + _WITHOUT_EFFECT:
            continue
        option, joined, value = word.partition("=") if word.startswith("--") else (word[:2], word[2:], word[2:])
        following = value if joined else next(rest, None) if option in _OUTPUTS + _REMOVALS else None
        if option in _REMOVALS and following is not None and not _ODD_PATTERN.search(following):
            removed.append(following)
        elif option in _OUTPUTS and following == "binary":
            flat = True
        else:
            flag = " ".join(filter(None, [word, None if joined else following]))
            raise UnsupportedError(f"kinspect does not support objcopy's {flag}", at)
    if not flat:
        raise UnsupportedError("objcopy is run without -O binary", at)
    return Flags(tuple(removed), tuple(words), origin)


def flags_for(image_path: str, wrapped: bool = False) -> Flags:
    """The flags that the build recorded in `.Image.cmd` beside the Image, else those of the kernel's Makefile.

    A `wrapped` Image, such as Image.gz, was made from a file named Image.
    """
    folder, name = os.path.split(image_path)
    path = os.path.join(folder, ".Image.cmd" if wrapped else f".{name}.cmd")
    if not os.path.exists(path):
        return flags_from(list(MAKEFILE_FLAGS), Location(path), "arch/arm64/boot/Makefile")
    return recorded_flags(path)


def recorded_flags(path: str) -> Flags:
    """The flags in a `.Image.cmd`. MalformedError when it does not record an objcopy command."""
    import shlex  # only a recorded command needs it

    source = Source(path)
    text = source.head(1 << 16).decode("utf-8", "surrogateescape")
    for line in text.splitlines():
        variable, _, command = line.partition(":=")
        if not variable.strip().startswith(("cmd_", "savedcmd_")):
            continue
        try:
            words = shlex.split(command)
        except ValueError as reason:
            raise MalformedError(f"the recorded command is not a shell command ({reason})", Location(path)) from reason
        if words and "objcopy" in os.path.basename(words[0]):
            if len(words) < 3 or words[-2].startswith("-"):
                raise MalformedError("the recorded objcopy command has no input and output", Location(path))
            return flags_from(words[1:-2], Location(path), path)
    raise MalformedError("no objcopy command is recorded", Location(path))


def load_address(section: Section, segments: tuple[ProgramHeader, ...]) -> int:
    """Where a section is loaded (LMA), as BFD computes it."""
    loads = [segment for segment in segments if segment.p_type == elf.PT_LOAD and segment.p_memsz]
    if len(loads) > 1 and not any(segment.p_paddr for segment in segments):
        return section.address  # this linker does not set load addresses
    found = section.address
    for segment in segments:
        if not _holds(segment, section):
            continue
        place = section.offset - segment.p_offset if section.in_file else section.address - segment.p_vaddr
        found = segment.p_paddr + place
        # A section where two segments meet belongs to the segment that covers its addresses.
        if segment.p_vaddr <= section.address and section.end <= segment.p_vaddr + segment.p_memsz:
            break
    return found & 0xFFFFFFFFFFFFFFFF


def _holds(segment: ProgramHeader, section: Section) -> bool:
    if segment.p_type == elf.PT_TLS:
        if not section.flags & elf.SHF_TLS:
            return False
    elif segment.p_type != elf.PT_LOAD or section.flags & elf.SHF_TLS:
        return False
    if section.in_file and not 0 <= section.offset - segment.p_offset <= segment.p_filesz - section.size:
        return False
    return 0 <= section.address - segment.p_vaddr <= segment.p_memsz - section.size


def flat_image(vmlinux: Elf, flags: Flags) -> FlatImage:
    """What objcopy writes for an ELF file.

    Raises MalformedError when a copied section ends past the file, UnsupportedError for a section of a type that
    objcopy does not copy. A file that objcopy refuses for a section that it would not copy is accepted here.
    """
    placed = [(load_address(section, vmlinux.segments), section) for section in _copied_sections(vmlinux, flags)]
    if not placed:
        return FlatImage((), 0, 0, flags)
    largest = max((section for _, section in placed), key=lambda section: section.size)
    if largest.size > LARGEST_KERNEL:
        at, expected = vmlinux.at(largest.name), f"at most {LARGEST_KERNEL:,} bytes"
        raise UnsupportedError("too large for a kernel", at, expected=expected, actual=f"{largest.size:,}")
    base = min(address for address, _ in placed)
    spans = [Span(address - base, section.size, section.offset, section) for address, section in placed]
    size = max(span.end for span in spans)
    if size > LARGEST_KERNEL:
        apart = _apart(spans)
        problem = f"{apart.name} at {apart.address:#x} is far from the other sections"
        at, expected = vmlinux.at("section table"), f"an Image of at most {LARGEST_KERNEL:,} bytes"
        raise UnsupportedError(problem, at, expected=expected, actual=f"{size:,}")
    return FlatImage(tuple(_without_overlaps(spans)), size, base, flags)


def _apart(spans: list[Span]) -> Section:
    """The first section on the smaller side of the widest gap."""
    spans = sorted(spans, key=lambda span: span.offset)
    place = max(range(1, len(spans)), key=lambda index: spans[index].offset - spans[index - 1].end, default=0)
    low, high = spans[:place] or spans, spans[place:]
    return min((low, high), key=lambda side: sum(span.size for span in side))[0].section


def _copied_sections(vmlinux: Elf, flags: Flags) -> Iterator[Section]:
    # Section 0 is reserved.
    for section in vmlinux.sections[1:]:
        if not (section.allocated and section.in_file and section.size) or flags.removes(section.name):
            continue
        at = vmlinux.at(section.name, section.offset)
        if section.type not in _COPIED:
            raise UnsupportedError(f"objcopy does not copy sections of type {section.type:#x}", at)
        if section.offset + section.size > vmlinux.size:
            expected, actual = f"at most {vmlinux.size:,}", f"{section.offset + section.size:,}"
            raise MalformedError("the section ends past the file", at, expected=expected, actual=actual)
        yield section


def _without_overlaps(spans: list[Span]) -> list[Span]:
    """The spans by offset, each cut to the bytes that no later section overwrites."""
    spans = sorted(spans, key=lambda span: span.offset)
    if all(before.end <= after.offset for before, after in pairwise(spans)):
        return spans
    found: list[Span] = []
    waiting: list[tuple[int, int, Span]] = []  # the later section first
    edges = sorted({edge for span in spans for edge in (span.offset, span.end)})
    upcoming = iter([*spans, None])
    following = next(upcoming)
    for start, end in pairwise(edges):
        while following is not None and following.offset <= start:
            heappush(waiting, (-following.section.number, following.offset, following))
            following = next(upcoming)
        while waiting and waiting[0][2].end <= start:
            heappop(waiting)
        if waiting:
            span = waiting[0][2]
            found.append(Span(start, end - start, span.source_offset + start - span.offset, span.section))
    return found
