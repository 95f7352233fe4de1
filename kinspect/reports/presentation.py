"""The module that presents some facts: `lines` as text, `document` as JSON.

It may also have `rows`, a table for CSV; `markdown_lines`; `outcome`, the verdict's text where that is more than how
many checks passed; `verdict_notes`, what the verdict does not cover; and `containers`, the packages and archives whose
contents the text names by their paths in there, as the findings then do.

It mirrors the module of the facts: those of artifacts/boot/image.py are presented by reports/boot/image.py, those of
views/diff/facts.py by reports/diff/facts.py.
"""

from importlib import import_module
from typing import TYPE_CHECKING, NamedTuple, cast

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any, Protocol

    from kinspect.reports.terminal import Style
    from kinspect.reports.values import Document

    class Presentation(Protocol):
        """A module that presents one kind of facts."""

        def lines(self, facts: Any, style: Style) -> Iterator[str]:
            """The facts as text, without newlines. Text from files is escaped."""

        def document(self, facts: Any) -> Document:
            """The facts as docs/report.schema.json has them."""


def presentation(facts: NamedTuple) -> "Presentation":
    """The module that presents some facts, imported when it is first needed."""
    _, _, room, module = type(facts).__module__.split(".")
    return cast("Presentation", import_module(f"kinspect.reports.{room}.{module}"))


def outcome(facts: NamedTuple) -> str:
    """The verdict's text for some facts, such as `2 modules load`; empty where the checks are counted instead."""
    text: str = getattr(presentation(facts), "outcome", lambda _: "")(facts)
    return text


def verdict_notes(facts: NamedTuple) -> list[str]:
    """What the verdict does not cover, such as files that were not checked. Text from files is escaped."""
    notes = getattr(presentation(facts), "verdict_notes", None)
    return list(notes(facts)) if notes else []


def containers(facts: NamedTuple) -> list[str]:
    """The packages and archives that the text of some facts names, so that findings need not."""
    found = getattr(presentation(facts), "containers", None)
    return list(found(facts)) if found else []
