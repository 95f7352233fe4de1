"""Our lines are those of file(1): the installed tool prints the same of every file made here and of real kernels.

The tool may be of any release that the view knows; what the others print is held by literals, taken from builds
of their sources.
"""

import bz2
import gzip
import lzma
import os
import random
import socket
import struct
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import pytest

from kinspect.commands.kernel import file as file_command
from kinspect.schemas import elf
from kinspect.schemas.elf import ElfHeader, NoteEntry, ProgramHeader, SectionHeader
from kinspect.schemas.image import MAGIC as IMAGE_MAGIC
from kinspect.schemas.image import ImageHeader
from kinspect.schemas.pe import CoffHeader, OptionalHeader
from kinspect.schemas.record import Scalar, build, layout, offsets, parse_table, size_of, table_row
from kinspect.schemas.zboot import ARM64_MAGIC, ZbootHeader
from kinspect.views.filetype.line import VERSIONS, FileFacts, description, file_line, name_width
from tests.conftest import Kernel, missing
from tests.support import Part, elf_of

Tool = Callable[[str], str]
NOTHING: Mapping[str, int] = {}


class File(NamedTuple):
    """The installed tool."""

    path: str
    version: str

    def lines(self, *words: str) -> list[str]:
        """What it prints, as the reference locale has it."""
        environment = {**os.environ, "LC_ALL": "C.UTF-8"}
        done = subprocess.run([self.path, *words], capture_output=True, env=environment, check=False)
        return os.fsdecode(done.stdout).split("\n")[:-1]

    def holds(self, folder: Path, contents: Mapping[str, bytes], mode: int = 0o644) -> None:
        """That our words for files with these contents are those of the tool."""
        paths = []
        # A new folder each time: to write over a file is slow.
        own = folder / str(len(os.listdir(folder)))
        own.mkdir()
        for name, data in contents.items():
            path = own / name
            path.write_bytes(data)
            path.chmod(mode)
            paths.append(str(path))
        theirs = self.lines("-b", "--", *paths)
        ours = [description(path, version=self.version) for path in paths]
        assert dict(zip(contents, ours, strict=True)) == dict(zip(contents, theirs, strict=True))


def lines(paths: Sequence[str], version: str = "5.44", brief: bool = False, follow: bool = False) -> list[str]:
    """The lines that `kinspect file` prints of some paths."""
    width = max(map(name_width, paths))
    found = (FileFacts(path, description(path, version=version, follow=follow)) for path in paths)
    return [file_line(facts, width, brief) for facts in found]


@pytest.fixture(scope="session")
def file(tool: Tool) -> File:
    path = tool("file")
    version = subprocess.run([path, "--version"], capture_output=True, text=True, check=True).stdout
    version = version.split()[0].removeprefix("file-")
    if version not in VERSIONS:
        missing(f"a file of {VERSIONS[0]} to {VERSIONS[-1]}", f"this one is {version}")
    return File(path, version)


def cuts(data: bytes, step: int = 1) -> dict[str, bytes]:
    """A file cut after each of its bytes."""
    return {f"cut to {size}": data[:size] for size in range(0, len(data), step)}


# ---- Images, zboot and PE


def image(flags: int = 0xA, magic: bytes = IMAGE_MAGIC, code0: int = 0x5A4D, size: int = 4096) -> bytes:
    return build(ImageHeader(code0, 0x14000000, 0, size, flags, 0, 0, 0, magic, 0x40)).ljust(size, b"\0")


def pe(
    dos: bytes = b"MZ", coff: Mapping[str, int] = NOTHING, optional: Mapping[str, int] = NOTHING, at: int = 0x40
) -> bytes:
    """A PE program whose headers are those of a kernel but for some fields."""
    size = size_of(OptionalHeader) + 6 * 8
    header = CoffHeader(0xAA64, 2, 0, 0, 0, size, 0x206)._replace(**coff)
    zeros = OptionalHeader(*[0] * len(OptionalHeader._fields))
    options = zeros._replace(magic=0x20B, subsys=10, subsys_major=1, subsys_minor=2, data_dirs=6)._replace(**optional)
    start = dos.ljust(0x3C, b"\0") + struct.pack("<I", at)
    sections = (b".text\0\0\0" + bytes(32)) * 2
    return (
        start.ljust(at, b"\0") + b"PE\0\0" + build(header) + build(options).ljust(size, b"\0") + sections + bytes(999)
    )


def zboot(name: bytes = b"gzip", **coff: int) -> bytes:
    header = ZbootHeader(b"MZ\0\0", b"zimg", 4096, 9999, bytes(8), name.ljust(32, b"\0"), ARM64_MAGIC, 0x40)
    return pe(build(header)[:0x3C], coff)


def test_images_of_every_flag(file: File, tmp_path: Path) -> None:
    flags = {f"{flags:#x}": image(flags) for low in range(16) for flags in (low, low | 0xDEADBEEFFFFFFFF0, low << 32)}
    file.holds(tmp_path, flags)


def test_images_cut_short_and_other_magic_numbers(file: File, tmp_path: Path) -> None:
    file.holds(tmp_path, cuts(image()[:65]))
    file.holds(tmp_path, cuts(image(code0=0x91005A4D)[:65]))
    magics = (b"dMRA", b"ARM\0", b"ARMD", b"\0\0\0\0")
    file.holds(tmp_path, {magic.hex(): image(magic=magic, code0=0x91005A4E) for magic in magics})


def test_zboot_images(file: File, tmp_path: Path) -> None:
    names = (
        b"gzip",
        b"lz4",
        b"lzma",
        b"lzo",
        b"xzkern",
        b"zstd22",
        b"",
        b"0",
        b"1",
        b" ",
        b"\1",
        b"a\nb",
        b"\xff" * 32,
    )
    file.holds(tmp_path, {f"name {name.hex()}": zboot(name) for name in names})
    file.holds(
        tmp_path, {f"{machine:#x}": zboot(machine=machine) for machine in (0xAA64, 0x5032, 0x5064, 0x6264, 0x8664)}
    )
    file.holds(tmp_path, cuts(zboot()[:600], 3))


def test_programs_for_efi(file: File, tmp_path: Path) -> None:
    machines = (0x14C, 0x1C0, 0x1C2, 0x1C4, 0x200, 0xEBC, 0x5032, 0x5064, 0x5128, 0x6232, 0x6264, 0x8664, 0xAA64)
    file.holds(tmp_path, {f"machine {machine:#x}": pe(coff={"machine": machine}) for machine in machines})
    for flags in (0x206, 0x2206, 0x1006, 0):
        subsystems = (*range(20), 0x7FFF, 0x8000, 0xFFFF)
        both = {f"{number:#x}": pe(coff={"flags": flags}, optional={"subsys": number}) for number in subsystems}
        file.holds(tmp_path, both)
    file.holds(
        tmp_path, {f"{number} sections": pe(coff={"sections": number}) for number in (0, 1, 2, 3, 0x7FFF, 0x8000)}
    )
    magics = {
        f"{magic:#x}": pe(optional={"magic": magic, "data_dirs": 16}) for magic in (0x10B, 0x20B, 0x107, 0, 0x8001)
    }
    file.holds(tmp_path, magics)
    file.holds(tmp_path, {f"at {at:#x}": pe(at=at) for at in (0x40, 0x80, 0xFF0, 0x11000)})
    file.holds(tmp_path, cuts(pe()[:600], 3))


# ---- ELF

BUILD_ID = build(NoteEntry(4, 20, elf.NT_GNU_BUILD_ID, b"GNU\0", bytes(range(0xA0, 0xB4))))
FLAGS_1, NEEDED, PIE = 0x6FFFFFFB, 1, 0x08000000
NO_SECTIONS = {"e_shnum": 0}
NOTES: Mapping[str, int] = {".notes": elf.PT_NOTE}
AWKWARD = (
    0,
    1,
    2,
    3,
    4,
    0x7F,
    0xFF,
    0x7FFF,
    0xFFFF,
    0x7FFFFFFF,
    0x80000000,
    0xFFFFFFFF,
    1 << 62,
    (1 << 63) - 1,
    1 << 63,
    (1 << 64) - 64,
    (1 << 64) - 1,
)


def dynamic(*entries: tuple[int, int]) -> bytes:
    return b"".join(struct.pack("<QQ", *entry) for entry in (*entries, (0, 0)))


def program(
    e_type: int = elf.ET_DYN,
    notes: bytes = BUILD_ID,
    *others: Part,
    segments: Mapping[str, int] = NOTES,
    **header: int,
) -> bytes:
    """A small ELF file of notes and other sections, some of them segments too; other fields of its header."""
    parts = (Part(".notes", notes, type=elf.SHT_NOTE), Part(".text", b"\0" * 64), *others)
    offset, rows = size_of(ElfHeader) + len(segments) * size_of(ProgramHeader), []
    for part in parts:
        if part.name in segments:
            rows.append(ProgramHeader(segments[part.name], 4, offset, 0, 0, len(part.data), len(part.data), 4))
        offset += len(part.data)
    data = elf_of(*parts, segments=rows, e_type=e_type)
    return with_header(data, header)


def with_header(data: bytes, fields: Mapping[str, int]) -> bytes:
    """A file with other values in some fields of its header."""
    for name, value in fields.items():
        code, place = layout(ElfHeader)[name], offsets(ElfHeader)[name]
        assert isinstance(code, Scalar)
        number = struct.pack("<" + code.code, value)
        data = data[:place] + number + data[place + len(number) :]
    return data


def linked(*entries: tuple[int, int], interpreter: bytes = b"", **header: int) -> bytes:
    """A program with a dynamic segment."""
    segments = {".notes": elf.PT_NOTE, ".dynamic": elf.PT_DYNAMIC}
    if interpreter:
        segments[".interp"] = elf.PT_INTERP
    parts = (Part(".dynamic", dynamic(*entries)), Part(".interp", interpreter))
    return program(elf.ET_DYN, BUILD_ID, *parts, segments=segments, **header)


DEBUG, SYMBOLS = Part(".debug_info", b"x"), Part(".symtab", bytes(24), type=elf.SHT_SYMTAB)
PROGRAMS = {
    **{f"type {kind}": program(kind) for kind in (0, 1, 2, 3, 5, 0xFE00, 0xFF00, 0xFFFF)},
    "relocatable with symbols": program(elf.ET_REL, BUILD_ID, SYMBOLS, e_phnum=0),
    "with debug information": program(elf.ET_DYN, BUILD_ID, DEBUG, SYMBOLS),
    "with debug information last": program(elf.ET_DYN, BUILD_ID, SYMBOLS, DEBUG, e_shnum=5),
    "named almost so": program(elf.ET_DYN, BUILD_ID, Part(".debug_info2"), Part(".zdebug_info")),
    "pie": linked((FLAGS_1, PIE)),
    "pie with others": linked((NEEDED, 1), (FLAGS_1, PIE)),
    "pie with an interpreter": linked((FLAGS_1, PIE), interpreter=b"/lib/ld-linux-aarch64.so.1\0"),
    "interpreter without a name": linked((FLAGS_1, PIE), interpreter=b"\0"),
    "interpreter with controls": linked((FLAGS_1, PIE), interpreter=b"/lib/\33[1m\xff\n\0"),
    "not pie": linked((FLAGS_1, 0)),
    "without flags": linked((NEEDED, 1)),
    "flags past the end": linked((0, 0), (FLAGS_1, PIE)),
    "no sections": linked((FLAGS_1, PIE), e_shnum=0),
    "no sections, no segments": program(e_shnum=0, e_phnum=0),
    "no segments": program(e_phnum=0),
}


@pytest.mark.parametrize("mode", [0o644, 0o755, 0o001])
def test_programs_with_and_without_execute_bit(file: File, tmp_path: Path, mode: int) -> None:
    file.holds(tmp_path, PROGRAMS, mode)


def test_build_ids_of_every_length(file: File, tmp_path: Path) -> None:
    notes = {size: build(NoteEntry(4, size, elf.NT_GNU_BUILD_ID, b"GNU\0", b"\xcd" * size)) for size in range(25)}
    made = {f"{size} bytes": program(elf.ET_DYN, note) for size, note in notes.items()}
    file.holds(tmp_path, made)
    file.holds(tmp_path, {name: with_header(data, NO_SECTIONS) for name, data in made.items()})


def test_notes(file: File, tmp_path: Path) -> None:
    tag = build(NoteEntry(4, 16, 1, b"GNU\0", struct.pack("<4I", 0, 6, 1, 0)))
    other = build(NoteEntry(6, 4, 0x101, b"Linux\0", b"abcd"))
    notes = {
        "tag and build id": tag + BUILD_ID,
        "unknown system": tag[:16] + b"\x09" + tag[17:],
        "build id second": other + BUILD_ID,
        "two build ids": BUILD_ID + BUILD_ID,
        "huge name": struct.pack("<III", 0x80000000, 4, 3),
        "huge description": struct.pack("<III", 4, 0xFFFFFFFF, 3),
        "description past the end": BUILD_ID[:-1],
        "nothing": bytes(24) + BUILD_ID,
        "255 notes": other * 255,
        "256 notes": other * 256,
        "300 notes": other * 299 + BUILD_ID,
    }
    made = {name: program(elf.ET_DYN, data) for name, data in notes.items()}
    file.holds(tmp_path, made)
    file.holds(tmp_path, {name: with_header(data, NO_SECTIONS) for name, data in made.items()})


def test_limits(file: File, tmp_path: Path) -> None:
    counts = (1, 128, 2048, 2049, 32767, 32768, 32769, 65535)
    for kind in (elf.ET_REL, elf.ET_EXEC):
        for name in ("e_phnum", "e_shnum", "e_shentsize", "e_phentsize"):
            file.holds(
                tmp_path, {f"{kind} {name} {count}": with_header(program(kind), {name: count}) for count in counts}
            )


def with_awkward_fields(data: bytes, record: type[NamedTuple], at: int) -> Iterator[tuple[str, bytes]]:
    """The file with every awkward value in every number of one record."""
    for name, field in layout(record).items():
        if isinstance(field, Scalar) and name != "e_machine":
            size, place = struct.calcsize("<" + field.code), at + offsets(record)[name]
            near = (len(data) - 1, len(data), len(data) + 1)
            for value in sorted({number & (1 << 8 * size) - 1 for number in (*AWKWARD, *near)}):
                if (name, value) != ("e_type", 4):  # core files
                    yield f"{name} {value:#x}", data[:place] + value.to_bytes(size, "little") + data[place + size :]


@pytest.mark.parametrize("name", ["pie with an interpreter", "with debug information", "no sections"])
def test_every_awkward_value_in_every_field(file: File, tmp_path: Path, name: str) -> None:
    data = PROGRAMS[name]
    header = parse_table(ElfHeader, data[: size_of(ElfHeader)])[0]
    file.holds(tmp_path, dict(with_awkward_fields(data, ElfHeader, 0)))
    for record, at, count in (
        (ProgramHeader, header.e_phoff, header.e_phnum),
        (SectionHeader, header.e_shoff, header.e_shnum),
    ):
        for index in range(count):
            file.holds(tmp_path, dict(with_awkward_fields(data, record, at + index * size_of(record))))


@pytest.mark.parametrize("name", ["pie with an interpreter", "relocatable with symbols", "no sections"])
def test_programs_cut_short(file: File, tmp_path: Path, name: str) -> None:
    file.holds(tmp_path, cuts(PROGRAMS[name]))


def test_classes_byte_orders_and_systems(file: File, tmp_path: Path) -> None:
    data = PROGRAMS["pie with an interpreter"]
    file.holds(tmp_path, {f"class {value}": data[:4] + bytes([value]) + data[5:] for value in range(5)})
    file.holds(tmp_path, {f"order {value}": data[:5] + bytes([value]) + data[6:] for value in range(5)})
    systems = (*range(20), 97, 202, 254, 255)
    file.holds(tmp_path, {f"system {value}": data[:7] + bytes([value]) + data[8:] for value in systems})
    machines = (0, 3, 22, 40, 41, 42, 50, 62, 93, 94, 113, 164, 183, 189, 195, 247, 252, 258, 0x8000)
    file.holds(tmp_path, {f"machine {value}": program(elf.ET_REL, e_machine=value) for value in machines})


def other_layout(data: bytes, narrow: bool, order: str) -> bytes:
    """A file of our records with its header and tables, and its first note, in another class or byte order."""
    header = parse_table(ElfHeader, data[: size_of(ElfHeader)])[0]

    def packed(record: NamedTuple) -> bytes:
        codes = table_row(type(record)).format[1:]
        values = tuple(record)
        if narrow and isinstance(record, ProgramHeader):
            values = (values[0], *values[2:7], values[1], values[7])
        return struct.pack(order + (codes.replace("Q", "I") if narrow else codes), *values)

    def rows(record: type[NamedTuple], at: int, count: int) -> list[NamedTuple]:
        return list(parse_table(record, data[at : at + count * size_of(record)]))

    segments = rows(ProgramHeader, header.e_phoff, header.e_phnum)
    sections = rows(SectionHeader, header.e_shoff, header.e_shnum)
    note = data.index(BUILD_ID)
    body = data[64:note] + struct.pack(order + "III", 4, 20, 3) + data[note + 12 :]
    tables = b"".join(map(packed, segments)), b"".join(map(packed, sections))
    ident = data[:4] + bytes([1 if narrow else 2, 1 if order == "<" else 2]) + data[6:16]
    start = 64 + len(body)
    changed = header._replace(e_ident=ident, e_phoff=start, e_shoff=start + len(tables[0]), e_flags=0x05800000)
    changed = changed._replace(e_phentsize=32 if narrow else 56, e_shentsize=40 if narrow else 64)
    return packed(changed).ljust(64, b"\0") + body + b"".join(tables)


def test_32_bit_and_big_endian_files(file: File, tmp_path: Path) -> None:
    made = {}
    for name in ("type 1", "type 2", "type 3", "with debug information"):
        for narrow, order in ((False, "<"), (False, ">"), (True, "<"), (True, ">")):
            data = other_layout(PROGRAMS[name], narrow, order)
            made[f"{name} {narrow} {'little' if order == '<' else 'big'}"] = data
            machine = struct.pack(order + "H", 40)
            made[f"ARM {name} {narrow} {'little' if order == '<' else 'big'}"] = data[:18] + machine + data[20:]
    file.holds(tmp_path, made)
    file.holds(tmp_path, cuts(other_layout(PROGRAMS["type 3"], True, "<"), 3))
    file.holds(tmp_path, cuts(other_layout(PROGRAMS["type 3"], False, ">"), 3))


# ---- What else a build leaves


def device_tree(version: int = 17, *, structure: int = 56, size: int = 1000, cpu: int = 0, strings: int = 100) -> bytes:
    numbers = (0xD00DFEED, size, structure, 500, 40, version, 16, cpu, strings, 200)
    return struct.pack(">10I", *(number & 0xFFFFFFFF for number in numbers)).ljust(1000, b"\0")


def test_device_trees(file: File, tmp_path: Path) -> None:
    versions = (0, 1, 2, 3, 16, 17, 18, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)
    file.holds(tmp_path, {f"version {version}": device_tree(version) for version in versions})
    places = (0, 4, 995, 996, 997, 0x7FFFFFFF, 0xFFFFFFFB, 0xFFFFFFFC, 0xFFFFFFFD, 0xFFFFFFFE, 0xFFFFFFFF)
    file.holds(tmp_path, {f"structure at {place:#x}": device_tree(structure=place) for place in places})
    file.holds(tmp_path, {"negative": device_tree(size=-16, cpu=-1, strings=-2), **cuts(device_tree()[:60])})


def compressed(data: bytes = b"hello " * 99, name: bytes = b"", level: int = 9, time: int = 0, flags: int = 0) -> bytes:
    packed = bytearray(gzip.compress(data, level, mtime=time))
    packed[3] = flags | (8 if name else 0)
    return bytes(packed[:10] + (name + b"\0" if name else b"") + packed[10:])


def test_gzip(file: File, tmp_path: Path) -> None:
    made = {
        "level 1": compressed(level=1),
        "level 6": compressed(level=6),
        "named": compressed(name=b"Image", time=1700000000),
        "named with controls": compressed(name=b"a\33[1m\xff\nb"),
        "long name": compressed(name=b"x" * 300),
        "before 1970": compressed(time=0x80000000),
        "last time": compressed(time=0x7FFFFFFF),
        **{f"flags {flags}": compressed(flags=flags) for flags in range(64)},
        **{
            f"method {method}": compressed()[:2] + bytes([method]) + compressed()[3:]
            for method in (0, 7, 9, 0x88, 0xFF)
        },
        **{
            f"level {level} of {system}": compressed()[:8] + bytes([level, system])
            for level in range(6)
            for system in range(16)
        },
        **{f"size {last}": compressed()[:-1] + bytes([last]) for last in range(0, 256, 4)},
        **cuts(compressed()),
        **cuts(compressed(name=b"Image")),
    }
    file.holds(tmp_path, made)


def test_gzip_past_what_file_reads_at_first(file: File, tmp_path: Path) -> None:
    data = compressed() + random.Random(1).randbytes(8 << 20)
    file.holds(tmp_path, {f"size {last}": data + bytes([1, 2, 3, last]) for last in (0, 8)})


def test_other_compressed_files(file: File, tmp_path: Path) -> None:
    checks = (lzma.CHECK_NONE, lzma.CHECK_CRC32, lzma.CHECK_CRC64, lzma.CHECK_SHA256)
    alone = lzma.compress(b"x" * 999, lzma.FORMAT_ALONE)
    made = {
        **{f"xz {check}": lzma.compress(b"x" * 999, check=check) for check in checks},
        **cuts(lzma.compress(b"x")[:20]),
        "lzma": alone,
        "lzma of a size": alone[:5] + struct.pack("<q", 12345) + alone[13:],
        "lzma of a negative size": alone[:5] + struct.pack("<q", -12345) + alone[13:],
        **{f"lzma {size}": alone[:size] for size in range(20)},
        **{f"bzip2 {level}": bz2.compress(b"x", level) for level in (1, 5, 9)},
        **{f"bzip2 {byte:#x}": b"BZh" + bytes([byte]) + b"\0x" for byte in (0x20, 0x2F, 0x3A, 0x7F, 0x80, 0xFF)},
        **{f"zstd {byte:#x}": bytes([byte]) + b"\xb5\x2f\xfd\x04\0x\0\0\0" for byte in range(0x20, 0x2A)},
        **{
            f"zstd frame {byte:#x}": b"\x28\xb5\x2f\xfd" + bytes([byte]) + b"\x81\x82\x83\x84\x85\0"
            for byte in range(256)
        },
        **{f"zstd {size}": b"\x28\xb5\x2f\xfd\x07\x81\x82\x83\x84\x85\0"[:size] for size in range(12)},
        **{f"lz4 {magic.hex()}": magic + b"\0x" for magic in (b"\2\x21\x4c\x18", b"\3\x21\x4c\x18", b"\4\x22\x4d\x18")},
        **{
            f"lzop {version:#x} {method} {system}": b"\x89LZO\0\r\n\x1a\n"
            + struct.pack(">H11B", version, 0, 0, *(method, system) * 4, 0)
            for version in (0, 0x0939, 0x093A, 0x093F, 0x0940, 0x1030, 0x2FFF, 0x3000, 0x8000, 0xFFFF)
            for method, system in ((1, 3), (3, 0), (0, 14))
        },
        **{f"lzop cut to {size}": (b"\x89LZO\0\r\n\x1a\n\x10\x30\x20" + b"\3" * 9)[:size] for size in range(8, 21)},
    }
    file.holds(tmp_path, made)


def test_what_the_real_tools_make(file: File, tool: Tool, tmp_path: Path) -> None:
    data = tmp_path / "Image"
    data.write_bytes(image())
    words = "-A arm64 -O linux -T kernel -C none -a 0x80080000 -e 0x80080000 -n Linux-6.1 -d"
    commands = {
        "n9.gz": ("gzip", "-n", "-9", "-c", str(data)),
        "named.gz": ("gzip", "-1", "-c", str(data)),
        "legacy.lz4": (tool("lz4"), "-l", "-c", str(data)),
        "frame.lz4": (tool("lz4"), "-c", str(data)),
        "22.zst": (tool("zstd"), "-22", "--ultra", "-c", str(data)),
        "crc32.xz": (tool("xz"), "--check=crc32", "-c", str(data)),
        "9.lzma": (tool("xz"), "--format=lzma", "-9", "-c", str(data)),
    }
    made = {name: subprocess.run(command, capture_output=True, check=True).stdout for name, command in commands.items()}
    subprocess.run(
        [tool("mkimage"), *words.split(), str(data), str(tmp_path / "made")], capture_output=True, check=True
    )
    file.holds(tmp_path, {**made, "uImage": (tmp_path / "made").read_bytes()})


def test_uimages(file: File, tmp_path: Path) -> None:
    def uimage(kind: Sequence[int] = (5, 22, 2, 0), name: bytes = b"Linux-6.1", number: int = 0x80080000) -> bytes:
        numbers = (number, 1700000000, number & 0xFFFFFF, number, number, number)
        return struct.pack(">7I4B32s", 0x27051956, *numbers, *kind, name) + b"more" * 40

    made = {
        f"kind {index} {value}": uimage((*[5, 22, 2, 0][:index], value, *[5, 22, 2, 0][index + 1 :]))
        for index in range(4)
        for value in range(30)
    }
    made |= {f"number {number:#x}": uimage(number=number) for number in (0, 1, 0xABCDEF, 0x1000000, 0xFFFFFFFF)}
    made |= {f"name {name.hex()}": uimage(name=name) for name in (b"", b"x" * 32, b"a\nb", b"a\rb", b"\33\xff")}
    file.holds(tmp_path, {**made, **cuts(uimage()[:70])})


def test_archives(file: File, tmp_path: Path) -> None:
    member = b"/               0           0     0     0       4         `\n"
    thin = {
        f"thin {count:#x}": b"!<thin>\n" + member + struct.pack(">I", count)
        for count in (0, 1, 2, 0x7FFFFFFF, 0x80000000)
    }
    made = {
        **thin,
        "ar": b"!<arch>\n" + member + bytes(4),
        "ar of BSD": b"!<arch>\n" + b"__.SYMDEF".ljust(60) + b"__.SYMDEF SORTED",
        "empty ar": b"!<arch>\n",
        "empty thin": b"!<thin>\n",
        **{name: name.encode() + b"0" * 104 + b"TRAILER!!!\0" for name in ("070701", "070702", "070707")},
    }
    file.holds(tmp_path, made)


# ---- Text

CONFIG = b"#\n# Automatically generated file; DO NOT EDIT.\n# Linux/arm64 6.1.0 Kernel Configuration\n#\nCONFIG_X=y\n"
SOURCE = b"// SPDX-License-Identifier: GPL-2.0\n#include <linux/module.h>\n"
PIECES = (
    b"a",
    b" ",
    b"\t",
    b"\n",
    b"\n",
    b"\r",
    b"\r\n",
    b"\x85",
    b"\xc2\x85",
    b"\xc3\xbc",
    b"\xe2\x82\xac",
    b"\xf0\x9f\x98\x80",
    b"\xe2\x82",
    b"\xff",
    b"\0",
    b"\33",
    b"\b",
    b"\x1a",
    b"\x0e",
    b"x" * 299,
    b"y" * 301,
)


def test_text(file: File, tmp_path: Path) -> None:
    symvers = b"0x12345678\tvmlinux\tfoo\tEXPORT_SYMBOL_GPL\t\n" * 99
    made = {
        "Module.symvers": symvers,
        "CRLF": symvers.replace(b"\n", b"\r\n"),
        "no final newline": symvers[:-1],
        "System.map": b"ffff800008000000 T _text\nffff800008000000 t _head\n",
        "System.map of x86": b"00000000 A _text\nc0100000 T startup_32\n",
        ".config": CONFIG,
        "old .config": b"#\n# Automatically generated make config: don't edit\n#\nCONFIG_X=y\n",
        ".config too far": b"#" * 72 + CONFIG,
        "dts": b'/dts-v1/;\n\n/ {\n\tcompatible = "x";\n};\n',
        "dts with include": SOURCE + b"/dts-v1/;\n",
        "dts after much": b"//" * 511 + b"\n/dts-v1/;\n",
        "dts after more": b"//" * 513 + b"\n/dts-v1/;\n",
        "source": SOURCE,
        "source cut": SOURCE[: SOURCE.index(b"include") + 7],
        "source after much": b"x\n" * 4091 + SOURCE[37:],
        **{f"line of {length}": b"a: b\n" + b"x" * length + b"\nend\n" for length in (299, 300, 301, 302, 457)},
        **{f"first line of {length}": b"x" * length + b"\n" for length in (300, 301)},
        **{f"only line of {length}": b"x" * length for length in (2, 300, 301)},
        **{
            f"CRs {ends!r}": ends
            for ends in (b"a\r", b"a\rb\r", b"a\r\nb\r", b"a\nb\r", b"a\r\r\nb", b"\r\r\r\n", b"a\rb")
        },
    }
    file.holds(tmp_path, made)


def test_encodings(file: File, tmp_path: Path) -> None:
    text = "Grüße, 日本 😀\nend\n" * 20
    made = {
        **{name: text.encode(name) for name in ("utf-8", "utf-8-sig", "utf-16", "utf-32")},
        "utf-16 other": b"\xfe\xff" + text.encode("utf-16-be"),
        "utf-32 other": b"\0\0\xfe\xff" + text.encode("utf-32-be"),
        "utf-16 lone": b"\xff\xfe" + "a\udc00b".encode("utf-16-le", "surrogatepass"),
        "utf-16 cut": text.encode("utf-16")[:29],
        "utf-7": b"+/v8-hello\n",
        "latin-1": "Grüße\n".encode("latin-1"),
        "DOS": b"Gr\x81\xe1e\n",
        "EBCDIC": "HELLO, WORLD".encode("cp037"),
        "international EBCDIC": "GRÜSSE".encode("cp037"),
        "flash": b"\xff" * 1000,
        "zeros": bytes(1000),
        "surrogate": b"a\xed\xa0\x80b\n",
        "overlong": b"a\xc0\x80b\n",
        "past unicode": b"a\xf4\x90\x80\x80b\n",
        **{f"cut {size}": "ab€".encode()[:size] for size in range(6)},
        **{
            f"{size} and {zeros} zeros": b"hello world\n"[:size] + bytes(zeros)
            for size in range(1, 7)
            for zeros in range(4)
        },
    }
    file.holds(tmp_path, made)


def test_only_the_first_64_kib_are_looked_at(file: File, tmp_path: Path) -> None:
    line, limit = b"x" * 63 + b"\n", 1 << 16
    made = {
        "long line past it": line * 1024 + b"y" * 1000,
        "long line across it": line * 1023 + b"y" * 1000,
        "binary past it": line * 1024 + bytes(range(256)),
        "binary before it": line * 1023 + bytes(range(256)),
        "zeros past it": line * 1024 + bytes(limit),
        "zeros across it": line * 1000 + bytes(limit),
        "zeros across it and text": line * 1000 + bytes(limit) + b"x",
        "cut inside a character": b"a line\n" + "ü".encode() * limit,
        "CR at its end": b"x" * (limit - 1) + b"\r\n",
    }
    file.holds(tmp_path, made)


def test_text_of_random_pieces(file: File, tmp_path: Path) -> None:
    chosen = random.Random(1)
    made = {}
    for number in range(600):
        pieces = chosen.sample(PIECES, chosen.randrange(2, 6))
        made[f"{number}"] = b"text" + b"".join(chosen.choices(pieces, k=chosen.randrange(1, 40)))
    file.holds(tmp_path, made)


# ---- Files by their status, and the lines of the command


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of every kind of file, which is the current one."""
    monkeypatch.chdir(tmp_path)
    for name, mode in (("setuid", 0o4755), ("setgid", 0o2755), ("sticky", 0o1644), ("all", 0o7755)):
        Path(name).write_bytes(b"hello\n")
        Path(name + ".data").write_bytes(bytes(range(9)))
        Path(name + ".config").write_bytes(CONFIG)
        Path(name + ".empty").write_bytes(b"")
        Path(name + ".folder").mkdir()
        for suffix in ("", ".data", ".config", ".empty", ".folder"):
            Path(name + suffix).chmod(mode)
    Path("empty").touch()
    Path("one").write_bytes(b"x")
    os.mkfifo("fifo")
    with socket.socket(socket.AF_UNIX) as unix:
        unix.bind("socket")
    links = {"link": "one", "to folder": "all.folder", "dangling": "no\33where", "loop": "loop", "to fifo": "fifo"}
    for name, target in links.items():
        Path(name).symlink_to(target)
    return tmp_path


NAMES = [
    "a",
    "two words",
    "tab\there",
    "new\nline",
    "esc\33[31m",
    "del\x7f",
    "q'u`o",
    "ü",
    "日本",
    "e\u0301",
    "zero\u200bwidth",
    "right\u202eleft",
    "nbsp\xa0",
    "line\u2028",
    "private\ue000",
    "hexagram\u4dc0",
    "circled\u3248",
    "😀",
    "c1\x85",
    "unassigned\u0378",
    "-b",
    "x" * 40,
    os.fsdecode(b"bad\xff\xe4"),
    os.fsdecode(b"cut\xe2\x82"),
    os.fsdecode(b"\xed\xa0\x80"),
    os.fsdecode(b"\xc0\x80"),
]


@pytest.mark.parametrize("follow", [False, True])
def test_files_of_every_kind(file: File, folder: Path, follow: bool) -> None:
    names = [
        *sorted(os.listdir(folder)),
        "missing",
        "one/x",
        "x" * 300,
        "/dev/null",
        "/dev/zero",
        "/proc/version",
        ".",
        "to folder/",
    ]
    options = ["-L"] if follow else []
    assert lines(names, version=file.version, follow=follow) == file.lines(*options, "--", *names)


def test_names_and_padding(file: File, folder: Path) -> None:
    for name in NAMES:
        Path(name).write_bytes(b"hello\n")
        Path("to " + name).symlink_to(name)
    names = [*NAMES, *("to " + name for name in NAMES), *("no " + name for name in NAMES)]
    assert lines(names, version=file.version) == file.lines("--", *names)
    assert lines(names, version=file.version, brief=True) == file.lines("-b", "--", *names)
    for some in (["a"], ["ü", "a"], ["日本", "new\nline"], [""], ["", "a"]):
        assert lines(some, version=file.version) == file.lines("--", *some)


def test_no_names(capsys: pytest.CaptureFixture[str]) -> None:
    assert file_command([]) == 0
    assert capsys.readouterr().out == ""


def test_a_dash_is_the_standard_input(folder: Path) -> None:
    script = "from kinspect.cli import main\nmain(['file', '-', 'one'])"
    with Path("setuid").open("rb") as given:
        done = subprocess.run([sys.executable, "-c", script], stdin=given, capture_output=True, text=True, check=True)
    assert done.stdout == "/dev/stdin:   setuid , ASCII text\none: very short file (no magic)\n"


def test_a_file_that_may_not_be_read(file: File, folder: Path) -> None:
    if os.geteuid() == 0:
        pytest.skip("root may read every file")
    for mode in (0o000, 0o200, 0o100, 0o300):
        Path("one").chmod(mode)
        assert [description("one", version=file.version)] == file.lines("-b", "one")


def test_nothing_hangs_and_nothing_is_read_whole(folder: Path) -> None:
    with Path("sparse").open("wb") as sparse:
        sparse.truncate(1 << 40)
    assert description("sparse") == "data"
    assert description("fifo") == description("to fifo", follow=True) == "fifo (named pipe)"
    assert description("/dev/zero") == "character special (1/5)"
    assert description("a\0b") == "cannot open `a\\000b' (Invalid argument)"


def test_other_versions_are_refused() -> None:
    with pytest.raises(ValueError, match=r"file 5\.43 is not one of 5\.44, "):
        description("/", version="5.43")


# ---- What the other releases print: literals, from builds of their sources

PE_44 = "PE32+ executable (EFI application) Aarch64 (stripped to external PDB), for MS Windows, 2 sections"
PE_46 = "PE32+ executable for EFI (application), ARM64 (stripped to external PDB), 2 sections"
ZBOOT = "Linux kernel ARM64 EFI executable{} compressed zboot Image"
ARM64 = "Linux kernel ARM64 boot executable Image, little-endian, 4K pages"
ELF_64 = "ELF 64-bit LSB {}, ARM aarch64, version 1 (SYSV), "
SHA1 = "BuildID[sha1]=a0a1a2a3a4a5a6a7a8a9aaabacadaeafb0b1b2b3"
BY_VERSION: dict[str, tuple[bytes, Sequence[str]]] = {
    "Image": (image(), [ARM64] * 5),
    "64K": (image(6), [ARM64 + ", 16K pages, 32K pages"] * 5),
    "zboot": (zboot(), [PE_44, PE_44, PE_46, *["Linux kernel ARM64 EFI executable gzip compressed zboot Image"] * 2]),
    "zboot without a name": (zboot(b""), [PE_44, PE_44, PE_46, *["Linux kernel ARM64 EFI executable"] * 2]),
    "PE": (pe(), [PE_44, PE_44, PE_46, PE_46, PE_46]),
    "Image cut": (image()[:40], ["data", "data", *["MS-DOS executable, MZ for MS-DOS"] * 3]),
    "pie": (PROGRAMS["pie"], [ELF_64.format("pie executable") + f"static-pie linked, {SHA1}, stripped"] * 5),
    "not pie": (
        PROGRAMS["not pie"],
        [
            *[ELF_64.format("shared object") + f"static-pie linked, {SHA1}, stripped"] * 2,
            *[ELF_64.format("shared object") + f"dynamically linked, {SHA1}, stripped"] * 3,
        ],
    ),
    "i386": (
        program(elf.ET_REL, e_machine=3),
        [
            *[f"ELF 64-bit LSB relocatable, Intel 80386, version 1 (SYSV), {SHA1}, stripped"] * 2,
            *[f"ELF 64-bit LSB relocatable, Intel i386, version 1 (SYSV), {SHA1}, stripped"] * 3,
        ],
    ),
    "dtb": (
        device_tree(),
        ["Device Tree Blob version 17, size=1000, boot CPU=0, string block size=100, DT structure block size=200"] * 5,
    ),
    "gzip": (
        # Byte 9 is the system, which Python 3.14 leaves unknown: here Unix.
        compressed()[:9] + b"\3" + compressed()[10:],
        ["gzip compressed data, max compression, from Unix, original size modulo 2^32 594"] * 5,
    ),
    ".config": (CONFIG, ["Linux make config build file, ASCII text"] * 5),
    "dts with include": (SOURCE + b"/dts-v1/;\n", ["C source, ASCII text"] * 5),
    "CR at the end": (
        b"a\nb\r",
        ["ASCII text, with CR, LF line terminators", *["ASCII text"] * 3, "ASCII text, with CR, LF line terminators"],
    ),
    "end mark of DOS": (b"hello\n\x1a", [*["data"] * 3, *["ASCII text"] * 2]),
}


@pytest.mark.parametrize("name", BY_VERSION)
def test_each_release_has_its_words(tmp_path: Path, name: str) -> None:
    data, expected = BY_VERSION[name]
    path = tmp_path / "file"
    path.write_bytes(data)
    path.chmod(0o644)
    assert [description(str(path), version=version) for version in VERSIONS] == expected


# ---- Real kernels


def test_real_kernels(file: File, kernel: Kernel) -> None:
    modules = sorted(map(str, kernel.folder.glob("lib/modules/**/*.ko*")))
    paths = [str(kernel.folder / name) for name in ("Image", "vmlinux", "System.map", "Module.symvers", "config")]
    paths += [*map(str, kernel.folder.glob("lib/modules/*/modules.*")), *modules[:: max(1, len(modules) // 20)]]
    assert len(paths) > 20
    assert lines(paths, version=file.version) == file.lines(*paths)


def test_real_kernels_cut_short(file: File, kernel: Kernel, tmp_path: Path) -> None:
    for name in ("Image", "vmlinux"):
        with (kernel.folder / name).open("rb") as whole:
            file.holds(tmp_path, cuts(whole.read(260)))
