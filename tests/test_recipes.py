"""The scripts of docs/recipes.md ship a good build, and no other."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT, SAMPLE
from tests.toy_build import BOOT, edit, sample_build

PAGE = (ROOT / "docs/recipes.md").read_text()
LAUNCHER = f'#!/bin/sh\nexec "{sys.executable}" -m kinspect "$@"\n'


def script(language: str) -> str:
    (found,) = re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    return str(found)


def released(language: str, folder: Path) -> "subprocess.CompletedProcess[str]":
    (folder / "bin").mkdir(exist_ok=True)
    launcher = folder / "bin/kinspect"
    launcher.write_text(LAUNCHER)
    launcher.chmod(0o755)
    path = f"{folder / 'bin'}:{os.environ['PATH']}"
    interpreter = {"sh": "sh", "python": sys.executable}[language]
    command = [interpreter, "-c", script(language), "out", str(SAMPLE / "modules/lib/modules/6.1.0-hello"), "ship"]
    if language == "sh":
        command.insert(3, "release.sh")
    environment = os.environ | {"PYTHONPATH": str(ROOT), "PATH": path}
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, env=environment)


@pytest.mark.parametrize("language", ["sh", "python"])
def test_a_good_build_ships_and_a_bad_one_does_not(language: str, tmp_path: Path) -> None:
    out = sample_build(tmp_path / "out")
    done = released(language, tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    shipped = tmp_path / "ship" / ("Image-6.1.0-hello" if language == "sh" else "Image")
    assert shipped.read_bytes() == (out / BOOT / "Image").read_bytes()
    if language == "python":
        assert json.loads((tmp_path / "ship/about.json").read_text())["size"] == shipped.stat().st_size
    for path in (tmp_path / "ship").iterdir():
        path.unlink()
    edit(out / BOOT / "Image", lambda data: data[:-1] + bytes([data[-1] ^ 1]))
    done = released(language, tmp_path)
    assert done.returncode == 1
    assert "image-is-objcopy-of-vmlinux" in done.stdout + done.stderr
    assert not any((tmp_path / "ship").iterdir())
    (out / "vmlinux").unlink()
    done = released(language, tmp_path)
    assert done.returncode == 1
    assert "no vmlinux found" in done.stdout + done.stderr


def test_the_policy_is_one(tmp_path: Path) -> None:
    sample_build(tmp_path / "out")
    (tmp_path / "kinspect.toml").write_text(script("toml"))
    command = [sys.executable, "-m", "kinspect", "check", "out"]
    done = subprocess.run(
        command, cwd=tmp_path, capture_output=True, text=True, env=os.environ | {"PYTHONPATH": str(ROOT)}
    )
    assert "no modules found" in done.stdout
    assert "[weak-symbols-are-exported]" not in done.stdout
    assert "ignored by kinspect.toml (weak-symbols-are-exported)" in done.stdout
    assert (done.returncode, done.stderr) == (1, "")
