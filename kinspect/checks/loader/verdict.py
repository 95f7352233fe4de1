"""Checks of the verdicts on modules: whether the kernel would load them."""

import os
from collections.abc import Callable, Iterator, Sequence
from errno import errorcode
from functools import partial

from kinspect.artifacts.boot.image import Image
from kinspect.artifacts.elf.vmlinux import Vmlinux
from kinspect.artifacts.module.scan import module_name
from kinspect.artifacts.module.tree import ModuleTree
from kinspect.checks.check import Evidence, Severity, capped, check
from kinspect.checks.wording import counted, impact, summarized
from kinspect.errors import KinspectError, Location, UnsupportedError
from kinspect.views.loader.facts import LoadFacts
from kinspect.views.loader.simulator import NO_CRC
from kinspect.views.loader.tree import ConfiguredKernel, tree_verdicts
from kinspect.views.loader.verdict import Outcome, Verdict


@check(Severity.ERROR)
def modules_are_loaded(
    modules: ModuleTree | LoadFacts, kernel: Vmlinux | Image | ConfiguredKernel
) -> Iterator[Evidence | KinspectError]:
    """The kernel would load every module, if each is loaded after those that it needs.

    kinspect runs the checks of load_module() in the kernel's own order: signature, ELF, vermagic, versions, symbols,
    relocations, exports. A value that the kernel uses without checking it may crash the kernel: such a module is a
    finding too. A refused module, and every module that needs it, is missing on the running system. Build it from the
    source and with the .config and compiler of this kernel, and sign it with a key that the kernel trusts. For a folder
    of modules, refusals that concern only a symbol (versions, licences, namespaces, missing and duplicate exports) and
    files that cannot be read are reported by other checks and not repeated here. `kinspect load` lists every refusal.
    Source: kernel/module/main.c, load_module().
    """
    if isinstance(modules, LoadFacts):
        return _not_loaded(modules.verdicts)
    return capped(_refused(modules, kernel), "modules", modules.location(""))


def _not_loaded(verdicts: Sequence[Verdict]) -> Iterator[Evidence | KinspectError]:
    for verdict in verdicts:
        if not verdict.loads:
            message = f"{verdict.name or module_name(verdict.path)}: {_reason(verdict)}"
            unknown, at = verdict.outcome is Outcome.UNKNOWN, Location(verdict.path)
            yield UnsupportedError(message, at) if unknown else Evidence(message, (at,))


def _refused(tree: ModuleTree, kernel: Vmlinux | Image | ConfiguredKernel) -> Iterator[Callable[[], Evidence]]:
    def evidence(verdict: Verdict) -> Evidence:
        name = module_name(verdict.path)
        message = f"{name} is {_reason(verdict)}: it will not load, and {impact(tree, name)}"
        return Evidence(message, (Location(verdict.path),))

    corrupt = {os.path.join(tree.root, module.path) for module in tree.modules if module.errors}
    for verdict in _verdicts(tree, kernel)[0]:
        if (
            verdict.outcome in (Outcome.REFUSED, Outcome.CRASHES)
            and (not verdict.symbols or any(one.fault.startswith(NO_CRC) for one in verdict.symbols))
            and verdict.path not in corrupt
        ):
            yield partial(evidence, verdict)


def _reason(verdict: Verdict) -> str:
    """The errno of a refusal and the last line of the kernel's log, what crashes, or what is not known."""
    if verdict.outcome is Outcome.CRASHES:
        return f"fatal to the kernel: {verdict.why}"
    if verdict.outcome is Outcome.UNKNOWN:
        return f"not known: {verdict.why}"
    line = f": {verdict.log_lines[-1].strip()}" if verdict.log_lines else ""
    return f"refused, {errorcode.get(verdict.errno, str(verdict.errno))}{line}"


@check(Severity.INFO)
def modules_are_known_to_load(tree: ModuleTree, kernel: Vmlinux | Image | ConfiguredKernel) -> Iterator[Evidence]:
    """For every module, there is enough information to predict whether the kernel would load it.

    Otherwise, `modules-are-loaded` reports nothing about the module. To verify signatures, install `kinspect[verify]`.
    A vmlinux or a .config shows whether unsigned modules are refused, but an Image does not: `kinspect check` reads the
    .config next to it, and `kinspect load --config` reads any.
    Source: kernel/module/signing.c, module_sig_check().
    """
    verdicts, why = _verdicts(tree, kernel)
    if why:
        found = kernel.kernel if isinstance(kernel, ConfiguredKernel) else kernel
        yield Evidence(f"not known for any module: {why}", (found.at(),))
    unknown: dict[str, list[str]] = {}
    for verdict in verdicts:
        if verdict.outcome is Outcome.UNKNOWN:
            unknown.setdefault(verdict.why, []).append(module_name(verdict.path))
    for why, names in unknown.items():
        message = f"not known for {counted(len(names), 'module')} ({summarized(names)}): {why}"
        yield Evidence(message, (tree.location(""),))


def _verdicts(tree: ModuleTree, kernel: Vmlinux | Image | ConfiguredKernel) -> tuple[list[Verdict], str]:
    """The verdicts; or why the kernel gives none."""
    try:
        return tree_verdicts(tree, kernel), ""
    except UnsupportedError as error:
        return [], error.problem
