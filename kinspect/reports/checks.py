"""The checks themselves: their list, one's page, and the reference in docs/checks.md."""

import re
from collections.abc import Iterable, Iterator
from typing import Any

from kinspect.checks.check import Check
from kinspect.reports.terminal import Style, columns


def list_lines(checks: Iterable[Check], paint: Style) -> Iterator[str]:
    """A line a check."""
    yield from columns([(check.id, check.severity.value, paint.dim(check.title)) for check in checks], "<<<", indent="")


def page_lines(check: Check, paint: Style) -> Iterator[str]:
    """One check explained."""
    yield f"{paint.bold(check.id)} ({check.severity}; needs {_needs(check)})"
    yield ""
    yield from check.doc.splitlines()


def reference(checks: Iterable[Check]) -> str:
    """docs/checks.md, generated."""
    parts = [
        "# Checks",
        "",
        "Generated from the checks by `python -m kinspect.reports.checks`: do not edit.",
        "`kinspect checks ID` prints one.",
        "An error must not ship, a warning wants a look, information is good to know.",
    ]
    for check in checks:
        parts += ["", f"## {check.id}", "", f"*{check.severity}; needs {_needs(check)}*", "", check.doc]
    return "\n".join(parts) + "\n"


def _needs(check: Check) -> str:
    kinds: list[tuple[Any, ...]] = [getattr(kind, "__args__", (kind,)) for kind in check.inputs]
    return " and ".join(" or ".join(map(_name, several)) for several in kinds)


def _name(kind: type) -> str:
    """What an artifact is called; of facts the words of the class: `load facts`."""
    name: str = getattr(kind, "kind", "") or re.sub(r"\B([A-Z])", r" \1", kind.__name__).lower()
    return name


if __name__ == "__main__":
    from kinspect.inspection.report import checks_of

    print(reference(checks_of()), end="")  # noqa: T201
