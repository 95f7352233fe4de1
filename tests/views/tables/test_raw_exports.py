"""The exports in a raw Image are those of Module.symvers, and where there are none that is said."""

import struct
import time
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kinspect.artifacts.boot.image import Image
from kinspect.artifacts.build.symvers import KERNEL, Symvers
from kinspect.artifacts.elf.vmlinux import Vmlinux
from kinspect.artifacts.module.exports import Export
from kinspect.errors import KinspectError, MalformedError, UnsupportedError
from kinspect.schemas.exports import Crc, KernelSymbol
from kinspect.schemas.record import build, size_of
from kinspect.source import Source
from kinspect.views.tables.exports import GPL_TABLE
from kinspect.views.tables.raw_exports import (
    REACH,
    KernelExports,
    image_exports,
    kernel_exports,
    readable_exports,
    vmlinux_exports,
)
from tests.conftest import SAMPLE, Kernel
from tests.support import Part, elf_of, patched

ROW = size_of(KernelSymbol)
TARGET = 1 << 28
NAME = st.text("abcdefgxyz_ABC019.$", min_size=1, max_size=12)
# A small number could be the distance to a name: three such CRCs in a row look like one more export.
CRC = st.just(0) | st.integers(1 << 24, 0xFFFFFFFF)
NAMESPACE = st.sampled_from(["", "", "", "CXL", "rdma_core", "module:kvm,nfs-*"])


class Held(Source):
    """A file in memory."""

    def __init__(self, data: bytes) -> None:
        super().__init__("Image")
        self._unit = 1 << 30
        self._held = data

    def close(self) -> None:
        """There is nothing to close."""


class Form(NamedTuple):
    """Which tables lie behind the rows; whether an empty namespace is a zero field; whether texts share their ends."""

    crcs: bool
    flags: bool
    zero: bool
    merged: bool


def texts_of(texts: Sequence[str], merged: bool) -> tuple[bytes, dict[str, int]]:
    """The strings section and the place of each text in it, as a linker that merges tails lays them out."""
    data, places = b"", dict[str, int]()
    for text in sorted(set(texts), key=len, reverse=merged):
        found = data.find(text.encode() + b"\0") if merged else -1
        places[text] = found if found >= 0 else len(data)
        if found < 0:
            data += text.encode() + b"\0"
    return data, places


def tables(exports: Sequence[Export], form: Form, before: bytes, after: bytes) -> bytes:
    """Bytes, the rows of exports in the order given, what goes with them, their texts, bytes again."""
    spaces = [export.namespace for export in exports if export.namespace or not form.zero]
    names, places = texts_of([export.name for export in exports] + spaces, form.merged)
    beside = b"".join(build(Crc(export.crc or 0)) for export in exports) if form.crcs else b""
    beside += bytes(export.gpl for export in exports) if form.flags else b""
    start = len(before) + ROW * len(exports) + len(beside)
    rows = b""
    for index, export in enumerate(exports):
        at = len(before) + index * ROW
        space = 0 if form.zero and not export.namespace else start + places[export.namespace] - at - 8
        rows += build(KernelSymbol(TARGET - at, start + places[export.name] - at - 4, space))
    return before + rows + beside + names + after


def hello() -> Image:
    return Image(SAMPLE / "Image")


def symvers_exports(path: Path) -> set[Export]:
    """What Module.symvers says that the kernel exports."""
    symvers = Symvers(path)
    rows = symvers.rows
    columns = zip(rows.names, rows.crcs, symvers.gpl, rows.namespaces, rows.modules, strict=True)
    return {Export(name, crc, gpl, space) for name, crc, gpl, space, module in columns if module == KERNEL}


def with_zeros(exports: KernelExports) -> list[Export]:
    return [export._replace(crc=export.crc or 0) for export in exports.exports]


def check_form(folder: Path) -> tuple[KernelExports, KernelExports]:
    """Both forms of a kernel say what its Module.symvers says, in the same tables and order."""
    expected = symvers_exports(folder / "Module.symvers")
    raw, linked = image_exports(Image(folder / "Image")), vmlinux_exports(Vmlinux(folder / "vmlinux"))
    for found in (raw, linked):
        assert found.licensed
        assert len(found.exports) == len(expected)
        assert set(with_zeros(found)) == expected
        for table in found.tables:
            assert all(one.name < other.name for one, other in pairwise(table.exports))
    assert [table.exports for table in raw.tables] == [table.exports for table in linked.tables]
    assert [table.name for table in raw.tables] == [table.name for table in linked.tables]
    text = Vmlinux(folder / "vmlinux").text
    assert text is not None
    for one, other in zip(raw.tables, linked.tables, strict=True):
        assert one.targets == [address - text for address in other.targets]
    return raw, linked


def test_the_sample(sample: Path) -> None:
    raw, linked = check_form(sample)
    assert [(table.name, len(table.exports)) for table in raw.tables] == [("__ksymtab", 6), ("__ksymtab_gpl", 5)]
    at = raw.place("log_buffer")
    assert (at.path, at.part) == (f"{sample}/Image", "__ksymtab_gpl row 1")
    row = struct.unpack_from("<iii", (sample / "Image").read_bytes(), at.offset or 0)
    assert (sample / "Image").read_bytes()[(at.offset or 0) + 4 + row[1] :].startswith(b"log_buffer\0")
    assert linked.place("log_buffer").part == "__ksymtab_gpl row 1"
    assert raw.place("nothing") == (f"{sample}/Image", "", None, None)
    assert kernel_exports(Vmlinux(sample / "vmlinux")) == linked


def test_a_real_kernel(kernel: Kernel) -> None:
    raw, _ = check_form(kernel.folder)
    versioned = Symvers(kernel.folder / "Module.symvers").versioned
    assert len(raw.tables) == (2 if versioned else 1)
    assert all((export.crc is not None) == versioned for export in raw.exports)


def test_a_real_image_is_read_fast(kernel: Kernel) -> None:
    spent = []
    for _ in range(3):
        started = time.process_time()
        image_exports(Image(kernel.image))
        spent.append(time.process_time() - started)
    assert min(spent) < 0.45


@settings(deadline=None)
@given(
    st.dictionaries(NAME, st.tuples(CRC, st.booleans(), NAMESPACE), max_size=40),
    st.builds(Form, st.booleans(), st.just(True), st.booleans(), st.booleans()),
    st.integers(0, 9),
    st.binary(max_size=64),
)
def test_one_table_with_flags(rows: dict[str, tuple[int, bool, str]], form: Form, words: int, after: bytes) -> None:
    rows["strlen"] = (1 << 30, True, "")
    exports = [Export(name, crc if form.crcs else None, gpl, space) for name, (crc, gpl, space) in sorted(rows.items())]
    found = image_exports(Image(Held(tables(exports, form, bytes(4 * words), b"\0" + after))))
    assert [(table.name, table.offset) for table in found.tables] == [("__ksymtab", 4 * words)]
    assert found.exports == exports
    assert found.tables[0].targets == [TARGET] * len(exports)


@settings(deadline=None)
@given(
    st.dictionaries(NAME, st.tuples(CRC, st.booleans(), NAMESPACE), max_size=40),
    st.builds(Form, st.booleans(), st.just(False), st.booleans(), st.booleans()),
    st.integers(0, 9),
)
def test_two_tables(rows: dict[str, tuple[int, bool, str]], form: Form, words: int) -> None:
    rows |= {"strlen": (1 << 30, False, ""), "~": (1 << 31, False, ""), "!": (1 << 29, True, "")}
    ordered = sorted(rows.items(), key=lambda row: (row[1][1], row[0]))
    exports = [Export(name, crc if form.crcs else None, gpl, space) for name, (crc, gpl, space) in ordered]
    found = image_exports(Image(Held(tables(exports, form, bytes(4 * words), b""))))
    assert found.exports == exports
    assert found.licensed
    first, second = found.tables
    assert second.offset == first.offset + ROW * len(first.exports)
    assert (first.name, second.name) == ("__ksymtab", GPL_TABLE)


def test_unknown_licences() -> None:
    exports = [Export(name, 5, False, "") for name in ("a", "strlen", "z")]
    found = image_exports(Image(Held(tables(exports, Form(True, False, False, False), b"", b""))))
    assert found.exports == exports
    assert not found.licensed


def test_a_table_out_of_order_is_still_two_tables() -> None:
    names = ["a", "c", "b", "d", "strlen", "z", "b2", "e", "f"]
    exports = [Export(name, 5, index > 5, "") for index, name in enumerate(names)]
    found = image_exports(Image(Held(tables(exports, Form(True, False, False, False), b"", b""))))
    assert found.exports == exports


@pytest.mark.parametrize(
    "data",
    [
        bytes(4096),
        b"strlen\0" * 500,
        b"\0strlen\0" + bytes(range(256)) * 40,
        b"\x10\0\0\0" * 400 + b"strlen\0",
        b"loops_per_jiffy\0" * 20_000 + b"strlen\0",
    ],
)
def test_an_image_without_exports(data: bytes) -> None:
    image = Image(Held(data))
    with pytest.raises(UnsupportedError, match="no table of exports found"):
        image_exports(image)
    assert readable_exports(image).tables == ()


@given(st.binary(max_size=400), st.binary(max_size=200))
def test_garbage(before: bytes, after: bytes) -> None:
    image = Image(Held(before + b"\0strlen\0" + after))
    assert len(readable_exports(image).exports) < 20


def test_a_truncated_image_is_never_half_read(tmp_path: Path) -> None:
    expected = image_exports(hello())
    data = (SAMPLE / "Image").read_bytes()
    start = expected.tables[0].offset
    last = data.index(b"HELLO_UART\0", start)
    path = tmp_path / "Image"
    for size in range(start - 8, last + 200, 7):
        path.write_bytes(data[:size])
        found = readable_exports(Image(path))
        assert found.exports in ([], expected.exports)


@pytest.mark.parametrize("field", [0, 1, 2])
def test_a_row_that_points_astray_is_not_left_out(tmp_path: Path, field: int) -> None:
    expected = image_exports(hello())
    for index in range(11):
        start = expected.tables[0].offset + index * ROW + 4 * field
        path = patched(SAMPLE / "Image", {start: b"\x55\x55\x55\x55"}, tmp_path)
        if field == 0:
            assert image_exports(Image(path)).exports == expected.exports
        else:
            with pytest.raises(KinspectError):
                image_exports(Image(path))


def test_a_real_table_that_is_cut_is_told(kernels: tuple[Kernel, Kernel], tmp_path: Path) -> None:
    for kernel in kernels:
        found = image_exports(Image(kernel.image))
        table = found.tables[0]
        path = tmp_path / kernel.name
        data = Path(kernel.image).read_bytes()[: table.offset + (3 << 20)]
        hole = table.offset + 3000 * ROW + 4
        path.write_bytes(data[:hole] + b"\xff\xff\xff\x7f" + data[hole + 4 :])
        with pytest.raises(MalformedError, match="the table of exports is truncated"):
            image_exports(Image(path))


def test_a_broken_row_does_not_make_another_layout_fit() -> None:
    # After row 9 there are 14 rows and 24 flags: as many bytes as 12 rows with 12 versions have.
    exports = [Export(f"s{index:02}", None, True, "") for index in range(23)] + [Export("strlen", None, True, "")]
    data = bytearray(tables(exports, Form(False, True, True, False), b"", b""))
    assert image_exports(Image(Held(bytes(data)))).exports == exports
    data[9 * ROW + 4 : 9 * ROW + 8] = b"\xff\xff\xff\x7f"
    with pytest.raises(MalformedError, match="the table of exports is truncated"):
        image_exports(Image(Held(bytes(data))))


def test_what_lies_before_the_rows_is_no_row() -> None:
    exports = [Export("a", 1 << 30, False, ""), Export("strlen", 1 << 30, False, ""), Export("A", 1 << 30, True, "")]
    before = b"text\0\0\0\0" + build(KernelSymbol(0, -12, 0))
    found = image_exports(Image(Held(tables(exports, Form(True, False, False, False), before, b""))))
    assert found.tables[0].offset == len(before)
    assert found.exports == exports


def test_other_flags_do_not_change_the_licence() -> None:
    exports = [Export(name, None, gpl, "") for name, gpl in (("a", False), ("b", True), ("strlen", False))]
    data = bytearray(tables(exports, Form(False, True, True, False), b"", b""))
    data[3 * ROW : 3 * ROW + 3] = b"\2\x83\0"
    assert image_exports(Image(Held(bytes(data)))).exports == exports


def test_many_names_without_a_table_take_bounded_time(tmp_path: Path) -> None:
    path = tmp_path / "Image"
    path.write_bytes(bytes(REACH) + b"\0".join([b"loops_per_jiffy", b"jiffies_64", b"strlen", b"init_task"] * 50_000))
    started = time.process_time()
    with pytest.raises(UnsupportedError):
        image_exports(Image(path))
    assert time.process_time() - started < 20


def test_a_failed_search_is_not_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    searched: list[bytes] = []
    find: Callable[..., object] = Source.find

    def counted(source: Source, pattern: bytes, *range_of: int) -> object:
        searched.append(pattern)
        return find(source, pattern, *range_of)

    monkeypatch.setattr(Source, "find", counted)
    image = Image(Held(bytes(100)))
    for _ in range(3):
        assert readable_exports(image).tables == ()
    assert len(searched) == len(set(searched))


def test_a_vmlinux_without_exports(tmp_path: Path) -> None:
    path = tmp_path / "vmlinux"
    path.write_bytes(elf_of(Part(".BTF", b"x")))
    with pytest.raises(UnsupportedError, match="or the Image"):
        vmlinux_exports(Vmlinux(path))
    assert readable_exports(Vmlinux(path)).tables == ()


def test_a_vmlinux_with_flags(tmp_path: Path) -> None:
    base = 0x10000
    exports = [Export("a", 1, False, "NS"), Export("b", 2, True, ""), Export("c", None, False, "")]
    data = tables(exports, Form(False, True, True, False), b"", b"")
    rows, flags = ROW * 3, 3
    parts = (
        Part("__ksymtab", data[:rows], base),
        Part("__kflagstab", data[rows : rows + flags], base + rows),
        Part("__ksymtab_strings", data[rows + flags :], base + rows + flags),
        Part("__kcrctab", build(Crc(1)) + build(Crc(2)), base + 0x1000),
    )
    path = tmp_path / "vmlinux"
    path.write_bytes(elf_of(*parts))
    # The third CRC is missing: a check of the vmlinux says so.
    assert vmlinux_exports(Vmlinux(path)).exports == exports
