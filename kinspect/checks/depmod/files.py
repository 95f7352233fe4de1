"""The texts beside the modules are what depmod makes of the modules.

A module that is gone, new or corrupt is one finding: what differs because of it is not told again.
"""

import os
from collections import Counter
from collections.abc import Iterator
from functools import lru_cache
from itertools import pairwise
from typing import NamedTuple

from kinspect.artifacts.depmod.graph import components
from kinspect.artifacts.depmod.modules_dep import ModulesDep
from kinspect.artifacts.module.scan import module_name
from kinspect.artifacts.module.tree import ModuleTree
from kinspect.checks.check import Evidence, Severity, capped, check
from kinspect.checks.depmod.modules_dep import blamed
from kinspect.checks.depmod.modules_order import order_faults
from kinspect.checks.module.tree import depmod_of, impact
from kinspect.checks.wording import counted, needed_by, summarized
from kinspect.errors import Location
from kinspect.views.depmod.files import INDEXES, NEWEST, TEXTS, WEAKDEP_SINCE

KMODS = (NEWEST, WEAKDEP_SINCE - 3)
"""What both of these write is right: 34 and 30."""
_OWNER = {
    "modules.alias": -1,
    "modules.symbols": -1,
    "modules.softdep": 1,
    "modules.weakdep": 1,
    "modules.devname": 0,
}
"""The word of a line that is the module."""


class _Settled(NamedTuple):
    """What both the tree and modules.dep have, as names; `others` is what one of them has, or what is corrupt.

    `ordered` when the order in which depmod takes the modules is known: modules.order is right as well.
    """

    names: frozenset[str]
    others: frozenset[str]
    ordered: bool


@lru_cache(maxsize=1)
def _settled(tree: ModuleTree) -> _Settled:
    depmod = depmod_of(tree)
    sound = {module.path for module in depmod.modules if not module.errors}
    listed = set(tree.dep.by_path) if tree.dep else sound
    circular = {name for part in components(depmod.needs) if len(part) > 1 for name in part}
    names = frozenset(name for name in map(module_name, sound & listed) if name not in circular)
    everything = set(map(module_name, listed)) | {module.name for module in depmod.modules}
    others = frozenset(everything - names)
    return _Settled(names, others, not others and not any(order_faults(tree)))


@check(Severity.INFO)
def depmod_has_run(tree: ModuleTree) -> Iterator[Evidence]:
    """There is a modules.dep.

    Packages are shipped without one: depmod runs when they are installed (`depmod RELEASE`). `kinspect depmod` writes
    what it would. Until then modprobe finds no module. The folder of a build needs none.
    Source: modules.dep(5).
    """
    if tree.modules and not tree.of_a_build and not any(tree.source_of(name) for name in (*TEXTS, *INDEXES)):
        at = (tree.location("modules.dep"),)
        yield Evidence("no modules.dep: `depmod` or `kinspect depmod` writes it", at)


@check(Severity.WARNING)
def files_of_depmod_are_complete(tree: ModuleTree) -> Iterator[Evidence]:
    """All files that depmod writes are there, or none.

    It writes them in one go. modprobe finds no module without modules.dep.bin, and no alias without modules.alias.bin.
    Source: kmod, tools/depmod.c, depmod_output().
    """
    # modules.weakdep is written by newer ones alone.
    wanted = [name for name in TEXTS if name != "modules.weakdep"]
    wanted += [name for name, made_of in INDEXES.items() if not made_of or tree.source_of(made_of)]
    missing = [name for name in wanted if not tree.source_of(name)]
    if missing and len(missing) < len(wanted):
        yield Evidence(
            f"{counted(len(missing), 'file')} of depmod missing: `depmod` or `kinspect depmod` writes them",
            tuple(map(tree.location, missing)),
            actual=summarized(missing),
        )


@check(Severity.ERROR)
def modules_of_modules_dep_are_there(tree: ModuleTree) -> Iterator[Evidence]:
    """Every module that has a line in modules.dep is in the tree, at that path.

    modprobe tries to load it and fails (`could not open`). depmod did not run after a module was removed or renamed.
    Source: modules.dep(5).
    """
    if dep := tree.dep:
        there = {file.path for file in tree.files}
        broken = _malformed(dep)
        rows = [row for path, row in dep.by_path.items() if path not in there and row.line not in broken]
        found = (
            Evidence(
                f"{module_name(row.path)} is not there: it will not load, and {needed_by(len(dep.users(row.path)))}",
                (Location(dep.path, line=row.line),),
                expected=row.path,
            )
            for row in rows
        )
        yield from capped(found, "modules", dep.at(), len(rows))


def _malformed(dep: ModulesDep) -> set[int]:
    return {fault.line for fault in dep.faults if fault.lines == 1}


@check(Severity.ERROR)
def modules_are_in_modules_dep(tree: ModuleTree) -> Iterator[Evidence]:
    """Every module of the tree has a line in modules.dep.

    modprobe does not find others (`Module not found`). depmod did not run after a module was added or renamed.
    Source: modules.dep(5).
    """
    if dep := tree.dep:
        # A need without a line is told by a check of modules.dep alone, a line that cannot be read as well.
        known = {need for row in dep.rows for need in row.needs} | set(dep.by_path)
        broken = _malformed(dep)
        found = (
            Evidence(
                f"{module.name} has no line in modules.dep: modprobe will not load it; {impact(tree, module.name)}",
                (tree.location(module.path), dep.at()),
            )
            for module in depmod_of(tree).modules
            if module.path not in known and (not broken or len(dep.rows) + len(broken) < len(tree.files))
        )
        yield from capped(found, "modules", dep.at())


@check(Severity.ERROR)
def modules_dep_is_what_depmod_writes(tree: ModuleTree) -> Iterator[Evidence]:
    """Every line of modules.dep names what the module needs, in depmod's order, and the lines are in its order.

    A line that lacks a module keeps its own from loading; one that has more loads what nobody asked for. kmod 30 and 34
    are followed: what either would write is right.
    Source: kmod, tools/depmod.c, output_deps().
    """
    if tree.dep:
        found = []
        for kmod in KMODS:
            found.append(list(_dep_differences(tree, tree.dep, kmod)))
            if not found[-1]:
                return
        yield from capped(found[0], "lines", tree.dep.at())


def _dep_differences(tree: ModuleTree, dep: ModulesDep, kmod: int) -> Iterator[Evidence]:
    settled, told = _settled(tree), blamed(dep)
    paths = {module.path for module in depmod_of(tree).modules if module.name in settled.names}
    order = []
    for line in depmod_of(tree, kmod).dep_lines:
        path, _, rest = line.partition(":")
        row, needs = dep.by_path.get(path), tuple(rest.split())
        if row is None or path not in paths:
            continue
        order.append(row.line)
        same = row.needs == needs if settled.ordered else set(row.needs) == set(needs)
        if not same and row.line not in told and paths.issuperset((*row.needs, *needs)):
            message = f"not what depmod writes for {module_name(path)}: it may not load; "
            at = (Location(dep.path, line=row.line),)
            words = (" ".join(needs) or "no needs", " ".join(row.needs) or "no needs")
            yield Evidence(message + impact(tree, module_name(path)), at, *words)
    falls = [after for before, after in pairwise(order) if after < before]
    if falls and settled.ordered:
        at = (Location(dep.path, line=falls[0]),)
        yield Evidence(f"the lines are in another order than depmod's in {counted(len(falls), 'place')}", at)


@check(Severity.ERROR)
def texts_are_what_depmod_writes(tree: ModuleTree) -> Iterator[Evidence]:
    """modules.alias, .softdep, .weakdep, .symbols and .devname are what depmod makes of the modules.

    A missing alias keeps a module from being loaded for its device; one too many loads a module for a device that it
    does not serve. kmod 30 and 34 are followed: what either would write is right.
    Source: kmod, tools/depmod.c, output_aliases(), output_softdeps(), output_symbols(), output_devname().
    """
    for name in TEXTS[1:]:
        text = tree.text(name)
        if text is not None:
            lines = text.decode("utf-8", "surrogateescape").split("\n")
            rest = lines.pop()
            if rest:
                lines.append(f"{rest} (no end)")
            yield from _text_difference(tree, name, lines)


def _text_difference(tree: ModuleTree, name: str, lines: list[str]) -> Iterator[Evidence]:
    wanted = depmod_of(tree).lines(name)
    if lines == wanted or lines == depmod_of(tree, KMODS[1]).lines(name):
        return
    settled, column = _settled(tree), _OWNER[name]

    def of_others(line: str) -> bool:
        words = line.split(" ")
        return not line.startswith("#") and len(words) > column and words[column] in settled.others

    found = [(number, line) for number, line in enumerate(lines, start=1) if not of_others(line)]
    wanted = [line for line in wanted if not of_others(line)]
    missing = Counter(wanted) - Counter(line for _, line in found)
    added = Counter(line for _, line in found) - Counter(wanted)
    if missing or added:
        first = next((number for number, line in found if line in added), len(lines) + 1)
        places = [f"{number}: {line}" for number, line in found if line in added]
        yield Evidence(
            f"not what depmod writes: {counted(missing.total(), 'line')} missing, {added.total():,} of something else",
            (tree.location(name, line=first),),
            expected="; ".join([summarized(list(missing))]) or None,
            actual=summarized(places) or None,
        )
    elif settled.ordered:
        pairs = zip(found, wanted, strict=True)
        number, line, expected = next((number, line, other) for (number, line), other in pairs if line != other)
        at = (tree.location(name, line=number),)
        yield Evidence("the lines are in another order than depmod's", at, expected=expected, actual=line)


@check(Severity.WARNING)
def modules_are_older_than_modules_dep(tree: ModuleTree) -> Iterator[Evidence]:
    """No module was changed after depmod wrote modules.dep.

    What modules.dep says of it may no longer hold.
    Source: depmod(8).
    """
    # The size is asked for first: it raises what this program raises when there is no such file.
    if (dep := tree.dep) and dep.size:
        written = os.stat(dep.path).st_mtime_ns
        newer = [file.path for file in tree.files if file.modified > written]
        if newer:
            at = (tree.location(newer[0]), dep.at())
            yield Evidence(f"{counted(len(newer), 'module')} newer than modules.dep", at, actual=summarized(newer))
