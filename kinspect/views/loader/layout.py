"""The kernel's tests of a module's layout in memory, and what it uses there without a test.

With a wrong number that is not tested, the kernel reads or writes where it should not: it crashes.
Source: kernel/module/main.c, layout_and_allocate(); kernel/module/strict_rwx.c; arch/arm64/kernel/module-plts.c.
"""

from errno import EEXIST, EINVAL, ENOEXEC, ENOMEM

from kinspect.schemas import elf
from kinspect.schemas.elf import Rela, SectionHeader, Symbol
from kinspect.schemas.record import column, parse_table, size_of
from kinspect.schemas.tables import BTF_MAGIC, BtfHeader
from kinspect.views.loader.elf import refuse
from kinspect.views.loader.kernel import Order
from kinspect.views.loader.load_info import PLT, STUB_SECTIONS, TRAMPOLINES, LoadInfo, text_of
from kinspect.views.loader.relocation.areas import BRANCHES, Areas, MemoryType, kind_of, not_kept
from kinspect.views.loader.verdict import Crash, Refusal, Result, Unknown

_WRITE_AND_RUN = elf.SHF_WRITE | elf.SHF_EXECINSTR
_LARGE, _TOO_LARGE = 64 << 20, 2 << 30
"""Sizes in bytes: a module up to the first always fits, one over the second never, for modules lie within 2 GiB."""
_LEAST_PER_CPU, _PER_CPU = 4, 8 << 10
"""The least alignment of per-CPU memory, and the bytes of it that all modules share.

Source: mm/percpu.c; include/linux/percpu.h, PERCPU_MODULE_RESERVE.
"""
_ALIGNED = (8, 16, 32, 64, 128, 256)
"""Alignments of struct module with which it is aligned to 8 bytes after anything."""
_FAR_BEHIND = 1 << 28
"""Bytes behind a file in which other memory of the kernel may lie; further on hardly any does."""
_SMALLEST_STRUCT = 256
"""No kernel has a smaller struct module, in bytes."""
_RELA, _BTF_HEADER = size_of(Rela), size_of(BtfHeader)


def plt_sections(info: LoadInfo) -> Result:
    """The sections that an arm64 kernel fills with branch stubs."""
    if not info.kernel.has_message("%s: module PLT section(s) missing"):
        return None
    if None in info.names:
        return Crash("the name of a section lies outside the file, in unmapped memory")
    if any(not info.numbered(name) for name in PLT):
        return refuse(f"{info.struct_name}: module PLT section(s) missing")
    # The kernel takes the table for what it is named.
    unseen = info.names[info.index["sym"]] in STUB_SECTIONS
    return refuse(f"{info.struct_name}: module symtab section missing") if unseen else _counted_branches(info)


def _counted_branches(info: LoadInfo) -> Result:
    """The branches that the kernel counts the stubs of."""
    sections, table = info.sections, info.sections.offsets[info.index["sym"]]
    for number, kind in enumerate(sections.types):
        if kind != elf.SHT_RELA:
            continue
        target = sections.infos[number]
        if target >= info.count:
            return Crash(f"section {number} relocates a missing section, and the kernel does not check that")
        # A module with a valid signature is as it was built.
        if sections.flags[target] & elf.SHF_EXECINSTR and not info.signed:
            data = info.bytes_of(number)
            rows = memoryview(data[: len(data) - len(data) % _RELA]).cast("I")
            if max(rows[3::6], default=0) < len(info.symbol_sections):
                continue
            branches = (symbol for kind, symbol in zip(rows[2::6], rows[3::6], strict=True) if kind in BRANCHES)
            if table + (max(branches, default=0) + 1) * size_of(Symbol) > len(info.data):
                return Crash("a relocation refers to a symbol beyond the table, in unmapped memory")
    return None


def first_symbol(info: LoadInfo) -> Result:
    """The kernel uses the section of symbol 0 without a test. Source: kernel/module/kallsyms.c, elf_type()."""
    number = next(iter(info.symbol_sections), 0)
    end = info.header.e_shoff + (number + 1) * size_of(SectionHeader)
    if info.count <= number < elf.SHN_LORESERVE and end > len(info.data):
        return Crash("the first symbol is in a missing section, and the kernel does not check that")
    return None


def write_and_run(info: LoadInfo) -> Result:
    if not info.kernel.has_message("has invalid WRITE|EXEC flags"):
        return None
    for number, flags in enumerate(info.sections.flags):
        if flags & _WRITE_AND_RUN == _WRITE_AND_RUN and number not in info.stubs:
            name = text_of(info.names[number] or b"")
            return refuse(f"{info.struct_name}: section {name} (index {number}) has invalid WRITE|EXEC flags")
    return None


def memory(info: LoadInfo) -> Result:
    """Whether the module fits, and what the kernel takes for granted when it copies the module."""
    areas = Areas(info)
    return _fits(info, areas) or _names(info) or _struct(info, areas)


def _fits(info: LoadInfo, areas: Areas) -> Result:
    sections = info.sections
    far = max(sections.alignments, default=0) > _LARGE
    # With small sizes and alignments no offset is surprising.
    if sum(sections.sizes) <= _LARGE and not far:
        return None
    total = sum(sections.sizes[number] for number in areas.places if number not in info.stubs)
    if total <= _LARGE and not far:
        return None
    if max(areas.sizes.values(), default=0) > _TOO_LARGE:
        return Refusal(ENOMEM)
    for number, place in areas.places.items():
        copied = sections.types[number] != elf.SHT_NOBITS and number not in info.stubs
        if (copied and sections.sizes[number] > areas.room(place)) or _overlaps(info, areas, number):
            return Crash(f"the sum of sizes wraps at 2^32: the memory for section {number} is not there, or shared")
    if sum(areas.sizes.values()) > _LARGE:
        return Unknown(f"whether {total:,} bytes fit depends on the machine")
    return None


def _overlaps(info: LoadInfo, areas: Areas, number: int) -> bool:
    """Whether a section shares memory with symbols or struct module, or that lies in what becomes read-only."""
    place = areas.place(number)
    end = place.offset + info.sections.sizes[number]
    for index in ("mod", "sym", "str"):
        other = info.index[index]
        own, size = areas.place(other), info.sections.sizes[other]
        if number != other and place.area == own.area and place.offset < own.offset + size and own.offset < end:
            return True
    mod, (kept, length) = areas.place(info.index["mod"]), areas.kept
    end = mod.offset + info.sections.sizes[info.index["mod"]]
    overwritten = kept.area == mod.area and kept.offset < end and mod.offset < kept.offset + length
    return overwritten or mod.offset < areas.read_only


def _names(info: LoadInfo) -> Result:
    """Whether all names of symbols lie in memory. Newer kernels have tested this before."""
    last = info.sections.offsets[info.index["str"]] + max(column(Symbol, "st_name", info.symbol_table), default=0)
    if info.text_at(last) is not None:
        return None
    # Behind the copy of the file comes a free page, and then perhaps something else.
    if info.kernel.page_size <= last - len(info.data) < _FAR_BEHIND:
        return Unknown("the name of a symbol lies outside the file, and the kernel does not check that")
    return Crash("the name of a symbol lies outside the file, in unmapped memory")


def _struct(info: LoadInfo, areas: Areas) -> Result:
    """The copy of struct module."""
    sections, number, expected = info.sections, info.index["mod"], info.kernel.struct_size
    size = sections.sizes[number]
    if sections.types[number] == elf.SHT_NOBITS:
        return Crash("struct module is not in the file, and the kernel uses an empty one")
    if sections.alignments[number] not in _ALIGNED and areas.place(number).offset % 8:
        return Crash("struct module is not aligned")
    if size < (_SMALLEST_STRUCT if expected is None else expected // 2):
        least = f"at least {_SMALLEST_STRUCT}" if expected is None else f"{expected}"
        return Crash(f"struct module has {size} bytes, not {least}: the kernel uses what was not copied")
    if expected is not None and size < expected:
        place = areas.place(number)
        if expected > areas.room(place):
            return Crash(f"struct module has {size} bytes, not {expected}, and ends in unmapped memory")
        behind = (other for other in areas.places.values() if other.area == place.area)
        if any(place.offset < other.offset < place.offset + expected for other in behind):
            return Unknown(f"struct module has {size} bytes, not {expected}, and the kernel does not check that")
    return None


def writable(info: LoadInfo) -> bool:
    """Whether struct module lies where the kernel can still write when the module is protected."""
    flags = info.sections.flags[info.index["mod"]]
    return kind_of(flags) == MemoryType.DATA


def protection(info: LoadInfo) -> Result:
    """The kernel writes into struct module after it has made read-only data read-only."""
    return None if writable(info) else Crash("struct module becomes read-only, and the kernel writes there")


def per_cpu(info: LoadInfo) -> Result:
    """Whether the per-CPU data fits into the memory reserved for modules. Source: mm/percpu.c, pcpu_alloc()."""
    number, page = info.index["pcpu"], info.kernel.page_size
    size, alignment = info.sections.sizes[number], info.sections.alignments[number]
    if not number or not size:
        return None
    refused = Refusal(ENOMEM, (f"{info.struct_name}: Could not allocate {size} bytes percpu data",))
    alignment = max(min(alignment, page), _LEAST_PER_CPU)
    if size > _PER_CPU or alignment & (alignment - 1):
        return refused
    if alignment >= _PER_CPU:
        return refused  # no such address lies in the reserve, which begins behind the kernel's own data
    if size > _PER_CPU // 2:
        return Unknown("whether so much per-CPU data fits depends on the other modules")
    return None


def per_cpu_alignment(info: LoadInfo) -> str:
    """The line about an alignment of per-CPU data that the kernel makes smaller; empty when it does not."""
    number, page = info.index["pcpu"], info.kernel.page_size
    alignment = info.sections.alignments[number]
    if not number or not info.sections.sizes[number] or alignment <= page:
        return ""
    return f"{info.struct_name}: per-cpu alignment {alignment} > {page}"


def per_cpu_copy(info: LoadInfo) -> Result:
    """The kernel copies per-CPU data from the file without looking at the section's type."""
    number = info.index["pcpu"]
    if number and info.sections.offsets[number] + info.sections.sizes[number] > len(info.data):
        return Crash("the per-CPU data is not in the file, and the kernel reads unmapped memory")
    return None


def folder(info: LoadInfo) -> Result:
    """The folder /sys/module/NAME: code that is built in may have one. Source: kernel/module/sysfs.c."""
    name = info.struct_name
    if not name:
        return Refusal(EINVAL)
    if name in info.kernel.built_in:
        return Refusal(EINVAL, (f"{name}: module is already loaded",))
    return None


def section_names(info: LoadInfo) -> Result:
    """No two sections share a name in /sys/module/NAME/sections; older kernels go on without that folder."""
    if info.kernel.order is not Order.CACHED:
        return None
    seen: set[bytes | None] = set()
    sections, gone = info.sections, not_kept(info)
    for number, flags in enumerate(sections.flags):
        made = number in info.stubs
        # The kernel keeps the symbols, and marks them as loaded.
        loaded = flags & elf.SHF_ALLOC or made or number in (info.index["sym"], info.index["str"])
        if not (loaded and (sections.sizes[number] or made)) or number in gone:
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
    second = info.kernel.has_message(TRAMPOLINES[1].decode())
    if any(not info.numbered(name) for name in TRAMPOLINES[: 1 + second]):
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
