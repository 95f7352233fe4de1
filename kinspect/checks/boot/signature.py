"""What must hold in the Secure Boot signature of an Image."""

from collections.abc import Iterator

from kinspect.artifacts.boot.image import Image
from kinspect.checks.check import Evidence, Finding, Severity, check
from kinspect.errors import Location, MalformedError
from kinspect.views.signing.authenticode import ImageSignatures, image_signatures
from kinspect.views.signing.verification import EXTRA

_TRUSTED = "image-signature-is-trusted"


@check(Severity.ERROR)
def image_signature_is_of_the_image(image: Image) -> Iterator[Evidence]:
    """The Secure Boot signature is of this very file: the Authenticode digest in it is that of the file.

    Firmware refuses an image that was changed after signing. With the extra `kinspect[verify]` it is also verified
    that the signature is by the key of the certificate inside.
    Source: Microsoft, Windows Authenticode Portable Executable Signature Format.
    """
    try:
        found = image_signatures(image)
    except MalformedError:
        return  # a broken header or table has checks of its own
    at = (image.at("signature"),)
    for one in found.signatures if found else ():
        if one.problem and not one.stated:
            yield Evidence(f"a signature that cannot be read: {one.problem}", at)
        elif one.stated != one.computed:
            yield Evidence("the image was changed after signing", at, expected=one.stated, actual=one.computed)
        elif one.right is False:
            yield Evidence(f"the signature is not by the key of {one.chain[0]}", at)


def trust_findings(facts: ImageSignatures) -> Iterator[Finding]:
    """What certificates that were given say: one signature at least must be by a key that they vouch for."""
    at = (Location(facts.path, "signature"),)
    if any(one.trusted and one.stated == one.computed for one in facts.signatures):
        return
    if any(one.right is None and not one.problem for one in facts.signatures):
        message = f"the signature is not verified: that needs {EXTRA}"
        yield Finding(_TRUSTED, Severity.UNDECIDED, Evidence(message, at))
    else:
        yield Finding(_TRUSTED, Severity.ERROR, Evidence("no signature is by a key that is trusted", at))
