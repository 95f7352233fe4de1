"""ELF files made from Images, held against the vmlinux of the same kernel and read by the tools that read one."""

import subprocess
from collections.abc import Callable
from itertools import islice
from pathlib import Path

import pytest

from kinspect.artifacts.boot.image import Image
from kinspect.artifacts.elf.vmlinux import Vmlinux
from kinspect.artifacts.kinds import open_as
from kinspect.errors import UnsupportedError
from kinspect.inspection.kernel import vmlinux as vmlinux_report
from kinspect.schemas import elf
from kinspect.views.diff.comparison import compare
from kinspect.views.kernel.symbols import symbol_lines
from kinspect.views.rebuilt.file import rebuilt_elf, vmlinux_of
from kinspect.views.tables.raw_exports import vmlinux_exports
from tests.conftest import OLD_KERNEL, SAMPLE, Build, kernel_named
from tests.toy_kallsyms import BASE, LAYOUTS, image, symbols

EXPORTS = [export.name for export in vmlinux_exports(Vmlinux(SAMPLE / "vmlinux")).exports]
Tool = Callable[[str], str]
ALL_KERNELS = (OLD_KERNEL, "bookworm-cloud", "trixie-cloud", "backports-cloud")


def written(path: str | Path, folder: Path, base: int | None = None) -> Path:
    out = folder / "out.elf"
    with out.open("wb") as file:
        file.writelines(rebuilt_elf(open_as(Image, path), base).pieces)
    return out


def ran(*words: str | Path) -> str:
    done = subprocess.run([str(word) for word in words], capture_output=True, text=True, errors="replace", timeout=300)
    assert (done.returncode, done.stderr) == (0, ""), words
    return done.stdout


def hold(path: str | Path, vmlinux: str | Path, folder: Path, tool: Tool) -> None:
    """What must be true of the file for every Image."""
    out = written(path, folder)
    data = open_as(Image, path).source
    ran(tool("aarch64-linux-gnu-objcopy"), "-O", "binary", out, folder / "flat")
    assert (folder / "flat").read_bytes() == data.read(0, data.size)
    assert compare(Vmlinux(out), open_as(Image, path)).same
    text = ran(tool("readelf"), "-aW", out)
    assert not any(line.startswith("readelf:") for line in text.splitlines())
    ours, theirs = (ran(tool("nm"), "-p", file).splitlines() for file in (out, vmlinux))
    # That an exported variable is weak is nowhere in an Image without its symbol.
    weak = {line.replace(" V ", letter) for line in theirs if " V " in line for letter in (" D ", " B ")}
    assert set(ours) <= {*theirs, *weak}
    assert len(set(ours) - set(theirs)) <= 2
    kallsyms = len(rebuilt_elf(open_as(Image, path)).symbols.rows) // 24 - 1
    assert len(ours) == kallsyms


@pytest.mark.corpus
@pytest.mark.parametrize("name", ALL_KERNELS)
def test_real_kernels(name: str, tmp_path: Path, tool: Tool) -> None:
    kernel = kernel_named(name)
    hold(kernel.image, kernel.vmlinux, tmp_path, tool)


@pytest.mark.corpus
@pytest.mark.parametrize("name", ALL_KERNELS)
def test_the_checks_of_a_vmlinux_find_nothing_in_it(name: str, tmp_path: Path) -> None:
    """Though .init.data may go on with per-CPU variables, and symbols of the hypervisor are not in kallsyms."""
    report = vmlinux_report(written(kernel_named(name).image, tmp_path))
    assert [finding.id for finding in report.findings] == []
    assert report.ok


@pytest.mark.corpus
@pytest.mark.parametrize("packed", ["Image", "Image.gz", "vmlinuz.efi"])
def test_a_real_build(build: Build, packed: str, tmp_path: Path, tool: Tool) -> None:
    hold(build.out / "arch/arm64/boot" / packed, build.out / "vmlinux", tmp_path, tool)


def sizes(vmlinux: Vmlinux) -> dict[tuple[str, int], tuple[int, int]]:
    table = vmlinux.symbols
    rows = zip(table.names(range(len(table))), table.values, table.infos, table.sizes, strict=True)
    return {(name, value): (info & 15, size) for name, value, info, size in rows}


@pytest.mark.corpus
@pytest.mark.parametrize("name", ["bookworm-cloud", "backports-cloud"])
def test_types_and_sizes_of_functions_are_those_of_vmlinux(name: str) -> None:
    """Padding before the next function does not count, so nearly all sizes are exact."""
    kernel = kernel_named(name)
    ours, theirs = sizes(vmlinux_of(open_as(Image, kernel.image))), sizes(Vmlinux(kernel.vmlinux))
    functions = [key for key, (kind, _) in theirs.items() if kind == elf.STT_FUNC and key in ours]
    assert len(functions) > 40_000
    assert sum(ours[key] == theirs[key] for key in functions) / len(functions) > 0.97
    assert sum(ours[key][0] == elf.STT_FUNC for key in functions) == len(functions)


@pytest.mark.corpus
@pytest.mark.parametrize("name", ["trixie-cloud", "backports-cloud"])
def test_the_sections_are_those_of_vmlinux(name: str) -> None:
    kernel = kernel_named(name)
    vmlinux, made = Vmlinux(kernel.vmlinux), vmlinux_of(open_as(Image, kernel.image))
    theirs = {row.name: (row.address, row.size, row.flags & 7) for row in vmlinux.loaded_sections}
    ours = {row.name: (row.address, row.size, row.flags & 7) for row in made.loaded_sections}
    exact = {section for section in ours if ours[section] == theirs.get(section)}
    tables = {"__ksymtab", "__param", "__modver", "__ex_table", ".notes", ".BTF", ".altinstructions", "__bug_table"}
    assert exact >= tables | {".text", ".init.text", ".data..percpu", ".rela.dyn", ".relr.dyn", ".data"}
    for section in ours.keys() & theirs.keys():
        start, size, flags = ours[section]
        assert flags == theirs[section][2], section
        assert abs(start + size - sum(theirs[section][:2])) < 4096, section


@pytest.mark.corpus
def test_without_symbols_of_data_tables_are_found_in_the_bytes() -> None:
    """Kernels without KALLSYMS_ALL: what a table looks like says where it is."""
    for name in (OLD_KERNEL, "bookworm-cloud"):
        kernel = kernel_named(name)
        vmlinux, made = Vmlinux(kernel.vmlinux), vmlinux_of(open_as(Image, kernel.image))
        tables = ("__ksymtab", "__ksymtab_gpl", "__kcrctab", "__kcrctab_gpl", "__ex_table", ".BTF", ".altinstructions")
        for section in (*tables, "__ksymtab_strings", ".notes", ".rela.dyn", ".init.text"):
            theirs, ours = vmlinux.section(section), made.section(section)
            assert theirs, section
            assert ours, section
            assert (ours.address, ours.size) == (theirs.address, theirs.size), section


@pytest.mark.corpus
def test_other_tools_read_it(tmp_path: Path, tool: Tool) -> None:
    kernel = kernel_named("bookworm-cloud")
    out = written(kernel.image, tmp_path)
    place = Vmlinux(kernel.vmlinux).symbols.value("vfs_read")
    assert place
    said = ran(tool("gdb"), "-batch", "-nx", "-ex", f"file {out}", "-ex", "info line vfs_read")
    # A gdb without arm64 shows 32 bits.
    assert f"{place & 0xFFFFFFFF:x} <vfs_read>" in said
    limits = f"--start-address={place:#x}", f"--stop-address={place + 32:#x}"
    ours, theirs = (
        ran(tool("aarch64-linux-gnu-objdump"), "-d", *limits, file).partition("Disassembly")[2]
        for file in (out, kernel.vmlinux)
    )
    assert ours == theirs
    assert "vfs_read" in ours
    head = "[1] "
    ours, theirs = (ran(tool("bpftool"), "btf", "dump", "file", str(file)) for file in (out, kernel.vmlinux))
    assert ours == theirs
    assert ours.startswith(head)
    assert "struct list_head {" in ran(tool("pahole"), "-F", "btf", "-C", "list_head", out)


@pytest.mark.parametrize("relocatable", [False, True])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout(layout: str, relocatable: bool, tmp_path: Path, tool: Tool) -> None:
    toys = symbols()
    path = tmp_path / "Image"
    path.write_bytes(image(toys, layout, relocatable=relocatable)[0])
    out = written(path, tmp_path)
    ran(tool("aarch64-linux-gnu-objcopy"), "-O", "binary", out, tmp_path / "flat")
    assert (tmp_path / "flat").read_bytes() == path.read_bytes()
    lines = sorted(f"{BASE + one.offset:016x} {one.letter} {one.name}".encode() for one in toys)
    assert sorted(symbol_lines(Vmlinux(out)))[: len(lines) + 1] == sorted([*lines, b"%016x B _end" % (BASE + 0x200000)])


def test_symbols_that_lie_in_the_wrong_section_keep_their_letter(tmp_path: Path) -> None:
    """A label of data at the end of code, say: its letter is that of its own section."""
    made = vmlinux_of(toy(tmp_path, image()[0]))
    letters = {line[17:18] for line in symbol_lines(made)}
    assert letters >= {b"T", b"t", b"W", b"d", b"D", b"B"}


def toy(folder: Path, data: bytes) -> Image:
    path = folder / "Image"
    path.write_bytes(data)
    return Image(path)


def test_without_an_address_there_is_no_file(tmp_path: Path) -> None:
    found = toy(tmp_path, image(layout="7.0", pairs=False, relocatable=False)[0])
    with pytest.raises(UnsupportedError, match="give the address of _text as --base"):
        rebuilt_elf(found)
    assert rebuilt_elf(found, 0xFFFF800008200000).start == 0xFFFF800008200000
    with pytest.raises(UnsupportedError, match="does not fit"):
        rebuilt_elf(found, (1 << 64) - 4096)


def test_offsets_outside_the_kernel(tmp_path: Path) -> None:
    """A damaged table of offsets: every symbol is still there, in some section."""
    data, places = image()
    broken = bytearray(data)
    broken[places["offsets"] + 400 : places["offsets"] + 404] = b"\xff\xff\xff\xff"
    made = vmlinux_of(toy(tmp_path, bytes(broken)))
    assert len(list(symbol_lines(made))) == len(symbols()) + 1


def test_an_image_without_kallsyms(tmp_path: Path, tool: Tool) -> None:
    """The sample has none; its address follows from its relocations, and exports have names."""
    out = written(SAMPLE / "Image", tmp_path)
    names = ran(tool("nm"), out).splitlines()
    # Without a symbol, nothing says where code ends: exported constants seem to be in .text.
    real = {tuple(line.split()[::2]) for line in ran(tool("nm"), SAMPLE / "vmlinux").splitlines()}
    assert {tuple(line.split()[::2]) for line in names} <= real
    assert "B log_buffer" in {line[17:] for line in names}
    assert {line.split()[2] for line in names} == {"_text", "_end", *EXPORTS}
    theirs, ours = Vmlinux(SAMPLE / "vmlinux"), Vmlinux(out)
    for name in ("__ksymtab", "__ksymtab_gpl", "__kcrctab", "__kcrctab_gpl", ".notes", ".rela.dyn"):
        first, second = theirs.section(name), ours.section(name)
        assert first, name
        assert second, name
        assert (first.address, first.size) == (second.address, second.size), name
    assert (ours.build_id, *ours.bounds) == (theirs.build_id, *theirs.bounds)


def test_every_byte_that_is_not_zero_has_a_section(tmp_path: Path) -> None:
    for path in (SAMPLE / "Image", tmp_path / "Image"):
        if path.parent == tmp_path:
            path.write_bytes(image()[0])
        found = Image(path)
        made, data = vmlinux_of(found), bytearray(found.source.read(0, found.size))
        for section in islice(made.loaded_sections, 1000):
            start = section.address - BASE
            if section.in_file:
                data[start : start + section.size] = bytes(section.size)
        assert not any(data)
