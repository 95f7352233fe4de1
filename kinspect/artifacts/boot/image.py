"""The decompressed kernel image that a boot loader starts."""

from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

from kinspect.artifacts.boot.efi import EfiProgram
from kinspect.artifacts.kinds import TEXT, advice, description
from kinspect.artifacts.raw.limits import HEAD, LARGEST_KERNEL
from kinspect.errors import KinspectError, Location, MalformedError, TruncatedError
from kinspect.schemas.image import MAGIC, ImageHeader
from kinspect.schemas.record import offsets, parse, size_of
from kinspect.source import Source

# Not needed to compare an Image with a vmlinux.
if TYPE_CHECKING:
    from kinspect.artifacts.boot.loader import LoaderVerdict
    from kinspect.artifacts.boot.pe import Pe
    from kinspect.artifacts.layer import Layer
    from kinspect.artifacts.raw.embedded import Embedded, Extent


class ImageFacts(NamedTuple):
    """The header and what else identifies an Image. Sizes and offsets are in bytes; text without its final newline.

    `layers` are its wrappings, the outermost first; `size` and all offsets are those of the raw Image. `signature` is
    that of the zboot image around it, if there is one. `file_type` is what file(1) prints of the file, and `loaders` is
    what each boot loader does with it; both empty when not computed.
    """

    path: str
    size: int
    header: ImageHeader
    banner: str | None
    build_id: str | None
    pe: "Pe | None"
    signature: str
    layers: "tuple[Layer, ...]"
    config: "Extent | None"
    btf: "Extent | None"
    kallsyms: "Extent | None"
    file_type: str = ""
    loaders: "tuple[LoaderVerdict, ...]" = ()


class Image(EfiProgram):
    """An arm64 `Image`, as `objcopy -O binary` writes it.

    Source: Documentation/arch/arm64/booting.rst.
    """

    kind = "an arm64 Image"
    hint = "`kinspect image` shows it"

    @cached_property
    def header(self) -> ImageHeader:
        """The 64-byte header. TruncatedError when the file is shorter, MalformedError when it is not an arm64 Image."""
        data = self.source.head(size_of(ImageHeader))
        if len(data) < size_of(ImageHeader) or not data.startswith(MAGIC, offsets(ImageHeader)["magic"]):
            head = self.source.head(HEAD)
            raise self.refusal(self.source, description(head), advice(head))
        return parse(ImageHeader, data)

    @classmethod
    def refusal(cls, source: Source, found: str, advice: str = "") -> KinspectError:
        """The error for a file without the magic number: where it should be, unless the file is of a known kind."""
        if advice or found == TEXT:
            return super().refusal(source, found, advice)
        head, size, at = source.head(HEAD), size_of(ImageHeader), offsets(ImageHeader)["magic"]
        if len(head) < size:
            return TruncatedError(f"need {size} bytes for an Image header, have {len(head)}", Location(source.path))
        place, actual = Location(source.path, "magic", at), head[at : at + len(MAGIC)]
        return MalformedError(f"not an arm64 Image ({found})", place, expected=MAGIC, actual=actual)

    def field(self, name: str) -> Location:
        """The location of a field of the header."""
        return self.at(name, offsets(ImageHeader)[name])

    @property
    def pe_offset(self) -> int:
        """The offset of the PE/COFF header; 0 when there is none. Raises as `header` does."""
        return self.header.res5

    @property
    def pe_offset_at(self) -> Location:
        """The location of the field with that offset."""
        return self.field("res5")

    @cached_property
    def _banner(self) -> tuple[int, str] | None:
        from kinspect.artifacts.raw.scan import banner_in

        return banner_in(self.source, [(0, self.searched)])

    @cached_property
    def _kallsyms(self) -> "Extent | None":
        from kinspect.artifacts.raw.embedded import kallsyms_in

        return kallsyms_in(self.source, self.searched, self._banner[0] if self._banner else 0)

    @cached_property
    def _build_id(self) -> tuple[int, bytes] | None:
        from kinspect.artifacts.raw.scan import build_id_in

        # The linker puts the notes after kallsyms, and both after the banner: include/asm-generic/vmlinux.lds.h.
        places = (self._banner[0] if self._banner else 0, self._kallsyms.offset if self._kallsyms else 0)
        last = self.searched
        for start in sorted({0, *places}, reverse=True):
            if found := build_id_in(self.source, start, last):
                return found
            last = start
        return None

    @property
    def searched(self) -> int:
        """How many of the raw bytes are searched."""
        return min(self.size, LARGEST_KERNEL)

    @property
    def banner_at(self) -> int | None:
        """The offset of the banner; None without one."""
        return self._banner[0] if self._banner else None

    @property
    def banner(self) -> str | None:
        """The `Linux version` line that the kernel prints first.

        None when there is none. A weak string without a build number often precedes it and is skipped.
        """
        return self._banner[1] if self._banner else None

    @property
    def build_id(self) -> bytes | None:
        """The GNU build ID in the raw bytes; None when there is none. The embedded vDSOs have their own."""
        return self._build_id[1] if self._build_id else None

    @cached_property
    def embedded(self) -> "Embedded":
        """The extents of the embedded .config, BTF and kallsyms."""
        from kinspect.artifacts.raw.embedded import embedded_in

        return embedded_in(self.source, self.searched, self._kallsyms, self._build_id[0] if self._build_id else 0)

    @property
    def program(self) -> EfiProgram:
        """The EFI program that firmware starts, and whose signature it verifies: a zboot image around it, or itself."""
        return next((wrapping for wrapping in self.wrappings if isinstance(wrapping, EfiProgram)), self)

    @property
    def facts(self) -> ImageFacts:
        """All of the above. A broken PE header is left to the checks. Raises as `header` does."""
        return ImageFacts(
            self.path,
            self.size,
            self.header,
            self.banner,
            self.build_id.hex() if self.build_id else None,
            self.readable_pe,
            self.program.signature,
            self.layers,
            *self.embedded,
        )
