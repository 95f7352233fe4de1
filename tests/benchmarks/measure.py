"""Whole processes, timed: one alone, and two in turn."""

import os
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
KINSPECT = (str(Path(sys.executable).parent / "kinspect"),)
PYTHON = (sys.executable, "-c", "pass")
_ENVIRONMENT = {
    **{name: value for name, value in os.environ.items() if not name.startswith("PYTHON")},
    "PYTHONHASHSEED": "0",
    # depmod lies where an ordinary user does not look.
    "PATH": os.environ.get("PATH", "") + ":/usr/sbin:/sbin",
    "LC_ALL": "C.UTF-8",
}


class Cost(NamedTuple):
    """One process and those that it started: seconds on the clock, seconds of processors, peak memory in MB."""

    clock: float
    processor: float
    memory: float


class Comparison(NamedTuple):
    """Medians of both sides, and the median of the ratios pair by pair. `theirs` and `ratio` are None without them."""

    ours: Cost
    theirs: Cost | None
    ratio: float | None


def cost(command: Sequence[str]) -> Cost:
    """Run a command with its output thrown away. SystemExit when it fails: 0 and 1 are no failures."""
    start = time.perf_counter()
    child = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=_ENVIRONMENT)
    _, status, usage = os.wait4(child.pid, 0)
    clock = time.perf_counter() - start
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode not in (0, 1):
        raise SystemExit(f"{' '.join(command)}: exit status {child.returncode}")
    return Cost(clock, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024 / 1e6)


def compared(ours: Sequence[str], theirs: Sequence[str], runs: int, *, processor: bool) -> Comparison:
    """Both commands in turn, after one run of each that does not count; `processor` compares times of processors.

    The ratio is the median of those of the pairs, so that a machine whose speed drifts does not matter.
    """
    sides = [side for side in (ours, theirs) if side]
    for side in sides:
        cost(side)
    pairs = [[cost(side) for side in sides] for _ in range(runs)]
    medians = [_median(runs_of_side) for runs_of_side in zip(*pairs, strict=True)]
    if not theirs:
        return Comparison(medians[0], None, None)
    field = 1 if processor else 0
    return Comparison(medians[0], medians[1], statistics.median(pair[0][field] / pair[1][field] for pair in pairs))


def _median(costs: Sequence[Cost]) -> Cost:
    clock, processor = (statistics.median(times) for times in zip(*(one[:2] for one in costs), strict=True))
    return Cost(clock, processor, max(one.memory for one in costs))


def instructions(command: Sequence[str]) -> int:
    """The instructions that a command executes, as valgrind counts them: the same on every run and machine."""
    counted = ["valgrind", "--tool=callgrind", f"--callgrind-out-file={os.devnull}", *command]
    done = subprocess.run(counted, env=_ENVIRONMENT, capture_output=True, text=True, check=False)
    found = re.search(r"Collected : (\d+)", done.stderr)
    if found is None:
        raise SystemExit(f"{' '.join(counted)}: {done.stderr.strip()[-300:]}")
    return int(found[1])


def compile_sources() -> None:
    """Compile kinspect, as an installed package is; in a checkout it may not be."""
    subprocess.run([sys.executable, "-m", "compileall", "-q", str(ROOT / "kinspect")], check=True)
