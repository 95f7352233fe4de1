"""The check of whether a FIT image is signed with a trusted key."""

from collections.abc import Iterator

from kinspect.checks.check import Evidence, Severity, check
from kinspect.errors import Location, UnsupportedError
from kinspect.views.signing.fit import FitSignatures
from kinspect.views.signing.verification import EXTRA, can_verify


@check(Severity.ERROR)
def fit_signature_is_trusted(facts: FitSignatures) -> Iterator[Evidence | UnsupportedError]:
    """The signatures of a FIT image verify against a certificate given with `--cert`.

    A U-Boot that requires the key of that certificate rejects anything else. The default configuration must be signed,
    or all of its images. Sign the FIT image with `mkimage -k`, or give the certificate of the key that signed it. The
    check needs the extra `kinspect[verify]`.
    Source: U-Boot, doc/usage/fit/signature.rst; boot/image-fit-sig.c, fit_config_verify_required_keys().
    """
    at = Location(facts.path)
    if not facts.signatures:
        yield Evidence("the FIT image is not signed", (at,))
        return
    if not can_verify():
        yield UnsupportedError(f"the signature is not verified: that needs {EXTRA}", at)
        return
    for path in facts.unsigned:
        if facts.default in ("", path):
            default = "default " if facts.default else ""
            yield Evidence(f"the {default}configuration is not signed", (at._replace(part=path),))
    for path in dict.fromkeys(one.signs for one in facts.signatures):
        found = [one for one in facts.signatures if one.signs == path]
        place = at._replace(part=path)
        if any(one.right for one in found):
            continue
        problems = [one.problem for one in found if one.problem]
        if all(one.right is None for one in found):
            yield UnsupportedError(f"the signature is not verified: {problems[0]}", place)
        else:
            yield Evidence("no signature verifies against a trusted certificate", (place,))
