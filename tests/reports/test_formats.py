"""Every format is held against an independent reader of it: the schemas of SARIF and JUnit, junitparser, a Markdown
parser, and what the runner of GitHub Actions does with a line."""

import csv
import html
import json
import re
import subprocess
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from urllib.parse import unquote_to_bytes

import jsonschema
import junitparser
import pytest
from markdown_it import MarkdownIt

from kinspect.checks.check import Evidence, Finding, Severity
from kinspect.commands.interface.output import print_reports
from kinspect.errors import Location, MalformedError, UnreadableError
from kinspect.inspection import kernel as inspection
from kinspect.inspection import modules, size
from kinspect.inspection.report import Report, checks_of
from kinspect.reports.formats import FORMATS, WRITERS, writer
from kinspect.reports.formats.github import MOST
from kinspect.reports.json import report_text
from kinspect.reports.terminal import Style, escaped
from kinspect.reports.text import facts_lines
from kinspect.views.filetype.line import FileFacts
from kinspect.views.savings.facts import SavingsFacts
from kinspect.views.size.grouped import GroupedSizes, Grouping
from kinspect.views.size.node import SizeNode
from tests.conftest import CORPUS, ROOT, SAMPLE, Kernel, missing

SCHEMA = json.loads((ROOT / "docs" / "report.schema.json").read_text())
CONTROL = re.compile("[\x00-\x09\x0b-\x1f\x7f\u202e\ufffe\ud800-\udfff]")
NAMES = {
    "newline": "a\nb",
    "return": "\r::warning::x",
    "command": "::error file=x::y",
    "indented": "  ::stop-commands::x",
    "older": "a ##[error]x",
    "percent": "a%0Ab%",
    "properties": "a:b,c=d::e",
    "cdata": "a]]>b",
    "tag": '<img src=x onerror="y">&amp;</details>',
    "table": "a|b\\|c",
    "fence": "```\n# x\n````",
    "marks": "*a* _b_ `c` [d](e) ~f~ <!--",
    "mention": "@all #1",
    "placeholder": "{0} {name}",
    "escape": "\x1b[31m\x9b\x00",
    "bytes": "\udcff\udc80",
    "surrogate": "\ud800x",
    "direction": "\u202eab\ufffe",
    "space": "a b?#%c",
}
"""Names that a format could trip over, as a file, a part, and in what is said."""


def finding(name: str = "some-check", severity: Severity = Severity.ERROR, path: str = "a file") -> Finding:
    return Finding(
        name, severity, Evidence("not so", (Location(path, "field", 16, None), Location("b", "", None, 7)), 1)
    )


def hostile(name: str) -> Report:
    """A report in which every text is that name."""
    at = (Location(name, name, 3, None), Location(name, name, None, 2))
    findings = tuple(Finding("some-check", severity, Evidence(name, at, name, name)) for severity in Severity)
    error = UnreadableError(name, Location(name), expected=name, actual=name)
    return Report((FileFacts(name, name),), findings, ("some-check",), (error,))


def bad(folder: Path) -> Report:
    """A real one: an Image with bytes behind it and reserved bits set."""
    data = bytearray((SAMPLE / "Image").read_bytes()) + bytes(1 << 20)
    data[0x20] = 1
    (folder / "Image").write_bytes(data)
    return inspection.image(folder / "Image")


@pytest.fixture
def reports(tmp_path: Path) -> dict[str, list[Report]]:
    """One of each kind."""
    error = UnreadableError("No such file or directory", Location("missing"))
    many = tuple(finding(severity=severity, path=f"file {index}") for severity in Severity for index in range(30))
    return {
        "good": [inspection.image(SAMPLE / "Image")],
        "bad": [bad(tmp_path)],
        "undecided": [Report((), (finding(severity=Severity.UNDECIDED),), ("some-check",))],
        "unreadable": [Report(errors=(error,))],
        "empty": [Report()],
        "many": [Report((), many, ("some-check",))],
        "several": [inspection.image(SAMPLE / "Image"), Report(errors=(error,)), bad(tmp_path)],
        "modules": [modules.modules(SAMPLE / "modules", SAMPLE / "modules" / "Module.symvers")],
        "symvers": [modules.symvers(SAMPLE / "Module.symvers", SAMPLE / "Image")],
    }


KINDS = ("good", "bad", "undecided", "unreadable", "empty", "many", "several", "modules", "symvers")


@pytest.fixture(params=[*KINDS, *NAMES])
def given(request: pytest.FixtureRequest, reports: dict[str, list[Report]]) -> list[Report]:
    """Each of them in turn, and each hostile name."""
    return reports[request.param] if request.param in reports else [hostile(NAMES[request.param])]


def schema_file(name: str) -> Path:
    if not (CORPUS / "schemas" / name).exists():
        missing(name, f"python tests/schemas.py {CORPUS} brings it")
    return CORPUS / "schemas" / name


def lines_of(form: str, given: list[Report]) -> list[str]:
    lines = "\n".join(writer(form)(given)).split("\n")
    assert not CONTROL.search("".join(lines)), "nothing may steer a terminal, or be no Unicode"
    return lines


@pytest.mark.parametrize("form", [form for form in WRITERS if form != "csv"])
def test_a_report_gives_the_same_document_each_time(form: str, given: list[Report]) -> None:
    assert lines_of(form, given) == lines_of(form, given)


# JSON lines


def test_json_lines_are_valid_and_together_the_document(given: list[Report]) -> None:
    line_schema = jsonschema.Draft202012Validator(SCHEMA).evolve(schema={"$ref": "#/$defs/line"})
    found = [json.loads(line) for line in lines_of("jsonl", given)]
    for line in found:
        line_schema.validate(line)
    whole = json.loads(report_text(sum(given, Report())))
    for name, many in (("facts", "facts"), ("finding", "findings"), ("error", "errors")):
        assert [line[name] for line in found if name in line] == whole.pop(many)
    assert found[-1] == {"verdict": whole}


def test_json_lines_come_as_soon_as_they_are_known(capfd: pytest.CaptureFixture[str]) -> None:
    def told() -> Iterator[Report]:
        yield Report((FileFacts("one", "x"),))
        assert json.loads(capfd.readouterr().out) == {"facts": {"kind": "file", "path": "one", "description": "x"}}
        yield Report(errors=(UnreadableError("gone", Location("two")),))

    assert print_reports(told(), json=False, form="jsonl") == 2
    done = capfd.readouterr()
    assert [next(iter(json.loads(line))) for line in done.out.splitlines()] == ["error", "verdict"]
    assert done.err == "kinspect: two: gone\n"


# GitHub


def command_in(line: str) -> tuple[str, dict[str, str], str] | None:
    """What the runner reads in a line of the log: a command, its properties, its message.

    Source: ActionCommand.TryParseV2 and TryParse of github.com/actions/runner.
    """
    assert "##[" not in line or line.lstrip().startswith("::"), "the older form, anywhere in a line"
    line = line.strip()
    if not line.startswith("::") or (end := line.find("::", 2)) < 0:
        return None
    name, _, rest = line[2:end].partition(" ")
    pairs = [pair.split("=", 1) for pair in rest.strip().split(",") if "=" in pair]
    return name, {key: decoded(value, ":,\r\n%") for key, value in pairs}, decoded(line[end + 2 :], "\r\n%")


def decoded(text: str, characters: str) -> str:
    for character in characters:
        text = text.replace(f"%{ord(character):02X}", character)
    return text


def test_github_reads_each_annotation_and_nothing_else(given: list[Report]) -> None:
    lines = lines_of("github", given)
    commands = [command for command in map(command_in, lines) if command]
    assert {name for name, _, _ in commands} <= {"error", "warning", "notice", "group", "endgroup"}
    expected: dict[str, list[tuple[Evidence, str]]] = {"error": [], "warning": [], "notice": []}
    for report in given:
        for error in report.errors:
            expected["error"].append((Evidence.of(error), type(error).__name__))
        for one in report.findings:
            kind = {"info": "notice", "warning": "warning"}.get(one.severity, "error")
            expected[kind].append((one.evidence, one.id))
    for kind, wanted in expected.items():
        found = [(properties, message) for name, properties, message in commands if name == kind]
        assert len(found) == min(len(wanted), MOST)
        for (properties, message), (evidence, title) in zip(found, wanted, strict=False):
            at = evidence.at[0]
            assert properties.pop("title") == title
            assert properties.pop("line", None) == (str(at.line) if at.line else None)
            assert kept(properties.pop("file")) == kept(at.path)
            assert properties == {}
            assert kept(message).startswith(kept(str(evidence)))
    more = sum(max(0, len(wanted) - MOST) for wanted in expected.values())
    group = [name for name, _, _ in commands].count("group")
    assert group == bool(more)
    if more:
        assert len(lines) == len(commands) + more + 1
        assert f"::group::{more} findings more" in lines
    assert lines[-1].startswith(("good: ", "not good: ", "could not tell: "))


def kept(text: str) -> str:
    """A text with what no log can show escaped, but for the ends of lines, which GitHub has codes for."""
    return "".join(part if part in ("\n", "\r") else escaped(part) for part in re.split("([\r\n])", text))


@pytest.mark.parametrize("name", NAMES)
def test_github_reads_nothing_in_the_folded_rest(name: str) -> None:
    test_github_reads_each_annotation_and_nothing_else([hostile(NAMES[name])] * (MOST + 2))


# SARIF


def test_sarif_is_valid_and_has_every_finding(given: list[Report]) -> None:
    log = json.loads("\n".join(lines_of("sarif", given)))
    jsonschema.validate(log, json.loads(schema_file("sarif-2.1.0.json").read_text()), jsonschema.Draft7Validator)
    whole = sum(given, Report())
    (run,) = log["runs"]
    (invocation,) = run["invocations"]
    assert invocation["exitCode"] == whole.exit_code
    assert invocation["executionSuccessful"] == (whole.exit_code < 2)
    undecided = [one for one in whole.findings if one.severity == Severity.UNDECIDED]
    assert len(invocation["toolExecutionNotifications"]) == len(whole.errors) + len(undecided)
    rules = run["tool"]["driver"]["rules"]
    assert [rule["id"] for rule in rules][: len(set(whole.ran))] == list(dict.fromkeys(whole.ran))
    for result, one in zip(run["results"], whole.findings, strict=True):
        assert rules[result["ruleIndex"]]["id"] == result["ruleId"] == one.id
        assert re.fullmatch(r"([^{}]|\{\{|\}\})*", result["message"]["text"])
        text = re.sub(r"\{\{|\}\}", lambda brace: brace[0][0], result["message"]["text"])
        assert text == escaped(str(one.evidence))
        assert (result["kind"] == "open") == (one.severity == Severity.UNDECIDED)
        places = result["locations"] + result["relatedLocations"]
        for place, at in zip(places, one.evidence.at, strict=True):
            physical = place["physicalLocation"]
            assert re.fullmatch(r"(file://)?([A-Za-z0-9._~/-]|%[0-9A-F]{2})*", physical["artifactLocation"]["uri"])
            path = unquote_to_bytes(physical["artifactLocation"]["uri"].removeprefix("file://"))
            raw = at.path.encode("utf-8", "surrogatepass" if "\ud800" in at.path else "surrogateescape")
            assert path == raw or "\ud800" in at.path
            assert physical["region"].get("byteOffset") == at.offset
            assert physical["region"]["startLine"] == (at.line or 1)


def test_a_sarif_rule_is_the_page_of_its_check() -> None:
    log = json.loads("\n".join(lines_of("sarif", [inspection.image(SAMPLE / "Image")])))
    check = next(check for check in checks_of() if check.id == "reserved-flags-are-zero")
    (rule,) = [rule for rule in log["runs"][0]["tool"]["driver"]["rules"] if rule["id"] == check.id]
    assert rule["shortDescription"]["text"] == "Bits 4-63 of the flags are zero."
    assert rule["fullDescription"]["text"] == rule["help"]["text"] == check.doc
    assert rule["defaultConfiguration"] == {"level": "warning"}


def test_a_fingerprint_outlives_a_rebuild() -> None:
    def fingerprint(path: str, offset: int, actual: int) -> str:
        one = Finding("some-check", Severity.ERROR, Evidence("x", (Location(path, "res2", offset),), 0, actual))
        log = json.loads("\n".join(lines_of("sarif", [Report((), (one,))])))
        found: str = log["runs"][0]["results"][0]["partialFingerprints"]["finding/v1"]
        return found

    assert fingerprint("Image", 32, 1) == fingerprint("Image", 40, 2) != fingerprint("vmlinux", 32, 1)


# JUnit


def test_junit_is_valid_and_read_by_junitparser(
    given: list[Report], tmp_path: Path, tool: Callable[[str], str]
) -> None:
    path = tmp_path / "report.xml"
    path.write_text("\n".join(lines_of("junit", given)) + "\n")
    command = [tool("xmllint"), "--noout", "--nonet", "--schema", str(schema_file("junit-10.xsd")), str(path)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    suites = list(junitparser.JUnitXml.fromfile(str(path)))
    assert len(suites) == len(given)
    for suite, report in zip(suites, given, strict=True):
        cases = {case.name: case for case in suite}
        names = {*report.ran, *(one.id for one in report.findings)} | ({"can-be-read"} if report.errors else set())
        assert set(cases) == names
        assert suite.tests == len(list(suite)) == len(names)
        outcomes = {name: {type(result).__name__ for result in case.result} for name, case in cases.items()}
        assert suite.failures == sum("Failure" in found for found in outcomes.values())
        assert suite.errors == sum("Error" in found for found in outcomes.values())
        for name in names - {"can-be-read"}:
            severities = {one.severity for one in report.findings if one.id == name}
            told = {Severity.ERROR: "Failure", Severity.UNDECIDED: "Error"}
            assert outcomes[name] == {told[severity] for severity in severities if severity in told}
            assert bool(cases[name].system_out) == bool(severities & {Severity.WARNING, Severity.INFO})
        texts = "\n".join(text for case in suite for text in texts_of(case))
        for one in report.findings:
            assert escaped(str(one.evidence)) in texts
        for error in report.errors:
            assert escaped(str(error)) in texts


def texts_of(case: junitparser.TestCase) -> Iterator[str]:
    yield case.system_out or ""
    for result in case.result:
        yield result.message or ""
        yield result.text or ""


# Markdown


def test_markdown_shows_what_was_found_as_it_is(given: list[Report]) -> None:
    tokens = MarkdownIt("commonmark", {"html": True}).enable("table").parse("\n".join(lines_of("markdown", given)))
    whole = sum(given, Report())
    rows: list[list[str]] = []
    tags: set[str] = set()
    for before, token in pairwise(tokens):
        if before.type == "tr_open":
            rows.append([])
        if token.type == "inline":
            tags |= {child.content if child.type == "html_inline" else child.type for child in token.children or ()}
            if before.type == "td_open":
                rows[-1].append("".join(child.content for child in token.children or () if child.type == "text"))
        else:
            assert token.type.startswith(("heading", "table", "thead", "tbody", "tr", "th", "td", "html_block")), token
    assert tags <= {"text", "<code>", "</code>", "<br>"}
    cells = [[cell.replace("\u200b", "") for cell in row] for row in rows]
    for one in sorted(whole.findings, key=lambda one: list(Severity).index(one.severity))[:50]:
        where = "".join(escaped(str(at)) for at in one.evidence.at)
        assert [one.severity, escaped(str(one.evidence)).strip(), where, one.id] in cells
    for error in whole.errors:
        assert [escaped(str(error)).strip()] in cells
    details = [token.content for token in tokens if token.type == "html_block" and token.content.startswith("<pre>")]
    assert len(details) == sum(bool(report.facts) for report in given)
    for report, content in zip((report for report in given if report.facts), details, strict=True):
        shown = [line for facts in report.facts for line in facts_lines(facts, Style(False))]
        assert set(shown[:100]) <= set(html.unescape(content).split("\n"))
        assert not re.search("<(?!pre>\n|/pre>\n)", content)


def test_markdown_calls_nobody() -> None:
    text = "\n".join(lines_of("markdown", [hostile("@all")]))
    assert "@all" in text
    assert "@all" not in re.sub("<code>.*?</code>|<pre>.*?</pre>", "", text, flags=re.DOTALL)


def test_markdown_is_bounded() -> None:
    many = Report(
        tuple(FileFacts(f"file {index}", "x") for index in range(5000)),
        tuple(finding(path=f"file {index}") for index in range(5000)),
    )
    lines = lines_of("markdown", [many])
    assert sum(map(len, lines)) < 1 << 16
    assert "| | and 4,950 more | | |" in lines


def test_markdown_of_facts_without_a_verdict() -> None:
    """Sizes have Markdown of their own; nothing was checked, so there is no verdict."""
    lines = lines_of("markdown", [size.size(SAMPLE / "vmlinux", by="kind"), size.savings(SAMPLE / "vmlinux")])
    assert lines[0] == "### Kernel size: 192.0 KiB in memory, 132.5 KiB in the Image"
    assert "### Possible savings" in lines
    assert not [line for line in lines if "<pre>" in line or "kinspect: " in line]
    checked = lines_of("markdown", [size.size(SAMPLE / "vmlinux", SAMPLE / "Image", by="kind")])
    assert checked[0] == "## ✅ kinspect: good: 2 checks, nothing wrong"
    assert lines[0] in checked


# CSV


def test_csv_is_read_by_the_module_csv() -> None:
    root = SizeNode("total", 6, 8, children=tuple(SizeNode(name, 1, 2) for name in [*NAMES.values(), 'a,"b"']))
    facts = GroupedSizes("vmlinux", None, None, Grouping(("symbol",)), root, 0)
    rows = list(csv.reader(lines_of("csv", [Report((facts,)), Report((facts,))])))
    # No spreadsheet takes a cell for a formula.
    names = [("'" if child.name[0] in "=+-@" else "") + escaped(child.name) for child in root.children]
    assert rows == [["path", "file", "memory"], *([name, "1", "2"] for name in 2 * names)]


def test_csv_of_two_builds_and_of_savings() -> None:
    two = lines_of("csv", [size.size(SAMPLE / "vmlinux", by="kind", old=SAMPLE / "vmlinux")])
    assert two[0] == "path,file,memory,file_before,memory_before"
    savings = size.savings(SAMPLE / "vmlinux")
    rows = list(csv.DictReader(lines_of("csv", [savings])))
    assert [row["id"] for row in rows] == [entry.id for entry in savings.facts_of(SavingsFacts)[0].entries]


def test_csv_of_facts_without_a_table_is_a_usage_error(reports: dict[str, list[Report]]) -> None:
    with pytest.raises(MalformedError, match=r"^--format csv: image has no table$"):
        lines_of("csv", reports["good"])
    with pytest.raises(MalformedError, match=r"^--format csv: more than one kind of table$"):
        lines_of("csv", [size.size(SAMPLE / "vmlinux", by="kind"), size.savings(SAMPLE / "vmlinux")])
    assert lines_of("csv", reports["unreadable"]) == [""]


# all of them


@pytest.mark.parametrize("form", [form for form in FORMATS if form != "csv"])
@pytest.mark.parametrize("kind", KINDS)
def test_the_exit_status_is_the_same_in_every_format(
    form: str, kind: str, reports: dict[str, list[Report]], capfd: pytest.CaptureFixture[str]
) -> None:
    expected = max(report.exit_code for report in reports[kind])
    assert print_reports(reports[kind], json=False, form=form) == expected
    done = capfd.readouterr()
    assert done.err == "".join(f"kinspect: {error}\n" for report in reports[kind] for error in report.errors)
    assert print_reports(reports[kind], json=False, quiet=True, form=form) == expected
    assert capfd.readouterr().out == ""


@pytest.mark.corpus
def test_formats_of_real_kernels(kernel: Kernel, tmp_path: Path, tool: Callable[[str], str]) -> None:
    symvers = str(kernel.folder / "Module.symvers")
    given: list[Report] = [
        inspection.image(kernel.image),
        inspection.vmlinux(kernel.vmlinux),
        inspection.diff(kernel.vmlinux, kernel.image),
        modules.symvers(symvers, kernel.vmlinux),
        modules.modules(kernel.folder, symvers, kernel.vmlinux),
    ]
    test_sarif_is_valid_and_has_every_finding(given)
    test_junit_is_valid_and_read_by_junitparser(given, tmp_path, tool)
    test_github_reads_each_annotation_and_nothing_else(given)
    test_markdown_shows_what_was_found_as_it_is(given)
    test_json_lines_are_valid_and_together_the_document(given)
