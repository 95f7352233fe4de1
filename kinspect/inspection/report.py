"""A report: the facts of some artifacts, and the findings of every check that fits them."""

import os
from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any, NamedTuple, Never

from kinspect.errors import FindingsError, KinspectError, Location

# A report of one type of facts is a report; `Report` alone has facts of any type. Only type checkers need to know: a
# generic class would cost a fifth of the start-up.
if TYPE_CHECKING:
    from typing import Generic

    from typing_extensions import TypeVar

    from kinspect.artifacts.artifact import Artifact
    from kinspect.checks.check import Check, Evidence, Finding, Severity, Subject
    from kinspect.views.android.avb import VbmetaFacts
    from kinspect.workers import OnProgress

    F = TypeVar("F", bound=NamedTuple, covariant=True, default=NamedTuple)
    K = TypeVar("K", bound=NamedTuple)
    Judged = Mapping[str, Sequence[Sequence[Finding]]]
    """By the id of a check, its findings on each of several subjects."""
else:
    F = K = None

    class Generic:
        """A base class that takes any type parameters and ignores them."""

        def __class_getitem__(cls, _):
            return cls


Path = str | os.PathLike[str]
_JSON = ("reports.json", "report_text")
"""What writes a report as JSON: named, and not imported, because the floor of reports stands on this one."""


class Report(Generic[F]):
    """Facts of each artifact, findings, the ids of the checks that ran, and what could not be read.

    `Report[ImageFacts]` has facts of that type alone; `Report` has any.
    """

    def __init__(
        self,
        facts: "tuple[F, ...]" = (),
        findings: "tuple[Finding, ...]" = (),
        ran: tuple[str, ...] = (),
        errors: tuple[KinspectError, ...] = (),
    ) -> None:
        self.facts, self.findings, self.ran, self.errors = facts, findings, ran, errors

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Report) and vars(self) == vars(other)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"Report({', '.join(f'{name}={value!r}' for name, value in vars(self).items())})"

    def replaced(self, **changes: Any) -> "Report[F]":
        """A copy with other findings, or other parts."""
        return Report(**{**vars(self), **changes})

    @property
    def ok(self) -> bool:
        """Whether all that must hold was checked and holds; warnings and notes do not count."""
        return self.exit_code == 0

    @property
    def exit_code(self) -> int:
        """0 when all checks hold, 1 when one does not, 2 when something could not be read or decided."""
        severities = {finding.severity.value for finding in self.findings}
        if self.errors or "undecided" in severities:
            return 2
        return 1 if "error" in severities else 0

    def facts_of(self, kind: type[K]) -> list[K]:
        """The facts of one type."""
        return [facts for facts in self.facts if isinstance(facts, kind)]

    def raise_for_findings(self) -> None:
        """Raise FindingsError, naming the first finding, unless the report is ok."""
        if self.errors:
            raise self.errors[0]
        bad = [found for found in self.findings if found.severity.value in ("error", "undecided")]
        if bad:
            first = bad[0].evidence
            more = f" (and {len(bad) - 1} more)" if len(bad) > 1 else ""
            at = first.at[0] if first.at else Location("")
            raise FindingsError(
                f"{first.message}{more} [{bad[0].id}]", at, expected=first.expected, actual=first.actual
            )

    def to_json(self) -> str:
        """The report as `--json` prints it: one document, described by docs/report.schema.json."""
        module, name = _JSON
        document: str = getattr(import_module(f"kinspect.{module}"), name)(self)
        return document

    def __add__(self, other: "Report[K]") -> "Report[F | K]":
        return Report(
            self.facts + other.facts,
            self.findings + other.findings,
            self.ran + other.ran,
            self.errors + other.errors,
        )


def checks_of(*names: str) -> "tuple[Check, ...]":
    """The checks of some modules, given as `room.module`; all checks when none is named."""
    from kinspect.checks.check import checks_in, topics

    return checks_in(*(import_module(f"kinspect.checks.{name}") for name in names or topics()))


def run_checks(
    subjects: "Sequence[Subject]",
    *names: str,
    judged: "Judged | None" = None,
    on_progress: "OnProgress | None" = None,
) -> Report[Never]:
    """The findings of all checks of some modules (`room.module`) that fit the subjects, without facts.

    `judged` are those on further subjects, which are not kept. `on_progress` is called with the number of checks run.
    """
    from kinspect.checks.check import run

    findings: list[Finding] = []
    ran: list[str] = []
    checks = checks_of(*names)
    for number, check in enumerate(checks):
        if on_progress:
            on_progress(number, len(checks))
        results: list[Sequence[Finding]] = [found for _, found in run(check, subjects)]
        results += judged.get(check.id, ()) if judged else ()
        ran += [check.id] * len(results)
        findings += _merged(results)
    return Report((), tuple(findings), tuple(ran))


WRAPPING_CHECKS = (
    *("android.avb", "android.boot_image", "android.dtbo"),
    *("boot.container", "boot.parts", "boot.uimage", "boot.uki"),
)
"""The modules of checks for what is around a kernel."""
_TREE_CHECKS = ("dtb.blob", "dtb.fit", "dtb.fit_memory", "dtb.overlay", "dtb.structure", "dtb.tree")


def trees_report(artifacts: "Sequence[Artifact]") -> Report[Never]:
    """The findings on the device trees in boot loaders' containers and behind kernels, without facts."""
    from kinspect.artifacts.boot.appended import trees_of

    trees = [tree for artifact in artifacts for tree in trees_of(artifact)]
    return tree_checks(trees) if trees else Report()


def verified_report(artifacts: "Sequence[Artifact]") -> "Report[VbmetaFacts]":
    """The metadata of Android Verified Boot in some containers; nothing where it cannot be read, which a check says."""
    found: list[VbmetaFacts] = []
    if not artifacts:
        return Report()
    from kinspect.artifacts.android.verified import Verified
    from kinspect.views.android.avb import vbmeta_facts

    for artifact in artifacts:
        try:
            facts = vbmeta_facts(artifact) if isinstance(artifact, Verified) else None
        except KinspectError:
            continue
        found += [facts] if facts else []
    return Report(tuple(found))


def tree_checks(trees: "Sequence[Artifact]") -> Report[Never]:
    """The findings on some device trees, without facts."""
    return run_checks(trees, *_TREE_CHECKS)


def _merged(results: "Sequence[Sequence[Finding]]") -> "list[Finding]":
    """The findings of one check on several subjects: what a vmlinux and its Image both lack is one finding."""
    merged: list[Finding] = []
    known: dict[tuple[Severity, Evidence], int] = {}
    for found in filter(None, results):
        first = len(merged)
        for finding in found:
            number = known.get(_at_first_place(finding))
            if number is None:
                merged.append(finding)
            else:
                evidence = merged[number].evidence
                at = tuple(dict.fromkeys(evidence.at + finding.evidence.at))
                merged[number] = finding._replace(evidence=evidence._replace(at=at))
        known.update((_at_first_place(finding), number) for number, finding in enumerate(merged[first:], start=first))
    return merged


def _at_first_place(finding: "Finding") -> "tuple[Severity, Evidence]":
    return finding.severity, finding.evidence._replace(at=finding.evidence.at[:1])


def with_file_type(facts: K, artifact: "Artifact") -> K:
    """The facts of an artifact, with what file(1) prints of the file where they have a field for it."""
    if "file_type" not in facts._fields:
        return facts
    from kinspect.views.filetype.line import source_description

    outermost = artifact.wrappings[0] if artifact.wrappings else artifact
    completed: K = facts._replace(file_type=source_description(outermost.source))
    return completed


def inspect(*paths: Path) -> Report:
    """The facts of some files, and the findings of all checks on them, each alone and together.

    Raises KinspectError when a file cannot be read or is of a kind that kinspect does not know.
    """
    from kinspect.artifacts.boot.appended import trees_of
    from kinspect.artifacts.kinds import open_artifact

    artifacts = tuple(open_artifact(path) for path in paths)
    wrappings = tuple(wrapping for artifact in artifacts for wrapping in artifact.wrappings)
    trees = tuple(tree for one in artifacts + wrappings for tree in trees_of(one))
    return Report(tuple(with_file_type(artifact.facts, artifact) for artifact in artifacts)) + run_checks(
        artifacts + wrappings + trees
    )
