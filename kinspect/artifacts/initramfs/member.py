"""A member of a cpio archive, and who takes its data."""

import stat
from collections.abc import Callable
from typing import NamedTuple

Sink = Callable[[bytes], None]
"""Called with each block of a member's data."""


class CpioNumbers(NamedTuple):
    """The numbers of a header."""

    ino: int
    mode: int
    uid: int
    gid: int
    nlink: int
    mtime: int
    filesize: int
    major: int
    minor: int
    rmajor: int
    rminor: int
    namesize: int
    check: int


class Member(NamedTuple):
    """A member of an archive: its name as stored, its numbers, and the target of a symbolic link."""

    name: bytes
    numbers: CpioNumbers
    target: bytes = b""

    @property
    def path(self) -> str:
        """The name without `./` and `/` at its start: the kernel unpacks into `/`."""
        name = self.name.decode("utf-8", "surrogateescape").lstrip("/")
        while name.startswith("./"):
            name = name[2:].lstrip("/")
        return name

    @property
    def file_id(self) -> tuple[int, int, int]:
        """What hard links of an archive share."""
        return self.numbers.major, self.numbers.minor, self.numbers.ino

    @property
    def is_file(self) -> bool:
        """Whether it is a regular file."""
        return stat.S_ISREG(self.numbers.mode)


OnMember = Callable[[Member], Sink | None]
"""Called with each member, before its data: what takes its data, if anything does."""
