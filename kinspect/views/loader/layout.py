"""The kernel's tests of a module's layout in memory, and what it uses there without a test.

With a wrong number that is not tested, the kernel reads or writes where it should not: the verdict is Unknown.
Source: kernel/module/main.c, layout_and_allocate(); kernel/module/strict_rwx.c; arch/arm64/kernel/module-plts.c.
"""

from errno import EEXIST, ENOEXEC, ENOMEM

from kinspect.schemas import elf
from kinspect.schemas.elf import Rela, Symbol
from kinspect.schemas.record import column, parse_table, size_of
from kinspect.schemas.tables import BTF_MAGIC, BtfHeader
from kinspect.views.loader.elf import PER_CPU, refuse
from kinspect.views.loader.kernel import Order
from kinspect.views.loader.load_info import LoadInfo, text_of
from kinspect.views.loader.verdict import Refusal, Result, Unknown

_WRITE_AND_RUN = elf.SHF_WRITE | elf.SHF_EXECINSTR
_LARGEST_ALIGNMENT = 1 << 16
_LARGE, _TOO_LARGE = 64 << 20, 2 << 30
"""Sizes in bytes: a module up to the first always fits, one over the second never, for modules lie within 2 GiB."""
_SIZES_WRAP = 1 << 32
"""The kernel adds section sizes up in an unsigned int: from here on its sum is smaller than the module."""
_PLT = (b".plt", b".init.plt")
_TRAMPOLINES = (b".text.ftrace_trampoline", b".init.text.ftrace_trampoline")
_PAGE, _RELA, _BTF_HEADER = 4096, size_of(Rela), size_of(BtfHeader)


def plt_sections(info: LoadInfo) -> Result:
    """The sections that an arm64 kernel fills with branch stubs."""
    if not info.kernel.has_message("%s: module PLT section(s) missing"):
        return None
    if None in info.names:
        return Unknown("the name of a section lies outside the file, and the kernel does not test that")
    if any(not info.numbered(name) for name in _PLT):
        return refuse(f"{info.struct_name}: module PLT section(s) missing")
    sections = info.sections
    for number, kind in enumerate(sections.types):
        if kind != elf.SHT_RELA:
            continue
        target = sections.infos[number]
        if target >= info.count:
            return Unknown(f"section {number} relocates a missing section, and the kernel does not test that")
        # A module with a valid signature is as it was built.
        if sections.flags[target] & elf.SHF_EXECINSTR and not info.signed:
            data = info.bytes_of(number)
            rows = memoryview(data[: len(data) - len(data) % _RELA]).cast("I")
            if max(rows[3::6], default=0) >= len(info.symbol_sections):
                return Unknown("a relocation names a symbol beyond the table, and the kernel does not test that")
    return None


def first_symbol(info: LoadInfo) -> Result:
    """The kernel uses the section of symbol 0 without a test. Source: kernel/module/kallsyms.c, elf_type()."""
    if info.count <= next(iter(info.symbol_sections), 0) < elf.SHN_LORESERVE:
        return Unknown("the first symbol is in a missing section, and the kernel does not test that")
    return None


def write_and_run(info: LoadInfo) -> Result:
    if not info.kernel.has_message("has invalid WRITE|EXEC flags"):
        return None
    for number, flags in enumerate(info.sections.flags):
        if flags & _WRITE_AND_RUN == _WRITE_AND_RUN and not _made_by_kernel(info, number):
            name = text_of(info.names[number] or b"")
            return refuse(f"{info.struct_name}: section {name} (index {number}) has invalid WRITE|EXEC flags")
    return None


def _made_by_kernel(info: LoadInfo, number: int) -> bool:
    """Whether the kernel has changed the section's header by then."""
    return info.names[number] in (*_PLT, *_TRAMPOLINES)


def memory(info: LoadInfo) -> Result:
    """Whether the module fits, and what the kernel takes for granted when it copies the module."""
    sections, total = info.sections, 0
    for number, flags in enumerate(sections.flags):
        if not flags & elf.SHF_ALLOC or _made_by_kernel(info, number):
            continue
        alignment, size = sections.alignments[number], sections.sizes[number]
        if alignment & (alignment - 1) or alignment > _LARGEST_ALIGNMENT:
            return Unknown(f"section {number} has an alignment that the kernel does not expect: {alignment:#x}")
        total += size
    if total > _LARGE:
        known = _TOO_LARGE < total < _SIZES_WRAP
        return Refusal(ENOMEM) if known else Unknown(f"whether {total:,} bytes fit depends on the machine")
    # Newer kernels have tested this before.
    last = info.sections.starts[info.index["str"]] + max(column(Symbol, "st_name", info.symbol_table), default=0)
    if info.text_at(last) is None:
        return Unknown("the name of a symbol lies outside the file, and the kernel does not test that")
    number = info.index["mod"]
    if sections.alignments[number] < 8 or sections.starts[number] % 8:
        return Unknown("struct module is not aligned")
    expected, actual = info.kernel.struct_size, sections.sizes[number]
    if expected is not None and (actual != expected or sections.types[number] == elf.SHT_NOBITS):
        return Unknown(f"struct module has {actual} bytes, not {expected}, and the kernel does not test that")
    return None


def per_cpu(info: LoadInfo) -> Result:
    number = info.index["pcpu"]
    if number and info.sections.sizes[number] > _PAGE * 2:
        return Unknown("whether so much per-CPU data fits depends on the machine")
    return None


def section_names(info: LoadInfo) -> Result:
    """No two sections share a name in /sys/module/NAME/sections; older kernels go on without that folder."""
    if info.kernel.order is not Order.CACHED:
        return None
    seen: set[bytes | None] = set()
    sections = info.sections
    for number, flags in enumerate(sections.flags):
        made = _made_by_kernel(info, number)
        if not (flags & elf.SHF_ALLOC and (sections.sizes[number] or made)) or info.names[number] == PER_CPU:
            continue
        name = info.names[number]
        if name in seen:
            path = f"/module/{info.struct_name}/sections/{text_of(name or b'')}"
            return Refusal(EEXIST, (f"sysfs: cannot create duplicate filename '{path}'",))
        seen.add(name)
    return None


def trampolines(info: LoadInfo) -> Result:
    """The sections for the trampolines of ftrace, in a kernel that has it.

    Source: arch/arm64/kernel/module.c, module_init_ftrace_plt().
    """
    if "ftrace_set_filter" not in info.kernel.exports:
        return None
    second = info.kernel.has_message(_TRAMPOLINES[1].decode())
    if any(not info.numbered(name) for name in _TRAMPOLINES[: 1 + second]):
        return Refusal(ENOEXEC)
    return None


def btf(info: LoadInfo) -> Result:
    """The header of `.BTF`; the types themselves are taken to be sound.

    Source: kernel/bpf/btf.c, btf_module_notify() and btf_parse_hdr().
    """
    found = info.numbered(b".BTF")
    if not found or not info.kernel.has_message("failed to validate module [%s] BTF"):
        return None
    data = info.bytes_of(found[0])
    if not data:
        return None
    header = parse_table(BtfHeader, data[:_BTF_HEADER])[0] if len(data) >= _BTF_HEADER else None
    if header is None or header[:5] != (BTF_MAGIC, 1, 0, _BTF_HEADER, 0) or header.type_len != header.str_off:
        return Unknown("the header of .BTF is not what the kernel expects")
    whole = _BTF_HEADER + header.str_off + header.str_len == len(data)
    return None if whole else Unknown("the types in .BTF do not end with the section")
