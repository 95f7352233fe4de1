"""Module.symvers: every export of a kernel build, with its version, its module, its licence and its namespace.

A line is data: one that is broken is kept with its number for the checks, and never stops the rest.
"""

from binascii import unhexlify
from collections import Counter
from collections.abc import Sequence
from enum import StrEnum
from functools import cached_property
from itertools import repeat
from struct import unpack
from typing import NamedTuple

from kinspect.artifacts.artifact import Artifact
from kinspect.errors import Location, MalformedError, UnsupportedError

KERNEL = "vmlinux"
"""The module of what the kernel itself exports."""
GPL_TYPES = frozenset({"EXPORT_SYMBOL_GPL", "EXPORT_UNUSED_SYMBOL_GPL"})
TYPES = GPL_TYPES | {"EXPORT_SYMBOL", "EXPORT_SYMBOL_GPL_FUTURE", "EXPORT_UNUSED_SYMBOL"}
"""Since 5.12 only EXPORT_SYMBOL and EXPORT_SYMBOL_GPL are written."""
UNKNOWN_TYPE = "(unknown)"
"""What modpost wrote up to 5.5 where it could not tell."""
LARGEST = 64 << 20
LONGEST_LINE = 1 << 20
MOST_LINES = 1 << 18
"""The largest of a distribution's kernels has 2.4 MB in 31,174 lines."""
_PLAIN = bytes(range(0x20, 0x7F)) + b"\t\n"
_HEX = frozenset("0123456789abcdefABCDEF")


class Layout(StrEnum):
    """The columns of a file."""

    NAMESPACE_LAST = "namespace last"  # since 5.6
    NAMESPACE_THIRD = "namespace third"  # 5.4 and 5.5
    NO_NAMESPACE = "no namespace"  # up to 5.3


_ORDERS = {
    Layout.NAMESPACE_LAST: (0, 1, 2, 3, 4),
    Layout.NAMESPACE_THIRD: (0, 1, 3, 4, 2),
    Layout.NO_NAMESPACE: (0, 1, 2, 3),
}
"""Where CRC, name, module, type and namespace stand in a line."""


class SymversRows(NamedTuple):
    """The columns of the lines that have all their fields, by index; all have the same length.

    `crcs` has None where the field is no CRC. `numbers` are the lines, counted from 1.
    """

    numbers: Sequence[int]
    crcs: Sequence[int | None]
    names: list[str]
    modules: list[str]
    types: list[str]
    namespaces: list[str]


class BrokenLine(NamedTuple):
    """A line that does not have the number of fields that the others have."""

    number: int
    fields: tuple[str, ...]


class SymversFacts(NamedTuple):
    """What a Module.symvers says. `size` in bytes; types and namespaces with the number of their exports.

    `versions` counts the exports whose CRC is not zero, `modules` those modules that export; the kernel is none.
    """

    path: str
    size: int
    layout: Layout
    exports: int
    kernel_exports: int
    modules: int
    versions: int
    types: tuple[tuple[str, int], ...]
    namespaces: tuple[tuple[str, int], ...]
    broken_lines: int


class Symvers(Artifact):
    """A `Module.symvers`, in the layout of any kernel since 4.x.

    Text is decoded a character a byte, as names in ELF files are: what is no ASCII is kept as surrogates.
    Source: scripts/mod/modpost.c, write_dump and read_dump.
    """

    kind = "a Module.symvers"

    @cached_property
    def data(self) -> bytes:
        """The bytes of the file.

        MalformedError when a line is longer than 1 MiB, UnsupportedError when the file is too large for any kernel's.
        """
        parts: list[bytes] = []
        start = line = number = 0
        while start < self.size:
            part = self.source.read(start, min(LONGEST_LINE, self.size - start))
            end = part.find(b"\n")
            line += end if end >= 0 else len(part)
            if line > LONGEST_LINE:
                at, expected = self.line(number + 1), f"at most {LONGEST_LINE:,} bytes"
                raise MalformedError("a line is too long", at, expected=expected)
            number += part.count(b"\n")
            if end >= 0:
                line = len(part) - part.rfind(b"\n") - 1
            start += len(part)
            parts.append(part)
            self._within("bytes", start, LARGEST)
            self._within("lines", number, MOST_LINES)
        return b"".join(parts)

    def _within(self, what: str, count: int, most: int) -> None:
        if count > most:
            raise UnsupportedError(
                "too large for a Module.symvers", self.at(), expected=f"at most {most:,} {what}", actual=f"{count:,}"
            )

    def line(self, number: int, part: str = "") -> Location:
        """The place of a line, counted from 1."""
        return Location(self.path, part, None, number)

    @cached_property
    def lines(self) -> list[str]:
        """The lines without their ends."""
        lines = self.data.replace(b"\r\n", b"\n").decode("ascii", "surrogateescape").split("\n")
        if not lines[-1]:
            lines.pop()
        return lines

    @cached_property
    def layout(self) -> Layout:
        """The layout of most lines; today's when there are none."""
        four, five = (self._tabs.count(tabs) for tabs in (3, 4))
        if four > five:
            return Layout.NO_NAMESPACE
        fields = self._fields(5)
        last, third = (sum(map(TYPES.__contains__, fields[column::5])) for column in (3, 4))
        return Layout.NAMESPACE_THIRD if third > last else Layout.NAMESPACE_LAST

    @cached_property
    def _tabs(self) -> list[int]:
        return list(map(str.count, self.lines, repeat("\t")))

    def _fields(self, count: int) -> list[str]:
        """All fields of the lines that have so many."""
        lines, tabs = self.lines, self._tabs
        if tabs.count(count - 1) < len(tabs):
            lines = [line for line, found in zip(lines, tabs, strict=True) if found == count - 1]
        return "\t".join(lines).split("\t") if lines else []

    @cached_property
    def rows(self) -> SymversRows:
        """The lines that have all their fields. Raises as `data` does."""
        order = _ORDERS[self.layout]
        count = len(order)
        fields = self._fields(count)
        numbers: Sequence[int] = range(1, len(self.lines) + 1)
        if self.broken:
            numbers = [number for number, tabs in enumerate(self._tabs, start=1) if tabs == count - 1]
        crcs, names, modules, types = (fields[place::count] for place in order[:4])
        namespaces = fields[order[4] :: count] if count == 5 else [""] * len(numbers)
        return SymversRows(numbers, _numbers(crcs), names, modules, types, namespaces)

    @property
    def crc_texts(self) -> list[str]:
        """The first field of each row as it stands."""
        count = len(_ORDERS[self.layout])
        return self._fields(count)[::count]

    @cached_property
    def broken(self) -> tuple[BrokenLine, ...]:
        """The lines that do not have the number of fields that the layout asks for."""
        wanted = len(_ORDERS[self.layout]) - 1
        if self._tabs.count(wanted) == len(self._tabs):
            return ()
        found = enumerate(zip(self.lines, self._tabs, strict=True), start=1)
        return tuple(BrokenLine(number, tuple(line.split("\t", 9))) for number, (line, tabs) in found if tabs != wanted)

    @cached_property
    def index(self) -> dict[str, int]:
        """The row of each name; the first where it is there twice."""
        names = self.rows.names
        return dict(zip(reversed(names), range(len(names) - 1, -1, -1), strict=True))

    @cached_property
    def gpl(self) -> list[bool]:
        """Of each row, whether only modules under the GPL may use it."""
        return list(map(GPL_TYPES.__contains__, self.rows.types))

    @property
    def known_types(self) -> frozenset[str]:
        """The types that a file of this layout may have."""
        return TYPES if self.layout == Layout.NAMESPACE_LAST else TYPES | {UNKNOWN_TYPE}

    @property
    def versioned(self) -> bool:
        """Whether the kernel was built with MODVERSIONS: without it every CRC is zero."""
        return any(self.rows.crcs)

    @property
    def unprintable(self) -> list[int]:
        """The numbers of the lines with a character that is no printable ASCII."""
        if not self.data.replace(b"\r\n", b"\n").translate(None, _PLAIN):
            return []
        texts = ((number, line.replace("\t", "")) for number, line in enumerate(self.lines, start=1))
        return [number for number, text in texts if not (text.isascii() and text.isprintable())]

    @property
    def facts(self) -> SymversFacts:
        """What the file says, in numbers."""
        rows = self.rows
        modules = Counter(rows.modules)
        return SymversFacts(
            self.path,
            self.size,
            self.layout,
            len(rows.names),
            modules.pop(KERNEL, 0),
            len(modules),
            len(rows.crcs) - rows.crcs.count(0) - rows.crcs.count(None),
            tuple(Counter(rows.types).most_common()),
            tuple(Counter(filter(None, rows.namespaces)).most_common()),
            len(self.broken),
        )


def _numbers(texts: list[str]) -> Sequence[int | None]:
    """CRCs as numbers: all at once when all are `0x` and 8 digits, else one by one."""
    joined = "".join(texts)
    digits = joined.replace("0x", "")
    if set(map(len, texts)) == {10} and joined[1::10] == "x" * len(texts) and len(digits) == 8 * len(texts):
        try:
            return unpack(f">{len(texts)}I", unhexlify(digits))
        except ValueError:
            pass  # one of them has another character, which the next line finds
    return [int(text, 16) if is_crc(text) else None for text in texts]


def is_crc(text: str) -> bool:
    """Whether a text is `0x` and 8 hexadecimal digits."""
    return len(text) == 10 and text.startswith("0x") and _HEX.issuperset(text[2:])
