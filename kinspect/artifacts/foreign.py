"""Kinds of files that kinspect does not read, recognised so that a refusal can say what a file is and what to do.

Imported only for a file that no row of `kinds.KINDS` with a reader recognises.
"""

from kinspect.artifacts.kinds import TEXT, Kind

_ARM64_ONLY = "kinspect reads arm64 kernels only"
_UNPACK = "unpack it, then `kinspect check FOLDER`"
_OTHER_KERNELS = (
    Kind("a RISC-V Image", marks=((0x30, b"RISCV\0\0\0"), (0x38, b"RSC\x05")), hint=_ARM64_ONLY),
    Kind("a LoongArch Image", marks=((0, b"MZ"), (0x38, b"\xcd\x23\x82\x81")), hint=_ARM64_ONLY),
    Kind("an x86 bzImage", marks=((0x1FE, b"\x55\xaa"), (0x202, b"HdrS")), hint=_ARM64_ONLY),
    Kind("an ARM32 zImage", marks=((0x24, b"\x18\x28\x6f\x01"),), hint=_ARM64_ONLY),
    Kind("a big-endian ARM32 zImage", marks=((0x24, b"\x01\x6f\x28\x18"),), hint=_ARM64_ONLY),
)
_CONTAINERS = (
    Kind("an Android sparse image", marks=((0, b"\x3a\xff\x26\xed"),), hint="`simg2img` makes a file system of it"),
    Kind(
        "a unified kernel image (UKI) for another machine",
        pattern=rb"(?s)MZ.{64,2048}\.linux\0\0",
        hint=_ARM64_ONLY,
    ),
    Kind("a ChromeOS kernel partition", marks=((0, b"CHROMEOS"),), hint="`vbutil_kernel` reads it"),
)
_ARCHIVES = (
    Kind(
        "a Debian package",
        marks=((0, b"!<arch>\ndebian-binary"),),
        hint="`kinspect check` takes packages; for this, `dpkg-deb -x FILE FOLDER` and name a file in FOLDER",
    ),
    Kind(
        "an RPM package",
        marks=((0, b"\xed\xab\xee\xdb"),),
        hint="`kinspect check` takes packages; for this, `rpm2cpio FILE | cpio -id` and name a file",
    ),
    Kind(
        "a tar archive", marks=((257, b"ustar"),), hint="`kinspect check` takes it; for this, unpack it and name a file"
    ),
    Kind("a zip archive", marks=((0, b"PK\3\4"),), hint=_UNPACK),
    Kind("a zip archive", marks=((0, b"PK\5\6"),), hint=_UNPACK),
    Kind("a 7z archive", marks=((0, b"7z\xbc\xaf\x27\x1c"),), hint=_UNPACK),
    Kind("a cpio archive (an initramfs)", pattern=rb"07070[127]", hint="`kinspect initramfs FILE` checks it"),
    Kind("an ar archive", marks=((0, b"!<arch>\n"),), hint="`ar x FILE` extracts the objects"),
    Kind("a thin ar archive", marks=((0, b"!<thin>\n"),), hint="`ar t FILE` lists the objects"),
    Kind("a squashfs image", marks=((0, b"hsqs"),), hint="`unsquashfs FILE`, then `kinspect check` the folder"),
    Kind("an ext4 file system", marks=((0x438, b"\x53\xef"),), hint="mount it, then `kinspect check FOLDER`"),
    Kind("a disk image", marks=((0x1FE, b"\x55\xaa"), (0x200, b"EFI PART")), hint="extract the kernel first"),
)
_TEXTS = (
    Kind(
        "a git-LFS pointer, not the file itself",
        pattern=rb"version https://git-lfs\.github\.com/spec/",
        hint="`git lfs pull` fetches the file",
    ),
    Kind(
        "an HTML page",
        pattern=rb"(?i)\s*<(?:!doctype html|html)[\s>]",
        hint="did a download save an error page instead of the file?",
    ),
    Kind(
        "the source of a device tree",
        pattern=rb"(?:\s|//[^\n]*\n|/\*(?:[^*]|\*(?!/))*\*/)*+/dts-v1/",
        hint="compile it with `dtc -O dtb`",
    ),
    Kind(
        "a linker map",
        pattern=rb"\s*+(?:Archive member included|VMA\s+LMA\s)",
        hint="`kinspect size --map` reads it",
    ),
    Kind(
        "a build log",
        pattern=rb"(?:[^\n]*\n){0,15}(?:make(?:\[\d+\])?: |  (?:HOSTCC|CC|LD|AR|GEN|UPD|WRAP|CALL|SYNC|DESCEND)  )",
        hint="`kinspect log` reads it",
    ),
)
_TEXT = Kind(
    TEXT,
    pattern=rb"(?:[\t\n\r\x1b\x20-\x7e]|[\xc2-\xf4][\x80-\xbf]{1,3})++[\xc2-\xf4]?[\x80-\xbf]{0,2}\Z",
)
KINDS = (
    *_OTHER_KERNELS,
    *_CONTAINERS,
    *_ARCHIVES,
    Kind("a PE/COFF file without an arm64 Image header", marks=((0, b"MZ"),)),
    Kind("an SQLite database", marks=((0, b"SQLite format 3\0"),)),
    Kind(
        "nothing but zeros at its start",
        pattern=rb"\0{16,}+\Z",
        hint="a download or copy that failed, or a hole in a sparse file: get it again",
    ),
    *_TEXTS,
    _TEXT,
)
"""In order: the first kind that recognises a file is taken."""
