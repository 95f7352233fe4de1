"""Checks of the Secure Boot signature of an Image."""

from collections.abc import Iterator

from kinspect.artifacts.boot.efi import EfiProgram
from kinspect.checks.check import Evidence, Severity, check
from kinspect.errors import Location, MalformedError, UnsupportedError
from kinspect.views.signing.authenticode import ImageSignatures, image_signatures
from kinspect.views.signing.verification import EXTRA


@check(Severity.ERROR)
def image_signature_is_of_the_image(program: EfiProgram) -> Iterator[Evidence]:
    """The Secure Boot signature was made for this file: it covers the file's Authenticode digest.

    With Secure Boot, firmware refuses an image that was changed after signing. Sign it again. In a zboot image, the
    small EFI program around the kernel is what is signed. With the extra `kinspect[verify]`, the check also verifies
    that the signature was made with the key of the certificate in it.
    Source: Microsoft, Windows Authenticode Portable Executable Signature Format.
    """
    try:
        found = image_signatures(program)
    except MalformedError:
        return  # a broken header or table has checks of its own
    at = (program.at("signature"),)
    for one in found.signatures if found else ():
        if one.problem and not one.stated:
            yield Evidence(f"the signature cannot be read: {one.problem}", at)
        elif one.stated != one.computed:
            yield Evidence("the image was changed after signing", at, expected=one.stated, actual=one.computed)
        elif one.right is False:
            yield Evidence(f"the signature was not made with the key of {one.chain[0]}", at)


@check(Severity.ERROR)
def image_signature_is_trusted(facts: ImageSignatures) -> Iterator[Evidence]:
    """One of the Secure Boot signatures verifies against a certificate that was given with `--cert`.

    Firmware that trusts only these certificates refuses an image with any other signature. Sign the image with a key
    that they certify, or enroll the certificate of its signer. The check needs the extra `kinspect[verify]`.
    Source: Microsoft, Windows Authenticode Portable Executable Signature Format.
    """
    at = Location(facts.path, "signature")
    if any(one.trusted and one.stated == one.computed for one in facts.signatures):
        return
    if any(one.right is None and not one.problem for one in facts.signatures):
        raise UnsupportedError(f"the signature is not verified: that needs {EXTRA}", at)
    if facts.signatures:
        yield Evidence("no signature verifies against a trusted certificate", (at,))
    else:
        yield Evidence("the image is not signed", (at,))
