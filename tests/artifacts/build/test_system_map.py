"""A System.map consists of lines of address, type and name."""

from pathlib import Path

import pytest

from kinspect.artifacts.build.system_map import LARGEST_MAP, SystemMap
from kinspect.artifacts.kinds import open_artifact
from kinspect.errors import KinspectError, MalformedError, UnsupportedError
from tests.conftest import SAMPLE

LINE = b"ffffffc008000000 T _text\n"


def system_map(folder: Path, data: bytes) -> SystemMap:
    path = folder / "System.map"
    path.write_bytes(data)
    return SystemMap(path)


def test_lines(tmp_path: Path) -> None:
    found = system_map(tmp_path, LINE + b"0000000000000000 a \xffname")
    assert found.lines == (LINE[:-1], b"0000000000000000 a \xffname")
    assert found.facts.symbols == 2
    assert SystemMap(SAMPLE / "System.map").facts.symbols == len((SAMPLE / "System.map").read_bytes().splitlines())
    assert isinstance(open_artifact(SAMPLE / "System.map"), SystemMap)


@pytest.mark.parametrize(
    "line", [b"", b"T _text", b"fffffff T a", b"ffffffc008000000  T a", LINE[:-1] + b" ", b"\0" * 9]
)
def test_other_lines(line: bytes, tmp_path: Path) -> None:
    with pytest.raises(MalformedError, match="expected address, type and name") as caught:
        _ = system_map(tmp_path, LINE + line + b"\n" + LINE).lines
    assert caught.value.at.line == 2


def test_a_long_line_is_not_quoted_whole(tmp_path: Path) -> None:
    with pytest.raises(MalformedError) as caught:
        _ = system_map(tmp_path, LINE + b"a" * (1 << 20)).lines
    assert len(str(caught.value)) < 400


def test_too_large_and_missing(tmp_path: Path) -> None:
    with (tmp_path / "System.map").open("wb") as file:
        file.write(LINE)
        file.truncate(LARGEST_MAP + 1)
    with pytest.raises(UnsupportedError, match=r"too large for a System\.map"):
        _ = SystemMap(tmp_path / "System.map").lines
    with pytest.raises(KinspectError, match="No such file"):
        _ = SystemMap(tmp_path / "none").lines
