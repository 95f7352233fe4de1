"""System.map: the kernel's symbols by address, as a build writes them."""

import re
from functools import cached_property
from typing import NamedTuple

from kinspect.artifacts.artifact import Artifact
from kinspect.errors import MalformedError, UnsupportedError

LARGEST_MAP = 64 << 20
"""Bytes of a System.map that are read; a distribution's has 9 MB."""
_LINE = re.compile(rb"[0-9a-f]{8,16} [A-Za-z?] \S+")


class SystemMapFacts(NamedTuple):
    """The contents of a System.map. Size in bytes; `symbols` is their number."""

    path: str
    size: int
    symbols: int


class SystemMap(Artifact):
    """A `System.map`: lines of address, type as in nm, and name.

    Source: scripts/mksysmap.
    """

    kind = "a System.map"
    hint = "`kinspect check` compares it with vmlinux"

    @cached_property
    def lines(self) -> tuple[bytes, ...]:
        """The lines without their line ends. MalformedError for any other line, UnsupportedError over 64 MiB."""
        if self.size > LARGEST_MAP:
            expected = f"at most {LARGEST_MAP:,} bytes"
            raise UnsupportedError("too large for a System.map", self.at(), expected=expected, actual=self.size)
        lines = self.source.read(0, self.size).split(b"\n")
        if lines and not lines[-1]:
            lines.pop()
        for number, line in enumerate(lines, 1):
            if not _LINE.fullmatch(line):
                shown = line[:80].decode("ascii", "backslashreplace")
                at = self.at()._replace(line=number)
                raise MalformedError("not a valid System.map line", at, expected="address, type and name", actual=shown)
        return tuple(lines)

    @property
    def newline_at_end(self) -> bool:
        """Whether the last line is whole."""
        return not self.size or self.source.read(self.size - 1, 1) == b"\n"

    @property
    def facts(self) -> SystemMapFacts:
        """The number of symbols. Raises as `lines` does."""
        return SystemMapFacts(self.path, self.size, len(self.lines))
