"""The bytes of a kernel, or of two builds compared, as a tree of groups whose sum is the whole."""

import re
from collections import Counter
from collections.abc import Sequence

from kinspect.artifacts.elf.vmlinux import Vmlinux
from kinspect.artifacts.raw.regex import Regex
from kinspect.views.size.account import sizes
from kinspect.views.size.attribution import OWN, SOURCE_SEPARATOR, Attribution, Leaves, Path
from kinspect.views.size.node import SizeNode
from kinspect.views.size.source_layer import NO_SOURCE
from kinspect.views.size.symbol_runs import NO_SYMBOL

TOTAL, OTHERS = "total", "[others]"
"""OTHERS sums up the groups that do not match the pattern, so the total is always the whole."""
_NUMBERED = re.compile(r"(?<=\w)\.\d+(?=\.|$)|(?<=__UNIQUE_ID_)\w+?(?=\d+$)|\.llvm\.\d+|\.cgu\.\d+")
"""Numbers in symbol names that change from build to build: `__key.12`, `probe.constprop.0`."""

_Sums = tuple[int, int, int, int]


def size_tree(
    new: Attribution,
    by: Sequence[str],
    old: Attribution | None = None,
    *,
    depth: int | None = None,
    section: str | None = None,
    match: str | None = None,
) -> SizeNode:
    """The tree of one kernel, or of two compared: `by` lists GROUPINGS, outermost first.

    Folders go down to `depth` levels; with a `section` only its bytes count; groups whose path does not match the
    regular expression `match` are summed up under OTHERS.
    """
    leaves = {path: (*pair, 0, 0) for path, pair in new.leaves(by, depth, section).items()}
    if old is not None:
        leaves = _joined(leaves, old.leaves(by, depth, section))
    leaves = _named(leaves)
    if match is not None:
        pattern, others = Regex(match), [0, 0, 0, 0]
        for path in [path for path in leaves if not pattern.search("/".join(path))]:
            others = [total + size for total, size in zip(others, leaves.pop(path), strict=True)]
        if any(others):
            leaves[(OTHERS,)] = (others[0], others[1], others[2], others[3])
    return _tree(TOTAL, leaves) if leaves else SizeNode(TOTAL, 0, 0)


def file_tree(vmlinux: Vmlinux, by: Sequence[str]) -> SizeNode:
    """The vmlinux file itself by kind, by section, or by both."""
    leaves: dict[Path, _Sums] = {}
    for part in sizes(vmlinux).parts:
        names = {"section": part.name, "kind": part.kind}
        _add(leaves, tuple(names[grouping] for grouping in by), (part.size, part.size, 0, 0))
    return _tree(TOTAL, leaves)


def unattributed(node: SizeNode) -> int:
    """The bytes of memory in a tree whose source or symbol is not known."""
    if node.name in (NO_SOURCE, NO_SYMBOL):
        return node.memory
    return sum(unattributed(child) for child in node.children)


def _joined(leaves: dict[Path, _Sums], old: Leaves) -> dict[Path, _Sums]:
    """The leaves of two builds, matched by path; a symbol that moved to another file is counted at its new place."""
    found: dict[Path, _Sums] = {}
    for path, sums in leaves.items():
        _add(found, _unnumbered(path), sums)
    for path, (file, memory) in old.items():
        _add(found, _unnumbered(path), (0, 0, file, memory))
    removed: dict[tuple[str, int], list[Path]] = {}
    added: dict[tuple[str, int], list[Path]] = {}
    for path, (_, memory, _, before) in found.items():
        name, separator, _ = path[-1].partition(SOURCE_SEPARATOR)
        if separator and not (memory and before):
            (added if memory else removed).setdefault((name, memory or before), []).append(path)
    for name_and_size, paths in removed.items():
        if len(paths) == 1 and len(added.get(name_and_size, ())) == 1:
            _add(found, added[name_and_size][0], found.pop(paths[0]))
    return found


def _add(leaves: dict[Path, _Sums], path: Path, sums: _Sums) -> None:
    before = leaves.get(path, (0, 0, 0, 0))
    leaves[path] = (before[0] + sums[0], before[1] + sums[1], before[2] + sums[2], before[3] + sums[3])


def _unnumbered(path: Path) -> Path:
    name, separator, source = path[-1].partition(SOURCE_SEPARATOR)
    return (*path[:-1], _NUMBERED.sub("", name) + separator + source) if separator else path


def _named(leaves: dict[Path, _Sums]) -> dict[Path, _Sums]:
    """Symbols by name alone, or with their source where several have the same name."""
    plain = [tuple([part.partition(SOURCE_SEPARATOR)[0] for part in path]) for path in leaves]
    counts = Counter(plain)
    return {
        names if counts[names] == 1 else tuple(map(_with_source, path)): sums
        for names, (path, sums) in zip(plain, leaves.items(), strict=True)
    }


def _with_source(part: str) -> str:
    name, separator, source = part.partition(SOURCE_SEPARATOR)
    return f"{name} ({source})" if separator else part


def _tree(name: str, leaves: dict[Path, _Sums]) -> SizeNode:
    children = [SizeNode(path[0], *sums) for path, sums in leaves.items() if len(path) == 1]
    inner: dict[str, dict[Path, _Sums]] = {}
    for path, sums in leaves.items():
        if len(path) > 1:
            inner.setdefault(path[0], {})[path[1:]] = sums
    for number, leaf in enumerate(children):
        if leaf.name in inner:
            # A folder that contains both files and folders.
            inner[leaf.name][(OWN,)] = leaf[1:5]
            children[number] = _tree(leaf.name, inner.pop(leaf.name))
    children += [_tree(child, below) for child, below in inner.items()]
    children.sort(key=lambda node: (-node.memory, -node.memory_before, node.name))
    file, memory, file_before, memory_before = (sum(column) for column in zip(*leaves.values(), strict=True))
    return SizeNode(name, file, memory, file_before, memory_before, tuple(children))
