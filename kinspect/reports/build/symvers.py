"""A Module.symvers, and what it is held against, as text."""

from collections.abc import Iterator

from kinspect.artifacts.build.symvers import Layout, SymversFacts
from kinspect.reports.terminal import Style, columns, counted, escaped, exact
from kinspect.views.abi.kernel_match import KernelMatchFacts

TOP = 8
"""Namespaces that are listed."""
_LAYOUTS = {
    Layout.NAMESPACE_LAST: "CRC, symbol, module, type, namespace (since 5.6)",
    Layout.NAMESPACE_THIRD: "CRC, symbol, namespace, module, type (5.4 and 5.5)",
    Layout.NO_NAMESPACE: "CRC, symbol, module, type (up to 5.3)",
}


def symvers_lines(facts: SymversFacts, paint: Style) -> Iterator[str]:
    """What the file says, in numbers."""
    yield f"{paint.bold(escaped(facts.path))}: Module.symvers, {exact(facts.size)}"
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
    yield from columns(rows, "<><")
    yield ""
    versions = f"{facts.versions:,} CRCs" if facts.versions else "none (all CRCs are zero: no MODVERSIONS)"
    yield from columns([("versions", versions), ("columns", _LAYOUTS[facts.layout])], "<<")


def _listed(title: str, counts: tuple[tuple[str, int], ...], most: int) -> Iterator[tuple[str, str, str]]:
    """The first of some names with their counts, and the sum of the others."""
    for index, (name, count) in enumerate(counts[:most]):
        yield title if not index else "", f"{count:,}", escaped(name)
    if len(counts) > most:
        more = sum(count for _, count in counts[most:])
        yield "", f"{more:,}", f"in {len(counts) - most:,} more"


def against_lines(facts: KernelMatchFacts, paint: Style) -> Iterator[str]:
    """What came of holding Module.symvers against a kernel."""
    names = f"{paint.bold(escaped(facts.symvers))} and {paint.bold(escaped(facts.other))}"
    differences = [(f"{count:,}", what) for what, count in facts.differences if count]
    if not differences:
        yield f"{paint.good('same')}: {names}"
        yield f"  {counted(facts.exports, 'export')}, each with the same CRC, licence and namespace"
    elif facts.one_build:
        yield f"{paint.bad('different')}: {names}"
    else:
        yield f"{paint.bad('not the same build')}: {names}"
    for name, count in facts.tables:
        yield f"  {count:,} in {name}"
    if differences:
        yield f"  {counted(facts.rows, 'line')} in Module.symvers for them"
        yield ""
        yield from columns(differences, "><")
