"""Every byte of a kernel is accounted for once."""

import os
import re
import struct
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from kinspect.artifacts.boot.image import Image
from kinspect.artifacts.elf.vmlinux import Vmlinux
from kinspect.errors import MalformedError
from kinspect.inspection.size import size
from kinspect.source import Source
from kinspect.views.size.account import Sizes, sizes
from tests.conftest import SAMPLE, Kernel

Tool = Callable[[str], str]


def assert_exact(found: Sizes, vmlinux: Vmlinux, image: Image) -> None:
    """No gap, no overlap; the sums are the sizes; what is in no section is zero in the Image."""
    at = vmlinux.text
    for span in found.spans:
        assert span.address == at
        assert 0 <= span.file_size <= span.size
        assert span.size > 0
        at += span.size
    assert at == vmlinux.end
    assert sum(span.size for span in found.spans) == found.memory_size == image.header.image_size == found.image_size
    assert sum(span.file_size for span in found.spans) == found.file_size == image.size == found.image_file_size
    assert sum(part.size for part in found.parts) == found.vmlinux_size == os.path.getsize(vmlinux.path)
    for span in found.spans:
        if span.kind == "alignment" and span.file_size:
            assert not any(image.source.read(span.address - found.spans[0].address, span.file_size)), span.name


def assert_equal_to_size(found: Sizes, vmlinux: str, tool: Tool) -> None:
    """Our sections are those of `size -A`."""
    command = [tool("aarch64-linux-gnu-size"), "-A", "-x", vmlinux]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    rows = re.findall(r"^(\S+)\s+(0x[0-9a-f]+)\s+(0x[0-9a-f]+)$", text, re.MULTILINE)
    theirs = {(name, int(size, 16), int(address, 16)) for name, size, address in rows if int(address, 16)}
    ours = {(span.name, span.size, span.address) for span in found.spans if span.kind == "section"}
    assert ours == {row for row in theirs if row[1]}


def test_the_sample(tool: Tool) -> None:
    vmlinux, image = Vmlinux(SAMPLE / "vmlinux"), Image(SAMPLE / "Image")
    found = sizes(vmlinux, image)
    assert_exact(found, vmlinux, image)
    assert_equal_to_size(found, vmlinux.path, tool)
    tables = [span.name for span in found.spans if span.kind == "page table"]
    assert tables == ["idmap_pg_dir", "reserved_pg_dir", "swapper_pg_dir", "init_pg_dir"]


def test_real_kernels(kernel: Kernel, tool: Tool) -> None:
    vmlinux, image = Vmlinux(kernel.vmlinux), Image(kernel.image)
    found = sizes(vmlinux, image)
    assert_exact(found, vmlinux, image)
    assert_equal_to_size(found, vmlinux.path, tool)
    tables = {span.name for span in found.spans if span.kind == "page table"}
    assert {"idmap_pg_dir", "swapper_pg_dir", "reserved_pg_dir", "init_pg_dir", "init_idmap_pg_dir"} <= tables
    kinds = {part.kind for part in found.parts}
    assert {"loaded", "DWARF", "symbols", "headers"} <= kinds


def test_a_real_kernel_is_read_only_where_needed(kernel: Kernel, monkeypatch: pytest.MonkeyPatch) -> None:
    read = 0
    pread, preadv = os.pread, os.preadv

    def counted(unit: int, size: int, offset: int) -> bytes:
        nonlocal read
        read += size
        return pread(unit, size, offset)

    def counted_into(unit: int, buffers: list[memoryview], offset: int) -> int:
        nonlocal read
        read += sum(map(len, buffers))
        return preadv(unit, buffers, offset)

    monkeypatch.setattr(os, "pread", counted)
    monkeypatch.setattr(os, "preadv", counted_into)
    assert size(kernel.vmlinux, kernel.image).ok
    assert 1_000_000 < read < 60_000_000


def test_without_an_image_the_header_in_vmlinux_is_taken() -> None:
    found = sizes(Vmlinux(SAMPLE / "vmlinux"))
    assert found.image is None
    assert found.image_file_size is None
    assert found.image_size == found.memory_size == 0x30000


def test_another_image_is_a_finding(tmp_path: Path) -> None:
    data = bytearray((SAMPLE / "Image").read_bytes())
    data[16:24] = struct.pack("<Q", 0x40000)
    (tmp_path / "Image").write_bytes(data + b"\0")
    report = size(SAMPLE / "vmlinux", tmp_path / "Image")
    assert [finding.id for finding in report.findings] == ["sections-sum-to-image-size", "sections-sum-to-file-size"]
    assert report.exit_code == 1


def test_a_stripped_vmlinux_says_what_is_missing(tmp_path: Path, tool: Tool) -> None:
    path = tmp_path / "vmlinux"
    subprocess.run([tool("aarch64-linux-gnu-strip"), "-s", "-o", path, SAMPLE / "vmlinux"], check=True)
    with pytest.raises(MalformedError, match="no symbols _text and _end"):
        sizes(Vmlinux(path))


def test_overlapping_sections_are_counted_once(tmp_path: Path) -> None:
    vmlinux = Vmlinux(SAMPLE / "vmlinux")
    rodata = vmlinux.section(".rodata")
    assert rodata is not None
    data = bytearray(Source(vmlinux.path).head(1 << 20))
    header = vmlinux.header.e_shoff + 64 * rodata.number
    data[header + 32 : header + 40] = struct.pack("<Q", rodata.size + 100)
    (tmp_path / "vmlinux").write_bytes(data)
    found = sizes(Vmlinux(tmp_path / "vmlinux"))
    assert found.memory_size == 0x30000
    assert sum(part.size for part in found.parts) == len(data)
