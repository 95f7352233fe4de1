"""Checks of the PE/COFF header of an Image or a zboot image, which EFI firmware and GRUB read."""

from collections.abc import Iterator

from kinspect.artifacts.boot.efi import EfiProgram
from kinspect.artifacts.boot.image import Image
from kinspect.artifacts.boot.pe import Pe
from kinspect.checks.boot.ending import trailing
from kinspect.checks.check import Evidence, Severity, check
from kinspect.errors import Location, MalformedError
from kinspect.schemas.pe import (
    EFI_APPLICATION,
    MACHINE_ARM64,
    MEMORY_EXECUTE,
    MEMORY_WRITE,
    NX_COMPAT,
    CoffHeader,
    OptionalHeader,
    PeSectionHeader,
)
from kinspect.schemas.record import offsets, size_of


def _coff(program: EfiProgram, pe: Pe, field: str) -> Location:
    return program.at(f"PE {field}", pe.offset + 4 + offsets(CoffHeader)[field])


def _optional(program: EfiProgram, pe: Pe, field: str) -> Location:
    return program.at(f"PE {field}", pe.optional_at + offsets(OptionalHeader)[field])


def _section(program: EfiProgram, pe: Pe, index: int) -> Location:
    return program.at(f"PE section {pe.sections[index].title}", pe.sections_at + index * size_of(PeSectionHeader))


@check(Severity.ERROR)
def mz_comes_with_a_pe_header(image: Image) -> Iterator[Evidence]:
    """code0 spells "MZ" if and only if res5 points to a PE header.

    EFI firmware looks for "MZ" first and follows the offset in res5 (0x3c) to the PE header. With only one of them, it
    refuses the Image: the header was changed after the link. Use the Image as the build left it.
    Source: arch/arm64/kernel/efi-header.S.
    """
    header = image.header
    if header.efi and not header.res5:
        yield Evidence(
            "code0 is MZ, but res5 points to no PE header", (image.field("res5"),), expected="an offset", actual=0
        )
    if header.res5 and not header.efi:
        yield Evidence(
            "res5 points to a PE header, but code0 is not MZ",
            (image.field("code0"),),
            expected="MZ",
            actual=header.code0.to_bytes(4, "little"),
        )


@check(Severity.ERROR)
def pe_header_is_readable(program: EfiProgram) -> Iterator[Evidence]:
    """The PE header lies inside the file, aligned to 8 bytes, and is a valid PE32+ header.

    EFI firmware refuses to start any other file. The file was truncated or its header overwritten; build it again.
    Source: arch/arm64/kernel/efi-header.S; Microsoft's PE format.
    """
    at = program.pe_offset_at
    if program.pe_offset % 8:
        yield Evidence("the PE header is not aligned", (at,), expected="a multiple of 8", actual=program.pe_offset)
    try:
        _ = program.pe
    except MalformedError as error:
        yield Evidence.of(error)._replace(at=(at, error.at))


@check(Severity.ERROR)
def pe_is_an_arm64_efi_application(program: EfiProgram) -> Iterator[Evidence]:
    """Machine is 0xAA64 (ARM64) and Subsystem is 10 (EFI application).

    EFI firmware and GRUB refuse any other file (`Unsupported`). It was built for another machine, or its header was
    changed.
    Source: arch/arm64/kernel/efi-header.S.
    """
    pe = program.readable_pe
    if pe is None:
        return
    if pe.coff.machine != MACHINE_ARM64:
        at = _coff(program, pe, "machine")
        yield Evidence(
            "the machine is not ARM64", (at,), expected=f"{MACHINE_ARM64:#x}", actual=f"{pe.coff.machine:#x}"
        )
    if pe.optional.subsys != EFI_APPLICATION:
        at = _optional(program, pe, "subsys")
        yield Evidence(
            "the subsystem is not an EFI application",
            (at,),
            expected=f"{EFI_APPLICATION}",
            actual=f"{pe.optional.subsys}",
        )


@check(Severity.ERROR)
def pe_size_is_image_size(image: Image) -> Iterator[Evidence]:
    """SizeOfImage equals image_size.

    Both are `_end - _text`. EFI firmware uses the first and other boot loaders the second; if one of them is too small,
    other data may overwrite the end of the kernel. One of them was changed after the link; use the Image as the build
    left it.
    Source: arch/arm64/kernel/efi-header.S.
    """
    pe = image.readable_pe
    # v3.16 has a PE header, and image_size only v3.17.
    if pe and image.header.image_size and pe.optional.image_size != image.header.image_size:
        at = (_optional(image, pe, "image_size"), image.field("image_size"))
        yield Evidence(
            "SizeOfImage differs from image_size", at, expected=image.header.image_size, actual=pe.optional.image_size
        )


@check(Severity.ERROR)
def pe_entry_is_in_code(program: EfiProgram) -> Iterator[Evidence]:
    """AddressOfEntryPoint lies in an executable section.

    EFI firmware jumps there. Outside of an executable section there is no code, or execution is not permitted, and the
    kernel does not boot. The header was changed after the link; build the file again.
    Source: arch/arm64/kernel/efi-header.S.
    """
    pe = program.readable_pe
    if pe is None:
        return
    entry = pe.optional.entry_point
    for section in pe.sections:
        inside = section.virtual_address <= entry < section.virtual_address + section.virtual_size
        if inside and section.flags & MEMORY_EXECUTE:
            return
    yield Evidence(
        "the entry point lies outside the executable sections", (_optional(program, pe, "entry_point"),), actual=entry
    )


@check(Severity.ERROR)
def pe_sections_are_inside_the_file(program: EfiProgram) -> Iterator[Evidence]:
    """The bytes of every PE section lie inside the file.

    Otherwise the file is truncated, and EFI firmware refuses it. Copy or build it again.
    Source: Microsoft's PE format, section table.
    """
    pe = program.readable_pe
    for index, section in enumerate(pe.sections if pe else ()):
        end = section.data_addr + section.raw_data_size
        if pe and end > program.size:
            at = _section(program, pe, index)
            yield Evidence(
                "the section extends past the end of the file", (at,), expected=f"at most {program.size:,}", actual=end
            )


@check(Severity.ERROR)
def pe_sections_are_inside_the_image(program: EfiProgram) -> Iterator[Evidence]:
    """Every PE section lies inside SizeOfImage, and no two overlap.

    EFI firmware copies each section to its place: one that overlaps another overwrites code or data, and one outside
    SizeOfImage is refused. The section table was changed after the link; build the file again.
    Source: Microsoft's PE format, section table.
    """
    pe = program.readable_pe
    if pe is None:
        return
    end_before = pe.optional.header_size
    for index in sorted(range(len(pe.sections)), key=lambda index: pe.sections[index].virtual_address):
        section = pe.sections[index]
        end = section.virtual_address + section.virtual_size
        if section.virtual_address < end_before:
            at = _section(program, pe, index)
            yield Evidence(
                "the section overlaps the headers or the section before it",
                (at,),
                expected=f"from {end_before:,}",
                actual=section.virtual_address,
            )
        if end > pe.optional.image_size:
            at = _section(program, pe, index)
            expected = f"at most {pe.optional.image_size:,}"
            yield Evidence("the section extends past SizeOfImage", (at,), expected=expected, actual=end)
        end_before = max(end_before, end)


@check(Severity.ERROR)
def pe_sections_reach_the_end_of_the_file(program: EfiProgram) -> Iterator[Evidence]:
    """The sections reach to the end of the file; only a certificate table may follow them.

    Otherwise, something was appended to the file (an initrd, a device tree). EFI firmware does not load it, so it is
    missing when the kernel boots. Pass it to the boot loader as a file of its own.
    Source: arch/arm64/kernel/efi-header.S.
    """
    pe = program.readable_pe
    if pe is None or not pe.sections:
        return
    end = pe.sections_end
    table = pe.certificate_table
    # A signer pads the file to 8 bytes before its table.
    last = table.virtual_address if table else program.size
    if end < program.size and not 0 <= last - end < 8:
        at = program.at("end of the PE sections", end)
        text = trailing(program.source, end, program.size)
        message = "bytes follow the last PE section" if "tree" not in text else f"{text} follow the last PE section"
        yield Evidence(message, (at,), expected=last, actual=end)


@check(Severity.ERROR)
def pe_has_no_writable_code(program: EfiProgram) -> Iterator[Evidence]:
    """No PE section is both writable and executable.

    Firmware that enforces memory protection, as newer rules for Secure Boot require, refuses a file with such a
    section. The section flags were changed, or the kernel is too old for such firmware.
    Source: arch/arm64/kernel/efi-header.S.
    """
    pe = program.readable_pe
    both = MEMORY_WRITE | MEMORY_EXECUTE
    for index, section in enumerate(pe.sections if pe else ()):
        if pe and section.flags & both == both:
            yield Evidence(
                "the section is writable and executable", (_section(program, pe, index),), actual=f"{section.flags:#x}"
            )


@check(Severity.INFO)
def pe_is_nx_compatible(program: EfiProgram) -> Iterator[Evidence]:
    """DllCharacteristics has the flag NX_COMPAT.

    It tells firmware that the kernel works when data is not executable. Firmware that requires the flag refuses an
    image without it. Kernels have it since v6.2 and in later stable releases: update an older one.
    Source: arch/arm64/kernel/efi-header.S.
    """
    pe = program.readable_pe
    if pe and not pe.optional.dll_flags & NX_COMPAT:
        yield Evidence(
            "NX_COMPAT is not set", (_optional(program, pe, "dll_flags"),), actual=f"{pe.optional.dll_flags:#x}"
        )


@check(Severity.ERROR)
def certificate_table_is_sound(program: EfiProgram) -> Iterator[Evidence]:
    """The certificate table of a signed image is aligned, ends with the file, and contains complete PKCS#7 signatures.

    With Secure Boot, firmware refuses an image whose table is broken: the image was truncated, or bytes were appended
    after signing. Sign the image again. What the signature covers is checked by image-signature-is-of-the-image.
    Source: Microsoft's PE format, attribute certificate table.
    """
    pe = program.readable_pe
    table = pe.certificate_table if pe else None
    if pe is None or table is None:
        return
    at = (program.at("PE certificate table", pe.certificate_entry_at),)
    if table.virtual_address % 8:
        yield Evidence(
            "the certificate table is not aligned", at, expected="a multiple of 8", actual=table.virtual_address
        )
    if table.virtual_address + table.size != program.size:
        end = table.virtual_address + table.size
        yield Evidence("the certificate table does not end with the file", at, expected=program.size, actual=end)
    try:
        certificates = pe.certificates(program.source)
    except MalformedError as error:
        yield Evidence.of(error)
        return
    if not certificates:
        yield Evidence("the certificate table is empty", at)
    for certificate in certificates:
        if (certificate.revision, certificate.cert_type) != (0x200, 2):
            actual = f"revision {certificate.revision:#x}, type {certificate.cert_type}"
            yield Evidence("unknown kind of certificate", at, expected="revision 0x200, type 2", actual=actual)
