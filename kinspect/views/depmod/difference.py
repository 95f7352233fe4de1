"""The files in a folder of modules, compared with those that depmod would write: texts by line, indexes by content."""

from collections import Counter
from collections.abc import Iterator
from typing import NamedTuple

from kinspect.artifacts.depmod.kmod_index import Values
from kinspect.artifacts.module.tree import ModuleTree
from kinspect.errors import KinspectError
from kinspect.views.depmod.files import INDEXES, NEWEST, Depmod

MOST_DIFFERENCES = 100
"""Differences of one file that are kept; all are counted."""
OLDEST = 30


class LineDifference(NamedTuple):
    """A line or a key that differs from what depmod writes. `line` counts from 1 in the file in the folder.

    `key` is the module of a line of modules.dep or the key in an index, else empty. `expected` or `found` is None for
    a line or key that only the other side has.
    """

    line: int | None
    key: str
    expected: str | None
    found: str | None


class FileDifference(NamedTuple):
    """A file that differs from what depmod writes. `there` is False when it is missing; `total` counts differences.

    `misordered` is the first line that differs if only the order of lines does; `error` is why it cannot be read.
    """

    name: str
    there: bool
    total: int = 0
    differences: tuple[LineDifference, ...] = ()
    misordered: int | None = None
    error: KinspectError | None = None


def writing_kmod(tree: ModuleTree) -> int:
    """The kmod version that wrote a folder's files: 34 with a modules.weakdep, which kmod 33 introduced, else 30."""
    return NEWEST if tree.source_of("modules.weakdep") else OLDEST


def differences(depmod: Depmod) -> Iterator[FileDifference]:
    """The files that differ from what depmod writes."""
    for name in depmod.names:
        found = difference(depmod, name)
        if found is not None:
            yield found


def difference(depmod: Depmod, name: str) -> FileDifference | None:
    """The differences of one file, or None. Of an index only keys and values are compared, not its layout."""
    source = depmod.tree.source_of(name)
    if source is None:
        return FileDifference(name, False)
    try:
        if name not in INDEXES:
            return _text_difference(depmod, name)
        made_of = INDEXES[name]
        if made_of and depmod.tree.source_of(made_of) is None and source.size == 0:
            return None
        return _index_difference(depmod, name)
    except KinspectError as error:
        return FileDifference(name, True, error=error)


def _text_difference(depmod: Depmod, name: str) -> FileDifference | None:
    expected, data = depmod.lines(name), depmod.tree.text(name) or b""
    text = data.decode("utf-8", "surrogateescape")
    found = text.removesuffix("\n").split("\n") if text else []
    different = list(_keyed(expected, found) if name == "modules.dep" else _unkeyed(expected, found))
    if text and not text.endswith("\n"):
        different.append(LineDifference(len(found), "", found[-1] + "\n", found[-1]))
    if different:
        return FileDifference(name, True, len(different), tuple(different[:MOST_DIFFERENCES]))
    if expected == found:
        return None
    first = next(line for line, pair in enumerate(zip(expected, found, strict=True), start=1) if pair[0] != pair[1])
    return FileDifference(name, True, 1, (LineDifference(first, "", expected[first - 1], found[first - 1]),), first)


def _keyed(expected: list[str], found: list[str]) -> Iterator[LineDifference]:
    """Differences of lines that begin with a key and a colon."""
    missing = {line.partition(":")[0]: line for line in expected}
    for number, line in enumerate(found, start=1):
        key = line.partition(":")[0]
        expected_line = missing.pop(key, None)
        if expected_line != line:
            yield LineDifference(number, key, expected_line, line)
    yield from (LineDifference(None, key, line, None) for key, line in missing.items())


def _unkeyed(expected: list[str], found: list[str]) -> Iterator[LineDifference]:
    missing = Counter(expected)
    for number, line in enumerate(found, start=1):
        if missing[line] > 0:
            missing[line] -= 1
        else:
            yield LineDifference(number, "", None, line)
    yield from (LineDifference(None, "", line, None) for line in missing.elements())


def _index_difference(depmod: Depmod, name: str) -> FileDifference | None:
    index = depmod.tree.index(name)
    assert index is not None, name
    expected, found = depmod.entries(name), index.entries
    if expected == found:
        return None
    keys = [key for key in {**expected, **found} if expected.get(key) != found.get(key)]
    chosen = (
        LineDifference(None, key, _shown(expected.get(key)), _shown(found.get(key))) for key in keys[:MOST_DIFFERENCES]
    )
    return FileDifference(name, True, len(keys), tuple(chosen))


def _shown(values: Values | None) -> str | None:
    """The values of a key as text, each with its priority."""
    return None if values is None else ", ".join(f"{value} ({priority})".strip() for priority, value in values)
