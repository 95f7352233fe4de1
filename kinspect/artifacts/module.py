"""Loadable modules: what the kernel, depmod and modprobe read of a .ko, decoded in bulk.

A distribution has thousands of modules, so everything here works on the bytes of a whole file in memory (the largest is
some megabytes) and makes no object for a symbol that nobody asked for.
"""

import os
from functools import cached_property
from typing import NamedTuple

from kinspect.artifacts.artifact import Artifact
from kinspect.artifacts.decompression import decompressed
from kinspect.errors import MalformedError, WrongKindError
from kinspect.schemas import elf
from kinspect.schemas.elf import ElfHeader, SectionHeader, Symbol
from kinspect.schemas.module import SIGNATURE_MARKER, ModuleSignature, ModversionInfo
from kinspect.schemas.record import column, offsets, parse_table, size_of, table_row

LARGEST_MODULE = 512 << 20


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


class Signature(NamedTuple):
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

    @property
    def name(self) -> str:
        """The module's name as modprobe takes it: of the file, up to the first dot, with `_` for `-`."""
        return os.path.basename(self.path).split(".", 1)[0].replace("-", "_")

    @cached_property
    def data(self) -> bytes:
        """The decompressed file. MalformedError when the compression is broken, UnsupportedError over 512 MiB."""
        return decompressed(self.source, LARGEST_MODULE)

    def release(self) -> None:
        """Forget the bytes; what was decoded stays."""
        for part in ("data", "_symtab", "_strings", "_by_name"):
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
    def _places(self) -> dict[bytes, tuple[int, ...]]:
        """The number of each section by name, the first of each, and then its header as a plain row.

        A tree has 35,000 sections; an object is made for those that are asked for.
        """
        header, data = self.header, self.data
        size = size_of(SectionHeader)
        end = header.e_shoff + header.e_shnum * size
        if header.e_shentsize != size or end > len(data) or not 0 < header.e_shstrndx < header.e_shnum:
            raise MalformedError("the section table does not fit the file", self.at("e_shoff", 40), actual=end)
        rows = list(table_row(SectionHeader).iter_unpack(data[header.e_shoff : end]))
        last = header.e_shstrndx
        names = self._bytes_of(Part(last, b".shstrtab", SectionHeader._make(rows[last]))) + b"\0"
        found: dict[bytes, tuple[int, ...]] = {}
        for number, row in enumerate(rows):
            if row[1]:
                found.setdefault(names[row[0] : names.find(b"\0", row[0])], (number, *row))
        return found

    def _part(self, name: bytes) -> Part | None:
        place = self._places.get(name)
        return Part(place[0], name, SectionHeader._make(place[1:])) if place else None

    @cached_property
    def sections(self) -> dict[bytes, Part]:
        """The sections by name, the first of each. MalformedError when the table lies outside the file."""
        return {name: Part(place[0], name, SectionHeader._make(place[1:])) for name, place in self._places.items()}

    @cached_property
    def _numbers(self) -> dict[int, bytes]:
        return {place[0]: name for name, place in self._places.items()}

    def _bytes_of(self, part: Part) -> bytes:
        row = part.header
        if row.sh_type == elf.SHT_NOBITS:
            return b""
        if row.sh_offset + row.sh_size > len(self.data):
            name = part.name.decode("ascii", "backslashreplace")
            at = self.at(name, row.sh_offset)
            raise MalformedError(
                "the section ends past the file", at, expected=f"at most {len(self.data):,}", actual=row.sh_size
            )
        return self.data[row.sh_offset : row.sh_offset + row.sh_size]

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
    def _symtab(self) -> tuple[bytes, bytes]:
        """The symbol table and its strings."""
        part = self._part(b".symtab")
        if part is None:
            return b"", b""
        strings = self._part(self._numbers.get(part.header.sh_link, b""))
        if part.header.sh_entsize != size_of(Symbol) or part.header.sh_size % size_of(Symbol) or strings is None:
            raise MalformedError("the symbol table cannot be read", self.at(".symtab", part.header.sh_offset))
        return self._bytes_of(part), self._bytes_of(strings)

    @cached_property
    def _strings(self) -> str:
        """The strings of the symbol table, a character for each byte; one NUL more ends the last."""
        return self._symtab[1].decode("ascii", "surrogateescape") + "\0"

    @cached_property
    def undefined(self) -> dict[str, bool]:
        """The undefined symbols in the order of the symbol table; whether each is weak and may stay unresolved."""
        table, strings = self._symtab[0], self._strings
        sections = list(column(Symbol, "st_shndx", table))
        names, infos = column(Symbol, "st_name", table), column(Symbol, "st_info", table)
        found: dict[str, bool] = {}
        # The first symbol is null. The search runs at the speed of list.index: few symbols are undefined.
        sections[:1], index = [1], 0
        for _ in range(sections.count(0)):
            index = sections.index(0, index + 1)
            start = names[index]
            if start >= len(strings):
                at = self.at(".symtab", index * size_of(Symbol))
                raise MalformedError("the name of a symbol lies outside the strings", at, actual=start)
            name = strings[start : strings.index("\0", start)]
            if name:
                found.setdefault(name, infos[index] >> 4 == elf.STB_WEAK)
        return found

    @cached_property
    def needs(self) -> tuple[Need, ...]:
        """The undefined symbols in the order of the symbol table."""
        return tuple(map(Need._make, self.undefined.items()))

    @cached_property
    def _by_name(self) -> dict[int, int]:
        """The number of the symbol whose name is at an offset of the strings."""
        names = list(column(Symbol, "st_name", self._symtab[0]))
        return dict(zip(names, range(len(names)), strict=True))

    def numbers_named(self, prefix: str) -> dict[str, int]:
        """What follows a prefix in the names of symbols, each with the number of the symbol; in the table's order."""
        strings, found = self._strings, []
        # Most modules have none, and a search of the strings tells so at once.
        start = strings.find(prefix)
        while start >= 0:
            number = self._by_name.get(start)
            if number is not None:
                found.append((number, strings[start + len(prefix) : strings.index("\0", start)]))
            start = strings.find(prefix, start + 1)
        found.sort()
        return {name: number for number, name in found}

    def symbols_named(self, prefix: bytes) -> dict[str, tuple[int, int]]:
        """What follows a prefix in the names of defined symbols, each with its section number and value."""
        numbers = self.numbers_named(prefix.decode("ascii"))
        if not numbers:
            return {}
        table = self._symtab[0]
        sections, values = column(Symbol, "st_shndx", table), column(Symbol, "st_value", table)
        return {name: (sections[number], values[number]) for name, number in numbers.items() if sections[number]}

    @cached_property
    def exports(self) -> tuple[Export, ...]:
        """The exported symbols in the order of the symbol table."""
        labels = self.symbols_named(b"__ksymtab_")
        labels = {
            name: place for name, place in labels.items() if self._section_name(place[0]).startswith(b"__ksymtab")
        }
        if not labels:
            return ()
        strings = self.section(b"__ksymtab_strings")
        crcs, spaces = self.symbols_named(b"__crc_"), self.symbols_named(b"__kstrtabns_")
        flags, licences = self.symbols_named(b"__flags_"), self.section(b"__kflagstab")
        found = []
        for name, (section, _) in labels.items():
            gpl = self._section_name(section) == b"__ksymtab_gpl"
            if name in flags and flags[name][1] < len(licences):
                gpl = bool(licences[flags[name][1]] & 1)
            start = spaces[name][1] if name in spaces else len(strings)
            space = strings[start : max(start, strings.find(b"\0", start))].decode("ascii", "surrogateescape")
            found.append(Export(name, self._crc(crcs.get(name)), gpl, space))
        return tuple(found)

    def _section_name(self, number: int) -> bytes:
        return self._numbers.get(number, b"")

    def _crc(self, place: tuple[int, int] | None) -> int | None:
        """A CRC: the value of an absolute symbol (up to 5.18), else the number at its place in `__kcrctab`."""
        if place is None:
            return None
        section, value = place
        if section == elf.SHN_ABS:
            return value & 0xFFFFFFFF
        data = self.section(self._section_name(section))
        return int.from_bytes(data[value : value + 4], "little") if value + 4 <= len(data) else None

    @cached_property
    def versions(self) -> dict[str, int]:
        """The CRC that each needed symbol must have: of `__versions`, and in full length of `__version_ext_names`."""
        data = self.section(b"__versions")
        if len(data) % size_of(ModversionInfo):
            raise MalformedError("no whole number of rows", self.at("__versions"), actual=len(data))
        crcs = column(ModversionInfo, "crc", data)
        found = dict(zip(_fixed_names(data), crcs, strict=True))
        if b"__version_ext_names" not in self._places:
            return found
        names = self.section(b"__version_ext_names").decode("ascii", "surrogateescape").rstrip("\0").split("\0")
        crcs = self.section(b"__version_ext_crcs")
        extended = memoryview(crcs[: len(crcs) & ~3]).cast("I").tolist()
        return {**found, **dict(zip(filter(None, names), extended, strict=False))}

    @cached_property
    def signature(self) -> Signature | None:
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
        return Signature(info, end - info.sig_len, data[end - info.sig_len : end])


def _fixed_names(data: bytes) -> list[str]:
    """The names of `__versions`, each up to its first NUL."""
    start, row = offsets(ModversionInfo)["name"], size_of(ModversionInfo)
    text = data.decode("latin-1")
    ends = range(row, len(data) + row, row)
    found = [text[end - row + start : end].split("\0", 1)[0] for end in ends]
    # Every byte became a character; names are ASCII, and what is not is kept as elsewhere.
    if "".join(found).isascii():
        return found
    return [name.encode("latin-1").decode("ascii", "surrogateescape") for name in found]
