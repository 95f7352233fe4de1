"""The header of a decompressed arm64 kernel image."""

from typing import Annotated, NamedTuple

from kinspect.schemas.record import U32, U64, Raw

MAGIC = b"ARM\x64"
PAGE_SIZES = {1: 4096, 2: 16384, 3: 65536}


class ImageHeader(NamedTuple):
    """The first 64 bytes of a decompressed kernel image; little-endian even when the kernel is big-endian.

    Source: Documentation/arch/arm64/booting.rst, "Call the kernel image"; arch/arm64/include/asm/image.h.
    """

    code0: U32  # "MZ" when the image is also an EFI application
    code1: U32  # branch to the kernel's entry
    text_offset: U64
    image_size: U64  # .bss included
    flags: U64
    res2: U64
    res3: U64
    res4: U64
    magic: Annotated[bytes, Raw(4)]
    res5: U32  # offset of the PE header

    @property
    def big_endian(self) -> bool:
        """Bit 0 of the flags: the kernel is big-endian."""
        return bool(self.flags & 1)

    @property
    def page_size(self) -> int | None:
        """Bits 1-2 of the flags, in bytes; None when unspecified."""
        return PAGE_SIZES.get(self.flags >> 1 & 3)

    @property
    def anywhere(self) -> bool:
        """Bit 3 of the flags: the 2 MiB aligned base may be anywhere in memory, not just near the start of RAM."""
        return bool(self.flags & 8)

    @property
    def reserved_flags(self) -> int:
        """Bits 4-63 of the flags."""
        return self.flags & ~0xF

    @property
    def efi(self) -> bool:
        """Whether code0 is the DOS signature that a PE loader looks for."""
        return self.code0 & 0xFFFF == 0x5A4D

    @property
    def branch(self) -> str | None:
        """The field with the first branch, `code0` or `code1`; None when neither is one."""
        if not self.efi and _branch_target(self.code0, 0) is not None:
            return "code0"
        return "code1" if _branch_target(self.code1, 4) is not None else None

    @property
    def entry(self) -> int | None:
        """The target of the first branch, as an offset in the image; None when neither code word is a branch.

        The branch is code1; in an image that is not an EFI application it may be code0.
        """
        first = None if self.efi else _branch_target(self.code0, 0)
        return _branch_target(self.code1, 4) if first is None else first


def _branch_target(code: int, at: int) -> int | None:
    """The target of an A64 `b` instruction at offset `at`; None for any other instruction."""
    if code >> 26 != 0b000101:
        return None
    imm26 = code & 0x3FFFFFF
    return at + 4 * (imm26 - (1 << 26) if imm26 >> 25 else imm26)
