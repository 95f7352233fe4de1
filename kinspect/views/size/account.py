"""Where the bytes of a kernel go: spans that cover the Image and its memory exactly once, and the parts of vmlinux.

Memory is [_text, _end), which is image_size. The Image file is its beginning, up to the end of the last section with
contents. Every grouping of sizes divides these spans, so its total is always the whole.
"""

from collections.abc import Iterator
from typing import NamedTuple

from kinspect.artifacts.boot.image import Image
from kinspect.artifacts.elf.contents import compressed_sections
from kinspect.artifacts.elf.debug_file import has_dwarf
from kinspect.artifacts.elf.file import Section
from kinspect.artifacts.elf.vmlinux import Vmlinux
from kinspect.errors import MalformedError
from kinspect.schemas import elf
from kinspect.schemas.elf import ElfHeader, ProgramHeader, SectionHeader
from kinspect.schemas.image import MAGIC, ImageHeader
from kinspect.schemas.record import parse_table, size_of

ONE_PAGE = ("idmap_pg_dir", "tramp_pg_dir", "reserved_pg_dir", "swapper_pg_dir")
TO_THEIR_END = {"init_idmap_pg_dir": "init_idmap_pg_end", "init_pg_dir": "init_pg_end"}
_FREED = ("__init_begin", "__init_end")
_POSITION_INDEPENDENT = "__pi_"
"""The prefix of symbols of code that runs before the kernel is mapped."""


class SizeSpan(NamedTuple):
    """A range of the kernel's memory: a section, a page table or a gap. Sizes in bytes.

    `file_size` bytes of it lie in the Image. `kind` is `section`, `page table` or `alignment`. `freed`: the kernel
    frees the memory after boot.
    """

    address: int
    size: int
    file_size: int
    name: str
    kind: str
    flags: str
    freed: bool


class FilePart(NamedTuple):
    """A part of the vmlinux file. `kind` is `loaded`, `DWARF`, `symbols`, `headers`, `alignment` or `other`.

    `decompressed` is the size of a compressed section when decompressed; None for all others.
    """

    name: str
    kind: str
    size: int
    decompressed: int | None = None


class Sizes(NamedTuple):
    """The spans and totals of a kernel. Sizes in bytes.

    `image` and `image_file_size` are None without an Image, `image_size` when there is no Image header either. Of an
    Image without a vmlinux there are no parts, and `notes` say what is not known.
    """

    vmlinux: str
    image: str | None
    spans: tuple[SizeSpan, ...]
    memory_size: int
    file_size: int
    image_size: int | None
    image_file_size: int | None
    vmlinux_size: int
    parts: tuple[FilePart, ...]
    notes: tuple[str, ...] = ()


def sizes(vmlinux: Vmlinux, image: Image | None = None) -> Sizes:
    """Account for every byte. Raises MalformedError when the symbols `_text` and `_end` are missing or wrong."""
    # All at once: one search is much faster than one for each.
    vmlinux.symbols.find_all(("_text", "_end", *_FREED, *_page_table_names()))
    start, end = vmlinux.bounds
    if start is None or end is None or not 0 < end - start < 1 << 40:
        raise MalformedError(
            f"no symbols _text and _end that span the kernel ({_remedy(vmlinux)})",
            vmlinux.at("symbol table"),
        )
    loaded = [section for section in vmlinux.loaded_sections if section.address < end and section.end > start]
    file_end = min(end, max((section.end for section in loaded if section.in_file), default=start))
    header = image.header if image else _header(vmlinux, start)
    spans = tuple(_spans(vmlinux, loaded, start, end, file_end, header))
    return Sizes(
        vmlinux.path,
        image.path if image else None,
        spans,
        sum(span.size for span in spans),
        sum(span.file_size for span in spans),
        header.image_size if header else None,
        image.size if image else None,
        vmlinux.size,
        tuple(_file_parts(vmlinux)),
    )


def _remedy(vmlinux: Vmlinux) -> str:
    stripped = "use a vmlinux that is not stripped"
    return stripped if len(vmlinux.symbols) or has_dwarf(vmlinux) else f"{stripped}: {vmlinux.debug_note}"


def _header(vmlinux: Vmlinux, text: int) -> ImageHeader | None:
    """The Image header inside vmlinux, if there is one."""
    try:
        header = parse_table(ImageHeader, vmlinux.read_address(text, size_of(ImageHeader)))[0]
    except MalformedError:
        return None
    return header if header.magic == MAGIC else None


def _spans(
    vmlinux: Vmlinux, loaded: list[Section], start: int, end: int, file_end: int, header: ImageHeader | None
) -> Iterator[SizeSpan]:
    freed_from, freed_to = _freed(vmlinux)

    def span(first: int, last: int, name: str, kind: str, flags: str = "") -> SizeSpan:
        in_file = max(0, min(last, file_end) - first)
        return SizeSpan(first, last - first, in_file, name, kind, flags, freed_from <= first < freed_to)

    tables = _page_tables(vmlinux, header.page_size if header else None)
    at, before = start, "the start"
    for section in loaded:
        # Where two sections overlap, the bytes belong to the first.
        first, last = max(section.address, at), min(section.end, end)
        if first >= last:
            continue
        for gap in _gap(at, first, before, tables):
            yield span(*gap)
        yield span(first, last, section.name, "section", flag_letters(section))
        at, before = last, section.name
    for gap in _gap(at, end, before, tables):
        yield span(*gap)


def _freed(vmlinux: Vmlinux) -> tuple[int, int]:
    """The range that the kernel frees after boot: between two symbols, else from .init.text to .data."""
    start, end = vmlinux.symbols.values_of(_FREED).values()
    code, data = vmlinux.section(".init.text"), vmlinux.section(".data")
    if start is None or end is None:
        start, end = (code.address, data.address) if code and data else (start, end)
    return start or 0, end or 0


def _gap(start: int, end: int, before: str, tables: list[tuple[int, int, str]]) -> Iterator[tuple[int, int, str, str]]:
    """A gap between sections, split at the page tables that the linker script places there."""
    at = start
    for first, last, name in tables:
        if at <= first < last <= end:
            if at < first:
                yield at, first, f"alignment after {before}", "alignment"
            yield first, last, name, "page table"
            at, before = last, name
    if at < end:
        yield at, end, f"alignment after {before}", "alignment"


def _page_table_names() -> list[str]:
    names = (*ONE_PAGE, *TO_THEIR_END, *TO_THEIR_END.values())
    return [prefix + name for name in names for prefix in ("", _POSITION_INDEPENDENT)]


def _page_tables(vmlinux: Vmlinux, page_size: int | None) -> list[tuple[int, int, str]]:
    """The page tables named in the symbol table, by address. Newer kernels prefix some of them."""
    values = vmlinux.symbols.values_of(_page_table_names())
    known = {name: value for name, value in values.items() if value is not None}

    def value(name: str) -> int | None:
        return known.get(name, known.get(f"{_POSITION_INDEPENDENT}{name}"))

    found = {}
    for name in (*ONE_PAGE, *TO_THEIR_END):
        start, end = value(name), value(TO_THEIR_END.get(name, ""))
        if start is not None:
            found[name] = (start, end if end is not None else start + (page_size or 4096), name)
    return sorted(found.values())


def flag_letters(section: Section) -> str:
    """The main flags as readelf's letters: W writable, A allocated, X executable."""
    letters = ((elf.SHF_WRITE, "W"), (elf.SHF_ALLOC, "A"), (elf.SHF_EXECINSTR, "X"))
    return "".join(letter for flag, letter in letters if section.flags & flag)


def _file_parts(vmlinux: Vmlinux) -> Iterator[FilePart]:
    """The vmlinux file from its first byte to its last; where two parts overlap, the bytes belong to the first."""
    header, rows = vmlinux.header, len(vmlinux.section_headers)
    claims = [
        (0, size_of(ElfHeader), "ELF header", "headers", 0),
        (header.e_phoff, len(vmlinux.segments) * size_of(ProgramHeader), "program headers", "headers", 0),
        (header.e_shoff, rows * size_of(SectionHeader), "section headers", "headers", 0),
    ]
    claims += [
        (section.offset, section.file_size, section.name, _kind(section), section.number)
        for section in vmlinux.sections
    ]
    compressed = compressed_sections(vmlinux)
    at = unclaimed = 0
    for offset, size, name, kind, number in sorted(claim for claim in claims if claim[1]):
        first, last = max(offset, at), min(offset + size, vmlinux.size)
        if first < last:
            unclaimed += first - at
            yield FilePart(name, kind, last - first, compressed[number].size if number in compressed else None)
            at = last
    if unclaimed + vmlinux.size - at:
        yield FilePart("alignment", "alignment", unclaimed + vmlinux.size - at)


def _kind(section: Section) -> str:
    if section.allocated:
        return "loaded"
    if section.name.startswith((".debug_", ".zdebug_")):
        return "DWARF"
    return "symbols" if section.type in (elf.SHT_SYMTAB, elf.SHT_STRTAB) else "other"
