"""Checks of where the sections of a vmlinux are: in the file, in its segments, in memory."""

from collections.abc import Iterator

from kinspect.artifacts.elf.file import Section
from kinspect.artifacts.elf.vmlinux import Vmlinux
from kinspect.checks.check import Evidence, Severity, capped, check
from kinspect.errors import Location
from kinspect.schemas import elf
from kinspect.schemas.elf import ProgramHeader, SectionHeader
from kinspect.schemas.record import size_of
from kinspect.views.elf.stray import stray_sections


def header_place(vmlinux: Vmlinux, section: Section) -> Location:
    """The location of a section's header."""
    offset = vmlinux.header.e_shoff + section.number * size_of(SectionHeader)
    return vmlinux.at(f"section header {section.name}", offset)


@check(Severity.ERROR)
def sections_are_inside_the_file(vmlinux: Vmlinux) -> Iterator[Evidence]:
    """The bytes of every section lie inside the file.

    Otherwise the file is truncated: a copy was interrupted, or the disk was full when the kernel was linked. Tools fail
    on it or see only part of its contents. Copy or link it again.
    Source: the ELF specification, section header.
    """
    for section in vmlinux.sections:
        end = section.offset + section.file_size
        if section.file_size and end > vmlinux.size:
            at = (header_place(vmlinux, section),)
            yield Evidence(
                "the section extends past the end of the file", at, expected=f"at most {vmlinux.size:,}", actual=end
            )


@check(Severity.ERROR)
def segments_are_inside_the_file(vmlinux: Vmlinux) -> Iterator[Evidence]:
    """The bytes of every segment lie inside the file, and its file size is at most its size in memory.

    ELF loaders (kexec, a debugger, an emulator) refuse any other file. It was truncated, or its program headers were
    changed; copy or link it again.
    Source: the ELF specification, program header.
    """
    for index, segment in enumerate(vmlinux.segments):
        at = (vmlinux.at(f"program header {index}", vmlinux.header.e_phoff + index * size_of(ProgramHeader)),)
        end = segment.p_offset + segment.p_filesz
        if segment.p_filesz and end > vmlinux.size:
            yield Evidence(
                "the segment extends past the end of the file", at, expected=f"at most {vmlinux.size:,}", actual=end
            )
        if segment.p_type == elf.PT_LOAD and segment.p_filesz > segment.p_memsz:
            expected = f"at least {segment.p_filesz:,}"
            yield Evidence(
                "the segment has more bytes in the file than in memory", at, expected=expected, actual=segment.p_memsz
            )


@check(Severity.ERROR)
def loaded_sections_do_not_overlap(vmlinux: Vmlinux) -> Iterator[Evidence]:
    """No two sections occupy the same memory.

    Where sections overlap, objcopy keeps only one of them in the Image: the kernel boots with wrong code or data, if at
    all. Look for a section that the linker script places at a fixed address, or for a tool that changed addresses after
    the link.
    Source: arch/arm64/kernel/vmlinux.lds.S.
    """
    # Thread-local data has addresses of its own.
    loaded = [section for section in vmlinux.loaded_sections if not section.flags & elf.SHF_TLS]
    for index, section in enumerate(loaded[1:]):
        before = loaded[index]
        if section.address < before.end:
            yield Evidence(
                f"{section.name} overlaps {before.name}",
                (header_place(vmlinux, section), header_place(vmlinux, before)),
                expected=f"from {before.end:#x}",
                actual=f"{section.address:#x}",
            )
        if section.end < before.end:
            loaded[index + 1] = before


@check(Severity.ERROR)
def loaded_sections_are_in_the_kernel(vmlinux: Vmlinux) -> Iterator[Evidence]:
    """Every section that occupies memory lies between `_text` and `_end`, and in a loaded segment.

    A boot loader reserves memory for that range, and the kernel maps it: a section outside of it is not accessible at
    run time. objcopy still copies such a section into the Image and fills the gap with zeros, so a few bytes at a
    distant address can add many megabytes to the Image; for a section at address 0, objcopy fails. Either the linker
    script does not name the section, or a tool added it after the link (objcopy --add-section): place it in the linker
    script, or clear its ALLOC flag.
    Source: arch/arm64/kernel/vmlinux.lds.S; scripts/link-vmlinux.sh, --orphan-handling.
    """
    found = stray_sections(vmlinux)

    def evidence() -> Iterator[Evidence]:
        for stray in found:
            section = stray.section
            cost = f" and makes the Image {stray.cost:,} bytes larger" if stray.cost else ""
            yield Evidence(
                f"{section.name} of {section.size:,} bytes {stray.problem}{cost}",
                (header_place(vmlinux, section),),
                expected=f"within {stray.start:#x} to {stray.end:#x}",
                actual=f"{section.address:#x}",
            )

    yield from capped(evidence(), "sections", vmlinux.at())
