"""The bytes that the rules of file(1) test, and how their output is put together. Part of the view in line.py."""

from typing import Literal

from kinspect.source import Source

MOST_BYTES = 7 << 20
"""As `file -P bytes`: no rule reads further, except for the tables of ELF files and the size at the end of gzip."""
MOST_TEXT = 64 << 10
"""As `file -P encoding`: a file counts as text if this part of it is text."""
_LONGEST_STRING = 127


class Beginning:
    """The first 7 MiB of a file, read only where a rule needs them."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.size = min(source.size, MOST_BYTES)
        self.head = source.head(MOST_TEXT)

    def at(self, offset: int, size: int) -> bytes:
        """The bytes at an offset; fewer than `size` at the end of the file."""
        end = min(offset + size, self.size)
        if end <= len(self.head) or end <= offset:
            return self.head[offset:end]
        return self.source.read(offset, end - offset)

    def number(self, offset: int, size: int, order: Literal["little", "big"] = "little", base: int = 0) -> int:
        """An unsigned number of `size` bytes; -1, which matches no rule, if the file ends before its last byte.

        For rules that another one applies at `base`, file checks the offset without `base` against the size. They may
        thus read past the end, where it sees zeros.
        """
        data = self.at(base + offset, size)
        if base and offset + size <= self.size:
            data = data.ljust(size, b"\0")
        return int.from_bytes(data, order) if len(data) == size else -1

    def string(self, offset: int, line: bool = True) -> str:
        """At most 127 bytes up to a NUL; only up to the end of the line if `line`."""
        data = self.at(offset, _LONGEST_STRING)
        return printable(data.replace(b"\n", b"\r").split(b"\r", 1)[0] if line else data)


def phrase(*parts: str) -> str:
    """The parts that are not empty, joined by blanks; no blank before a backspace at the start of a part (magic(5))."""
    return " ".join(filter(None, parts)).replace(" \b", "")


def printable(data: bytes) -> str:
    """The bytes up to a NUL; all but printable ASCII in octal, such as `\\033`."""
    return "".join(chr(byte) if 0x20 <= byte < 0x7F else f"\\{byte:03o}" for byte in data.split(b"\0", 1)[0])


def signed(number: int, bits: int) -> int:
    """A number as C reads it in a signed type of this many bits."""
    number &= (1 << bits) - 1
    return number - (1 << bits) if number >> (bits - 1) else number
