"""DER, the encoding of signatures and certificates: each element has a tag, a length and contents.

Elements are read in place, each checked against the end of the one around it. Lengths are definite, as DER requires.
Source: ITU-T X.690, sections 8 and 10.
"""

from kinspect.errors import Location, MalformedError

INTEGER, BITS, OCTETS, OBJECT, SEQUENCE, SET = 0x02, 0x03, 0x04, 0x06, 0x30, 0x31
IN_0, IN_3 = 0xA0, 0xA3
"""Constructed, context-specific tags 0 and 3."""


class Der:
    """The elements between two offsets of some bytes, read in order; `form` names the format in errors."""

    __slots__ = ("data", "end", "file", "form", "offset")

    def __init__(
        self, data: bytes, file: Location, form: str = "PKCS#7", offset: int = 0, end: int | None = None
    ) -> None:
        self.data, self.file, self.form, self.offset = data, file, form, offset
        self.end = len(data) if end is None else end

    @property
    def at_end(self) -> bool:
        return self.offset >= self.end

    def next_is(self, tag: int) -> bool:
        """Whether the next element has this tag."""
        return not self.at_end and self.data[self.offset] == tag

    def _bounds(self, part: str) -> tuple[int, int]:
        """Start and end of the contents of the next element."""
        start = self.offset + 2
        if start > self.end:
            raise self._wrong(part, "ends too early", expected="an element")
        length = self.data[start - 1]
        if length >= 0x80:
            count = length & 0x7F
            if not 1 <= count <= 4 or start + count > self.end:
                actual = "an indefinite length" if count == 0 else f"a length of {count} bytes"
                raise self._wrong(part, "has an invalid length", expected="a definite length", actual=actual)
            length = int.from_bytes(self.data[start : start + count], "big")
            start += count
        if start + length > self.end:
            expected = f"at most {self.end - start:,} bytes"
            raise self._wrong(part, "ends past its parent element", expected=expected, actual=f"{length:,}")
        return start, start + length

    def element(self, part: str) -> tuple[int, bytes]:
        """The tag and contents of the next element. This and all that follow raise MalformedError."""
        start, end = self._bounds(part)
        tag, self.offset = self.data[self.offset], end
        return tag, self.data[start:end]

    def _step(self, tag: int, part: str) -> tuple[int, int]:
        bounds = self._bounds(part)
        if self.data[self.offset] != tag:
            actual = f"{self.data[self.offset]:#04x}"
            raise self._wrong(part, "is missing", expected=f"the tag {tag:#04x}", actual=actual)
        self.offset = bounds[1]
        return bounds

    def inside(self, tag: int, part: str) -> "Der":
        """The elements inside the next one."""
        return Der(self.data, self.file, self.form, *self._step(tag, part))

    def whole(self, tag: int, part: str) -> bytes:
        """The next element with its tag and length."""
        start = self.offset
        self._step(tag, part)
        return self.data[start : self.offset]

    def contents(self, tag: int, part: str) -> bytes:
        """The contents of the next element."""
        start, end = self._step(tag, part)
        return self.data[start:end]

    def skip(self, tag: int, part: str) -> bool:
        """Skip an optional element; whether it was there."""
        there = self.next_is(tag)
        if there:
            self._step(tag, part)
        return there

    def count(self) -> int:
        """Skip the remaining elements; how many there were."""
        found = 0
        while not self.at_end:
            self.element("element")
            found += 1
        return found

    def object(self, part: str) -> str:
        """An object identifier in dotted form."""
        numbers, value = [], 0
        for byte in self.contents(OBJECT, part)[:64]:
            value = value << 7 | byte & 0x7F
            if not byte & 0x80:
                numbers.append(value)
                value = 0
        if not numbers:
            return ""
        first = min(numbers[0] // 40, 2)
        return ".".join(map(str, (first, numbers[0] - 40 * first, *numbers[1:])))

    def expect_object(self, expected: str, part: str) -> None:
        """Read an object identifier that must be the expected one."""
        found = self.object(part)
        if found != expected:
            raise self._wrong(part, "is wrong", expected=expected, actual=found)

    def _wrong(self, part: str, problem: str, *, expected: str, actual: str | None = None) -> MalformedError:
        at = self.file._replace(offset=(self.file.offset or 0) + self.offset)
        return MalformedError(f"{self.form}: {part} {problem}", at, expected=expected, actual=actual)
