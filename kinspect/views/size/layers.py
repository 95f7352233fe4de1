"""Layers: the memory of a kernel divided in one way, without a gap and without an overlap.

Any question of sizes is a few layers laid over each other. As each covers all bytes once, every total is the whole.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import NamedTuple


class Layout(NamedTuple):
    """Memory from `starts[0]` to `end`: run i reaches up to the start of the next and bears `names[labels[i]]`."""

    starts: list[int]
    labels: list[int]
    names: Sequence[str]
    end: int


class LayerBuilder:
    """Makes a layer from its first address to its last."""

    def __init__(self) -> None:
        self._starts: list[int] = []
        self._labels: list[int] = []
        self._numbers: dict[str, int] = {}

    def add(self, start: int, name: str) -> None:
        """The next run begins at `start`; one that begins at or before the last takes its place."""
        label = self._numbers.setdefault(name, len(self._numbers))
        while self._starts and self._starts[-1] >= start:
            self._starts.pop()
            self._labels.pop()
        if not self._labels or self._labels[-1] != label:
            self._starts.append(start)
            self._labels.append(label)

    def layer(self, end: int) -> Layout:
        """What was made."""
        return Layout(self._starts, self._labels, list(self._numbers), end)


class Overlay(NamedTuple):
    """Layers over each other: runs by start, and for each layer the label of every run."""

    starts: list[int]
    sizes: list[int]
    labels: list[list[int]]


def overlay(layers: Sequence[Layout], cut: Iterable[int] = ()) -> Overlay:
    """The runs in which no layer changes; they end at the places to `cut` too. All layers have the same bounds."""
    first, end = layers[0].starts[0], layers[0].end
    starts = sorted({*(start for layer in layers for start in layer.starts), *(at for at in cut if first < at < end)})
    sizes = [after - before for before, after in pairwise([*starts, end])]
    return Overlay(starts, sizes, [_spread(layer, starts) for layer in layers])


def _spread(layer: Layout, starts: list[int]) -> list[int]:
    """The label at each of some starts that hold the layer's own."""
    own, label, found = dict(zip(layer.starts, layer.labels, strict=True)), layer.labels[0], []
    for start in starts:
        label = own.get(start, label)
        found.append(label)
    return found


def replaced(layer: Layout, parts: Iterable[tuple[int, int, Iterable[tuple[int, str]]]]) -> Layout:
    """A layer in which some ranges (start, end, runs by start) are divided anew; the ranges do not overlap."""
    builder, at = LayerBuilder(), 0
    for start, end, runs in sorted(parts, key=lambda part: part[0]):
        at = _copy(layer, at, start, builder)
        for run, name in runs:
            builder.add(run, name)
        # What follows the range goes on where it was.
        at = bisect_right(layer.starts, end) - 1
        if end < layer.end:
            builder.add(end, layer.names[layer.labels[at]])
        at += 1
    _copy(layer, at, layer.end, builder)
    return builder.layer(layer.end)


def _copy(layer: Layout, at: int, end: int, builder: LayerBuilder) -> int:
    """Add the runs of a layer from number `at` on that begin before `end`; the number of the next."""
    stop = bisect_left(layer.starts, end, at)
    for number in range(at, stop):
        builder.add(layer.starts[number], layer.names[layer.labels[number]])
    return stop
