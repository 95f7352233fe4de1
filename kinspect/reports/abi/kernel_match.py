"""A Module.symvers compared with a kernel, as text and as JSON."""

from collections.abc import Iterator

from kinspect.reports.layout import columns
from kinspect.reports.terminal import Style, counted, escaped
from kinspect.reports.values import Document
from kinspect.views.abi.kernel_match import KernelMatchFacts


def lines(facts: KernelMatchFacts, style: Style) -> Iterator[str]:
    """The tables of exports, and how many exports differ in which way."""
    names = f"{style.bold(escaped(facts.symvers))} and {style.bold(escaped(facts.other))}"
    differences = [(f"{count:,}", difference) for difference, count in facts.differences if count]
    if not differences:
        yield f"{names}: the same exports"
        yield f"  {counted(facts.exports, 'export')}, each with the same CRC, licence and namespace"
    elif facts.one_build:
        yield f"{names}: different exports"
    else:
        yield f"{names}: exports of different builds"
    for name, count in facts.tables:
        yield f"  {count:,} in {name}"
    if differences:
        yield f"  {counted(facts.rows, 'line')} in Module.symvers for them"
        yield ""
        yield from columns(style, differences, "><")


def document(facts: KernelMatchFacts) -> Document:
    """`symvers_and_kernel` in docs/report.schema.json."""
    counts = {"tables": dict(facts.tables), "differences": dict(facts.differences)}
    return {"kind": "symvers and kernel", **facts._asdict(), **counts}
