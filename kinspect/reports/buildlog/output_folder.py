"""A build log compared with the O= folder, as text and as JSON."""

from collections.abc import Iterator
from typing import Any

from kinspect.reports.layout import columns
from kinspect.reports.terminal import Style, counted, escaped
from kinspect.views.buildlog.output_folder import BuiltFacts


def lines(facts: BuiltFacts, style: Style) -> Iterator[str]:
    """How many of the files in the log are in the folder, and how many of them are newer or older than expected."""
    yield f"{style.bold(escaped(facts.folder))}: {counted(facts.files, 'file')} in the log"
    yield ""
    rows = [
        ("present", f"{facts.files - facts.missing:,}"),
        ("missing", f"{facts.missing:,}"),
        ("newer than the log", f"{facts.changed:,}"),
        ("older than what they are made from", f"{len(facts.stale):,}"),
    ]
    yield from columns(style, rows, "<>")


def outcome(facts: BuiltFacts) -> str:
    """How the O= folder differs from the log: `3 files missing`."""
    counts = ((facts.missing, "missing"), (len(facts.stale), "stale"), (facts.changed, "newer than the log"))
    return ", ".join(f"{counted(count, 'file')} {adjective}" for count, adjective in counts if count)


def document(facts: BuiltFacts) -> dict[str, Any]:
    """`built` in the schema."""
    return {
        "kind": "built",
        **facts._asdict(),
        "missing_names": list(facts.missing_names),
        "changed_names": list(facts.changed_names),
        "stale": [stale._asdict() for stale in facts.stale],
    }
