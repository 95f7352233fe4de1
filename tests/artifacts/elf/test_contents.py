"""Compressed sections: the same answers as without compression, and an error, soon, for those that are broken."""

import random
import subprocess
import time
import tracemalloc
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest

from kinspect.artifacts.dwarf.compile_units import CompileUnits
from kinspect.artifacts.dwarf.line_program import SourceLines
from kinspect.artifacts.dwarf.units import dwarf_section
from kinspect.artifacts.elf import contents
from kinspect.artifacts.elf.contents import ALWAYS_UNPACKED, HIGHEST_RATIO, contents_of, section_compression
from kinspect.artifacts.elf.file import Elf
from kinspect.artifacts.elf.vmlinux import Vmlinux
from kinspect.errors import KinspectError, MalformedError, TruncatedError, UnsupportedError
from kinspect.inspection.size import size
from kinspect.schemas.elf import ELFCOMPRESS_ZLIB, ELFCOMPRESS_ZSTD, SHF_COMPRESSED, CompressionHeader
from kinspect.schemas.record import build as built
from kinspect.views.size.grouped import GroupedSizes
from tests.conftest import SAMPLE, Build
from tests.support import Part, elf_of
from tests.toy_dwarf import compressed_dwarf

Tool = Callable[[str], str]
FORMS = ("zlib", "zstd", "zlib-gnu")
TEXT = b"".join(b"line %d of a section of text\n" % number for number in range(20_000))


def compressed(vmlinux: Path | str, form: str, tool: Tool, folder: Path) -> Path:
    """A copy whose sections of DWARF are compressed by objcopy."""
    copy = folder / f"vmlinux.{form}"
    objcopy = tool("aarch64-linux-gnu-objcopy")
    subprocess.run([objcopy, f"--compress-debug-sections={form}", str(vmlinux), str(copy)], check=True)
    return copy


def groups(path: Path | str, by: str) -> tuple[object, int]:
    report = size(path, by=by)
    (facts,) = report.facts_of(GroupedSizes)
    return facts.root, facts.unattributed


@pytest.mark.parametrize("form", FORMS)
def test_the_sample(form: str, tool: Tool, tmp_path: Path) -> None:
    path = compressed(SAMPLE / "vmlinux", form, tool, tmp_path)
    plain, packed = Vmlinux(SAMPLE / "vmlinux"), Vmlinux(path)
    names = [one.name for one in plain.sections if one.name.startswith(".debug_")]
    for name in names:
        theirs, ours = dwarf_section(plain, name), dwarf_section(packed, name)
        assert theirs
        assert ours
        assert theirs.read(0, theirs.size) == ours.read(0, ours.size)
    assert any(section_compression(packed, one) for one in packed.sections)
    assert CompileUnits(packed).units == CompileUnits(plain).units != ()
    code = [at for part in plain.sections if part.executable for at in range(part.address, part.end, 4)]
    lines = SourceLines(plain), SourceLines(packed)
    assert [lines[0].line(at) for at in code] == [lines[1].line(at) for at in code]
    for by in ("folder", "source", "symbol", "object", "source,symbol"):
        assert groups(path, by) == groups(SAMPLE / "vmlinux", by)


@pytest.mark.parametrize("form", FORMS)
def test_toys(form: str, tmp_path: Path) -> None:
    """Without objcopy: the copies that campaigns change."""
    path = tmp_path / "vmlinux"
    path.write_bytes(compressed_dwarf(form))
    assert CompileUnits(Vmlinux(path)).units == CompileUnits(Vmlinux(SAMPLE / "vmlinux")).units
    assert groups(path, "source,symbol") == groups(SAMPLE / "vmlinux", "source,symbol")


@pytest.mark.parametrize("form", FORMS)
def test_any_change_gives_an_answer_or_an_error(form: str, tmp_path: Path) -> None:
    """Changes in the compressed sections, their headers and the section table."""
    data = compressed_dwarf(form)
    draw, path, outcomes = random.Random(f"{form} 7"), tmp_path / "vmlinux", set()
    begin = time.process_time()
    for _ in range(60):
        changed = bytearray(data)
        for _ in range(draw.choice((1, 2, 8))):
            at = draw.randrange(len(data) - 12_000, len(data))
            changed[at : at + 1] = bytes([draw.choice((0, 1, 0x7F, 0x80, 0xFF, draw.randrange(256)))])
        path.write_bytes(changed)
        try:
            groups(path, "source,symbol")
            SourceLines(Vmlinux(path)).line(0xFFFF800008010000)
            outcomes.add("answer")
        except KinspectError as error:
            outcomes.add(type(error).__name__)
    assert {"MalformedError", "answer"} & outcomes
    assert time.process_time() - begin < 60 * 1.5


@pytest.mark.corpus
@pytest.mark.parametrize("form", FORMS)
def test_a_real_kernel(form: str, build: Build, tool: Tool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also with sections that are too large to be kept: they are decompressed again where that is needed."""
    monkeypatch.setattr(contents, "LARGEST_KEPT", 8 << 20)
    vmlinux = build.out / "vmlinux"
    path = compressed(vmlinux, form, tool, tmp_path)
    for by in ("folder", "source,symbol"):
        assert groups(path, by) == groups(vmlinux, by)
    plain, packed = Vmlinux(vmlinux), Vmlinux(path)
    text = plain.section(".text")
    assert text
    places = range(text.address, text.end, text.size // 40 & ~3)
    lines = SourceLines(plain), SourceLines(packed)
    found = [lines[0].line(at) for at in places]
    assert [lines[1].line(at) for at in places] == found
    assert len(set(found)) > 20


def section(data: bytes, claimed: int, kind: int = ELFCOMPRESS_ZLIB) -> Part:
    header = built(CompressionHeader(kind, 0, claimed, 1))
    return Part(".debug_info", header + data, 0, SHF_COMPRESSED)


def opened(part: Part, folder: Path, *others: Part) -> contents.Contents:
    (folder / "toy").write_bytes(elf_of(part, *others))
    artifact = Elf(folder / "toy")
    return contents_of(artifact, artifact.sections[1])


def zstd(data: bytes, tool: Tool) -> bytes:
    return subprocess.run([tool("zstd"), "-c"], input=data, capture_output=True, check=True).stdout


def old(data: bytes, claimed: int, magic: bytes = b"ZLIB") -> Part:
    return Part(".zdebug_info", magic + claimed.to_bytes(8, "big") + data, 0, 0)


def test_any_part_can_be_read(tmp_path: Path, tool: Tool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contents, "LARGEST_KEPT", 1 << 16)
    monkeypatch.setattr(contents, "LAST_KEPT", 1 << 16)
    middle = len(TEXT) // 2
    for part in (
        section(zlib.compress(TEXT), len(TEXT)),
        section(zlib.compress(TEXT[:middle]) + zlib.compress(TEXT[middle:], 1), len(TEXT)),
        section(zstd(TEXT, tool), len(TEXT), ELFCOMPRESS_ZSTD),
        section(zstd(TEXT[:middle], tool) + zstd(TEXT[middle:], tool), len(TEXT), ELFCOMPRESS_ZSTD),
        old(zlib.compress(TEXT), len(TEXT)),
    ):
        found = opened(part, tmp_path)
        assert found.size == len(TEXT)
        for start, length in ((0, 10), (len(TEXT) - 5, 5), (middle - 70_000, 140_000), (0, len(TEXT)), (65_536, 0)):
            assert found.read(start, length) == TEXT[start : start + length]
        with pytest.raises(TruncatedError, match=r"decompressed .*the section is too short: expected 6 bytes, found 5"):
            found.read(len(TEXT) - 5, 6)
        with pytest.raises(UnsupportedError, match="objcopy --decompress-debug-sections"):
            read_too_often(found)


def read_too_often(found: contents.Contents) -> None:
    """Forth and back, so that what is needed is never kept."""
    for _ in range(contents.MOST_PASSES):
        for offset in (0, found.size // 2, found.size - 1):
            found.read(offset, 1)


def test_broken_sections(tmp_path: Path, tool: Tool) -> None:
    packed, size_of_text = zlib.compress(TEXT), len(TEXT)
    wrong_sum = packed[:-1] + bytes([packed[-1] ^ 1])
    cases: list[tuple[Part, type[KinspectError], str]] = [
        (section(packed, size_of_text - 1), MalformedError, "another size than its header says"),
        (section(packed, size_of_text + 1), MalformedError, f"expected {size_of_text + 1:,} bytes, found"),
        (section(packed[:-20], size_of_text), TruncatedError, r"\.debug_info, zlib stream.*is truncated"),
        (section(wrong_sum, size_of_text), MalformedError, "broken"),
        (section(packed[:1000] + bytes(8) + packed[1008:], size_of_text), MalformedError, "broken|another size"),
        (section(b"", size_of_text), TruncatedError, "truncated"),
        (section(packed, size_of_text, ELFCOMPRESS_ZSTD), MalformedError, "zstd stream.*broken"),
        (section(zstd(TEXT, tool)[:-9], size_of_text, ELFCOMPRESS_ZSTD), MalformedError, "truncated|broken"),
        (section(packed, size_of_text, 3), UnsupportedError, r"expected zlib \(1\) or zstd \(2\), found type 3"),
        (section(packed, 1 << 63), UnsupportedError, "too large when decompressed"),
        (Part(".debug_info", bytes(23), 0, SHF_COMPRESSED), MalformedError, "compression header.*found 23"),
        (old(packed, size_of_text, b"ZLIX"), MalformedError, "wrong compression header: expected 5a 4c 49 42"),
        (old(packed, 1 << 62), UnsupportedError, "too large when decompressed"),
        (Part(".zdebug_info", b"ZLIB", 0, 0), MalformedError, "expected at least 12 bytes"),
    ]
    for part, error, message in cases:
        with pytest.raises(error, match=message):
            last_byte(part, tmp_path)


def last_byte(part: Part, folder: Path) -> bytes:
    found = opened(part, folder)
    return found.read(found.size - 1, 1)


def test_the_limit_is_one_for_all_sections(tmp_path: Path) -> None:
    """What the headers claim adds up, before anything is decompressed."""
    most = ALWAYS_UNPACKED // 2 + 50_000
    part = section(zlib.compress(TEXT), most)
    (tmp_path / "toy").write_bytes(elf_of(part, part, part))
    artifact = Elf(tmp_path / "toy")
    reader = contents.SectionReader(artifact)
    for number in range((ALWAYS_UNPACKED + HIGHEST_RATIO * artifact.size) // most):
        reader.contents(artifact.sections[1]._replace(number=number))
    with pytest.raises(UnsupportedError, match="too large when decompressed"):
        reader.contents(artifact.sections[2]._replace(number=1000))


@pytest.mark.parametrize("form", ["zlib", "zstd"])
def test_bombs(form: str, tmp_path: Path, tool: Tool) -> None:
    """A section of zeros, whose header is true or claims less: refused, or read in little memory."""
    claimed = 1 << 30
    zeros = bytes(claimed >> 4)
    data = zlib.compress(zeros, 9) if form == "zlib" else zstd(zeros, tool)
    kind = ELFCOMPRESS_ZLIB if form == "zlib" else ELFCOMPRESS_ZSTD
    with pytest.raises(UnsupportedError, match="too large when decompressed"):
        opened(section(data * 16, claimed, kind), tmp_path)
    begin = time.process_time()
    tracemalloc.start()
    found = opened(section(data * 16, 1 << 20, kind), tmp_path)
    with pytest.raises(MalformedError, match=r"expected 1,048,576 bytes, found more"):
        found.read(found.size - 1, 1)
    memory = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert memory < 16 << 20
    assert time.process_time() - begin < 2
