"""One function of two kernels compared, as text, like a unified diff, and as JSON."""

from collections.abc import Iterator, Sequence

from kinspect.reports.layout import shortened
from kinspect.reports.terminal import Style, counted, escaped
from kinspect.reports.values import Document
from kinspect.views.disassembly.facts import ComparedInstruction, FunctionDifference

_CONTEXT = 3
"""Instructions that are shown before and after each change."""


def lines(facts: FunctionDifference, style: Style) -> Iterator[str]:
    """The size of the function, then each change with a few instructions around it."""
    new = f"{style.bold(escaped(facts.new_name))} in {escaped(facts.new)}"
    old = (
        escaped(facts.old) if facts.old_name == facts.new_name else f"{escaped(facts.old_name)} in {escaped(facts.old)}"
    )
    yield f"{new}, compared with {old}"
    size = f"{facts.new_size:,}" if facts.old_size == facts.new_size else f"{facts.old_size:,} -> {facts.new_size:,}"
    if not facts.removed and not facts.added:
        yield f"  {size} bytes, {counted(len(facts.instructions), 'instruction')}, all the same"
        yield from (f"  but {text}" for text in _besides(facts))
        return
    same = len(facts.instructions) - facts.removed - facts.added
    yield f"  {size} bytes; {_changes(facts)}, {same:,} the same"
    yield from (f"  and {text}" for text in _besides(facts))
    for part in _parts(facts.instructions):
        yield ""
        for found in part:
            yield _line(found, style)


def _besides(facts: FunctionDifference) -> Iterator[str]:
    """What differs outside of the function's code."""
    if facts.replaced is not None:
        yield f"other code replaces the instruction at +{facts.replaced:#x} at boot (alternatives)"
    if facts.unnamed is not None:
        yield f"the data without a name to which the instruction at +{facts.unnamed:#x} refers has changed"
    if facts.hashes is not None:
        old, new = (type_hash(found) for found in facts.hashes)
        yield f"its type has changed: the hash is {new}, and was {old}"


def type_hash(found: int | None) -> str:
    """A type hash, or that there is none."""
    return "none" if found is None else f"{found:#010x}"


def _parts(instructions: Sequence[ComparedInstruction]) -> Iterator[Sequence[ComparedInstruction]]:
    """The changes with what is around them."""
    start = end = -1
    for at, found in enumerate(instructions):
        if found.same:
            continue
        if end >= 0 and at - _CONTEXT > end:
            yield instructions[start:end]
            start = -1
        if start < 0:
            start = max(0, at - _CONTEXT)
        end = at + 1 + _CONTEXT
    if start >= 0:
        yield instructions[start:end]


def _line(found: ComparedInstruction, style: Style) -> str:
    mark = " "
    if not found.same:
        mark = style.bad("-") if found.new_offset is None else style.good("+")
    offset = found.old_offset if found.new_offset is None else found.new_offset
    place = f"{f'+{offset:#x}':8}"
    text = escaped(found.text)
    if style.width:
        text = shortened(text, style.width - len(place) - 4, style.ellipsis)
    return f"  {mark} {place}{text}"


def outcome(facts: FunctionDifference) -> str:
    """Whether the function is the same."""
    name = escaped(facts.new_name)
    if facts.same:
        return f"{name} is the same in both kernels"
    return f"{name} differs: {_changes(facts)}"


def _changes(facts: FunctionDifference) -> str:
    if not facts.removed and not facts.added:
        return "; ".join(_besides(facts))
    if not facts.removed:
        return f"{counted(facts.added, 'instruction')} added"
    added = f", {facts.added:,} added" if facts.added else ""
    return f"{counted(facts.removed, 'instruction')} removed{added}"


def document(facts: FunctionDifference) -> Document:
    """`function_diff` in docs/report.schema.json."""
    return {
        "kind": "function_diff",
        **facts._asdict(),
        "same": facts.same,
        "instructions": [found._asdict() for found in facts.instructions],
    }
