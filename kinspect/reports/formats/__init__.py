"""Reports in the formats that other programs read, a module each.

A writer takes reports, one by one as they are made, and gives the lines of one document.
"""

from collections.abc import Callable, Iterable, Iterator
from importlib import import_module

from kinspect.inspection.report import Report

Lines = Iterator[str]
Writer = Callable[[Iterable[Report]], Lines]

WRITERS = {
    "json": "json_document:json_lines",
    "jsonl": "jsonl:jsonl_lines",
    "github": "github:github_lines",
    "sarif": "sarif:sarif_lines",
    "junit": "junit:junit_lines",
    "markdown": "markdown:markdown_lines",
    "csv": "csv:csv_lines",
}
"""The function that writes each format. Its module is imported on use."""
FORMATS = ("text", *WRITERS)
"""The values of --format."""


def writer(form: str) -> Writer:
    """The function that writes a format."""
    module, name = WRITERS[form].split(":")
    found: Writer = getattr(import_module(f"{__name__}.{module}"), name)
    return found
