"""The kernel's tests of how a module would lie in memory, and what it does not test there.

Where the kernel takes a number of the file for granted, a wrong one makes it read or write where it should not: what
comes of that nobody can tell.
Source: kernel/module/main.c, layout_and_allocate(); kernel/module/strict_rwx.c; arch/arm64/kernel/module-plts.c.
"""

from errno import EEXIST, ENOEXEC, ENOMEM

from kinspect.schemas import elf
from kinspect.schemas.elf import Rela, Symbol
from kinspect.schemas.record import column, size_of
from kinspect.views.loader.elf import PER_CPU, refuse
from kinspect.views.loader.kernel import Order
from kinspect.views.loader.load_info import LoadInfo, text_of
from kinspect.views.loader.verdict import Refusal, Result, Unknown

_WRITE_AND_RUN = elf.SHF_WRITE | elf.SHF_EXECINSTR
_LARGEST_ALIGNMENT = 1 << 16
_LARGE, _TOO_LARGE = 64 << 20, 2 << 30
"""Bytes of a module: below the first it always fits, above the second never, for modules lie within 2 GiB."""
_PLT = (b".plt", b".init.plt")
_TRAMPOLINES = (b".text.ftrace_trampoline", b".init.text.ftrace_trampoline")
_PAGE, _RELA = 4096, size_of(Rela)


def plt_sections(attempt: LoadInfo) -> Result:
    """The sections that the arm64 kernel fills with its own code."""
    if not attempt.kernel.says("%s: module PLT section(s) missing"):
        return None
    if None in attempt.names:
        return Unknown("the name of a section lies outside of the file: the kernel reads it all the same")
    if any(not attempt.numbered(name) for name in _PLT):
        return refuse(f"{attempt.struct_name}: module PLT section(s) missing")
    sections = attempt.sections
    for number, kind in enumerate(sections.types):
        if kind != elf.SHT_RELA:
            continue
        target = sections.infos[number]
        if target >= attempt.count:
            return Unknown(f"section {number} relocates one that is not: the kernel does not look")
        # What is signed is as it was built.
        if sections.flags[target] & elf.SHF_EXECINSTR and not attempt.signed:
            data = attempt.bytes_of(number)
            rows = memoryview(data[: len(data) - len(data) % _RELA]).cast("I")
            if max(rows[3::6], default=0) >= len(attempt.symbol_sections):
                return Unknown("a relocation names a symbol beyond the table: the kernel does not look")
    return None


def first_symbol(attempt: LoadInfo) -> Result:
    """The kernel never tests the section of symbol 0, and uses it. Source: kernel/module/kallsyms.c, elf_type()."""
    if attempt.count <= next(iter(attempt.symbol_sections), 0) < elf.SHN_LORESERVE:
        return Unknown("the first symbol is in a section that is not: the kernel does not look")
    return None


def write_and_run(attempt: LoadInfo) -> Result:
    if not attempt.kernel.says("has invalid WRITE|EXEC flags"):
        return None
    for number, flags in enumerate(attempt.sections.flags):
        if flags & _WRITE_AND_RUN == _WRITE_AND_RUN and not _made_by_kernel(attempt, number):
            name = text_of(attempt.names[number] or b"")
            return refuse(f"{attempt.struct_name}: section {name} (index {number}) has invalid WRITE|EXEC flags")
    return None


def _made_by_kernel(attempt: LoadInfo, number: int) -> bool:
    """Whether the kernel has written a section's header itself by then."""
    return attempt.names[number] in (*_PLT, *_TRAMPOLINES)


def memory(attempt: LoadInfo) -> Result:
    """Whether there is room, and whether everything lies where the kernel believes."""
    sections, total = attempt.sections, 0
    for number, flags in enumerate(sections.flags):
        if not flags & elf.SHF_ALLOC or _made_by_kernel(attempt, number):
            continue
        alignment, size = sections.alignments[number], sections.sizes[number]
        if alignment & (alignment - 1) or alignment > _LARGEST_ALIGNMENT:
            return Unknown(f"section {number} has an alignment that the kernel does not expect: {alignment:#x}")
        total += size
    if total > _LARGE:
        known = _TOO_LARGE < total < 1 << 31 << 1
        return Refusal(ENOMEM) if known else Unknown(f"whether {total:,} bytes fit depends on the machine")
    # Newer kernels test this before.
    last = attempt.sections.starts[attempt.index["str"]] + max(
        column(Symbol, "st_name", attempt.symbol_table), default=0
    )
    if attempt.text_at(last) is None:
        return Unknown("the name of a symbol lies outside of the file: the kernel reads it all the same")
    number = attempt.index["mod"]
    if sections.alignments[number] < 8 or sections.starts[number] % 8:
        return Unknown("struct module is not aligned")
    wanted = attempt.kernel.struct_size
    if wanted is not None and (sections.sizes[number] != wanted or sections.types[number] == elf.SHT_NOBITS):
        return Unknown(f"struct module has {wanted} bytes, here {sections.sizes[number]}: the kernel does not look")
    return None


def per_cpu(attempt: LoadInfo) -> Result:
    number = attempt.index["pcpu"]
    if number and attempt.sections.sizes[number] > _PAGE * 2:
        return Unknown("whether there is room for so many bytes for each processor depends on the machine")
    return None


def section_names(attempt: LoadInfo) -> Result:
    """No two sections of a name in /sys/module/NAME/sections; kernels before went on without the folder."""
    if attempt.kernel.order is not Order.CACHED:
        return None
    seen: set[bytes | None] = set()
    sections = attempt.sections
    for number, flags in enumerate(sections.flags):
        made = _made_by_kernel(attempt, number)
        if not (flags & elf.SHF_ALLOC and (sections.sizes[number] or made)) or attempt.names[number] == PER_CPU:
            continue
        name = attempt.names[number]
        if name in seen:
            what = f"/module/{attempt.struct_name}/sections/{text_of(name or b'')}"
            return Refusal(EEXIST, (f"sysfs: cannot create duplicate filename '{what}'",))
        seen.add(name)
    return None


def trampolines(attempt: LoadInfo) -> Result:
    """The sections for calls of ftrace, where the kernel has it.

    Source: arch/arm64/kernel/module.c, module_init_ftrace_plt().
    """
    if "ftrace_set_filter" not in attempt.kernel.exports:
        return None
    second = attempt.kernel.says(_TRAMPOLINES[1].decode())
    if any(not attempt.numbered(name) for name in _TRAMPOLINES[: 1 + second]):
        return Refusal(ENOEXEC)
    return None


def btf(attempt: LoadInfo) -> Result:
    """Types that the kernel takes for its own: whether they are is not looked at here, but that they begin so.

    Source: kernel/bpf/btf.c, btf_module_notify() and btf_parse_hdr().
    """
    found = attempt.numbered(b".BTF")
    if not found or not attempt.kernel.says("failed to validate module [%s] BTF"):
        return None
    data = attempt.bytes_of(found[0])
    if not data:
        return None
    words = memoryview(data[:24]).cast("I") if len(data) >= 24 else ()
    if not words or words[0] != 0x1EB9F or words[1] != 24 or words[2] or words[3] != words[4]:
        return Unknown("the types in .BTF are not what the kernel expects")
    return None if words[4] + words[5] + 24 == len(data) else Unknown("the types in .BTF do not end with it")
