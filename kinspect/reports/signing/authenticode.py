"""The Secure Boot signatures of an Image, as text and as JSON."""

from collections.abc import Iterator

from kinspect.reports.layout import columns
from kinspect.reports.terminal import Style, escaped
from kinspect.reports.values import Document
from kinspect.views.signing.authenticode import ImageSignatures
from kinspect.views.signing.verification import EXTRA, can_verify


def lines(facts: ImageSignatures, style: Style) -> Iterator[str]:
    """Each signature: digest, signer, key, and whether it verifies."""
    verified = "" if facts.outermost else " inside, which firmware does not verify"
    if not facts.signatures:
        yield f"{style.bold('No Secure Boot signature')} of {escaped(facts.path)}: {facts.layer}{verified}"
    for signature in facts.signatures:
        yield f"{style.bold('Secure Boot signature')} of {escaped(facts.path)}: {facts.layer}{verified}"
        yield ""
        rows = [("problem", escaped(signature.problem))] if signature.problem else []
        if signature.stated:
            same = signature.stated == signature.computed
            file_digest = "that of the file" if same else f"the file has {signature.computed}"
            rows.append(("digest", f"{escaped(signature.hash)} {signature.stated}, {file_digest}"))
            rows.append(("signed by", ", issued by ".join(map(escaped, signature.chain))))
            rows.append(("key", f"serial {signature.key}, {signature.algorithm}"))
            rows.append(("verified", _verified(signature.right, signature.trusted)))
        yield from columns(style, rows, "<<")


def _verified(right: bool | None, trusted: bool | None) -> str:
    if right is None:
        return "no" if can_verify() else f"no: that needs {EXTRA}"
    if not right:
        return "no: not made with the key of that certificate"
    if trusted is None:
        return "yes; --cert checks whether it is trusted"
    return "yes, and trusted" if trusted else "yes, but not trusted"


def verdict_notes(facts: ImageSignatures) -> Iterator[str]:
    """What is not known of the signatures."""
    if not facts.outermost:
        return
    if not facts.signatures:
        yield f"the {facts.layer} is not signed"
    elif any(signature.right is None and not signature.problem for signature in facts.signatures):
        yield "not checked: whether the signature is valid" + ("" if can_verify() else f" (needs {EXTRA})")
    elif any(signature.right and signature.trusted is None for signature in facts.signatures):
        yield "not checked: whether the signature is trusted (--cert)"


def document(facts: ImageSignatures) -> Document:
    """`image_signatures` in docs/report.schema.json."""
    signatures = [
        {**signature._asdict(), "chain": list(signature.chain), "problem": signature.problem or None}
        for signature in facts.signatures
    ]
    return {
        "kind": "image signatures",
        "path": facts.path,
        "signatures": signatures,
        "layer": facts.layer,
        "outermost": facts.outermost,
    }
