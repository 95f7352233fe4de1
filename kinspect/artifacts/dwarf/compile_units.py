"""The compile units of a vmlinux in link order: source files and their addresses.

Names come from the first entry of each unit; addresses from `.debug_aranges`, or from the unit's own ranges where it
has none there (clang writes none).
"""

import posixpath
from collections import Counter
from functools import cached_property
from typing import NamedTuple

from kinspect.artifacts.dwarf.attributes import AttributeValues, Range
from kinspect.artifacts.dwarf.units import UnitHead, aranges, unit_heads
from kinspect.artifacts.elf.debug_file import with_debug_info
from kinspect.artifacts.elf.file import Elf

_PART = "/@/"
_NAME, _COMP_DIR, _DWO_NAME, _GNU_DWO_NAME = 0x03, 0x1B, 0x76, 0x2130


class CompileUnit(NamedTuple):
    """A source file as it was compiled. `path` is relative to the kernel's sources if it is below them.

    `part` is rustc's name of the codegen unit, empty for other compilers.
    """

    path: str
    part: str
    ranges: tuple[Range, ...]


class CompileUnits:
    """The compile units of an ELF file, from its DWARF or that of its separate debug file."""

    def __init__(self, artifact: Elf) -> None:
        self._artifact = with_debug_info(artifact)
        self._values = AttributeValues(self._artifact)

    @cached_property
    def units(self) -> tuple[CompileUnit, ...]:
        """The units that have a name, in link order. TruncatedError when a section reaches past the file."""
        known: dict[int, list[Range]] = {}
        for start, end, unit in aranges(self._artifact):
            known.setdefault(unit, []).append((start, end))
        names, folders, ranges = [], [], []
        for head in unit_heads(self._artifact):
            name = self._values.text(head, _NAME) or self._split_name(head)
            if name is not None:
                names.append(name)
                folders.append(self._values.text(head, _COMP_DIR) or "")
                ranges.append(tuple(known.get(head.offset) or self._values.ranges(head)))
        parts = [name.partition(_PART)[2] for name in names]
        paths = source_paths([name.partition(_PART)[0] for name in names], folders)
        return tuple(map(CompileUnit, paths, parts, ranges))

    @cached_property
    def own_ranges(self) -> list[tuple[int, int, int]]:
        """Address ranges (start, end, offset of the unit) as the units themselves state them, sorted."""
        heads = unit_heads(self._artifact)
        return sorted((start, end, head.offset) for head in heads for start, end in self._values.ranges(head))

    def _split_name(self, head: UnitHead) -> str | None:
        """The source of a unit whose DWARF is in a .dwo file, which is named as its object.

        Only C is compiled to .dwo files (CONFIG_DEBUG_INFO_SPLIT).
        """
        found = self._values.text(head, _DWO_NAME) or self._values.text(head, _GNU_DWO_NAME)
        return f"{found.removesuffix('.dwo')}.c" if found else None


def source_paths(names: list[str], folders: list[str]) -> list[str]:
    """The paths of source files relative to the kernel's sources, from names and the folders where compilers ran.

    A kernel that is built outside its sources has absolute names, or names with `..`. The root of the sources is the
    folder of `init/main.c`, which every kernel has; without it, the folder above two that other paths begin with.
    """
    paths = []
    for name, folder in zip(names, folders, strict=True):
        path = posixpath.join(folder, name) if folder.startswith("/") else name
        paths.append(posixpath.normpath(path))
    outside = [path for path in paths if path.startswith(("/", ".."))]
    roots = Counter(path.removesuffix("init/main.c") for path in outside if path.endswith("/init/main.c"))
    if outside and not roots:
        tops = {tuple(path.split("/")[:2]) for path in paths}
        for path in outside:
            parts = path.split("/")
            places = (at for at in range(1, len(parts) - 2) if tuple(parts[at : at + 2]) in tops)
            roots.update("/".join(parts[:at]) + "/" for at in places)
    root = roots.most_common(1)[0][0] if roots else ""
    # Generated files are below the folder where the build ran, at the same paths as in the sources.
    built = Counter(folders).most_common(1)[0][0] + "/" if folders else ""
    return [path.removeprefix(built if path.startswith(built) else root) for path in paths]
