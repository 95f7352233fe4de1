"""A kernel in a file of any form."""

from typing import TYPE_CHECKING

from kinspect.artifacts.kinds import open_artifact
from kinspect.errors import WrongKindError
from kinspect.inspection.report import Path
from kinspect.source import Source

if TYPE_CHECKING:
    from kinspect.artifacts.artifact import Artifact
    from kinspect.artifacts.boot.image import Image
    from kinspect.artifacts.elf.vmlinux import Vmlinux


_KERNEL = "a vmlinux or an Image"


def open_kernel(path: Path | Source) -> "Vmlinux | Image":
    """The vmlinux or Image in a file. WrongKindError when it is neither."""
    from kinspect.artifacts.boot.image import Image
    from kinspect.artifacts.elf.vmlinux import Vmlinux

    try:
        artifact = open_artifact(path)
    except WrongKindError as error:
        raise WrongKindError(error.problem, error.at, expected=_KERNEL, actual=error.actual) from None
    if isinstance(artifact, Vmlinux | Image):
        return artifact
    raise not_a_kernel(artifact)


def not_a_kernel(artifact: "Artifact", expected: str = _KERNEL) -> WrongKindError:
    """The error for an artifact of another kind, which says what to do with it."""
    hint = f" ({artifact.hint})" if artifact.hint else ""
    return WrongKindError(f"not a kernel{hint}", artifact.at(), expected=expected, actual=artifact.kind)
