"""What is in an ELF file that was made from a raw Image, and what an Image cannot tell."""

from collections.abc import Iterator
from typing import NamedTuple

from kinspect.artifacts.boot.image import Image
from kinspect.artifacts.layer import Layer
from kinspect.views.rebuilt.file import RebuiltElf
from kinspect.views.rebuilt.known import DATA_LETTERS, known_symbols
from kinspect.views.rebuilt.sections import ImageSection

_EXPECTED = ("__ksymtab", "__param", "__ex_table", ".BTF", ".altinstructions", ".data..percpu", "__bug_table")
"""Sections that nearly every kernel has."""


class WrittenSection(NamedTuple):
    """A section; `size` in bytes. `letter` is that of nm for a local symbol in it."""

    name: str
    address: int
    size: int
    letter: str


class ElfFacts(NamedTuple):
    """The ELF file `out` of `size` bytes, made from an Image, whose wrappings are `layers`, the outermost first.

    `start` is the address of `_text`, and `known_from` says what it follows from. `functions` and `objects` are the
    symbols of these types, of all `symbols`. `left_out` bytes follow the kernel in the Image: a signature, or padding.
    `missing` says what a vmlinux has and this file has not.
    """

    path: str
    out: str
    size: int
    layers: tuple[Layer, ...]
    start: int
    known_from: str
    build_id: str | None
    sections: tuple[WrittenSection, ...]
    symbols: int
    functions: int
    objects: int
    left_out: int
    missing: tuple[str, ...]


def elf_facts(image: Image, rebuilt: RebuiltElf, out: str) -> ElfFacts:
    """The facts of a file that was made from an Image."""
    sections, start, table = rebuilt.layout.sections, rebuilt.start, rebuilt.symbols
    return ElfFacts(
        image.path,
        out,
        rebuilt.size,
        image.layers,
        start,
        rebuilt.known_from,
        image.build_id.hex() if image.build_id else None,
        tuple(WrittenSection(row.name, start + row.start, row.end - row.start, row.letter) for row in sections),
        table.total,
        table.functions,
        table.objects,
        image.size - rebuilt.layout.end,
        tuple(missing_parts(image, sections)),
    )


def missing_parts(image: Image, sections: list[ImageSection]) -> Iterator[str]:
    """What a vmlinux has and an Image, or what can be found in it, has not. Raises as `known_symbols`."""
    yield "debug information (DWARF): sources, lines, inlined functions"
    yield missing_symbols(image) or "sizes of data: each symbol reaches to the next one"
    names = {section.name for section in sections}
    if absent := [name for name in _EXPECTED if name not in names]:
        yield f"sections that were not found: {', '.join(absent)}"


def missing_symbols(image: Image) -> str:
    """Which symbols kallsyms has not, and why; empty when it has all. Raises as `known_symbols`."""
    known = known_symbols(image)
    if known.problem:
        return known.problem.partition(";")[0]
    if not DATA_LETTERS.intersection(known.letters):
        return "no symbols of data, except exported ones: the kernel was built without CONFIG_KALLSYMS_ALL"
    return ""
