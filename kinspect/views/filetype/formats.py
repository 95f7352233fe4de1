"""The binary formats that file(1) recognises, in its order. Part of the view in line.py.

Source: magic/Magdir/linux and magic/Magdir/archive of file.
"""

from collections.abc import Callable
from importlib import import_module

from kinspect.views.filetype.content import Beginning, phrase, signed

Rule = Callable[[Beginning, int], str | None]
_PE_MAGIC = b"PE\0\0"
_ARM32 = "Linux kernel ARM boot executable zImage"
_EFI_MACHINES = {
    0xAA64: "ARM64 EFI executable",
    0x5032: "RISC-V32 EFI executable",
    0x5064: "RISC-V64 EFI executable",
    0x6264: "LoongArch64 EFI executable",
}


def binary(beginning: Beginning, minor: int) -> str | None:
    """What the first matching rule prints; None if none matches."""
    for offset, magic, rule in _RULES:
        if beginning.head.startswith(magic, offset):
            text = rule if isinstance(rule, str) else rule(beginning, minor)
            if text:
                return text
    return None


def _image(beginning: Beginning, minor: int) -> str:
    # Here and below: only what the file needs is imported.
    from kinspect.schemas.image import ImageHeader
    from kinspect.schemas.record import offsets

    flags = beginning.number(offsets(ImageHeader)["flags"], 4)
    return phrase(
        "Linux kernel ARM64 boot executable Image",
        "\b, big-endian" if flags & 1 else "\b, little-endian",
        # The page size is a number of two bits, which the rule tests bit by bit: for 64K it prints all three.
        "\b, 4K pages" if flags & 2 else "",
        "\b, 16K pages" if flags & 4 else "",
        "\b, 32K pages" if flags & 6 == 6 else "",
    )


def _zboot(beginning: Beginning, minor: int) -> str | None:
    if minor < 47 or beginning.at(0x40, 4) != _PE_MAGIC:
        return None
    from kinspect.schemas.record import offsets
    from kinspect.schemas.zboot import ZbootHeader

    place = offsets(ZbootHeader)["compression"]
    named = beginning.at(place, 1) > b"0"
    return phrase(
        "Linux kernel",
        _EFI_MACHINES.get(beginning.number(0x44, 2), ""),
        f"{beginning.string(place, line=False)} compressed zboot Image" if named else "",
    )


def _device_tree(beginning: Beginning, minor: int) -> str | None:
    version, structure = signed(beginning.number(20, 4, "big"), 32), beginning.number(8, 4, "big")
    # The rule requires a byte of the structure block, but reads it at an offset that is 4 too high.
    inside = structure + 4 & 0xFFFFFFFF
    if version < 2 or structure == 0xFFFFFFFF or not inside or not beginning.at(inside, 1):
        return None
    parts = [f"Device Tree Blob version {version}"]
    for name, offset, since in (
        ("size", 4, 2),
        ("boot CPU", 28, 2),
        ("string block size", 32, 3),
        ("DT structure block size", 36, 17),
    ):
        number = beginning.number(offset, 4, "big")
        if number >= 0 and version >= since:
            parts.append(f"{name}={signed(number, 32)}")
    return ", ".join(parts)


def _archive(beginning: Beginning, minor: int) -> str | None:
    if beginning.at(8, 6) == b"debian":
        return None
    return phrase(
        "current ar archive",
        "random library" if beginning.at(8, 9) == b"__.SYMDEF" else "",
        "random library" if beginning.at(68, 16) == b"__.SYMDEF SORTED" else "",
    )


def _thin_archive(beginning: Beginning, minor: int) -> str:
    count = signed(beginning.number(68, 4, "big"), 32)
    symbols = f"{count} symbol entr{'y' if count == 1 else 'ies'}" if count else "no symbol entries"
    return phrase("thin archive with", symbols if count >= 0 else "")


def _in_module(module: str, name: str) -> Rule:
    """A rule in a module of its own, which is imported when the rule is tried."""

    def rule(beginning: Beginning, minor: int) -> str | None:
        found: Rule = getattr(import_module(f"kinspect.views.filetype.{module}"), name)
        return found(beginning, minor)

    return rule


_RULES: tuple[tuple[int, bytes, str | Rule], ...] = (
    (0, b"\xfd7zXZ\0", _in_module("compressed", "xz")),
    (0, b"\x7fELF", _in_module("elf", "elf")),
    (28, b"make config", "Linux make config build file (old)"),
    (0, b"\x89LZO\0\r\n\x1a\n", _in_module("compressed", "lzop")),
    (0, b"MZ\0\0zimg", _zboot),
    (0, b"!<arch>\n", _archive),
    (0, b"!<thin>\n", _thin_archive),
    (0, b"070707", "ASCII cpio archive (pre-SVR4 or odc)"),
    (0, b"070701", "ASCII cpio archive (SVR4 with no CRC)"),
    (0, b"070702", "ASCII cpio archive (SVR4 with CRC)"),
    (0, b"\xd0\x0d\xfe\xed", _device_tree),
    (0, b"\x04\x22\x4d\x18", "LZ4 compressed data (v1.4+)"),
    (0, b"\x03\x21\x4c\x18", "LZ4 compressed data (v1.0-v1.3)"),
    (0, b"\x02\x21\x4c\x18", "LZ4 compressed data (v0.1-v0.9)"),
    (1, b"\xb5\x2f\xfd", _in_module("compressed", "zstandard")),
    (0, b"\x27\x05\x19\x56", _in_module("uimage", "uimage")),
    (0, b"\x5d\0\0", _in_module("compressed", "lzma")),
    (0x24, b"\x18\x28\x6f\x01", f"{_ARM32} (little-endian)"),
    (0x24, b"\x01\x6f\x28\x18", f"{_ARM32} (big-endian)"),
    *((0, b"+/v" + last, "Unicode text, UTF-7") for last in (b"8", b"9", b"+", b"/")),
    (0, b"\xff\xfe\0\0", "Unicode text, UTF-32, little-endian"),
    (0, b"\0\0\xfe\xff", "Unicode text, UTF-32, big-endian"),
    (56, b"ARM\x64", _image),
    (0, b"BZh", _in_module("compressed", "bzip2")),
    (0, b"\x1f\x8b", _in_module("compressed", "gzip")),
    (0, b"MZ", _in_module("pe", "pe")),
)
"""Offset, magic number, text or function: in the order of file's strength, which is the same in 5.44 and 5.48."""
