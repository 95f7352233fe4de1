"""--limit, which every command has that reads compressed files."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from kinspect.cli import COMMANDS, main
from tests.conftest import SAMPLE

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def wide(tmp_path: Path, tool: Callable[[str], str]) -> str:
    """An Image in a zstd stream with a window of 256 MiB."""
    path = tmp_path / "Image.zst"
    # Of a pipe, zstd does not know that a smaller window would do.
    command, data = [tool("zstd"), "-q", "-c", "--zstd=windowLog=28", "--ultra"], (SAMPLE / "Image").read_bytes()
    path.write_bytes(subprocess.run(command, input=data, capture_output=True, check=True).stdout)
    return str(path)


def test_the_error_names_the_option_that_helps(wide: str, capsys: Capture) -> None:
    assert main(["image", wide]) == 2
    assert capsys.readouterr().err.endswith("a window of 256 MiB to be unpacked: expected at most 128 MiB (--limit)\n")
    assert main(["image", wide, "--limit", "256MiB"]) == 0
    capsys.readouterr()
    # It holds for one call.
    assert main(["image", wide]) == 2


@pytest.mark.parametrize("words", [("check", "IMAGE"), ("size", "IMAGE"), ("file", "IMAGE"), ("config", "IMAGE")])
def test_any_command_takes_it(words: tuple[str, ...], wide: str, capsys: Capture) -> None:
    paths = [wide if word == "IMAGE" else word for word in words]
    main([*paths, "--limit=1GiB"])
    assert "--limit" not in capsys.readouterr().err


def test_what_is_unpacked_is_limited(capsys: Capture, tmp_path: Path, tool: Callable[[str], str]) -> None:
    path = tmp_path / "Image.gz"
    path.write_bytes(subprocess.run([tool("gzip"), "-c", SAMPLE / "Image"], capture_output=True, check=True).stdout)
    assert main(["image", str(path), "--limit", "64KiB"]) == 2
    assert "too large when decompressed: expected at most 65,536 bytes (--limit), found more" in capsys.readouterr().err


def test_a_wrong_size_is_one_line(capsys: Capture) -> None:
    assert main(["image", "Image", "--limit", "much"]) == 2
    assert (
        capsys.readouterr().err == "kinspect: --limit: not a size: expected bytes, or a size such as 2GiB, found much\n"
    )


def test_the_help_names_it(capsys: Capture) -> None:
    for name in COMMANDS:
        assert main([name, "--help"]) == 0
        assert ("--limit SIZE" in capsys.readouterr().out) == (name not in ("log", "checks"))
