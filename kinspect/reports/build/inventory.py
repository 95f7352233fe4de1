"""A whole build as text and as JSON."""

from collections.abc import Iterator
from itertools import groupby
from typing import Any

from kinspect.inspection.check import BuildFacts, FoundPiece
from kinspect.reports.terminal import Style, columns, counted, escaped, human

FEW = 4
"""Pieces of one kind that are listed one by one; of more the count and the sum."""


def build_lines(facts: BuildFacts, paint: Style) -> Iterator[str]:
    """A line for each piece, and for what is missing with what makes it."""
    yield paint.bold(", ".join(map(escaped, facts.paths)))
    yield ""
    rows = []
    for role, group in groupby(facts.pieces, key=lambda piece: piece.role):
        alike = list(group)
        if len(alike) > FEW:
            rows.append((role, human(sum(piece.size for piece in alike)), counted(len(alike), "file"), ""))
        else:
            rows += [(role, human(piece.size), escaped(_short(piece, facts)), escaped(piece.told)) for piece in alike]
    rows += [(role, paint.warning("missing"), paint.dim(f"`{remedy}`"), "") for role, remedy in facts.missing]
    yield from columns(rows, "<><<")


def _short(piece: FoundPiece, facts: BuildFacts) -> str:
    """A path without the folder that was asked about, when there is one alone."""
    start = facts.paths[0].rstrip("/") + "/"
    return (
        (f"{piece.path.rstrip('/')}/".removeprefix(start).rstrip("/") or ".") if len(facts.paths) == 1 else piece.path
    )


def build(facts: BuildFacts) -> dict[str, Any]:
    """The document of a build."""
    return {
        "kind": "build",
        "paths": list(facts.paths),
        "pieces": [
            {"role": piece.role, "path": piece.path, "size": piece.size, "told": piece.told} for piece in facts.pieces
        ],
        "missing": [{"role": role, "remedy": remedy} for role, remedy in facts.missing],
    }
