"""A build log as a whole: how the build ended, what it made, and which step each message belongs to."""

import re
from collections import Counter
from enum import StrEnum
from posixpath import normpath
from typing import NamedTuple

from kinspect.views.buildlog.commands import Step
from kinspect.views.buildlog.counts import Account, StepCount
from kinspect.views.buildlog.messages import Diagnostic, Failure
from kinspect.views.buildlog.parser import BuildLog


class BuildOutcome(StrEnum):
    """How a build ended."""

    IMAGE = "image"  # it made a kernel image
    DONE = "done"  # make succeeded without making one: a partial build, an installation, or nothing to do
    FAILED = "failed"  # make reports a failure
    CUT = "cut"  # the log ends before make does, or before the kernel is linked


class FolderCount(NamedTuple):
    """How many objects were compiled or assembled in one top folder of the kernel."""

    folder: str
    built_in: int
    modular: int


class BuildLogFacts(NamedTuple):
    """A build log. `verbosity` is that of make V=; `failures` are the targets that make reports, innermost first.

    `status` is how the first of them ended, as make prints it: `Error 1`, `Killed`. Where make reports none, `failures`
    are the lines by which the programs around it say that it failed.
    `products` are the files such as vmlinux, System.map and Image; `modules`, `device_trees` and `installed` modules
    are counted. `errors` and `warnings` count all; of `messages` and `unknown` lines the first thousand are kept.
    """

    path: str
    lines: int
    account: Account
    verbosity: int
    outcome: BuildOutcome
    failures: tuple[str, ...]
    status: str
    last: Step | None
    errors: int
    warnings: int
    messages: tuple[Diagnostic, ...]
    products: tuple[str, ...]
    modules: int
    device_trees: int
    installed: int
    folders: tuple[FolderCount, ...]
    tallies: tuple[StepCount, ...]
    reasons: tuple[tuple[str, int], ...]
    unknown: tuple[tuple[int, str], ...]


_PRODUCTS = re.compile(
    r"vmlinux(?:\.unstripped)?|System\.map|Module\.symvers|(?:\S+/)?boot/(?:Image\S*|vmlinuz\.efi|uImage|bzImage|zImage)"
)
_ORDER = ("vmlinux", "vmlinux.unstripped", "System.map", "Module.symvers")
_IMAGES = re.compile(r".*boot/(?:Image|bzImage|zImage|uImage|vmlinuz\.efi)")
_COMPILED = (
    "CC",
    "AS",
    "RUSTC",
    "HOSTCC",
    "HOSTCXX",
    "DTC",
    "DTC_CHK",
    "CPP",
    "LDS",
    "CC32",
    "AS32",
    "PERLASM",
    "CALL",
)


def build_log_facts(path: str, log: BuildLog) -> BuildLogFacts:
    """The facts of a log that has been read to its end."""
    steps = set(log.steps())
    products = {
        step.target for step in steps if step.tag not in ("INSTALL", "SORTTAB") and _PRODUCTS.fullmatch(step.target)
    }
    failures = _innermost(log.failures) or ((log.wrapper.text,) if log.wrapper else ())
    products -= set(failures)
    outcome = _outcome(log, steps, products)
    found, errors, warnings = _messages(log, steps), log.severities["error"], log.severities["warning"]
    if outcome == BuildOutcome.IMAGE or (outcome == BuildOutcome.DONE and log.balanced):
        found = tuple(_harmless(message) for message in found)
        changed = errors - sum(message.severity == "error" for message in found) if errors <= len(found) else 0
        errors, warnings = errors - changed, warnings + changed
    return BuildLogFacts(
        path,
        log.lines,
        log.account,
        log.verbosity,
        outcome,
        failures,
        next((failure.status for failure in log.failures if failure.target == failures[0]), "") if failures else "",
        log.last[1] if log.last else None,
        errors,
        warnings,
        found,
        tuple(sorted(products, key=lambda path: (_ORDER.index(path) if path in _ORDER else len(_ORDER), path))),
        sum(step.tag == "LD" and step.target.endswith(".ko") for step in steps),
        sum(step.target.endswith(".dtb") and step.tag in ("DTC", "DTC_CHK", "DTOVL", "OVL") for step in steps),
        len({step.target for step in steps if step.tag == "INSTALL" and ".ko" in step.target}),
        _folders(steps),
        log.tallies(),
        tuple(log.reasons.most_common()),
        tuple(log.unknown),
    )


def _outcome(log: BuildLog, steps: set[Step], products: set[str]) -> BuildOutcome:
    if log.failures or log.wrapper:
        return BuildOutcome.FAILED
    begun = any(step.tag == "CC" and step.target.endswith("init/main.o") for step in steps)
    linking = any(step.target.startswith((".tmp_vmlinux", "vmlinux.o", "vmlinux.a")) for step in steps)
    linked = "vmlinux" in products or "vmlinux.unstripped" in products
    if log.depth > 0 or (log.cut_short and not log.balanced) or ((begun or linking) and not linked):
        return BuildOutcome.CUT
    return BuildOutcome.IMAGE if any(_IMAGES.fullmatch(product) for product in products) else BuildOutcome.DONE


def _innermost(failures: list[Failure]) -> tuple[str, ...]:
    """The failures without those of folders and targets that failed only because of another."""
    found: list[str] = []
    for target, *_ in failures:
        inner = any(other.startswith(f"{target}/") for other in found)
        if not found or not (inner or target in (*found, ".") or ("/" not in target and "." not in target)):
            found.append(target)
    return tuple(found)


_DECISIVE = frozenset(
    ("compiler", "assembler", "linker", "link-vmlinux", "rustc", "dtc", "modpost", "objtool", "kconfig", "depmod")
)
"""Tools of the build whose errors count even if make did not stop."""


def _harmless(message: Diagnostic) -> Diagnostic:
    """A message of a build that succeeded: the error of any other program is then a warning."""
    return message if message.tool in _DECISIVE else message._replace(severity="warning")


def _folders(steps: set[Step]) -> tuple[FolderCount, ...]:
    counts: Counter[tuple[str, bool]] = Counter()
    for step in steps:
        if step.tag in ("CC", "AS", "RUSTC") and step.mark != "U" and step.target.endswith(".o"):
            top, slash, _ = step.target.partition("/")
            counts[top if slash else ".", step.mark == "M"] += 1
    tops = sorted({top for top, _ in counts}, key=lambda top: (-counts[top, False] - counts[top, True], top))
    return tuple(FolderCount(top, counts[top, False], counts[top, True]) for top in tops)


def _messages(log: BuildLog, steps: set[Step]) -> tuple[Diagnostic, ...]:
    """The messages, each with its step if the files that it names lead to one."""
    if not log.messages:
        return ()
    made: dict[str, Step] = {}
    for step in steps:
        if step.tag in _COMPILED:
            made.setdefault(_stem(step.target), step)
            # host.nvhe.o is made from host.S.
            made.setdefault(_stem(_stem(step.target)), step)
    targets = {step.target: step for step in steps} if log.targets else {}
    found = (_with_step(message, log.mains.get(message.number, ""), made, steps) for message in log.messages)
    return tuple(
        message if message.step else message._replace(step=targets.get(log.targets.get(message.number, "")))
        for message in found
    )


def _with_step(message: Diagnostic, main: str, made: dict[str, Step], steps: set[Step]) -> Diagnostic:
    if message.path == "<stdin>":
        calls = [step for step in steps if step.tag == "CALL"]
        return message._replace(step=calls[0] if len(calls) == 1 else None)
    if message.tool in ("linker", "modpost"):
        return message
    for path in filter(None, (main, message.path)):
        parts = normpath(path).split("/")[-32:]
        for start in range(len(parts)):
            if step := made.get(_stem("/".join(parts[start:]))):
                return message._replace(step=step)
    return message


def _stem(path: str) -> str:
    folder, slash, name = path.rpartition("/")
    stem, dot, _ = name.rpartition(".")
    return folder + slash + (stem if dot else name)
