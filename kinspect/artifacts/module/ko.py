"""Loadable modules: what the kernel, depmod and modprobe read of a .ko, decoded in bulk.

A distribution has thousands of modules, so everything here works on the bytes of a whole file in memory (the largest is
some megabytes) and makes no object for a symbol that nobody asked for.
"""

import os
import re
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

from kinspect.artifacts.artifact import Artifact
from kinspect.artifacts.compression.streams import decompressed
from kinspect.errors import MalformedError, WrongKindError
from kinspect.schemas import elf
from kinspect.schemas.elf import ElfHeader, SectionHeader, Symbol
from kinspect.schemas.module import SIGNATURE_MARKER, ModuleSignature, ModversionInfo
from kinspect.schemas.record import column, offsets, parse_table, size_of, table_row

if TYPE_CHECKING:
    from kinspect.artifacts.module.facts import ModuleFacts

LARGEST_MODULE = 512 << 20
_LABEL = re.compile("__(ksymtab|crc|kstrtabns|flags)_([^\0]*)")


class Export(NamedTuple):
    """A symbol that a module exports; `crc` is None without MODVERSIONS, `namespace` empty when there is none."""

    name: str
    crc: int | None
    gpl: bool
    namespace: str


class Need(NamedTuple):
    """An undefined symbol of a module; a weak one may stay unresolved."""

    name: str
    weak: bool


class AppendedSignature(NamedTuple):
    """The signature appended to a module. `offset` and the size of `data` in bytes, in the decompressed file."""

    info: ModuleSignature
    offset: int
    data: bytes


class Part(NamedTuple):
    """Where a section lies in the decompressed file."""

    number: int
    name: bytes
    header: SectionHeader


class Module(Artifact):
    """A .ko, plain or compressed (.gz, .xz, .zst).

    Every part is decoded from the whole file when it is first asked for; `release` forgets the file again.
    Source: kernel/module/main.c, load_module().
    """

    kind = "an arm64 kernel module"
    _data: bytes | None = None

    @property
    def name(self) -> str:
        """The module's name as modprobe takes it: of the file, up to the first dot, with `_` for `-`."""
        return os.path.basename(self.path).split(".", 1)[0].replace("-", "_")

    @property
    def facts(self) -> "ModuleFacts":
        """What the module says of itself; who provides what it needs is not known here."""
        from kinspect.artifacts.module.facts import module_facts

        return module_facts(self)

    @property
    def data(self) -> bytes:
        """The decompressed file. MalformedError when the compression is broken, UnsupportedError over 512 MiB."""
        # No cached_property: until Python 3.12 it locks all instances while one is computed, so that threads that
        # decompress would wait for each other.
        if self._data is None:
            self._data = decompressed(self.source, LARGEST_MODULE)
        return self._data

    def release(self) -> None:
        """Forget the bytes; what was decoded stays."""
        self._data = None
        for part in ("_table", "_symtab"):
            self.__dict__.pop(part, None)
        self.source.close()

    @cached_property
    def header(self) -> ElfHeader:
        """The ELF header; WrongKindError when the file is no module for arm64."""
        data = self.data
        if not data.startswith(elf.MAGIC):
            raise WrongKindError("not a module", self.at("ELF header", 0), expected=elf.MAGIC, actual=data[:4])
        if len(data) < size_of(ElfHeader):
            raise MalformedError("the file is too short for an ELF header", self.at(), actual=len(data))
        header = parse_table(ElfHeader, data[: size_of(ElfHeader)])[0]
        known = (data[4], data[5], header.e_machine) == (elf.CLASS_64, elf.DATA_LITTLE, elf.MACHINE_AARCH64)
        if not known:
            actual = f"class {data[4]}, data {data[5]}, machine {header.e_machine}"
            raise WrongKindError("not a module for arm64", self.at("ELF header", 4), actual=actual)
        if header.e_type != elf.ET_REL:
            raise WrongKindError("not a module", self.at("e_type", 16), expected="ET_REL (1)", actual=header.e_type)
        return header

    @cached_property
    def _table(self) -> tuple[bytes, bytes, list[int]]:
        """The section headers, the names of sections, and where the name of each is."""
        header, data = self.header, self.data
        size = size_of(SectionHeader)
        end = header.e_shoff + header.e_shnum * size
        if header.e_shentsize != size or end > len(data) or not 0 < header.e_shstrndx < header.e_shnum:
            raise MalformedError("the section table does not fit the file", self.at("e_shoff", 40), actual=end)
        table, last = data[header.e_shoff : end], header.e_shstrndx
        names = self._bytes_of(Part(last, b".shstrtab", _row(table, last))) + b"\0"
        return table, names, list(column(SectionHeader, "sh_name", table))

    def _part(self, name: bytes) -> Part | None:
        """The first section of a name, as the kernel and kmod take it.

        A tree has 35,000 sections: only those that are asked for become objects.
        """
        table, names, starts = self._table
        start, number = names.find(name + b"\0"), len(starts)
        while start >= 0:
            if start in starts:
                number = min(number, starts.index(start))
            start = names.find(name + b"\0", start + 1)
        return Part(number, name, _row(table, number)) if number < len(starts) else None

    def _section_name(self, number: int) -> bytes:
        _, names, starts = self._table
        start = starts[number] if 0 < number < len(starts) else len(names)
        return names[start : names.find(b"\0", start)]

    @cached_property
    def sections(self) -> dict[bytes, Part]:
        """The sections by name, the first of each. MalformedError when the table lies outside the file."""
        found: dict[bytes, Part] = {}
        for number, row in enumerate(parse_table(SectionHeader, self._table[0])):
            if row.sh_type:
                name = self._section_name(number)
                found.setdefault(name, Part(number, name, row))
        return found

    def _bytes_of(self, part: Part) -> bytes:
        row, data = part.header, self.data
        if row.sh_type == elf.SHT_NOBITS:
            return b""
        if row.sh_offset + row.sh_size > len(data):
            name = part.name.decode("ascii", "backslashreplace")
            at = self.at(name, row.sh_offset)
            raise MalformedError(
                "the section ends past the file", at, expected=f"at most {len(data):,}", actual=row.sh_size
            )
        return data[row.sh_offset : row.sh_offset + row.sh_size]

    def section(self, name: bytes) -> bytes:
        """The bytes of a section; none when there is no such section."""
        part = self._part(name)
        return self._bytes_of(part) if part else b""

    @cached_property
    def modinfo(self) -> tuple[tuple[str, str], ...]:
        """The pairs of `.modinfo` in their order; keys repeat."""
        text = self.section(b".modinfo").decode("utf-8", "surrogateescape")
        pairs = (entry.partition("=") for entry in text.split("\0") if entry)
        return tuple((key, value) for key, _, value in pairs)

    def values(self, key: str) -> list[str]:
        """All values of a key of `.modinfo`."""
        return [value for name, value in self.modinfo if name == key]

    @cached_property
    def _symtab(self) -> tuple[bytes, str, int]:
        """The symbol table; its strings, a character for each byte and one NUL more; the first global symbol."""
        part = self._part(b".symtab")
        if part is None:
            return b"", "\0", 0
        table, row = self._table[0], part.header
        if (
            row.sh_entsize != size_of(Symbol)
            or row.sh_size % size_of(Symbol)
            or row.sh_link * size_of(SectionHeader) >= len(table)
        ):
            raise MalformedError("the symbol table cannot be read", self.at(".symtab", row.sh_offset))
        strings = self._bytes_of(Part(row.sh_link, b".strtab", _row(table, row.sh_link)))
        return self._bytes_of(part), strings.decode("ascii", "surrogateescape") + "\0", row.sh_info

    @cached_property
    def undefined(self) -> dict[str, bool]:
        """The undefined symbols in the order of the symbol table; whether each is weak and may stay unresolved."""
        table, strings, first = self._symtab
        sections = list(column(Symbol, "st_shndx", table))
        # Undefined symbols are global and come last, after a null symbol and all local ones.
        first = 1 if 0 in sections[1:first] else max(first, 1)
        numbers = [number for number, section in enumerate(sections[first:], start=first) if not section]
        names, infos = column(Symbol, "st_name", table), column(Symbol, "st_info", table)
        starts = [names[number] for number in numbers]
        if starts and max(starts) >= len(strings):
            at = self.at(".symtab", numbers[starts.index(max(starts))] * size_of(Symbol))
            raise MalformedError("the name of a symbol lies outside the strings", at, actual=max(starts))
        weak = [infos[number] >> 4 == elf.STB_WEAK for number in numbers]
        found = dict(zip([strings[start : strings.index("\0", start)] for start in starts], weak, strict=True))
        found.pop("", None)
        return found

    @cached_property
    def needs(self) -> tuple[Need, ...]:
        """The undefined symbols in the order of the symbol table."""
        return tuple(map(Need._make, self.undefined.items()))

    @cached_property
    def labels(self) -> dict[str, dict[str, int]]:
        """The labels of exports by kind: `ksymtab`, `crc`, `kstrtabns`, `flags`; each name with its symbol's number.

        Most modules export nothing, and a search of the strings tells so at once.
        """
        found: dict[str, dict[str, int]] = {"ksymtab": {}, "crc": {}, "kstrtabns": {}, "flags": {}}
        table, strings, _ = self._symtab
        if "__ksymtab_" in strings or "__crc_" in strings:
            starts = column(Symbol, "st_name", table)
            numbers = dict(zip(starts, range(len(starts)), strict=True))
            hits = [(numbers.get(hit.start(), 0), hit[1], hit[2]) for hit in _LABEL.finditer(strings)]
            for number, kind, name in sorted(hits):
                if number:
                    found[kind][name] = number
        return found

    @cached_property
    def exports(self) -> tuple[Export, ...]:
        """The exported symbols in the order of the symbol table."""
        labels = self.labels
        if not labels["ksymtab"]:
            return ()
        sections, values = (column(Symbol, field, self._symtab[0]) for field in ("st_shndx", "st_value"))
        tables = {
            number: self._section_name(number) for number in set(map(sections.__getitem__, labels["ksymtab"].values()))
        }
        parts = {sections[number] for kind in ("crc", "kstrtabns", "flags") for number in labels[kind].values()}
        # What a label names lies in its own section: there may be several of one name.
        contents = {part: self._numbered(part) for part in parts if part}
        spaces: dict[tuple[int, int], str] = {}
        found = []
        for name, number in labels["ksymtab"].items():
            table = tables[sections[number]]
            if not table.startswith(b"__ksymtab"):
                continue
            label = labels["flags"].get(name, 0)
            flags = contents.get(sections[label]) or b""
            gpl = bool(flags[values[label]] & 1) if values[label] < len(flags) else table == b"__ksymtab_gpl"
            label = labels["kstrtabns"].get(name, 0)
            place = sections[label], values[label]
            if place not in spaces:
                spaces[place] = _string(contents.get(place[0]) or b"", place[1])
            label = labels["crc"].get(name, 0)
            crc = _crc(contents[sections[label]], values[label]) if sections[label] else None
            found.append(Export(name, crc, gpl, spaces[place]))
        return tuple(found)

    def _numbered(self, number: int) -> bytes | None:
        """The bytes of a section; None for the numbers that mean none."""
        if number == elf.SHN_ABS:
            return None
        table = self._table[0]
        if number * size_of(SectionHeader) >= len(table):
            return b""
        return self._bytes_of(Part(number, self._section_name(number), _row(table, number)))

    @cached_property
    def short_versions(self) -> dict[str, int]:
        """The CRC that each needed symbol must have, of `__versions`: names of up to 55 characters."""
        data = self.section(b"__versions")
        if len(data) % size_of(ModversionInfo):
            raise MalformedError("no whole number of rows", self.at("__versions"), actual=len(data))
        return dict(zip(_fixed_names(data), column(ModversionInfo, "crc", data), strict=True))

    @cached_property
    def versions(self) -> dict[str, int]:
        """The CRC that each needed symbol must have: of `__versions`, and in full length of `__version_ext_names`."""
        if self._part(b"__version_ext_names") is None:
            return self.short_versions
        names = self.section(b"__version_ext_names").decode("ascii", "surrogateescape").rstrip("\0").split("\0")
        crcs = self.section(b"__version_ext_crcs")
        extended = memoryview(crcs[: len(crcs) & ~3]).cast("I").tolist()
        return {**self.short_versions, **dict(zip(filter(None, names), extended, strict=False))}

    @cached_property
    def signature(self) -> AppendedSignature | None:
        """The appended signature; None for an unsigned module. MalformedError when its trailer cannot be."""
        data = self.data
        if not data.endswith(SIGNATURE_MARKER):
            return None
        end = len(data) - len(SIGNATURE_MARKER) - size_of(ModuleSignature)
        if end < 0:
            raise MalformedError("the signature marker follows no trailer", self.at("signature"))
        info = parse_table(ModuleSignature, data[end : end + size_of(ModuleSignature)])[0]
        if info.sig_len > end:
            raise MalformedError(
                "the signature is longer than the file",
                self.at("sig_len", end + 8),
                expected=f"at most {end:,}",
                actual=info.sig_len,
            )
        return AppendedSignature(info, end - info.sig_len, data[end - info.sig_len : end])


def _crc(section: bytes | None, value: int) -> int | None:
    """A CRC: the value of an absolute symbol (up to 5.18), else the number at its place in `__kcrctab`."""
    if section is None:
        return value & 0xFFFFFFFF
    return int.from_bytes(section[value : value + 4], "little") if value + 4 <= len(section) else None


def _string(section: bytes, start: int) -> str:
    return section[start : max(start, section.find(b"\0", start))].decode("ascii", "surrogateescape")


def _row(table: bytes, number: int) -> SectionHeader:
    row = table_row(SectionHeader)
    return SectionHeader._make(row.unpack_from(table, number * row.size))


def _fixed_names(data: bytes) -> list[str]:
    """The names of `__versions`, each up to its first NUL."""
    start, row = offsets(ModversionInfo)["name"], size_of(ModversionInfo)
    text = data.decode("latin-1") + "\0"
    found = [text[at : text.index("\0", at)] for at in range(start, len(data), row)]
    # Every byte became a character; names are ASCII, and what is not is kept as elsewhere.
    if "".join(found).isascii() and max(map(len, found), default=0) <= row - start:
        return found
    return [name[: row - start].encode("latin-1").decode("ascii", "surrogateescape") for name in found]
