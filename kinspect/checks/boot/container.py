"""Checks of what a kernel image is wrapped in: a compressed file, an EFI zboot image."""

from collections.abc import Iterator

from kinspect.artifacts.boot.compressed import Compressed
from kinspect.artifacts.boot.container import Wrapping
from kinspect.artifacts.boot.image import Image
from kinspect.artifacts.boot.zboot import Zboot
from kinspect.artifacts.compression.magics import compression_of
from kinspect.checks.boot.ending import trailing
from kinspect.checks.check import Evidence, Severity, check
from kinspect.schemas.fdt import MAGIC as FDT_MAGIC
from kinspect.schemas.image import MAGIC
from kinspect.schemas.zboot import ARM64_MAGIC, COMPRESSIONS

_SIZE = 4
IMAGE_MAGIC = int.from_bytes(MAGIC, "little")


def _appended(wrapping: Wrapping) -> tuple[int, int] | None:
    """The place and the value of the size appended to a stream; None when there is none.

    gzip needs none: the format holds the size. In a zboot image the size follows the payload; in a compressed file
    nothing else follows the stream.
    """
    if wrapping.stream.compression == "gzip":
        return None
    at = wrapping.stream.end if isinstance(wrapping, Zboot) else wrapping.unpacked.end
    room = wrapping.size - at
    if room < _SIZE:
        return None
    if room > _SIZE and not isinstance(wrapping, Zboot):
        # A device tree may follow the size.
        after = wrapping.source.read(at + _SIZE, min(_SIZE, room - _SIZE))
        if int.from_bytes(after, "big") != FDT_MAGIC:
            return None
    return at, int.from_bytes(wrapping.source.read(at, _SIZE), "little")


@check(Severity.ERROR)
def appended_size_is_right(wrapping: Wrapping) -> Iterator[Evidence]:
    """The size appended to a compressed kernel equals its uncompressed size.

    For compressions other than gzip the build appends the uncompressed size in four bytes: to the payload of a zboot
    image, and in older kernels to Image.bz2, Image.lzma and Image.lz4. The decompressor allocates that much memory:
    with a wrong size, decompression fails or overwrites what follows, and the kernel does not boot. The file was
    changed or truncated after the build; build it again.
    Source: scripts/Makefile.lib, size_append; drivers/firmware/efi/libstub/Makefile.zboot.
    """
    found, total = _appended(wrapping), wrapping.layer.unpacked_size
    if found and found[1] != total & 0xFFFFFFFF:
        at = wrapping.at("appended size", found[0])
        yield Evidence("the appended size is not the uncompressed size", (at,), expected=total, actual=found[1])
    if found is None and isinstance(wrapping, Zboot) and wrapping.stream.compression != "gzip":
        at = wrapping.at("appended size", wrapping.stream.end)
        yield Evidence("the file ends before the appended size", (at,), expected=total)


@check(Severity.WARNING)
def nothing_follows_the_stream(wrapping: Wrapping) -> Iterator[Evidence]:
    """Nothing follows the compressed stream except the size that the build appends.

    Boot loaders stop at the end of the stream: most of them ignore a second stream, padding or an appended device tree,
    and so does kinspect. Remove the trailing bytes, or pass a device tree to the boot loader as a file of its own.
    Source: scripts/Makefile.lib.
    """
    end, last = wrapping.unpacked.end, wrapping.stream.end
    if isinstance(wrapping, Compressed) and _appended(wrapping):
        end += _SIZE
    if end < last:
        text = trailing(wrapping.source, end, last)
        yield Evidence(f"{text} follow the compressed stream", (wrapping.at("", end),))


@check(Severity.ERROR)
def zboot_payload_is_what_the_header_says(zboot: Zboot) -> Iterator[Evidence]:
    """The payload of a zboot image is compressed as its header says.

    QEMU and kexec unpack the payload themselves and choose the decompressor by the name in the header: with a wrong
    name, they fail to load the kernel. The file was modified after the build; build it again.
    Source: drivers/firmware/efi/libstub/zboot-header.S, Makefile.zboot.
    """
    start, size = zboot.header.payload_offset, zboot.header.payload_size
    found = compression_of(zboot.source.read(start, min(16, size), "payload"))
    name = zboot.header.compression_name
    at = (zboot.field("compression"), zboot.at("payload", start))
    if name not in COMPRESSIONS:
        names = [known for known, compression in COMPRESSIONS.items() if compression == found]
        expected = " or ".join(names) or "a known name"
        yield Evidence("the header does not name a known compression", at, expected, name or "nothing")
    elif COMPRESSIONS[name] != found:
        yield Evidence("the payload is not compressed as the header says", at, name, found or "no compression")


@check(Severity.ERROR)
def zboot_is_an_efi_program(zboot: Zboot) -> Iterator[Evidence]:
    """A zboot image has a PE header.

    EFI firmware finds the entry point in the PE header and refuses a file without one. The header or the offset to it
    was overwritten: build the file again.
    Source: drivers/firmware/efi/libstub/zboot-header.S.
    """
    if not zboot.pe_offset:
        yield Evidence("no PE header", (zboot.pe_offset_at,), expected="an offset", actual=0)


@check(Severity.ERROR)
def zboot_payload_is_loaded(zboot: Zboot) -> Iterator[Evidence]:
    """The payload of a zboot image lies inside a PE section.

    EFI firmware loads only the PE sections. If the payload lies outside of them, the decompressor reads other memory
    instead, and the kernel does not boot. The header or the section table was changed after the link; build the file
    again.
    Source: drivers/firmware/efi/libstub/zboot.lds.
    """
    pe, (start, end, _) = zboot.readable_pe, zboot.stream
    places = [(section.data_addr, section.data_addr + section.raw_data_size) for section in pe.sections] if pe else []
    if pe and not any(first <= start and end <= last for first, last in places):
        at = zboot.at("payload", start)
        yield Evidence("the payload lies outside the PE sections", (at,), actual=f"{start:#x} to {end:#x}")


@check(Severity.WARNING)
def zboot_reserved_fields_are_usual(zboot: Zboot) -> Iterator[Evidence]:
    """The fixed fields of a zboot header have their usual values.

    The file begins with "MZ" and two zeros, the eight reserved bytes are zero, and the word at 0x38 is 0x818223cd (zero
    in the first kernels with zboot images). With other values, the header was not written by the kernel's build, or the
    format is newer than this check: find out which tool produced or changed the file.
    Source: drivers/firmware/efi/libstub/zboot-header.S.
    """
    header = zboot.header
    if header.mz != b"MZ\0\0":
        yield Evidence(
            "the file does not begin with MZ and two zeros", (zboot.field("mz"),), expected=b"MZ\0\0", actual=header.mz
        )
    if any(header.reserved):
        yield Evidence("reserved is not zero", (zboot.field("reserved"),), expected=bytes(8), actual=header.reserved)
    if header.linux_magic not in (0, ARM64_MAGIC, IMAGE_MAGIC):
        at, actual = zboot.field("linux_magic"), f"{header.linux_magic:#x}"
        yield Evidence("unknown magic number", (at,), expected=f"{ARM64_MAGIC:#x}", actual=actual)


@check(Severity.ERROR)
def zboot_is_not_marked_as_an_image(zboot: Zboot) -> Iterator[Evidence]:
    """The word at 0x38 of a zboot image is not the magic number of an Image, `ARM\\x64`.

    Boot loaders and hypervisors that look for that number (U-Boot's booti, Firecracker) refuse a zboot image. With the
    number patched in, they accept the file and execute its header and compressed data as code: the kernel does not
    boot. Give them the Image inside instead: `kinspect unpack` extracts it.
    Source: drivers/firmware/efi/libstub/zboot-header.S; Documentation/arch/arm64/booting.rst.
    """
    if zboot.header.linux_magic == IMAGE_MAGIC:
        at = (zboot.field("linux_magic"),)
        actual = f"{IMAGE_MAGIC:#x}"
        yield Evidence("a zboot image with the magic number of an Image", at, f"{ARM64_MAGIC:#x}", actual)


@check(Severity.ERROR)
def packed_image_is_the_image(packed: Image, image: Image) -> Iterator[Evidence]:
    """A compressed Image, or the kernel in a zboot image, is byte for byte the same as the Image next to it.

    A compressed file left over from an earlier build boots an old kernel. Build both again (`make Image.gz` also builds
    Image). If there is a vmlinux and it matches the compressed kernel, `kinspect check` reports only the Image.
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
            yield Evidence(f"the kernel inside differs from {image.path}", (packed.at("", at), image.at("", at)))
            return
    if packed.size != image.size:
        message = f"the kernel inside differs in size from {image.path}"
        yield Evidence(message, (packed.at(), image.at()), f"{image.size:,} bytes", f"{packed.size:,}")
