"""Endless and lying texts beside modules: findings, in bounded time and memory.

The numbers are those of the table of hostile inputs that tests/test_hostile.py follows.
"""

import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.conftest import SAMPLE

TREE = SAMPLE / "modules/lib/modules/6.1.0-hello"
MIB = 1 << 20


class Cost(NamedTuple):
    """What one call took: seconds, and its peak memory in MiB."""

    status: int
    out: str
    seconds: float
    memory: float


def judged(folder: Path) -> Cost:
    # What the system tells of a child's memory may be its parent's, from before it became another program.
    code = """if True:
        import re, sys
        from kinspect.cli import main
        status = main(["modules", sys.argv[1]])
        print(re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())[1], file=sys.stderr)
        sys.exit(status)
    """
    start = time.monotonic()
    done = subprocess.run([sys.executable, "-c", code, str(folder)], capture_output=True, text=True, timeout=100)
    return Cost(done.returncode, done.stdout, time.monotonic() - start, int(done.stderr) / 1024)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    return Path(shutil.copytree(TREE, tmp_path / "tree"))


LINES: dict[str, tuple[bytes, int]] = {
    "names": (b"kernel/a.ko: kernel/b.ko", 40 * MIB // 10),
    "blanks": (b" ", 100 * MIB),
    "NULs": (b"\0", 100 * MIB),
}


@pytest.mark.parametrize("name", LINES)
@pytest.mark.parametrize("end", [b"\n", b""], ids=["ends", "does not end"])
def test_39_a_line_of_100_mb(name: str, end: bytes, tree: Path) -> None:
    part, times = LINES[name]
    with (tree / "modules.dep").open("ab") as file:
        for _ in range(10):
            file.write(part * (times // 10))
        file.write(end)
    assert (tree / "modules.dep").stat().st_size > 95 * MIB
    found = judged(tree)
    assert found.status == 1
    assert "the line is too long: expected at most 1,048,576 bytes" in found.out
    assert found.out.count("\nerror ") == 1
    assert found.memory < 60
    assert found.seconds < 10


FLOODS: dict[str, Callable[[int], bytes]] = {
    "rows": lambda number: b"k/%x.ko:\n" % number,
    "one row": lambda _: b"a.ko:\n",
    "a chain": lambda number: b"k/%x.ko: k/%x.ko\n" % (number, number + 1),
    "needs": lambda number: b" %x.ko" % number if number % 50_000 else b"\nk/%x.ko:" % number,
    "blank lines": lambda _: b"\n",
}


@pytest.mark.parametrize("name", FLOODS)
@pytest.mark.parametrize("size", [3 * MIB, 100 * MIB], ids=["3 MiB", "100 MiB"])
def test_lines_without_number(name: str, size: int, tree: Path) -> None:
    rows, length = list[bytes](), 0
    while length < min(size, 3 * MIB):
        rows.append(FLOODS[name](len(rows)))
        length += len(rows[-1])
    (tree / "modules.dep").write_bytes(b"".join(rows) * (size // (3 * MIB)))
    found = judged(tree)
    assert found.status == (1 if size < 4 * MIB else 2)
    assert ("too much text" in found.out) == (found.status == 2)
    assert found.out.count("\n") < 2000
    assert found.memory < 400
    assert found.seconds < 20
