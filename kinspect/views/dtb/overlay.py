"""What overlays do to a device tree: the nodes and properties that change, or why an overlay does not apply."""

from typing import NamedTuple

from kinspect.errors import Location, Value


class OverlayProblem(NamedTuple):
    """Why an overlay does not apply; `error` is that of libfdt, which fdtoverlay prints."""

    message: str
    at: Location
    error: str
    expected: Value | None = None
    actual: Value | None = None


class OverlayChange(NamedTuple):
    """A node that an overlay adds (without `property`), or a property that it adds (without `old`) or changes."""

    path: str
    property: str | None = None
    old: bytes | None = None
    new: bytes | None = None


class AppliedOverlay(NamedTuple):
    """An overlay, and what became of it. Later ones are not tried when one does not apply: neither then.

    `replaced` has the nodes of the base whose phandle it changes, with both numbers.
    """

    path: str
    applied: bool
    problem: OverlayProblem | None = None
    nodes_added: int = 0
    properties_added: int = 0
    properties_changed: int = 0
    changes: tuple[OverlayChange, ...] = ()
    replaced: tuple[tuple[Location, int, int], ...] = ()


class OverlayFacts(NamedTuple):
    """A base with overlays. `size` is that of the merged tree, None when an overlay does not apply."""

    path: str
    overlays: tuple[AppliedOverlay, ...]
    size: int | None
    written: str | None = None
