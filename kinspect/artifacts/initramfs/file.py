"""An initramfs: cpio archives one after the other, plain or compressed, read as the kernel unpacks them.

Everything is read once, from start to end, and no member is kept: the reader of a member gets its bytes in blocks.
Source: init/initramfs.c, unpack_to_rootfs() and the states of write_buffer().
"""

import stat
from typing import NamedTuple

from kinspect.artifacts.artifact import Artifact
from kinspect.artifacts.compression.magics import LONGEST_MAGIC, compression_of
from kinspect.artifacts.compression.streams import COMPRESSIONS
from kinspect.artifacts.initramfs.member import CpioNumbers, Member, OnMember, Sink
from kinspect.artifacts.initramfs.unpacking import Blocks
from kinspect.errors import MalformedError, UnsupportedError
from kinspect.schemas.cpio import CRC, NEWC, OLD_ASCII, TRAILER, CpioHeader
from kinspect.schemas.record import parse_table, size_of
from kinspect.source import Source

MOST_MEMBERS = 200_000
LONGEST_NAMES = 32 << 20
"""Bytes of all names together."""
_LONGEST_NAME = 4096
"""PATH_MAX with the NUL: the kernel skips a member with a longer name, or a link with a longer target."""
_MOST_FAULTS = 100
PLAIN = "none"
"""The compression of an archive that is not compressed."""
_UNALIGNED = "an archive does not begin at a multiple of 4: the kernel stops here"
_MASK = 0xFFFFFFFF
_LEGACY_LZ4 = b"\x02\x21"
_XZ_CRC32, _XZ_CHECKS = b"\1", {4: "CRC64", 10: "SHA-256"}
"""Types of checks. Source: the .xz file format, 2.1.1.2 "Stream Flags"."""
_HEADER = size_of(CpioHeader)
_COPIED = 1 << 20


class Part(NamedTuple):
    """One archive, or a compressed stream of archives. Offsets and sizes in bytes.

    `size` is that in the file, `unpacked` that of the archives; `members` are without the last one of each archive.
    """

    offset: int
    size: int
    compression: str
    unpacked: int
    archives: int
    members: int


class ArchiveFault(NamedTuple):
    """What the kernel cannot unpack. `offset` is that in the file, or in what the part at `part` unpacks to."""

    problem: str
    offset: int
    part: int | None = None
    expected: str = ""
    actual: str = ""


class Initramfs(Artifact):
    """An initramfs. `read` reads it; `parts` and `faults` are what the last `read` found."""

    kind = "an initramfs"
    hint = "`kinspect initramfs` reads it"

    def __init__(self, source: Source | str) -> None:
        super().__init__(source)
        self.parts: list[Part] = []
        self.faults: list[ArchiveFault] = []
        self.bad_sums: list[str] = []
        self._members = self._headers = self._name_bytes = 0
        self.archive = 0
        """The number of the archive that is being read: members of one archive may be hard links to each other."""

    def read(self, on_member: OnMember) -> None:
        """Read all archives. Raises UnsupportedError over a limit, or for a compression that is not read.

        What the kernel cannot unpack becomes a fault.
        """
        self.parts, self.faults, self.bad_sums = [], [], []
        self._members = self._headers = self._name_bytes = self.archive = 0
        at, size = 0, self.size
        while (at := self._zeros_after(at)) < size:
            head = self.source.read(at, min(LONGEST_MAGIC, size - at))
            compression = "" if head[:1] == b"0" else compression_of(head)
            # What follows a plain archive must be aligned, and so must a plain archive.
            if at % 4 and (not compression or self.parts[-1].compression == PLAIN):
                self._fault(_UNALIGNED, at)
                return
            if head[:1] != b"0" and compression not in COMPRESSIONS:
                if compression:
                    raise UnsupportedError(f"{compression} is not supported", self.at("", at))
                self._fault("neither an archive nor a compressed one", at, None, "070701", _shown(head[:6]))
                return
            self._refused(at, head, compression)
            after = self._part(at, compression, on_member)
            if after is None:
                return
            at = after

    def _refused(self, at: int, head: bytes, compression: str) -> None:
        """Add a fault for a form of a compression that the kernel does not have.

        Source: lib/decompress.c, compressed_formats; lib/xz/xz_dec_stream.c, dec_stream_header().
        """
        if compression == "lz4" and not head.startswith(_LEGACY_LZ4):
            self._fault("the kernel knows only the legacy frame of lz4: use lz4 -l", at)
        if compression == "xz" and head[7:8] > _XZ_CRC32:
            self._fault("the kernel refuses this check of xz: use xz --check=crc32", at, None, "CRC32", _xz_check(head))

    def _zeros_after(self, at: int) -> int:
        for start in range(at, self.size, _COPIED):
            data = self.source.read(start, min(_COPIED, self.size - start))
            rest = data.lstrip(b"\0")
            if rest:
                return start + len(data) - len(rest)
        return self.size

    def _part(self, at: int, compression: str, on_member: OnMember) -> int | None:
        """Read what begins at an offset: the offset after it; None when nothing can be read after it."""
        blocks = Blocks(self.source, at, compression)
        members, archives, whole = self._members, 0, True
        try:
            while whole:
                whole = self._archive(blocks, at, compression, on_member)
                archives += 1
                self.archive += 1
                if not compression:
                    break
                following = blocks.skip_zeros() if whole else b""
                if not following:
                    break
                if following != b"0" or blocks.position % 4:
                    problem = _UNALIGNED if following == b"0" else "bytes that are not an archive follow one"
                    self._fault(problem, blocks.position, at)
                    whole = False  # the kernel stops
        except MalformedError as error:
            self._fault(error.problem, blocks.end if compression else blocks.position, None)
            whole = False
        end = blocks.end if compression else at + blocks.position
        count = self._members - members
        self.parts.append(Part(at, end - at, compression or PLAIN, blocks.position, archives, count))
        return end if whole else None

    def _archive(self, blocks: Blocks, start: int, compression: str, on_member: OnMember) -> bool:
        """Read one archive: whether it has its end. Raises MalformedError for a broken stream."""
        part = start if compression else None
        base = 0 if compression else start

        def fault(problem: str, offset: int, expected: str = "", actual: str = "") -> None:
            self._fault(problem, base + offset, part, expected, actual)

        while True:
            at = blocks.position
            data = blocks.read(_HEADER)
            if len(data) < _HEADER:
                fault(_cut("a header") if data else "the archive ends without its last member, TRAILER!!!", at)
                return False
            header = parse_table(CpioHeader, data)[0]
            found = header.numbers
            if header.c_magic not in (NEWC, CRC) or found is None:
                fault(*_broken(header, at))
                return False
            numbers = CpioNumbers._make(found)
            name = self._name(blocks, numbers)
            if name is None:
                fault(_cut("a name"), at)
                return False
            if not name.endswith(b"\0") or len(name) < 2 or len(name) > _LONGEST_NAME:
                problem = "the kernel skips a member: its name is empty, too long, or has no NUL"
                fault(problem, at, f"2 to {_LONGEST_NAME:,} bytes", f"{numbers.namesize:,}")
            name = name.split(b"\0", 1)[0]
            self._count(name)
            if name == TRAILER:
                # Its data, if it has any, is skipped as that of other members.
                return self._data(blocks, numbers.filesize, None)[0]
            self._members += 1
            if not self._member(blocks, Member(name, numbers), header.c_magic == CRC, on_member):
                fault(f"{_cut('the data')}, of {name.decode('utf-8', 'backslashreplace')[:200]}", at)
                return False

    @staticmethod
    def _name(blocks: Blocks, numbers: CpioNumbers) -> bytes | None:
        """The name with its NUL, of which no more is kept than shows that it is too long; None when it is cut off."""
        size = numbers.namesize
        name = blocks.read(min(size, _LONGEST_NAME + 1))
        rest = size - len(name) + -(_HEADER + size) % 4
        while rest and (data := blocks.some(rest)):
            rest -= len(data)
        # The padding may be missing at the very end.
        return name if rest < 4 and len(name) == min(size, _LONGEST_NAME + 1) else None

    def _member(self, blocks: Blocks, member: Member, summed: bool, on_member: OnMember) -> bool:
        size = member.numbers.filesize
        if stat.S_ISLNK(member.numbers.mode):
            target = bytearray()
            whole, _ = self._data(blocks, size, lambda data: target.extend(data[: _LONGEST_NAME - len(target)]))
            on_member(member._replace(target=bytes(target)))
            return whole
        whole, total = self._data(blocks, size, on_member(member), summed)
        # A hard link without data may have the sum of the data.
        wrong = summed and whole and size and member.is_file and total != member.numbers.check
        if wrong and len(self.bad_sums) < _MOST_FAULTS:
            self.bad_sums.append(member.path)
        return whole

    @staticmethod
    def _data(blocks: Blocks, size: int, sink: Sink | None, summed: bool = False) -> tuple[bool, int]:
        """Pass the data of a member on, and skip the padding: whether it is whole, and the sum of its bytes."""
        rest, total = size, 0
        while rest:
            data = blocks.some(rest)
            if not data:
                return False, total
            rest -= len(data)
            if sink:
                sink(data)
            if summed:
                total = (total + sum(data)) & _MASK
        blocks.read(-size % 4)
        return True, total

    def _count(self, name: bytes) -> None:
        """Count a header and its name, of the archive's end too. UnsupportedError over a limit."""
        self._headers += 1
        self._name_bytes += len(name)
        if self._headers > MOST_MEMBERS:
            raise UnsupportedError("too many members", self.at(), expected=f"at most {MOST_MEMBERS:,}")
        if self._name_bytes > LONGEST_NAMES:
            expected = f"at most {LONGEST_NAMES:,} bytes"
            raise UnsupportedError("the names of the members are too long", self.at(), expected=expected)

    def _fault(self, problem: str, offset: int, part: int | None = None, expected: str = "", actual: str = "") -> None:
        if len(self.faults) < _MOST_FAULTS:
            self.faults.append(ArchiveFault(problem, offset, part, expected, actual))


def _xz_check(head: bytes) -> str:
    return _XZ_CHECKS.get(head[7], f"type {head[7]}")


def _cut(subject: str) -> str:
    return f"the archive ends inside {subject}"


def _broken(header: CpioHeader, at: int) -> tuple[str, int, str, str]:
    """Why a header is none: problem, offset, what is expected and found."""
    if header.c_magic == OLD_ASCII:
        return "an archive in the format odc, which the kernel refuses: use cpio -H newc", at, "070701", "070707"
    if header.c_magic not in (NEWC, CRC):
        return "not a cpio header", at, "070701", _shown(header.c_magic)
    fields = zip(header._fields[1:], header[1:], strict=True)
    name, value = next((name, value) for name, value in fields if not value.isalnum() or _not_hex(value))
    return f"{name} is not a number", at, "8 hexadecimal digits", _shown(value)


def _not_hex(value: bytes) -> bool:
    return bool(value.translate(None, b"0123456789abcdefABCDEF"))


def _shown(data: bytes) -> str:
    return data.decode("ascii", "backslashreplace")
