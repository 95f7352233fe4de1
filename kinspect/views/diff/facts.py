"""The outcome of `kinspect diff`: whether an Image is objcopy's output for a vmlinux, and if not, why."""

from typing import TYPE_CHECKING, NamedTuple

from kinspect.artifacts.boot.image import Image
from kinspect.artifacts.elf.vmlinux import Vmlinux
from kinspect.views.diff.comparison import compare
from kinspect.views.diff.objcopy import Flags

# An Image that is equal needs no explanation.
if TYPE_CHECKING:
    from kinspect.artifacts.layer import Layer
    from kinspect.views.diff.explanation import ImageDifference

OTHER_BUILD = "another build"
"""The id of the cause when vmlinux and Image come from different builds."""


class DiffFacts(NamedTuple):
    """An Image compared with a vmlinux. Sizes in bytes: `expected_size` is that of objcopy's output.

    `actual_size` is that of the raw Image, `layers` its wrappings, the outermost first. `differing_bytes` in `ranges`
    ranges are counted up to the end of the shorter one. `why` is None when both are equal.
    """

    vmlinux: str
    image: str
    flags: Flags
    expected_size: int
    actual_size: int
    same: bool
    differing_bytes: int
    ranges: int
    why: "ImageDifference | None"
    layers: "tuple[Layer, ...]" = ()


def diff_facts(vmlinux: Vmlinux, image: Image, most: int) -> DiffFacts:
    """The comparison, with the first `most` differing ranges one by one. Raises KinspectError."""
    comparison = compare(vmlinux, image)
    why = None
    if not comparison.same:
        from kinspect.views.diff.explanation import explain

        why = explain(vmlinux, image, most)
    return DiffFacts(
        vmlinux.path,
        image.path,
        comparison.flat.flags,
        comparison.flat.size,
        comparison.image_size,
        comparison.same,
        comparison.differing_bytes,
        comparison.range_count,
        why,
        image.layers,
    )
