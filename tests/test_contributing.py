"""CONTRIBUTING.md says what it takes to add a kind, a check, a command and a format. Here a copy of the package gets
exactly that, and runs."""

import json
import os
import re
import shutil
import struct
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
BLOCK = re.compile(r"^```(python\n# |diff\n--- )(kinspect/\S+\.py)\n((?:.*\n)*?)```$", re.MULTILINE)
DATA = b"kernel"


def blocks() -> list[tuple[str, str, str]]:
    text = (ROOT / "CONTRIBUTING.md").read_text()
    return [(kind.split("\n")[0], path, body) for kind, path, body in BLOCK.findall(text)]


def changed(text: str, diff: str) -> str:
    """A text with the lines of a diff applied: what is taken away or kept must be there, once."""
    before = "".join(line[1:] + "\n" for line in diff.splitlines() if line[0] != "+")
    after = "".join(line[1:] + "\n" for line in diff.splitlines() if line[0] != "-")
    assert text.count(before) == 1, before
    return text.replace(before, after)


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a copy of the package, with everything added that CONTRIBUTING.md adds."""
    folder = tmp_path_factory.mktemp("copy")
    shutil.copytree(ROOT / "kinspect", folder / "kinspect", ignore=shutil.ignore_patterns("__pycache__"))
    for kind, name, body in blocks():
        path = folder / name
        if kind == "diff":
            path.write_text(changed(path.read_text(), body))
        else:
            assert not path.exists(), name
            path.write_text(body)
    return folder


def kpart(path: Path, announced: int = 24 + len(DATA)) -> Path:
    path.write_bytes(struct.pack("<8s2IQ", b"CHROMEOS", 2, 1, announced) + DATA)
    return path


def kinspect(package: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "kinspect", *arguments]
    environment = {**os.environ, "PYTHONPATH": str(package)}
    return subprocess.run(command, cwd=package, env=environment, capture_output=True, text=True)


def test_nothing_but_files_and_rows_is_added() -> None:
    kinds = [kind for kind, _, _ in blocks()]
    assert kinds.count("diff") == 3  # a kind, a command, a format
    assert kinds.count("python") == 7


def test_the_kind_and_its_text(package: Path, tmp_path: Path) -> None:
    good = kpart(tmp_path / "kpart")
    done = kinspect(package, "kpart", str(good))
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(f"{good}: ChromeOS kernel partition, 30 bytes\n")
    assert "  version  2.1\n" in done.stdout
    assert done.stdout.endswith("good: 1 check, nothing wrong\n")


def test_the_check_and_the_json(package: Path, tmp_path: Path) -> None:
    done = kinspect(package, "kpart", "--json", str(kpart(tmp_path / "kpart", announced=70)))
    assert done.returncode == 1
    document = json.loads(done.stdout)
    assert document["facts"][0]["kind"] == "kpart"
    assert document["facts"][0]["keyblock_size"] == 70
    assert [finding["id"] for finding in document["findings"]] == ["keyblock-is-whole"]
    page = kinspect(package, "checks", "keyblock-is-whole")
    assert "The file contains all of the keyblock that the header declares." in page.stdout


def test_the_library_and_every_other_command_know_the_kind(package: Path, tmp_path: Path) -> None:
    cut = kpart(tmp_path / "kpart", announced=70)
    script = f"import kinspect; print([found.id for found in kinspect.inspect({str(cut)!r}).findings])"
    done = subprocess.run([sys.executable, "-c", script], cwd=package, capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("['keyblock-is-whole']\n", "")
    assert kinspect(package, "check", str(cut)).returncode == 1
    assert "expected an arm64 Image, found a ChromeOS kernel partition" in kinspect(package, "image", str(cut)).stderr


def test_the_command_is_in_the_help_and_the_format_is_taken_by_all(package: Path, tmp_path: Path) -> None:
    assert "Show and check ChromeOS kernel partitions." in kinspect(package, "--help").stdout
    assert "ChromeOS kernel partitions." in kinspect(package, "kpart", "--help").stdout
    cut = str(kpart(tmp_path / "kpart", announced=70))
    assert kinspect(package, "kpart", cut, "--format", "ids").stdout == "keyblock-is-whole\n"
    assert kinspect(package, "check", cut, "--format", "ids").stdout.split() == ["keyblock-is-whole"]
