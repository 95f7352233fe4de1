"""The folder that packages are unpacked to: nobody else can read it, and it is gone on every way out."""

import os
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import kinspect
from kinspect.inspection.package.private_folder import private_folder
from tests.packaged_sample import IMAGE, TREE, Tool, deb, kernel_folders, temporary
from tests.toy_tree import ko

MANY = 4000
Start = Callable[..., "subprocess.Popen[bytes]"]


@pytest.fixture(scope="module")
def large(tool: Tool, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A package that takes a while to unpack, and to check."""
    folder = kernel_folders(tmp_path_factory.mktemp("large"))[IMAGE]
    for number in range(MANY):
        (folder / TREE / f"kernel/m{number}.ko").write_bytes(ko([f"s{number}"]) + bytes(9000))
    return deb(tool("dpkg-deb"), folder, IMAGE, "-Znone")


def unpacking(place: Path) -> bool:
    """Whether some members have been unpacked, and not all."""
    return any(place.glob(f"*/0/{TREE}/kernel/m1*.ko")) and not any(place.glob("*/all"))


def checking(place: Path) -> bool:
    """Whether the processes that read modules have begun."""
    return any(place.glob(f"*/all/{TREE}/kernel/m{MANY - 1}.ko"))


def children(process: int) -> list[str]:
    return Path(f"/proc/{process}/task/{process}/children").read_text().split()


@pytest.fixture
def started(tmp_path: Path) -> Iterator[Start]:
    """Starts kinspect, and returns when it is at some point of its work."""
    begun: list[subprocess.Popen[bytes]] = []

    def start(reached: Callable[[Path], bool], *arguments: str | Path) -> subprocess.Popen[bytes]:
        words = [sys.executable, "-m", "kinspect", *map(str, arguments)]
        environment = temporary(tmp_path)
        child = subprocess.Popen(words, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        begun.append(child)
        end = time.monotonic() + 60
        while not reached(tmp_path / "temporary"):
            assert child.poll() is None
            assert time.monotonic() < end
            time.sleep(0.002)
        return child

    yield start
    for child in begun:
        child.kill()
        child.wait()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("point", [unpacking, checking])
def test_a_signal_ends_the_program_and_the_folder(
    number: signal.Signals,
    point: Callable[[Path], bool],
    started: Start,
    large: Path,
    tmp_path: Path,
) -> None:
    child = started(point, "check", large)
    child.send_signal(number)
    assert child.wait() in (130, -number)
    assert list((tmp_path / "temporary").iterdir()) == []


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_removes_every_folder(number: signal.Signals, started: Start, large: Path, tmp_path: Path) -> None:
    """Two packages that are not one build have a folder each."""
    other = tmp_path / "other.deb"
    other.symlink_to(large)

    def both(place: Path) -> bool:
        return (
            any(place.glob("*/all"))
            and any(place.glob(f"*/0/{TREE}/kernel/m1*.ko"))
            and len(list(place.iterdir())) == 2
        )

    child = started(both, "load", large, other)
    child.send_signal(number)
    assert child.wait() in (130, -number)
    assert list((tmp_path / "temporary").iterdir()) == []


@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="one processor needs no other process")
def test_a_worker_that_ends_leaves_the_folder(started: Start, large: Path, tmp_path: Path) -> None:
    child = started(checking, "check", large)
    end = time.monotonic() + 60
    while len(children(child.pid)) < 2:
        assert child.poll() is None
        assert time.monotonic() < end
        time.sleep(0.002)
    worker = children(child.pid)[0]
    # It is not to go on before the folder was looked at.
    child.send_signal(signal.SIGSTOP)
    os.kill(int(worker), signal.SIGTERM)
    while Path(f"/proc/{worker}/stat").read_text().rpartition(")")[2].split()[0] != "Z":
        time.sleep(0.002)
    assert checking(tmp_path / "temporary")
    child.send_signal(signal.SIGCONT)
    assert child.wait() in (1, 2)
    assert list((tmp_path / "temporary").iterdir()) == []


@pytest.mark.parametrize(
    ("command", "status"),
    [
        ("check {0}", 0),
        ("check {0} --json", 0),
        ("check {0} /nonexistent", 2),
        ("check {0} --require vmlinux", 1),
        ("image {0} --cert /nonexistent", 2),
        ("types {0} nosuch", 2),
        ("types {0} --format raw", 2),
        ("abi {0} {0} --format ksymvers", 0),
        ("symbols {0} --at zzz", 2),
    ],
)
def test_other_ways_out(command: str, status: int, tool: Tool, tmp_path: Path) -> None:
    package = deb(tool("dpkg-deb"), kernel_folders(tmp_path / "packages")[IMAGE], IMAGE)
    words = [sys.executable, "-m", "kinspect", *command.format(package).split()]
    done = subprocess.run(words, env=temporary(tmp_path), capture_output=True, text=True, check=False)
    assert done.returncode == status, done
    assert "internal error" not in done.stderr
    assert list((tmp_path / "temporary").iterdir()) == []


@pytest.mark.parametrize("command", ["symbols {0}", "types {0} --format raw", "check {0} --json", "modules {0}"])
def test_a_closed_pipe(command: str, tool: Tool, tmp_path: Path, sample: Path) -> None:
    folder = kernel_folders(tmp_path / "packages")[IMAGE]
    (folder / "usr/lib/debug/boot").mkdir(parents=True)
    (folder / "usr/lib/debug/boot/vmlinux-1").write_bytes((sample / "abi/new/vmlinux").read_bytes())
    package = deb(tool("dpkg-deb"), folder, IMAGE)
    line = f"{sys.executable} -m kinspect {command.format(package)} | head -c 1 >/dev/null; exec 1>&-"
    done = subprocess.run(["bash", "-c", line], env=temporary(tmp_path), capture_output=True, text=True, check=False)
    assert "Traceback" not in done.stderr
    assert list((tmp_path / "temporary").iterdir()) == []


def test_an_exception(tool: Tool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = deb(tool("dpkg-deb"), kernel_folders(tmp_path / "packages")[IMAGE], IMAGE)
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))

    def broken(*_: object) -> None:
        assert list((tmp_path / "temporary").iterdir()) != []
        raise RuntimeError("broken")

    monkeypatch.setattr("kinspect.inspection.check.inspect_build", broken)
    with pytest.raises(RuntimeError, match="broken"):
        kinspect.check(package)
    assert list((tmp_path / "temporary").iterdir()) == []


def test_nobody_else_can_read_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    before = os.umask(0)
    try:
        with private_folder() as folder:
            assert stat.S_IMODE(os.stat(folder).st_mode) == 0o700
    finally:
        os.umask(before)
    assert list(tmp_path.iterdir()) == []


def test_links_stay_inside(tool: Tool, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A link in a package leads to what has its target's path in the package, and never to this system's files."""
    folder = kernel_folders(tmp_path / "packages")[IMAGE]
    secret = tmp_path / "secret"
    secret.write_text("CONFIG_SECRET=y\n")
    config = next((folder / "boot").glob("config-*"))
    config.unlink()
    config.symlink_to(secret)
    (folder / "vmlinuz").symlink_to(next(folder.glob("boot/vmlinuz-*")).relative_to(folder))
    (folder / TREE / "build").symlink_to("/usr")
    package = deb(tool("dpkg-deb"), folder, IMAGE)
    report = kinspect.check(package)
    assert "SECRET" not in report.to_json()
    assert [error.at.path for error in report.errors] == [f"{package}:boot/{config.name}"]
    assert sum(piece.role == "Image" for piece in report.facts[0].pieces) == 1
