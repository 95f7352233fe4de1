"""What the rules of file(1) look at, and how they speak. Part of the view in file_line.py."""

from typing import Literal

from kinspect.source import Source

MOST_BYTES = 7 << 20
"""As `file -P bytes`: no rule looks further, but ELF reads its tables and gzip its last bytes where they lie."""
MOST_TEXT = 64 << 10
"""As `file -P encoding`: what must be text for a file to be text."""
LONGEST_STRING = 127


class Beginning:
    """The first 7 MiB of a file, read only where a rule looks. A number past the end is None, a string shorter."""

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

    def number(self, offset: int, size: int, order: Literal["little", "big"] = "little", mask: int = -1) -> int | None:
        """An unsigned number of `size` bytes, or the bits of it in `mask`."""
        data = self.at(offset, size)
        return int.from_bytes(data, order) & mask if len(data) == size else None

    def string(self, offset: int) -> str:
        """A string up to its NUL or line end, at most 127 bytes, printable."""
        return printable(self.at(offset, LONGEST_STRING).replace(b"\n", b"\r").split(b"\r", 1)[0])


def phrase(*words: str | None) -> str:
    """Words with blanks between; a word that begins with a backspace clings to the one before, as in magic(5)."""
    return " ".join(word for word in words if word is not None).replace(" \b", "")


def printable(data: bytes) -> str:
    """The bytes up to a NUL; what is not printable ASCII in octal, as `\\033`."""
    return "".join(chr(byte) if 0x20 <= byte < 0x7F else f"\\{byte:03o}" for byte in data.split(b"\0", 1)[0])


def signed(number: int, bits: int) -> int:
    """An unsigned number as C reads it in a signed type of so many bits."""
    number &= (1 << bits) - 1
    return number - (1 << bits) if number >> (bits - 1) else number
