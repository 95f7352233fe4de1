"""How many exports and types changed between two kernels, as text and as JSON."""

from collections.abc import Iterator

from kinspect.reports.layout import columns
from kinspect.reports.terminal import Style, counted, escaped
from kinspect.reports.values import Document
from kinspect.views.changes.described.interface import ExportCounts, Interface, TypeCounts


def interface_lines(facts: Interface, style: Style, most: int) -> Iterator[str]:
    """A line for exports and one for types, and the names of the first `most` that only one kernel has."""
    exports, types = facts.exports, facts.types
    if exports is None and types is None:
        return
    yield ""
    yield f"  {style.bold('exports and types')}"
    rows = [("exports", _exports(exports)), ("types", _types(types))]
    if exports:
        names = (("added", exports.added), ("removed", exports.removed))
        rows[1:1] = [("", f"{title}: {_names(found, most)}") for title, found in names if found and most]
    yield from columns(style, rows, "<<")
    if facts.changed:
        yield style.dim("  kinspect abi OLD NEW shows which, and why")


def _exports(found: ExportCounts | None) -> str:
    if found is None:
        return "not known: those of one kernel cannot be read"
    total = f"{found.new:,}" if found.old == found.new else f"{found.old:,} -> {found.new:,}"
    parts = [f"{number:,} {change}" for number, change in export_counts(found) if number] or ["unchanged"]
    if found.crcs is None:
        parts.append("CRCs not compared (not both kernels have MODVERSIONS)")
    return f"{total}: {', '.join(parts)}"


def export_counts(found: ExportCounts) -> list[tuple[int, str]]:
    """How many exports changed, and how."""
    return [(len(found.added), "added"), (len(found.removed), "removed"), (found.crcs or 0, "with another CRC")]


def _types(found: TypeCounts | None) -> str:
    if found is None:
        return "not known: not both kernels have type information (BTF)"
    if not found.changed and not found.layouts:
        return "unchanged"
    others = f", the layout of {counted(found.layouts, 'other')} with them" if found.layouts else ""
    return f"{len(found.changed):,} changed{others}"


def _names(names: tuple[str, ...], most: int) -> str:
    text = ", ".join(map(escaped, names[:most]))
    return text if len(names) <= most else f"{text} and {len(names) - most:,} more"


def interface_document(facts: Interface) -> Document:
    """`exports` and `types` of `kernel_diff` in docs/report.schema.json."""
    exports, types = facts.exports, facts.types
    return {
        "exports": exports and {**exports._asdict(), "added": list(exports.added), "removed": list(exports.removed)},
        "types": types and {"changed": list(types.changed), "layouts": types.layouts},
    }
