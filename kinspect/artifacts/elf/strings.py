"""Names in a block of NUL-terminated strings."""

from collections.abc import Iterable
from functools import cached_property

LONGEST_NAME = 1024
"""Limit of a name in bytes, twice KSYM_NAME_LEN. Without it, every symbol could have a name of megabytes."""
_SHOWN = 256
"""Bytes of a longer one."""


class StringTable:
    """NUL-terminated names in one block. Neither the offsets of names nor their ends are trusted."""

    def __init__(self, data: bytes) -> None:
        self.data = data

    @cached_property
    def _text(self) -> str:
        # One character per byte: offsets in the bytes are offsets in the text.
        return self.data.decode("ascii", "surrogateescape")

    def all_at(self, offsets: Iterable[int]) -> list[str]:
        """The names at some offsets."""
        text, size, most = self._text, len(self.data), LONGEST_NAME
        find = text.find
        return [
            text[offset:end] if offset < size and (end := find("\0", offset, offset + most)) >= 0 else self[offset]
            for offset in offsets
        ]

    def name_at(self, offset: int) -> bytes:
        """The bytes of the name at an offset below the end."""
        end = self.data.find(b"\0", offset, offset + LONGEST_NAME)
        return self.data[offset:end] if end >= 0 else self.data[offset : offset + _SHOWN] + b"<unterminated>"

    def __getitem__(self, offset: int) -> str:
        if offset >= len(self.data):
            return f"<corrupt {offset:#x}>"
        end = self._text.find("\0", offset, offset + LONGEST_NAME)
        return self._text[offset:end] if end >= 0 else self._text[offset : offset + _SHOWN] + "<unterminated>"
