"""The kernel itself: image, file, vmlinux and its tables, diff."""

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from kinspect.artifacts.kinds import open_as
from kinspect.errors import MalformedError, WrongKindError
from kinspect.inspection.report import Path, Report, run_checks
from kinspect.source import Source

# Each function imports what it needs: a command pays for its own work alone.
if TYPE_CHECKING:
    from kinspect.artifacts.artifact import Layer
    from kinspect.artifacts.boot.image import Image
    from kinspect.artifacts.elf.vmlinux import Vmlinux
    from kinspect.views.diff.explanation import ImageDifference
    from kinspect.views.diff.objcopy import Flags
    from kinspect.views.tables.listing import Heading, Table


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

    `layers` is what the Image came out of, the outermost first; `actual_size` is that of the raw Image.
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
    layers: "tuple[Layer, ...]" = ()


def image(path: Path, certificates: Sequence[Path] = ()) -> Report:
    """An Image, raw or wrapped, and the verdict on it and on its wrappings. Raises KinspectError.

    With certificates its Secure Boot signature must be by a key that they vouch for.
    """
    from kinspect.artifacts.boot.image import Image

    artifact = open_as(Image, path)
    topics = ("boot.container",) if artifact.wrapped_in else ()
    facts = artifact.facts
    report = Report((facts,)) + run_checks((artifact, *artifact.wrappings), *topics, "boot.header", "boot.pe")
    signed = certificates or facts.signature == "present"
    return report + _signatures(artifact, certificates) if signed else report


def _signatures(image: "Image", certificates: Sequence[Path]) -> Report:
    """The signatures of an Image. Reading it once more is the price of being signed."""
    from kinspect.artifacts.crypto.x509 import certificates_of_file
    from kinspect.checks.boot.signature import trust_findings
    from kinspect.views.signing.authenticode import ImageSignatures, image_signatures

    trusted = []
    for path in certificates:
        source = Source(path)
        trusted += certificates_of_file(source.read(0, min(source.size, 1 << 20)), source.path)
    judgement = run_checks((image,), "boot.signature")
    try:
        facts = image_signatures(image, trusted) or ImageSignatures(image.path, ())
    except MalformedError:
        return judgement  # told by the checks of the header
    findings = tuple(trust_findings(facts)) if certificates else ()
    return Report((facts,) if facts.signatures else (), findings) + judgement


def file(*paths: Path, version: str = "5.44", follow: bool = False) -> Report:
    """What file(1) of a version prints of some paths; `follow` follows symbolic links."""
    from kinspect.views.filetype.line import FileFacts, description

    names = (os.fsdecode(path) for path in paths)
    return Report(tuple(FileFacts(name, description(name, version=version, follow=follow)) for name in names))


def vmlinux(path: Path) -> Report:
    """A vmlinux and the verdict on it. Raises KinspectError."""
    from kinspect.artifacts.elf.vmlinux import Vmlinux
    from kinspect.views.tables.listing import tables

    artifact = open_as(Vmlinux, path)
    return Report((artifact.facts, TablesFacts(artifact.path, tables(artifact)))) + run_checks(
        (artifact,), "elf.vmlinux"
    )


def table(vmlinux: Path, name: str) -> Report:
    """The entries of one table of a vmlinux. Raises KinspectError."""
    from kinspect.artifacts.elf.vmlinux import Vmlinux
    from kinspect.views.tables.listing import table

    artifact = open_as(Vmlinux, vmlinux)
    return Report((TableFacts(artifact.path, table(artifact, name)),))


def with_code(vmlinux: "Vmlinux") -> "Vmlinux":
    """A vmlinux that an Image can be made from."""
    if not vmlinux.has_code:
        problem = "a stub without code: take the vmlinux of the debug package"
        raise WrongKindError(problem, vmlinux.at(), expected="executable sections", actual="none")
    return vmlinux


def diff(vmlinux: Path, image: Path, most: int = 10) -> Report:
    """Whether an Image is objcopy of a vmlinux, where and why not; the first `most` ranges one by one.

    Raises KinspectError.
    """
    from kinspect.artifacts.boot.image import Image
    from kinspect.artifacts.elf.vmlinux import Vmlinux
    from kinspect.views.diff.comparison import compare

    pair = with_code(open_as(Vmlinux, vmlinux)), open_as(Image, image)
    comparison = compare(*pair)
    why = None
    if not comparison.same:
        from kinspect.views.diff.explanation import explain

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
        pair[1].layers,
    )
    return Report((facts,)) + run_checks(pair, "boot.vmlinux")
