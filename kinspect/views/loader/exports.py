"""The exports of a module as the kernel reads them after relocation, whatever its symbols say.

Source: kernel/module/main.c, find_module_sections(); kernel/module/internal.h, struct kernel_symbol.
"""

from collections.abc import Iterator

from kinspect.schemas.exports import FLAG_GPL, Crc, KernelSymbol
from kinspect.schemas.record import column, offsets, size_of
from kinspect.views.loader.kernel import KernelExport
from kinspect.views.loader.load_info import LoadInfo
from kinspect.views.loader.relocation.tests import PREL32, relocations_of
from kinspect.views.loader.verdict import Unknown

_ROW = size_of(KernelSymbol)
_VALUE, _NAME, _NAMESPACE = offsets(KernelSymbol).values()


def _export_tables(info: LoadInfo) -> tuple[tuple[bytes, bytes], ...]:
    plain = (b"__ksymtab", b"__kcrctab")
    return (plain,) if info.kernel.export_flags else (plain, (b"__ksymtab_gpl", b"__kcrctab_gpl"))


def crc_tables(info: LoadInfo) -> Iterator[int | None]:
    """The section of CRCs of each table of exports that is not empty; None for a table without CRCs."""
    for rows, crcs in _export_tables(info):
        if info.sections.sizes[info.find(rows)] >= _ROW:
            yield info.find(crcs) or None


def exports(info: LoadInfo) -> dict[str, KernelExport] | Unknown:
    """The exports of the module by name; Unknown when a name or namespace is not a text."""
    found: dict[str, KernelExport] = {}
    for table, crcs in _export_tables(info):
        number, crc_number = info.find(table), info.find(crcs)
        count = info.sections.sizes[number] // _ROW if number else 0
        if not count:
            continue
        places = _texts(info, number)
        if isinstance(places, Unknown):
            return places
        crc_data = info.bytes_of(crc_number)
        versions = list(column(Crc, "crc", crc_data[: len(crc_data) & ~3]))
        relocated = {
            offset: (info.symbol_values[symbol] + addend) & 0xFFFFFFFF
            for offset, _, symbol, addend in relocations_of(info, crc_number)
        }
        licences = info.bytes_of(info.find(b"__kflagstab")) if info.kernel.export_flags else b""
        for row in range(count):
            name, space = (places.get(row * _ROW + field, "") for field in (_NAME, _NAMESPACE))
            crc = versions[row] if row < len(versions) else None
            gpl = bool(licences[row] & FLAG_GPL) if row < len(licences) else table == b"__ksymtab_gpl"
            found[name] = KernelExport(info.struct_name, relocated.get(row * 4, crc), gpl, space)
    return found


def _texts(info: LoadInfo, number: int) -> dict[int, str] | Unknown:
    """The names and namespaces that the relocations of a table of exports point to, by offset in the table.

    The kernel does not test where they point before it looks the names up.
    """
    found: dict[int, str] = {}
    values, sections = info.symbol_values, info.symbol_sections
    wrong = Unknown("the name of an export is not a string in the file, and the kernel does not check that")
    for offset, kind, symbol, addend in relocations_of(info, number):
        field = offset % _ROW
        if field == _VALUE:
            continue
        target, place = sections[symbol], values[symbol] + addend
        if kind != PREL32 or field not in (_NAME, _NAMESPACE) or not 0 < target < info.count:
            return wrong
        text = info.text_at(info.sections.offsets[target] + place)
        if text is None or not 0 <= place < info.sections.sizes[target] - len(text):
            return wrong
        found[offset] = text
    rows = range(0, info.sections.sizes[number] // _ROW * _ROW, _ROW)
    return found if not found or all(row + _NAME in found for row in rows) else wrong
