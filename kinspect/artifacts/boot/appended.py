"""Device trees behind a kernel, as in Image-dtb and Image.gz-dtb, or behind another device tree."""

import os
from collections.abc import Iterator
from typing import NamedTuple

from kinspect.artifacts.artifact import Artifact
from kinspect.artifacts.boot.ending import AppendedTree, appended_trees, trees_behind
from kinspect.artifacts.boot.image import Image
from kinspect.artifacts.boot.parts import KERNEL, MOST_TREES, BootContainer, BootPart, joined_trees
from kinspect.artifacts.dtb.blob import Dtb, DtbKind
from kinspect.artifacts.kinds import kind_of
from kinspect.artifacts.raw.limits import HEAD
from kinspect.source import Source, Window


class JoinedTrees(NamedTuple):
    """Where the trees begin and end in a file, in bytes."""

    start: int
    end: int


class KernelWithTrees(BootContainer):
    """A kernel, raw or compressed, and the device trees behind it; or device trees alone, one after the other."""

    kind = "a kernel with device trees behind it"

    def __init__(self, artifact: Artifact, trees: JoinedTrees) -> None:
        super().__init__(artifact.source)
        self._trees = trees

    @property
    def title(self) -> str:
        """What is in front of the trees."""
        return "kernel with device trees" if self._trees.start else "joined device trees"

    @property
    def listed(self) -> tuple[BootPart, ...]:
        """The kernel, with the size that the build may append to it, and the trees."""
        start, end = self._trees
        kernel = (BootPart(KERNEL, 0, start),) if start else ()
        return (*kernel, BootPart("dtb", start, end - start))


def with_trees(path: str | os.PathLike[str]) -> KernelWithTrees | None:
    """A kernel in a file with the device trees behind it, or several device trees; None when there are no such trees.

    Raises as `Wrapping.unpacked` does.
    """
    source = Source(path)
    kind = kind_of(source.head(HEAD))
    artifact = kind.read(source) if kind and kind.reader else None
    found = _joined(artifact) if artifact else None
    if artifact is None or found is None:
        return None
    return KernelWithTrees(artifact, found._replace(start=0) if isinstance(artifact, Dtb) else found)


def _joined(artifact: Artifact) -> JoinedTrees | None:
    """The trees behind a kernel or a tree; None when there are none."""
    trees: list[AppendedTree]
    match artifact:
        case Image():
            trees = artifact.cached(trees_behind)
        # Data of a FIT image may follow it.
        case Dtb() if artifact.header.totalsize < artifact.size and artifact.form != DtbKind.FIT:
            trees = list(appended_trees(artifact.source, artifact.header.totalsize, artifact.size))
        case _:
            trees = _behind_stream(artifact)
    return JoinedTrees(trees[0].offset, trees[-1].offset + trees[-1].size) if trees else None


def _behind_stream(artifact: Artifact) -> list[AppendedTree]:
    """The trees behind a compressed kernel."""
    from kinspect.artifacts.boot.compressed import Compressed

    if not isinstance(artifact, Compressed) or artifact.unpacked.end == artifact.size:
        return []
    return list(appended_trees(artifact.source, artifact.unpacked.end, artifact.size))


def trees_of(artifact: Artifact) -> Iterator[Artifact]:
    """The device trees that are parts of an artifact, or behind it. Raises as `Artifact.trees` does."""
    yield from artifact.trees()
    if isinstance(artifact, Image) and (found := _joined(artifact)):
        window = Window(artifact.source, 0, found.end)
        yield from joined_trees(window, found.start, f"{artifact.path}:dtb")
    elif isinstance(artifact, Dtb) and artifact.size > artifact.header.totalsize and (found := _joined(artifact)):
        # The first tree is the artifact itself.
        for number, tree in enumerate(appended_trees(artifact.source, found.start, found.end), 2):
            if number <= MOST_TREES:
                part = Window(artifact.source, tree.offset, tree.size)
                part.path = f"{artifact.path}:dtb-{number}"
                yield Dtb(part)
