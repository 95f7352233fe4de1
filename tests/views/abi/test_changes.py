"""The comparison of two Module.symvers: against a naive one, against what ksymvers prints, rule by rule."""

import contextlib
import time
from collections.abc import Callable
from fnmatch import fnmatchcase
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kinspect.artifacts.build.symvers import Symvers
from kinspect.checks.check import Severity
from kinspect.errors import MalformedError, UnsupportedError
from kinspect.inspection.report import run_checks
from kinspect.reports.abi.changes import lines as abi_lines
from kinspect.reports.terminal import Style
from kinspect.views.abi.changes import Change, Modversions, compare, ksymvers_lines
from kinspect.views.abi.rules import LARGEST_RULES, AbiRule, AbiRules, Subject
from tests.conftest import Kernel

OLD = {
    "bar": "0x00000001 vmlinux EXPORT_SYMBOL",
    "baz": "0x00000002 vmlinux EXPORT_SYMBOL",
    "foo": "0x00000003 lib/foo EXPORT_SYMBOL_GPL",
    "gone": "0x00000004 vmlinux EXPORT_SYMBOL",
    "here": "0x00000005 vmlinux EXPORT_SYMBOL NET",
    "kept": "0x00000006 lib/kept EXPORT_SYMBOL",
}
NEW = {
    "bar": "0x000000ff vmlinux EXPORT_SYMBOL",
    "baz": "0x00000002 vmlinux EXPORT_SYMBOL_GPL",
    "foo": "0x00000003 lib/foo EXPORT_SYMBOL",
    "fresh": "0x00000007 lib/fresh EXPORT_SYMBOL_GPL",
    "here": "0x00000005 lib/here EXPORT_SYMBOL USB",
    "kept": "0x00000006 lib/kept EXPORT_SYMBOL",
}
Written = Callable[[dict[str, str], str], Symvers]
Ruled = Callable[[str], AbiRules]


@pytest.fixture
def written(tmp_path: Path) -> Written:
    """A Module.symvers of exports, each with `CRC module type [namespace]`."""

    def made(exports: dict[str, str], name: str) -> Symvers:
        lines = []
        for export, about in exports.items():
            crc, module, kind, *space = about.split()
            lines.append("\t".join([crc, export, module, kind, *space, *[""] * (not space)]) + "\n")
        path = tmp_path / name
        path.write_text("".join(lines))
        return Symvers(path)

    return made


@pytest.fixture
def ruled(tmp_path: Path) -> Ruled:
    """AbiRules of some lines."""

    def made(text: str) -> AbiRules:
        path = tmp_path / "rules"
        path.write_text(text)
        return AbiRules.of(path)

    return made


def test_every_kind_of_change(written: Written) -> None:
    facts = compare(written(OLD, "old"), written(NEW, "new"))
    assert [(one.change, one.name, one.module, one.old, one.new) for one in facts.changes] == [
        (Change.REMOVED, "gone", "vmlinux", "", ""),
        (Change.CRC, "bar", "vmlinux", "0x00000001", "0x000000ff"),
        (Change.RESTRICTED, "baz", "vmlinux", "EXPORT_SYMBOL", "EXPORT_SYMBOL_GPL"),
        (Change.NAMESPACE, "here", "vmlinux", "NET", "USB"),
        (Change.MOVED, "here", "vmlinux", "vmlinux", "lib/here"),
        (Change.OPENED, "foo", "lib/foo", "EXPORT_SYMBOL_GPL", "EXPORT_SYMBOL"),
        (Change.ADDED, "fresh", "lib/fresh", "", ""),
    ]
    lines = [(one.old_line, one.new_line) for one in facts.changes]
    assert lines == [(4, 0), (1, 1), (2, 2), (5, 5), (5, 5), (3, 3), (0, 4)]
    assert (facts.old_exports, facts.new_exports, facts.versions) == (6, 6, Modversions.BOTH)
    assert (facts.breaks, facts.kept) == (4, False)
    assert [(found.id, found.severity.value) for found in run_checks((facts,), "symvers.abi").findings] == [
        ("abi-exports-are-kept", "error"),
        ("abi-crcs-are-kept", "error"),
        ("abi-licences-are-kept", "error"),
        ("abi-namespaces-are-kept", "error"),
        ("abi-exports-stay-in-their-module", "warning"),
        ("abi-licences-are-opened", "info"),
        ("abi-exports-are-added", "info"),
    ]


def test_one_file_with_itself(written: Written) -> None:
    facts = compare(written(OLD, "old"), written(OLD, "new"))
    assert facts.changes == ()
    assert facts.kept
    assert run_checks((facts,), "symvers.abi").findings == ()
    assert list(ksymvers_lines(written(OLD, "old"), written(OLD, "new"))) == []


def test_the_text(written: Written, tmp_path: Path) -> None:
    lines = list(abi_lines(compare(written(OLD, "old"), written(NEW, "new")), Style(False)))
    assert lines == [
        f"{tmp_path}/new: exports compared with {tmp_path}/old",
        "",
        "  exports   6 before, 6 now",
        "  versions  compared: both kernels have MODVERSIONS",
        "",
        "  change                   exports",
        "  removed                        1    breaks",
        "  CRC changed                    1    breaks",
        "  now GPL-only                   1    breaks",
        "  namespace changed              1    breaks",
        "  moved to another module        1    review",
        "  no longer GPL-only             1    fine",
        "  added                          1    fine",
        "",
        "  removed",
        "    gone  vmlinux",
        "",
        "  CRC changed",
        "    bar  0x00000001 to 0x000000ff",
        "",
        "  now GPL-only",
        "    baz  EXPORT_SYMBOL to EXPORT_SYMBOL_GPL",
        "",
        "  namespace changed",
        "    here  NET to USB",
        "",
        "  moved to another module",
        "    here  vmlinux to lib/here",
        "",
        "  no longer GPL-only",
        "    foo  EXPORT_SYMBOL_GPL to EXPORT_SYMBOL",
        "",
        "  added",
        "    fresh  lib/fresh",
    ]


def test_the_text_of_what_is_kept(written: Written, ruled: Ruled, tmp_path: Path) -> None:
    same = list(abi_lines(compare(written(OLD, "old"), written(OLD, "new")), Style(False)))
    assert same[0] == f"{tmp_path}/new: exports compared with {tmp_path}/old"
    assert same[-1] == "  nothing changed"
    facts = compare(written(OLD, "old"), written(NEW, "new"), ruled("SYMBOL * PASS"))
    assert run_checks((facts,), "symvers.abi").findings == ()
    tolerated = list(abi_lines(facts, Style(False)))
    assert tolerated[0] == same[0]
    assert f"  rules     {tmp_path}/rules tolerates 7 changes" in tolerated
    assert "  removed                        1          1" in tolerated
    assert "    gone  vmlinux  tolerated" in tolerated


def test_many_changes_are_counted(written: Written) -> None:
    old = {f"s{index:03}": "0x00000001 vmlinux EXPORT_SYMBOL" for index in range(100)}
    facts = compare(written(old, "old"), written({"s000": old["s000"]}, "new"))
    lines = list(abi_lines(facts, Style(False), 5))
    assert lines[-1] == "    and 94 more (--all shows them)"
    (finding,) = run_checks((facts,), "symvers.abi").findings
    assert finding.evidence.message == "99 exports removed: s001, s002, s003, ..."
    assert [at.line for at in finding.evidence.at] == [2, 3, 4]
    assert len(list(abi_lines(facts, Style(False), 100))) == len(lines) - 1 + 94


def test_what_ksymvers_prints(written: Written) -> None:
    # As suse-kabi-tools at commit 0c6c5c0 printed it for these two files.
    assert list(ksymvers_lines(written(OLD, "old"), written(NEW, "new"))) == [
        "Export 'fresh' has been added (implicitly tolerated)",
        "Export 'gone' has been removed",
        "Export 'bar' changed CRC from '0x00000001' to '0x000000ff'",
        "Export 'baz' changed type from 'EXPORT_SYMBOL' to 'EXPORT_SYMBOL_GPL'",
        "Export 'foo' changed type from 'EXPORT_SYMBOL_GPL' to 'EXPORT_SYMBOL' (implicitly tolerated)",
    ]


def test_what_ksymvers_prints_with_rules(written: Written, ruled: Ruled) -> None:
    rules = ruled("lib/* PASS\nba* PASS\n")
    assert list(ksymvers_lines(written(OLD, "old"), written(NEW, "new"), rules)) == [
        "Export 'fresh' has been added (tolerated by rules)",
        "Export 'gone' has been removed",
        "Export 'bar' changed CRC from '0x00000001' to '0x000000ff' (tolerated by rules)",
        "Export 'baz' changed type from 'EXPORT_SYMBOL' to 'EXPORT_SYMBOL_GPL' (tolerated by rules)",
        "Export 'foo' changed type from 'EXPORT_SYMBOL_GPL' to 'EXPORT_SYMBOL' (tolerated by rules)",
    ]


@pytest.mark.parametrize(
    ("lost", "versions", "message"),
    [
        ("new", Modversions.GONE, "MODVERSIONS disappeared: the CRCs of 6 exports cannot be compared"),
        ("old", Modversions.NEW, "MODVERSIONS was added: the CRCs of 6 exports cannot be compared"),
    ],
)
def test_modversions_that_went_away_are_one_line(
    written: Written, ruled: Ruled, lost: str, versions: Modversions, message: str
) -> None:
    zero = {name: "0x00000000" + about[10:] for name, about in OLD.items()}
    old, new = (written(zero if lost == name else OLD, name) for name in ("old", "new"))
    facts = compare(old, new)
    assert (facts.versions, facts.incomparable, facts.changes, facts.breaks) == (versions, 6, (), 1)
    (finding,) = run_checks((facts,), "symvers.abi").findings
    assert (finding.severity, finding.evidence.message) == (Severity.ERROR, message)
    text = list(abi_lines(facts, Style(False)))
    assert sum("MODVERSIONS" in line for line in text) == 2
    assert len(list(ksymvers_lines(old, new))) == 6
    tolerant = compare(old, new, ruled("SYMBOL * PASS"))
    assert (tolerant.incomparable, tolerant.kept) == (0, True)


def test_two_kernels_without_modversions(written: Written) -> None:
    zero = {name: "0x00000000" + about[10:] for name, about in OLD.items()}
    facts = compare(written(zero, "old"), written(zero, "new"))
    assert (facts.versions, facts.changes, facts.kept) == (Modversions.NEITHER, (), True)


@pytest.mark.parametrize(
    ("rules", "export", "passes"),
    [
        ("", ("x", "vmlinux", ""), False),
        ("x PASS", ("x", "vmlinux", ""), True),
        ("x FAIL\nx PASS", ("x", "vmlinux", ""), False),
        ("x PASS\nx FAIL", ("x", "vmlinux", ""), True),
        ("x PASS", ("xy", "vmlinux", ""), False),
        ("x* PASS", ("xy", "vmlinux", ""), True),
        ("x? PASS", ("xy", "vmlinux", ""), True),
        ("x? PASS", ("xyz", "vmlinux", ""), False),
        ("*y* PASS", ("xyz", "vmlinux", ""), True),
        ("[a-x]yz PASS", ("xyz", "vmlinux", ""), True),
        ("[^a-x]yz PASS", ("xyz", "vmlinux", ""), False),
        ("x.z PASS", ("xyz", "vmlinux", ""), False),
        ("vmlinux PASS", ("x", "vmlinux", ""), True),
        ("vmlinux PASS", ("vmlinux", "lib/x", ""), False),
        ("lib/* PASS", ("x", "lib/a/b", ""), True),
        ("*/* PASS", ("x", "vmlinux", ""), False),
        ("CXL PASS", ("x", "vmlinux", "CXL"), True),
        ("CXL PASS", ("CXL", "vmlinux", ""), False),
        ("SYMBOL CXL PASS", ("CXL", "vmlinux", ""), True),
        ("MODULE tun PASS", ("x", "tun", ""), True),
        ("NAMESPACE net PASS", ("x", "vmlinux", "net"), True),
        # Without a lower-case letter a pattern is for namespaces, and so is this one.
        ("* PASS", ("x", "vmlinux", ""), False),
        ("* PASS", ("x", "vmlinux", "NET"), True),
        ("# x PASS\n\n  x\t PASS # why\r\n", ("x", "vmlinux", ""), True),
        ("x PASS#why", ("x", "vmlinux", ""), True),
    ],
)
def test_rules(ruled: Ruled, rules: str, export: tuple[str, str, str], passes: bool) -> None:
    assert ruled(rules).tolerate(*export) == passes


def test_rules_are_read(ruled: Ruled) -> None:
    rules = ruled("# kABI\nlib/* PASS\n\nNAMESPACE net FAIL\n")
    assert rules.rules == (AbiRule(Subject.MODULE, "lib/*", True, 2), AbiRule(Subject.NAMESPACE, "net", False, 4))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x PASS\nx\n", r"rules:2: not a rule: expected \[MODULE"),
        ("SYMBOL x PASS more", "rules:1: not a rule"),
        ("WORD x PASS", "rules:1: not the type of a rule: expected MODULE, NAMESPACE, SYMBOL or TYPE, found WORD"),
        ("x pass", "rules:1: not a verdict: expected PASS or FAIL, found pass"),
        ("x # PASS", "rules:1: not a rule"),
    ],
)
def test_what_is_no_rule(ruled: Ruled, text: str, message: str) -> None:
    with pytest.raises(MalformedError, match=message):
        ruled(text)


def test_rules_have_a_limit(ruled: Ruled) -> None:
    with pytest.raises(UnsupportedError):
        ruled("#" * (LARGEST_RULES + 1))


def test_a_rule_of_many_stars_takes_no_time(ruled: Ruled) -> None:
    started = time.process_time()
    assert not ruled("a" + "*a" * 60 + "b PASS").tolerate("a" * 1000, "vmlinux", "")
    assert time.process_time() - started < 0.5


def test_the_old_module_and_namespace_decide(written: Written, ruled: Ruled) -> None:
    old, new = written(OLD, "old"), written(NEW, "new")
    for rules, tolerated in (("vmlinux PASS", True), ("lib/here PASS", False), ("NET PASS", True), ("USB PASS", False)):
        found = compare(old, new, ruled(rules)).of(Change.MOVED)
        assert [one.tolerated for one in found] == [tolerated]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "empty file"),
        ("0x00000001\ta\tvmlinux\tEXPORT_SYMBOL\n0x2\n", "broken:2: a line with a wrong number of fields"),
        ("0x1\ta\tvmlinux\tEXPORT_SYMBOL\t\n", "broken:1: a: not a CRC"),
        ("0x00000001\ta\tvmlinux\tEXPORT\t\n", "broken:1: a: an unknown type"),
        ("0x00000001\ta\tvmlinux\tEXPORT_SYMBOL\t\n" * 2, "broken:2: a: exported twice"),
        ("0x00000001\ta\tvmlinux\tEXPORT_SYMBOL\t", "broken:1: the last line has no newline"),
    ],
)
def test_a_broken_file_is_not_compared(written: Written, tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "broken"
    path.write_text(text)
    broken, whole = Symvers(path), written(OLD, "old")
    for pair in ((broken, whole), (whole, broken)):
        with pytest.raises(MalformedError, match=message):
            compare(*pair)
        with pytest.raises(MalformedError, match=message):
            list(ksymvers_lines(*pair))


Naive = dict[str, tuple[str, str, str, str]]


def naive_exports(path: Path) -> Naive:
    """Name to CRC, module, type and namespace."""
    found = {}
    for line in path.read_text().splitlines():
        crc, name, module, kind, space = line.split("\t")
        found[name] = (crc, module, kind, space)
    return found


def naive_changes(old: Naive, new: Naive) -> set[tuple[str, str]]:
    found = {("removed", name) for name in old if name not in new} | {
        ("added", name) for name in new if name not in old
    }
    for name, (crc, module, kind, space) in old.items():
        if name in new:
            other = new[name]
            if crc != other[0]:
                found.add(("CRC changed", name))
            if module != other[1]:
                found.add(("moved to another module", name))
            if kind != other[2]:
                found.add((f"{'now' if 'GPL' in other[2] else 'no longer'} for the GPL alone", name))
            if space != other[3]:
                found.add(("namespace changed", name))
    return found


def test_real_kernels_against_a_naive_comparison(kernels: tuple[Kernel, Kernel]) -> None:
    older, newer = (kernel.folder / "Module.symvers" for kernel in kernels)
    for one, other, versions in (
        (older, newer, Modversions.GONE),
        (newer, older, Modversions.NEW),
        (older, older, Modversions.BOTH),
        (newer, newer, Modversions.NEITHER),
    ):
        expected = naive_changes(naive_exports(one), naive_exports(other))
        facts = compare(Symvers(one), Symvers(other))
        found = {(one.change.value, one.name) for one in facts.changes}
        crcs = {change for change in expected if change[0] == "CRC changed"}
        assert found == expected - crcs
        assert len(facts.changes) == len(found)
        assert facts.incomparable == len(crcs)
        assert facts.versions == versions
        kinds = ("removed", "now for the GPL alone", "namespace changed")
        assert facts.breaks == sum(kind in kinds for kind, _ in expected) + bool(crcs)


def test_real_kernels_as_ksymvers_prints_them(kernels: tuple[Kernel, Kernel]) -> None:
    old, new = (naive_exports(kernel.folder / "Module.symvers") for kernel in kernels)
    expected = [f"Export '{name}' has been added (implicitly tolerated)" for name in sorted(new) if name not in old]
    expected += [f"Export '{name}' has been removed" for name in sorted(old) if name not in new]
    for name in sorted(old):
        if name in new:
            if old[name][0] != new[name][0]:
                expected.append(f"Export '{name}' changed CRC from '{old[name][0]}' to '{new[name][0]}'")
            if old[name][2] != new[name][2]:
                suffix = " (implicitly tolerated)" if old[name][2] == "EXPORT_SYMBOL_GPL" else ""
                expected.append(f"Export '{name}' changed type from '{old[name][2]}' to '{new[name][2]}'{suffix}")
    one, other = (Symvers(kernel.folder / "Module.symvers") for kernel in kernels)
    assert list(ksymvers_lines(one, other)) == expected


ABOUT = st.tuples(
    st.sampled_from(["0x00000001", "0x00000002", "0xffffffff"]),
    st.sampled_from(["vmlinux", "lib/a"]),
    st.sampled_from(["EXPORT_SYMBOL", "EXPORT_SYMBOL_GPL"]),
    st.sampled_from(["", "NET"]),
)
EXPORTS = st.dictionaries(st.sampled_from("abcdefgh"), ABOUT, min_size=1)


@given(EXPORTS, EXPORTS)
def test_any_two_against_a_naive_comparison(tmp_path_factory: pytest.TempPathFactory, old: Naive, new: Naive) -> None:
    folder = tmp_path_factory.mktemp("abi")
    for name, exports in (("old", old), ("new", new)):
        lines = ("\t".join([crc, export, *rest]) + "\n" for export, (crc, *rest) in exports.items())
        (folder / name).write_text("".join(lines))
    facts = compare(Symvers(folder / "old"), Symvers(folder / "new"))
    assert {(one.change.value, one.name) for one in facts.changes} == naive_changes(old, new)
    assert facts.kept == all(
        finding.severity != Severity.ERROR for finding in run_checks((facts,), "symvers.abi").findings
    )


@given(
    st.lists(st.tuples(st.text("ab*?[]^", min_size=1, max_size=5), st.sampled_from(["PASS", "FAIL"])), max_size=8),
    st.lists(st.text("ab", min_size=1, max_size=5), min_size=1, max_size=5),
)
def test_the_first_rule_that_matches_decides(lines: list[tuple[str, str]], names: list[str]) -> None:
    rules = AbiRules(tuple(AbiRule(Subject.SYMBOL, pattern, verdict == "PASS", 1) for pattern, verdict in lines))
    for name in names:
        plain = (verdict == "PASS" for pattern, verdict in lines if fnmatchcase(name, pattern.replace("[^", "[!")))
        assert rules.tolerate(name, "", "") == next(plain, False)


RULES = {
    "names": lambda number: f"SYMBOL s{number:x} FAIL\n",
    "prefixes": lambda number: f"SYMBOL z{number:x}* FAIL\n",
    "suffixes": lambda number: f"SYMBOL *z{number:x} FAIL\n",
    "sets": lambda number: f"SYMBOL s[{number:x}]*z FAIL\n",
}


@pytest.mark.parametrize("kind", RULES)
def test_a_megabyte_of_rules_and_names(kind: str) -> None:
    """Sixty thousand rules on forty thousand exports are answered, or refused, in seconds."""
    lines = "".join(RULES[kind](number) for number in range(1 << 16))
    rules = AbiRules(tuple(AbiRule(Subject.SYMBOL, line.split()[1], False, 1) for line in lines.splitlines()))
    start = time.process_time()
    refused = kind in ("suffixes", "sets")
    with pytest.raises(UnsupportedError, match="too many patterns") if refused else contextlib.nullcontext():
        for number in range(40_000):
            assert rules.tolerate(f"s{number}", "vmlinux", "") is False
    assert time.process_time() - start < 15
