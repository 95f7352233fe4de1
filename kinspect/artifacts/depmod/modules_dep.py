"""modules.dep: the modules that must be loaded before each module.

Lines are `<path>:( <path>)*`: all dependencies, direct or not, users before providers. Paths are relative to the folder
of the file, on Android absolute: where the modules will be installed. They are never opened. Long lines and large files
are read in windows, with bounded memory.
Source: modules.dep(5); kmod, tools/depmod.c, output_deps().
"""

import os
from collections.abc import Callable, Iterable, Iterator
from functools import cached_property
from typing import NamedTuple

from kinspect.artifacts.artifact import Artifact
from kinspect.artifacts.depmod.graph import closure, cycles, reversed_graph
from kinspect.errors import UnsupportedError
from kinspect.source import LARGEST_READ, WINDOW, Source

LONGEST_LINE = 1 << 20
LARGEST_TEXT = 4 << 20
"""Limits in bytes, of a line and of all lines; a distribution's modules.dep has some hundred thousand."""
MOST_FAULTS = 1000
_OUTSIDE = "a path leads out of the folder"
_MOST_STEPS = 10_000_000
_INSTALLED = "/lib/modules/"
"""Part of every folder that modules are installed in."""
EXTENSIONS = (".ko", ".ko.gz", ".ko.xz", ".ko.zst")


class ModulesDepFacts(NamedTuple):
    """A modules.dep in numbers."""

    path: str
    modules: int
    needs: int
    faults: int


class Row(NamedTuple):
    """A line: a module and the modules that it needs, in the order of the file. Lines count from 1."""

    line: int
    path: str
    needs: tuple[str, ...]


class Fault(NamedTuple):
    """A fault in the text of a line; `lines` is the number of lines that share it."""

    line: int
    problem: str
    expected: str = ""
    actual: str = ""
    lines: int = 1


class ModulesDep(Artifact):
    """A modules.dep. A bad line is a fault with its number, and still a row if it names a module.

    `files` returns the paths of the modules beside it, which tell where absolute paths begin to be those of the folder.
    """

    kind = "a modules.dep"

    def __init__(
        self, source: Source | str | os.PathLike[str], files: Callable[[], Iterable[str]] = lambda: ()
    ) -> None:
        super().__init__(source)
        self._files = files

    @property
    def facts(self) -> ModulesDepFacts:
        """The numbers of modules, needs and faults."""
        rows = self.rows
        return ModulesDepFacts(self.path, len(rows), sum(len(row.needs) for row in rows), len(self.faults))

    @cached_property
    def _parsed(self) -> tuple[tuple[Row, ...], tuple[Fault, ...]]:
        rows, faults = self._lines_parsed
        start = len(self.prefix)
        if not start:
            return rows, faults
        shortened = (Row(row.line, row.path[start:], tuple(need[start:] for need in row.needs)) for row in rows)
        kept = (fault for fault in faults if fault.problem != _OUTSIDE or leads_out(fault.actual[start:]))
        return tuple(shortened), tuple(kept)

    @cached_property
    def prefix(self) -> str:
        """The folder that all paths begin with, when they are absolute: where the modules will be installed.

        Rows do not have it. It ends with a slash; empty when paths are relative, or not all of them have it.
        """
        rows = self._lines_parsed[0]
        paths = [path for row in rows for path in (row.path, *row.needs)]
        if not paths or not all(path.startswith("/") for path in paths):
            return ""
        files = frozenset(self._files())
        for path in paths:
            starts = (at + 1 for at, letter in enumerate(path) if letter == "/")
            start = next((start for start in starts if path[start:] in files), 0)
            if start:
                shared = _INSTALLED in path[:start] and all(other.startswith(path[:start]) for other in paths)
                return path[:start] if shared else ""
        return ""

    @cached_property
    def _lines_parsed(self) -> tuple[tuple[Row, ...], tuple[Fault, ...]]:
        rows: list[Row] = []
        faults: list[Fault] = []
        crlf: list[int] = []
        for number, raw, whole in self._lines():
            if not whole:
                faults.append(Fault(number, "the line is too long", f"at most {LONGEST_LINE:,} bytes"))
                continue
            line = raw.removesuffix(b"\n")
            if line == raw:
                faults.append(Fault(number, "the last line has no newline"))
            if line.endswith(b"\r"):
                crlf.append(number)
                line = line[:-1]
            text = line.decode("utf-8", "surrogateescape")
            if len(faults) <= MOST_FAULTS:
                faults += _text_faults(number, line, text)
            path, colon, needs = text.partition(":")
            if colon and path:
                rows.append(Row(number, path, tuple(needs.split())))
        if crlf:
            faults.append(Fault(crlf[0], "lines end in CR LF", "LF", lines=len(crlf)))
        faults.sort()
        if len(faults) > MOST_FAULTS:
            faults[MOST_FAULTS:] = [Fault(faults[MOST_FAULTS].line, "more faults follow")]
        return tuple(rows), tuple(faults)

    @property
    def rows(self) -> tuple[Row, ...]:
        """The lines that name a module."""
        return self._parsed[0]

    @property
    def faults(self) -> tuple[Fault, ...]:
        """Faults in the text, by line: syntax, line ends, encoding, paths that lead out of the folder."""
        return self._parsed[1]

    @cached_property
    def by_path(self) -> dict[str, Row]:
        """The rows by module; the first one if a module has several."""
        found: dict[str, Row] = {}
        for row in self.rows:
            found.setdefault(row.path, row)
        return found

    @cached_property
    def graph(self) -> dict[str, tuple[str, ...]]:
        """Each module and the modules that it needs."""
        return {path: row.needs for path, row in self.by_path.items()}

    @property
    def duplicates(self) -> Iterator[tuple[Row, Row]]:
        """The first row of a module and a later one, for every later row."""
        return ((self.by_path[row.path], row) for row in self.rows if self.by_path[row.path] is not row)

    @property
    def cycles(self) -> list[tuple[str, ...]]:
        """Modules that need each other: each needs the next, the last the first; a single module needs itself."""
        return cycles(self.graph)

    def users(self, path: str) -> list[str]:
        """The modules that need a module, their users, and so on."""
        return closure(self._reverse, path)

    @cached_property
    def _reverse(self) -> dict[str, list[str]]:
        return reversed_graph(self.graph)

    @property
    def unclosed(self) -> Iterator[tuple[Row, str, tuple[str, ...]]]:
        """Rows that lack dependencies of a module that they name: the row, that module, and what is missing."""
        for row, need, providers in self._steps():
            if not providers.issubset((row.path, *row.needs)):
                yield row, need, tuple(sorted(providers.difference((row.path, *row.needs))))

    @property
    def misordered(self) -> Iterator[tuple[Row, str, str]]:
        """Rows in the wrong order: the row, a provider, and a module after it that needs it.

        modprobe loads from right to left, so providers must come last.
        """
        for row, need, providers in self._steps():
            for other in row.needs:
                if other == need:
                    break
                if other in providers:
                    yield row, other, need

    def _steps(self) -> Iterator[tuple[Row, str, set[str]]]:
        """Each row, each module that it names, and what that module needs. UnsupportedError if there are too many."""
        sets = {path: set(needs) for path, needs in self.graph.items()}
        steps = 0
        for row in self.rows:
            for need in row.needs:
                providers = sets.get(need)
                if not providers:
                    continue
                steps += len(row.needs) + len(providers)
                if steps > _MOST_STEPS:
                    raise UnsupportedError("too many dependencies between modules to compare", self.at())
                yield row, need, providers

    def _windows(self) -> Iterator[bytes]:
        size = self.size
        if size > LARGEST_READ:
            expected = f"at most {LARGEST_READ:,} bytes"
            raise UnsupportedError("too large for a modules.dep", self.at(), expected=expected, actual=size)
        return (self.source.read(start, min(WINDOW, size - start)) for start in range(0, size, WINDOW))

    @cached_property
    def _end_of_reading(self) -> int | None:
        """The offset at which LARGEST_TEXT is reached; None if it is not. Lines that are too long do not count."""
        kept = held = 0
        for number, window in enumerate(self._windows(), start=1):
            first, last = window.find(b"\n"), window.rfind(b"\n")
            if first >= 0:
                kept += last - first + (held + first if held + first <= LONGEST_LINE else 0)
                held = 0
            held += len(window) - last - 1
            if kept > LARGEST_TEXT:
                return number * WINDOW
        return None

    def _lines(self) -> Iterator[tuple[int, bytes, bool]]:
        """Number, line with its newline, and whether it is whole; a line that is too long is skipped."""
        if self._end_of_reading is not None:
            expected = f"at most {LARGEST_TEXT:,} bytes"
            raise UnsupportedError("too much text", self.at("", self._end_of_reading), expected=expected)
        number, held, skipping = 1, b"", False
        for window in self._windows():
            *lines, rest = window.split(b"\n")
            for line in lines:
                whole = not skipping and len(held) + len(line) <= LONGEST_LINE
                yield number, (held + line + b"\n" if whole else b""), whole
                number, held, skipping = number + 1, b"", False
            skipping = skipping or len(held) + len(rest) > LONGEST_LINE
            held = b"" if skipping else held + rest
        if held or skipping:
            yield number, held, not skipping


def _text_faults(number: int, line: bytes, text: str) -> Iterator[Fault]:
    """The faults of one line, which is given without its newline."""
    if not text.isascii() and any("\udc80" <= letter <= "\udcff" for letter in text):
        yield Fault(number, "the line is not UTF-8")
    if b"\0" in line:
        yield Fault(number, "the line contains a NUL")
    path, colon, needs = text.partition(":")
    if not colon or not path:
        yield Fault(number, "the line does not start with a module and a colon", "PATH:", text[:80])
        return
    names = needs.split(" ")
    if names[0] or "" in names[1:] or any(name.split() != [name] for name in names[1:]):
        yield Fault(number, "paths are not separated by single spaces", "PATH: PATH PATH", text[:80])
    for name in (path, *needs.split()):
        if leads_out(name):
            yield Fault(number, _OUTSIDE, "a path below it", name)
        elif not name.endswith(EXTENSIONS):
            yield Fault(number, "not a module", " ".join(EXTENSIONS), name)


def leads_out(path: str) -> bool:
    """Whether a path leads out of the folder that it is relative to."""
    return path.startswith("/") or ".." in path.split("/")
