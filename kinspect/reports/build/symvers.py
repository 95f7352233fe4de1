"""A Module.symvers as text and as JSON."""

from collections.abc import Iterator

from kinspect.artifacts.build.symvers import Layout, SymversFacts
from kinspect.reports.layout import columns
from kinspect.reports.terminal import Style, counted, escaped, exact
from kinspect.reports.values import Document

TOP = 8
"""Namespaces that are listed."""
_LAYOUTS = {
    Layout.NAMESPACE_LAST: "CRC, symbol, module, type, namespace (since 5.6)",
    Layout.NAMESPACE_THIRD: "CRC, symbol, namespace, module, type (5.4 and 5.5)",
    Layout.NO_NAMESPACE: "CRC, symbol, module, type (up to 5.3)",
}


def lines(facts: SymversFacts, style: Style) -> Iterator[str]:
    """The exports by module, type and namespace, and the format of the file."""
    yield f"{style.bold(escaped(facts.path))}: Module.symvers, {exact(facts.size)}"
    yield ""
    modules = facts.exports - facts.kernel_exports
    rows = [("exports", f"{facts.exports:,}", "")]
    if facts.broken_lines:
        rows.append(("", f"{facts.broken_lines:,}", "more that cannot be read"))
    rows += [
        ("of", f"{facts.kernel_exports:,}", "vmlinux"),
        ("", f"{modules:,}", counted(facts.modules, "module")),
        *_listed("type", facts.types, len(facts.types)),
        *_listed("namespace", facts.namespaces, TOP),
    ]
    yield from columns(style, rows, "<><")
    yield ""
    versions = f"{facts.versions:,} CRCs" if facts.versions else "none (all CRCs are zero: no MODVERSIONS)"
    yield from columns(style, [("versions", versions), ("columns", _LAYOUTS[facts.layout])], "<<")


def _listed(title: str, counts: tuple[tuple[str, int], ...], most: int) -> Iterator[tuple[str, str, str]]:
    """The first `most` names with their counts, and the sum of the others."""
    for index, (name, count) in enumerate(counts[:most]):
        yield title if not index else "", f"{count:,}", escaped(name)
    if len(counts) > most:
        more = sum(count for _, count in counts[most:])
        yield "", f"{more:,}", f"in {len(counts) - most:,} more"


def document(facts: SymversFacts) -> Document:
    """`symvers` in docs/report.schema.json."""
    counts = {"types": dict(facts.types), "namespaces": dict(facts.namespaces)}
    return {"kind": "symvers", **facts._asdict(), "layout": facts.layout.value, **counts}
