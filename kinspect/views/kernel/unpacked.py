"""A raw kernel that was unpacked from a file."""

from typing import NamedTuple

from kinspect.artifacts.layer import Layer


class UnpackedFacts(NamedTuple):
    """The raw kernel that was written to `out`: `size` bytes. `layers` are its wrappings, the outermost first."""

    path: str
    out: str
    kind: str
    size: int
    layers: tuple[Layer, ...]


class PartFacts(NamedTuple):
    """A part of a boot loader's container that was written to `out`: `size` bytes."""

    path: str
    out: str
    part: str
    size: int
