"""The places of a log, each looked up in the kernel or in a module."""

from collections.abc import Callable
from typing import TypeVar

from kinspect.artifacts.dwarf.frames import SourceFrame
from kinspect.errors import KinspectError
from kinspect.views.trace.code_line import CodeLines
from kinspect.views.trace.facts import ModuleOfLog, StrangeSymbol, TracedFrame
from kinspect.views.trace.kernel import TracedKernel
from kinspect.views.trace.lines import CodePlace
from kinspect.views.trace.modules import TracedModule, TracedModules, is_dynamic
from kinspect.views.trace.symbols import CodeSymbol

MOST_FRAMES, MOST_STRANGE, MOST_SOURCES = 50_000, 1000, 10_000
"""Frames and faults that are kept, and addresses whose source lines are looked up: a log has some hundred."""

_MOST_SHOWN = 4
"""Functions of one name and size whose lines are printed."""

T = TypeVar("T")
Sources = tuple[SourceFrame, ...]


class PlaceDecoder:
    """Looks the places of one log up, and collects what was found. `offset` is what KASLR added to addresses."""

    def __init__(self, kernel: TracedKernel, modules: TracedModules) -> None:
        self.kernel, self.modules = kernel, modules
        self.places = self.decoded = 0
        self.offset: int | None = None
        self.error: KinspectError | None = None
        self.frames: list[TracedFrame] = []
        self.strange: dict[tuple[str, int | None, str], StrangeSymbol] = {}
        self.outside: dict[int, int] = {}
        self.modules_of_log: dict[tuple[str, str], ModuleOfLog] = {}
        self.code = CodeLines(kernel)
        self._sources: dict[tuple[str, int, int, int], Sources] = {}

    def text(self, number: int, place: CodePlace, line: str) -> str:
        """A place as it is printed; as it was, if it cannot be decoded."""
        found = self.guarded(lambda: self._of_place(number, place, line))
        text, frame, all_sources = found or ("", _frame(number, place), [])
        # A word beside `<-` that is no function is only a word.
        if frame.decoded or place.offset is not None or not (place.name or place.among):
            self.places += 1
            self.decoded += frame.decoded
            if len(self.frames) < MOST_FRAMES:
                self.frames.append(frame)
        texts = list(dict.fromkeys(source_text(one) for one in all_sources if one))
        more = [f"{len(texts) - _MOST_SHOWN} others"] if len(texts) > _MOST_SHOWN else []
        shown = " or ".join([*texts[:_MOST_SHOWN], *more])
        if not shown:
            return line[place.start : place.end] if place.name or not frame.decoded else text
        return f"{text} ({shown})" + (f" {place.module}" if place.module else "")

    def _of_place(self, number: int, place: CodePlace, line: str) -> tuple[str, TracedFrame, list[Sources]]:
        if not place.name:
            return self._of_address(number, place, line)
        return self._of_module(number, place) if place.module else self._of_kernel(number, place, line)

    def fitting(self, place: CodePlace) -> list[CodeSymbol]:
        """The symbols of the kernel of the name and size of a place."""
        return [one for one in self.kernel.symbols.named(place.name) if place.size is None or one.has_size(place.size)]

    def _of_kernel(self, number: int, place: CodePlace, line: str) -> tuple[str, TracedFrame, list[Sources]]:
        symbols = self.fitting(place)
        if self.offset is not None and place.raw and len(symbols) > 1:
            exact = place.raw - self.offset - (place.offset or 0)
            symbols = [one for one in symbols if one.address == exact] or symbols
        if not symbols:
            self._is_strange(number, place, self.kernel.symbols.named(place.name))
            return "", _frame(number, place), []
        self.code.runs_at(place, symbols, line)
        offset = place.offset or 0
        found = [self._of_symbol(one, one.address + offset) for one in symbols]
        address = symbols[0].address + offset if len(symbols) == 1 and self.kernel.start is not None else None
        size = place.size if place.size is not None or place.offset is None else _printed_size(symbols[0])
        frame = _with_sources(_frame(number, place)._replace(address=address, size=size), found)
        return place.name, frame, found

    def _of_symbol(self, symbol: CodeSymbol, address: int) -> Sources:
        return self._kept(("", 0, symbol.address, address), lambda: self.kernel.frames(address, symbol))

    def _of_module(self, number: int, place: CodePlace) -> tuple[str, TracedFrame, list[Sources]]:
        module = self._module(number, place)
        if module is None:
            return "", _frame(number, place), []
        symbols = [one for one in module.symbols.named(place.name) if place.size is None or one.has_size(place.size)]
        if not symbols:
            self._is_strange(number, place, module.symbols.named(place.name))
            return "", _frame(number, place), []
        offset = place.offset or 0
        found = [self._of_module_symbol(module, one, offset) for one in symbols]
        one = symbols[0] if len(symbols) == 1 else None
        section, address = (module.section(one), one.address + offset) if one else ("", None)
        frame = _with_sources(_frame(number, place)._replace(section=section, address=address), found)
        return place.name, frame, found

    def _of_module_symbol(self, module: TracedModule, symbol: CodeSymbol, offset: int) -> Sources:
        key = module.path, symbol.section, symbol.address, offset
        return self._kept(key, lambda: self.kernel.relative(module.frames(symbol, offset)))

    def _module(self, number: int, place: CodePlace) -> TracedModule | None:
        if is_dynamic(place.module):
            return None
        found = self.modules.search(place.module, place.build_id)
        key = place.module, place.build_id
        if key not in self.modules_of_log and len(self.modules_of_log) < MOST_STRANGE:
            path = found.module.path if found.module else None
            lines = bool(found.module and self.guarded(lambda: found.module.has_lines))  # type: ignore[union-attr]
            self.modules_of_log[key] = ModuleOfLog(number, *key, path, lines, found.problem)
        return found.module

    def _of_address(self, number: int, place: CodePlace, line: str) -> tuple[str, TracedFrame, list[Sources]]:
        raw = place.raw or 0
        address = raw - (self.offset or 0)
        if address not in self.kernel and raw in self.kernel:
            address = raw
        symbol = self.kernel.symbols.at(address) if address in self.kernel else None
        frame = _frame(number, place)
        if symbol is None:
            if self.kernel.start is not None and not place.among and len(self.outside) < MOST_STRANGE:
                self.outside.setdefault(raw, number)
            return "", frame, []
        offset = address - symbol.address
        size = _printed_size(symbol)
        sources = self._of_symbol(symbol, address)
        text = f"{line[place.start : place.end]} {symbol.name}+{offset:#x}" + (f"/{size:#x}" if size else "")
        frame = frame._replace(symbol=symbol.name, offset=offset, size=size, address=address, sources=sources)
        return text, frame._replace(decoded=True), [sources]

    def _kept(self, key: tuple[str, int, int, int], look_up: Callable[[], Sources]) -> Sources:
        """Source lines, each looked up once; none beyond MOST_SOURCES and where DWARF is broken."""
        if key not in self._sources:
            if len(self._sources) >= MOST_SOURCES:
                return ()
            self._sources[key] = self.guarded(look_up) or ()
        return self._sources[key]

    def guarded(self, work: Callable[[], T]) -> T | None:
        """What some work gives; None when it raises a KinspectError, of which the first is kept."""
        try:
            return work()
        except KinspectError as error:
            self.error = self.error or error
            return None

    def _is_strange(self, number: int, place: CodePlace, known: list[CodeSymbol]) -> None:
        # Names of programs that the kernel compiled itself, and words that only look like symbols.
        if place.name.startswith("bpf_prog_") or (place.offset is None and not known):
            return
        key = place.name, place.size, place.module
        if len(self.strange) < MOST_STRANGE:
            sizes = tuple(sorted({one.sizes[-1] for one in known if one.sizes}))
            self.strange.setdefault(key, StrangeSymbol(number, place.name, place.size, sizes, place.module))


def _frame(number: int, place: CodePlace) -> TracedFrame:
    """The frame of a place that is not decoded yet."""
    return TracedFrame(
        number, place.name, place.offset, place.size, place.module, "", None, place.raw, (), decoded=False
    )


def _with_sources(frame: TracedFrame, found: list[Sources]) -> TracedFrame:
    """A decoded frame: with its source lines, or those of several symbols that it may be."""
    distinct = tuple(dict.fromkeys(found))
    if len(distinct) > 1:
        return frame._replace(alternatives=distinct, decoded=True)
    return frame._replace(sources=distinct[0], decoded=True)


def _printed_size(symbol: CodeSymbol) -> int | None:
    """The size that the kernel prints: up to the next symbol."""
    return symbol.sizes[-1] if symbol.sizes else None


def source_text(sources: Sources) -> str:
    """Source lines as addr2line -i prints them: the discriminator of the innermost one is repeated."""
    words = []
    discriminator = sources[0].source.discriminator if sources else 0
    for one in sources:
        words.append(f"{one.source.path}:{one.source.line or '?'}")
        words += [f"(discriminator {discriminator})"] if discriminator else []
    return " ".join(words)
