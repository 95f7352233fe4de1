"""Separate debug files: found where gdb finds them, verified, and used as if nothing had been split."""

import lzma
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from kinspect.artifacts.boot.image import Image
from kinspect.artifacts.dwarf.compile_units import CompileUnits
from kinspect.artifacts.dwarf.line_program import SourceLines
from kinspect.artifacts.elf.debug_file import (
    debug_file_at,
    debug_link,
    debug_package,
    find_debug_file,
    is_debug_file,
)
from kinspect.artifacts.elf.file import Elf
from kinspect.artifacts.elf.vmlinux import Vmlinux
from kinspect.errors import KinspectError, MalformedError
from kinspect.inspection.size import size
from kinspect.schemas import elf
from kinspect.views.diff.explanation import explain
from kinspect.views.size.grouped import GroupedSizes
from tests.conftest import SAMPLE, Build
from tests.support import Named, Part, elf_of, patched

Tool = Callable[[str], str]
VMLINUX = SAMPLE / "vmlinux"
NAME = "v.debug"


def split(folder: Path, tool: Tool, strip: str = "--strip-debug", vmlinux: Path = VMLINUX, name: str = NAME) -> Path:
    """The stripped file; its debug file is beside it."""
    objcopy = tool("aarch64-linux-gnu-objcopy")
    subprocess.run([objcopy, "--only-keep-debug", str(vmlinux), name], cwd=folder, check=True)
    subprocess.run([objcopy, strip, f"--add-gnu-debuglink={name}", str(vmlinux), "v"], cwd=folder, check=True)
    return folder / "v"


def groups(path: Path, by: str) -> tuple[object, int, tuple[str, ...]]:
    (facts,) = size(path, by=by).facts_of(GroupedSizes)
    return facts.root, facts.unattributed, facts.notes


@pytest.mark.parametrize("strip", ["--strip-debug", "--strip-all"])
def test_the_answers_are_those_of_the_whole_file(strip: str, tool: Tool, tmp_path: Path) -> None:
    path = split(tmp_path, tool, strip)
    for by in ("folder", "source", "symbol", "source,symbol"):
        assert groups(path, by) == groups(VMLINUX, by)
    whole, stripped = Vmlinux(VMLINUX), Vmlinux(path)
    assert CompileUnits(stripped).units == CompileUnits(whole).units != ()
    code = [at for part in whole.sections if part.executable for at in range(part.address, part.end, 4)]
    lines = SourceLines(whole), SourceLines(stripped)
    assert [lines[0].line(at) for at in code] == [lines[1].line(at) for at in code]


@pytest.mark.corpus
def test_a_real_kernel(build: Build, tool: Tool, tmp_path: Path) -> None:
    path = split(tmp_path, tool, "--strip-all", build.out / "vmlinux")
    assert groups(path, "source,symbol") == groups(build.out / "vmlinux", "source,symbol")


def places(folder: Path, build_id: str) -> Iterator[Path]:
    """Where gdb looks, with the root of the system at two folders above."""
    below = f".build-id/{build_id[:2]}/{build_id[2:]}.debug"
    yield folder / "boot" / NAME
    yield folder / "boot/.debug" / NAME
    yield folder / "usr/lib/debug/boot" / NAME
    yield folder / "usr/lib/debug" / below
    yield folder / "boot" / below
    yield folder / "boot/.debug" / below


@pytest.mark.parametrize("number", range(6))
def test_places(number: int, tool: Tool, tmp_path: Path) -> None:
    (tmp_path / "boot").mkdir()
    path = split(tmp_path / "boot", tool)
    build_id = (Vmlinux(VMLINUX).build_id or b"").hex()
    place = list(places(tmp_path, build_id))[number]
    place.parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / "boot" / NAME).rename(tmp_path / "kept")
    assert find_debug_file(Vmlinux(path)).file is None
    (tmp_path / "kept").rename(place)
    found = find_debug_file(Vmlinux(path)).file
    assert found
    assert found.path == str(place)
    # gdb has one folder of debug files, and no build ids beside the file.
    if number < 4:
        folder = ["-ex", f"set debug-file-directory {tmp_path}/usr/lib/debug"]
        # The folder of the file is below the root of the system, which here is the root of the test.
        if number == 2:
            folder = ["-ex", f"set debug-file-directory {tmp_path}/root"]
            (tmp_path / "root" / str(tmp_path).lstrip("/")).mkdir(parents=True)
            below = tmp_path / "root" / str(tmp_path).lstrip("/") / "boot"
            below.mkdir()
            place = Path(shutil.copy(place, below / NAME))
        asked = ["-ex", f"file {path}", "-ex", "python print([one.filename for one in gdb.objfiles()])"]
        done = subprocess.run(
            [tool("gdb"), "-nx", "-batch", *folder, *asked], capture_output=True, text=True, check=True
        )
        assert f"'{place}'" in done.stdout


@pytest.mark.parametrize(
    "place", ["boot/vmlinux-6.1.debug", "usr/lib/debug/boot/vmlinux-6.1", "usr/lib/debug/boot/vmlinux-6.1.debug"]
)
def test_places_without_a_link(place: str, tool: Tool, tmp_path: Path) -> None:
    """Debian and Fedora have the whole vmlinux there, under its own name; its build id must be the same."""
    (tmp_path / "boot").mkdir()
    path = tmp_path / "boot/vmlinux-6.1"
    subprocess.run([tool("aarch64-linux-gnu-strip"), str(VMLINUX), "-o", str(path)], check=True)
    (tmp_path / place).parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(VMLINUX, tmp_path / place)
    found = find_debug_file(Vmlinux(path)).file
    assert found
    assert found.path == str(tmp_path / place)
    assert groups(path, "source,symbol") == groups(VMLINUX, "source,symbol")
    data, build_id = VMLINUX.read_bytes(), Vmlinux(VMLINUX).build_id or b""
    for other in (build_id[::-1], bytes(20)):
        (tmp_path / place).write_bytes(data.replace(build_id, other))
        search = find_debug_file(Vmlinux(path))
        assert search.file is None
        assert "of another build" in search.problem


def test_the_crc_of_a_link_is_verified(tool: Tool, tmp_path: Path) -> None:
    """Without build ids only the CRC tells whose a file is."""
    bare = tmp_path / "bare"
    objcopy = tool("aarch64-linux-gnu-objcopy")
    subprocess.run([objcopy, "-R", ".notes", str(VMLINUX), str(bare)], check=True)
    path = split(tmp_path, tool, vmlinux=bare)
    assert Vmlinux(path).build_id is None
    assert find_debug_file(Vmlinux(path)).file
    data = bytearray((tmp_path / NAME).read_bytes())
    data[-1] ^= 1
    (tmp_path / NAME).write_bytes(data)
    search = find_debug_file(Vmlinux(path))
    assert search.file is None
    assert re.search(r"v\.debug is not the file that the debug link names: expected CRC 0x\w+, found", search.problem)
    assert search.problem in groups(path, "folder")[2][0]


def test_a_debug_file_of_another_build_is_not_used(tool: Tool, tmp_path: Path) -> None:
    path = split(tmp_path, tool)
    data = (tmp_path / NAME).read_bytes()
    build_id = Vmlinux(VMLINUX).build_id or b""
    (tmp_path / NAME).write_bytes(data.replace(build_id, build_id[::-1]))
    search = find_debug_file(Vmlinux(path))
    assert search.file is None
    assert f"of another build: expected build id {build_id.hex()}" in search.problem


def test_what_is_missing_is_named(tool: Tool, tmp_path: Path) -> None:
    path = split(tmp_path, tool)
    (tmp_path / NAME).unlink()
    build_id = (Vmlinux(VMLINUX).build_id or b"").hex()
    (note,) = groups(path, "folder")[2]
    assert f"its debug file {NAME} (build id {build_id}) was not found" in note
    assert "debug package of the kernel usually has it" in note
    assert groups(path, "section")[2] == ()
    assert Vmlinux(path).facts.debug_note == note.partition(": ")[2]
    with pytest.raises(MalformedError, match=f"not stripped: its debug file {NAME}"):
        size(split_alone(tmp_path, tool))


def split_alone(folder: Path, tool: Tool) -> Path:
    path = split(folder, tool, "--strip-all")
    (folder / NAME).unlink()
    return path


def test_packages() -> None:
    tools = "(gcc-12 (Debian 12.2.0-14) 12.2.0, GNU ld (GNU Binutils for Debian) 2.40)"
    banners = {
        f"6.1.0-50-arm64 (debian-kernel@lists.debian.org) {tools} # SMP Debian 6.1.1": "linux-image-6.1.0-50-arm64-dbg",
        "6.8.0-31-generic (buildd@bos03) (gcc) #31-Ubuntu SMP": "linux-image-unsigned-6.8.0-31-generic-dbgsym or ",
        "6.8.5-301.fc40.aarch64 (mockbuild@x) (gcc) #1": "kernel-debuginfo-6.8.5-301.fc40.aarch64",
        "6.4.0-150600.21-default (geeko@buildhost) (gcc) #1": "kernel-default-debuginfo",
        f"6.1.0-hello (hello@sample) {tools} #1": "the distribution's debug package of the kernel",
    }
    for banner, package in banners.items():
        assert package in debug_package(f"Linux version {banner}")
    assert debug_package(None) == "the distribution's debug package of the kernel"


def linked(data: bytes) -> bytes:
    return elf_of(
        Part(".text", bytes(64), 0xFFFF800008000000, elf.SHF_ALLOC | elf.SHF_EXECINSTR),
        Part(".gnu_debuglink", data, 0, 0),
        symbols=(Named("_text", 0xFFFF800008000000),),
    )


@pytest.mark.parametrize(
    "data",
    [b"\0" * 8, b"a" * 12, b"a\0\0\0", b"../a\0\0\0\0\0\0\0\0", b"/etc/passwd\0\0\0\0\0", b"..\0\0\1\2\3\4", b"\1"],
)
def test_broken_links(data: bytes, tmp_path: Path) -> None:
    """A link never leads to another folder, and the rest of the file is read as if there were none."""
    (tmp_path / "v").write_bytes(linked(data))
    with pytest.raises(MalformedError, match="the debug link is broken"):
        debug_link(Elf(tmp_path / "v"))
    search = find_debug_file(Elf(tmp_path / "v"))
    assert search.file is None
    assert "the debug link is broken" in search.problem
    assert Vmlinux(tmp_path / "v").symbols.value("_text")


def test_what_a_link_leads_to_may_be_anything(tool: Tool, tmp_path: Path) -> None:
    """A FIFO, a folder, an empty file, text, the file itself, a broken ELF file."""
    (tmp_path / "v").write_bytes(linked(b"x\0\0\0\1\2\3\4"))
    other = tmp_path / "x"

    def answer() -> str:
        search = find_debug_file(Elf(tmp_path / "v"))
        assert search.file is None
        return search.problem

    os.mkfifo(other)
    assert answer() == "its debug file x was not found"
    other.unlink()
    other.mkdir()
    assert answer() == "its debug file x was not found"
    other.rmdir()
    for data in (b"", b"text\n", VMLINUX.read_bytes()[:5000], VMLINUX.read_bytes()[:40]):
        other.write_bytes(data)
        assert answer().startswith(str(other))
    other.unlink()
    other.symlink_to("v")
    assert answer() == "its debug file x was not found"
    (tmp_path / "x").unlink()
    shutil.copy(VMLINUX, other)
    assert "not the file that the debug link names" in answer()


def test_debug_files_are_told_from_kernels(tool: Tool, tmp_path: Path) -> None:
    split(tmp_path, tool)
    eu_strip = [tool("eu-strip"), "-f", str(tmp_path / "e.debug"), "-o", str(tmp_path / "e"), str(VMLINUX)]
    subprocess.run(eu_strip, check=True)
    assert debug_file_at(str(tmp_path / "e.debug"))
    assert find_debug_file(Elf(tmp_path / "e")).file
    assert groups(tmp_path / "e", "source,symbol") == groups(VMLINUX, "source,symbol")
    found = debug_file_at(str(tmp_path / NAME))
    assert found
    build_id = (Vmlinux(VMLINUX).build_id or b"").hex()
    assert found.title == f"debug file of a vmlinux (build id {build_id})"
    for path in (VMLINUX, tmp_path / "v", SAMPLE / "Image", tmp_path / "no"):
        assert debug_file_at(str(path)) is None
    only_bss = elf_of(
        Part(".bss", bytes(8), 0, elf.SHF_ALLOC | elf.SHF_WRITE, elf.SHT_NOBITS), symbols=(Named("a", 0),)
    )
    (tmp_path / "bss").write_bytes(only_bss)
    assert not is_debug_file(Elf(tmp_path / "bss"))


def test_a_supplementary_file_is_named(tmp_path: Path, tool: Tool) -> None:
    (tmp_path / "link").write_bytes(b"../.dwz/kernel.debug\0" + bytes(20))
    command = [tool("aarch64-linux-gnu-objcopy"), "--add-section", f".gnu_debugaltlink={tmp_path}/link"]
    subprocess.run([*command, str(VMLINUX), str(tmp_path / "v")], check=True)
    (note,) = groups(tmp_path / "v", "folder")[2]
    assert "a part of its DWARF is in ../.dwz/kernel.debug, which dwz made" in note


def test_a_real_supplementary_file(tmp_path: Path, tool: Tool) -> None:
    """Both files lose their strings to a third, but not their lines; a file that dwz only made smaller has all."""
    for name in "abc":
        shutil.copy(VMLINUX, tmp_path / name)
    subprocess.run([tool("dwz"), "-m", "common", "a", "b"], cwd=tmp_path, check=True)
    subprocess.run([tool("dwz"), "c"], cwd=tmp_path, check=True)
    assert groups(tmp_path / "c", "source,symbol") == groups(VMLINUX, "source,symbol")
    (note,) = groups(tmp_path / "a", "folder")[2]
    image = patched(SAMPLE / "Image", {0x10A00: b"\1"}, tmp_path)
    assert "a part of its DWARF is in common, which dwz made" in note
    for name in "ac":
        why = explain(Vmlinux(tmp_path / name), Image(image), 10)
        assert (why.without_lines, why.differences[0].line) == (None, "lib.S:28")


def test_symbols_that_are_packed_in_the_file(tool: Tool, tmp_path: Path) -> None:
    """As find-debuginfo does it: a stripped debug file with the symbols alone, in xz."""
    path = split(tmp_path, tool, "--strip-all")
    objcopy, mini = tool("aarch64-linux-gnu-objcopy"), tmp_path / "mini"
    subprocess.run([objcopy, "--strip-debug", str(tmp_path / NAME), str(mini)], check=True)
    (tmp_path / NAME).unlink()
    for data in (lzma.compress(mini.read_bytes()), lzma.compress(b"text"), b"\xfd7zXZ\0", bytes(9)):
        (tmp_path / "packed").write_bytes(data)
        added = ["--add-section", f".gnu_debugdata={tmp_path}/packed", str(path), str(tmp_path / "vmlinux")]
        subprocess.run([objcopy, *added], check=True)
        symbols = Vmlinux(tmp_path / "vmlinux").symbols
        assert len(symbols) == (len(Elf(mini).symbols) if len(data) > 100 else 0)
    assert len(Elf(mini).symbols) > 200


def test_sections_are_numbered_alike_or_their_symbols_are_not_used(tool: Tool, tmp_path: Path) -> None:
    """A debug file with the build id, but with other sections, as another strip may make it."""
    path = split(tmp_path, tool)
    objcopy = tool("aarch64-linux-gnu-objcopy")
    subprocess.run([objcopy, "-R", ".altinstructions", str(tmp_path / NAME)], check=True)
    build_id = (Vmlinux(VMLINUX).build_id or b"").hex()
    place = tmp_path / f".build-id/{build_id[:2]}/{build_id[2:]}.debug"
    place.parent.mkdir(parents=True)
    (tmp_path / NAME).rename(place)
    vmlinux = Vmlinux(path)
    assert find_debug_file(vmlinux).file
    assert len(vmlinux.symbols) == len(vmlinux.own_symbols)


def test_no_debug_file_is_looked_for_when_the_dwarf_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(_: Elf) -> None:
        raise KinspectError("looked for", Vmlinux(VMLINUX).at())

    monkeypatch.setattr("kinspect.artifacts.elf.debug_file.find_debug_file", refused)
    assert len(Vmlinux(VMLINUX).symbols)
    assert CompileUnits(Vmlinux(VMLINUX)).units
