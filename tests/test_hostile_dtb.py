"""Broken, lying and endless device trees: the right status, one line or findings, bounded time and memory.

The number in a test's name is the row of the table in the project's notes on hostile input.
"""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from kinspect.artifacts.dtb.blob import LARGEST_BLOCK
from kinspect.artifacts.dtb.structure import DEEPEST, LONGEST_NAME, MOST_TOKENS
from kinspect.cli import main
from kinspect.schemas import fdt
from kinspect.schemas.fdt import FdtHeader
from kinspect.schemas.record import offsets
from tests.conftest import ROOT, SAMPLE
from tests.support import time_limit
from tests.toy_dtb import END, END_NODE, NOP, Toy, begin, blob, cells, prop, toy

HELLO = SAMPLE / "dtb" / "hello.dtb"
BYTES = HELLO.read_bytes()
SCHEMA = jsonschema.Draft202012Validator(json.loads((ROOT / "docs" / "report.schema.json").read_text()))
Capture = pytest.CaptureFixture[str]
GIB = 1 << 30


def told(capsys: Capture, path: Path, *words: str) -> tuple[int, str, str]:
    """Run `kinspect dtb`, once for text and once for JSON, and hold both against what every command promises."""
    command = ["dtb", str(path), *words]
    status = main(command)
    out, err = capsys.readouterr()
    assert main([*command, "--json"]) == status
    document = json.loads(capsys.readouterr().out)
    SCHEMA.validate(document)
    assert document["exit_code"] == status
    assert len(err.splitlines()) == len(document["errors"])
    assert all(line.startswith("kinspect: ") and "internal error" not in line for line in err.splitlines())
    assert all(line.replace("\t", "").isprintable() for line in (out + err).split("\n"))
    return status, out, err


def written(folder: Path, data: bytes) -> Path:
    path = folder / "hostile.dtb"
    path.write_bytes(data)
    return path


def test_31_a_tree_cut_anywhere(tmp_path: Path, capsys: Capture) -> None:
    for size in range(len(BYTES)):
        path = written(tmp_path, BYTES[:size])
        with time_limit(10):
            status = main(["dtb", str(path)])
        out, err = capsys.readouterr()
        # Of a tree whose header is there it is told what is wrong; before that there is only the one line.
        assert (status, bool(out), err.count("\n")) == ((1, True, 0) if size >= 40 else (2, False, 1)), size
        assert "the file is truncated" in out or size < 40
    assert told(capsys, HELLO)[0] == 0


def test_31_a_tree_cut_anywhere_has_no_text(tmp_path: Path, capsys: Capture) -> None:
    start = offsets(FdtHeader)
    structure = int.from_bytes(BYTES[start["off_dt_struct"] :][:4], "big")
    end = structure + int.from_bytes(BYTES[start["size_dt_struct"] :][:4], "big")
    for size in range(0, end, 7):
        status, out, err = told(capsys, written(tmp_path, BYTES[:size]), "--tree")
        assert (status, out, err.count("\n")) == (2, "", 1), size


@pytest.mark.parametrize("flip", [0x01, 0x80, 0xFF])
def test_31_any_byte_changed(flip: int, tmp_path: Path, capsys: Capture) -> None:
    statuses = set()
    for offset in range(len(BYTES)):
        data = bytearray(BYTES)
        data[offset] ^= flip
        path = str(written(tmp_path, bytes(data)))
        with time_limit(10):
            status = main(["dtb", path])
            main(["dtb", path, "--tree"])
        statuses.add(status)
        assert "internal error" not in capsys.readouterr().err, offset
    assert statuses == {0, 1, 2}


def test_31_any_byte_of_an_overlay_changed_keeps_every_promise(tmp_path: Path, capsys: Capture) -> None:
    lamp = (SAMPLE / "dtb" / "hello-lamp.dtbo").read_bytes()
    for offset in range(len(lamp)):
        path = written(tmp_path, lamp[:offset] + bytes([lamp[offset] ^ 0xFF]) + lamp[offset + 1 :])
        told(capsys, path)
        told(capsys, path, "--tree")


@pytest.mark.parametrize("field", FdtHeader._fields)
@pytest.mark.parametrize("value", [0, 1, 7, 0x7FFFFFFF, 0x80000000, 0xFFFFFFF8, 0xFFFFFFFF])
def test_33_a_header_that_lies(field: str, value: int, tmp_path: Path, capsys: Capture) -> None:
    lie: dict[str, Any] = {field: value}
    path = written(tmp_path, toy(Toy("a", [("b", b"c\0")]), **lie))
    with time_limit(10):
        status, _, _ = told(capsys, path)
        told(capsys, path, "--tree")
        told(capsys, path, "--path", "/a")
    # An older version that can read it is no fault: `mkimage -f auto` writes 2.
    older = field == "last_comp_version" and value < 17
    assert status in (1, 2) or older or field in ("boot_cpuid_phys", "version")


MANY = 1_000_000
DEEP = begin("") + begin("n") * MANY
CASES = {
    "32 deeper than any": (blob(DEEP + END_NODE * (MANY + 1) + END), "nodes are nested too deeply"),
    "32 deeper than any and never closed": (blob(DEEP), "nodes are nested too deeply"),
    "ends alone": (blob(begin("") + END_NODE * MANY + END), "FDT_END_NODE without a node"),
    "nothing but NOP": (
        blob(begin("") + NOP * MANY + END_NODE + END),
        f"too many tokens: expected at most {MOST_TOKENS:,}",
    ),
    "nothing but nodes": (blob(begin("") + (begin("") + END_NODE) * MANY), "too many tokens"),
    "nothing but properties": (blob(begin("") + prop(0, b"") * MANY, b"a\0"), "too many tokens"),
    "a huge length": (
        blob(begin("") + cells(fdt.PROP, 0xFFFFFFFF, 0) + END_NODE + END, b"a\0"),
        "a property's value goes past the end: expected at most 8, found 4,294,967,295",
    ),
    "a huge name offset": (
        blob(begin("") + cells(fdt.PROP, 0, 0xFFFFFFFF) + END_NODE + END, b"a\0"),
        "outside of the strings",
    ),
    "a node's name without an end": (
        blob(begin("") + cells(fdt.BEGIN_NODE) + b"n" * (8 * MANY)),
        "name is not terminated",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_bad_structures(case: str, tmp_path: Path, capsys: Capture) -> None:
    data, said = CASES[case]
    path = written(tmp_path, data)
    with time_limit(60):
        status, out, _ = told(capsys, path)
        assert (status, said in out) == (1, True)
        status, out, err = told(capsys, path, "--tree")
        assert (status, out, said in err) == (2, "", True)


COUNT = 200_000
NAMES = b"".join(f"{index:0255x}\0".encode() for index in range(COUNT // 200))


def referring() -> bytes:
    """A tree of phandles, and a list that names them all many times."""
    numbers = range(1, COUNT // 4)
    nodes = [Toy(f"n@{number:x}", [("phandle", cells(number)), ("#clock-cells", cells(0))]) for number in numbers]
    aliases = Toy("aliases", [(f"a{index}", b"/n@1\0") for index in range(1000)])
    return toy(*nodes, aliases, Toy("x", [("clocks", cells(*numbers) * 8)]))


LEGAL: dict[str, Callable[[], bytes]] = {
    "deep": lambda: blob(begin("") + begin("n") * (DEEPEST - 1) + END_NODE * DEEPEST + END),
    "nodes": lambda: blob(begin("") + (begin("n") + END_NODE) * (MOST_TOKENS // 2 - 2) + END_NODE + END),
    "ends of names": lambda: blob(
        begin("") + b"".join(prop(index % len(NAMES), b"") for index in range(COUNT)) + END_NODE + END, NAMES
    ),
    "references": referring,
    "long values": lambda: toy(Toy("x", [("clocks", bytes(32 << 20)), ("compatible", bytes(16 << 20))])),
    "a long name": lambda: blob(begin("") + begin(b"n" * (32 << 20)) + END_NODE * 2 + END),
    "long paths": lambda: blob(begin("") + begin(b"n" * 4000) * (DEEPEST - 1) + END_NODE * DEEPEST + END),
}
"""Trees that can be read, and take as much as one can."""


@pytest.mark.parametrize("case", LEGAL)
def test_large_trees_take_bounded_time_and_memory(case: str, tmp_path: Path) -> None:
    path = written(tmp_path, LEGAL[case]())
    code = (
        "import resource, sys\n"
        "resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30))\n"
        "from kinspect.cli import main\n"
        "sys.exit(main(sys.argv[1:]))"
    )
    for words in ([], ["--tree"]):
        command = [sys.executable, "-c", code, "dtb", str(path), *words]
        done = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, timeout=60)
        assert done.returncode in (0, 1), (words, done.stderr)
        assert done.stderr == ""


def test_54_a_sparse_file(tmp_path: Path, capsys: Capture) -> None:
    path = written(tmp_path, BYTES)
    with open(path, "r+b") as file:
        file.truncate(GIB)
    with time_limit(10):
        status, out, err = told(capsys, path)
    assert (status, err) == (0, "")
    assert f"{GIB - len(BYTES):,} bytes after the end of the device tree" in out


@pytest.mark.parametrize("field", ["size_dt_struct", "size_dt_strings"])
def test_54_a_sparse_file_that_is_all_tree(field: str, tmp_path: Path, capsys: Capture) -> None:
    lie: dict[str, Any] = {field: GIB - 4096}
    path = written(tmp_path, toy(totalsize=GIB, **lie))
    with open(path, "r+b") as file:
        file.truncate(GIB)
    with time_limit(10):
        status, out, err = told(capsys, path)
    assert (status, out) == (2, "")
    assert f"too large for a device tree: expected at most {LARGEST_BLOCK:,} bytes" in err


def test_54_a_sparse_file_of_reservations(tmp_path: Path, capsys: Capture) -> None:
    path = written(tmp_path, toy(totalsize=GIB, off_mem_rsvmap=4096))
    with open(path, "r+b") as file:
        file.truncate(GIB)
    with time_limit(10):
        status, out, err = told(capsys, path)
    assert (status, err) == (1, "")
    assert "the reservations and the" not in out


def test_reservations_without_an_end_are_not_printed(tmp_path: Path, capsys: Capture) -> None:
    path = written(tmp_path, toy(off_mem_rsvmap=0x10000))
    status, out, err = told(capsys, path, "--tree")
    message = "off_mem_rsvmap at 0x10: the memory reservations do not end"
    assert (status, out, err) == (2, "", f"kinspect: {path}: {message}\n")
    assert told(capsys, path, "--path", "/")[0] == 0


def test_38_names_are_escaped(tmp_path: Path, capsys: Capture) -> None:
    name = "\x1b[31m\u202e\udcff"
    properties = [("model", b"\x1b[31m\0"), ("compatible", b"\xff\0")]
    path = written(tmp_path, toy(Toy(name, [(name, b"")]), root=properties))
    status, out, _ = told(capsys, path)
    assert status == 1
    assert "model       \\x1b[31m" in out
    assert "/\\x1b[31m\\u202e\\xff" in out
    assert "\\x1b[31m\\u202e\\xff {" in told(capsys, path, "--tree")[1]


def test_a_node_that_is_not_there(tmp_path: Path, capsys: Capture) -> None:
    for word in ("/nothing", "", "nothing", "/\x1b", "/" * 100_000 + "x"):
        status, out, err = told(capsys, HELLO, "--path", word)
        assert (status, out, err.count("\n")) == (2, "", 1)
    assert LONGEST_NAME < 1 << 16
