"""What the rules of file(1) look at, and how they speak. Part of the view in file_line.py."""

from typing import Literal

from kinspect.source import Source

MOST_BYTES = 7 << 20
"""As `file -P bytes`: no rule looks further, but ELF and gzip go where their tables and sizes lie."""
MOST_TEXT = 64 << 10
"""As `file -P encoding`: the part of a file that must be text for it to be text."""
_LONGEST_STRING = 127


class Beginning:
    """The first 7 MiB of a file, read only where a rule looks."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.size = min(source.size, MOST_BYTES)
        self.head = source.head(MOST_TEXT)

    def at(self, offset: int, size: int) -> bytes:
        """The bytes at an offset, as far as there are any."""
        end = min(offset + size, self.size)
        if end <= len(self.head) or end <= offset:
            return self.head[offset:end]
        return self.source.read(offset, end - offset)

    def number(self, offset: int, size: int, order: Literal["little", "big"] = "little", base: int = 0) -> int:
        """An unsigned number of `size` bytes; -1, which no rule looks for, when the file ends before its last.

        A rule that another one uses at `base` is held to the size of the file as if it stood at its start. So it
        may look past the end, where all is zero.
        """
        data = self.at(base + offset, size)
        if base and offset + size <= self.size:
            data = data.ljust(size, b"\0")
        return int.from_bytes(data, order) if len(data) == size else -1

    def string(self, offset: int, line: bool = True) -> str:
        """At most 127 bytes up to a NUL, of the first `line` if the rule wants no more."""
        data = self.at(offset, _LONGEST_STRING)
        return printable(data.replace(b"\n", b"\r").split(b"\r", 1)[0] if line else data)


def phrase(*words: str) -> str:
    """The words that are not empty; those that begin with a backspace follow without a blank, as in magic(5)."""
    return " ".join(filter(None, words)).replace(" \b", "")


def printable(data: bytes) -> str:
    """The bytes up to a NUL; whatever is not printable ASCII in octal, as `\\033`."""
    return "".join(chr(byte) if 0x20 <= byte < 0x7F else f"\\{byte:03o}" for byte in data.split(b"\0", 1)[0])


def signed(number: int, bits: int) -> int:
    """A number as C reads it in a signed type of so many bits."""
    number &= (1 << bits) - 1
    return number - (1 << bits) if number >> (bits - 1) else number
