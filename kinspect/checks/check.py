"""What a check is: a function that yields evidence of what does not hold.

Its name in kebab-case is its public id, its docstring its documentation page, and the types of its parameters say what
it needs: artifacts, or facts computed from them. It yields Evidence for what does not hold, and a KinspectError for
what it cannot decide; the runner adds id and severity.
"""

from collections.abc import Callable, Iterable, Iterator
from enum import StrEnum
from importlib import import_module
from itertools import islice, product
from types import ModuleType, UnionType
from typing import Any, NamedTuple, TypeAlias

from kinspect.artifacts.artifact import Artifact
from kinspect.errors import KinspectError, Location, Value, sentence

MOST = 20
"""Findings of one check that are listed one by one."""
_PACKAGE = __name__.rpartition(".")[0]

Subject: TypeAlias = "Artifact | NamedTuple"
"""What a check can examine."""


class Severity(StrEnum):
    """What a finding means for the artifact."""

    ERROR = "error"  # must not ship
    WARNING = "warning"  # should be looked at
    INFO = "info"  # good to know
    UNDECIDED = "undecided"  # the check could not run


class Evidence(NamedTuple):
    """What does not hold, and where; the first location is the primary one.

    `expected` and `actual` are printed as "expected ..., found ...": values of one kind. Names belong in the message.
    """

    message: str
    at: tuple[Location, ...] = ()
    expected: Value | None = None
    actual: Value | None = None

    @classmethod
    def of(cls, error: KinspectError) -> "Evidence":
        """What an error says, as evidence."""
        return cls(error.problem, (error.at,), error.expected, error.actual)

    def __str__(self) -> str:
        return sentence(self.message, self.expected, self.actual)


class Finding(NamedTuple):
    """One thing that does not hold."""

    id: str
    severity: Severity
    evidence: Evidence

    def __str__(self) -> str:
        at = f"{self.evidence.at[0]}: " if self.evidence.at else ""
        return f"{at}{self.evidence} [{self.id}]"


class Check(NamedTuple):
    """One check, as its function declares it.

    Each input is a kind of Artifact, a class of facts, or a union of several, any of which fits.
    """

    id: str
    severity: Severity
    doc: str
    inputs: tuple[type[Subject] | UnionType, ...]
    run: Callable[..., Iterator[Evidence | KinspectError]]

    @property
    def title(self) -> str:
        """The first line of its page."""
        return self.doc.split("\n", 1)[0]


def check(severity: Severity) -> Callable[[Callable[..., Iterator[Evidence | KinspectError]]], Check]:
    """Make a check of a function."""

    def made(function: Callable[..., Iterator[Evidence | KinspectError]]) -> Check:
        hints: dict[str, Any] = {name: hint for name, hint in function.__annotations__.items() if name != "return"}
        doc = "\n".join(line.removeprefix("    ") for line in (function.__doc__ or "").strip().splitlines())
        return Check(function.__name__.replace("_", "-"), severity, doc, tuple(hints.values()), function)

    return made


def topics() -> tuple[str, ...]:
    """All modules of checks as `room.module`, in alphabetical order: a new module needs no registration."""
    from pkgutil import iter_modules

    def names_in(package: str, packages: bool) -> list[str]:
        found = iter_modules(import_module(package).__path__)
        return sorted(entry.name for entry in found if entry.ispkg == packages)

    rooms = names_in(_PACKAGE, packages=True)
    return tuple(f"{room}.{name}" for room in rooms for name in names_in(f"{_PACKAGE}.{room}", packages=False))


def checks_in(*modules: ModuleType) -> tuple[Check, ...]:
    """The checks that modules declare, in their order; those that a module only imports belong to another."""
    return tuple(
        value
        for module in modules
        for value in vars(module).values()
        if isinstance(value, Check) and value.run.__module__ == module.__name__
    )


def run(check: Check, subjects: Iterable[Subject]) -> Iterator[tuple[tuple[Subject, ...], list[Finding]]]:
    """Run a check on every combination of subjects that fits its inputs: the combination, and what was found."""
    given = list(subjects)
    for chosen in product(*([subject for subject in given if isinstance(subject, kind)] for kind in check.inputs)):
        yield chosen, list(_findings(check, chosen))


def _findings(check: Check, chosen: tuple[Subject, ...]) -> Iterator[Finding]:
    try:
        for found in check.run(*chosen):
            if isinstance(found, KinspectError):
                yield Finding(check.id, Severity.UNDECIDED, Evidence.of(found))
            else:
                yield Finding(check.id, check.severity, found)
    except KinspectError as error:
        yield Finding(check.id, Severity.UNDECIDED, Evidence.of(error))


def capped(
    found: Iterable[Evidence | Callable[[], Evidence]], noun: str, at: Location, total: int | None = None
) -> Iterator[Evidence]:
    """The first MOST pieces of evidence, and how many more there are; with a `total` the rest is not computed.

    Where a piece takes long to make, `found` yields functions: only those of pieces that are shown are called.
    """
    rest = iter(found)
    for one in islice(rest, MOST):
        yield one if isinstance(one, Evidence) else one()
    more = sum(1 for _ in rest) if total is None else total - MOST
    if more > 0:
        yield Evidence(f"and {more:,} more such {noun}", (at,))
