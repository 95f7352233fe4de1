"""Files are written whole or not at all, and never through what somebody else has put in the folder."""

import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from kinspect.cli import main
from kinspect.inspection.writing import write_in_folder, write_whole
from tests.conftest import SAMPLE

TREE = SAMPLE / "modules"
IMAGE, VMLINUX = SAMPLE / "Image", SAMPLE / "vmlinux"
Capture = pytest.CaptureFixture[str]


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    shutil.copytree(TREE / "lib", tmp_path / "lib")
    return tmp_path / "lib/modules/6.1.0-hello"


@pytest.mark.parametrize("name", ["modules.dep", "modules.dep.new", "modules.alias.bin", "modules.softdep"])
def test_depmod_follows_no_link_of_the_tree(name: str, tree: Path, capsys: Capture) -> None:
    victim = tree.parent.parent.parent / "victim"
    victim.write_text("precious\n")
    (tree / name).unlink(missing_ok=True)
    (tree / name).symlink_to(victim)
    assert main(["depmod", str(tree.parent.parent.parent)]) == 0
    assert victim.read_text() == "precious\n"
    assert (tree / name).is_symlink() == name.endswith(".new")
    assert not [entry for entry in os.listdir(tree) if entry.startswith(".")]


def test_depmod_opens_no_fifo_of_the_tree(tree: Path, capsys: Capture) -> None:
    for name in ("modules.alias.new", "modules.devname"):
        (tree / name).unlink(missing_ok=True)
        os.mkfifo(tree / name)
    command = [sys.executable, "-m", "kinspect", "depmod", str(tree)]
    assert subprocess.run(command, capture_output=True, timeout=30).returncode == 0
    assert (tree / "modules.alias.new").is_fifo()
    assert (tree / "modules.devname").is_file()


def test_depmod_does_not_write_where_a_link_of_the_tree_leads(tree: Path, tmp_path: Path, capsys: Capture) -> None:
    outside = tmp_path / "outside"
    tree.rename(outside)
    top = tmp_path / "top"
    (top / "lib/modules").mkdir(parents=True)
    (top / "lib/modules/6.1.0-hello").symlink_to(outside)
    before = (outside / "modules.dep").stat().st_mtime_ns
    assert main(["depmod", str(top)]) == 2
    assert "leads out of the folder" in capsys.readouterr().err
    assert (outside / "modules.dep").stat().st_mtime_ns == before
    # Named by the user, it is the folder that is meant.
    assert main(["depmod", str(top / "lib/modules/6.1.0-hello")]) == 0


def test_the_file_of_the_user_beside_the_output_is_left_alone(tmp_path: Path, capsys: Capture) -> None:
    (tmp_path / "out.new").write_text("mine")
    assert main(["unpack", str(IMAGE), "-o", str(tmp_path / "out")]) == 0
    assert (tmp_path / "out.new").read_text() == "mine"
    assert (tmp_path / "out").read_bytes() == IMAGE.read_bytes()
    assert sorted(os.listdir(tmp_path)) == ["out", "out.new"]


def test_of_writers_at_the_same_time_one_leaves_its_file(tmp_path: Path) -> None:
    contents = [bytes([number]) * (1 << 20) for number in range(4)]

    def write(data: bytes) -> None:
        for _ in range(5):
            write_whole(str(tmp_path / "out"), (data[at : at + 4096] for at in range(0, len(data), 4096)))

    threads = [threading.Thread(target=write, args=(data,)) for data in contents]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        if (tmp_path / "out").exists():
            assert (tmp_path / "out").read_bytes() in contents
    for thread in threads:
        thread.join()
    assert os.listdir(tmp_path) == ["out"]


def test_nothing_is_left_of_what_fails(tmp_path: Path) -> None:
    def broken() -> object:
        yield b"part"
        raise KeyboardInterrupt

    (tmp_path / "out").write_bytes(b"before")
    with pytest.raises(KeyboardInterrupt):
        write_in_folder(str(tmp_path), "out", broken())  # type: ignore[arg-type]
    assert os.listdir(tmp_path) == ["out"]
    assert (tmp_path / "out").read_bytes() == b"before"


def test_an_output_is_not_the_input(tmp_path: Path, capsys: Capture) -> None:
    copy = shutil.copy(VMLINUX, tmp_path / "vmlinux")
    (tmp_path / "link").symlink_to(copy)
    for out in ("vmlinux", "link"):
        assert main(["size", "--html", str(tmp_path / out), str(copy)]) == 2
        assert "is the input: it is not written to" in capsys.readouterr().err
    assert Path(copy).read_bytes() == VMLINUX.read_bytes()


def test_a_sparse_image_of_1_tib_is_not_unpacked(tmp_path: Path, capsys: Capture) -> None:
    image = tmp_path / "Image"
    image.write_bytes(IMAGE.read_bytes())
    os.truncate(image, 1 << 40)
    for out in (str(tmp_path / "out"), "-"):
        assert main(["unpack", str(image), "-o", out]) == 2
        assert "too large for a kernel" in capsys.readouterr().err
    assert os.listdir(tmp_path) == ["Image"]


@pytest.mark.parametrize(
    "words",
    [("unpack", IMAGE, "-o"), ("elf", IMAGE, "-o"), ("size", VMLINUX, "--html"), ("depmod", TREE, "-o")],
    ids=lambda words: str(words[0]),
)
def test_what_cannot_be_written_is_named_with_the_reason(
    words: tuple[str | Path, ...], tmp_path: Path, capsys: Capture
) -> None:
    (tmp_path / "file").touch()
    for out, reason in (
        (tmp_path / "file" / "out", "a file is where a folder should be"),
        (Path("/proc/out"), "no such folder"),
        *(() if words[0] == "depmod" else ((tmp_path / "gone" / "out", "no such folder"),)),
    ):
        assert main([*map(str, words), str(out)]) == 2
        assert capsys.readouterr().err == f"kinspect: {out}: cannot write: {reason}\n"
    assert os.listdir(tmp_path) == ["file"]
