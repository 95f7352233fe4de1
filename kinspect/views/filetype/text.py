"""What file(1) prints of text: its kind by strings near the start, encoding, line ends. Part of the view in line.py.

Source: src/encoding.c and src/ascmagic.c of file; magic/Magdir/linux, magic/Magdir/c-lang.
"""

import codecs
import struct
from collections.abc import Iterator
from typing import Literal

from kinspect.views.filetype.content import MOST_BYTES, Beginning

LONG_LINE = 300
_UTF8_MARK = b"\xef\xbb\xbf"
_PLAIN = bytes(range(0x20, 0x7F)) + b"\a\b\t\n\v\f\r\33\x85"
"""Bytes that text of any encoding may have; 0x85 is NEL of ECMA-43. Since 5.47 so is 0x1a, the end mark of DOS."""
_HIGH = bytes(range(0x80, 0x100))
_SEARCHES = (
    (0, 1024, b"/dts-v1/", "Device Tree File (v1)"),
    (49, 70, b"Kernel Configuration", "Linux make config build file"),
    (8, 1, b" A _text", "Linux kernel symbol map"),
)
"""Offset, range and string of a `search` in magic(5), and what file calls such text."""
# The EBCDIC of dd(1), from POSIX P1003.2 draft 11.2: an extended ASCII character for each byte.
_EBCDIC = bytes.fromhex(
    "000102039c09867f978d8e0b0c0d0e0f101112139d8508871819928f1c1d1e1f80818283840a171b88898a8b"
    "8c050607909116939495960498999a9b14159e1a20a0a1a2a3a4a5a6a7a8d52e3c282b7c26a9aaabacadaeaf"
    "b0b121242a293b7e2d2fb2b3b4b5b6b7b8b9cb2c255f3e3fbabbbcbdbebfc0c1c2603a2340273d22c3616263"
    "646566676869c4c5c6c7c8c9ca6a6b6c6d6e6f7071725ecccdcecfd0d1e5737475767778797ad2d3d45bd6d7"
    "d8d9dadbdcdddedfe0e1e2e3e45de6e77b414243444546474849e8e9eaebeced7d4a4b4c4d4e4f505152eeef"
    "f0f1f2f35c9f535455565758595af4f5f6f7f8f930313233343536373839fafbfcfdfeff"
)


def text(beginning: Beginning, minor: int, prefixed: bool = False) -> str | None:
    """What file prints for text, None for anything else. A comma leads when the description is `prefixed`."""
    data = _without_padding(beginning)
    if len(data.rstrip(b"\0")) <= 1:
        return None
    reading = encoded(data, minor)
    if reading is None:
        return None
    name, characters = reading
    found = _found(characters.encode("utf-8", "surrogatepass"))
    description = f"{found}, " if found else ", " if prefixed else ""
    longest = max(map(len, characters.replace("\r", "\n").replace("\x85", "\n").split("\n")))
    description += f"{name} text"
    if longest > LONG_LINE:
        description += f", with very long lines ({longest})"
    description += _line_ends(characters, minor, beginning.size < MOST_BYTES)
    if "\33" in characters:
        description += ", with escape sequences"
    return description + ", with overstriking" if "\b" in characters else description


def _without_padding(beginning: Beginning) -> bytes:
    """The bytes that count: without NULs at the end of the file, except for one that makes the length even."""
    head, size = beginning.head, beginning.size
    kept = len(head.rstrip(b"\0")) or 1
    if size > len(head) and (kept == len(head) or not _zeros(beginning, len(head))):
        return head
    return head[: kept + (kept % 2 > size % 2)]


def _zeros(beginning: Beginning, start: int) -> bool:
    window = len(beginning.head)
    return not any(beginning.at(offset, window).strip(b"\0") for offset in range(start, beginning.size, window))


def encoded(data: bytes, minor: int) -> tuple[str, str] | None:
    """The name of the encoding and the characters; None if the bytes are not text in any encoding."""
    plain = _PLAIN + b"\x1a" if minor >= 47 else _PLAIN
    for name, characters in _readings(data, plain):
        if characters is not None:
            return name, characters
    return None


def _readings(data: bytes, plain: bytes) -> Iterator[tuple[str, str | None]]:
    """The encodings in the order in which file tries them, each with the characters if the bytes are valid."""
    yield "ASCII", _single_bytes(data, plain)
    if data.startswith(_UTF8_MARK) and len(data) > len(_UTF8_MARK):
        yield "Unicode text, UTF-8 (with BOM)", _utf8(data[len(_UTF8_MARK) :], plain)
    utf8 = _utf8(data, plain)
    yield "Unicode text, UTF-8", None if utf8 is None or utf8.isascii() else utf8
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        order: Literal["little", "big"] = "little" if data[0] == 0xFF else "big"
        yield f"Unicode text, UTF-16, {order}-endian", _utf16(data[2:], order, plain)
    yield "ISO-8859", _single_bytes(data, plain + _HIGH[0x20:])
    yield "Non-ISO extended-ASCII", _single_bytes(data, plain + _HIGH)
    translated = data.translate(_EBCDIC)
    yield "EBCDIC", _single_bytes(translated, plain)
    yield "International EBCDIC", _single_bytes(translated, plain + _HIGH[0x20:])


def _single_bytes(data: bytes, allowed: bytes) -> str | None:
    return None if data.translate(None, allowed) else data.decode("latin-1")


def _utf8(data: bytes, plain: bytes) -> str | None:
    """The characters of UTF-8; the last one may be cut off."""
    if data.translate(None, plain + _HIGH):
        return None
    try:
        return codecs.utf_8_decode(data, "strict", False)[0]
    except UnicodeDecodeError:
        return None


def _utf16(data: bytes, order: Literal["little", "big"], plain: bytes) -> str | None:
    """The code units of UTF-16, each as a character; the last one may be cut off."""
    try:
        (codecs.utf_16_le_decode if order == "little" else codecs.utf_16_be_decode)(data, "strict", False)
    except UnicodeDecodeError:
        return None
    units = struct.unpack_from(f"{'<' if order == 'little' else '>'}{len(data) // 2}H", data)
    if any((unit < 128 and unit not in plain) or unit >= 0xFFFE or 0xFDD0 <= unit <= 0xFDEF for unit in units):
        return None
    return "".join(map(chr, units))


def _found(data: bytes) -> str | None:
    """The kind of text, if it is one that a kernel build makes and file knows; the strongest rule comes first."""
    # file gives a regular expression at most 8 KiB, without the last byte.
    if b"\n#include" in b"\n" + data[:8192][:-1]:
        return "C source"
    for offset, reach, string, found in _SEARCHES:
        if string in data[offset : offset + reach + len(string)]:
            return found
    return None


def _line_ends(characters: str, minor: int, whole: bool) -> str:
    """The text for lines that do not all end in LF; `whole` if file has read the end of the file."""
    crlf, nel = characters.count("\r\n"), characters.count("\x85")
    lf, cr = characters.count("\n") - crlf, characters.count("\r") - crlf
    if characters.endswith("\r"):
        # A CR at the very end may belong to an LF that was not read; versions handle this differently.
        counted = whole if minor == 44 else minor == 48 and cr == 1 and crlf == 0
        cr -= not counted
    kinds = [kind for kind, count in (("CRLF", crlf), ("CR", cr), ("LF", lf), ("NEL", nel)) if count]
    if kinds == ["LF"]:
        return ""
    return f", with {', '.join(kinds) or 'no'} line terminators"
