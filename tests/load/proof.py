"""A prediction held against the kernel: every verdict, errno and line of the log must be the kernel's own."""

import re
from collections.abc import Iterator, Sequence
from errno import ENOMEM
from typing import NamedTuple

from kinspect.views.loader.kernel import TargetKernel
from kinspect.views.loader.preflight import preflight
from kinspect.views.loader.simulator import Simulator
from kinspect.views.loader.verdict import Outcome, Verdict
from tests.load.machine import HUNG, Answer, Command, DiedError, boot

STARTED = re.compile(r"calling +\S+ (\[.*\] )?@ \d+$|probe of \S+ returned|initcall \S+ (\[.*\] )?returned")
"""With `initcall_debug` the kernel says when it calls a function of a module: from there on it is the module's own."""
_WARNING = "------------[ cut here ]------------"
CUT = 800
"""Characters of a line that are compared: the kernel cuts long ones."""


class Case(NamedTuple):
    """Modules that are loaded one after the other, and unloaded again."""

    name: str
    loads: tuple[bytes, ...]


class Proof(NamedTuple):
    """What was predicted of a module of a case, and what the kernel did."""

    case: str
    number: int
    verdict: Verdict
    answer: Answer | None

    def __str__(self) -> str:
        verdict = self.verdict
        said = (verdict.outcome.value, verdict.errno, verdict.taints, verdict.log_lines, verdict.why)
        return f"{self.case} [{self.number}]: predicted {said}, kernel {self.answer and self.answer[1:]}"


def in_log(text: str) -> str:
    """A line as /dev/kmsg has it: what is not printable ASCII is written in hexadecimal."""
    data = text.encode("utf-8", "surrogateescape")
    return "".join(chr(one) if 32 <= one < 127 and one != 92 else f"\\x{one:02x}" for one in data)[:CUT]


def prove(
    image: str, kernel: TargetKernel, cases: Sequence[Case], *, cmdline: str = "", seconds: int = 200
) -> list[Proof]:
    """Predict all cases in their order, boot the kernel and load what is predicted for sure."""
    simulator = Simulator(kernel)
    files: dict[str, bytes] = {}
    commands: list[Command] = []
    planned: list[tuple[str, int, Verdict, int | None]] = []
    for case in cases:
        names = []
        for number, data in enumerate(case.loads):
            verdict = simulator.load(preflight(kernel, case.name, data))
            at = None
            if verdict.outcome in (Outcome.LOADS, Outcome.REFUSED):
                path = f"/m/{len(files)}.ko"
                files[path], at = data, len(commands)
                commands.append(Command("load", path))
            if verdict.loads:
                commands.append(Command("taint", verdict.name))
                names.append(verdict.name)
            elif at is None:
                simulator.remove(verdict.name)
            planned.append((case.name, number, verdict, at))
        for name in reversed(names):
            commands.append(Command("unload", name))
            simulator.remove(name)
    answers = boot(image, files, commands, cmdline=cmdline, seconds=seconds)
    return [
        Proof(name, number, verdict, None if at is None else with_taint(answers, at))
        for name, number, verdict, at in planned
    ]


def attempts(image: str, proofs: Sequence[Proof], loads: Sequence[bytes], seconds: int = 200) -> list[Answer | None]:
    """What the kernel does with modules that may harm it; None where the whole machine ends.

    After harm the machine goes on, until something hangs or ends it. Whether the next module did, shows a new machine.
    """
    files = {f"/m/{number}.ko": data for number, data in enumerate(loads)}
    commands = []
    for path, proof in zip(files, proofs, strict=True):
        commands += [Command("load", path), Command("unload", proof.verdict.name)]
    found: list[Answer | None] = []
    while len(found) < len(loads):
        left = commands[2 * len(found) :]
        try:
            answers = boot(image, {one.what: files[one.what] for one in left[::2]}, left, seconds=seconds)
            found += answers[::2]
        except DiedError as error:
            answers = [answer for answer in error.answers if answer.command.verb == "load"]
            sound = [answer for answer in answers if answer.errno != HUNG]
            found += sound or answers[:1] or [None]
    return found


def with_taint(answers: Sequence[Answer], at: int) -> Answer:
    """An answer, with the taints that were asked for after it."""
    after = answers[at + 1] if at + 1 < len(answers) else None
    return answers[at]._replace(taint=after.taint if after and after.command.verb == "taint" else "")


def disagreements(proofs: Sequence[Proof]) -> Iterator[str]:
    """Where kernel and prediction differ."""
    for proof in proofs:
        answer, verdict = proof.answer, proof.verdict
        if answer is None:
            continue
        lines = [line[:CUT] for line in answer.log]
        started = any(STARTED.match(line) for line in lines)
        words = [in_log(word) for word in verdict.log_lines]
        if verdict.loads:
            agrees = started or (answer.errno == 0 and answer.taint == verdict.taints)
            agrees = agrees and is_within(words, lines)
        else:
            agrees = not started and answer.errno == verdict.errno
            # Without memory the kernel tells all about it, and nothing of the module.
            agrees = agrees and (verdict.errno == ENOMEM or same_lines(words, lines))
        if not agrees:
            yield str(proof)


def is_within(words: Sequence[str], lines: Sequence[str]) -> bool:
    """Whether lines come in an order, perhaps with others between them."""
    left = iter(lines)
    return all(any(word == line for line in left) for word in words)


def same_lines(words: Sequence[str], lines: Sequence[str]) -> bool:
    """Whether the log has what was predicted and no more; a value and a program's name are the kernel's to add."""
    if words and words[-1].startswith("sysfs: cannot create duplicate filename"):
        return lines[: len(words)] == words  # a trace of the stack follows
    if _WARNING in lines:
        lines = lines[: lines.index(_WARNING)]  # a trace of the stack follows
    if len(words) != len(lines):
        return False
    return all(
        line == word or (word.endswith(" val ") and line.startswith(word)) or line == f"Lockdown: init: {word}"
        for word, line in zip(words, lines, strict=True)
    )
