"""The files that a report is about, as several formats show them."""

from kinspect.inspection.report import Report

_PATHS = ("path", "vmlinux", "image", "old", "new", "symvers", "other", "tree")
_NAMED = 3


def subject(report: Report) -> str:
    """The files that a report is about: those of its facts, and those that could not be read."""
    told = [path for facts in report.facts for path in getattr(facts, "paths", ())]
    told += [getattr(facts, name, None) for facts in report.facts for name in _PATHS]
    paths = list(dict.fromkeys(filter(None, [*told, *(error.at.path for error in report.errors)])))
    more = [f"{len(paths) - _NAMED} more"] if len(paths) > _NAMED else []
    return " and ".join([*paths[:_NAMED], *more]) or "kinspect"
