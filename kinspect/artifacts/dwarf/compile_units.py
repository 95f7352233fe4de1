"""The compile units of a vmlinux in link order: source files and their addresses.

Names come from the first entry of each unit; addresses from `.debug_aranges`, or from the unit's own ranges where it
has none there (clang writes none).
"""

import posixpath
import struct
from collections import Counter
from functools import cached_property
from typing import NamedTuple

from kinspect.artifacts.dwarf.units import (
    ADDR,
    ADDRX,
    ADDRX1,
    ADDRX4,
    LINE_STRP,
    RNGLISTX,
    STRP,
    STRX,
    STRX1,
    STRX4,
    UnitHead,
    aranges,
    dwarf_section,
    number,
    unit_heads,
)
from kinspect.artifacts.elf.debug_file import with_debug_info
from kinspect.artifacts.elf.file import Elf

_PART = "/@/"
_LARGEST_SECTION, _LONGEST_NAME = 16 << 20, 4096
_NAME, _LOW_PC, _HIGH_PC, _COMP_DIR, _RANGES = 0x03, 0x11, 0x12, 0x1B, 0x55
_STR_OFFSETS_BASE, _ADDR_BASE, _RNGLISTS_BASE = 0x72, 0x73, 0x74
_DWO_NAME, _GNU_DWO_NAME = 0x76, 0x2130
_STRINGS = {STRP: ".debug_str", LINE_STRP: ".debug_line_str"}
_INDEXED_STRINGS = (STRX, *range(STRX1, STRX4 + 1))
_ADDRESSES = (ADDR, ADDRX, *range(ADDRX1, ADDRX4 + 1))
# The operands of each kind of range list entry. A number is an offset from the base, or a length after a start.
_ENTRIES = {
    1: ("index",),
    2: ("index", "index"),
    3: ("index", "number"),
    4: ("number", "number"),
    5: ("address",),
    6: ("address", "address"),
    7: ("address", "number"),
}

Range = tuple[int, int]
"""Addresses, [start, end)."""


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
        self._whole: dict[str, bytes] = {}

    @cached_property
    def units(self) -> tuple[CompileUnit, ...]:
        """The units that have a name, in link order. TruncatedError when a section reaches past the file."""
        known: dict[int, list[Range]] = {}
        for start, end, unit in aranges(self._artifact):
            known.setdefault(unit, []).append((start, end))
        names, folders, ranges = [], [], []
        for head in unit_heads(self._artifact):
            name = self._text(head, _NAME) or self._split_name(head)
            if name is not None:
                names.append(name)
                folders.append(self._text(head, _COMP_DIR) or "")
                ranges.append(tuple(known.get(head.offset) or self._own_ranges(head)))
        parts = [name.partition(_PART)[2] for name in names]
        paths = source_paths([name.partition(_PART)[0] for name in names], folders)
        return tuple(map(CompileUnit, paths, parts, ranges))

    @cached_property
    def own_ranges(self) -> list[tuple[int, int, int]]:
        """Address ranges (start, end, offset of the unit) as the units themselves state them, sorted."""
        heads = unit_heads(self._artifact)
        return sorted((start, end, head.offset) for head in heads for start, end in self._own_ranges(head))

    def _split_name(self, head: UnitHead) -> str | None:
        """The source of a unit whose DWARF is in a .dwo file, which is named as its object.

        Only C is compiled to .dwo files (CONFIG_DEBUG_INFO_SPLIT).
        """
        found = self._text(head, _DWO_NAME) or self._text(head, _GNU_DWO_NAME)
        return f"{found.removesuffix('.dwo')}.c" if found else None

    def _text(self, head: UnitHead, attribute: int) -> str | None:
        form, value = head.attributes.get(attribute, (0, b""))
        if isinstance(value, bytes):
            return value.decode("utf-8", "surrogateescape") if form else None
        if form in _INDEXED_STRINGS:
            offset = self._indexed(".debug_str_offsets", head, _STR_OFFSETS_BASE, 4, value)
            return None if offset is None else self._string(".debug_str", offset)
        return self._string(_STRINGS.get(form, ""), value)

    def _string(self, name: str, offset: int) -> str | None:
        section = dwarf_section(self._artifact, name)
        if section is None or offset >= section.size:
            return None
        if name == ".debug_line_str":
            # Small, and every unit needs it: read once.
            data, at = self._section(name), offset
        else:
            at, data = 0, section.read(offset, max(0, min(_LONGEST_NAME, section.readable - offset)))
        end = data.find(b"\0", at)
        return None if end < 0 else data[at:end].decode("utf-8", "surrogateescape")

    def _section(self, name: str) -> bytes:
        """The bytes of a section of DWARF, up to 16 MiB; empty without one."""
        if name not in self._whole:
            section = dwarf_section(self._artifact, name)
            self._whole[name] = section.read(0, min(section.size, _LARGEST_SECTION)) if section else b""
        return self._whole[name]

    def _indexed(self, name: str, head: UnitHead, base: int, width: int, index: int) -> int | None:
        """A number in a section's table, whose offset is the unit's attribute `base`; None when out of range."""
        _, start = head.attributes.get(base, (0, 8))
        data = self._section(name)
        if not isinstance(start, int) or start + (index + 1) * width > len(data):
            return None
        return int.from_bytes(data[start + index * width : start + (index + 1) * width], "little")

    def _address(self, head: UnitHead, attribute: int) -> int:
        form, value = head.attributes.get(attribute, (ADDR, 0))
        if isinstance(value, bytes):
            return 0
        return value if form == ADDR else self._indexed(".debug_addr", head, _ADDR_BASE, 8, value) or 0

    def _own_ranges(self, head: UnitHead) -> list[Range]:
        low = self._address(head, _LOW_PC)
        if _RANGES in head.attributes:
            form, offset = head.attributes[_RANGES]
            if isinstance(offset, bytes):
                return []
            if head.version < 5:
                return self._pairs(offset, low)
            if form == RNGLISTX:
                _, base = head.attributes.get(_RNGLISTS_BASE, (0, 12))
                relative = self._indexed(".debug_rnglists", head, _RNGLISTS_BASE, 4, offset)
                if relative is None or not isinstance(base, int):
                    return []
                offset = base + relative
            return self._range_list(head, offset, low)
        form, high = head.attributes.get(_HIGH_PC, (ADDR, 0))
        end = self._address(head, _HIGH_PC) if form in _ADDRESSES else low + high if isinstance(high, int) else 0
        return [(low, end)] if low < end else []

    def _pairs(self, at: int, base: int) -> list[Range]:
        """Pairs of addresses, up to a pair of zeros. Source: DWARF 4, section 2.17.3."""
        found, data = [], self._section(".debug_ranges")
        while at + 16 <= len(data):
            start, end = struct.unpack_from("<QQ", data, at)
            at += 16
            if start == 0xFFFFFFFFFFFFFFFF:
                base = end
            elif start or end:
                found.append((base + start, base + end))
            else:
                break
        return [(start, end) for start, end in found if start < end]

    def _range_list(self, head: UnitHead, at: int, base: int) -> list[Range]:
        """The ranges of one list; none when it is broken. Source: DWARF 5, section 7.25."""
        data, found = self._section(".debug_rnglists"), []
        try:
            while data[at]:
                kinds, values = _ENTRIES[data[at]], []
                at += 1
                for kind in kinds:
                    if kind == "address":
                        value, at = int.from_bytes(data[at : at + 8], "little"), at + 8
                    else:
                        value, at = number(data, at)
                    if kind == "index":
                        value = self._indexed(".debug_addr", head, _ADDR_BASE, 8, value) or 0
                    values.append(value)
                if len(values) == 1:
                    (base,) = values
                    continue
                start, end = values
                if kinds[0] == "number":
                    start, end = base + start, base + end
                elif kinds[1] == "number":
                    end += start
                found.append((start, end))
        except (IndexError, KeyError, ValueError):
            return []
        return [(start, end) for start, end in found if start < end]


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
