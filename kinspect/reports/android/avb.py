"""The metadata of Android Verified Boot as text and as JSON."""

from collections.abc import Iterator

from kinspect.reports.layout import columns, titled
from kinspect.reports.terminal import Style, escaped, human
from kinspect.reports.values import Document
from kinspect.views.android.avb import VbmetaFacts, VerifiedDescriptor
from kinspect.views.signing.verification import EXTRA, can_verify

_SHOWN = 16
"""Characters of a digest that a table shows: the JSON document has all."""


def lines(facts: VbmetaFacts, style: Style) -> Iterator[str]:
    """Who signed it, and a line for each descriptor."""
    yield f"{style.bold('Android Verified Boot')} metadata of {escaped(facts.path)}"
    yield ""
    rows = [("signature", _signature(facts)), ("rollback", f"index {facts.rollback_index:,}")]
    if facts.key:
        rows.insert(1, ("key", f"SHA-1 {facts.key}"))
    if facts.release:
        rows.append(("made by", escaped(facts.release)))
    yield from columns(style, rows, "<<")
    if facts.descriptors:
        yield ""
        cells = [
            (one.kind, escaped(one.name), human(one.size) if one.size else "", _about(one)) for one in facts.descriptors
        ]
        yield from titled(style, ("descriptor", "name", "size", ""), cells, "<<><")


def _signature(facts: VbmetaFacts) -> str:
    if not facts.stated:
        return f"none ({facts.algorithm})"
    if facts.stated != facts.computed:
        return f"{facts.algorithm}, of other metadata"
    if facts.right is None:
        return f"{facts.algorithm}, not verified" + ("" if can_verify() else f": that needs {EXTRA}")
    return f"{facts.algorithm}, {'verified' if facts.right else 'not made'} with the key in the metadata"


def _about(one: VerifiedDescriptor) -> str:
    if one.digest:
        digest = f"{escaped(one.algorithm)} {one.digest[:_SHOWN]}..."
        if one.kind != "hash":
            return f"{digest}, not checked"
        if not one.computed:
            return f"{digest}, of another file"
        same = one.digest == one.computed
        return f"{digest}, that of the image" if same else f"{digest}, the image has {one.computed[:_SHOWN]}..."
    return f"key with SHA-1 {one.value}" if one.kind == "chain" else escaped(one.value)


def verdict_notes(facts: VbmetaFacts) -> Iterator[str]:
    """What is not known of the signature."""
    if not facts.stated:
        yield "AVB metadata not signed"
    elif facts.right is None:
        yield "AVB signature not verified" + ("" if can_verify() else f" (needs {EXTRA})")
    elif facts.right:
        yield "AVB signature verified with the embedded key only"


def document(facts: VbmetaFacts) -> Document:
    """`vbmeta` in docs/report.schema.json."""
    return {"kind": "vbmeta", **facts._asdict(), "descriptors": [one._asdict() for one in facts.descriptors]}
