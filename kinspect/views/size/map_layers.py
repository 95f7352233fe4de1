"""Layers from the linker's map: a kernel's memory by object, and by the source of each object.

The map names objects, compile units name sources. An object that was itself linked from others (`kvm_nvhe.o`, or
`vmlinux.o` of an LTO build) has no single source: within it, sources are still inferred from symbols.
"""

import posixpath
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence

from kinspect.artifacts.build.linker_map import Contribution, LinkerMap
from kinspect.artifacts.dwarf.compile_units import CompileUnit
from kinspect.artifacts.elf.vmlinux import Vmlinux
from kinspect.errors import MalformedError
from kinspect.views.size.account import SizeSpan
from kinspect.views.size.layers import MemoryLayer, replaced

KALLSYMS = "[kallsyms]"
_FILL = 64
"""A shorter gap is fill, and belongs to the object before it."""


def object_path(written: str) -> str:
    """The path of an object as a linker writes it: `a/b.o` for `a/lib.a(b.o)`, `init/main.o` for `x.a(init/main.o)`."""
    archive, bracket, member = written.removesuffix(")").partition("(")
    if not bracket or not written.endswith(")"):
        return posixpath.normpath(written)
    return posixpath.normpath(member if "/" in member else posixpath.join(posixpath.dirname(archive), member))


def map_objects(contributions: Iterable[Contribution]) -> dict[str, str]:
    """The path of each object, by its name in the map."""
    return {written: _named(object_path(written)) for written in {part.object for part in contributions}}


def map_sources(contributions: Sequence[Contribution], units: Sequence[CompileUnit]) -> dict[str, str]:
    """The source of each object, by its name in the map; its own path when no compile unit belongs to it.

    Objects that were linked from others are left out: they contain code of compile units that are not theirs.
    """
    paths: dict[str, str] = {}
    for unit in units:
        paths.setdefault(posixpath.splitext(unit.path)[0], unit.path)
    found = map_objects(contributions)
    others = set()
    for written, path in found.items():
        source = next((paths[stem] for stem in _source_stems(path) if stem in paths), None)
        if source is None:
            others.add(written)
        else:
            found[written] = source
    code = sorted(start for unit in units for start, _ in unit.ranges)
    for part in contributions:
        if part.object in others and bisect_left(code, part.address) < bisect_left(code, part.address + part.size):
            found.pop(part.object, None)
    return found


def _named(path: str) -> str:
    return KALLSYMS if posixpath.basename(path).startswith((".tmp_vmlinux.kallsyms", ".tmp_kallsyms")) else path


def _source_stems(path: str) -> tuple[str, ...]:
    """The paths that an object's source can have, without their extension.

    Kbuild adds to the name before `.o` (`fdt.stub.o`, `map_kernel.pi.o`) and in front (`lib-fdt.stub.o` of lib/fdt.c);
    the source of a Rust crate is lib.rs in a folder with its name.
    """
    path = path.removesuffix(".o")
    folder, name = posixpath.split(path)
    name = name.partition(".")[0]
    return path, posixpath.join(folder, name), f"lib/{name.removeprefix('lib-')}", f"{path}/lib"


def kernel_contributions(vmlinux: Vmlinux, linked: LinkerMap) -> list[Contribution]:
    """The map's input sections in a kernel's memory, by address. MalformedError when the map is of another vmlinux."""
    by_name = {section.name: section for section in vmlinux.loaded_sections}
    for output in linked.outputs:
        section = by_name.get(output.section)
        if section is not None and (output.address, output.size) != (section.address, section.size):
            raise MalformedError(
                f"the map is not of {vmlinux.path}: {section.name}",
                linked.at()._replace(line=linked.line(output.offset)),
                expected=f"{section.size:#x} bytes at {section.address:#x}",
                actual=f"{output.size:#x} at {output.address:#x}",
            )
    if not by_name.keys() & {output.section for output in linked.outputs}:
        raise MalformedError(f"the map is not of {vmlinux.path}: no section is in both", linked.at())
    found = sorted((part for part in linked.contributions if part.object), key=lambda part: part.address)
    kept = []
    for number, part in enumerate(found):
        section = vmlinux.section_at(part.address)
        if section is not None:
            # GNU ld lists merged strings with their full size before merging, so they seem to overlap what follows.
            end = min(section.end, found[number + 1].address if number + 1 < len(found) else section.end)
            if part.address < end:
                kept.append(part._replace(size=min(part.size, end - part.address)))
    return kept


def map_layer(
    inferred: MemoryLayer, spans: Sequence[SizeSpan], contributions: Sequence[Contribution], names: dict[str, str]
) -> MemoryLayer:
    """The inferred layer, with the contributions of the objects in `names` under the name that it gives them."""
    return replaced(inferred, _parts(spans, contributions, names))


def _parts(
    spans: Sequence[SizeSpan], contributions: Sequence[Contribution], names: dict[str, str]
) -> Iterator[tuple[int, int, list[tuple[int, str]]]]:
    ends = iter([span.address + span.size for span in spans])
    limit = next(ends)
    for number, part in enumerate(contributions):
        start, end = part.address, part.address + part.size
        while limit <= start:
            limit = next(ends, 1 << 64)
        after = contributions[number + 1].address if number + 1 < len(contributions) else end
        upto = min(after, limit)
        if part.object in names:
            yield start, upto if upto - end < _FILL else end, [(start, names[part.object])]
