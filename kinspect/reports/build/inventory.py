"""The inventory of a build, as text and as JSON."""

from collections.abc import Iterator
from itertools import groupby

from kinspect.reports.terminal import Style, columns, counted, escaped, human
from kinspect.reports.values import Document
from kinspect.views.build.inventory import BuildFacts, FoundPiece

MOST = 4
"""Files with the same role that are listed; of more only number and size are shown."""


def lines(facts: BuildFacts, style: Style) -> Iterator[str]:
    """What is there, and what is missing with the command that makes it."""
    yield style.bold(", ".join(map(escaped, facts.paths)))
    yield ""
    rows = []
    for role, group in groupby(facts.pieces, key=lambda piece: piece.role):
        pieces = list(group)
        if len(pieces) > MOST:
            rows.append((role, human(sum(piece.size for piece in pieces)), counted(len(pieces), "file"), ""))
        else:
            rows += [
                (role, human(piece.size), escaped(_short_path(piece, facts)), escaped(piece.description))
                for piece in pieces
            ]
    rows += [(role, style.warning("missing"), style.dim(f"`{remedy}`"), "") for role, remedy in facts.missing]
    yield from columns(rows, "<><<")


def _short_path(piece: FoundPiece, facts: BuildFacts) -> str:
    """The path below the folder that was given, if there was only one."""
    if len(facts.paths) > 1:
        return piece.path
    start = facts.paths[0].rstrip("/") + "/"
    return f"{piece.path.rstrip('/')}/".removeprefix(start).rstrip("/") or "."


def document(facts: BuildFacts) -> Document:
    """`build` in docs/report.schema.json."""
    return {
        "kind": "build",
        "paths": list(facts.paths),
        "pieces": [
            {"role": piece.role, "path": piece.path, "size": piece.size, "told": piece.description}
            for piece in facts.pieces
        ],
        "missing": [{"role": role, "remedy": remedy} for role, remedy in facts.missing],
    }
