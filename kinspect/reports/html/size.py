"""Sizes as one page for a browser: a treemap and a table. The page is self-contained and loads nothing."""

import json
from base64 import b64encode
from collections.abc import Sequence
from hashlib import sha256
from html import escape
from importlib.resources import files
from string import Template
from zlib import compress

import kinspect
from kinspect.reports.terminal import escaped, exact
from kinspect.views.size.grouped import PARTS, GroupedSizes
from kinspect.views.size.node import SizeNode


def sizes_page(facts: GroupedSizes, by: Sequence[str] = ()) -> str:
    """The page of some sizes, with the totals in its head. It shows the grouping `by` first, or that of the facts."""
    notes = [("compared with", facts.old)] if facts.old is not None else []
    notes.append(("in memory", exact(facts.root.memory)))
    notes.append(("in the Image", exact(facts.root.file)))
    notes.append(("unattributed", exact(facts.unattributed)))
    parts = facts.root if facts.grouping.by == PARTS else facts.parts
    first = (by or facts.grouping.by) if parts is not None else ()
    return page(parts or facts.root, facts.vmlinux, facts.old is not None, notes, first)


def page(
    root: SizeNode, title: str, compared: bool, notes: Sequence[tuple[str, str]] = (), by: Sequence[str] = ()
) -> str:
    """The page as ASCII text. `notes` are labels and values for its head.

    With `by`, the tree is one of PARTS, from which the page makes other groupings, this one first.

    Names cannot inject anything: the tree is base64, other text is escaped, and the page's security policy allows only
    its own script and style sheet, by their hashes, and loads nothing.
    """
    script = "".join(map(_asset, ("size_tree.js", "size_map.js", "size_page.js")))
    style = _asset("size_page.css")
    return Template(_asset("size_page.html")).substitute(
        title=_harmless(title),
        notes="".join(f"<div><dt>{_harmless(label)}</dt><dd>{_harmless(value)}</dd></div>" for label, value in notes),
        version=kinspect.__version__,
        script=script,
        script_hash=_hash(script),
        style=style,
        style_hash=_hash(style),
        data=_data(root, compared, by),
    )


def _data(root: SizeNode, compared: bool, by: Sequence[str]) -> str:
    """The tree for size_tree.js: columns of JSON, deflated, in base64.

    For two kernels with 240,000 symbols, plain JSON takes 9 MB, this 2 MB. A row is a group; the rows of its children
    follow it. A repeated name is replaced by the number of the row that had it first, and sizes are stored as
    differences, which are mostly 0.
    """
    names: list[str | int] = []
    counts: list[int] = []
    sizes: tuple[list[int], ...] = ([], [], [], [])
    seen: dict[str, int] = {}
    waiting = [root]
    while waiting:
        node = waiting.pop()
        at = len(names)
        first = seen.setdefault(node.name, at)
        names.append(escaped(node.name) or "(no name)" if first == at else first)
        counts.append(len(node.children))
        before = node.file_before, node.memory_before
        for column, size in zip(
            sizes,
            (node.file, node.memory - node.file, before[0] - node.file, before[1] - before[0]),
            strict=True,
        ):
            column.append(size)
        waiting.extend(reversed(node.children))
    columns = {"names": names, "counts": counts, "sizes": sizes if compared else sizes[:2], "by": list(by)}
    return b64encode(compress(json.dumps(columns, separators=(",", ":")).encode(), 6)).decode()


def _asset(name: str) -> str:
    return files("kinspect.reports.html").joinpath(name).read_text("ascii")


def _hash(text: str) -> str:
    return b64encode(sha256(text.encode()).digest()).decode()


def _harmless(text: str) -> str:
    """Text from a file for HTML: without markup, and escaped as for a terminal."""
    return escape(escaped(text)).encode("ascii", "xmlcharrefreplace").decode()
