"""Images as text."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from kinspect.artifacts.artifact import wrapping_suffix
from kinspect.artifacts.boot.image import ImageFacts
from kinspect.artifacts.boot.pe import Pe
from kinspect.reports.terminal import Style, columns, escaped, exact, human, titled
from kinspect.schemas.image import ImageHeader
from kinspect.schemas.pe import EFI_APPLICATION, MACHINE_ARM64, MEMORY_EXECUTE, MEMORY_WRITE, NX_COMPAT
from kinspect.schemas.record import offsets

if TYPE_CHECKING:
    from kinspect.artifacts.artifact import Layer

_NOP = 0xD503201F


def image_lines(facts: ImageFacts, paint: Style) -> Iterator[str]:
    """The header field by field, sizes, banner, build id, PE header, and the line of file(1)."""
    from kinspect.views.filetype.line import description

    yield f"{paint.bold(escaped(facts.path))}: arm64 Image{wrapping_suffix(facts.layers)}, {exact(facts.size)}"
    yield ""
    if facts.layers:
        yield from layer_lines(facts.layers, paint)
        yield ""
    reserved = facts.header.image_size - facts.size
    about = [
        ("kernel", escaped(facts.banner) if facts.banner else "no `Linux version` banner with a build number"),
        ("build id", facts.build_id or "none"),
        ("memory", f"{exact(facts.header.image_size)} from the first byte on"),
    ]
    if facts.header.image_size and reserved >= 0:
        about.append(("", f"{exact(reserved)} of it are not in the file: .bss and page tables"))
    about.append(("signature", facts.signature))
    about += _embedded_rows(facts)
    # To file(1) "-" is the standard input.
    path = "./-" if facts.path == "-" else facts.path
    about.append(("file(1)", escaped(description(path, follow=True))))
    yield from columns(about, "<<")
    yield ""
    yield from titled(paint, ("offset", "field", "value", "meaning"), _header_rows(facts.header, facts.size), "<<<<")
    if facts.pe:
        yield ""
        yield from _pe_lines(facts.pe, paint)


def _embedded_rows(facts: ImageFacts) -> Iterator[tuple[str, str]]:
    config, btf, kallsyms = facts.config, facts.btf, facts.kallsyms
    how = f"inside, {exact(config.size)} of gzip at {config.offset:#x}: `kinspect config` prints it" if config else ""
    yield ".config", how or "not inside (CONFIG_IKCONFIG)"
    yield "BTF", f"{exact(btf.size)} at {btf.offset:#x}" if btf else "none"
    yield "kallsyms", f"there, with its table of tokens at {kallsyms.offset:#x}" if kallsyms else "none"


def layer_lines(layers: "tuple[Layer, ...]", paint: Style) -> Iterator[str]:
    """What something came out of, the outermost first."""
    head = ("wrapping", "file", "offset", "stream", "unpacked", "")
    rows = [
        (
            layer.title,
            human(layer.size),
            f"{layer.offset:#x}",
            human(layer.packed_size),
            human(layer.unpacked_size),
            f"with {human(layer.padding)} of padding" if layer.padding else "",
        )
        for layer in layers
    ]
    yield from titled(paint, head, rows, "<>>>><")


def _header_rows(header: ImageHeader, size: int) -> Iterator[tuple[str, str, str, str]]:
    at = offsets(ImageHeader)
    for name, value in header._asdict().items():
        shown = value.decode("ascii") if isinstance(value, bytes) else f"{value:#x}"
        yield f"{at[name]:#04x}", name, shown, _meaning(name, header, size)


def _meaning(name: str, header: ImageHeader, size: int) -> str:
    entry = "not a branch" if header.entry is None else f"branch to {header.entry:#x}"
    if name == "code0":
        if header.efi:
            return '"MZ": also an EFI application'
        return "nop" if header.code0 == _NOP else "code"
    page = f"{header.page_size // 1024}K pages" if header.page_size else "page size unspecified"
    meanings = {
        "code1": entry,
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


def _pe_lines(pe: Pe, paint: Style) -> Iterator[str]:
    optional = pe.optional
    machine = "arm64" if pe.coff.machine == MACHINE_ARM64 else "another machine"
    subsystem = "EFI application" if optional.subsys == EFI_APPLICATION else "no EFI application"
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
    yield from titled(paint, (f"PE32+ header at {pe.offset:#x}", "value", "meaning"), rows, "<<<")
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
    yield from titled(paint, head, sections, "<>>>><")
