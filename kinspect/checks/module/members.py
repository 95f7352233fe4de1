"""What must hold in every module of a folder alone; `kinspect module` tells more of one."""

from collections.abc import Iterator

from kinspect.artifacts.crypto.pkcs7 import message_in
from kinspect.artifacts.module.signature import Trailer
from kinspect.artifacts.module.tree import ModuleTree
from kinspect.checks.check import Evidence, Severity, capped, check
from kinspect.checks.module.tree import depmod_of, impact
from kinspect.checks.wording import counted, summarized
from kinspect.errors import KinspectError, MalformedError, sentence

_LAYOUT = "module_layout"
_LONGEST_NAME = 55
"""Characters of a name that fit `__versions` with its NUL."""


@check(Severity.ERROR)
def modules_have_versions_of_their_needs(tree: ModuleTree) -> Iterator[Evidence]:
    """The CRCs in a module are those of its undefined symbols and of module_layout.

    A symbol without its CRC the kernel refuses (`no symbol version for`); a CRC without its symbol makes depmod see a
    need that is none. The module was changed after modpost wrote them. A weak symbol that nobody exported has none.
    Source: scripts/mod/modpost.c, add_versions(); kernel/module/version.c, check_version().
    """
    yield from capped(_version_faults(tree), "modules", tree.location(""))


def _version_faults(tree: ModuleTree) -> Iterator[Evidence]:
    for module in depmod_of(tree).modules:
        versions, needs = module.versions.keys(), module.needs.keys()
        if not versions or module.errors or versions == needs | {_LAYOUT}:
            continue
        added = sorted(versions - needs - {_LAYOUT})
        missing = sorted(name for name in needs - versions if not module.needs[name] and len(name) <= _LONGEST_NAME)
        missing += [_LAYOUT] * (_LAYOUT not in versions)
        at = (tree.location(module.path, "__versions"),)
        if missing:
            message = (
                f"{module.name} has no CRC of {counted(len(missing), 'symbol')} that it needs: it will not load, and "
            )
            yield Evidence(message + impact(tree, module.name), at, expected=summarized(missing))
        if added:
            message = f"{module.name} has CRCs of {counted(len(added), 'symbol')} that it does not need"
            yield Evidence(message, at, actual=summarized(added))


@check(Severity.ERROR)
def signatures_of_modules_are_sound(tree: ModuleTree) -> Iterator[Evidence]:
    """Every signature is one PKCS#7 message behind the module, and its trailer says nothing else.

    The kernel refuses a module with any other (`Bad message`), whether signatures are enforced or not. Whose signature
    it is, is not asked.
    Source: kernel/module_signature.c, mod_check_sig(); crypto/asymmetric_keys/pkcs7_parser.c.
    """
    yield from capped(_signature_faults(tree), "modules", tree.location(""))


def _signature_faults(tree: ModuleTree) -> Iterator[Evidence]:
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
                raise MalformedError("not the trailer of a PKCS#7 message", at._replace(offset=start + len(data)))
            if before is None or not data.startswith(before):
                told = message_in(data, at)
                if told.size != len(data):
                    raise MalformedError("the message has another size", at, expected=len(data), actual=told.size)
                known[len(data)] = data.removesuffix(told.signature) if told.signature else data
        except KinspectError as error:
            problem = sentence(error.problem, error.expected, error.actual)
            message = f"the signature of {module.name} is not sound ({problem}): it will not load, and "
            yield Evidence(message + impact(tree, module.name), (error.at,))
