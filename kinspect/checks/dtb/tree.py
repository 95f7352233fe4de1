"""Checks of the nodes and properties of a device tree that apply to any hardware."""

import re
from collections.abc import Callable, Iterator
from functools import partial
from typing import TypeAlias

from kinspect.artifacts.dtb.blob import LONGEST_SHOWN, Dtb, DtbKind
from kinspect.artifacts.dtb.structure import Node, Property
from kinspect.checks.check import Evidence, Severity, capped, check
from kinspect.views.dtb.references import broken_references, phandles, with_phandles

LONGEST_NAME = 31
_NODE_NAME = re.compile(r"[A-Za-z0-9,._+-]+(@[A-Za-z0-9,._+-]+)?")
_NAMELESS = re.compile(r"@[A-Za-z0-9,._+-]+")
_PROPERTY_NAME = re.compile(r"[A-Za-z0-9,._+?#*-]+")
_ROOT = ("model", "compatible", "#address-cells", "#size-cells")

Later: TypeAlias = Iterator[Callable[[], Evidence]]
"""Evidence that is made when it is shown: a hostile tree has hundreds of thousands of faults, each with a long path."""


def _at(
    dtb: Dtb, node: Node, name: str, message: str, expected: str | None = None, actual: str | None = None
) -> Evidence:
    """Evidence at a node, or at one of its properties."""
    return Evidence(message, (dtb.place(node, name),), expected, actual)


@check(Severity.ERROR)
def dtb_node_names_are_valid(dtb: Dtb) -> Iterator[Evidence]:
    """Node names are letters, digits and `,._+-`, then optionally one `@` and a unit address; the root has no name.

    dtc refuses other names, and readers may not find the node by its path. Rename the node in the source. A name that
    starts with `@` is another check's warning.
    Source: Devicetree Specification v0.4, 2.2.1 "Node Names".
    """

    def found() -> Later:
        for node in dtb.nodes:
            if node.parent < 0 and node.name:
                yield partial(_at, dtb, node, "", f"the root has the name {node.name[:LONGEST_NAME]}")
            elif node.parent >= 0 and not _NODE_NAME.fullmatch(node.name) and not _NAMELESS.fullmatch(node.name):
                yield partial(_at, dtb, node, "", "invalid node name")

    yield from capped(found(), "nodes", dtb.at())


@check(Severity.WARNING)
def dtb_nodes_have_more_than_an_address(dtb: Dtb) -> Iterator[Evidence]:
    """A node has a name in front of its unit address.

    dtc accepts a node `@1000`, but drivers are not found by such a name, and dtc warns of a unit address without `reg`.
    Name the node in the source. Templates of U-Boot's binman (`@fdt-SEQ` below /binman) are not reported: binman makes
    nodes of them, and nothing else reads them.
    Source: Devicetree Specification v0.4, 2.2.1 "Node Names"; U-Boot, tools/binman/binman.rst, "Generating nodes".
    """

    def found() -> Later:
        template = False
        for node in dtb.nodes:
            if node.depth == 1:
                template = node.name == "binman"
            if node.parent >= 0 and not template and _NAMELESS.fullmatch(node.name):
                yield partial(_at, dtb, node, "", "the node has no name, only a unit address")

    yield from capped(found(), "nodes", dtb.at())


@check(Severity.ERROR)
def dtb_property_names_are_valid(dtb: Dtb) -> Iterator[Evidence]:
    """Property names consist of letters, digits and `,._+?#-`.

    dtc does not accept other names, so the tree cannot be written as source. The file is corrupt, or the tool that
    wrote it has a bug. dtc also accepts `*`, and so does this check.
    Source: Devicetree Specification v0.4, 2.2.4.1 "Property Names".
    """

    def found() -> Later:
        # Another check reports a name outside the strings block, which is in angle brackets here.
        invalid = {name for name in dtb.property_names if not (_PROPERTY_NAME.fullmatch(name) or name.startswith("<"))}
        for node in dtb.nodes if invalid else ():
            for name in {one.name for one in node.properties} & invalid:
                yield partial(_at, dtb, node, name, "invalid property name")

    yield from capped(found(), "properties", dtb.at())


@check(Severity.INFO)
def dtb_names_are_short(dtb: Dtb) -> Iterator[Evidence]:
    """Names have at most 31 characters, not counting the unit address of a node.

    Longer names are common, and every reader of flattened trees accepts them; only Open Firmware may not. There is
    nothing to fix.
    Source: Devicetree Specification v0.4, 2.2.1 "Node Names" and 2.2.4.1 "Property Names".
    """
    nodes = {node.name.partition("@")[0]: (node, "") for node in dtb.nodes}
    long_ones = {name for name in dtb.property_names if len(name) > LONGEST_NAME}
    properties = {
        one.name: (node, one.name)
        for node in (dtb.nodes if long_ones else ())
        for one in node.properties
        if one.name in long_ones
    }
    for noun, names in (("node", nodes), ("property", properties)):
        long = [name for name in names if len(name) > LONGEST_NAME]
        if long:
            subject = f"1 {noun} name is" if len(long) == 1 else f"{len(long):,} {noun} names are"
            at = (dtb.place(*names[long[0]]),)
            longest = max(map(len, long))
            yield Evidence(f"{subject} longer than {LONGEST_NAME} characters, up to {longest}", at)


@check(Severity.ERROR)
def dtb_names_are_unique(dtb: Dtb) -> Iterator[Evidence]:
    """No two nodes with the same parent, and no two properties of a node, have the same name.

    Readers find the first and ignore the second: a device or a setting is lost. Rename or merge them in the source.
    Source: Devicetree Specification v0.4, 2.2.1 "Node Names"; dtc, duplicate_node_names and duplicate_property_names.
    """

    def second(node: Node, one: Property) -> Evidence:
        return Evidence(f"second property {one.name}", (dtb.place(node)._replace(offset=one.offset),))

    def found() -> Later:
        seen: set[tuple[int, str]] = set()
        for node in dtb.nodes:
            if (node.parent, node.name) in seen:
                yield partial(_at, dtb, node, "", "second node with this name")
            seen.add((node.parent, node.name))
            if len({one.name for one in node.properties}) == len(node.properties):
                continue
            names: set[str] = set()
            for one in node.properties:
                if one.name in names:
                    yield partial(second, node, one)
                names.add(one.name)

    yield from capped(found(), "names", dtb.at())


@check(Severity.WARNING)
def dtb_root_says_what_it_is(dtb: Dtb) -> Iterator[Evidence]:
    """The root node has `model`, `compatible`, `#address-cells` and `#size-cells`.

    The kernel prints `model`, selects code for the machine by `compatible`, and reads addresses by the other two:
    without them it uses defaults, and may misread the memory nodes. Add the properties. Overlays and FIT images need
    none of them.
    Source: Devicetree Specification v0.4, 3.2 "Root node".
    """
    if dtb.nodes and dtb.form == DtbKind.TREE:
        missing = [name for name in _ROOT if not dtb.nodes[0].property(name)]
        if missing:
            yield Evidence(f"the root node lacks {', '.join(missing)}", (dtb.place(dtb.nodes[0]),))


@check(Severity.INFO)
def dtb_boot_cpu_is_there(dtb: Dtb) -> Iterator[Evidence]:
    """boot_cpuid_phys in the header is the `reg` of a node in /cpus.

    An arm64 kernel ignores the field; its boot CPU is the one that it starts on. Other readers may use the field: set
    it with `dtc -b`.
    Source: Devicetree Specification v0.4, 5.2 "Header".
    """
    cpus = [node for node in dtb.nodes if node.depth == 2 and node.name.startswith("cpu@")]
    regs = [node.property("reg") for node in cpus]
    if cpus and dtb.header.boot_cpuid_phys not in {reg.cells[-1] for reg in regs if reg and reg.cells}:
        at = (dtb.field("boot_cpuid_phys"),)
        yield Evidence(f"no CPU has the number {dtb.header.boot_cpuid_phys}", at)


def _each_phandle(dtb: Dtb, evidence: Callable[[Node, tuple[int, ...]], Callable[[], Evidence] | None]) -> Later:
    for node, found in dtb.cached(with_phandles):
        if broken := evidence(node, found.cells):
            yield broken


@check(Severity.ERROR)
def dtb_phandles_are_numbers(dtb: Dtb) -> Iterator[Evidence]:
    """A phandle is a single 32-bit number other than 0 and 0xffffffff.

    Otherwise references to the node cannot be resolved, and drivers that need it fail to probe. dtc assigns valid
    phandles; remove the explicit `phandle` from the source.
    Source: Devicetree Specification v0.4, 2.3.3 "phandle"; dtc, explicit_phandles.
    """

    def evidence(node: Node, cells: tuple[int, ...]) -> Callable[[], Evidence] | None:
        if len(cells) == 1 and 0 < cells[0] < 0xFFFFFFFF:
            return None
        if len(cells) != 1:
            return partial(_at, dtb, node, "phandle", "a phandle is not 4 bytes long")
        return partial(_at, dtb, node, "phandle", "invalid phandle", "1 to 0xfffffffe", f"{cells[0]:#x}")

    yield from capped(_each_phandle(dtb, evidence), "nodes", dtb.at())


@check(Severity.ERROR)
def dtb_phandles_are_unique(dtb: Dtb) -> Iterator[Evidence]:
    """No two nodes have the same phandle.

    A reference may resolve to either of them: a driver may get the wrong clock, interrupt controller or GPIO. Remove
    explicit `phandle` properties from the source, and compile overlays with -@.
    Source: Devicetree Specification v0.4, 2.3.3 "phandle".
    """
    owners = dtb.cached(phandles)

    def two(node: Node, first: Node, phandle: int) -> Evidence:
        at = (dtb.place(node, "phandle"), dtb.place(first, "phandle"))
        return Evidence(f"two nodes have the phandle {phandle:#x}", at)

    def evidence(node: Node, cells: tuple[int, ...]) -> Callable[[], Evidence] | None:
        first = owners.get(cells[0]) if len(cells) == 1 else None
        return None if first is None or first is node else partial(two, node, first, cells[0])

    yield from capped(_each_phandle(dtb, evidence), "nodes", dtb.at())


@check(Severity.WARNING)
def dtb_references_lead_to_nodes(dtb: Dtb) -> Iterator[Evidence]:
    """`interrupt-parent`, `clocks`, `resets`, `...-gpios` and similar properties refer to matching providers.

    Each phandle in them must belong to a node, and that node must have `#clock-cells` or the like, which says how many
    cells follow the phandle. Otherwise the driver does not get its clock, interrupt or GPIO, and fails to probe.
    Correct the reference or the provider in the source. Overlays are not checked: most of their references are resolved
    when they are applied.
    Source: dtc, checks.c, clocks_property and its like; Devicetree Specification v0.4, 2.4 "Interrupts".
    """
    if dtb.form == DtbKind.TREE:
        found = (
            partial(_at, dtb, broken.node, broken.property, broken.message, broken.expected, broken.actual)
            for broken in broken_references(dtb)
        )
        yield from capped(found, "references", dtb.at())


@check(Severity.WARNING)
def dtb_aliases_lead_to_nodes(dtb: Dtb) -> Iterator[Evidence]:
    """Every property of /aliases is the path of a node.

    The kernel ignores an alias that is not, so devices may get other numbers (ttyS1 instead of ttyS0). Correct the
    path, or remove the alias.
    Source: Devicetree Specification v0.4, 3.3 "/aliases node".
    """

    def leads(texts: tuple[str, ...]) -> bool:
        return len(texts) == 1 and texts[0].startswith("/") and dtb.number_of(texts[0]) is not None

    def found() -> Later:
        for node in dtb.nodes:
            if node.depth == 1 and node.name == "aliases" and dtb.form == DtbKind.TREE:
                for one in node.properties:
                    if one.name != "phandle" and not leads(one.texts):
                        shown = one.texts[0][:LONGEST_SHOWN] if one.texts else "no text"
                        yield partial(
                            _at, dtb, node, one.name, "the alias leads to no node", "the path of a node", shown
                        )

    yield from capped(found(), "aliases", dtb.at())
