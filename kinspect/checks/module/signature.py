"""Checks of the format of a module's signature. To verify it takes the kernel's certificates."""

from collections.abc import Iterator

from kinspect.artifacts.crypto.pkcs7 import DATA, SignedMessage
from kinspect.artifacts.module.ko import Module
from kinspect.artifacts.module.sections import Sections, module_elf
from kinspect.artifacts.module.signature import Trailer, is_rest_of_signature
from kinspect.checks.check import Evidence, Severity, check
from kinspect.checks.wording import counted
from kinspect.errors import Location, MalformedError
from kinspect.schemas.elf import SHT_NOBITS, SectionHeader
from kinspect.schemas.module import PKCS7, SIGNATURE_MARKER, ModuleSignature
from kinspect.schemas.record import offsets, size_of


def _trailer(module: Module) -> Trailer | None:
    return module.trailer if module_elf(module).readable else None


def _message(module: Module, found: Trailer) -> SignedMessage | None:
    """The message before a trailer, when both are sound."""
    try:
        return module.signed_message(found) if found.sound else None
    except MalformedError:
        return None


def _field(module: Module, found: Trailer, name: str) -> Location:
    return module.at(f"struct module_signature: {name}", found.offset + offsets(ModuleSignature)[name])


@check(Severity.ERROR)
def signature_trailer_is_sound(module: Module) -> Iterator[Evidence]:
    """The trailer of a signed module describes a PKCS#7 signature inside the file, and its other fields are zero.

    The kernel refuses any other module (`Bad message`), even if it does not require signatures; a module with a
    signature of another type, as used before 4.3, counts as unsigned. Sign the module again with scripts/sign-file.
    Source: kernel/module_signature.c, mod_check_sig().
    """
    found = _trailer(module)
    if found is None:
        return
    if not 0 < found.info.sig_len <= found.offset:
        expected, at = f"1 to {found.offset:,}", (_field(module, found, "sig_len_bytes"),)
        yield Evidence("the size of the signature is impossible", at, expected=expected, actual=found.info.sig_len)
    if found.info.id_type != PKCS7:
        at = (_field(module, found, "id_type"),)
        yield Evidence("the signature is not PKCS#7", at, expected=PKCS7, actual=found.info.id_type)
        return
    for name in found.nonzero:
        yield Evidence(
            f"{name} is not zero", (_field(module, found, name),), expected=0, actual=getattr(found.info, name)
        )


@check(Severity.ERROR)
def signature_message_is_sound(module: Module) -> Iterator[Evidence]:
    """The signature is one PKCS#7 message of the size in the trailer, of a kind that the kernel accepts for modules.

    It signs plain data and, except with ML-DSA, has no signed attributes. The kernel refuses a module with any other
    signature (`Bad message`), even if it does not require signatures. Sign the module with scripts/sign-file.
    Source: crypto/asymmetric_keys/pkcs7_parser.c and pkcs7_verify.c, pkcs7_verify().
    """
    found = _trailer(module)
    if found is None or not found.sound:
        return
    try:
        signed = module.signed_message(found)
    except MalformedError as error:
        yield Evidence.of(error)
        return
    at = (module.at("signature", found.start),)
    if signed.size != found.info.sig_len:
        message_size = "the size of the message is not that in the trailer"
        yield Evidence(message_size, at, expected=found.info.sig_len, actual=signed.size)
    if signed.content != DATA:
        yield Evidence("the message does not sign plain data", at, expected=DATA, actual=signed.content)
    if signed.signed_attributes and not signed.algorithm.startswith("ML-DSA"):
        yield Evidence("the message has signed attributes", at)


@check(Severity.WARNING)
def module_is_signed_once(module: Module) -> Iterator[Evidence]:
    """A module has at most one signature.

    The kernel and modinfo see only the last one, which covers the others as part of the module. The module was signed
    by the build and again by the release, without removing the first signature. It loads, but tools that expect the ELF
    file before the signature may fail. Strip the first signature before signing.
    Source: scripts/sign-file.c.
    """
    found = _trailer(module)
    if found and _signed_again(module, found) and _message(module, found):
        at = (module.at("signature", found.start),)
        yield Evidence("the signature follows another signature", at)


@check(Severity.ERROR)
def signature_trailer_is_whole(module: Module) -> Iterator[Evidence]:
    """A signature ends with its trailer, `~Module signature appended~` and a newline, and nothing follows.

    The kernel and modinfo look for exactly that at the end of the file: without it, the module counts as unsigned, and
    a kernel that requires signatures refuses it. The file was truncated, or a tool changed or added line endings. Copy
    the module again as a binary file, or sign it again.
    Source: kernel/module/signing.c, module_sig_check(); include/linux/module_signature.h.
    """
    sections = module_elf(module).readable
    if sections is None or _trailer(module):
        return
    used = _end(module, sections)
    if is_rest_of_signature(module.data[used:]):
        at = (module.at("signature", used),)
        expected = f"{SIGNATURE_MARKER[:-1].decode()} and a newline at the end"
        yield Evidence("signature trailer damaged: the module counts as unsigned", at, expected, module.data[-8:])


def _end(module: Module, sections: Sections) -> int:
    """Where the ELF contents end."""
    rows = zip(sections.types, sections.offsets, sections.sizes, strict=True)
    used = max(offset + size for kind, offset, size in rows if kind != SHT_NOBITS)
    return max(used, module.header.e_shoff + len(sections.types) * size_of(SectionHeader))


@check(Severity.WARNING)
def nothing_follows_the_module(module: Module) -> Iterator[Evidence]:
    """Nothing follows the ELF contents of a module except its signature.

    No tool that writes modules puts anything else there. Copy or sign the module again.
    Source: scripts/sign-file.c; the ELF specification.
    """
    sections = module_elf(module).readable
    if sections is None:
        return
    signed, used = _trailer(module), _end(module, sections)
    end = signed.start if signed else len(module.data)
    if signed is None and is_rest_of_signature(module.data[used:]):
        return
    # A malformed signature does not say where it begins; another check reports a second signature.
    if used < end and (signed is None or (_message(module, signed) and not _signed_again(module, signed))):
        at = (module.at("end of the ELF file", used),)
        yield Evidence(f"{counted(end - used, 'byte')} after the ELF contents are not part of the module", at)


def _signed_again(module: Module, found: Trailer) -> bool:
    return found.start > 0 and module.data.endswith(SIGNATURE_MARKER, 0, found.start)
