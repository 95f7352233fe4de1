"""The symbols of code, by name and by address, with the sizes that the kernel prints.

A kernel has 150,000 symbols, and a log names twenty: nothing is decoded that is not asked for.
"""

import re
from bisect import bisect_right
from collections.abc import Sequence
from contextlib import suppress
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple, Protocol

from kinspect.artifacts.elf.file import Elf
from kinspect.artifacts.elf.symbols import Symbols
from kinspect.schemas.elf import SHN_LORESERVE, STB_WEAK, STT_FILE, STT_SECTION

# Not needed with a vmlinux.
if TYPE_CHECKING:
    from kinspect.views.kernel.image_symbols import ImageSymbols

_FEW_NAMES, _FEW_VALUES = 48, 256
"""Names and addresses that are searched for one by one: for more of them, all are indexed."""
_MOST_ALIASES = 64
_DOLLAR = "$"
_NOT_LISTED = (
    ".L",
    "__AArch64ADRPThunk_",
    "__efistub_",
    "__crc_",
    "__kstrtab_",
    "__kvm_nvhe_$",
    "__kvm_nvhe_.L",
    "__pi_.L",
)
"""What kallsyms leaves out. Source: scripts/mksysmap."""


_PROVIDED = re.compile(r"__(?:start_|stop_|end_|.*(?:_start|_end)$)")
"""Symbols that linker scripts define."""


class CodeSymbol(NamedTuple):
    """A symbol: its section in a module (0 in a kernel), its address there, and the sizes that the kernel may print.

    The last of them is the likely one: the distance to the next symbol.
    `last` says that nothing follows it in its section: then the kernel may print any size.
    """

    name: str
    section: int
    address: int
    sizes: tuple[int, ...]
    last: bool = False

    def has_size(self, size: int) -> bool:
        """Whether the kernel would print this size of it."""
        return size in self.sizes or (self.last and size >= max(self.sizes, default=0))


class CodeSymbols(Protocol):
    """The symbols of a kernel or a module."""

    def named(self, name: str) -> list[CodeSymbol]:
        """All symbols of a name."""

    def at(self, address: int) -> CodeSymbol | None:
        """The symbol that covers an address of a kernel; the first of several, as the kernel prints it."""

    def address(self, name: str) -> int | None:
        """The address of the first symbol of a name; None without one."""

    def beginning_with(self, prefix: str) -> list[str]:
        """The names that begin with a prefix."""


class TableSymbols:
    """The symbols in an ELF file's symbol table. In a module, addresses are offsets in sections."""

    def __init__(self, file: Elf, symbols: Symbols, linked: bool) -> None:
        self._file, self._symbols, self._linked = file, symbols, linked
        self._asked: dict[str, list[CodeSymbol]] = {}
        self._values_asked = 0

    def named(self, name: str) -> list[CodeSymbol]:
        """All symbols of a name."""
        known = self._asked.get(name)
        if known is not None:
            return known
        many = len(self._asked) >= _FEW_NAMES
        numbers = self._by_name.get(name, ()) if many else self._symbols.find_each(name)
        found = [self._symbol(number) for number in numbers if self._counts(number)]
        if found or not many:
            self._asked[name] = found
        return found

    def address(self, name: str) -> int | None:
        """The address of the first symbol of a name; None without one."""
        return next((one.address for one in self.named(name)), None)

    def beginning_with(self, prefix: str) -> list[str]:
        """The names that begin with a prefix."""
        return [name for name in self._by_name if name.startswith(prefix)]

    def at(self, address: int) -> CodeSymbol | None:
        """The symbol that covers an address of a kernel."""
        values = self._sorted(0)
        upto = bisect_right(values, address)
        for at in range(upto - 1, max(-1, upto - _MOST_ALIASES), -1):
            if at and values[at - 1] == values[at]:
                continue
            numbers = self._at_value(values[at])
            if numbers:
                found = self._symbol(min(numbers, key=self._rank))
                return None if found.last and address >= found.address + max(found.sizes, default=1) else found
        return None

    @cached_property
    def _by_name(self) -> dict[str, list[int]]:
        found: dict[str, list[int]] = {}
        for number, name in enumerate(self._symbols.names(range(len(self._symbols)))):
            found.setdefault(name, []).append(number)
        return found

    @cached_property
    def _by_value(self) -> dict[int, list[int]]:
        found: dict[int, list[int]] = {}
        for number, value in enumerate(self._symbols.values):
            found.setdefault(value, []).append(number)
        return found

    @cached_property
    def _tables(self) -> dict[int, Sequence[int]]:
        return {}

    def _sorted(self, section: int) -> Sequence[int]:
        """The values of the symbols of a section, sorted; in a kernel, of all."""
        if section not in self._tables:
            rows = zip(self._symbols.values, self._symbols.sections, strict=True)
            self._tables[section] = sorted(
                self._symbols.values if self._linked else [value for value, own in rows if own == section]
            )
        return self._tables[section]

    def _at_value(self, value: int, section: int = 0) -> list[int]:
        """The numbers of the symbols at an address."""
        self._values_asked += 1
        few = self._values_asked < _FEW_VALUES
        found = self._symbols.with_value(value) if few else self._by_value.get(value, [])
        return [one for one in found if self._counts(one) and (self._linked or self._symbols.sections[one] == section)]

    def _rank(self, number: int) -> tuple[bool, bool, int, str]:
        """The order in kallsyms of symbols at one address. Source: scripts/kallsyms.c, compare_symbols(); nm -n."""
        name, weak = self._symbols.name(number), self._symbols.infos[number] >> 4 == STB_WEAK
        weak = weak or _DOLLAR in name  # mapping symbols, which some versions list
        return weak, _PROVIDED.match(name) is not None, len(name) - len(name.lstrip("_")), name

    def _counts(self, number: int) -> bool:
        """Whether kallsyms has a symbol: not the mapping symbols, and none of sections and files."""
        symbols = self._symbols
        if symbols.infos[number] & 15 in (STT_SECTION, STT_FILE) or not 0 < symbols.sections[number] < SHN_LORESERVE:
            return False
        name = symbols.name(number)
        return bool(name) and name[0] != _DOLLAR and not name.startswith(_NOT_LISTED)

    def _symbol(self, number: int) -> CodeSymbol:
        symbols = self._symbols
        value, section = symbols.values[number], 0 if self._linked else symbols.sections[number]
        after = self._next(value, section)
        distance = 0 if after is None else after - value
        sizes = tuple(size for size in (symbols.sizes[number], distance) if size)
        return CodeSymbol(symbols.name(number), section, value, sizes, after is None)

    def _next(self, value: int, section: int) -> int | None:
        """The address of the next symbol; None after the last."""
        values = self._sorted(section)
        for at in range(bisect_right(values, value), len(values)):
            if values[at] != values[at - 1] and self._at_value(values[at], section):
                return values[at]
        return None


class KallsymsSymbols:
    """The symbols in an Image. Without a known start, addresses are offsets from its first byte."""

    def __init__(self, found: "ImageSymbols") -> None:
        self._names, self._offsets, self._start = found.names, found.offsets, found.start or 0
        self._searches = 0

    def named(self, name: str) -> list[CodeSymbol]:
        """All symbols of a name."""
        return [self._symbol(number) for number in self._numbers(name)]

    def address(self, name: str) -> int | None:
        """The address of the first symbol of a name; None without one."""
        return next((self._offsets[number] + self._start for number in self._numbers(name)), None)

    def beginning_with(self, prefix: str) -> list[str]:
        """The names that begin with a prefix."""
        return [name for name in self._by_name if name.startswith(prefix)]

    def at(self, address: int) -> CodeSymbol | None:
        """The symbol that covers an address."""
        offset = address - self._start
        upto = bisect_right(self._offsets, offset)
        if not upto:
            return None
        number = upto - 1
        while number and self._offsets[number - 1] == self._offsets[number]:
            number -= 1
        found = self._symbol(number)
        return None if found.last and offset > self._offsets[number] else found

    def _numbers(self, name: str) -> list[int]:
        self._searches += 1
        if self._searches > _FEW_NAMES:
            return self._by_name.get(name, [])
        found: list[int] = []
        with suppress(ValueError):
            while True:
                found.append(self._names.index(name, found[-1] + 1 if found else 0))
        return found

    @cached_property
    def _by_name(self) -> dict[str, list[int]]:
        found: dict[str, list[int]] = {}
        for number, name in enumerate(self._names):
            found.setdefault(name, []).append(number)
        return found

    def _symbol(self, number: int) -> CodeSymbol:
        offset = self._offsets[number]
        after = bisect_right(self._offsets, offset)
        last = after == len(self._offsets)
        sizes = () if last else (self._offsets[after] - offset,)
        return CodeSymbol(self._names[number], 0, offset + self._start, sizes, last)
