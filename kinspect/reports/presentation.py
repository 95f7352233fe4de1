"""The module that presents some facts: `lines` as text, `document` as JSON.

It may also have `rows`, a table for CSV, `markdown_lines`, and `verdict_notes`, what belongs beside the verdict.

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


def verdict_notes(facts: NamedTuple) -> list[str]:
    """What belongs beside the verdict, such as what was not judged. Text from files is escaped."""
    notes = getattr(presentation(facts), "verdict_notes", None)
    return list(notes(facts)) if notes else []
