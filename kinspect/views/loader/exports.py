"""What a module exports, as the kernel has it after relocation: whatever the labels beside the tables say.

Source: kernel/module/main.c, find_module_sections(); kernel/module/internal.h, struct kernel_symbol.
"""

from collections.abc import Iterator

from kinspect.schemas.exports import FLAG_GPL, Crc, KernelSymbol
from kinspect.schemas.record import column, offsets, size_of
from kinspect.views.loader.kernel import KernelExport
from kinspect.views.loader.load_info import LoadInfo
from kinspect.views.loader.relocations import PREL32, relocations_of
from kinspect.views.loader.verdict import Unknown

_ROW = size_of(KernelSymbol)
_VALUE, _NAME, _NAMESPACE = offsets(KernelSymbol).values()


def _export_tables(attempt: LoadInfo) -> tuple[tuple[bytes, bytes], ...]:
    plain = (b"__ksymtab", b"__kcrctab")
    return (plain,) if attempt.kernel.flags else (plain, (b"__ksymtab_gpl", b"__kcrctab_gpl"))


def crc_tables(attempt: LoadInfo) -> Iterator[int | None]:
    """The table of CRCs for each table of exports that is there; None when there is none."""
    for rows, crcs in _export_tables(attempt):
        if attempt.sections.sizes[attempt.find(rows)] >= _ROW:
            yield attempt.find(crcs) or None


def exports(attempt: LoadInfo) -> dict[str, KernelExport] | Unknown:
    """The exports as the kernel has them after relocation, whatever the labels beside them say."""
    found: dict[str, KernelExport] = {}
    for table, crcs in _export_tables(attempt):
        number, crc_number = attempt.find(table), attempt.find(crcs)
        count = attempt.sections.sizes[number] // _ROW if number else 0
        if not count:
            continue
        places = _texts(attempt, number)
        if isinstance(places, Unknown):
            return places
        crc_data = attempt.bytes_of(crc_number)
        versions = list(column(Crc, "crc", crc_data[: len(crc_data) & ~3]))
        relocated = {
            offset: (attempt.symbol_values[symbol] + addend) & 0xFFFFFFFF
            for offset, _, symbol, addend in relocations_of(attempt, crc_number)
        }
        licences = attempt.bytes_of(attempt.find(b"__kflagstab")) if attempt.kernel.flags else b""
        for row in range(count):
            name, space = (places.get(row * _ROW + field, "") for field in (_NAME, _NAMESPACE))
            crc = versions[row] if row < len(versions) else None
            gpl = bool(licences[row] & FLAG_GPL) if row < len(licences) else table == b"__ksymtab_gpl"
            found[name] = KernelExport(attempt.struct_name, relocated.get(row * 4, crc), gpl, space)
    return found


def _texts(attempt: LoadInfo, number: int) -> dict[int, str] | Unknown:
    """The texts that the relocations of a table of exports point to, by their place.

    The kernel reads wherever they point, and looks names up before anything has looked at them.
    """
    found: dict[int, str] = {}
    values, sections = attempt.symbol_values, attempt.symbol_sections
    wrong = Unknown("the name of an export lies where no text is: the kernel reads it all the same")
    for offset, kind, symbol, addend in relocations_of(attempt, number):
        field = offset % _ROW
        if field == _VALUE:
            continue
        target, place = sections[symbol], values[symbol] + addend
        if kind != PREL32 or field not in (_NAME, _NAMESPACE) or not 0 < target < attempt.count:
            return wrong
        text = attempt.text_at(attempt.sections.starts[target] + place)
        if text is None or not 0 <= place < attempt.sections.sizes[target] - len(text):
            return wrong
        found[offset] = text
    rows = range(0, attempt.sections.sizes[number] // _ROW * _ROW, _ROW)
    return found if not found or all(row + _NAME in found for row in rows) else wrong
