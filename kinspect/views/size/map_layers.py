"""The memory of a kernel divided among its objects as the linker's map says, and among their sources.

The map names objects, the compile units name sources. In what an object gave that was linked from others before
(`kvm_nvhe.o`, `vmlinux.o` of a build with LTO) sources stay what the symbols tell.
"""

import posixpath
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence

from kinspect.artifacts.build.linker_map import Contribution, LinkerMap
from kinspect.artifacts.dwarf.compile_units import CompileUnit
from kinspect.artifacts.elf.vmlinux import Vmlinux
from kinspect.errors import MalformedError
from kinspect.views.size.account import SizeSpan
from kinspect.views.size.layers import Layout, replaced

KALLSYMS = "[kallsyms]"
_FILL = 64
"""A gap that is shorter is fill, and belongs to what is before it."""


def object_path(written: str) -> str:
    """The path of an object as a linker writes it: `a/b.o` for `a/lib.a(b.o)`, `init/main.o` for `x.a(init/main.o)`."""
    archive, bracket, member = written.removesuffix(")").partition("(")
    if not bracket or not written.endswith(")"):
        return posixpath.normpath(written)
    return posixpath.normpath(member if "/" in member else posixpath.join(posixpath.dirname(archive), member))


def map_objects(contributions: Iterable[Contribution]) -> dict[str, str]:
    """The path of each object, by what the map writes."""
    return {written: _named(object_path(written)) for written in {one.object for one in contributions}}


def map_sources(contributions: Sequence[Contribution], units: Sequence[CompileUnit]) -> dict[str, str]:
    """The source of each object, by what the map writes: its own path when no compile unit is of it.

    An object that was linked from others is left out. It is no unit's, and has the code of some.
    """
    paths: dict[str, str] = {}
    for unit in units:
        paths.setdefault(posixpath.splitext(unit.path)[0], unit.path)
    found = map_objects(contributions)
    others = set()
    for written, path in found.items():
        source = next((paths[one] for one in _beginnings(path) if one in paths), None)
        if source is None:
            others.add(written)
        else:
            found[written] = source
    code = sorted(start for unit in units for start, _ in unit.ranges)
    for one in contributions:
        if one.object in others and bisect_left(code, one.address) < bisect_left(code, one.address + one.size):
            found.pop(one.object, None)
    return found


def _named(path: str) -> str:
    return KALLSYMS if posixpath.basename(path).startswith((".tmp_vmlinux.kallsyms", ".tmp_kallsyms")) else path


def _beginnings(path: str) -> tuple[str, ...]:
    """What the source of an object may begin with.

    Kbuild puts more before `.o` (`fdt.stub.o`, `map_kernel.pi.o`) and before the name (`lib-fdt.stub.o` of lib/fdt.c);
    a crate's source is a folder's lib.rs.
    """
    path = path.removesuffix(".o")
    folder, name = posixpath.split(path)
    name = name.partition(".")[0]
    return path, posixpath.join(folder, name), f"lib/{name.removeprefix('lib-')}", f"{path}/lib"


def kernel_contributions(vmlinux: Vmlinux, linked: LinkerMap) -> list[Contribution]:
    """What the map says of a kernel's memory, by address. MalformedError when the map is not of this vmlinux."""
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
    found = sorted((one for one in linked.contributions if one.object), key=lambda one: one.address)
    kept = []
    for number, one in enumerate(found):
        section = vmlinux.section_at(one.address)
        if section is not None:
            # GNU ld gives strings that others have too their full size, at the address of what follows.
            end = min(section.end, found[number + 1].address if number + 1 < len(found) else section.end)
            if one.address < end:
                kept.append(one._replace(size=min(one.size, end - one.address)))
    return kept


def map_layer(
    guess: Layout, spans: Sequence[SizeSpan], contributions: Sequence[Contribution], names: dict[str, str]
) -> Layout:
    """A layer in which what the objects in `names` gave bears their name there; all else is as the guess has it."""
    return replaced(guess, _parts(spans, contributions, names))


def _parts(
    spans: Sequence[SizeSpan], contributions: Sequence[Contribution], names: dict[str, str]
) -> Iterator[tuple[int, int, list[tuple[int, str]]]]:
    ends = iter([span.address + span.size for span in spans])
    limit = next(ends)
    for number, one in enumerate(contributions):
        start, end = one.address, one.address + one.size
        while limit <= start:
            limit = next(ends, 1 << 64)
        after = contributions[number + 1].address if number + 1 < len(contributions) else end
        upto = min(after, limit)
        if one.object in names:
            yield start, upto if upto - end < _FILL else end, [(start, names[one.object])]
