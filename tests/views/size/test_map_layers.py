"""Sources and objects held against linkers' maps: of a program of many files, and of a real kernel."""

import os
import re
import shlex
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from kinspect.artifacts.build.linker_map import Contribution, LinkerMap
from kinspect.artifacts.dwarf.compile_units import CompileUnit, CompileUnits
from kinspect.artifacts.elf.file import Elf
from kinspect.artifacts.elf.vmlinux import Vmlinux
from kinspect.errors import MalformedError
from kinspect.views.size.attribution import Attribution
from kinspect.views.size.map_layers import kernel_contributions, map_sources, object_path
from tests.conftest import CORPUS, missing
from tests.map_truth import owners, truth
from tests.toy_program import Program, run, toy_program

Tool = Callable[[str], str]
LINKERS = ("aarch64-linux-gnu-ld", "ld.lld")


@pytest.fixture(scope="module")
def program(tool: Tool, tmp_path_factory: pytest.TempPathFactory) -> Program:
    return toy_program(tmp_path_factory.mktemp("program"), tool)


@pytest.fixture(scope="module", params=LINKERS)
def linked(request: pytest.FixtureRequest, program: Program, tool: Tool) -> tuple[Vmlinux, LinkerMap]:
    """The program as each linker links it, with its map."""
    vmlinux, told = program.linked(tool(request.param), request.param)
    return Vmlinux(vmlinux), LinkerMap(told)


@pytest.fixture(scope="module", params=LINKERS)
def kernel(
    request: pytest.FixtureRequest, tool: Tool, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Vmlinux, LinkerMap]:
    """A real kernel that is linked once more, with a map, from the objects that its build left."""
    out = CORPUS / "build" / "out"
    if not (out / "vmlinux.a").exists():
        missing("the build of a kernel", f"bash tests/corpus/build.sh {CORPUS} makes it")
    folder = tmp_path_factory.mktemp("kernel")
    command = (out / ".vmlinux.cmd").read_text().partition("link-vmlinux.sh")[2].partition(";")[0]
    _, *flags = shlex.split(command)
    flags = [word for words in flags for word in words.split()]
    if request.param == "ld.lld":
        flags.remove("--no-warn-rwx-segments")
    names = max(out.glob(".tmp_vmlinux.kallsyms?.o"), key=lambda path: path.name)
    objects = ["vmlinux.a", *[name for name in (".vmlinux.export.o",) if (out / name).exists()]]
    vmlinux, told = folder / "vmlinux", folder / "vmlinux.map"
    run(
        out,
        *(tool(request.param), *flags, "--script=arch/arm64/kernel/vmlinux.lds", f"-Map={told}", "-o", str(vmlinux)),
        *("--whole-archive", *objects, "init/version-timestamp.o", "--no-whole-archive"),
        *("drivers/firmware/efi/libstub/lib.a", names.name),
    )
    return Vmlinux(vmlinux), LinkerMap(told)


def test_contributions_are_where_symbols_are(program: Program, linked: tuple[Vmlinux, LinkerMap]) -> None:
    """A symbol of one object only is where the map says that its section is, and as far into it."""
    vmlinux, told = linked
    places: dict[tuple[str, str], int] = {}
    for one in kernel_contributions(vmlinux, told):
        places.setdefault((object_path(one.object), one.section), one.address)
    checked = 0
    for path in program.sources:
        own = Elf(program.folder / path)
        for index in range(len(own.symbols)):
            number, name = own.symbols.sections[index], own.symbols.name(index)
            address = (
                vmlinux.symbols.value(name) if re.search("_(probe|init|numbers|names|entry|state)$", name) else None
            )
            if address is not None and 0 < number < len(own.sections):
                assert places[path, own.sections[number].name] + own.symbols.values[index] == address
                checked += 1
    assert checked > 200


def test_contributions_are_whole(program: Program, linked: tuple[Vmlinux, LinkerMap]) -> None:
    """What an object gives is its section, as long; only strings that were merged are shorter."""
    vmlinux, told = linked
    merged = 0
    for one in kernel_contributions(vmlinux, told):
        path = object_path(one.object)
        if one.section == "COMMON" or path not in program.sources:
            continue
        section = Elf(program.folder / path).section(one.section)
        if ".str" in one.section or section is None:
            merged += one.size
        else:
            assert section.size == one.size
    assert merged < 0.3 * sum(one.size for one in kernel_contributions(vmlinux, told))


def test_what_symbols_tell_is_what_the_map_says(linked: tuple[Vmlinux, LinkerMap]) -> None:
    found = truth(*linked)
    print(found.table())
    assert found.share >= 0.97


def test_without_dwarf(linked: tuple[Vmlinux, LinkerMap], tool: Tool, tmp_path: Path) -> None:
    """Names without folders are left, and say so; with the map objects are known by their paths."""
    vmlinux, told = linked
    run(tmp_path, tool("aarch64-linux-gnu-objcopy"), "--remove-section=.debug_*", vmlinux.path, "bare")
    bare = Vmlinux(tmp_path / "bare")
    assert CompileUnits(bare).units == ()
    layer, contributions = Attribution(bare).source, kernel_contributions(bare, told)
    right = total = 0
    for one in contributions:
        if one.section.startswith(".rela"):
            continue
        name = os.path.basename(object_path(one.object)).removesuffix(".o")
        for owner, size in owners(layer, one.address, one.address + one.size).items():
            assert owner.startswith(("?/", "["))
            total += size
            right += size * (one.object == "pi.o" or owner.startswith(f"?/{name}."))
    print(f"without DWARF: {right / total:.2%} of {total:,} bytes have the right name")
    assert right / total >= 0.95
    names = set(Attribution(bare, None, told).source.names)
    assert {"init/main.o", "fs/proc/core.o", "lib/bus.o"} <= names
    assert not any(name.startswith("?/") for name in names)


def test_with_the_map_every_byte_is_as_it_says(linked: tuple[Vmlinux, LinkerMap], program: Program) -> None:
    vmlinux, told = linked
    told_by_map = Attribution(vmlinux, None, told)
    sizes = told_by_map.account
    for by in ("source", "object", "folder"):
        leaves = told_by_map.leaves((by,))
        assert sum(memory for _, memory in leaves.values()) == sizes.memory_size
        assert sum(file for file, _ in leaves.values()) == sizes.file_size
    for one in kernel_contributions(vmlinux, told):
        section = vmlinux.section_at(one.address)
        assert section is not None
        if section.name != ".rela.dyn":
            path, end = object_path(one.object), one.address + one.size
            assert set(owners(told_by_map.object, one.address, end)) == {path}
            if path != "pi.o":
                assert set(owners(told_by_map.source, one.address, end)) == {program.sources[path]}
    parts = {name for name in told_by_map.source.names if name.startswith("arch/pi/")}
    assert parts == {"arch/pi/main.c", "arch/pi/core.c", "arch/pi/probe.c"}
    assert "pi.o" in told_by_map.object.names


def test_one_object_of_all(program: Program, tool: Tool) -> None:
    """A build with LTO links one vmlinux.o: its map says nothing, and sources are what symbols tell."""
    linker = tool(LINKERS[0])
    run(program.folder, linker, "-r", "--whole-archive", "vmlinux.a", "-o", "whole.o")
    paths = program.linked(linker, "one", "whole.o", "lib/lib.a", "init/version.o")
    vmlinux, told = Vmlinux(paths[0]), LinkerMap(paths[1])
    layer, by_symbols = Attribution(vmlinux, None, told).source, Attribution(vmlinux).source
    whole = [one for one in kernel_contributions(vmlinux, told) if one.object == "whole.o"]
    assert sum(one.size for one in whole) > 40_000
    for one in whole:
        end = one.address + one.size
        assert owners(layer, one.address, end) == owners(by_symbols, one.address, end)
    assert {"kernel/bus.c", "fs/proc/core.c"} <= set(layer.names)


def test_a_map_of_another_link(linked: tuple[Vmlinux, LinkerMap], tmp_path: Path) -> None:
    vmlinux, told = linked
    data = Path(told.path).read_bytes()
    edited = tmp_path / "edited.map"
    section = vmlinux.section(".text")
    assert section is not None
    was = b"%x" % section.size
    at = data.index(b"\n.text" if data.find(b"\nLinker script") >= 0 else b" .text\n")
    at = data.index(was, at) if data.find(b"\nLinker script") >= 0 else data.rindex(was, 0, at)
    edited.write_bytes(data[:at] + was[:-1] + b"f" + data[at + len(was) :])
    line = data.count(b"\n", 0, at) + 1
    with pytest.raises(
        MalformedError, match=rf"edited.map:{line}: the map is not of .*: \.text: expected {section.size:#x}"
    ):
        Attribution(vmlinux, None, LinkerMap(edited)).leaves(("source",))


@pytest.mark.parametrize(
    ("written", "path"),
    [
        ("init/main.o", "init/main.o"),
        ("vmlinux.a(init/main.o)", "init/main.o"),
        ("drivers/firmware/efi/libstub/lib.a(fdt.stub.o)", "drivers/firmware/efi/libstub/fdt.stub.o"),
        ("arch/arm64/kvm/../../../virt/kvm/kvm_main.o", "virt/kvm/kvm_main.o"),
        ("./built-in.a(a(b).o)", "a(b).o"),
    ],
)
def test_object_paths(written: str, path: str) -> None:
    assert object_path(written) == path


@pytest.mark.parametrize(
    ("written", "source"),
    [
        ("init/main.o", "init/main.c"),
        ("libstub/fdt.stub.o", "libstub/fdt.c"),
        ("libstub/lib-sort.stub.o", "lib/sort.c"),
        ("crypto/key.asn1.o", "crypto/key.asn1.c"),
        ("rust/kernel.o", "rust/kernel/lib.rs"),
        (".tmp_vmlinux.kallsyms2.o", "[kallsyms]"),
        ("usr/initramfs_data.o", "usr/initramfs_data.o"),
    ],
)
def test_sources_of_objects(written: str, source: str) -> None:
    paths = ("init/main.c", "libstub/fdt.c", "lib/sort.c", "crypto/key.asn1.c", "rust/kernel/lib.rs")
    units = [CompileUnit(path, "", ()) for path in paths]
    assert map_sources([Contribution(".data", 4096, 8, written, None, 0)], units) == {written: source}


@pytest.mark.corpus
def test_a_real_kernel(kernel: tuple[Vmlinux, LinkerMap]) -> None:
    """The measure of what is told without a map. GNU ld makes the same kernel again."""
    vmlinux, told = kernel
    if not told.source.head(16).strip().startswith(b"VMA"):
        original = Vmlinux(CORPUS / "build" / "out" / "vmlinux")
        for ours, theirs in zip(vmlinux.loaded_sections, original.loaded_sections, strict=True):
            assert ours == theirs
            # The table is sorted after the link, and the kernel told so.
            if ours.in_file and ours.name not in ("__ex_table", ".init.data"):
                assert vmlinux.contents(ours) == original.contents(theirs), ours.name
    found = truth(vmlinux, told)
    print(found.table())
    assert found.share >= 0.97
    assert all(found.right[name] / size > 0.85 for name, size in found.total.items() if size > 10_000)


@pytest.mark.corpus
def test_a_real_kernel_with_its_map(kernel: tuple[Vmlinux, LinkerMap]) -> None:
    vmlinux, told = kernel
    by_map = Attribution(vmlinux, None, told)
    for by in ("source", "object", "folder"):
        assert sum(memory for _, memory in by_map.leaves((by,)).values()) == by_map.account.memory_size
    assert not any(name.startswith("?/") for name in by_map.object.names)
    sources = set(by_map.source.names)
    assert {"init/main.c", "virt/kvm/kvm_main.c", "lib/fdt.c", "arch/arm64/kvm/hyp/nvhe/mm.c", "[kallsyms]"} <= sources


def test_sections_are_those_of_size(linked: tuple[Vmlinux, LinkerMap], tool: Tool) -> None:
    vmlinux, told = linked
    text = subprocess.run([tool("aarch64-linux-gnu-size"), "-A", vmlinux.path], capture_output=True, text=True).stdout
    sizes = {name: int(size) for name, size in re.findall(r"^(\S+) +(\d+) ", text, re.MULTILINE)}
    ours = {output.section: output.size for output in told.outputs if output.size and output.address}
    assert {name: size for name, size in ours.items() if name in sizes} == {
        name: sizes[name] for name in ours if name in sizes
    }
    assert {".text", ".rodata", ".data", ".bss"} <= ours.keys() & sizes.keys()
