"""Faults at the edges of what the kernel takes: values of relocations by range, tables, parts of a file.

Each is a change of the module of faults.base().
"""

import struct
from collections.abc import Callable, Iterator
from functools import partial
from itertools import product
from typing import NamedTuple

from kinspect.schemas import elf
from kinspect.schemas.elf import SectionHeader, Symbol
from kinspect.schemas.record import build, parse, size_of
from tests.toy_module import header_of, number_of, put, section_of, with_header, with_section


class Fault(NamedTuple):
    """A change of a module, by name."""

    name: str
    apply: Callable[[bytes], bytes]


EDGES = {
    258: (-(1 << 31), (1 << 31), (1 << 32)), 259: (-(1 << 15), (1 << 15), (1 << 16)), 263: (1 << 16,),
    265: (1 << 32,), 267: (1 << 48,), 270: (-(1 << 16), 1 << 16), 271: (-(1 << 32), 1 << 32),
    272: (-(1 << 48), 1 << 48), 261: (-(1 << 31), 1 << 31, 1 << 32), 262: (-(1 << 15), 1 << 15, 1 << 16),
    273: (-(1 << 20), 1 << 20), 274: (-(1 << 20), 1 << 20), 275: (-(1 << 32), 1 << 32), 279: (-(1 << 15), 1 << 15),
    280: (-(1 << 20), 1 << 20), 282: (-(1 << 27), 1 << 27), 283: (-(1 << 27), 1 << 27), 287: (-(1 << 16), 1 << 16),
    289: (-(1 << 32), 1 << 32), 291: (-(1 << 48), 1 << 48), 264: (1 << 16,), 257: (1 << 63,), 260: (1 << 63,),
}  # fmt: skip
"""By type of relocation, the edges of what the ABI or the kernel takes."""
ABSOLUTE_VALUE = 0x1234
"""The value of toy_absolute."""
TABLES = {".rela.data": ".data", ".rela.text": ".text", ".rela.init.text": ".init.text"}
TABLES_OF = {
    "toy_code": (".rela.text",), "toy_init": (".rela.init.text",), "toy_data": (".rela.data",),
    "toy_zeros": (".rela.data",),
}  # fmt: skip
"""The tables whose sections lie in an area of memory with a symbol, so that the distance does not change."""
ELSEWHERE = (*TABLES_OF, "_printk", "toy_unloaded")
NEAR_ENDS = (0, 1, 2, 3, 4, 7, 8, -1)
"""How far before the end of a section something begins."""
SPECIAL = (
    ".altinstructions", "__bug_table", "__ex_table", "__jump_table", "__patchable_function_entries", "__param",
    ".init_array", ".ctors", "__tracepoints_ptrs", "_ftrace_events", "__dyndbg", "__bpf_raw_tp_map", ".note.toy",
    "__kcrctab", "__kflagstab", "__ksymtab_gpl", ".printk_index", "__trace_printk_fmt", "_ftrace_eval_map", ".BTF",
    ".BTF_ids", "__syscalls_metadata", "_error_injection_whitelist", ".kunit_test_suites", ".static_call_sites",
    "__klp_objects", ".altinstr_replacement", ".init.plt", ".static_call.text", "_kprobe_blacklist", ".noinstr.text",
    ".kprobes.text", "__version_ext_names", ".exit.text", ".data..ro_after_init", "___srcu_struct_ptrs",
    ".codetag.alloc_tags",    ".eh_frame", ".init.eh_frame",
)  # fmt: skip
"""Sections of which the kernel makes something."""
NAMED = (
    ".text", ".init.text", ".rodata", ".data", ".bss", ".data..percpu", ".other", ".modinfo", ".plt", ".init.plt",
    ".gnu.linkonce.this_module", "__ksymtab_strings", "__ksymtab", ".symtab", ".strtab", ".shstrtab", ".rela.data",
    ".rela.text", ".note.toy",
)  # fmt: skip


def rows_of(data: bytes, table: str) -> int:
    return section_of(data, table).sh_size // 24


def number_of_symbol(data: bytes, name: str) -> int:
    """The number of a symbol; 0 without a name."""
    table, names, size = section_of(data, ".symtab"), section_of(data, ".strtab"), size_of(Symbol)
    for number in range(1, table.sh_size // size if name else 0):
        row = parse(Symbol, data[table.sh_offset + number * size : table.sh_offset + (number + 1) * size])
        if data.startswith(name.encode() + b"\0", names.sh_offset + row.st_name):
            return number
    return 0


def symbol_row(data: bytes, number: int) -> Symbol:
    start = section_of(data, ".symtab").sh_offset + number * size_of(Symbol)
    return parse(Symbol, data[start : start + size_of(Symbol)])


def last_row(data: bytes, table: str, offset: int, kind: int, target: str, addend: int) -> bytes:
    """The last relocation of a table becomes another."""
    start = section_of(data, table).sh_offset + (rows_of(data, table) - 1) * 24
    number = number_of_symbol(data, target)
    return put(data, start, struct.pack("<QQQ", offset, number << 32 | kind, addend & (1 << 64) - 1))


def absolute(data: bytes, table: str, kind: int, value: int) -> bytes:
    """A relocation whose value is absolute."""
    return last_row(data, table, 0, kind, "toy_absolute", value - ABSOLUTE_VALUE)


def within(data: bytes, table: str, kind: int, distance: int, target: str) -> bytes:
    """A relocation over a distance, if its target is in the same area of memory."""
    row = symbol_row(data, number_of_symbol(data, target))
    return last_row(data, table, 0, kind, target, distance - row.st_value)


def at_end(data: bytes, table: str, kind: int, before: int) -> bytes:
    """A relocation that begins shortly before the end of its section, or past that."""
    target = {".rela.text": "toy_code", ".rela.init.text": "toy_init"}.get(table, "toy_data")
    return last_row(data, table, section_of(data, TABLES[table]).sh_size - before, kind, target, 0)


def valued(data: bytes, name: str, kind: int, value: int) -> bytes:
    """A relocation against a symbol of another value."""
    number = number_of_symbol(data, name)
    start = section_of(data, ".symtab").sh_offset + number * size_of(Symbol)
    changed = put(data, start, build(symbol_row(data, number)._replace(st_value=value & (1 << 64) - 1)))
    return last_row(changed, ".rela.data", 0, kind, name, 0)


def renamed_section(data: bytes, name: str, other: str) -> bytes:
    """A section takes the name of another."""
    return with_section(data, name, sh_name=section_of(data, other).sh_name)


def special(data: bytes, name: str, contents: bytes, flags: int, kind: int) -> bytes:
    """A section without relocations that the kernel knows: in the place of one that means nothing, names behind all."""
    names = section_of(data, ".shstrtab")
    table = data[names.sh_offset : names.sh_offset + names.sh_size] + name.encode() + b"\0"
    start = len(data) + -len(data) % 8
    moved = data + bytes(start - len(data)) + contents
    moved = with_section(moved, ".shstrtab", sh_offset=len(moved), sh_size=len(table)) + table
    fields = {"sh_offset": start, "sh_size": len(contents), "sh_addralign": 8, "sh_flags": flags, "sh_type": kind}
    return with_section(moved, ".note.toy", sh_name=names.sh_size, **fields)


def shorter(data: bytes, name: str, by: int) -> bytes:
    return with_section(data, name, sh_size=(section_of(data, name).sh_size - by) & (1 << 64) - 1)


def moved(data: bytes, name: str, by: int) -> bytes:
    return with_section(data, name, sh_offset=(section_of(data, name).sh_offset + by) & (1 << 64) - 1)


def named_symbol(data: bytes, name: str, st_name: int) -> bytes:
    number = number_of_symbol(data, name)
    start = section_of(data, ".symtab").sh_offset + number * size_of(Symbol)
    size = section_of(data, ".strtab").sh_size
    return put(data, start, build(symbol_row(data, number)._replace(st_name=(size + st_name) & 0xFFFFFFFF)))


def crc(data: bytes, row: int, byte: int, value: int) -> bytes:
    """Another byte in `__versions`."""
    start = section_of(data, "__versions").sh_offset + row * 64 + byte
    return put(data, start, bytes([value]))


def export_row(data: bytes, row: int, offset: int, kind: int, target: str, addend: int) -> bytes:
    """Another relocation in the table of exports."""
    start = section_of(data, ".rela__ksymtab").sh_offset + row * 24
    number = number_of_symbol(data, target)
    return put(data, start, struct.pack("<QQq", offset, number << 32 | kind, addend))


def swapped(data: bytes, first: str, second: str) -> bytes:
    """Two sections change places in the table: numbers in symbols and relocations mean the other one."""
    one, other, start = number_of(data, first), number_of(data, second), header_of(data).e_shoff
    rows = section_of(data, one), section_of(data, other)
    data = put(data, start + one * size_of(SectionHeader), build(rows[1]))
    return put(data, start + other * size_of(SectionHeader), build(rows[0]))


def sections_less(data: bytes, by: int) -> bytes:
    return with_header(data, e_shnum=header_of(data).e_shnum - by)


def cut(data: bytes, part: int) -> bytes:
    """The file ends early: after so many 16ths."""
    return data[: len(data) * part // 16]


def edge_kinds() -> dict[str, list[Fault]]:
    """All of these faults, by kind."""
    edges = [(kind, edge + by) for kind, all_edges in EDGES.items() for edge in all_edges for by in (-1, 0, 1)]
    return {
        "absolute value": [
            Fault(f"{table} {kind} is {value:#x}", partial(absolute, table=table, kind=kind, value=value))
            for table, (kind, value) in product(TABLES, edges)
        ],
        "distance": [
            Fault(f"{table} {kind} to {target} over {value:#x}",
                  partial(within, table=table, kind=kind, distance=value, target=target))
            for table, (kind, value), target in product(TABLES, edges, TABLES_OF)
            if table in TABLES_OF[target]
        ],
        "distance elsewhere": [
            Fault(f"{table} {kind} to {target} over {distance:#x}",
                  partial(within, table=table, kind=kind, distance=distance, target=target))
            for table, (kind, value), target in product(TABLES, edges, ELSEWHERE)
            for distance in ((value * 3, value // 3) if abs(value) > 1 << 30 else (value << 13,))
            if table not in TABLES_OF.get(target, ())
        ],
        "end of a section": [
            Fault(f"{table} {kind} {before} before the end", partial(at_end, table=table, kind=kind, before=before))
            for table, kind, before in product(TABLES, (257, 258, 259, 260, 262, 275, 283), NEAR_ENDS)
        ],
        "value of a symbol": [
            Fault(f"{kind} against {name} of value {value:#x}", partial(valued, name=name, kind=kind, value=value))
            for name, (kind, value) in product(("toy_absolute", "toy_data", "toy_unloaded", "toy_each"), edges)
        ],
        "name of a section": [
            Fault(f"{name} named {other}", partial(renamed_section, name=name, other=other))
            for name, other in product(NAMED, NAMED) if name != other
        ],
        "special section": [
            Fault(f"{name} of {len(contents)} bytes {contents[:1]!r}, flags {flags}, type {kind}",
                  partial(special, name=name, contents=contents, flags=flags, kind=kind))
            for name, contents, flags, kind in product(
                SPECIAL, (b"", bytes(3), bytes(8), bytes(64), b"\1" * 64), (0, 2, 3), (1, 7, elf.SHT_NOBITS))
        ],
        "less": [
            Fault(f"{name} {by} bytes less", partial(shorter, name=name, by=by))
            for name, by in product((*NAMED, "__versions", ".rela__ksymtab"), (1, 4, 8, 24, 64, -1, -8, -24, -4096))
        ],
        "offset": [
            Fault(f"{name} moved by {by}", partial(moved, name=name, by=by))
            for name, by in product((*NAMED, "__versions"), (1, 8, 64, -8, -64, 1 << 16, 1 << 63))
        ],
        "name of a symbol": [
            Fault(f"{name} named from {at}", partial(named_symbol, name=name, st_name=at))
            for name, at in product(("toy_code", "kfree", "_printk", "toy_one", ""), (-2, -1, 0, 1, 1 << 30, 1 << 31))
        ],
        "version": [
            Fault(f"byte {byte} of version {row} is {value}", partial(crc, row=row, byte=byte, value=value))
            for row, byte, value in product((0, 1, 2), (0, 3, 4, 7, 8, 9, 14, 63), (0, 1, 95, 255))
        ],
        "export": [
            Fault(f"export {row} at {offset} {kind} {target} {addend}", partial(
                export_row, row=row, offset=offset, kind=kind, target=target, addend=addend))
            for row, offset, kind, target, addend in product(
                (0, 1, 2), (0, 4, 8), (261, 257, 258), ("toy_one", "toy_data", "_printk", "toy_absolute"), (0, 1, 64))
        ],
        "order of sections": [
            Fault(f"{first} and {second} swapped", partial(swapped, first=first, second=second))
            for first, second in product(NAMED, NAMED) if first < second
        ],
        "count": [Fault(f"{by} sections less", partial(sections_less, by=by)) for by in (1, 2, 3, 5, -1, -2)]
        + [Fault(f"cut after {part}/16", partial(cut, part=part)) for part in range(1, 16)],
    }  # fmt: skip


def all_of(kinds: dict[str, list[Fault]]) -> Iterator[Fault]:
    for faults in kinds.values():
        yield from faults
