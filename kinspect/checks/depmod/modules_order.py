"""Checks of the files that the kernel's build puts beside the modules: modules.order and modules.builtin."""

from collections import Counter
from collections.abc import Iterator

from kinspect.artifacts.module.tree import ModuleTree
from kinspect.checks.check import Evidence, Severity, check
from kinspect.checks.wording import counted, summarized
from kinspect.views.depmod.texts import builtin_of_modinfo


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
    """modules.order lists every module in `kernel` once, without a compression suffix, and nothing else.

    depmod keeps this order, and modprobe prefers the first of several modules for a device: with another order, another
    driver may be loaded. If a line has no newline, depmod ignores the whole file. Install the modules again with `make
    modules_install`.
    Source: scripts/Makefile.modinst; kmod, tools/depmod.c, depmod_modules_build_array().
    """
    for problem, lines in order_faults(tree):
        at = (tree.location("modules.order", line=lines[0][0] or None),)
        names = summarized([path for _, path in lines])
        yield Evidence(f"{counted(len(lines), 'module')} {problem}: {names}", at)


def order_faults(tree: ModuleTree) -> Iterator[tuple[str, list[tuple[int, str]]]]:
    """What is wrong with modules.order: each problem, and the lines that have it with their paths."""
    text = tree.text("modules.order")
    if text is None:
        return
    *lines, rest = text.decode("utf-8", "surrogateescape").split("\n")
    if rest:
        yield "on a line without a newline, so that depmod ignores modules.order", [(len(lines) + 1, rest)]
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
    for problem, found in (
        ("listed but missing", [] if tree.of_a_build or without_modules else gone),
        ("not listed", [(0, path) for path in unlisted]),
        ("listed twice", twice),
    ):
        if found:
            yield problem, found
