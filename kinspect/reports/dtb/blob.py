"""Device trees as text."""

from collections.abc import Iterator

from kinspect.artifacts.dtb.blob import DtbFacts
from kinspect.inspection.dtb import DtbTreeFacts
from kinspect.reports.terminal import Style, columns, counted, escaped, exact, human, titled
from kinspect.views.dtb.dts import node_lines, source_lines

MOST = 8
"""Compatible strings and reserved regions that are listed."""


def dtb_lines(facts: DtbFacts, paint: Style) -> Iterator[str]:
    """What it is for, what it says of the machine, and its blocks."""
    from kinspect.views.filetype.line import description

    header = facts.header
    yield f"{paint.bold(escaped(facts.path))}: {facts.form}, {exact(facts.size)}"
    yield ""
    about = [("model", escaped(facts.model))] if facts.model is not None else []
    about += _listed("compatible", [escaped(text) for text in facts.compatible])
    levels = f", {counted(facts.levels, 'level')} deep" if facts.levels else ""
    about += [
        ("nodes", f"{facts.nodes:,}{levels}, {facts.phandles:,} with a phandle"),
        ("properties", f"{facts.properties:,}"),
        ("boot CPU", f"{header.boot_cpuid_phys:#x}"),
        ("version", f"{header.version}, for readers of version {header.last_comp_version} and later"),
    ]
    regions = [f"{one.address:#x} to {one.end - 1:#x}, {human(one.size)}" for one in facts.reservations]
    about += _listed("reserved", regions)
    # To file(1) "-" is the standard input.
    path = "./-" if facts.path == "-" else facts.path
    about.append(("file(1)", escaped(description(path, follow=True))))
    yield from columns(about, "<<")
    yield ""
    rows = [(block.name, f"{block.offset:#x}", exact(block.size)) for block in facts.blocks]
    rows.append(("totalsize", "", exact(header.totalsize)))
    yield from titled(paint, ("block", "offset", "size"), rows, "<><")


def _listed(name: str, texts: list[str]) -> list[tuple[str, str]]:
    """Rows for the first of several texts."""
    more = [f"and {len(texts) - MOST:,} more"] if len(texts) > MOST else []
    return [(name if index == 0 else "", text) for index, text in enumerate(texts[:MOST] + more)]


def tree_lines(facts: DtbTreeFacts, paint: Style) -> Iterator[str]:
    """The tree as source, or the part of it that was asked for."""
    lines = node_lines(facts.nodes) if facts.node is not None else source_lines(facts.reservations, facts.nodes)
    # Tabs are the source's own.
    for line in lines:
        yield "\t".join(map(escaped, line.split("\t")))
