"""Layers: a kernel's memory divided in one way, without gaps or overlaps.

Groupings are made by laying layers over each other. As each layer covers every byte once, the total is always right.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import NamedTuple


class MemoryLayer(NamedTuple):
    """Memory from `starts[0]` to `end`: run i extends to the start of the next, and `names[labels[i]]` is its name."""

    starts: list[int]
    labels: list[int]
    names: Sequence[str]
    end: int


class _Labels(dict[int, int]):
    """From the labels of a layer to those of the names in a builder, which gets the names that are used."""

    def __init__(self, layer: MemoryLayer, numbers: dict[str, int]) -> None:
        super().__init__()
        self.layer, self._numbers = layer, numbers

    def __missing__(self, label: int) -> int:
        self[label] = number = self._numbers.setdefault(self.layer.names[label], len(self._numbers))
        return number


class LayerBuilder:
    """Builds a layer from its first address to its last."""

    def __init__(self) -> None:
        self._starts: list[int] = []
        self._labels: list[int] = []
        self._numbers: dict[str, int] = {}
        self._copied: _Labels | None = None

    def add(self, start: int, name: str) -> None:
        """Begin the next run at `start`. It replaces earlier runs that begin there or later."""
        label = self._numbers.setdefault(name, len(self._numbers))
        while self._starts and self._starts[-1] >= start:
            self._starts.pop()
            self._labels.pop()
        if not self._labels or self._labels[-1] != label:
            self._starts.append(start)
            self._labels.append(label)

    def extend(self, layer: MemoryLayer, first: int, last: int) -> None:
        """Add the runs `first` to `last` - 1 of another layer, as they are."""
        if first < last:
            self.add(layer.starts[first], layer.names[layer.labels[first]])
            self._starts += layer.starts[first + 1 : last]
            if self._copied is None or layer is not self._copied.layer:
                self._copied = _Labels(layer, self._numbers)
            self._labels += map(self._copied.__getitem__, layer.labels[first + 1 : last])

    def layer(self, end: int) -> MemoryLayer:
        """The layer, which ends at `end`."""
        return MemoryLayer(self._starts, self._labels, list(self._numbers), end)


class Overlay(NamedTuple):
    """Several layers over each other: the runs, and for each layer the label of every run."""

    starts: list[int]
    sizes: list[int]
    labels: list[list[int]]


def overlay(layers: Sequence[MemoryLayer], cut: Iterable[int] = ()) -> Overlay:
    """The runs in which no layer changes, also split at the addresses in `cut`. All layers have the same bounds."""
    first, end = layers[0].starts[0], layers[0].end
    starts = sorted({*(start for layer in layers for start in layer.starts), *(at for at in cut if first < at < end)})
    sizes = [after - before for before, after in pairwise([*starts, end])]
    return Overlay(starts, sizes, [_spread(layer, starts) for layer in layers])


def _spread(layer: MemoryLayer, starts: list[int]) -> list[int]:
    """The label at each of `starts`, which include the layer's own."""
    own, label, found = dict(zip(layer.starts, layer.labels, strict=True)), layer.labels[0], []
    for start in starts:
        label = own.get(start, label)
        found.append(label)
    return found


def replaced(layer: MemoryLayer, parts: Iterable[tuple[int, int, Iterable[tuple[int, str]]]]) -> MemoryLayer:
    """A layer with some ranges (start, end, runs by start) divided differently; the ranges do not overlap."""
    builder, at = LayerBuilder(), 0
    for start, end, runs in sorted(parts, key=lambda part: part[0]):
        at = _copy(layer, at, start, builder)
        for run, name in runs:
            builder.add(run, name)
        # The run that was there before continues after the range.
        at = bisect_right(layer.starts, end) - 1
        if end < layer.end:
            builder.add(end, layer.names[layer.labels[at]])
        at += 1
    _copy(layer, at, layer.end, builder)
    return builder.layer(layer.end)


def _copy(layer: MemoryLayer, at: int, end: int, builder: LayerBuilder) -> int:
    """Add the runs of a layer from number `at` that begin before `end`. Returns the number of the next run."""
    stop = bisect_left(layer.starts, end, at)
    builder.extend(layer, at, stop)
    return stop
