"""Which function of one kernel is which of the other: by name, and those of one name by their code and order."""

from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from kinspect.views.changes.names import compared_name, source_name
from kinspect.views.changes.side import KernelSide


class Paired(NamedTuple):
    """Offsets of symbols that are the same in both kernels, old and new, and those that only one has."""

    pairs: list[tuple[int, int]]
    removed: list[int]
    added: list[int]


def paired(old: KernelSide, new: KernelSide, ours: Sequence[int], theirs: Sequence[int]) -> Paired:
    """The symbols at some offsets of two kernels in pairs."""
    found = _by_key(_grouped(old, ours, compared_name), _grouped(new, theirs, compared_name), old, new)
    if not (found.removed and found.added):
        return found
    # A clone is that of the function, if there is no other.
    left = _by_key(_grouped(old, found.removed, _cloned), _grouped(new, found.added, _cloned), old, new)
    left = _by_alias(old, new, left)
    return Paired(sorted(found.pairs + left.pairs), left.removed, left.added)


def _cloned(name: str) -> str:
    return source_name(compared_name(name))


def _grouped(side: KernelSide, offsets: Iterable[int], key: Callable[[str], str]) -> dict[str, list[int]]:
    groups: dict[str, list[int]] = defaultdict(list)
    for offset in offsets:
        groups[key(side.names[offset])].append(offset)
    return groups


def _by_key(ours: dict[str, list[int]], theirs: dict[str, list[int]], old: KernelSide, new: KernelSide) -> Paired:
    pairs: list[tuple[int, int]] = []
    removed: list[int] = []
    added: list[int] = []
    for name, olds in ours.items():
        news = theirs.get(name)
        if news is None:
            removed += olds
        elif len(olds) == len(news):
            pairs += zip(olds, news, strict=True)
        else:
            matched = _by_size(old, new, olds, news)
            pairs += matched.pairs
            removed += matched.removed
            added += matched.added
    for name, news in theirs.items():
        if name not in ours:
            added += news
    return Paired(pairs, removed, added)


def _by_size(old: KernelSide, new: KernelSide, olds: list[int], news: list[int]) -> Paired:
    """Those of one name, of which one kernel has more: of equal size first, in order, then the others."""
    sizes: dict[int, deque[int]] = defaultdict(deque)
    for offset in news:
        sizes[new.ends[offset] - offset].append(offset)
    pairs, rest = [], []
    for offset in olds:
        alike = sizes[old.ends[offset] - offset]
        if alike:
            pairs.append((offset, alike.popleft()))
        else:
            rest.append(offset)
    left = sorted(offset for alike in sizes.values() for offset in alike)
    pairs += zip(rest, left, strict=False)
    return Paired(pairs, rest[len(left) :], left[len(rest) :])


def _by_alias(old: KernelSide, new: KernelSide, found: Paired) -> Paired:
    """Those that have another name at the same place."""
    places = {
        compared_name(name): offset for offset in found.added for _, name in new.aliases.get(offset, ()) if name
    } | {compared_name(new.names[offset]): offset for offset in found.added}
    pairs, taken, removed = [], set[int](), []
    for offset in found.removed:
        names = [old.names[offset], *(name for _, name in old.aliases.get(offset, ()))]
        match = next((places[key] for key in map(compared_name, names) if places.get(key, 0) not in (0, *taken)), None)
        if match is None:
            removed.append(offset)
        else:
            taken.add(match)
            pairs.append((offset, match))
    return Paired(found.pairs + pairs, removed, [offset for offset in found.added if offset not in taken])
