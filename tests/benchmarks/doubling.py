"""How the time of a command grows when a hostile input doubles: `python -m tests.benchmarks.doubling [NAME]`.

A linear command takes twice as long. Status 1 when one takes more than MOST times as long.
"""

import contextlib
import io
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from kinspect.cli import main
from tests.conftest import SAMPLE
from tests.toy_dtb import Toy, cells, toy

SIZES = (1, 2, 4)
MOST = 3.5
SYMVERS, VMLINUX = str(SAMPLE / "modules/Module.symvers"), str(SAMPLE / "vmlinux")
TREE = str(SAMPLE / "modules/lib/modules/6.1.0-hello")


class Input(NamedTuple):
    """A hostile input: the contents of a file of a size, and the command that reads it."""

    contents: Callable[[int], bytes]
    command: tuple[str, ...]


def _nodes(number: int) -> bytes:
    return toy(*(Toy(f"a{index}", [("clocks", cells(99))]) for index in range(2000 * number)))


def _aliases(number: int) -> bytes:
    return toy(Toy("aliases", [(f"a{index}", b"/no\0") for index in range(2000 * number)]))


def _exports(number: int) -> bytes:
    return b"".join(b"0x%08x\ts%x\tvmlinux\tEXPORT_SYMBOL\t\n" % (index, index) for index in range(8000 * number))


def _rules(number: int) -> bytes:
    return b"".join(b"SYMBOL z%x* FAIL\n" % index for index in range(8000 * number))


def _overrides(number: int) -> bytes:
    return b"".join(b"override a%x (a+)+%x$ updates\n" % (index, index) for index in range(1000 * number))


def _keys(number: int) -> bytes:
    return b"".join(b"a%x = 1\n" % index for index in range(6000 * number))


def _log(number: int) -> bytes:
    return b"".join(b"  CC      a/b%x.o\na/b%x.c:1:2: error: x\n" % (index, index) for index in range(5000 * number))


def _config(number: int) -> bytes:
    image = (SAMPLE / "Image").read_bytes()
    return image + b"IKCFG_ST\x1f\x8b\x08\0" * (5000 * number)


INPUTS = {
    "references of a device tree": Input(_nodes, ("dtb", "FILE")),
    "aliases of a device tree": Input(_aliases, ("dtb", "FILE")),
    "exports": Input(_exports, ("symvers", "FILE")),
    "changed exports": Input(_exports, ("abi", SYMVERS, "FILE")),
    "rules": Input(_rules, ("abi", SYMVERS, "FILE", "--rules", "FILE")),
    "overrides of depmod.d": Input(_overrides, ("modules", TREE, "-C", "FILE")),
    "keys of TOML": Input(_keys, ("size", VMLINUX, "--budget", "FILE")),
    "a build log": Input(_log, ("log", "FILE")),
    "candidates for a .config": Input(_config, ("image", "FILE")),
}


def seconds(command: list[str]) -> float:
    """The time of the processor that a command takes: the best of three runs."""
    times = []
    for _ in range(3):
        start = time.process_time()
        streams = [io.TextIOWrapper(io.BytesIO()) for _ in range(2)]
        with contextlib.redirect_stdout(streams[0]), contextlib.redirect_stderr(streams[1]):
            main(command)
        times.append(time.process_time() - start)
    return min(times)


def run(only: str) -> int:
    """Print a row for each input."""
    worst = 0.0
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "input.conf"
        rules = Path(folder) / "Module.symvers"
        rules.write_bytes(_exports(1))
        for name, (contents, command) in INPUTS.items():
            if only not in name:
                continue
            times = []
            for size in SIZES:
                path.write_bytes(contents(size))
                words = [str(path) if word == "FILE" else word for word in command]
                if name == "rules":
                    words[2] = str(rules)
                times.append(seconds(words))
            ratio = times[-1] / times[-2]
            worst = max(worst, ratio)
            sys.stdout.write(f"{name:30} {'  '.join(f'{one:7.3f} s' for one in times)}  x {ratio:.1f}\n")
    return int(worst > MOST)


if __name__ == "__main__":
    sys.exit(run(sys.argv[1] if len(sys.argv) > 1 else ""))
