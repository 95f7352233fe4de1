"""Text for a terminal: escaped names, human-readable sizes, columns, colour."""

import os
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import TextIO

LONGEST = 4096
"""Characters of one name or line from a file that are printed."""
_COLOUR = "\x1b\\[[0-9;]*m"
_BIDI = {*range(0x202A, 0x202F), *range(0x2066, 0x206A), 0x200E, 0x200F, 0x061C}


def escaped(text: str) -> str:
    """Text from a file, safe for a terminal: control, direction and undecodable characters become `\\x1b`.

    Very long text is cut in the middle. `::` at the start and `##[` are escaped too: GitHub's runner would take them
    for commands.
    """
    if len(text) > LONGEST:
        half = LONGEST // 2
        text = f"{text[:half]}... ({len(text):,} characters) ...{text[-half:]}"
    if not (text.isascii() and text.isprintable()):
        text = "".join(_escape(character) for character in text)
    if "::" in text and text.lstrip().startswith("::"):
        text = text.replace("::", "\\x3a:", 1)
    return text.replace("##[", "##\\x5b") if "##[" in text else text


def _escape(character: str) -> str:
    code = ord(character)
    if 0xDC80 <= code <= 0xDCFF:  # a byte that is not UTF-8, as surrogateescape keeps it
        return f"\\x{code - 0xDC00:02x}"
    if character.isprintable() and code not in _BIDI:
        return character
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"


def human(size: int) -> str:
    """A size in bytes with a binary unit: `26.0 MiB`."""
    if size < 1024:
        return f"{size} B"
    value, units = size / 1024, iter(("KiB", "MiB", "GiB", "TiB"))
    unit = next(units)
    while value >= 1023.95 and unit != "TiB":
        value, unit = value / 1024, next(units)
    return f"{value:.1f} {unit}"


def exact(size: int) -> str:
    """A size in bytes, and with a unit: `27,234,816 bytes (26.0 MiB)`."""
    return f"{size:,} bytes" + (f" ({human(size)})" if size >= 1024 else "")


def counted(number: int, noun: str, nouns: str = "") -> str:
    """A number with its noun: `1 byte`, `2 bytes`. `nouns` is an irregular plural."""
    return f"{number:,} {noun if number == 1 else nouns or noun + 's'}"


class Style:
    """Coloured text; plain text when colour is off."""

    def __init__(self, on: bool) -> None:
        self.on = on

    @classmethod
    def of(cls, stream: TextIO) -> "Style":
        """Colour on a terminal, and never with NO_COLOR set or TERM=dumb."""
        wanted = not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
        return cls(wanted and stream.isatty())

    def _in(self, code: str, text: str) -> str:
        return f"\x1b[{code}m{text}\x1b[0m" if self.on and text else text

    def bold(self, text: str) -> str:
        """For the subject of a section."""
        return self._in("1", text)

    def dim(self, text: str) -> str:
        """For explanations."""
        return self._in("2", text)

    def good(self, text: str) -> str:
        """For a good result."""
        return self._in("32", text)

    def bad(self, text: str) -> str:
        """For a bad result."""
        return self._in("1;31", text)

    def warning(self, text: str) -> str:
        """For a warning."""
        return self._in("33", text)


def columns(rows: Iterable[Sequence[str]], align: str, indent: str = "  ") -> Iterator[str]:
    """Rows as aligned columns, separated by two spaces. `align` has `<` or `>` for each column."""
    rows = list(rows)
    widths = [max((_width(row[column]) for row in rows), default=0) for column in range(len(align))]
    for row in rows:
        cells = (_padded(cell, width, side) for cell, width, side in zip(row, widths, align, strict=True))
        yield (indent + "  ".join(cells)).rstrip()


def titled(style: Style, head: Sequence[str], rows: Iterable[Sequence[str]], align: str) -> Iterator[str]:
    """Columns under a dim line of titles."""
    lines = columns([head, *rows], align)
    yield style.dim(next(lines))
    yield from lines


def _width(text: str) -> int:
    return len(text) if "\x1b" not in text else len(re.sub(_COLOUR, "", text))


def _padded(text: str, width: int, side: str) -> str:
    blanks = " " * (width - _width(text))
    return blanks + text if side == ">" else text + blanks
