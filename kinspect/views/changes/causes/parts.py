"""Parts of a kernel that differ from build to build, though nothing was changed: stamps, keys, what is embedded."""

from collections.abc import Iterator
from contextlib import suppress

from kinspect.artifacts.raw.embedded import Extent
from kinspect.artifacts.raw.kallsyms import Kallsyms
from kinspect.artifacts.raw.kallsyms_order import WIDTH
from kinspect.errors import KinspectError
from kinspect.views.changes.causes.known import (
    BANNER,
    BTF,
    CERTIFICATES,
    CONFIG,
    HEADERS,
    INITRAMFS,
    KALLSYMS,
    SIGNATURE,
    SIGNING_KEY,
    VERSION,
)
from kinspect.views.changes.side import KernelSide
from kinspect.views.changes.targets import text_at
from kinspect.views.kernel.image_symbols import has_kallsyms, image_symbols

_SYMBOLS = {
    "linux_banner": BANNER,
    "linux_proc_banner": BANNER,
    "init_uts_ns": VERSION,
    "system_certificate_list": CERTIFICATES,
    "module_cert_size": SIGNING_KEY,
    "system_certificate_list_size": SIGNING_KEY,
    "kernel_config_data": CONFIG,
    "kernel_headers_data": HEADERS,
    "__initramfs_start": INITRAMFS,
    "__irf_start": INITRAMFS,
    "__start_BTF": BTF,
}
_PAGE = 4096


def known_parts(side: KernelSide) -> list[tuple[str, Extent]]:
    """The parts of a kernel that have a known cause to differ, with their extents."""
    return [*_embedded(side), *_signed(side), *_named(side)]


def _embedded(side: KernelSide) -> Iterator[tuple[str, Extent]]:
    image = side.image
    config, btf, tokens = image.embedded
    if config:
        yield CONFIG, Extent(config.offset - 8, config.size + 16)
    if btf:
        yield BTF, Extent(btf.offset, _type_numbers_end(side.data, btf.offset + btf.size) - btf.offset)
    if tokens:
        yield KALLSYMS, tokens
    if has_kallsyms(image):
        with suppress(KinspectError):
            yield KALLSYMS, _kallsyms(image_symbols(image).kallsyms)
    if image.banner_at is not None and image.banner:
        yield BANNER, Extent(image.banner_at, len(image.banner) + 1)


def _kallsyms(found: Kallsyms) -> Extent:
    """All tables of kallsyms, which lie together. The order of names is the last of them since 6.4."""
    offsets = found.offsets.place.offset, found.offsets.place.offset + found.offsets.place.size
    start, end = min(offsets[0], found.table.number), max(offsets[1], found.tokens.offset + found.tokens.size)
    if offsets[0] > found.tokens.offset:
        after = offsets[1] if found.offsets.base_at is None else found.offsets.base_at + 8
        end = (after + 7 & -8) + WIDTH * len(found.names)
    return Extent(start, end - start)


def _type_numbers_end(data: bytes, start: int) -> int:
    """Where .BTF_ids end, which follow .BTF, up to a page: they are numbers of types, and padding is zero."""
    end = start + _PAGE & -_PAGE
    while end < len(data) and any(data[end - 4 : end]):
        end += _PAGE
    return min(end, len(data))


def _signed(side: KernelSide) -> Iterator[tuple[str, Extent]]:
    pe = side.image.readable_pe
    if pe:
        yield SIGNATURE, Extent(pe.checksum_at, 4)
        if pe.certificate_table:
            yield SIGNATURE, Extent(pe.certificate_entry_at, 8)
            yield SIGNATURE, Extent(pe.certificate_table.virtual_address, pe.certificate_table.size)


def _named(side: KernelSide) -> Iterator[tuple[str, Extent]]:
    last = next((offset for offset, name in side.names.items() if name == "__cert_list_end"), 0)
    for offset, name in side.names.items():
        cause = _SYMBOLS.get(name)
        if cause and offset < len(side.data):
            # A text may be the last thing with a name before others without.
            text = text_at(side.data, offset) if cause == BANNER else None
            end = offset + len(text) + 1 if text else side.ends.get(offset, offset)
            # Certificates behind the key for modules have symbols of their own.
            end = max(end, last) if cause == CERTIFICATES else end
            yield cause, Extent(offset, end - offset)
