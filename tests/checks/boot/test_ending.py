"""A raw Image without a PE header is found to be truncated, or to have something behind it, by its own code."""

import struct
from pathlib import Path

import pytest

from kinspect.artifacts.boot.ending import Relocations, appended_trees, bss_start, model_of, relocations
from kinspect.artifacts.boot.image import Image
from kinspect.inspection.kernel import image as inspect_image
from kinspect.source import Source
from tests.conftest import SAMPLE, Build, Kernel
from tests.toy_dtb import toy

TREE = (SAMPLE / "dtb" / "hello.dtb").read_bytes()
NOP = 0xD503201F
BASE = 0xFFFF800008000000
BSS, TOTAL = 0x30000, 0x40000
TRUNCATED, FOLLOWED = "image-reaches-its-end", "nothing-follows-the-image"


def adrp(register: int, at: int, target: int) -> int:
    pages = (target >> 12) - (at >> 12)
    return 0x90000000 | (pages & 3) << 29 | (pages >> 2 & 0x7FFFF) << 5 | register


def add(register: int, target: int) -> int:
    return 0x91000000 | (target & 0xFFF) << 10 | register << 5 | register


def clearing(at: int, start: int, end: int, new: bool = False) -> bytes:
    """The code that clears .bss, as head.S has it, or as compilers make it of map_kernel.c."""
    if new:
        words = [adrp(2, at, end), adrp(0, at + 4, start), add(2, end), add(0, start), 0xCB000042, 0x52800001]
    else:
        words = [adrp(0, at, start), add(0, start), 0xAA1F03E1, adrp(2, at + 12, end), add(2, end), 0xCB000042]
    return struct.pack(f"<{len(words)}I", *words)


def made(code: bytes = b"", rows: int = 0, size: int = BSS, last: int = BSS - 8) -> bytes:
    """An Image without a PE header: code at 0x1000, relocations at 0x20000."""
    head = struct.pack("<IIQQQ24x4sI", NOP, 0x14000400, 0, TOTAL, 0xA, b"ARM\x64", 0)
    places = [*range(0x8000, 0x8000 + 8 * (rows - 1), 8), last] if rows else []
    table = b"".join(struct.pack("<QQQ", BASE + place, 0x403, BASE) for place in places)
    banner = b"Linux version 6.1.0 (a@b) (gcc) #1 SMP\n\0"
    data = (head.ljust(0x1000, b"\0") + bytes(64) + code).ljust(0x10000, b"\0") + banner
    return (data.ljust(0x20000, b"\0") + table).ljust(size, b"x")


def written(folder: Path, data: bytes) -> Path:
    path = folder / "Image"
    path.write_bytes(data)
    return path


def found(path: Path) -> set[str]:
    return {finding.id for finding in inspect_image(path).findings}


@pytest.mark.parametrize("new", [False, True])
@pytest.mark.parametrize("start", [BSS, BSS - 0x1000 + 8])
def test_the_code_that_clears_bss_says_where_the_file_ends(new: bool, start: int, tmp_path: Path) -> None:
    data = made(clearing(0x1040, start, TOTAL - 0x3000, new), size=start - 8)
    path = written(tmp_path, data)
    assert bss_start(Image(path)) == start
    assert found(path) == set()
    for size, expected in ((start - 0xF00, set()), (start - 0x1000, {TRUNCATED}), (0x18000, {TRUNCATED})):
        path.write_bytes(data[:size])
        assert found(path) == expected
    path.write_bytes(data.ljust(TOTAL, b"\0"))
    assert found(path) == set()
    path.write_bytes(data.ljust(start, b"\0") + TREE + TREE)
    (finding,) = inspect_image(path).findings
    assert (finding.id, finding.evidence.at[0].offset) == (FOLLOWED, start)
    assert "3,980 bytes (2 device trees: hello on QEMU's virt, hello on QEMU's virt) follow" in str(finding)
    path.write_bytes(data.ljust(start, b"\0") + b"more")
    assert "4 bytes follow the kernel" in str(inspect_image(path).findings[0])


def test_other_code_that_clears_memory_says_nothing(tmp_path: Path) -> None:
    other = clearing(0x1040, 0x20000, 0x21000)
    for code in (
        other.replace(struct.pack("<I", 0xCB000042), struct.pack("<I", 0xCB020042)),
        clearing(0x1040, BSS + 0x8000, BSS),
        clearing(0x1040, BSS, TOTAL + 0x1000),
        clearing(0x1040, BSS, TOTAL) + clearing(0x1058, BSS + 0x1000, TOTAL),
    ):
        path = written(tmp_path, made(code, size=0x20000))
        assert bss_start(Image(path)) is None
        assert found(path) == set()


def test_relocations_lie_in_the_file(tmp_path: Path) -> None:
    path = written(tmp_path, made(rows=500))
    table = relocations(Image(path))
    assert table == Relocations(0x20000, 0x20000 + 500 * 24, BSS, BASE)
    assert found(path) == set()
    for size in (BSS - 1, 0x20000 + 500 * 24):
        path.write_bytes(made(rows=500)[:size])
        assert found(path) == {TRUNCATED}
    # The last rows are missing, and with them the highest place.
    path.write_bytes(made(rows=500)[: 0x20000 + 400 * 24 + 5])
    (finding,) = inspect_image(path).findings
    assert "it ends in the table of relocations" in str(finding)


def test_a_flood_of_rows_is_read_once(tmp_path: Path) -> None:
    """Rows that cannot be relocations of this kernel are skipped as a whole."""
    path = written(tmp_path, made(rows=30_000, size=0xE0000, last=1 << 40))
    assert relocations(Image(path)) is None


def test_a_tree_at_the_end_is_named_without_any_code(tmp_path: Path) -> None:
    path = written(tmp_path, made(size=0x20000) + TREE)
    (finding,) = inspect_image(path).findings
    assert (finding.id, finding.evidence.at[0].offset) == (FOLLOWED, 0x20000)


def test_trees_are_found_one_after_the_other() -> None:
    data = b"\0\0" + TREE + bytes(9) + toy() + b"\xd0\x0d\xfe\xed"
    source = Source("x", data)
    assert [(tree.offset, model_of(source, tree)) for tree in appended_trees(source, 0, len(data))] == [
        (2, "hello on QEMU's virt"),
        (2 + len(TREE) + 9, "toy"),
    ]
    for size in range(len(TREE)):
        assert not list(appended_trees(Source("x", data[2 : 2 + size]), 0, size))


def without_pe(data: bytes) -> bytes:
    return struct.pack("<I", NOP) + data[4:60] + bytes(4) + data[64:]


def cut_and_followed(data: bytes, folder: Path) -> None:
    path = written(folder, without_pe(data))
    assert bss_start(Image(path)) is not None
    assert found(path) == set()
    for size in (len(data) - 0x2000, len(data) * 95 // 100, len(data) * 85 // 100):
        path.write_bytes(without_pe(data)[:size])
        assert {finding.id for finding in inspect_image(path).findings if finding.severity == "error"}
    path.write_bytes(without_pe(data).ljust(Image(folder / "Image").header.image_size, b"\0"))
    assert found(path) == set()
    path.write_bytes(without_pe(data) + TREE)
    assert FOLLOWED in found(path)


@pytest.mark.corpus
def test_real_kernels(kernel: Kernel, tmp_path: Path) -> None:
    """Both ways to clear .bss: the 6.1 kernel does it in head.S, the newer one in map_kernel.c."""
    cut_and_followed(Path(kernel.image).read_bytes(), tmp_path)


@pytest.mark.corpus
def test_a_real_build(build: Build, tmp_path: Path) -> None:
    cut_and_followed((build.out / "arch" / "arm64" / "boot" / "Image").read_bytes(), tmp_path)
