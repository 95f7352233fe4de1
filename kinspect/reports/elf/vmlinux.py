"""A vmlinux as text and as JSON."""

from collections.abc import Iterator

from kinspect.artifacts.elf.file import Section
from kinspect.artifacts.elf.vmlinux import VmlinuxFacts
from kinspect.reports.layout import columns, titled
from kinspect.reports.terminal import Style, escaped, exact, human
from kinspect.reports.values import Document, hexadecimal
from kinspect.schemas import elf
from kinspect.views.size.account import flag_letters

_SEGMENTS = {1: "LOAD", 2: "DYNAMIC", 3: "INTERP", 4: "NOTE", 6: "PHDR", 7: "TLS", 0x6474E551: "GNU_STACK"}
_TYPES = {elf.ET_EXEC: "executable", elf.ET_DYN: "shared object (relocatable kernel)"}


def lines(facts: VmlinuxFacts, style: Style) -> Iterator[str]:
    """Banner, build id and compilers, then segments and sections."""
    header = facts.header
    yield f"{style.bold(escaped(facts.path))}: {facts.title}, {exact(facts.size)}"
    yield ""
    about = [
        ("kernel", escaped(facts.banner) if facts.banner else "no `Linux version` banner with a build number"),
        ("build id", facts.build_id or "none"),
        *(("" if index else "compiler", escaped(name)) for index, name in enumerate(facts.compilers)),
        ("ELF", f"64-bit little-endian AArch64, {_TYPES.get(header.e_type, str(header.e_type))}"),
        ("entry", f"{header.e_entry:#x}"),
        ("symbols", f"{facts.symbols:,}"),
    ]
    if facts.debug_file not in (None, facts.path):
        about.append(("DWARF", f"in {escaped(facts.debug_file or '')}"))
    if facts.debug_note:
        about.append(("note", escaped(facts.debug_note)))
    yield from columns(style, about, "<<")
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
    yield from titled(style, head, segments, "<><<>>=", drop=(3,))
    yield ""
    sections = [
        (
            f"{section.number}",
            escaped(section.name),
            f"{section.offset:#x}",
            f"{section.address:#x}" if section.allocated else "",
            human(section.file_size) if section.in_file else "-",
            human(section.size) if section.allocated else "-",
            flag_letters(section) + _compression(facts, section),
        )
        for section in facts.sections[1:]
    ]
    head = ("", "section", "offset", "address", "in file", "in memory", "flags")
    yield from titled(style, head, sections, ">/><>>=", drop=(0,))


def _compression(facts: VmlinuxFacts, section: Section) -> str:
    """readelf's flag of a compressed section, and what is in it."""
    found = facts.compressions.get(section.number)
    return f"C  {found.name} of {human(found.size)}" if found else ""


def document(facts: VmlinuxFacts) -> Document:
    """`vmlinux` in docs/report.schema.json."""
    header = facts.header
    return {
        "kind": "vmlinux",
        "path": facts.path,
        "size": facts.size,
        "banner": facts.banner,
        "build_id": facts.build_id,
        "compilers": list(facts.compilers),
        "type": header.e_type,
        "entry": hexadecimal(header.e_entry),
        "symbols": facts.symbols,
        "title": facts.title,
        "debug_file": facts.debug_file,
        "debug_note": facts.debug_note,
        "segments": [
            {
                "type": hexadecimal(segment.p_type),
                "flags": hexadecimal(segment.p_flags),
                "offset": segment.p_offset,
                "address": hexadecimal(segment.p_vaddr),
                "load_address": hexadecimal(segment.p_paddr),
                "file_size": segment.p_filesz,
                "memory_size": segment.p_memsz,
                "alignment": segment.p_align,
            }
            for segment in facts.segments
        ],
        "sections": [
            {
                "number": section.number,
                "name": section.name,
                "type": hexadecimal(section.type),
                "flags": hexadecimal(section.flags),
                "offset": section.offset,
                "address": hexadecimal(section.address),
                "size": section.size,
                "file_size": section.file_size,
                **_compression_document(facts, section),
            }
            for section in facts.sections
        ],
    }


def _compression_document(facts: VmlinuxFacts, section: Section) -> Document:
    found = facts.compressions.get(section.number)
    return {"compression": found.name, "decompressed_size": found.size} if found else {}
