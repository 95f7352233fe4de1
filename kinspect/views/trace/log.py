"""A log decoded line by line with a kernel: source lines in place of offsets, and what does not fit the kernel.

The text is that of the kernel's scripts/decode_stacktrace.sh: `foo+0x10/0x20 [bar]` becomes
`foo (bar.h:3 bar.c:12) bar`, the innermost inlined call first. Other lines stay as they are.
"""

import re
from collections.abc import Iterable, Iterator

from kinspect.errors import KinspectError, Location, MalformedError
from kinspect.views.trace.facts import LoggedKernel, TraceFacts
from kinspect.views.trace.kernel import KernelIdentity, TracedKernel
from kinspect.views.trace.lines import LONGEST_LINE, CodePlace, code_places, is_interesting
from kinspect.views.trace.modules import TracedModules
from kinspect.views.trace.places import MOST_STRANGE, PlaceDecoder

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


class LogDecoder:
    """Decodes the lines of one log, in their order, and collects what they say."""

    def __init__(self, kernel: TracedKernel, modules: TracedModules) -> None:
        self.kernel, self.places = kernel, PlaceDecoder(kernel, modules)
        self.number = 0
        self._logged: dict[KernelIdentity, LoggedKernel] = {}
        self._held: list[tuple[int, str]] = []

    @property
    def error(self) -> KinspectError | None:
        """The first error in the DWARF or the modules; None without one."""
        return self.places.error

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
                if self.places.offset is not None or len(self._held) >= _MOST_HELD:
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
            text = self.places.text(self.number, place, word)
            yield self._at_text(text, word) if text == word or place.name else text

    def _at_text(self, text: str, word: str) -> str:
        """A line for an address or symbol that was asked for: its symbol, offset and size, or that it was not found."""
        frame = self.places.frames[-1] if self.places.frames else None
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
        if self.places.offset is not None or self.kernel.start is None:
            return False
        places = code_places(line)
        if len(places) != 1 or places[0].name or places[0].among:
            return False
        return (places[0].raw or 0) not in self.kernel

    def _identify(self, line: str) -> None:
        """What a line says of the kernel, and of where it ran."""
        identity = None
        if "Linux version " in line and (banner := _BANNER.search(line)):
            identity = KernelIdentity(banner[1], banner[2], banner[3], "")
            self.places.offset = None  # another boot
        elif "Comm: " in line and (cpu := _CPU.search(line)):
            identity = KernelIdentity("", cpu[1], cpu[2], cpu[3] or "")
        elif found := _OFFSET.search(line):
            self.places.offset = int(found[1], 16)
        if identity and len(self._logged) < MOST_STRANGE:
            self._logged.setdefault(identity, LoggedKernel(self.number, identity))
        if self.places.offset is None and "ffff" in line and "+0x" in line:
            self._learn_offset(line)

    def _learn_offset(self, line: str) -> None:
        """The offset of KASLR, from an address that is printed with its symbol."""
        for place in code_places(line):
            if place.raw and place.name and place.offset is not None and not place.module:
                fitting = self.places.fitting(place)
                if len(fitting) == 1:
                    offset = place.raw - fitting[0].address - place.offset
                    if 0 <= offset < 1 << 48 and not offset % _PAGE:
                        self.places.offset = offset
                        return

    def _decoded(self, number: int, line: str) -> str:
        head = line[:LONGEST_LINE]
        self.places.code.read(number, head)
        parts, at = [], 0
        for place in code_places(head):
            parts += [line[at : place.start], self.places.text(number, place, head)]
            at = place.end
        return "".join((*parts, line[at:]))

    def facts(self, log: str) -> TraceFacts:
        """What the log said, up to the line that was decoded last."""
        places = self.places
        return TraceFacts(
            log,
            self.kernel.path,
            self.kernel.identity,
            self.number,
            places.places,
            places.decoded,
            tuple(places.frames),
            places.offset,
            tuple(self._logged.values()),
            tuple(places.strange.values()),
            tuple((number, address) for address, number in places.outside.items()),
            tuple(places.modules_of_log.values()),
            places.code.compared,
            tuple(places.code.strange),
            self._without_lines(),
        )

    def _without_lines(self) -> str:
        if self.places.decoded and not self.places.guarded(lambda: self.kernel.has_lines):
            return self.kernel.why_no_lines
        return ""
