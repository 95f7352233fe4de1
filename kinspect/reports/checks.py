"""The checks as documentation: their list, the page of one, and the reference in docs/checks.md."""

import re
from collections.abc import Iterable, Iterator
from typing import Any

from kinspect.artifacts.artifact import Artifact
from kinspect.checks.check import Check
from kinspect.reports.terminal import Style, columns


def list_lines(checks: Iterable[Check], style: Style) -> Iterator[str]:
    """One line for each check."""
    yield from columns([(check.id, check.severity.value, style.dim(check.title)) for check in checks], "<<<", indent="")


def page_lines(check: Check, style: Style) -> Iterator[str]:
    """The page of one check."""
    yield f"{style.bold(check.id)} ({check.severity}; needs {_needs(check)})"
    yield ""
    yield from check.doc.splitlines()


def reference(checks: Iterable[Check]) -> str:
    """The contents of docs/checks.md."""
    parts = [
        "# Checks",
        "",
        "Generated from the checks by `python -m kinspect.reports.checks`: do not edit.",
        "`kinspect checks` lists them, `kinspect checks ID` prints the page of one.",
        "An error must not ship, a warning should be looked at, an info is good to know.",
    ]
    for check in checks:
        parts += ["", f"## {check.id}", "", f"*{check.severity}; needs {_needs(check)}*", "", _markdown(check.doc)]
    return "\n".join(parts) + "\n"


def _markdown(doc: str) -> str:
    """A page with its source as a paragraph of its own."""
    return doc.replace("\nSource: ", "\n\nSource: ")


def _needs(check: Check) -> str:
    kinds: list[tuple[Any, ...]] = [getattr(kind, "__args__", (kind,)) for kind in check.inputs]
    return " and ".join(" or ".join(map(_noun, choices)) for choices in kinds)


def _noun(kind: type[Any]) -> str:
    """What an input is called: the kind of an artifact; for facts, how their docstring begins."""
    if issubclass(kind, Artifact):
        return kind.kind
    noun = re.split(r"[.:,](?: |$)", (kind.__doc__ or kind.__name__).split("\n", 1)[0], maxsplit=1)[0]
    return noun[0].lower() + noun[1:]


if __name__ == "__main__":
    from kinspect.inspection.report import checks_of

    print(reference(checks_of()), end="")  # noqa: T201
