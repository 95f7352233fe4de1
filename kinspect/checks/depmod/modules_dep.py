"""What must hold in a modules.dep alone, whatever modules there are. Its paths are data: none of them is opened."""

from collections import Counter
from collections.abc import Iterator
from functools import lru_cache
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


def _hurt(dep: ModulesDep, path: str) -> str:
    return needed_by(len(dep.users(path)))


@lru_cache(maxsize=1)
def _circles(dep: ModulesDep) -> list[list[str]]:
    """The groups of modules that need each other, or one that needs itself."""
    return [part for part in components(dep.graph) if len(part) > 1 or part[0] in dep.graph.get(part[0], ())]


@lru_cache(maxsize=1)
def _circular(dep: ModulesDep) -> frozenset[str]:
    """The modules of all cycles: what their lines name is wrong anyhow."""
    return frozenset(chain.from_iterable(_circles(dep)))


@lru_cache(maxsize=1)
def blamed(dep: ModulesDep) -> frozenset[int]:
    """The lines that one of the checks below names: what else is wrong with them follows from that."""
    found = {fault.line for fault in dep.faults if fault.lines == 1}
    found.update(row.line for row in dep.rows if row.path in _circular(dep))
    found.update(row.line for _, row in dep.duplicates)
    found.update(row.line for row in dep.rows if any(need not in dep.by_path for need in row.needs))
    found.update(row.line for row, _, _ in dep.unclosed)
    found.update(row.line for row, _, _ in dep.misordered)
    return frozenset(found)


def _leading_out(dep: ModulesDep) -> Iterator[tuple[int, str]]:
    return ((row.line, path) for row in dep.rows for path in (row.path, *row.needs) if leads_out(path))


@check(Severity.ERROR)
def modules_dep_is_well_formed(tree: ModuleTree) -> Iterator[Evidence]:
    """Every line of modules.dep is `PATH:( PATH)*`, in UTF-8, ends with a newline alone and has less than 1 MiB.

    modprobe takes what it finds: a CR becomes part of the last name, and that module is not found.
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
    """No path in modules.dep is absolute or has a part `..`.

    modprobe runs as root and loads what the path names: such a line makes it load a file that is no part of the tree.
    kinspect does not open it.
    Source: modules.dep(5).
    """
    if dep := tree.dep:
        found = (
            Evidence("a path leads out of the folder", (_line(dep, line),), "a path below it", path)
            for line, path in _leading_out(dep)
        )
        yield from capped(found, "paths", dep.at())


@check(Severity.ERROR)
def modules_dep_names_each_module_once(tree: ModuleTree) -> Iterator[Evidence]:
    """No module has two lines in modules.dep.

    kmod takes one of the two: which one depends on whether it reads the text or the index.
    Source: modules.dep(5).
    """
    if dep := tree.dep:
        found = (
            Evidence(f"{row.path} has a second line", (_line(dep, row.line), _line(dep, first.line)))
            for first, row in dep.duplicates
        )
        yield from capped(found, "lines", dep.at())


@check(Severity.WARNING)
def modules_dep_has_one_path_for_a_name(tree: ModuleTree) -> Iterator[Evidence]:
    """No two paths in modules.dep are of modules of one name.

    modprobe knows modules by their name alone, and loads one of the two. depmod never writes both.
    Source: kmod, tools/depmod.c, depmod_module_add().
    """
    if dep := tree.dep:
        first: dict[str, str] = {}
        for path in dep.by_path:
            first.setdefault(module_name(path), path)
        found = (
            Evidence(
                f"a second module of the name {module_name(path)}",
                (_line(dep, row.line), _line(dep, dep.by_path[first[module_name(path)]].line)),
                expected=first[module_name(path)],
                actual=path,
            )
            for path, row in dep.by_path.items()
            if first[module_name(path)] != path
        )
        yield from capped(found, "modules", dep.at())


@check(Severity.ERROR)
def modules_dep_has_a_line_for_every_need(tree: ModuleTree) -> Iterator[Evidence]:
    """Every module that a line names has a line of its own.

    Without one modprobe does not know the module, and neither it nor its users are loaded.
    Source: modules.dep(5).
    """
    if dep := tree.dep:
        users: dict[str, list[int]] = {}
        for row in dep.rows:
            for need in row.needs:
                if need not in dep.by_path and not leads_out(need):
                    users.setdefault(need, []).append(row.line)
        found = (
            Evidence(f"{need} has no line: it will not load, and {_hurt(dep, need)}", (_line(dep, lines[0]),))
            for need, lines in users.items()
        )
        yield from capped(found, "modules", dep.at(), len(users))


@check(Severity.ERROR)
def modules_dep_has_no_cycle(tree: ModuleTree) -> Iterator[Evidence]:
    """No module needs itself, over any number of steps.

    modprobe cannot load a module before itself. depmod never writes a cycle: it writes nothing at all then. Of modules
    that are in several cycles one cycle is told.
    Source: kmod, tools/depmod.c, depmod_calculate_dependencies().
    """
    if dep := tree.dep:
        circles = _circles(dep)
        # Only those that are told are walked: there may be one on every line.
        paths = (path for part in circles for path in cycles({one: dep.graph[one] for one in sorted(part)}))
        found = (
            Evidence(
                f"{path[0]} needs itself: {cycle_text(path)}; they will not load, and {_hurt(dep, path[0])}",
                tuple(_line(dep, dep.by_path[one].line) for one in path[:MOST]),
            )
            for path in paths
        )
        yield from capped(found, "cycles", dep.at(), len(circles))


@check(Severity.ERROR)
def modules_dep_lines_are_closed(tree: ModuleTree) -> Iterator[Evidence]:
    """A line names everything that the modules on it need in turn.

    modprobe reads one line and no other. What is missing there is not loaded, and the module fails with `Unknown
    symbol`.
    Source: modules.dep(5).
    """
    if dep := tree.dep:
        circular, lacking = _circular(dep), dict[Row, dict[str, str]]()
        for row, need, missing in dep.unclosed:
            if row.path not in circular and need not in circular:
                lacking.setdefault(row, {}).update(dict.fromkeys(missing, need))
        # One line with too much on it leaves the lines of all its users unclosed, and is one fault.
        rows: dict[tuple[str, ...], list[Row]] = {}
        for row, missing_for in lacking.items():
            rows.setdefault(tuple(sorted(missing_for)), []).append(row)
        found = (
            Evidence(
                f"{summarized([row.path for row in users])}: "
                f"the line lacks what {lacking[users[0]][missing[0]]} needs; "
                f"it will not load, and {_hurt(dep, users[0].path)}",
                (_line(dep, users[0].line),),
                expected=summarized(missing),
            )
            for missing, users in rows.items()
        )
        yield from capped(found, "lines", dep.at(), len(rows))


@check(Severity.ERROR)
def modules_dep_lines_are_in_order(tree: ModuleTree) -> Iterator[Evidence]:
    """A line names users before what they need.

    modprobe loads a line from right to left. What comes before the module that it needs fails with `Unknown symbol`.
    Source: kmod, tools/depmod.c, depmod_calculate_dependencies().
    """
    if dep := tree.dep:
        circular = _circular(dep)
        lines = Counter(row.line for row, _, _ in dep.misordered)
        told: set[int] = set()
        for row, provider, user in dep.misordered:
            if row.line in told or user in circular or row.path in circular or len(told) == MOST:
                continue
            told.add(row.line)
            message = f"{provider} is named before {user}, which needs it; {row.path} will not load"
            more = f", and {_hurt(dep, row.path)}"
            yield Evidence(message + more, (_line(dep, row.line),), f"{user} {provider}", f"{provider} {user}")
        if len(lines) > MOST == len(told):
            yield Evidence(f"and {len(lines) - MOST:,} more such lines", (dep.at(),))
