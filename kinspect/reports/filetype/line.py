"""What file(1) prints of a path, as text and as JSON."""

from collections.abc import Iterator
from typing import Any

from kinspect.reports.terminal import Style, escaped
from kinspect.views.filetype.line import FileFacts


def lines(facts: FileFacts, style: Style) -> Iterator[str]:
    """The path and the description. `kinspect file` itself prints `file_line`, which pads and escapes as file(1)."""
    yield f"{style.bold(escaped(facts.path))}: {escaped(facts.description)}"


def document(facts: FileFacts) -> dict[str, Any]:
    """`file` in the schema."""
    return {"kind": "file", **facts._asdict()}
