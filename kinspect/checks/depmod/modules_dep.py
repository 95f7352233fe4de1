"""Checks of a modules.dep by itself, without the modules. Its paths are data: none of them is opened."""

from collections import Counter
from collections.abc import Iterator
from itertools import chain

from kinspect.artifacts.depmod.graph import components, cycles
from kinspect.artifacts.depmod.modules_dep import Fault, ModulesDep, Row, leads_out
from kinspect.artifacts.module.scan import module_name
from kinspect.artifacts.module.tree import ModuleTree
from kinspect.checks.check import MOST, Evidence, Severity, capped, check
from kinspect.checks.wording import cycle_text, needed_by, summarized
from kinspect.errors import Location


def _line(dep: ModulesDep, number: int, part: str = "") -> Location:
    return Location(dep.path, part, None, number)


def _impact(dep: ModulesDep, path: str) -> str:
    return needed_by(len(dep.users(path)))


def _circles(dep: ModulesDep) -> list[list[str]]:
    """The groups of modules that need each other, or one that needs itself."""
    return [part for part in components(dep.graph) if len(part) > 1 or part[0] in dep.graph.get(part[0], ())]


def _circular(dep: ModulesDep) -> frozenset[str]:
    """The modules of all cycles: their lines are wrong in any case."""
    return frozenset(chain.from_iterable(dep.cached(_circles)))


def blamed(dep: ModulesDep) -> frozenset[int]:
    """The lines that one of the checks below reports: other faults of them follow from that."""
    circular = dep.cached(_circular)
    found = {fault.line for fault in dep.faults if fault.lines == 1}
    found.update(row.line for row in dep.rows if row.path in circular)
    found.update(row.line for _, row in dep.duplicates)
    found.update(row.line for row in dep.rows if any(need not in dep.by_path for need in row.needs))
    found.update(row.line for row, _, _ in dep.unclosed)
    found.update(row.line for row, _, _ in dep.misordered)
    return frozenset(found)


def _leading_out(dep: ModulesDep) -> Iterator[tuple[int, str]]:
    return ((row.line, path) for row in dep.rows for path in (row.path, *row.needs) if leads_out(path))


@check(Severity.ERROR)
def modules_dep_is_well_formed(tree: ModuleTree) -> Iterator[Evidence]:
    """Every line of modules.dep is `PATH:( PATH)*` in UTF-8, shorter than 1 MiB, and ends with LF, not CR LF.

    modprobe does not validate it: a CR becomes part of the last name, and that module is not found. The file was edited
    or corrupted; run `depmod RELEASE`.
    Source: modules.dep(5); kmod, tools/depmod.c, output_deps().
    """
    if dep := tree.dep:
        out = set(_leading_out(dep))
        faults = [fault for fault in dep.faults if (fault.line, fault.actual) not in out]
        yield from capped((_fault(dep, fault) for fault in faults), "lines", dep.at())


def _fault(dep: ModulesDep, fault: Fault) -> Evidence:
    message = f"{fault.problem} ({fault.lines:,} times)" if fault.lines > 1 else fault.problem
    return Evidence(message, (_line(dep, fault.line),), fault.expected or None, fault.actual or None)


@check(Severity.ERROR)
def modules_dep_stays_inside_its_folder(tree: ModuleTree) -> Iterator[Evidence]:
    """No path in modules.dep is absolute or contains `..`.

    modprobe runs as root and loads the file at that path: such a line makes it load a file from outside the folder,
    which may be an attack. depmod never writes such a path; run `depmod RELEASE`. kinspect does not open the file. If
    all paths are absolute and begin with the same folder, see modules-dep-is-relative.
    Source: modules.dep(5).
    """
    if dep := tree.dep:
        found = (Evidence(f"{path} leads out of the folder", (_line(dep, line),)) for line, path in _leading_out(dep))
        yield from capped(found, "paths", dep.at())


@check(Severity.INFO)
def modules_dep_is_relative(tree: ModuleTree) -> Iterator[Evidence]:
    """The paths in modules.dep are relative to its folder.

    Android's build writes absolute paths, below the folder that the modules are installed in, and its modprobe accepts
    them. On other systems, the folder works only in that place. `depmod RELEASE` writes relative paths.
    Source: modules.dep(5); Android, build/make/core/Makefile, build-image-kernel-modules.
    """
    if (dep := tree.dep) and dep.prefix:
        yield Evidence(f"all paths are absolute: the folder must be installed as {dep.prefix}", (dep.at(),))


@check(Severity.ERROR)
def modules_dep_names_each_module_once(tree: ModuleTree) -> Iterator[Evidence]:
    """No module has two lines in modules.dep.

    kmod uses one of the two; which one depends on whether it reads the text file or the index. Modules that only the
    other line names are not loaded. Run `depmod RELEASE`.
    Source: modules.dep(5).
    """
    if dep := tree.dep:
        found = (
            Evidence(f"a second line for {row.path}", (_line(dep, row.line), _line(dep, first.line)))
            for first, row in dep.duplicates
        )
        yield from capped(found, "lines", dep.at())


@check(Severity.WARNING)
def modules_dep_has_one_path_for_a_name(tree: ModuleTree) -> Iterator[Evidence]:
    """No two paths in modules.dep belong to modules of the same name.

    modprobe identifies modules by name and may load either of the two. depmod never writes both; run `depmod RELEASE`.
    Source: kmod, tools/depmod.c, depmod_module_add().
    """
    if dep := tree.dep:
        first: dict[str, str] = {}
        for path in dep.by_path:
            first.setdefault(module_name(path), path)
        found = (
            Evidence(
                f"{path} has the same module name as {first[module_name(path)]}",
                (_line(dep, row.line), _line(dep, dep.by_path[first[module_name(path)]].line)),
            )
            for path, row in dep.by_path.items()
            if first[module_name(path)] != path
        )
        yield from capped(found, "modules", dep.at())


@check(Severity.ERROR)
def modules_dep_has_a_line_for_every_need(tree: ModuleTree) -> Iterator[Evidence]:
    """Every module that a line names has a line of its own.

    modprobe does not find a module without a line, and loads neither it nor the modules that need it. Run `depmod
    RELEASE`; if the module is missing from the folder too, install it first.
    Source: modules.dep(5).
    """
    if dep := tree.dep:
        users: dict[str, list[int]] = {}
        for row in dep.rows:
            for need in row.needs:
                if need not in dep.by_path and not leads_out(need):
                    users.setdefault(need, []).append(row.line)
        found = (
            Evidence(f"{need} has no line: it will not load, and {_impact(dep, need)}", (_line(dep, lines[0]),))
            for need, lines in users.items()
        )
        yield from capped(found, "modules", dep.at(), len(users))


@check(Severity.ERROR)
def modules_dep_has_no_cycle(tree: ModuleTree) -> Iterator[Evidence]:
    """No module depends on itself, directly or through others.

    modprobe cannot load any module of a cycle. depmod fails instead of writing one: the file was edited. Run `depmod
    RELEASE`. If modules are in several cycles, only one of the cycles is reported.
    Source: kmod, tools/depmod.c, depmod_calculate_dependencies().
    """
    if dep := tree.dep:
        circles = dep.cached(_circles)
        # Only the reported ones are walked: there may be a cycle on every line.
        paths = (path for part in circles for path in cycles({one: dep.graph[one] for one in sorted(part)}))
        found = (
            Evidence(
                f"{path[0]} depends on itself: {cycle_text(path)}; they will not load, and {_impact(dep, path[0])}",
                tuple(_line(dep, dep.by_path[one].line) for one in path[:MOST]),
            )
            for path in paths
        )
        yield from capped(found, "cycles", dep.at(), len(circles))


@check(Severity.ERROR)
def modules_dep_lines_are_closed(tree: ModuleTree) -> Iterator[Evidence]:
    """A line names all modules that its module needs, directly or indirectly.

    modprobe reads only this line: modules that are missing from it are not loaded, and the kernel refuses the module
    (`Unknown symbol`). Run `depmod RELEASE`.
    Source: modules.dep(5).
    """
    if dep := tree.dep:
        circular, lacking = dep.cached(_circular), dict[Row, dict[str, str]]()
        for row, need, missing in dep.unclosed:
            if row.path not in circular and need not in circular:
                lacking.setdefault(row, {}).update(dict.fromkeys(missing, need))
        # A single line that names too much makes the lines of all its users incomplete: one finding.
        rows: dict[tuple[str, ...], list[Row]] = {}
        for row, missing_for in lacking.items():
            rows.setdefault(tuple(sorted(missing_for)), []).append(row)
        found = (
            Evidence(
                f"{summarized([row.path for row in users])}: "
                f"the line lacks {summarized(missing)}, which {lacking[users[0]][missing[0]]} needs; "
                f"it will not load, and {_impact(dep, users[0].path)}",
                (_line(dep, users[0].line),),
            )
            for missing, users in rows.items()
        )
        yield from capped(found, "lines", dep.at(), len(rows))


@check(Severity.ERROR)
def modules_dep_lines_are_in_order(tree: ModuleTree) -> Iterator[Evidence]:
    """A line names each module before the modules that it needs.

    modprobe loads the modules of a line from right to left. A module that is loaded before one that it needs is refused
    (`Unknown symbol`). Run `depmod RELEASE`.
    Source: kmod, tools/depmod.c, depmod_calculate_dependencies().
    """
    if dep := tree.dep:
        circular = dep.cached(_circular)
        lines = Counter(row.line for row, _, _ in dep.misordered)
        reported: set[int] = set()
        for row, provider, user in dep.misordered:
            if row.line in reported or user in circular or row.path in circular or len(reported) == MOST:
                continue
            reported.add(row.line)
            message = f"{provider} is named before {user}, which needs it; {row.path} will not load"
            yield Evidence(f"{message}, and {_impact(dep, row.path)}", (_line(dep, row.line),))
        if len(lines) > MOST == len(reported):
            yield Evidence(f"and {len(lines) - MOST:,} more such lines", (dep.at(),))
