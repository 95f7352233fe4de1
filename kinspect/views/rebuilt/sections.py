"""The sections of a raw Image: disjoint ranges of its memory that hold every byte of it that is not zero."""

from bisect import bisect_left
from collections.abc import Iterator, Mapping
from operator import attrgetter
from typing import NamedTuple

from kinspect.artifacts.boot.image import Image
from kinspect.schemas import elf
from kinspect.views.rebuilt.claims import CODE, DATA, READ_ONLY, Claim, bss_offset, claims_of_symbols
from kinspect.views.rebuilt.known import KnownSymbols
from kinspect.views.rebuilt.tables import RELOCATIONS, alternatives, claims_of_tables, names_after
from kinspect.views.rebuilt.unnamed import bug_table, parameters, per_cpu
from kinspect.views.size.account import ONE_PAGE

_PAGE, _LARGEST_GOT, _ALIGNED = 4096, 64, 128
_REGIONS = (".rodata", ".init.data", ".data")
"""Sections after which others follow that may not be found: these are named after them."""
_EMPTY = (
    ("t", ".text.rest", CODE),
    ("r", ".rodata.rest", READ_ONLY),
    ("d", ".data.rest", DATA),
)
_TYPE_ID = "__BTF_ID__"
"""How the symbols of .BTF_ids begin."""
_BEFORE_NAMES = ("__kflagstab", "__kcrctab_gpl", "__kcrctab", "__ksymtab_gpl", "__ksymtab")
"""The tables of exports; their names follow the last one of them."""


class ImageSection(NamedTuple):
    """A section, as in `Section`; `start` and `end` are offsets from the first byte of the Image, in memory."""

    name: str
    flags: int
    start: int
    end: int
    type: int

    @property
    def in_file(self) -> bool:
        """Whether it has bytes in the Image."""
        return self.type != elf.SHT_NOBITS

    @property
    def letter(self) -> str:
        """The letter that nm prints for a local symbol in it."""
        if self.flags & elf.SHF_EXECINSTR:
            return "t"
        return "b" if not self.in_file else "d" if self.flags & elf.SHF_WRITE else "r"


class ImageLayout(NamedTuple):
    """The sections by address, and the end of the kernel's contents in the Image: signatures and padding follow it."""

    sections: list[ImageSection]
    end: int


def image_layout(image: Image, symbols: KnownSymbols, data: bytes) -> ImageLayout:
    """The sections of an Image, of which `data` is all. Raises as `header` does."""
    places = dict(zip(reversed(symbols.names), reversed(symbols.offsets), strict=True))
    end = _contents_end(image, places, len(data))
    claims = sorted(_claims(image, symbols, places, data), key=lambda claim: (claim.start, claim.end or claim.start))
    tables = [place for name, place in places.items() if name.removeprefix("__pi_") in ONE_PAGE]
    in_file = [claim for claim in claims if claim.type != elf.SHT_NOBITS]
    found = list(_resolved(in_file, end, _Symbols(symbols, data, tables)))
    # What follows the Image in memory is zero, wherever .bss begins.
    bss = next((claim for claim in claims if claim.type == elf.SHT_NOBITS), None)
    start = max(end, bss.start if bss else end)
    stop = bss.end if bss and bss.end else image.header.image_size
    found.append(ImageSection(".bss", DATA, start, max(start, stop), elf.SHT_NOBITS))
    found += list(_empty(found, symbols, end))
    return ImageLayout(sorted(found, key=attrgetter("start", "end")), end)


def _empty(sections: list[ImageSection], symbols: KnownSymbols, end: int) -> Iterator[ImageSection]:
    """Empty sections for symbols of a type that no section has: their letter is that of their section."""
    missing = {letter.lower() for letter in symbols.letters} - {section.letter for section in sections}
    for letter, name, flags in _EMPTY:
        if letter in missing:
            yield ImageSection(name, flags, end, end, elf.SHT_PROGBITS)


def _contents_end(image: Image, places: Mapping[str, int], size: int) -> int:
    """The end of the contents: where .bss begins, or a signature."""
    pe = image.readable_pe
    table = pe.certificate_table if pe else None
    limits = [size, table.virtual_address if table and table.virtual_address else size]
    if (edata := places.get("_edata")) is not None:
        limits.append(edata)
    elif (bss := bss_offset(image, places)) is not None:
        limits.append(bss)
    return max(0, min(limits))


def _claims(image: Image, symbols: KnownSymbols, places: Mapping[str, int], data: bytes) -> Iterator[Claim]:
    """One claim for each name: by symbols where there are some, else as it is found."""
    found: dict[str, Claim] = {}
    for claim in claims_of_symbols(image, places):
        if claim.end is None or claim.end > claim.start >= 0:
            found.setdefault(claim.name, claim)
    rodata, init = found.get(".rodata"), found.get(".init.text")
    ranges = [(0, rodata.start if rodata else len(data))]
    ranges += [(init.start, init.end)] if init and init.end else []
    for claim in claims_of_tables(image, data, ranges):
        found.setdefault(claim.name, claim)
    code, after = found.get(".exit.text"), found.get(".init.data")
    if ".altinstructions" not in found and code and after and code.start < after.start:
        table = alternatives(data, code.start, after.start)
        if table:
            found[table.name] = table
    tables = [found[name] for name in _BEFORE_NAMES if name in found]
    if tables and "__ksymtab_strings" not in found:
        names = names_after(data, max(claim.end or 0 for claim in tables))
        found[names.name] = names
    if (types := found.get(".BTF")) and types.end:
        ids = [place for name, place in places.items() if name.startswith(_TYPE_ID) and place >= types.end]
        if ids:
            found[".BTF_ids"] = Claim(".BTF_ids", READ_ONLY, min(ids))
    for claim in _unnamed(image, found, symbols, places, data):
        found.setdefault(claim.name, claim)
    return iter(found.values())


def _unnamed(
    image: Image,
    found: Mapping[str, Claim],
    symbols: KnownSymbols,
    places: Mapping[str, int],
    data: bytes,
) -> Iterator[Claim]:
    """The sections that are still missing, where their neighbours are there."""
    init, relocated, initialized = (found.get(name) for name in (".init.data", RELOCATIONS, ".data"))
    if ".data..percpu" not in found and init and relocated:
        yield from filter(None, [per_cpu(data, places, symbols.offsets, (init.start, relocated.start))])
    if "__bug_table" not in found and initialized:
        yield from filter(None, [bug_table(data, (initialized.start, len(data)))])
    names, exceptions, base = found.get("__ksymtab_strings"), found.get("__ex_table"), symbols.start
    if "__param" not in found and names and names.end and exceptions and relocated and base:
        table, region = (relocated.start, relocated.end or relocated.start), (names.end, exceptions.start)
        yield from filter(None, [parameters(data, table, base, region, image.header.image_size)])


class _Symbols:
    """The symbols and bytes of an Image, by offset; `tables` are the places of page tables, which have no section."""

    def __init__(self, symbols: KnownSymbols, data: bytes, tables: list[int]) -> None:
        self.offsets, self.data, self.tables = symbols.offsets, data, tables
        self._letters = "".join(symbols.letters)

    def letters(self, start: int, end: int) -> str:
        """The letters of the symbols in a range."""
        return self._letters[bisect_left(self.offsets, start) : bisect_left(self.offsets, end)].lower()

    def first(self, letters: str, start: int, end: int) -> int | None:
        """The place of the first symbol with one of some letters in a range; None without one."""
        low = bisect_left(self.offsets, start)
        own = self.letters(start, end)
        hits = [at for letter in letters if (at := own.find(letter)) >= 0]
        return self.offsets[low + min(hits)] if hits else None

    def last(self, letters: str, start: int, end: int) -> int:
        """The place of the last symbol with one of some letters in a range; `start` without one."""
        low, own = bisect_left(self.offsets, start), self.letters(start, end)
        hits = [at for letter in letters if (at := own.rfind(letter)) >= 0]
        return self.offsets[low + max(hits)] if hits else start

    def used(self, start: int, end: int) -> int:
        """The end of the bytes in a range that are not zero; its start when all are."""
        while start < end:
            piece = self.data[max(start, end - (1 << 16)) : end]
            if kept := len(piece.rstrip(b"\0")):
                return end - len(piece) + kept
            end -= max(1, len(piece))
        return start

    def skipped(self, start: int, end: int, step: int) -> int:
        """The start of a range without the zeros at its start, in units of `step`."""
        at = start
        while at < end:
            piece = self.data[at : min(at + (1 << 16), end)]
            if kept := piece.lstrip(b"\0"):
                return max(start, at + len(piece) - len(kept) & -step)
            at += 1 << 16
        return end


def _resolved(claims: list[Claim], end: int, symbols: _Symbols) -> Iterator[ImageSection]:
    """The claims without overlaps and alignment, and what lies between them."""
    at, region = 0, ".text"
    for number, claim in enumerate(claims):
        start = max(at, claim.start)
        following = next((other.start for other in claims[number + 1 :] if other.start > claim.start), end)
        stop = min(end if claim.end is None else claim.end, following, end)
        if start < stop and claim.end is None:
            if claim.name == ".init.data":
                # The page tables of the first boot precede it.
                start = symbols.skipped(start, symbols.first("d", start + 1, stop) or stop, _PAGE)
            stop = _trimmed(claim, start, stop, symbols) if stop < end else stop
        if start < stop:
            yield from _between(at, start, region, symbols)
            yield ImageSection(claim.name, _flags(claim, start, stop, symbols), start, stop, claim.type)
            at, region = stop, claim.name if claim.name in _REGIONS else region
    yield from _ending(at, end, region, symbols)


def _ending(start: int, end: int, region: str, symbols: _Symbols) -> Iterator[ImageSection]:
    """What lies after the last section, up to the end of the Image: without it, the contents would be shorter."""
    if start < end:
        padding = symbols.used(start, end) == start
        name, flags = (".pecoff_edata_padding", READ_ONLY) if padding else (f"{region}.rest", DATA)
        yield ImageSection(name, flags, start, end, elf.SHT_PROGBITS)


def _trimmed(claim: Claim, start: int, stop: int, symbols: _Symbols) -> int:
    """The end of a section without the zeros after it, unless they are few, but not before its last symbol."""
    letters = "t" if claim.flags & elf.SHF_EXECINSTR else "dr"
    end = max(symbols.used(start, stop), symbols.last(letters, start, stop)) + 3 & ~3
    return stop if stop - end < _ALIGNED else end


def _between(start: int, end: int, region: str, symbols: _Symbols) -> Iterator[ImageSection]:
    """What lies between two sections and is not zero: code from its first symbol on, and data before it."""
    code = symbols.first("t", start, end)
    split = end if code is None else code
    stop = symbols.used(start, split)
    if stop > start:
        first = symbols.skipped(start, stop, 8)
        name = ".got" if stop - first <= _LARGEST_GOT else f"{region}.rest"
        flags = DATA if symbols.letters(first, stop).count("d") or name == ".got" else READ_ONLY
        yield ImageSection(name, flags, first, stop, elf.SHT_PROGBITS)
    if code is not None and (stop := symbols.used(split, end)) > split:
        end = min([place for place in symbols.tables if split < place < end], default=end)
        stop = max(stop, symbols.last("t", split, end))
        yield ImageSection(".rodata.text", CODE, split, stop, elf.SHT_PROGBITS)


def _flags(claim: Claim, start: int, end: int, symbols: _Symbols) -> int:
    """The flags of a section: whether it is writable show its symbols, of which those at its start are less certain."""
    if claim.flags & elf.SHF_EXECINSTR:
        return claim.flags
    for letters in (symbols.letters(start + 1, end), symbols.letters(start, start + 1)):
        data, constant = letters.count("d"), letters.count("r")
        if data != constant:
            return DATA if data > constant else READ_ONLY
    return claim.flags
