"""Checks of the structure block of a device tree. Reading stops at the first unknown token."""

from collections.abc import Iterator

from kinspect.artifacts.dtb.blob import Dtb, DtbKind
from kinspect.artifacts.dtb.structure import StructureRule
from kinspect.checks.check import Evidence, Severity, check

DEEPEST = 63
"""Levels that a kernel reads, including the root: FDT_MAX_DEPTH - 1."""


def _flaws(dtb: Dtb, rule: StructureRule) -> Iterator[Evidence]:
    """The places where a rule is broken, and the number of further ones."""
    found = [flaw for flaw in dtb.structure.flaws if flaw.rule == rule]
    for flaw in found:
        yield Evidence(flaw.message, (dtb.at("", flaw.offset),), flaw.expected, flaw.actual)
    more = dtb.structure.counts.get(rule, 0) - len(found)
    if more > 0:
        yield Evidence(f"and {more:,} more such places", (dtb.at(),))


@check(Severity.ERROR)
def dtb_tokens_are_known(dtb: Dtb) -> Iterator[Evidence]:
    """The structure block consists of FDT_BEGIN_NODE, FDT_END_NODE, FDT_PROP, FDT_NOP and FDT_END tokens.

    Nothing after an unknown token can be read: the devices described there are missing, or readers refuse the tree. The
    file is corrupt; compile it again. kinspect reads at most 524,288 tokens, more than a kernel could use.
    Source: Devicetree Specification v0.4, 5.4.1 "Lexical structure".
    """
    yield from _flaws(dtb, StructureRule.TOKENS)


@check(Severity.ERROR)
def dtb_nodes_nest(dtb: Dtb) -> Iterator[Evidence]:
    """The structure block is one root node that contains all other nodes, each of them closed, followed by FDT_END.

    Readers stop at the error: devices that are described after it are missing, or the kernel does not boot. The file is
    corrupt; compile it again.
    Source: Devicetree Specification v0.4, 5.4.2 "Tree structure".
    """
    yield from _flaws(dtb, StructureRule.NESTING)


@check(Severity.ERROR)
def dtb_nesting_fits_the_kernel(dtb: Dtb) -> Iterator[Evidence]:
    """Nodes are at most 63 levels deep, including the root.

    The kernel warns about deeper nodes and ignores them: their devices are missing. Flatten the tree.
    Source: drivers/of/fdt.c, FDT_MAX_DEPTH in unflatten_dt_nodes().
    """
    deepest = max(dtb.nodes, key=lambda node: node.depth, default=None)
    if deepest and deepest.depth >= DEEPEST and dtb.form != DtbKind.FIT:
        at = (dtb.place(deepest),)
        yield Evidence("the node is nested too deeply", at, f"at most {DEEPEST} levels", deepest.depth + 1)


@check(Severity.ERROR)
def dtb_values_lie_inside(dtb: Dtb) -> Iterator[Evidence]:
    """Names of nodes and values of properties end inside the structure block.

    Otherwise the length of a property reaches past the end, or a name has no NUL: readers refuse the tree, or read
    memory outside of it. The file is corrupt or truncated; compile it again.
    Source: Devicetree Specification v0.4, 5.4.1 "Lexical structure".
    """
    yield from _flaws(dtb, StructureRule.LENGTHS)


@check(Severity.ERROR)
def dtb_property_names_lie_inside(dtb: Dtb) -> Iterator[Evidence]:
    """The name of every property begins and ends in the strings block.

    Otherwise readers do not find the property, and the driver works without it or not at all. The file is corrupt;
    compile it again. A name of more than 255 bytes is treated as unterminated.
    Source: Devicetree Specification v0.4, 5.5 "Strings Block".
    """
    yield from _flaws(dtb, StructureRule.STRINGS)


@check(Severity.ERROR)
def dtb_properties_precede_nodes(dtb: Dtb) -> Iterator[Evidence]:
    """The properties of a node come before its subnodes.

    Readers stop looking for properties at the first subnode and miss those after it. dtc always writes properties
    first; correct the tool that wrote the tree.
    Source: Devicetree Specification v0.4, 5.4.2 "Tree structure".
    """
    yield from _flaws(dtb, StructureRule.ORDER)


@check(Severity.INFO)
def dtb_padding_is_zero(dtb: Dtb) -> Iterator[Evidence]:
    """The padding after names and values is zero.

    No reader looks at it. fdtoverlay and fdtput leave parts of an old value there when the new one is shorter. This
    does no harm, but two builds of the same tree may differ.
    Source: Devicetree Specification v0.4, 5.4.1 "Lexical structure".
    """
    first = next((flaw for flaw in dtb.structure.flaws if flaw.rule == StructureRule.PADDING), None)
    if first:
        count = dtb.structure.counts[StructureRule.PADDING]
        message = f"padding is not zero in {count:,} place{'s' if count > 1 else ''}"
        yield Evidence(message, (dtb.at("", first.offset),), first.expected, first.actual)


@check(Severity.ERROR)
def dtb_structure_ends_with_its_block(dtb: Dtb) -> Iterator[Evidence]:
    """The structure block ends with FDT_END, at size_dt_struct.

    Readers that use the size, and tools that insert nodes (U-Boot adds /chosen), otherwise take what follows FDT_END
    for part of the tree, or miss the end of the tree. The header was damaged or the file edited; compile the tree
    again.
    Source: Devicetree Specification v0.4, 5.4.1 "Lexical structure".
    """
    yield from _flaws(dtb, StructureRule.END)
