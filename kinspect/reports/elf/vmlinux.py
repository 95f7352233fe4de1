"""A vmlinux as text."""

from collections.abc import Iterator

from kinspect.artifacts.elf.vmlinux import VmlinuxFacts
from kinspect.inspection.kernel import TableFacts, TablesFacts
from kinspect.reports.terminal import Style, columns, counted, escaped, exact, human, titled
from kinspect.schemas import elf
from kinspect.views.size.account import flag_letters
from kinspect.views.tables.parts import ColumnType

_SEGMENTS = {1: "LOAD", 2: "DYNAMIC", 3: "INTERP", 4: "NOTE", 6: "PHDR", 7: "TLS", 0x6474E551: "GNU_STACK"}
_TYPES = {elf.ET_EXEC: "executable", elf.ET_DYN: "shared object (relocatable kernel)"}


def vmlinux_lines(facts: VmlinuxFacts, paint: Style) -> Iterator[str]:
    """Identity, segments, sections and the kernel's tables."""
    header = facts.header
    yield f"{paint.bold(escaped(facts.path))}: arm64 vmlinux, {exact(facts.size)}"
    yield ""
    about = [
        ("kernel", escaped(facts.banner) if facts.banner else "no `Linux version` banner with a build number"),
        ("build id", facts.build_id or "none"),
        *(("compiler" if first else "", escaped(name)) for first, name in _numbered(facts.compilers)),
        ("ELF", f"64-bit little-endian AArch64, {_TYPES.get(header.e_type, str(header.e_type))}"),
        ("entry", f"{header.e_entry:#x}"),
        ("symbols", f"{facts.symbols:,}"),
    ]
    yield from columns(about, "<<")
    yield ""
    segments = [
        (
            _SEGMENTS.get(row.p_type, f"{row.p_type:#x}"),
            f"{row.p_offset:#x}",
            f"{row.p_vaddr:#x}",
            f"{row.p_paddr:#x}",
            human(row.p_filesz),
            human(row.p_memsz),
            "".join(letter if row.p_flags & bit else "-" for bit, letter in ((4, "R"), (2, "W"), (1, "E"))),
        )
        for row in facts.segments
    ]
    head = ("segment", "offset", "address", "load address", "in file", "in memory", "flags")
    yield from titled(paint, head, segments, "<><<>><")
    yield ""
    sections = [
        (
            f"{section.number}",
            escaped(section.name),
            f"{section.offset:#x}",
            f"{section.address:#x}" if section.allocated else "",
            human(section.file_size) if section.in_file else "-",
            human(section.size) if section.allocated else "-",
            flag_letters(section),
        )
        for section in facts.sections[1:]
    ]
    yield from titled(paint, ("", "section", "offset", "address", "in file", "in memory", "flags"), sections, "><><>><")


def tables_lines(facts: TablesFacts, paint: Style) -> Iterator[str]:
    """The kernel's tables with their number of entries."""
    rows = [(escaped(table.name), f"{table.entries:,}", table.record) for table in facts.tables]
    yield from titled(paint, ("table", "entries", "of"), rows, "<><")
    yield paint.dim("  --table NAME lists the entries of one")


def table_lines(facts: TableFacts, paint: Style) -> Iterator[str]:
    """The entries of one table, a line each."""
    table = facts.table
    about = f"{counted(table.entries, 'entry', 'entries')} of {table.record}"
    yield f"{paint.bold(escaped(facts.path))}: {escaped(table.name)}, {about}"
    cells = zip(*table.rows, strict=True) if table.rows else [()] * len(table.columns)
    shown = [_shown(values, column.type) for values, column in zip(cells, table.columns, strict=True)]
    align = ["<" if column.type == ColumnType.TEXT else ">" for column in table.columns]
    head = [column.name for column in table.columns]
    yield from titled(paint, head, zip(*shown, strict=True), "".join(align))


def _shown(values: tuple[int | str, ...], kind: ColumnType) -> list[str]:
    """The cells of a column; a value that is marked as wrong is text in any column."""
    if kind == ColumnType.TEXT:
        return [escaped(str(value)) for value in values]
    form = "{:,}" if kind == ColumnType.NUMBER else "{:#x}"
    return [escaped(value) if isinstance(value, str) else form.format(value) for value in values]


def _numbered(names: tuple[str, ...]) -> Iterator[tuple[bool, str]]:
    for index, name in enumerate(names):
        yield index == 0, name
