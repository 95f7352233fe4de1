"""Checks of the files that the kernel's build puts beside the modules: modules.order and modules.builtin."""

from collections import Counter
from collections.abc import Iterator

from kinspect.artifacts.module.tree import ModuleTree
from kinspect.checks.check import Evidence, Severity, check
from kinspect.checks.wording import counted, summarized
from kinspect.views.depmod.texts import builtin_of_modinfo

MISSING = "listed but missing"
"""No fault: depmod ignores such lines."""


@check(Severity.ERROR)
def modules_builtin_is_of_its_modinfo(tree: ModuleTree) -> Iterator[Evidence]:
    """modules.builtin lists the modules of modules.builtin.modinfo, in its order.

    The kernel's build generates the first from the second. modprobe fails for a built-in module that is missing from
    the list (`Module not found`), and reports success for one that is listed but not built in. Install the modules
    again with `make modules_install`. Up to 5.5, modules.builtin.modinfo does not name the files, and nothing is
    compared.
    Source: Makefile, modules.builtin; scripts/Makefile.vmlinux_o.
    """
    text, modinfo = tree.text("modules.builtin"), tree.text("modules.builtin.modinfo")
    if text is None or modinfo is None:
        return
    expected = builtin_of_modinfo(modinfo)
    if text != expected and (expected or not modinfo):
        lines, others = ([*data.decode("utf-8", "surrogateescape").split("\n")] for data in (text, expected))
        pairs = enumerate(zip(lines, others, strict=False), start=1)
        number = next((number for number, (line, other) in pairs if line != other), min(len(lines), len(others)))
        added, missing = ([*(Counter(a) - Counter(b))] for a, b in ((lines, others), (others, lines)))
        counts = [
            f"{len(lines):,} {state} ({summarized(lines)})"
            for state, lines in (("missing", missing), ("added", added))
            if lines
        ]
        differences = ", ".join(counts) or "different order"
        at = (tree.location("modules.builtin", line=number),)
        yield Evidence(f"differs from modules.builtin.modinfo: {differences}", at)


@check(Severity.WARNING)
def modules_order_lists_the_modules(tree: ModuleTree) -> Iterator[Evidence]:
    """modules.order lists every module in `kernel` once, without a compression suffix.

    depmod keeps this order, and modprobe prefers the first of several modules for a device: with another order, another
    driver may be loaded. If a line has no newline, depmod ignores the whole file. Install the modules again with `make
    modules_install`.
    Source: scripts/Makefile.modinst; kmod, tools/depmod.c, depmod_modules_build_array().
    """
    for problem, lines in order_faults(tree).items():
        if problem != MISSING:
            yield _on_lines(tree, problem, lines)


@check(Severity.INFO)
def modules_of_modules_order_are_there(tree: ModuleTree) -> Iterator[Evidence]:
    """Every module that modules.order lists exists.

    depmod ignores lines of missing modules. Ubuntu splits the modules of a kernel into `linux-modules` and
    `linux-modules-extra`, Fedora into `kernel-modules-core`, `kernel-modules` and others: if not all of these packages
    are installed, modules are missing. If the kernel was installed with `make modules_install`, install the modules
    again.
    Source: kmod, tools/depmod.c, depmod_modules_build_array().
    """
    lines = order_faults(tree).get(MISSING)
    if lines:
        yield _on_lines(tree, MISSING, lines)


def _on_lines(tree: ModuleTree, problem: str, lines: list[tuple[int, str]]) -> Evidence:
    at = (tree.location("modules.order", line=lines[0][0] or None),)
    return Evidence(f"{counted(len(lines), 'module')} {problem}: {summarized([path for _, path in lines])}", at)


def order_faults(tree: ModuleTree) -> dict[str, list[tuple[int, str]]]:
    """What is wrong with modules.order: each problem, and the lines that have it with their paths."""
    return tree.cached(_order_faults)


def _order_faults(tree: ModuleTree) -> dict[str, list[tuple[int, str]]]:
    text, faults = tree.text("modules.order"), dict[str, list[tuple[int, str]]]()
    if text is None:
        return faults
    *lines, rest = text.decode("utf-8", "surrogateescape").split("\n")
    if rest:
        faults["on a line without a newline, so that depmod ignores modules.order"] = [(len(lines) + 1, rest)]
        lines.append(rest)
    there = {file.path[: file.path.rfind(".ko") + 3] for file in tree.files}
    listed: dict[str, int] = {}
    twice = []
    for number, line in enumerate(lines, start=1):
        if listed.setdefault(line, number) != number:
            twice.append((number, line))
    dep = tree.dep
    # Other checks report what modules.dep still has, and what it does not have yet.
    known = {path[: path.rfind(".ko") + 3] for path in dep.by_path} if dep else there
    gone = [(number, path) for path, number in listed.items() if path not in there and not (dep and path in known)]
    unlisted = sorted(path for path in there & known if path.startswith("kernel/") and path not in listed)
    # In the folder of a build, another check reports what is missing. A package such as Debian's linux-base has
    # modules.order, and no modules: they are in another package.
    without_modules = not (tree.files or dep)
    faults[MISSING] = [] if tree.of_a_build or without_modules else gone
    faults["not listed"] = [(0, path) for path in unlisted]
    faults["listed twice"] = twice
    return {problem: found for problem, found in faults.items() if found}
