"""The tree that is printed is the one that dtc prints, to the byte."""

import random
import re
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from kinspect.artifacts.dtb.blob import Dtb
from kinspect.cli import main
from kinspect.errors import KinspectError
from kinspect.inspection import dtb as inspection
from kinspect.schemas.fdt import ReserveEntry
from kinspect.views.dtb.dts import node_lines, source_lines, value_text
from kinspect.views.dtb.nodes import DtbTreeFacts
from kinspect.views.dtb.references import broken_references
from kinspect.views.filetype.line import description
from tests.conftest import SAMPLE
from tests.toy_dtb import END, END_NODE, NOP, Toy, begin, blob, cells, prop, toy

HELLO, LAMP = SAMPLE / "dtb" / "hello.dtb", SAMPLE / "dtb" / "hello-lamp.dtbo"
Tool = Callable[[str], str]


def ours(path: Path) -> str:
    """What we print of a whole tree."""
    (facts,) = inspection.tree(path).facts_of(DtbTreeFacts)
    return "".join(f"{line}\n" for line in source_lines(facts.reservations, facts.nodes))


def theirs(dtc: str, path: Path, *words: str) -> str:
    """What dtc prints of it."""
    command = [dtc, "-q", "-I", "dtb", "-O", "dts", *words, str(path)]
    return subprocess.run(command, capture_output=True, check=True).stdout.decode("utf-8", "surrogateescape")


def written(folder: Path, data: bytes) -> Path:
    path = folder / "toy.dtb"
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("path", [HELLO, LAMP], ids=lambda path: path.name)
def test_the_samples_are_printed_as_dtc_does(path: Path, dtc: str, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    assert ours(path) == theirs(dtc, path)
    assert main(["dtb", str(path), "--tree"]) == 0
    assert capfdbinary.readouterr().out == theirs(dtc, path).encode()


VALUES = [
    b"text\0",
    b"\0",
    b"\0\0",
    b"a\0\0",
    b"a\0\0\0",
    b"ab\0\0",
    b"a\0b\0",
    b"\a\b\t\n\v\f\r\\\"'~ \0",
    b"\x1b\0",
    b"\x7f\0",
    b"\x80\0",
    "é".encode() + b"\0",
    b"text",
    b"tex",
    b"123",
    cells(0, 1, 15, 16, 0xFFFFFFFF),
    cells(0x61620000),
    bytes(range(9)),
    bytes(7),
]
"""Values on every side of dtc's guess."""


def test_every_guess_is_that_of_dtc(dtc: str, tmp_path: Path) -> None:
    generator = random.Random(17)
    letters = b"\0\0\0abc\t\n\x1f\x80"
    values = [*VALUES, *(bytes(generator.choices(letters, k=generator.randrange(1, 12))) for _ in range(3000))]
    path = written(tmp_path, toy(Toy("node", [(f"p{index}", value) for index, value in enumerate(values)])))
    assert ours(path) == theirs(dtc, path)


def test_a_large_value_is_printed_whole() -> None:
    value = bytes(range(256)) * 1000
    assert value_text(value) == f"<{' '.join(f'0x{cell:02x}' for cell in memoryview_cells(value))}>"


def memoryview_cells(value: bytes) -> list[int]:
    return [int.from_bytes(value[at : at + 4], "big") for at in range(0, len(value), 4)]


def test_any_shape_is_that_of_dtc(dtc: str, tmp_path: Path) -> None:
    generator = random.Random(18)
    for _ in range(60):
        parts, depth = [begin("")], 1
        for number in range(generator.randrange(60)):
            kind = generator.randrange(4)
            if kind == 0:
                parts.append(begin(f"n{number}@{number}"))
                depth += 1
            elif kind == 1 and depth > 1:
                parts.append(END_NODE)
                depth -= 1
            elif kind == 2:
                parts.append(prop(generator.choice((0, 1, 2)), bytes(generator.randrange(5))))
            else:
                parts.append(NOP)
        reserved = [ReserveEntry(generator.getrandbits(64), 1 + generator.getrandbits(40)) for _ in range(3)]
        data = blob(b"".join([*parts, END_NODE * depth, END]), b"abc\0", [*reserved, ReserveEntry(0, 0)])
        path = written(tmp_path, data)
        # With -f: names that are there twice do not keep dtc from printing.
        assert ours(path) == theirs(dtc, path, "-f")


def test_a_broken_tree_is_printed_as_dtc_does_or_refused(dtc: str, tmp_path: Path) -> None:
    generator, printed = random.Random(19), 0
    for _ in range(600):
        data = bytearray(HELLO.read_bytes())
        for _ in range(generator.choice((1, 2, 4))):
            data[generator.randrange(len(data))] = generator.choice((0, 1, 2, 3, 4, 9, 0x61, 0xFF))
        path = written(tmp_path, bytes(data))
        try:
            found = ours(path)
        except KinspectError:
            continue
        command = [dtc, "-q", "-f", "-I", "dtb", "-O", "dts", str(path)]
        done = subprocess.run(command, capture_output=True)
        # dtc also refuses what the tree does not need, as a strings block that is said to be too large.
        if done.returncode == 0:
            assert found == done.stdout.decode("utf-8", "surrogateescape")
            printed += 1
    assert printed >= 100


@pytest.mark.parametrize("version", ["16", "17"])
def test_both_versions_are_read(version: str, dtc: str, tmp_path: Path) -> None:
    path = tmp_path / "hello.dtb"
    command = [dtc, "-q", "-I", "dtb", "-O", "dtb", "-V", version, "-o", str(path), str(HELLO)]
    subprocess.run(command, check=True)
    assert ours(path) == theirs(dtc, path) == theirs(dtc, HELLO)
    report = inspection.dtb(path)
    assert [finding.id for finding in report.findings] == ["dtb-version-is-17"] * (version == "16")
    assert Dtb(path).blocks[2].size == Dtb(HELLO).blocks[2].size


@pytest.mark.parametrize("version", ["1", "2", "3"])
def test_older_versions_are_refused(version: str, dtc: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "old.dtb"
    command = [dtc, "-q", "-I", "dtb", "-O", "dtb", "-V", version, "-o", str(path), str(HELLO)]
    subprocess.run(command, check=True)
    assert main(["dtb", str(path)]) == 2
    said = f"kinspect: {path}: version at 0x14: unsupported version: expected 16 or later, found {version}\n"
    assert capsys.readouterr() == ("", said)


def paths_of(dtb: Dtb) -> list[str]:
    """The whole path of each node."""
    found: list[str] = []
    for node in dtb.nodes:
        found.append(f"{found[node.parent].rstrip('/')}/{node.name}" if node.parent >= 0 else "/")
    return found


def test_a_node_is_its_part_of_the_tree() -> None:
    dtb, whole = Dtb(HELLO), ours(HELLO)
    for number, path in enumerate(paths_of(dtb)):
        (facts,) = inspection.tree(HELLO, path).facts_of(DtbTreeFacts)
        indent = "\t" * dtb.nodes[number].depth
        part = "".join(f"{indent}{line}".rstrip("\t") + "\n" for line in node_lines(facts.nodes))
        assert part in whole
        assert part.count("{") == part.count("}") == len(facts.nodes)
        assert facts.nodes[0].parent == -1
        assert all(0 <= node.parent < index for index, node in enumerate(facts.nodes) if index)


def listed(fdtget: str, path: Path, node: str) -> list[str] | None:
    """The properties that fdtget finds at a path; None when there is no such node."""
    done = subprocess.run([fdtget, "-p", str(path), node], capture_output=True, text=True)
    return done.stdout.splitlines() if done.returncode == 0 else None


def test_paths_lead_where_those_of_fdtget_do(tool: Tool) -> None:
    dtb = Dtb(HELLO)
    words = [*paths_of(dtb), "/soc/uart", "//soc//uart/", "serial0", "/memory", "/soc/nothing", "nothing", "/cpus/cpu@"]
    words += ["/soc@0/uart@9", "serial0/x", "/soc@1", "/cpus/cpu@0/reg"]
    for word in words:
        number = dtb.number_of(word)
        found = [one.name for one in dtb.nodes[number].properties] if number is not None else None
        assert found == listed(tool("fdtget"), HELLO, word), word
    assert dtb.number_of("/soc/uart") is not None


@pytest.mark.corpus
def test_real_trees_are_printed_as_dtc_does(dtbs: Sequence[Path], dtc: str) -> None:
    assert len(dtbs) >= 100
    for path in dtbs:
        assert ours(path) == theirs(dtc, path), path


@pytest.mark.corpus
def test_real_trees_are_good(dtbs: Sequence[Path], dtc: str) -> None:
    """What we warn of is what dtc warns of, but for the labels that its 1.6 takes for references."""
    warned = re.compile(r"Warning \((\w+)_property\): (?!/__symbols__)(\S+?):")
    told = 0
    for path in dtbs:
        report = inspection.dtb(path)
        assert report.ok, path
        done = subprocess.run(
            [dtc, "-I", "dtb", "-O", "dtb", "-o", "/dev/null", str(path)], capture_output=True, text=True
        )
        expected = {(node, name) for name, node in warned.findall(done.stderr)}
        dtb = Dtb(path)
        found = {(dtb.path_of(one.node), one.property) for one in broken_references(dtb)}
        assert found == expected, path
        told += len(found)
    assert told >= 1


@pytest.mark.corpus
def test_real_trees_have_their_line_of_file(dtbs: Sequence[Path], tool: Tool) -> None:
    names = [str(path) for path in dtbs]
    done = subprocess.run([tool("file"), "-b", *names], capture_output=True, text=True, check=True)
    assert [description(name, version="5.44") for name in names] == done.stdout.splitlines()
