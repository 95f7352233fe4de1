"""What a kernel carries for introspection, found in its raw bytes: its .config, BTF and kallsyms.

Each is searched for by a byte pattern that it must contain and then verified, because other data may match too.
"""

import zlib
from collections.abc import Iterable
from itertools import accumulate, islice
from struct import unpack
from typing import NamedTuple

from kinspect.artifacts.raw.scan import MOST_CANDIDATES
from kinspect.schemas.record import parse_table, size_of
from kinspect.schemas.tables import BTF_MAGIC, BtfHeader
from kinspect.source import Source

CONFIG_START, CONFIG_END = b"IKCFG_ST", b"IKCFG_ED"
LARGEST_CONFIG = 16 << 20
"""A .config has a quarter of a megabyte."""
_GZIP = b"\x1f\x8b\x08"
_STEP = 1 << 16
_MOST_WORK = 4 * LARGEST_CONFIG
_BTF = BTF_MAGIC.to_bytes(2, "little") + b"\1\0"
_LARGEST_BTF_HEADER = 4096
_LAST_BTF_KIND = 31
_TOKENS = 256
_DIGITS = b"".join(b"%d\0" % digit for digit in range(10))
_LONGEST_TOKENS = 1 << 16


class Extent(NamedTuple):
    """A range of the raw kernel, in bytes."""

    offset: int
    size: int


class EmbeddedConfig(NamedTuple):
    """The .config that is embedded in a kernel or in configs.ko; `place` is the extent of its gzip stream."""

    place: Extent
    text: bytes


class Embedded(NamedTuple):
    """The extent of each part; None for one that is missing.

    `config` is the gzip stream of CONFIG_IKCONFIG, `btf` the section .BTF, `kallsyms` the token table and the token
    index, with which the names of all symbols are compressed.
    """

    config: Extent | None
    btf: Extent | None
    kallsyms: Extent | None


def embedded_in(source: Source, end: int, kallsyms: Extent | None = None, notes: int = 0) -> Embedded:
    """The parts that lie before `end`, of which `kallsyms` was found before.

    The offset of the notes, where known, narrows the search: the linker puts .config before them, and BTF after them.
    Source: include/asm-generic/vmlinux.lds.h, RO_DATA.
    """
    config = config_in(source, [(0, notes or end)])
    return Embedded(
        config.place if config else None,
        _first_btf(source, notes, end) or (_first_btf(source, 0, notes) if notes else None),
        kallsyms,
    )


def kallsyms_in(source: Source, end: int, banner: int = 0) -> Extent | None:
    """The tables of kallsyms that lie before `end`; the linker puts them after the banner, whose offset may be known.

    Source: scripts/link-vmlinux.sh.
    """
    return _first_kallsyms(source, banner, end) or (_first_kallsyms(source, 0, banner) if banner else None)


def config_in(source: Source, ranges: Iterable[tuple[int, int]]) -> EmbeddedConfig | None:
    """The .config that is embedded in ranges (start, end) of a file.

    All candidates together may take and make _MOST_WORK bytes. Source: kernel/configs.c; scripts/extract-ikconfig.
    """
    left = _MOST_WORK
    for start, end in ranges:
        for offset in islice(source.find(CONFIG_START + _GZIP, start, end), MOST_CANDIDATES):
            if left <= 0:
                return None
            first = offset + len(CONFIG_START)
            found = _unpacked(source, first, end)
            if isinstance(found, EmbeddedConfig):
                return found
            left -= found
    return None


def _unpacked(source: Source, first: int, end: int) -> EmbeddedConfig | int:
    """The .config whose stream begins at an offset; when there is none, the bytes read and unpacked in vain."""
    stream, text, at = zlib.decompressobj(31), bytearray(), first
    while at < min(end, first + LARGEST_CONFIG) and not stream.eof and len(text) < LARGEST_CONFIG:
        data = source.read(at, min(_STEP, end - at))
        try:
            text += stream.decompress(data, LARGEST_CONFIG - len(text))
        except zlib.error:
            break
        at += len(data)
        if stream.unconsumed_tail:
            break
    rest = stream.unused_data
    if stream.eof and (rest + source.read(at, min(len(CONFIG_END), end - at))).startswith(CONFIG_END):
        return EmbeddedConfig(Extent(first, at - first - len(rest)), bytes(text))
    return len(text) + at - first


def _first_btf(source: Source, start: int, end: int) -> Extent | None:
    found = (_btf_at(source, at, end) for at in source.find(_BTF, start, end))
    return next(filter(None, islice(found, MOST_CANDIDATES)), None)


def _btf_at(source: Source, offset: int, end: int) -> Extent | None:
    """The BTF at an offset; None when it is not valid: types, then strings, the first of which is empty."""
    size = size_of(BtfHeader)
    if offset + size > end:
        return None
    header = parse_table(BtfHeader, source.read(offset, size))[0]
    names = offset + header.hdr_len + header.str_off
    types = offset + header.hdr_len + header.type_off
    if not (
        size <= header.hdr_len <= _LARGEST_BTF_HEADER
        and header.type_off + header.type_len <= header.str_off
        and header.type_len >= 12
        and header.str_len
        and names + header.str_len <= end
    ):
        return None
    name, info, _ = unpack("<III", source.read(types, 12))
    bounds = source.read(names, 1), source.read(names + header.str_len - 1, 1)
    valid = name < header.str_len and 0 < info >> 24 & 0x1F <= _LAST_BTF_KIND and bounds == (b"\0", b"\0")
    return Extent(offset, names + header.str_len - offset) if valid else None


def token_tables(source: Source, end: int) -> tuple[Extent, Extent] | None:
    """The token table of kallsyms and its index; None without them."""
    return _first_tables(source, 0, end)


def _first_kallsyms(source: Source, start: int, end: int) -> Extent | None:
    found = _first_tables(source, start, end)
    return Extent(found[0].offset, found[1].offset + found[1].size - found[0].offset) if found else None


def _first_tables(source: Source, start: int, end: int) -> tuple[Extent, Extent] | None:
    found = (_tables_at(source, at, end) for at in source.find(_DIGITS, start, end))
    return next(filter(None, islice(found, MOST_CANDIDATES)), None)


def _tables_at(source: Source, digits: int, end: int) -> tuple[Extent, Extent] | None:
    """The token table whose digits are at an offset, and the token index after it; None when it is not valid.

    The table has 256 strings; a digit stands for itself. The index has the offset of each in two bytes.
    Source: scripts/kallsyms.c, write_src().
    """
    rest = source.read(digits, min(_LONGEST_TOKENS, end - digits))
    last = -1
    for _ in range(ord("0"), _TOKENS):
        last = rest.find(b"\0", last + 1)
        if last < 0:
            return None
    for alignment in (4, 8):
        at = (digits + last + alignment) & -alignment
        if at + 2 * _TOKENS > end:
            return None
        index = unpack("<256H", source.read(at, 2 * _TOKENS))
        start = digits - index[ord("0")]
        tokens = source.read(start, digits + last - start).split(b"\0") if start >= 0 else []
        if index == tuple(accumulate((len(token) + 1 for token in tokens[:-1]), initial=0)):
            return Extent(start, digits + last + 1 - start), Extent(at, 2 * _TOKENS)
    return None
