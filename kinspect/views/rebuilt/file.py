"""An ELF file made from a raw Image: what a linker would have written, as far as the Image tells.

The bytes of the Image are in it as they are, after the headers; so what objcopy makes of it is the Image again.
"""

from collections.abc import Iterator
from itertools import accumulate
from typing import NamedTuple

from kinspect.artifacts.boot.image import Image
from kinspect.artifacts.elf.vmlinux import Vmlinux
from kinspect.errors import UnsupportedError
from kinspect.schemas import elf
from kinspect.schemas.elf import ElfHeader, ProgramHeader, SectionHeader, Symbol
from kinspect.schemas.record import size_of, table_row
from kinspect.source import Source
from kinspect.views.kernel.listed_symbols import address_unknown
from kinspect.views.rebuilt.known import known_symbols
from kinspect.views.rebuilt.sections import ImageLayout, ImageSection, image_layout
from kinspect.views.rebuilt.symbols import SymbolTable, symbol_table
from kinspect.views.rebuilt.tables import RELOCATIONS

_SEGMENT, _PAGE, _LARGEST_ALIGNMENT = 1 << 16, 4096, 1 << 16
_NOTE_ALIGNMENT = 4
_IDENT = elf.MAGIC + bytes((elf.CLASS_64, elf.DATA_LITTLE, 1)) + bytes(9)
_ENTRIES = {elf.SHT_RELR: 8, elf.SHT_SYMTAB: size_of(Symbol)}
_STRINGS, _SYMBOLS, _NAMES = ".strtab", ".symtab", ".shstrtab"


class RebuiltElf(NamedTuple):
    """An ELF file in three parts: the headers, the contents of the Image, and the tables of symbols and sections.

    `start` is the address of its first byte in memory, and `known_from` says what it follows from.
    """

    head: bytes
    contents: bytes
    tail: bytes
    layout: ImageLayout
    symbols: SymbolTable
    start: int
    known_from: str

    @property
    def pieces(self) -> Iterator[bytes]:
        """The bytes of the file."""
        yield from (self.head, self.contents, self.tail)

    @property
    def size(self) -> int:
        """The size of the file in bytes."""
        return sum(map(len, self.pieces))


def rebuilt_elf(image: Image, base: int | None = None) -> RebuiltElf:
    """The ELF file for an Image. `base` is the address of `_text` where that is not known, or another is wanted.

    Without kallsyms it has no symbols, but for `_text` and `_end`. UnsupportedError when the address is not known,
    MalformedError as `image_symbols`.
    """
    found = known_symbols(image)
    start, known_from = (found.start, found.known_from) if base is None else (base, "--base")
    if start is None:
        raise address_unknown(image.path)
    data = image.source.read(0, image.searched)
    layout = image_layout(image, found, data)
    if start + max(image.header.image_size, layout.end) >= 1 << 64:
        raise UnsupportedError("the kernel does not fit at this address", image.at(), actual=f"{start:#x}")
    symbols = symbol_table(found, layout.sections, start, data, image.header.image_size)
    contents = data if layout.end == len(data) else data[: layout.end]
    lead = _SEGMENT + start % _SEGMENT
    tail = _tail(layout, symbols, start, lead)
    head = _head(layout, start, lead, lead + layout.end + len(tail))
    return RebuiltElf(head, contents, tail, layout, symbols, start, known_from)


def vmlinux_of(image: Image) -> Vmlinux:
    """The ELF file for an Image, in memory and kept with the Image, as if it had been opened. Raises as `rebuilt_elf`.

    Its path is that of the Image, and its wrappings are the same.
    """
    return image.cached(_vmlinux_of)


def _vmlinux_of(image: Image) -> Vmlinux:
    found = Vmlinux(Source(image.path, b"".join(rebuilt_elf(image).pieces)))
    found.wrapped_in, found.of_image = image.wrapped_in, True
    return found


def _head(layout: ImageLayout, start: int, lead: int, size: int) -> bytes:
    """The ELF header and the segments, up to the contents of the Image. The section headers are the end of the file."""
    segments = [*_segments(layout.sections, start, lead)]
    sections = len(layout.sections) + 4
    relocated = any(section.name == RELOCATIONS for section in layout.sections)
    header = ElfHeader(
        _IDENT,
        elf.ET_DYN if relocated else elf.ET_EXEC,
        elf.MACHINE_AARCH64,
        1,
        start,
        size_of(ElfHeader),
        size - sections * size_of(SectionHeader),
        0,
        size_of(ElfHeader),
        size_of(ProgramHeader),
        len(segments),
        size_of(SectionHeader),
        sections,
        sections - 1,
    )
    rows = b"".join(table_row(ProgramHeader).pack(*segment) for segment in segments)
    return (table_row(ElfHeader).pack(*header) + rows).ljust(lead, b"\0")


def _segments(sections: list[ImageSection], start: int, lead: int) -> Iterator[ProgramHeader]:
    """Runs of sections with the same rights, which begin with a page; then the notes."""
    runs: list[list[ImageSection]] = []
    rights: list[int] = []
    for section in sections:
        if not runs or (section.start % _PAGE == 0 and _rights(section) | elf.PF_R != rights[-1]):
            runs.append([])
            rights.append(elf.PF_R)
        runs[-1].append(section)
        rights[-1] |= _rights(section)
    for run, flags in zip(runs, rights, strict=True):
        first, last = run[0].start, max(section.end for section in run)
        filed = max((section.end for section in run if section.in_file), default=first) - first
        place = start + first
        yield ProgramHeader(elf.PT_LOAD, flags, lead + first, place, place, filed, last - first, _SEGMENT)
    for section in sections:
        if section.type == elf.SHT_NOTE:
            place, size = start + section.start, section.end - section.start
            yield ProgramHeader(elf.PT_NOTE, elf.PF_R, lead + section.start, place, place, size, size, _NOTE_ALIGNMENT)


def _rights(section: ImageSection) -> int:
    writable, executable = section.flags & elf.SHF_WRITE, section.flags & elf.SHF_EXECINSTR
    return (elf.PF_W if writable else 0) | (elf.PF_X if executable else 0)


def _tail(layout: ImageLayout, symbols: SymbolTable, start: int, lead: int) -> bytes:
    """What follows the contents: symbols, names, section headers."""
    titles = ["", *(section.name for section in layout.sections), _SYMBOLS, _STRINGS, _NAMES]
    places = list(accumulate((len(title) + 1 for title in titles), initial=0))
    texts = "\0".join(titles).encode() + b"\0"
    rows, number = [SectionHeader(*[0] * len(SectionHeader._fields))], len(layout.sections) + 1
    for name, section in zip(places[1:], layout.sections, strict=False):
        address, offset = start + section.start, lead + min(section.start, layout.end)
        size, entry = section.end - section.start, _ENTRIES.get(section.type, 0)
        alignment = _NOTE_ALIGNMENT if section.type == elf.SHT_NOTE else min(address & -address, _LARGEST_ALIGNMENT)
        rows.append(SectionHeader(name, section.type, section.flags, address, offset, size, 0, 0, alignment, entry))
    parts, at = bytearray(-(lead + layout.end) % 8), lead + layout.end
    for name, kind, data in (
        (places[number], elf.SHT_SYMTAB, symbols.rows),
        (places[number + 1], elf.SHT_STRTAB, symbols.names),
        (places[number + 2], elf.SHT_STRTAB, texts),
    ):
        link, info = (number + 1, symbols.first_global) if kind == elf.SHT_SYMTAB else (0, 0)
        alignment = 8 if kind == elf.SHT_SYMTAB else 1
        rows.append(
            SectionHeader(name, kind, 0, 0, at + len(parts), len(data), link, info, alignment, _ENTRIES.get(kind, 0))
        )
        parts += data
    parts += bytes(-(at + len(parts)) % 8)
    parts += b"".join(table_row(SectionHeader).pack(*row) for row in rows)
    return bytes(parts)
