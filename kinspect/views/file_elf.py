"""ELF files, in the words of file(1): what their header says. Part of the view in file_line.py.

Source: magic/Magdir/elf of file.
"""

from kinspect.schemas.elf import ET_DYN, MACHINE_AARCH64
from kinspect.views.file_bytes import Beginning, phrase
from kinspect.views.file_elf_tables import LONGEST_WORDS, Tables, too_long

_CLASSES = {0: "invalid class", 1: "32-bit", 2: "64-bit"}
_ORDERS = {0: "invalid byte order", 1: "LSB", 2: "MSB"}
_TYPES = {0: "no file type,", 1: "relocatable,", 2: "executable,", 4: "core file,"}
_VERSIONS = {0: "invalid version", 1: "version 1"}
_MACHINE_386, _MACHINE_ARM = 3, 40
# What an arm64 kernel's tree holds, and the machines that build it.
_MACHINES = {
    0: "no machine,",
    _MACHINE_386: "Intel 80386,",
    22: "IBM S/390,",
    _MACHINE_ARM: "ARM,",
    62: "x86-64,",
    MACHINE_AARCH64: "ARM aarch64,",
    247: "eBPF,",
    258: "LoongArch,",
}
_ABIS = (
    "SYSV;HP-UX;NetBSD;GNU/Linux;GNU/Hurd;86Open;Solaris;Monterey;IRIX;FreeBSD;Tru64;Novell Modesto;OpenBSD;"
    "OpenVMS;HP NonStop Kernel;AROS Research Operating System;FenixOS;Nuxi CloudABI"
).split(";")
_LATER_ABIS = {97: "ARM", 202: "Cafe OS", 255: "embedded"}


def elf(beginning: Beginning, minor: int) -> str:
    """What file prints for an ELF file. UnsupportedError with the message of file where it prints an error."""
    tables = Tables(beginning, minor)
    tables.tell()
    words = _header_words(beginning, minor, tables.executable)
    if len(tables.words) > LONGEST_WORDS:
        raise too_long(beginning.source, tables.words, words)
    return words + tables.words


def _header_words(beginning: Beginning, minor: int, executable: bool) -> str:
    wide, data, abi = (beginning.number(offset, 1) for offset in (4, 5, 7))
    named = f"({_ABIS[abi]})" if 0 <= abi < len(_ABIS) else f"({_LATER_ABIS[abi]})" if abi in _LATER_ABIS else ""
    known = _machine_words(beginning, minor, executable) if data in (1, 2) else []
    return phrase("ELF", _CLASSES.get(wide, ""), _ORDERS.get(data, ""), *known, named)


def _machine_words(beginning: Beginning, minor: int, executable: bool) -> list[str]:
    order = "little" if beginning.number(5, 1) == 1 else "big"
    kind, machine = beginning.number(16, 2, order), beginning.number(18, 2, order)
    words = [_TYPES.get(kind, "")]
    if kind == ET_DYN:
        words = ["pie executable," if executable else "shared object,"]
    elif kind >= 0xFF00:
        words = ["processor-specific,"]
    if machine >= 0:
        words.append(_MACHINES.get(machine, f"*unknown arch {machine:#x}*"))
    if machine == _MACHINE_386 and minor >= 46:
        words[-1] = "Intel i386,"
    flags = beginning.number(36, 4, order)
    if machine == _MACHINE_ARM and beginning.number(4, 1) == 1 and flags >= 0:
        words.append({4: "EABI4", 5: "EABI5"}.get(flags >> 24, ""))
        words += ["BE8" if flags & 0x800000 else "", "LE8" if flags & 0x400000 else ""]
    return [*words, _VERSIONS.get(beginning.number(20, 4, order), "")]
