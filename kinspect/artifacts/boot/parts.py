"""Containers of boot loaders: files with a kernel and what it boots with, each part as it is."""

from collections.abc import Iterator
from functools import cached_property
from typing import ClassVar, NamedTuple

from kinspect.artifacts.artifact import Artifact
from kinspect.artifacts.kinds import advice, description, kind_of
from kinspect.artifacts.layer import Layer
from kinspect.artifacts.raw.limits import HEAD
from kinspect.errors import KinspectError, Location, TruncatedError, WrongKindError
from kinspect.source import Source, Window

KERNEL = "kernel"
"""The name of the part with the kernel."""
MOST_TREES, LARGEST_TREE = 64, 2 << 20
"""Device trees of one part that are checked; the size in bytes of the largest that is read for a list."""
FDT = b"\xd0\x0d\xfe\xed"


class BootPart(NamedTuple):
    """A part of a container. Offset and size in bytes, without padding.

    `name` is what `--part` takes, such as `kernel` or `dtb`; `title` what the container calls the part, if it does.
    """

    name: str
    start: int
    size: int
    title: str = ""

    @property
    def end(self) -> int:
        """The offset of the first byte after it."""
        return self.start + self.size


class ContainedPart(NamedTuple):
    """A part of a container as facts. Offset and size in bytes; `contents` is the kind of file that it is.

    `machine` is what a device tree is for: its model and the first of its compatible strings.
    """

    name: str
    offset: int
    size: int
    contents: str
    title: str
    machine: str = ""


class ContainerFacts(NamedTuple):
    """A container of a boot loader: its name with the version, and its parts in the order of the file."""

    path: str
    size: int
    container: str
    parts: tuple[ContainedPart, ...]


class BootContainer(Artifact):
    """A file with a kernel, a ramdisk, device trees or a command line. The kernel is the artifact inside."""

    kind = "a container of a boot loader"
    hint = "`kinspect unpack --list` lists its parts"
    program: ClassVar[str] = ""
    """Its name in messages, such as `uImage`."""

    @property
    def listed(self) -> tuple[BootPart, ...]:
        """The parts as the header has them. KinspectError when they cannot be determined."""
        raise NotImplementedError

    @cached_property
    def parts(self) -> tuple[BootPart, ...]:
        """Its parts, which lie inside the file. Raises as `listed` does, and TruncatedError when one does not."""
        found = self.listed
        for part in found:
            if part.end > self.size:
                expected, actual = f"{part.end:,} bytes", f"{self.size:,}"
                raise TruncatedError(
                    f"the {part.name} ends past the end", self.at(part.name), expected=expected, actual=actual
                )
        return found

    @cached_property
    def inner_trees(self) -> tuple[BootPart, ...]:
        """The device trees of a part that has several: `dtb-1`, `dtb-2` and so on. Raises as `parts` does."""
        from kinspect.artifacts.boot.ending import appended_trees

        found, taken = [], {part.name for part in self.parts}
        for part in self.parts:
            if self.source_of(part).head(len(FDT)) == FDT:
                trees = list(appended_trees(self.source, part.start, part.end))[:MOST_TREES]
                for number, tree in enumerate(trees if len(trees) > 1 else (), 1):
                    if f"{part.name}-{number}" not in taken:
                        found.append(BootPart(f"{part.name}-{number}", tree.offset, tree.size))
        return tuple(found)

    @property
    def contents_end(self) -> int:
        """The end of what belongs to the container, in bytes."""
        return max((part.end for part in self.parts), default=0)

    @property
    def separate_parts(self) -> tuple[BootPart, ...]:
        """The parts of which none lies in another."""
        return self.parts

    def part(self, name: str) -> BootPart | None:
        """The first part of a name, or a device tree in one; None when there is none."""
        found = next((part for part in self.parts if part.name == name), None)
        if found or "-" not in name:
            return found
        return next((part for part in self.inner_trees if part.name == name), None)

    def source_of(self, part: BootPart) -> Source:
        """The bytes of a part."""
        return Window(self.source, part.start, part.size)

    def tree_source(self, part: BootPart) -> Source:
        """The bytes of a part that may be a device tree, unpacked where the container says so."""
        return self.source_of(part)

    @property
    def title(self) -> str:
        """Its name with the version, where it has one."""
        return self.program

    @cached_property
    def inside(self) -> Artifact | None:  # type: ignore[override]
        """The kernel, which may be compressed; None when the container has none.

        Raises as `parts` does, and WrongKindError when kinspect does not read such kernels.
        """
        part = self.part(KERNEL)
        if part is None:
            return None
        source = self.source_of(part)
        head = source.head(HEAD)
        kind = kind_of(head)
        if kind is None or not kind.reader:
            problem = f"wrong kind of file inside {self.title}{advice(head)}"
            actual = description(head) if head else "nothing"
            raise WrongKindError(problem, self.at(KERNEL), expected="a kernel", actual=actual)
        found = kind.open(source, None)
        found.wrapped_in = self
        return found

    @property
    def _has_container_inside(self) -> bool:
        try:
            return isinstance(self.inside, BootContainer)
        except KinspectError:
            return False

    @property
    def layer(self) -> Layer:
        """The place of the kernel. Raises as `parts` does."""
        part = self.part(KERNEL) or BootPart(KERNEL, 0, 0)
        return Layer(self.title, "none", self.size, part.start, part.size, part.size, 0)

    def trees(self) -> Iterator[Artifact]:
        """The device trees among the parts, also several in one; their paths end in the name of the part.

        Raises as `parts` does.
        """
        for part in self.parts:
            source = self.source_of(part)
            # A FIT image as the kernel is a container, whose own trees these are.
            if source.head(len(FDT)) == FDT and not (part.name == KERNEL and self._has_container_inside):
                yield from joined_trees(source, 0, f"{self.path}:{part.name}")

    @property
    def facts(self) -> ContainerFacts:
        """Its parts. Raises as `parts` does."""
        parts = []
        for part in (*self.parts, *self.inner_trees):
            source = self.source_of(part)
            head = source.head(HEAD)
            machine = _machine(self.tree_source(part))
            parts.append(ContainedPart(part.name, part.start, part.size, _contents(head), part.title, machine))
        return ContainerFacts(self.path, self.size, self.title, tuple(parts))

    def place(self, part: BootPart) -> Location:
        """The location of a part."""
        return self.at(part.name, part.start)


def _contents(head: bytes) -> str:
    """The kind of a part that starts with `head`, without its article."""
    kind = kind_of(head) if head else None
    return "" if kind is None else kind.name.removeprefix("an ").removeprefix("a ")


def _machine(source: Source) -> str:
    """What a device tree is for; empty when it does not say, is too large for a kernel, or no tree."""
    if source.size > LARGEST_TREE or source.head(len(FDT)) != FDT:
        return ""
    from kinspect.artifacts.dtb.blob import Dtb

    try:
        facts = Dtb(source).facts
    except KinspectError:
        return ""
    compatible = f"({facts.compatible[0]})" if facts.compatible else ""
    return " ".join(filter(None, [facts.model, compatible]))


def joined_trees(source: Source, start: int, name: str) -> Iterator[Artifact]:
    """The device trees from `start` on, one after the other; several of them are numbered from 1.

    At the start of a source there is one at least, even if it is cut.
    """
    from kinspect.artifacts.boot.ending import appended_trees
    from kinspect.artifacts.dtb.blob import Dtb

    found = list(appended_trees(source, start, source.size))
    places = [(tree.offset, tree.size) for tree in found[:MOST_TREES]]
    if len(places) < 2 and not start:
        places = [(0, source.size)]  # what follows the only tree is judged with it
    for number, (offset, size) in enumerate(places, 1):
        window = Window(source, offset, size)
        window.path = f"{name}-{number}" if len(places) > 1 else name
        yield Dtb(window)
