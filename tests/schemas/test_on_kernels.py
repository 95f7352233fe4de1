"""Each record on real kernels: every entry decodes to the values that the real tools or the kernel's own files show."""

import re
import subprocess
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest

from kinspect.artifacts.boot.image import Image
from kinspect.artifacts.boot.pe import Pe
from kinspect.artifacts.elf.file import Section
from kinspect.artifacts.elf.vmlinux import Vmlinux
from kinspect.artifacts.raw.notes import notes
from kinspect.schemas import elf
from kinspect.schemas.elf import ArangesHeader, ElfHeader, NoteHeader, ProgramHeader, Rela, SectionHeader, Symbol
from kinspect.schemas.image import MAGIC, ImageHeader
from kinspect.schemas.pe import OptionalHeader
from kinspect.schemas.record import build, parse, parse_table, size_of
from kinspect.schemas.tables import BTF_MAGIC, AltInstruction, BtfHeader, BugEntry, ExceptionTableEntry, KernelParam
from kinspect.views.tables.entries import table
from kinspect.views.tables.parts import Cell
from tests.conftest import SAMPLE, Kernel

Tool = Callable[[str], str]
SEGMENTS = {1: "LOAD", 4: "NOTE", 0x6474E551: "GNU_STACK"}
SECTIONS = {0: "NULL", 1: "PROGBITS", 2: "SYMTAB", 3: "STRTAB", 4: "RELA", 7: "NOTE", 8: "NOBITS", 19: "RELR"}
FLAGS = {1: "W", 2: "A", 4: "X", 16: "M", 32: "S", 64: "I"}
TYPES = ["NOTYPE", "OBJECT", "FUNC", "SECTION", "FILE"]
BINDINGS = ["LOCAL", "GLOBAL", "WEAK"]


@pytest.fixture(scope="module")
def vmlinux(kernel: Kernel) -> Vmlinux:
    return Vmlinux(kernel.vmlinux)


def read(tool: Tool, option: str, path: str) -> str:
    """The output of readelf, which prints complaints between the rows for relocations whose symbol was dropped."""
    command = [tool("aarch64-linux-gnu-readelf"), option, path]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout


def section(vmlinux: Vmlinux, name: str) -> Section:
    found = vmlinux.section(name)
    assert found is not None, name
    return found


def contents(vmlinux: Vmlinux, name: str) -> bytes:
    return vmlinux.contents(section(vmlinux, name))


def executable(vmlinux: Vmlinux, address: int) -> bool:
    found = vmlinux.section_at(address)
    return found is not None and found.executable


def between(vmlinux: Vmlinux, start: str, end: str) -> int:
    """The bytes between the two symbols that delimit a table in the kernel."""
    first, last = vmlinux.symbols.value(start), vmlinux.symbols.value(end)
    assert first is not None
    assert last is not None
    return last - first


def target(vmlinux: Vmlinux, name: str, offset: int, value: int) -> int:
    """The target of a relative field at an offset in a section."""
    return section(vmlinux, name).address + offset + value


@pytest.mark.corpus
def test_elf_header(vmlinux: Vmlinux, tool: Tool) -> None:
    header = parse(ElfHeader, vmlinux.source.head(64))
    assert header == vmlinux.header
    theirs = dict(re.findall(r"^  ([\w /]+):\s+(.*)$", read(tool, "-hW", vmlinux.path), re.MULTILINE))
    first = {name: value.split()[0] for name, value in theirs.items()}
    assert header.e_ident.hex(" ") == theirs["Magic"].strip()
    assert (first["Type"], first["Machine"]) == ("DYN", "AArch64")
    assert (header.e_type, header.e_machine) == (elf.ET_DYN, elf.MACHINE_AARCH64)
    ours = {
        "Version": header.e_version,
        "Entry point address": header.e_entry,
        "Start of program headers": header.e_phoff,
        "Start of section headers": header.e_shoff,
        "Flags": header.e_flags,
        "Size of this header": header.e_ehsize,
        "Size of program headers": header.e_phentsize,
        "Number of program headers": header.e_phnum,
        "Size of section headers": header.e_shentsize,
        "Number of section headers": header.e_shnum,
        "Section header string table index": header.e_shstrndx,
    }
    assert ours == {name: int(first[name], 0) for name in ours}


@pytest.mark.corpus
def test_program_headers(vmlinux: Vmlinux, tool: Tool) -> None:
    header = vmlinux.header
    data = vmlinux.source.read(header.e_phoff, header.e_phnum * size_of(ProgramHeader))
    rows = re.findall(
        r"^  ([A-Z_]+) +" + 5 * r"(0x\w+) " + r"(...) (0x\w+)$", read(tool, "-lW", vmlinux.path), re.MULTILINE
    )
    assert [
        (
            SEGMENTS[row.p_type],
            *(row.p_offset, row.p_vaddr, row.p_paddr, row.p_filesz, row.p_memsz),
            "".join(letter if row.p_flags & bit else " " for bit, letter in ((4, "R"), (2, "W"), (1, "E"))),
            row.p_align,
        )
        for row in parse_table(ProgramHeader, data)
    ] == [(row[0], *(int(value, 16) for value in row[1:6]), row[6], int(row[7], 16)) for row in rows]


@pytest.mark.corpus
def test_section_headers(vmlinux: Vmlinux, tool: Tool) -> None:
    header = vmlinux.header
    data = vmlinux.source.read(header.e_shoff, header.e_shnum * size_of(SectionHeader))
    names = contents(vmlinux, ".shstrtab")
    ours = [
        (
            number,
            names[row.sh_name : names.index(0, row.sh_name)].decode(),
            SECTIONS[row.sh_type],
            *(row.sh_addr, row.sh_offset, row.sh_size, row.sh_entsize),
            "".join(letter for bit, letter in FLAGS.items() if row.sh_flags & bit),
            *(row.sh_link, row.sh_info, row.sh_addralign),
        )
        for number, row in enumerate(parse_table(SectionHeader, data))
    ]
    form = r"^  \[ *(\d+)\] (\S*) +([A-Z]+) +(\w{16}) (\w+) (\w+) (\w\w) +([A-Z]*) +(\d+) +(\d+) +(\d+)$"
    theirs = [
        (int(row[0]), *row[1:3], *(int(value, 16) for value in row[3:7]), row[7], *map(int, row[8:]))
        for row in re.findall(form, read(tool, "-SW", vmlinux.path), re.MULTILINE)
    ]
    assert ours == theirs
    assert len(ours) > 40


@pytest.mark.corpus
def test_symbols(vmlinux: Vmlinux, tool: Tool) -> None:
    names = contents(vmlinux, ".strtab")
    ours = [
        (
            row.st_value,
            row.st_size,
            TYPES[row.st_info & 15],
            BINDINGS[row.st_info >> 4],
            {elf.SHN_UNDEF: "UND", elf.SHN_ABS: "ABS"}.get(row.st_shndx) or str(row.st_shndx),
            # Some of the kernel's names have a control character, which readelf shows as ^B.
            names[row.st_name : names.index(0, row.st_name)].replace(b"\2", b"^B").decode(),
        )
        for row in parse_table(Symbol, contents(vmlinux, ".symtab"))
    ]
    form = r"^ *\d+: (\w{16}) +(\w+) (\w+) +(\w+) +\w+ +(\w+) ?(\S*)(?: \[\S+\])?$"
    theirs = [
        (int(value, 16), int(size, 0), kind, binding, place, "" if kind == "SECTION" else name)
        for value, size, kind, binding, place, name in re.findall(form, read(tool, "-sW", vmlinux.path), re.MULTILINE)
    ]
    assert len(theirs) > 150_000
    assert ours == theirs


def assert_relocations(vmlinux: Vmlinux, tool: Tool) -> int:
    """Every row of .rela.dyn is as readelf prints it. The addend of a dropped symbol is not printed."""
    rows = parse_table(Rela, contents(vmlinux, ".rela.dyn"))
    form = r"^(\w{16})  (\w{16}) R_AARCH64_(\w+) +(-?\w+)?"
    theirs = re.findall(form, read(tool, "-rW", vmlinux.path), re.MULTILINE)
    types = {0: "NONE", 257: "ABS64", 1025: "GLOB_DAT", 1027: "RELATIVE"}
    assert [(row.r_offset, row.r_info, types[row.type]) for row in rows] == [
        (int(offset, 16), int(info, 16), kind) for offset, info, kind, _ in theirs
    ]
    relative = [(row, addend) for row, (_, _, kind, addend) in zip(rows, theirs, strict=True) if kind == "RELATIVE"]
    assert all(row.r_addend == int(addend, 16) and row.symbol == 0 for row, addend in relative)
    return len(relative)


def test_relocations_of_the_sample(tool: Tool) -> None:
    assert assert_relocations(Vmlinux(SAMPLE / "vmlinux"), tool) == 8


@pytest.mark.corpus
def test_relocations(vmlinux: Vmlinux, tool: Tool) -> None:
    assert assert_relocations(vmlinux, tool) >= 7


@pytest.mark.corpus
def test_relative_relocations_in_place(kernels: tuple[Kernel, Kernel], tool: Tool) -> None:
    vmlinux = Vmlinux(kernels[1].vmlinux)
    text = read(tool, "-rW", vmlinux.path).partition("Relocation section '.relr.dyn'")[2]
    theirs = [int(line, 16) for line in re.findall(r"^(\w{16})$", text, re.MULTILINE)]
    found = table(vmlinux, ".relr.dyn")
    assert [row[0] for row in found.rows] == theirs
    assert found.entries == len(theirs) > 300_000


@pytest.mark.corpus
def test_notes(vmlinux: Vmlinux, tool: Tool) -> None:
    data = contents(vmlinux, ".notes")
    found = list(notes(data))
    theirs = re.findall(r"^  (\w+) +(0x\w{8})\t", read(tool, "-nW", vmlinux.path), re.MULTILINE)
    assert [(note.owner, note.n_descsz) for _, note in found] == [(owner, int(size, 16)) for owner, size in theirs]
    assert b"".join(build(note) for _, note in found) == data
    for offset, note in found:
        assert parse(NoteHeader, data[offset:]) == (note.n_namesz, note.n_descsz, note.n_type)
    build_id = next(note.desc for _, note in found if note.n_type == elf.NT_GNU_BUILD_ID)
    assert f"Build ID: {build_id.hex()}\n" in read(tool, "-nW", vmlinux.path)


@pytest.mark.corpus
def test_address_ranges(vmlinux: Vmlinux) -> None:
    """The sets of .debug_aranges follow each other to its end, for 8-byte addresses of units in ascending order."""
    data, offset, units = contents(vmlinux, ".debug_aranges"), 0, []
    while offset < len(data):
        header = parse_table(ArangesHeader, data[offset : offset + size_of(ArangesHeader)])[0]
        assert (header.version, header.address_size, header.segment_selector_size) == (2, 8, 0)
        units.append(header.debug_info_offset)
        offset += 4 + header.unit_length
    assert offset == len(data)
    assert units[0] == 0
    assert all(before < after for before, after in pairwise(units))
    assert units[-1] < section(vmlinux, ".debug_info").size


@pytest.mark.corpus
def test_exports_are_those_of_module_symvers(kernel: Kernel) -> None:
    vmlinux = Vmlinux(kernel.vmlinux)
    ours: dict[Cell, dict[str, Cell]] = {}
    for name in ("__ksymtab", "__ksymtab_gpl"):
        if vmlinux.section(name):
            found = table(vmlinux, name)
            columns = [column.name for column in found.columns]
            for row in found.rows:
                export = dict(zip(columns, row, strict=True))
                assert ours.setdefault(export["name"], export) is export
    lines = (kernel.folder / "Module.symvers").read_text().splitlines()
    rows = [line.split("\t") for line in lines]
    theirs = {
        name: (int(crc, 16), {"EXPORT_SYMBOL": "any", "EXPORT_SYMBOL_GPL": "GPL"}[licence], namespace)
        for crc, name, module, licence, namespace in rows
        if module == "vmlinux"
    }
    assert {
        name: (export.get("crc", 0), export["licence"], export["namespace"]) for name, export in ours.items()
    } == theirs
    assert len(theirs) > 9000
    # The symbol at the address of an export is the export itself or an alias.
    assert all(str(export["symbol"]).partition("/")[0].endswith("+0x0") for export in ours.values())


@pytest.mark.corpus
def test_exception_table(vmlinux: Vmlinux) -> None:
    rows = parse_table(ExceptionTableEntry, contents(vmlinux, "__ex_table"))
    assert between(vmlinux, "__start___ex_table", "__stop___ex_table") == 12 * len(rows) > 9000
    for index, row in enumerate(rows):
        assert executable(vmlinux, target(vmlinux, "__ex_table", 12 * index, row.insn))
        assert executable(vmlinux, target(vmlinux, "__ex_table", 12 * index + 4, row.fixup))
        assert 0 < row.type < 8


@pytest.mark.corpus
def test_alternatives(vmlinux: Vmlinux) -> None:
    rows = parse_table(AltInstruction, contents(vmlinux, ".altinstructions"))
    assert between(vmlinux, "__alt_instructions", "__alt_instructions_end") == 12 * len(rows) > 300_000
    callbacks = set()
    for index, row in enumerate(rows):
        original = target(vmlinux, ".altinstructions", 12 * index, row.orig_offset)
        replacement = target(vmlinux, ".altinstructions", 12 * index + 4, row.alt_offset)
        assert executable(vmlinux, original)
        assert original % 4 == row.orig_len % 4 == row.alt_len % 4 == 0
        if row.cpucap >> 15:
            callbacks.add(vmlinux.address_name(replacement).partition("+0x0/")[0])
        elif row.alt_len:
            assert executable(vmlinux, replacement)
            assert row.alt_len == row.orig_len
    assert {"alt_cb_patch_nops", "kvm_update_va_mask"} <= callbacks


@pytest.mark.corpus
def test_bugs(vmlinux: Vmlinux) -> None:
    found = table(vmlinux, "__bug_table")
    rows = parse_table(BugEntry, contents(vmlinux, "__bug_table"))
    assert between(vmlinux, "__start___bug_table", "__stop___bug_table") == 12 * len(rows) > 80_000
    for index, (row, (address, symbol, kind, flags, file, line)) in enumerate(zip(rows, found.rows, strict=True)):
        assert address == target(vmlinux, "__bug_table", 12 * index, row.bug_addr_disp)
        assert executable(vmlinux, int(address))
        assert re.fullmatch(r"(?:\.\./|[\w.-]+/)*[\w.-]+\.(?:c|h|S|rs)", str(file))
        assert (row.line, row.flags, "WARN" if row.flags & 1 else "BUG") == (line, flags, kind)
        assert re.fullmatch(r"\S+\+0x\w+/0x\w+", str(symbol))


@pytest.mark.corpus
def test_parameters(vmlinux: Vmlinux) -> None:
    found = table(vmlinux, "__param")
    rows = parse_table(KernelParam, contents(vmlinux, "__param"))
    assert between(vmlinux, "__start___param", "__stop___param") == 40 * len(rows) > 8000
    names = [str(row[0]) for row in found.rows]
    for row, (name, permissions, level, flags, _, operations, _, _) in zip(rows, found.rows, strict=True):
        assert re.fullmatch(r"(?:[a-z0-9_]+\.)?\w+", str(name), re.ASCII)
        assert (f"{row.perm:04o}", row.level, row.flags) == (permissions, level, flags)
        assert row.perm & ~0o666 == row.mod == 0
        assert -1 <= row.level <= 7
        assert not any(row.padding)
        assert re.fullmatch(r"\w+(?:\.\w+)*\+0x0/0x20", str(operations))
    assert {"initcall_debug", "printk.time", "rcupdate.rcu_expedited", "kvm.halt_poll_ns"} <= set(names)


@pytest.mark.corpus
def test_btf(vmlinux: Vmlinux) -> None:
    data = contents(vmlinux, ".BTF")
    header = parse(BtfHeader, data)
    assert (header.magic, header.version, header.flags) == (BTF_MAGIC, 1, 0)
    assert (header.type_off, header.str_off) == (0, header.type_len)
    assert header.hdr_len + header.type_len + header.str_len == len(data)
    strings = data[header.hdr_len + header.str_off :]
    assert strings[:1] == strings[-1:] == b"\0"
    assert b"\0task_struct\0" in strings


@pytest.mark.corpus
def test_image_header(kernel: Kernel) -> None:
    header = Image(kernel.image).header
    lines = (kernel.folder / "System.map").read_text().splitlines()
    symbols = {name: int(value, 16) for value, _, name in (line.split(" ", 2) for line in lines)}
    assert header.image_size == symbols["_end"] - symbols["_text"]
    assert header.entry == symbols["primary_entry"] - symbols["_text"]
    assert (header.text_offset, header.res2, header.res3, header.res4, header.magic) == (0, 0, 0, 0, MAGIC)
    assert "CONFIG_ARM64_4K_PAGES=y" in (kernel.folder / "config").read_text().splitlines()
    assert (header.big_endian, header.page_size, header.anywhere, header.reserved_flags) == (False, 4096, True, 0)
    assert (header.efi, header.res5) == (True, size_of(ImageHeader))
    assert build(header) == Path(kernel.image).read_bytes()[:64]


def assert_pe(path: str, tool: Tool) -> Pe:
    """Every field of the PE header is as objdump prints it."""
    pe = Image(path).pe
    assert pe is not None
    command = [tool("aarch64-linux-gnu-objdump"), "-x", path]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    names = {
        "ld_major": "MajorLinkerVersion",
        "ld_minor": "MinorLinkerVersion",
        "image_major": "MajorImageVersion",
        "image_minor": "MinorImageVersion",
        "data_dirs": "NumberOfRvaAndSizes",
        "magic": "Magic",
        "text_size": "SizeOfCode",
        "data_size": "SizeOfInitializedData",
        "bss_size": "SizeOfUninitializedData",
        "entry_point": "AddressOfEntryPoint",
        "code_base": "BaseOfCode",
        "image_base": "ImageBase",
        "section_align": "SectionAlignment",
        "file_align": "FileAlignment",
        "os_major": "MajorOSystemVersion",
        "os_minor": "MinorOSystemVersion",
        "subsys_major": "MajorSubsystemVersion",
        "subsys_minor": "MinorSubsystemVersion",
        "win32_version": "Win32Version",
        "image_size": "SizeOfImage",
        "header_size": "SizeOfHeaders",
        "csum": "CheckSum",
        "subsys": "Subsystem",
        "dll_flags": "DllCharacteristics",
        "stack_size_req": "SizeOfStackReserve",
        "stack_size": "SizeOfStackCommit",
        "heap_size_req": "SizeOfHeapReserve",
        "heap_size": "SizeOfHeapCommit",
        "loader_flags": "LoaderFlags",
    }
    assert set(names) == set(OptionalHeader._fields)
    theirs = dict(re.findall(r"^(\w+)\s+(\w+)", text, re.MULTILINE))
    assert pe.optional._asdict() == {
        field: int(theirs[name], 10 if name.startswith(("Major", "Minor")) else 16) for field, name in names.items()
    }
    assert f"Characteristics {pe.coff.flags:#x}\n" in text
    directories = re.findall(r"^Entry (\w) (\w{16}) (\w{8}) ", text, re.MULTILINE)[: len(pe.directories)]
    assert [tuple(entry) for entry in pe.directories] == [(int(a, 16), int(s, 16)) for _, a, s in directories]
    sections = re.findall(r"^ *\d+ (\S+) +(\w{8})  (\w{16})  \w{16}  (\w{8})  ", text, re.MULTILINE)
    assert [(row.title, row.virtual_address, row.data_addr) for row in pe.sections] == [
        (name, int(address, 16), int(offset, 16)) for name, _, address, offset in sections
    ]
    # objdump prints the smaller of a section's sizes in memory and in the file.
    assert [min(row.virtual_size, row.raw_data_size) for row in pe.sections] == [int(row[1], 16) for row in sections]
    assert pe.coff.sections == len(sections) == 2
    return pe


def test_pe_header_of_the_sample(tool: Tool) -> None:
    assert_pe(str(SAMPLE / "Image"), tool)


@pytest.mark.corpus
def test_pe_header(kernel: Kernel, tool: Tool) -> None:
    pe, vmlinux = assert_pe(kernel.image, tool), Vmlinux(kernel.vmlinux)
    assert pe.sections[1].virtual_size == vmlinux.symbols.value("__pecoff_data_size")
    assert pe.sections[1].raw_data_size == vmlinux.symbols.value("__pecoff_data_rawsize")
