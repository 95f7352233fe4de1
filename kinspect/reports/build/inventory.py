"""The inventory of a build, as text and as JSON."""

import os
from collections import Counter
from collections.abc import Iterator
from itertools import groupby

from kinspect.reports.layout import columns
from kinspect.reports.terminal import Style, counted, escaped, human
from kinspect.reports.values import Document
from kinspect.views.build.inventory import NOT_JUDGED, BuildFacts, FoundPiece

MOST = 4
"""Files with the same role that are listed; of more only number and size are shown."""
_NAMED = 3


def lines(facts: BuildFacts, style: Style) -> Iterator[str]:
    """What is there, and what is missing with the command that makes it."""
    yield style.bold(", ".join(map(escaped, facts.paths)))
    rows = []
    for role, group in groupby(facts.pieces, key=lambda piece: piece.role):
        pieces, title = list(group), "not checked" if role == NOT_JUDGED else role
        if len(pieces) > MOST:
            rows.append((title, human(sum(piece.size for piece in pieces)), counted(len(pieces), "file"), ""))
        else:
            rows += [
                (title, human(piece.size), escaped(_short_path(piece, facts)), escaped(piece.description))
                for piece in pieces
            ]
    rows += [(role, style.warning("missing"), style.dim(f"`{remedy}`"), "") for role, remedy in facts.missing]
    if rows:
        yield ""
        yield from columns(style, rows, "<>/<")


def verdict_notes(facts: BuildFacts) -> Iterator[str]:
    """What belongs beside the verdict: what is missing, what was not judged, what was ignored."""
    if facts.missing:
        yield f"{counted(len(facts.missing), 'piece')} missing"
    files = {piece.path for piece in facts.pieces if piece.role == NOT_JUDGED}
    lacking = Counter(entry.reason for entry in facts.unjudged if entry.path not in files)
    reasons = [reason if count == 1 else f"{reason} ({count:,})" for reason, count in lacking.items()]
    if files:
        names = sorted(set(map(os.path.basename, files)))
        more = f" and {len(files) - _NAMED:,} more" if len(names) > _NAMED else ""
        reasons.append(f"{counted(len(files), 'file')} ({', '.join(map(escaped, names[:_NAMED]))}{more})")
    if reasons:
        yield f"not checked: {', '.join(map(escaped, reasons))}"
    for by, entries in groupby(sorted(facts.ignored, key=lambda entry: entry.by), key=lambda entry: entry.by):
        listed = list(entries)
        count = counted(sum(entry.number for entry in listed), "finding")
        yield f"{count} ignored by {escaped(by)} ({', '.join(entry.id for entry in listed)})"


def _short_path(piece: FoundPiece, facts: BuildFacts) -> str:
    """The path below the folder that was given, if there was only one."""
    if len(facts.paths) > 1:
        return piece.path
    start = facts.paths[0].rstrip("/") + "/"
    below = f"{piece.path.rstrip('/')}/".removeprefix(start).rstrip("/")
    return below or ("." if os.path.isdir(piece.path) else piece.path)


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
        "unjudged": [{"path": entry.path, "reason": entry.reason} for entry in facts.unjudged],
        "ignored": [{"id": entry.id, "count": entry.number, "by": entry.by} for entry in facts.ignored],
    }
