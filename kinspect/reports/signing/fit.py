"""The signatures of a FIT image, as text and as JSON."""

from collections.abc import Iterator

from kinspect.reports.layout import titled
from kinspect.reports.terminal import Style, escaped
from kinspect.reports.values import Document
from kinspect.views.signing.fit import FitSignature, FitSignatures
from kinspect.views.signing.verification import EXTRA, can_verify


def lines(facts: FitSignatures, style: Style) -> Iterator[str]:
    """A line for each signature: what it signs, with what key, and whether it verifies."""
    yield f"{style.bold('FIT signatures')} of {escaped(facts.path)}"
    yield ""
    rows = [(escaped(one.signs), _algorithm(one), escaped(one.key), _verified(one)) for one in facts.signatures]
    rows += [(escaped(path), "not signed", "", "") for path in facts.unsigned]
    yield from titled(style, ("signed", "algorithm", "key", "verified"), rows, "<<<<")


def _algorithm(one: FitSignature) -> str:
    return escaped(", ".join(filter(None, [one.algorithm, one.padding])))


def _verified(one: FitSignature) -> str:
    if one.problem:
        return f"no: {one.problem}"
    if one.right is None:
        return "no" if can_verify() else f"no: that needs {EXTRA}"
    return f"yes, by {escaped(one.signer)}" if one.right else "no: not by a trusted key"


def verdict_notes(facts: FitSignatures) -> Iterator[str]:
    """What is not known of the signatures."""
    if any(one.right is None for one in facts.signatures):
        yield "FIT signature not verified " + ("(--cert)" if can_verify() else f"(needs {EXTRA})")


def document(facts: FitSignatures) -> Document:
    """`fit_signatures` in docs/report.schema.json."""
    signatures = [
        {**one._asdict(), "missing": list(one.missing), "problem": one.problem or None} for one in facts.signatures
    ]
    return {
        "kind": "FIT signatures",
        "path": facts.path,
        "signatures": signatures,
        "unsigned": list(facts.unsigned),
        "default": facts.default,
    }
