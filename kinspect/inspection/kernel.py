"""The kernel itself: image, file, vmlinux and its tables, diff, size."""

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from kinspect.artifacts.artifact import artifact_in, wanted
from kinspect.errors import MalformedError, WrongKindError
from kinspect.inspection.report import Path, Report, judged
from kinspect.source import Source

# Each function imports what it needs: a command pays for its own work alone.
if TYPE_CHECKING:
    from kinspect.artifacts.image import Image
    from kinspect.artifacts.vmlinux import Vmlinux
    from kinspect.views.image_difference import ImageDifference
    from kinspect.views.objcopy import Flags
    from kinspect.views.tables import Heading, Table


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


def image(path: Path, certificates: Sequence[Path] = ()) -> Report:
    """An Image and the verdict on it; of a compressed or zboot image what it is. Raises KinspectError.

    With certificates its Secure Boot signature must be by a key that they vouch for.
    """
    from kinspect.artifacts.image import Image

    artifact = artifact_in(path, Image)
    if not artifact.wrapping:
        artifact = wanted(Image, artifact)
    report = Report((artifact.facts,)) + judged((artifact,), "image_header", "image_pe")
    if not isinstance(artifact, Image) or not (certificates or artifact.facts.signature == "present"):
        return report
    return report + _signatures(artifact, certificates)


def _signatures(image: "Image", certificates: Sequence[Path]) -> Report:
    """The signatures of an Image. Reading it once more is the price of being signed."""
    from kinspect.artifacts.certificate import certificates_of_file
    from kinspect.checks.image_signature import trust_findings
    from kinspect.views.authenticode import ImageSignatures, image_signatures

    trusted = []
    for path in certificates:
        source = Source(path)
        trusted += certificates_of_file(source.read(0, min(source.size, 1 << 20)), source.path)
    judgement = judged((image,), "image_signature")
    try:
        facts = image_signatures(image, trusted) or ImageSignatures(image.path, ())
    except MalformedError:
        return judgement  # told by the checks of the header
    findings = tuple(trust_findings(facts)) if certificates else ()
    return Report((facts,) if facts.signatures else (), findings) + judgement


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
