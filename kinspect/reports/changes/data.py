"""The data that changed in two kernels, as text and as JSON."""

from collections.abc import Iterator

from kinspect.reports.layout import shortened
from kinspect.reports.terminal import Style, counted, escaped
from kinspect.reports.values import Document
from kinspect.views.changes.data.changed import ChangedData
from kinspect.views.changes.data.details import DataChange

HEAD = ("symbol", "different", "first at", "old -> new")
"""The columns of a row."""
_LONGEST = 48
"""Characters of what an object holds."""


def data_rows(data: ChangedData, style: Style) -> Iterator[tuple[str, str, str, str]]:
    """A row for each object that changed."""
    for found in data.changed:
        yield escaped(found.name), _amount(found), f"{found.first:#x}", _first(found, style)


def _amount(found: DataChange) -> str:
    parts = [counted(number, noun) for number, noun in ((found.bytes, "byte"), (found.pointers, "pointer")) if number]
    return ", ".join(parts) or "size"


def _first(found: DataChange, style: Style) -> str:
    sizes = f" ({found.old_size:,} -> {found.new_size:,} bytes)" if found.old_size != found.new_size else ""
    old, new = (shortened(escaped(side), _LONGEST, style.ellipsis) or "end" for side in (found.expected, found.actual))
    return f"{old} -> {new}{sizes}"


def unjudged_line(data: ChangedData) -> str:
    """What is said of objects that may have changed."""
    number = counted(data.unjudged, "object")
    return f"{number} of unknown size: what differs may be data without a name behind the object"


def data_document(data: ChangedData) -> Document:
    """The part of `kernel_diff` about data."""
    return {
        "objects": data.objects,
        "data_changed": [found._asdict() for found in data.changed],
        "data_added": [found._asdict() for found in data.added],
        "data_removed": [found._asdict() for found in data.removed],
        "data_unjudged": data.unjudged,
    }
