"""What a linked ELF file is when it is not a kernel: a program, a library, a core dump."""

from kinspect.artifacts.elf.file import Elf
from kinspect.errors import KinspectError
from kinspect.schemas import elf

_KERNEL_HALF = 1 << 63
"""User space never gets addresses from here on; the kernel is linked at one."""
_KERNEL_SECTIONS = (".head.text", ".init.text", ".init.data", "__ksymtab", "__ksymtab_gpl", "__ex_table", "__param")
_DYNAMIC, _INTERPRETER, _SONAME = 2, 3, 14
_FLAGS_1, _PIE = 0x6FFFFFFB, 0x08000000
_MOST_DYNAMIC = 1 << 16


def other_than_kernel(file: Elf) -> str | None:
    """What a file is that is certainly not a kernel; None for a kernel, or one of which this cannot be known.

    Raises KinspectError when the ELF header is broken. A banner proves nothing: programs contain it too.
    """
    if file.header.e_type == elf.ET_CORE:
        return "a core dump"
    if file.header.e_type not in (elf.ET_EXEC, elf.ET_DYN):
        names = {elf.ET_REL: "a relocatable file (.ko or .o)"}
        return names.get(file.header.e_type, f"e_type {file.header.e_type}")
    try:
        loads = [segment for segment in file.segments if segment.p_type == elf.PT_LOAD]
        if not loads or any(segment.p_vaddr >= _KERNEL_HALF for segment in loads) or _looks_like_a_kernel(file):
            return None
        return _program(file)
    except KinspectError:
        return None


def _looks_like_a_kernel(file: Elf) -> bool:
    if any(file.section(name) for name in _KERNEL_SECTIONS):
        return True
    return None not in file.readable_symbols.values_of(("_text", "_end")).values()


def _program(file: Elf) -> str:
    """A program has an interpreter, or no dynamic section, or the flag of a static-pie; a library has none of them."""
    if any(segment.p_type == _INTERPRETER for segment in file.segments):
        return "a dynamically linked program"
    dynamic = next((segment for segment in file.segments if segment.p_type == _DYNAMIC), None)
    if dynamic is None:
        return "a statically linked program"
    data = file.source.read(dynamic.p_offset, min(dynamic.p_filesz & ~15, _MOST_DYNAMIC), "dynamic segment")
    numbers = memoryview(data).cast("Q")
    tags = dict(zip(numbers[::2], numbers[1::2], strict=True))
    return "a statically linked program" if tags.get(_FLAGS_1, 0) & _PIE else "a shared library"
