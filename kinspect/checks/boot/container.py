"""What must hold in what a kernel image is wrapped in: a compression, an EFI zboot image."""

from collections.abc import Iterator

from kinspect.artifacts.boot.compressed import Compressed
from kinspect.artifacts.boot.container import Wrapping
from kinspect.artifacts.boot.image import Image
from kinspect.artifacts.boot.zboot import Zboot
from kinspect.artifacts.compression.magics import compression_of
from kinspect.checks.check import Evidence, Severity, check
from kinspect.schemas.zboot import ARM64_MAGIC, COMPRESSIONS

_SIZE = 4


def _appended(wrapping: Wrapping) -> tuple[int, int] | None:
    """The place and the value of the size behind a stream; None when there is none.

    Behind gzip there is none, for the format has one. In a zboot image it follows the payload, in a compressed file it
    is all that follows.
    """
    if wrapping.stream.compression == "gzip":
        return None
    at = wrapping.stream.end if isinstance(wrapping, Zboot) else wrapping.unpacked.end
    room = wrapping.size - at
    if room < _SIZE or (room > _SIZE and not isinstance(wrapping, Zboot)):
        return None
    return at, int.from_bytes(wrapping.source.read(at, _SIZE), "little")


@check(Severity.ERROR)
def appended_size_is_right(wrapping: Wrapping) -> Iterator[Evidence]:
    """The size behind the compressed stream is that of what comes out of it.

    Where a compression does not keep the size of what was compressed, the build appends it in four bytes: to the
    payload of a zboot image, and in older kernels to Image.bz2, Image.lzma and Image.lz4. The program that unpacks
    reserves as much memory.
    Source: scripts/Makefile.lib, size_append; drivers/firmware/efi/libstub/Makefile.zboot.
    """
    found, total = _appended(wrapping), wrapping.layer.unpacked_size
    if found and found[1] != total & 0xFFFFFFFF:
        at = wrapping.at("appended size", found[0])
        yield Evidence("not the size of what is unpacked", (at,), expected=total, actual=found[1])
    if found is None and isinstance(wrapping, Zboot) and wrapping.stream.compression != "gzip":
        at = wrapping.at("appended size", wrapping.stream.end)
        yield Evidence("the file ends before the size", (at,), expected=total)


@check(Severity.WARNING)
def nothing_follows_the_stream(wrapping: Wrapping) -> Iterator[Evidence]:
    """Nothing follows the compressed stream, but for the size that the build appends.

    A second stream, padding or an appended device tree is not unpacked, neither here nor by most boot loaders.
    Source: scripts/Makefile.lib.
    """
    end, last = wrapping.unpacked.end, wrapping.stream.end
    if end < last and not (isinstance(wrapping, Compressed) and _appended(wrapping)):
        count = f"{last - end:,} bytes"
        yield Evidence("bytes follow the compressed stream", (wrapping.at("", end),), expected="none", actual=count)


@check(Severity.ERROR)
def zboot_payload_is_what_the_header_says(zboot: Zboot) -> Iterator[Evidence]:
    """The payload of a zboot image has the compression that the header names.

    A boot loader that unpacks the payload itself, as QEMU and kexec do, goes by that name.
    Source: drivers/firmware/efi/libstub/zboot-header.S, Makefile.zboot.
    """
    start, size = zboot.header.payload_offset, zboot.header.payload_size
    found = compression_of(zboot.source.read(start, min(16, size), "payload"))
    name = zboot.header.compression_name
    if COMPRESSIONS.get(name) != found:
        at = (zboot.field("compression"), zboot.at("payload", start))
        yield Evidence("the payload has another compression", at, expected=name or "a name", actual=found or "none")


@check(Severity.ERROR)
def zboot_is_an_efi_program(zboot: Zboot) -> Iterator[Evidence]:
    """A zboot image has a PE header.

    EFI firmware starts it by that; as an Image it cannot be started.
    Source: drivers/firmware/efi/libstub/zboot-header.S.
    """
    if not zboot.pe_offset:
        yield Evidence("no PE header", (zboot.pe_offset_at,), expected="an offset", actual=0)


@check(Severity.ERROR)
def zboot_payload_is_loaded(zboot: Zboot) -> Iterator[Evidence]:
    """The payload lies behind the header and inside the PE sections.

    What lies in none EFI firmware does not load, and the program would unpack something else.
    Source: drivers/firmware/efi/libstub/zboot.lds.
    """
    pe, (start, end, _) = zboot.readable_pe, zboot.stream
    places = [(section.data_addr, section.data_addr + section.raw_data_size) for section in pe.sections] if pe else []
    if pe and not any(first <= start and end <= last for first, last in places):
        at = zboot.at("payload", start)
        yield Evidence("the payload lies in no PE section", (at,), actual=f"{start:#x} to {end:#x}")


@check(Severity.WARNING)
def zboot_reserved_fields_are_usual(zboot: Zboot) -> Iterator[Evidence]:
    """The fields of the header that have one value have it.

    The bytes after "MZ" and the eight reserved ones are zero; at 0x38 stands 0x818223cd, or zero in the first
    kernels with zboot images.
    Source: drivers/firmware/efi/libstub/zboot-header.S.
    """
    header = zboot.header
    if header.mz != b"MZ\0\0":
        yield Evidence("the file does not begin with MZ", (zboot.field("mz"),), expected=b"MZ\0\0", actual=header.mz)
    if any(header.reserved):
        yield Evidence("reserved is not zero", (zboot.field("reserved"),), expected=bytes(8), actual=header.reserved)
    if header.linux_magic not in (0, ARM64_MAGIC):
        at, actual = zboot.field("linux_magic"), f"{header.linux_magic:#x}"
        yield Evidence("an unknown magic number", (at,), expected=f"{ARM64_MAGIC:#x}", actual=actual)


@check(Severity.ERROR)
def packed_image_is_the_image(packed: Image, image: Image) -> Iterator[Evidence]:
    """A compressed Image, or the kernel in a zboot image, is the Image beside it, byte for byte.

    One that was left from an earlier build boots an old kernel. `kinspect check` blames the Image alone where the
    packed one is what vmlinux gives and the Image is not.
    Source: arch/arm64/boot/Makefile.
    """
    if not packed.layers or image.layers:
        return
    step, size = 1 << 20, min(packed.size, image.size)
    for start in range(0, size, step):
        length = min(step, size - start)
        ours, theirs = image.source.read(start, length), packed.source.read(start, length)
        if ours != theirs:
            at = start + next(at for at, (one, other) in enumerate(zip(ours, theirs, strict=True)) if one != other)
            yield Evidence(f"not what {image.path} holds", (packed.at("", at), image.at("", at)))
            return
    if packed.size != image.size:
        message = f"not as long as {image.path}"
        yield Evidence(message, (packed.at(), image.at()), f"{image.size:,} bytes", f"{packed.size:,}")
