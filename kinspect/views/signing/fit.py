"""The signatures of a FIT image, and whether they verify with a trusted certificate.

Source: U-Boot, doc/usage/fit/signature.rst; boot/image-fit-sig.c.
"""

import hashlib
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from kinspect.artifacts.crypto.x509 import Certificate
from kinspect.artifacts.dtb.blob import Dtb
from kinspect.artifacts.dtb.fit import configurations, default_configuration, fit_images, signatures
from kinspect.artifacts.dtb.structure import Node
from kinspect.errors import KinspectError, MalformedError, TruncatedError, UnsupportedError
from kinspect.views.dtb.fit import hash_of
from kinspect.views.dtb.fit_memory import text_of
from kinspect.views.dtb.fit_regions import Region, signed_regions
from kinspect.views.signing.verification import can_verify, ecdsa_der, verifies_digest

_HASHES = ("sha1", "sha256", "sha384", "sha512")
_CRYPTO = {
    **{f"rsa{bits}": "RSA" for bits in (2048, 3072, 4096)},
    **dict.fromkeys(("ecdsa256", "ecdsa384", "secp521r1"), "ECDSA"),
}
"""The algorithms of signature nodes. Source: U-Boot, boot/image-sig.c."""
_PADDINGS = ("", "pkcs-1.5", "pss")
_LONGEST = 100


class FitSignature(NamedTuple):
    """A signature node. `signs` is the path of the image or configuration that it signs, `of` which of both that is.

    `algorithm` is as in the node, such as `sha256,rsa2048`; `key` the key's name in it. `missing` are the images of the
    configuration that the signature does not cover. `signer` is the trusted certificate with whose key the signature
    verifies; empty when there is none. `right` is None when that is not known.
    """

    signs: str
    of: str
    algorithm: str
    padding: str
    key: str
    missing: tuple[str, ...]
    right: bool | None
    signer: str
    problem: str = ""


class FitSignatures(NamedTuple):
    """The signatures of a FIT image. `unsigned` are the configurations without one that name images without one.

    `default` is the path of the default configuration; empty without one.
    """

    path: str
    signatures: tuple[FitSignature, ...]
    unsigned: tuple[str, ...]
    default: str


def fit_signatures(dtb: Dtb, trusted: Sequence[Certificate] = ()) -> FitSignatures:
    """The signatures of a FIT image, verified with the keys of certificates, if there are any."""
    found = tuple(_signature(dtb, signed, node, trusted) for signed, node in signatures(dtb))
    signed, default = {one.signs for one in found}, default_configuration(dtb)
    unsigned = [
        path
        for path, images in ((dtb.path_of(one.node), one.images) for one in configurations(dtb))
        if path not in signed and not all(f"/images/{name}" in signed for _, name in images)
    ]
    return FitSignatures(
        dtb.path,
        found,
        tuple(unsigned),
        f"/configurations/{default}" if default is not None else "",
    )


def _signature(dtb: Dtb, signed: Node, node: Node, trusted: Sequence[Certificate]) -> FitSignature:
    kind = "image" if dtb.nodes[signed.parent].name == "images" else "configuration"
    algorithm, padding = text_of(node, "algo"), text_of(node, "padding")
    hash_name, _, crypto = algorithm.partition(",")
    right, signer, problem = None, "", ""
    if hash_name not in _HASHES or crypto not in _CRYPTO or padding not in _PADDINGS:
        problem = "unknown algorithm"
    elif node.property("value") is None:
        right, problem = False, "no signature in the node"
    elif trusted and can_verify():
        try:
            hashed = _digest(dtb, signed, node, kind, hash_name)
            signer = _signer(node, hash_name, _CRYPTO[crypto], padding == "pss", hashed, trusted)
            right = bool(signer)
        except (MalformedError, TruncatedError, UnsupportedError) as error:
            problem = error.problem
    return FitSignature(
        dtb.path_of(signed),
        kind,
        algorithm[:_LONGEST],
        padding[:_LONGEST],
        text_of(node, "key-name-hint")[:_LONGEST],
        tuple(_missing(dtb, signed, node)) if kind == "configuration" else (),
        right,
        signer,
        problem,
    )


def _digest(dtb: Dtb, signed: Node, node: Node, kind: str, hash_name: str) -> bytes:
    if kind == "image":
        image = next(one for one in fit_images(dtb) if one.node.offset == signed.offset)
        return hash_of(dtb, image, hash_name)
    total = hashlib.new(hash_name, usedforsecurity=False)
    for region in covered(dtb, node):
        total.update(dtb.source.read(region.start, region.end - region.start, "signed nodes"))
    return total.digest()


def _signer(node: Node, hash_name: str, crypto: str, pss: bool, hashed: bytes, trusted: Sequence[Certificate]) -> str:
    value = node.property("value")
    raw = value.value if value else b""
    signature = ecdsa_der(raw) if crypto == "ECDSA" else raw
    for one in trusted:
        if verifies_digest(one, hash_name, crypto, signature, hashed, pss):
            return one.subject_text or one.serial_text
    return ""


def covered(dtb: Dtb, node: Node) -> list[Region]:
    """The ranges of the file that the signature of a configuration covers. MalformedError when the tree is broken."""
    nodes, strings = node.property("hashed-nodes"), node.property("hashed-strings")
    found = signed_regions(dtb, frozenset(nodes.texts) if nodes else frozenset())
    size = strings.cells[1] if strings and len(strings.cells) > 1 else 0
    if size > len(dtb.strings):
        at, expected = dtb.place(node, "hashed-strings"), f"at most {len(dtb.strings):,}"
        raise MalformedError("hashed-strings ends past the strings", at, expected=expected, actual=f"{size:,}")
    start = dtb.header.off_dt_strings
    return [*found, Region(start, start + size)] if size else found


def _missing(dtb: Dtb, signed: Node, node: Node) -> Iterator[str]:
    """The images of a configuration whose nodes or hashes its signature does not cover."""
    nodes = node.property("hashed-nodes")
    paths = set(nodes.texts) if nodes else set()
    own = next(one for one in configurations(dtb) if one.node.offset == signed.offset)
    known = {image.node.name: image for image in fit_images(dtb)}
    for _, name in own.images:
        image = known.get(name)
        if image and not ({dtb.path_of(image.node)} <= paths and {dtb.path_of(one) for one in image.hashes} & paths):
            yield name[:_LONGEST]


def has_signatures(dtb: Dtb) -> bool:
    """Whether a FIT image has a signature node; False when its tree is broken."""
    try:
        return next(signatures(dtb), None) is not None
    except KinspectError:
        return False
