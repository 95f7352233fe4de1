"""What file(1) prints, to the byte: the line that people already paste into their reports.

It agrees with file 5.44, or with a `version` up to 5.48, on what a build of an arm64 kernel leaves: Image, zboot and
PE, ELF (vmlinux, modules, objects, vDSOs; either class and byte order), dtb and FIT, gzip, xz, zstd, lz4, bzip2, lzma
and lzop, uImage, ar, thin ar and cpio archives, text in every encoding that file knows, .config, .dts, C source with
an #include, and everything that is not a regular file. tests/views/filetype compares it with the real tool.

The thousands of other rules are left out. A file that only one of those matches is `data`, or text of its encoding:
scripts, Makefiles, JSON, CSV, certificates, tar and deb archives, and the SIMH tapes that 5.45 and later see in some
data. ELF machines that Linux does not run on are `*unknown arch*`. Of the notes only build id and ABI tag are read, so
nothing is printed about the process of a core file. DOS programs without a PE header get no details.

The locale is LC_ALL=C.UTF-8, where printable characters in names print as they are and all others in octal. "-" is the
standard input when that is a regular file. Only the first 64 KiB are read, and the places that a rule names in the
first 7 MiB; tables of ELF files and the last 4 bytes of gzip may lie anywhere.
"""

import errno
import os
import stat
from typing import NamedTuple

from kinspect.errors import KinspectError, UnreadableError
from kinspect.source import Source
from kinspect.views.filetype.content import Beginning
from kinspect.views.filetype.formats import binary
from kinspect.views.filetype.text import text

VERSIONS = ("5.44", "5.45", "5.46", "5.47", "5.48")
"""The releases of file whose output is known."""
_FOLDER_AND_OTHERS = {stat.S_IFDIR: "directory", stat.S_IFIFO: "fifo (named pipe)", stat.S_IFSOCK: "socket"}
_DEVICES = {stat.S_IFCHR: "character special", stat.S_IFBLK: "block special"}
_BITS = ((stat.S_ISUID, "setuid"), (stat.S_ISGID, "setgid"), (stat.S_ISVTX, "sticky"))
_WIDE_TOO = (("\u3248", "\u324f"), ("\u4dc0", "\u4dff"))
"""Circled numbers and hexagrams: two columns wide in glibc, one in Unicode."""


class FileFacts(NamedTuple):
    """A path and what file(1) prints after it."""

    path: str
    description: str


def file_line(facts: FileFacts, width: int, brief: bool = False) -> str:
    """The line that file prints, without its end: the name padded to `width` columns; without a name if `brief`."""
    if brief or not width:
        return facts.description
    name = "".join(_shown("/dev/stdin" if facts.path == "-" else facts.path))
    # The padding is computed from the path as it was given.
    return f"{name}:{' ' * (width - name_width(facts.path))} {facts.description}"


def name_width(path: str) -> int:
    """The columns that a path takes in file's output."""
    return sum(map(_width, _shown(path)))


def description(path: str, *, version: str = "5.44", follow: bool = False) -> str:
    """What file prints after the name; `follow` follows symbolic links, as -L.

    Never raises for what is at the path; ValueError for an unknown version.
    """
    if version not in VERSIONS:
        raise ValueError(f"file {version} is not one of {', '.join(VERSIONS)}")
    if path == "-":
        path, follow = "/dev/stdin", True
    return _caught(path, int(version[2:]), follow, None)


def source_description(source: Source) -> str:
    """What file 5.44 -L prints after the name of a file that is open already."""
    return _caught(source.path, 44, True, source)


def _caught(path: str, minor: int, follow: bool, source: Source | None) -> str:
    try:
        return _printable(_described(path, minor, follow, source))
    except KinspectError as error:
        return _printable(f"ERROR: {error.problem}")


def _described(path: str, minor: int, follow: bool, source: Source | None) -> str:
    try:
        status = os.stat(path) if follow else os.lstat(path)
    except (OSError, ValueError) as reason:
        return f"cannot open `{path}' ({_reason(reason)})"
    bits = [name for bit, name in _BITS if status.st_mode & bit]
    other = _other_than_contents(path, status)
    if other:
        return ", ".join([*bits, other])
    prefix = ", ".join(bits) + " " if bits else ""
    if source:
        return prefix + _contents(source, minor, prefix)
    source = Source(path)
    try:
        return prefix + _contents(source, minor, prefix)
    finally:
        source.close()


def _contents(source: Source, minor: int, prefix: str) -> str:
    try:
        size = source.size
    except UnreadableError:
        return _closed(source.path)
    if size < 2:
        return "very short file (no magic)" if size else "empty"
    beginning = Beginning(source)
    return binary(beginning, minor) or text(beginning, minor, prefixed=bool(prefix)) or "data"


def _other_than_contents(path: str, status: os.stat_result) -> str:
    """The description of anything but a regular file with contents, which the status alone decides; else empty."""
    kind = stat.S_IFMT(status.st_mode)
    if kind == stat.S_IFREG:
        return "" if status.st_size else "empty"
    if kind == stat.S_IFLNK:
        return _link(path)
    if kind in _DEVICES:
        return f"{_DEVICES[kind]} ({os.major(status.st_rdev)}/{os.minor(status.st_rdev)})"
    return _FOLDER_AND_OTHERS.get(kind, "")


def _link(path: str) -> str:
    try:
        target = os.readlink(path)
    except OSError as reason:
        return f"unreadable symlink `{path}' ({_reason(reason)})"
    try:
        os.stat(path)
    except OSError:
        return f"broken symbolic link to {target}"
    return f"symbolic link to {target}"


def _closed(path: str) -> str:
    """The description of a file without read permission."""
    allowed = [name for mode, name in ((os.W_OK, "writable"), (os.X_OK, "executable")) if os.access(path, mode)]
    return ", ".join([*allowed, "regular file", "no read permission"])


def _reason(error: OSError | ValueError) -> str:
    # A path with a NUL in it reaches no system call.
    return getattr(error, "strerror", None) or os.strerror(errno.EINVAL)


def _shown(name: str) -> list[str]:
    """The characters of a name as file prints them, one by one: unprintable ones in octal."""
    return [char if _prints(char) else f"\\{ord(char) & 0xFF:03o}" for char in name]


def _width(shown: str) -> int:
    if len(shown) > 1 or shown.isascii():
        return len(shown)
    from unicodedata import category, east_asian_width

    wide = east_asian_width(shown) in "WF" and category(shown) != "Mn"
    return 1 + (wide or any(first <= shown <= last for first, last in _WIDE_TOO))


def _printable(text: str) -> str:
    """A description as file prints it: unprintable characters in octal, and all beyond ASCII unless it is UTF-8."""
    if text.isascii() and text.isprintable():
        return text
    invalid = any("\udc80" <= char <= "\udcff" for char in text)
    return "".join(
        char
        if _prints(char) and (char.isascii() or not invalid)
        else "".join(f"\\{byte:03o}" for byte in char.encode("utf-8", "surrogateescape"))
        for char in text
    )


def _prints(char: str) -> bool:
    """Whether a character is printable, as glibc's iswprint decides."""
    if char.isprintable():
        return True
    # Imported here because most names are ASCII.
    from unicodedata import category

    return category(char) not in ("Cc", "Cn", "Cs", "Zl", "Zp")
