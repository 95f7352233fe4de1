"""What file(1) prints of U-Boot's legacy images. Part of the view in line.py.

Source: magic/Magdir/filesystems of file; include/image.h of U-Boot, struct legacy_img_hdr.
"""

from time import asctime, gmtime

from kinspect.views.filetype.content import Beginning, phrase, signed

_SYSTEMS = {
    0: "Invalid os",
    1: "OpenBSD",
    2: "NetBSD",
    3: "FreeBSD",
    4: "4.4BSD",
    5: "Linux",
    6: "SVR4",
    7: "Esix",
    8: "Solaris",
    9: "Irix",
    10: "SCO",
    11: "Dell",
    12: "NCR",
    13: "LynxOS",
    14: "VxWorks",
    15: "pSOS",
    16: "QNX",
    17: "Firmware",
    18: "RTEMS",
    19: "ARTOS",
    20: "Unity OS",
    21: "INTEGRITY",
}
_MACHINES = {
    0: "Invalid CPU",
    1: "Alpha",
    2: "ARM",
    3: "Intel x86",
    4: "IA64",
    5: "MIPS",
    6: "MIPS 64-bit",
    7: "PowerPC",
    8: "IBM S390",
    9: "SuperH",
    10: "Sparc",
    11: "Sparc 64-bit",
    12: "M68K",
    13: "Nios-32",
    14: "MicroBlaze",
    15: "Nios-II",
    16: "Blackfin",
    17: "AVR32",
    18: "STMicroelectronics ST200",
    19: "Sandbox architecture",
    20: "ANDES Technology NDS32",
    21: "OpenRISC 1000",
    22: "ARM 64-bit",
    23: "DesignWare ARC",
    24: "x86_64",
    25: "Xtensa",
    26: "RISC-V",
}
_TYPES = {
    0: "Invalid Image",
    1: "Standalone Program",
    2: "OS Kernel Image",
    3: "RAMDisk Image",
    4: "Multi-File Image",
    5: "Firmware Image",
    6: "Script File",
    7: "Filesystem Image (any type)",
    8: "Binary Flat Device Tree BLOB",
}
_COMPRESSIONS = {0: "(Not compressed),", 1: "(gzip),", 2: "(bzip2),", 3: "(lzma),"}


def uimage(beginning: Beginning, minor: int) -> str:
    """What file prints for a uImage."""
    system, machine, kind, compression = (beginning.number(offset, 1) for offset in range(28, 32))
    return phrase(
        "u-boot legacy uImage,",
        f"{beginning.string(32)}," if beginning.size >= 32 else "",
        f"{_SYSTEMS[system]}/" if system in _SYSTEMS else "",
        f"\b{_MACHINES[machine]}," if machine in _MACHINES else "",
        _TYPES.get(kind, ""),
        _COMPRESSIONS.get(compression, ""),
        _about(beginning, 12, "{decimal} bytes,"),
        _about(beginning, 8, "{date},"),
        _about(beginning, 16, "Load Address: {upper},"),
        _about(beginning, 20, "Entry Point: {upper},"),
        _about(beginning, 4, "Header CRC: {upper},"),
        _about(beginning, 24, "Data CRC: {upper}"),
    )


def _about(beginning: Beginning, offset: int, form: str) -> str:
    """A field as text; empty if the file ends before it."""
    number = beginning.number(offset, 4, "big")
    if number < 0:
        return ""
    # As C prints %#08X, where zero has no prefix.
    upper = f"0X{number:06X}" if number else "00000000"
    return form.format(decimal=signed(number, 32), date=asctime(gmtime(number)), upper=upper)
