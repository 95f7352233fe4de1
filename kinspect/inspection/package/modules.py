"""Single modules of packages, unpacked when they are asked for: those with debug information are large."""

import os
from collections.abc import Callable, Collection, Sequence
from pathlib import Path

from kinspect.artifacts.module.scan import module_name
from kinspect.artifacts.package.file import Package
from kinspect.artifacts.package.member import PackageMember
from kinspect.inspection.package.naming import UnpackedFile
from kinspect.inspection.package.taken import Packages
from kinspect.source import Source
from kinspect.views.trace.modules import SUFFIXES


class PackagedModules:
    """The modules in some packages by name, with their debug files.

    The modules that `expected` names are unpacked along with the first one that is asked for.
    """

    def __init__(self, packages: Packages, paths: Sequence[str], expected: Callable[[], Collection[str]]) -> None:
        self.paths = tuple(paths)
        self._packages, self._expected = packages, expected
        self._found: dict[str, list[str]] = {}

    def files(self, name: str) -> list[str]:
        """The files of a module, of all packages; a package is read once for each call with a new name.

        Raises KinspectError for a package that cannot be read: once, afterwards it has no such module.
        """
        if name not in self._found:
            wanted = {name, *(() if self._found else self._expected())}
            self._found |= {one: [] for one in wanted}
            for path in self.paths:
                self._unpack(path, wanted)
        return self._found[name]

    def _unpack(self, path: str, names: Collection[str]) -> None:
        def wanted(member: PackageMember) -> bool:
            return member.kind != "folder" and member.path.endswith(SUFFIXES) and module_name(member.path) in names

        folder = self._packages.new_folder()
        members = Package(Source(path)).unpack(Path(folder), wanted)
        there = [member.path for member in members if os.path.isfile(os.path.join(folder, member.path))]
        self._packages.add_names(folder, [UnpackedFile(name, path, name) for name in there], path)
        for name in there:
            self._found[module_name(name)].append(os.path.join(folder, name))
