"""Small initramfs images for tests, written by a cpio writer of our own; what the real cpio makes of a folder."""

import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from kinspect.artifacts.initramfs.member import CpioNumbers
from kinspect.schemas.cpio import CRC, NEWC, TRAILER

FILE, FOLDER, LINK, DEVICE = 0o100644, 0o40755, 0o120777, 0o20600


class Entry(NamedTuple):
    """A member: by default a file; `fields` replaces fields of its header by their numbers or raw digits."""

    name: bytes | str
    data: bytes = b""
    mode: int = FILE
    ino: int = 0
    nlink: int = 1
    fields: dict[str, int | bytes] = {}


NAMES = CpioNumbers._fields


def member(entry: Entry, magic: bytes = NEWC) -> bytes:
    """The bytes of a member, padded."""
    name = (entry.name.encode() if isinstance(entry.name, str) else entry.name) + b"\0"
    total = sum(entry.data) & 0xFFFFFFFF if magic == CRC else 0
    values: dict[str, int | bytes] = dict.fromkeys(NAMES, 0)
    values |= {"ino": entry.ino, "mode": entry.mode, "nlink": entry.nlink, "filesize": len(entry.data)}
    values |= {"namesize": len(name), "check": total, **entry.fields}
    head = magic + b"".join(value if isinstance(value, bytes) else b"%08X" % value for value in values.values())
    return padded(padded(head + name) + entry.data)


def padded(data: bytes, to: int = 4) -> bytes:
    return data + bytes(-len(data) % to)


def archive(*entries: Entry, magic: bytes = NEWC, end: bool = True, pad: int = 512) -> bytes:
    """An archive, padded as cpio does."""
    trailer = member(Entry(TRAILER, mode=0), magic) if end else b""
    return padded(b"".join(member(entry, magic) for entry in entries) + trailer, pad)


def entries_of(root: Path, only: Iterable[str] = ("",)) -> list[Entry]:
    """All of a folder as members, by name."""
    found = []
    for path in sorted(root.rglob("*")):
        name = path.relative_to(root).as_posix()
        if path.is_symlink():
            found.append(Entry(name, str(path.readlink()).encode(), LINK))
        elif path.is_dir():
            found.append(Entry(name, mode=FOLDER, nlink=2))
        elif name.startswith(tuple(only)):
            found.append(Entry(name, path.read_bytes()))
    return found


def real_cpio(cpio: str, root: Path, form: str = "newc") -> bytes:
    """What the real cpio makes of a folder."""
    names = "".join(f"{path.relative_to(root)}\n" for path in sorted(root.rglob("*")))
    command = [cpio, "-o", "-H", form, "--quiet"]
    return subprocess.run(command, cwd=root, input=names.encode(), capture_output=True, check=True).stdout
