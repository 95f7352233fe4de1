"""Our spans describe the bytes that `objcopy -O binary` writes: GNU's runs on every file, LLVM's where it reads one."""

import random
import re
import subprocess
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kinspect.artifacts.elf.file import Elf
from kinspect.artifacts.elf.vmlinux import Vmlinux
from kinspect.errors import KinspectError, Location, MalformedError, UnsupportedError
from kinspect.schemas import elf
from kinspect.schemas.elf import ElfHeader, ProgramHeader, SectionHeader
from kinspect.schemas.record import build, offsets, size_of
from kinspect.views.diff.objcopy import MAKEFILE_FLAGS, Flags, FlatImage, flags_for, flags_from, flat_image
from tests.conftest import SAMPLE, Kernel
from tests.support import patched

Tool = Callable[[str], str]
GNU, LLVM = "aarch64-linux-gnu-objcopy", "llvm-objcopy"
WORDS = ["-O", "binary", "-S"]
patient = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])


def flat_bytes(flat: FlatImage, vmlinux: Elf) -> bytes:
    """What the spans say the flat image is."""
    assert all(before.end <= after.offset for before, after in pairwise(flat.spans))
    whole = bytearray(flat.size)
    for span in flat.spans:
        whole[span.offset : span.end] = vmlinux.source.read(span.source_offset, span.size)
    assert len(whole) == flat.size
    return bytes(whole)


def ours(path: Path | str, words: Sequence[str] = WORDS) -> bytes:
    vmlinux = Elf(path)
    return flat_bytes(flat_image(vmlinux, flags_from(list(words), vmlinux.at(), "test")), vmlinux)


def theirs(objcopy: str, path: Path | str, output: Path, words: Sequence[str] = WORDS) -> bytes | str:
    """What a real objcopy writes, or why it refuses."""
    output.unlink(missing_ok=True)
    done = subprocess.run([objcopy, *words, str(path), str(output)], capture_output=True, text=True, check=False)
    return done.stderr if done.returncode else output.read_bytes()


# ---- Files of our own records: what no linker would make.

CONTENTS = random.Random(1).randbytes(0x4000)
BEGIN = 0x1000


class Row(NamedTuple):
    """A section whose bytes lie anywhere in CONTENTS, or past it."""

    name: str
    address: int
    offset: int
    size: int
    type: int = elf.SHT_PROGBITS
    flags: int = elf.SHF_ALLOC


def load(offset: int, address: int, load_address: int, size: int, memory: int | None = None) -> ProgramHeader:
    return ProgramHeader(elf.PT_LOAD, 7, offset, address, load_address, size, size if memory is None else memory, 1)


def elf_file(rows: Sequence[Row], segments: Sequence[ProgramHeader] = (), e_type: int = elf.ET_DYN) -> bytes:
    names, headers = b"\0", [SectionHeader(*[0] * 10)]
    for row in rows:
        entry_size = 24 if row.type == elf.SHT_RELA else 0
        headers.append(
            SectionHeader(len(names), row.type, row.flags, row.address, row.offset, row.size, 0, 0, 1, entry_size)
        )
        names += row.name.encode() + b"\0"
    headers.append(SectionHeader(0, elf.SHT_STRTAB, 0, 0, len(CONTENTS), len(names), 0, 0, 1, 0))
    header = ElfHeader(
        elf.MAGIC + bytes([elf.CLASS_64, elf.DATA_LITTLE, 1]) + bytes(9),
        e_type,
        elf.MACHINE_AARCH64,
        1,
        0,
        size_of(ElfHeader) if segments else 0,
        len(CONTENTS) + len(names),
        0,
        size_of(ElfHeader),
        size_of(ProgramHeader),
        len(segments),
        size_of(SectionHeader),
        len(headers),
        len(headers) - 1,
    )
    head = build(header) + b"".join(map(build, segments))
    assert len(head) <= BEGIN
    return head + CONTENTS[len(head) :] + names + b"".join(map(build, headers))


BASES = (0x400000, 0xFFFF800008000000, (1 << 64) - 0x4000, 0)
NAMES = (".text", ".data", ".note", ".note.gnu.build-id", ".comment", ".rodata", ".init.text", "a[b]", "x")
PATTERNS = (".note", ".comment", ".t*", "!.text", ".*", "?*", "[!.]*", ".[dt]*", ".[a-d]*", "a[[]b]", "!.note.*", "no")
SEGMENT_TYPES = (elf.PT_LOAD, elf.PT_LOAD, elf.PT_LOAD, elf.PT_TLS, elf.PT_NOTE, 0x6474E552)
SECTION_TYPES = (elf.SHT_PROGBITS, elf.SHT_PROGBITS, elf.SHT_NOBITS, elf.SHT_NOTE, elf.SHT_RELA, 14, 0x6FFFFFF6)
SECTION_FLAGS = (elf.SHF_ALLOC, 0, elf.SHF_ALLOC | elf.SHF_TLS, elf.SHF_ALLOC | elf.SHF_WRITE, 0x80000002)
LARGE = (1 << 64) - 1


@st.composite
def segments_of(draw: st.DrawFn, base: int, zero: bool) -> ProgramHeader:
    offset, size = draw(st.integers(BEGIN, 0x3800)), draw(st.sampled_from([0x40, 1, 0]) | st.integers(0, 0x1800))
    memory = size + draw(st.sampled_from([0, 0, 0x100]) | st.integers(-size, 0))
    address = base + draw(st.integers(0, 0x8000) | st.just(offset))
    load_address = 0 if zero else draw(st.just(address) | st.integers(base, base + 0x8000))
    kind = draw(st.sampled_from(SEGMENT_TYPES))
    return ProgramHeader(kind, 7, offset, address & LARGE, load_address & LARGE, size, memory, 1)


@st.composite
def rows_of(draw: st.DrawFn, base: int, segments: list[ProgramHeader]) -> Row:
    size = draw(st.sampled_from([1, 0x40, 0]) | st.integers(0, 0x400))
    if segments != [] and draw(st.integers(0, 3)):
        # At the begin, at the end, at the seam, or anywhere; where address and offset agree or not.
        segment = draw(st.sampled_from(segments))
        edges = (0, segment.p_filesz, max(0, segment.p_filesz - size), segment.p_memsz)
        within = draw(st.sampled_from(edges) | st.integers(0, segment.p_filesz))
        apart = draw(st.sampled_from([0, 0, 0x10, -8]) | st.integers(0, 0x400))
        offset, address = segment.p_offset + within, segment.p_vaddr + within + apart
    else:
        offset, address = draw(st.integers(BEGIN, 0x3800)), base + draw(st.integers(0, 0x8000))
    kind, flags = draw(st.sampled_from(SECTION_TYPES)), draw(st.sampled_from(SECTION_FLAGS))
    return Row(draw(st.sampled_from(NAMES)), address & LARGE, offset, size, kind, flags)


class Made(NamedTuple):
    rows: list[Row]
    segments: list[ProgramHeader]
    e_type: int
    words: list[str]


@st.composite
def made_files(draw: st.DrawFn) -> Made:
    base, zero = draw(st.sampled_from(BASES)), draw(st.integers(0, 2)) == 0
    segments = draw(st.lists(segments_of(base, zero), max_size=4))
    rows = draw(st.lists(rows_of(base, segments), min_size=1, max_size=7))
    removed = [word for pattern in draw(st.lists(st.sampled_from(PATTERNS), max_size=2)) for word in ("-R", pattern)]
    return Made(rows, segments, draw(st.sampled_from([elf.ET_DYN, elf.ET_EXEC])), WORDS + removed)


@settings(patient, max_examples=400)
@given(made=made_files())
def test_any_headers(made: Made, tool: Tool, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.getbasetemp()
    path = folder / "made"
    path.write_bytes(elf_file(made.rows, made.segments, made.e_type))
    expected = theirs(tool(GNU), path, folder / "flat", made.words)
    if isinstance(expected, bytes):
        assert ours(path, made.words) == expected
    # objcopy refuses a file for any section that ends past it, kinspect for one that is copied.
    elif all(row.offset + row.size <= path.stat().st_size for row in made.rows):
        with pytest.raises(KinspectError):
            ours(path, made.words)


RULES: dict[str, tuple[list[Row], list[ProgramHeader]]] = {
    "gaps are zero": ([Row("a", 0x400000, 0x1000, 16), Row("b", 0x400100, 0x1010, 16)], []),
    "the lowest address is offset 0": ([Row("a", 0x400100, 0x1000, 16), Row("b", 0x400000, 0x1010, 16)], []),
    "NOBITS in the middle is zero, at the end nothing": (
        [
            Row("a", 0x400000, 0x1000, 16),
            Row("b", 0x400010, 0x1010, 48, elf.SHT_NOBITS),
            Row("c", 0x400040, 0x1010, 16),
            Row("d", 0x400050, 0x1020, 48, elf.SHT_NOBITS),
        ],
        [],
    ),
    "NOBITS and empty sections do not set offset 0": (
        [
            Row("a", 0x400000, 0x1000, 16, elf.SHT_NOBITS),
            Row("b", 0x400020, 0x1000, 0),
            Row("c", 0x400040, 0x1010, 16),
            Row("d", 0x400080, 0x1010, 0),
        ],
        [],
    ),
    "a section without memory is left out": ([Row("a", 0x400000, 0x1000, 16, flags=0), Row("b", 64, 0x1010, 16)], []),
    "of overlapping sections the later one wins": (
        [Row("a", 0x400010, 0x1000, 64), Row("b", 0x400000, 0x2000, 32), Row("c", 0x400020, 0x3000, 8)],
        [],
    ),
    "one section inside another": ([Row("a", 0x400000, 0x1000, 64), Row("b", 0x400010, 0x2000, 16)], []),
    "one section hidden by another": ([Row("a", 0x400010, 0x1000, 16), Row("b", 0x400000, 0x2000, 64)], []),
    "the load address is the segment's": (
        [Row("a", 0x400000, 0x1000, 16), Row("b", 0x500000, 0x1010, 16)],
        [load(0x1000, 0x400000, 0x100, 16), load(0x1010, 0x500000, 0x80, 16)],
    ),
    "the place in the segment is that of the file, not of the address": (
        [Row("a", 0x400000, 0x1000, 16), Row("b", 0x400080, 0x1020, 16)],
        [load(0x1000, 0x400000, 0x8000, 0x100)],
    ),
    "a section in no segment keeps its address": (
        [Row("a", 0x400000, 0x1000, 16), Row("b", 0x8040, 0x1010, 16)],
        [load(0x1000, 0x400000, 0x8000, 16)],
    ),
    "no load address at all, one segment": (
        [Row("a", 0x400000, 0x1000, 16), Row("b", 0x100, 0x2000, 16)],
        [load(0x1000, 0x400000, 0, 64)],
    ),
    "no load address at all, several segments": (
        [Row("a", 0x400000, 0x1000, 16), Row("b", 0x400100, 0x2000, 16)],
        [load(0x1000, 0x400000, 0, 16), load(0x2000, 0x400100, 0, 16)],
    ),
    "no load address at all, a second segment without memory": (
        [Row("a", 0x400000, 0x1000, 16), Row("b", 0x100, 0x2000, 16)],
        [load(0x1000, 0x400000, 0, 16), load(0x2000, 0x400100, 0, 16, 0)],
    ),
    "of overlapping segments the first with the addresses counts": (
        [Row("a", 0x400010, 0x1010, 16), Row("b", 0x400000, 0x1000, 16)],
        [load(0x1000, 0x400000, 0x8000, 32), load(0x1000, 0x400000, 0x9000, 64)],
    ),
    "an empty section at the seam does not count": (
        [Row("a", 0x400000, 0x1000, 16), Row("b", 0x400010, 0x1010, 0), Row("c", 0x500000, 0x1010, 16)],
        [load(0x1000, 0x400000, 0x100, 16), load(0x1010, 0x500000, 0x80, 16)],
    ),
    "thread-local data lies in its own segment": (
        [Row("a", 0x400000, 0x1000, 16), Row("b", 0x400010, 0x1010, 16, flags=elf.SHF_ALLOC | elf.SHF_TLS)],
        [load(0x1000, 0x400000, 0x8000, 32), ProgramHeader(elf.PT_TLS, 4, 0x1010, 0x400010, 0x8100, 16, 16, 1)],
    ),
    "thread-local data is not in a LOAD segment": (
        [Row("a", 0x8000, 0x1000, 16), Row("b", 0x8010, 0x1010, 16, flags=elf.SHF_ALLOC | elf.SHF_TLS)],
        [load(0x1000, 0x8000, 0x9000, 32)],
    ),
    "file offsets and addresses drift apart": (
        [Row("a", 0x400000, 0x1000, 16), Row("b", 0x410000, 0x1100, 16), Row("c", 0x420000, 0x1200, 16)],
        [load(0x1000, 0x400000, 0x400000, 16), load(0x1100, 0x410000, 0x410000, 0x110, 0x10010)],
    ),
    "nothing to copy": ([Row("a", 0x400000, 0x1000, 16, elf.SHT_NOBITS)], []),
}


@pytest.mark.parametrize("rule", RULES)
def test_a_rule(rule: str, tool: Tool, tmp_path: Path) -> None:
    path = tmp_path / "made"
    path.write_bytes(elf_file(*RULES[rule]))
    expected = theirs(tool(GNU), path, tmp_path / "flat")
    assert isinstance(expected, bytes), expected
    assert ours(path) == expected


def test_a_load_address_far_away_is_refused_as_objcopy_does(tool: Tool, tmp_path: Path) -> None:
    path = tmp_path / "made"
    path.write_bytes(elf_file([Row("a", 0, 0x1000, 16), Row("b", 0xFFFF800000000000, 0x1010, 16)]))
    assert "huge (ie negative) file offset" in str(theirs(tool(GNU), path, tmp_path / "flat"))
    with pytest.raises(UnsupportedError, match=r"a at 0x0 is far from the other .* found 18,446,603,336,221,196,304"):
        ours(path)


def test_section_0_is_no_section(tool: Tool, tmp_path: Path) -> None:
    data = elf_file([Row("a", 0x400000, 0x1000, 16)])
    table = len(data) - 3 * size_of(SectionHeader)
    zero = SectionHeader(1, elf.SHT_PROGBITS, elf.SHF_ALLOC, 0x400100, 0x2000, 16, 0, 0, 1, 0)
    path = tmp_path / "made"
    path.write_bytes(data[:table] + build(zero) + data[table + size_of(SectionHeader) :])
    assert ours(path) == theirs(tool(GNU), path, tmp_path / "flat") == CONTENTS[0x1000:0x1010]


@pytest.mark.parametrize("kind", [2, 10, 17, 18, 20, 0x70000001, 0x80000001, 1, 7, 8, 14, 0x6FFFFF00, 0x6FFFFFF6])
def test_a_section_of_any_type_is_copied_as_objcopy_copies_it_or_refused(kind: int, tool: Tool, tmp_path: Path) -> None:
    rows = [Row("a", 0x400000, 0x1000, 16), Row("b", 0x400010, 0x1010, 48, kind), Row("c", 0x400040, 0x1040, 16)]
    path = tmp_path / "made"
    path.write_bytes(elf_file(rows))
    expected = theirs(tool(GNU), path, tmp_path / "flat")
    if isinstance(expected, str) or kind in (2, 10, 18):
        assert expected != CONTENTS[0x1000:0x1050]
        with pytest.raises(UnsupportedError, match=f"objcopy does not copy sections of type {kind:#x}"):
            ours(path)
    else:
        assert ours(path) == expected


def test_a_section_past_the_file_is_malformed_only_when_it_is_copied(tool: Tool, tmp_path: Path) -> None:
    path = tmp_path / "made"
    path.write_bytes(elf_file([Row("a", 0x400000, 0x1000, 16), Row("b", 0x400010, 0x3FFF, 0x1000)]))
    assert "past end of file" in str(theirs(tool(GNU), path, tmp_path / "flat"))
    with pytest.raises(MalformedError, match="b at 0x3fff: the section ends past the file: expected at most 16,"):
        ours(path)
    assert ours(path, [*WORDS, "-R", "b"]) == CONTENTS[0x1000:0x1010]


# ---- Files that the real linker made.

SOURCE = """
.section s0, "ax", @progbits; .rept 75; .quad 0x0101010101010101; .endr
.section s1, "aw", @progbits; .rept 513; .byte 0x22; .endr
.section s2, "a", @progbits; .rept 3; .byte 0x33; .endr
.section s3, "a", @note; .rept 16; .byte 0x44; .endr
.section s4, "aw", @nobits; .skip 333
.section s5, "a", @progbits; .rept 129; .hword 0x5556; .endr
.section s6, "aw", @nobits; .skip 4096
.section s7, "", @progbits; .rept 9; .byte 0x77; .endr
"""
OUTPUTS = (".head.text", ".text", ".note", ".note.gnu.build-id", ".comment", ".rodata", ".bss", ".data")


@pytest.fixture(scope="module")
def thing(tool: Tool, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An object with sections of each kind."""
    folder = tmp_path_factory.mktemp("linked")
    (folder / "thing.s").write_text(SOURCE)
    command = [tool("aarch64-linux-gnu-as"), "-o", str(folder / "thing.o"), str(folder / "thing.s")]
    subprocess.run(command, check=True, capture_output=True)
    return folder / "thing.o"


@st.composite
def linker_scripts(draw: st.DrawFn) -> str:
    """Sections in any order with addresses and load addresses of their own, gaps, and some with nothing in them."""
    order = draw(st.permutations(range(len(OUTPUTS))))
    at = draw(st.sampled_from([0x400000, 0xFFFF800008000000]))
    low = at + draw(st.sampled_from([0, 0x8000]))
    lines = ["SECTIONS {", f"  . = {at:#x};"]
    for name, number in zip(draw(st.permutations(OUTPUTS)), order, strict=True):
        if not draw(st.integers(0, 5)):
            continue
        place = draw(st.sampled_from(["", ""]) | st.integers(at, at + 0xFFFF).map(hex))
        where = draw(st.just("") | st.integers(low, low + 0x7FFF).map(" AT({:#x})".format))
        kind = draw(st.sampled_from(["", "", "", "", "(NOLOAD)", "(INFO)"]))
        inside = draw(st.sampled_from([f"*(s{number})", f"*(s{number})", "", f"*(s{number}) . += 0x123;"]))
        lines.append(f"  {name} {place} {kind} :{where} {{ {inside} }}")
    return "\n".join([*lines, "  /DISCARD/ : { *(.note.*) }", "}"])


@settings(patient, max_examples=80)
@given(script=linker_scripts(), shared=st.booleans(), removals=st.lists(st.sampled_from(PATTERNS), max_size=2))
def test_what_the_linker_makes(
    script: str, shared: bool, removals: list[str], thing: Path, tool: Tool, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = thing.parent
    (folder / "thing.lds").write_text(script)
    path = folder / "thing"
    options = ["-shared", "-Bsymbolic"] if shared else ["-e", "0"]
    command = [tool("aarch64-linux-gnu-ld"), *options, "--no-check-sections", "-z", "max-page-size=0x1000"]
    subprocess.run([*command, "-T", folder / "thing.lds", "-o", path, thing], check=True, capture_output=True)
    words = [*MAKEFILE_FLAGS, *(word for pattern in removals for word in ("-R", pattern))]
    expected = theirs(tool(GNU), path, folder / "flat", words)
    assert isinstance(expected, bytes), expected
    assert ours(path, words) == expected
    other = theirs(tool(LLVM), path, folder / "flat", words)
    if isinstance(other, bytes):
        assert other == expected
    else:
        assert "cannot be removed because" in other or "goes past the end of the file" in other


# ---- Kernels.


def test_the_sample(sample: Path, tool: Tool, tmp_path: Path) -> None:
    flat = theirs(tool(GNU), sample / "vmlinux", tmp_path / "flat", MAKEFILE_FLAGS)
    assert ours(sample / "vmlinux", MAKEFILE_FLAGS) == flat == (sample / "Image").read_bytes()


def test_a_real_kernel(kernel: Kernel, tool: Tool, tmp_path: Path) -> None:
    flat = theirs(tool(GNU), kernel.vmlinux, tmp_path / "flat", MAKEFILE_FLAGS)
    assert ours(kernel.vmlinux, MAKEFILE_FLAGS) == flat == Path(kernel.image).read_bytes()


def test_a_real_kernel_with_other_removals(kernel: Kernel, tool: Tool, tmp_path: Path) -> None:
    words = [*WORDS, "-R", ".init*", "-R", "!.init.text", "-R", ".rodata"]
    flat = theirs(tool(GNU), kernel.vmlinux, tmp_path / "flat", words)
    assert ours(kernel.vmlinux, words) == flat != Path(kernel.image).read_bytes()


@pytest.mark.corpus
def test_llvm_writes_the_same_kernel_where_it_reads_it(
    kernels: tuple[Kernel, Kernel], tool: Tool, tmp_path: Path
) -> None:
    older, newer = kernels
    flat = theirs(tool(LLVM), newer.vmlinux, tmp_path / "flat", MAKEFILE_FLAGS)
    assert flat == Path(newer.image).read_bytes()
    refusal = "Link field value 43 in section .rela.dyn is not a symbol table"
    assert refusal in str(theirs(tool(LLVM), older.vmlinux, tmp_path / "flat", MAKEFILE_FLAGS))


def test_llvm_writes_the_same_sample_when_rela_dyn_names_no_symbols(sample: Path, tool: Tool, tmp_path: Path) -> None:
    refusal = "Link field value 32 in section .rela.dyn is not a symbol table"
    assert refusal in str(theirs(tool(LLVM), sample / "vmlinux", tmp_path / "flat", MAKEFILE_FLAGS))
    vmlinux = Vmlinux(sample / "vmlinux")
    section = vmlinux.section(".rela.dyn")
    assert section is not None
    link = vmlinux.header.e_shoff + section.number * size_of(SectionHeader) + offsets(SectionHeader)["sh_link"]
    copy = patched(sample / "vmlinux", {link: bytes(4)}, tmp_path)
    flat = theirs(tool(LLVM), copy, tmp_path / "flat", MAKEFILE_FLAGS)
    assert ours(copy, MAKEFILE_FLAGS) == flat == (sample / "Image").read_bytes()


# ---- The flags.

AT = Location("x")


@pytest.mark.parametrize(
    ("words", "removed"),
    [
        ("-O binary", ()),
        ("-Obinary", ()),
        ("--output-target=binary", ()),
        ("--output-target binary -S", ()),
        ("-O binary -R .a -R.b --remove-section=.c --remove-section .d", (".a", ".b", ".c", ".d")),
        ("-O binary -S -g -x -X -p -v -D --strip-all --strip-debug -R !.a", ("!.a",)),
        ("-R a=b --remove-section=c=d -R=e -O binary", ("a=b", "c=d", "=e")),
        ("-R -S -O binary", ("-S",)),
        ("-R [a-c]* -R [!x]? -R [[]] -O binary", ("[a-c]*", "[!x]?", "[[]]")),
    ],
)
def test_flags(words: str, removed: tuple[str, ...]) -> None:
    assert flags_from(words.split(), AT, "here") == Flags(removed, tuple(words.split()), "here")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("-O binary --gap-fill=0xff", "--gap-fill=0xff"),
        ("-O binary --pad-to 0x1000", "--pad-to"),
        ("-O binary -j .text", "-j"),
        ("-O elf64-littleaarch64", "-O elf64-littleaarch64"),
        ("-O binary -Osrec", "-Osrec"),
        ("-O=binary", "-O=binary"),
        ("-O binary -R", "-R"),
        ("-O binary --remove-section", "--remove-section"),
        ("-O binary vmlinux", "vmlinux"),
        ("-O binary -SR .note", "-SR"),
        (r"-O binary -R \.note", r"-R \.note"),
        ("-O binary -R [^a]", "-R [^a]"),
        ("-O binary -R [[:alpha:]]*", "-R"),
    ],
)
def test_flags_that_would_change_the_bytes(words: str, told: str) -> None:
    with pytest.raises(UnsupportedError, match=re.escape(f"x: kinspect does not support objcopy's {told}")):
        flags_from(words.split(), AT, "here")


def test_flags_for_another_output_than_a_flat_image() -> None:
    with pytest.raises(UnsupportedError, match=r"x: objcopy is run without -O binary"):
        flags_from(["-S"], AT, "here")


KBUILD = "aarch64-linux-gnu-objcopy  -O binary -R .note -R .note.gnu.build-id -R .comment -S"
PLAIN = f"cmd_arch/arm64/boot/Image := {KBUILD} vmlinux arch/arm64/boot/Image\n"


@pytest.mark.parametrize(
    ("text", "removed"),
    [
        (PLAIN, (".note", ".note.gnu.build-id", ".comment")),
        (f"saved{PLAIN}", (".note", ".note.gnu.build-id", ".comment")),
        (PLAIN.rstrip(), (".note", ".note.gnu.build-id", ".comment")),
        (
            f"\nsource_Image := x.c\n\ndeps_Image := \\\n  a.h \\\n  $(wildcard b.h)\n{PLAIN}\nImage: $(deps_Image)\n",
            None,
        ),
        (f"cmd_x := gcc -c -o x x.c\nsaved{PLAIN}", None),
        ("cmd_Image := /opt/llvm/bin/llvm-objcopy-18 -O binary -R '.a b' vmlinux Image", (".a b",)),
        ("cmd_Image := objcopy -O binary vmlinux.unstripped Image", ()),
    ],
)
def test_a_recorded_command(text: str, removed: tuple[str, ...] | None, tmp_path: Path) -> None:
    record = tmp_path / ".Image.cmd"
    record.write_text(text)
    found = flags_for(str(tmp_path / "Image"))
    assert found.removed == ((".note", ".note.gnu.build-id", ".comment") if removed is None else removed)
    assert found.origin == str(record)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "no objcopy command is recorded"),
        ("cmd_Image := \n", "no objcopy command is recorded"),
        ("cmd_Image := gzip -n < vmlinux > Image\n", "no objcopy command is recorded"),
        (f"# {PLAIN}", "no objcopy command is recorded"),
        ("Image := objcopy -O binary a b", "no objcopy command is recorded"),
        ("cmd_Image := objcopy -O binary 'vmlinux Image", "is not a shell command"),
        ("cmd_Image := objcopy vmlinux", "has no input and output"),
        ("cmd_Image := objcopy -O binary", "has no input and output"),
        (f"{PLAIN.rstrip()} -R .a", "has no input and output"),
    ],
)
def test_a_record_that_is_no_command(text: str, problem: str, tmp_path: Path) -> None:
    (tmp_path / ".Image.cmd").write_text(text)
    with pytest.raises(MalformedError, match=rf"\.Image\.cmd.*{problem}"):
        flags_for(str(tmp_path / "Image"))


def test_a_recorded_command_that_writes_other_bytes(tmp_path: Path) -> None:
    (tmp_path / ".Image.cmd").write_text("cmd_Image := objcopy -O binary --gap-fill=0xff vmlinux Image")
    with pytest.raises(UnsupportedError, match=r"\.Image\.cmd: kinspect does not support objcopy's --gap-fill=0xff"):
        flags_for(str(tmp_path / "Image"))


def test_without_a_record_the_flags_are_those_of_the_makefile(tmp_path: Path) -> None:
    assert flags_for(str(tmp_path / "Image")) == Flags(
        (".note", ".note.gnu.build-id", ".comment"), MAKEFILE_FLAGS, "arch/arm64/boot/Makefile"
    )


def test_the_record_of_the_sample() -> None:
    found = flags_for(str(SAMPLE / "Image"))
    assert (found.words, found.origin) == (MAKEFILE_FLAGS, str(SAMPLE / ".Image.cmd"))
