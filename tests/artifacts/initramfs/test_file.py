"""An initramfs read as the kernel does: archives one after the other, plain and compressed, whole and broken."""

import bz2
import gzip
import lzma
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from kinspect.artifacts.initramfs import file as module
from kinspect.artifacts.initramfs.beginning import is_initramfs, refuse_others
from kinspect.artifacts.initramfs.file import Initramfs
from kinspect.artifacts.initramfs.member import Member
from kinspect.errors import KinspectError, UnsupportedError, WrongKindError
from kinspect.inspection.build.initramfs import initramfs_names
from kinspect.schemas.cpio import CRC
from kinspect.source import Source
from tests.toy_initramfs import DEVICE, FOLDER, LINK, Entry, archive, member, real_cpio

Tool = Callable[[str], str]
SMALL = archive(Entry("etc", mode=FOLDER), Entry("etc/a", b"hello"), Entry("b", b"etc/a", LINK))


def read(data: bytes) -> tuple[Initramfs, list[Member]]:
    found = Initramfs(Source("initrd.img", data))
    members: list[Member] = []
    found.read(members.append)
    return found, members


def faults(data: bytes) -> list[tuple[str, int]]:
    return [(fault.problem, fault.offset) for fault in read(data)[0].faults]


def test_members_have_their_names_and_targets() -> None:
    found, members = read(SMALL)
    assert [(one.path, one.target) for one in members] == [("etc", b""), ("etc/a", b""), ("b", b"etc/a")]
    assert found.faults == []
    assert [(part.offset, part.compression, part.members) for part in found.parts] == [(0, "none", 3)]


def test_the_data_comes_in_blocks() -> None:
    data = bytes(range(256)) * 5000
    taken = bytearray()
    found = Initramfs(Source("x", gzip.compress(archive(Entry("a"), Entry("big", data), Entry("c", b"x")))))
    found.read(lambda one: taken.extend if one.name == b"big" else None)
    assert taken == data


COMMANDS = {
    "gz": ("gzip", "-9"),
    "xz": ("xz", "--check=crc32"),
    "zst": ("zstd", "-q"),
    "lz4": ("lz4", "-l"),
    "bz2": ("bzip2",),
    "lzma": ("lzma",),
    "lzo": ("lzop",),
}


@pytest.mark.parametrize("form", COMMANDS)
def test_an_early_archive_before_a_compressed_one(form: str, tool: Tool) -> None:
    name, *options = COMMANDS[form]
    command = [tool(name), *options, "-c"]
    packed = subprocess.run(command, input=SMALL, capture_output=True, check=True).stdout
    early = archive(Entry("kernel/x86/microcode/AuthenticAMD.bin", b"code"))
    for data in (packed, early + packed, early + bytes(1024) + packed):
        found, members = read(data)
        assert found.faults == []
        assert [one.path for one in members][-3:] == ["etc", "etc/a", "b"]
        assert is_initramfs(Source("x", data))
    assert [part.members for part in found.parts] == [1, 3]
    assert found.parts[1].offset == len(early) + 1024


def test_several_archives_in_one_stream() -> None:
    found, members = read(gzip.compress(SMALL + SMALL + bytes(64) + archive(Entry("z"))))
    assert (len(members), found.parts[0].archives, found.faults) == (7, 3, [])


def test_joined_streams_of_several_compressions() -> None:
    found, members = read(gzip.compress(SMALL) + lzma.compress(SMALL, check=lzma.CHECK_CRC32) + bz2.compress(SMALL))
    assert found.faults == []
    assert [part.compression for part in found.parts] == ["gzip", "xz", "bzip2"]
    assert len(members) == 9


def test_names_are_those_that_cpio_lists(tool: Tool, tmp_path: Path) -> None:
    odd = [
        Entry("."), Entry("./a"), Entry("/abs/b"), Entry("../up"), Entry("dev/null", mode=DEVICE),
        Entry("sp ace"), Entry(b"\xff\xfe"), Entry("new\nline"), Entry("h1", ino=7, nlink=2),
        Entry("h2", b"data", ino=7, nlink=2),
    ]  # fmt: skip
    for magic in (b"070701", CRC):
        path = tmp_path / "initrd"
        path.write_bytes(archive(*odd, magic=magic))
        command = [tool("cpio"), "-t", "--quiet"]
        done = subprocess.run(command, input=path.read_bytes(), capture_output=True)
        assert b"".join(initramfs_names(path)) == done.stdout


def test_the_real_cpio_is_read(tool: Tool, tmp_path: Path) -> None:
    root = tmp_path / "root"
    (root / "etc").mkdir(parents=True)
    (root / "etc/a").write_bytes(b"x" * 1001)
    (root / "etc/b").hardlink_to(root / "etc/a")
    (root / "c").symlink_to("etc/a")
    for form in ("newc", "crc"):
        found, members = read(real_cpio(tool("cpio"), root, form))
        assert sorted(one.path for one in members) == ["c", "etc", "etc/a", "etc/b"]
        assert (found.faults, found.bad_sums) == ([], [])


def test_lsinitramfs_lists_the_same(tool: Tool, tmp_path: Path) -> None:
    path = tmp_path / "initrd.img"
    path.write_bytes(archive(Entry("kernel/x86/microcode/GenuineIntel.bin", b"1")) + gzip.compress(SMALL))
    done = subprocess.run([tool("lsinitramfs"), str(path)], capture_output=True)
    assert b"".join(initramfs_names(path)) == done.stdout


def test_a_sum_that_is_wrong() -> None:
    data = archive(Entry("a", b"hello"), Entry("b", b"world", fields={"check": 1}), magic=CRC)
    assert read(data)[0].bad_sums == ["b"]
    # newc has none.
    assert read(archive(Entry("b", b"world", fields={"check": 1})))[0].bad_sums == []


def test_every_cut_is_found() -> None:
    for size in range(1, len(SMALL)):
        found = faults(SMALL[:size])
        # Only the padding after the last member may be missing.
        whole = size >= SMALL.rindex(b"TRAILER!!!") + 11
        assert bool(found) != whole, (size, found)
    packed = gzip.compress(SMALL)
    for size in range(8, len(packed)):
        assert faults(packed[:size]), size


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (archive(Entry("a"), end=False, pad=4), "the archive ends without its last member, TRAILER!!!"),
        (SMALL + b"junk", "neither an archive nor a compressed one"),
        (SMALL + b"\0" * 6 + SMALL, "an archive does not begin at a multiple of 4: the kernel stops here"),
        (
            SMALL + b"\0" * 6 + gzip.compress(SMALL),
            "an archive does not begin at a multiple of 4: the kernel stops here",
        ),
        (gzip.compress(SMALL + b"junk"), "bytes that are not an archive follow one"),
        (member(Entry("a")) + bytes(200), "not a cpio header"),
        (archive(Entry("a", fields={"mode": b"0000 1ff"})), "c_mode is not a number"),
        (archive(Entry("a", fields={"filesize": b"0000001g"})), "c_filesize is not a number"),
        (archive(Entry("a", fields={"filesize": 0xFFFFFFFF})), "the archive ends inside the data, of a"),
        (archive(Entry("a", fields={"namesize": 0xFFFFFFFF})), "the archive ends inside a name"),
        (archive(Entry("a", fields={"namesize": 0})), "the kernel skips a member"),
        (archive(Entry("a" * 5000)), "the kernel skips a member"),
        (archive(Entry("a"), magic=b"070707"), "an archive in the format odc"),
    ],
)
def test_what_the_kernel_does_not_unpack(data: bytes, problem: str) -> None:
    found = faults(data)
    assert found
    assert found[0][0].startswith(problem), found


def test_a_bomb_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    bomb = gzip.compress(archive(Entry("a", bytes(100 << 20))))
    with pytest.raises(UnsupportedError, match="too large when decompressed"):
        read(bomb)
    monkeypatch.setattr(module, "MOST_MEMBERS", 100)
    with pytest.raises(UnsupportedError, match="too many members"):
        read(archive(*[Entry("a")] * 101))
    with pytest.raises(UnsupportedError, match="too many members"):
        read(archive() * 101)
    monkeypatch.setattr(module, "LONGEST_NAMES", 5000)
    with pytest.raises(UnsupportedError, match="names"):
        read(archive(*[Entry("a" * 1000)] * 6))


def test_other_files_are_refused() -> None:
    others = (
        (b"MZ" + bytes(99), "PE/COFF"),
        (gzip.compress(b"text of a page\n"), "text"),
    )
    for data, kind in others:
        with pytest.raises(KinspectError, match=kind):
            refuse_others(Source("x", data))
        assert not is_initramfs(Source("x", data))
    with pytest.raises(WrongKindError):
        refuse_others(Source("x", b"\x7fELF" + bytes(60)))
    refuse_others(Source("x", member(Entry("a"))))
