"""A command of make V=1, explained, as text and as JSON."""

from collections.abc import Iterator
from itertools import groupby
from typing import Any

from kinspect.checks.build.log import step_text
from kinspect.reports.layout import paragraph
from kinspect.reports.terminal import Style, counted, escaped
from kinspect.views.buildlog.explanation import CommandFacts, Word
from kinspect.views.buildlog.tags import TAGS

_WIDTH, _MEANING = 80, 34
"""The width of the text, and the column of the meanings."""
_NAMED = 3
"""Files of one kind in a row that are listed; the rest are counted."""


def lines(facts: CommandFacts, style: Style) -> Iterator[str]:
    """The step, then each word or option with its meaning, within 80 columns where the words allow it."""
    if facts.step:
        tag = TAGS.get(facts.step.tag)
        yield f"{style.bold(escaped(step_text(facts.step)))}" + (f": {tag.meaning}" if tag else "")
        yield ""
    for meaning, group in groupby(facts.words, key=lambda word: word.meaning):
        words = list(group)
        files = not any(word.text.startswith("-") for word in words)
        shown = words[:_NAMED] if files and len(words) > _NAMED + 1 else words
        for number, word in enumerate(shown):
            yield from _row(word, "the same" if number and meaning else meaning, style)
        if len(words) > len(shown):
            yield f"  and {len(words) - len(shown):,} more"
    if facts.files or facts.options:
        yield ""
        text = (
            f"It depends on {counted(len(facts.files), 'file')} and {counted(len(facts.options), 'option')} of the"
            " configuration: if one of them or this command changes, make runs it again."
        )
        yield from paragraph(style, text, widest=_WIDTH)


def _row(word: Word, meaning: str, style: Style) -> Iterator[str]:
    width = min(_WIDTH, style.width or _WIDTH)
    text = f"  {escaped(word.text)}"
    parts = [line for line in paragraph(style, meaning, widest=width - _MEANING) if line]
    if len(text) < _MEANING - 1 and parts:
        text += " " * (_MEANING - len(text)) + parts.pop(0)
    yield text
    for part in parts:
        yield " " * _MEANING + part


def document(facts: CommandFacts) -> dict[str, Any]:
    """`command` in the schema."""
    step = facts.step
    return {
        "step": {"tag": step.tag, "mark": step.mark or None, "target": step.target} if step else None,
        "words": [{"text": word.text, "meaning": word.meaning or None} for word in facts.words],
        "files": list(facts.files),
        "options": list(facts.options),
    }
