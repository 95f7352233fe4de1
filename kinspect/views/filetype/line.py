"""What file(1) prints, to the byte: the line that people already paste into their reports.

Parity is with file 5.44, or with the `version` asked for up to 5.48, for what a build of an arm64 kernel leaves:
Image, zboot and PE, ELF (vmlinux, modules, objects, vDSOs; either class and byte order), dtb and FIT, gzip, xz,
zstd, lz4, bzip2, lzma and lzop, uImage, ar, thin ar and cpio archives, text in every encoding that file tells,
.config, .dts, C source with an #include, and whatever is no regular file. tests/views/test_file_line.py holds it
against the real tool.

Not here: the other thousands of rules. A file that only one of those would match is `data`, or text of its
encoding: scripts, Makefiles, JSON, CSV, certificates, tar and deb archives, and the SIMH tapes that 5.45 and later see
in some data. An ELF machine that Linux does not run on is `*unknown arch*`; notes are read for build id and ABI tag
alone, so a core file says nothing of its process; a DOS program without a PE header is just that.

The reference is LC_ALL=C.UTF-8, where names print as they are if their characters do, and otherwise in octal.
"-" is the standard input when that is a regular file. No more is read than a head of 64 KiB and the places that a
rule names, in the first 7 MiB but for the tables of ELF and the last 4 bytes of gzip.
"""

import errno
import os
import stat
from collections.abc import Iterator, Sequence

from kinspect.errors import KinspectError, UnreadableError
from kinspect.source import Source
from kinspect.views.filetype.content import Beginning
from kinspect.views.filetype.formats import binary
from kinspect.views.filetype.text import text

VERSIONS = ("5.44", "5.45", "5.46", "5.47", "5.48")
"""The releases of file whose words can be asked for."""
_FOLDER_AND_OTHERS = {stat.S_IFDIR: "directory", stat.S_IFIFO: "fifo (named pipe)", stat.S_IFSOCK: "socket"}
_DEVICES = {stat.S_IFCHR: "character special", stat.S_IFBLK: "block special"}
_BITS = ((stat.S_ISUID, "setuid"), (stat.S_ISGID, "setgid"), (stat.S_ISVTX, "sticky"))
_WIDE_TOO = (("\u3248", "\u324f"), ("\u4dc0", "\u4dff"))
"""Circled numbers and hexagrams: two columns to glibc, one to Unicode."""


def lines(paths: Sequence[str], *, version: str = "5.44", brief: bool = False, follow: bool = False) -> Iterator[str]:
    """The lines of `file paths...`, without line ends; `brief` as its -b, `follow` as its -L."""
    widths = [sum(map(_width, _shown(path))) for path in paths]
    longest = max(widths, default=0)
    for path, width in zip(paths, widths, strict=True):
        # The padding is counted from the name as it was given.
        name = "".join(_shown("/dev/stdin" if path == "-" else path))
        label = "" if brief or not longest else f"{name}:{' ' * (longest - width)} "
        yield label + description(path, version=version, follow=follow)


def description(path: str, *, version: str = "5.44", follow: bool = False) -> str:
    """What `file` prints after the name. Never raises for what is at the path; ValueError for an unknown version."""
    if version not in VERSIONS:
        raise ValueError(f"file {version} is not one of {', '.join(VERSIONS)}")
    if path == "-":
        path, follow = "/dev/stdin", True
    try:
        return _printable(_described(path, int(version[2:]), follow))
    except KinspectError as error:
        return _printable(f"ERROR: {error.problem}")


def _described(path: str, minor: int, follow: bool) -> str:
    try:
        status = os.stat(path) if follow else os.lstat(path)
    except (OSError, ValueError) as reason:
        return f"cannot open `{path}' ({_reason(reason)})"
    bits = [words for bit, words in _BITS if status.st_mode & bit]
    other = _other_than_contents(path, status)
    if other:
        return ", ".join([*bits, other])
    said = ", ".join(bits) + " " if bits else ""
    source = Source(path)
    try:
        return said + _contents(source, minor, said)
    finally:
        source.close()


def _contents(source: Source, minor: int, said: str) -> str:
    try:
        size = source.size
    except UnreadableError:
        return _closed(source.path)
    if size < 2:
        return "very short file (no magic)" if size else "empty"
    beginning = Beginning(source)
    return binary(beginning, minor) or text(beginning, minor, said=bool(said)) or "data"


def _other_than_contents(path: str, status: os.stat_result) -> str:
    """What a file is by its status alone; nothing for a regular file that is not empty."""
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
    """What file says of a file that it may not read."""
    allowed = [words for mode, words in ((os.W_OK, "writable"), (os.X_OK, "executable")) if os.access(path, mode)]
    return ", ".join([*allowed, "regular file", "no read permission"])


def _reason(error: OSError | ValueError) -> str:
    # A path that is no C string reaches no system call.
    return getattr(error, "strerror", None) or os.strerror(errno.EINVAL)


def _shown(name: str) -> list[str]:
    """The characters of a name as file prints them, each by itself: what it does not print, in octal."""
    return [char if _prints(char) else f"\\{ord(char) & 0xFF:03o}" for char in name]


def _width(shown: str) -> int:
    if len(shown) > 1 or shown.isascii():
        return len(shown)
    from unicodedata import category, east_asian_width

    wide = east_asian_width(shown) in "WF" and category(shown) != "Mn"
    return 1 + (wide or any(first <= shown <= last for first, last in _WIDE_TOO))


def _printable(words: str) -> str:
    """Words as file prints them: in octal what does not print, and all beyond ASCII if one byte is not of UTF-8."""
    if words.isascii() and words.isprintable():
        return words
    invalid = any("\udc80" <= char <= "\udcff" for char in words)
    return "".join(
        char
        if _prints(char) and (char.isascii() or not invalid)
        else "".join(f"\\{byte:03o}" for byte in char.encode("utf-8", "surrogateescape"))
        for char in words
    )


def _prints(char: str) -> bool:
    """Whether a character prints, as iswprint of glibc has it."""
    if char.isprintable():
        return True
    # Not worth its start-up time where all names are ASCII.
    from unicodedata import category

    return category(char) not in ("Cc", "Cn", "Cs", "Zl", "Zp")
