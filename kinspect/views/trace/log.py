"""A log decoded line by line with a kernel: source lines in place of offsets, and what does not fit the kernel.

The text is that of the kernel's scripts/decode_stacktrace.sh: `foo+0x10/0x20 [bar]` becomes
`foo (bar.h:3 bar.c:12) bar`, the innermost inlined call first. Other lines stay as they are.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from kinspect.artifacts.dwarf.frames import SourceFrame
from kinspect.errors import KinspectError, Location, MalformedError
from kinspect.views.trace.code_line import CodeLines
from kinspect.views.trace.facts import LoggedKernel, ModuleOfLog, StrangeSymbol, TracedFrame, TraceFacts
from kinspect.views.trace.kernel import KernelIdentity, TracedKernel
from kinspect.views.trace.lines import LONGEST_LINE, CodePlace, code_places, is_interesting
from kinspect.views.trace.modules import TracedModule, TracedModules, is_dynamic
from kinspect.views.trace.symbols import CodeSymbol

MOST_FRAMES, MOST_STRANGE, MOST_SOURCES = 50_000, 1000, 10_000
"""Frames and faults that are kept, and addresses whose source lines are looked up: a log has some hundred."""
_MOST_HELD = 4096
"""Lines that are held back until the log says where the kernel ran."""
_BANNER = re.compile(r"(Linux version (\S{1,200}) .{0,900}?(#\S{1,40}).*?)\s*$")
_CPU = re.compile(r"ainted(?::.{0,120}?)? +(\d+\.\d+\S{0,120}) (#\S{1,40})(?:.*?\b([0-9a-f]{40})\b)?")
_OFFSET = re.compile(r"Kernel Offset: 0x([0-9a-f]{1,16}) from 0x")
_PAGE = 4096
_DIGITS = 16
_NAMED = re.compile(
    r"([A-Za-z_.$][\w.$]{0,511})(?:\+0x([0-9a-f]{1,16})(?:/0x([0-9a-f]{1,16}))?)?(?: ?\[([\w-]{1,64})\])?"
)

T = TypeVar("T")
Sources = tuple[SourceFrame, ...]


class LogDecoder:
    """Decodes the lines of one log, in their order, and collects what they say."""

    def __init__(self, kernel: TracedKernel, modules: TracedModules) -> None:
        self.kernel, self.modules = kernel, modules
        self.number = self.places = self.decoded = 0
        self.offset: int | None = None
        self.error: KinspectError | None = None
        self._frames: list[TracedFrame] = []
        self._logged: dict[KernelIdentity, LoggedKernel] = {}
        self._strange: dict[tuple[str, int | None, str], StrangeSymbol] = {}
        self._outside: dict[int, int] = {}
        self._modules: dict[tuple[str, str], ModuleOfLog] = {}
        self._sources: dict[tuple[str, int, int, int], Sources] = {}
        self._code = CodeLines(kernel)
        self._held: list[tuple[int, str]] = []

    def lines(self, lines: Iterable[str]) -> Iterator[str]:
        """The decoded lines, without their ends. UnsupportedError when the kernel has no symbols."""
        for line in lines:
            self.number += 1
            if not self._held and not is_interesting(line[:LONGEST_LINE]):
                yield line
                continue
            self._identify(line[:LONGEST_LINE])
            if self._held or self._waits(line[:LONGEST_LINE]):
                self._held.append((self.number, line))
                if self.offset is not None or len(self._held) >= _MOST_HELD:
                    yield from self._released()
                continue
            yield self._decoded(self.number, line)
        yield from self._released()

    def places_at(self, words: Iterable[str]) -> Iterator[str]:
        """Addresses in hexadecimal, or places such as `foo+0x10`, each decoded. MalformedError for other words."""
        for word in words:
            self.number += 1
            digits = word.lower().removeprefix("0x")
            hexadecimal = bool(digits) and not digits.strip("0123456789abcdef")
            named = None if hexadecimal else _NAMED.fullmatch(word)
            if hexadecimal and len(digits) <= _DIGITS:
                place = CodePlace(0, len(word), "", raw=int(digits, 16))
            elif named:
                size = int(named[3], 16) if named[3] else None
                place = CodePlace(0, len(word), named[1], int(named[2] or "0", 16), size, named[4] or "")
            else:
                expected = "an address in hexadecimal, or symbol+0x10"
                raise MalformedError("not an address", Location("--at"), expected=expected, actual=word)
            text = self._text(self.number, place, word)
            yield self._at_text(text, word) if text == word or place.name else text

    def _at_text(self, text: str, word: str) -> str:
        """A place that is asked for, with its offset and size, or that it is not there."""
        frame = self._frames[-1] if self._frames else None
        if frame is None or not frame.decoded:
            return f"{word} ? not in the kernel"
        size = f"/{frame.size:#x}" if frame.size else ""
        at = f"{frame.symbol}+{frame.offset or 0:#x}{size}"
        return f"{at}{text.removeprefix(frame.symbol)}" if text != word else at

    def _released(self) -> Iterator[str]:
        held, self._held = self._held, []
        for number, line in held:
            yield self._decoded(number, line)

    def _waits(self, line: str) -> bool:
        """Whether a line has an address alone, and the log has not said yet where the kernel ran."""
        if self.offset is not None or self.kernel.start is None:
            return False
        places = code_places(line)
        return len(places) == 1 and not places[0].name and (places[0].raw or 0) not in self.kernel

    def _identify(self, line: str) -> None:
        """What a line says of the kernel, and of where it ran."""
        identity = None
        if "Linux version " in line and (banner := _BANNER.search(line)):
            identity = KernelIdentity(banner[1], banner[2], banner[3], "")
        elif "Comm: " in line and (cpu := _CPU.search(line)):
            identity = KernelIdentity("", cpu[1], cpu[2], cpu[3] or "")
        elif found := _OFFSET.search(line):
            self.offset = int(found[1], 16)
        if identity and len(self._logged) < MOST_STRANGE:
            self._logged.setdefault(identity, LoggedKernel(self.number, identity))
        if self.offset is None and "ffff" in line and "+0x" in line:
            self._learn_offset(line)

    def _learn_offset(self, line: str) -> None:
        """The offset of KASLR, from an address that is printed with its symbol."""
        for place in code_places(line):
            if place.raw and place.name and place.offset is not None and not place.module:
                fitting = self._fitting(place)
                if len(fitting) == 1:
                    offset = place.raw - fitting[0].address - place.offset
                    if 0 <= offset < 1 << 48 and not offset % _PAGE:
                        self.offset = offset
                        return

    def _fitting(self, place: CodePlace) -> list[CodeSymbol]:
        return [one for one in self.kernel.symbols.named(place.name) if place.size is None or one.has_size(place.size)]

    def _decoded(self, number: int, line: str) -> str:
        head = line[:LONGEST_LINE]
        self._code.read(number, head)
        parts, at = [], 0
        for place in code_places(head):
            parts += [line[at : place.start], self._text(number, place, head)]
            at = place.end
        return "".join((*parts, line[at:]))

    def _text(self, number: int, place: CodePlace, line: str) -> str:
        """A place as it is printed; as it was, if it cannot be decoded."""
        self.places += 1
        if not place.name:
            text, frame, all_sources = self._of_address(number, place, line)
        elif place.module:
            text, frame, all_sources = self._of_module(number, place)
        else:
            text, frame, all_sources = self._of_kernel(number, place, line)
        self.decoded += frame.decoded
        if len(self._frames) < MOST_FRAMES:
            self._frames.append(frame)
        shown = " or ".join(dict.fromkeys(source_text(one) for one in all_sources if one))
        if not shown:
            return line[place.start : place.end] if place.name or not frame.decoded else text
        return f"{text} ({shown})" + (f" {place.module}" if place.module else "")

    def _of_kernel(self, number: int, place: CodePlace, line: str) -> tuple[str, TracedFrame, list[Sources]]:
        symbols = self._fitting(place)
        if self.offset is not None and place.raw and len(symbols) > 1:
            exact = place.raw - self.offset - (place.offset or 0)
            symbols = [one for one in symbols if one.address == exact] or symbols
        if not symbols:
            self._is_strange(number, place, self.kernel.symbols.named(place.name))
            return "", _frame(number, place), []
        self._code.runs_at(place, symbols, line)
        offset = place.offset or 0
        found = [self._of_symbol(one, one.address + offset) for one in symbols]
        address = symbols[0].address + offset if len(symbols) == 1 and self.kernel.start is not None else None
        size = place.size if place.size is not None or place.offset is None else _printed_size(symbols[0])
        frame = _frame(number, place)._replace(address=address, size=size, sources=found[0], decoded=True)
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
        frame = _frame(number, place)._replace(
            section=module.section(symbols[0]), address=symbols[0].address + offset, sources=found[0], decoded=True
        )
        return place.name, frame, found

    def _of_module_symbol(self, module: TracedModule, symbol: CodeSymbol, offset: int) -> Sources:
        key = module.path, symbol.section, symbol.address, offset
        return self._kept(key, lambda: self.kernel.relative(module.frames(symbol, offset)))

    def _module(self, number: int, place: CodePlace) -> TracedModule | None:
        if is_dynamic(place.module):
            return None
        found = self.modules.search(place.module, place.build_id)
        key = place.module, place.build_id
        if key not in self._modules and len(self._modules) < MOST_STRANGE:
            path = found.module.path if found.module else None
            lines = bool(found.module and self._guarded(lambda: found.module.has_lines))  # type: ignore[union-attr]
            self._modules[key] = ModuleOfLog(number, *key, path, lines, found.problem)
        return found.module

    def _of_address(self, number: int, place: CodePlace, line: str) -> tuple[str, TracedFrame, list[Sources]]:
        raw = place.raw or 0
        address = raw - (self.offset or 0)
        if address not in self.kernel and raw in self.kernel:
            address = raw
        symbol = self.kernel.symbols.at(address) if address in self.kernel else None
        frame = _frame(number, place)
        if symbol is None:
            if self.kernel.start is not None and len(self._outside) < MOST_STRANGE:
                self._outside.setdefault(raw, number)
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
            self._sources[key] = self._guarded(look_up) or ()
        return self._sources[key]

    def _guarded(self, work: Callable[[], T]) -> T | None:
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
        if len(self._strange) < MOST_STRANGE:
            sizes = tuple(sorted({one.sizes[-1] for one in known if one.sizes}))
            self._strange.setdefault(key, StrangeSymbol(number, place.name, place.size, sizes, place.module))

    def facts(self, log: str) -> TraceFacts:
        """What the log said, up to the line that was decoded last."""
        return TraceFacts(
            log,
            self.kernel.path,
            self.kernel.identity,
            self.number,
            self.places,
            self.decoded,
            tuple(self._frames),
            self.offset,
            tuple(self._logged.values()),
            tuple(self._strange.values()),
            tuple((number, address) for address, number in self._outside.items()),
            tuple(self._modules.values()),
            self._code.compared,
            tuple(self._code.strange),
            self._without_lines(),
        )

    def _without_lines(self) -> str:
        if self.decoded and not self._guarded(lambda: self.kernel.has_lines):
            return self.kernel.why_no_lines
        return ""


def _frame(number: int, place: CodePlace) -> TracedFrame:
    """The frame of a place that is not decoded yet."""
    return TracedFrame(
        number, place.name, place.offset, place.size, place.module, "", None, place.raw, (), decoded=False
    )


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
