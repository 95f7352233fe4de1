"""The binary files that file(1) tells by a few bytes, ELF and PE apart. Part of the view in file_line.py.

Source: magic/Magdir/linux, compress, filesystems and archive of file.
"""

from collections.abc import Callable, Sequence
from time import asctime, gmtime

from kinspect.schemas.image import ImageHeader
from kinspect.schemas.record import offsets
from kinspect.schemas.zboot import ZbootHeader
from kinspect.views.file_bytes import Beginning, phrase, signed
from kinspect.views.file_elf import elf
from kinspect.views.file_pe import pe

_EFI_MACHINES = {0xAA64: "ARM64", 0x5032: "RISC-V32", 0x5064: "RISC-V64", 0x6264: "LoongArch64"}
_UIMAGE_SYSTEMS = (
    "Invalid os,OpenBSD,NetBSD,FreeBSD,4.4BSD,Linux,SVR4,Esix,Solaris,Irix,SCO,Dell,NCR,LynxOS,VxWorks,pSOS,"
    "QNX,Firmware,RTEMS,ARTOS,Unity OS,INTEGRITY"
).split(",")
_UIMAGE_MACHINES = (
    "Invalid CPU,Alpha,ARM,Intel x86,IA64,MIPS,MIPS 64-bit,PowerPC,IBM S390,SuperH,Sparc,Sparc 64-bit,M68K,"
    "Nios-32,MicroBlaze,Nios-II,Blackfin,AVR32,STMicroelectronics ST200,Sandbox architecture,"
    "ANDES Technology NDS32,OpenRISC 1000,ARM 64-bit,DesignWare ARC,x86_64,Xtensa,RISC-V"
).split(",")
_UIMAGE_TYPES = (
    "Invalid Image,Standalone Program,OS Kernel Image,RAMDisk Image,Multi-File Image,Firmware Image,"
    "Script File,Filesystem Image (any type),Binary Flat Device Tree BLOB"
).split(",")
_GZIP_SYSTEMS = (
    "FAT filesystem (MS-DOS, OS/2, NT);Amiga;VMS;Unix;VM/CMS;Atari;HPFS filesystem (OS/2, NT);MacOS;Z-System;"
    "CP/M;TOPS/20;NTFS filesystem (NT);QDOS;Acorn RISCOS"
).split(";")
_LZOP_METHODS = ("", "LZO1X-1,", "LZO1X-1(15),", "LZO1X-999,")
_LZOP_SYSTEMS = "MS-DOS;Amiga;VMS;Unix;;Atari;OS/2;MacOS;;;Tops/20;WinNT;;;Win32".split(";")


def binary(beginning: Beginning, minor: int) -> str | None:
    """What the first rule that matches prints; None when none does."""
    for offset, magic, rule in _RULES:
        if beginning.head.startswith(magic, offset):
            words = rule if isinstance(rule, str) else rule(beginning, minor)
            if words:
                return words
    return None


def _one_of(names: Sequence[str], index: int, form: str = "{}") -> str:
    """A name in a form; nothing where there is none."""
    return form.format(names[index]) if 0 <= index < len(names) and names[index] else ""


def _image(beginning: Beginning, minor: int) -> str:
    flags = beginning.number(offsets(ImageHeader)["flags"], 4)
    return phrase(
        "Linux kernel ARM64 boot executable Image",
        "\b, big-endian" if flags & 1 else "\b, little-endian",
        # The page size is a number of two bits; the rule tests it bit by bit.
        "\b, 4K pages" if flags & 2 else "",
        "\b, 16K pages" if flags & 4 else "",
        "\b, 32K pages" if flags & 6 == 6 else "",
    )


def _zboot(beginning: Beginning, minor: int) -> str | None:
    if minor < 47 or beginning.at(0x40, 4) != b"PE\0\0":
        return None
    machine = _EFI_MACHINES.get(beginning.number(0x44, 2))
    place = offsets(ZbootHeader)["compression"]
    return phrase(
        "Linux kernel",
        f"{machine} EFI executable" if machine else "",
        f"{beginning.string(place, end=b'')} compressed zboot Image" if beginning.at(place, 1) > b"0" else "",
    )


def _device_tree(beginning: Beginning, minor: int) -> str | None:
    version = signed(beginning.number(20, 4, "big"), 32)
    structure = beginning.number(8, 4, "big")
    # The rule looks for a byte of the structure block, 4 too far.
    inside = structure + 4 & 0xFFFFFFFF
    if version < 2 or structure == 0xFFFFFFFF or not inside or not beginning.at(inside, 1):
        return None
    words = [f"Device Tree Blob version {version}"]
    for name, offset, since in (
        ("size", 4, 2),
        ("boot CPU", 28, 2),
        ("string block size", 32, 3),
        ("DT structure block size", 36, 17),
    ):
        number = beginning.number(offset, 4, "big")
        if number >= 0 and version >= since:
            words.append(f"{name}={signed(number, 32)}")
    return ", ".join(words)


def _uimage(beginning: Beginning, minor: int) -> str:
    def said(offset: int, words: str) -> str:
        """The words about a number, which C prints as %s (a date), %d or %#08X."""
        number = beginning.number(offset, 4, "big")
        if number < 0:
            return ""
        upper = f"0X{number:06X}" if number else "00000000"
        date = asctime(gmtime(number)) if "date" in words else ""
        return words.format(date=date, decimal=signed(number, 32), upper=upper)

    system, machine, kind, compression = (beginning.number(offset, 1) for offset in range(28, 32))
    return phrase(
        "u-boot legacy uImage,",
        f"{beginning.string(32)}," if beginning.size >= 32 else "",
        _one_of(_UIMAGE_SYSTEMS, system, "{}/"),
        _one_of(_UIMAGE_MACHINES, machine, "\b{},"),
        _one_of(_UIMAGE_TYPES, kind),
        _one_of(("Not compressed", "gzip", "bzip2", "lzma"), compression, "({}),"),
        said(12, "{decimal} bytes,"),
        said(8, "{date},"),
        said(16, "Load Address: {upper},"),
        said(20, "Entry Point: {upper},"),
        said(4, "Header CRC: {upper},"),
        said(24, "Data CRC: {upper}"),
    )


def _gzip(beginning: Beginning, minor: int) -> str | None:
    flags, size = beginning.number(3, 1), beginning.source.size
    if flags < 0:
        return None
    if size < 10 and not flags & 0x18:
        return "gzip compressed data"
    tail = beginning.source.read(size - 4, 4)
    original = f"\b, original size modulo 2^32 {int.from_bytes(tail, 'little')}"
    words = phrase("gzip compressed data", _gzip_header(beginning, 0), original)
    if flags & 0x18 or not tail[3] & 0x18:
        return words
    # Having looked at the end, file counts from there when it looks for a name, and takes the size for a header.
    again = _gzip_header(beginning, beginning.size - 4)
    return phrase(words, "gzip compressed data", again, original)


def _gzip_header(beginning: Beginning, base: int) -> str:
    flags = beginning.number(3, 1, base=base)
    method = signed(beginning.number(2, 1, base=base), 8)
    seconds = signed(beginning.number(4, 4, base=base), 32)
    return phrase(
        "\b, reserved method" if method < 8 else "\b, unknown method" if method > 8 else "",
        "\b, ASCII" if flags & 1 else "",
        "\b, has CRC" if flags & 2 else "",
        "\b, extra field" if flags & 4 else "",
        # An extra field would lie before the name.
        f'\b, was "{beginning.string(base + 10)}"' if flags & 0xC == 8 and beginning.size >= 10 else "",
        "\b, has comment" if flags & 0x10 else "",
        "\b, encrypted" if flags & 0x20 else "",
        f"\b, last modified: {asctime(gmtime(seconds))}" if seconds > 0 else "",
        {2: "\b, max compression", 4: "\b, max speed"}.get(beginning.number(8, 1, base=base), ""),
        _one_of(_GZIP_SYSTEMS, beginning.number(9, 1, base=base), "\b, from {}"),
    )


def _xz(beginning: Beginning, minor: int) -> str:
    checks = {0: "NONE", 1: "CRC32", 4: "CRC64", 10: "SHA-256"}
    return phrase("XZ compressed data, checksum", checks.get(beginning.number(7, 1) & 15, ""))


def _zstandard(beginning: Beginning, minor: int) -> str | None:
    version, descriptor = beginning.head[0] - 0x20, beginning.number(0, 1, base=4)
    if not 2 <= version <= 8:
        return None
    words = f"Zstandard compressed data (v0.{version}{'+' if version == 8 else ''})"
    if version < 7:
        return words
    width = (0, 1, 2, 4)[descriptor & 3]
    # A frame of a single segment has no byte for its window.
    found = beginning.number(1 if descriptor & 0x20 else 2, width, base=4)
    # file takes a short number for a signed one, and prints it as unsigned.
    identity = "None" if not width else str(signed(found, 8 * width) & 0xFFFFFFFF) if found >= 0 else ""
    return phrase(f"{words}, Dictionary ID:", identity)


def _bzip2(beginning: Beginning, minor: int) -> str:
    level = beginning.number(3, 1)
    return "bzip2 compressed data" + (f", block size = {chr(level)}00k" if 47 < level < 128 else "")


def _lzma(beginning: Beginning, minor: int) -> str | None:
    if beginning.number(12, 2) not in (0, 0xFF):
        return None
    size = signed(beginning.number(5, 8), 64)
    return "LZMA compressed data, " + ("streamed" if size == -1 else f"non-streamed, size {size}")


def _lzop(beginning: Beginning, minor: int) -> str:
    version = beginning.number(9, 2, "big")
    late = 0x0940 <= version < 0x8000
    return phrase(
        "lzop compressed data",
        f"- version {version >> 12}." if 0 <= version < 0x3000 else "",
        f"\b{version & 0xFFF:03x}," if version >= 0 else "",
        _one_of(_LZOP_METHODS, beginning.number(15 if late else 13, 1)) if version >= 0 else "",
        _one_of(_LZOP_SYSTEMS, beginning.number(17 if late else 14, 1), "os: {}") if version >= 0 else "",
    )


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
    counted = f"{count} symbol entr{'y' if count == 1 else 'ies'}" if count else "no symbol entries"
    return phrase("thin archive with", counted if count >= 0 else "")


_RULES: tuple[tuple[int, bytes, str | Callable[[Beginning, int], str | None]], ...] = (
    # In the order of their strength in file; that of 5.44 and of 5.48 agree here.
    (0, b"\xfd7zXZ\0", _xz),
    (0, b"\x7fELF", elf),
    (28, b"make config", "Linux make config build file (old)"),
    (0, b"\x89LZO\0\r\n\x1a\n", _lzop),
    (0, b"MZ\0\0zimg", _zboot),
    (0, b"!<arch>\n", _archive),
    (0, b"!<thin>\n", _thin_archive),
    (0, b"070707", "ASCII cpio archive (pre-SVR4 or odc)"),
    (0, b"070701", "ASCII cpio archive (SVR4 with no CRC)"),
    (0, b"070702", "ASCII cpio archive (SVR4 with CRC)"),
    (0, b"\xff\xfe\0\0", "Unicode text, UTF-32, little-endian"),
    (0, b"\0\0\xfe\xff", "Unicode text, UTF-32, big-endian"),
    (0, b"\xd0\x0d\xfe\xed", _device_tree),
    (0, b"\x04\x22\x4d\x18", "LZ4 compressed data (v1.4+)"),
    (0, b"\x03\x21\x4c\x18", "LZ4 compressed data (v1.0-v1.3)"),
    (0, b"\x02\x21\x4c\x18", "LZ4 compressed data (v0.1-v0.9)"),
    (1, b"\xb5\x2f\xfd", _zstandard),
    (0, b"\x27\x05\x19\x56", _uimage),
    (offsets(ImageHeader)["magic"], b"ARM\x64", _image),
    (0, b"BZh", _bzip2),
    (0, b"\x1f\x8b", _gzip),
    (0, b"\x5d\0\0", _lzma),
    (0, b"MZ", pe),
)
