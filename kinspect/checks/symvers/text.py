"""What must hold in a Module.symvers as a text: its lines, its characters, its fields."""

from collections.abc import Callable, Iterator, Sequence

from kinspect.artifacts.build.symvers import Layout, Symvers
from kinspect.checks.check import Evidence, Severity, check

MOST = 20
"""Lines that are named one by one for one fault."""


def each(symvers: Symvers, numbers: Sequence[int], told: Callable[[int], Evidence]) -> Iterator[Evidence]:
    """Evidence for each of some lines; when there are many, the rest of them are counted."""
    yield from map(told, numbers[:MOST])
    if len(numbers) > MOST:
        yield Evidence(f"and {len(numbers) - MOST:,} more such lines", (symvers.line(numbers[MOST]),))


@check(Severity.ERROR)
def symvers_is_not_empty(symvers: Symvers) -> Iterator[Evidence]:
    """The file has lines.

    Every kernel that loads modules exports something. modpost takes an empty file without a word, and each module that
    is built with it comes out without versions.
    Source: scripts/mod/modpost.c, read_dump.
    """
    if not symvers.lines:
        yield Evidence("empty file", (symvers.at(),))


@check(Severity.ERROR)
def symvers_ends_with_a_newline(symvers: Symvers) -> Iterator[Evidence]:
    """The last line ends with a newline.

    A file without it was cut, by a full disk or an interrupted copy. modpost does not notice.
    Source: scripts/mod/modpost.c, write_dump.
    """
    if symvers.data and not symvers.data.endswith(b"\n"):
        yield Evidence("the last line has no end: the file is cut", (symvers.line(len(symvers.lines)),))


@check(Severity.WARNING)
def symvers_has_unix_line_ends(symvers: Symvers) -> Iterator[Evidence]:
    """No line ends with a carriage return.

    modpost takes it as a part of the namespace: modules would have to import one that nobody sees.
    Source: scripts/mod/modpost.c, read_dump.
    """
    count = symvers.data.count(b"\r\n")
    if count:
        first = symvers.data.count(b"\n", 0, symvers.data.index(b"\r\n")) + 1
        message = f"{count:,} {'line ends' if count == 1 else 'lines end'} with a carriage return"
        yield Evidence(message, (symvers.line(first),), expected=b"\n", actual=b"\r\n")


@check(Severity.ERROR)
def symvers_is_plain_text(symvers: Symvers) -> Iterator[Evidence]:
    """Every character is printable ASCII, a tab or a newline.

    Names of symbols and modules have no others: a NUL, an escape or a byte above 0x7e comes from a broken disk, or from
    a tool that took the file for something else.
    Source: scripts/mod/modpost.c, write_dump.
    """

    def told(number: int) -> Evidence:
        text = symvers.lines[number - 1].replace("\t", "")
        first = next(character for character in text if not (character.isascii() and character.isprintable()))
        return Evidence(
            "a character that is not printable ASCII",
            (symvers.line(number),),
            actual=first.encode("ascii", "surrogateescape"),
        )

    yield from each(symvers, symvers.unprintable, told)


@check(Severity.ERROR)
def symvers_lines_have_all_fields(symvers: Symvers) -> Iterator[Evidence]:
    """Every line has as many fields, separated by tabs, as the layout of the file asks for.

    That is five since 5.4 (the last is empty without a namespace, and then the line ends with a tab), four before.
    modpost refuses a line with fewer and takes one with more.
    Source: scripts/mod/modpost.c, read_dump.
    """
    expected = "4 fields" if symvers.layout == Layout.NO_NAMESPACE else "5 fields"
    fields = {line.number: line.fields for line in symvers.broken}

    def told(number: int) -> Evidence:
        count = symvers.lines[number - 1].count("\t") + 1
        name = fields[number][1] if count > 1 else ""
        actual = f"{count}" if symvers.lines[number - 1] else "a blank line"
        return Evidence("a wrong number of fields", (symvers.line(number, name),), expected, actual)

    yield from each(symvers, list(fields), told)
