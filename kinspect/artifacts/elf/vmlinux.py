"""The linked kernel: ELF with symbols, and DWARF when the kernel was configured with it."""

from collections.abc import Iterator
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

from kinspect.artifacts.elf.file import Elf, Section
from kinspect.artifacts.elf.program import other_than_kernel
from kinspect.errors import KinspectError, WrongKindError
from kinspect.schemas.elf import ElfHeader, ProgramHeader

if TYPE_CHECKING:
    from kinspect.artifacts.elf.contents import SectionCompression
    from kinspect.artifacts.elf.symbols import Symbols

LARGEST_COMMENT = 1 << 16
"""Bytes of .comment that are read; a kernel has some hundred."""


class VmlinuxFacts(NamedTuple):
    """The contents of a vmlinux. Sizes and offsets are in bytes; `symbols` is their number.

    `compressions` says of compressed sections, by number, what is in them. `debug_file` is the file that has its DWARF:
    itself, a separate debug file, or None; `debug_note` says what is missing and where it may be. `title` says what the
    file is: a vmlinux, or the debug file of one.
    """

    path: str
    size: int
    header: ElfHeader
    segments: tuple[ProgramHeader, ...]
    sections: tuple[Section, ...]
    symbols: int
    banner: str | None
    build_id: str | None
    compilers: tuple[str, ...]
    compressions: "dict[int, SectionCompression]" = {}
    debug_file: str | None = None
    debug_note: str = ""
    title: str = "arm64 vmlinux"


class Vmlinux(Elf):
    """A `vmlinux` for arm64.

    Source: arch/arm64/kernel/vmlinux.lds.S.
    """

    kind = "an arm64 vmlinux"
    hint = "`kinspect vmlinux` shows a linked kernel"
    of_image = False
    """Whether it was made from an Image, in memory: then it has no sources, and only what an Image tells."""

    @cached_property
    def header(self) -> ElfHeader:
        """The ELF header. WrongKindError when the file is not for arm64, or certainly not a kernel."""
        # Not super().header, which would store the header of a file that is refused.
        file = Elf(self.source)
        if actual := other_than_kernel(file):
            raise WrongKindError("not a vmlinux", self.at("e_type", 16), expected="a linked kernel", actual=actual)
        return file.header

    @cached_property
    def own_symbols(self) -> "Symbols":
        """The symbols in the file itself. Raises as `symbols` does."""
        return Elf(self.source).symbols

    @cached_property
    def symbols(self) -> "Symbols":
        """The symbols; those of the separate debug file when there is no DWARF. Errors as of `Elf.symbols`."""
        from kinspect.artifacts.elf.debug_file import has_dwarf, symbols_of

        return self.own_symbols if has_dwarf(self) else symbols_of(self, self.own_symbols)

    @cached_property
    def is_debug_file(self) -> bool:
        """Whether it is only the DWARF and the symbols of a vmlinux. Raises as `sections` does."""
        from kinspect.artifacts.elf.debug_file import is_debug_file

        return is_debug_file(self)

    @property
    def debug_note(self) -> str:
        """What is missing of its DWARF, and where it may be; empty when nothing is."""
        from kinspect.artifacts.elf.debug_file import missing_debug_info

        return missing_debug_info(self, self.banner)

    @cached_property
    def has_code(self) -> bool:
        """Whether it has code: a stub for building modules has none, nor has a file of debug information."""
        return any(section.executable and section.file_size for section in self.sections)

    @property
    def text(self) -> int | None:
        """The address of `_text`, the first byte of the Image; None without that symbol. Raises as `symbols` does."""
        return self.bounds[0]

    @property
    def end(self) -> int | None:
        """The address of `_end`, after the last byte of the kernel in memory. None and errors as with `text`."""
        return self.bounds[1]

    @cached_property
    def bounds(self) -> tuple[int | None, int | None]:
        """The addresses of `_text` and `_end`, found together: to find two takes little longer than to find one."""
        text, end = self.symbols.values_of(("_text", "_end")).values()
        return text, end

    @cached_property
    def banner(self) -> str | None:
        """The `Linux version` line without its newline; None without one."""
        from kinspect.artifacts.raw.scan import banner_in

        found = banner_in(self.source, self.searched())
        return found[1] if found else None

    def searched(self) -> Iterator[tuple[int, int]]:
        """The ranges (start, end) of the loaded sections in the file, up to LARGEST_KERNEL bytes."""
        from kinspect.artifacts.raw.limits import LARGEST_KERNEL

        data = (section for section in self.loaded_sections if section.in_file)
        left = LARGEST_KERNEL
        # The banner is in .rodata; the other sections are searched only when it is not there.
        for section in sorted(data, key=lambda section: section.name != ".rodata"):
            start = min(section.offset, self.size)
            end = min(start + section.size, self.size, start + left)
            yield start, end
            left -= end - start

    @cached_property
    def compilers(self) -> tuple[str, ...]:
        """The distinct strings of .comment: the compilers and assemblers that made the objects."""
        section = self.section(".comment")
        if section is None or section.offset > self.size:
            return ()
        size = min(section.file_size, LARGEST_COMMENT, self.size - section.offset)
        text = self.source.read(section.offset, size, section.name)
        return tuple(dict.fromkeys(part.decode("utf-8", "backslashreplace") for part in text.split(b"\0") if part))

    @property
    def facts(self) -> VmlinuxFacts:
        """All of the above. Raises as `header`, `segments` and `sections` do."""
        from kinspect.artifacts.elf.contents import compressed_sections
        from kinspect.artifacts.elf.debug_file import DebugFile, has_dwarf, with_debug_info

        try:
            symbols = len(self.own_symbols)
        except KinspectError:
            symbols = 0  # which a check reports
        debug = with_debug_info(self)
        return VmlinuxFacts(
            self.path,
            self.size,
            self.header,
            self.segments,
            self.sections,
            symbols,
            self.banner,
            self.build_id.hex() if self.build_id else None,
            self.compilers,
            compressed_sections(self),
            debug.path if has_dwarf(debug) else None,
            self.debug_note,
            DebugFile(self.source).title if self.is_debug_file else "arm64 vmlinux",
        )
