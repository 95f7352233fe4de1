"""What file(1) prints of compressed files. Part of the view in line.py.

Source: magic/Magdir/compress of file.
"""

from time import asctime, gmtime

from kinspect.views.filetype.content import Beginning, phrase, signed

_GZIP_SYSTEMS = {
    0: "FAT filesystem (MS-DOS, OS/2, NT)",
    1: "Amiga",
    2: "VMS",
    3: "Unix",
    4: "VM/CMS",
    5: "Atari",
    6: "HPFS filesystem (OS/2, NT)",
    7: "MacOS",
    8: "Z-System",
    9: "CP/M",
    10: "TOPS/20",
    11: "NTFS filesystem (NT)",
    12: "QDOS",
    13: "Acorn RISCOS",
}
_GZIP_LEVELS = {2: "\b, max compression", 4: "\b, max speed"}
_GZIP_EXTRA, _GZIP_NAME, _GZIP_COMMENT = 4, 8, 16
_LZOP_METHODS = {1: "LZO1X-1,", 2: "LZO1X-1(15),", 3: "LZO1X-999,"}
_LZOP_SYSTEMS = {
    0: "os: MS-DOS",
    1: "os: Amiga",
    2: "os: VMS",
    3: "os: Unix",
    5: "os: Atari",
    6: "os: OS/2",
    7: "os: MacOS",
    10: "os: Tops/20",
    11: "os: WinNT",
    14: "os: Win32",
}
_XZ_CHECKS = {0: "NONE", 1: "CRC32", 4: "CRC64", 10: "SHA-256"}


def gzip(beginning: Beginning, minor: int) -> str | None:
    """What file prints for gzip; None if the file ends before the flags, its fourth byte."""
    flags, size = beginning.number(3, 1), beginning.source.size
    named = flags & (_GZIP_NAME | _GZIP_COMMENT)
    if flags < 0:
        return None
    if size < 10 and not named:
        return "gzip compressed data"
    tail = beginning.source.read(size - 4, 4)
    original = f"\b, original size modulo 2^32 {int.from_bytes(tail, 'little')}"
    description = phrase("gzip compressed data", _gzip_header(beginning, 0), original)
    if named or not tail[3] & (_GZIP_NAME | _GZIP_COMMENT):
        return description
    # After reading the size at the end, file tests it as if a second header started there: the size of a file of
    # 128 MiB, for example, has the bit of a name.
    return phrase(description, "gzip compressed data", _gzip_header(beginning, beginning.size - 4), original)


def _gzip_header(beginning: Beginning, base: int) -> str:
    flags, level, system = (beginning.number(offset, 1, base=base) for offset in (3, 8, 9))
    method = signed(beginning.number(2, 1, base=base), 8)
    seconds = signed(beginning.number(4, 4, base=base), 32)
    named = flags & (_GZIP_NAME | _GZIP_EXTRA) == _GZIP_NAME and beginning.size >= 10
    return phrase(
        "\b, reserved method" if method < 8 else "\b, unknown method" if method > 8 else "",
        "\b, ASCII" if flags & 1 else "",
        "\b, has CRC" if flags & 2 else "",
        "\b, extra field" if flags & _GZIP_EXTRA else "",
        f'\b, was "{beginning.string(base + 10)}"' if named else "",
        "\b, has comment" if flags & _GZIP_COMMENT else "",
        "\b, encrypted" if flags & 32 else "",
        f"\b, last modified: {asctime(gmtime(seconds))}" if seconds > 0 else "",
        _GZIP_LEVELS.get(level, ""),
        f"\b, from {_GZIP_SYSTEMS[system]}" if system in _GZIP_SYSTEMS else "",
    )


def xz(beginning: Beginning, minor: int) -> str:
    """What file prints for xz."""
    return phrase("XZ compressed data, checksum", _XZ_CHECKS.get(beginning.number(7, 1) & 15, ""))


def zstandard(beginning: Beginning, minor: int) -> str | None:
    """What file prints for zstd, whose version is in the first byte; None for a version that never existed."""
    version = beginning.head[0] - 0x20
    if not 2 <= version <= 8:
        return None
    description = f"Zstandard compressed data (v0.{version}{'+' if version == 8 else ''})"
    if version < 7:
        return description
    descriptor = beginning.number(0, 1, base=4)
    width = (0, 1, 2, 4)[descriptor & 3]
    # A frame with a single segment has no window byte.
    number = beginning.number(1 if descriptor & 0x20 else 2, width, base=4)
    # file reads a short number as signed, and prints it as an unsigned 32-bit number.
    identity = str(signed(number, 8 * width) & 0xFFFFFFFF) if width and number >= 0 else ""
    return phrase(f"{description}, Dictionary ID:", identity if width else "None")


def bzip2(beginning: Beginning, minor: int) -> str:
    """What file prints for bzip2."""
    level = beginning.number(3, 1)
    return "bzip2 compressed data" + (f", block size = {chr(level)}00k" if 0x30 <= level < 0x80 else "")


def lzma(beginning: Beginning, minor: int) -> str | None:
    """What file prints for LZMA; None if the size before the data is implausible."""
    if beginning.number(12, 2) not in (0, 0xFF):
        return None
    size = signed(beginning.number(5, 8), 64)
    return "LZMA compressed data, " + ("streamed" if size == -1 else f"non-streamed, size {size}")


def lzop(beginning: Beginning, minor: int) -> str:
    """What file prints for lzop. Versions 0x93a to 0x93f get two descriptions, since two rules overlap there."""
    version = beginning.number(9, 2, "big")
    parts = ["lzop compressed data"]
    for applies, method_at, system_at in (
        (signed(version, 16) < 0x0940, 13, 14),
        (signed(version, 16) > 0x0939, 15, 17),
    ):
        if version >= 0 and applies:
            parts.append(f"- version {version >> 12}." if version < 0x3000 else "")
            parts.append(f"\b{version & 0xFFF:03x},")
            parts.append(_LZOP_METHODS.get(beginning.number(method_at, 1), ""))
            parts.append(_LZOP_SYSTEMS.get(beginning.number(system_at, 1), ""))
    return phrase(*parts)
