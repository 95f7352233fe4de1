"""The tables that the linker and its tools leave in a vmlinux: symbols, relocations, notes, BTF."""

import re

from kinspect.artifacts.elf.file import Elf, Section
from kinspect.artifacts.raw.notes import notes
from kinspect.errors import MalformedError, TruncatedError
from kinspect.schemas import elf
from kinspect.schemas.elf import NoteHeader, Rela
from kinspect.schemas.record import column, parse_table, size_of
from kinspect.schemas.tables import BTF_MAGIC, BtfHeader
from kinspect.views.tables.parts import ADDRESS_MASK, NOT_WHOLE, Column, Columns, ColumnType, named
from kinspect.views.tables.relocations import unpacked

_TYPES = {0: "NOTYPE", 1: "OBJECT", 2: "FUNC", 3: "SECTION", 4: "FILE", 5: "COMMON", 6: "TLS", 10: "IFUNC"}
_BINDINGS = {0: "LOCAL", 1: "GLOBAL", 2: "WEAK", 10: "UNIQUE"}
_PLACES = {elf.SHN_UNDEF: "UND", elf.SHN_ABS: "ABS", elf.SHN_COMMON: "COM"}
_RELOCATIONS = {
    elf.R_AARCH64_NONE: "NONE",
    257: "ABS64",
    258: "ABS32",
    259: "ABS16",
    1024: "COPY",
    1025: "GLOB_DAT",
    1026: "JUMP_SLOT",
    elf.R_AARCH64_RELATIVE: "RELATIVE",
    1032: "IRELATIVE",
}
"""R_AARCH64_*. Source: ELF for the Arm 64-bit Architecture."""
_IS_TEXT = bytes([0]) + bytes([1]) * 255
_NOTES = {
    ("GNU", 1): "ABI",
    ("GNU", elf.NT_GNU_BUILD_ID): "build id",
    ("GNU", 5): "properties",
    ("Linux", 0x100): "build salt",
    ("Linux", 0x101): "link-time optimisation",
}
"""Source: include/linux/build-salt.h, include/linux/elfnote-lto.h; the GNU C library's elf.h."""


def symtab(vmlinux: Elf, _: Section, __: bytes) -> Columns:
    """`.symtab`: every symbol, in the order of the table."""
    symbols = vmlinux.symbols
    places = {number: f"<section {number}>" for number in set(symbols.sections)}
    places |= {section.number: section.name for section in vmlinux.sections} | _PLACES
    types = [_TYPES.get(info & 15, str(info & 15)) for info in range(256)]
    bindings = [_BINDINGS.get(info >> 4, str(info >> 4)) for info in range(256)]
    return {
        Column("address", ColumnType.ADDRESS): symbols.values,
        Column("size", ColumnType.NUMBER): symbols.sizes,
        Column("type", ColumnType.TEXT): [types[info] for info in symbols.infos],
        Column("binding", ColumnType.TEXT): [bindings[info] for info in symbols.infos],
        Column("section", ColumnType.TEXT): [places[number] for number in symbols.sections],
        Column("name", ColumnType.TEXT): [symbols.strings[offset] for offset in symbols.name_offsets],
    }


def rela_dyn(vmlinux: Elf, _: Section, data: bytes) -> Columns:
    """`.rela.dyn`: pointers that the kernel relocates at start-up. The addend of a RELATIVE one is an address."""
    addresses, infos = list(column(Rela, "r_offset", data)), column(Rela, "r_info", data)
    types = {kind: _RELOCATIONS.get(kind, str(kind)) for kind in {info & 0xFFFFFFFF for info in infos}}
    return {
        Column("address", ColumnType.ADDRESS): addresses,
        Column("symbol", ColumnType.TEXT): named(vmlinux, addresses),
        Column("type", ColumnType.TEXT): [types[info & 0xFFFFFFFF] for info in infos],
        # The dynamic symbols that it refers to are not kept in vmlinux, although sh_link names a section.
        Column("dynamic symbol", ColumnType.NUMBER): [info >> 32 for info in infos],
        Column("addend", ColumnType.ADDRESS): [addend & ADDRESS_MASK for addend in column(Rela, "r_addend", data)],
    }


def relr_dyn(vmlinux: Elf, section: Section, data: bytes) -> Columns:
    """`.relr.dyn`: the addresses of pointers that are relocated in place at start-up.

    Source: the generic ELF specification, section "Relative relocations".
    """
    if len(data) % 8:
        at = vmlinux.at(section.name, section.offset)
        raise MalformedError(NOT_WHOLE, at, expected="a multiple of 8", actual=len(data))
    return {Column("address", ColumnType.ADDRESS): list(unpacked(memoryview(data).cast("Q")))}


def relr_count(data: bytes) -> int:
    """The number of addresses in a `.relr.dyn`."""
    words = memoryview(data)[: len(data) & ~7].cast("Q")
    return sum(word.bit_count() - 1 if word & 1 else 1 for word in words)


def note_table(_: Elf, __: Section, data: bytes) -> Columns:
    """A section of notes; a marked last row when they end before the section."""
    found: list[tuple[str, int, str, str, str]] = []
    end = 0
    for offset, note in notes(data):
        end = offset + size_of(NoteHeader) + (len(note.name) + 3 & ~3) + (len(note.desc) + 3 & ~3)
        meaning = _NOTES.get((note.owner, note.n_type), "")
        text = note.desc.rstrip(b"\0").decode("ascii", "surrogateescape")
        found.append((note.owner, note.n_type, meaning, note.desc.hex(), text if text.isprintable() else ""))
    if end < len(data):
        found.append((f"<corrupt {end:#x}>", 0, "", "", ""))
    return {
        Column("owner", ColumnType.TEXT): [row[0] for row in found],
        Column("type", ColumnType.BITS): [row[1] for row in found],
        Column("meaning", ColumnType.TEXT): [row[2] for row in found],
        Column("description", ColumnType.TEXT): [row[3] for row in found],
        Column("text", ColumnType.TEXT): [row[4] for row in found],
    }


def modinfo(_: Elf, __: Section, data: bytes) -> Columns:
    """`.modinfo`: NUL-separated `key=value`."""
    pairs = [text.partition("=") for text in modinfo_texts(data)]
    return {
        Column("key", ColumnType.TEXT): [key for key, _, _ in pairs],
        Column("value", ColumnType.TEXT): [value for _, _, value in pairs],
    }


def modinfo_texts(data: bytes) -> list[str]:
    """The strings of a `.modinfo`."""
    found = [text.decode("utf-8", "surrogateescape") for text in re.findall(rb"[^\0]+", data)]
    if not data.endswith(b"\0"):
        found[-1:] = [f"{text[:256]}<unterminated>" for text in found[-1:]]
    return found


def modinfo_count(data: bytes) -> int:
    """The number of strings in a `.modinfo`, counted without decoding them."""
    return (b"\0" + data).translate(_IS_TEXT).count(b"\0\1")


def btf(vmlinux: Elf, section: Section, data: bytes) -> Columns:
    """`.BTF`: its header. MalformedError when it is not BTF."""
    at = vmlinux.at(section.name, section.offset)
    if len(data) < size_of(BtfHeader):
        raise TruncatedError("too short for a BTF header", at, expected=size_of(BtfHeader), actual=len(data))
    header = parse_table(BtfHeader, data[: size_of(BtfHeader)])[0]
    if header.magic != BTF_MAGIC:
        raise MalformedError("not BTF", at, expected=BTF_MAGIC, actual=header.magic)
    kinds = {"magic": ColumnType.BITS, "flags": ColumnType.BITS}
    return {Column(name, kinds.get(name, ColumnType.NUMBER)): (value,) for name, value in header._asdict().items()}
