"""What pyelftools needs to decode DWARF: the sections as streams, of which nothing is read that is not asked for."""

import io
from typing import Any

from kinspect.artifacts.dwarf.units import dwarf_section
from kinspect.artifacts.elf.contents import Contents
from kinspect.artifacts.elf.file import Elf

WINDOW = 1 << 16
"""What pyelftools may read at once: the header of a unit, its abbreviations, the header of its line program."""
_SECTIONS = ("info", "abbrev", "str", "line", "line_str", "str_offsets", "addr", "ranges", "rnglists")
_OTHERS = (
    "debug_aranges_sec",
    "debug_frame_sec",
    "eh_frame_sec",
    "debug_loc_sec",
    "debug_pubtypes_sec",
    "debug_pubnames_sec",
    "debug_loclists_sec",
    "debug_sup_sec",
    "gnu_debugaltlink_sec",
    "debug_types_sec",
)


def dwarf_info(artifact: Elf) -> Any:
    """The DWARFInfo of pyelftools for the sections of a file. Raises as `dwarf_section` does."""
    # Imported when DWARF is needed: it takes longer than most commands.
    from elftools.dwarf.dwarfinfo import DebugSectionDescriptor, DwarfConfig, DWARFInfo

    sections: dict[str, Any] = dict.fromkeys(_OTHERS)
    for name in _SECTIONS:
        section = dwarf_section(artifact, f".debug_{name}")
        descriptor = None
        if section:
            stream = _BoundedReader(_SectionStream(section), 1 << 14)
            descriptor = DebugSectionDescriptor(stream, f".debug_{name}", 0, section.size, 0)
        sections[f"debug_{name}_sec"] = descriptor
    return DWARFInfo(config=DwarfConfig(True, "AArch64", 8), **sections)


class _BoundedReader(io.BufferedReader):
    """Reads at most WINDOW bytes after each seek: an unterminated number, name or block ends there."""

    _left = WINDOW

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        self._left = WINDOW
        return super().seek(offset, whence)

    def read(self, size: int | None = -1, /) -> bytes:
        data = super().read(self._left if size is None or size < 0 else min(size, self._left))
        self._left -= len(data)
        return data


class _SectionStream(io.RawIOBase):
    """A section as a stream for pyelftools."""

    def __init__(self, contents: Contents) -> None:
        self._contents, self._size, self._at = contents, contents.readable, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._at = max(0, offset + (0, self._at, self._size)[whence])
        return self._at

    def readinto(self, buffer: Any) -> int:
        size = max(0, min(len(buffer), self._size - self._at))
        buffer[:size] = self._contents.read(self._at, size)
        self._at += size
        return size
