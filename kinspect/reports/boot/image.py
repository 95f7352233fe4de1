"""An Image as text and as JSON."""

from collections.abc import Iterator

from kinspect.artifacts.artifact import wrapping_suffix
from kinspect.artifacts.boot.image import ImageFacts
from kinspect.artifacts.boot.pe import Pe
from kinspect.reports.boot.layers import layer_documents, layer_lines
from kinspect.reports.boot.loaders import loader_documents, loader_lines
from kinspect.reports.layout import columns, titled
from kinspect.reports.terminal import Style, escaped, exact, human
from kinspect.reports.values import Document, extent, hexadecimal
from kinspect.schemas.image import ImageHeader
from kinspect.schemas.pe import EFI_APPLICATION, MACHINE_ARM64, MEMORY_EXECUTE, MEMORY_WRITE, NX_COMPAT
from kinspect.schemas.record import offsets

_NOP = 0xD503201F


def lines(facts: ImageFacts, style: Style) -> Iterator[str]:
    """Wrappings, banner, build id, sizes, the line of file(1), the header field by field, the PE header."""
    yield f"{style.bold(escaped(facts.path))}: arm64 Image{wrapping_suffix(facts.layers)}, {exact(facts.size)}"
    yield ""
    if facts.layers:
        yield from layer_lines(facts.layers, style)
        yield ""
    size = facts.header.image_size
    reserved = size - facts.size
    about = [
        ("kernel", escaped(facts.banner) if facts.banner else "no `Linux version` banner with a build number"),
        ("build id", facts.build_id or "none"),
        ("memory", f"{exact(size)} from its first byte on" if size else "unspecified"),
    ]
    if size and reserved >= 0:
        about.append(("", f"{exact(reserved)} of it are not in the file: .bss and page tables"))
    about.append(("signature", facts.signature))
    about += _embedded_rows(facts)
    if facts.file_type:
        about.append(("file(1)", escaped(facts.file_type)))
    yield from columns(style, about, "<<")
    if facts.loaders:
        yield ""
        yield from loader_lines(facts.loaders, style)
    yield ""
    yield from titled(style, ("offset", "field", "value", "meaning"), _header_rows(facts.header, facts.size), "<<<<")
    if facts.pe:
        yield ""
        yield from _pe_lines(facts.pe, style)


def _embedded_rows(facts: ImageFacts) -> Iterator[tuple[str, str]]:
    config, btf, kallsyms = facts.config, facts.btf, facts.kallsyms
    if config:
        yield ".config", f"embedded, {exact(config.size)} of gzip at {config.offset:#x}: `kinspect config` prints it"
    else:
        yield ".config", "not embedded (CONFIG_IKCONFIG)"
    yield "BTF", f"{exact(btf.size)} at {btf.offset:#x}" if btf else "none"
    yield "kallsyms", f"present, token table at {kallsyms.offset:#x}" if kallsyms else "none"


def _header_rows(header: ImageHeader, size: int) -> Iterator[tuple[str, str, str, str]]:
    at = offsets(ImageHeader)
    for name, value in header._asdict().items():
        shown = value.decode("ascii") if isinstance(value, bytes) else f"{value:#x}"
        yield f"{at[name]:#04x}", name, shown, _meaning(name, header, size)


def _meaning(name: str, header: ImageHeader, size: int) -> str:
    if name == header.branch:
        return f"branch to {header.entry:#x}"
    if name == "code0":
        if header.efi:
            return '"MZ": also an EFI application'
        return "nop" if header.code0 == _NOP else "code"
    page = f"{header.page_size // 1024}K pages" if header.page_size else "page size unspecified"
    meanings = {
        "code1": "not used" if header.branch == "code0" else "not a branch",
        "text_offset": "from a 2 MiB aligned base",
        "image_size": f"{human(header.image_size)}; the file has {human(size)}" if header.image_size else "unspecified",
        "flags": ", ".join(
            (
                "big-endian" if header.big_endian else "little-endian",
                page,
                "anywhere in memory" if header.anywhere else "near the start of memory",
            )
        ),
        "magic": "the magic number of an arm64 Image",
        "res5": "offset of the PE header" if header.res5 else "no PE header",
    }
    return meanings.get(name, "reserved")


def _pe_lines(pe: Pe, style: Style) -> Iterator[str]:
    optional = pe.optional
    machine = "arm64" if pe.coff.machine == MACHINE_ARM64 else "another machine"
    subsystem = "EFI application" if optional.subsys == EFI_APPLICATION else "not an EFI application"
    table = pe.certificate_table
    rows = [
        ("Machine", f"{pe.coff.machine:#x}", machine),
        ("AddressOfEntryPoint", f"{optional.entry_point:#x}", "where EFI firmware starts it"),
        ("SizeOfImage", f"{optional.image_size:#x}", human(optional.image_size)),
        ("SectionAlignment", f"{optional.section_align:#x}", human(optional.section_align)),
        ("FileAlignment", f"{optional.file_align:#x}", human(optional.file_align)),
        ("Subsystem", f"{optional.subsys}", subsystem),
        ("DllCharacteristics", f"{optional.dll_flags:#x}", "NX_COMPAT" if optional.dll_flags & NX_COMPAT else ""),
        ("CheckSum", f"{optional.csum:#x}", "" if optional.csum else "not set"),
        ("CertificateTable", f"{table.virtual_address:#x}" if table else "none", human(table.size) if table else ""),
    ]
    yield from titled(style, (f"PE32+ header at {pe.offset:#x}", "value", "meaning"), rows, "<<<")
    yield ""
    head = ("PE section", "address", "in memory", "offset", "in file", "rights")
    sections = [
        (
            escaped(section.title),
            f"{section.virtual_address:#x}",
            human(section.virtual_size),
            f"{section.data_addr:#x}",
            human(section.raw_data_size),
            "read"
            + (" write" if section.flags & MEMORY_WRITE else "")
            + (" execute" if section.flags & MEMORY_EXECUTE else ""),
        )
        for section in pe.sections
    ]
    yield from titled(style, head, sections, "<>>>><")


def document(facts: ImageFacts) -> Document:
    """`image` in docs/report.schema.json."""
    header = facts.header
    return {
        "kind": "image",
        "path": facts.path,
        "size": facts.size,
        "layers": layer_documents(facts.layers),
        "banner": facts.banner,
        "build_id": facts.build_id,
        "signature": facts.signature,
        "config": extent(facts.config),
        "btf": extent(facts.btf),
        "kallsyms": extent(facts.kallsyms),
        "header": {
            "code0": hexadecimal(header.code0),
            "code1": hexadecimal(header.code1),
            "text_offset": hexadecimal(header.text_offset),
            "image_size": header.image_size,
            "flags": hexadecimal(header.flags),
            "res2": hexadecimal(header.res2),
            "res3": hexadecimal(header.res3),
            "res4": hexadecimal(header.res4),
            "magic": header.magic.decode("ascii"),
            "res5": header.res5,
        },
        "big_endian": header.big_endian,
        "page_size": header.page_size,
        "anywhere": header.anywhere,
        "efi": header.efi,
        "entry": header.entry,
        "pe": _pe_document(facts.pe) if facts.pe else None,
        "loaders": loader_documents(facts.loaders),
    }


def _pe_document(pe: Pe) -> Document:
    optional, table = pe.optional, pe.certificate_table
    return {
        "offset": pe.offset,
        "machine": hexadecimal(pe.coff.machine),
        "entry_point": hexadecimal(optional.entry_point),
        "image_size": optional.image_size,
        "section_align": optional.section_align,
        "file_align": optional.file_align,
        "subsystem": optional.subsys,
        "dll_flags": hexadecimal(optional.dll_flags),
        "checksum": hexadecimal(optional.csum),
        "certificate_table": {"offset": table.virtual_address, "size": table.size} if table else None,
        "sections": [
            {
                "name": section.title,
                "address": hexadecimal(section.virtual_address),
                "size": section.virtual_size,
                "offset": section.data_addr,
                "file_size": section.raw_data_size,
                "flags": hexadecimal(section.flags),
            }
            for section in pe.sections
        ],
    }
