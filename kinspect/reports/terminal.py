"""Text for a terminal: escaped names, human-readable sizes, columns, colour."""

import os
import re
from contextvars import ContextVar
from typing import TextIO

LONGEST = 4096
"""Characters of one name or line from a file that are printed."""
WHEN = ("auto", "always", "never")
"""The values of --color."""
COLOUR = ContextVar("COLOUR", default="auto")
"""The value of --color of the command that runs."""
_WIDTH, _NARROWEST, _WIDEST = 80, 40, 10_000
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
    return counted(size, "byte") + (f" ({human(size)})" if size >= 1024 else "")


def counted(number: int, noun: str, nouns: str = "") -> str:
    """A number with its noun: `1 byte`, `2 bytes`. `nouns` is an irregular plural."""
    return f"{number:,} {noun if number == 1 else nouns or noun + 's'}"


class Style:
    """How text is printed: with or without colour, and in how many columns; `width` is None where nothing is cut."""

    def __init__(self, on: bool, width: int | None = None, ellipsis: str = "…") -> None:
        self.on, self.width, self.ellipsis = on, width, ellipsis

    @classmethod
    def of(cls, stream: TextIO) -> "Style":
        """The style of a stream. Only a terminal has a width; files and pipes get all text, uncut."""
        try:
            "…█".encode(stream.encoding or "utf-8")
            ellipsis = "…"
        except (UnicodeError, LookupError):
            ellipsis = "..."
        return cls(_has_colour(stream), _terminal_width(stream), ellipsis)

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
        return self._in("1;32", text)

    def bad(self, text: str) -> str:
        """For a bad result."""
        return self._in("1;31", text)

    def warning(self, text: str) -> str:
        """For a warning."""
        return self._in("33", text)


def _has_colour(stream: TextIO) -> bool:
    """--color, then NO_COLOR, then FORCE_COLOR and CLICOLOR_FORCE, then CLICOLOR and TERM; else colour on a terminal.

    Source: no-color.org, force-color.org, bixense.com/clicolors.
    """
    if COLOUR.get() != "auto":
        return COLOUR.get() == "always"
    given = os.environ.get
    if given("NO_COLOR"):
        return False
    if any(given(name, "0") not in ("", "0") for name in ("FORCE_COLOR", "CLICOLOR_FORCE")):
        return True
    return given("CLICOLOR") != "0" and given("TERM") != "dumb" and stream.isatty()


def _terminal_width(stream: TextIO) -> int | None:
    """The columns of a terminal: COLUMNS, else what the terminal says; None if the stream is no terminal."""
    if not stream.isatty():
        return None
    try:
        columns = int(os.environ.get("COLUMNS", "")[:9])
    except ValueError:
        columns = 0
    if columns <= 0:
        try:
            columns = os.get_terminal_size(stream.fileno()).columns
        except (OSError, ValueError):
            columns = 0
    return min(max(columns or _WIDTH, _NARROWEST), _WIDEST)


def visible_width(text: str) -> int:
    """The columns that text takes on a terminal: none for colours and accents, two for a wide character."""
    if "\x1b" in text:
        text = re.sub(_COLOUR, "", text)
    if text.isascii():
        return len(text)
    from unicodedata import combining, east_asian_width

    return sum(0 if combining(one) else 2 if east_asian_width(one) in "WF" else 1 for one in text)
