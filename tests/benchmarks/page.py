"""docs/performance.md: its text, and the tables of what was measured last."""

import re
from collections.abc import Mapping, Sequence
from enum import Enum

from tests.benchmarks.jobs import JOBS
from tests.benchmarks.measure import ROOT

PAGE = ROOT / "docs" / "performance.md"


class Table(Enum):
    """The tables of the page, by their columns."""

    COMPARED = ("job", "ours", "theirs", "ratio", "wanted")
    GROWTH = ("input", "once, ms", "twice, ms", "four times, ms", "last doubling")
    START_UP = ("command", "million instructions", "of python")

    @property
    def head(self) -> str:
        """The first two lines of the table."""
        columns = ["---", *["---:"] * (len(self.value) - 1)] if self != Table.COMPARED else ["---"] * len(self.value)
        return f"| {' | '.join(self.value)} |\n| {' | '.join(columns)} |"


_PAGE = """# Performance

Measured by `python -m tests.benchmarks.compare --write`, which replaces the rows that it measures; do not edit the
tables. {how}.

## Compared with the tools that users run today

Whole processes on the kernels of Debian, with a warm page cache, started in turn; the ratio is the median of the ratios
of the pairs, below 1 kinspect is faster. Where several kernels are named, there is one figure for each. Memory is that
of the largest process of kinspect, and at least the 35 MB of the program that measures. `wanted` is what the project
aims at.

{COMPARED}

- **size --by symbol** reads the symbol table as columns, sorts small numbers, and decodes only the names that it shows.
  The sources, which take as long again, are computed only where a name that is shown is not unique, and for `--json`,
  `--format` and `--html`.
- **size --by folder** reads the first entry of each compile unit, not the DWARF below it.
- **image** searches the kernel for its banner, .config, BTF and kallsyms: 0.5 ms a megabyte. A fifth of the rest is the
  import of Construct, which decodes the header.
- **vmlinux** reads all symbols: a check compares each export with them.
- **diff** takes 0.3 ms a megabyte; the rest is start-up.
- **diff of two Images** compares 42,000 functions. Half of them, the strings, the data, and the exports and types are
  compared in other processes. Where code or strings moved, each address that an instruction refers to is looked up.
- **lz4** is decoded in Python unless the extra `lz4` is installed: 300 ns for each of three million matches.

## Growth

Time of the processor when the input doubles, twice. 2.0 is linear.

{GROWTH}

## Start-up

Instructions of a whole run on the small kernel in `samples/hello`, counted by valgrind: they are the same on every run.

{START_UP}
"""


def page_with(measured: Mapping[Table, Sequence[Sequence[str]]], how: str) -> str:
    """The page with the rows that were measured, and all other rows as they are."""
    before = PAGE.read_text() if PAGE.exists() else ""
    found = {}
    for table in Table:
        rows = _rows_in(before, table)
        for row in measured.get(table, ()):
            rows[_key(row[0])] = f"| {' | '.join(row)} |"
        # In the order of the jobs, whichever was measured first.
        order = {job.name: number for number, job in enumerate(JOBS)}
        known = sorted(rows, key=lambda name: order.get(name, len(order)))
        found[table.name] = "\n".join([table.head, *(rows[name] for name in known)])
    return _PAGE.format(how=how[0].upper() + how[1:], **found)


def _rows_in(page: str, table: Table) -> dict[str, str]:
    """The rows of a table, by the names of their jobs."""
    _, _, after = page.partition(table.head + "\n")
    rows = after.partition("\n\n")[0].splitlines()
    return {_key(row.split(" | ")[0].removeprefix("| ")): row for row in rows if row.startswith("| ")}


def _key(job: str) -> str:
    """The name of a job, without the kernels that it was measured on."""
    return re.sub(r" \([\d. /]+\)$", "", job)
