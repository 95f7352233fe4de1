"""How the time of a command grows when its input doubles: `python -m tests.benchmarks.doubling [NAME]`.

Some inputs are hostile, some only large.

A linear command takes twice as long. Status 1 when one takes more than MOST times as long.
"""

import contextlib
import gc
import io
import resource
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

from kinspect.cli import main
from kinspect.schemas.elf import SHF_ALLOC, SHF_EXECINSTR, Rela
from kinspect.schemas.record import build
from tests.conftest import SAMPLE
from tests.support import Named, Part, elf_of
from tests.toy_dtb import Toy, cells, toy
from tests.toy_tree import RELEASE, ko

SIZES = (1, 2, 4)
MOST = 3.5
SYMVERS, VMLINUX = str(SAMPLE / "modules/Module.symvers"), str(SAMPLE / "vmlinux")
TREE = str(SAMPLE / "modules/lib/modules/6.1.0-hello")


class Input(NamedTuple):
    """An input: the contents of a file of a size, or of the files of a folder, and the command that reads it."""

    contents: Callable[[int], bytes | dict[str, bytes]]
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


def _modules(number: int) -> dict[str, bytes]:
    names = [f"toy{index}" for index in range(250 * number)]
    files = {
        f"kernel/{name}.ko": ko([name], [before], [], [], [f"name={name}", "license=GPL", f"vermagic={RELEASE} SMP"])
        for before, name in pairwise(["printk", *names])
    }
    return {**files, "modules.order": "".join(f"{path}\n" for path in files).encode()}


def _trees(number: int) -> dict[str, bytes]:
    nodes = [Toy(f"device@{index}", [("reg", cells(index, 1)), ("status", b"okay\0")]) for index in range(50)]
    return {f"board{index}.dtb": toy(*nodes) for index in range(100 * number)}


def _kernel(symbols: int, relocations: int) -> bytes:
    start, size = 0xFFFF800080000000, 16 * symbols
    code = Part(".text", bytes(size), start, SHF_ALLOC | SHF_EXECINSTR)
    rows = b"".join(build(Rela(start + 16 * (index % symbols), 1027, index)) for index in range(relocations))
    functions = [Named(f"function{index}", start + 16 * index, 1, size=12) for index in range(symbols)]
    edges = [Named("_text", start), Named("_end", start + size)]
    return elf_of(code, Part(".rela.dyn", rows, start + size, SHF_ALLOC), symbols=[*edges, *functions])


def _symbols(number: int) -> bytes:
    return _kernel(5000 * number, 1)


def _rows(number: int) -> bytes:
    return _kernel(100, 10000 * number)


INPUTS = {
    "modules": Input(_modules, ("modules", "FILE")),
    "modules that are checked": Input(_modules, ("check", "FILE")),
    "device trees": Input(_trees, ("check", "FILE")),
    "symbols": Input(_symbols, ("size", "FILE", "--by", "symbol")),
    "rows of a table": Input(_rows, ("vmlinux", "FILE", "--table", ".rela.dyn")),
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
    """The time of processors that a command takes, with the processes that it starts: the best of three runs."""
    times = []
    gc.disable()  # as the console script does
    for _ in range(3):
        start = _processor_time()
        streams = [io.TextIOWrapper(io.BytesIO()) for _ in range(2)]
        with contextlib.redirect_stdout(streams[0]), contextlib.redirect_stderr(streams[1]):
            main(command)
        times.append(_processor_time() - start)
    return min(times)


def _processor_time() -> float:
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


def growth(chooses: Callable[[str], bool]) -> Iterator[tuple[str, list[float]]]:
    """The name of each chosen input, and the seconds for each of SIZES."""
    with tempfile.TemporaryDirectory() as folder:
        rules = Path(folder) / "Module.symvers"
        rules.write_bytes(_exports(1))
        for name, (contents, command) in INPUTS.items():
            if not chooses(name):
                continue
            times = []
            for size in SIZES:
                path = _written(Path(folder) / f"input{size}", contents(size))
                words = [str(path) if word == "FILE" else word for word in command]
                if name == "rules":
                    words[2] = str(rules)
                times.append(seconds(words))
            yield name, times


def _written(path: Path, contents: bytes | dict[str, bytes]) -> Path:
    """A file, or a folder of files, with these contents."""
    if isinstance(contents, bytes):
        path = path.with_suffix(".conf")
        path.write_bytes(contents)
        return path
    shutil.rmtree(path, ignore_errors=True)
    root = path / "lib" / "modules" / RELEASE
    for name, data in contents.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(data)
    return root


def run(only: str) -> int:
    """Print a row for each input."""
    worst = 0.0
    for name, times in growth(lambda name: only in name):
        ratio = times[-1] / times[-2]
        worst = max(worst, ratio)
        sys.stdout.write(f"{name:30} {'  '.join(f'{one:7.3f} s' for one in times)}  x {ratio:.1f}\n")
    return int(worst > MOST)


if __name__ == "__main__":
    sys.exit(run(sys.argv[1] if len(sys.argv) > 1 else ""))
