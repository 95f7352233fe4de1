"""kinspect elf: what it says, what it writes, and what it leaves alone."""

import json
import os
from pathlib import Path

import jsonschema
import pytest

from kinspect.cli import main
from tests.conftest import ROOT, SAMPLE
from tests.toy_kallsyms import BASE, image
from tests.toy_zboot import squeezed

SCHEMA = json.loads((ROOT / "docs" / "report.schema.json").read_text())
Capture = pytest.CaptureFixture[str]


@pytest.fixture
def toy(tmp_path: Path) -> Path:
    path = tmp_path / "Image"
    path.write_bytes(image()[0])
    return path


def test_it_says_what_it_wrote_and_what_is_missing(toy: Path, tmp_path: Path, capsys: Capture) -> None:
    out = tmp_path / "vmlinux"
    main(["elf", str(toy), "-o", str(out)])
    said = capsys.readouterr().out
    assert said.startswith(f"{out}: ELF written from {toy}, {out.stat().st_size:,} bytes ")
    assert f"_text at  {BASE:#x}, from the relocation of kallsyms_relative_base\n" in said
    assert "symbols   701: " in said
    assert "  - debug information (DWARF): sources, lines, inlined functions\n" in said
    assert "  - sections that were not found: __ksymtab, " in said


def test_the_other_commands_take_what_it_wrote(toy: Path, tmp_path: Path, capsys: Capture) -> None:
    out = tmp_path / "vmlinux"
    main(["elf", str(toy), "-o", str(out)])
    assert main(["diff", str(out), str(toy)]) == 0
    assert main(["size", str(out), "--by", "symbol"]) == 0
    capsys.readouterr()
    for form in ("kallsyms", "csv"):
        main(["symbols", str(toy), "--format", form])
        theirs = capsys.readouterr().out.splitlines()
        main(["symbols", str(out), "--format", form])
        ours = capsys.readouterr().out.splitlines()
        assert set(theirs) <= set(ours)
        assert len(ours) == len(theirs) + 1  # _end


def test_json(toy: Path, tmp_path: Path, capsys: Capture) -> None:
    packed, out = tmp_path / "Image.gz", tmp_path / "vmlinux"
    packed.write_bytes(squeezed(toy.read_bytes(), "gzip"))
    main(["elf", str(packed), "-o", str(out), "--base", "ffff800008200000", "--json"])
    document = json.loads(capsys.readouterr().out)
    jsonschema.validate(document, SCHEMA)
    (facts,) = document["facts"]
    assert (facts["kind"], facts["start"], facts["known_from"]) == ("elf", "0xffff800008200000", "--base")
    assert (facts["layers"][0]["name"], facts["size"]) == ("gzip", out.stat().st_size)
    assert facts["symbols"]["total"] == 701
    assert facts["sections"][-1] == {"name": ".bss", "address": "0xffff800008240000", "size": 1835008, "letter": "b"}


def test_the_input_is_left_alone(toy: Path, tmp_path: Path, capsys: Capture) -> None:
    before = toy.read_bytes()
    link = tmp_path / "link"
    link.symlink_to(toy)
    for out in (toy, link):
        assert main(["elf", str(toy), "-o", str(out)]) == 2
        assert capsys.readouterr().err == f"kinspect: {out}: is the input: it is not written to\n"
    assert main(["elf", str(toy), "-o", str(tmp_path)]) == 2
    assert "is not a regular file" in capsys.readouterr().err
    assert (toy.read_bytes(), sorted(os.listdir(tmp_path))) == (before, ["Image", "link"])


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "--out: missing: expected a file"),
        (["-o", "-"], "--out: not possible: -: expected a file"),
        (["-o", "out", "--base", "_text"], "--base: not an address: expected up to 16 hexadecimal digits, found _text"),
        (["-o", "out", "--base", "ffffffffffffffff"], "the kernel does not fit at this address"),
    ],
)
def test_usage(words: list[str], said: str, tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["elf", str(SAMPLE / "Image"), *words]) == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n"), os.listdir()) == ("", 1, [])
    assert said in err


def test_a_vmlinux_is_one_already(tmp_path: Path, capsys: Capture) -> None:
    assert main(["elf", str(SAMPLE / "vmlinux"), "-o", str(tmp_path / "out")]) == 2
    assert "an arm64 Image" in capsys.readouterr().err
