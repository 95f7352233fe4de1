"""Separate debug files: DWARF and symbols that a distribution packs apart from the kernel, and where they are.

A `.debug` file has the sections of the file that it was made from, but only DWARF and symbols have contents. The
stripped file names it in `.gnu_debuglink`, and both have the same build id.
Source: the manual of gdb, "Separate Debug Files"; objcopy(1), --only-keep-debug.
"""

import os
import re
from collections.abc import Iterator
from typing import NamedTuple

from kinspect.artifacts.elf.file import Elf, Section
from kinspect.artifacts.elf.symbols import Symbols
from kinspect.errors import KinspectError, MalformedError
from kinspect.schemas import elf
from kinspect.source import Source

DEBUG_FOLDER = "usr/lib/debug"
"""The global folder of debug files, below the root of a system or of an unpacked package."""
LARGEST_DEBUG_FILE = 8 << 30
_LONGEST_LINK = 4096
_STEP = 1 << 20
_LARGEST_PACKED, _LARGEST_UNPACKED = 16 << 20, 128 << 20
_DWARF = (".debug_info", ".zdebug_info")
# How the banners of distributions look, and the packages of their debug files. `{}` is the release.
_PACKAGES = (
    (r"#\d+\S*-Ubuntu ", "linux-image-unsigned-{}-dbgsym or linux-image-{}-dbgsym"),
    (r"debian-kernel@lists\.debian\.org|#.* Debian \d", "linux-image-{}-dbg"),
    (r"Linux version \S+\.(fc|el|amzn)\d", "kernel-debuginfo-{}"),
    (r"Linux version \S+-default \(geeko@", "kernel-default-debuginfo"),
)


class DebugLink(NamedTuple):
    """The contents of `.gnu_debuglink`: the name of the debug file, and the CRC-32 of its bytes."""

    name: str
    crc: int


class DebugSearch(NamedTuple):
    """The debug file that belongs to a file; None with the reason when it was not found."""

    file: "DebugFile | None"
    problem: str


class DebugFile(Elf):
    """A file with the DWARF and the symbols of another ELF file, which has the code."""

    kind = "a separate debug file"

    @property
    def title(self) -> str:
        """Its description: of which file it is."""
        of = "a module" if self.header.e_type == elf.ET_REL else "a vmlinux"
        build_id = self.build_id
        return f"debug file of {of}" + (f" (build id {build_id.hex()})" if build_id else "")


def debug_file_at(path: Source | str) -> DebugFile | None:
    """The debug file at a path; None when it is something else, or cannot be read."""
    found = DebugFile(path)
    try:
        return found if found.source.head(4) == elf.MAGIC and is_debug_file(found) else None
    except KinspectError:
        return None


def has_dwarf(file: Elf) -> bool:
    """Whether a file has DWARF of its own."""
    found = filter(None, map(file.section, _DWARF))
    return any(section.file_size for section in found)


def is_debug_file(file: Elf) -> bool:
    """Whether a file has DWARF or symbols of contents that are in another file. Raises as `sections` does.

    Notes keep their contents in both, and .bss has none in either.
    """
    loaded = [section for section in file.sections if section.allocated and section.size]
    if any(section.in_file and section.type != elf.SHT_NOTE for section in loaded):
        return False
    if not any(not section.in_file and not section.flags & elf.SHF_WRITE for section in loaded):
        return False
    return has_dwarf(file) or any(section.type == elf.SHT_SYMTAB for section in file.sections)


def debug_link(file: Elf) -> DebugLink | None:
    """The debug link of a file; None without one. MalformedError when it is broken."""
    section = file.section(".gnu_debuglink")
    if section is None or not section.file_size:
        return None
    data = file.source.read(section.offset, min(section.size, _LONGEST_LINK), section.name)
    name, end, _ = data.partition(b"\0")
    # The CRC is aligned to four bytes.
    at = len(name) + 4 & ~3
    if not end or not name or b"/" in name or name in (b".", b"..") or at + 4 > len(data):
        problem, expected = "the debug link is broken", "the name of a file, and a CRC"
        raise MalformedError(problem, file.at(section.name, section.offset), expected=expected, actual=name[:64])
    return DebugLink(os.fsdecode(name), int.from_bytes(data[at : at + 4], "little"))


def alternate_file(file: Elf) -> str | None:
    """The name of the file that has what DWARF of several files has in common, as dwz makes it; None without one."""
    section = file.section(".gnu_debugaltlink")
    if section is None or not section.file_size:
        return None
    data = file.source.read(section.offset, min(section.size, _LONGEST_LINK), section.name)
    return data.partition(b"\0")[0].decode("utf-8", "backslashreplace")


def mismatch(file: Elf, debug: Elf, link: DebugLink | None) -> str | None:
    """Why a debug file does not belong to a file: by the build ids, and by the CRC of a link. None when it does."""
    ours, theirs = file.build_id, debug.build_id
    if ours and theirs and ours != theirs:
        return f"of another build: expected build id {ours.hex()}, found {theirs.hex()}"
    if link is None:
        return None if ours and theirs else "nothing shows that it belongs to the file: no debug link, no build id"
    if debug.size > LARGEST_DEBUG_FILE:
        return f"too large to verify: expected at most {LARGEST_DEBUG_FILE:,} bytes, found {debug.size:,}"
    if (actual := _crc(debug)) != link.crc:
        return f"not the file that the debug link names: expected CRC {link.crc:#010x}, found {actual:#010x}"
    return None


def _crc(file: Elf) -> int:
    import zlib

    crc, buffer = 0, bytearray(_STEP)
    for at in range(0, file.size, _STEP):
        part = memoryview(buffer)[: min(_STEP, file.size - at)]
        file.source.read_into(at, part)
        crc = zlib.crc32(part, crc)
    return crc


def find_debug_file(file: Elf) -> DebugSearch:
    """The debug file of a file, where gdb looks for it: to be cached with the file."""
    try:
        link, build_id = debug_link(file), file.build_id
    except KinspectError as error:
        return DebugSearch(None, str(error))
    if link is None and build_id is None:
        return DebugSearch(None, "")
    problems = []
    for path, used in _candidates(file.path, link, build_id):
        if not os.path.isfile(path) or _same_file(path, file.path):
            continue
        found = DebugFile(path)
        try:
            if not has_dwarf(found) and not is_debug_file(found):
                problem: str | None = "has neither DWARF nor symbols"
            else:
                problem = mismatch(file, found, used)
        except KinspectError as error:
            problem = error.problem
        if problem is None:
            return DebugSearch(found, "")
        problems.append(f"{path} is {problem}")
    if problems:
        return DebugSearch(None, problems[0])
    return DebugSearch(None, _wanted(link, build_id) if link else "")


def _wanted(link: DebugLink, build_id: bytes | None) -> str:
    return f"its debug file {link.name}" + (f" (build id {build_id.hex()})" if build_id else "") + " was not found"


def _candidates(path: str, link: DebugLink | None, build_id: bytes | None) -> Iterator[tuple[str, DebugLink | None]]:
    """Where the debug file of a file may be, and the link whose CRC decides; by the build id first, as gdb does.

    Last by the name of the file itself, where only the build id decides.
    """
    folders = dict.fromkeys((os.path.dirname(os.path.abspath(path)), os.path.dirname(os.path.realpath(path))))
    if build_id and len(build_id) > 1:
        name = f".build-id/{build_id[:1].hex()}/{build_id[1:].hex()}.debug"
        for folder in folders:
            for place in (folder, os.path.join(folder, ".debug"), *(root for root, _ in _roots(folder))):
                yield os.path.join(place, name), None
    if link:
        for folder in folders:
            yield os.path.join(folder, link.name), link
            yield os.path.join(folder, ".debug", link.name), link
            for root, below in _roots(folder):
                yield os.path.join(root, below, link.name), link
    if build_id:
        # As eu-unstrip looks for it, and where Debian and Fedora put a whole vmlinux.
        for folder in folders:
            yield os.path.join(folder, f"{os.path.basename(path)}.debug"), None
            for root, below in _roots(folder):
                yield os.path.join(root, below, f"{os.path.basename(path)}.debug"), None
                yield os.path.join(root, below, os.path.basename(path)), None


def _roots(folder: str) -> Iterator[tuple[str, str]]:
    """The folders of debug files of every root that a folder may be below, and the folder relative to that root."""
    root = folder
    while True:
        yield os.path.join(root, DEBUG_FOLDER), os.path.relpath(folder, root)
        if root == os.path.dirname(root):
            return
        root = os.path.dirname(root)


def _same_file(path: str, other: str) -> bool:
    try:
        return os.path.samefile(path, other)
    except OSError:
        return False


def with_debug_info(file: Elf) -> Elf:
    """The file that has the DWARF of a file: itself, its debug file, or itself when there is none."""
    if has_dwarf(file):
        return file
    found = file.cached(find_debug_file).file
    return found if found and has_dwarf(found) else file


def same_layout(file: Elf, other: Elf) -> bool:
    """Whether two files have the same loaded sections under the same numbers, to which symbols refer."""

    def layout(sections: tuple[Section, ...]) -> list[tuple[object, ...]]:
        return [(one.number, one.name, one.address, one.size) for one in sections if one.allocated]

    return layout(file.sections) == layout(other.sections)


def symbols_of(file: Elf, own: Symbols) -> Symbols:
    """The symbols of a file without DWARF: those of its debug file, or those packed in it; its own if they are more.

    strip removes at least the names of source files, which the debug file keeps.
    """
    found: Elf | None = file.cached(find_debug_file).file
    if found is None and not len(own):
        found = _packed_symbols(file)
    if found and len(found.readable_symbols) > len(own) and same_layout(file, found):
        return found.symbols
    return own


def _packed_symbols(file: Elf) -> Elf | None:
    """The file in `.gnu_debugdata`, which Fedora packs into stripped ones. Source: gdb, "MiniDebugInfo"."""
    section = file.section(".gnu_debugdata")
    if section is None or not 0 < section.file_size <= _LARGEST_PACKED:
        return None
    from kinspect.artifacts.compression.streams import decompressed
    from kinspect.artifacts.raw.limits import unpacked_limit

    packed = Source(file.path, file.contents(section))
    try:
        found = Elf(Source(file.path, decompressed(packed, unpacked_limit(section.size, _LARGEST_UNPACKED))))
        return found if found.sections else None
    except KinspectError:
        return None


def debug_package(banner: str | None) -> str:
    """The package that usually has the debug file of a kernel."""
    words = (banner or "").split(" ")
    release = words[2] if len(words) > 2 else ""
    for pattern, package in _PACKAGES:
        if release and re.search(pattern, banner or ""):
            return f"the package {package.replace('{}', release)}"
    return "the distribution's debug package of the kernel"


def missing_debug_info(file: Elf, banner: str | None) -> str:
    """What is missing of the DWARF of a kernel, and what to do; empty when nothing is."""
    try:
        alternate = alternate_file(with_debug_info(file))
        if alternate is not None:
            return f"a part of its DWARF is in {alternate}, which dwz made and kinspect does not read"
        if has_dwarf(with_debug_info(file)):
            return ""
        problem = file.cached(find_debug_file).problem
    except KinspectError as error:
        return str(error)
    if not problem:
        return "it has no DWARF: sources are known as far as symbols name them (CONFIG_DEBUG_INFO adds DWARF)"
    places = f"beside it, in .debug/ or below /{DEBUG_FOLDER}"
    return f"{problem}; {debug_package(banner)} usually has it: put it {places}"
