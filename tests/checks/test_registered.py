"""Every finding has a check that `kinspect checks` lists, and nothing else makes findings."""

import ast
import gzip
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree

import pytest

from kinspect import inspection
from kinspect.artifacts.boot.image import Image
from kinspect.checks.check import Evidence, Severity, check, checks_in, run, topics
from kinspect.cli import main
from kinspect.errors import Location
from kinspect.inspection.report import checks_of
from kinspect.reports.checks import page_lines, reference
from kinspect.reports.formats import FORMATS
from kinspect.reports.terminal import Style
from tests.conftest import SAMPLE
from tests.toy_build import put, sample_build
from tests.toy_dtb import toy
from tests.toy_tree import ko, tree_of

PACKAGE = Path(inspection.__path__[0]).parent
IDS = {one.id for one in checks_of()}
MODULES = SAMPLE / "modules"
SYMVERS = MODULES / "Module.symvers"


class Toy(NamedTuple):
    """A toy for tests. It has `contents`."""

    contents: str


def test_ids_are_unique() -> None:
    assert len(IDS) == len(checks_of()) > 190


def test_every_module_of_checks_is_found_without_being_listed() -> None:
    """The rooms and modules on disk that declare a check are those that are discovered."""
    declaring = {
        ".".join(path.relative_to(PACKAGE / "checks").with_suffix("").parts)
        for path in (PACKAGE / "checks").glob("*/*.py")
        if "\n@check(" in path.read_text()
    }
    assert declaring == {name for name in topics() if checks_of(name)}
    assert list(topics()) == sorted(topics(), key=lambda name: name.split("."))


def test_a_check_belongs_to_the_module_that_declares_it() -> None:
    from kinspect.checks.boot import header

    here = {one.id for one in checks_in(header)}
    assert "image-fits-image-size" in here
    assert all(one.run.__module__ == header.__name__ for one in checks_in(header))


def findings_made(path: Path) -> list[ast.expr]:
    """The ids that a module gives to the findings that it makes."""
    calls = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)]
    named = [call for call in calls if isinstance(call.func, ast.Name) and call.func.id == "Finding"]
    return [call.args[0] if call.args else call.keywords[0].value for call in named]


def test_no_finding_has_an_id_that_is_not_a_check() -> None:
    """A finding takes its id from a check, or from a constant that is one's id."""
    made = 0
    for path in PACKAGE.rglob("*.py"):
        constants = {
            target.id: node.value.value
            for node in ast.parse(path.read_text()).body
            if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant)
            for target in node.targets
            if isinstance(target, ast.Name)
        }
        for check_id in findings_made(path):
            made += 1
            if isinstance(check_id, ast.Attribute):
                assert check_id.attr == "id", f"{path}:{check_id.lineno}"
            elif isinstance(check_id, ast.Constant):
                assert check_id.value in IDS, f"{path}:{check_id.lineno}"
            else:
                assert isinstance(check_id, ast.Name)
                assert constants.get(check_id.id) in IDS, f"{path}:{check_id.lineno}"
    assert made


def broken_build(folder: Path) -> Path:
    sample_build(folder)
    for name in ("System.map", "Module.symvers", "modules.order"):
        put(folder / name, (folder / name).read_bytes()[40:-20] + b"\x80rest")
    image = bytearray((folder / "arch/arm64/boot/Image").read_bytes())
    image[0x28] = 7
    put(folder / "arch/arm64/boot/Image", bytes(image))
    put(folder / "arch/arm64/boot/Image.gz", gzip.compress(bytes(image[:-1])))
    return folder


def commands(folder: Path) -> list[tuple[str, ...]]:
    """Commands on the sample, good and broken, with every kind of file that kinspect reads."""
    broken = str(broken_build(folder / "out"))
    modules = tree_of(folder / "tree", {"kernel/a.ko": ko(["x"], ["y"]), "kernel/b.ko": ko(["x"])[:-9]}).path
    (folder / "new").write_bytes(b"".join(SYMVERS.read_bytes().splitlines(keepends=True)[2:]))
    (folder / "tree.dtb").write_bytes(toy(off_mem_rsvmap=32))
    (folder / "log").write_text("  CC      fs/a.o\nfs/a.c:1:2: error: odd\n  odd line\nmake: *** [a] Error 2\n")
    (folder / "budget.toml").write_text("[image]\nmemory = 1\n")
    image, vmlinux = str(SAMPLE / "Image"), str(SAMPLE / "vmlinux")
    broken_image = f"{broken}/arch/arm64/boot/Image"
    return [
        ("check", broken),
        ("check", modules, "--require", "Image"),
        ("image", broken_image),
        ("image", f"{broken_image}.gz"),
        ("vmlinux", vmlinux),
        ("diff", vmlinux, broken_image),
        ("size", vmlinux, broken_image),
        ("size", vmlinux, "--budget", str(folder / "budget.toml")),
        ("unpack", f"{broken_image}.gz", "-o", str(folder / "unpacked")),
        ("config", image),
        ("module", f"{modules}/kernel/b.ko"),
        ("symvers", f"{broken}/Module.symvers", "--vmlinux", vmlinux),
        ("modules", modules, "--vmlinux", image),
        ("abi", str(SYMVERS), str(folder / "new")),
        ("load", image, modules),
        ("dtb", str(folder / "tree.dtb")),
        ("log", str(folder / "log"), "--build", broken),
        ("image", str(folder / "nothing")),
    ]


def test_every_finding_of_every_command_is_listed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found: set[str] = set()
    for words in commands(tmp_path):
        main([*words, "--json"])
        printed = capsys.readouterr()
        report = json.loads(printed.out)
        assert report["checks"] or report["errors"], words
        found |= {finding["id"] for finding in report["findings"]}
        assert set(report["checks"]) <= IDS, words
    assert found <= IDS
    assert len(found) > 20


@pytest.mark.parametrize("form", [form for form in FORMATS if form not in ("text", "json")])
def test_formats_name_checks_only(form: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """JUnit has a case for what could not be read, which is a check as well."""
    broken = tmp_path / "Image"
    broken.write_bytes(b"")
    main(["image", str(broken), "--format", form])
    text = capsys.readouterr().out
    if form == "junit":
        names = {case.get("name") for case in ElementTree.fromstring(text).iter("testcase")}
        assert names == {"can-be-read"} <= IDS


@check(Severity.ERROR)
def toy_is_empty(facts: Toy) -> Iterator[Evidence]:
    """A toy is empty.

    Otherwise it is full. Empty it.
    Source: this test.
    """
    if facts.contents:
        yield Evidence(f"full of {facts.contents}", (Location("toy"),))


def test_what_facts_are_called() -> None:
    assert next(page_lines(toy_is_empty, Style(False))) == "toy-is-empty (error; needs a toy for tests)"
    assert "*error; needs a toy for tests*" in reference([toy_is_empty])
    for one in checks_of():
        assert re.fullmatch(r"[^ ]+ \(\w+; needs (an?|the|two) [^\n]+\)", next(page_lines(one, Style(False)))), one.id


def test_facts_are_run_like_artifacts() -> None:
    ((chosen, findings),) = run(toy_is_empty, [Image(SAMPLE / "Image"), Toy("sand")])
    assert chosen == (Toy("sand"),)
    assert [str(finding) for finding in findings] == ["toy: full of sand [toy-is-empty]"]


def test_pages_say_what_holds_why_it_matters_and_where_that_is_from() -> None:
    for one in checks_of():
        assert one.title.endswith(".") or one.title.endswith(":"), one.id
        lines = one.doc.splitlines()
        assert lines[1] == "", one.id
        assert len(lines) > 3, f"{one.id} does not say why it matters"
        assert any(line.startswith("Source: ") for line in lines), one.id
