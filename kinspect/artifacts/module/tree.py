"""A folder of modules: lib/modules/RELEASE, a folder that contains one, or a build tree.

The text files and indexes beside the modules are read on demand, the modules all at once, keeping a summary of each.
"""

import os
import re
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import NamedTuple, TypeVar

from kinspect.artifacts.artifact import Artifact
from kinspect.artifacts.depmod.kmod_index import KmodIndex
from kinspect.artifacts.depmod.modules_dep import ModulesDep
from kinspect.artifacts.kinds import advice
from kinspect.artifacts.module.ko import LARGEST_MODULE, Module
from kinspect.artifacts.module.scan import ModuleFile, ScanFault, scan
from kinspect.artifacts.module.summary import ModuleSummary, summary
from kinspect.artifacts.raw.limits import HEAD, unpacked_limit
from kinspect.errors import Location, UnreadableError, UnsupportedError
from kinspect.source import Source
from kinspect.workers import OnProgress, processors, results

TEXTS = ("dep", "alias", "symbols", "softdep", "weakdep", "devname")
INDEXES = ("dep.bin", "alias.bin", "symbols.bin", "builtin.bin", "builtin.alias.bin")
FROM_BUILD = ("order", "builtin", "builtin.modinfo")
"""The files beside the modules, without the prefix `modules.`: those of depmod, and those of the kernel's build."""
LARGEST_TEXT = 16 << 20
_IN_ANOTHER = re.compile(r"(?:^|/)lib/modules/[^/]+/")
"""Modules that were installed to a folder inside that of the build."""

T = TypeVar("T")


class ModuleTreeFacts(NamedTuple):
    """The contents of a folder of modules. `release` may be empty; `others` are the files beside the modules."""

    path: str
    root: str
    release: str
    modules: int
    compressed: int
    others: tuple[str, ...]


class ModuleTree(Artifact):
    """A folder of modules. All paths are relative to `root`.

    `config` are files and folders of depmod.d, which decide between several modules of the same name. There is no
    default: the configuration of this machine is not that of the tree.
    """

    kind = "a folder of kernel modules"
    hint = "`kinspect modules` checks it"

    def __init__(self, source: Source | str | os.PathLike[str], config: Sequence[str] = ()) -> None:
        super().__init__(source)
        self.config = tuple(config)

    @cached_property
    def root(self) -> str:
        """The folder itself, or the only release in the lib/modules below it.

        Raises UnreadableError when it is not a folder, UnsupportedError when there are several releases.
        """
        if not os.path.isdir(self.path):
            problem = "No such file or directory"
            if os.path.lexists(self.path):
                problem = f"not a folder{advice(self.source.head(HEAD))}"
            raise UnreadableError(problem, self.at(), expected="a folder of modules")
        if not _holds_modules(self.path):
            for below in ("lib/modules", "usr/lib/modules", ""):
                releases = [path for path in _folders(os.path.join(self.path, below)) if _holds_modules(path)]
                if len(releases) > 1:
                    names = ", ".join(os.path.basename(path) for path in releases)
                    raise UnsupportedError("contains several releases: give the path of one", self.at(), actual=names)
                if releases:
                    return releases[0]
        return os.path.normpath(self.path)

    @property
    def of_a_build(self) -> bool:
        """Whether it is the folder of a build (O=), where modules are not installed yet."""
        return os.path.isdir(os.path.join(self.root, "include/config"))

    @property
    def flat(self) -> bool:
        """Whether modules were only copied to it, as to a dist folder: it is neither that of a build nor of a release.

        The modules may be some of a build's, and their paths are not those of the build.
        """
        return not (self.of_a_build or _holds_modules(self.root) or self.release)

    @property
    def release(self) -> str:
        """The kernel's release: the folder's name, or that of a build tree's kernel.release; empty without either."""
        above, name = os.path.split(os.path.abspath(self.root))
        if os.path.basename(above) == "modules" and (name[:1].isdigit() or above.endswith("/lib/modules")):
            return name
        path = os.path.join(self.root, "include/config/kernel.release")
        return self._bytes_of(path).decode("utf-8", "surrogateescape").strip() if os.path.isfile(path) else ""

    @property
    def size(self) -> int:
        """The size of all module files in bytes."""
        return sum(file.size for file in self.files)

    @property
    def facts(self) -> ModuleTreeFacts:
        """The contents of the folder. Raises as `files` does."""
        compressed = sum(not file.path.endswith(".ko") for file in self.files)
        names = (f"modules.{name}" for name in (*FROM_BUILD, *TEXTS, *INDEXES))
        others = tuple(name for name in names if os.path.isfile(os.path.join(self.root, name)))
        return ModuleTreeFacts(self.path, self.root, self.release, len(self.files), compressed, others)

    @cached_property
    def _scanned(self) -> tuple[tuple[ModuleFile, ...], tuple[ScanFault, ...]]:
        files: list[ModuleFile] = []
        faults: list[ScanFault] = []
        built = self.of_a_build
        for found in scan(self.root):
            if built and _IN_ANOTHER.search(found.path):
                continue
            if isinstance(found, ModuleFile):
                files.append(found)
            else:
                faults.append(found)
        return tuple(files), tuple(faults)

    @property
    def files(self) -> tuple[ModuleFile, ...]:
        """The module files in the order of readdir(). Raises as `root` and `scan` do."""
        return self._scanned[0]

    @property
    def faults(self) -> tuple[ScanFault, ...]:
        """The entries that could not be followed, and links beside the modules that lead out of the tree."""
        outside = (ScanFault(name, "a link that leads out of the tree: it is not read") for name in self._outside)
        return (*self._scanned[1], *outside)

    @cached_property
    def _outside(self) -> tuple[str, ...]:
        """The files beside the modules that are links to files outside the folder, whose text nobody wants printed."""
        names = (f"modules.{name}" for name in (*TEXTS, *INDEXES, *FROM_BUILD))
        top = os.path.realpath(self.path)
        links = [name for name in names if os.path.islink(os.path.join(self.root, name))]
        real = {name: os.path.realpath(os.path.join(self.root, name)) for name in links}
        return tuple(name for name in links if os.path.commonpath((top, real[name])) != top)

    def _path_of(self, name: str) -> str | None:
        """The path of a file beside the modules; None when it does not exist or leads out of the tree."""
        path = os.path.join(self.root, name)
        return path if os.path.lexists(path) and name not in self._outside else None

    @cached_property
    def modules(self) -> tuple[ModuleSummary, ...]:
        """A summary of every module, in the order of `files`, including modules of the same name."""
        return self.read()

    def read(self, on_progress: OnProgress | None = None) -> tuple[ModuleSummary, ...]:
        """Read all modules, in several processes when there are many."""
        self.judged(lambda _, __: None, on_progress)
        return self.modules

    def judged(self, judge: Callable[[Module, str], T], on_progress: OnProgress | None = None) -> list[T]:
        """Read all modules: the results of `judge`, in the order of `files`.

        It is called with each module while its bytes are in memory, and its path below the folder.
        """

        def work(file: ModuleFile) -> tuple[T, ModuleSummary]:
            module = Module(os.path.join(self.root, file.path))
            return judge(module, file.path), summary(module, file.path)

        # All processes together may hold no more than a single one may.
        most = LARGEST_MODULE // processors()
        found = results(work, self.files, on_progress, lambda file: _largest(file) > most)
        self.__dict__["modules"] = tuple(kept for _, kept in found)
        return [judgement for judgement, _ in found]

    def source_of(self, name: str) -> Source | None:
        """A file beside the modules by its name (`modules.dep`); None without one, or when it leads out of the tree."""
        path = self._path_of(name)
        return Source(path) if path else None

    def text(self, name: str) -> bytes | None:
        """The contents of a file beside the modules; None when it does not exist. UnsupportedError over 16 MiB."""
        path = self._path_of(name)
        return self._bytes_of(path) if path else None

    def index(self, name: str) -> KmodIndex | None:
        """An index beside the modules by its name (`modules.dep.bin`); None when it does not exist."""
        source = self.source_of(name)
        return KmodIndex(source) if source else None

    @cached_property
    def dep(self) -> ModulesDep | None:
        """The modules.dep; None when it does not exist."""
        source = self.source_of("modules.dep")
        return ModulesDep(source, lambda: (file.path for file in self.files)) if source else None

    def location(self, path: str, part: str = "", line: int | None = None) -> Location:
        """A location in a file of the tree."""
        return Location(os.path.join(self.root, path), part, None, line)

    def _bytes_of(self, path: str) -> bytes:
        source = Source(path)
        if source.size > LARGEST_TEXT:
            expected = f"at most {LARGEST_TEXT:,} bytes"
            raise UnsupportedError("too large", Location(path), expected=expected, actual=source.size)
        return source.read(0, source.size)


def _holds_modules(folder: str) -> bool:
    """Whether a folder is that of a release: it has a folder `kernel`, or a file that belongs beside modules."""
    marks = ("kernel", *(f"modules.{name}" for name in ("order", "dep", "builtin")))
    return any(os.path.exists(os.path.join(folder, mark)) for mark in marks)


def _folders(folder: str) -> list[str]:
    try:
        with os.scandir(folder) as entries:
            return sorted(entry.path for entry in entries if entry.is_dir())
    except OSError:
        return []


def _largest(file: ModuleFile) -> int:
    """The bytes that a module may have in memory."""
    return file.size if file.path.endswith(".ko") else unpacked_limit(file.size, LARGEST_MODULE)
