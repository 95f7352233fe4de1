"""The kernel's tests of a module's ELF, in the order of each kernel.

Each test is a function that refuses the module with the kernel's own words, or lets it pass.
Source: kernel/module/main.c, elf_validity_check() and setup_load_info(), elf_validity_cache_copy(),
elf_validity_cache_sechdrs() and those after it.
"""

from collections.abc import Callable
from errno import EINVAL, ENOEXEC

from kinspect.schemas import elf
from kinspect.schemas.elf import ElfHeader, SectionHeader, Symbol
from kinspect.schemas.record import column, size_of
from kinspect.views.loader.kernel import Order
from kinspect.views.loader.load_info import NAMELESS, LoadInfo
from kinspect.views.loader.verdict import Refusal, Result, Unknown

Test = Callable[[LoadInfo], Result]
_ROW = size_of(SectionHeader)
_WITHOUT_CONTENTS = (0, elf.SHT_NOBITS)
_MODINFO, _THIS_MODULE = b".modinfo", b".gnu.linkonce.this_module"
PER_CPU = b".data..percpu"


def refuse(*words: str) -> Refusal:
    """The refusal that most tests give: the file cannot be executed."""
    return Refusal(ENOEXEC, words)


def not_empty(attempt: LoadInfo) -> Result:
    """Source: fs/kernel_read_file.c, kernel_read_file()."""
    return None if attempt.data else Refusal(EINVAL)


def elf_header(attempt: LoadInfo) -> Result:
    if attempt.length < size_of(ElfHeader):
        return refuse(f"Invalid ELF header len {attempt.length}")
    if not attempt.data.startswith(elf.MAGIC):
        return refuse("Invalid ELF header magic: != \x7fELF")
    header = attempt.header
    if header.e_type != elf.ET_REL:
        return refuse(f"Invalid ELF header type: {header.e_type} != {elf.ET_REL}")
    if header.e_machine != elf.MACHINE_AARCH64:
        return refuse(f"Invalid architecture in ELF header: {header.e_machine}")
    return None


def section_table(attempt: LoadInfo) -> Result:
    header = attempt.header
    if header.e_shentsize != _ROW:
        return refuse("Invalid ELF section header size")
    if header.e_shoff >= attempt.length or header.e_shnum * _ROW > attempt.length - header.e_shoff:
        return refuse("Invalid ELF section header overflow")
    return None


def first_section(attempt: LoadInfo) -> Result:
    sections = attempt.sections
    # Without any section the kernel looks at the bytes where the first would be.
    if attempt.count == 0:
        return Unknown("no sections: the kernel reads what lies where the first would be")
    if sections.types[0] or sections.sizes[0] or sections.addresses[0]:
        number = _signed(sections.types[0])
        return refuse(f"ELF Spec violation: section 0 type({number})!=SH_NULL or non-zero len or addr")
    return None


def _signed(number: int) -> int:
    return number - (1 << 32) if number >= 1 << 31 else number


def _outside(attempt: LoadInfo, number: int) -> bool:
    """Whether a section ends past the file, or past the largest number."""
    end = attempt.sections.starts[number] + attempt.sections.sizes[number]
    return end >= 1 << 64 or end > attempt.length


def _section_outside(attempt: LoadInfo, number: int) -> Refusal:
    kind = attempt.sections.types[number]
    return refuse(f"Invalid ELF section in module (section {number} type {kind})")


def contents(attempt: LoadInfo) -> Result:
    for number, kind in enumerate(attempt.sections.types):
        if number and kind not in _WITHOUT_CONTENTS and _outside(attempt, number):
            return _section_outside(attempt, number)
    return None


def name_index(attempt: LoadInfo) -> Result:
    number, count = attempt.header.e_shstrndx, attempt.count
    if number == 0 or number >= count:
        return refuse(f"Invalid ELF section name index: {number} || e_shstrndx ({number}) >= e_shnum ({count})")
    return None


def names_in_file(attempt: LoadInfo) -> Result:
    number = attempt.header.e_shstrndx
    if _outside(attempt, number):
        return refuse(f"Invalid ELF section hdr(type {attempt.sections.types[number]})")
    return None


def names_are_strings(attempt: LoadInfo) -> Result:
    kind = attempt.sections.types[attempt.header.e_shstrndx]
    if not attempt.kernel.says("Invalid ELF section name table type"):
        return None
    return None if kind == elf.SHT_STRTAB else refuse(f"Invalid ELF section name table type: {kind}")


def names_end(attempt: LoadInfo) -> Result:
    number, sections = attempt.header.e_shstrndx, attempt.sections
    if sections.sizes[number] == 0:
        return refuse("empty section name table")
    # A table without contents passes the test of where it lies, wherever that is.
    last = sections.starts[number] + sections.sizes[number] - 1
    if last >= attempt.length:
        return Unknown("the names of sections lie outside of the file, where the kernel reads on")
    if attempt.data[last]:
        return refuse("ELF Spec violation: section name table isn't null terminated")
    return None


def names_of_all(attempt: LoadInfo) -> Result:
    sections = attempt.sections
    size = sections.sizes[attempt.header.e_shstrndx]
    for number, (kind, title) in enumerate(zip(sections.types, sections.titles, strict=True)):
        if kind and title >= size:
            return refuse(f"Invalid ELF section name in module (section {number} type {kind})")
    return None


def contents_and_names(attempt: LoadInfo) -> Result:
    """The one pass over all sections that older kernels make."""
    sections, count = attempt.sections, attempt.count
    size = sections.sizes[attempt.header.e_shstrndx]
    for number in range(1, count):
        kind, link = sections.types[number], sections.links[number]
        if kind in _WITHOUT_CONTENTS:
            continue
        if kind == elf.SHT_SYMTAB and not 0 < link < count:
            return _bad_link(link, count)
        if _outside(attempt, number):
            return _section_outside(attempt, number)
        if sections.flags[number] & elf.SHF_ALLOC and sections.titles[number] >= size:
            return refuse(f"Invalid ELF section name in module (section {number} type {kind})")
    if None in attempt.names:
        return Unknown("the name of a section lies outside of the file, where the kernel reads on")
    return None


def _bad_link(link: int, count: int) -> Refusal:
    link = _signed(link)
    return refuse(f"Invalid ELF sh_link!=SHN_UNDEF({link}) or (sh_link({link}) >= hdr->e_shnum({count})")


def set_up(attempt: LoadInfo) -> Result:
    """The sections that older kernels look up, in setup_load_info()."""
    index, sections = attempt.index, attempt.sections
    index["info"] = attempt.find(_MODINFO)
    name = attempt.info("name")
    index["sym"] = next((n for n, kind in enumerate(sections.types) if n and kind == elf.SHT_SYMTAB), 0)
    if not index["sym"]:
        return refuse(f"{name or NAMELESS}: module has no symbols (stripped?)")
    index["str"] = sections.links[index["sym"]]
    index["mod"] = attempt.find(_THIS_MODULE)
    if not index["mod"]:
        return refuse(f"{name or NAMELESS}: No module found in object")
    attempt.name = attempt.struct_name if name is None else name
    index["vers"], index["pcpu"] = attempt.find(b"__versions"), attempt.find(PER_CPU)
    return None


def info_is_unique(attempt: LoadInfo) -> Result:
    found = attempt.numbered(_MODINFO)
    if len(found) > 1:
        return refuse("Only one .modinfo section must exist.")
    attempt.index["info"] = found[0] if found else 0
    return None


def this_module_is_unique(attempt: LoadInfo) -> Result:
    found, name = attempt.numbered(_THIS_MODULE), attempt.info("name") or NAMELESS
    if len(found) != 1:
        count = "Only" if attempt.kernel.order is Order.COPY else "Exactly"
        return refuse(f"module {name}: {count} one .gnu.linkonce.this_module section must exist.")
    return this_module(attempt, found[0], name)


def this_module(attempt: LoadInfo, number: int, name: str) -> Result:
    sections, what = attempt.sections, ".gnu.linkonce.this_module"
    if sections.types[number] == elf.SHT_NOBITS:
        return refuse(f"module {name}: {what} section must have a size set")
    if not sections.flags[number] & elf.SHF_ALLOC:
        return refuse(f"module {name}: {what} must occupy memory during process execution")
    size = attempt.kernel.struct_size
    if size is None and not attempt.signed:
        return Unknown("the size of the kernel's struct module is not known: it has no BTF")
    if size is not None and sections.sizes[number] != size:
        return refuse(
            f"module {name}: {what} section size must match the kernel's built struct module size at run time"
        )
    attempt.index["mod"] = number
    return None


def symbols_are_unique(attempt: LoadInfo) -> Result:
    found = [number for number, kind in enumerate(attempt.sections.types) if number and kind == elf.SHT_SYMTAB]
    if len(found) != 1:
        return refuse(f"{attempt.info('name') or NAMELESS}: module has no symbols (stripped?)")
    attempt.index["sym"] = found[0]
    return None


def string_table(attempt: LoadInfo) -> Result:
    attempt.index["str"] = attempt.sections.links[attempt.index["sym"]]
    return None


def strings_of_symbols(attempt: LoadInfo) -> Result:
    link, count = attempt.sections.links[attempt.index["sym"]], attempt.count
    if not 0 < link < count:
        return _bad_link(link, count)
    if attempt.sections.types[link] != elf.SHT_STRTAB:
        return refuse(f"Invalid ELF symbol string table type: {attempt.sections.types[link]}")
    attempt.index["str"] = link
    return None


def versions(attempt: LoadInfo) -> Result:
    index = attempt.index
    if not attempt.kernel.says("extended version crc+name presence does not match"):
        return None
    crcs, names = attempt.find(b"__version_ext_crcs"), attempt.find(b"__version_ext_names")
    if bool(crcs) != bool(names):
        return refuse("extended version crc+name presence does not match")
    if crcs and attempt.bytes_of(names).count(b"\0") < attempt.sections.sizes[crcs] // 4:
        return refuse("more extended version crcs than names")
    index["ext_crc"], index["ext_name"] = crcs, names
    return None


def symbol_names(attempt: LoadInfo) -> Result:
    if not attempt.kernel.says("symbol name out of bounds in string table"):
        return None
    sections, index = attempt.sections, attempt.index
    start, size = sections.starts[index["str"]], sections.sizes[index["str"]]
    if size == 0:
        return refuse("empty symbol string table")
    if attempt.data[start]:
        return refuse("symbol string table missing leading NUL")
    if attempt.data[start + size - 1]:
        return refuse("symbol string table isn't NUL terminated")
    if max(column(Symbol, "st_name", attempt.symbol_table), default=0) >= size:
        return refuse("symbol name out of bounds in string table")
    return None


def copied(attempt: LoadInfo) -> Result:
    """What is remembered when all of it has passed."""
    index, name = attempt.index, attempt.info("name")
    index["vers"], index["pcpu"] = attempt.find(b"__versions"), attempt.find(PER_CPU)
    attempt.name = attempt.struct_name if name is None else name
    return None


_IN_ONE_PIECE = (
    elf_header,
    section_table,
    name_index,
    names_in_file,
    names_end,
    first_section,
    contents_and_names,
)
ELF_TESTS: dict[Order, tuple[Test, ...]] = {
    Order.FIRST: (*_IN_ONE_PIECE, set_up),
    Order.COPY: (*_IN_ONE_PIECE, info_is_unique, symbols_are_unique, string_table, this_module_is_unique, copied),
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
"""What each kernel tests before it reads anything else, in its order."""
