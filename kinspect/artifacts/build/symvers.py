"""Module.symvers: every export of a kernel build, with its CRC, module, licence and namespace.

A broken line is kept with its number for the checks and does not hide the others.
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
"""The module column of what the kernel itself exports."""
GPL_TYPES = frozenset({"EXPORT_SYMBOL_GPL", "EXPORT_UNUSED_SYMBOL_GPL"})
TYPES = GPL_TYPES | {"EXPORT_SYMBOL", "EXPORT_SYMBOL_GPL_FUTURE", "EXPORT_UNUSED_SYMBOL"}
"""Kernels since 5.12 write only EXPORT_SYMBOL and EXPORT_SYMBOL_GPL."""
UNKNOWN_TYPE = "(unknown)"
"""What modpost up to 5.5 wrote when it did not know the type."""
_FOLDERS = frozenset(
    {"arch", "block", "certs", "crypto", "drivers", "fs", "init", "io_uring", "ipc", "kernel", "lib", "mm", "net"}
    | {"rust", "samples", "security", "sound", "tools", "usr", "virt"}
)
"""The folders of the kernel's sources that have modules."""
LARGEST = 64 << 20
LONGEST_LINE = 1 << 20
MOST_LINES = 1 << 18
"""The largest file of a distribution has 2.4 MB in 31,174 lines."""
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
"""The columns of CRC, name, module, type and namespace."""


class SymversRows(NamedTuple):
    """The columns of the lines that are whole; all have the same length.

    `crcs` has None where the field is not a CRC. `numbers` are the line numbers, counted from 1.
    """

    numbers: Sequence[int]
    crcs: Sequence[int | None]
    names: list[str]
    modules: list[str]
    types: list[str]
    namespaces: list[str]


class BrokenLine(NamedTuple):
    """A line with another number of fields than the layout has; `number` is counted from 1."""

    number: int
    fields: tuple[str, ...]


class SymversFacts(NamedTuple):
    """The contents of a Module.symvers. `size` in bytes; types and namespaces with the number of their exports.

    `versions` counts the exports whose CRC is not zero, `modules` the modules that export, without the kernel.
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

    Text is decoded one character per byte, as names in ELF files are: bytes that are not ASCII become surrogates.
    Source: scripts/mod/modpost.c, write_dump and read_dump.
    """

    kind = "a Module.symvers"
    hint = "`kinspect symvers` checks it"
    from_kernel = False
    """Whether it was made from the exports of a kernel, and not read from a file."""

    @cached_property
    def data(self) -> bytes:
        """The bytes of the file.

        MalformedError when a line is longer than 1 MiB, UnsupportedError over 64 MiB or 2^18 lines.
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
            self._check_limit("bytes", start, LARGEST)
            self._check_limit("lines", number, MOST_LINES)
        return b"".join(parts)

    def _check_limit(self, unit: str, count: int, most: int) -> None:
        if count > most:
            raise UnsupportedError(
                "too large for a Module.symvers", self.at(), expected=f"at most {most:,} {unit}", actual=f"{count:,}"
            )

    def line(self, number: int, part: str = "") -> Location:
        """The location of a line, counted from 1."""
        return Location(self.path, part, None, number)

    @cached_property
    def lines(self) -> list[str]:
        """The lines without their line ends. Raises as `data` does."""
        lines = self.data.replace(b"\r\n", b"\n").decode("ascii", "surrogateescape").split("\n")
        if not lines[-1]:
            lines.pop()
        return lines

    @cached_property
    def layout(self) -> Layout:
        """The layout of most lines; the current one for an empty file. Raises as `data` does."""
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
        """All fields of the lines that have `count` of them, in one list."""
        lines, tabs = self.lines, self._tabs
        if tabs.count(count - 1) < len(tabs):
            lines = [line for line, found in zip(lines, tabs, strict=True) if found == count - 1]
        return "\t".join(lines).split("\t") if lines else []

    @cached_property
    def rows(self) -> SymversRows:
        """The lines that are whole. Raises as `data` does."""
        order = _ORDERS[self.layout]
        count = len(order)
        fields = self._fields(count)
        numbers: Sequence[int] = range(1, len(self.lines) + 1)
        if self.broken:
            numbers = [number for number, tabs in enumerate(self._tabs, start=1) if tabs == count - 1]
        crcs, names, modules, types = (fields[field::count] for field in order[:4])
        namespaces = fields[order[4] :: count] if count == 5 else [""] * len(numbers)
        return SymversRows(numbers, _numbers(crcs), names, modules, types, namespaces)

    @property
    def crc_texts(self) -> list[str]:
        """The first field of each row, as written."""
        count = len(_ORDERS[self.layout])
        return self._fields(count)[::count]

    @cached_property
    def broken(self) -> tuple[BrokenLine, ...]:
        """The lines that do not have as many fields as the layout."""
        expected = len(_ORDERS[self.layout]) - 1
        if self._tabs.count(expected) == len(self._tabs):
            return ()
        lines = enumerate(zip(self.lines, self._tabs, strict=True), start=1)
        return tuple(
            BrokenLine(number, tuple(line.split("\t", 9))) for number, (line, tabs) in lines if tabs != expected
        )

    @cached_property
    def index(self) -> dict[str, int]:
        """The row of each name; the first where a name repeats."""
        names = self.rows.names
        return dict(zip(reversed(names), range(len(names) - 1, -1, -1), strict=True))

    def number_of(self, name: str) -> int:
        """The number of the line that exports a name, counted from 1; 0 if it was not read from a file."""
        return 0 if self.from_kernel else self.rows.numbers[self.index[name]]

    @cached_property
    def gpl(self) -> list[bool]:
        """For each row, whether only modules under the GPL may use the export."""
        return list(map(GPL_TYPES.__contains__, self.rows.types))

    @property
    def known_types(self) -> frozenset[str]:
        """The types that may occur in a file of this layout."""
        return TYPES if self.layout == Layout.NAMESPACE_LAST else TYPES | {UNKNOWN_TYPE}

    @cached_property
    def versioned(self) -> bool:
        """Whether the kernel was built with CONFIG_MODVERSIONS: without it every CRC is zero."""
        return any(self.rows.crcs)

    @cached_property
    def external(self) -> bool:
        """Whether it is the file of modules built outside the kernel's sources (M=): it lists their exports alone.

        Their paths are absolute up to 6.12, then relative to M=; those of the kernel's own modules begin with a folder
        of the kernel's.
        """
        modules = {module for module in self.rows.modules if module}
        return KERNEL not in modules and any(module.split("/", 1)[0] not in _FOLDERS for module in modules)

    @property
    def unprintable(self) -> list[int]:
        """The numbers of the lines with a character other than printable ASCII."""
        if not self.data.replace(b"\r\n", b"\n").translate(None, _PLAIN):
            return []
        texts = ((number, line.replace("\t", "")) for number, line in enumerate(self.lines, start=1))
        return [number for number, text in texts if not (text.isascii() and text.isprintable())]

    @property
    def facts(self) -> SymversFacts:
        """The contents in numbers. Raises as `data` does."""
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
    """CRCs as numbers: all at once when all are `0x` and 8 digits, else one at a time; None for other text."""
    joined = "".join(texts)
    digits = joined.replace("0x", "")
    if set(map(len, texts)) == {10} and joined[1::10] == "x" * len(texts) and len(digits) == 8 * len(texts):
        try:
            return unpack(f">{len(texts)}I", unhexlify(digits))
        except ValueError:
            pass  # one has a character that is not a digit, which the next line finds
    return [int(text, 16) if is_crc(text) else None for text in texts]


def is_crc(text: str) -> bool:
    """Whether a text is `0x` and 8 hexadecimal digits."""
    return len(text) == 10 and text.startswith("0x") and _HEX.issuperset(text[2:])
