"""What must hold in the signature of a module. Whether it is the right one takes the kernel's certificates."""

from collections.abc import Iterator

from kinspect.artifacts.crypto.pkcs7 import DATA, SignedMessage
from kinspect.artifacts.module.ko import Module
from kinspect.artifacts.module.sections import module_elf
from kinspect.artifacts.module.signature import Trailer
from kinspect.checks.check import Evidence, Severity, check
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
    """The trailer of a signed module states a PKCS#7 message inside the file, and nothing else.

    The kernel refuses a module with anything else (`Bad message`), whether signatures are enforced or not; one with
    another kind of signature, as kernels up to 4.2 knew two, it takes for unsigned.
    Source: kernel/module_signature.c, mod_check_sig().
    """
    found = _trailer(module)
    if found is None:
        return
    if not 0 < found.info.sig_len <= found.offset:
        expected, at = f"1 to {found.offset:,}", (_field(module, found, "sig_len_bytes"),)
        yield Evidence("a signature of a size that cannot be", at, expected=expected, actual=found.info.sig_len)
    if found.info.id_type != PKCS7:
        at = (_field(module, found, "id_type"),)
        yield Evidence("not a PKCS#7 signature", at, expected=PKCS7, actual=found.info.id_type)
        return
    for name in found.nonzero:
        yield Evidence(
            f"{name} is not zero", (_field(module, found, name),), expected=0, actual=getattr(found.info, name)
        )


@check(Severity.ERROR)
def signature_message_is_sound(module: Module) -> Iterator[Evidence]:
    """The signature is one PKCS#7 message, as long as the trailer says, of a kind that the kernel takes for modules.

    It signs plain data and, but for ML-DSA, has no signed attributes (`Invalid module sig`). The kernel refuses any
    other, whether signatures are enforced or not.
    Source: crypto/asymmetric_keys/pkcs7_parser.c and pkcs7_verify.c, pkcs7_verify().
    """
    found = _trailer(module)
    if found is None or not found.sound:
        return
    try:
        told = module.signed_message(found)
    except MalformedError as error:
        yield Evidence.of(error)
        return
    at = (module.at("signature", found.start),)
    if told.size != found.info.sig_len:
        yield Evidence("the message has another size", at, expected=found.info.sig_len, actual=told.size)
    if told.content != DATA:
        yield Evidence("the message does not sign plain data", at, expected=DATA, actual=told.content)
    if told.signed_attributes and not told.algorithm.startswith("ML-DSA"):
        yield Evidence("the message has signed attributes", at)


@check(Severity.WARNING)
def module_is_signed_once(module: Module) -> Iterator[Evidence]:
    """A module has one signature.

    The kernel and modinfo see the last one alone; it signs the other along with the module. A module is signed twice
    when a build signs it and a release does again without removing the first.
    Source: scripts/sign-file.c.
    """
    found = _trailer(module)
    if found and _signed_again(module, found) and _message(module, found):
        at = (module.at("signature", found.start),)
        yield Evidence("a signature lies behind another one", at, expected="the end of the module before it")


@check(Severity.WARNING)
def nothing_follows_the_module(module: Module) -> Iterator[Evidence]:
    """The ELF file ends where the file ends, or where the signature begins.

    Tools that write modules leave nothing there. What is there may be the rest of a signature whose end was cut off:
    then the module counts as unsigned.
    Source: scripts/sign-file.c; the ELF specification.
    """
    sections = module_elf(module).readable
    if sections is None:
        return
    signed = _trailer(module)
    end = signed.start if signed else len(module.data)
    rows = zip(sections.types, sections.offsets, sections.sizes, strict=True)
    used = max(offset + size for kind, offset, size in rows if kind != SHT_NOBITS)
    used = max(used, module.header.e_shoff + len(sections.types) * size_of(SectionHeader))
    # Where a signature begins is not known when it is broken, and a second one is told of elsewhere.
    if used < end and (signed is None or (_message(module, signed) and not _signed_again(module, signed))):
        at = (module.at("end of the ELF file", used),)
        yield Evidence("bytes that belong to nothing", at, expected="none", actual=f"{end - used:,}")


def _signed_again(module: Module, found: Trailer) -> bool:
    return found.start > 0 and module.data.endswith(SIGNATURE_MARKER, 0, found.start)
