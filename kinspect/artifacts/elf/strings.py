"""Names in a block of NUL-terminated strings."""

LONGEST_NAME = 1024
"""Of a name in bytes: twice KSYM_NAME_LEN. Without a limit every symbol could name all the megabytes after it."""


class StringTable:
    """NUL-terminated names in one block. Nothing in it is trusted to end or to begin where another table says."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        # One character for each byte, so that an offset in bytes is an offset in the text.
        self._text = data.decode("ascii", "surrogateescape")

    def __getitem__(self, offset: int) -> str:
        if offset >= len(self.data):
            return f"<corrupt {offset:#x}>"
        end = self._text.find("\0", offset, offset + LONGEST_NAME)
        return self._text[offset:end] if end >= 0 else self._text[offset : offset + 256] + "<unterminated>"
