"""Files for tests: a copy with faults in it, small ELF files made of our own records; and a terminal."""

import fcntl
import os
import pty
import shutil
import signal
import struct
import subprocess
import termios
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import NamedTuple, TypeVar

import pytest

from kinspect.artifacts.elf.file import Elf
from kinspect.schemas import elf
from kinspect.schemas.elf import ElfHeader, ProgramHeader, SectionHeader, Symbol
from kinspect.schemas.record import build, parse, size_of

R = TypeVar("R", bound=NamedTuple)


class Part(NamedTuple):
    """A section of a small ELF file."""

    name: str
    data: bytes = b""
    address: int = 0
    flags: int = elf.SHF_ALLOC
    type: int = elf.SHT_PROGBITS


class Named(NamedTuple):
    """A symbol of a small ELF file: global and a function, in the first section, when nothing else is said."""

    name: str
    value: int
    section: int = 1
    info: int = elf.STB_GLOBAL << 4 | elf.STT_FUNC
    size: int = 0


def patched(path: Path, changes: Mapping[int, bytes], folder: Path) -> Path:
    """A copy of a file with other bytes at some offsets."""
    data = bytearray(path.read_bytes())
    for offset, value in changes.items():
        assert 0 <= offset <= len(data) - len(value)
        data[offset : offset + len(value)] = value
    copy = folder / path.name
    copy.write_bytes(data)
    return copy


def changed(path: Path, record: type[R], offset: int, **fields: int | bytes) -> dict[int, bytes]:
    """The change that gives some fields of the record at an offset other values."""
    found = parse(record, path.read_bytes()[offset : offset + 64])
    return {offset: build(found._replace(**fields))}


def changed_section(path: Path, name: str, **fields: int) -> dict[int, bytes]:
    """The change of the header of the first section of a name."""
    vmlinux = Elf(path)
    number = next(section.number for section in vmlinux.sections if section.name == name)
    return changed(path, SectionHeader, vmlinux.header.e_shoff + number * size_of(SectionHeader), **fields)


def elf_of(
    *parts: Part, symbols: Sequence[Named] = (), segments: Sequence[ProgramHeader] = (), e_type: int = elf.ET_DYN
) -> bytes:
    """An ELF file for arm64 with sections 1, 2, ... as given, then symbols if there are any, then section names."""
    parts = tuple(parts)
    if symbols:
        names, table = b"\0", build(Symbol(0, 0, 0, 0, 0, 0))
        for symbol in symbols:
            table += build(Symbol(len(names), symbol.info, 0, symbol.section, symbol.value, symbol.size))
            names += symbol.name.encode() + b"\0"
        parts += (Part(".symtab", table, 0, 0, elf.SHT_SYMTAB), Part(".strtab", names, 0, 0, elf.SHT_STRTAB))
    titles = b"\0" + b"".join(part.name.encode() + b"\0" for part in (*parts, Part(".shstrtab")))
    parts += (Part(".shstrtab", titles, 0, 0, elf.SHT_STRTAB),)
    body, start = b"", size_of(ElfHeader) + len(segments) * size_of(ProgramHeader)
    headers, title = [SectionHeader(*[0] * 10)], 1
    for number, part in enumerate(parts, start=1):
        link, entry_size = (number + 1, size_of(Symbol)) if part.type == elf.SHT_SYMTAB else (0, 0)
        place = (part.address, start + len(body), len(part.data))
        headers.append(SectionHeader(title, part.type, part.flags, *place, link, 0, 1, entry_size))
        title += len(part.name) + 1
        if part.type != elf.SHT_NOBITS:
            body += part.data
    header = ElfHeader(
        elf.MAGIC + bytes([elf.CLASS_64, elf.DATA_LITTLE, 1]) + bytes(9),
        e_type,
        elf.MACHINE_AARCH64,
        1,
        0,
        size_of(ElfHeader) if segments else 0,
        start + len(body),
        0,
        size_of(ElfHeader),
        size_of(ProgramHeader),
        len(segments),
        size_of(SectionHeader),
        len(headers),
        len(headers) - 1,
    )
    return b"".join([build(header), *map(build, segments), body, *map(build, headers)])


def on_a_terminal(command: Sequence[str], columns: int = 80, cwd: Path | None = None, **more: str) -> tuple[int, str]:
    """The exit status of a command, and what it prints on a terminal of some columns; an empty value unsets a name."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    clean = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "NO_COLOR", "FORCE_COLOR")}
    environment = {name: value for name, value in {**clean, "TERM": "xterm", **more}.items() if value}
    child = subprocess.Popen(
        command, cwd=cwd, stdin=subprocess.DEVNULL, stdout=theirs, stderr=subprocess.DEVNULL, env=environment
    )
    os.close(theirs)
    found = read_terminal(ours)
    return child.wait(), found.replace("\r\n", "\n")


def read_terminal(ours: int) -> str:
    """What is written to a terminal until its other end is closed."""
    found = b""
    try:
        while part := os.read(ours, 1 << 16):
            found += part
    except OSError:
        pass  # the terminal's other end is closed
    os.close(ours)
    return found.decode()


class OverdueError(BaseException):
    """No Exception: nothing that turns those into errors of its own may hide it."""


@contextmanager
def time_limit(most: float) -> Iterator[None]:
    """Stop what takes longer."""

    def stop(_: int, __: FrameType | None) -> None:
        raise OverdueError(f"longer than {most} seconds")

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, most)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


NO_PACKAGE = "no Debian package has it"


def optional_tool(name: str) -> str:
    """The path of a tool that no Debian package has; the test is skipped without it."""
    path = shutil.which(name)
    if path is None:
        pytest.skip(f"{name} is missing: {NO_PACKAGE}")
    return path
