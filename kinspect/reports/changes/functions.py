"""The functions that changed between two kernels, as text: the most changed first, those with other values apart.

Of these, the least changed are first: one value that differs may be an edited constant, many are those of a struct.
"""

from collections import Counter
from collections.abc import Iterator, Sequence

from kinspect.reports.layout import columns, shortened, titled, wrapped
from kinspect.reports.terminal import Style, counted, escaped
from kinspect.views.changes.closely import FunctionChange
from kinspect.views.changes.facts import KernelDifference
from kinspect.views.disassembly.decoder import EXTRA

_MARGIN = 6
_ALTERNATIVES = 1
"""Types that are named where the values of a function fit more."""


def functions_lines(facts: KernelDifference, style: Style, most: int) -> Iterator[str]:
    """The changed functions, then those in which only immediate values differ; the first `most` of each."""
    code, values = changed_code(facts), changed_values(facts)
    if code:
        yield ""
        yield f"  {style.bold('changed functions')}"
        yield from _listed(code, style, most)
    if values:
        yield ""
        yield f"  {style.bold('functions in which only immediate values differ')}"
        yield from _values(values, style, most)
    if most and facts.changed:
        yield style.dim(_hint(facts.changed))
    if facts.uncertain:
        yield ""
        yield from wrapped(style, f"  {_uncertain(facts, most)}", 4)


def _uncertain(facts: KernelDifference, most: int) -> str:
    """That some references to data could not be judged, and in which functions."""
    shown = ", ".join(f"{escaped(use.name)}+{use.at:#x}" for use in facts.uncertain[:most])
    rest = f", and {len(facts.uncertain) - most:,} more" if len(facts.uncertain) > most else ""
    places = f": {shown}{rest}" if shown else ""
    text = "to data without a name may be another one than before: neither its content nor its place tells"
    return f"{counted(len(facts.uncertain), 'reference')} {text}{places}"


def changed_code(facts: KernelDifference) -> list[FunctionChange]:
    """The functions whose instructions changed, the most changed first."""
    return _sorted(found for found in facts.changed if not found.only_values)


def changed_values(facts: KernelDifference) -> list[FunctionChange]:
    """The functions in which only values differ, the least changed first."""
    return _sorted(found for found in facts.changed if found.only_values)[::-1]


def _sorted(changes: Iterator[FunctionChange]) -> list[FunctionChange]:
    return sorted(changes, key=lambda found: -found.instructions)


def _values(changes: Sequence[FunctionChange], style: Style, most: int) -> Iterator[str]:
    fitting = Counter(name for found in changes if len(found.types) == 1 for name in found.types)
    explained = Counter(_types(found, fitting) for found in changes if found.types)
    if explained:
        number = f"{sum(explained.values()):,} of {len(changes):,}"
        text = f"  in {number}, all values agree with a type that changed: member offsets, sizes, enumerators"
        yield from wrapped(style, text, 2)
        rows = [(f"{count:,}", escaped(types)) for types, count in explained.most_common(most)]
        yield from titled(style, ("functions", "type"), rows, ">/")
        yield from _rest(len(explained) - most, style)
        others = [found for found in changes if not found.types]
        if not others:
            return
        yield f"  in {counted(len(others), 'other')}"
        changes = others
    yield from _listed(changes, style, most)


def _types(found: FunctionChange, fitting: Counter[str]) -> str:
    """The types that the values of a function fit; of several, first the one that is the only one of more functions."""
    if not found.types_alone:
        return " and ".join(found.types)
    types = sorted(found.types, key=lambda name: (-fitting[name], name))
    shown = types if len(types) <= _ALTERNATIVES + 1 else types[:_ALTERNATIVES]
    rest = len(types) - len(shown)
    return " or ".join([*shown, *([f"{rest:,} others"] if rest else [])])


def _listed(changes: Sequence[FunctionChange], style: Style, most: int) -> Iterator[str]:
    """Functions, each with its first instruction that differs."""
    shown = changes[:most]
    rows = [(escaped(found.name), f"{found.instructions:,}", sizes(found)) for found in shown]
    head, *table = columns(style, [("function", "instructions", "size"), *rows], "/>=")
    yield style.dim(head)
    for line, found in zip(table, shown, strict=True):
        yield line
        yield from _first(found, style)
    yield from _rest(len(changes) - most, style)


def _rest(number: int, style: Style) -> Iterator[str]:
    if number > 0:
        yield style.dim(f"  and {number:,} more (--ranges N shows more)")


def _first(found: FunctionChange, style: Style) -> Iterator[str]:
    """The first instruction that differs, in both kernels."""
    place = f"+{found.first:#x}"
    if found.old_text is not None and found.old_text == found.new_text:
        before = f"{'':{_MARGIN}}{place:8}= "
        yield before + _fitted(escaped(found.old_text), style, len(before))
        yield style.dim(f"{'':{len(before)}}it refers to, or is replaced at boot by, something else")
        return
    sides = (("-", found.old_text, found.expected), ("+", found.new_text, found.actual))
    for mark, text, word in sides:
        if text is None and word is None:
            continue
        before = f"{'':{_MARGIN}}{place:8}{mark} "
        yield before + _fitted(escaped(text) if text is not None else f"{word:#010x}", style, len(before))
        place = ""


def _fitted(text: str, style: Style, margin: int) -> str:
    return shortened(text, style.width - margin, style.ellipsis) if style.width else text


def sizes(found: FunctionChange) -> str:
    """The size of a function in both kernels."""
    size = counted(found.new_size, "byte")
    return size if found.old_size == found.new_size else f"{found.old_size:,} -> {size}"


def _hint(changes: Sequence[FunctionChange]) -> str:
    known = any(found.old_text or found.new_text for found in changes)
    if known:
        return "  --function NAME shows the whole change of a function"
    return f"  pip install '{EXTRA}' shows instructions as assembly, and --function NAME a whole function"
