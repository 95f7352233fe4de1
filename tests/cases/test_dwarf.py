"""The DWARF of the cases: compressed, and split from its vmlinux; each answer is that of the whole file."""

import json
import os
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from kinspect.cli import main
from tests.conftest import SAMPLE
from tests.support import patched

Capture = pytest.CaptureFixture[str]
Tool = Callable[[str], str]
BUILD_ID = "7e0b8037c7a54560209d051bc58181e1c48894e8"
IMAGE = str(SAMPLE / "Image")


@pytest.fixture
def boot(cases: Path) -> Path:
    return cases / "boot"


def answer(capsys: Capture, *command: str | Path) -> tuple[int, str]:
    status = main([str(word) for word in command])
    captured = capsys.readouterr()
    assert "internal error" not in captured.err
    return status, captured.out + captured.err


def plain(boot: Path, folder: Path, tool: Tool) -> Path:
    """The vmlinux that the cases were made from."""
    whole = folder / "vmlinux"
    objcopy = tool("aarch64-linux-gnu-objcopy")
    subprocess.run([objcopy, "--decompress-debug-sections", str(boot / "v.zlib"), str(whole)], check=True)
    return whole


@pytest.mark.parametrize("name", ["v.zlib", "v.zstd", "v.split"])
def test_sizes_and_lines(name: str, boot: Path, tool: Tool, tmp_path: Path, capsys: Capture) -> None:
    whole = plain(boot, tmp_path, tool)
    for by in ("folder", "source", "symbol"):
        status, expected = answer(capsys, "size", whole, "--by", by, "--top", "0")
        assert status == 0
        assert by != "source" or "print.c" in expected
        assert answer(capsys, "size", boot / name, "--by", by, "--top", "0") == (
            0,
            expected.replace(str(whole), str(boot / name)),
        )
    _, text = answer(capsys, "size", boot / name, "--by", "source", "--against", whole)
    assert re.search(r"in file\n +total .* 0 +0 +\+0\.0 %\n", text)
    image = patched(Path(IMAGE), {0x10000: b"\1\2\3\4", 0x10800: b"\1", 0x13010: b"\1"}, tmp_path)
    _, ours = answer(capsys, "diff", boot / name, image, "--json")
    _, theirs = answer(capsys, "diff", whole, image, "--json")
    found = json.loads(ours)["facts"][0]["why"]
    assert found == json.loads(theirs)["facts"][0]["why"]
    assert found["without_lines"] is None
    assert answer(capsys, "check", boot / name, IMAGE)[0] == 0


@pytest.mark.parametrize("name", ["v.zlib", "v.zstd"])
def test_sizes_of_sections_are_those_of_readelf(name: str, boot: Path, tool: Tool, capsys: Capture) -> None:
    shown = json.loads(answer(capsys, "vmlinux", boot / name, "--json")[1])["facts"][0]["sections"]
    readelf = tool("readelf")
    wide = subprocess.run([readelf, "-SW", str(boot / name)], capture_output=True, text=True, check=True).stdout
    detailed = subprocess.run([readelf, "-tW", str(boot / name)], capture_output=True, text=True, check=True).stdout
    in_file = {int(number): int(size, 16) for number, size in re.findall(r"\[ *(\d+)\] .*? \w{16} \w+ (\w+) ", wide)}
    for section in shown[1:]:
        assert section["size"] == in_file[section["number"]]
    inside = re.findall(r"\[ *(\d+)\][^[]*\[\w+\]: [^[]*COMPRESSED[^[]*?(ZLIB|ZSTD), (\w+),", detailed)
    theirs = {int(number): (kind.lower(), int(size, 16)) for number, kind, size in inside}
    assert len(theirs) >= 8
    ours = {one["number"]: (one["compression"], one["decompressed_size"]) for one in shown if "compression" in one}
    assert ours == theirs
    text = answer(capsys, "vmlinux", boot / name)[1]
    assert re.search(rf"\.debug_info +0x152e. +\S+ \S+ +- +C  {name[2:]} of 6.8 KiB\n", text)
    assert re.search(r"17\.[45] KiB when decompressed", answer(capsys, "size", boot / name)[1])


def test_a_debug_file_is_named(boot: Path, capsys: Capture) -> None:
    debug = boot / "v.debug"
    title = f"debug file of a vmlinux (build id {BUILD_ID})"
    commands: list[tuple[str | Path, ...]] = [
        ("size", debug),
        ("size", debug, "--by", "folder"),
        ("diff", debug, IMAGE),
    ]
    for command in commands:
        status, text = answer(capsys, *command)
        assert (status, title in text) == (2, True)
    assert f"{debug}: {title}, 33,472 bytes" in answer(capsys, "vmlinux", debug)[1]
    status, text = answer(capsys, "check", debug)
    assert (status, title in text) == (0, True)
    assert "not checked: debug file without its vmlinux" in text
    # Word for word what file(1) says.
    assert f"BuildID[sha1]={BUILD_ID}, with debug_info, not stripped" in answer(capsys, "file", debug)[1]


def test_both_are_a_pair(boot: Path, tmp_path: Path, capsys: Capture) -> None:
    for order in (["v.split", "v.debug"], ["v.debug", "v.split"]):
        status, text = answer(capsys, "check", *(boot / name for name in order), IMAGE)
        assert status == 0
        assert "good:" in text
        assert re.search(rf"debug file +32.7 KiB +{boot}/v\.debug +debug file of a vmlinux", text)
        assert "not judged" not in text
    data = (boot / "v.debug").read_bytes()
    (tmp_path / "v.debug").write_bytes(data[:-1] + b"\1")
    status, text = answer(capsys, "check", boot / "v.split", tmp_path / "v.debug")
    assert status == 1
    assert "not the file that the debug link names: expected CRC" in text
    (tmp_path / "v.debug").write_bytes(data.replace(bytes.fromhex(BUILD_ID), bytes(20)))
    status, text = answer(capsys, "check", boot / "v.split", tmp_path / "v.debug")
    assert status == 1
    assert (
        f"of another build: expected build id {BUILD_ID}, found {'00' * 20}  [debug-file-is-of-the-same-build]" in text
    )


def test_what_is_missing_is_named(boot: Path, tmp_path: Path, capsys: Capture) -> None:
    shutil.copy(boot / "v.split", tmp_path / "vmlinux")
    missing = f"its debug file v.debug (build id {BUILD_ID}) was not found"
    for command in (("size", "--by", "folder"), ("vmlinux",)):
        status, text = answer(capsys, *command, tmp_path / "vmlinux")
        assert (status, missing in text) == (0, True)
    image = patched(Path(IMAGE), {0x10800: b"\1"}, tmp_path)
    status, text = answer(capsys, "diff", tmp_path / "vmlinux", image)
    assert (status, missing in text) == (1, True)


def test_debug_sh(boot: Path, tool: Tool, tmp_path: Path, capsys: Capture) -> None:
    """The script that makes such files, of the sample."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/kinspect").write_text("#!/bin/sh\n")
    (tmp_path / "bin/kinspect").chmod(0o755)
    tool("aarch64-linux-gnu-objcopy")
    env = {**os.environ, "PATH": f"{tmp_path}/bin:{os.environ['PATH']}"}
    command = ["sh", str(boot / "debug.sh"), str(SAMPLE / "vmlinux"), str(tmp_path / "out")]
    subprocess.run(command, env=env, check=True, capture_output=True)
    _, expected = answer(capsys, "size", SAMPLE / "vmlinux", "--by", "source,symbol", "--top", "0")
    for name in ("v.zlib", "v.zstd", "v.split"):
        _, text = answer(capsys, "size", tmp_path / "out" / name, "--by", "source,symbol", "--top", "0")
        assert text.splitlines()[1:] == expected.splitlines()[1:]
