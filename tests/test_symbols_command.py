"""`kinspect symbols`: what nm and /proc/kallsyms print, symbols by name and by address, of every kind of kernel."""

import csv
import gzip
import io
import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import jsonschema
import pytest

import kinspect
from kinspect.cli import main
from tests.conftest import ROOT, SAMPLE, kernel_named
from tests.toy_kallsyms import BASE, image, symbols
from tests.views.kernel.test_image_symbols import ALL_KERNELS

NM = "aarch64-linux-gnu-nm"
SCHEMA = json.loads((ROOT / "docs" / "report.schema.json").read_text())
TOYS = symbols()
MODULE = "modules/lib/modules/6.1.0-hello/kernel/lib/hello_text.ko"


def run(capsys: pytest.CaptureFixture[str], *words: str, status: int = 0) -> str:
    assert main(["symbols", *words]) == status
    done = capsys.readouterr()
    return done.out if not status else done.err


def nm(tool: Callable[[str], str], path: Path | str) -> str:
    command = [tool(NM), str(path)]
    return subprocess.run(command, capture_output=True, text=True, check=True, env={**os.environ, "LC_ALL": "C"}).stdout


@pytest.fixture
def toy(tmp_path: Path) -> str:
    path = tmp_path / "Image"
    path.write_bytes(image(TOYS, "7.0")[0])
    return str(path)


@pytest.fixture
def unknown(tmp_path: Path) -> str:
    """An Image that does not say where it was linked."""
    path = tmp_path / "unknown"
    path.write_bytes(image(TOYS, "7.0", pairs=False)[0])
    return str(path)


@pytest.mark.parametrize("name", ["vmlinux", MODULE])
def test_nm_on_the_sample(name: str, tool: Callable[[str], str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(capsys, str(SAMPLE / name), "--format", "nm") == nm(tool, SAMPLE / name)


@pytest.mark.corpus
@pytest.mark.parametrize("name", ALL_KERNELS)
def test_nm_on_real_kernels(name: str, tool: Callable[[str], str], capsys: pytest.CaptureFixture[str]) -> None:
    path = kernel_named(name).vmlinux
    assert run(capsys, path, "--format", "nm") == nm(tool, path)


@pytest.mark.corpus
def test_nm_on_real_modules(tool: Callable[[str], str], capsys: pytest.CaptureFixture[str]) -> None:
    found = sorted((kernel_named("bookworm-cloud").folder / "lib").rglob("*.ko"))[::100]
    assert len(found) >= 5
    for path in found:
        assert run(capsys, str(path), "--format", "nm") == nm(tool, path)


@pytest.mark.corpus
def test_an_image_and_its_vmlinux_list_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    kernel = kernel_named("trixie-cloud")
    ours = run(capsys, kernel.image, "--format", "kallsyms").splitlines()
    theirs = run(capsys, kernel.vmlinux, "--format", "kallsyms").splitlines()
    assert len(ours) > 100_000
    assert set(ours) <= set(theirs)


def test_text_and_kallsyms(toy: str, capsys: pytest.CaptureFixture[str]) -> None:
    expected = [f"{BASE + one.offset:016x} {one.letter} {one.name}" for one in TOYS]
    assert run(capsys, toy).splitlines() == run(capsys, toy, "--format", "kallsyms").splitlines() == expected


def test_a_compressed_image(toy: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    packed = tmp_path / "Image.gz"
    packed.write_bytes(gzip.compress(Path(toy).read_bytes()))
    assert run(capsys, str(packed)) == run(capsys, toy)


@pytest.mark.parametrize(
    ("pattern", "number"),
    [
        ("_text", 1), ("init_*", 3), ("init_[mt]*", 2), ("^init_", 3), ("init_mm|init_task", 2), ("text", 0),
        (".*text$", 2), ("*.cold", 692), ("nothing", 0),
    ],
)  # fmt: skip
def test_match(pattern: str, number: int, toy: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert len(run(capsys, toy, "--match", pattern).splitlines()) == number


def test_an_address_that_is_not_known(unknown: str, capsys: pytest.CaptureFixture[str]) -> None:
    text = run(capsys, unknown, "--match", "_stext").splitlines()
    assert text[0] == "         +0x1000 T _stext"
    assert "--base" in text[-1]
    for words in (("--format", "nm"), ("--format", "kallsyms"), ("--at", "1000")):
        assert "--base" in run(capsys, unknown, *words, status=2)
    moved = run(capsys, unknown, "--base", "0xffff000000000000", "--match", "_stext", "--format", "nm")
    assert moved == "ffff000000001000 T _stext\n"


def test_base_of_a_vmlinux(capsys: pytest.CaptureFixture[str]) -> None:
    before = run(capsys, str(SAMPLE / "vmlinux"), "--match", "_end").split()[0]
    start = run(capsys, str(SAMPLE / "vmlinux"), "--match", "_text").split()[0]
    after = run(capsys, str(SAMPLE / "vmlinux"), "--match", "_end", "--base", "ffff900000000000").split()[0]
    assert int(after, 16) - 0xFFFF900000000000 == int(before, 16) - int(start, 16)


def test_at(toy: str, capsys: pytest.CaptureFixture[str]) -> None:
    places = [BASE - 1, BASE, BASE + 0x1008, BASE + 0x6004, BASE + 0x6300, BASE + 0x9000]
    words = ",".join(f"{place:x}" for place in places)
    assert run(capsys, toy, "--at", words).splitlines() == [
        f"{BASE - 1:016x} ? not in the kernel",
        f"{BASE:016x} T _text+0x0/0x1000",
        f"{BASE + 0x1008:016x} T _stext+0x8/0x10",
        f"{BASE + 0x6004:016x} D init_mm+0x4/0x100",
        f"{BASE + 0x6300:016x} D init_cred+0x0",
        f"{BASE + 0x9000:016x} ? not in the kernel",
    ]


def test_json_and_csv(toy: str, unknown: str, capsys: pytest.CaptureFixture[str]) -> None:
    module = str(SAMPLE / MODULE)
    every = [(toy,), (unknown,), (module,), (str(SAMPLE / "vmlinux"),), (toy, "--at", "0,ffff800008000000")]
    for words in every:
        document = json.loads(run(capsys, *words, "--json"))
        jsonschema.validate(document, SCHEMA)
        rows = list(csv.reader(io.StringIO(run(capsys, *words, "--format", "csv"))))
        facts = document["facts"][0]
        assert len(rows) == len(facts["symbols" if "symbols" in facts else "places"]) + 1
    facts = json.loads(run(capsys, toy, "--json"))["facts"][0]
    assert [(one["offset"], one["type"], one["name"]) for one in facts["symbols"]] == TOYS
    assert (facts["total"], facts["start"], facts["table"]) == (len(TOYS), f"{BASE:#x}", "kallsyms")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--at", "zz"), "not an address"),
        (("--at", "1" * 17), "not an address"),
        (("--base", ""), "not an address"),
        (("--at", "1", "--match", "a"), "not possible with --match"),
        (("--at", "1", "--format", "nm"), "not possible with --format nm"),
        (("--match", "(a"), "not a regular expression"),
        (("--match", "a" * 300), "too long"),
        (("--format", "xml"), "unknown value"),
    ],
)
def test_usage_errors(words: tuple[str, ...], message: str, toy: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert message in run(capsys, toy, *words, status=2)


@pytest.mark.parametrize("name", ["dtb/hello.dtb", "Image", "out/Module.symvers"])
def test_files_without_symbols(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(capsys, str(SAMPLE / name), status=2).count("\n") == 1


@pytest.mark.parametrize("option", ["--base", "--at"])
def test_modules_have_no_address(option: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert "no fixed address" in run(capsys, str(SAMPLE / MODULE), option, "1", status=2)


def test_the_library(toy: str) -> None:
    report = kinspect.symbols(toy, match="init_*")
    facts = report.facts[0]
    assert isinstance(facts, kinspect.SymbolsFacts)
    assert list(facts.names) == ["init_mm", "init_task", "init_cred"]
    placed = kinspect.symbols(toy, addresses=[BASE + 0x6004]).facts[0]
    assert isinstance(placed, kinspect.PlacedFacts)
    assert placed.places[0].symbol == "init_mm"
