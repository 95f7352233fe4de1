"""Packages that are broken, or made to do harm: errors of one line, and nothing outside of the folder."""

import bz2
import gzip
import io
import lzma
import os
import random
import time
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from kinspect.artifacts.package.file import Package
from kinspect.artifacts.package.formats import package_format
from kinspect.artifacts.package.member import MOST_MEMBERS
from kinspect.artifacts.raw.limits import set_limit
from kinspect.errors import KinspectError, MalformedError, TruncatedError, UnsupportedError, UnwritableError
from kinspect.source import Source
from tests.campaign.mutation import mutated
from tests.toy_package import (
    CPIO_END,
    TAR_END,
    cpio_member,
    everything,
    extended,
    listing,
    packages,
    tar_member,
    tar_of,
    toy_deb,
    toy_rpm,
)  # fmt: skip

ROUNDS = 250
"""Changes of each package."""


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """A folder for members; what is around it must stay as it is."""
    around = tmp_path / "around"
    (around / "outside").mkdir(parents=True)
    (around / "secret").write_text("secret")
    inside = around / "inside"
    inside.mkdir()
    yield inside
    assert sorted(path.name for path in around.iterdir()) == ["inside", "outside", "secret"]
    assert (around / "secret").read_text() == "secret"
    assert list((around / "outside").iterdir()) == []


def unpack(data: bytes, folder: Path) -> list[str]:
    return [member.path for member in Package(Source("a.tar", data)).unpack(folder, everything)]


@pytest.mark.parametrize("size", [b"-1", b"-00000000001", b"\xff" * 12, b"1_0", b"0x10", b"9", b"1 0", b"\xc0"])
def test_sizes_that_are_none(size: bytes, folder: Path) -> None:
    with pytest.raises(MalformedError, match=r"^a\.tar at 0x0: size is not a number: expected octal digits"):
        unpack(tar_member(b"a", b"data", size=size) + TAR_END, folder)


@pytest.mark.parametrize("size", [b"77777777777", b"\x80" + b"\xff" * 11, b"\x80" + b"\0" * 4 + b"\x7f" + b"\xff" * 6])
def test_sizes_that_are_huge(size: bytes, folder: Path) -> None:
    data = tar_member(b"a", b"data", size=size) + TAR_END
    for packed in (data, gzip.compress(data)):
        with pytest.raises((TruncatedError, UnsupportedError), match=r"ends inside|too large"):
            unpack(packed, folder)
        with pytest.raises(TruncatedError, match="ends inside a member"):
            Package(Source("a.tar", packed)).unpack(folder, lambda _: False)


def test_other_numbers_that_are_none(folder: Path) -> None:
    with pytest.raises(MalformedError, match="mode is not a number"):
        unpack(tar_member(b"a", mode=b"rw-r--r") + TAR_END, folder)
    # A time is of no consequence.
    assert unpack(
        tar_member(b"a", mtime=b"yesterday") + tar_member(b"b", mtime=b"\x80" + b"\x7f" * 11) + TAR_END, folder
    )
    with pytest.raises(MalformedError, match=r"size is not a number: expected digits, found"):
        unpack(extended(size=b"-5") + tar_member(b"a") + TAR_END, folder)


def test_names_that_lead_out(folder: Path) -> None:
    for name in (b"../secret", b"a/../../secret", b"..", b"/../secret", b"./..", b"a/.."):
        data = tar_member(name, b"changed") + TAR_END
        for packed in (data, toy_deb(data), toy_rpm(cpio_member(name.decode(), b"changed") + CPIO_END)):
            with pytest.raises(MalformedError, match="outside the package"):
                unpack(packed, folder)
    with pytest.raises(MalformedError, match="outside the package"):
        unpack(extended(path=b"../secret") + tar_member(b"a", b"changed") + TAR_END, folder)
    with pytest.raises(MalformedError, match="NUL"):
        unpack(extended(path=b"a\0b") + tar_member(b"a") + TAR_END, folder)
    # Two dots in a name are not a way up.
    assert unpack(tar_member(b"a..b/..c") + TAR_END, folder) == ["a..b/..c"]


def test_absolute_names_are_made_relative(folder: Path) -> None:
    path = str(folder.parent / "outside/file")
    assert unpack(extended(path=path.encode()) + tar_member(b"a", b"x") + TAR_END, folder) == [path[1:]]
    assert unpack(tar_member(b"//boot//.//Image", b"x") + tar_member(b"./", kind=b"5") + TAR_END, folder) == [
        "boot/Image"
    ]
    assert (folder / "boot/Image").read_bytes() == b"x"


def test_no_member_is_written_through_a_link(folder: Path) -> None:
    outside = bytes(folder.parent / "outside")
    for target in (outside, b"../outside", b"."):
        data = tar_member(b"a", kind=b"2", target=target)
        for next_one in (
            tar_member(b"a/file", b"x"),
            tar_member(b"a/folder", kind=b"5"),
            tar_member(b"a", kind=b"5"),
            tar_member(b"a/b/c", kind=b"2", target=b"x"),
            tar_member(b"f") + tar_member(b"a/file", kind=b"1", target=b"f"),
        ):
            with pytest.raises(MalformedError, match="through a file or symbolic link"):
                unpack(data + next_one + TAR_END, folder)
    # Nor through one that was there before, which another package may have made.
    (folder / "b").symlink_to(folder.parent / "outside")
    with pytest.raises(MalformedError, match="through a file or symbolic link"):
        unpack(tar_member(b"b/file", b"x") + TAR_END, folder)
    # A file that has the path of a link replaces it.
    (folder / "c").symlink_to(folder.parent / "secret")
    assert unpack(tar_member(b"c", b"x") + TAR_END, folder) == ["c"]
    assert (folder / "c").read_bytes() == b"x"
    assert not (folder / "c").is_symlink()


@pytest.mark.parametrize(
    ("target", "written"),
    [
        (b"/etc/passwd", "../../etc/passwd"),
        (b"../../../../../secret", "../../secret"),
        (b"../x", "../x"),
        (b"x/../../../../y", "../../y"),
        (b"/", "../../"),
        (b"a", "a"),
    ],
)
def test_links_lead_to_the_inside(target: bytes, written: str, folder: Path) -> None:
    """As in the folder that is `/`."""
    (member,) = Package(Source("a.tar", tar_member(b"lib/modules/l", kind=b"2", target=target) + TAR_END)).unpack(
        folder, everything
    )
    assert (member.target, os.readlink(folder / "lib/modules/l")) == (os.fsdecode(target), written)
    assert (folder / "lib/modules/l").resolve().is_relative_to(folder.resolve())


def test_a_link_of_a_link_leads_to_the_inside(folder: Path) -> None:
    """A hard link in another folder is a link of its own: the same target would lead out."""
    deep = tar_member(b"a/b/c/l", kind=b"2", target=b"../../../secret")
    unpack(deep + tar_member(b"l", kind=b"1", target=b"a/b/c/l") + TAR_END, folder)
    assert (folder / "l").resolve() == folder.resolve() / "secret"
    # The way up from where another link leads is another one.
    steps = tar_member(b"x/y/z", kind=b"2", target=b"..") + tar_member(b"x/w", kind=b"2", target=b"y/z/../../../..")
    unpack(steps + TAR_END, folder)
    assert (folder / "x/w").resolve() == folder.resolve()


def test_targets_of_links_that_are_none(folder: Path) -> None:
    links = (
        tar_member(b"l", kind=b"2") + TAR_END,
        extended(linkpath=b"a\0b") + tar_member(b"l", kind=b"2") + TAR_END,
        toy_rpm(cpio_member("l", b"a\0b", mode=0o120777) + CPIO_END),
        toy_rpm(cpio_member("l", b"", mode=0o120777) + CPIO_END),
    )
    for data in links:
        with pytest.raises(MalformedError, match="l: the target of a symbolic link is empty, or has a NUL"):
            unpack(data, folder)


def test_hard_links_to_what_is_not_in_the_package(folder: Path) -> None:
    (folder / "before").write_bytes(b"")
    for target in (bytes(folder.parent / "secret"), b"secret", b"before"):
        data = extended(linkpath=target) + tar_member(b"l", kind=b"1") + tar_member(b"later") + TAR_END
        with pytest.raises(MalformedError, match="l: a hard link to a missing file: found "):
            unpack(data, folder)
    with pytest.raises(MalformedError, match="outside the package"):
        unpack(tar_member(b"l", kind=b"1", target=b"../secret") + TAR_END, folder)


@pytest.mark.parametrize("packed", [bytes, gzip.compress])
def test_hard_links_to_what_is_not_wanted(packed: Callable[[bytes], bytes], folder: Path) -> None:
    """What they are other names of is read again."""
    links = b"".join(tar_member(b"lib/%d.ko" % number, kind=b"1", target=b"objects/ab12") for number in range(3))
    link = tar_member(b"objects/l", kind=b"2", target=b"ab12") + tar_member(b"lib/l", kind=b"1", target=b"objects/l")
    data = packed(tar_member(b"objects/ab12", b"module" * 999) + links + link + TAR_END)
    members = Package(Source("a.tar", data)).unpack(folder, lambda member: member.path.startswith("lib/"))
    assert sorted(member.path for member in members) == ["lib/0.ko", "lib/1.ko", "lib/2.ko", "lib/l"]
    assert (folder / "lib/2.ko").read_bytes() == b"module" * 999
    assert os.readlink(folder / "lib/l") == "ab12"
    assert sorted(path.name for path in folder.iterdir()) == ["lib"]


def test_writing_a_file_again_does_not_change_its_hard_links(folder: Path) -> None:
    data = tar_member(b"a", b"1") + tar_member(b"b", kind=b"1", target=b"a") + tar_member(b"a", b"2") + TAR_END
    assert unpack(data, folder) == ["a", "b", "a"]
    assert ((folder / "a").read_bytes(), (folder / "b").read_bytes()) == (b"2", b"1")


def test_devices_are_not_made(folder: Path) -> None:
    data = b"".join(tar_member(b"dev/%s" % kind, kind=kind) for kind in (b"3", b"4", b"6", b"V", b"M", b"9"))
    assert unpack(data + TAR_END, folder) == []
    modes = (0o020644, 0o060644, 0o010644, 0o140644)
    devices = b"".join(cpio_member(f"d{mode}", b"", mode=mode) for mode in modes)
    assert unpack(toy_rpm(devices + CPIO_END), folder) == []
    assert list(folder.iterdir()) == []


def test_a_file_where_a_folder_is(folder: Path) -> None:
    for members in ((b"a/b", b"a"), (b"a", b"a/b")):
        with pytest.raises(MalformedError, match=r"a folder and a file|through a file"):
            unpack(b"".join(tar_member(name, b"x") for name in members) + TAR_END, folder)


def test_a_package_in_a_package_is_a_file(folder: Path) -> None:
    inner = toy_deb(tar_of({"../../secret": b"changed"}))
    assert unpack(toy_deb(tar_of({"inner.deb": inner})), folder) == ["inner.deb"]
    assert (folder / "inner.deb").read_bytes() == inner


def test_names_that_are_too_long(folder: Path) -> None:
    for name in (b"n" * 256, b"/".join([b"n" * 200] * 30), b"n/" * 200 + b"n"):
        with pytest.raises(UnsupportedError, match="the name of a member is too long"):
            unpack(extended(path=name) + tar_member(b"a") + TAR_END, folder)
    size = b"%o" % (64 << 20)
    with pytest.raises(UnsupportedError, match="an extended header is too long"):
        unpack(tar_member(b"a", kind=b"x", size=size) + TAR_END, folder)


def zeros(size: int) -> bytes:
    """A gzip stream of zeros, made quickly."""
    stream = zlib.compressobj(9, zlib.DEFLATED, 31)
    return b"".join(stream.compress(bytes(1 << 20)) for _ in range(size >> 20)) + stream.flush()


def test_bombs_are_stopped(folder: Path) -> None:
    size = 300 << 20
    head = gzip.compress(tar_member(b"a", size=b"%o" % size))
    start = time.process_time()
    for data in (head + zeros(size), gzip.compress(tar_member(b"a") + TAR_END) + zeros(size)):
        with pytest.raises(UnsupportedError, match=r"too large when decompressed: expected at most .* \(--limit\)"):
            Package(Source("a.tar", data)).unpack(folder, lambda _: False)
    assert time.process_time() - start < 3
    holes = extended(**{"GNU.sparse.map": b"0,0", "GNU.sparse.size": b"%d" % (1 << 50)}) + tar_member(b"a") + TAR_END
    with pytest.raises(UnsupportedError, match="too large"):
        unpack(holes, folder)


def test_the_limit_of_the_user(folder: Path) -> None:
    data = tar_of({"a": bytes(3 << 20)})
    set_limit("1MiB")
    try:
        for packed in (data, gzip.compress(data), bz2.compress(data)):
            with pytest.raises(UnsupportedError, match=r"--limit"):
                unpack(packed, folder)
    finally:
        set_limit(None)
    assert unpack(data, folder) == ["a"]


def test_many_members(folder: Path) -> None:
    """As many as are read: each costs a few microseconds, and no memory."""
    one = tar_member(b"lib/modules/6.1.0/kernel/drivers/net/a.ko")
    with io.BytesIO() as out:
        with gzip.GzipFile(fileobj=out, mode="wb", compresslevel=1) as file:
            for _ in range(MOST_MEMBERS // 1000):
                file.write(one * 1000)
            file.write(tar_member(b"one too many") + TAR_END)
        data = out.getvalue()
    set_limit("1GiB")
    start = time.process_time()
    try:
        with pytest.raises(UnsupportedError, match=r"too many members: expected at most 500,000"):
            Package(Source("a.tar", data)).unpack(folder, lambda _: False)
    finally:
        set_limit(None)
    assert time.process_time() - start < 12


def test_headers_that_are_none(folder: Path) -> None:
    good = tar_member(b"a", b"x")
    with pytest.raises(MalformedError, match=r"^a\.tar at 0x400: not a tar header"):
        unpack(good + b"\1" * 512 + TAR_END, folder)
    for broken in (b"5 a=b\n", b"99 a=b\n", b"x a=b\n", b"6 abc\n", b"-6 a=b\n", b"0 a=b\n", b"6 a=b"):
        with pytest.raises(MalformedError, match="an extended header is malformed"):
            unpack(good + tar_member(b"h", broken, b"x") + good + TAR_END, folder)
    with pytest.raises(UnsupportedError, match="a global header names"):
        unpack(good + tar_member(b"h", b"10 path=b\n", b"g") + good + TAR_END, folder)
    assert unpack(good + tar_member(b"h", b"16 comment=1234\n", b"g") + good + TAR_END, folder) == ["a", "a"]
    # Programs of old summed signed bytes.
    data = bytearray(tar_member("ä".encode(), b"x"))
    data[148:156] = b"%06o\0 " % (int(data[148:154], 8) - 512)
    assert unpack(bytes(data) + TAR_END, folder) == ["ä"]


@pytest.mark.parametrize(
    "text", [b"1\n0\n9\n", b"1\n0\n-4\n", b"2\n0\n2\n1\n2\n", b"70000\n", b"x\n", b"1" * 600, b"1\n0\n"]
)
def test_maps_of_sparse_files_that_are_none(text: bytes, folder: Path) -> None:
    fields = {"GNU.sparse.major": b"1", "GNU.sparse.minor": b"0", "GNU.sparse.realsize": b"4"}
    data = extended(**fields) + tar_member(b"s", text.ljust(-(-len(text) // 512) * 512, b"\0") + b"data") + TAR_END
    with pytest.raises(MalformedError, match=r"a sparse file's map|the archive ends inside a sparse map"):
        unpack(data, folder)


def test_a_sparse_file_in_an_old_format(folder: Path) -> None:
    data = extended(**{"GNU.sparse.size": b"9", "GNU.sparse.numblocks": b"1"}) + tar_member(b"s", b"data") + TAR_END
    with pytest.raises(UnsupportedError, match="the format of a sparse file is not supported"):
        unpack(data, folder)


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress], ids=["gzip", "bzip2", "xz"])
def test_bytes_after_the_stream(pack: Callable[[bytes], bytes], folder: Path) -> None:
    data = pack(tar_member(b"a") + TAR_END)
    assert unpack(data + bytes(512), folder) == ["a"]
    with pytest.raises(MalformedError, match=r"12 bytes that are not a \w+ stream follow one"):
        unpack(data + b"more of this", folder)


def test_debs_that_are_none(folder: Path) -> None:
    good = toy_deb(tar_of({"a": b"x"}))
    others = (
        (good.replace(b"data.tar", b"date.tar"), "the package has no data.tar"),
        (good.replace(b"data.tar ", b"data.tar."), "is not supported"),
        (good.replace(b"2.0\n", b"3.0\n"), "unsupported format version: expected 2.0"),
        (good.replace(b"`\n", b"\n`"), "not an ar member header"),
        (good[:-100], "the package is cut off"),
        (good + b"more", "the file is too short"),
    )
    for data, problem in others:
        with pytest.raises(KinspectError, match=problem):
            unpack(data, folder)
    with pytest.raises(MalformedError, match="the package has no control"):
        print(Package(Source("a.deb", good.replace(b"control.tar", b"contral.tar"))).name)


def test_rpms_that_are_none(folder: Path) -> None:
    good = toy_rpm(cpio_member("a", b"x") + CPIO_END)
    others = (
        (good.replace(b"\x8e\xad\xe8", b"\x8e\xad\xe9"), "not an rpm header"),
        (good.replace(b"070701", b"070707", 1), "not a cpio header"),
        (good.replace(b"070701", b"!70701", 1), "the compression of the payload is not supported"),
        (good.replace(b"0707010000", b"070701-000", 1), "is not a number"),
        (good.replace(b"cpio\0", b"drpm\0"), "the payload is not a cpio archive: found drpm"),
        (good[: -len(CPIO_END)], "the archive ends without its last member, TRAILER!!!"),
        (good[:100], "too short"),
        (good[:200], "too short"),
    )
    for data, problem in others:
        with pytest.raises(KinspectError, match=problem):
            unpack(data, folder)


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(UnwritableError, match="cannot write: No such file or directory"):
        unpack(tar_member(b"a") + TAR_END, tmp_path / "missing")


@pytest.mark.parametrize("name", packages())
def test_the_packages_of_the_tests_are_good(name: str, folder: Path) -> None:
    data = packages()[name]
    assert package_format(data) is not None
    package = Package(Source(name, data))
    assert package.unpack(folder, everything)
    assert package.name == ("" if name.endswith(".tar") else "a")
    assert listing(folder)


@pytest.mark.parametrize("name", packages())
def test_changed_packages_raise_nothing_but_our_errors(name: str, folder: Path) -> None:
    known = packages()
    draw, others, longest, said = random.Random(name), list(known.values()), 0.0, list[str]()
    for _ in range(ROUNDS):
        data = mutated(known[name], others, draw)
        start = time.process_time()
        try:
            package = Package(Source(name, data))
            assert isinstance(package.name + package.version + package.architecture, str)
            package.unpack(folder, lambda member: draw.random() < 0.8)
        except KinspectError as error:
            said.append(str(error))
        longest = max(longest, time.process_time() - start)
    assert longest < 5
    assert len(said) > ROUNDS / 4
    assert all(name in text or str(folder) in text for text in said)
