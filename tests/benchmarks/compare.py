"""kinspect beside the tools that users run today, in pairs, in one run.

    python -m tests.benchmarks.compare                     # everything, on the terminal
    python -m tests.benchmarks.compare --rows size,diff    # the rows whose name contains one of these words
    python -m tests.benchmarks.compare --kernels cloud     # the kernels whose folder or version matches this
    python -m tests.benchmarks.compare --write             # also into docs/performance.md, where it replaces old rows

Whole processes with a warm page cache, started in turn on the same input: below 1 kinspect is faster. On a machine that
others use too, `--processor` compares the time of processors (user and system) instead of the clock.
"""

import argparse
import os
import platform
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from tests.benchmarks.doubling import growth
from tests.benchmarks.jobs import CORPUS, JOBS, TITLES, Job, Release, Wanted, is_installed, releases
from tests.benchmarks.measure import KINSPECT, PYTHON, ROOT, Comparison, compared, compile_sources, instructions
from tests.benchmarks.page import PAGE, Table, page_with

_SAMPLE = str(ROOT / "samples" / "hello")
_START_UP = (
    ("--version",),
    ("file", f"{_SAMPLE}/Image"),
    ("image", f"{_SAMPLE}/Image"),
    ("vmlinux", f"{_SAMPLE}/vmlinux"),
    ("diff", f"{_SAMPLE}/vmlinux", f"{_SAMPLE}/Image"),
    ("size", f"{_SAMPLE}/vmlinux"),
    ("size", f"{_SAMPLE}/vmlinux", "--by", "symbol"),
    ("modules", f"{_SAMPLE}/modules"),
    ("check", f"{_SAMPLE}/vmlinux", f"{_SAMPLE}/Image"),
)


Rows = Iterator[Sequence[str]]


class Options(NamedTuple):
    """What is measured, and how."""

    words: Sequence[str]
    runs: int
    processor: bool

    def chooses(self, name: str) -> bool:
        """Whether a row is measured."""
        return not self.words or any(word in name for word in self.words)


def compared_rows(options: Options, kernels: Sequence[Release]) -> Rows:
    """A row for each job that can be measured here."""
    for job in JOBS:
        chosen = [kernel for kernel in kernels if not job.suffix or kernel.suffix == job.suffix][-job.kernels :]
        if not options.chooses(job.name):
            continue
        if not chosen:
            print(f"{job.name}: not measured, no kernel with {job.suffix} modules", file=sys.stderr)
            continue
        both = [job.commands(kernel) for kernel in chosen]
        if not is_installed(job.theirs):
            both = [commands._replace(theirs=()) for commands in both]
        found = [compared(*commands, runs=options.runs, processor=options.processor) for commands in both]
        yield _row(job, [kernel.name for kernel in chosen], found, options)


def _row(job: Job, names: Sequence[str], found: Sequence[Comparison], options: Options) -> Sequence[str]:
    ours = [one.ours.processor if options.processor else one.ours.clock for one in found]
    theirs = [one.theirs.processor if options.processor else one.theirs.clock for one in found if one.theirs]
    wanted = [job.wanted_of(number) for number in range(len(found))]
    missed = [
        name
        for name, limit, one, seconds in zip(names, wanted, found, ours, strict=True)
        if _is_missed(limit, one, seconds)
    ]
    limits = " / ".join(dict.fromkeys(map(str, wanted)))
    return (
        f"{job.name} ({' / '.join(names)})",
        f"{_seconds(ours)}, {_megabytes([one.ours.memory for one in found])}",
        f"{TITLES.get(job.theirs, job.theirs)} {_seconds(theirs) or '(not installed)'}" if job.theirs else "-",
        " / ".join(f"{one.ratio:.2f}" for one in found if one.ratio is not None) or "-",
        limits + (f" (missed: {', '.join(missed)})" if missed else ""),
    )


def _is_missed(limit: Wanted, found: Comparison, seconds: float) -> bool:
    sides = (
        (limit.ratio, found.ratio or 0.0),
        (limit.seconds, seconds),
        (limit.memory, found.ours.memory),
    )
    return any(most and actual > most for most, actual in sides)


def _seconds(values: Sequence[float]) -> str:
    """Times in one unit: `12 / 13 ms`, `0.23 / 1.40 s`; empty without any."""
    if not values:
        return ""
    if max(values) < 0.2:
        return " / ".join(f"{1000 * value:.0f}" for value in values) + " ms"
    return " / ".join(f"{value:.2f}" for value in values) + " s"


def _megabytes(values: Sequence[float]) -> str:
    ends = dict.fromkeys(f"{value:.0f}" for value in (min(values), max(values)))
    return f"{'-'.join(ends)} MB"


def growth_table_rows(options: Options) -> Rows:
    """A row for each input that doubles."""
    # Imported now: what this process has in memory counts for those that it starts.

    for name, times in growth(options.chooses):
        yield name, *(f"{1000 * seconds:.0f}" for seconds in times), f"{times[-1] / times[-2]:.1f}"


def start_up_rows(options: Options) -> Rows:
    """A row for each command on the sample: its instructions, and how many times those of `python -c pass`."""
    if not any(options.chooses(f"start-up {' '.join(words)}") for words in _START_UP):
        return
    if shutil.which("valgrind") is None:
        print("start-up: not measured, valgrind is not installed", file=sys.stderr)
        return
    python = instructions(PYTHON)
    yield "python -c pass", f"{python / 1e6:.0f}", "1.0"
    for words in _START_UP:
        name = " ".join(os.path.basename(word) for word in words)
        if options.chooses(f"start-up {name}"):
            count = instructions((sys.executable, *KINSPECT, *words))
            yield f"kinspect {name}", f"{count / 1e6:.0f}", f"{count / python:.1f}"


def tables(
    options: Options, kernels: Sequence[Release]
) -> Iterator[tuple[Table, Callable[[], Iterator[Sequence[str]]]]]:
    """The tables, each with what measures its rows."""
    yield Table.COMPARED, lambda: compared_rows(options, kernels)
    yield Table.GROWTH, lambda: growth_table_rows(options)
    yield Table.START_UP, lambda: start_up_rows(options)


def main() -> None:
    """Measure, print and perhaps write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", default="", metavar="WORD,...", help="rows whose name contains one of these")
    parser.add_argument("--kernels", default="(6.1|6.12|7).*cloud", metavar="REGEX", help="kernels of the corpus")
    parser.add_argument("--runs", type=int, default=9, metavar="N", help="pairs that count (default: 9)")
    parser.add_argument("--processor", action="store_true", help="compare the time of processors, not the clock")
    parser.add_argument("--write", action="store_true", help=f"write the rows into {PAGE.relative_to(ROOT)}")
    given = parser.parse_args()
    options = Options([word for word in given.rows.split(",") if word], given.runs, given.processor)
    if not CORPUS.exists():
        raise SystemExit(f"{CORPUS} is missing: bash tests/corpus/fetch.sh {CORPUS} fetches it")
    compile_sources()
    clock = "Time of processors" if options.processor else "Time on the clock"
    machine = f"{os.cpu_count()} processors, CPython {platform.python_version()}"
    measured: dict[Table, list[Sequence[str]]] = {}
    with tempfile.TemporaryDirectory(dir=CORPUS.parent) as scratch:
        for table, rows in tables(options, releases(Path(scratch), given.kernels)):
            print(f"\n{table.head}", flush=True)
            for row in rows():
                measured.setdefault(table, []).append(row)
                print(f"| {' | '.join(row)} |", flush=True)
                if given.write:
                    # After each row: a run takes half an hour, and may be interrupted.
                    PAGE.write_text(page_with(measured, f"{clock}, median of {options.runs} pairs, {machine}"))


if __name__ == "__main__":
    main()
