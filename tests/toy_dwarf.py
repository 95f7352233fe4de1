"""The sample's vmlinux as distributions ship DWARF: compressed, or in a file of its own."""

import sys
import zlib

from kinspect.artifacts.elf.file import Elf
from kinspect.artifacts.elf.vmlinux import Vmlinux
from kinspect.schemas import elf
from kinspect.schemas.elf import CompressionHeader, SectionHeader
from kinspect.schemas.record import build, size_of
from kinspect.source import Source
from tests.conftest import SAMPLE

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

VMLINUX = SAMPLE / "vmlinux"


def without_dwarf() -> bytes:
    """The sample, whose sections of DWARF have names that nobody looks for."""
    return _renamed(bytearray(VMLINUX.read_bytes()), ".debug_", ".other_")


def compressed_dwarf(form: str) -> bytes:
    """The sample with compressed DWARF: `zlib`, `zstd`, or `zlib-gnu` for `.zdebug_` sections."""
    vmlinux, data = Vmlinux(VMLINUX), bytearray(VMLINUX.read_bytes())
    for section, header in zip(vmlinux.sections, vmlinux.section_headers, strict=True):
        if section.name.startswith(".debug_"):
            inside = vmlinux.contents(section)
            kind = elf.ELFCOMPRESS_ZSTD if form == "zstd" else elf.ELFCOMPRESS_ZLIB
            head, flags = build(CompressionHeader(kind, 0, len(inside), 1)), elf.SHF_COMPRESSED
            if form == "zlib-gnu":
                head, flags = b"ZLIB" + len(inside).to_bytes(8, "big"), 0
            packed = head + (zstd.compress(inside) if form == "zstd" else zlib.compress(inside))
            changed = header._replace(sh_offset=len(data), sh_size=len(packed), sh_flags=header.sh_flags | flags)
            _put(data, vmlinux, section.number, changed)
            data += packed
    return _renamed(data, ".debug_", ".zdebug_") if form == "zlib-gnu" else bytes(data)


def _put(data: bytearray, vmlinux: Elf, number: int, header: SectionHeader) -> None:
    row = vmlinux.header.e_shoff + number * size_of(SectionHeader)
    data[row : row + size_of(SectionHeader)] = build(header)


def _renamed(data: bytearray, old: str, new: str) -> bytes:
    """The file with a new table of section names at its end."""
    file, names = Elf(Source(VMLINUX, bytes(data))), b"\0"
    last = file.header.e_shstrndx
    for section, header in zip(file.sections[1:], file.section_headers[1:], strict=True):
        _put(data, file, section.number, header._replace(sh_name=len(names)))
        names += section.name.replace(old, new, 1).encode() + b"\0"
    file = Elf(Source(VMLINUX, bytes(data)))
    _put(data, file, last, file.section_headers[last]._replace(sh_offset=len(data), sh_size=len(names)))
    return bytes(data) + names
