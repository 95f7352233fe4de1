"""Checks of a module as an ELF file, as the kernel makes them before any others."""

from collections.abc import Iterator

from kinspect.artifacts.module.ko import Module
from kinspect.artifacts.module.sections import Sections, Stage, field_of, module_elf, shown
from kinspect.checks.check import Evidence, Severity, check
from kinspect.errors import UnsupportedError
from kinspect.schemas import elf
from kinspect.schemas.elf import Rela, Symbol
from kinspect.schemas.record import column, offsets, parse_table, size_of

THIS_MODULE, MODINFO = b".gnu.linkonce.this_module", b".modinfo"
_CACHE_LINE, _SHT_REL = 64, 9
# R_AARCH64_*: data, MOVW, instructions, and the two numbers for nothing.
_RELOCATIONS = frozenset((0, 256, *range(257, 281), 282, 283, 284, 285, 286, *range(287, 294), 299))


@check(Severity.ERROR)
def module_is_an_arm64_elf(module: Module) -> Iterator[Evidence]:
    """The file is a relocatable ELF file for arm64; if it is compressed, it decompresses without errors.

    The kernel refuses any other file (`Invalid ELF header magic`, `Invalid architecture in ELF header`). It was
    truncated, or built for another architecture: build it with ARCH=arm64. No other check runs on such a file.
    Source: kernel/module/main.c, elf_validity_ehdr().
    """
    for error in module_elf(module).problems_in(Stage.FILE, Stage.HEADER):
        if isinstance(error, UnsupportedError):
            raise error
        yield Evidence.of(error)


@check(Severity.ERROR)
def module_section_table_is_sound(module: Module) -> Iterator[Evidence]:
    """The section headers lie inside the file, and every section has a name.

    The kernel refuses any other module (`Invalid ELF section header overflow`). The table lies at the end of the file,
    which was truncated: copy or build it again. No other check runs on such a file.
    Source: kernel/module/main.c, elf_validity_cache_sechdrs() and elf_validity_cache_secstrings().
    """
    for error in module_elf(module).problems_in(Stage.TABLE):
        yield Evidence.of(error)


@check(Severity.ERROR)
def module_sections_are_inside_the_file(module: Module) -> Iterator[Evidence]:
    """The bytes of every section lie inside the file, before the signature.

    The kernel refuses any other module (`Invalid ELF section in module`). The file was truncated or overwritten: copy
    or build it again. No other check runs on such a file.
    Source: kernel/module/main.c, validate_section_offset().
    """
    for error in module_elf(module).problems_in(Stage.CONTENTS):
        yield Evidence.of(error)


@check(Severity.ERROR)
def module_symbol_table_is_sound(module: Module) -> Iterator[Evidence]:
    """The module has one symbol table, and the names of all symbols are valid.

    The kernel needs it to link the module, and refuses a module that was stripped of its symbols (`module has no
    symbols (stripped?)`). Strip modules with --strip-debug, as `make INSTALL_MOD_STRIP=1 modules_install` does.
    Source: kernel/module/main.c, elf_validity_cache_index_sym() and elf_validity_cache_strtab().
    """
    for error in module_elf(module).problems_in(Stage.SYMBOLS):
        yield Evidence.of(error)


@check(Severity.ERROR)
def this_module_is_sound(module: Module) -> Iterator[Evidence]:
    """The module has one `.gnu.linkonce.this_module`, with contents, writable, a multiple of the cache line size.

    It contains the struct module that the kernel uses while the module is loaded. The kernel refuses a module without
    it, or with a size other than that of the kernel's own struct module. Build the module with the kernel's build
    system.
    Source: kernel/module/main.c, elf_validity_cache_index_mod().
    """
    sections = module_elf(module).readable
    if sections is None:
        return
    found = sections.numbered(THIS_MODULE)
    if len(found) != 1:
        message = f"the module does not have exactly one section {shown(THIS_MODULE)}"
        yield Evidence(message, (module.at(),), expected=1, actual=len(found))
        return
    number, flags = found[0], elf.SHF_ALLOC | elf.SHF_WRITE
    if sections.flags[number] & flags != flags:
        at = (field_of(module, number, THIS_MODULE, "sh_flags"),)
        yield Evidence(
            "the section is not loaded as writable", at, expected="ALLOC and WRITE", actual=sections.flags[number]
        )
    if sections.types[number] == elf.SHT_NOBITS:
        yield Evidence("the section has no contents in the file", (field_of(module, number, THIS_MODULE, "sh_type"),))
    size = sections.sizes[number]
    if not size or size % _CACHE_LINE:
        at = (field_of(module, number, THIS_MODULE, "sh_size"),)
        yield Evidence(
            "the size is not a multiple of a cache line", at, expected=f"a multiple of {_CACHE_LINE}", actual=size
        )


@check(Severity.ERROR)
def module_has_one_modinfo(module: Module) -> Iterator[Evidence]:
    """The module has one section `.modinfo`.

    The kernel, modinfo and depmod read licence, vermagic, name and aliases there. The kernel refuses a module with two
    such sections (`Only one .modinfo section must exist`), and one without, because its vermagic is missing. Build the
    module again.
    Source: kernel/module/main.c, elf_validity_cache_index_info().
    """
    sections = module_elf(module).readable
    if sections is not None and sections.names.count(MODINFO) != 1:
        count = sections.names.count(MODINFO)
        yield Evidence("the module does not have one .modinfo section", (module.at(),), expected=1, actual=count)


@check(Severity.ERROR)
def module_has_no_common_symbols(module: Module) -> Iterator[Evidence]:
    """The module has no common symbols.

    The kernel allocates no memory for such variables and refuses the module (`please compile with -fno-common`). Build
    the module with the kernel's build system, which passes that option.
    Source: kernel/module/main.c, simplify_symbols().
    """
    sections = module_elf(module).readable
    if sections is None:
        return
    start, table = _symbols(module, sections)
    # A section of that number shows in these two bytes; most modules are done here.
    field = offsets(Symbol)["st_shndx"]
    if elf.SHN_COMMON >> 8 not in table[field + 1 :: size_of(Symbol)]:
        return
    for index, section in enumerate(column(Symbol, "st_shndx", table)):
        if section == elf.SHN_COMMON:
            at = module.at(f"symbol {index}", start + index * size_of(Symbol))
            yield Evidence("common symbol: compile with -fno-common", (at,))


@check(Severity.ERROR)
def module_relocations_are_sound(module: Module) -> Iterator[Evidence]:
    """Every relocation of a loaded section has a valid symbol, an offset in the section, and a supported type.

    The kernel checks only the type (`unsupported RELA relocation`): with an invalid offset, it overwrites other memory
    and may crash. The module was corrupted or built by an unusual toolchain; build it again.
    Source: arch/arm64/kernel/module.c, apply_relocate_add().
    """
    sections = module_elf(module).readable
    if sections is None:
        return
    symtab, row = sections.of_type(elf.SHT_SYMTAB)[0], size_of(Rela)
    sound: list[int] = []
    for number in sections.of_type(_SHT_REL, elf.SHT_RELA):
        target = sections.infos[number]
        # The kernel does not relocate what is not loaded, such as debug information.
        if 0 < target < len(sections.types) and not sections.flags[target] & elf.SHF_ALLOC:
            continue
        wrong = _relocation_header(sections, number, symtab)
        if wrong:
            yield Evidence(wrong, (field_of(module, number, sections.names[number], "sh_info"),))
        elif sections.sizes[number]:
            sound.append(number)
    # All at once: a tree of modules has a million relocations, and hardly one of them is wrong.
    places = [(sections.offsets[number], sections.sizes[number]) for number in sound]
    table = b"".join([module.data[start : start + size] for start, size in places])
    suspect = _suspect(table, sections.sizes[symtab] // size_of(Symbol))
    written, end = column(Rela, "r_offset", table), 0
    for number, (start, size) in zip(sound, places, strict=True):
        end += size // row
        largest, limit = max(written[end - size // row : end]), sections.sizes[sections.infos[number]]
        if largest >= limit:
            at = (module.at(shown(sections.names[number]), start),)
            yield Evidence("the relocation lies outside its section", at, expected=f"below {limit:#x}", actual=largest)
        if suspect:
            yield from _wrong_rows(module, sections, number, sections.sizes[symtab] // size_of(Symbol))


def _symbols(module: Module, sections: Sections) -> tuple[int, bytes]:
    number = sections.of_type(elf.SHT_SYMTAB)[0]
    start = sections.offsets[number]
    return start, module.data[start : start + sections.sizes[number]]


def _relocation_header(sections: Sections, number: int, symtab: int) -> str:
    """What is wrong with a section of relocations as a whole."""
    if not 0 < sections.infos[number] < len(sections.types):
        return "the relocations apply to no section"
    if sections.types[number] == _SHT_REL:
        return "the relocations have no addends"
    if sections.entry_sizes[number] != size_of(Rela) or sections.sizes[number] % size_of(Rela):
        return f"the relocations are not rows of {size_of(Rela)} bytes"
    if sections.links[number] != symtab:
        return "the relocations do not refer to the symbol table"
    return ""


def _suspect(table: bytes, symbols: int) -> bool:
    """Whether any row may be wrong; types are compared byte by byte, which is quick and has false positives."""
    if not table:
        return False
    row, field = size_of(Rela), offsets(Rela)["r_info"]
    low, high = set(table[field::row]), set(table[field + 1 :: row])
    rest = table[field + 2 :: row], table[field + 3 :: row]
    known = high == {1} and {256 + byte for byte in low} <= _RELOCATIONS and not any(map(any, rest))
    return not known or max(column(Rela, "r_info", table)) >> 32 >= symbols


def _wrong_rows(module: Module, sections: Sections, number: int, symbols: int) -> Iterator[Evidence]:
    start, name = sections.offsets[number], shown(sections.names[number])
    rows = parse_table(Rela, module.data[start : start + sections.sizes[number]])
    for index, row in enumerate(rows):
        at = (module.at(f"{name} row {index}", start + index * size_of(Rela)),)
        if row.symbol >= symbols:
            yield Evidence("the relocation has no valid symbol", at, expected=f"below {symbols:,}", actual=row.symbol)
        if row.type not in _RELOCATIONS:
            yield Evidence(f"relocation type {row.type}, which the kernel does not support", at)
