"""The documentation shows what really happens.

Every ```console block of README and docs/ is run in a copy of samples/hello, which has nothing but what is committed:
what else a page needs, a command on that page makes. Every ```python block is run there and type-checked.
`python -m tests.test_docs` writes the output in the blocks anew.
"""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from samples.hello.examples import MADE, make_examples
from tests.conftest import ROOT, SAMPLE

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
CONSOLE = re.compile(r"^```console\n(.*?)^```$", re.M | re.S)
PYTHON = re.compile(
    r"(?:`python3 (?P<run>\S+\.py[^`]*)`:\n\n)?^```python\n(?P<code>.*?)^```$", re.MULTILINE | re.DOTALL
)
LINK = re.compile(r"\]\(([^)#:\s]+)(?:#([^)\s]+))?\)")


def sample_in(folder: Path) -> Path:
    """A copy of the sample as it is committed, and programs named kinspect and python3 beside it."""
    copy = folder / "hello"
    shutil.copytree(SAMPLE, copy, ignore=shutil.ignore_patterns(*MADE, "__pycache__"))
    programs = folder / "bin"
    programs.mkdir()
    for name, arguments in (("kinspect", "-m kinspect "), ("python3", "")):
        (programs / name).write_text(f'#!/bin/sh\nexec "{sys.executable}" {arguments}"$@"\n')
        (programs / name).chmod(0o755)
    return copy


def environment(copy: Path) -> dict[str, str]:
    path = f"{copy.parent / 'bin'}:{os.environ['PATH']}"
    return os.environ | {"PATH": path, "PYTHONPATH": str(ROOT), "LC_ALL": "C.UTF-8"}


def replayed(block: str, copy: Path) -> str:
    """A console block with what its commands print now; standard error comes last."""
    lines = []
    for line in block.splitlines():
        if not line.startswith("$ "):
            continue
        done = subprocess.run(
            ["sh", "-c", line.removeprefix("$ ")], cwd=copy, capture_output=True, text=True, env=environment(copy)
        )
        lines += [line, *(done.stdout + done.stderr).splitlines()]
    return "".join(f"{line}\n" for line in lines)


class Script(NamedTuple):
    """A Python program of a page: its name, its arguments, its code."""

    name: str
    arguments: list[str]
    code: str


def scripts(page: Path) -> Iterator[Script]:
    """The Python of a page: each block that is called by `python3 NAME ARGUMENTS:`, then all other blocks, joined."""
    joined = []
    for block in PYTHON.finditer(page.read_text()):
        if block["run"]:
            name, *arguments = block["run"].split()
            yield Script(name, arguments, block["code"])
        else:
            joined.append(block["code"])
    if joined:
        yield Script("page.py", [], "\n".join(joined))


def pages_with(pattern: re.Pattern[str]) -> list[Path]:
    return [page for page in PAGES if pattern.search(page.read_text())]


def anchors(page: Path) -> set[str]:
    """The headings of a page, as links name them."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(), re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_there_are_blocks() -> None:
    assert len(pages_with(CONSOLE)) >= 4
    assert len(pages_with(PYTHON)) >= 3


@pytest.mark.parametrize("page", pages_with(CONSOLE), ids=lambda page: page.name)
def test_console_blocks_show_what_is_printed(page: Path, tmp_path: Path) -> None:
    copy = sample_in(tmp_path)
    for block in CONSOLE.findall(page.read_text()):
        assert block == replayed(block, copy), "python -m tests.test_docs"


@pytest.mark.parametrize("page", pages_with(PYTHON), ids=lambda page: page.name)
def test_python_blocks_run(page: Path, tmp_path: Path) -> None:
    copy = sample_in(tmp_path)
    make_examples(copy)
    for script in scripts(page):
        (copy / script.name).write_text(script.code)
        command = [sys.executable, "-W", "error", script.name, *script.arguments]
        done = subprocess.run(command, cwd=copy, capture_output=True, text=True, env=environment(copy))
        assert done.returncode == 0, f"{script.name} of {page.name}: {done.stderr}"


def test_python_blocks_have_the_right_types(tmp_path: Path) -> None:
    paths = []
    for page in pages_with(PYTHON):
        for script in scripts(page):
            path = tmp_path / f"{page.stem}_{script.name}".replace("-", "_")
            path.write_text(script.code)
            paths.append(str(path))
    command = [sys.executable, "-m", "mypy", "--strict", "--cache-dir", str(ROOT / ".mypy_cache"), *paths]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, env=os.environ | {"MYPYPATH": str(ROOT)})
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    "page", [*PAGES, *ROOT.glob("[CS]*.md"), SAMPLE / "README.md"], ids=lambda page: str(page.relative_to(ROOT))
)
def test_links_lead_somewhere(page: Path) -> None:
    for target, anchor in LINK.findall(page.read_text()):
        found = page.parent / target
        assert found.exists(), target
        if anchor:
            assert anchor in anchors(found), f"{target}#{anchor}"


def rewrite(page: Path, folder: Path) -> None:
    """Run the console blocks of a page, and write what they print in it."""
    copy = sample_in(folder)
    page.write_text(CONSOLE.sub(lambda block: f"```console\n{replayed(block[1], copy)}```", page.read_text()))


if __name__ == "__main__":
    from tempfile import TemporaryDirectory

    for each in pages_with(CONSOLE):
        with TemporaryDirectory() as scratch:
            rewrite(each, Path(scratch))
