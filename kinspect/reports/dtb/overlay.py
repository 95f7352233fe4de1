"""Overlays applied to a device tree, as text and as JSON."""

from collections.abc import Iterator
from itertools import islice
from typing import Any

from kinspect.reports.layout import columns
from kinspect.reports.terminal import Style, counted, escaped, exact
from kinspect.views.dtb.dts import value_text
from kinspect.views.dtb.overlay import AppliedOverlay, OverlayChange, OverlayFacts

MOST = 40
"""Changes of an overlay that the text lists."""
_LONGEST_VALUE = 32


def lines(facts: OverlayFacts, style: Style) -> Iterator[str]:
    """What became of each overlay, and what it changes."""
    many = counted(len(facts.overlays), "overlay")
    size = f": {exact(facts.size)}" if facts.size is not None else ""
    yield f"{style.bold(escaped(facts.path))} with {many}{size}"
    if facts.written is not None:
        yield f"  written to {escaped(facts.written)}"
    for overlay in facts.overlays:
        yield ""
        yield f"{style.bold(escaped(overlay.path))}: {_result(overlay, style)}"
        yield from columns(style, (_row(change) for change in islice(overlay.changes, MOST)), "<<<")
        more = overlay.nodes_added + overlay.properties_added + overlay.properties_changed - MOST
        if len(overlay.changes) > MOST and more > 0:
            yield style.dim(f"  and {len(overlay.changes) - MOST:,} more (--json lists them)")


def _result(overlay: AppliedOverlay, style: Style) -> str:
    if overlay.problem:
        return style.bad("does not apply")
    if not overlay.applied:
        return style.warning("not tried")
    nodes, added, changed = overlay.nodes_added, overlay.properties_added, overlay.properties_changed
    properties = f"{added:,} added, {changed:,} changed"
    return f"applies, {counted(nodes, 'node')} added, properties: {properties}"


def _row(change: OverlayChange) -> tuple[str, str, str]:
    path = escaped(change.path)
    if change.property is None:
        return "+", path, ""
    name, new = escaped(change.property), _shown(change.new)
    if change.old is None:
        return "+", path, f"{name} = {new}" if change.new else name
    return "~", path, f"{name}: {_shown(change.old)} -> {new}"


def _shown(value: bytes | None) -> str:
    if not value:
        return "(empty)"
    text = value_text(value[: 4 * _LONGEST_VALUE])
    return escaped(text if len(text) <= _LONGEST_VALUE and len(value) <= 4 * _LONGEST_VALUE else f"{text[:28]} ...")


def document(facts: OverlayFacts) -> dict[str, Any]:
    """`overlays` in the schema; values as hex digits."""
    return {
        "kind": "overlays",
        "path": facts.path,
        "size": facts.size,
        "written": facts.written,
        "overlays": [_overlay(overlay) for overlay in facts.overlays],
    }


def _overlay(overlay: AppliedOverlay) -> dict[str, Any]:
    return {
        "path": overlay.path,
        "applied": overlay.applied,
        "error": overlay.problem.error if overlay.problem else None,
        "nodes_added": overlay.nodes_added,
        "properties_added": overlay.properties_added,
        "properties_changed": overlay.properties_changed,
        "changes": [
            {
                "node": change.path,
                "property": change.property,
                "old": None if change.old is None else change.old.hex(),
                "new": None if change.new is None else change.new.hex(),
            }
            for change in overlay.changes
        ],
    }
