"""The layers of a kernel's memory (by section, source, symbol ...), and the bytes of every group in them."""

import re
from collections.abc import Callable, Sequence
from functools import cached_property

from kinspect.artifacts.boot.image import Image
from kinspect.artifacts.build.linker_map import Contribution, LinkerMap
from kinspect.artifacts.dwarf.compile_units import CompileUnit, CompileUnits
from kinspect.artifacts.elf.mapping_symbols import ObjectMap, object_map
from kinspect.artifacts.elf.vmlinux import Vmlinux
from kinspect.schemas import elf
from kinspect.views.size.account import Sizes, SizeSpan, sizes
from kinspect.views.size.layers import LayerBuilder, MemoryLayer, overlay

GROUPINGS = ("section", "segment", "kind", "folder", "source", "object", "symbol")
SOURCE_SEPARATOR = "\0"
"""Separates a symbol from its source: equal names in different files are different symbols."""
_KINDS = (
    (re.compile(r"\.BTF.*"), "BTF"),
    (re.compile(r"\.rel[ar]\..*"), "relocations"),
    (re.compile(r"__k(symtab|crctab|flagstab).*"), "exports"),
    (re.compile(r".*percpu.*"), "per-CPU data"),
)
_SOURCE = re.compile(r"\.(c|S|s|rs|cc|cpp)$")

OWN = "."
"""The group of the files directly in a folder, beside its subfolders; at the top, of the files in no folder."""
Path = tuple[str, ...]
Leaves = dict[Path, tuple[int, int]]
"""Bytes of each group, in the file and in memory."""


class Attribution:
    """The layers of one kernel, each computed on first use.

    Objects and sources are taken from the linker's map if there is one, and inferred from symbols and DWARF otherwise;
    without `has_sources`, as of an Image, all bytes are NO_SOURCE.
    Raises MalformedError as `kinspect.views.size.account.sizes` does, and when the map belongs to another vmlinux.
    """

    def __init__(
        self, vmlinux: Vmlinux, image: Image | None = None, linked: LinkerMap | None = None, has_sources: bool = True
    ) -> None:
        self.vmlinux, self._linked, self._has_sources = vmlinux, linked, has_sources
        self.account: Sizes = sizes(vmlinux, image)

    @property
    def _spans(self) -> tuple[SizeSpan, ...]:
        return self.account.spans

    @cached_property
    def _link_map(self) -> ObjectMap:
        return object_map(self.vmlinux.symbols)

    @cached_property
    def _units(self) -> tuple[CompileUnit, ...]:
        return CompileUnits(self.vmlinux).units

    @cached_property
    def _inferred_source(self) -> MemoryLayer:
        """The layer of sources from symbols and DWARF alone, without a map."""
        from kinspect.views.size.source_layer import source_layer

        return source_layer(self.vmlinux, self._spans, self._link_map, self._units)

    @cached_property
    def _contributions(self) -> list[Contribution]:
        from kinspect.views.size.map_layers import kernel_contributions

        return kernel_contributions(self.vmlinux, self._linked) if self._linked else []

    @cached_property
    def source(self) -> MemoryLayer:
        """The layer of source files, as paths; bytes without a source file are named in brackets."""
        from kinspect.views.size.map_layers import map_layer, map_sources
        from kinspect.views.size.source_layer import NO_SOURCE, with_table_owners

        if not self._has_sources:
            return self._by_span(lambda _: NO_SOURCE)
        names = map_sources(self._contributions, self._units)
        layer = map_layer(self._inferred_source, self._spans, self._contributions, names)
        return with_table_owners(self.vmlinux, layer)

    @cached_property
    def object(self) -> MemoryLayer:
        """The layer of object files: from the map, otherwise named after their sources."""
        if self._linked is None:
            return _as_objects(self.source)
        from kinspect.views.size.map_layers import map_layer, map_objects
        from kinspect.views.size.source_layer import with_table_owners

        names, inferred = map_objects(self._contributions), _as_objects(self._inferred_source)
        return with_table_owners(self.vmlinux, map_layer(inferred, self._spans, self._contributions, names))

    @cached_property
    def symbol(self) -> MemoryLayer:
        """The layer of symbols; bytes between symbols are named in brackets."""
        from kinspect.views.size.symbol_runs import symbol_layer

        return symbol_layer(self.vmlinux, self._spans)

    @cached_property
    def _symbol_source(self) -> MemoryLayer:
        from kinspect.views.size.symbol_runs import symbol_sources

        return symbol_sources(self.symbol, self.source)

    @cached_property
    def section(self) -> MemoryLayer:
        """The layer of sections, page tables and alignment."""
        return self._by_span(lambda span: f"[{span.kind}]" if span.kind == "alignment" else span.name)

    @cached_property
    def segment(self) -> MemoryLayer:
        """The layer of PT_LOAD segments, with their permissions."""
        loads = [segment for segment in self.vmlinux.segments if segment.p_type == elf.PT_LOAD]
        names = []
        for number, segment in enumerate(loads):
            letters = zip((elf.PF_R, elf.PF_W, elf.PF_X), "RWX", strict=True)
            flags = "".join(letter for flag, letter in letters if segment.p_flags & flag)
            names.append((segment.p_vaddr, segment.p_vaddr + segment.p_memsz, f"LOAD {number} ({flags})"))
        builder = LayerBuilder()
        first, end = self._bounds
        edges = {first, *(edge for start, stop, _ in names for edge in (start, stop) if first < edge < end)}
        for edge in sorted(edges):
            builder.add(edge, next((name for start, stop, name in names if start <= edge < stop), "[no segment]"))
        return builder.layer(end)

    @cached_property
    def kind(self) -> MemoryLayer:
        """The layer of kinds of contents: code, data, relocations, alignment ..."""
        return self._by_span(self._kind)

    @property
    def _bounds(self) -> tuple[int, int]:
        return self._spans[0].address, self._spans[-1].address + self._spans[-1].size

    @property
    def file_end(self) -> int:
        """The address of the first byte that is not in the Image."""
        return self._bounds[0] + self.account.file_size

    def _by_span(self, name: Callable[[SizeSpan], str]) -> MemoryLayer:
        builder = LayerBuilder()
        for span in self._spans:
            builder.add(span.address, name(span))
        return builder.layer(self._bounds[1])

    def _kind(self, span: SizeSpan) -> str:
        if span.kind != "section":
            return {"page table": "page tables"}.get(span.kind, span.kind)
        for pattern, kind in _KINDS:
            if pattern.fullmatch(span.name):
                return kind
        if "X" in span.flags:
            return "init code" if span.freed else "code"
        if span.freed:
            return "init data"
        if not span.file_size:
            return "zero-initialised data"
        # The kernel maps everything before it read-only, even sections whose flags say writable.
        writable = self.vmlinux.symbols.value("_sdata") or self.vmlinux.symbols.value("_data")
        if writable is None and (data := self.vmlinux.section(".data")):
            writable = data.address
        return "data" if writable is not None and span.address >= writable else "read-only data"

    def layer(self, name: str) -> MemoryLayer:
        """The layer that a grouping takes its names from."""
        found: MemoryLayer = getattr(self, "source" if name == "folder" else name)
        return found

    def leaves(self, by: Sequence[str], depth: int | None = None, section: str | None = None) -> Leaves:
        """The bytes of every group, keyed by its path of names: `by` lists GROUPINGS, outermost first.

        Folders go down to `depth` levels; with a `section` only its bytes count. A symbol's name is followed by
        SOURCE_SEPARATOR and the source of its first byte.
        """
        layers = [self.layer(name) for name in by]
        paths = [
            [_path(name, label, depth, by) for label in layer.names] for name, layer in zip(by, layers, strict=True)
        ]
        others = [self.section] if section is not None else []
        if "symbol" in by:
            others.insert(0, self._symbol_source)
        file_end = self.file_end
        found = overlay([*layers, *others], (file_end,))
        sums: dict[tuple[int, ...], list[int]] = {}
        for start, size, key in zip(found.starts, found.sizes, zip(*found.labels, strict=True), strict=True):
            pair = sums.get(key)
            if pair is None:
                pair = sums[key] = [0, 0]
            pair[1] += size
            if start < file_end:
                pair[0] += size
        leaves: dict[Path, tuple[int, int]] = {}
        for key, (file, memory) in sums.items():
            if section is not None and self.section.names[key[-1]] != section:
                continue
            path: Path = ()
            for name, names, label in zip(by, paths, key, strict=False):
                # Bytes without an owner have the same name in every grouping.
                path += () if path[-1:] == names[label] and path[-1].startswith("[") else names[label]
                if name == "symbol" and not path[-1].startswith("["):
                    path = (*path[:-1], f"{path[-1]}{SOURCE_SEPARATOR}{self.source.names[key[len(by)]]}")
            before = leaves.get(path, (0, 0))
            leaves[path] = before[0] + file, before[1] + memory
        return leaves


def _as_objects(layer: MemoryLayer) -> MemoryLayer:
    return layer._replace(names=[_SOURCE.sub(".o", name) for name in layer.names])


def _path(grouping: str, name: str, depth: int | None, by: Sequence[str]) -> Path:
    """The groups of one name in a layer, outermost first: a folder's path, or a file without the folder above it."""
    if name.startswith("[") or grouping not in ("folder", "source", "object"):
        return (name,)
    folder, _, file = name.rpartition("/")
    if grouping == "folder":
        return tuple(part or "/" for part in (folder or OWN).split("/"))[:depth]
    file = file if depth is None and "folder" in by[: by.index(grouping)] else name
    return (file,)
