"""Whether a file is a FIT image with signatures: asked of every kernel that is checked, so it imports little."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kinspect.artifacts.artifact import Artifact


def is_signed_fit(artifact: "Artifact") -> bool:
    """Whether an artifact is a FIT image with signatures; False when its tree is broken."""
    if artifact.kind != "a FIT image":
        return False
    from kinspect.artifacts.dtb.blob import Dtb
    from kinspect.views.signing.fit import has_signatures

    return has_signatures(Dtb(artifact.source))
