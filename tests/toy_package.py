"""Packages for tests, and what is in them once they are unpacked."""

import gzip
import io
import lzma
import os
import stat
import struct
import tarfile
from collections.abc import Mapping
from pathlib import Path

from kinspect.artifacts.package.file import Package
from kinspect.artifacts.package.member import PackageMember
from kinspect.schemas.package import rpm
from kinspect.schemas.package.ar import ArHeader
from kinspect.schemas.package.rpm import RpmEntry, RpmHeader, RpmLead
from kinspect.schemas.package.tar import TarHeader
from kinspect.schemas.record import build
from kinspect.source import Source

RELEASE = "6.1.0-toy"


def everything(_: PackageMember) -> bool:
    return True


def listing(folder: Path) -> dict[str, tuple[int, bytes, int]]:
    """The kind, contents and time of everything below a folder."""
    found = {}
    for path in folder.rglob("*"):
        status = path.lstat()
        data = os.readlink(path).encode() if path.is_symlink() else path.read_bytes() if path.is_file() else b""
        modified = int(status.st_mtime) if stat.S_ISREG(status.st_mode) else 0
        found[str(path.relative_to(folder))] = stat.S_IFMT(status.st_mode), data, modified
    return found


def kernel_files(root: Path) -> Path:
    """A folder with the files of a package of a kernel."""
    modules = root / "lib/modules" / RELEASE / "kernel"
    modules.mkdir(parents=True)
    (root / "boot").mkdir()
    (root / "boot" / f"vmlinuz-{RELEASE}").write_bytes(os.urandom(700_000))
    (modules / "a.ko").write_bytes(b"module" * 1000)
    (modules / "empty.ko").write_bytes(b"")
    (modules / ("long" * 40 + ".ko")).write_bytes(b"x" * 512)
    (modules / "ä b.ko").write_bytes(b"x" * 513)
    (modules / "link.ko").symlink_to("a.ko")
    os.link(modules / "a.ko", modules / "b.ko")
    os.utime(modules / "a.ko", (1, 1_600_000_000))
    return root


def unpacked(path: Path, folder: Path) -> dict[str, tuple[int, bytes, int]]:
    """What is in a package, as it is in a new folder once it is unpacked."""
    folder.mkdir()
    members = Package(Source(path)).unpack(folder, everything)
    found = listing(folder)
    assert {member.path for member in members if member.kind != "folder"} == {
        path for path, (kind, *_) in found.items() if kind != stat.S_IFDIR
    }
    return found


def tar_member(name: bytes, data: bytes = b"", kind: bytes = b"0", target: bytes = b"", **fields: bytes) -> bytes:
    """A member of a tar archive, with some fields of its header as they are given."""
    numbers = {"mode": b"0000644", "uid": b"0", "gid": b"0", "size": b"%011o" % len(data), "mtime": b"0", **fields}
    sizes = {"mode": 8, "uid": 8, "gid": 8, "size": 12, "mtime": 12}
    raw = {field: numbers[field].ljust(size, b"\0") for field, size in sizes.items()}
    blank = {field: bytes(size) for field, size in (("uname", 32), ("gname", 32), ("devmajor", 8), ("devminor", 8))}
    more = {"version": b"00", "prefix": bytes(155), "rest": bytes(12), "magic": b"ustar\0", "chksum": b" " * 8}
    names = {"name": name.ljust(100, b"\0"), "typeflag": kind, "linkname": target.ljust(100, b"\0")}
    header = TarHeader(**{**raw, **blank, **more, **names})
    header = header._replace(chksum=b"%06o\0 " % sum(build(header)))
    return build(header) + data + bytes(-len(data) % 512)


def extended(**fields: bytes) -> bytes:
    """An extended header of a tar archive."""
    data = b""
    for name, value in fields.items():
        rest = b" %s=%s\n" % (name.encode(), value)
        size = next(size for size in range(len(rest) + 1, len(rest) + 9) if len(b"%d" % size) + len(rest) == size)
        data += b"%d" % size + rest
    return tar_member(b"PaxHeaders/x", data, b"x")


TAR_END = bytes(1024)


def tar_of(files: Mapping[str, bytes]) -> bytes:
    """A tar archive of some files, as Python writes it."""
    with tarfile.open(fileobj=(out := io.BytesIO()), mode="w") as archive:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return out.getvalue()


def ar_member(name: str, data: bytes) -> bytes:
    """A member of an ar archive."""
    fields = (name, "0", "0", "0", "100644", str(len(data)))
    padded = [text.encode().ljust(size) for text, size in zip(fields, (16, 12, 6, 6, 8, 10), strict=True)]
    return build(ArHeader._make([*padded, b"`\n"])) + data + b"\n" * (len(data) % 2)


def toy_deb(data: bytes, suffix: str = "", control: bytes = b"Package: a\nVersion: 1\nArchitecture: arm64\n") -> bytes:
    """A Debian package whose data.tar is given, packed as its suffix says."""
    members = ("debian-binary", b"2.0\n"), ("control.tar.gz", gzip.compress(tar_of({"./control": control})))
    return b"!<arch>\n" + b"".join(ar_member(*member) for member in (*members, (f"data.tar{suffix}", data)))


def cpio_member(name: str, data: bytes, ino: int = 1, mode: int = 0o100644, nlink: int = 1) -> bytes:
    """A member of a cpio archive in the format newc."""
    numbers = (ino, mode, 0, 0, nlink, 0, len(data), 0, 0, 0, 0, len(name) + 1, 0)
    head = b"070701" + b"".join(b"%08X" % number for number in numbers) + name.encode() + b"\0"
    return head + bytes(-len(head) % 4) + data + bytes(-len(data) % 4)


CPIO_END = cpio_member("TRAILER!!!", b"")


def rpm_header(values: Mapping[int, str | int | list[str] | list[int]]) -> bytes:
    """A header of an rpm package: strings, arrays of strings, numbers."""
    entries, store = b"", b""
    for tag, value in sorted(values.items()):
        items = value if isinstance(value, list) else [value]
        if isinstance(items[0], int):
            store += bytes(-len(store) % 4)
            width = "H" if tag == rpm.FILEMODES else "I"
            form, data = rpm.INT16 if width == "H" else rpm.INT32, struct.pack(f">{len(items)}{width}", *items)
        else:
            form = rpm.STRING_ARRAY if isinstance(value, list) else rpm.STRING
            data = b"".join(str(item).encode() + b"\0" for item in items)
        entries += build(RpmEntry(tag, form, len(store), len(items)))
        store += data
    return build(RpmHeader(rpm.HEADER_MAGIC, bytes(4), len(values), len(store))) + entries + store


def toy_rpm(payload: bytes, **more: str) -> bytes:
    """An rpm package of two files, whose payload is given."""
    lead = RpmLead(rpm.MAGIC, 3, 0, 0, 19, b"a-1-2".ljust(66, b"\0"), 1, 5, bytes(16))
    signatures = rpm_header({1000: [1]})
    header = rpm_header(
        {
            rpm.NAME: "a", rpm.VERSION: "1", rpm.RELEASE: "2", rpm.ARCH: "aarch64", rpm.EPOCH: [3],
            rpm.BASENAMES: ["Image", "a.ko"], rpm.DIRNAMES: ["/boot/", "/lib/"], rpm.DIRINDEXES: [0, 1],
            rpm.FILESIZES: [5, 6], rpm.FILEMODES: [0o100644, 0o100644], rpm.FILEMTIMES: [1, 2],
            rpm.FILEDEVICES: [1, 1], rpm.FILEINODES: [1, 2], rpm.PAYLOADFORMAT: "cpio",
        }
    )  # fmt: skip
    return build(lead) + signatures + bytes(-len(signatures) % 8) + header + payload


def packages() -> dict[str, bytes]:
    """A small package of each format, by a name for it."""
    files = {"./boot/Image": b"Image" * 999, "lib/modules/6.1/a.ko": b"module" * 99, "n" * 150: b""}
    links = tar_member(b"lib/b.ko", b"", b"1", b"lib/modules/6.1/a.ko") + tar_member(b"lib/c", b"", b"2", b"b.ko")
    linked = tar_of({"lib/modules/6.1/a.ko": b"module" * 99})[:1536] + links + TAR_END
    pkginfo = tar_member(b".PKGINFO", b"pkgname = a\npkgver = 1-1\narch = aarch64\n")
    sparse = {"GNU.sparse.major": b"1", "GNU.sparse.minor": b"0", "GNU.sparse.realsize": b"5000"}
    holes = extended(**sparse, **{"GNU.sparse.name": b"boot/s"})
    holes += tar_member(b"s", b"2\n0\n5\n4995\n5\n".ljust(512, b"\0") + b"firstlast1")
    named = cpio_member("./boot/Image", b"Image") + cpio_member("./lib/a.ko", b"module", 2) + CPIO_END
    numbered = b"07070X00000000\0\0Image\0\0\0" + b"07070X00000001\0\0module\0\0"
    return {
        "plain.deb": toy_deb(tar_of(files)),
        "xz.deb": toy_deb(lzma.compress(tar_of(files)), ".xz"),
        "named.rpm": toy_rpm(named),
        "gz.rpm": toy_rpm(gzip.compress(named)),
        "numbered.rpm": toy_rpm(numbered + bytes(-len(numbered) % 4) + CPIO_END),
        "links.tar": linked,
        "holes.tar": holes + TAR_END,
        "a.pkg.tar.xz": lzma.compress(pkginfo + tar_of(files)),
        "a.apk": gzip.compress(pkginfo) + gzip.compress(tar_of(files)),
    }
