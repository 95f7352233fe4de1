"""Where the sections of a kernel lie in a raw Image, by the symbols of its linker script and by its header.

A kernel with CONFIG_KALLSYMS_ALL has these symbols; others have those of code alone.
Source: arch/arm64/kernel/vmlinux.lds.S; include/asm-generic/vmlinux.lds.h.
"""

from collections.abc import Iterator, Mapping
from itertools import islice
from typing import NamedTuple

from kinspect.artifacts.boot.ending import bss_start
from kinspect.artifacts.boot.image import Image
from kinspect.schemas import elf

CODE, DATA = elf.SHF_ALLOC | elf.SHF_EXECINSTR, elf.SHF_ALLOC | elf.SHF_WRITE
READ_ONLY = elf.SHF_ALLOC
_GENERATED = "__start_runtime_"
"""The linker makes such symbols for a section whose name is a C identifier; the script has no others with that name."""

_MOST_GENERATED = 64


class Claim(NamedTuple):
    """A section that begins at `start` and ends at `end`; both are offsets in the kernel's memory.

    Without an end it reaches up to the next one. Type and flags as in `Section`.
    """

    name: str
    flags: int
    start: int
    end: int | None = None
    type: int = elf.SHT_PROGBITS


class _Rule(NamedTuple):
    """A section between two symbols: of several the first that there is."""

    name: str
    flags: int
    starts: tuple[str, ...]
    ends: tuple[str, ...] = ()
    type: int = elf.SHT_PROGBITS


_TABLES = ("__ksymtab", "__ksymtab_gpl", "__kcrctab", "__kcrctab_gpl", "__kflagstab", "__param", "__modver")
_RULES = (
    _Rule(".head.text", CODE, ("_text",)),
    _Rule(".text", CODE, ("_stext",)),
    _Rule(".rodata", READ_ONLY, ("__start_rodata", "_etext")),
    _Rule(".pci_fixup", READ_ONLY, ("__start_pci_fixups_early",), ("__end_pci_fixups_suspend_late",)),
    *(_Rule(name, READ_ONLY, (f"__start_{name}",), (f"__stop_{name}",)) for name in _TABLES),
    _Rule(".kcfi_traps", READ_ONLY, ("__start___kcfi_traps",), ("__stop___kcfi_traps",)),
    _Rule("__ex_table", READ_ONLY, ("__start___ex_table",), ("__stop___ex_table",)),
    _Rule(".notes", READ_ONLY, ("__start_notes",), ("__stop_notes",), elf.SHT_NOTE),
    _Rule(".BTF", READ_ONLY, ("__start_BTF",), ("__stop_BTF",)),
    _Rule(".hyp.rodata", DATA, ("__hyp_rodata_start",), ("__hyp_rodata_end",)),
    _Rule(".init.text", CODE, ("_sinittext", "__inittext_begin"), ("_einittext",)),
    _Rule(".exit.text", CODE, ("__exittext_begin", "_einittext")),
    _Rule(".altinstructions", READ_ONLY, ("__alt_instructions",), ("__alt_instructions_end",)),
    _Rule(".init.data", DATA, ("__initdata_begin",)),
    _Rule(".data..percpu", DATA, ("__per_cpu_start",), ("__per_cpu_end",)),
    _Rule(".hyp.data..percpu", DATA, ("__kvm_nvhe___per_cpu_start",), ("__kvm_nvhe___per_cpu_end",)),
    _Rule(".hyp.reloc", READ_ONLY, ("__hyp_reloc_begin",), ("__hyp_reloc_end",)),
    _Rule(".rela.dyn", READ_ONLY, ("__rela_start", "__pi_rela_start"), ("__rela_end", "__pi_rela_end")),
    _Rule(".relr.dyn", READ_ONLY, ("__relr_start", "__pi_relr_start"), ("__relr_end", "__pi_relr_end"), elf.SHT_RELR),
    _Rule(".data", DATA, ("_sdata", "_data")),
    _Rule("__bug_table", DATA, ("__start___bug_table",), ("__stop___bug_table",)),
    _Rule(".mmuoff.data", DATA, ("__mmuoff_data_start",), ("__mmuoff_data_end",)),
)


def claims_of_symbols(image: Image, places: Mapping[str, int]) -> Iterator[Claim]:
    """The sections whose symbols are there. `places` has the offset of each symbol. Raises as `header` does."""
    for rule in _RULES:
        start, end = _first(places, rule.starts), _first(places, rule.ends)
        if start is None and rule.name == ".head.text" and "_stext" in places:
            start = 0
        if start is None and rule.name == ".init.data":
            start = _data_start(image)
        if start is not None and (end is not None or not rule.ends):
            yield Claim(rule.name, rule.flags, start, end, rule.type)
    if "_stext" not in places:
        yield Claim(".text", CODE, 0)
    for name in islice((name for name in places if name.startswith(_GENERATED)), _MOST_GENERATED):
        section = name.removeprefix("__start_")
        if (end := places.get(f"__stop_{section}")) is not None:
            yield Claim(section, READ_ONLY, places[name], end)
    bss, size = bss_offset(image, places), image.header.image_size
    if bss is not None and bss < size:
        yield Claim(".bss", DATA, bss, places.get("__bss_stop", size), elf.SHT_NOBITS)


def bss_offset(image: Image, places: Mapping[str, int]) -> int | None:
    """The offset of .bss, from its symbol or from the code that clears it; None when neither is found."""
    found = places.get("__bss_start")
    return bss_start(image) if found is None else found


def _first(places: Mapping[str, int], names: tuple[str, ...]) -> int | None:
    return next((places[name] for name in names if name in places), None)


def _data_start(image: Image) -> int | None:
    """The offset of the initialized data that is freed after boot: that of .data in the PE header."""
    pe = image.readable_pe
    if pe is None:
        return None
    return next((row.virtual_address for row in pe.sections if row.name.rstrip(b"\0") == b".data"), None)
