"""The files that the kernel's build puts beside the modules: modules.order and modules.builtin."""

from collections import Counter
from collections.abc import Iterator

from kinspect.artifacts.module.tree import ModuleTree
from kinspect.checks.check import Evidence, Severity, check
from kinspect.checks.wording import counted, summarized
from kinspect.views.depmod.texts import builtin_of_modinfo


@check(Severity.ERROR)
def modules_builtin_is_of_its_modinfo(tree: ModuleTree) -> Iterator[Evidence]:
    """modules.builtin lists what modules.builtin.modinfo has, in its order.

    The kernel's build makes the one of the other. A name that is missing makes modprobe fail where it had nothing to
    do; one too many makes it say that all is well while the driver is not there.
    Source: Makefile, modules.builtin; scripts/Makefile.vmlinux_o.
    """
    text, modinfo = tree.text("modules.builtin"), tree.text("modules.builtin.modinfo")
    if text is None or modinfo is None:
        return
    wanted = builtin_of_modinfo(modinfo)
    if text != wanted:
        lines, others = ([*data.decode("utf-8", "surrogateescape").split("\n")] for data in (text, wanted))
        pairs = enumerate(zip(lines, others, strict=False), start=1)
        number = next((number for number, (line, other) in pairs if line != other), min(len(lines), len(others)))
        added, missing = ([*(Counter(a) - Counter(b))] for a, b in ((lines, others), (others, lines)))
        message = f"not what modules.builtin.modinfo gives: {len(missing):,} missing, {len(added):,} added"
        at = (tree.location("modules.builtin", line=number),)
        yield Evidence(message, at, expected=summarized(missing) or None, actual=summarized(added) or None)


@check(Severity.WARNING)
def modules_order_lists_the_modules(tree: ModuleTree) -> Iterator[Evidence]:
    """modules.order lists every module in `kernel`, once, without the suffix of a compression, and nothing else.

    depmod takes the modules in this order, and modprobe the first of several for a device. depmod does not use the file
    at all when a line of it has no end.
    Source: scripts/Makefile.modinst; kmod, tools/depmod.c, depmod_modules_build_array().
    """
    for problem, lines in order_faults(tree):
        at = (tree.location("modules.order", line=lines[0][0] or None),)
        yield Evidence(f"{counted(len(lines), 'module')} {problem}", at, actual=summarized([path for _, path in lines]))


def order_of(tree: ModuleTree) -> dict[str, int]:
    """The paths of the modules that modules.order of a build's folder lists, with their lines.

    Older kernels put `kernel/` before each, newer name objects.
    """
    text = tree.text("modules.order") or b""
    lines = enumerate(text.decode("utf-8", "surrogateescape").splitlines(), start=1)
    there = {file.path for file in tree.files}
    paths = ((line.removesuffix(".o") + ".ko" if line.endswith(".o") else line, number) for number, line in lines)
    return {path if path in there else path.removeprefix("kernel/"): number for path, number in paths}


def order_faults(tree: ModuleTree) -> Iterator[tuple[str, list[tuple[int, str]]]]:
    """What is wrong with modules.order: the problem, and lines with their paths."""
    text = tree.text("modules.order")
    if text is None:
        return
    *lines, rest = text.decode("utf-8", "surrogateescape").split("\n")
    if rest:
        yield "on a line without an end: depmod ignores modules.order", [(len(lines) + 1, rest)]
        lines.append(rest)
    there = {file.path[: file.path.rfind(".ko") + 3] for file in tree.files}
    listed: dict[str, int] = {}
    twice = []
    for number, line in enumerate(lines, start=1):
        if listed.setdefault(line, number) != number:
            twice.append((number, line))
    dep = tree.dep
    # What modules.dep still has is a finding of its own, and so is what it does not have yet.
    known = {path[: path.rfind(".ko") + 3] for path in dep.by_path} if dep else there
    gone = [(number, path) for path, number in listed.items() if path not in there and not (dep and path in known)]
    unlisted = sorted(path for path in there & known if path.startswith("kernel/") and path not in listed)
    for problem, found in (
        # In the folder of a build that is an error, and a check of its own.
        ("listed that are not there", [] if tree.of_a_build else gone),
        ("not listed", [(0, path) for path in unlisted]),
        ("listed twice", twice),
    ):
        if found:
            yield problem, found
