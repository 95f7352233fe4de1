"""The types of real kernels: what bpftool and pahole say of the same bytes."""

import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import kinspect
from kinspect.artifacts.boot.image import Image
from kinspect.artifacts.btf.table import Btf
from kinspect.artifacts.elf.vmlinux import Vmlinux
from kinspect.artifacts.module.ko import Module
from kinspect.schemas import btf
from kinspect.views.btf.declarations import Declarations
from kinspect.views.btf.kernel import kernel_types, types_of
from kinspect.views.btf.layout import COMPOSITE, TypeMember, type_facts
from kinspect.views.btf.raw import raw_lines
from kinspect.views.btf.validity import faults_of
from tests.conftest import Build, Kernel

pytestmark = pytest.mark.corpus
Place = tuple[int, int, int]


@pytest.fixture(scope="module")
def types(kernel: Kernel) -> Btf:
    return kernel_types(Vmlinux(kernel.vmlinux))


@pytest.fixture
def file(types: Btf, tmp_path: Path) -> Path:
    """The types as a file of their own, which all tools read."""
    path = tmp_path / "kernel.btf"
    path.write_bytes(types.data)
    return path


def test_every_record_is_what_bpftool_says(types: Btf, file: Path, tool: Callable[[str], str]) -> None:
    command = [tool("bpftool"), "btf", "dump", "file", str(file), "format", "raw"]
    theirs = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert list(raw_lines(types)) == theirs.splitlines()


def test_the_image_has_the_same_types(kernel: Kernel, types: Btf) -> None:
    image = kinspect.open(kernel.image, Image)
    assert kernel_types(image).data == types.data


def flat(members: tuple[TypeMember, ...]) -> Iterator[Place]:
    """The place of each member in the order of pahole, which prints the members of an anonymous struct before it."""
    for member in members:
        if "{}" in member.declaration:
            yield from flat(member.members)
            yield member.offset, 0, member.size
        else:
            yield member.offset, member.bit, member.size


PLACE = re.compile(r"/\*\s+(\d+)(?::\s*(\d+))?\s+(\d+) \*/$")


def test_every_struct_is_laid_out_as_pahole_does(types: Btf, file: Path, tool: Callable[[str], str]) -> None:
    text = subprocess.run([tool("pahole"), "-F", "btf", str(file)], capture_output=True, text=True, check=True).stdout
    declarations, compared = Declarations(types), 0
    for block in re.split(r"\n(?=(?:struct|union) \w+ \{\n)", text):
        head = re.match(r"(struct|union) (\w+) \{\n", block)
        if not head:
            continue
        kind = btf.STRUCT if head[1] == "struct" else btf.UNION
        ids = [number for number in types.with_name(head[2]) if types.kind_of(number) == kind]
        if len(ids) != 1:  # pahole prints one of several
            continue
        found = type_facts(types, ids[0], declarations)
        body = block[: block.index("\n}")]
        rows = [PLACE.search(line) for line in body.split("\n")[1:]]
        assert list(flat(found.members)) == [(int(row[1]), int(row[2] or 0), int(row[3])) for row in rows if row], head
        holes = [int(size) for size in re.findall(r"^\t/\* XXX (\d+) bytes? hole", body, re.MULTILINE)]
        bit_holes = [int(size) for size in re.findall(r"^\t/\* XXX (\d+) bits? hole", body, re.MULTILINE)]
        assert [member.hole for member in found.members if member.hole] == holes, head
        assert [member.bit_hole for member in found.members if member.bit_hole] == bit_holes, head
        if kind == btf.STRUCT:
            end = body[body.rindex("/* size:") :]
            number = {name: re.search(rf"/\* {name}: (\d+)", end) for name in ("size", "padding", "bit_padding")}
            ends = {name: int(match[1]) if match else 0 for name, match in number.items()}
            assert {"size": found.size, "padding": found.padding, "bit_padding": found.bit_padding} == ends, head
        compared += 1
    named = sum(types.kind_of(ids[0]) in COMPOSITE for ids in types.named.values() if len(ids) == 1)
    assert compared > 0.95 * named > 5000


def test_sizes_of_unions_are_those_of_pahole(types: Btf, file: Path, tool: Callable[[str], str]) -> None:
    command = [tool("pahole"), "-F", "btf", "--sizes", str(file)]
    theirs = dict(
        line.split("\t")[:2] for line in subprocess.run(command, capture_output=True, text=True).stdout.splitlines()
    )
    structs = {name: ids for name, ids in types.named.items() if len(ids) == 1 and types.kind_of(ids[0]) == btf.STRUCT}
    found = {name: str(types.target_of(ids[0])) for name, ids in structs.items() if name in theirs}
    assert len(found) > 5000
    assert found == {name: theirs[name] for name in found}


def test_valid(types: Btf) -> None:
    assert faults_of(types) == []


def test_the_types_of_modules_continue_those_of_the_kernel(
    kernel: Kernel, types: Btf, file: Path, tool: Callable[[str], str], tmp_path: Path
) -> None:
    paths = sorted((kernel.folder / "lib").rglob("*.ko*"))
    assert len(paths) > 500
    for path in paths[::60]:
        found = types_of(Module(path), types)
        assert faults_of(found) == [], path
        alone = tmp_path / "module.btf"
        alone.write_bytes(found.data)
        command = [tool("bpftool"), "-B", str(file), "btf", "dump", "file", str(alone), "format", "raw"]
        theirs = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        assert list(raw_lines(found)) == theirs.splitlines(), path


def test_a_module_on_another_kernel_is_not_valid(kernels: tuple[Kernel, Kernel]) -> None:
    old, new = (kernel_types(Vmlinux(kernel.vmlinux)) for kernel in kernels)
    path = sorted((kernels[1].folder / "lib").rglob("*.ko*"))[0]
    assert faults_of(types_of(Module(path), new)) == []
    report = kinspect.types(path, base=kernels[0].image)
    assert [found.id for found in report.findings] == ["btf-is-valid"]
    # Its functions would be shown with the types of another kernel.
    report = kinspect.types(path, ["task_struct"], kernels[0].image)
    assert [found.id for found in report.findings] == ["btf-is-valid"]
    assert old.end != new.end


def test_types_by_name(kernel: Kernel) -> None:
    [device] = kinspect.types(kernel.image, ["struct device"]).facts
    assert isinstance(device, kinspect.TypeFacts)
    assert {"kobj", "parent", "fwnode"} <= {member.name for member in device.members}
    found = kinspect.types(kernel.image, member="fwnode").facts_of(kinspect.MemberFacts)[0]
    places = {member.owner: (member.offset, member.declaration) for member in found.members}
    [fwnode] = [member for member in device.members if member.name == "fwnode"]
    assert places["struct device"] == (fwnode.offset, "struct fwnode_handle *fwnode")


def test_a_built_kernel_without_types(build: Build) -> None:
    with pytest.raises(kinspect.UnsupportedError, match=r"no type information \(CONFIG_DEBUG_INFO_BTF\)"):
        kinspect.types(str(build.out / "vmlinux"))
