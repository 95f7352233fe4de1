"""Loadable modules: the parts of a .ko that the kernel, depmod and modprobe read, decoded in bulk.

A distribution has thousands of modules. Everything here works on the bytes of a whole file in memory (the largest has
some megabytes) and makes objects only for symbols that are used.
"""

import os
from functools import cached_property
from sys import intern
from typing import TYPE_CHECKING, NamedTuple, cast

from kinspect.artifacts.artifact import Artifact
from kinspect.artifacts.compression.streams import decompressed
from kinspect.artifacts.crypto.pkcs7 import SignedMessage
from kinspect.artifacts.elf.file import MACHINES
from kinspect.artifacts.elf.section_table import SectionRow, SectionTable, header_at
from kinspect.artifacts.kinds import MODULE, advice, description
from kinspect.artifacts.module.exports import Export, Labels, export_labels, exports_of
from kinspect.artifacts.module.signature import (
    AppendedSignature,
    Trailer,
    appended_signature,
    signed_message,
    trailer_in,
)
from kinspect.artifacts.raw.limits import HEAD, unpacked_limit
from kinspect.errors import MalformedError, WrongKindError
from kinspect.schemas import elf
from kinspect.schemas.elf import ElfHeader, SectionHeader, Symbol
from kinspect.schemas.module import ModversionInfo
from kinspect.schemas.record import column, offsets, parse_table, size_of

if TYPE_CHECKING:
    from kinspect.artifacts.module.facts import ModuleFacts

LARGEST_MODULE = 512 << 20


class Need(NamedTuple):
    """An undefined symbol of a module. A weak one may stay unresolved."""

    name: str
    weak: bool


class Module(Artifact):
    """A .ko, plain or compressed (.gz, .xz, .zst).

    Every part is decoded on first access, which raises as `data` and `header` do, and MalformedError when the part is
    broken; `release` drops the bytes.
    Source: kernel/module/main.c, load_module().
    """

    kind = "an arm64 kernel module"
    hint = "`kinspect module` shows it"
    _data: bytes | None = None

    @property
    def name(self) -> str:
        """The module's name as modprobe uses it: the file's name up to the first dot, with `_` for `-`."""
        return os.path.basename(self.path).split(".", 1)[0].replace("-", "_")

    @property
    def facts(self) -> "ModuleFacts":
        """The contents of the module, without the exporters of the symbols that it needs."""
        return cast("ModuleFacts", MODULE.facts_of(self))

    @property
    def data(self) -> bytes:
        """The decompressed file. MalformedError when the compression is broken, UnsupportedError over 512 MiB."""
        # Not a cached_property: until Python 3.12 it locks all instances while one is computed, and threads that
        # decompress would wait for each other.
        if self._data is None:
            self._data = decompressed(self.source, unpacked_limit(self.size, LARGEST_MODULE))
        return self._data

    def release(self) -> None:
        """Drop the bytes; parts that were decoded stay."""
        self._data = None
        for part in ("_table", "_symtab"):
            self.__dict__.pop(part, None)
        self.source.close()

    @cached_property
    def header(self) -> ElfHeader:
        """The ELF header. WrongKindError when the file is not a module for arm64."""
        data = self.data
        if not data.startswith(elf.MAGIC):
            head = data[:HEAD]
            actual = description(head) if head else "an empty file"
            raise WrongKindError(f"not a module{advice(head)}", self.at(), expected=self.kind, actual=actual)
        if len(data) < size_of(ElfHeader):
            raise MalformedError("the file is too short for an ELF header", self.at(), actual=len(data))
        header = parse_table(ElfHeader, data[: size_of(ElfHeader)])[0]
        arm64 = (data[4], data[5], header.e_machine) == (elf.CLASS_64, elf.DATA_LITTLE, elf.MACHINE_AARCH64)
        if not arm64:
            actual = f"class {data[4]}, data {data[5]}, machine {header.e_machine}"
            machine = MACHINES.get(header.e_machine)
            problem = f"for {machine}, not an arm64 module" if machine else "not an arm64 module"
            raise WrongKindError(problem, self.at("ELF header", 4), actual=actual)
        if header.e_type != elf.ET_REL:
            problem = f"not a module{advice(data[:HEAD])}"
            raise WrongKindError(problem, self.at("e_type", 16), expected="ET_REL (1)", actual=header.e_type)
        return header

    @cached_property
    def _table(self) -> SectionTable:
        header, data = self.header, self.data
        size = size_of(SectionHeader)
        end = header.e_shoff + header.e_shnum * size
        if header.e_shentsize != size or end > len(data) or not 0 < header.e_shstrndx < header.e_shnum:
            raise MalformedError("the section table does not fit the file", self.at("e_shoff", 40), actual=end)
        rows, last = data[header.e_shoff : end], header.e_shstrndx
        return SectionTable(rows, self._bytes_of(SectionRow(last, b".shstrtab", header_at(rows, last))))

    @cached_property
    def sections(self) -> dict[bytes, SectionRow]:
        """The sections by name; the first where a name repeats. MalformedError when the table is outside the file."""
        return self._table.by_name()

    def _bytes_of(self, part: SectionRow) -> bytes:
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
        """The bytes of the first section of that name; empty without one."""
        part = self._table.named(name)
        return self._bytes_of(part) if part else b""

    @cached_property
    def modinfo(self) -> tuple[tuple[str, str], ...]:
        """The pairs of `.modinfo` in order; keys may repeat."""
        text = self.section(b".modinfo").decode("utf-8", "surrogateescape")
        return tuple([entry.partition("=")[::2] for entry in text.split("\0") if entry])

    def values(self, key: str) -> list[str]:
        """All values of a key of `.modinfo`."""
        return [value for name, value in self.modinfo if name == key]

    @cached_property
    def _symtab(self) -> tuple[bytes, str, int]:
        """The symbol table; its strings, one character per byte, and a NUL; the number of the first global symbol."""
        part = self._table.named(b".symtab")
        if part is None:
            return b"", "\0", 0
        row = part.header
        if row.sh_entsize != size_of(Symbol) or row.sh_size % size_of(Symbol) or row.sh_link >= len(self._table):
            raise MalformedError("the symbol table cannot be read", self.at(".symtab", row.sh_offset))
        strings = self._bytes_of(SectionRow(row.sh_link, b".strtab", self._table.header(row.sh_link)))
        return self._bytes_of(part), strings.decode("ascii", "surrogateescape") + "\0", row.sh_info

    @cached_property
    def undefined(self) -> dict[str, bool]:
        """The undefined symbols in the order of the symbol table, and whether each is weak."""
        table, strings, first = self._symtab
        sections = list(column(Symbol, "st_shndx", table))
        # Undefined symbols are global: they follow the null symbol and all local ones.
        first = 1 if 0 in sections[1:first] else max(first, 1)
        numbers = [number for number, section in enumerate(sections[first:], start=first) if not section]
        names, infos = column(Symbol, "st_name", table), column(Symbol, "st_info", table)
        starts = [names[number] for number in numbers]
        if starts and max(starts) >= len(strings):
            at = self.at(".symtab", numbers[starts.index(max(starts))] * size_of(Symbol))
            raise MalformedError("the name of a symbol is outside the string table", at, actual=max(starts))
        weak = [infos[number] >> 4 == elf.STB_WEAK for number in numbers]
        # Interned: modules need the same symbols.
        texts = [intern(strings[start : strings.index("\0", start)]) for start in starts]
        found = dict(zip(texts, weak, strict=True))
        found.pop("", None)
        return found

    @cached_property
    def needs(self) -> tuple[Need, ...]:
        """The undefined symbols in the order of the symbol table."""
        return tuple(map(Need._make, self.undefined.items()))

    @cached_property
    def labels(self) -> Labels:
        """The labels of exports by kind (`ksymtab`, `crc`, `kstrtabns`, `flags`): names with their symbol's number."""
        symbols, strings, _ = self._symtab
        return export_labels(symbols, strings)

    @cached_property
    def exports(self) -> tuple[Export, ...]:
        """The exported symbols in the order of the symbol table."""
        labels = self.labels
        return exports_of(labels, self._symtab[0], self._table.name, self._numbered) if labels["ksymtab"] else ()

    def _numbered(self, number: int) -> bytes | None:
        """The bytes of a section by its number; None for SHN_ABS."""
        if number == elf.SHN_ABS:
            return None
        row = self._table.row(number)
        return self._bytes_of(row) if row else b""

    @cached_property
    def short_versions(self) -> dict[str, int]:
        """The CRCs of needed symbols in `__versions`, which has names of up to 55 characters."""
        data = self.section(b"__versions")
        if len(data) % size_of(ModversionInfo):
            raise MalformedError("not a whole number of rows", self.at("__versions"), actual=len(data))
        return dict(zip(_fixed_names(data), column(ModversionInfo, "crc", data), strict=True))

    @cached_property
    def versions(self) -> dict[str, int]:
        """The CRCs of needed symbols: of `__versions`, and for names of any length of `__version_ext_names`."""
        if self._table.named(b"__version_ext_names") is None:
            return self.short_versions
        names = self.section(b"__version_ext_names").decode("ascii", "surrogateescape").rstrip("\0").split("\0")
        crcs = self.section(b"__version_ext_crcs")
        extended = memoryview(crcs[: len(crcs) & ~3]).cast("I").tolist()
        return {**self.short_versions, **dict(zip(filter(None, names), extended, strict=False))}

    @property
    def trailer(self) -> Trailer | None:
        """The trailer of the appended signature, unchecked; None for an unsigned module."""
        return trailer_in(self.data, self.path)

    @cached_property
    def signature(self) -> AppendedSignature | None:
        """The appended signature; None for an unsigned module. MalformedError when its trailer is invalid."""
        found = self.trailer
        return appended_signature(self.data, found, self.path) if found else None

    def signed_message(self, trailer: Trailer) -> SignedMessage:
        """The PKCS#7 message of the appended signature. MalformedError when it is broken."""
        return signed_message(self.data, trailer, self.path)


def _fixed_names(data: bytes) -> list[str]:
    """The names of `__versions`, each up to its first NUL."""
    start, row = offsets(ModversionInfo)["name"], size_of(ModversionInfo)
    text = data.decode("latin-1") + "\0"
    found = [intern(text[at : text.index("\0", at)]) for at in range(start, len(data), row)]
    # Usually all is ASCII; other bytes become surrogates, as in other names.
    if "".join(found).isascii() and max(map(len, found), default=0) <= row - start:
        return found
    return [name[: row - start].encode("latin-1").decode("ascii", "surrogateescape") for name in found]
