"""The largest symbols of a kernel, without the sources that tell equal names apart.

A list of 50 symbols needs the names of 50, and no source unless one of the names is not unique: then the whole tree is
needed.
"""

from collections.abc import Sequence
from heapq import nlargest
from itertools import compress
from operator import sub

from kinspect.artifacts.elf.mapping_symbols import mapping_names
from kinspect.artifacts.elf.symbols import Symbols
from kinspect.views.size.attribution import Attribution
from kinspect.views.size.node import SizeNode
from kinspect.views.size.symbol_runs import NO_SYMBOL, SymbolRuns, symbol_runs

_MOST_STRINGS = 64
"""Names of mapping symbols where the linker stores each name once. Otherwise equal names have different offsets."""
_MARGIN = 4
"""How many times as many symbols are compared, for two of one name that together are among the largest."""


def largest_symbols(found: Attribution, top: int) -> tuple[list[SizeNode], int, int] | None:
    """The `top` largest groups by symbol, the number of others, and the bytes without a symbol.

    None when the sources of some must be known, or when there are no others.
    """
    symbols = found.vmlinux.symbols
    if len(mapping_names(symbols)) > _MOST_STRINGS:
        return None
    runs = symbol_runs(found.vmlinux, found.account.spans)
    ends = [*runs.starts[1:], runs.end]
    sizes = list(map(sub, ends, runs.starts))
    file_end = found.file_end - runs.base
    others = _sums_of_others(runs, sizes, file_end)
    named = [label >= 0 for label in runs.labels]
    count = sum(named) + len(others) - top
    least = min(nlargest(_MARGIN * top, compress(sizes, named)), default=0)
    if count < 2 or not least:
        return None
    chosen = [number for number, size in enumerate(sizes) if size >= least and named[number]]
    names = symbols.names(runs.labels[number] for number in chosen)
    groups = [
        (SizeNode(name, max(0, min(ends[number], file_end) - runs.starts[number]), sizes[number]), runs.labels[number])
        for name, number in zip(names, chosen, strict=True)
    ]
    groups += [(SizeNode(name, *pair), -1) for name, pair in others.items()]
    groups.sort(key=lambda group: (-group[0].memory, group[0].name))
    listed = groups[:top]
    if _is_ambiguous(symbols, groups, listed[-1][0].memory):
        return None
    if _are_repeated(symbols, runs, [label for _, label in listed if label >= 0]):
        return None
    return [node for node, _ in listed], count, others.get(NO_SYMBOL, (0, 0))[1]


def _sums_of_others(runs: SymbolRuns, sizes: Sequence[int], file_end: int) -> dict[str, tuple[int, int]]:
    """The bytes of each group that is not a symbol, in the file and in memory."""
    sums = [[0, 0] for _ in runs.others]
    for number in [number for number, label in enumerate(runs.labels) if label < 0]:
        pair, size = sums[-1 - runs.labels[number]], sizes[number]
        pair[1] += size
        pair[0] += max(0, min(size, file_end - runs.starts[number]))
    return {name: (file, memory) for name, (file, memory) in zip(runs.others, sums, strict=True)}


def _is_ambiguous(symbols: Symbols, groups: Sequence[tuple[SizeNode, int]], least: int) -> bool:
    """Whether symbols of one name, if they are of one source, are together not smaller than `least` bytes."""
    alike: dict[str, list[tuple[SizeNode, int]]] = {}
    for group in groups:
        alike.setdefault(group[0].name, []).append(group)
    for same in alike.values():
        if len(same) > 1 and sum(node.memory for node, _ in same) >= least:
            files = {symbols.file_name(label) for _, label in same}
            # Objects of different C files. An object of assembly is named after itself, not after its source.
            if len(files) < len(same) or not all(name.endswith(".c") for name in files):
                return True
    return False


def _are_repeated(symbols: Symbols, runs: SymbolRuns, labels: Sequence[int]) -> bool:
    """Whether one of some symbols has the name of another one that has bytes."""
    offsets = symbols.name_offsets
    places = {offsets[label] for label in labels}
    same = set(compress(range(len(offsets)), map(places.__contains__, offsets))) - set(labels)
    return bool(same) and not same.isdisjoint(runs.labels)
