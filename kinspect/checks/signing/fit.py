"""Checks of the signatures of FIT images."""

from collections.abc import Iterator

from kinspect.checks.check import Evidence, Severity, check
from kinspect.errors import Location
from kinspect.views.signing.fit import FitSignatures


@check(Severity.WARNING)
def fit_signature_covers_its_images(facts: FitSignatures) -> Iterator[Evidence]:
    """The signature of a configuration covers the hashes of every image that the configuration names.

    An image that is not covered can be replaced, and the signature still verifies: older versions of mkimage leave out
    the ramdisk unless `sign-images` names it. Newer versions of U-Boot reject such a configuration. Add the image to
    `sign-images`, give it a hash node, and sign again.
    Source: U-Boot, tools/image-host.c, fit_config_get_hash_list(); boot/image-fit-sig.c, fit_config_get_signed_nodes().
    """
    for one in facts.signatures:
        for name in one.missing:
            at = Location(facts.path, one.signs)
            yield Evidence(f"the signature does not cover the image {name}", (at,))
