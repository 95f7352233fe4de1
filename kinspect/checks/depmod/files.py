"""Checks of the files beside the modules against what depmod makes of the modules.

A module that is missing, new or corrupt is one finding: differences that follow from it are not reported again.
"""

import os
from collections import Counter
from collections.abc import Iterator
from itertools import pairwise
from typing import NamedTuple

from kinspect.artifacts.depmod.graph import components
from kinspect.artifacts.depmod.modules_dep import ModulesDep
from kinspect.artifacts.module.scan import module_name
from kinspect.artifacts.module.tree import ModuleTree
from kinspect.checks.check import Evidence, Severity, capped, check
from kinspect.checks.depmod.modules_dep import blamed
from kinspect.checks.depmod.modules_order import MISSING, order_faults
from kinspect.checks.wording import counted, impact, needed_by, summarized
from kinspect.errors import Location
from kinspect.views.depmod.files import BUILTIN_ALIASES, INDEXES, NEWEST, TEXTS, WEAKDEP_SINCE
from kinspect.views.depmod.tree import depmod_of

KMODS = (NEWEST, WEAKDEP_SINCE - 3)
"""34 and 30: what either of them writes is right."""
_OWNER = {
    "modules.alias": -1,
    "modules.symbols": -1,
    "modules.softdep": 1,
    "modules.weakdep": 1,
    "modules.devname": 0,
}
"""The index of the word in a line that names the module."""

WEAKDEPS = "modules.weakdep"
"""Only newer depmods write it."""
_FEW = 5
"""With so few modules missing and added, they are named one by one."""


class _Settled(NamedTuple):
    """The modules in both the tree and modules.dep, by name; `others` are in one of them only, or corrupt.

    `ordered` when the order in which depmod takes the modules is known, because modules.order is right as well.
    """

    names: frozenset[str]
    others: frozenset[str]
    ordered: bool


def _settled(tree: ModuleTree) -> _Settled:
    depmod = depmod_of(tree)
    sound = {module.path for module in depmod.modules if not module.errors}
    listed = set(tree.dep.by_path) if tree.dep else sound
    circular = {name for part in components(depmod.needs) if len(part) > 1 for name in part}
    names = frozenset(name for name in map(module_name, sound & listed) if name not in circular)
    everything = set(map(module_name, listed)) | {module.name for module in depmod.modules}
    others = frozenset(everything - names)
    return _Settled(names, others, not others and order_faults(tree).keys() <= {MISSING})


@check(Severity.INFO)
def depmod_has_run(tree: ModuleTree) -> Iterator[Evidence]:
    """The folder has a modules.dep.

    Without it, modprobe finds no modules. Packages are shipped without it because depmod runs when they are installed.
    Run `depmod RELEASE`, or `kinspect depmod FOLDER`, which writes the same files. The folder of a build does not need
    one.
    Source: modules.dep(5).
    """
    if tree.modules and not tree.of_a_build and not any(tree.source_of(name) for name in (*TEXTS, *INDEXES)):
        at = (tree.location("modules.dep"),)
        yield Evidence("no modules.dep: `depmod` or `kinspect depmod` writes it", at)


@check(Severity.WARNING)
def files_of_depmod_are_complete(tree: ModuleTree) -> Iterator[Evidence]:
    """Either all files that depmod writes are present, or none.

    depmod writes them together, so some were deleted or depmod was interrupted. modprobe finds no module without
    modules.dep.bin, and no module for a device without modules.alias.bin. Run `depmod RELEASE`. Up to kmod 27, depmod
    writes no modules.builtin.alias.bin: it is missing only beside a modules.weakdep, which newer ones write. Android's
    modprobe, which uses modules.load, reads only the text files: nothing is missing there.
    Source: kmod, tools/depmod.c, depmod_output().
    """
    if tree.source_of("modules.load"):
        return
    names = [name for name in TEXTS if name != WEAKDEPS]
    names += [name for name, made_of in INDEXES.items() if not made_of or tree.source_of(made_of)]
    if BUILTIN_ALIASES in names and not tree.source_of(WEAKDEPS):
        names.remove(BUILTIN_ALIASES)
    missing = [name for name in names if not tree.source_of(name)]
    if missing and len(missing) < len(names):
        message = f"{counted(len(missing), 'file')} of depmod missing: {summarized(missing)}"
        yield Evidence(f"{message}; `depmod` or `kinspect depmod` writes them", tuple(map(tree.location, missing)))


@check(Severity.ERROR)
def modules_of_modules_dep_are_there(tree: ModuleTree) -> Iterator[Evidence]:
    """Every module that has a line in modules.dep is in the folder, at that path.

    Otherwise modprobe cannot load it, nor the modules that need it. A module was removed or renamed after depmod ran:
    run `depmod RELEASE`, or install the module again.
    Source: modules.dep(5).
    """
    if dep := tree.dep:
        there = {file.path for file in tree.files}
        if tree.cached(_of_another_build):
            gone, listed = len(dep.by_path.keys() - there), counted(len(dep.by_path), "module")
            message = f"not the same build: {gone:,} of {listed} in modules.dep are missing, and the folder has others"
            yield Evidence(message, (dep.at(), tree.location("")))
            return
        broken = _malformed(dep)
        rows = [row for path, row in dep.by_path.items() if path not in there and row.line not in broken]
        found = (
            Evidence(
                f"{row.path} is missing: it will not load, and {needed_by(len(dep.users(row.path)))}",
                (Location(dep.path, line=row.line),),
            )
            for row in rows
        )
        yield from capped(found, "modules", dep.at(), len(rows))


def _of_another_build(tree: ModuleTree) -> bool:
    """Whether most modules of modules.dep are missing, while the folder has others."""
    there, listed = {file.path for file in tree.files}, set(tree.dep.by_path if tree.dep else ())
    return 2 * len(listed - there) > len(listed) and len(there - listed) > _FEW


def _malformed(dep: ModulesDep) -> set[int]:
    return {fault.line for fault in dep.faults if fault.lines == 1}


@check(Severity.ERROR)
def modules_are_in_modules_dep(tree: ModuleTree) -> Iterator[Evidence]:
    """Every module in the folder has a line in modules.dep.

    modprobe does not find a module without one (`Module not found`). The module was added or renamed after depmod ran:
    run `depmod RELEASE`.
    Source: modules.dep(5).
    """
    if (dep := tree.dep) and not tree.cached(_of_another_build):
        # Checks of modules.dep alone report needs without a line, and lines that cannot be read.
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
    """modules.dep is what depmod writes: each line names what its module needs, in the order of depmod.

    If a line lacks a module, the kernel refuses the module that needs it (`Unknown symbol`); if a line names too many,
    modprobe loads modules that are not needed. Run `depmod RELEASE`. The output of depmod from kmod 30 or 34 is
    accepted.
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
    settled, reported = tree.cached(_settled), dep.cached(blamed)
    paths = {module.path for module in depmod_of(tree).modules if module.name in settled.names}
    order = []
    for line in depmod_of(tree, kmod).dep_lines:
        path, _, rest = line.partition(":")
        row, needs = dep.by_path.get(path), tuple(rest.split())
        if row is None or path not in paths:
            continue
        order.append(row.line)
        same = row.needs == needs if settled.ordered else set(row.needs) == set(needs)
        if not same and row.line not in reported and paths.issuperset((*row.needs, *needs)):
            message = f"depmod writes a different line for {module_name(path)}, which may not load; "
            at = (Location(dep.path, line=row.line),)
            lines = (f"{path}:{' '.join(('', *names))}" for names in (needs, row.needs))
            yield Evidence(message + impact(tree, module_name(path)), at, *lines)
    falls = [after for before, after in pairwise(order) if after < before]
    if falls and settled.ordered:
        at = (Location(dep.path, line=falls[0]),)
        yield Evidence(f"the lines are not in depmod's order in {counted(len(falls), 'place')}", at)


@check(Severity.ERROR)
def texts_are_what_depmod_writes(tree: ModuleTree) -> Iterator[Evidence]:
    """modules.alias, .softdep, .weakdep, .symbols and .devname are what depmod writes for the modules.

    Without its alias, a module is not loaded for its device; with an extra alias, it is loaded for a device that it
    does not support. Run `depmod RELEASE`. The output of depmod from kmod 30 or 34 is accepted.
    Source: kmod, tools/depmod.c, output_aliases(), output_softdeps(), output_symbols(), output_devname().
    """
    for name in TEXTS[1:]:
        text = tree.text(name)
        if text is not None:
            lines = text.decode("utf-8", "surrogateescape").split("\n")
            rest = lines.pop()
            if rest:
                lines.append(f"{rest} (no newline)")
            yield from _text_difference(tree, name, lines)


def _text_difference(tree: ModuleTree, name: str, lines: list[str]) -> Iterator[Evidence]:
    expected = depmod_of(tree).lines(name)
    if lines == expected or lines == depmod_of(tree, KMODS[1]).lines(name):
        return
    settled, column = tree.cached(_settled), _OWNER[name]

    def of_others(line: str) -> bool:
        words = line.split(" ")
        return not line.startswith("#") and len(words) > column and words[column] in settled.others

    found = [(number, line) for number, line in enumerate(lines, start=1) if not of_others(line)]
    expected = [line for line in expected if not of_others(line)]
    missing = Counter(expected) - Counter(line for _, line in found)
    added = Counter(line for _, line in found) - Counter(expected)
    if missing or added:
        first = next((number for number, line in found if line in added), len(lines) + 1)
        places = [f"line {number}: {line}" for number, line in found if line in added]
        yield Evidence(
            f"not what depmod writes: {counted(missing.total(), 'line')} missing, {added.total():,} extra",
            (tree.location(name, line=first),),
            expected=summarized(list(missing)) or None,
            actual=summarized(places) or None,
        )
    elif settled.ordered:
        pairs = zip(found, expected, strict=True)
        number, line, other = next((number, line, other) for (number, line), other in pairs if line != other)
        at = (tree.location(name, line=number),)
        yield Evidence("the lines are not in depmod's order", at, expected=other, actual=line)


@check(Severity.WARNING)
def modules_are_older_than_modules_dep(tree: ModuleTree) -> Iterator[Evidence]:
    """No module is newer than modules.dep.

    A module that was replaced after depmod ran may need other modules and support other devices than depmod's files
    say. Run `depmod RELEASE`. In a folder of Android's build, with absolute paths or a modules.load, the times are
    those of copies and say nothing.
    Source: depmod(8).
    """
    # Reading the size raises our own error when the file cannot be read.
    if (dep := tree.dep) and dep.size and not dep.prefix and not tree.source_of("modules.load"):
        written = os.stat(dep.path).st_mtime_ns
        newer = [file.path for file in tree.files if file.modified > written]
        if newer:
            at = (tree.location(newer[0]), dep.at())
            yield Evidence(f"{counted(len(newer), 'module')} newer than modules.dep: {summarized(newer)}", at)
