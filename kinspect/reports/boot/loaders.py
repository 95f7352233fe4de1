"""What boot loaders do with a kernel, as text and as JSON."""

from collections.abc import Iterator, Sequence

from kinspect.artifacts.boot.loader import LoaderVerdict
from kinspect.reports.layout import columns
from kinspect.reports.terminal import Style, escaped
from kinspect.reports.values import Document

_TITLES = {"yes": "boots with", "if": "boots if", "no": "not with"}


def loader_lines(verdicts: Sequence[LoaderVerdict], style: Style) -> Iterator[str]:
    """The loaders that take it in one line, then those that do under a condition, and the others with the reason."""
    groups: dict[tuple[str, str], list[str]] = {}
    for title in _TITLES:
        for one in verdicts:
            if one.takes == title:
                groups.setdefault((title, one.note), []).append(one.loader)
    rows, last = [], ""
    for (takes, note), names in groups.items():
        text = ", ".join(names)
        rows.append(("" if takes == last else _TITLES[takes], f"{text}: {escaped(note)}" if note else text))
        last = takes
    yield from columns(style, rows, "<<")


def loader_documents(verdicts: Sequence[LoaderVerdict]) -> list[Document]:
    """`loaders` of an Image in docs/report.schema.json."""
    return [{**one._asdict(), "note": one.note or None} for one in verdicts]
