"""The inventory of a build, as text and as JSON."""

import os
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import groupby

from kinspect.reports.layout import columns
from kinspect.reports.terminal import Style, counted, escaped, human
from kinspect.reports.values import Document
from kinspect.views.build.inventory import NOT_JUDGED, BuildFacts, FoundPiece, PackageFacts

MOST = 4
"""Files with the same role that are listed; of more only number and size are shown."""
_NAMED = 3


def lines(facts: BuildFacts, style: Style) -> Iterator[str]:
    """What is there, by packages if there are any; what is missing, with the command that makes it; what is absent."""
    several = len(facts.packages) > 1 or len(facts.paths) > 1
    if several or not facts.packages:
        yield style.bold(", ".join(map(escaped, _title(facts))))
    rows = list(_piece_rows(_outside(facts), facts))
    rows += [(role, style.warning("missing"), style.dim(f"`{remedy}`"), "") for role, remedy in facts.missing]
    if rows:
        yield ""
        yield from columns(style, rows, "<>/<")
    for package in facts.packages:
        yield from [""] * several
        yield f"{style.bold(escaped(package.path))}{style.dim(_described(package))}"
        yield from [""] * (not several)
        inside = [piece for piece in facts.pieces if _is_in(piece, package)]
        yield from columns(style, _piece_rows(inside, facts), "<>/<")
    if facts.absent:
        place = "in none of the packages" if len(facts.packages) > 1 else "not in the package"
        yield ""
        yield f"  {style.warning('absent')}  {', '.join(facts.absent)}: {place}"


def containers(facts: BuildFacts) -> list[str]:
    """The packages, which are titles in the text."""
    return [package.path for package in facts.packages]


def _described(package: PackageFacts) -> str:
    """What a package says of itself, after its path: `  20.2 MiB, 6.1.176-1, arm64`."""
    # The name of the file begins with that of most packages.
    name = "" if os.path.basename(package.path).startswith(package.name) else package.name
    version = f"{name} {package.version}".strip()
    return "  " + ", ".join(filter(None, (human(package.size), escaped(version), escaped(package.architecture))))


def _title(facts: BuildFacts) -> list[str]:
    """The paths that were given; of packages, which are listed, their number."""
    packages = {package.path for package in facts.packages}
    others = [path for path in facts.paths if path not in packages]
    if len(others) > MOST:
        others[_NAMED:] = [f"and {len(others) - _NAMED:,} more"]
    return [*others, counted(len(packages), "package")] if packages else others


def _is_in(piece: FoundPiece, package: PackageFacts) -> bool:
    return piece.path.startswith(f"{package.path}:") or (piece.path == package.path and piece.role != NOT_JUDGED)


def _outside(facts: BuildFacts) -> list[FoundPiece]:
    """The pieces that are in no package, and are none."""
    packages = {package.path for package in facts.packages}
    apart = (piece for piece in facts.pieces if piece.path not in packages)
    return [piece for piece in apart if not any(_is_in(piece, package) for package in facts.packages)]


def _piece_rows(pieces: Iterable[FoundPiece], facts: BuildFacts) -> Iterator[tuple[str, str, str, str]]:
    for role, group in groupby(pieces, key=lambda piece: piece.role):
        alike, title = list(group), "not checked" if role == NOT_JUDGED else role
        if len(alike) > MOST:
            yield title, human(sum(piece.size for piece in alike)), counted(len(alike), "file"), ""
        else:
            for piece in alike:
                yield title, human(piece.size), escaped(_short_path(piece, facts)), escaped(piece.description)


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
    """The path below the folder that was given, if there was only one; or in its package."""
    for package in facts.packages:
        if _is_in(piece, package):
            return piece.path.removeprefix(package.path).removeprefix(":") or "."
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
        "packages": [package._asdict() for package in facts.packages],
        "absent": list(facts.absent),
    }
