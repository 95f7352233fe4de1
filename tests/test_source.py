"""Bytes of files: exact and bounded, or an error with the location."""

import os
from pathlib import Path

import pytest

from kinspect.errors import TruncatedError, UnreadableError, UnsupportedError
from kinspect.source import LARGEST_READ, WINDOW, Source


@pytest.fixture
def path(tmp_path: Path) -> Path:
    found = tmp_path / "file"
    found.write_bytes(bytes(range(256)) * 4)
    return found


def test_reads_are_exact(path: Path) -> None:
    source = Source(path)
    assert source.size == 1024
    assert source.read(254, 4) == b"\xfe\xff\x00\x01"
    assert source.read(1024, 0) == b""
    assert source.head(4096) == path.read_bytes()
    buffer = bytearray(3)
    source.read_into(1021, memoryview(buffer))
    assert buffer == b"\xfd\xfe\xff"


@pytest.mark.parametrize(("offset", "size"), [(1020, 5), (1025, 0), (-1, 1), (0, -1), (1 << 63, 1), (1 << 70, 1 << 70)])
def test_what_is_not_there_is_an_error_with_its_place(path: Path, offset: int, size: int) -> None:
    with pytest.raises(TruncatedError, match=f"^{path}: header at {offset:#x}: the file is too short"):
        Source(path).read(offset, size, "header")
    with pytest.raises(TruncatedError):
        Source(path).read_into(1020, memoryview(bytearray(5)))


def test_an_empty_file_says_so(tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    with pytest.raises(TruncatedError, match="empty file"):
        Source(tmp_path / "empty").read(0, 1)


def test_the_system_gives_its_reason(tmp_path: Path) -> None:
    with pytest.raises(UnreadableError, match="No such file or directory"):
        _ = Source(tmp_path / "missing").size
    with pytest.raises(UnreadableError, match="null"):
        _ = Source("a\0b").size
    loop = tmp_path / "loop"
    loop.symlink_to(loop)
    with pytest.raises(UnreadableError, match="Too many levels of symbolic links"):
        _ = Source(loop).size


def test_only_regular_files_are_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    for path, kind in ((tmp_path / "fifo", "FIFO"), (tmp_path, "directory"), (Path("/dev/null"), "character device")):
        with pytest.raises(UnreadableError, match=f"is a {kind}"):
            _ = Source(path).size


def test_a_file_that_shrinks_is_an_error(path: Path) -> None:
    source = Source(path)
    assert source.size == 1024
    os.truncate(path, 100)
    with pytest.raises(UnreadableError, match="changed while it was read"):
        source.read(50, 100)
    with pytest.raises(UnreadableError, match="changed while it was read"):
        source.read_into(100, memoryview(bytearray(10)))


def test_files_without_a_size_are_read() -> None:
    source = Source("/proc/self/status")
    assert os.stat("/proc/self/status").st_size == 0
    assert source.head(5) == b"Name:"
    assert source.size > 100


def test_one_read_is_bounded(tmp_path: Path) -> None:
    path = tmp_path / "sparse"
    path.touch()
    os.truncate(path, 1 << 40)
    source = Source(path)
    assert source.read((1 << 40) - 2, 2) == b"\0\0"
    with pytest.raises(UnsupportedError, match="too large to hold in memory"):
        source.read(0, LARGEST_READ + 1)


def test_find_finds_across_windows_and_within_bounds(tmp_path: Path) -> None:
    path = tmp_path / "file"
    data = bytearray(3 * WINDOW + 100)
    places = [0, 5, WINDOW - 2, WINDOW + 3, 2 * WINDOW - 1, 3 * WINDOW + 96]
    for place in places:
        data[place : place + 4] = b"abab"
    path.write_bytes(data)
    source = Source(path)
    assert list(source.find(b"abab")) == places
    assert list(source.find(b"abab", 1, 3 * WINDOW + 99)) == places[1:-1]
    assert list(source.find(b"ab", 0, 8)) == [0, 2, 5]
    assert list(source.find(b"x" * 200)) == []
    assert list(source.find(b"abab", 10, 10)) == []


def test_a_source_closes_and_opens_again(path: Path) -> None:
    source = Source(path)
    before = len(os.listdir("/proc/self/fd"))
    source.read(0, 1)
    assert len(os.listdir("/proc/self/fd")) == before + 1
    source.close()
    source.close()
    assert len(os.listdir("/proc/self/fd")) == before
    assert source.read(1, 1) == b"\1"
