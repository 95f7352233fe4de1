"""Checks of a Module.symvers as a text: its lines, its characters, its fields."""

from collections.abc import Callable, Iterator, Sequence

from kinspect.artifacts.build.symvers import Layout, Symvers
from kinspect.checks.check import Evidence, Severity, check

MOST = 20
"""Lines with one fault that are listed one by one."""


def each(symvers: Symvers, numbers: Sequence[int], evidence: Callable[[int], Evidence]) -> Iterator[Evidence]:
    """Evidence for each of some lines by their numbers; when there are many, the rest are counted."""
    yield from map(evidence, numbers[:MOST])
    if len(numbers) > MOST:
        yield Evidence(f"and {len(numbers) - MOST:,} more such lines", (symvers.line(numbers[MOST]),))


@check(Severity.ERROR)
def symvers_is_not_empty(symvers: Symvers) -> Iterator[Evidence]:
    """The file is not empty.

    Every kernel that loads modules has exports. modpost accepts an empty file without a warning, and every module that
    is built with it lacks the CRCs of the symbols that it uses. Run `make modules` to regenerate the file.
    Source: scripts/mod/modpost.c, read_dump.
    """
    if not symvers.lines:
        yield Evidence("empty file", (symvers.at(),))


@check(Severity.ERROR)
def symvers_ends_with_a_newline(symvers: Symvers) -> Iterator[Evidence]:
    """The last line ends with a newline.

    Otherwise the file was truncated by a full disk or an interrupted copy, and exports are missing from it. modpost
    does not notice. Copy the file or build the modules again.
    Source: scripts/mod/modpost.c, write_dump.
    """
    if symvers.data and not symvers.data.endswith(b"\n"):
        yield Evidence(
            "no newline at the end of the last line: the file is truncated", (symvers.line(len(symvers.lines)),)
        )


@check(Severity.WARNING)
def symvers_has_unix_line_ends(symvers: Symvers) -> Iterator[Evidence]:
    """No line ends with a carriage return.

    modpost takes it as part of the namespace, so modules that use the symbol are refused: they do not import a
    namespace with that name. Convert the file (`dos2unix`).
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

    Names of symbols and modules contain no other characters: a NUL, an escape or a byte above 0x7e means that the file
    is corrupt, and its exports cannot be trusted. Build the modules again to regenerate it.
    Source: scripts/mod/modpost.c, write_dump.
    """

    def evidence(number: int) -> Evidence:
        text = symvers.lines[number - 1].replace("\t", "")
        first = next(character for character in text if not (character.isascii() and character.isprintable()))
        return Evidence(
            "not printable ASCII",
            (symvers.line(number),),
            actual=first.encode("ascii", "surrogateescape"),
        )

    yield from each(symvers, symvers.unprintable, evidence)


@check(Severity.ERROR)
def symvers_lines_have_all_fields(symvers: Symvers) -> Iterator[Evidence]:
    """Every line has the number of fields that the layout of the file requires, separated by tabs.

    There are five fields since 5.4 (a line without a namespace ends with a tab), and four before. modpost refuses the
    file if a line has fewer, and misinterprets fields if it has more. The file was edited, perhaps with an editor that
    replaces tabs with blanks; build the modules again to regenerate it.
    Source: scripts/mod/modpost.c, read_dump.
    """
    expected = "4 fields" if symvers.layout == Layout.NO_NAMESPACE else "5 fields"
    fields = {line.number: line.fields for line in symvers.broken}

    def evidence(number: int) -> Evidence:
        count = symvers.lines[number - 1].count("\t") + 1
        name = fields[number][1] if count > 1 else ""
        actual = f"{count}" if symvers.lines[number - 1] else "a blank line"
        return Evidence("wrong number of fields", (symvers.line(number, name),), expected, actual)

    if fields and len(fields) == len(symvers.lines) and not any("\t" in line for line in symvers.lines):
        blanks = "blanks, not tabs, separate the fields" if " " in symvers.lines[0] else "no line has a tab"
        yield Evidence(f"{blanks}: modpost refuses the file", (symvers.line(1),), expected)
    else:
        yield from each(symvers, list(fields), evidence)
