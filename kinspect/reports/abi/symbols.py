"""Why one export changed, as text and as JSON."""

from collections.abc import Iterator

from kinspect.reports.abi.members import detail_lines, type_document
from kinspect.reports.terminal import Style, counted, escaped
from kinspect.reports.values import Document
from kinspect.views.abi.symbols import ExportCauses

TOP, MEMBERS = 10, 30
"""Types that are listed, and members of each."""


def lines(facts: ExportCauses, style: Style, most: int = TOP) -> Iterator[str]:
    """Its prototypes, and each type behind the change."""
    verdict = style.bad("changed") if facts.changed else style.good("same")
    yield f"{style.bold(escaped(facts.export))}: {verdict}"
    if facts.reason:
        yield f"  not known why: {facts.reason}"
    if facts.old_prototype == facts.new_prototype:
        if facts.old_prototype:
            yield f"  {escaped(facts.old_prototype)}"
    else:
        yield f"  {style.bad('-')} {escaped(facts.old_prototype)}"
        yield f"  {style.good('+')} {escaped(facts.new_prototype)}"
    if not facts.changed and facts.types:
        yield f"  uses {counted(len(facts.types), 'type')} that changed, and has the same CRC"
    for found in facts.types[:most]:
        yield ""
        yield from detail_lines(found, style, MEMBERS)
    if len(facts.types) > most:
        yield ""
        yield style.dim(f"  and {len(facts.types) - most:,} more types (--all lists them)")


def document(facts: ExportCauses) -> Document:
    """`export_causes` in docs/report.schema.json."""
    return {"kind": "export_causes", **facts._asdict(), "types": [type_document(found) for found in facts.types]}
