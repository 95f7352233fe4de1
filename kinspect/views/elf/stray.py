"""Sections that take memory outside of the kernel, and what they cost."""

from typing import NamedTuple

from kinspect.artifacts.elf.file import Section
from kinspect.artifacts.elf.vmlinux import Vmlinux
from kinspect.schemas import elf


class StraySection(NamedTuple):
    """A section outside of the kernel, which is from `start` to `end` (addresses).

    `cost` is the number of bytes by which it makes the Image larger: itself, and zeros up to it.
    """

    section: Section
    problem: str
    start: int
    end: int
    cost: int


def stray_sections(vmlinux: Vmlinux) -> tuple[StraySection, ...]:
    """The loaded sections outside of `_text` to `_end`, or in no segment; none when neither is known.

    Raises as `sections` and `segments` do.
    """
    segments = [segment for segment in vmlinux.segments if segment.p_type == elf.PT_LOAD and segment.p_memsz]
    symbols = vmlinux.readable_symbols
    start, end = symbols.values_of(("_text", "_end")).values()
    if start is None or end is None or start >= end:
        if not segments:
            return ()
        start = min(segment.p_vaddr for segment in segments)
        end = max(segment.p_vaddr + segment.p_memsz for segment in segments)
    problems: dict[int, str] = {}
    # Thread-local data has addresses of its own.
    loaded = [section for section in vmlinux.loaded_sections if not section.flags & elf.SHF_TLS]
    for section in loaded:
        # One that begins in the kernel and ends elsewhere has a wrong size, which other checks report.
        if not start <= section.address < end:
            problems[section.number] = "lies outside the kernel"
        elif segments and not any(
            one.p_vaddr <= section.address < one.p_vaddr + max(one.p_memsz, one.p_filesz) for one in segments
        ):
            problems[section.number] = "lies in no segment"
    copied = [section for section in loaded if section.in_file]
    kernel = [(one.address, one.end) for one in copied if one.number not in problems]
    if not kernel:
        return ()
    first, last = min(kernel)[0], max(place for _, place in kernel)
    return tuple(
        StraySection(
            section,
            problems[section.number],
            start,
            end,
            max(last, section.end) - min(first, section.address) - (last - first) if section.in_file else 0,
        )
        for section in loaded
        if section.number in problems
    )
