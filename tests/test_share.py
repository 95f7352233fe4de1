"""What share/ brings to an installation: a man page, and completions that real shells take."""

import os
import pty
import re
import select
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from share.make import MADE, SHARE, commands
from tests.conftest import ROOT

MAN = SHARE / "man/man1/kinspect.1"
BASH, ZSH, FISH = (SHARE / name for name in list(MADE)[1:])


@pytest.mark.parametrize("name", MADE)
def test_what_is_committed_is_what_is_made(name: str) -> None:
    assert (SHARE / name).read_text() == MADE[name](commands()), "python share/make.py"


def test_the_man_page_has_no_warnings(tool: Callable[[str], str]) -> None:
    for command in (
        [tool("man"), "--warnings", "-E", "UTF-8", "-l", "-Tutf8", "-Z", str(MAN)],
        [tool("mandoc"), "-Tlint", "-W", "warning", str(MAN)],
    ):
        done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "MANROFFSEQ": ""})
        assert (done.returncode, done.stderr) == (0, "")
        assert "WARNING" not in done.stdout


def test_the_man_page_names_every_command_and_option(tool: Callable[[str], str]) -> None:
    done = subprocess.run([tool("mandoc"), "-Tutf8", "-O", "width=200", str(MAN)], capture_output=True, text=True)
    shown = done.stdout.replace("_\b", "")
    shown = "".join(shown[index] for index in range(len(shown)) if shown[index + 1 : index + 2] != "\b").replace(
        "\b", ""
    )
    for command in commands():
        assert f"kinspect {command.name} " in shown
        for option in command.options[:-1]:
            assert f"       {option.shown}" in shown


def after_tab(shell: list[str], load: str, typed: str, folder: Path) -> str:
    """What a line becomes by TAB in an interactive shell."""
    shim = folder / "kinspect"
    shim.write_text(f'#!/bin/sh\nPYTHONPATH={ROOT} exec {sys.executable} -m kinspect "$@"\n')
    shim.chmod(0o755)
    (folder / "Module.symvers").touch()
    ours, theirs = pty.openpty()
    environment = {
        "PATH": f"{folder}:{os.environ['PATH']}",
        "TERM": "dumb",
        "HOME": str(folder),
        "INPUTRC": "/dev/null",
    }
    child = subprocess.Popen(
        shell, stdin=theirs, stdout=theirs, stderr=theirs, env=environment, cwd=folder, start_new_session=True
    )
    os.close(theirs)
    try:
        said(ours, f"{load}; PS1=; PS2=; echo loa''ded\n", "\nloaded\n")
        # The line is printed, not run.
        return said(ours, f"{typed}\t\x01echo '<\x05>'\n", "\n<([^<>\n]*)>\n").rstrip()
    finally:
        child.kill()
        child.wait()
        os.close(ours)


def said(terminal: int, typed: str, wanted: str) -> str:
    """Type, and read until something is said: the last group of it."""
    os.write(terminal, typed.encode())
    text, end = "", time.monotonic() + 30
    while not (found := re.search(wanted, text)):
        assert time.monotonic() < end, text
        if select.select([terminal], [], [], 1)[0]:
            text += os.read(terminal, 1 << 16).decode(errors="replace").replace("\r", "")
    return found[found.re.groups]


TYPED = {
    "kinspect si": "kinspect size",
    "kinspect diff --ran": "kinspect diff --ranges",
    "kinspect image --format sa": "kinspect image --format sarif",
    "kinspect image --format=sa": "kinspect image --format=sarif",
    "kinspect size --sort na": "kinspect size --sort name",
    "kinspect symvers Mod": "kinspect symvers Module.symvers",
    "kinspect checks image-has": "kinspect checks image-has-a-banner",
}


@pytest.mark.parametrize("typed", TYPED)
def test_bash_completes(typed: str, tmp_path: Path, tool: Callable[[str], str]) -> None:
    shell = [tool("bash"), "--norc", "--noprofile", "-i"]
    assert after_tab(shell, f"source {BASH}", typed, tmp_path) == TYPED[typed]


@pytest.mark.parametrize("typed", TYPED)
def test_zsh_completes(typed: str, tmp_path: Path, tool: Callable[[str], str]) -> None:
    load = f"fpath=({ZSH.parent} $fpath); autoload -U compinit; compinit -u -D"
    assert after_tab([tool("zsh"), "-f", "-i"], load, typed, tmp_path) == TYPED[typed]


@pytest.mark.parametrize("typed", TYPED)
def test_fish_completes(typed: str, tmp_path: Path, tool: Callable[[str], str]) -> None:
    (tmp_path / "Module.symvers").touch()
    (tmp_path / "kinspect").write_text(f'#!/bin/sh\nPYTHONPATH={ROOT} exec {sys.executable} -m kinspect "$@"\n')
    (tmp_path / "kinspect").chmod(0o755)
    command = [tool("fish"), "--no-config", "-c", f"source {FISH}; complete -C '{typed}'"]
    environment = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "HOME": str(tmp_path)}
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=environment)
    wanted = TYPED[typed].split()[-1]
    assert [line.split("\t")[0] for line in done.stdout.splitlines()] == [wanted]
    assert done.stderr == ""


def test_a_wheel_brings_them(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", str(tmp_path), str(ROOT)]
    subprocess.run(command, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    names = {name.partition(".data/data/share/")[2] for name in zipfile.ZipFile(wheel).namelist()}
    assert set(MADE) <= names
