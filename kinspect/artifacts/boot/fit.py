"""FIT images: a device tree whose nodes have a kernel, device trees and a ramdisk as data."""

from collections.abc import Iterator
from functools import cached_property

from kinspect.artifacts.artifact import Artifact
from kinspect.artifacts.boot.parts import KERNEL, BootContainer, BootPart
from kinspect.artifacts.dtb.blob import Dtb, DtbKind
from kinspect.artifacts.dtb.fit import FitImage, configurations, default_configuration, fit_images
from kinspect.errors import KinspectError, TruncatedError
from kinspect.schemas.fdt import PropertyHeader
from kinspect.schemas.record import size_of

_TOKEN = 4
_IMAGES = b"\0\0\0\x01images\0\0"
"""FDT_BEGIN_NODE and the name of the node."""
_NAMES = {"kernel": KERNEL, "fdt": "dtb", "ramdisk": "ramdisk"}
"""The properties of a configuration, and the names of the parts that the default configuration boots."""


class Fit(BootContainer):
    """A FIT image. Source: the Flat Image Tree specification; U-Boot, boot/image-fit.c."""

    kind = "a FIT image"
    program = "FIT image"

    @cached_property
    def tree(self) -> Dtb:
        """The file as the device tree that it is."""
        return Dtb(self.source)

    @property
    def listed(self) -> tuple[BootPart, ...]:
        """Its images: those of the default configuration, or else of the first, are named after what they are.

        All others have the names of their nodes.
        """
        chosen = self._chosen()
        found, taken = [], set[str]()
        for image in fit_images(self.tree):
            node = image.node.name
            name = chosen.get(node, node)
            if name in taken:
                name = node
            taken.add(name)
            place = _place(image)
            if place:
                found.append(BootPart(name, *place, title=node))
        return tuple(found)

    def trees(self) -> Iterator[Artifact]:
        """The tree of the FIT image itself, whose checks judge hashes and configurations, and those in it.

        Data that lies outside the file is left to those checks.
        """
        yield self.tree
        try:
            yield from super().trees()
        except TruncatedError:
            return

    def _chosen(self) -> dict[str, str]:
        """The nodes of the images that are booted, and the names of their parts."""
        default, every = default_configuration(self.tree), list(configurations(self.tree))
        for configuration in every:
            if default in (None, configuration.node.name):
                return {node: _NAMES[name] for name, node in reversed(configuration.images) if name in _NAMES}
        return {}

    @property
    def contents_end(self) -> int:
        """The end of the tree, or of the data behind it."""
        return max([self.tree.header.totalsize, *(part.end for part in self.parts)])


def _place(image: FitImage) -> tuple[int, int] | None:
    """The offset and the size of an image's data in the file."""
    if image.external:
        return image.external.start, image.external.size
    found = image.node.property("data")
    return (found.offset + _TOKEN + size_of(PropertyHeader), len(found.value)) if found else None


def fit_or_tree(tree: Artifact, kind: type[Artifact] | None) -> Artifact:
    """A device tree, or the FIT image that it is, where an artifact of a kind is needed.

    Without a kind, a FIT image whose kernel cannot be opened stays a device tree, whose checks say what is wrong.
    """
    if not isinstance(tree, Dtb) or (kind and isinstance(tree, kind)):
        return tree
    # Only a tree with such a node is parsed here: there are thousands of others.
    if next(tree.source.find(_IMAGES), None) is None:
        return tree
    is_fit = False
    try:
        is_fit = tree.form == DtbKind.FIT
        if not is_fit:
            return tree
        fit = Fit(tree.source)
        if kind is BootContainer:
            return fit
        inside = fit.inside
        while inside is not None and inside.inside is not None:
            inside = inside.inside
    except KinspectError:
        if kind is None or not is_fit:
            return tree
        return Fit(tree.source)
    return tree if inside is None else fit
