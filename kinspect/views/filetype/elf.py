"""What file(1) prints of the header of an ELF file. Part of the view in line.py.

Source: magic/Magdir/elf of file.
"""

from typing import Literal

from kinspect.schemas.elf import ET_DYN, MACHINE_AARCH64
from kinspect.views.filetype.content import Beginning, phrase, signed
from kinspect.views.filetype.elf_tables import LONGEST_TEXT, Tables, too_long

_CLASSES = {0: "invalid class", 1: "32-bit", 2: "64-bit"}
_ORDERS = {0: "invalid byte order", 1: "LSB", 2: "MSB"}
_TYPES = {0: "no file type,", 1: "relocatable,", 2: "executable,", 4: "core file,"}
_VERSIONS = {0: "invalid version", 1: "version 1"}
_MACHINE_386, _MACHINE_ARM = 3, 40
# The machines that Linux runs on. Their flags are left out, except for ARM.
_MACHINES = {
    0: "no machine,",
    2: "SPARC,",
    _MACHINE_386: "Intel 80386,",
    4: "Motorola m68k,",
    8: "MIPS,",
    15: "PA-RISC,",
    20: "PowerPC or cisco 4500,",
    21: "64-bit PowerPC or cisco 7500,",
    22: "IBM S/390,",
    _MACHINE_ARM: "ARM,",
    41: "Alpha,",
    42: "Renesas SH,",
    43: "SPARC V9,",
    50: "IA-64,",
    62: "x86-64,",
    93: "Synopsys ARCompact ARC700 cores,",
    94: "Tensilica Xtensa,",
    113: "Altera Nios II,",
    164: "QUALCOMM DSP6,",
    MACHINE_AARCH64: "ARM aarch64,",
    189: "Xilinx MicroBlaze 32-bit RISC,",
    195: "Synopsys ARCv2/HS3x/HS4x cores,",
    243: "UCB RISC-V,",
    247: "eBPF,",
    252: "C-SKY processor family,",
    258: "LoongArch,",
}
_ABIS = {
    0: "(SYSV)",
    1: "(HP-UX)",
    2: "(NetBSD)",
    3: "(GNU/Linux)",
    4: "(GNU/Hurd)",
    5: "(86Open)",
    6: "(Solaris)",
    7: "(Monterey)",
    8: "(IRIX)",
    9: "(FreeBSD)",
    10: "(Tru64)",
    11: "(Novell Modesto)",
    12: "(OpenBSD)",
    13: "(OpenVMS)",
    14: "(HP NonStop Kernel)",
    15: "(AROS Research Operating System)",
    16: "(FenixOS)",
    17: "(Nuxi CloudABI)",
    97: "(ARM)",
    202: "(Cafe OS)",
    255: "(embedded)",
}


def elf(beginning: Beginning, minor: int) -> str:
    """What file prints for an ELF file. UnsupportedError with file's own message if it fails."""
    tables = Tables(beginning, minor)
    tables.read()
    header = _header_text(beginning, minor, tables.executable)
    if len(tables.text) > LONGEST_TEXT:
        raise too_long(beginning.source, tables.text, header)
    return header + tables.text


def _header_text(beginning: Beginning, minor: int, executable: bool) -> str:
    wide, order, abi = (beginning.number(offset, 1) for offset in (4, 5, 7))
    return phrase(
        "ELF",
        _CLASSES.get(wide, ""),
        _ORDERS.get(order, ""),
        *(_numbers(beginning, minor, executable) if order in (1, 2) else ()),
        _ABIS.get(abi, ""),
    )


def _numbers(beginning: Beginning, minor: int, executable: bool) -> list[str]:
    """The text for the fields that have the byte order of the file."""
    order: Literal["little", "big"] = "little" if beginning.number(5, 1) == 1 else "big"
    kind, machine = beginning.number(16, 2, order), beginning.number(18, 2, order)
    version, flags = beginning.number(20, 4, order), beginning.number(36, 4, order)
    parts = [_TYPES.get(kind, "processor-specific," if kind >= 0xFF00 else "")]
    if kind == ET_DYN:
        parts = ["pie executable," if executable else "shared object,"]
    if machine >= 0:
        parts.append(_MACHINES.get(machine, f"*unknown arch {signed(machine, 16) & 0xFFFFFFFF:#x}*"))
    if machine == _MACHINE_386 and minor >= 46:
        parts[-1] = "Intel i386,"
    if machine == _MACHINE_ARM and beginning.number(4, 1) == 1 and flags >= 0:
        parts.append({4: "EABI4", 5: "EABI5"}.get(flags >> 24, ""))
        parts += ["BE8" if flags & 0x800000 else "", "LE8" if flags & 0x400000 else ""]
    return [*parts, _VERSIONS.get(version, "")]
