"""Broken, lying and endless files: one line that says where and what, the right status, in bounded time and memory.

The number in a test's name or id is the row of the table in the project's notes on hostile input.
"""

import json
import os
import random
import re
import resource
import struct
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import NamedTuple

import jsonschema
import pytest

from kinspect.artifacts.elf.file import Elf
from kinspect.cli import main
from kinspect.errors import KinspectError
from kinspect.inspection import file as file_inspection
from kinspect.inspection import kernel as inspection
from kinspect.inspection.report import Report, inspect
from kinspect.inspection.size import size as size_of_kernel
from kinspect.reports.json import report_text
from kinspect.reports.terminal import Style
from kinspect.reports.text import report_lines
from kinspect.schemas import elf
from kinspect.schemas.elf import ArangesHeader, ElfHeader, NoteHeader, SectionHeader, Symbol
from kinspect.schemas.image import ImageHeader
from kinspect.schemas.pe import CoffHeader, OptionalHeader
from kinspect.schemas.pe import PeSectionHeader as PeSectionHeader
from kinspect.schemas.record import build, offsets, size_of
from kinspect.schemas.zboot import ARM64_MAGIC, ZbootHeader
from kinspect.source import WINDOW, Source
from kinspect.views.diff.facts import DiffFacts
from kinspect.views.size.account import Sizes
from tests.conftest import ROOT, SAMPLE, Kernel
from tests.support import Part, changed, changed_section, elf_of, patched, time_limit

VMLINUX, IMAGE = SAMPLE / "vmlinux", SAMPLE / "Image"
IMAGE_BYTES = IMAGE.read_bytes()
SCHEMA = jsonschema.Draft202012Validator(json.loads((ROOT / "docs" / "report.schema.json").read_text()))
GIB, TIB = 1 << 30, 1 << 40
SIZE = VMLINUX.stat().st_size
SECTIONS = Elf(VMLINUX).header.e_shoff
Capture = pytest.CaptureFixture[str]
Changes = Mapping[int, bytes]


class Told(NamedTuple):
    """What a command said: status, text, what went to standard error, and the JSON document."""

    status: int
    out: str
    err: str
    document: dict[str, object]

    @property
    def findings(self) -> list[str]:
        """The lines of the findings that are more than information, without their places."""
        return [line for line in self.out.splitlines() if line.startswith(("error ", "warning ", "undecided "))]


def told(capsys: Capture, *words: str | Path) -> Told:
    """Run a command, once for text and once for JSON, and hold both against what every command promises."""
    command = [str(word) for word in words]
    with time_limit(10):
        status = main(command)
        out, err = capsys.readouterr()
        assert main([*command, "--json"]) == status
    text, again = capsys.readouterr()
    document = json.loads(text)
    SCHEMA.validate(document)
    assert again == err
    assert document["exit_code"] == status
    for line in err.splitlines():
        assert line.startswith("kinspect: ")
        assert "internal error" not in line
    assert len(err.splitlines()) == len(document["errors"])
    assert all(line.isprintable() for line in (out + err).splitlines())
    return Told(status, out, err, document)


def as_image(path: Path) -> list[tuple[str | Path, ...]]:
    """The commands that take a file for the Image of the sample; `diff` takes an ELF file for another vmlinux."""
    return [("size", VMLINUX, path), *([] if is_elf(path) else [("diff", VMLINUX, path)])]


def as_vmlinux(path: Path) -> list[tuple[str | Path, ...]]:
    """The commands that take a file for a vmlinux."""
    return [("vmlinux", path), ("vmlinux", path, "--table", ".symtab"), ("diff", path, IMAGE), ("size", path)]


def is_elf(path: Path) -> bool:
    return os.path.isfile(path) and os.access(path, os.R_OK) and path.read_bytes().startswith(b"\x7fELF")


def refused(capsys: Capture, path: Path, message: str, commands: Sequence[tuple[str | Path, ...]]) -> None:
    """Each command must end with the one line, and with nothing else."""
    for words in commands:
        found = told(capsys, *words)
        assert (found.status, found.out, found.err) == (2, "", f"kinspect: {path}: {message}\n"), words


def named(capsys: Capture, path: Path, description: str) -> None:
    """What `kinspect file` must say."""
    assert told(capsys, "file", "-b", path)[:3] == (0, description + "\n", "")


# Files of another kind, or of none.

ZBOOT = ZbootHeader(b"MZ\0\0", b"zimg", 0x1000, 0x100, bytes(8), b"gzip".ljust(32, b"\0"), ARM64_MAGIC, 0x40)
NO_IMAGE = "magic at 0x38: not an arm64 Image ({}): expected 41 52 4d 64, found {}"
NO_VMLINUX = "wrong kind of file: expected an arm64 vmlinux, found {}"
PE_ALONE, UNKNOWN, DEVICE_TREE = (
    "a PE/COFF file without an arm64 Image header",
    "a file of unknown kind",
    "a flattened device tree",
)


class Other(NamedTuple):
    """A file that is no Image: what those say of it that want an Image, and those that want a vmlinux."""

    data: bytes
    no_image: str
    no_vmlinux: str
    description: str


OTHERS = {
    "1 empty": Other(b"", "empty file", "empty file", "empty"),
    "2 one byte": Other(
        b"\1", "need 64 bytes for an Image header, have 1", NO_VMLINUX.format(UNKNOWN), "very short file (no magic)"
    ),
    "2 fifty bytes": Other(
        IMAGE_BYTES[:50],
        "need 64 bytes for an Image header, have 50",
        NO_VMLINUX.format(PE_ALONE),
        "data",
    ),
    "3 another magic": Other(
        IMAGE_BYTES[:0x38] + b"NONE" + IMAGE_BYTES[0x3C:],
        NO_IMAGE.format(PE_ALONE, "4e 4f 4e 45"),
        NO_VMLINUX.format(PE_ALONE),
        "PE32+ executable (EFI application) Aarch64 (stripped to external PDB), for MS Windows, 2 sections",
    ),
    "3 text": Other(
        b"no kernel at all\n" * 9,
        "wrong kind of file: expected an arm64 Image, found a text file",
        NO_VMLINUX.format("a text file"),
        "ASCII text",
    ),
    "3 device tree": Other(
        b"\xd0\x0d\xfe\xed" + b"\0" * 100,
        f"wrong kind of file (`kinspect dtb` shows it): expected an arm64 Image, found {DEVICE_TREE}",
        f"wrong kind of file (`kinspect dtb` shows it): expected an arm64 vmlinux, found {DEVICE_TREE}",
        "ISO-8859 text, with CR line terminators",
    ),
    "3 gzip": Other(
        b"\x1f\x8b\x08" + bytes(61),
        "gzip stream at 0x0: the stream is broken (invalid stored block lengths)",
        "gzip stream at 0x0: the stream is broken (invalid stored block lengths)",
        "gzip compressed data, from FAT filesystem (MS-DOS, OS/2, NT), original size modulo 2^32 0",
    ),
    "4 zboot": Other(
        build(ZBOOT) + bytes(0x2000),
        "gzip stream at 0x1000: the stream is broken (incorrect header check)",
        "gzip stream at 0x1000: the stream is broken (incorrect header check)",
        "MS-DOS executable",
    ),
    "3 ELF cut in its header": Other(
        VMLINUX.read_bytes()[:20],
        "wrong kind of file (`kinspect vmlinux` shows a linked kernel): expected an arm64 Image, found an ELF file",
        "ELF header at 0x0: the file is too short: expected 64 bytes, found 20",
        "ELF 64-bit LSB shared object, ARM aarch64, (SYSV)",
    ),
}


@pytest.mark.parametrize("row", OTHERS)
def test_files_of_another_kind(row: str, tmp_path: Path, capsys: Capture) -> None:
    data, no_image, no_vmlinux, description = OTHERS[row]
    path = tmp_path / "file"
    path.write_bytes(data)
    refused(capsys, path, no_image, as_image(path))
    refused(capsys, path, no_vmlinux, as_vmlinux(path))
    refused(capsys, path, no_image, [("image", path)])
    named(capsys, path, description)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (
            ZBOOT._replace(payload_offset=0x10000),
            "payload_offset at 0x8: the payload begins past the end: expected at most 8,256, found 65,536 (0x10000)",
        ),
        (
            ZBOOT._replace(payload_size=0x10000),
            "payload_size at 0xc: the payload ends past the end: expected at most 4,160, found 65,536 (0x10000)",
        ),
    ],
)
def test_30_zboot_payload_past_the_end(wrong: ZbootHeader, message: str, tmp_path: Path, capsys: Capture) -> None:
    path = tmp_path / "vmlinuz.efi"
    path.write_bytes(build(wrong) + bytes(0x2000))
    refused(capsys, path, message, [("image", path)])


def test_30_zboot_cut_in_its_header(tmp_path: Path, capsys: Capture) -> None:
    path = tmp_path / "vmlinuz.efi"
    path.write_bytes(build(ZBOOT)[:28])
    message = "zboot header at 0x0: the file is too short: expected 64 bytes, found 28"
    refused(capsys, path, message, [("image", path)])


ELSEWHERE = {
    "32-bit": (4, b"\1", "e_ident at 0x4: not an arm64 ELF file: expected 64-bit, found 32-bit"),
    "big-endian": (5, b"\2", "e_ident at 0x5: not an arm64 ELF file: expected little-endian, found big-endian"),
    "x86": (18, b"\x3e\0", "e_machine at 0x12: not an arm64 ELF file: expected AArch64 (183), found x86-64 (62)"),
    "unknown": (
        18,
        b"\xff\xff",
        "e_machine at 0x12: not an arm64 ELF file: expected AArch64 (183), found machine (65535)",
    ),
    "core": (16, b"\4\0", "e_type at 0x10: not a vmlinux: expected a linked kernel, found a core dump"),
}


@pytest.mark.parametrize("kind", ELSEWHERE)
def test_25_elf_for_something_else(kind: str, tmp_path: Path, capsys: Capture) -> None:
    offset, value, message = ELSEWHERE[kind]
    path = patched(VMLINUX, {offset: value}, tmp_path)
    refused(capsys, path, message, [*as_vmlinux(path), ("diff", VMLINUX, path)])
    refused(capsys, path, OTHERS["3 ELF cut in its header"].no_image, [("image", path), *as_image(path)])
    assert told(capsys, "file", path).status == 0


def test_a_stub_says_where_the_kernel_is(tmp_path: Path, capsys: Capture) -> None:
    path = tmp_path / "vmlinux"
    path.write_bytes(elf_of(Part(".BTF", b"\x9f\xeb\1\0" + bytes(20), 0x1000)))
    problem = "a stub without code: take the vmlinux of the debug package"
    message = f"{problem}: expected executable sections, found none"
    refused(capsys, path, message, [("diff", path, IMAGE), ("size", path), ("size", path, IMAGE)])
    found = told(capsys, "vmlinux", path)
    assert found.status == 1
    assert found.findings[0].startswith(f"error     {problem}, or the Image: expected executable sections, found only")


# Images that lie.

FIELD = offsets(ImageHeader)
COFF = 0x40 + 4
FIRST_PE_SECTION = COFF + size_of(CoffHeader) + 0xA0
PAST_4_GIB = "SizeOfImage differs from image_size: expected 4,294,967,296 (0x100000000), found 196,608 (0x30000)"


class Lie(NamedTuple):
    """Changes of a good file, the status of the command that judges it, and its findings."""

    changes: Changes
    status: int
    findings: tuple[str, ...]


IMAGE_LIES = {
    "5 image_size 0": Lie({FIELD["image_size"]: bytes(8)}, 0, ()),
    "6 image_size below the file": Lie(
        {FIELD["image_size"]: struct.pack("<Q", 0x20000), COFF + 20 + 56: struct.pack("<I", 0x20000)},
        1,
        (
            "error     the file is larger than image_size: expected at least 135,680, "
            "found 131,072 (0x20000)  [image-fits-image-size]",
            "error     the section extends past SizeOfImage: expected at most 131,072, found 196,608 (0x30000)  "
            "[pe-sections-are-inside-the-image]",
        ),
    ),
    "6 image_size of 4 GiB": Lie(
        {FIELD["image_size"]: struct.pack("<Q", 4 * GIB)},
        1,
        (
            "error     image_size is implausibly large: expected below 4,294,967,296, "
            "found 4,294,967,296 (0x100000000)  [image-size-is-below-4-gib]",
            f"error     {PAST_4_GIB}  [pe-size-is-image-size]",
        ),
    ),
    "7 reserved": Lie(
        {FIELD["flags"]: b"\x1a", FIELD["res3"]: b"\1"},
        0,
        (
            "warning   reserved bits of the flags are set: expected 0, found 0x10  [reserved-flags-are-zero]",
            "warning   res3 is not zero: expected 0, found 1  [reserved-fields-are-zero]",
        ),
    ),
    "8 PE header past the end": Lie(
        {FIELD["res5"]: struct.pack("<I", 0x7FFFFFF8)},
        1,
        ("error     the file is too short: expected 4 bytes, found 0  [pe-header-is-readable]",),
    ),
    "9 PE section past the end": Lie(
        {FIRST_PE_SECTION + offsets(PeSectionHeader)["raw_data_size"]: b"\xff\xff\xff\xff"},
        1,
        (
            "error     the section extends past the end of the file: expected at most 135,680, "
            "found 4,295,032,831 (0x10000ffff)  [pe-sections-are-inside-the-file]",
        ),
    ),
    "9 PE sections without number": Lie(
        {COFF + offsets(CoffHeader)["sections"]: b"\xff\xff"},
        1,
        ("error     too many sections: expected at most 96, found 65,535 (0xffff)  [pe-header-is-readable]",),
    ),
    "9 PE directories without number": Lie(
        {COFF + size_of(CoffHeader) + offsets(OptionalHeader)["data_dirs"]: b"\xff\xff\xff\xff"},
        1,
        (
            "error     the data directories do not fit the optional header: expected at most 6, "
            "found 4,294,967,295 (0xffffffff)  [pe-header-is-readable]",
        ),
    ),
}


@pytest.mark.parametrize("row", IMAGE_LIES)
def test_images_that_lie(row: str, tmp_path: Path, capsys: Capture) -> None:
    changes, status, findings = IMAGE_LIES[row]
    path = patched(IMAGE, changes, tmp_path)
    found = told(capsys, "image", path)
    assert (found.status, tuple(found.findings), found.err) == (status, findings, "")
    compared = told(capsys, "diff", VMLINUX, path)
    assert (compared.status, compared.err) == (1, "")
    assert told(capsys, "size", VMLINUX, path).err == ""
    named(capsys, path, "Linux kernel ARM64 boot executable Image, little-endian, 4K pages")


def test_8_the_finding_is_at_0x3c(tmp_path: Path, capsys: Capture) -> None:
    path = patched(IMAGE, IMAGE_LIES["8 PE header past the end"].changes, tmp_path)
    assert f"          {path}: res5 at 0x3c\n" in told(capsys, "image", path).out


# ELF files that lie.


def header(**fields: int) -> dict[int, bytes]:
    return changed(VMLINUX, ElfHeader, 0, **fields)


def first_section(**fields: int) -> dict[int, bytes]:
    return changed(VMLINUX, SectionHeader, SECTIONS, **fields)


def section(name: str, **fields: int) -> dict[int, bytes]:
    return changed_section(VMLINUX, name, **fields)


def at(name: str, offset: int, value: bytes) -> dict[int, bytes]:
    """A change in the contents of a section; a negative offset counts from its end."""
    found = Elf(VMLINUX).section(name)
    assert found is not None
    return {found.offset + offset + (found.size if offset < 0 else 0): value}


TABLES_PAST = "headers end past the file (is it truncated?): expected at most 114,688, found"
NO_TABLE = {
    "10 e_shnum": (
        header(e_shnum=0xFE00),
        f"e_shoff at 0x28: 65,024 section {TABLES_PAST} 112,448 + 4,161,536",
    ),
    "11 e_shnum in section 0": (
        {**header(e_shnum=0), **first_section(sh_size=1 << 32)},
        "e_shnum at 0x3c: too many sections: expected at most 65,536, found 4,294,967,296 (0x100000000)",
    ),
    "12 e_shoff": (
        header(e_shoff=1 << 63),
        f"e_shoff at 0x28: 35 section {TABLES_PAST} 9,223,372,036,854,775,808 + 2,240",
    ),
    "12 e_phoff": (
        header(e_phoff=(1 << 64) - 1),
        f"e_phoff at 0x20: 6 program {TABLES_PAST} 18,446,744,073,709,551,615 + 336",
    ),
    "13 e_shentsize 0": (
        header(e_shentsize=0),
        "e_shentsize at 0x3a: wrong section header size: expected 64 (0x40), found 0",
    ),
    "13 e_shentsize 1": (
        header(e_shentsize=1),
        "e_shentsize at 0x3a: wrong section header size: expected 64 (0x40), found 1",
    ),
    "13 e_phentsize 1": (
        header(e_phentsize=1),
        "e_phentsize at 0x36: wrong program header size: expected 56 (0x38), found 1",
    ),
    "15 PN_XNUM": (
        {**header(e_phnum=elf.PN_XNUM), **first_section(sh_info=0xFFFFFFFF)},
        "e_phnum at 0x38: too many segments: expected at most 64, found 4,294,967,295 (0xffffffff)",
    ),
}


@pytest.mark.parametrize("row", NO_TABLE)
def test_elf_headers_that_lie(row: str, tmp_path: Path, capsys: Capture) -> None:
    changes, message = NO_TABLE[row]
    path = patched(VMLINUX, changes, tmp_path)
    commands = as_vmlinux(path)
    # A table of symbols stands without segments.
    refused(capsys, path, message, [words for words in commands if "--table" not in words or "e_ph" not in message])
    assert told(capsys, "file", path).err == ""


def test_15_pn_xnum_is_followed(tmp_path: Path, capsys: Capture) -> None:
    path = patched(VMLINUX, {**header(e_phnum=elf.PN_XNUM), **first_section(sh_info=6)}, tmp_path)
    for words in as_vmlinux(path):
        assert told(capsys, *words).status == 0
    path = patched(VMLINUX, header(e_phnum=elf.PN_XNUM, e_shoff=0), tmp_path)
    refused(capsys, path, "e_phnum at 0x38: PN_XNUM without a section table to hold the count", as_vmlinux(path)[:1])


class TableLie(NamedTuple):
    """Changes of the sample's vmlinux, the findings, then the statuses of vmlinux, --table .symtab, diff and size."""

    changes: Changes
    findings: tuple[str, ...]
    statuses: tuple[int, int, int, int]


PART_LIES = {
    "14 e_shstrndx": TableLie(
        header(e_shstrndx=0xFF),
        (
            "warning   no section has a name: expected the number of a string table, found 255 (0xff)  "
            "[section-names-are-readable]",
        ),
        (0, 0, 0, 0),
    ),
    "16 section past the file": TableLie(
        section(".comment", sh_size=1 << 62),
        (
            "error     the section extends past the end of the file: expected at most 114,688, "
            "found 4,611,686,018,427,492,374 (0x4000000000019816)  [sections-are-inside-the-file]",
        ),
        (1, 0, 0, 0),
    ),
    "17 overlap": TableLie(
        section(".init.data", sh_addr=0xFFFF800008015000),
        (
            "error     .init.data overlaps .init.text: expected from 0xffff800008015478, found 0xffff800008015000  "
            "[loaded-sections-do-not-overlap]",
        ),
        (1, 0, 1, 0),
    ),
    "18 symbols of 16 bytes": TableLie(
        section(".symtab", sh_entsize=16),
        (
            "error     wrong symbol size: expected 24 (0x18), found 16 (0x10)  [symbol-table-is-readable]",
            "undecided wrong symbol size: expected 24 (0x18), found 16 (0x10)  [export-values-are-symbols]",
        ),
        (2, 2, 0, 2),
    ),
    "19 sh_link to itself": TableLie(
        section(".symtab", sh_link=32),
        (
            "error     sh_link is not a string table: found 32 (0x20)  [symbol-table-is-readable]",
            "undecided sh_link is not a string table: found 32 (0x20)  [export-values-are-symbols]",
        ),
        (2, 2, 0, 2),
    ),
    "19 sh_link out of range": TableLie(
        section(".symtab", sh_link=0x7FFFFFFF),
        (
            "error     sh_link is not a string table: found 2,147,483,647 (0x7fffffff)  [symbol-table-is-readable]",
            "undecided sh_link is not a string table: found 2,147,483,647 (0x7fffffff)  [export-values-are-symbols]",
        ),
        (2, 2, 0, 2),
    ),
    "20 names without NUL": TableLie(
        at(".strtab", -3, b"abc"),
        ("error     the symbol names do not end with a NUL: expected 00, found 63  [symbol-table-is-readable]",),
        (1, 0, 0, 0),
    ),
    "21 st_name out of range": TableLie(
        at(".symtab", 50 * size_of(Symbol), b"\xf0\xff\xff\xff"),
        (
            "error     the symbol's name lies outside the string table: expected below 2,093, "
            "found 4,294,967,280 (0xfffffff0)  [symbol-table-is-readable]",
        ),
        (1, 0, 0, 0),
    ),
    "22 huge note": TableLie(at(".notes", 4, b"\xff\xff\xff\xff"), (), (0, 0, 1, 0)),
}
TELLING = {
    "14 e_shstrndx": ("<section 32>", 0),
    "16 section past the file": (".comment", 0),
    "20 names without NUL": ("abc<unterminated>", 1),
    "21 st_name out of range": ("<corrupt 0xfffffff0>", 1),
}
"""What marks the broken part, and in which of the commands."""


@pytest.mark.parametrize("row", PART_LIES)
def test_one_part_that_lies_does_not_hide_the_others(row: str, tmp_path: Path, capsys: Capture) -> None:
    changes, findings, statuses = PART_LIES[row]
    path = patched(VMLINUX, changes, tmp_path)
    found = [told(capsys, *words) for words in as_vmlinux(path)]
    assert tuple(one.status for one in found) == statuses
    assert tuple(found[0].findings) == findings
    assert found[0].err == ""
    assert "#1 PREEMPT" in found[0].out or "Linux version" in found[0].out
    if row == "22 huge note":
        assert "<corrupt 0x0>" in told(capsys, "vmlinux", path, "--table", ".notes").out
    if row in TELLING:
        mark, command = TELLING[row]
        assert mark in found[command].out
    assert told(capsys, "file", path).status == 0


def test_16_diff_refuses_a_loaded_section_past_the_file(tmp_path: Path, capsys: Capture) -> None:
    path = patched(VMLINUX, section(".data", sh_size=1 << 62), tmp_path)
    message = (
        ".data at 0x15000: the section ends past the file: expected at most 114,688, found 4,611,686,018,427,473,920"
    )
    refused(capsys, path, message, [("diff", path, IMAGE)])


def test_17_overlapping_sections_are_counted_once(tmp_path: Path) -> None:
    path = patched(VMLINUX, section(".init.data", sh_addr=0xFFFF800008015000, sh_size=0x2000), tmp_path)
    (facts,) = size_of_kernel(path).facts_of(Sizes)
    (unbroken,) = size_of_kernel(VMLINUX).facts_of(Sizes)
    assert facts.memory_size == unbroken.memory_size
    assert sum(part.size for part in facts.parts) == SIZE


# Names and texts.


def test_37_38_names_from_a_file_are_harmless(tmp_path: Path, capsys: Capture) -> None:
    names = Elf(VMLINUX).section(".shstrtab")
    assert names is not None
    place = VMLINUX.read_bytes().index(b".altinstructions", names.offset)
    path = patched(VMLINUX, {place: b"\x1b[2J\xff\xc2\x9b\n\xe2\x80\xaea"}, tmp_path)
    image = patched(IMAGE, {0x15478 - 0x1000 + 0x1000: b"\xff" * 8}, tmp_path)
    for words in (("vmlinux", path), ("size", path), ("diff", path, image)):
        found = told(capsys, *words)
        assert "\\x1b[2J\\xff\\xc2\\x9b\\x0a\\xe2\\x80\\xaea" in found.out
        assert "\\xff" in json.dumps(found.document)


def test_37_a_recorded_command_that_is_no_text(tmp_path: Path, capsys: Capture) -> None:
    image = patched(IMAGE, {}, tmp_path)
    recorded = tmp_path / ".Image.cmd"
    recorded.write_bytes(b"savedcmd_Image := objcopy -O binary -R \xff\x1b[2J vmlinux Image\n")
    found = told(capsys, "diff", VMLINUX, image)
    assert "-R \\xff\\x1b[2J" in found.out
    for text, problem in (
        (b"\xff" * 100, "no objcopy command is recorded"),
        (b"cmd_Image := objcopy 'x\n", "the recorded command is not a shell command (No closing quotation)"),
        (b"", "no objcopy command is recorded"),
    ):
        recorded.write_bytes(text)
        refused(capsys, recorded, problem, [("diff", VMLINUX, image)])
    recorded.unlink()
    recorded.mkdir()
    refused(capsys, recorded, "is a directory: expected a regular file, found directory", [("diff", VMLINUX, image)])


def test_a_file_named_like_the_standard_input(tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "-").write_bytes(IMAGE_BYTES)
    monkeypatch.chdir(tmp_path)
    assert "  file(1)    Linux kernel ARM64 boot executable Image" in told(capsys, "image", "./-").out


# What is no regular file, and what the system does not give.


def test_49_50_what_cannot_be_opened(tmp_path: Path, capsys: Capture) -> None:
    fifo, loop, missing = tmp_path / "fifo", tmp_path / "loop", tmp_path / "missing"
    os.mkfifo(fifo)
    loop.symlink_to(loop)
    folder = "is a directory (name a file in it; `kinspect check` takes whole folders): expected an arm64"
    refused(capsys, tmp_path, f"{folder} Image", [("image", tmp_path), *as_image(tmp_path)])
    refused(capsys, tmp_path, f"{folder} vmlinux", as_vmlinux(tmp_path))
    for path, message in (
        (fifo, "is a FIFO: expected a regular file, found FIFO"),
        (Path("/dev/zero"), "is a character device: expected a regular file, found character device"),
        (loop, "Too many levels of symbolic links"),
        (missing, "No such file or directory"),
        (tmp_path / ("x" * 300), "File name too long"),
    ):
        refused(capsys, path, message, [("image", path), *as_image(path), *as_vmlinux(path)])
        assert told(capsys, "file", path).status == 0


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read every file")
def test_50_what_may_not_be_read(tmp_path: Path, capsys: Capture) -> None:
    path = patched(IMAGE, {}, tmp_path)
    path.chmod(0)
    refused(capsys, path, "Permission denied", [("image", path), *as_image(path)])


@pytest.mark.parametrize("command", ["image", "diff", "vmlinux", "vmlinux --table .symtab", "size"])
def test_51_a_file_that_shrinks_while_it_is_read(
    command: str, tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is cut at the first read, at the second, and so on, until the command is done before."""
    path, (name, *options) = tmp_path / "file", command.split()
    data = VMLINUX.read_bytes() if name in ("vmlinux", "size") else IMAGE_BYTES[:-1] + b"\xff"
    words = [name, str(VMLINUX), str(path)] if name == "diff" else [name, str(path), *options]
    left = 0

    def cutting(read: Callable[..., object]) -> Callable[..., object]:
        def one(*words: object) -> object:
            nonlocal left
            left -= 1
            if left == 0:
                os.truncate(path, 100)
            return read(*words)

        return one

    monkeypatch.setattr(os, "pread", cutting(os.pread))
    monkeypatch.setattr(os, "preadv", cutting(os.preadv))
    told_at = set()
    for first in count(1):
        path.write_bytes(data)
        left = first
        with time_limit(5):
            status = main(words)
        out, err = capsys.readouterr()
        if left > 0:
            break
        # The first reads tell a kernel from a package that holds one, and its kind; after them, the file is short.
        known = "the file changed while it was read" if first > 2 else ".*(?:changed while it was read|truncated).*"
        assert re.sub(f"^kinspect: {path}.* at 0x[0-9a-f]+: {known}\n$", "", err) == ""
        assert status != 2 or err or "undecided the file changed while it was read" in out
        told_at |= {err} if err else set()
    assert status == (1 if name == "diff" else 0)
    assert told_at


def test_52_files_without_a_size(capsys: Capture) -> None:
    for path, message in (
        ("/proc/self/status", "wrong kind of file: expected an arm64 Image, found a text file"),
        ("/proc/self/mem", "Input/output error"),
        ("/proc/self/pagemap", "a file that reports size 0 is too long"),
    ):
        status = main(["image", path])
        out, err = capsys.readouterr()
        assert (status, out) == (2, "")
        assert err.startswith(f"kinspect: {path}: {message.split('{}')[0]}")
        assert main(["file", path]) == 0
        assert capsys.readouterr().err == ""


# Files that would take for ever, or all memory: each command in a process with little memory, and stopped in time.

_LIMITED = """
import contextlib, io, json, resource, sys
resource.setrlimit(resource.RLIMIT_AS, (600 << 20, 600 << 20))
from kinspect.cli import main
for words in json.loads(sys.argv[1]):
    out, err = (io.TextIOWrapper(io.BytesIO(), "utf-8", write_through=True) for _ in range(2))
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        status = main(words)
    print(json.dumps([status, err.buffer.getvalue().decode(), out.buffer.getvalue().decode()[-2000:]]))
"""


def limited(*commands: Sequence[str | Path]) -> list[tuple[int, str, str]]:
    """Status, errors and the last text of each command, run with 600 MB of memory and 20 seconds for all."""
    words = json.dumps([[str(word) for word in command] for command in commands])
    done = subprocess.run(
        [sys.executable, "-c", _LIMITED, words], capture_output=True, text=True, timeout=20, cwd=ROOT, check=True
    )
    found = [(status, err, out) for status, err, out in map(json.loads, done.stdout.splitlines())]
    for _, err, _ in found:
        assert "internal error" not in err
        assert "Traceback" not in err
    assert len(found) == len(commands)
    return found


def sparse(path: Path, data: bytes, size: int, changes: Changes | None = None) -> Path:
    """A file that says it is large, and takes no room."""
    with path.open("wb") as file:
        file.write(data)
        for offset, value in (changes or {}).items():
            file.seek(offset)
            file.write(value)
    os.truncate(path, size)
    return path


TOO_LARGE = "too large for a kernel: expected at most 1,073,741,824 bytes, found 1,099,511,627,776 (0x10000000000)"


def test_54_a_sparse_image(tmp_path: Path) -> None:
    path = sparse(tmp_path / "Image", IMAGE_BYTES, TIB)
    image, in_json, file, diff, size = limited(
        ("image", path), ("image", path, "--json"), ("file", path), ("diff", VMLINUX, path), ("size", VMLINUX, path)
    )
    assert image[:2] == in_json[:2] == (1, "")
    assert "[image-fits-image-size]" in image[2]
    assert file[2].endswith("Linux kernel ARM64 boot executable Image, little-endian, 4K pages\n")
    assert diff == (2, f"kinspect: {path}: {TOO_LARGE}\n", "")
    assert size[:2] == (1, "")


def test_54_a_sparse_image_without_a_banner(tmp_path: Path) -> None:
    """All of it would have to be searched."""
    path = sparse(tmp_path / "Image", IMAGE_BYTES[:64], TIB)
    ((status, err, out),) = limited(("image", path))
    assert (status, err) == (1, "")
    assert "[image-has-a-banner]" in out


def test_54_a_search_skips_holes(tmp_path: Path) -> None:
    with time_limit(2):
        assert list(Source(sparse(tmp_path / "large", b"", TIB, {TIB // 2: b"Linux"})).find(b"nux")) == [TIB // 2 + 2]
    chance = random.Random(54)
    for _ in range(100):
        size, pattern = (
            chance.randrange(3 * WINDOW, 5 * WINDOW),
            chance.choice((b"\0\0ab", b"ab\0\0", b"aba", b"\0a\0")),
        )
        pages = [chance.choice((4096, WINDOW)) * chance.randrange(5) for _ in range(chance.randrange(4))]
        path = sparse(tmp_path / "small", b"", size, {page + chance.choice((0, 4094)): b"ababa" for page in pages})
        data = path.read_bytes()
        expected = [found.start() for found in re.finditer(b"(?=" + re.escape(pattern) + b")", data)]
        assert list(Source(path).find(pattern)) == expected


def test_54_a_sparse_vmlinux(tmp_path: Path) -> None:
    path = sparse(tmp_path / "vmlinux", VMLINUX.read_bytes(), TIB)
    for status, err, _ in limited(*as_vmlinux(path), ("vmlinux", path, "--json"), ("file", path)):
        assert (status, err) == (0, "")


SPAN = "{}: too large for a kernel: expected at most 1,073,741,824 bytes"
WHOLE_TIB = "expected at most 67,108,864 bytes, found 1,099,510,579,200 (0xfffff00000)"
NO_SYMBOLS = "{}: the symbol table is too large: " + WHOLE_TIB
SYMBOLS_MISSING = (2, 2, 0, 2)
SPARSE_SECTIONS = {
    # The statuses of vmlinux, --table .symtab, diff and size, and the error of one of them.
    ".text": ((1, 0, 2, 0), 2, SPAN),
    ".rodata": ((1, 0, 2, 0), 2, SPAN),
    ".notes": ((1, 0, 2, 0), 2, SPAN),
    "__ksymtab": ((2, 0, 2, 0), 2, SPAN),
    "__param": ((1, 0, 2, 0), 2, SPAN),
    ".rela.dyn": ((1, 0, 2, 0), 2, SPAN),
    ".symtab": (SYMBOLS_MISSING, 3, NO_SYMBOLS),
    ".strtab": (SYMBOLS_MISSING, 3, NO_SYMBOLS),
    ".shstrtab": ((0, 0, 0, 0), 0, ""),
    ".comment": ((0, 0, 0, 0), 0, ""),
    ".debug_line": ((0, 0, 0, 0), 0, ""),
    ".bss": ((0, 0, 0, 0), 0, ""),
}


@pytest.mark.parametrize("name", SPARSE_SECTIONS)
def test_54_a_section_of_one_tebibyte(name: str, tmp_path: Path) -> None:
    statuses, command, message = SPARSE_SECTIONS[name]
    size = (TIB - (1 << 20)) // 240 * 240 if ".symtab" not in name else TIB - (1 << 20)
    path = sparse(tmp_path / "vmlinux", VMLINUX.read_bytes(), 2 * TIB, section(name, sh_size=size))
    found = limited(*as_vmlinux(path))
    assert tuple(status for status, _, _ in found) == statuses
    if message:
        assert found[command][1].startswith(f"kinspect: {path}: {message.format(name).split(', found')[0]}")


@pytest.mark.parametrize("name", ["__ksymtab", "__param", ".rela.dyn", ".notes", ".symtab"])
@pytest.mark.parametrize("size", [60 << 20, GIB])
def test_tables_beyond_any_kernel(name: str, size: int, tmp_path: Path) -> None:
    """Zeros as far as the limits let them be read."""
    changes = section(name, sh_size=size // 240 * 240)
    path = sparse(tmp_path / "vmlinux", VMLINUX.read_bytes(), 2 * GIB, changes)
    judged, table = limited(("vmlinux", path), ("vmlinux", path, "--table", name))
    assert judged[0] in (1, 2)
    if (name, size) != (".notes", 60 << 20):
        assert table[0] == 2
        assert "the table is too large" in table[1] or "too many rows: expected at most 1,048,576" in table[1]


@pytest.mark.parametrize("name", [".modinfo", ".relr.dyn", ".BTF"])
def test_tables_without_rows(name: str, tmp_path: Path) -> None:
    code = Part(".text", bytes(16), 0x1000, elf.SHF_ALLOC | elf.SHF_EXECINSTR)
    data = elf_of(code, Part(name, b"", flags=0))
    path = tmp_path / "small"
    path.write_bytes(data)
    for size in (60 << 20, GIB):
        changes = changed_section(path, name, sh_size=size, sh_offset=0x10000)
        large = sparse(tmp_path / "vmlinux", data, 2 * GIB, changes)
        judged, _ = limited(("vmlinux", large), ("vmlinux", large, "--table", name))
        assert judged[:2] == (0, "")


def test_more_headers_than_any_kernel(tmp_path: Path) -> None:
    """Every section against every segment, where both are as many as the limits let."""
    many = 1 << 16
    place = {**header(e_shnum=0, e_shoff=1 << 20), 1 << 20: build(SectionHeader(0, 0, 0, 0, 0, many, 0, 0, 0, 0))}
    loaded = build(SectionHeader(1, 1, elf.SHF_ALLOC, 0x1000, 0x1000, 1, 0, 0, 1, 0))
    rows = b"".join([build(SectionHeader(0, 0, 0, 0, 0, many, 0, 0, 0, 0)), loaded * (many - 1)])
    path = sparse(tmp_path / "vmlinux", VMLINUX.read_bytes(), 1 << 30, {**place, 1 << 20: rows})
    judged, compared = limited(("vmlinux", path, "-q"), ("diff", path, IMAGE, "-q"))
    assert judged[:2] == (1, "")
    assert compared[0] == 2
    path = sparse(tmp_path / "vmlinux", VMLINUX.read_bytes(), 1 << 30, header(e_phnum=65, e_phoff=1 << 20))
    ((status, err, _),) = limited(("vmlinux", path))
    assert status == 2
    assert err == f"kinspect: {path}: e_phnum at 0x38: too many segments: expected at most 64, found 65 (0x41)\n"


NOTE = build(NoteHeader(0, 0, 1))
FLOODS = {
    "banner": b"Linux version ",
    "banner with numbers": b"Linux version x" + b" #1" * 300 + bytes(80),
    "build id": b"\3\0\0\0GNU\0",
    "notes": NOTE,
}


@pytest.mark.parametrize("name", FLOODS)
def test_22_floods(name: str, tmp_path: Path) -> None:
    """40 MB of what would have to be looked at closely."""
    flood = FLOODS[name] * ((40 << 20) // len(FLOODS[name]))
    image, vmlinux = tmp_path / "Image", tmp_path / "vmlinux"
    image.write_bytes(IMAGE_BYTES[:64] + flood)
    code = Part(".text", flood, 0x1000, elf.SHF_ALLOC | elf.SHF_EXECINSTR)
    vmlinux.write_bytes(elf_of(code, Part(".notes", flood, 0x10000000, elf.SHF_ALLOC, elf.SHT_NOTE)))
    judged, linked, table = limited(("image", image), ("vmlinux", vmlinux), ("vmlinux", vmlinux, "--table", ".notes"))
    assert (judged[0], judged[1], linked[1], table[:2]) == (1, "", "", (0, ""))
    if name == "notes":
        assert table[2].splitlines()[-1].startswith("  <corrupt 0xc000>")


def sections_alike(path: Path, parts: Sequence[Part], data: bytes, size: int) -> Path:
    """An ELF file whose sections all have the same bytes: `data`, and zeros up to `size`."""
    path.write_bytes(elf_of(*parts))
    found = Elf(path)
    start = path.stat().st_size
    changes = {
        found.header.e_shoff + number * size_of(SectionHeader): build(row._replace(sh_offset=start, sh_size=size))
        for number, row in enumerate(found.section_headers[1:-1], start=1)
    }
    return sparse(path, path.read_bytes(), start + size, {**changes, start: data})


def test_22_sections_of_notes_without_number(tmp_path: Path) -> None:
    parts = [Part(f".note.{number}", b"", 0x1000, elf.SHF_ALLOC, elf.SHT_NOTE) for number in range(10_000)]
    path = sections_alike(tmp_path / "vmlinux", parts, NOTE * 10_000, 60 << 20)
    ((status, err, _),) = limited(("vmlinux", path, "-q"))
    assert (status, err) == (1, "")


def test_sections_that_are_searched_without_end(tmp_path: Path) -> None:
    """For the banner, in 160 GB of memory that are 40 MB in the file."""
    parts = [Part(f".part{number}", b"", number << 30) for number in range(4000)]
    path = sections_alike(tmp_path / "vmlinux", parts, b"Linux " * (7 << 20), 40 << 20)
    ((status, err, _),) = limited(("vmlinux", path, "-q"))
    assert (status, err) == (1, "")


def test_names_without_end(tmp_path: Path) -> None:
    """Each of many symbols names all the text behind it."""
    amount = 400_000
    names = b"\0" + b"a" * (1 << 20)
    rows = b"".join(struct.pack("<IBBHQQ", 1 + 2 * at, 0x12, 0, 1, 0x1000 + at, 1) for at in range(amount))
    code = Part(".text", bytes(4096), 0x1000, elf.SHF_ALLOC | elf.SHF_EXECINSTR)
    data = elf_of(code, Part(".symtab", rows, 0, 0, elf.SHT_SYMTAB), Part(".strtab", names, 0, 0, elf.SHT_STRTAB))
    path = tmp_path / "vmlinux"
    path.write_bytes(data)
    for words in (("vmlinux", path), ("size", path), ("diff", path, IMAGE)):
        ((status, _, _),) = limited(words)
        assert status in (1, 2)


def test_23_a_compressed_section_is_left_alone(tmp_path: Path, capsys: Capture) -> None:
    bomb = struct.pack("<IIQQ", 1, 0, 1 << 60, 1)
    changes = {**section(".debug_info", sh_flags=elf.SHF_COMPRESSED), **at(".debug_info", 0, bomb)}
    path = patched(VMLINUX, changes, tmp_path)
    image = patched(IMAGE, {0x10004: b"\xff"}, tmp_path)
    assert told(capsys, "vmlinux", path).status == 0
    assert told(capsys, "diff", path, image).status == 1


@pytest.mark.parametrize(
    ("name", "fill"), [(name, fill) for name in ("aranges", "info", "abbrev", "line") for fill in (0, 0x80, 0xFF)]
)
def test_24_debug_information_without_end(name: str, fill: int, tmp_path: Path) -> None:
    """Numbers that never end, units of length 0, and a section of which every byte looks like more to come."""
    debug = Elf(VMLINUX).section(f".debug_{name}")
    assert debug is not None
    changes = {SIZE: bytes([fill]) * (32 << 20), **section(debug.name, sh_offset=SIZE, sh_size=32 << 20)}
    path = sparse(tmp_path / "vmlinux", VMLINUX.read_bytes(), SIZE + (32 << 20), changes)
    image = patched(IMAGE, {0x10004: b"\xff"}, tmp_path)
    ((status, err, out),) = limited(("diff", path, image))
    assert (status, err) == (1, "")
    assert "0x10004  .text" in out


def test_24_address_ranges_without_end(tmp_path: Path) -> None:
    """As many as there is room for in what is read of them, in one unit and in units of none."""
    image = patched(IMAGE, {0x10004: b"\xff"}, tmp_path)
    size = 7 << 20
    pairs = build(ArangesHeader(size - 4, 2, 0, 8, 0)) + bytes(4) + b"\1\2\3\4\5\6\7\0" * (size // 8 - 2)
    for data in (pairs * 9, build(ArangesHeader(8, 2, 0, 8, 0)) * (size * 9 // 12)):
        changes = {**section(".debug_aranges", sh_offset=SIZE, sh_size=len(data)), SIZE: data}
        path = sparse(tmp_path / "vmlinux", VMLINUX.read_bytes(), SIZE + len(data), changes)
        ((status, err, _),) = limited(("diff", path, image))
        assert (status, err) == (1, "")


def test_differences_without_end(tmp_path: Path) -> None:
    """Sections that all have the same bytes, of which each seventeenth differs from an Image of zeros."""
    flags = elf.SHF_ALLOC | elf.SHF_EXECINSTR
    parts = [Part(f".part{number}", b"", 0x1000 + (number << 20), flags) for number in range(40)]
    vmlinux = sections_alike(tmp_path / "vmlinux", parts, (b"\1" + bytes(16)) * (1 << 16), 1 << 20)
    image = sparse(tmp_path / "Image", IMAGE_BYTES[:64], 40 << 20)
    ((status, err, out),) = limited(("diff", vmlinux, image))
    assert (status, err) == (1, "")
    assert re.search(r"and 2,4\d\d,\d\d\d more ranges", out)


# Mutations.

INTERESTING = (0, 1, 2, 0x7F, 0xFF, 0xFF00, 0xFFFF, 1 << 20, GIB, 1 << 31, TIB, SIZE, SIZE - 1, SIZE + 1)
ALL_TABLES = (
    "__ksymtab",
    "__ksymtab_gpl",
    "__kcrctab",
    "__kcrctab_gpl",
    "__ex_table",
    ".altinstructions",
    "__bug_table",
    "__param",
    ".rela.dyn",
    ".notes",
    ".symtab",
)
Targets = Sequence[tuple[int, int]]
"""Offsets and sizes of what is changed, each as often as it should be."""


def elf_targets(vmlinux: Elf) -> Targets:
    """The headers before all, then what tables lie in sections, then everything else."""
    head = vmlinux.header
    found = [(0, size_of(ElfHeader))] * 3
    found += [(head.e_phoff, head.e_phnum * head.e_phentsize)] * 3
    found += [(head.e_shoff, head.e_shnum * head.e_shentsize)] * 8
    tables = (*ALL_TABLES, ".strtab", ".shstrtab", ".debug_aranges", ".debug_abbrev", ".debug_line", ".debug_info")
    for one in vmlinux.sections:
        found += [(one.offset, one.file_size)] * (3 if one.name in tables else 1) if one.file_size else []
    return found


IMAGE_TARGETS: Targets = [(0, 64)] * 4 + [(64, 0x150)] * 6 + [(0x11000, 0x1000)] * 2 + [(0, len(IMAGE_BYTES))]


def number(chance: random.Random, width: int) -> int:
    largest = (1 << 8 * width) - 1
    edges = (largest, largest - 1, largest >> 1, (largest >> 1) + 1, chance.randrange(SIZE), chance.randrange(40))
    return chance.choice((*INTERESTING, *edges)) & largest


def mutations(chance: random.Random, targets: Targets) -> Iterator[tuple[int, bytes]]:
    """Some changes: bytes, numbers at the edge of their range, runs of one value."""
    for _ in range(chance.choice((1, 1, 1, 2, 3, 8))):
        start, size = chance.choice(targets)
        place, kind = start + chance.randrange(size), chance.randrange(10)
        if kind < 2:
            yield place, bytes([chance.randrange(256)])
        elif kind < 8:
            width = chance.choice((2, 4, 4, 8, 8, 8))
            yield place & -width, number(chance, width).to_bytes(width, "little")
        else:
            yield place, bytes([chance.choice((0, 0x80, 0xFF))]) * chance.randrange(1, 200)


def mutated(chance: random.Random, data: bytes, targets: Targets) -> bytes:
    """A file with mutations; now and then two blocks change places, or the file is cut."""
    found = bytearray(data)
    for place, value in mutations(chance, targets):
        end = min(place + len(value), len(found))
        found[place:end] = value[: end - place]
    kind = chance.randrange(20)
    if kind == 0:
        del found[chance.randrange(len(found)) :]
    elif kind == 1:
        width = chance.choice((8, 16, 24, 64))
        one, other = (start + chance.randrange(size) for start, size in chance.choices(targets, k=2))
        if one + width <= other <= len(found) - width:
            swapped = found[other : other + width]
            found[other : other + width], found[one : one + width] = found[one : one + width], swapped
    return bytes(found)


def questions(vmlinux: Path, image: Path) -> list[Callable[[], Report]]:
    """All that can be asked of the two."""
    tables = [lambda name=name: inspection.table(vmlinux, name) for name in ALL_TABLES]
    return [
        lambda: inspection.vmlinux(vmlinux),
        lambda: inspection.image(image),
        lambda: inspection.diff(vmlinux, image),
        lambda: size_of_kernel(vmlinux),
        lambda: size_of_kernel(vmlinux, image),
        lambda: inspect(vmlinux, image),
        lambda: file_inspection.file(vmlinux, image),
        *tables,
    ]


def answered(question: Callable[[], Report]) -> str:
    """The report as JSON; only a KinspectError may come out of a question, and every report can be printed."""
    try:
        report = question()
    except KinspectError as error:
        report = Report(errors=(error,))
    for line in report_lines(report, Style(on=False)):
        assert line.isprintable()
    text = report_text(report)
    json.loads(text)
    return text


def mutated_sample(seed: int, folder: Path) -> tuple[Path, Path]:
    """The sample's vmlinux and Image, one of them or both with mutations."""
    chance = random.Random(seed)
    which = chance.randrange(10)
    vmlinux, image = folder / "vmlinux", folder / "Image"
    vmlinux.write_bytes(mutated(chance, VMLINUX.read_bytes(), VMLINUX_TARGETS) if which < 8 else VMLINUX.read_bytes())
    image.write_bytes(mutated(chance, IMAGE_BYTES, IMAGE_TARGETS) if which >= 7 else IMAGE_BYTES)
    return vmlinux, image


VMLINUX_TARGETS = elf_targets(Elf(VMLINUX))


@pytest.mark.parametrize("batch", range(4))
def test_mutations_of_the_sample(batch: int, tmp_path: Path) -> None:
    for seed in range(100 * batch, 100 * batch + 100):
        paths = mutated_sample(seed, tmp_path)
        with time_limit(2):
            texts = [answered(question) for question in questions(*paths)]
        SCHEMA.validate(json.loads(texts[seed % len(texts)]))


@contextmanager
def overlaid(monkeypatch: pytest.MonkeyPatch, path: str, changes: Sequence[tuple[int, bytes]]) -> Iterator[None]:
    """Let a file read as if it had other bytes: a real vmlinux is too large to be copied for every case."""
    inode = os.stat(path).st_ino

    def lay(file: int, offset: int, data: memoryview) -> None:
        if os.fstat(file).st_ino != inode:
            return
        for place, value in changes:
            first, last = max(place, offset), min(place + len(value), offset + len(data))
            if first < last:
                data[first - offset : last - offset] = value[first - place : last - place]

    pread, preadv = os.pread, os.preadv

    def overlaid_pread(file: int, size: int, offset: int) -> bytes:
        data = bytearray(pread(file, size, offset))
        lay(file, offset, memoryview(data))
        return bytes(data)

    def overlaid_preadv(file: int, buffers: Sequence[memoryview], offset: int) -> int:
        got = preadv(file, buffers, offset)
        lay(file, offset, buffers[0][:got])
        return got

    with monkeypatch.context() as patch:
        patch.setattr(os, "pread", overlaid_pread)
        patch.setattr(os, "preadv", overlaid_preadv)
        yield


def kernel_targets(vmlinux: Elf) -> Targets:
    """The headers of a real kernel, and its smaller tables."""
    head = vmlinux.header
    found = [(0, 64)] * 2 + [(head.e_phoff, head.e_phnum * 56)] * 2 + [(head.e_shoff, head.e_shnum * 64)] * 8
    wanted = (".notes", ".shstrtab", "__ksymtab", "__param", ".modinfo", ".debug_aranges", ".symtab", ".strtab")
    return found + [(one.offset, one.size) for one in vmlinux.sections if one.name in wanted]


def mutated_kernel(seed: int, kernel: Kernel, monkeypatch: pytest.MonkeyPatch) -> None:
    """All that is asked of a real kernel's headers, with mutations in them."""
    changes = list(mutations(random.Random(seed), kernel_targets(Elf(kernel.vmlinux))))
    with overlaid(monkeypatch, kernel.vmlinux, changes):
        for question in (
            lambda: inspection.vmlinux(kernel.vmlinux),
            lambda: size_of_kernel(kernel.vmlinux),
            lambda: inspection.diff(kernel.vmlinux, kernel.image),
            lambda: inspection.table(kernel.vmlinux, "__param"),
        ):
            with time_limit(20):
                answered(question)


@pytest.mark.corpus
def test_mutations_of_a_real_kernel(kernels: tuple[Kernel, Kernel], monkeypatch: pytest.MonkeyPatch) -> None:
    for seed in range(5):
        mutated_kernel(seed, kernels[0], monkeypatch)


def test_an_overlay_is_what_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The mutations of a real kernel test nothing otherwise."""
    path = patched(IMAGE, {}, tmp_path)
    with overlaid(monkeypatch, str(path), [(0x28, b"\7"), (0x10004, b"\xff")]):
        assert {finding.id for finding in inspection.image(path).findings} == {"reserved-fields-are-zero"}
        (facts,) = inspection.diff(VMLINUX, path).facts_of(DiffFacts)
        assert facts.ranges == 2
    assert inspection.image(path).findings == ()


def test_the_limit_on_memory_is_one() -> None:
    """The tests with little memory test nothing otherwise."""
    code = "import resource\nresource.setrlimit(resource.RLIMIT_AS, (600 << 20,) * 2)\nbytearray(700 << 20)"
    assert "MemoryError" in subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stderr
    assert resource.getrlimit(resource.RLIMIT_AS)[0] == resource.RLIM_INFINITY
