"""The bytes of a kernel, or of two builds held against each other, as a tree of groups whose sum is the whole."""

import re
from collections import Counter
from collections.abc import Sequence

from kinspect.artifacts.elf.vmlinux import Vmlinux
from kinspect.views.size.account import sizes
from kinspect.views.size.attribution import OWN, SOURCE_SEPARATOR, Attribution, Leaves, Path
from kinspect.views.size.node import SizeNode
from kinspect.views.size.source_layer import NO_SOURCE
from kinspect.views.size.symbol_layer import NO_SYMBOL

TOTAL, OTHERS = "total", "[others]"
"""What a pattern does not match: a total is always the whole."""
_NUMBERED = re.compile(r"(?<=\w)\.\d+(?=\.|$)|(?<=__UNIQUE_ID_)\w+?(?=\d+$)|\.llvm\.\d+|\.cgu\.\d+")
"""What compilers number anew in each build: `__key.12`, `probe.constprop.0`."""

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
    """The tree of one kernel, or of two: grouped by GROUPINGS, the next within each, folders down to `depth`.

    Only what lies in `section`; what the pattern `match` does not find in its path is under OTHERS.
    """
    leaves = {path: (*pair, 0, 0) for path, pair in new.leaves(by, depth, section).items()}
    if old is not None:
        leaves = _joined(leaves, old.leaves(by, depth, section))
    leaves = _named(leaves)
    if match is not None:
        pattern, others = re.compile(match), [0, 0, 0, 0]
        for path in [path for path in leaves if not pattern.search("/".join(path))]:
            others = [one + more for one, more in zip(others, leaves.pop(path), strict=True)]
        if any(others):
            leaves[(OTHERS,)] = (others[0], others[1], others[2], others[3])
    return _tree(TOTAL, leaves) if leaves else SizeNode(TOTAL, 0, 0)


def file_tree(vmlinux: Vmlinux, by: Sequence[str]) -> SizeNode:
    """The vmlinux file itself by kind, section, or one within the other: what becomes the Image and what is dropped."""
    leaves: dict[Path, _Sums] = {}
    for part in sizes(vmlinux).parts:
        names = {"section": part.name, "kind": part.kind}
        _add(leaves, tuple(names[word] for word in by), (part.size, part.size, 0, 0))
    return _tree(TOTAL, leaves)


def unattributed(node: SizeNode) -> int:
    """The bytes of memory in a tree that have no source, or no symbol."""
    if node.name in (NO_SOURCE, NO_SYMBOL):
        return node.memory
    return sum(unattributed(child) for child in node.children)


def _joined(leaves: dict[Path, _Sums], old: Leaves) -> dict[Path, _Sums]:
    """Two builds: groups of one name are one, and a symbol that moved to another file is at its new place."""
    found: dict[Path, _Sums] = {}
    for path, sums in leaves.items():
        _add(found, _unnumbered(path), sums)
    for path, (file, memory) in old.items():
        _add(found, _unnumbered(path), (0, 0, file, memory))
    gone: dict[tuple[str, int], list[Path]] = {}
    come: dict[tuple[str, int], list[Path]] = {}
    for path, (_, memory, _, before) in found.items():
        name, apart, _ = path[-1].partition(SOURCE_SEPARATOR)
        if apart and not (memory and before):
            (come if memory else gone).setdefault((name, memory or before), []).append(path)
    for what, paths in gone.items():
        if len(paths) == 1 and len(come.get(what, ())) == 1:
            _add(found, come[what][0], found.pop(paths[0]))
    return found


def _add(leaves: dict[Path, _Sums], path: Path, sums: _Sums) -> None:
    before = leaves.get(path, (0, 0, 0, 0))
    leaves[path] = (before[0] + sums[0], before[1] + sums[1], before[2] + sums[2], before[3] + sums[3])


def _unnumbered(path: Path) -> Path:
    name, apart, source = path[-1].partition(SOURCE_SEPARATOR)
    return (*path[:-1], _NUMBERED.sub("", name) + apart + source) if apart else path


def _named(leaves: dict[Path, _Sums]) -> dict[Path, _Sums]:
    """Symbols under their names, with the source where several have one name."""
    plain = [tuple([part.partition(SOURCE_SEPARATOR)[0] for part in path]) for path in leaves]
    counts = Counter(plain)
    return {
        names if counts[names] == 1 else tuple(map(_with_source, path)): sums
        for names, (path, sums) in zip(plain, leaves.items(), strict=True)
    }


def _with_source(part: str) -> str:
    name, apart, source = part.partition(SOURCE_SEPARATOR)
    return f"{name} ({source})" if apart else part


def _tree(name: str, leaves: dict[Path, _Sums]) -> SizeNode:
    children = [SizeNode(path[0], *sums) for path, sums in leaves.items() if len(path) == 1]
    inner: dict[str, dict[Path, _Sums]] = {}
    for path, sums in leaves.items():
        if len(path) > 1:
            inner.setdefault(path[0], {})[path[1:]] = sums
    for number, leaf in enumerate(children):
        if leaf.name in inner:
            # A folder with files of its own beside its folders.
            inner[leaf.name][(OWN,)] = leaf[1:5]
            children[number] = _tree(leaf.name, inner.pop(leaf.name))
    children += [_tree(child, below) for child, below in inner.items()]
    children.sort(key=lambda node: (-node.memory, -node.memory_before, node.name))
    file, memory, file_before, memory_before = (sum(column) for column in zip(*leaves.values(), strict=True))
    return SizeNode(name, file, memory, file_before, memory_before, tuple(children))
