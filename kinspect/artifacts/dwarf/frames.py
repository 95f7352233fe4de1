"""The source lines of an address with the calls that were inlined there, as `addr2line -i` prints them."""

from itertools import pairwise
from typing import NamedTuple

from kinspect.artifacts.dwarf.functions import Functions, FunctionScope
from kinspect.artifacts.dwarf.line_program import BROKEN, LineInUnit, SourceLine, SourceLines
from kinspect.artifacts.dwarf.line_table import LineRow
from kinspect.artifacts.elf.file import Elf


class SourceFrame(NamedTuple):
    """A function and the source line in it. The name is empty when no function covers the address."""

    function: str
    source: SourceLine


class SourceFrames:
    """The source lines and inlined calls of the addresses of an ELF file; `relative` as for SourceLines."""

    def __init__(self, artifact: Elf, relative: bool = True) -> None:
        self._lines = SourceLines(artifact, relative)
        self._functions = Functions(self._lines.artifact, self._lines.values)

    def __bool__(self) -> bool:
        return bool(self._lines)

    def at(self, address: int, symbol: tuple[str, int] | None = None) -> tuple[SourceFrame, ...]:
        """The frames of an address, the innermost first; none when no unit covers it.

        `symbol` is the name and the address of the symbol that covers it, where that is known: it saves time.
        MalformedError when the DWARF is broken.
        """
        try:
            found = next(self._lines.rows(address), None)
            return self._frames(found, address, symbol) if found else ()
        except BROKEN as reason:
            raise self._lines.broken(reason) from reason

    def _frames(self, found: LineInUnit, address: int, symbol: tuple[str, int] | None) -> tuple[SourceFrame, ...]:
        scopes = self._functions.around(found.unit, address, symbol)
        source = self._lines.source_line(found)
        if not scopes:
            return (SourceFrame("", source),)
        frames = [SourceFrame(scopes[0].name, source)]
        for inner, outer in pairwise(scopes):
            if inner.inlined:
                frames.append(SourceFrame(outer.name, self._call(found, inner)))
        return tuple(frames)

    def _call(self, found: LineInUnit, inner: FunctionScope) -> SourceLine:
        return self._lines.source_line(found._replace(row=LineRow(inner.call_file, inner.call_line, 0)))
