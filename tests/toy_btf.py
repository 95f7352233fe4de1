"""BTF, type by type."""

from collections.abc import Iterable
from struct import pack

from kinspect.artifacts.btf.table import Btf
from kinspect.schemas import btf
from kinspect.source import Source


class ToyBtf:
    """Types are added in order; each method returns the id. The ids and strings of a `base` come first."""

    def __init__(self, base: "ToyBtf | None" = None) -> None:
        self.base = base
        self.types = b""
        self.strings = b"" if base else b"\0"
        self.first: int = base.end if base else 1
        self.end: int = self.first

    @property
    def _text_start(self) -> int:
        return self.base._text_start + len(self.base.strings) if self.base else 0

    def name(self, text: str) -> int:
        """The offset of a string."""
        if not text:
            return 0
        self.strings += text.encode() + b"\0"
        return self._text_start + len(self.strings) - len(text) - 1

    def add(
        self, kind: int, name: str = "", third: int = 0, words: Iterable[int] = (), vlen: int = 0, flag: int = 0
    ) -> int:
        """A type of any kind, with the words that follow it."""
        self.types += pack("<III", self.name(name), flag << 31 | kind << 24 | vlen, third)
        self.types += b"".join(pack("<I", word & 0xFFFFFFFF) for word in words)
        self.end += 1
        return self.end - 1

    def integer(self, name: str, size: int = 4, encoding: int = 0) -> int:
        return self.add(btf.INT, name, size, [encoding << 24 | 8 * size])

    def pointer(self, target: int) -> int:
        return self.add(btf.PTR, third=target)

    def array(self, element: int, count: int, index: int = 1) -> int:
        return self.add(btf.ARRAY, words=[element, index, count])

    def struct(self, name: str, size: int, members: Iterable[tuple[str, int, int]], kind: int = btf.STRUCT) -> int:
        """Members are name, type and offset in bits."""
        rows = [(self.name(text), number, offset) for text, number, offset in members]
        return self.add(kind, name, size, [word for row in rows for word in row], len(rows))

    def bitfields(self, name: str, size: int, members: Iterable[tuple[str, int, int, int]]) -> int:
        """A struct whose members are name, type, offset in bits and size in bits (0: not a bitfield)."""
        rows = [(self.name(text), number, bits << 24 | offset) for text, number, offset, bits in members]
        return self.add(btf.STRUCT, name, size, [word for row in rows for word in row], len(rows), 1)

    def enum(self, name: str, values: Iterable[tuple[str, int]]) -> int:
        rows = [(self.name(text), value) for text, value in values]
        return self.add(btf.ENUM, name, 4, [word for row in rows for word in row], len(rows))

    def prototype(self, result: int, parameters: Iterable[tuple[str, int]] = ()) -> int:
        rows = [(self.name(text), number) for text, number in parameters]
        return self.add(btf.FUNC_PROTO, "", result, [word for row in rows for word in row], len(rows))

    def function(self, name: str, result: int, parameters: Iterable[tuple[str, int]] = ()) -> int:
        prototype = self.prototype(result, parameters)
        return self.add(btf.FUNC, name, prototype)

    @property
    def data(self) -> bytes:
        """The bytes."""
        header = pack("<HBBIIIII", 0xEB9F, 1, 0, 24, 0, len(self.types), len(self.types), len(self.strings))
        return header + self.types + self.strings

    @property
    def btf(self) -> Btf:
        """The artifact."""
        return Btf(Source("toy.btf", self.data), self.base.btf if self.base else None)
