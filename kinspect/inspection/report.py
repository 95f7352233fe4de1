"""A report, and how artifacts come to one: facts of each, and every check that fits them."""

import os
from collections.abc import Sequence
from importlib import import_module
from typing import NamedTuple, TypeVar

from kinspect.artifacts.artifact import Artifact
from kinspect.artifacts.kinds import open_artifact
from kinspect.checks.check import Check, Finding, Severity, Subject, checks_in, run
from kinspect.errors import FindingsError, KinspectError, Location

Path = str | os.PathLike[str]
F = TypeVar("F", bound=NamedTuple)

TOPICS = (
    "boot.container",
    "boot.header",
    "boot.pe",
    "boot.signature",
    "elf.vmlinux",
    "boot.vmlinux",
    "size.image",
    "symvers.image",
    "size.budget",
    "module.sections",
    "module.ko",
    "module.signature",
    "symvers.text",
    "symvers.exports",
    "symvers.kernel",
    "depmod.modules_dep",
    "depmod.files",
    "depmod.indexes",
    "depmod.modules_order",
    "module.tree",
    "module.members",
    "module.needs",
    "symvers.modules",
    "loader.verdict",
    "build.consistency",
    "dtb.blob",
    "dtb.structure",
    "dtb.tree",
)
"""The modules of checks, in the order in which they are listed and run."""


class Report(NamedTuple):
    """What was told and judged: facts of each artifact, findings, which checks ran, what could not be read."""

    facts: tuple[NamedTuple, ...] = ()
    findings: tuple[Finding, ...] = ()
    ran: tuple[str, ...] = ()
    errors: tuple[KinspectError, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether everything that must hold was checked and holds; warnings and information do not count."""
        return self.exit_code == 0

    @property
    def exit_code(self) -> int:
        """0 all held, 1 something did not hold, 2 something could not be told."""
        severities = {finding.severity for finding in self.findings}
        if self.errors or Severity.UNDECIDED in severities:
            return 2
        return 1 if Severity.ERROR in severities else 0

    def facts_of(self, kind: type[F]) -> list[F]:
        """The facts of one kind."""
        return [facts for facts in self.facts if isinstance(facts, kind)]

    def raise_for_findings(self) -> None:
        """Raise FindingsError, naming the first finding, unless the report is ok."""
        if self.errors:
            raise self.errors[0]
        bad = [found for found in self.findings if found.severity in (Severity.ERROR, Severity.UNDECIDED)]
        if bad:
            first = bad[0].evidence
            more = f" (and {len(bad) - 1} more)" if len(bad) > 1 else ""
            at = first.at[0] if first.at else Location("")
            raise FindingsError(
                f"{first.message}{more} [{bad[0].id}]", at, expected=first.expected, actual=first.actual
            )

    def __add__(self, other: object) -> "Report":
        if not isinstance(other, Report):
            return NotImplemented
        return Report(
            self.facts + other.facts,
            self.findings + other.findings,
            self.ran + other.ran,
            self.errors + other.errors,
        )


def checks_of(*topics: str) -> tuple[Check, ...]:
    """The checks of some topics; of all when none is named."""
    return checks_in(*(import_module(f"kinspect.checks.{topic}") for topic in topics or TOPICS))


def run_checks(artifacts: Sequence[Subject], *topics: str) -> Report:
    """The findings of all checks of some topics that fit the artifacts, without facts."""
    findings: list[Finding] = []
    ran: list[str] = []
    for check in checks_of(*topics):
        for _, found in run(check, artifacts):
            ran.append(check.id)
            findings += found
    # Two kernels given for one, a vmlinux and its Image, lack the same: it is said once.
    told = {(one.id, one.evidence._replace(at=one.evidence.at[:1])): one for one in reversed(findings)}
    return Report((), tuple(reversed(told.values())), tuple(ran))


def facts_of(artifact: Artifact) -> NamedTuple:
    """An artifact's facts, with what file(1) prints of the file where they have a place for it."""
    facts = artifact.facts
    if "file_type" not in facts._fields:
        return facts
    from kinspect.views.filetype.line import source_description

    outermost = artifact.wrappings[0] if artifact.wrappings else artifact
    return facts._replace(file_type=source_description(outermost.source))


def inspect(*paths: Path) -> Report:
    """Everything kinspect can tell of some files, alone and together.

    Raises KinspectError when a file cannot be read or is of no kind that kinspect knows.
    """
    artifacts = tuple(open_artifact(path) for path in paths)
    wrappings = tuple(wrapping for artifact in artifacts for wrapping in artifact.wrappings)
    return Report(tuple(facts_of(artifact) for artifact in artifacts)) + run_checks(artifacts + wrappings)
