"""modules.dep as a text: what each line says, and what is wrong with it, whatever it holds."""

import resource
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kinspect.artifacts.depmod import modules_dep
from kinspect.artifacts.depmod.graph import closure, components, cycles, reversed_graph
from kinspect.artifacts.depmod.modules_dep import LONGEST_LINE, Fault, ModulesDep, Row, leads_out
from kinspect.errors import UnreadableError, UnsupportedError
from kinspect.source import WINDOW


def dep_of(folder: Path, text: str | bytes) -> ModulesDep:
    path = folder / "modules.dep"
    path.write_bytes(text.encode("utf-8", "surrogateescape") if isinstance(text, str) else text)
    return ModulesDep(path)


def problems(dep: ModulesDep) -> list[tuple[int, str]]:
    return [(fault.line, fault.problem) for fault in dep.faults]


def test_lines_have_numbers(tmp_path: Path) -> None:
    dep = dep_of(tmp_path, "a.ko: b.ko c.ko.xz\nb.ko: c.ko.xz\nc.ko.xz:\n")
    assert dep.rows == (Row(1, "a.ko", ("b.ko", "c.ko.xz")), Row(2, "b.ko", ("c.ko.xz",)), Row(3, "c.ko.xz", ()))
    assert dep.faults == ()
    assert dep.facts == (dep.path, 3, 3, 0)
    assert dep.users("c.ko.xz") == ["a.ko", "b.ko"]
    assert dep.users("a.ko") == dep.users("x.ko") == []
    assert (dep.cycles, list(dep.duplicates), list(dep.unclosed), list(dep.misordered)) == ([], [], [], [])


def test_an_empty_file(tmp_path: Path) -> None:
    assert (dep_of(tmp_path, "").rows, dep_of(tmp_path, "").faults) == ((), ())


FAULTS: dict[str, tuple[str | bytes, list[tuple[int, str]], int]] = {
    "no colon": ("a.ko\n", [(1, "the line does not start with a module and a colon")], 0),
    "nothing before the colon": (": a.ko\n", [(1, "the line does not start with a module and a colon")], 0),
    "an empty line": ("a.ko:\n\nb.ko:\n", [(2, "the line does not start with a module and a colon")], 2),
    "no end": ("a.ko:\nb.ko:", [(2, "the last line has no newline")], 2),
    "a blank at the end": ("a.ko: \n", [(1, "paths are not separated by single spaces")], 1),
    "two blanks": ("a.ko: b.ko  c.ko\n", [(1, "paths are not separated by single spaces")], 1),
    "no blank after the colon": ("a.ko:b.ko\n", [(1, "paths are not separated by single spaces")], 1),
    "a tab": ("a.ko: b.ko\tc.ko\n", [(1, "paths are not separated by single spaces")], 1),
    "not UTF-8": (b"a.ko: \xff.ko\n", [(1, "the line is not UTF-8")], 1),
    "a NUL": (b"a.ko: b\0.ko\n", [(1, "the line contains a NUL")], 1),
    "above": ("a.ko: ../b.ko\n", [(1, "a path leads out of the folder")], 1),
    "above in the middle": ("x/../../a.ko:\n", [(1, "a path leads out of the folder")], 1),
    "from the root": ("/etc/passwd: b.ko\n", [(1, "a path leads out of the folder")], 1),
    "no module": ("a.ko: b.o\n", [(1, "not a module")], 1),
}


@pytest.mark.parametrize(("text", "expected", "rows"), FAULTS.values(), ids=FAULTS)
def test_what_is_wrong_with_a_line(
    text: str | bytes, expected: list[tuple[int, str]], rows: int, tmp_path: Path
) -> None:
    dep = dep_of(tmp_path, text)
    assert (problems(dep), len(dep.rows)) == (expected, rows)


def test_other_alphabets_are_no_fault(tmp_path: Path) -> None:
    assert dep_of(tmp_path, "ü.ko: 模块.ko\n").faults == ()


def test_cr_lf_is_reported_once(tmp_path: Path) -> None:
    dep = dep_of(tmp_path, "a.ko: b.ko\r\nb.ko:\r\nc.ko:\n")
    assert dep.faults == (Fault(1, "lines end in CR LF", "LF", lines=2),)
    assert dep.rows == (Row(1, "a.ko", ("b.ko",)), Row(2, "b.ko", ()), Row(3, "c.ko", ()))


def test_a_line_of_100_mb_is_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "modules.dep"
    with path.open("wb") as file:
        file.write(b"a.ko:\n")
        for _ in range(100):
            file.write(b"x.ko " * ((1 << 20) // 5))
        file.write(b"\nb.ko:\n")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    dep = ModulesDep(path)
    assert problems(dep) == [(2, "the line is too long")]
    assert dep.rows == (Row(1, "a.ko", ()), Row(3, "b.ko", ()))
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 20 << 10


@pytest.mark.parametrize("size", [WINDOW - 1, WINDOW, WINDOW + 1, LONGEST_LINE - 1, LONGEST_LINE])
@pytest.mark.parametrize("end", ["\n", ""])
def test_lines_across_windows_are_whole(size: int, end: str, tmp_path: Path) -> None:
    name = "x" * (size - 4) + ".ko"
    dep = dep_of(tmp_path, f"{name}:\na.ko:{end}")
    assert dep.rows == (Row(1, name, ()), Row(2, "a.ko", ()))
    dep = dep_of(tmp_path, f"a.ko:\n{name}:{end}")
    assert dep.rows == (Row(1, "a.ko", ()), Row(2, name, ()))
    assert len(dep.faults) == (not end)


def test_a_line_that_is_just_too_long(tmp_path: Path) -> None:
    for end in ("\n", ""):
        dep = dep_of(tmp_path, "a" * (LONGEST_LINE + 1) + end)
        assert problems(dep) == [(1, "the line is too long")]


def test_faults_and_lines_without_number_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dep = dep_of(tmp_path, "\n" * 100_000)
    assert len(dep.faults) == 1001
    assert dep.faults[-1].problem == "more faults follow"
    monkeypatch.setattr(modules_dep, "LARGEST_TEXT", 1000)
    with pytest.raises(UnsupportedError, match="too much text") as caught:
        _ = dep_of(tmp_path, "a.ko:\n" * 1000).rows
    assert caught.value.at.offset == WINDOW
    assert len(dep_of(tmp_path, "a.ko:\n" * 166).rows) == 166
    assert problems(dep_of(tmp_path, "a" * (LONGEST_LINE + 1) + "\n" + "a.ko:\n" * 9)) == [(1, "the line is too long")]


def test_a_huge_file_is_refused_unread(tmp_path: Path) -> None:
    with (tmp_path / "modules.dep").open("wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(UnsupportedError, match=r"too large for a modules\.dep"):
        _ = ModulesDep(tmp_path / "modules.dep").rows


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(UnreadableError):
        _ = ModulesDep(tmp_path / "modules.dep").rows


def test_what_lines_say_of_each_other(tmp_path: Path) -> None:
    dep = dep_of(tmp_path, "a.ko: b.ko\nb.ko: c.ko\nc.ko:\nd.ko: c.ko b.ko\nb.ko:\ne.ko: e.ko\n")
    first, second, *_ = dep.rows
    assert list(dep.duplicates) == [(second, dep.rows[4])]
    assert list(dep.unclosed) == [(first, "b.ko", ("c.ko",))]
    assert list(dep.misordered) == [(dep.rows[3], "c.ko", "b.ko")]
    assert dep.cycles == [("e.ko",)]


def test_cycles_have_a_path(tmp_path: Path) -> None:
    names = [f"m{number}.ko" for number in range(5000)]
    lines = [f"{name}: {other}\n" for name, other in zip(names, [*names[1:], names[0]], strict=True)]
    dep = dep_of(tmp_path, "".join(lines) + "x.ko: y.ko m7.ko\ny.ko: x.ko\n")
    long, short = sorted(dep.cycles, key=len, reverse=True)
    assert long == tuple(names)
    assert short == ("x.ko", "y.ko")
    assert len(dep.users("m7.ko")) == 5001


def test_comparing_lines_that_never_ends_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(modules_dep, "_MOST_STEPS", 100_000)
    names = [f"m{number}.ko" for number in range(100)]
    dep = dep_of(tmp_path, "".join(f"{name}: {' '.join(names)}\n" for name in names))
    with pytest.raises(UnsupportedError, match="too many dependencies between modules"):
        list(dep.misordered)


# The first example waits for imports and a slow disk.
@settings(deadline=None)
@given(st.binary(max_size=300).map(lambda data: data.replace(b"x", b".ko").replace(b"y", b": ").replace(b"z", b"\n")))
def test_any_bytes_are_rows_and_faults(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    dep = dep_of(tmp_path_factory.mktemp("dep"), data)
    lines = data.split(b"\n")
    assert all(
        1 <= line <= len(lines) for line in [row.line for row in dep.rows] + [fault.line for fault in dep.faults]
    )
    # What has no fault is written again as it was.
    bad = {fault.line for fault in dep.faults}
    for row in dep.rows:
        if row.line not in bad:
            text = f"{row.path}:{''.join(f' {need}' for need in row.needs)}"
            assert text.encode("utf-8", "surrogateescape") == lines[row.line - 1].removesuffix(b"\r")
    _ = (dep.cycles, list(dep.duplicates), list(dep.unclosed), list(dep.misordered))


@pytest.mark.parametrize(
    ("path", "out"), [("a/b", False), ("/a", True), ("..", True), ("a/../b", True), ("..a/b..", False), ("a//b", False)]
)
def test_paths_that_lead_out(path: str, out: bool) -> None:
    assert leads_out(path) == out


# Graphs

GRAPHS = st.dictionaries(st.integers(0, 9), st.lists(st.integers(0, 11), max_size=4), max_size=10)


@given(GRAPHS)
def test_graphs_by_definition(graph: dict[int, list[int]]) -> None:
    reach = {node: set(closure(graph, node)) for node in range(12)}
    for node in range(12):
        step = set(graph.get(node, ()))
        for _ in range(12):
            step |= {other for found in step for other in graph.get(found, ())}
        assert reach[node] == step - {node}
        for other in reach[node]:
            assert node in closure(reversed_graph(graph), other)
    parts = components(graph)
    assert sorted(node for part in parts for node in part) == sorted({*graph, *(o for n in graph.values() for o in n)})
    for number, part in enumerate(parts):
        for node in part:
            assert set(part) == {node} | {other for other in reach[node] if node in reach[other]}
            # What is led to comes first.
            assert reach[node] <= {other for earlier in parts[: number + 1] for other in earlier}
    found = cycles(graph)
    circular = [part for part in parts if len(part) > 1 or part[0] in graph.get(part[0], ())]
    assert len(found) == len(circular)
    for path, part in zip(found, circular, strict=True):
        assert set(path) <= set(part)
        assert len(set(path)) == len(path)
        assert all(other in graph[node] for node, other in zip(path, (*path[1:], path[0]), strict=True))
