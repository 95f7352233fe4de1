"""Sizes in groups for other programs: CSV for spreadsheets, Markdown for pull requests, JSON."""

import csv
import io
from collections.abc import Iterator
from html import escape
from typing import Any

from kinspect.inspection.size import GroupedSizes
from kinspect.reports.size.grouped import TOP, fate, growth, shown, signed
from kinspect.reports.terminal import escaped, human
from kinspect.views.size.node import SizeNode

_MARKDOWN = str.maketrans({character: f"\\{character}" for character in "\\`*_{}[]<>#|~"})
_FOLDED = 200


def csv_lines(facts: GroupedSizes) -> Iterator[str]:
    """Each innermost group with its path and bytes; of two builds those of the old one too."""
    heads = ["path", "file", "memory"] + (["file_before", "memory_before"] if facts.against else [])
    yield _row(heads)
    for path, node in _leaves(facts.root, ""):
        yield _row([path, *node[1 : len(heads)]])


def _row(cells: list[Any]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="").writerow([escaped(cell) if isinstance(cell, str) else cell for cell in cells])
    return text.getvalue()


def _leaves(node: SizeNode, path: str) -> Iterator[tuple[str, SizeNode]]:
    for child in node.children:
        below = f"{path}/{child.name}" if path else child.name
        if child.children:
            yield from _leaves(child, below)
        else:
            yield below, child


def markdown_lines(facts: GroupedSizes, top: int | None = None) -> Iterator[str]:
    """What grew in a headline and a table, and more of it folded; of one build what is largest."""
    root, by = facts.root, ", ".join(facts.by)
    if facts.against:
        file = root.file - root.file_before
        yield f"### Kernel size: {signed(growth(root))} in memory, {signed(file)} in the Image"
        yield ""
        memory = f"{root.memory_before:,} → {root.memory:,} bytes of memory"
        yield f"{memory}, {root.file_before:,} → {root.file:,} bytes of Image, by {by}."
    else:
        yield f"### Kernel size: {human(root.memory)} in memory, {human(root.file)} in the Image"
        yield ""
        yield f"{root.memory:,} bytes of memory, {root.file:,} bytes of Image, by {by}."
    first, most = top or TOP, _FOLDED if top is None else top
    yield ""
    yield from _table(facts, root, first)
    inner = [child for child in shown(root, first, facts)[0] if child.children]
    for child in inner:
        yield ""
        yield f"<details><summary>{_html(child.name)}: {_told(facts, child)}</summary>"
        yield ""
        yield from _table(facts, child, most)
        yield ""
        yield "</details>"
    if not inner and len(root.children) > first + 1:
        yield ""
        yield "<details><summary>More</summary>"
        yield ""
        yield from _table(facts, root, most)
        yield ""
        yield "</details>"


def _told(facts: GroupedSizes, node: SizeNode) -> str:
    return signed(growth(node)) if facts.against else human(node.memory)


def _table(facts: GroupedSizes, node: SizeNode, top: int) -> Iterator[str]:
    some, others = shown(node, top, facts)
    if facts.against:
        yield f"| {facts.by[0]} | old | new | in memory | in file | |"
        yield "| --- | ---: | ---: | ---: | ---: | --- |"
        for child in [*some, *([others] if others else [])]:
            sizes = f"{human(child.memory_before)} | {human(child.memory)} | {signed(growth(child))}"
            yield f"| {_name(child)} | {sizes} | {signed(child.file - child.file_before)} | {fate(child)} |"
    else:
        yield f"| {facts.by[0]} | in file | in memory | |"
        yield "| --- | ---: | ---: | ---: |"
        for child in [*some, *([others] if others else [])]:
            share = 100 * child.memory / max(1, facts.root.memory)
            yield f"| {_name(child)} | {human(child.file)} | {human(child.memory)} | {share:.1f} % |"


def _name(node: SizeNode) -> str:
    return escaped(node.name).translate(_MARKDOWN)


def _html(name: str) -> str:
    return escape(escaped(name), quote=False)


def size_tree_json(facts: GroupedSizes) -> dict[str, Any]:
    """The whole tree."""
    return {
        "kind": "size_tree",
        "vmlinux": facts.vmlinux,
        "image": facts.image,
        "against": facts.against,
        "by": list(facts.by),
        "domain": facts.domain,
        "section": facts.section,
        "unattributed": facts.unattributed,
        **_node(facts.root, facts.against is not None),
    }


def _node(node: SizeNode, compared: bool) -> dict[str, Any]:
    document: dict[str, Any] = {"name": node.name, "file": node.file, "memory": node.memory}
    if compared:
        document |= {"file_before": node.file_before, "memory_before": node.memory_before}
    if node.children:
        document["groups"] = [_node(child, compared) for child in node.children]
    return document
