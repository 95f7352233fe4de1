"""A kernel to compare with another: its bytes as they lie in memory, and its functions and data with their extents."""

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from struct import iter_unpack
from typing import NamedTuple

from kinspect.artifacts.boot.image import Image
from kinspect.artifacts.elf.vmlinux import Vmlinux
from kinspect.artifacts.raw.limits import LARGEST_KERNEL
from kinspect.errors import UnsupportedError
from kinspect.schemas.elf import STT_OBJECT
from kinspect.source import Source
from kinspect.views.changes.names import is_boundary, is_of_linker
from kinspect.views.diff.objcopy import MAKEFILE_FLAGS, Flags, flat_image
from kinspect.views.kernel.instructions import NOP
from kinspect.views.kernel.listed_symbols import symbols_facts
from kinspect.views.kernel.relaxed import unrelaxed
from kinspect.views.kernel.type_hashes import type_hashes

_LLD = "LLD"
_ALTERNATIVES, _ALTERNATIVE, _ROW = ("__alt_instructions", "__alt_instructions_end"), "<4xi3xB", 12
_CODE, _DATA = frozenset("tTwW"), frozenset("rRdDvVgGbBsS")


class SymbolExtent(NamedTuple):
    """A function or data that only one kernel has. The offset counts from `_text`, the size is in bytes."""

    name: str
    offset: int
    size: int


class KernelSide(NamedTuple):
    """One of two kernels. All offsets count from `_text`, and all sizes are in bytes.

    `image` is the raw Image, also of a vmlinux; `start` is the address of `_text`, None when it is not known, and
    `code_end` the offset of `_etext`. `data` are the bytes, but for what LLD relaxed, and `words` the same as
    instructions. `names` has the best name at an offset, `aliases` all of them where there are several; `bounds` are
    all offsets with a symbol. `functions` and `objects` are offsets in ascending order, and `ends` where each ends;
    padding is not part of a function. Objects in .bss are behind `data`. `veneers` are the linker's. `names_data` says
    whether the kernel has names of data: kallsyms may have only functions. `sizes` are those of data that are known: a
    vmlinux has them, kallsyms has not. `body_sizes` keeps what was found of where the code of functions ends. `hashes`
    are the places of the type hashes of functions (kCFI), by these functions.
    """

    image: Image
    start: int | None
    code_end: int
    data: bytes
    words: memoryview
    names: dict[int, str]
    aliases: dict[int, list[tuple[str, str]]]
    bounds: list[int]
    functions: list[int]
    objects: list[int]
    ends: dict[int, int]
    veneers: frozenset[int]
    names_data: bool
    sizes: dict[int, int]
    body_sizes: dict[int, int]
    hashes: dict[int, int]

    def symbol_at(self, offset: int) -> str:
        """The symbol that holds an offset, with the place in it; empty when the kernel has no name for it."""
        start = self.owner(offset)
        if start is None:
            return ""
        return f"{self.names[start]}+{offset - start:#x}" if offset > start else self.names[start]

    def owner(self, offset: int) -> int | None:
        """Where the function or data begins that holds an offset."""
        at = bisect_right(self.bounds, offset) - 1
        return self.bounds[at] if at >= 0 and offset < self.ends.get(self.bounds[at], 0) else None

    def function(self, start: int) -> bytes:
        """The bytes of the function that begins at an offset."""
        return self.data[start : self.ends[start]]

    def name(self, offset: int) -> str:
        """The name at an offset where a symbol is."""
        return self.names.get(offset, "")


def kernel_side(kernel: Image | Vmlinux) -> KernelSide:
    """A kernel with its symbols. UnsupportedError without symbols, or for one that is too large to be a kernel."""
    data = _bytes_of(kernel)
    # The symbol table of a vmlinux takes up to 60 MB: what was read of it is not kept with the kernel.
    facts = symbols_facts(kernel if isinstance(kernel, Image) else Vmlinux(kernel.source))
    first: dict[int, tuple[str, str]] = {}
    several: dict[int, list[tuple[str, str]]] = {}
    for offset, letter, name in zip(facts.offsets, facts.letters, facts.names, strict=True):
        if offset is None or offset < 0 or letter in "aAnN" or name.startswith((".L", "$")) or not name:
            continue
        # A mapping symbol with a prefix, of data in the middle of other data.
        if letter in _DATA and name.endswith("_$d"):
            continue
        if offset in first:
            several.setdefault(offset, [first[offset]]).append((letter, name))
        else:
            first[offset] = letter, name
    bounds = sorted(first)
    veneers = frozenset(offset for offset, (_, name) in first.items() if is_of_linker(name))
    names: dict[int, str] = {}
    functions: list[int] = []
    objects: list[int] = []
    for offset in bounds:
        letter, name = first[offset]
        if offset in several:
            letter, name = _best(several[offset])
        if offset in veneers or (letter in _CODE and is_boundary(name)):
            continue
        names[offset] = name
        if letter in _CODE:
            functions.append(offset)
        elif letter in _DATA:
            objects.append(offset)
    words = memoryview(data)[: len(data) & -4].cast("I")
    hashes = type_hashes(words, bounds, functions, _asides(data, names, several))
    ends = _ends(words, bounds, functions, hashes, len(data))
    following = dict(zip(bounds, [*bounds[1:], bounds[-1] if bounds else 0], strict=True))
    ends.update((start, following[start]) for start in objects)
    functions = [offset for offset in functions if offset in ends and ends[offset] > offset and not offset & 3]
    image = kernel if isinstance(kernel, Image) else Image(Source(kernel.path, data))
    data = _compared(image, data, functions, ends)
    return KernelSide(
        image,
        facts.start,
        _code_end(first, several),
        data,
        memoryview(data)[: len(data) & -4].cast("I"),
        names,
        several,
        bounds,
        functions,
        [offset for offset in objects if ends.get(offset, 0) > offset],
        ends,
        veneers,
        2 * len(objects) > len(functions),
        _sizes(kernel, facts.start, objects, ends) if isinstance(kernel, Vmlinux) else {},
        {},
        hashes,
    )


def _compared(image: Image, data: bytes, functions: list[int], ends: dict[int, int]) -> bytes:
    """The bytes of a kernel as they are compared: of one that LLD linked, with what it relaxed as it was before."""
    return unrelaxed(data, functions, ends) if _LLD in (image.banner or "") else data


def _asides(data: bytes, names: dict[int, str], several: dict[int, list[tuple[str, str]]]) -> set[int]:
    """Where code ends that replaces other code at boot, by the table of alternatives, if its place has a name."""
    places = {name: offset for offset, name in names.items() if name in _ALTERNATIVES}
    places |= {name: offset for offset, found in several.items() for _, name in found if name in _ALTERNATIVES}
    first, end = (places.get(name, 0) for name in _ALTERNATIVES)
    table = data[first : max(first, end)]
    rows = iter_unpack(_ALTERNATIVE, table[: len(table) // _ROW * _ROW])
    return {first + _ROW * at + 4 + replacement + length for at, (replacement, length) in enumerate(rows)}


def _code_end(first: dict[int, tuple[str, str]], several: dict[int, list[tuple[str, str]]]) -> int:
    for offset, symbol in first.items():
        if any(name == "_etext" for _, name in several.get(offset, (symbol,))):
            return offset
    return 0


def _sizes(vmlinux: Vmlinux, start: int | None, objects: list[int], ends: dict[int, int]) -> dict[int, int]:
    """The sizes of objects, of several symbols at an offset the largest, but not more than up to the next symbol."""
    found: dict[int, int] = {}
    symbols = Vmlinux(vmlinux.source).symbols
    for value, info, size in zip(symbols.values, symbols.infos, symbols.sizes, strict=True):
        if info & 15 == STT_OBJECT and size and start is not None and found.get(value - start, 0) < size:
            found[value - start] = size
    return {offset: min(found[offset], ends[offset] - offset) for offset in objects if offset in found}


def _bytes_of(kernel: Image | Vmlinux) -> bytes:
    if isinstance(kernel, Image):
        if kernel.size > LARGEST_KERNEL:
            expected = f"at most {LARGEST_KERNEL:,} bytes"
            raise UnsupportedError("too large for a kernel", kernel.at(), expected=expected, actual=kernel.size)
        return kernel.source.read(0, kernel.size)
    flat = flat_image(kernel, Flags((*MAKEFILE_FLAGS[3::2],), MAKEFILE_FLAGS, "arch/arm64/boot/Makefile"))
    data = bytearray(flat.size)
    for span in flat.spans:
        kernel.source.read_into(span.source_offset, memoryview(data)[span.offset : span.end])
    return bytes(data)


def _best(symbols: Iterable[tuple[str, str]]) -> tuple[str, str]:
    """The letter and name by which an offset is known: a function before a boundary, a global one before a local.

    A mapping symbol with a prefix (`__pi_$x`) is the last.
    """
    return min(symbols, key=lambda symbol: ("$" in symbol[1], is_boundary(symbol[1]), symbol[0] > "Z", symbol[1]))


def _ends(
    words: Sequence[int], bounds: list[int], functions: list[int], hashes: dict[int, int], size: int
) -> dict[int, int]:
    """Where each function ends: before the padding in front of the next symbol, and before the hash of the next."""
    following = dict(zip(bounds, [*bounds[1:], size], strict=True))
    ends = {}
    for start in functions:
        after = following[start]
        last = (min(hashes.get(after, after), size) >> 2) - 1
        first = start >> 2
        while last >= first and words[last] in (NOP, 0):
            last -= 1
        ends[start] = 4 * last + 4
    return ends
