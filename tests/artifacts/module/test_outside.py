"""Files beside the modules that are links: those that lead out of the tree are found, and never opened."""

import shutil
from pathlib import Path

import pytest

from kinspect.artifacts.module.tree import FROM_BUILD, INDEXES, TEXTS, ModuleTree
from kinspect.cli import main
from tests.conftest import SAMPLE

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    shutil.copytree(SAMPLE / "modules/lib", tmp_path / "top/lib")
    return tmp_path / "top/lib/modules/6.1.0-hello"


@pytest.mark.parametrize("name", [f"modules.{name}" for name in (*TEXTS, *INDEXES, *FROM_BUILD)])
def test_a_link_out_of_the_tree_is_not_opened(name: str, tree: Path, tmp_path: Path, capsys: Capture) -> None:
    secret = tmp_path / "secret"
    secret.write_text("kernel/hunter2.ko: kernel/hunter2.ko\n" * 3)
    (tree / name).unlink(missing_ok=True)
    (tree / name).symlink_to(secret)
    for folder in (tree, tmp_path / "top"):
        for command in (["modules"], ["check"], ["modules", "--json"]):
            main([*command, str(folder)])
            out, err = capsys.readouterr()
            assert "a link that leads out of the tree: it is not read" in out
            assert "hunter2" not in out + err
    assert ModuleTree(tree).source_of(name) is None
    assert ModuleTree(tree).text(name) is None


def test_a_link_inside_the_tree_is_followed(tree: Path) -> None:
    (tree / "modules.dep").rename(tree / "here")
    (tree / "modules.dep").symlink_to("here")
    assert ModuleTree(tree).text("modules.dep") == (tree / "here").read_bytes()
    assert not ModuleTree(tree).faults
