"""The fuzz part of the cases: each input and attack by its name, and what is right for it."""

import gzip
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from kinspect.cli import main
from tests.conftest import SAMPLE

Capture = pytest.CaptureFixture[str]
IMAGE, VMLINUX, MODULES = (str(SAMPLE / name) for name in ("Image", "vmlinux", "modules"))
SYMVERS = str(SAMPLE / "modules/Module.symvers")


@pytest.fixture
def fuzz(cases: Path) -> Path:
    return cases / "fuzz"


class Answer:
    """What a command did: its status, its output and its errors, within the seconds that it may take."""

    def __init__(self, capsys: Capture, *command: str | Path, seconds: float = 5) -> None:
        start = time.process_time()
        self.status = main([str(word) for word in command])
        self.seconds = time.process_time() - start
        self.out, self.err = capsys.readouterr()
        assert self.seconds < seconds
        assert "internal error" not in self.err
        assert "\x1b" not in self.out + self.err


@pytest.mark.parametrize("script", ["planted-link.sh", "concurrent-torn.sh"])
def test_scripts(script: str, fuzz: Path, tmp_path: Path) -> None:
    """The victim stays precious, the FIFO is not opened, and the output is one of both files."""
    other = tmp_path / "other.gz"
    other.write_bytes(gzip.compress((SAMPLE / "Image").read_bytes().ljust(200_000, b"\1")))
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/kinspect").write_text(f'#!/bin/sh\nexec {sys.executable} -m kinspect "$@"\n')
    (tmp_path / "bin/kinspect").chmod(0o755)
    folders = {"TMPDIR": str(tmp_path), "PATH": f"{tmp_path}/bin:{os.environ['PATH']}"}
    done = subprocess.run(
        ["sh", str(fuzz / script), IMAGE, str(other)],
        env={**os.environ, **folders},
        cwd=SAMPLE.parent.parent,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    if script == "planted-link.sh":
        assert "precious" in done.stdout
        assert "FIFO: rc 0" in done.stdout
    else:
        written = next(tmp_path.glob("tmp.*/torn.out")).read_bytes()
        assert written in ((SAMPLE / "Image").read_bytes(), gzip.decompress(other.read_bytes()))
        assert "rc 2" not in done.stdout


def test_the_file_of_the_user_beside_the_output(tmp_path: Path, capsys: Capture) -> None:
    (tmp_path / "out.new").write_text("mine")
    assert Answer(capsys, "unpack", IMAGE, "-o", tmp_path / "out").status == 0
    assert (tmp_path / "out.new").read_text() == "mine"


@pytest.mark.parametrize("name", ["dotted-keys", "hex-of-5000-digits", "int-of-5000-digits", "key-int", "list-hex"])
@pytest.mark.parametrize("as_name", ["kinspect.toml", "pyproject.toml"])
def test_policies(
    name: str, as_name: str, fuzz: Path, tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the current folder, where it is read unasked, and by name."""
    text = (fuzz / f"policy-{name}.toml").read_text()
    (tmp_path / as_name).write_text(f"[tool.kinspect]\n{text}" if as_name == "pyproject.toml" else text)
    monkeypatch.chdir(tmp_path)
    found = Answer(capsys, "check", IMAGE)
    assert (found.status, found.out) == (2, "")
    assert as_name in found.err
    assert Answer(capsys, "size", VMLINUX, "--budget", fuzz / f"policy-{name}.toml").status == 2


def test_dwarf_hang(fuzz: Path, capsys: Capture) -> None:
    found = Answer(capsys, "diff", fuzz / "dwarf-hang.vmlinux", fuzz / "dwarf-hang.Image")
    assert found.status == 1
    assert "broken DWARF" in found.out


@pytest.mark.parametrize("command", ["check", "image"])
def test_zboot_cut_100(command: str, fuzz: Path, capsys: Capture) -> None:
    found = Answer(capsys, command, fuzz / "zboot-cut-100.vmlinuz.efi")
    assert found.status == 1
    assert "error     the section extends past the end of the file" in found.out


@pytest.mark.parametrize(("form", "loads"), [("gz", True), ("xz", False), ("zst", False)])
def test_trailing_garbage(form: str, loads: bool, fuzz: Path, tmp_path: Path, capsys: Capture) -> None:
    path = shutil.copy(fuzz / f"trailing-garbage-toy.ko.{form}", tmp_path / f"toy.ko.{form}")
    found = Answer(capsys, "module", path)
    # gzread(), and so modinfo, ignores it.
    assert found.status == (0 if loads else 2)
    assert loads or "256 bytes follow the compressed stream" in found.err


def test_garbage_xz(fuzz: Path, capsys: Capture) -> None:
    found = Answer(capsys, "modules", fuzz / "garbage-xz")
    assert found.status == 1
    assert "200 bytes follow the compressed stream" in found.out


@pytest.mark.parametrize("name", ["bad-aliases", "bad-property-names", "broken-references", "deep-bad-names"])
def test_device_trees(name: str, fuzz: Path, capsys: Capture) -> None:
    found = Answer(capsys, "dtb", fuzz / f"dtb-{name}.dtb", seconds=2)
    assert " more such " in found.out
    assert Answer(capsys, "check", fuzz / f"dtb-{name}.dtb", "--json", seconds=2).status == found.status


def test_a_megabyte_of_rules(fuzz: Path, capsys: Capture) -> None:
    found = Answer(capsys, "abi", SYMVERS, fuzz / "abi-1mb.symvers", "--rules", fuzz / "abi-1mb.rules")
    assert found.status == 1
    assert "and 31,990 more" in found.out


@pytest.mark.parametrize("name", ["redos", "huge-repeat", "nested-parens", "possible-nested-set"])
def test_depmod_d(name: str, fuzz: Path, tmp_path: Path, capsys: Capture) -> None:
    tree = tmp_path / "lib/modules/aaaaaaaaaaaaaaaaaaaaaaaaaaaaa!"
    shutil.copytree(SAMPLE / "modules/lib/modules/6.1.0-hello", tree)
    assert Answer(capsys, "modules", tree, "-C", fuzz / f"depmodd-{name}.conf", seconds=2).status in (0, 1)
    pattern = (fuzz / f"depmodd-{name}.conf").read_text().splitlines()[-1].split(" ")[2]
    assert Answer(capsys, "size", VMLINUX, "--by", "symbol", "--match", pattern, seconds=2).status in (0, 2)


def test_folders_of_links(tmp_path: Path, capsys: Capture) -> None:
    """Of 34 links, two in each folder."""
    for level in range(18):
        (tmp_path / f"kernel/d{level}").mkdir(parents=True)
        for name in "ab":
            (tmp_path / f"kernel/d{level}/{name}").symlink_to(f"../d{level + 1}")
    assert Answer(capsys, "modules", tmp_path, seconds=2).status == 2  # there is no module


def test_bombs_for_an_embedded_config(fuzz: Path, capsys: Capture) -> None:
    for command in ("image", "check", "config"):
        assert Answer(capsys, command, fuzz / "ikcfg-bombs-20.xz", seconds=3).status == 1


def test_eight_bombs(fuzz: Path, tmp_path: Path, capsys: Capture) -> None:
    (tmp_path / "kernel").mkdir()
    for number in range(8):
        shutil.copy(fuzz / "bomb-500M.ko.zst", tmp_path / f"kernel/toy{number}.ko.zst")
    found = Answer(capsys, "modules", tmp_path, seconds=10)
    assert "7 more files" in found.out
    assert Answer(capsys, "modules", tmp_path, "--json", seconds=10).out.count("too large when decompressed") == 8


KO, NM = "ko-null-symbol-section.ko", "nm-name-out-of-range"
RAW = [
    (("module", f"{{fuzz}}/{KO}"), 1),
    (("check", f"{{fuzz}}/{KO}"), 1),
    (("check", f"{{fuzz}}/{NM}"), 2),
    (("vmlinux", f"{{fuzz}}/{NM}/vmlinux"), 1),
    (("image", "{fuzz}/image-cert-bad-x509-version.Image", "--cert", "{fuzz}/rsa.pem"), 1),
    (("load", "{fuzz}/load-btf-cut.img", f"{MODULES}/lib/modules/6.1.0-hello/kernel/lib/hello_text.ko"), 0),
]


@pytest.mark.parametrize(("command", "status"), RAW, ids=[Path(command[1]).name for command, _ in RAW])
def test_what_libraries_raised(command: tuple[str, ...], status: int, fuzz: Path, capsys: Capture) -> None:
    pytest.importorskip("cryptography")
    assert Answer(capsys, *(word.format(fuzz=fuzz) for word in command)).status == status


def test_ksymvers_esc(fuzz: Path, capsys: Capture) -> None:
    found = Answer(capsys, "abi", SYMVERS, fuzz / "ksymvers-esc.symvers", "--format", "ksymvers")
    assert "\\x1b" in found.out
    found = Answer(capsys, "abi", fuzz / "ksymvers-esc.symvers", SYMVERS, "--format", "ksymvers")
    assert "\\x1b" in found.out


def test_system_map_damaged_alone(tmp_path: Path, capsys: Capture) -> None:
    path = tmp_path / "System.map"
    for damage in ((b" T ", b" \0 "), (b"ffff", b"fffg"), (b"\n", b"\n\n")):
        path.write_bytes((SAMPLE / "System.map").read_bytes().replace(*damage, 1))
        assert Answer(capsys, "check", path).status in (1, 2), damage


def test_a_page_over_its_input(tmp_path: Path, capsys: Capture) -> None:
    path = shutil.copy(VMLINUX, tmp_path / "X")
    assert Answer(capsys, "size", "--html", path, path).status == 2
    assert Path(path).read_bytes() == Path(VMLINUX).read_bytes()


def test_a_sparse_image(tmp_path: Path, capsys: Capture) -> None:
    path = Path(shutil.copy(IMAGE, tmp_path / "Image"))
    os.truncate(path, 1 << 40)
    assert Answer(capsys, "unpack", path, "-o", tmp_path / "out").status == 2
