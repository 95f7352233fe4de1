"""The data of two kernels compared by object: edits of tables are named with what they hold, and nothing else."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from kinspect.artifacts.elf.vmlinux import Vmlinux
from kinspect.artifacts.kinds import open_as
from kinspect.reports.changes.facts import lines, outcome
from kinspect.reports.terminal import Style
from kinspect.views.changes.causes.banner import Stamps
from kinspect.views.changes.data.changed import ChangedData, compared_data
from kinspect.views.changes.data.details import DataChange
from kinspect.views.changes.pairing import paired
from kinspect.views.changes.side import kernel_side
from tests.views.changes import test_kernels
from tests.views.changes.test_kernels import difference

SCHEMA = json.loads((Path(__file__).parents[4] / "docs/report.schema.json").read_text())
SOURCE = r"""
#define HIDDEN __attribute__((visibility("hidden")))
#define FAR __attribute__((noinline))
extern HIDDEN int put(const char *, ...);
const char linux_banner[] = "Linux version 6.1.0 (user@host) (gcc) #1 SMP Thu Jan 1 00:00:00 UTC 2026\n";
const char vermagic[] = "6.1.0 SMP mod_unload aarch64";
FAR int put(const char *text, ...) { return text[0]; }
static FAR int opened(int n) { return put("open %d", n) + 1; }
static FAR int closed(int n) { return put("close %d", n) + 2; }
static FAR int killed(int n) { return put("kill %d", n) + 3; }
struct ops { int (*open)(int); int (*close)(int); const char *name; long flags; const struct ops *next; };
const struct ops tape_ops = { opened, killed, "tape", 1, 0 };
const struct ops disk_ops = { opened, closed, "disk", 6, &tape_ops };
const char *const words[] = { "alpha", "beta", "gamma", "delta" };
const char *const binary[] = { "\1\2\0\3\4\5\6\7", "\2\1\0\7\6\5\4\3" };
int numbers[] = { 1, 2, 3, 4 };
long counters[3] = { 7 };
static FAR int up(int n) { static const int steps[] = { 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 17 }; return steps[n]; }
static FAR int down(int n) { static const int steps[] = { 9, 8, 7, 6, 5, 4, 3, 2, 1, 0, 3, 1 }; return steps[n]; }
int (*const moves[])(int) = { up, down, killed };
struct debug { const char *module, *function, *file, *format; unsigned line, key[5]; };
struct debug __UNIQUE_ID_ddebug12 = { "toy", "up", "lib/toy.c", "up %d", __LINE__ };
const char *const *const indirect[] = { words, words + 2 };
asm(".pushsection .init.rodata, \"a\"\n.align 2\n__initcall__kmod_toy__1_2_toy_init6: .long put - .\n"
    ".type relative, %object\nrelative: .long numbers - .\n.size relative, 4\n.popsection");
"""
linked = test_kernels.linked
SHIFT = ("FAR int put(", 'asm(".skip 4096, 0");\nFAR int put(')
UNNAMED = "data without a name"
CHANGES: dict[str, tuple[str, str, list[tuple[str, int, int, int, str, str]]]] = {
    "function": ("{ opened, closed,", "{ opened, killed,", [("disk_ops", 0, 1, 8, "closed", "killed")]),
    "nothing there": ("{ opened, closed,", "{ opened, 0,", [("disk_ops", 0, 1, 8, "closed", "NULL")]),
    "text": ('"gamma"', '"gammon"', [("words", 0, 1, 16, '"gamma"', '"gammon"')]),
    "number": (
        '"disk", 6',
        '"disk", 7',
        [("disk_ops", 1, 0, 24, "06 00", "07 00")],
    ),
    "data without a name": (
        r"\7\6\5\4\3",
        r"\7\6\5\4\4",
        [("binary", 0, 1, 8, UNNAMED, UNNAMED)],
    ),
    "place in an object": ("words + 2", "words + 1", [("indirect", 0, 1, 8, "words+0x10", "words+0x8")]),
    "another object": ("6, &tape_ops", "6, &disk_ops", [("disk_ops", 0, 1, 32, "tape_ops", "disk_ops")]),
    "variable": (
        "1, 2, 3, 4 }",
        "1, 2, 5, 4 }",
        [("numbers", 1, 0, 8, "03 00", "05 00")],
    ),
    "one of two of a name": ("8, 7, 6, 5, 4, 3, 2", "8, 7, 6, 5, 4, 3, 3", [("steps", 1, 0, 28, "02", "03")]),
    "resized": ('"delta" }', '"delta", "epsilon" }', [("words", 0, 0, 32, "", '"epsilon"')]),
    "more zeros": ("counters[3]", "counters[4]", [("counters", 0, 0, 24, "", "00 00 00 00 00 00 00 00")]),
    "relative": ("relative: .long numbers", "relative: .long counters", [("relative", 1, 0, 0, "", "")]),
}
"""An edit: what is replaced by what; of each object that changed its name, bytes, pointers, where it begins, what."""
SAME = {
    "shift": SHIFT,
    "order": (
        'const struct ops tape_ops = { opened, killed, "tape", 1, 0 };',
        'long before[9] = { 1 };\nconst struct ops tape_ops = { opened, killed, "tape", 1, 0 };',
    ),
    "line": ("struct debug {", "\n\n\nstruct debug {"),
    "number of a name": (
        "int (*const moves[])",
        "FAR int more(int n) { static const int steps[] = { 1, 8, 1, 3, 1, 4, 1, 5, 2, 6, 3, 8 }; return steps[n]; }\n"
        "int (*const moves[])",
    ),
    "release": ("6.1.0", "6.1.1"),
}


def compared(old: Path, new: Path, sizes: bool) -> ChangedData:
    """The data of two programs compared, with the sizes of a vmlinux or without them, as of an Image."""
    sides = [kernel_side(open_as(Vmlinux, path)) for path in (old, new)]
    one, other = sides if sizes else [side._replace(sizes={}) for side in sides]
    pairs = dict(paired(one, other, one.functions, other.functions).pairs)
    return compared_data(one, other, pairs, Stamps([(b"6.1.0", b"6.1.1")]))


def shown(change: DataChange) -> tuple[str, int, int, int, str, str]:
    name = change.name.split(".")[0]
    return name, change.bytes, change.pointers, change.first, change.expected, change.actual


def assert_changed(found: ChangedData, expected: list[tuple[str, int, int, int, str, str]]) -> None:
    changed = [shown(change) for change in found.changed]
    assert [row[:4] for row in changed] == [row[:4] for row in expected]
    for row, wanted in zip(changed, expected, strict=True):
        assert row[4].startswith(wanted[4])
        assert row[5].startswith(wanted[5])


@pytest.mark.parametrize("edit", CHANGES)
def test_an_edit_of_data_is_named_and_nothing_else(edit: str, linked: Callable[[str, str], Path]) -> None:
    before, after, expected = CHANGES[edit]
    assert before in SOURCE
    facts = difference(linked("old", SOURCE), linked("new", SOURCE.replace(before, after).replace(*SHIFT)))
    assert not facts.same_layout
    assert_changed(facts.data, expected)
    assert (facts.data.added, facts.data.removed, facts.data.unjudged) == ((), (), 0)
    assert not facts.only_causes
    assert "1 object changed" in outcome(facts)
    assert any(line.strip().startswith(expected[0][0]) for line in lines(facts, Style(False)))


@pytest.mark.parametrize("edit", SAME)
@pytest.mark.parametrize("sizes", [True, False], ids=["vmlinux", "Image"])
def test_what_moved_or_was_renumbered_is_no_change(edit: str, sizes: bool, linked: Callable[[str, str], Path]) -> None:
    before, after = SAME[edit]
    assert before in SOURCE
    source = SOURCE.replace(before, after)
    found = compared(linked("old", SOURCE), linked("new", source.replace(*SHIFT) if edit != "shift" else source), sizes)
    assert found.objects > 10
    assert (found.changed, found.removed) == ((), ())
    # Without sizes, strings that other data of that name has behind it may be its own.
    assert found.unjudged == (edit == "number of a name" and not sizes)
    assert [added.name.split(".")[0] for added in found.added] == {
        "order": ["before"],
        "number of a name": ["steps"],
    }.get(edit, [])


@pytest.mark.parametrize("edit", [edit for edit in CHANGES if edit != "more zeros"])
def test_without_sizes(edit: str, linked: Callable[[str, str], Path]) -> None:
    before, after, expected = CHANGES[edit]
    sources = SOURCE, SOURCE.replace(before, after).replace(*SHIFT)
    found = compared(linked("old", sources[0]), linked("new", sources[1]), sizes=False)
    # What binary data without a name is behind is not known.
    unnamed = edit == "data without a name"
    assert_changed(found, [] if unnamed else expected)
    assert (found.added, found.removed, found.unjudged) == ((), (), int(unnamed))


def test_two_of_a_name_in_another_order(linked: Callable[[str, str], Path]) -> None:
    old = kernel_side(open_as(Vmlinux, linked("old", SOURCE)))
    first, second = (offset for offset in old.objects if old.names[offset].startswith("steps."))
    data = bytearray(old.data)
    data[first : first + 48], data[second : second + 48] = data[second : second + 48], data[first : first + 48]
    assert bytes(data) != old.data
    found = compared_data(old, old._replace(data=bytes(data)), {}, Stamps())
    assert found == ChangedData(objects=found.objects)
    data[second] ^= 1
    found = compared_data(old, old._replace(data=bytes(data)), {}, Stamps())
    assert [(change.old_offset, change.new_offset, change.first) for change in found.changed] == [(first, second, 0)]


def test_added_and_removed_objects(linked: Callable[[str, str], Path]) -> None:
    new = SOURCE.replace("numbers", "figures")
    facts = difference(linked("old", SOURCE), linked("new", new.replace(*SHIFT)))
    assert [found.name for found in facts.data.added] == ["figures"]
    assert [(found.name, found.size) for found in facts.data.removed] == [("numbers", 16)]
    text = "\n".join(lines(facts, Style(False)))
    assert "added data" in text
    assert "removed data" in text


def test_a_table_in_one_layout_is_among_the_other_bytes(linked: Callable[[str, str], Path]) -> None:
    facts = difference(linked("old", SOURCE), linked("new", SOURCE.replace("1, 2, 3, 4 }", "1, 2, 5, 4 }")))
    assert facts.same_layout
    assert facts.data == ChangedData()
    assert [found.symbol for found in facts.ranges] == ["numbers+0x8"]
