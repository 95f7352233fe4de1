"""Values in a kernel that are found by their symbols: of a vmlinux, or by the kallsyms of an Image."""

from kinspect.artifacts.boot.image import Image
from kinspect.artifacts.elf.vmlinux import Vmlinux
from kinspect.errors import MalformedError, UnsupportedError
from kinspect.views.kernel.image_symbols import ImageSymbols, image_symbols


def boolean(kernel: Image | Vmlinux, name: str) -> bool | None:
    """The initial value of a variable of type bool; None without a symbol of this name.

    Without CONFIG_KALLSYMS_ALL, an Image has no symbols of data.
    """
    if isinstance(kernel, Image):
        found = _readable(kernel)
        if found is None or name not in found.names:
            return None
        offset = found.offsets[found.names.index(name)]
        if not 0 <= offset < kernel.header.image_size:
            return None
        # What lies behind the Image is .bss.
        return offset < kernel.size and kernel.source.read(offset, 1) != b"\0"
    address = kernel.symbols.value(name)
    section = kernel.section_at(address) if address else None
    if section is None or address is None:
        return None
    if not section.in_file:
        return False
    return kernel.source.read(section.offset + address - section.address, 1) != b"\0"


def text_address(kernel: Image | Vmlinux) -> int | None:
    """The address that a kernel was linked at; None when it is not known."""
    if isinstance(kernel, Vmlinux):
        return kernel.symbols.value("_text")
    found = _readable(kernel)
    return None if found is None else found.start


def _readable(image: Image) -> ImageSymbols | None:
    """The symbols of an Image; None without kallsyms, and when it cannot be read, which a check reports."""
    try:
        return image_symbols(image)
    except (MalformedError, UnsupportedError):
        return None
