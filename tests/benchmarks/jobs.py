"""The jobs that are measured: what each is called, what kinspect runs, what its users run today, what is wanted."""

import os
import re
import shutil
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from tests.benchmarks.measure import KINSPECT, PYTHON

CORPUS = Path(os.environ.get("KINSPECT_CORPUS") or Path.home() / ".cache" / "kinspect" / "corpus")
NM, OBJCOPY, ADDR2LINE = (f"aarch64-linux-gnu-{tool}" for tool in ("nm", "objcopy", "addr2line"))
_FLAT = f"{OBJCOPY} -O binary -R .note -R .note.gnu.build-id -R .comment -S"


class Release(NamedTuple):
    """A kernel of the corpus in a folder for scratch files, with its modules as depmod leaves them."""

    folder: Path
    scratch: Path

    @property
    def name(self) -> str:
        """Its version, as far as it tells kernels apart: `6.12`."""
        return ".".join(self.release.split(".")[:2])

    @property
    def release(self) -> str:
        return (self.folder / "release").read_text().strip()

    @property
    def vmlinux(self) -> str:
        return str(self.folder / "vmlinux")

    @property
    def image(self) -> str:
        return str(self.folder / "Image")

    @property
    def symvers(self) -> str:
        return str(self.folder / "Module.symvers")

    @property
    def tree(self) -> str:
        """The folder of modules, linked into the scratch folder, where depmod has run. Made on first use."""
        tree = self.scratch / "lib" / "modules" / self.release
        if not tree.exists():
            shutil.copytree(self.folder / "lib" / "modules" / self.release, tree, symlinks=True, copy_function=_linked)
            depmod = shutil.which("depmod", path=f"{os.environ['PATH']}:/usr/sbin:/sbin")
            if depmod:
                subprocess.run([depmod, "-b", str(self.scratch), self.release], check=True, capture_output=True)
        return str(tree)

    @property
    def suffix(self) -> str:
        """`.ko`, or `.ko.xz`, of its modules."""
        first = next((self.folder / "lib").rglob("*.ko*"))
        return first.name[first.name.index(".ko") :]

    def modules(self, most: int) -> list[str]:
        """Some modules."""
        return [str(path) for path in sorted(Path(self.tree).rglob("*.ko*"))[:most]]


class Commands(NamedTuple):
    """What both run; `theirs` is empty where nobody has such a tool."""

    ours: Sequence[str]
    theirs: Sequence[str] = ()


class Wanted(NamedTuple):
    """The most that is wanted: of theirs as a ratio, in seconds, in MB. 0 sets no limit."""

    ratio: float = 0
    seconds: float = 0
    memory: float = 0

    def __str__(self) -> str:
        limits = ((self.ratio, "of theirs"), (self.seconds, "s"), (self.memory, "MB"))
        return ", ".join(f"≤ {limit:g} {unit}" for limit, unit in limits if limit)


class Job(NamedTuple):
    """One row: on each kernel whose modules have the `suffix`, or on all; with `kernels`, on so many of the newest.

    `theirs` names the tool of the other side, which must be installed; `wanted` is one limit, or one for each kernel.
    """

    name: str
    theirs: str
    commands: Callable[[Release], Commands]
    wanted: Wanted | tuple[Wanted, ...] = Wanted()
    suffix: str = ""
    kernels: int = 0

    def wanted_of(self, number: int) -> Wanted:
        """What is wanted on the kernel of a number."""
        return self.wanted if isinstance(self.wanted, Wanted) else self.wanted[min(number, len(self.wanted) - 1)]


def _linked(source: str, target: str) -> None:
    """A hard link to a file, or a copy on another disk."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)


def _ours(*words: str) -> tuple[str, ...]:
    return (*KINSPECT, *words)


def _depmod(release: Release) -> tuple[str, ...]:
    # Before the tree is used: the property makes it.
    _ = release.tree
    return ("depmod", "-n", "-b", str(release.scratch), release.release)


def _diff(release: Release) -> Commands:
    flat = release.scratch / "flat"
    written = f"{_FLAT} '{release.vmlinux}' '{flat}' && cmp '{flat}' '{release.image}'"
    return Commands(_ours("diff", release.vmlinux, release.image), ("sh", "-c", written))


def _legacy_lz4(release: Release) -> Commands:
    packed = release.scratch / "Image.lz4"
    if not packed.exists():
        subprocess.run(["lz4", "-l", "-9", "-q", "-f", release.image, str(packed)], check=True)
    return Commands(_ours("image", str(packed)), ("lz4", "-d", "-q", "-c", str(packed)))


def _full_package(release: Release) -> Commands:
    return Commands(_ours("check", str(release.folder), release.tree, release.image, release.symvers))


def _traced(release: Release) -> Commands:
    """Twenty addresses in functions of the kernel, with sources, lines and inlined frames."""
    # All names would take memory, which counts for each job that follows.
    some = f"{NM} -n '{release.vmlinux}' | awk '$(NF - 1) ~ /[tT]/ && ++n % 1500 == 0 {{ print $1 }}' | head -n 20"
    listed = subprocess.run(["sh", "-c", some], check=True, capture_output=True, text=True).stdout
    places = [f"{int(address, 16) + 8:x}" for address in listed.split()]
    ours = _ours("trace", release.vmlinux, "--at", ",".join(places))
    return Commands(ours, (ADDR2LINE, "-i", "-f", "-e", release.vmlinux, *places))


def _two_images(old: str, new: str) -> Callable[[Release], Commands]:
    return lambda _: Commands(_ours("diff", str(CORPUS / old / "Image"), str(CORPUS / new / "Image")))


def _dtbs(_: Release) -> Commands:
    paths = [str(path) for path in sorted((CORPUS / "dtbs").rglob("*.dtb"))[:200]]
    written = ["sh", "-c", 'for one; do dtc -q -I dtb -O dts "$one"; done', "dtc", *paths]
    return Commands(_ours("dtb", *paths, "--tree"), written)


def _pairs_of_modules(suffix: str, title: str, wanted: dict[str, Wanted]) -> tuple[Job, ...]:
    def kernel(one: Release) -> tuple[str, ...]:
        return (one.image, one.symvers)

    asked: dict[str, Callable[[Release], tuple[str, ...]]] = {
        "modules": lambda one: ("modules", one.tree, "-q"),
        "depmod": lambda one: ("depmod", one.tree, "-o", str(one.scratch / "out"), "-q"),
        "modules with Image and symvers": lambda one: (
            *("modules", one.tree, "--vmlinux", one.image, "--symvers", one.symvers, "-q"),
        ),
        "load, whole tree": lambda one: ("load", one.image, one.tree, "-q"),
        "check tree, Image and symvers": lambda one: ("check", one.tree, *kernel(one), "-q"),
    }
    return tuple(
        Job(
            f"{name}, {title}",
            "depmod",
            lambda one, words=words: Commands(_ours(*words(one)), _depmod(one)),  # type: ignore[misc]
            wanted.get(name, Wanted()),
            suffix,
        )
        for name, words in asked.items()
    )


JOBS = (
    Job(
        "size --by symbol --top 50",
        NM,
        lambda one: Commands(
            _ours("size", one.vmlinux, "--by", "symbol", "--top", "50"), (NM, "-S", "--size-sort", one.vmlinux)
        ),
        Wanted(2, memory=110),
    ),
    Job(
        "size --by folder",
        "bloaty",
        lambda one: Commands(
            _ours("size", one.vmlinux, "--by", "folder"), ("bloaty", "-d", "compileunits", one.vmlinux)
        ),
        Wanted(0.08),
    ),
    Job("vmlinux", "python", lambda one: Commands(_ours("vmlinux", one.vmlinux), PYTHON), Wanted(8)),
    *_pairs_of_modules(
        ".ko",
        "plain",
        {
            "modules": Wanted(2),
            "depmod": Wanted(2.5),
            "modules with Image and symvers": Wanted(4),
            "load, whole tree": Wanted(4),
            "check tree, Image and symvers": Wanted(5, memory=200),
        },
    ),
    *_pairs_of_modules(
        ".ko.xz",
        "xz",
        {
            "modules": Wanted(0.8),
            "modules with Image and symvers": Wanted(1.3),
            "load, whole tree": Wanted(1.2),
            "check tree, Image and symvers": Wanted(1.6, memory=200),
        },
    ),
    Job("check of a whole package", "", _full_package, Wanted(seconds=8, memory=250)),
    Job("image", "python", lambda one: Commands(_ours("image", one.image), PYTHON), Wanted(6)),
    Job("file", "file", lambda one: Commands(_ours("file", one.image), ("file", one.image)), Wanted(1.8)),
    Job("diff", OBJCOPY, _diff, (Wanted(0.6), Wanted(0.5), Wanted(0.4))),
    Job(
        "diff of two Images, one fix",
        "",
        _two_images("bookworm-cloud-unfixed", "bookworm-cloud-fixed"),
        Wanted(seconds=2, memory=250),
        ".ko",
    ),
    Job(
        "diff of two Images, many fixes",
        "",
        _two_images("bookworm-cloud-before", "bookworm-cloud"),
        Wanted(memory=250),
        ".ko",
    ),
    Job(
        "symbols of an Image",
        "",
        lambda one: Commands(_ours("symbols", one.image, "--format", "nm")),
        Wanted(seconds=0.4, memory=140),
    ),
    Job("trace --at, 20 addresses", ADDR2LINE, _traced, Wanted(1)),
    Job("image, lz4 -l", "lz4", _legacy_lz4, Wanted(seconds=0.6), kernels=1),
    Job(
        "module --modinfo, 100 modules",
        "modinfo",
        lambda one: Commands(_ours("module", "--modinfo", *one.modules(100)), ("modinfo", *one.modules(100))),
    ),
    Job("dtb --tree, 200 trees", "dtc", _dtbs, kernels=1),
    Job(
        "types task_struct",
        "pahole",
        lambda one: Commands(_ours("types", one.vmlinux, "task_struct"), ("pahole", "-C", "task_struct", one.vmlinux)),
    ),
)


def releases(scratch: Path, names: str) -> list[Release]:
    """The kernels of the corpus whose folder or version matches a regular expression, the oldest first."""
    found = []
    for folder in sorted(CORPUS.iterdir()):
        if (folder / "vmlinux").exists() and (folder / "Image").exists() and (folder / "release").exists():
            release = Release(folder, scratch / folder.name)
            if re.search(names, f"{folder.name} {release.release}"):
                release.scratch.mkdir()
                found.append(release)
    return sorted(found, key=lambda one: [int(part) for part in re.findall(r"\d+", one.release)[:3]])


TITLES = {
    "": "-",
    NM: "nm -S --size-sort",
    OBJCOPY: "objcopy + cmp",
    ADDR2LINE: "addr2line -i",
    "bloaty": "bloaty -d compileunits",
    "depmod": "depmod -n",
    "dtc": "dtc -O dts",
    "lz4": "lz4 -d",
    "pahole": "pahole -C",
    "python": "python -c pass",
}
"""What the other side runs, where its tool alone does not say it."""


def is_installed(tool: str) -> bool:
    """Whether the other side of a job can run."""
    return tool in ("", "python") or shutil.which(tool, path=f"{os.environ['PATH']}:/usr/sbin:/sbin") is not None
