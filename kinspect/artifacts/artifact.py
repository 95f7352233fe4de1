"""Artifacts: parsed files. Each part is read lazily, and a broken part does not hide the others."""

import os
from collections.abc import Callable, Hashable, Iterator
from typing import TYPE_CHECKING, ClassVar, NamedTuple, Self, TypeVar

from kinspect.errors import KinspectError, Location, WrongKindError
from kinspect.schemas.record import parse_table, size_of
from kinspect.source import Source

if TYPE_CHECKING:
    from kinspect.artifacts.layer import Layer

R = TypeVar("R", bound=NamedTuple)
T = TypeVar("T")


def wrapping_suffix(layers: "tuple[Layer, ...]") -> str:
    """` in EFI zboot (gzip) in xz` for an artifact unpacked from those layers; empty without layers."""
    return "".join(f" in {layer.title}" for layer in reversed(layers))


class Artifact:
    """A file of one kind. The constructor reads nothing; every part is read on first access."""

    kind: ClassVar[str]
    wrapped_in: "Artifact | None" = None
    """The wrapping (a compressed file, a zboot image) that it was unpacked from; None when it is the file itself."""
    inside: "Artifact | None" = None
    """The artifact inside, if this is a wrapping."""
    hint: ClassVar[str] = ""
    """What to do instead, when another kind was expected."""

    @classmethod
    def refusal(cls, source: Source, found: str, advice: str = "") -> KinspectError:
        """The error for a file that is not of this kind. `found` describes the file, ` (advice)` says what to do."""
        return WrongKindError(f"wrong kind of file{advice}", Location(source.path), expected=cls.kind, actual=found)

    def __init__(self, source: Source | str | os.PathLike[str]) -> None:
        self.source = source if isinstance(source, Source) else Source(source)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.path!r})"

    @property
    def path(self) -> str:
        """The path as it was given."""
        return self.source.path

    @property
    def size(self) -> int:
        """The size of the file in bytes."""
        return self.source.size

    @property
    def facts(self) -> NamedTuple:
        """What the file contains, as plain values."""
        raise NotImplementedError

    @property
    def layer(self) -> "Layer":
        """The sizes and offsets of a wrapping."""
        raise NotImplementedError

    @property
    def wrappings(self) -> "tuple[Artifact, ...]":
        """The wrappings that it was unpacked from, outermost first."""
        return (*self.wrapped_in.wrappings, self.wrapped_in) if self.wrapped_in else ()

    @property
    def layers(self) -> "tuple[Layer, ...]":
        """The sizes and offsets of those wrappings."""
        return tuple(wrapping.layer for wrapping in self.wrappings)

    def trees(self) -> "Iterator[Artifact]":
        """The device trees that are parts of it, if it is a container of a boot loader."""
        return iter(())

    def at(self, part: str = "", offset: int | None = None) -> Location:
        """A place in this file. An offset in unpacked bytes says so."""
        unpacked = "unpacked " if self.wrapped_in and offset is not None else ""
        return Location(self.path, (unpacked + part).rstrip(), offset)

    def record(self, record: type[R], offset: int, part: str = "") -> R:
        """The record of fixed size at `offset`. TruncatedError when the file is too short."""
        return parse_table(record, self.source.read(offset, size_of(record), part))[0]

    def cached(self, view: Callable[..., T], *arguments: Hashable) -> T:
        """`view(self, *arguments)`, computed on first use and kept with this artifact."""
        known: dict[tuple[object, ...], T] = self.__dict__.setdefault("_views", {})
        key = (view, *arguments)
        if key not in known:
            known[key] = view(self, *arguments)
        return known[key]

    def close(self) -> None:
        """Close the file. Reading another part opens it again."""
        self.source.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
