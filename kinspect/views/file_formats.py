"""The binary files that file(1) tells by their first bytes, ELF and PE apart. Part of the view in file_line.py.

Source: magic/Magdir/linux, compress, filesystems and archive of file.
"""



_EFI_MACHINES = {
    0xAA64: "ARM64 EFI executable",
    0x5032: "RISC-V32 EFI executable",
    0x5064: "RISC-V64 EFI executable",
    0x6264: "LoongArch64 EFI executable",
}
_GZIP_SYSTEMS = (
    "FAT filesystem (MS-DOS, OS/2, NT)",
    "Amiga",
    "VMS",
    "Unix",
    "VM/CMS",
    "Atari",
    "HPFS filesystem (OS/2, NT)",
    "MacOS",
    "Z-System",
    "CP/M",
    "TOPS/20",
    "NTFS filesystem (NT)",
    "QDOS",
    "Acorn RISCOS",
)
_LZOP_METHODS = {1: "LZO1X-1,", 2: "LZO1X-1(15),", 3: "LZO1X-999,"}
_LZOP_SYSTEMS = {0: "MS-DOS", 1: "Amiga", 2: "VMS", 3: "Unix", 5: "Atari", 6: "OS/2", 7: "MacOS", 10: "Tops/20", 11: "WinNT", 14: "Win32"}  # fmt: skip
_UIMAGE_SYSTEMS = "Invalid os,OpenBSD,NetBSD,FreeBSD,4.4BSD,Linux,SVR4,Esix,Solaris,Irix,SCO,Dell,NCR,LynxOS,VxWorks,pSOS,QNX,Firmware,RTEMS,ARTOS,Unity OS,INTEGRITY"
_UIMAGE_MACHINES = "Invalid CPU,Alpha,ARM,Intel x86,IA64,MIPS,MIPS 64-bit,PowerPC,IBM S390,SuperH,Sparc,Sparc 64-bit,M68K,Nios-32,MicroBlaze,Nios-II,Blackfin,AVR32,STMicroelectronics ST200,Sandbox architecture,ANDES Technology NDS32,OpenRISC 1000,ARM 64-bit,DesignWare ARC,x86_64,Xtensa,RISC-V"
_UIMAGE_TYPES = "Invalid Image,Standalone Program,OS Kernel Image,RAMDisk Image,Multi-File Image,Firmware Image,Script File,Filesystem Image (any type),Binary Flat Device Tree BLOB"
_UIMAGE_COMPRESSIONS = "(Not compressed),(gzip),(bzip2),(lzma)"
