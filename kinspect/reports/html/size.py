"""Sizes as one page for a browser: a treemap and a table, with all that they need inside; it loads nothing."""

import json
from base64 import b64encode
from collections.abc import Sequence
from hashlib import sha256
from html import escape
from importlib.resources import files
from string import Template
from zlib import compress

import kinspect
from kinspect.reports.terminal import escaped
from kinspect.views.size.node import SizeNode


def page(root: SizeNode, title: str, compared: bool, notes: Sequence[tuple[str, str]] = ()) -> str:
    """The page as text, ASCII alone. `notes` are labels and values for its head.

    No name can break out: the tree is base64, the rest is escaped, and the page's own policy lets only its one script
    and its one style sheet run, known by their hashes, and nothing load.
    """
    script, style = _asset("size_map.js") + _asset("size_page.js"), _asset("size_page.css")
    return Template(_asset("size_page.html")).substitute(
        title=_harmless(title),
        notes="".join(f"<div><dt>{_harmless(label)}</dt><dd>{_harmless(value)}</dd></div>" for label, value in notes),
        version=kinspect.__version__,
        script=script,
        script_hash=_hash(script),
        style=style,
        style_hash=_hash(style),
        data=_data(root, compared),
    )


def _data(root: SizeNode, compared: bool) -> str:
    """The tree for size_page.js: columns of JSON, deflated, in base64.

    Plain JSON of a comparison of two kernels with 240,000 symbols is 9 MB, this 2 MB. A row is a group, and the rows of
    what is in it follow. A name that was there before is the number of the row that had it first; sizes are written as
    differences that are mostly 0.
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
    columns = {"names": names, "counts": counts, "sizes": sizes if compared else sizes[:2]}
    return b64encode(compress(json.dumps(columns, separators=(",", ":")).encode(), 6)).decode()


def _asset(name: str) -> str:
    return files("kinspect.reports.html").joinpath(name).read_text("ascii")


def _hash(text: str) -> str:
    return b64encode(sha256(text.encode()).digest()).decode()


def _harmless(text: str) -> str:
    """Text from a file for HTML: nothing in it is markup, and the rest is what a terminal would show."""
    return escape(escaped(text)).encode("ascii", "xmlcharrefreplace").decode()
