"""What file(1) prints of the PE programs that EFI firmware starts. Part of the view in line.py.

Source: magic/Magdir/msdos, and magic/Magdir/coff from 5.46 on.
"""

from collections.abc import Iterator
from typing import NamedTuple

from kinspect.views.filetype.content import Beginning, phrase, signed
from kinspect.views.filetype.text import encoded

MAGIC = b"PE\0\0"

# The machines of include/linux/pe.h that EFI supports: the name up to 5.45, and the name since then.
_MACHINES = {
    0x014C: ("Intel 80386", "Intel i386"),
    0x01C0: ("ARM", "ARMv4"),
    0x01C2: ("ARM Thumb", "ARMv4T"),
    0x01C4: ("ARMv7 Thumb", "ARMv7"),
    0x0200: ("Intel Itanium", "Intel Itanium"),
    0x0EBC: ("EFI byte code", "EFI byte code"),
    0x5032: ("RISC-V 32-bit", "RISC-V 32-bit"),
    0x5064: ("RISC-V 64-bit", "RISC-V 64-bit"),
    0x5128: ("RISC-V 128-bit", "RISC-V 128-bit"),
    0x6232: ("LoongArch 32-bit", "LoongArch 32-bit"),
    0x6264: ("LoongArch 64-bit", "LoongArch 64-bit"),
    0x8664: ("x86-64", "x86-64"),
    0xAA64: ("Aarch64", "ARM64"),
}
_MACHINES_SINCE_45 = (0x6232, 0x6264)
_SUBSYSTEMS = {
    1: "(native)",
    2: "(GUI)",
    3: "(console)",
    4: "(Unknown subsystem 4)",
    5: "(OS/2)",
    6: "(Unknown subsystem 6)",
    7: "(POSIX)",
    8: "(Win9x)",
    9: "(Windows CE)",
    10: "(EFI application)",
    11: "(EFI boot service driver)",
    12: "(EFI runtime driver)",
    13: "(EFI ROM)",
    14: "(XBOX)",
    15: "(Unknown subsystem 15)",
    16: "(Windows boot application)",
}
_SUBSYSTEMS_SINCE_46 = {
    10: "for EFI (application)",
    11: "for EFI (boot service driver)",
    12: "for EFI (runtime driver)",
    13: "for EFI (ROM)",
    14: "for XBOX",
}
# The system, what a DLL for it is called, and what a program.
_WINDOWS_SINCE_46 = {
    1: ("MS Windows", "native", "native"),
    2: ("MS Windows", "DLL", "GUI"),
    3: ("MS Windows", "DLL", "console"),
    7: ("POSIX", "DLL", "EXE"),
    9: ("MS Windows CE", "DLL", "EXE"),
    16: ("MS Windows", "boot DLL", "boot application"),
}
_DLL, _STRIPPED, _SYSTEM = 0x2000, 0x0200, 0x1000
_NET_DIRECTORY = {0x10B: (116, 232), 0x20B: (132, 248)}
"""For PE32 and PE32+: the offsets of the number of directories, and of the directory that only .NET programs have."""


def pe(beginning: Beginning, minor: int) -> str | None:
    """What file prints for a PE program, or for a DOS program that contains none."""
    header = _Header(beginning, beginning.number(0x3C, 4))
    if header.at < 0 or beginning.at(header.at, len(MAGIC)) != MAGIC:
        return _dos(beginning, minor)
    magic, flags, sections = header.number(24), max(header.number(22), 0), signed(header.number(6), 16)
    known = {0x10B: "\b32 executable", 0x20B: "\b32+ executable"}
    unknown = "with unknown signature"
    if minor < 46:
        known[0x107], unknown = "ROM image", "Unknown PE signature"
    signature = known.get(magic, f"{unknown} {_hexadecimal(magic)}" if magic >= 0 else unknown)
    return phrase(
        "PE",
        signature,
        *(_kind_since_46(header, flags) if minor >= 46 else _kind(header, flags, minor)),
        "(stripped to external PDB)" if flags & _STRIPPED else "",
        "system file" if flags & _SYSTEM else "",
        "Mono/.Net assembly" if _is_net(header, magic, minor) else "",
        _loader(beginning) if minor < 46 else "",
        f"\b, {sections} sections" if sections > 1 else "",
    )


class _Header(NamedTuple):
    """A PE header. The rules count offsets from its `PE\\0\\0`."""

    beginning: Beginning
    at: int

    def number(self, distance: int, size: int = 2) -> int:
        """A field; -1 past the end of the file."""
        return self.beginning.number(self.at + distance, size)


def _kind(header: _Header, flags: int, minor: int) -> Iterator[str]:
    """Subsystem and machine up to 5.45."""
    subsystem = header.number(92)
    yield "(DLL)" if flags & _DLL else ""
    if subsystem == 0:
        yield "(Microsoft compiled help format 2.0)" if header.number(6) == 2 else "(Control Panel Item)"
    elif 16 < subsystem < 0x8000:
        # The rule tests one number and prints the next one.
        following = header.number(94)
        yield "(Unknown subsystem" + (f" {_hexadecimal(following)})" if following >= 0 else "")
    else:
        yield _SUBSYSTEMS.get(subsystem, "")
    machine = header.number(4)
    if machine in _MACHINES and not (minor < 45 and machine in _MACHINES_SINCE_45):
        yield _MACHINES[machine][0]
    elif header.at + 24 > header.beginning.size:
        # The rule notices an unknown machine only if the file ends here.
        yield "Unknown processor type"


def _kind_since_46(header: _Header, flags: int) -> Iterator[str]:
    """Subsystem and machine from 5.46 on."""
    subsystem, machine = header.number(92), header.beginning.number(0, 2, base=header.at + 4)
    if subsystem in _WINDOWS_SINCE_46:
        system, library, program = _WINDOWS_SINCE_46[subsystem]
        yield f"for {system} {header.number(72)}.{header.number(74):02} ({library if flags & _DLL else program})"
    elif subsystem in _SUBSYSTEMS_SINCE_46:
        yield _SUBSYSTEMS_SINCE_46[subsystem]
    elif subsystem >= 0:
        yield f"for Unknown subsystem {_hexadecimal(subsystem)}"
    yield f"\b, {_MACHINES[machine][1]}" if machine in _MACHINES else f"\b, Unknown processor 0x{machine:04x}"


def _is_net(header: _Header, magic: int, minor: int) -> bool:
    if magic not in _NET_DIRECTORY:
        return False
    count, directory = _NET_DIRECTORY[magic]
    return signed(header.number(directory, 4), 32) > 0 and (minor < 46 or signed(header.number(count), 16) > 14)


def _loader(beginning: Beginning) -> str:
    """What runs the program under DOS, by the bytes after the DOS header."""
    extended = beginning.at(beginning.number(8, 2) * 16, 6) == b"32STUB"
    return "\b, 32rtm DOS extender" if extended else "\b, for MS Windows"


def _dos(beginning: Beginning, minor: int) -> str | None:
    """A DOS program without further details, or the start of a PE program."""
    table, new = beginning.number(0x18, 2), beginning.number(0x3C, 4)
    if beginning.size < 4 or encoded(beginning.head, minor):
        return None
    if minor >= 46:
        return phrase("MS-DOS executable" if table >= 0 else "", "\b, MZ for MS-DOS").removeprefix("\b")
    if table >= 0x40:
        # The rule treats an offset this large as none; its case for COFF programs is left out here.
        return "MS-DOS executable" + (", MZ for MS-DOS" if 0x20000000 < new < 0x80000000 else "")
    placed = 0 <= new < 0xFFFFFFFF and beginning.at(new, 2) != MAGIC[:2]
    return "MS-DOS executable, MZ for MS-DOS" if table >= 0 and placed else None


def _hexadecimal(number: int) -> str:
    """A 16-bit number as C prints it with %#x after reading it as signed."""
    return f"{signed(number, 16) & 0xFFFFFFFF:#x}" if number else "0"
