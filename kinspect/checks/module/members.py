"""Checks of every module of a folder by itself; `kinspect module` checks more of a single one."""

from collections.abc import Callable, Iterator
from functools import partial

from kinspect.artifacts.crypto.pkcs7 import message_in
from kinspect.artifacts.module.signature import Trailer
from kinspect.artifacts.module.summary import ModuleSummary
from kinspect.artifacts.module.tree import ModuleTree
from kinspect.checks.check import Evidence, Severity, capped, check
from kinspect.checks.wording import counted, impact, summarized
from kinspect.errors import KinspectError, MalformedError, sentence
from kinspect.views.depmod.tree import depmod_of

_LAYOUT = "module_layout"
_LONGEST_NAME = 55
"""Characters of a name that fit `__versions` with its NUL."""


@check(Severity.ERROR)
def modules_have_versions_of_their_needs(tree: ModuleTree) -> Iterator[Evidence]:
    """Every module has CRCs only of its undefined symbols and of module_layout.

    A superfluous CRC makes depmod record a dependency that does not exist. The module was changed after modpost wrote
    the CRCs: build it again.
    Source: scripts/mod/modpost.c, add_versions().
    """
    yield from capped(_superfluous(tree), "modules", tree.location(""))


def _versioned(tree: ModuleTree) -> Iterator[ModuleSummary]:
    """The modules whose CRCs are not those of what they need."""
    for module in depmod_of(tree).modules:
        versions = module.versions.keys()
        if not versions or module.errors:
            continue
        needs = module.needs.keys()
        usual = len(versions) == len(needs) + 1 and _LAYOUT in versions and _LAYOUT not in needs
        if not (usual and versions >= needs) and versions != needs | {_LAYOUT}:
            yield module


def _superfluous(tree: ModuleTree) -> Iterator[Callable[[], Evidence]]:
    def evidence(module: ModuleSummary, added: list[str]) -> Evidence:
        symbols = f"{counted(len(added), 'symbol')} that it does not need: {summarized(added)}"
        return Evidence(f"{module.name} has CRCs of {symbols}", (tree.location(module.path, "__versions"),))

    for module in _versioned(tree):
        added = sorted(module.versions.keys() - module.needs.keys() - {_LAYOUT})
        if added:
            yield partial(evidence, module, added)


@check(Severity.WARNING)
def modules_lack_no_versions(tree: ModuleTree) -> Iterator[Evidence]:
    """Every module has the CRCs of its undefined symbols and of module_layout.

    If one is missing (`no symbol version for`), the result depends on the kernel: since 4.9 it warns once and loads the
    module, but Debian's kernels refuse it. `kinspect load` determines from the kernel's code which it does. The module
    was changed after modpost wrote the CRCs, or built without a Module.symvers that lists all symbols that it needs:
    build it again. A weak symbol that nothing exported needs no CRC.
    Source: scripts/mod/modpost.c, add_versions(); kernel/module/version.c, check_version().
    """
    yield from capped(_lacking(tree), "modules", tree.location(""))


def _lacking(tree: ModuleTree) -> Iterator[Callable[[], Evidence]]:
    def evidence(module: ModuleSummary, names: list[str]) -> Evidence:
        symbols = f"{counted(len(names), 'symbol')} that it needs ({summarized(names)})"
        loss = f"whether it loads depends on the kernel; {impact(tree, module.name)}"
        at = (tree.location(module.path, "__versions"),)
        return Evidence(f"{module.name} has no CRC of {symbols}: {loss}", at)

    for module in _versioned(tree):
        missing = module.needs.keys() - module.versions.keys()
        names = sorted(name for name in missing if not module.needs[name] and len(name) <= _LONGEST_NAME)
        names += [_LAYOUT] * (_LAYOUT not in module.versions)
        if names:
            yield partial(evidence, module, names)


@check(Severity.ERROR)
def signatures_of_modules_are_whole(tree: ModuleTree) -> Iterator[Evidence]:
    """Every module signature ends with its trailer, `~Module signature appended~` and a newline, and nothing follows.

    The kernel and modinfo look for exactly that at the end of the file: without it, the module counts as unsigned, and
    a kernel that requires signatures refuses it. The file was truncated, or a tool changed or added line endings. Copy
    the module again as a binary file, or sign it again.
    Source: kernel/module/signing.c, module_sig_check(); include/linux/module_signature.h.
    """
    loss = "it counts as unsigned, and a kernel that requires signatures refuses it"
    found = (
        Evidence(
            f"the signature trailer of {module.name} is damaged: {loss}; {impact(tree, module.name)}",
            (tree.location(module.path, "signature"),),
        )
        for module in depmod_of(tree).modules
        if module.lost_signature
    )
    yield from capped(found, "modules", tree.location(""))


@check(Severity.ERROR)
def signatures_of_modules_are_sound(tree: ModuleTree) -> Iterator[Evidence]:
    """Every module signature is a single PKCS#7 message of the size in its trailer.

    The kernel refuses a module with any other signature (`Bad message`), even if it does not require signatures. Sign
    the module again. Whether the signature verifies is not checked here: see modules-are-loaded.
    Source: kernel/module_signature.c, mod_check_sig(); crypto/asymmetric_keys/pkcs7_parser.c.
    """
    yield from capped(_signature_faults(tree), "modules", tree.location(""))


def _signature_faults(tree: ModuleTree) -> Iterator[Callable[[], Evidence]]:
    def evidence(module: ModuleSummary, error: KinspectError) -> Evidence:
        problem = sentence(error.problem, error.expected, error.actual)
        message = f"the signature of {module.name} is malformed ({problem}): it will not load, and "
        return Evidence(message + impact(tree, module.name), (error.at,))

    # Messages of one key and one size differ in nothing but the signature at their end.
    known: dict[int, bytes] = {}
    for module in depmod_of(tree).modules:
        if module.signature is None:
            continue
        info, start, data = module.signature
        at = tree.location(module.path, "signature")._replace(offset=start)
        before = known.get(len(data))
        try:
            if not Trailer(info, start + len(data)).sound:
                raise MalformedError("not the trailer of a PKCS#7 signature", at._replace(offset=start + len(data)))
            if before is None or not data.startswith(before):
                found = message_in(data, at)
                if found.size != len(data):
                    raise MalformedError(
                        "the size of the message is not that in the trailer", at, expected=len(data), actual=found.size
                    )
                known[len(data)] = data.removesuffix(found.signature) if found.signature else data
        except KinspectError as error:
            yield partial(evidence, module, error)
