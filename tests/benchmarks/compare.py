"""kinspect beside the tools that users run today, in pairs, in one run: `python tests/benchmarks/compare.py [RUNS]`.

Each row is a whole process of ours and one of theirs, started in turn on the same input, with a warm page cache. The
ratio is the median of the ratios pair by pair, so that a machine whose speed drifts does not matter; below 1 we are
faster. Memory is the peak of the largest process, and at least what this program took before it started one.
"""

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

CORPUS = Path(os.environ.get("KINSPECT_CORPUS") or Path.home() / ".cache" / "kinspect" / "corpus")
KINSPECT = [str(Path(sys.executable).parent / "kinspect")]
PYTHON = [sys.executable, "-c", "pass"]


class Pair(NamedTuple):
    """One question asked of both."""

    what: str
    ours: list[str]
    theirs: list[str]


class Cost(NamedTuple):
    """One process: seconds on the clock, peak memory in MiB."""

    seconds: float
    memory: float


def cost(command: list[str]) -> Cost:
    """Run a command with its output thrown away."""
    start = time.perf_counter()
    child = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(child.pid, 0)
    seconds = time.perf_counter() - start
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode not in (0, 1):
        raise SystemExit(f"{' '.join(command)}: exit status {child.returncode}")
    return Cost(seconds, usage.ru_maxrss / 1024)


def pairs(folder: Path, scratch: str) -> list[Pair]:
    """The questions on one kernel."""
    vmlinux, image = str(folder / "vmlinux"), str(folder / "Image")
    flat = f"{scratch}/flat"
    objcopy = "aarch64-linux-gnu-objcopy -O binary -R .note -R .note.gnu.build-id -R .comment -S"
    written = ["sh", "-c", f"{objcopy} '{vmlinux}' '{flat}' && cmp '{flat}' '{image}'"]
    readelf = ["aarch64-linux-gnu-readelf"]
    return [
        Pair("image / python", [*KINSPECT, "image", image], PYTHON),
        Pair("image / file", [*KINSPECT, "image", image], ["file", image]),
        Pair("file / file", [*KINSPECT, "file", image, vmlinux], ["file", image, vmlinux]),
        Pair("diff / python", [*KINSPECT, "diff", vmlinux, image], PYTHON),
        Pair("diff / objcopy + cmp", [*KINSPECT, "diff", vmlinux, image], written),
        Pair("vmlinux / readelf -hlSW", [*KINSPECT, "vmlinux", vmlinux], [*readelf, "-hlSW", vmlinux]),
        Pair(
            "--table .symtab / readelf -sW",
            [*KINSPECT, "vmlinux", vmlinux, "--table", ".symtab"],
            [*readelf, "-sW", vmlinux],
        ),
        Pair("size / size -A", [*KINSPECT, "size", vmlinux, image], ["aarch64-linux-gnu-size", "-A", vmlinux]),
        Pair("size --by folder / python", [*KINSPECT, "size", vmlinux, "--by", "folder"], PYTHON),
        Pair(
            "--by symbol / nm -S",
            [*KINSPECT, "size", vmlinux, "--by", "symbol"],
            ["aarch64-linux-gnu-nm", "-S", vmlinux],
        ),
        *(
            Pair(
                f"--by {ours} / bloaty -d {theirs}",
                [*KINSPECT, "size", vmlinux, "--by", ours],
                ["bloaty", "-d", theirs, vmlinux],
            )
            for ours, theirs in (("folder", "compileunits"), ("symbol", "symbols"))
            if shutil.which("bloaty")
        ),
    ]


def linked(source: str, target: str) -> None:
    """A hard link to a file, or a copy on another disk."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)


def module_pairs(folder: Path, scratch: str) -> list[Pair]:
    """The questions on one kernel's modules, in a copy in which depmod has run."""
    release, image, exports = (folder / "release").read_text().strip(), folder / "Image", str(folder / "Module.symvers")
    tree = Path(scratch) / "lib" / "modules" / release
    shutil.copytree(folder / "lib" / "modules" / release, tree, symlinks=True, copy_function=linked)
    depmod = ["depmod", "-b", scratch, release]
    subprocess.run(depmod, check=True, capture_output=True)
    modules = [str(path) for path in sorted(tree.rglob("*.ko*"))[:100]]
    judged = [*KINSPECT, "symvers", exports]
    return [
        Pair("modules / depmod", [*KINSPECT, "modules", str(tree), "-q"], depmod),
        Pair("depmod / depmod", [*KINSPECT, "depmod", str(tree), "-o", f"{scratch}/out", "-q"], depmod),
        Pair("module --modinfo / modinfo, 100", [*KINSPECT, "module", "--modinfo", *modules], ["modinfo", *modules]),
        Pair("symvers / python", judged, PYTHON),
        Pair("symvers --vmlinux Image / python", [*judged, "--vmlinux", str(image)], PYTHON),
    ]


def row(pair: Pair, runs: int) -> str:
    """One line of the table."""
    cost(pair.ours), cost(pair.theirs)
    costs = [(cost(pair.ours), cost(pair.theirs)) for _ in range(runs)]
    ratio = statistics.median(ours.seconds / theirs.seconds for ours, theirs in costs)
    ours, theirs = (statistics.median(side.seconds for side in sides) * 1000 for sides in zip(*costs, strict=True))
    memory = [max(side.memory for side in sides) for sides in zip(*costs, strict=True)]
    return f"{pair.what:32} {ours:8.0f} {theirs:8.0f} {ratio:7.2f} {memory[0]:8.0f} {memory[1]:8.0f}"


def main(runs: int) -> None:
    """Print the table for both kernels."""
    # depmod lies where an ordinary user does not look.
    os.environ["PATH"] += ":/usr/sbin:/sbin"
    for tool in ("file", "aarch64-linux-gnu-objcopy", "depmod", "modinfo"):
        if shutil.which(tool) is None:
            raise SystemExit(f"{tool} is missing: sh tests/tools.sh installs it")
    # An installed package is compiled; a checkout that is run where nothing may be cached is not.
    subprocess.run([sys.executable, "-m", "compileall", "-q", str(Path(__file__).parents[2] / "kinspect")], check=True)
    for folder in (CORPUS / "bookworm-cloud", CORPUS / "backports-cloud"):
        if not folder.exists():
            raise SystemExit(f"{folder} is missing: bash tests/corpus/fetch.sh {CORPUS} fetches it")
        print(f"{(folder / 'release').read_text().strip()}, median of {runs} pairs")
        print(f"{'ours / theirs':32} {'ours ms':>8} {'ms':>8} {'ratio':>7} {'ours MiB':>8} {'MiB':>8}")
        with tempfile.TemporaryDirectory() as scratch:
            for pair in (*pairs(folder, scratch), *module_pairs(folder, scratch)):
                print(row(pair, runs), flush=True)
        print()


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 9)
