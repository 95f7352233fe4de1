"""Sizes in groups as text: a table, with bars on a terminal, and the sums."""

from collections.abc import Iterator, Sequence

from kinspect.inspection.size import GroupedSizes
from kinspect.reports.terminal import Style, counted, escaped, human, titled
from kinspect.views.size.node import SizeNode

TOP = 20
"""Groups that are shown, unless others are asked for; of inner groups a quarter."""
_BAR = 24
_EIGHTHS = " ▏▎▍▌▋▊▉█"

Row = tuple[str, ...]


def size_tree_lines(facts: GroupedSizes, paint: Style, top: int | None = None) -> Iterator[str]:
    """The groups, the largest first; of two builds those that grew most."""
    yield headline(facts, paint)
    yield ""
    if facts.against is None:
        yield from _one(facts, paint, top)
    else:
        yield from _two(facts, paint, top)
    if facts.unattributed:
        share = 100 * facts.unattributed / max(1, facts.root.memory)
        yield ""
        yield f"  unattributed: {facts.unattributed:,} bytes ({share:.1f} %)"


def headline(facts: GroupedSizes, paint: Style) -> str:
    """What is shown."""
    what = f"by {', '.join(facts.by)}" + (f", in {escaped(facts.section)}" if facts.section else "")
    if facts.against is None:
        return f"{paint.bold(escaped(facts.vmlinux))}: where the bytes go, {what}"
    return f"{paint.bold(escaped(facts.vmlinux))} against {paint.bold(escaped(facts.against))}: what grew, {what}"


def growth(node: SizeNode) -> int:
    """By how many bytes of memory a group grew."""
    return node.memory - node.memory_before


def shown(node: SizeNode, top: int, facts: GroupedSizes) -> tuple[list[SizeNode], SizeNode | None]:
    """The groups in a group that are shown, and all others as one. Those of two builds by growth, if they changed."""
    children = list(node.children)
    if facts.domain == "file":
        children.sort(key=lambda child: (-child.file, -child.memory, child.name))
    if facts.against is not None:
        children = [child for child in children if growth(child) or child.file != child.file_before]
        children.sort(key=lambda child: (-abs(growth(child)), -abs(child.file - child.file_before), child.name))
    rest = children[top:] if len(children) > top + 1 else []
    if not rest:
        return children, None
    file, memory, file_before, memory_before = (
        sum(column) for column in zip(*(child[1:5] for child in rest), strict=True)
    )
    return children[:top], SizeNode(counted(len(rest), "other"), file, memory, file_before, memory_before)


def _rows(
    node: SizeNode, top: int, facts: GroupedSizes, inner: int, depth: int = 0
) -> Iterator[tuple[int, SizeNode, bool]]:
    """Depth, group and whether it stands for others."""
    some, others = shown(node, top, facts)
    for child in some:
        yield depth, child, False
        yield from _rows(child, inner, facts, inner, depth + 1)
    if others:
        yield depth, others, True


def _listed(facts: GroupedSizes, paint: Style, top: int | None) -> Iterator[tuple[str, SizeNode]]:
    first, inner = (TOP, TOP // 4) if top is None else (top, top)
    most = len(facts.root.children) + 1
    for depth, node, others in _rows(facts.root, first or most, facts, inner or 1 << 30):
        name = escaped(node.name)
        yield "  " * depth + (paint.dim(name) if others or name.startswith("[") else name), node


def _one(facts: GroupedSizes, paint: Style, top: int | None) -> Iterator[str]:
    file = facts.domain == "file"
    whole = max(1, facts.root.file if file else facts.root.memory)
    rows: list[Row] = []
    for name, node in _listed(facts, paint, top):
        part = node.file if file else node.memory
        rows.append((name, *_sizes(facts, node), f"{100 * part / whole:.1f} %", _bar(part, facts, file, paint)))
    rows.append(("total", *_sizes(facts, facts.root), "100.0 %", ""))
    heads = ("in vmlinux",) if facts.domain == "vmlinux" else ("in file", "in memory")
    yield from titled(paint, (facts.by[0], *heads, "", ""), rows, "<" + ">" * len(heads) + "><")


def _sizes(facts: GroupedSizes, node: SizeNode) -> Sequence[str]:
    if facts.domain == "vmlinux":
        return (human(node.file),)
    return human(node.file) if node.file else "-", human(node.memory) if node.memory else "-"


def _bar(part: int, facts: GroupedSizes, file: bool, paint: Style) -> str:
    """A bar as long as the share of the largest group asks for; on a terminal only."""
    largest = max((child.file if file else child.memory for child in facts.root.children), default=0)
    if not paint.on or not largest:
        return ""
    eighths = round(8 * _BAR * part / largest)
    return ("█" * (eighths // 8) + _EIGHTHS[eighths % 8]).rstrip()


def _two(facts: GroupedSizes, paint: Style, top: int | None) -> Iterator[str]:
    rows: list[Row] = []
    for name, node in _listed(facts, paint, top):
        rows.append((name, *_changes(node, paint)))
    rows.append(("total", *_changes(facts.root, paint)))
    yield from titled(paint, (facts.by[0], "old", "new", "in memory", "in file", ""), rows, "<>>>><")


def _changes(node: SizeNode, paint: Style) -> Row:
    grown, file = growth(node), node.file - node.file_before
    colour = paint.bad if grown > 0 else paint.good if grown < 0 else paint.dim
    return (
        human(node.memory_before) if node.memory_before else "-",
        human(node.memory) if node.memory else "-",
        colour(signed(grown)),
        signed(file),
        fate(node),
    )


def signed(size: int) -> str:
    """A change of a size: `+1.5 KiB`, `-12 B`, `0`."""
    return f"{'+' if size > 0 else '-'}{human(abs(size))}" if size else "0"


def fate(node: SizeNode) -> str:
    """What became of a group: new, gone, or by how much of a hundred it changed."""
    if not node.memory_before:
        return "new" if node.memory else ""
    return f"{100 * growth(node) / node.memory_before:+.1f} %" if node.memory else "gone"
