"""`kinspect dtb OVERLAY... --onto BASE`."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import jsonschema
import pytest

import kinspect
from kinspect.cli import main
from tests.conftest import ROOT, SAMPLE
from tests.toy_dtb import Toy, cells, toy

HELLO, LAMP = str(SAMPLE / "dtb" / "hello.dtb"), str(SAMPLE / "dtb" / "hello-lamp.dtbo")
SCHEMA = jsonschema.Draft202012Validator(json.loads((ROOT / "docs" / "report.schema.json").read_text()))
Capture = pytest.CaptureFixture[str]


def run(capsys: Capture, *words: str) -> tuple[int, str, str]:
    status = main(["dtb", *words])
    out, err = capsys.readouterr()
    assert "internal error" not in err
    return status, out, err


def test_the_text(capsys: Capture) -> None:
    status, out, err = run(capsys, LAMP, "--onto", HELLO)
    assert (status, err) == (0, "")
    assert "hello-lamp.dtbo: applies, 1 node added, properties: 4 added, 1 changed\n" in out
    assert '  ~  /soc@0/lamp@a000000  status: "disabled" -> "okay"\n' in out
    assert "  +  /soc@0/bell@a001000\n" in out
    assert out.endswith("good: 3 checks, nothing wrong\n")


def test_the_json(capsys: Capture) -> None:
    status, out, _ = run(capsys, LAMP, "--onto", HELLO, "--json")
    document = json.loads(out)
    SCHEMA.validate(document)
    (facts,) = document["facts"]
    (lamp,) = facts["overlays"]
    assert (status, facts["kind"], lamp["applied"], lamp["error"]) == (0, "overlays", True, None)
    assert {"node": "/soc@0/bell@a001000", "property": None, "old": None, "new": None} in lamp["changes"]
    status, out, _ = run(capsys, LAMP, LAMP, "--onto", HELLO, "--json")
    SCHEMA.validate(json.loads(out))
    assert status == 0


def test_what_does_not_apply(capsys: Capture, tmp_path: Path) -> None:
    base, out_path = tmp_path / "base.dtb", tmp_path / "out.dtb"
    base.write_bytes(toy(Toy("soc", [("phandle", cells(1))])))
    status, out, _ = run(capsys, LAMP, "--onto", str(base), "-o", str(out_path))
    assert status == 1
    assert "the base has no labels, and so no lamp: compile it with `dtc -@` (FDT_ERR_NOTFOUND)" in out
    assert not out_path.exists()
    status, out, _ = run(capsys, LAMP, "--onto", str(base), "--json")
    SCHEMA.validate(json.loads(out))
    status, out, _ = run(capsys, LAMP, "--onto", str(base), "--tree")
    assert (status, "does not apply" in out) == (1, True)


def test_the_merged_tree_is_written(capsys: Capture, tmp_path: Path, tool: Callable[[str], str]) -> None:
    out, expected = tmp_path / "out.dtb", tmp_path / "expected.dtb"
    subprocess.run([tool("fdtoverlay"), "-i", HELLO, "-o", str(expected), LAMP], check=True)
    assert run(capsys, LAMP, "--onto", HELLO, "-o", str(out))[0] == 0
    assert out.read_bytes() == expected.read_bytes()
    assert run(capsys, str(out))[0] == 0


def test_standard_output(capfdbinary: pytest.CaptureFixture[bytes], tmp_path: Path) -> None:
    out = tmp_path / "out.dtb"
    report = kinspect.overlay(HELLO, [LAMP], out)
    assert report.facts[0].written == str(out)
    assert main(["dtb", LAMP, "--onto", HELLO, "-o", "-"]) == 0
    assert capfdbinary.readouterr().out == out.read_bytes()


def test_the_source_of_the_merged_tree(capsys: Capture) -> None:
    status, out, _ = run(capsys, LAMP, "--onto", HELLO, "--path", "/soc/bell")
    assert status == 0
    assert out.startswith("bell@a001000 {\n")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((LAMP, "-o", "out"), "--onto: missing: expected the device tree that the overlays are applied to"),
        ((HELLO, "--onto", LAMP), "hello-lamp.dtbo: wrong kind of device tree: expected a device tree, found a device"),
        ((HELLO, "--onto", HELLO), "hello.dtb: wrong kind of device tree: expected a device tree overlay, found a"),
        ((LAMP, "--onto", HELLO, "-o", HELLO), "is the input: it is not written to"),
        ((LAMP, "--onto", HELLO, "--dtc", "new"), "--dtc: not a version: expected a version such as 1.7.1, found new"),
        ((LAMP, "--onto", "/nowhere"), "/nowhere: No such file or directory"),
    ],
)
def test_usage_errors(words: tuple[str, ...], message: str, capsys: Capture) -> None:
    status, _, err = run(capsys, *words)
    assert status == 2
    assert message in err
    assert len(err.splitlines()) == 1
