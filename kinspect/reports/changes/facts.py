"""Two kernels compared, as text and as JSON."""

import re
from collections.abc import Iterable, Iterator, Sequence

from kinspect.artifacts.artifact import wrapping_suffix
from kinspect.reports.changes.data import HEAD, data_document, data_rows, unjudged_line
from kinspect.reports.changes.functions import changed_values, functions_lines
from kinspect.reports.changes.interface import export_counts, interface_document, interface_lines
from kinspect.reports.disassembly.facts import type_hash
from kinspect.reports.layout import columns, shortened, titled, wrapped
from kinspect.reports.terminal import Style, counted, escaped
from kinspect.reports.values import Document
from kinspect.views.changes.closely import FunctionChange
from kinspect.views.changes.facts import KernelDifference
from kinspect.views.changes.side import SymbolExtent

TOP = 10
"""Rows of each list."""
_BANNER = re.compile(r"(Linux version \S+) (\(.*\)) (#\d.*)", re.S)
_LONGEST = 160
"""Characters of a string that are shown: the format of a trace event may have thousands. JSON has them all."""


def lines(facts: KernelDifference, style: Style, most: int = TOP) -> Iterator[str]:
    """The known causes of differences, then what changed, the first `most` of each kind."""
    new = f"{style.bold(escaped(facts.new))}: {facts.kind.removeprefix('an ')}{wrapping_suffix(facts.new_layers)}"
    yield f"{new}, compared with {style.bold(escaped(facts.old))}"
    if facts.same:
        yield f"  all {facts.new_size:,} bytes are equal"
        return
    yield from columns(style, _about(facts, style), "<<<")
    if facts.causes:
        yield ""
        yield f"  {style.bold('differs with every build')}"
        for cause in facts.causes:
            yield from wrapped(style, f"  {cause.title}", 4)
    yield from functions_lines(facts, style, most)
    yield from _extents("added functions", facts.added, style, most)
    yield from _extents("removed functions", facts.removed, style, most)
    yield from _other_functions(facts, style, most)
    if facts.data.changed:
        yield from _listed("changed data", HEAD, list(data_rows(facts.data, style)), "/<>/", style, most)
    yield from _extents("added data", facts.data.added, style, most)
    yield from _extents("removed data", facts.data.removed, style, most)
    texts = [("+", _string(text, style)) for text in facts.texts_added]
    texts += [("-", _string(text, style)) for text in facts.texts_removed]
    if texts:
        yield from _listed("changed strings", ("", ""), texts, "</", style, most)
    if facts.ranges:
        ranges = [(f"{found.offset:#x}", f"{found.size:,}", escaped(found.symbol)) for found in facts.ranges]
        yield from _listed("other bytes", ("offset", "bytes", "symbol"), ranges, "<>/", style, most)
    yield from interface_lines(facts.interface, style, most)
    if not facts.same_layout and not facts.data.objects:
        yield ""
        yield style.dim("  the kernels have no names of data: only functions and strings were compared, not other data")
    if facts.data.unjudged:
        yield ""
        yield style.dim(f"  {unjudged_line(facts.data)}")


def _other_functions(facts: KernelDifference, style: Style, most: int) -> Iterator[str]:
    """Functions with another name, and those with another type."""
    if facts.renamed:
        rows = [(escaped(name.old_name), escaped(name.new_name)) for name in facts.renamed]
        yield from _listed("renamed functions", ("old name", "new name"), rows, "//", style, most)
    if facts.retyped:
        rows = [
            (escaped(found.name), f"{type_hash(found.old_hash)} -> {type_hash(found.new_hash)}")
            for found in facts.retyped
        ]
        yield from _listed("functions of another type", ("function", "type hash"), rows, "//", style, most)


def _about(facts: KernelDifference, style: Style) -> Iterator[tuple[str, str, str]]:
    pairs = (("kernel", _banners(facts.banners, style)), ("build id", facts.build_ids))
    for title, (old, new) in pairs:
        if old != new:
            yield title, "old", escaped(old or "none")
            yield "", "new", escaped(new or "none")


def _banners(banners: tuple[str | None, str | None], style: Style) -> tuple[str | None, str | None]:
    """Two banners without the user, host and compiler, if they are the same."""
    found = [_BANNER.fullmatch(banner or "") for banner in banners]
    if not found[0] or not found[1] or found[0][2] != found[1][2]:
        return banners
    return f"{found[0][1]} {style.ellipsis} {found[0][3]}", f"{found[1][1]} {style.ellipsis} {found[1][3]}"


def _extents(title: str, found: Sequence[SymbolExtent], style: Style, most: int) -> Iterator[str]:
    if found:
        rows = [(escaped(symbol.name), f"{symbol.size:,}") for symbol in found]
        yield from _listed(title, ("symbol", "bytes"), rows, "/>", style, most)


def _listed(
    title: str, head: Sequence[str], rows: Sequence[Sequence[str]], align: str, style: Style, most: int
) -> Iterator[str]:
    yield ""
    yield f"  {style.bold(title)}"
    if any(head):
        yield from titled(style, head, rows[:most], align)
    else:
        yield from columns(style, rows[:most], align)
    if len(rows) > most:
        yield style.dim(f"  and {len(rows) - most:,} more (--ranges N shows more)")


def _string(text: str, style: Style) -> str:
    return shortened(escaped(text.removesuffix("\n")), _LONGEST, style.ellipsis)


def outcome(facts: KernelDifference) -> str:
    """Whether the kernels are the same, and what changed."""
    new, old = escaped(facts.new), escaped(facts.old)
    if facts.same:
        return f"{new} is the same as {old}"
    if facts.only_causes:
        return f"{new} is the same kernel as {old}, built again"
    exports, types = facts.interface
    values = len(changed_values(facts))
    functions = [
        (len(facts.changed) - values, "changed"),
        (values, "changed in values only"),
        (len(facts.added), "added"),
        (len(facts.removed), "removed"),
        (len(facts.renamed), "renamed"),
        (len(facts.retyped), "of another type"),
        (len({use.name for use in facts.uncertain}), "uncertain"),
    ]
    data = [
        (len(facts.data.changed), "changed"),
        (len(facts.data.added), "added"),
        (len(facts.data.removed), "removed"),
    ]
    groups = [
        ("function", functions),
        ("string", [(len(facts.texts_added) + len(facts.texts_removed), "changed")]),
        ("object", data),
        ("other range", [(len(facts.ranges), "changed")]),
        ("export", export_counts(exports) if exports else []),
        ("type", [(len(types.changed), "changed"), (types.layouts, "changed in layout only")] if types else []),
    ]
    counted_groups = "; ".join(filter(None, (_group(noun, counts) for noun, counts in groups)))
    if not counted_groups:
        return f"{new} differs from {old}: not in functions and strings, but not all data could be compared"
    return f"{new} differs: {counted_groups}"


def _group(noun: str, counts: Iterable[tuple[int, str]]) -> str:
    """`3 functions changed, 1 added`: the noun once."""
    (first, *others) = [(number, verb) for number, verb in counts if number] or [(0, "")]
    if not first[0]:
        return ""
    return ", ".join([f"{counted(first[0], noun)} {first[1]}", *(f"{number:,} {verb}" for number, verb in others)])


def document(facts: KernelDifference) -> Document:
    """`kernel_diff` in docs/report.schema.json."""
    return {
        "kind": "kernel_diff",
        "old": facts.old,
        "new": facts.new,
        "old_layers": [layer._asdict() for layer in facts.old_layers],
        "new_layers": [layer._asdict() for layer in facts.new_layers],
        "same": facts.same,
        "same_layout": facts.same_layout,
        "only_build_differences": facts.only_causes,
        "old_size": facts.old_size,
        "new_size": facts.new_size,
        "banners": list(facts.banners),
        "build_ids": list(facts.build_ids),
        "causes": [{**cause._asdict(), "places": list(cause.places)} for cause in facts.causes],
        "functions": facts.functions,
        "changed": [_function(found) for found in facts.changed],
        "added": [found._asdict() for found in facts.added],
        "removed": [found._asdict() for found in facts.removed],
        "renamed": [found._asdict() for found in facts.renamed],
        "retyped": [found._asdict() for found in facts.retyped],
        "uncertain": [found._asdict() for found in facts.uncertain],
        "texts_added": list(facts.texts_added),
        "texts_removed": list(facts.texts_removed),
        "ranges": [found._asdict() for found in facts.ranges],
        **interface_document(facts.interface),
        **data_document(facts.data),
    }


def _function(found: FunctionChange) -> Document:
    words = {
        name: None if word is None else f"{word:#010x}"
        for name, word in (("expected", found.expected), ("actual", found.actual))
    }
    fields = {name: value for name, value in found._asdict().items() if name != "lanes"}
    return {**fields, **words, "types": list(found.types)}
