"""The kernel that a log is traced with: its identity, symbols, source lines and code."""

import re
from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

from kinspect.artifacts.boot.image import Image
from kinspect.artifacts.dwarf.frames import SourceFrame, SourceFrames
from kinspect.artifacts.elf.vmlinux import Vmlinux
from kinspect.errors import KinspectError, UnsupportedError
from kinspect.views.trace.patching import patched_ranges
from kinspect.views.trace.symbols import CodeSymbol, CodeSymbols, KallsymsSymbols, TableSymbols

if TYPE_CHECKING:
    from kinspect.views.kernel.image_symbols import ImageSymbols

_BANNER = re.compile(r"Linux version (\S+) .*?(#\S+)")
_MAIN = "init/main.c"
_STARTS = ("kernel_init", "start_kernel", "rest_init")
"""Functions of init/main.c, which every kernel has."""


class KernelIdentity(NamedTuple):
    """What a kernel says of itself: its banner, release, build number (`#1`) and build ID; each empty if not known."""

    banner: str
    release: str
    build: str
    build_id: str


class TracedKernel:
    """A vmlinux or an Image, as far as a trace needs it. `image` has the code of a vmlinux that has none."""

    def __init__(self, artifact: Vmlinux | Image, image: Image | None = None) -> None:
        self.artifact, self._image = artifact, artifact if isinstance(artifact, Image) else image

    @property
    def path(self) -> str:
        """The path of the file."""
        return self.artifact.path

    @cached_property
    def identity(self) -> KernelIdentity:
        """Its identity."""
        banner = self.artifact.banner or ""
        found = _BANNER.match(banner)
        build_id = self.artifact.build_id
        release, build = found.groups() if found else ("", "")
        return KernelIdentity(banner, release, build, build_id.hex() if build_id else "")

    @cached_property
    def symbols(self) -> CodeSymbols:
        """Its symbols. UnsupportedError when it has none."""
        if isinstance(self.artifact, Vmlinux):
            if not len(self.artifact.symbols):
                problem = "no symbols: it is stripped; take the vmlinux of the debug package, or the Image"
                raise UnsupportedError(problem, self.artifact.at())
            return TableSymbols(self.artifact, self.artifact.symbols, linked=True)
        return KallsymsSymbols(self._image_symbols)

    @property
    def _image_symbols(self) -> "ImageSymbols":
        from kinspect.views.kernel.image_symbols import image_symbols

        return image_symbols(self.artifact)  # type: ignore[arg-type]

    @cached_property
    def start(self) -> int | None:
        """The address of `_text`, its first byte; None when it is not known. Raises as `symbols` does."""
        if isinstance(self.artifact, Vmlinux):
            return self.artifact.text
        return self._image_symbols.start

    @cached_property
    def end(self) -> int | None:
        """The address after its last byte in memory; None when it is not known."""
        if isinstance(self.artifact, Vmlinux):
            return self.artifact.end
        return None if self.start is None else self.start + self.artifact.header.image_size

    def __contains__(self, address: int) -> bool:
        """Whether an address is one of the kernel as it was linked."""
        return self.start is not None and self.start <= address < (self.end or self.start)

    @cached_property
    def has_lines(self) -> bool:
        """Whether it has DWARF."""
        return isinstance(self.artifact, Vmlinux) and bool(self._frames)

    @property
    def why_no_lines(self) -> str:
        """Why there are no source lines, and what to do."""
        if isinstance(self.artifact, Vmlinux):
            return self.artifact.debug_note
        return "an Image has no DWARF: source lines need the vmlinux that it was made from"

    @cached_property
    def _frames(self) -> SourceFrames:
        return SourceFrames(self.artifact)  # type: ignore[arg-type]

    def frames(self, address: int, symbol: CodeSymbol) -> tuple[SourceFrame, ...]:
        """The source lines of an address in a function, the innermost inlined call first; none without DWARF.

        MalformedError when the DWARF is broken.
        """
        if not self.has_lines:
            return ()
        found = self._frames.at(address, (symbol.name, symbol.address))
        return self.relative(_named(found, symbol))

    def relative(self, frames: tuple[SourceFrame, ...]) -> tuple[SourceFrame, ...]:
        """Frames with paths relative to the sources of the kernel, where they are below them."""
        root = self._root
        if not root:
            return frames
        return tuple(
            one._replace(source=one.source._replace(path=one.source.path.removeprefix(root))) for one in frames
        )

    @cached_property
    def _root(self) -> str:
        """The folder of the sources, with a slash, if the compiler was given absolute paths; empty otherwise."""
        for name in _STARTS:
            for symbol in self.symbols.named(name) if self.has_lines else ():
                found = self._frames.at(symbol.address, (name, symbol.address))
                path = found[-1].source.path if found else ""
                if path.startswith("/") and path.endswith(f"/{_MAIN}"):
                    return path.removesuffix(_MAIN)
        return ""

    def code(self, address: int, size: int) -> bytes | None:
        """The bytes at an address, as they were linked; None where the files have none."""
        artifact = self.artifact
        try:
            if isinstance(artifact, Vmlinux) and artifact.has_code:
                return artifact.read_address(address, size)
            offset = address - (self.start or 0)
            if self._image and 0 <= offset <= self._image.size - size:
                return self._image.source.read(offset, size)
        except KinspectError:
            pass
        return None

    @cached_property
    def _patched(self) -> Sequence[tuple[int, int]] | None:
        return patched_ranges(self.symbols, self.code)

    def is_patched(self, address: int) -> bool | None:
        """Whether the kernel may write another instruction to an address when it runs; None when it is not known."""
        if self._patched is None:
            return None
        return any(start <= address < end for start, end in self._patched)


def _named(frames: tuple[SourceFrame, ...], symbol: CodeSymbol) -> tuple[SourceFrame, ...]:
    """Frames of which the outermost has the name of the symbol if DWARF has none, as for assembly."""
    if not frames or frames[-1].function:
        return frames
    return (*frames[:-1], frames[-1]._replace(function=symbol.name.partition(".")[0]))
