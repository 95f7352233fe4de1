"""`kinspect size` as its users meet it: budgets, savings, pages, maps, formats."""

import json
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest

from tests.conftest import ROOT, SAMPLE, Build, Kernel

VMLINUX, IMAGE = str(SAMPLE / "vmlinux"), str(SAMPLE / "Image")
SCHEMA = json.loads((ROOT / "docs" / "report.schema.json").read_text())


def size(*words: str) -> subprocess.CompletedProcess[str]:
    """Run the command."""
    command = [sys.executable, "-m", "kinspect", "size", *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=120)


@pytest.mark.parametrize(
    "words",
    [
        (VMLINUX, "--by", "folder,symbol"),
        (VMLINUX, IMAGE, "--by", "kind"),
        (VMLINUX, "--against", VMLINUX),
        (VMLINUX, "--savings"),
        (VMLINUX, "--savings", "--by", "kind"),
        (VMLINUX, "--domain", "vmlinux", "--by", "kind,section"),
        (VMLINUX, "--section", ".text", "--by", "symbol", "--match", "e"),
    ],
    ids=" ".join,
)
def test_documents_are_valid(words: tuple[str, ...]) -> None:
    done = size(*words, "--json")
    jsonschema.validate(json.loads(done.stdout), SCHEMA)
    assert done.returncode == 0
    quiet = size(*words, "-q")
    assert (quiet.returncode, quiet.stdout, quiet.stderr) == (0, "", "")
    assert size(*words).stdout.startswith(VMLINUX)


def test_a_budget_that_is_kept_and_one_that_broke(tmp_path: Path) -> None:
    budget = tmp_path / "budget.toml"
    budget.write_text('[image]\nimage_size = "1 MiB"\n')
    assert size(VMLINUX, "--budget", str(budget)).stdout.endswith("good: 1 check, nothing wrong\n")
    budget.write_text('[image]\nimage_size = "100 KiB"\n')
    done = size(VMLINUX, "--budget", str(budget))
    assert done.returncode == 1
    assert "expected at most 102,400 bytes, found 196,608" in done.stdout
    assert done.stdout.endswith("not good: 1 of 1 check failed\n")
    budget.write_text("[image]\nsize = 1\n")
    done = size(VMLINUX, "--budget", str(budget))
    assert done.returncode == 2
    assert done.stderr.startswith(f"kinspect: {budget}: image")


FORMATTED = {
    "text": "not good: 1 of 1 check failed\n",
    "json": '"exit_code": 1,',
    "jsonl": '{"finding": {"id": "sizes-are-within-budget"',
    "github": "title=sizes-are-within-budget::",
    "sarif": '"ruleId": "sizes-are-within-budget"',
    "junit": 'failures="1"',
    "markdown": "## ❌ kinspect: not good: 1 of 1 check failed\n",
    "csv": "memory",
}


@pytest.mark.parametrize("more", [(), ("--savings",), ("--by", "kind")], ids=" ".join)
@pytest.mark.parametrize("form", FORMATTED)
def test_a_budget_works_with_every_format(form: str, more: tuple[str, ...], tmp_path: Path) -> None:
    budget, page = tmp_path / "budget.toml", tmp_path / "page.html"
    budget.write_text('[image]\nimage_size = "100 KiB"\n')
    done = size(VMLINUX, "--budget", str(budget), "--format", form, *more)
    assert (done.returncode, done.stderr) == (1, "")
    assert FORMATTED[form] in done.stdout
    if form != "csv" or not more:
        done = size(VMLINUX, "--budget", str(budget), "--format", form, "--html", str(page))
        assert (done.returncode, done.stderr) == (1, "")
        assert FORMATTED[form] in done.stdout
        assert page.read_text().startswith("<!doctype html>")


def test_savings_are_shown_alone_or_after_groups() -> None:
    alone = size(VMLINUX, "--savings")
    assert alone.stdout.startswith(f"{VMLINUX}: what could be saved\n")
    assert alone.stdout == size(VMLINUX, "--waste").stdout
    groups = size(VMLINUX, "--by", "kind").stdout
    assert size(VMLINUX, "--by", "kind", "--savings").stdout == f"{groups}\n{alone.stdout}"
    assert size(VMLINUX, IMAGE, "--savings").stdout.endswith("good: 2 checks, nothing wrong\n")
    both = size(VMLINUX, "--by", "kind", "--savings", "--csv")
    assert (both.returncode, both.stderr) == (2, "kinspect: --format csv: more than one kind of table\n")


def test_a_page_is_written_whole_or_not(tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    assert size(VMLINUX, "--html", str(page)).stdout == f"{page}: written; open it in a browser\n"
    assert page.read_text().startswith("<!doctype html>")
    assert list(tmp_path.iterdir()) == [page]
    done = size(VMLINUX, "--html", "/dev/full")
    assert done.returncode == 2
    assert done.stderr.startswith("kinspect: /dev/full: ")


def test_bytes_of_the_image_come_first_when_they_are_asked_for() -> None:
    lines = size(VMLINUX, "--by", "section", "--domain", "file", "--top", "0").stdout.splitlines()
    names = [line.split()[0] for line in lines[3:-1]]
    assert names.index(".bss") > names.index("__ex_table")
    csv = size(VMLINUX, "--by", "section", "--csv").stdout
    assert csv == size(VMLINUX, "--by", "section", "--format", "csv").stdout
    assert csv.startswith("path,file,memory\n")


def test_options_that_are_not_possible() -> None:
    done = size(VMLINUX, "--by", "colour")
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith("kinspect: --by: not possible: expected each of section, ")
    assert size(VMLINUX, "--format", "pdf").stderr.startswith("kinspect: --format: unknown value")
    done = size(VMLINUX, "--csv", "--format", "sarif")
    assert done.stderr == "kinspect: --format: not possible with --csv: expected csv, found sarif\n"
    assert size(VMLINUX, "--domain", "vmlinux", "--against", VMLINUX).stderr.startswith(
        "kinspect: --domain: not possible"
    )


def test_a_map_that_is_none(tmp_path: Path) -> None:
    path = tmp_path / "vmlinux.map"
    path.write_text("nothing\n")
    done = size(VMLINUX, "--by", "source", "--map", str(path))
    assert done.returncode == 2
    assert done.stderr.startswith(f"kinspect: {path}:1: not a linker map: ")
    assert done.stderr.count("\n") == 1


@pytest.mark.corpus
def test_the_page_of_a_real_kernel_is_small(kernels: tuple[Kernel, Kernel], tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    old, new = kernels
    assert size(new.vmlinux, "--against", old.vmlinux, "--html", str(page)).returncode == 0
    assert page.stat().st_size < 5_000_000


@pytest.mark.corpus
def test_folders_of_a_real_build(build: Build) -> None:
    """An O= folder inside the sources, absolute names, generated files: the folders are the kernel's own."""
    document = json.loads(size(str(build.out / "vmlinux"), "--by", "folder", "--depth", "1", "--json").stdout)
    names = {group["name"] for group in document["facts"][0]["groups"]}
    assert names >= {"arch", "drivers", "fs", "kernel", "lib", "mm"}
    assert not {name for name in names if name.startswith(("/", "..")) or name in ("home", "out", "source")}
