"""The symbols at places that differ: those of vmlinux, or of the Image where vmlinux is stripped."""

from collections.abc import Iterator
from functools import cached_property

from kinspect.artifacts.boot.image import Image
from kinspect.artifacts.elf.file import Section
from kinspect.artifacts.elf.symbols import SymbolOffset
from kinspect.artifacts.elf.vmlinux import Vmlinux
from kinspect.errors import KinspectError


class SymbolsOfPlaces:
    """The symbols at addresses in the sections of a vmlinux; `base` is the address of the first byte of the Image."""

    def __init__(self, vmlinux: Vmlinux, image: Image, base: int) -> None:
        self._vmlinux, self._image, self._base = vmlinux, image, base

    @cached_property
    def _of_image(self) -> Vmlinux | None:
        """The ELF file made from the Image; None where it is not needed, or the Image has no symbols."""
        if len(self._vmlinux.readable_symbols):
            return None
        from kinspect.views.kernel.image_symbols import has_kallsyms
        from kinspect.views.rebuilt.file import vmlinux_of

        try:
            return vmlinux_of(self._image) if has_kallsyms(self._image) else None
        except KinspectError:
            return None

    def place(self, section: Section, address: int) -> SymbolOffset | None:
        """The symbol at an address; None without one."""
        made = self._of_image
        if made is None or made.text is None:
            return self._vmlinux.readable_symbols.place(section.number, address)
        at = address - self._base + made.text
        found = made.section_at(at)
        return made.readable_symbols.place(found.number, at) if found else None

    def shares(self, section: Section, start: int, end: int) -> Iterator[tuple[str, int]]:
        """A range of addresses divided among symbols: names, which may be empty, and sizes in bytes."""
        made = self._of_image
        if made is None or made.text is None:
            yield from self._vmlinux.readable_symbols.shares(section.number, start, end)
            return
        shift = made.text - self._base
        found = made.section_at(start + shift)
        if found is None:
            yield "", end - start
            return
        stop = min(end + shift, found.end)
        yield from made.readable_symbols.shares(found.number, start + shift, stop)
        if stop < end + shift:
            yield "", end + shift - stop
