"""Sizes in groups: as text with bars on a terminal, as a table, as Markdown for a pull request, and as JSON."""

import re
from collections.abc import Iterator, Sequence
from html import escape
from typing import Any

from kinspect.reports.layout import titled
from kinspect.reports.terminal import Style, counted, escaped, human, visible_width
from kinspect.views.size.grouped import TOP, GroupedSizes
from kinspect.views.size.node import SizeNode

_FOLDED = 200
"""Groups that a folded part of the Markdown lists."""
_BAR = 24
"""The longest bar, in characters."""
_EIGHTHS = " ▏▎▍▌▋▊▉█"
_SPECIAL = re.compile(r"([\\`*_{}\[\]<>#|~&])")

Row = tuple[str, ...]


def lines(facts: GroupedSizes, style: Style) -> Iterator[str]:
    """The groups as text, the largest first; of two builds, those that changed the most."""
    yield _headline(facts, style)
    yield ""
    yield from _growth_table(facts, style) if facts.old is not None else _size_table(facts, style)
    if facts.unattributed:
        share = 100 * facts.unattributed / max(1, facts.root.memory)
        yield ""
        yield f"  unattributed: {facts.unattributed:,} bytes ({share:.1f} %)"
    yield from (f"  {escaped(note)}" for note in facts.notes)


def document(facts: GroupedSizes) -> dict[str, Any]:
    """The whole tree: `size_tree` in the schema."""
    return {
        "kind": "size_tree",
        "vmlinux": facts.vmlinux,
        "image": facts.image,
        "against": facts.old,
        "by": list(facts.grouping.by),
        "domain": facts.grouping.domain,
        "section": facts.grouping.section,
        "unattributed": facts.unattributed,
        **({"notes": list(facts.notes)} if facts.notes else {}),
        **_node_document(facts.root, facts.old is not None),
    }


def rows(facts: GroupedSizes) -> Iterator[Sequence[str | int]]:
    """A header, then each innermost group: its path, its bytes, and of two builds its bytes in the old one."""
    heads = ["path", "file", "memory"] + (["file_before", "memory_before"] if facts.old is not None else [])
    yield heads
    for path, node in _leaves(facts.root, ""):
        sizes = node.file, node.memory, node.file_before, node.memory_before
        yield path, *sizes[: len(heads) - 1]


def markdown_lines(facts: GroupedSizes) -> Iterator[str]:
    """A headline and a table, with more of it folded."""
    root, by, top = facts.root, ", ".join(facts.grouping.by), facts.grouping.top
    if facts.old is not None:
        file = root.file - root.file_before
        yield f"### Kernel size: {_signed(_growth(root))} in memory, {_signed(file)} in the Image"
        yield ""
        memory = f"{root.memory_before:,} → {root.memory:,} bytes of memory"
        yield f"{memory}, {root.file_before:,} → {root.file:,} bytes of Image, by {by}."
    else:
        yield f"### Kernel size: {human(root.memory)} in memory, {human(root.file)} in the Image"
        yield ""
        yield f"{root.memory:,} bytes of memory, {root.file:,} bytes of Image, by {by}."
    first, most = top or TOP, _FOLDED if top is None else top
    yield ""
    yield from _markdown_table(facts, root, first)
    outer = [child for child in _listed(root, first, facts)[0] if child.children]
    for child in outer:
        size = human(child.memory) if facts.old is None else _signed(_growth(child))
        name = _unlinked(escape(escaped(child.name), quote=False))
        yield from _folded(f"{name}: {size}", _markdown_table(facts, child, most))
    if not outer and len(root.children) > first + 1:
        yield from _folded("More", _markdown_table(facts, root, most))


def _headline(facts: GroupedSizes, style: Style) -> str:
    section = facts.grouping.section
    by = f"by {', '.join(facts.grouping.by)}" + (f", in {escaped(section)}" if section else "")
    vmlinux = style.bold(escaped(facts.vmlinux))
    if facts.old is None:
        return f"{vmlinux}: where the bytes go, {by}"
    return f"{vmlinux} compared with {style.bold(escaped(facts.old))}: what grew, {by}"


def _growth(node: SizeNode) -> int:
    """The growth of a group, in bytes of memory."""
    return node.memory - node.memory_before


def _listed(node: SizeNode, top: int, facts: GroupedSizes) -> tuple[list[SizeNode], SizeNode | None]:
    """The groups in a group that are listed, and the sum of the others; of two builds only groups that changed."""
    children = list(node.children)
    if facts.others and node is facts.root:
        return children[:-1], children[-1]._replace(name=counted(facts.others, "other"))
    if facts.grouping.domain == "file":
        children.sort(key=lambda child: (-child.file, -child.memory, child.name))
    if facts.old is not None:
        children = [child for child in children if _growth(child) or child.file != child.file_before]
        children.sort(key=lambda child: (-abs(_growth(child)), -abs(child.file - child.file_before), child.name))
    rest = children[top:] if len(children) > top + 1 else []
    if not rest:
        return children, None
    file, memory, file_before, memory_before = (
        sum(column) for column in zip(*(child[1:5] for child in rest), strict=True)
    )
    return children[:top], SizeNode(counted(len(rest), "other"), file, memory, file_before, memory_before)


def _flattened(
    node: SizeNode, top: int, facts: GroupedSizes, inner: int, depth: int = 0
) -> Iterator[tuple[int, SizeNode, bool]]:
    """The listed groups with their depth, and whether each is a sum of others."""
    some, others = _listed(node, top, facts)
    for child in some:
        yield depth, child, False
        yield from _flattened(child, inner, facts, inner, depth + 1)
    if others:
        yield depth, others, True


def _named(facts: GroupedSizes, style: Style) -> Iterator[tuple[str, SizeNode]]:
    """The listed groups with their indented names."""
    top = facts.grouping.top
    first, inner = (TOP, TOP // 4) if top is None else (top, top)
    everything = len(facts.root.children) + 1
    for depth, node, others in _flattened(facts.root, first or everything, facts, inner or 1 << 30):
        name = escaped(node.name)
        yield "  " * depth + (style.dim(name) if others or name.startswith("[") else name), node


def _size_table(facts: GroupedSizes, style: Style) -> Iterator[str]:
    file = facts.grouping.domain == "file"
    whole = max(1, facts.root.file if file else facts.root.memory)
    table: list[Row] = []
    parts: list[int] = []
    for name, node in _named(facts, style):
        part = node.file if file else node.memory
        parts.append(part)
        table.append((name, *_sizes(facts, node), f"{100 * part / whole:.1f} %"))
    table.append(("total", *_sizes(facts, facts.root), "100.0 %"))
    heads = ("in vmlinux",) if facts.grouping.domain == "vmlinux" else ("in file", "in memory")
    head = (facts.grouping.by[0], *heads, "")
    bars = _bars([*parts, 0], _longest_bar([head, *table], style))
    shown = [(*row, bar) for row, bar in zip(table, bars, strict=True)]
    yield from titled(style, (*head, ""), shown, "/" + ">" * len(heads) + ">=", drop=(len(head),))


def _sizes(facts: GroupedSizes, node: SizeNode) -> Sequence[str]:
    if facts.grouping.domain == "vmlinux":
        return (human(node.file),)
    return human(node.file) if node.file else "-", human(node.memory) if node.memory else "-"


def _longest_bar(rows: list[Row], style: Style) -> int:
    """How long a bar may be beside a table: 0 if there is no terminal, at least a third of the usual length on one."""
    if style.width is None or style.ellipsis != "…":
        return 0
    used = sum(max(map(visible_width, column)) + 2 for column in zip(*rows, strict=True))
    return max(_BAR // 3, min(_BAR, style.width - 2 - used))


def _bars(parts: list[int], longest: int) -> Iterator[str]:
    """A bar for each group, relative to the largest."""
    largest = max(parts)
    for part in parts:
        eighths = round(8 * longest * part / largest) if largest > 0 and part > 0 else 0
        yield ("█" * (eighths // 8) + _EIGHTHS[eighths % 8]).rstrip()


def _growth_table(facts: GroupedSizes, style: Style) -> Iterator[str]:
    table: list[Row] = [(name, *_changes(node, style)) for name, node in _named(facts, style)]
    table.append(("total", *_changes(facts.root, style)))
    yield from titled(
        style, (facts.grouping.by[0], "old", "new", "in memory", "in file", ""), table, "/>>>>=", drop=(1,)
    )


def _changes(node: SizeNode, style: Style) -> Row:
    grown, file = _growth(node), node.file - node.file_before
    colour = style.bad if grown > 0 else style.good if grown < 0 else style.dim
    return (
        human(node.memory_before) if node.memory_before else "-",
        human(node.memory) if node.memory else "-",
        colour(_signed(grown)),
        _signed(file),
        _change(node),
    )


def _signed(size: int) -> str:
    """A change of a size: `+1.5 KiB`, `-12 B`, `0`."""
    return f"{'+' if size > 0 else '-'}{human(abs(size))}" if size else "0"


def _change(node: SizeNode) -> str:
    """How a group changed: `new`, `gone`, or its growth in percent."""
    if not node.memory_before:
        return "new" if node.memory else ""
    return f"{100 * _growth(node) / node.memory_before:+.1f} %" if node.memory else "gone"


def _leaves(node: SizeNode, path: str) -> Iterator[tuple[str, SizeNode]]:
    for child in node.children:
        below = f"{path}/{child.name}" if path else child.name
        if child.children:
            yield from _leaves(child, below)
        else:
            yield below, child


def _folded(summary: str, table: Iterator[str]) -> Iterator[str]:
    yield from ("", f"<details><summary>{summary}</summary>", "")
    yield from table
    yield from ("", "</details>")


def _markdown_table(facts: GroupedSizes, node: SizeNode, top: int) -> Iterator[str]:
    some, others = _listed(node, top, facts)
    children = [*some, *([others] if others else [])]
    if facts.old is not None:
        yield f"| {facts.grouping.by[0]} | old | new | in memory | in file | |"
        yield "| --- | ---: | ---: | ---: | ---: | --- |"
        for child in children:
            sizes = f"{human(child.memory_before)} | {human(child.memory)} | {_signed(_growth(child))}"
            yield f"| {_cell(child)} | {sizes} | {_signed(child.file - child.file_before)} | {_change(child)} |"
    else:
        yield f"| {facts.grouping.by[0]} | in file | in memory | |"
        yield "| --- | ---: | ---: | ---: |"
        for child in children:
            share = 100 * child.memory / max(1, facts.root.memory)
            yield f"| {_cell(child)} | {human(child.file)} | {human(child.memory)} | {share:.1f} % |"


def _cell(node: SizeNode) -> str:
    return _unlinked(_SPECIAL.sub(r"\\\1", escaped(node.name)))


def _unlinked(text: str) -> str:
    """Text in which an @ does not notify anybody on GitHub."""
    return text.replace("@", "@&#8203;")


def _node_document(node: SizeNode, compared: bool) -> dict[str, Any]:
    found: dict[str, Any] = {"name": node.name, "file": node.file, "memory": node.memory}
    if compared:
        found |= {"file_before": node.file_before, "memory_before": node.memory_before}
    if node.children:
        found["groups"] = [_node_document(child, compared) for child in node.children]
    return found
