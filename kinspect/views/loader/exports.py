"""The exports of a module as the kernel reads them after relocation, which may not be what its symbols say.

Source: kernel/module/main.c, find_module_sections(); kernel/module/internal.h, struct kernel_symbol.
"""

from collections.abc import Iterator

from kinspect.schemas import elf
from kinspect.schemas.exports import FLAG_GPL, Crc, KernelSymbol
from kinspect.schemas.record import column, offsets, size_of
from kinspect.views.loader.kernel import KernelExport
from kinspect.views.loader.load_info import LoadInfo
from kinspect.views.loader.relocation.memory import Memory
from kinspect.views.loader.relocation.rows import PREL32, address_at, relocations_of
from kinspect.views.loader.relocation.values import Address
from kinspect.views.loader.verdict import Crash, Unknown

_ROW = size_of(KernelSymbol)
_LARGEST_TABLE = 1 << 20
"""Bytes of a table of exports that no linker makes, of which each row is read."""
_VALUE, _NAME, _NAMESPACE = offsets(KernelSymbol).values()


def _export_tables(info: LoadInfo) -> tuple[tuple[bytes, bytes], ...]:
    plain = (b"__ksymtab", b"__kcrctab")
    return (plain,) if info.kernel.export_flags else (plain, (b"__ksymtab_gpl", b"__kcrctab_gpl"))


def crc_tables(info: LoadInfo) -> Iterator[int | None]:
    """The section of CRCs of each table of exports that is not empty; None for a table without CRCs."""
    for rows, crcs in _export_tables(info):
        if info.sections.sizes[info.find(rows)] >= _ROW:
            yield info.find(crcs) or None


def has_exports(info: LoadInfo) -> bool:
    """Whether the module exports anything, under any name."""
    return any(info.sections.sizes[info.find(rows)] >= _ROW for rows, _ in _export_tables(info))


def exports(info: LoadInfo) -> dict[str, KernelExport] | Crash | Unknown:
    """The exports of the module by name; Crash or Unknown when it matters where a name lies."""
    found: dict[str, KernelExport] = {}
    for table, crcs in _export_tables(info):
        number, crc_number = info.find(table), info.find(crcs)
        count = info.sections.sizes[number] // _ROW if number else 0
        if not count:
            continue
        places = _texts(info, number)
        if isinstance(places, Crash | Unknown):
            return places
        crc_data = info.bytes_of(crc_number)
        versions = list(column(Crc, "crc", crc_data[: len(crc_data) & ~3]))
        relocated = {
            offset: (info.symbol_values[symbol] + addend) & 0xFFFFFFFF
            for offset, _, symbol, addend in relocations_of(info, crc_number)
        }
        licences = info.bytes_of(info.find(b"__kflagstab")) if info.kernel.export_flags else b""
        for row in range(count):
            name, space = places.get(row * _ROW + _NAME), places.get(row * _ROW + _NAMESPACE, "")
            if name is None:
                continue
            crc = versions[row] if row < len(versions) else None
            gpl = bool(licences[row] & FLAG_GPL) if row < len(licences) else table == b"__ksymtab_gpl"
            found[name] = KernelExport(info.struct_name, relocated.get(row * 4, crc), gpl, space)
    return found


def _texts(info: LoadInfo, number: int) -> dict[int, str] | Crash | Unknown:
    """The names and namespaces that a table of exports points to, by offset in the table.

    The kernel does not test where they point before it looks the names up.
    """
    found: dict[int, str] = {}
    values, sections = info.symbol_values, info.symbol_sections
    for offset, kind, symbol, addend in relocations_of(info, number):
        field = offset % _ROW
        if field == _VALUE and kind == PREL32:
            continue
        target, place = sections[symbol], values[symbol] + addend
        if kind != PREL32 or field not in (_NAME, _NAMESPACE) or not 0 < target < info.count:
            return _odd_texts(info, number)
        text = info.text_at(info.sections.offsets[target] + place)
        if text is None or not 0 <= place < info.sections.sizes[target] - len(text) or target == info.index["sym"]:
            return _odd_texts(info, number)
        found[offset] = text
    rows = range(0, info.sections.sizes[number] // _ROW * _ROW, _ROW)
    strings = {sections[symbol] for _, _, symbol, _ in relocations_of(info, number)}
    if any(not info.sections.flags[target] & elf.SHF_ALLOC for target in strings if target < info.count):
        return _odd_texts(info, number)
    return found if all(row + _NAME in found for row in rows) else _odd_texts(info, number)


def _odd_texts(info: LoadInfo, number: int) -> dict[int, str] | Crash | Unknown:
    """The same, for a table that no linker makes: what is in memory where it points to.

    A name that holds addresses is no name: it is left out, and equals none.
    """
    memory, found = Memory(info), dict[int, str]()
    if info.sections.sizes[number] > _LARGEST_TABLE:
        return Unknown("a table of exports is too large")
    for row in range(0, info.sections.sizes[number] // _ROW * _ROW, _ROW):
        for at in (row + _NAME, row + _NAMESPACE):
            address = _pointed_to(memory, number, at)
            if at == row + _NAME and not isinstance(address, Address):
                return address or _FAR_OFF
            if at == row + _NAME and isinstance(address, Address) and (there := memory.is_there(address)) is not True:
                return _NO_NAME if there is False else _FAR_OFF
            text = memory.text(address) if isinstance(address, Address) else None
            if text is not None:
                found[at] = text
    return found


def _pointed_to(memory: Memory, number: int, at: int) -> Address | Crash | None:
    """What an offset in a table leads to, as a distance from where it is; a namespace of distance 0 is none."""
    data, unknown = memory.contents(number)
    last = next((unknown[place] for place in range(at, at + 4) if place in unknown), None)
    if last is None:
        offset = int.from_bytes(data[at : at + 4], "little", signed=True)
        return address_at(memory.areas, number, at + offset) if offset or at % _ROW == _NAME else None
    if last.start == at and last.kind == PREL32:
        return last.target
    # The upper half of an address is a small number, and may lead to memory.
    return None if last.start < at else _CHANCE


_CHANCE = Crash("the name of an export lies at an address by chance, and the kernel does not check that")
_NO_NAME = Crash("the name of an export lies in unmapped memory, and the kernel does not check that")
_FAR_OFF = Unknown("where the name of an export lies depends on the memory")
