"""The symbols of a vmlinux or a module as nm lists them."""

from collections import Counter
from collections.abc import Iterator

from kinspect.artifacts.elf.file import Elf, Section
from kinspect.errors import MalformedError
from kinspect.schemas import elf

_UNIQUE = 10
"""STB_GNU_UNIQUE."""
_DOLLAR = ord("$")


def symbol_lines(vmlinux: Elf) -> Iterator[bytes]:
    """The lines of `nm`, without their ends and in the order of the symbol table: address, type, name.

    As nm does by default, it omits mapping symbols and those of sections and files. It also omits undefined symbols:
    a kernel has none. MalformedError for a name outside the string table.
    Source: GNU binutils, bfd/syms.c, bfd_decode_symclass().
    """
    for value, letter, name in symbol_rows(vmlinux):
        if value is not None:
            yield b"%016x %b %b" % (value, letter.encode(), name)


def symbol_counts(vmlinux: Elf) -> Counter[bytes]:
    """How often each of these lines is there. Several checks need them: `vmlinux.cached(symbol_counts)` keeps them."""
    return Counter(symbol_lines(vmlinux))


def symbol_rows(file: Elf) -> Iterator[tuple[int | None, str, bytes]]:
    """The value, type letter and name of what nm lists, in its order. Undefined symbols have no value."""
    symbols, letters = file.symbols, {elf.SHN_ABS: "a", elf.SHN_COMMON: "c"}
    for section in file.sections:
        letters[section.number] = _letter(section)
    strings = symbols.strings.data
    columns = (symbols.values, symbols.infos, symbols.sections, symbols.name_offsets)
    for value, info, section_number, name in zip(*columns, strict=True):
        if name >= len(strings):
            problem = "the symbol's name lies outside the string table"
            raise MalformedError(problem, file.at(), expected=f"below {len(strings):,}", actual=name)
        kind, binding = info & 15, info >> 4
        if kind in (elf.STT_SECTION, elf.STT_FILE) or not name or strings[name] == _DOLLAR:
            continue
        letter = letters.get(section_number, "?")
        if not section_number:
            letter = "U" if binding != elf.STB_WEAK else "v" if kind == elf.STT_OBJECT else "w"
        elif binding == elf.STB_WEAK:
            letter = "V" if kind == elf.STT_OBJECT else "W"
        elif binding != elf.STB_LOCAL:
            letter = "u" if binding == _UNIQUE else letter.upper()
        yield (value if section_number else None), letter, symbols.strings.name_at(name)


def _letter(section: Section) -> str:
    """The letter for a local symbol in a section."""
    if section.executable:
        return "t"
    if not section.in_file:
        return "b"
    if not section.allocated:
        return "n" if not section.name.startswith(".debug") else "N"
    return "d" if section.flags & elf.SHF_WRITE else "r"
