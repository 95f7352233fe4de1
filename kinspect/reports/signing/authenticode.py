"""The Secure Boot signatures of an Image, as text and as JSON."""

from collections.abc import Iterator
from typing import Any

from kinspect.reports.terminal import Style, columns, escaped
from kinspect.views.signing.authenticode import ImageSignatures
from kinspect.views.signing.verification import EXTRA, can_verify


def signature_lines(facts: ImageSignatures, paint: Style) -> Iterator[str]:
    """Each signature: the digest, who signed, what was verified."""
    for one in facts.signatures:
        yield f"{paint.bold('Secure Boot signature')} of {escaped(facts.path)}"
        yield ""
        rows = [("problem", escaped(one.problem))] if one.problem else []
        if one.stated:
            same = "that of the file" if one.stated == one.computed else f"the file has {one.computed}"
            rows.append(("digest", f"{escaped(one.hash)} {one.stated}, {same}"))
            rows.append(("signed by", ", vouched for by ".join(map(escaped, one.chain))))
            rows.append(("key", f"serial {one.key}, {one.algorithm}"))
            rows.append(("verified", _verified(one.right, one.trusted)))
        yield from columns(rows, "<<")


def _verified(right: bool | None, trusted: bool | None) -> str:
    if right is None:
        return "no" if can_verify() else f"no: that needs {EXTRA}"
    if not right:
        return "not by the key of that certificate"
    if trusted is None:
        return "right; --cert tells whether it is trusted"
    return "right, and trusted" if trusted else "right, but not trusted"


def signature_document(facts: ImageSignatures) -> dict[str, Any]:
    """What docs/report.schema.json has under `image_signatures`."""
    signatures = [
        {**one._asdict(), "chain": list(one.chain), "problem": one.problem or None} for one in facts.signatures
    ]
    return {"kind": "image signatures", "path": facts.path, "signatures": signatures}
