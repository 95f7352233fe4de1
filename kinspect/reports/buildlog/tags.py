"""A tag explained, and the list of all tags in docs/build-log.md."""

from collections.abc import Iterator
from typing import Any

from kinspect.reports.layout import columns, paragraph
from kinspect.reports.terminal import Style
from kinspect.views.buildlog.tags import MARKS, TAGS, Tag


def lines(tag: Tag, style: Style, mark: str = "") -> Iterator[str]:
    """One tag, and what its mark means."""
    yield f"{style.bold(tag.name)}: {tag.meaning}" + (f", {MARKS[mark]}" if mark in MARKS else "")
    yield ""
    if tag.page:
        yield from paragraph(style, tag.page)
        yield ""
    yield f"Source: {tag.source}"


def listing(style: Style) -> Iterator[str]:
    """Every tag and its meaning, one a line, then the marks."""
    rows = [(style.bold(tag.name), tag.meaning) for tag in sorted(TAGS.values())]
    yield from columns(style, rows, "<<")
    yield ""
    yield from columns(style, [(style.bold(f"[{mark}]"), meaning) for mark, meaning in MARKS.items()], "<<")


def mark_lines(mark: str, style: Style) -> Iterator[str]:
    """What a mark after a tag means."""
    yield f"{style.bold(f'[{mark}]')} after a tag: {MARKS[mark]}"


def document(tag: Tag) -> dict[str, Any]:
    """`tag` in the schema."""
    return tag._asdict()


def markdown() -> str:
    """Every tag, by name, as a section of docs/build-log.md."""
    from textwrap import wrap

    text = []
    for tag in sorted(TAGS.values()):
        meaning = f"{tag.meaning[0].upper()}{tag.meaning[1:]}."
        page = wrap(tag.page.replace("_", "\\_"), 118, break_long_words=False, break_on_hyphens=False)
        text += [f"### {tag.name}", "", meaning, *page, f"Source: `{tag.source}`.", ""]
    return "\n".join(text)
