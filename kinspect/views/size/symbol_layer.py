"""The layer of symbols; bytes that belong to none are named in brackets."""

from bisect import bisect_right
from collections.abc import Sequence

from kinspect.artifacts.elf.vmlinux import Vmlinux
from kinspect.views.size.account import SizeSpan
from kinspect.views.size.layers import MemoryLayer
from kinspect.views.size.symbol_runs import READ_ONLY, SymbolRuns, symbol_runs


def symbol_layer(vmlinux: Vmlinux, spans: Sequence[SizeSpan]) -> MemoryLayer:
    """The layer of symbols, with the bounds of the spans. Neighbours may have the same name."""
    runs = symbol_runs(vmlinux, spans)
    numbers: dict[str, int] = {}
    names = _names(vmlinux, runs)
    labels = [numbers.setdefault(name, len(numbers)) for name in names]
    starts = [runs.base + start for start in runs.starts]
    return MemoryLayer(starts, labels, list(numbers), runs.base + runs.end)


def symbol_sources(symbols: MemoryLayer, sources: MemoryLayer) -> MemoryLayer:
    """The layer of symbols by source: the whole of a symbol belongs to the source that its first byte belongs to."""
    labels = [sources.labels[bisect_right(sources.starts, start) - 1] for start in symbols.starts]
    return symbols._replace(labels=labels, names=sources.names)


def _names(vmlinux: Vmlinux, runs: SymbolRuns) -> list[str]:
    symbols = iter(vmlinux.symbols.names(label for label in runs.labels if label >= 0))
    return [next(symbols) if label >= 0 else runs.others[-1 - label] for label in runs.labels]


def string_pools(vmlinux: Vmlinux, spans: Sequence[SizeSpan]) -> list[tuple[int, int]]:
    """The ranges in which the linker merged the strings of many objects."""
    runs = symbol_runs(vmlinux, spans, READ_ONLY)
    return [(runs.base + start, runs.base + end) for start, end in runs.pools]
