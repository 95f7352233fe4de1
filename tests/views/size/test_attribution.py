"""Every question of sizes sums to the whole, and agrees with nm, size and readelf."""

import csv
import io
import itertools
import json
import re
import subprocess
import sys
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable
from operator import sub
from pathlib import Path
from typing import Any

import pytest

from kinspect.artifacts.elf.vmlinux import Vmlinux
from kinspect.errors import MalformedError
from kinspect.inspection.size import size
from kinspect.reports.size.grouped import lines as text_lines
from kinspect.reports.terminal import Style
from kinspect.views.size.account import sizes
from kinspect.views.size.attribution import GROUPINGS, Attribution
from kinspect.views.size.grouped import GroupedSizes, Grouping, grouped_sizes, largest_groups
from kinspect.views.size.layers import LayerBuilder, MemoryLayer, overlay, replaced
from kinspect.views.size.node import SizeNode
from kinspect.views.size.tree import size_tree
from tests.conftest import SAMPLE, Kernel

Tool = Callable[[str], str]
SINGLE: list[tuple[str, ...]] = [(name,) for name in GROUPINGS]
PAIRS: list[tuple[str, ...]] = [
    ("folder", "symbol"),
    ("section", "source"),
    ("kind", "object"),
    ("segment", "section"),
    ("source", "symbol"),
]
_MADE: dict[str, Attribution] = {}


def attribution(path: str) -> Attribution:
    """One for each kernel: its layers take a second."""
    if path not in _MADE:
        _MADE[path] = Attribution(Vmlinux(path))
    return _MADE[path]


def assert_sums(node: SizeNode) -> None:
    """Each group is the sum of its groups."""
    if node.children:
        for field in ("file", "memory", "file_before", "memory_before"):
            assert sum(getattr(child, field) for child in node.children) == getattr(node, field), node.name
        names = [child.name for child in node.children]
        assert len(set(names)) == len(names)
        for child in node.children:
            assert_sums(child)


def assert_layer(layer: MemoryLayer, first: int, end: int) -> None:
    """Covers everything once."""
    assert layer.starts[0] == first
    assert layer.end == end
    assert all(before < after for before, after in itertools.pairwise(layer.starts))
    assert layer.starts[-1] < end
    assert len(layer.labels) == len(layer.starts)


@pytest.mark.parametrize("by", SINGLE + PAIRS, ids=",".join)
def test_every_grouping_sums_to_the_whole(kernel: Kernel, by: tuple[str, ...]) -> None:
    found = attribution(kernel.vmlinux)
    first, end = found.account.spans[0].address, found.vmlinux.end
    assert end is not None
    for name in by:
        assert_layer(found.layer(name), first, end)
    root = size_tree(found, by)
    assert (root.file, root.memory) == (found.account.file_size, found.account.image_size)
    assert_sums(root)


@pytest.mark.parametrize("by", [("folder",), ("section",), ("symbol",), ("kind", "source")], ids=",".join)
@pytest.mark.corpus
def test_a_comparison_sums_to_the_growth(kernels: tuple[Kernel, Kernel], by: tuple[str, ...]) -> None:
    old, new = (attribution(kernel.vmlinux) for kernel in kernels)
    root = size_tree(new, by, old)
    assert_sums(root)
    assert root.memory - root.memory_before == (new.account.image_size or 0) - (old.account.image_size or 0)
    assert root.file - root.file_before == Path(kernels[1].image).stat().st_size - Path(kernels[0].image).stat().st_size


def test_a_kernel_against_itself_does_not_grow(kernel: Kernel) -> None:
    found = attribution(kernel.vmlinux)

    def unchanged(node: SizeNode) -> bool:
        same = node.file == node.file_before and node.memory == node.memory_before
        return same and all(unchanged(child) for child in node.children)

    assert unchanged(size_tree(found, ("folder", "symbol"), found))


def test_sections_are_those_of_size(kernel: Kernel, tool: Tool) -> None:
    text = subprocess.run(
        [tool("aarch64-linux-gnu-size"), "-A", kernel.vmlinux], capture_output=True, text=True, check=True
    ).stdout
    rows = re.findall(r"^(\S+)\s+(\d+)\s+(\d+)$", text, re.MULTILINE)
    theirs = {name: int(size) for name, size, address in rows if int(address) and int(size)}
    root = size_tree(attribution(kernel.vmlinux), ("section",))
    ours = {child.name: child.memory for child in root.children if child.name in theirs}
    assert ours == theirs
    others = [child.name for child in root.children if child.name not in theirs]
    assert set(others) <= {"[alignment]", "idmap_pg_dir", "tramp_pg_dir", "reserved_pg_dir", "swapper_pg_dir"} | {
        "init_pg_dir",
        "init_idmap_pg_dir",
    }


def test_symbols_have_the_sizes_of_nm(kernel: Kernel, tool: Tool) -> None:
    """Each run of a symbol is as large as nm says, unless an earlier symbol has some of it."""
    command = [tool("aarch64-linux-gnu-nm"), "-S", "--defined-only", kernel.vmlinux]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    theirs: dict[int, dict[str, int]] = {}
    for start, length, kind, name in re.findall(r"^([0-9a-f]{16}) ([0-9a-f]{16}) (\S) (\S+)$", text, re.MULTILINE):
        if kind not in "aA" and int(length, 16):
            theirs.setdefault(int(start, 16), {})[name] = int(length, 16)
    layer = attribution(kernel.vmlinux).symbol
    first, end = layer.starts[0], layer.end
    runs = zip(layer.starts, layer.labels, [*layer.starts[1:], end], strict=True)
    ours = {start: (layer.names[label], stop - start) for start, label, stop in runs}
    starts = sorted(ours)
    # What ends behind a later symbol's start is an overlap: the later one has only the rest.
    covered, overlapped, compared = 0, 0, 0
    for start in sorted(theirs):
        if not first <= start < end:
            continue
        longest = max(theirs[start].values())
        if start < covered:
            overlapped += 1
        else:
            # Symbols side by side that bear one name are one run.
            before = starts[bisect_right(starts, start) - 1]
            name, length = ours[before]
            assert name in theirs[start], hex(start)
            assert before + length >= start + longest
            compared += (before, length) == (start, longest)
        covered = max(covered, start + longest)
    assert compared > 75_000
    assert overlapped < 0.01 * compared


@pytest.mark.parametrize("top", [1, 20, 50, 300])
def test_the_largest_symbols_are_those_of_the_whole_tree(kernel: Kernel, top: int) -> None:
    found = attribution(kernel.vmlinux)
    quick = largest_groups(found, Grouping(("symbol",), top=top), top)
    if quick is None:
        # Two of one name are among so many.
        assert top > 50
        return
    whole = grouped_sizes(found, Grouping(("symbol",)))
    assert quick.root.children[:-1] == whole.root.children[:top]
    assert quick.root[:3] == whole.root[:3]
    assert quick.unattributed == whole.unattributed
    assert quick.root.children[-1].memory == sum(node.memory for node in whole.root.children[top:])
    assert quick.root.children[-1].file == sum(node.file for node in whole.root.children[top:])
    # Symbols of one name and one source are one group of the tree: some parts of assembly that is included twice.
    assert 0 <= quick.others - (len(whole.root.children) - top) < 100
    lines = list(text_lines(quick, Style(False)))
    assert lines[: top + 3] == list(text_lines(whole._replace(grouping=quick.grouping), Style(False)))[: top + 3]


def test_a_table_of_all_sources_is_one_symbol(kernel: Kernel) -> None:
    vmlinux = attribution(kernel.vmlinux).vmlinux
    size_of_table = sub(*reversed(vmlinux.symbols.values_of(("__start_mcount_loc", "__stop_mcount_loc")).values()))
    names = {node.name: node.memory for node in size_tree(attribution(kernel.vmlinux), ("symbol",)).children}
    assert names["__start_mcount_loc"] == size_of_table


def test_sources_are_those_of_the_line_tables(kernel: Kernel, tool: Tool) -> None:
    """A function comes from the file that addr2line names, or from one that includes a header that it names."""
    found = attribution(kernel.vmlinux)
    layer, symbols = found.source, found.vmlinux.symbols
    functions = [value for value, info in zip(symbols.values, symbols.infos, strict=True) if info == 0x12][::150]
    chosen = [value for value in functions if layer.starts[0] <= value < layer.end]
    command = [tool("aarch64-linux-gnu-addr2line"), "-e", kernel.vmlinux]
    wanted = "\n".join(f"{value + 4:#x}" for value in chosen)
    text = subprocess.run(command, input=wanted, capture_output=True, text=True, check=True).stdout
    ours = [layer.names[layer.labels[bisect_right(layer.starts, value) - 1]] for value in chosen]
    told = [(path, line) for path, line in zip(ours, text.splitlines(), strict=True) if ".c:" in line]
    assert len(told) > 100
    wrong = [(path, line) for path, line in told if f"/{path}:" not in line]
    # A unit may include files of C; what is a unit itself is included by none.
    units = [path for path in layer.names if path.endswith(".c")]
    assert [line for _, line in wrong if any(f"/{unit}:" in line for unit in units)] == []
    assert len(wrong) <= 0.1 * len(told)


def test_dead_relocations_are_those_of_readelf(kernel: Kernel, tool: Tool) -> None:
    command = [tool("aarch64-linux-gnu-readelf"), "-rW", kernel.vmlinux]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    dead = len(re.findall(r"R_AARCH64_NONE", text))
    leaves = attribution(kernel.vmlinux).leaves(("source",), section=".rela.dyn")
    assert leaves[("[dead relocations]",)] == (24 * dead, 24 * dead)
    assert dead > 1000


def test_little_is_unattributed(kernel: Kernel) -> None:
    found = attribution(kernel.vmlinux)
    memory = Counter({path[0]: sums[1] for path, sums in found.leaves(("source",)).items()})
    unknown = sum(size for name, size in memory.items() if name.startswith("?/")) + memory["[no source]"]
    assert unknown < 0.002 * found.account.memory_size
    assert memory["kernel/printk/printk.c"] > 500_000
    assert {name.split("/")[0] for name in memory if not name.startswith(("[", "?", "/"))} >= {"init", "mm", "drivers"}


def test_one_section_and_a_pattern(kernel: Kernel) -> None:
    facts = size(kernel.vmlinux, by=("folder", "symbol"), section=".bss", match="^kernel/").facts_of(GroupedSizes)[0]
    section = Vmlinux(kernel.vmlinux).section(".bss")
    assert section is not None
    assert (facts.root.memory, facts.root.file) == (section.size, 0)
    assert {child.name for child in facts.root.children} == {"kernel", "[others]"}


def test_equal_names_of_different_files_stay_apart(kernel: Kernel) -> None:
    names = {child.name for child in size_tree(attribution(kernel.vmlinux), ("symbol",)).children}
    assert sum(name.endswith("/core.c)") for name in names) > 10
    assert not {name for name in names if "\0" in name}


def test_a_symbol_that_moved_did_not_grow() -> None:
    """`kinspect.views.size.tree` joins what left one file and came to another under the same name and size."""

    class Told(Attribution):
        def __init__(self, leaves: dict[tuple[str, ...], tuple[int, int]]) -> None:
            self._leaves = leaves

        def leaves(self, *_: object) -> dict[tuple[str, ...], tuple[int, int]]:
            return self._leaves

    old = Told({("f\0a.c",): (8, 8), ("g.3\0a.c",): (4, 4), ("h\0a.c",): (1, 1), ("[alignment]",): (2, 2)})
    new = Told({("f\0b.c",): (8, 8), ("g.7\0a.c",): (6, 6), ("h\0b.c",): (3, 3)})
    root = size_tree(new, ("symbol",), old)
    found = {child.name: child[1:5] for child in root.children}
    assert found == {
        "f": (8, 8, 8, 8),
        "g": (6, 6, 4, 4),
        "h (a.c)": (0, 0, 1, 1),
        "h (b.c)": (3, 3, 0, 0),
        "[alignment]": (0, 0, 2, 2),
    }
    assert root[1:5] == (17, 17, 15, 15)


@pytest.mark.parametrize("by", SINGLE + PAIRS, ids=",".join)
def test_the_sample_without_dwarf(by: tuple[str, ...]) -> None:
    found = Attribution(Vmlinux(SAMPLE / "vmlinux"))
    root = size_tree(found, by)
    assert (root.file, root.memory) == (found.account.file_size, found.account.memory_size)
    assert_sums(root)


def test_layers() -> None:
    builder = LayerBuilder()
    for start, name in ((0, "a"), (4, "b"), (6, "b"), (8, "a"), (8, "c")):
        builder.add(start, name)
    layer = builder.layer(10)
    assert (layer.starts, [layer.names[label] for label in layer.labels]) == ([0, 4, 8], ["a", "b", "c"])
    other = replaced(layer, [(2, 5, [(2, "x"), (3, "y")]), (9, 10, [(9, "z")])])
    assert (other.starts, [other.names[label] for label in other.labels]) == ([0, 2, 3, 5, 8, 9], list("axybcz"))
    both = overlay([layer, other], (7, 0, 10))
    assert both.starts == [0, 2, 3, 4, 5, 7, 8, 9]
    assert both.sizes == [2, 1, 1, 1, 2, 1, 1, 1]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"by": ("colour",)}, "--by: not possible: expected each of section"),
        ({"by": ("folder", "folder")}, "at most once"),
        ({"by": ("folder",), "depth": 0}, "--depth: not possible: expected at least 1"),
        ({"by": ("folder",), "domain": "disk"}, "--domain: not possible: expected one of memory"),
        ({"by": ("folder",), "match": "("}, "--match: not a regular expression"),
        ({"by": ("folder",), "domain": "vmlinux"}, "expected by section or kind"),
        ({"by": ("folder",), "section": ".nothing"}, ".nothing: no such section"),
    ],
    ids=str,
)
def test_questions_that_have_no_answer(options: dict[str, object], message: str) -> None:
    with pytest.raises(MalformedError, match=re.escape(message)):
        size(SAMPLE / "vmlinux", **options)  # type: ignore[arg-type]


@pytest.mark.parametrize("by", ["folder", "folder,symbol"])
def test_groupings_can_be_text(by: str) -> None:
    assert size(SAMPLE / "vmlinux", by=by) == size(SAMPLE / "vmlinux", by=by.split(","))
    assert size(SAMPLE / "vmlinux", by=by).facts_of(GroupedSizes)[0].grouping.by == tuple(by.split(","))


def command(*words: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "kinspect", "size", *words], capture_output=True, text=True, check=True
    )
    return done.stdout


def test_the_formats_tell_the_same(tmp_path: Path) -> None:
    vmlinux = str(SAMPLE / "vmlinux")
    document = json.loads(command(vmlinux, "--by", "section,symbol", "--json"))["facts"][0]

    def flat(group: dict[str, Any], path: str) -> dict[str, int]:
        inner = [flat(one, f"{path}/{one['name']}") for one in group.get("groups", ())]
        return dict(itertools.chain(*map(dict.items, inner))) if inner else {path.removeprefix("/"): group["memory"]}

    leaves = flat(document, "")
    rows = list(csv.DictReader(io.StringIO(command(vmlinux, "--by", "section,symbol", "--format", "csv"))))
    assert {row["path"]: int(row["memory"]) for row in rows} == leaves
    assert sum(leaves.values()) == document["memory"] == sizes(Vmlinux(vmlinux)).memory_size
    text = command(vmlinux, "--by", "section,symbol", "--top", "0")
    assert [path for path in leaves if f"  {path.rpartition('/')[2]} " not in text] == []
    markdown = command(vmlinux, "--against", vmlinux, "--format", "markdown")
    assert markdown.startswith("### Kernel size: 0 in memory, 0 in the Image\n")


def test_the_vmlinux_file_sums_too(kernel: Kernel) -> None:
    facts = size(kernel.vmlinux, by=("kind", "section"), domain="vmlinux").facts_of(GroupedSizes)[0]
    assert facts.root.file == Path(kernel.vmlinux).stat().st_size
    assert_sums(facts.root)
