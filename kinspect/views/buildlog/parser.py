"""The output of `make`, sorted into steps, messages and other lines; every line is counted once.

A step is a line such as `  CC [M]  fs/nls/nls_utf8.o`, or with V=1 the command behind it. A log is read in pieces, each
by one regular expression; only lines that are not plain steps are examined one by one.
"""

from collections import Counter
from collections.abc import Iterator
from operator import itemgetter

from kinspect.views.buildlog import lines as forms
from kinspect.views.buildlog import messages
from kinspect.views.buildlog.causes import LinesBefore
from kinspect.views.buildlog.commands import Step, step_of_command
from kinspect.views.buildlog.counts import Account, StepCount, tallies
from kinspect.views.buildlog.languages import folder_change
from kinspect.views.buildlog.lines import LineKind
from kinspect.views.buildlog.messages import Diagnostic, Failure
from kinspect.views.buildlog.prefixes import Prefixes, Transcoder, is_repeated
from kinspect.views.buildlog.tags import TAGS

LONGEST_LINE = 1 << 20
"""Bytes of a line that are read: a command that links all of a kernel's objects has some hundred thousand."""
MOST_STEPS = 400_000
"""Steps, and folders, whose names are kept; an allmodconfig build has some 60,000. Further ones are only counted."""
MOST_BYTES = 64 << 20
"""Bytes of lines from which names are kept."""
MOST_KEPT = 1_000
"""Messages, and unknown lines, that are kept; further ones are only counted."""
MOST_TEXT = 2_000
"""Characters of a message, or of an unknown line, that are kept."""
_TAG_OF_TOOL = {
    "linker": "LD",
    "modpost": "MODPOST",
    "dtc": "DTC",
    "pahole": "BTF",
    "depmod": "DEPMOD",
    "sign-file": "SIGN",
}
"""Tools that seldom run in parallel, with the tag of their steps. LD stands for links of the kernel, not of modules."""
_PLAIN = {tag: f"  {tag:7} ".encode() for tag in _TAG_OF_TOOL.values()}
"""The start of the lines of these steps."""


class BuildLog:
    """A log as it is read. `feed` takes bytes as they arrive, `close` ends it; the rest may be used at any time."""

    def __init__(self) -> None:
        self.lines = 0
        self.kinds: Counter[str] = Counter()
        self.messages: list[Diagnostic] = []
        self.severities: Counter[str] = Counter()
        self.unknown: list[tuple[int, str]] = []
        self.failures: list[Failure] = []
        self.wrapper: Diagnostic | None = None
        self.targets: dict[int, str] = {}
        self.mains: dict[int, str] = {}
        self.reasons: Counter[str] = Counter()
        self.verbosity = 0
        self.depth = 0
        self.balanced = False
        self.cut_short = False
        self.last: tuple[int, Step] | None = None
        self._prefixes, self._transcoder, self._before = Prefixes(), Transcoder(), LinesBefore()
        self._folders: set[str] = set()
        self._tail: list[bytes] = []
        self._tail_size = 0
        self._room = MOST_BYTES
        self._heads: Counter[bytes] = Counter()
        self._others: Counter[Step] = Counter()
        self._named: set[tuple[bytes, bytes]] = set()
        self._latest: dict[str, tuple[int, Step]] = {}
        self._chunk: tuple[int, list[tuple[bytes, bytes, bytes]]] = (0, [])
        self._open, self._recipe, self._main, self._context = False, False, "", 0

    def feed(self, data: bytes) -> None:
        """Read more bytes. An incomplete line waits for its end; of a very long line only the start is kept."""
        data = self._transcoder.decoded(data)
        end = data.rfind(b"\n")
        if end < 0:
            self._hold(data)
            return
        self._tail.append(data[:end])
        whole = b"".join(self._tail)
        self._tail, self._tail_size = [], 0
        self._read(whole)
        self._hold(data[end + 1 :])

    def _hold(self, data: bytes) -> None:
        data = data[: max(0, LONGEST_LINE - self._tail_size)]
        self._tail_size += len(data)
        if data:
            self._tail.append(data)

    def close(self) -> None:
        """End the log. A last line without a newline means that the log was cut off."""
        if rest := self._transcoder.decoded(b"", final=True):
            self.feed(rest)
        if self._tail:
            self.cut_short = True
            self._read(b"".join(self._tail))
            self._tail, self._tail_size = [], 0

    def _read(self, chunk: bytes) -> None:
        """Read whole lines, without the last newline."""
        found: list[tuple[bytes, bytes, bytes]] = forms.STEP.findall(self._prefixes.cleaned(chunk))
        first, self.lines = self.lines + 1, self.lines + len(found)
        self._chunk = first, found
        heads = Counter(map(itemgetter(0), found))
        if plain := heads.pop(b"", 0):
            index, order = -1, list(map(itemgetter(0), found))
            for _ in range(plain):
                index = order.index(b"", index + 1)
                self._line(found[index][2], first + index)
        self._keep_last(first, found)
        starts = {head[:10] for head in heads}
        for tag, start in _PLAIN.items():
            if start in starts:
                self._keep_latest(tag, self.lines + 1)
        self.kinds[LineKind.STEP] += len(found) - plain
        if self._remembers(len(chunk)):
            self._heads.update(heads)
            self._named.update(map(itemgetter(0, 1), found))
            self._named.discard((b"", b""))
            return
        for head, count in heads.items():
            self._heads[head if head in self._heads else b"  OTHER "] += count

    def _remembers(self, size: int) -> bool:
        """Whether there is still room for the names in `size` more bytes."""
        self._room -= size
        return self._room > 0 and max(len(self._named), len(self._others)) < MOST_STEPS

    def _keep_last(self, first: int, found: list[tuple[bytes, bytes, bytes]]) -> None:
        """Keep the last step, if it is a plain one."""
        for index in range(len(found) - 1, max(-1, (self.last[0] if self.last else 0) - first), -1):
            if found[index][0]:
                self.last = first + index, forms.step_in(found[index][0], found[index][1])
                return

    def _line(self, raw: bytes, number: int) -> None:
        """Read one line that is not a plain step."""
        repeated = self.wrapper is not None and is_repeated(raw)
        line = forms.text_of(raw if raw[:2] == b"  " else self._prefixes.removed(raw))
        parts = None if repeated else self._prefixes.split(line)
        kind = LineKind.NOTE if repeated else self._parts(*parts, number) if parts else self._kind(line, number)
        self.kinds[kind] += 1
        if kind == LineKind.STEP:
            self._recipe = False
            return
        self._open = kind == LineKind.MESSAGE
        self._recipe = kind == LineKind.SHELL and line.endswith("\\")
        if kind == LineKind.UNKNOWN or (kind == LineKind.NOTE and not repeated):
            self._before.add(number, line)
        elif kind in (LineKind.BLANK, LineKind.MAKE, LineKind.MESSAGE):
            self._before.add(number, "")
        if kind == LineKind.UNKNOWN and len(self.unknown) < MOST_KEPT:
            self.unknown.append((number, line[:MOST_TEXT]))

    def _parts(self, start: str, line: str, number: int) -> LineKind:
        """Read a line of make, or a step, that follows another program's output on the same line."""
        if start and self._kind(start, number) in (LineKind.UNKNOWN, LineKind.NOTE):
            self._before.add(number, start)
        return self._kind(line, number)

    def _kind(self, line: str, number: int) -> LineKind:
        if not line:
            return LineKind.SHELL if self._recipe else LineKind.BLANK
        if self._step_line(line, number):
            return LineKind.STEP
        if messages.is_make(line):
            return self._make_line(line, number)
        if line.startswith(("make -", "+ ", "set -e; ")) and ": build failed" not in line:
            self.verbosity = 1
            return LineKind.SHELL
        if messages.is_wrapper(text := line.lstrip(" *")):
            self.wrapper = self.wrapper or Diagnostic("error", "", "", None, text[:MOST_TEXT], number)
            return LineKind.MAKE
        if self._message_line(line, number):
            return LineKind.MESSAGE
        if forms.COMMAND.match(line) and self._command_line(line, number):
            return LineKind.STEP
        if forms.NOTE.match(line) or forms.QUESTION.search(line):
            return LineKind.NOTE
        return (
            LineKind.SHELL if self._recipe or (self.verbosity == 1 and forms.RECIPE.match(line)) else LineKind.UNKNOWN
        )

    def _message_line(self, line: str, number: int) -> bool:
        """Read a line of a message, if it is one; keep the message that it starts."""
        if messages.is_context(line):
            self._main, self._context = messages.included_by(line) or self._main, number
            return True
        if self._open and self.messages and (more := messages.completed(self.messages[-1], line)):
            self.messages[-1] = more._replace(text=more.text[:MOST_TEXT], path=more.path[:MOST_TEXT])
            return True
        if messages.is_summary(line):
            return True
        if self._open and messages.belongs(line) and not (self.verbosity == 1 and step_of_command(line)):
            return True
        self._keep(message := messages.message_in(line.lstrip(), number))
        return bool(message)

    def _step_line(self, line: str, number: int) -> bool:
        """Read a step, if it is one, with more than a plain one has: a reason, several words, a second step."""
        text = forms.REASON.sub("", line)
        found = forms.ONE_STEP.match(text)
        if found and (line.startswith("  ") or found[1] in TAGS) and (found[1] in TAGS or " " not in found[3]):
            if text != line:
                self.verbosity = 2
                self.reasons[forms.reason(line[len(text) :])] += 1
            target, glued = found[3], forms.GLUED.match(found[3])
            if glued and glued[3] in TAGS:
                self._step_line(glued[2], number)
                target = glued[1]
            self._step(Step(found[1], found[2] or "", target), number)
            return True
        return False

    def _step(self, step: Step, number: int) -> None:
        known = step in self._others or self._remembers(len(step.target))
        self._others[step if known else Step("OTHER", "", "")] += 1
        self.last = (number, step)
        if step.tag in _PLAIN and (step.tag != "LD" or not step.mark):
            self._latest[step.tag] = (number, step)

    def _command_line(self, line: str, number: int) -> bool:
        step = step_of_command(line, self.verbosity == 1 and line[0] == " ")
        if step:
            self.verbosity = 1
            self._step(step, number)
        return bool(step)

    def _make_line(self, line: str, number: int) -> LineKind:
        if failure := messages.failure_in(line, number):
            self._failed(failure, number)
        elif change := folder_change(line, self._folders):
            self.depth += change
            self.balanced = self.depth == 0
        elif warning := messages.make_warning_in(line, number):
            self._keep(warning)
        return LineKind.MAKE

    def _failed(self, failure: Failure, number: int) -> None:
        """Keep a failure, and find its cause among the lines before it if no tool has printed an error."""
        if failure.message:
            self._keep(failure.message)
        elif not self.severities["error"] and (failure.status or "1")[-1].isdigit():
            # A signal prints nothing.
            self._keep(self._before.message(number) or self.wrapper)
        if self.messages and messages.repeats(self.messages[-1], failure, number):
            self.severities[self.messages.pop().severity] -= 1
        for message in self.messages[-5:]:
            if number - message.number <= (40 if message.tool == "rustc" else 8) and message.severity == "error":
                self.targets.setdefault(message.number, failure.target[:MOST_TEXT])
        self._before.clear()
        if len(self.failures) < MOST_KEPT:
            self.failures.append(failure._replace(target=failure.target[:MOST_TEXT], status=failure.status[:MOST_TEXT]))

    def _keep(self, message: Diagnostic | None) -> None:
        if message is None or message.severity == "note":
            return
        self.severities[message.severity] += 1
        if len(self.messages) < MOST_KEPT:
            if self._main and self._context == message.number - 1:
                self.mains[message.number] = self._main[:MOST_TEXT]
            text, path = message.text[:MOST_TEXT], message.path[:MOST_TEXT]
            self.messages.append(message._replace(text=text, path=path, step=self._step_before(message)))
        self._main = ""

    def _step_before(self, message: Diagnostic) -> Step | None:
        """The last step of the tool that printed a message; None for compilers, many of which run at once."""
        tag = _TAG_OF_TOOL.get(message.tool, "")
        if tag:
            self._keep_latest(tag, message.number)
        return self._latest.get(tag, (0, None))[1]

    def _keep_latest(self, tag: str, before: int) -> None:
        """Keep the last plain step of a tag before a line of the current piece."""
        first, found = self._chunk
        known = self._latest[tag][0] if tag in self._latest else 0
        for index in range(min(len(found), before - first) - 1, max(0, known - first) - 1, -1):
            if found[index][0].startswith(_PLAIN[tag]):
                self._latest[tag] = first + index, forms.step_in(found[index][0], found[index][1])
                return

    def tallies(self) -> tuple[StepCount, ...]:
        """The steps by tag and mark, the most frequent first."""
        return tallies(self._heads, self._others)

    def steps(self) -> Iterator[Step]:
        """Every step once; of a very long log only the first MOST_STEPS."""
        for head, name in self._named:
            yield forms.step_in(head, name)
        yield from self._others

    @property
    def account(self) -> Account:
        """The number of lines of each kind."""
        return Account(*(self.kinds[kind] for kind in LineKind))
