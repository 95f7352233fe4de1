"""The symbols of a vmlinux as nm lists them, one line each."""

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
    symbols, letters = vmlinux.symbols, {}
    for section in vmlinux.sections:
        letters[section.number] = _letter(section)
    strings = symbols.strings.data
    columns = (symbols.values, symbols.infos, symbols.sections, symbols.name_offsets)
    for value, info, section_number, name in zip(*columns, strict=True):
        if name >= len(strings):
            problem = "the symbol's name lies outside the string table"
            raise MalformedError(problem, vmlinux.at(), expected=f"below {len(strings):,}", actual=name)
        kind, binding = info & 15, info >> 4
        if not section_number or kind in (elf.STT_SECTION, elf.STT_FILE) or not name or strings[name] == _DOLLAR:
            continue
        letter = "a" if section_number == elf.SHN_ABS else letters.get(section_number, "?")
        if binding == elf.STB_WEAK:
            letter = "V" if kind == elf.STT_OBJECT else "W"
        elif binding != elf.STB_LOCAL:
            letter = "u" if binding == _UNIQUE else letter.upper()
        yield b"%016x %b %b" % (value, letter.encode(), strings[name : strings.find(b"\0", name)])


def _letter(section: Section) -> str:
    """The letter for a local symbol in a section."""
    if section.executable:
        return "t"
    if not section.in_file:
        return "b"
    if not section.allocated:
        return "n" if not section.name.startswith(".debug") else "N"
    return "d" if section.flags & elf.SHF_WRITE else "r"
