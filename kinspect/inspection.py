"""THE path from files to a verdict: every command and every script goes through one of these functions."""

import os
from importlib import import_module
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from kinspect.artifacts.artifact import Artifact, artifact_in, wanted
from kinspect.checks.check import Check, Finding, Severity, checks_in, run
from kinspect.errors import FindingsError, KinspectError, Location, WrongKindError

# Each function imports what it needs: a command pays for its own work alone.
if TYPE_CHECKING:
    from kinspect.artifacts.vmlinux import Vmlinux
    from kinspect.views.image_difference import ImageDifference
    from kinspect.views.objcopy import Flags
    from kinspect.views.tables import Heading, Table

Path = str | os.PathLike[str]
F = TypeVar("F", bound=NamedTuple)

TOPICS = (
    "image_header",
    "image_pe",
    "vmlinux",
    "image_and_vmlinux",
    "image_sizes",
    "image_exports",
    "module_elf",
    "module",
    "module_signature",
    "symvers_text",
    "symvers",
    "symvers_and_kernel",
    "modules_dep",
    "depmod_files",
    "depmod_indexes",
    "modules_order",
    "module_tree",
    "module_needs",
    "module_tree_and_symvers",
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


class TablesFacts(NamedTuple):
    """The kernel's tables in a vmlinux, in the order of their sections."""

    path: str
    tables: "tuple[Heading, ...]"


class TableFacts(NamedTuple):
    """The entries of one table in a vmlinux."""

    path: str
    table: "Table"


class DiffFacts(NamedTuple):
    """An Image held against a vmlinux. `expected_size` is what objcopy writes, in bytes; `why` is None when all agrees.

    `differing_bytes` in `ranges` ranges are counted where both have bytes.
    """

    vmlinux: str
    image: str
    flags: "Flags"
    expected_size: int
    actual_size: int
    same: bool
    differing_bytes: int
    ranges: int
    why: "ImageDifference | None"


def checks_of(*topics: str) -> tuple[Check, ...]:
    """The checks of some topics; of all when none is named."""
    return checks_in(*(import_module(f"kinspect.checks.{topic}") for topic in topics or TOPICS))


def judged(artifacts: tuple[Artifact, ...], *topics: str) -> Report:
    """The findings of all checks of some topics that fit the artifacts, without facts."""
    findings: list[Finding] = []
    ran: list[str] = []
    for check in checks_of(*topics):
        for _, found in run(check, artifacts):
            ran.append(check.id)
            findings += found
    # Two kernels given for one, a vmlinux and its Image, lack the same.
    return Report((), tuple(dict.fromkeys(findings)), tuple(ran))


def inspect(*paths: Path) -> Report:
    """Everything kinspect can tell of some files, alone and together.

    Raises KinspectError when a file cannot be read or is of no kind that kinspect knows.
    """
    artifacts = tuple(artifact_in(path) for path in paths)
    return Report(tuple(artifact.facts for artifact in artifacts)) + judged(artifacts)


def image(path: Path) -> Report:
    """An Image and the verdict on it; of a compressed or zboot image what it is. Raises KinspectError."""
    from kinspect.artifacts.image import Image

    artifact = artifact_in(path, Image)
    if not artifact.wrapping:
        artifact = wanted(Image, artifact)
    return Report((artifact.facts,)) + judged((artifact,), "image_header", "image_pe")


class FileFacts(NamedTuple):
    """What file(1) says of a path."""

    path: str
    description: str


def file(*paths: Path, version: str = "5.44", follow: bool = False) -> Report:
    """What file(1) of a version says of some paths; `follow` follows symbolic links."""
    from kinspect.views.file_line import description

    names = (os.fsdecode(path) for path in paths)
    return Report(tuple(FileFacts(name, description(name, version=version, follow=follow)) for name in names))


def vmlinux(path: Path) -> Report:
    """A vmlinux and the verdict on it. Raises KinspectError."""
    from kinspect.artifacts.vmlinux import Vmlinux
    from kinspect.views.tables import tables

    artifact = wanted(Vmlinux, path)
    return Report((artifact.facts, TablesFacts(artifact.path, tables(artifact)))) + judged((artifact,), "vmlinux")


def table(vmlinux: Path, name: str) -> Report:
    """The entries of one table of a vmlinux. Raises KinspectError."""
    from kinspect.artifacts.vmlinux import Vmlinux
    from kinspect.views.tables import table

    artifact = wanted(Vmlinux, vmlinux)
    return Report((TableFacts(artifact.path, table(artifact, name)),))


def _with_code(vmlinux: "Vmlinux") -> "Vmlinux":
    """A vmlinux that an Image can be made from."""
    if not vmlinux.has_code:
        problem = "a stub without code: take the vmlinux of the debug package"
        raise WrongKindError(problem, vmlinux.at(), expected="executable sections", actual="none")
    return vmlinux


def diff(vmlinux: Path, image: Path, most: int = 10) -> Report:
    """Whether an Image is objcopy of a vmlinux, where and why not; the first `most` ranges one by one.

    Raises KinspectError.
    """
    from kinspect.artifacts.image import Image
    from kinspect.artifacts.vmlinux import Vmlinux
    from kinspect.views.comparison import compare

    pair = _with_code(wanted(Vmlinux, vmlinux)), wanted(Image, image)
    comparison = compare(*pair)
    why = None
    if not comparison.same:
        from kinspect.views.image_difference import explain

        why = explain(*pair, most)
    facts = DiffFacts(
        pair[0].path,
        pair[1].path,
        comparison.flat.flags,
        comparison.flat.size,
        comparison.image_size,
        comparison.same,
        comparison.differing_bytes,
        comparison.range_count,
        why,
    )
    return Report((facts,)) + judged(pair, "image_and_vmlinux")


def size(vmlinux: Path, image: Path | None = None) -> Report:
    """Where every byte of a kernel goes, and whether the sums are those of the Image. Raises KinspectError."""
    from kinspect.artifacts.image import Image
    from kinspect.artifacts.vmlinux import Vmlinux
    from kinspect.views.sizes import sizes

    linked = _with_code(wanted(Vmlinux, vmlinux))
    if image is None:
        return Report((sizes(linked),))
    pair = linked, wanted(Image, image)
    return Report((sizes(*pair),)) + judged(pair, "image_sizes")
