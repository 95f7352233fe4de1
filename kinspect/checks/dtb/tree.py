"""What must hold among the nodes and properties of a device tree, whatever hardware it tells of."""

import re
from collections.abc import Callable, Iterator

from kinspect.artifacts.dtb.blob import LONGEST_SHOWN, Dtb, DtbKind
from kinspect.artifacts.dtb.structure import Node
from kinspect.checks.check import Evidence, Severity, capped, check
from kinspect.views.dtb.references import broken_references, phandles

LONGEST_NAME = 31
_NODE_NAME = re.compile(r"[A-Za-z0-9,._+-]+(@[A-Za-z0-9,._+-]+)?")
_PROPERTY_NAME = re.compile(r"[A-Za-z0-9,._+?#*-]+")
_ROOT = ("model", "compatible", "#address-cells", "#size-cells")


@check(Severity.ERROR)
def dtb_node_names_are_valid(dtb: Dtb) -> Iterator[Evidence]:
    """A node's name is made of letters, digits and `,._+-`, with at most one `@` and something on both sides of it.

    The root has no name.
    Source: Devicetree Specification v0.4, 2.2.1 "Node Names".
    """

    def found() -> Iterator[Evidence]:
        for node in dtb.nodes:
            if node.parent < 0 and node.name:
                yield Evidence("the root has a name", (dtb.place(node),), "none", node.name[:LONGEST_NAME])
            elif node.parent >= 0 and not _NODE_NAME.fullmatch(node.name):
                yield Evidence("not the name of a node", (dtb.place(node),))

    yield from capped(found(), "nodes", dtb.at())


@check(Severity.ERROR)
def dtb_property_names_are_valid(dtb: Dtb) -> Iterator[Evidence]:
    """A property's name is made of letters, digits and `,._+?#-`.

    dtc takes `*` too.
    Source: Devicetree Specification v0.4, 2.2.4.1 "Property Names".
    """

    def found() -> Iterator[Evidence]:
        valid: set[str] = set()
        for node in dtb.nodes:
            for name in {one.name for one in node.properties} - valid:
                # One that is not in the strings block, which is in angle brackets, is told of elsewhere.
                if _PROPERTY_NAME.fullmatch(name) or name.startswith("<"):
                    valid.add(name)
                else:
                    yield Evidence("not the name of a property", (dtb.place(node, name),))

    yield from capped(found(), "properties", dtb.at())


@check(Severity.INFO)
def dtb_names_are_short(dtb: Dtb) -> Iterator[Evidence]:
    """Names have at most 31 characters, the unit address of a node not counted.

    Longer ones are common, and nothing that reads a flattened tree minds.
    Source: Devicetree Specification v0.4, 2.2.1 "Node Names" and 2.2.4.1 "Property Names".
    """
    nodes = {node.name.partition("@")[0]: (node, "") for node in dtb.nodes}
    properties = {one.name: (node, one.name) for node in dtb.nodes for one in node.properties}
    for noun, names in (("node", nodes), ("property", properties)):
        long = [name for name in names if len(name) > LONGEST_NAME]
        if long:
            what = f"the name of a {noun} is" if len(long) == 1 else f"{len(long):,} names of a {noun} are"
            at = (dtb.place(*names[long[0]]),)
            yield Evidence(f"{what} long", at, f"at most {LONGEST_NAME} characters", len(long[0]))


@check(Severity.ERROR)
def dtb_names_are_unique(dtb: Dtb) -> Iterator[Evidence]:
    """No two nodes of a parent, and no two properties of a node, have one name.

    Readers find the first and miss the other.
    Source: Devicetree Specification v0.4, 2.2.1 "Node Names"; dtc, duplicate_node_names and duplicate_property_names.
    """

    def found() -> Iterator[Evidence]:
        seen: set[tuple[int, str]] = set()
        for node in dtb.nodes:
            if (node.parent, node.name) in seen:
                yield Evidence("a second node of this name", (dtb.place(node),))
            seen.add((node.parent, node.name))
            names: set[str] = set()
            for one in node.properties:
                if one.name in names:
                    yield Evidence(
                        "a second property of this name", (dtb.place(node)._replace(offset=one.offset),), None, one.name
                    )
                names.add(one.name)

    yield from capped(found(), "names", dtb.at())


@check(Severity.WARNING)
def dtb_root_says_what_it_is(dtb: Dtb) -> Iterator[Evidence]:
    """The root has `model`, `compatible`, `#address-cells` and `#size-cells`.

    The kernel prints the first, and tells machines apart by the second. Overlays and FIT images need none of them.
    Source: Devicetree Specification v0.4, 3.2 "Root node".
    """
    if dtb.nodes and dtb.form == DtbKind.TREE:
        missing = [name for name in _ROOT if not dtb.nodes[0].property(name)]
        if missing:
            yield Evidence("the root lacks properties", (dtb.place(dtb.nodes[0]),), actual=", ".join(missing))


@check(Severity.INFO)
def dtb_boot_cpu_is_there(dtb: Dtb) -> Iterator[Evidence]:
    """boot_cpuid_phys in the header is the `reg` of a node in /cpus.

    An arm64 kernel takes the processor that it runs on for the first, and does not read the field.
    Source: Devicetree Specification v0.4, 5.2 "Header".
    """
    cpus = [node for node in dtb.nodes if node.depth == 2 and node.name.startswith("cpu@")]
    regs = [node.property("reg") for node in cpus]
    if cpus and dtb.header.boot_cpuid_phys not in {reg.cells[-1] for reg in regs if reg and reg.cells}:
        at = (dtb.field("boot_cpuid_phys"),)
        yield Evidence("no processor has this number", at, actual=dtb.header.boot_cpuid_phys)


def _each_phandle(dtb: Dtb, told: Callable[[Node, tuple[int, ...]], Evidence | None]) -> Iterator[Evidence]:
    for node in dtb.nodes:
        found = node.property("phandle")
        if found and (evidence := told(node, found.cells)):
            yield evidence


@check(Severity.ERROR)
def dtb_phandles_are_numbers(dtb: Dtb) -> Iterator[Evidence]:
    """A phandle is one number of 32 bits that is neither 0 nor 0xffffffff.

    Source: Devicetree Specification v0.4, 2.3.3 "phandle"; dtc, explicit_phandles.
    """

    def told(node: Node, cells: tuple[int, ...]) -> Evidence | None:
        if len(cells) == 1 and 0 < cells[0] < 0xFFFFFFFF:
            return None
        actual = f"{cells[0]:#x}" if len(cells) == 1 else "another size"
        return Evidence("not a phandle", (dtb.place(node, "phandle"),), "1 to 0xfffffffe", actual)

    yield from capped(_each_phandle(dtb, told), "nodes", dtb.at())


@check(Severity.ERROR)
def dtb_phandles_are_unique(dtb: Dtb) -> Iterator[Evidence]:
    """No two nodes have one phandle.

    What refers to it gets one of them, and nobody says which.
    Source: Devicetree Specification v0.4, 2.3.3 "phandle".
    """
    owners = phandles(dtb)

    def told(node: Node, cells: tuple[int, ...]) -> Evidence | None:
        first = owners.get(cells[0]) if len(cells) == 1 else None
        if first is None or first.node is node:
            return None
        at = (dtb.place(node, "phandle"), dtb.place(first.node, "phandle"))
        return Evidence("two nodes have one phandle", at, actual=f"{cells[0]:#x}")

    yield from capped(_each_phandle(dtb, told), "nodes", dtb.at())


@check(Severity.WARNING)
def dtb_references_lead_to_nodes(dtb: Dtb) -> Iterator[Evidence]:
    """`interrupt-parent`, `clocks`, `resets`, `...-gpios` and the like name nodes that are there and that offer such.

    Each phandle in them must be a node's, and the node must say with `#clock-cells` and its like how many numbers
    follow. The driver whose node has the reference does not get what it asks for. In overlays, where most references
    are not settled yet, they are not judged.
    Source: dtc, checks.c, clocks_property and its like; Devicetree Specification v0.4, 2.4 "Interrupts".
    """
    if dtb.form == DtbKind.TREE:
        found = (
            Evidence(broken.message, (dtb.place(broken.node, broken.property),), broken.expected, broken.actual)
            for broken in broken_references(dtb)
        )
        yield from capped(found, "references", dtb.at())


@check(Severity.WARNING)
def dtb_aliases_lead_to_nodes(dtb: Dtb) -> Iterator[Evidence]:
    """Every property of /aliases is the path of a node.

    Source: Devicetree Specification v0.4, 3.3 "/aliases node".
    """

    def leads(texts: tuple[str, ...]) -> bool:
        return len(texts) == 1 and texts[0].startswith("/") and dtb.number_of(texts[0]) is not None

    def found() -> Iterator[Evidence]:
        for node in dtb.nodes:
            if node.depth == 1 and node.name == "aliases" and dtb.form == DtbKind.TREE:
                for one in node.properties:
                    if one.name != "phandle" and not leads(one.texts):
                        shown = one.texts[0][:LONGEST_SHOWN] if one.texts else "no text"
                        yield Evidence("an alias of no node", (dtb.place(node, one.name),), "a node's path", shown)

    yield from capped(found(), "aliases", dtb.at())
