"""Findings as text: those that are alike in many files are one, and places in packages do not repeat the package."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from kinspect.checks.check import Evidence, Finding, Severity
from kinspect.cli import main
from kinspect.errors import Location
from kinspect.reports.findings import findings_lines
from kinspect.reports.terminal import Style, visible_width
from tests.toy_dtb import Toy, toy
from tests.toy_package import tar_of, toy_deb

PLAIN = Style(False)


def finding(message: str, path: str, part: str = "", **values: int | str | bytes) -> Finding:
    evidence = Evidence(message, (Location(path, part),), values.get("expected"), values.get("actual"))
    return Finding("a-check", Severity.ERROR, evidence)


def shown(findings: list[Finding], *packages: str) -> list[str]:
    return list(findings_lines(findings, PLAIN, packages))


@pytest.mark.parametrize(
    "message",
    [
        lambda number: "padding is not zero",
        lambda number: f"1 name is longer, at 0x{number:x}" if number == 1 else f"{number} names are longer, at 0xa0",
        lambda number: f"{number * 999:,} modules need it" if number > 1 else "1 module needs it",
        lambda number: f"name_{number} is refused: name_{number} has no license",
        lambda number: f"cell {number} refers to mailbox@982{number}000",
    ],
)
def test_alike_in_many_files(message: Callable[[int], str]) -> None:
    found = [finding(message(number), f"/boot/dtbs/a/name-{number}.dtb", "/soc") for number in range(1, 8)]
    same = "the same" if message(1) == message(2) else "similar"
    assert shown(found) == [
        f"error     {message(1)}  [a-check]",
        "          /boot/dtbs/a/name-1.dtb: /soc",
        f"          {same} in 6 more files, such as name-2.dtb, name-3.dtb and name-4.dtb (--json lists them)",
    ]
    assert len(shown(found[:4])) == 8
    assert len(shown(found[:5])) == 3


@pytest.mark.parametrize(
    "message",
    [
        lambda name: f"{name} is not exported",
        lambda name: f"the symbol i2c_{name} is not exported",
    ],
)
def test_other_names_are_not_alike(message: Callable[[str], str]) -> None:
    found = [finding(message(name), f"{number}.ko") for number, name in enumerate("abcdefg")]
    assert len(shown(found)) == 14


def test_the_values_of_findings_that_are_alike() -> None:
    numbers = [finding("bad", f"{name}.dtb", expected=0, actual=ord(name)) for name in "abcdefg"]
    assert shown(numbers)[-1].startswith("          similar in 6 more files, such as b.dtb, c.dtb")
    texts = [finding("bad", f"{name}.dtb", expected="x", actual=f"of {name * 3}") for name in "abcdefg"]
    assert len(shown(texts)) == 14


def test_several_findings_in_a_file() -> None:
    found = [finding("bad", f"dtbs/{name}.dtb", f"/{part}") for name in "abcdef" for part in range(3)]
    assert shown(found)[1:] == [
        "          dtbs/a.dtb: /0",
        "          17 more findings like this in 6 files, such as b.dtb, c.dtb and d.dtb (--json lists them)",
    ]


def test_others_stay_in_their_order() -> None:
    alike = [finding("bad", f"{name}.dtb") for name in "abcdef"]
    other, note = finding("worse", "a.dtb"), Finding("b-check", Severity.INFO, Evidence("a note"))
    lines = shown([note, alike[0], other, *alike[1:]])
    assert [line.split("  ")[0] for line in lines if line[0] != " "] == ["error", "error", "info"]
    assert lines[3] == "error     worse  [a-check]"
    assert lines[-1] == "info      a note  [b-check]"


def test_findings_without_a_place() -> None:
    found = [Finding("a-check", Severity.ERROR, Evidence(f"{number} are bad")) for number in range(9)]
    assert len(shown(found)) == 9


def test_names_are_escaped() -> None:
    found = [finding("bad", f"{name}\x1b.dtb") for name in "abcdef"]
    assert "\x1b" not in "".join(shown(found))


def test_every_line_fits() -> None:
    found = [finding("bad", f"dtbs/{name * 40}.dtb") for name in "abcdef"]
    assert max(map(visible_width, findings_lines(found, Style(False, 80)))) <= 80


def test_places_in_packages() -> None:
    at = tuple(map(Location, ("p/image.deb:boot/Image", "p/image.deb:lib/a.ko", "out/vmlinux", "p/dbg.deb:vmlinux")))
    found = [Finding("a-check", Severity.ERROR, Evidence("bad", at))]
    assert shown(found, "p/image.deb", "p/dbg.deb")[1:] == [
        "          image.deb:",
        "            boot/Image",
        "            lib/a.ko",
        "          out/vmlinux",
        "          dbg.deb:",
        "            vmlinux",
    ]
    assert shown(found, "p/image.deb")[1:3] == ["          boot/Image", "          lib/a.ko"]
    assert shown(found, "p/image.deb", "q/image.deb")[1] == "          p/image.deb:"
    assert shown([finding("bad", "p/image.deb")], "p/image.deb")[1] == "          p/image.deb"


def test_device_trees_of_a_package(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = "usr/lib/linux-image-6.1/vendor"
    trees = {f"{folder}/board-{number}.dtb": toy(Toy("n" * (32 + number))) for number in range(6)}
    package = tmp_path / "image.deb"
    package.write_bytes(toy_deb(tar_of(trees)))
    assert main(["check", str(package), "--select", "dtb-names-are-short"]) == 0
    out = capsys.readouterr().out
    assert out.count("board-0") == 1
    assert f"\n          {folder}/board-0.dtb: " in out
    assert "similar in 5 more files, such as board-1.dtb, board-2.dtb and board-3.dtb (--json lists them)" in out
    assert main(["check", str(package), "--select", "dtb-names-are-short", "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)["findings"]
    assert [one["at"][0]["path"] for one in listed] == [f"{package}:{path}" for path in trees]


def test_many_paths_are_not_all_in_the_title(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    paths = [tmp_path / f"{number}.dtb" for number in range(6)]
    for path in paths:
        path.write_bytes(toy())
    assert main(["check", *map(str, paths)]) == 0
    assert capsys.readouterr().out.splitlines()[0] == f"{', '.join(map(str, paths[:3]))}, and 3 more"
    assert main(["check", *map(str, paths), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["facts"][0]["paths"] == list(map(str, paths))
