"""What must hold in the structure block of a device tree. Reading ends where a token cannot be told from data."""

from collections.abc import Iterator

from kinspect.artifacts.dtb.blob import Dtb, DtbKind
from kinspect.artifacts.dtb.structure import StructureRule
from kinspect.checks.check import Evidence, Severity, check

DEEPEST = 63
"""Levels that a kernel takes, the root counted: FDT_MAX_DEPTH - 1."""


def _flaws(dtb: Dtb, rule: StructureRule) -> Iterator[Evidence]:
    """Where a rule is broken, and how often more."""
    found = [flaw for flaw in dtb.structure.flaws if flaw.rule == rule]
    for flaw in found:
        yield Evidence(flaw.message, (dtb.at("", flaw.offset),), flaw.expected, flaw.actual)
    more = dtb.structure.counts.get(rule, 0) - len(found)
    if more > 0:
        yield Evidence(f"and {more:,} more such places", (dtb.at(),))


@check(Severity.ERROR)
def dtb_tokens_are_known(dtb: Dtb) -> Iterator[Evidence]:
    """The structure is made of the five tokens FDT_BEGIN_NODE, FDT_END_NODE, FDT_PROP, FDT_NOP and FDT_END.

    What comes after another one cannot be read. More than 524,288 tokens, which a kernel could not take, are not read.
    Source: Devicetree Specification v0.4, 5.4.1 "Lexical structure".
    """
    yield from _flaws(dtb, StructureRule.TOKENS)


@check(Severity.ERROR)
def dtb_nodes_nest(dtb: Dtb) -> Iterator[Evidence]:
    """The structure is one root node with all others in it, each of which ends, and then FDT_END.

    Source: Devicetree Specification v0.4, 5.4.2 "Tree structure".
    """
    yield from _flaws(dtb, StructureRule.NESTING)


@check(Severity.ERROR)
def dtb_nesting_fits_the_kernel(dtb: Dtb) -> Iterator[Evidence]:
    """Nodes are at most 63 levels deep, the root counted.

    The kernel warns of deeper ones and leaves them out.
    Source: drivers/of/fdt.c, FDT_MAX_DEPTH in unflatten_dt_nodes().
    """
    deepest = max(dtb.nodes, key=lambda node: node.depth, default=None)
    if deepest and deepest.depth >= DEEPEST and dtb.form != DtbKind.FIT:
        at = (dtb.place(deepest),)
        yield Evidence("a node is nested too deeply", at, f"at most {DEEPEST} levels", deepest.depth + 1)


@check(Severity.ERROR)
def dtb_values_lie_inside(dtb: Dtb) -> Iterator[Evidence]:
    """Names of nodes and values of properties end inside the structure block.

    Source: Devicetree Specification v0.4, 5.4.1 "Lexical structure".
    """
    yield from _flaws(dtb, StructureRule.LENGTHS)


@check(Severity.ERROR)
def dtb_property_names_lie_inside(dtb: Dtb) -> Iterator[Evidence]:
    """The name of every property is in the strings block, and ends there.

    One of more than 255 bytes is taken for one that does not end.
    Source: Devicetree Specification v0.4, 5.5 "Strings Block".
    """
    yield from _flaws(dtb, StructureRule.STRINGS)


@check(Severity.ERROR)
def dtb_properties_precede_nodes(dtb: Dtb) -> Iterator[Evidence]:
    """The properties of a node come before the nodes in it.

    Readers stop looking for properties at the first node.
    Source: Devicetree Specification v0.4, 5.4.2 "Tree structure".
    """
    yield from _flaws(dtb, StructureRule.ORDER)


@check(Severity.INFO)
def dtb_padding_is_zero(dtb: Dtb) -> Iterator[Evidence]:
    """What fills up names and values to a multiple of 4 is zero.

    No reader looks at it. Where fdtoverlay or fdtput has put a shorter value, remains of the one before are left.
    Source: Devicetree Specification v0.4, 5.4.1 "Lexical structure".
    """
    first = next((flaw for flaw in dtb.structure.flaws if flaw.rule == StructureRule.PADDING), None)
    if first:
        count = dtb.structure.counts[StructureRule.PADDING]
        message = f"padding is not zero in {count:,} place{'s' if count > 1 else ''}"
        yield Evidence(message, (dtb.at("", first.offset),), first.expected, first.actual)


@check(Severity.ERROR)
def dtb_structure_ends_with_its_block(dtb: Dtb) -> Iterator[Evidence]:
    """FDT_END is the last token of the block whose size is size_dt_struct.

    Source: Devicetree Specification v0.4, 5.4.1 "Lexical structure".
    """
    yield from _flaws(dtb, StructureRule.END)
