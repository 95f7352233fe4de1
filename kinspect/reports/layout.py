"""Tables and paragraphs in the width of a terminal. Without a width, nothing is shortened or wrapped."""

import re
from collections.abc import Iterable, Iterator, Sequence

from kinspect.reports.terminal import Style, visible_width

_LEAST = (30, 20, 10)
"""What names are shortened to, and text is wrapped to, step by step; columns are left out after the first step."""
_PAINTED = re.compile(r"((?:\x1b\[[0-9;]*m| )*)(.*?)((?:\x1b\[[0-9;]*m)*)", re.S)
_PLACE = re.compile(r"\+0x[0-9a-f]+(/0x[0-9a-f]+)?$")
"""An offset in a symbol, and the symbol's size."""


def columns(
    style: Style, rows: Iterable[Sequence[str]], align: str, indent: str = "  ", drop: Sequence[int] = ()
) -> Iterator[str]:
    """Rows as aligned columns, separated by two spaces.

    `align` has a character for each column: `<` and `=` left, `>` right, `/` left and shortened in the middle where a
    table is wider than the terminal. A last column that is `<` is wrapped at words. If that is not enough, the columns
    in `drop` are left out, one after the other.
    """
    table = [tuple(row) for row in rows]
    widths = [max((visible_width(row[column]) for row in table), default=0) for column in range(len(align))]
    shown = list(range(len(align)))
    if style.width is not None:
        widths, shown = _fitted(widths, align, style.width - len(indent), list(drop))
        table = [tuple(map(_cut, row, widths, align, [style.ellipsis] * len(align))) for row in table]
        for column in range(len(align)):
            if align[column] == "/":
                widths[column] = max((visible_width(row[column]) for row in table), default=0)
    wrapping = shown[-1] if shown and shown[-1] == len(align) - 1 and align.endswith("<") else None
    for row in table:
        cells = [_padded(row[column], widths[column], align[column]) for column in shown if column != wrapping]
        if wrapping is None:
            yield (indent + "  ".join(cells)).rstrip()
            continue
        start = indent + "".join(f"{cell}  " for cell in cells)
        texts = [row[wrapping]]
        if visible_width(texts[0]) > widths[wrapping]:
            texts = _wrapped(texts[0], widths[wrapping], style)
        for text in texts:
            yield (start + text).rstrip()
            start = " " * visible_width(start)


def titled(
    style: Style, head: Sequence[str], rows: Iterable[Sequence[str]], align: str, drop: Sequence[int] = ()
) -> Iterator[str]:
    """Columns under a dim line of titles."""
    lines = columns(style, [head, *rows], align, drop=drop)
    yield style.dim(next(lines))
    yield from lines


def _fitted(natural: list[int], align: str, room: int, drop: list[int]) -> tuple[list[int], list[int]]:
    """The widths of all columns, and the columns that are shown, so that they take `room` if possible."""
    shown, last = list(range(len(align))), len(align) - 1
    for least in _LEAST:
        while True:
            widths = list(natural)
            used = [column for column in shown if natural[column]] or shown
            # What is empty at the end of a row takes nothing.
            excess = sum(widths[column] + 2 for column in shown if column <= used[-1]) - 2 - room
            flexible = [column for column in shown if align[column] == "/" or (column == last and align[last] == "<")]
            if _take(widths, flexible, least, excess) <= 0:
                return widths, shown
            if not drop:
                break
            shown.remove(drop.pop(0))
    return widths, shown


def _take(widths: list[int], flexible: list[int], least: int, excess: int) -> int:
    """Narrow the widest of some columns until nothing is in excess, or all are at their least; returns what is left."""
    while excess > 0 and flexible:
        widest = max(flexible, key=lambda column: widths[column])
        if widths[widest] <= least:
            break
        widths[widest] -= 1
        excess -= 1
    return excess


def _cut(text: str, width: int, side: str, ellipsis: str) -> str:
    return shortened(text, width, ellipsis) if side == "/" and visible_width(text) > width else text


def _padded(text: str, width: int, side: str) -> str:
    blanks = " " * (width - visible_width(text))
    return blanks + text if side == ">" else text + blanks


def shortened(text: str, width: int, ellipsis: str = "…") -> str:
    """Text cut in the middle to a width.

    Of a path, folders are left out, and its end stays: `arch/arm64/…/setup.o`. Of a place in a function, the offset
    stays: `do_sy…call+0x10/0x44`.
    """
    if visible_width(text) <= width:
        return text
    found = _PAINTED.fullmatch(text)
    before, inner, after = found.groups() if found else ("", text, "")
    place = _PLACE.search(inner)
    if place and len(inner) - place.start() + _LEAST[-1] // 2 <= width:
        inner, after = inner[: place.start()], place[0] + after
        width -= len(place[0])
    room = width - visible_width(before)
    return before + (_shortened_path(inner, room, ellipsis) or _shortened_name(inner, room, ellipsis)) + after


def _shortened_path(path: str, width: int, ellipsis: str) -> str | None:
    """The last part, after as many of the first as fit; None if there is only one part."""
    parts = path.split("/")
    if len(parts) < 2 or "+0x" in path:
        return None
    start, end = "", f"{ellipsis}/{parts[-1]}"
    if visible_width(end) > width:
        return f"{ellipsis}/{_shortened_name(parts[-1], width - len(ellipsis) - 1, ellipsis)}"
    for part in parts[:-2]:
        if visible_width(start) + visible_width(part) + 1 + visible_width(end) > width:
            break
        start += f"{part}/"
    return start + end


def _shortened_name(name: str, width: int, ellipsis: str) -> str:
    room = max(width - len(ellipsis), 1)
    start, end = 0, len(name)
    used, at_end = 0, True
    if visible_width(name) <= width:
        return name
    # By turns from both ends: a wide character takes two columns.
    while start < end:
        one = visible_width(name[end - 1] if at_end else name[start])
        if used + one > room:
            break
        used += one
        start, end = (start, end - 1) if at_end else (start + 1, end)
        at_end = not at_end
    return name[:start] + ellipsis + name[end:]


def wrapped(style: Style, text: str, hang: int | None = None) -> Iterator[str]:
    """A line of text, wrapped at words if it is wider than the terminal; the lines after the first are indented.

    A word that is wider than a line stays whole, so that a path can be copied.
    """
    if style.width is None or visible_width(text) <= style.width:
        yield text
        return
    body = text.lstrip(" ")
    start = " " * (len(text) - len(body))
    margin = " " * (len(start) + 4 if hang is None else hang)
    first, *rest = _words_in_lines(body, style.width - len(start), style.width - len(margin))
    yield start + first
    for line in rest:
        yield margin + line


def paragraph(style: Style, text: str, indent: str = "", widest: int = 100) -> Iterator[str]:
    """Prose in lines of at most `widest` columns, fewer on a narrower terminal."""
    width = min(widest, style.width or widest) - len(indent)
    for line in _words_in_lines(" ".join(text.split()), width, width):
        yield indent + line


def _wrapped(text: str, width: int, style: Style) -> list[str]:
    """The lines of a cell. A word that is too long is shortened."""
    return [shortened(line, width, style.ellipsis) for line in _words_in_lines(text, width, width)]


def _words_in_lines(text: str, first: int, later: int) -> list[str]:
    """Text in lines of the given widths, except for words that are longer. More than one blank stays as it is."""
    lines: list[str] = []
    line, width = "", first
    for blanks, word in re.findall(r"( *)([^ ]+)", text):
        if line and visible_width(line) + len(blanks) + visible_width(word) > width:
            lines.append(line)
            line, width = word, later
        else:
            line += blanks + word
    return [*lines, line]
