"""Whether the kernel would load the modules: what it refuses, in its own words."""

import os
from collections.abc import Iterable, Iterator
from errno import errorcode

from kinspect.artifacts.boot.image import Image
from kinspect.artifacts.elf.vmlinux import Vmlinux
from kinspect.artifacts.module.scan import module_name
from kinspect.artifacts.module.tree import ModuleTree
from kinspect.checks.check import Evidence, Finding, Severity, capped, check
from kinspect.checks.module.tree import impact
from kinspect.checks.wording import counted, summarized
from kinspect.errors import Location, UnsupportedError
from kinspect.views.loader.tree import tree_verdicts
from kinspect.views.loader.verdict import Outcome, Verdict

_ID = "modules-are-loaded"


def reason(verdict: Verdict) -> str:
    """The errno of a refusal and the kernel's last words, or what is not known."""
    if verdict.outcome is Outcome.UNKNOWN:
        return f"not known: {verdict.why}"
    words = f": {verdict.words[-1].strip()}" if verdict.words else ""
    return f"refused, {errorcode.get(verdict.errno, str(verdict.errno))}{words}"


def loading_findings(verdicts: Iterable[Verdict]) -> Iterator[Finding]:
    """A finding for each module that does not load, or of which it is not known."""
    for verdict in verdicts:
        if not verdict.loads:
            severity = Severity.ERROR if verdict.outcome is Outcome.REFUSED else Severity.UNDECIDED
            message = f"{verdict.name or module_name(verdict.path)}: {reason(verdict)}"
            yield Finding(_ID, severity, Evidence(message, (Location(verdict.path),)))


def _verdicts(tree: ModuleTree, kernel: Vmlinux | Image) -> tuple[list[Verdict], str]:
    """The verdicts, or why a kernel does not tell enough for any."""
    try:
        return tree_verdicts(tree, kernel), ""
    except UnsupportedError as error:
        return [], error.problem


@check(Severity.ERROR)
def modules_are_loaded(tree: ModuleTree, kernel: Vmlinux | Image) -> Iterator[Evidence]:
    """The kernel would load every module of the folder, each after those that it needs.

    Every test that load_module() makes is made in the kernel's own order: signature, ELF, vermagic, versions, symbols,
    relocations, exports. Refusals for a symbol alone have checks of their own (versions, licences, namespaces, missing
    and duplicate exports), as have files that cannot be read, and are not told twice. `kinspect load` tells all of them
    one by one.
    Source: kernel/module/main.c, load_module().
    """
    return capped(_refused(tree, kernel), "modules", tree.location(""))


def _refused(tree: ModuleTree, kernel: Vmlinux | Image) -> Iterator[Evidence]:
    corrupt = {os.path.join(tree.root, module.path) for module in tree.modules if module.errors}
    for verdict in _verdicts(tree, kernel)[0]:
        if verdict.outcome is Outcome.REFUSED and not verdict.symbols and verdict.path not in corrupt:
            name = module_name(verdict.path)
            yield Evidence(
                f"{name} is {reason(verdict)}: it will not load, and {impact(tree, name)}", (Location(verdict.path),)
            )


@check(Severity.INFO)
def modules_are_known_to_load(tree: ModuleTree, kernel: Vmlinux | Image) -> Iterator[Evidence]:
    """It is known of every module of the folder whether the kernel would load it.

    Whether a signature is right takes the extra `kinspect[verify]`; whether unsigned modules are refused takes a
    vmlinux, or the .config that `kinspect load --config` reads.
    Source: kernel/module/signing.c, module_sig_check().
    """
    found: dict[str, list[str]] = {}
    verdicts, why = _verdicts(tree, kernel)
    if why:
        yield Evidence(f"not known of any module: {why}", (kernel.at(),))
    for verdict in verdicts:
        if verdict.outcome is Outcome.UNKNOWN:
            found.setdefault(verdict.why, []).append(module_name(verdict.path))
    for why, names in found.items():
        yield Evidence(
            f"not known of {counted(len(names), 'module')}: {why}", (tree.location(""),), actual=summarized(names)
        )
