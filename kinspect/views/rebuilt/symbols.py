"""The symbol table of a raw Image: its kallsyms as rows of .symtab.

A kernel has 200,000 symbols: whole columns are computed, and packed into words.
Source: the ELF specification, "Symbol Table".
"""

import re
import sys
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from itertools import accumulate
from operator import itemgetter
from typing import NamedTuple

from kinspect.schemas import elf
from kinspect.schemas.record import size_of
from kinspect.views.kernel.instructions import NOP
from kinspect.views.rebuilt.known import EXPORTED, KnownSymbols
from kinspect.views.rebuilt.sections import ImageSection

_WORDS = size_of(elf.Symbol) // 8
_LAST_ADDRESS = (1 << 64) - 1
_CODE_LABEL = re.compile(r"_[se]?text|_[se]inittext|__.*text_(start|end|begin)")
_DATA_LABEL = re.compile(r"_etext|_s?data|_edata|_end|__(start|stop|end)_.*|__init_(begin|end)|__initdata_(begin|end)")
"""Symbols of the linker script that mark a place and name nothing."""
_ABSOLUTE = "a"
_CLASSES = {"a": _ABSOLUTE, "t": "t", "d": "d", "g": "d", "r": "r", "n": "r", "b": "b", "s": "b"}
"""For a letter of nm, in lower case, the letter of a section that a symbol with it is in."""


class SymbolTable(NamedTuple):
    """.symtab and .strtab; the number of symbols, the index of the first that is not local; functions and objects."""

    rows: bytes
    names: bytes
    total: int
    first_global: int
    functions: int
    objects: int


def symbol_table(
    symbols: KnownSymbols, sections: Sequence[ImageSection], start: int, data: bytes, image_size: int
) -> SymbolTable:
    """The table of an Image at an address, of which `data` is all. Sections have the numbers from 1 on.

    `_text` and `_end`, which follow from the header, are added where kallsyms has the symbols of code alone.
    """
    names, letters, offsets = _in_order(symbols, image_size)
    numbers = _numbers("".join(letters), offsets, sections)
    infos = _infos(names, letters, numbers, sections)
    sizes = _sizes(offsets, infos, numbers, sections, data)
    for name, size in symbols.sizes.items():
        if name in names and sizes[at := names.index(name)] > size:
            sizes[at] = size
    text = "\0".join(names).encode("utf-8", "surrogateescape")
    starts = accumulate((len(name) + 1 for name in text.split(b"\0")), initial=1)
    # st_name, st_info, st_other and st_shndx are one word.
    heads = [name | info << 32 | number << 48 for name, info, number in zip(starts, infos, numbers, strict=False)]
    order = [index for index, info in enumerate(infos) if info >> 4 == elf.STB_LOCAL]
    first_global = len(order) + 1
    order += [index for index, info in enumerate(infos) if info >> 4 != elf.STB_LOCAL]
    words = array("Q", bytes(8 * _WORDS * (len(order) + 1)))
    for field, values in enumerate((heads, [start + offset & _LAST_ADDRESS for offset in offsets], sizes)):
        words[_WORDS + field :: _WORDS] = array("Q", map(values.__getitem__, order))
    if sys.byteorder == "big":
        words.byteswap()
    kinds = [info & 15 for info in infos]
    functions, objects = kinds.count(elf.STT_FUNC), kinds.count(elf.STT_OBJECT)
    return SymbolTable(words.tobytes(), b"\0" + text + b"\0", len(order), first_global, functions, objects)


def _in_order(symbols: KnownSymbols, image_size: int) -> tuple[list[str], list[str], list[int]]:
    """Names, letters and offsets, sorted by offset."""
    names, letters, offsets = list(symbols.names), list(symbols.letters), list(symbols.offsets)
    known = set(names)
    for name, letter, offset in (("_text", "T", 0), ("_end", "B", image_size)):
        if name not in known:
            at = bisect_right(offsets, offset)
            names.insert(at, name)
            letters.insert(at, letter)
            offsets.insert(at, offset)
    return names, letters, offsets


def _numbers(letters: str, offsets: Sequence[int], sections: Sequence[ImageSection]) -> list[int]:
    """The number of the section of each symbol: that at its place, unless the letter says that it is in another."""
    found, letters, at = [-1] * len(letters), letters.lower(), 0
    others: list[int] = []
    for number, section in enumerate(sections, start=1):
        low, high = bisect_left(offsets, section.start), bisect_left(offsets, section.end)
        found[low:high] = [number] * (high - low)
        others += range(at, low)
        fits = re.compile(f"[^{section.letter}wv?]")
        others += (hit.start() for hit in fits.finditer(letters, low, high))
        at = high
    by_letter: dict[str | None, _Sections] = {}
    for index in (*others, *range(at, len(letters))):
        letter = _CLASSES.get(letters[index])
        if letter == _ABSOLUTE:
            found[index] = elf.SHN_ABS
        elif letter is not None or found[index] < 0:
            if letter not in by_letter:
                by_letter[letter] = _Sections(sections, letter)
            found[index] = by_letter[letter].nearest(offsets[index])
    return found


class _Sections:
    """The sections whose symbols have a letter, or all, by address; their numbers count from 1."""

    def __init__(self, sections: Sequence[ImageSection], letter: str | None) -> None:
        self._own = [(row, number) for number, row in enumerate(sections, start=1) if letter in (None, row.letter)]
        self._starts = [row.start for row, _ in self._own]

    def nearest(self, offset: int) -> int:
        """The number of the section nearest to a place, of two the one before it; SHN_ABS when there is none."""
        at = bisect_right(self._starts, offset)
        near = self._own[max(0, at - 1) : at + 1]
        distances = [(max(row.start - offset, offset - row.end, 0), number) for row, number in near]
        return min(distances, key=itemgetter(0))[1] if distances else elf.SHN_ABS


def _infos(
    names: Sequence[str], letters: Sequence[str], numbers: Sequence[int], sections: Sequence[ImageSection]
) -> list[int]:
    """st_info: the binding by the letter's case, the type by the section."""
    code = {number for number, section in enumerate(sections, start=1) if section.letter == "t"}
    known: dict[tuple[str, bool], int] = {}
    for letter in set(letters):
        for is_code in (False, True):
            binding = elf.STB_WEAK if letter in "wWvV" else elf.STB_GLOBAL if letter.isupper() else elf.STB_LOCAL
            weak = elf.STT_OBJECT if letter in "vV" else elf.STT_NOTYPE if letter in "wW" else elf.STT_OBJECT
            code_type = elf.STT_NOTYPE if letter == EXPORTED else elf.STT_FUNC
            known[letter, is_code] = binding << 4 | (code_type if is_code and letter not in "vV" else weak)
    found = [known[letter, number in code] for letter, number in zip(letters, numbers, strict=True)]
    for index, name in enumerate(names):
        if name[0] == "_" and (_CODE_LABEL if numbers[index] in code else _DATA_LABEL).fullmatch(name):
            found[index] &= ~15
    return found


def _sizes(
    offsets: Sequence[int],
    infos: Sequence[int],
    numbers: Sequence[int],
    sections: Sequence[ImageSection],
    data: bytes,
) -> list[int]:
    """The bytes up to the next symbol or the end of the section, of a function without the padding at its end."""
    words = memoryview(data)[: len(data) & -4].cast("I")
    padding = (0, NOP if sys.byteorder == "little" else int.from_bytes(NOP.to_bytes(4, "big"), "little"))
    found, at, following = [0] * len(offsets), 1 << 64, 1 << 64
    for index in range(len(offsets) - 1, -1, -1):
        offset, number = offsets[index], numbers[index]
        if offset < at:
            at, following = offset, at
        kind = infos[index] & 15
        if kind == elf.STT_NOTYPE or number > len(sections):
            continue
        section = sections[number - 1]
        end = min(following, section.end)
        if section.start <= offset < end:
            if kind == elf.STT_FUNC and not (offset | end) & 3 and end <= len(data):
                last = end >> 2
                while last > (offset >> 2) + 1 and words[last - 1] in padding:
                    last -= 1
                end = last << 2
            found[index] = end - offset
    return found
