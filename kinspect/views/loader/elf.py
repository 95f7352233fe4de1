"""The kernel's tests of a module's ELF, in the order of each kernel.

Each test is a function that returns a refusal with the kernel's own messages, or None when the module passes.
Source: kernel/module/main.c, elf_validity_check() and setup_load_info(), elf_validity_cache_copy(),
elf_validity_cache_sechdrs() and those after it.
"""

from collections.abc import Callable
from errno import EINVAL, ENOEXEC
from operator import add

from kinspect.schemas import elf
from kinspect.schemas.elf import ElfHeader, SectionHeader, Symbol
from kinspect.schemas.record import column, size_of
from kinspect.views.loader.kernel import Order
from kinspect.views.loader.load_info import NAMELESS, LoadInfo
from kinspect.views.loader.verdict import Crash, Refusal, Result, Unknown

Test = Callable[[LoadInfo], Result]
_ROW = size_of(SectionHeader)
_WITHOUT_CONTENTS = (0, elf.SHT_NOBITS)
_MODINFO, _THIS_MODULE = b".modinfo", b".gnu.linkonce.this_module"
PER_CPU = b".data..percpu"


def refuse(*log_lines: str) -> Refusal:
    """The refusal of most tests: ENOEXEC, and lines of the kernel's log."""
    return Refusal(ENOEXEC, log_lines)


def not_empty(info: LoadInfo) -> Result:
    """Source: fs/kernel_read_file.c, kernel_read_file()."""
    return None if info.data else Refusal(EINVAL)


def elf_header(info: LoadInfo) -> Result:
    if info.length < size_of(ElfHeader):
        return refuse(f"Invalid ELF header len {info.length}")
    if not info.data.startswith(elf.MAGIC):
        return refuse("Invalid ELF header magic: != \x7fELF")
    header = info.header
    if header.e_type != elf.ET_REL:
        return refuse(f"Invalid ELF header type: {header.e_type} != {elf.ET_REL}")
    if header.e_machine != elf.MACHINE_AARCH64:
        return refuse(f"Invalid architecture in ELF header: {header.e_machine}")
    return None


def section_table(info: LoadInfo) -> Result:
    header = info.header
    if header.e_shentsize != _ROW:
        return refuse("Invalid ELF section header size")
    if header.e_shoff >= info.length or header.e_shnum * _ROW > info.length - header.e_shoff:
        return refuse("Invalid ELF section header overflow")
    return None


def first_section(info: LoadInfo) -> Result:
    sections = info.sections
    if info.count == 0:
        return Unknown("no sections: the kernel reads the bytes where the first would be")
    if sections.types[0] or sections.sizes[0] or sections.addresses[0]:
        number = _signed(sections.types[0])
        return refuse(f"ELF Spec violation: section 0 type({number})!=SH_NULL or non-zero len or addr")
    return None


def _signed(number: int) -> int:
    return number - (1 << 32) if number >= 1 << 31 else number


def _outside(info: LoadInfo, number: int) -> bool:
    """Whether a section ends past the file, or past 2^64."""
    end = info.sections.offsets[number] + info.sections.sizes[number]
    return end >= 1 << 64 or end > info.length


def _section_outside(info: LoadInfo, number: int) -> Refusal:
    kind = info.sections.types[number]
    return refuse(f"Invalid ELF section in module (section {number} type {kind})")


def contents(info: LoadInfo) -> Result:
    for number, kind in enumerate(info.sections.types):
        if number and kind not in _WITHOUT_CONTENTS and _outside(info, number):
            return _section_outside(info, number)
    return None


def name_index(info: LoadInfo) -> Result:
    number, count = info.header.e_shstrndx, info.count
    if number == 0 or number >= count:
        return refuse(f"Invalid ELF section name index: {number} || e_shstrndx ({number}) >= e_shnum ({count})")
    return None


def names_in_file(info: LoadInfo) -> Result:
    number = info.header.e_shstrndx
    if _outside(info, number):
        return refuse(f"Invalid ELF section hdr(type {info.sections.types[number]})")
    return None


def names_are_strings(info: LoadInfo) -> Result:
    kind = info.sections.types[info.header.e_shstrndx]
    if not info.kernel.has_message("Invalid ELF section name table type"):
        return None
    return None if kind == elf.SHT_STRTAB else refuse(f"Invalid ELF section name table type: {kind}")


def names_end(info: LoadInfo) -> Result:
    number, sections = info.header.e_shstrndx, info.sections
    if sections.sizes[number] == 0:
        return refuse("empty section name table")
    # SHT_NOBITS is not tested for its place: the table may lie outside the file.
    last = sections.offsets[number] + sections.sizes[number] - 1
    if last >= len(info.data):
        return Crash("the names of sections lie outside the file, where the kernel reads on")
    if info.data[last]:
        return refuse("ELF Spec violation: section name table isn't null terminated")
    return None


def names_of_all(info: LoadInfo) -> Result:
    sections = info.sections
    size = sections.sizes[info.header.e_shstrndx]
    for number, (kind, title) in enumerate(zip(sections.types, sections.names, strict=True)):
        if kind and title >= size:
            return refuse(f"Invalid ELF section name in module (section {number} type {kind})")
    return None


def contents_and_names(info: LoadInfo) -> Result:
    """The single pass over all sections in older kernels."""
    sections, count = info.sections, info.count
    size = sections.sizes[info.header.e_shstrndx]
    outside = max(map(add, sections.offsets, sections.sizes)) > info.length  # or only .bss
    odd = outside or max(sections.names) >= size
    for number in range(1, count):
        kind, link = sections.types[number], sections.links[number]
        if kind in _WITHOUT_CONTENTS or (kind != elf.SHT_SYMTAB and not odd):
            continue
        if kind == elf.SHT_SYMTAB and not 0 < link < count:
            return _bad_link(link, count)
        if _outside(info, number):
            return _section_outside(info, number)
        if sections.flags[number] & elf.SHF_ALLOC and sections.names[number] >= size:
            return refuse(f"Invalid ELF section name in module (section {number} type {kind})")
    if None in info.names:
        return Crash("the name of a section lies outside the file, where the kernel reads on")
    return None


def _bad_link(link: int, count: int) -> Refusal:
    link = _signed(link)
    return refuse(f"Invalid ELF sh_link!=SHN_UNDEF({link}) or (sh_link({link}) >= hdr->e_shnum({count})")


def set_up(info: LoadInfo) -> Result:
    """The sections that older kernels look up, in setup_load_info()."""
    index, sections = info.index, info.sections
    index["info"] = info.find(_MODINFO)
    name = info.get_modinfo("name")
    index["sym"] = next((n for n, kind in enumerate(sections.types) if n and kind == elf.SHT_SYMTAB), 0)
    if not index["sym"]:
        return refuse(f"{name or NAMELESS}: module has no symbols (stripped?)")
    index["str"] = sections.links[index["sym"]]
    index["mod"] = info.find(_THIS_MODULE)
    if not index["mod"]:
        return refuse(f"{name or NAMELESS}: No module found in object")
    info.name = info.struct_name if name is None else name
    index["vers"], index["pcpu"] = info.find(b"__versions"), info.find(PER_CPU)
    return None


def info_is_unique(info: LoadInfo) -> Result:
    found = info.numbered(_MODINFO)
    if len(found) > 1:
        return refuse("Only one .modinfo section must exist.")
    info.index["info"] = found[0] if found else 0
    return None


def this_module_is_unique(info: LoadInfo) -> Result:
    found, name = info.numbered(_THIS_MODULE), info.get_modinfo("name") or NAMELESS
    if len(found) != 1:
        count = "Only" if info.kernel.order is Order.COPY else "Exactly"
        return refuse(f"module {name}: {count} one .gnu.linkonce.this_module section must exist.")
    return this_module(info, found[0], name)


def this_module(info: LoadInfo, number: int, name: str) -> Result:
    sections, section = info.sections, _THIS_MODULE.decode()
    if sections.types[number] == elf.SHT_NOBITS:
        return refuse(f"module {name}: {section} section must have a size set")
    if not sections.flags[number] & elf.SHF_ALLOC:
        return refuse(f"module {name}: {section} must occupy memory during process execution")
    size = info.kernel.struct_size
    if size is None and not info.signed:
        return Unknown("the size of the kernel's struct module is not known: the kernel has no BTF")
    if size is not None and sections.sizes[number] != size:
        return refuse(
            f"module {name}: {section} section size must match the kernel's built struct module size at run time"
        )
    info.index["mod"] = number
    return None


def symbols_are_unique(info: LoadInfo) -> Result:
    found = [number for number, kind in enumerate(info.sections.types) if number and kind == elf.SHT_SYMTAB]
    if len(found) != 1:
        return refuse(f"{info.get_modinfo('name') or NAMELESS}: module has no symbols (stripped?)")
    info.index["sym"] = found[0]
    return None


def string_table(info: LoadInfo) -> Result:
    info.index["str"] = info.sections.links[info.index["sym"]]
    return None


def strings_of_symbols(info: LoadInfo) -> Result:
    link, count = info.sections.links[info.index["sym"]], info.count
    if not 0 < link < count:
        return _bad_link(link, count)
    if info.sections.types[link] != elf.SHT_STRTAB:
        return refuse(f"Invalid ELF symbol string table type: {info.sections.types[link]}")
    info.index["str"] = link
    return None


def versions(info: LoadInfo) -> Result:
    index = info.index
    if not info.kernel.has_message("extended version crc+name presence does not match"):
        return None
    crcs, names = info.find(b"__version_ext_crcs"), info.find(b"__version_ext_names")
    if bool(crcs) != bool(names):
        return refuse("extended version crc+name presence does not match")
    if crcs and info.unloaded(names).count(b"\0") < info.sections.sizes[crcs] // 4:
        return refuse("more extended version crcs than names")
    index["ext_crc"], index["ext_name"] = crcs, names
    return None


def symbol_names(info: LoadInfo) -> Result:
    if not info.kernel.has_message("symbol name out of bounds in string table"):
        return None
    sections, index = info.sections, info.index
    start, size = sections.offsets[index["str"]], sections.sizes[index["str"]]
    if size == 0:
        return refuse("empty symbol string table")
    if info.data[start]:
        return refuse("symbol string table missing leading NUL")
    if info.data[start + size - 1]:
        return refuse("symbol string table isn't NUL terminated")
    if max(column(Symbol, "st_name", info.symbol_table), default=0) >= size:
        return refuse("symbol name out of bounds in string table")
    return None


def copied(info: LoadInfo) -> Result:
    """What the kernel looks up when all tests have passed."""
    index, name = info.index, info.get_modinfo("name")
    index["vers"], index["pcpu"] = info.find(b"__versions"), info.find(PER_CPU)
    info.name = info.struct_name if name is None else name
    return None


_SINGLE_PASS = (
    elf_header,
    section_table,
    name_index,
    names_in_file,
    names_end,
    first_section,
    contents_and_names,
)
ELF_TESTS: dict[Order, tuple[Test, ...]] = {
    Order.FIRST: (*_SINGLE_PASS, set_up),
    Order.COPY: (*_SINGLE_PASS, info_is_unique, symbols_are_unique, string_table, this_module_is_unique, copied),
    Order.CACHED: (
        elf_header,
        section_table,
        first_section,
        contents,
        name_index,
        names_are_strings,
        names_end,
        names_of_all,
        info_is_unique,
        this_module_is_unique,
        symbols_are_unique,
        strings_of_symbols,
        versions,
        symbol_names,
        copied,
    ),
}
"""The tests of the ELF file in each order."""
