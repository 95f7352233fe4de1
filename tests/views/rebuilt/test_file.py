"""ELF files made from Images, held against the vmlinux of the same kernel and read by the tools that read one."""

import random
import re
import subprocess
from collections import Counter
from collections.abc import Callable
from itertools import chain, islice
from pathlib import Path

import pytest

from kinspect.artifacts.boot.image import Image
from kinspect.artifacts.elf.vmlinux import Vmlinux
from kinspect.artifacts.kinds import open_as
from kinspect.cli import main
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
        unnamed = ("__param", ".data..percpu", "__bug_table")
        for section in (*tables, *unnamed, "__ksymtab_strings", ".notes", ".rela.dyn", ".init.text"):
            theirs, ours = vmlinux.section(section), made.section(section)
            assert theirs, section
            assert ours, section
            assert (ours.address, ours.size) == (theirs.address, theirs.size), section


_PLAIN = re.compile(r"[a-z]\w*")
"""Names that no tool shows in another form, as it does those of Rust, or takes from DWARF."""
READ = ("bookworm-cloud", "backports-cloud")
"""One with the symbols of code only, and one with all symbols."""


@pytest.fixture(scope="module", params=[pytest.param(name, marks=pytest.mark.corpus) for name in READ])
def pair(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """What is made of an Image, and its vmlinux."""
    kernel = kernel_named(request.param)
    return str(written(kernel.image, tmp_path_factory.mktemp("made"))), kernel.vmlinux


def some_functions(vmlinux: str, number: int) -> dict[str, int]:
    """Functions with their addresses: no other symbol has the name or the address."""
    table = Vmlinux(vmlinux).symbols
    names, values = list(table.names(range(len(table)))), list(table.values)
    once, alone = Counter(names), Counter(values)
    found = [
        (name, value)
        for name, value, info, size in zip(names, values, table.infos, table.sizes, strict=True)
        if info & 15 == elf.STT_FUNC and once[name] == alone[value] == 1 and size > 16 and _PLAIN.fullmatch(name)
    ]
    return dict(random.Random(1).sample(found, number))


def test_gdb_reads_it(pair: tuple[str, str], tool: Tool) -> None:
    """What lies at an address, where a symbol is, and the code, as of the vmlinux, which has DWARF besides."""
    functions = some_functions(pair[1], 60)
    asked = [("-ex", f"info symbol {value + 8:#x}") for value in functions.values()]
    asked += [("-ex", f"x/2i {value:#x}") for value in functions.values()]
    command = [tool("gdb-multiarch"), "-batch", "-nx", "-ex", "set pagination off"]
    ours, theirs = (ran(*command, "-ex", f"file {file}", *chain(*asked)).splitlines() for file in pair)
    assert ours == theirs
    assert len(ours) == 3 * len(functions)
    for line, name in zip(ours, functions, strict=False):
        assert line.startswith(f"{name} + 8 in section .")
    # Of the vmlinux this is what DWARF says, which in assembly may be another place.
    asked = [("-ex", f"print/x (unsigned long)&{name}") for name in functions]
    found = ran(*command, "-ex", f"file {pair[0]}", *chain(*asked)).splitlines()
    assert [int(line.rpartition(" ")[2], 16) for line in found] == list(functions.values())


def test_binutils_and_llvm_read_it(pair: tuple[str, str], tool: Tool) -> None:
    out, vmlinux = pair
    text = ran(tool("llvm-readelf"), "-aW", out)
    assert "Machine:                           AArch64" in text
    listed = sorted(ran(tool("llvm-nm"), out).splitlines())
    assert listed == sorted(ran(tool("aarch64-linux-gnu-nm"), out).splitlines())
    functions = some_functions(vmlinux, 40)
    for command in ("aarch64-linux-gnu-objdump", "llvm-objdump"):
        for name, place in list(functions.items())[:4]:
            limits = f"--start-address={place:#x}", f"--stop-address={place + 32:#x}"
            ours, theirs = (ran(tool(command), "-d", *limits, file).partition("isassembly")[2] for file in pair)
            assert f"<{name}>:" in ours
            # Without symbols of data, addresses of data have other names beside them.
            assert [re.sub(" <[^>]*>$", "", line) for line in ours.splitlines()] == [
                re.sub(" <[^>]*>$", "", line) for line in theirs.splitlines()
            ]
    addresses = [hex(value + 4) for value in functions.values()]
    found = ran(tool("llvm-symbolizer"), "-e", out, "--no-inlines", *addresses).splitlines()
    assert found[::3] == list(functions)
    found = ran(tool("aarch64-linux-gnu-addr2line"), "-f", "-e", out, *addresses).splitlines()
    assert found[::2] == list(functions)


def test_readers_of_types_read_it(pair: tuple[str, str], tool: Tool) -> None:
    ours, theirs = (ran(tool("bpftool"), "btf", "dump", "file", file) for file in pair)
    assert ours == theirs
    assert ours.startswith("[1] ")
    # pahole 1.24 does not know all kinds of types in a newer kernel, and says so.
    found = [
        subprocess.run([tool("pahole"), "-F", "btf", "-C", "task_struct", file], capture_output=True, check=True).stdout
        for file in pair
    ]
    assert found[0] == found[1]
    assert found[0].startswith(b"struct task_struct {")


def test_diff_says_the_same(pair: tuple[str, str], tmp_path: Path) -> None:
    image = Path(pair[1]).parent / "Image"
    assert main(["diff", pair[0], str(image), "--quiet"]) == 0
    changed = bytearray(image.read_bytes())
    changed[0x12345] ^= 1
    (tmp_path / "Image").write_bytes(changed)
    assert main(["diff", pair[0], str(tmp_path / "Image"), "--quiet"]) == 1


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
