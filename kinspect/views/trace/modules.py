"""The modules that a log names: their files, by name and build ID, with symbols and source lines."""

import os
from collections.abc import Sequence
from functools import cached_property
from typing import NamedTuple, Protocol

from kinspect.artifacts.dwarf.frames import SourceFrame, SourceFrames
from kinspect.artifacts.dwarf.relocated import section_address
from kinspect.artifacts.elf.debug_file import symbols_of
from kinspect.artifacts.elf.file import Elf
from kinspect.artifacts.module.scan import module_name
from kinspect.errors import KinspectError, Location, UnreadableError
from kinspect.schemas.elf import ET_REL
from kinspect.source import Source
from kinspect.views.trace.symbols import CodeSymbol, TableSymbols

SUFFIXES = (".ko", ".ko.gz", ".ko.xz", ".ko.zst", ".ko.debug")
"""What the files of modules end with, and separate files with their debug information."""
_MOST_FILES = 200_000
_MOST_OPENED = 8
"""Files of one name that are opened to find the one of a build ID."""
_DYNAMIC = ("bpf", "__builtin__ftrace", "__builtin__kprobes")
"""What the kernel prints as the module of code that it made itself."""


class TracedModule:
    """The file of a module, or its separate debug file."""

    def __init__(self, path: str) -> None:
        # Needed only for logs that name modules.
        from kinspect.artifacts.module.ko import Module

        self.path = path
        self.file = Elf(Source(path, Module(path).data))
        if self.file.header.e_type != ET_REL:
            raise UnreadableError("not a module", self.file.at())

    @cached_property
    def build_id(self) -> str:
        """Its build ID; empty without one."""
        found = self.file.build_id
        return found.hex() if found else ""

    @cached_property
    def symbols(self) -> TableSymbols:
        """Its symbols."""
        return TableSymbols(self.file, symbols_of(self.file, self.file.symbols), linked=False)

    @cached_property
    def has_lines(self) -> bool:
        """Whether it has DWARF."""
        return bool(self._frames)

    @cached_property
    def _frames(self) -> SourceFrames:
        return SourceFrames(self.file, relative=False)

    def frames(self, symbol: CodeSymbol, offset: int) -> tuple[SourceFrame, ...]:
        """The source lines of an offset in a function; none without DWARF. MalformedError when that is broken."""
        if not self.has_lines:
            return ()
        start = section_address(symbol.section) + symbol.address
        return self._frames.at(start + offset, (symbol.name, start))

    def section(self, symbol: CodeSymbol) -> str:
        """The name of the section of a symbol."""
        return self.file.sections[symbol.section].name if symbol.section < len(self.file.sections) else ""


class ModuleSearch(NamedTuple):
    """The file of a module; None with the reason when none fits."""

    module: TracedModule | None
    problem: str


class ModulePackages(Protocol):
    """Packages that modules are unpacked from."""

    paths: tuple[str, ...]

    def files(self, name: str) -> list[str]:
        """The files of a module by its name. Raises KinspectError when a package cannot be read."""
        ...


class TracedModules:
    """The modules below some folders and in packages; each is opened when a log names it."""

    def __init__(self, folders: Sequence[str], packages: ModulePackages | None = None) -> None:
        self.folders, self._packages = tuple(folders), packages
        self._found: dict[tuple[str, str], ModuleSearch] = {}

    @cached_property
    def _paths(self) -> dict[str, list[str]]:
        """The files of each module by name. UnreadableError when a folder cannot be listed."""
        found: dict[str, list[str]] = {}
        count = 0
        for folder in self.folders:
            if os.path.isfile(folder):
                found.setdefault(module_name(folder), []).append(folder)
                continue
            try:
                os.listdir(folder)
            except OSError as reason:
                raise UnreadableError(reason.strerror or str(reason), Location(folder)) from reason
            for below, _, names in os.walk(folder):
                for name in names:
                    if name.endswith(SUFFIXES) and count < _MOST_FILES:
                        count += 1
                        found.setdefault(module_name(name), []).append(os.path.join(below, name))
        return found

    def search(self, name: str, build_id: str) -> ModuleSearch:
        """The file of a module, of that build ID if one is given. UnreadableError when a folder cannot be listed."""
        key = name.replace("-", "_"), build_id
        if key not in self._found:
            self._found[key] = self._search(*key)
        return self._found[key]

    def _search(self, name: str, build_id: str) -> ModuleSearch:
        packages = self._packages.paths if self._packages else ()
        if not (self.folders or packages):
            return ModuleSearch(None, "no modules given (--modules FOLDER)")
        packaged = self._packages.files(name) if self._packages else []
        paths = sorted([*self._paths.get(name, ()), *packaged])[:_MOST_OPENED]
        opened, problems = [], []
        for path in paths:
            try:
                module = TracedModule(path)
                fits = not build_id or module.build_id.startswith(build_id)
                _ = module.symbols
                if fits:
                    opened.append(module)
                else:
                    problems.append(f"{path} is from another build: build ID {module.build_id or 'none'}")
            except KinspectError as error:
                problems.append(str(error))
        # The file with DWARF, where there are several.
        best = next((one for one in opened if _has_lines(one)), opened[0] if opened else None)
        if best:
            return ModuleSearch(best, "")
        places = ", ".join((*self.folders, *packages))
        return ModuleSearch(None, problems[0] if problems else f"no file of that name in {places}")


def _has_lines(module: TracedModule) -> bool:
    try:
        return module.has_lines
    except KinspectError:
        return False


def is_dynamic(name: str) -> bool:
    """Whether code of this module is made by the running kernel, and in no file."""
    return name in _DYNAMIC
