"""The symbols that an Image has, and the address that it was linked at; of an Image without kallsyms none."""

from collections.abc import Mapping
from typing import NamedTuple

from kinspect.artifacts.boot.ending import relocations
from kinspect.artifacts.boot.image import Image
from kinspect.artifacts.raw.kallsyms_offsets import out_of_order
from kinspect.errors import UnsupportedError
from kinspect.views.kernel.image_symbols import image_symbols
from kinspect.views.tables.raw_exports import readable_exports

_SEQUENCE, _INDEX = 3, 512
"""Bytes of an entry of kallsyms_seqs_of_names, and of the token index. Source: kernel/kallsyms.c."""


EXPORTED = "X"
"""The letter of a symbol that is known from the exports alone: its section says what it is."""
DATA_LETTERS = frozenset("dbB")
"""Without CONFIG_KALLSYMS_ALL, a few labels around the code are all that is not code, of type D."""


class KnownSymbols(NamedTuple):
    """Names, letters and offsets as in `ImageSymbols`, sorted by offset; `problem` says why there are none.

    `sizes` are those of data that are known, in bytes.
    """

    names: list[str]
    letters: list[str]
    offsets: list[int]
    start: int | None
    known_from: str
    problem: str = ""
    sizes: Mapping[str, int] = {}


def known_symbols(image: Image) -> KnownSymbols:
    """The symbols of an Image. MalformedError when its kallsyms contradicts itself."""
    try:
        found = image_symbols(image)
    except UnsupportedError as error:
        table = relocations(image)
        start, known_from = (table.base, "the relocations") if table else (None, "")
        return KnownSymbols(*_sorted(*_with_exports(image, [], [], [])), start, known_from, error.problem)
    columns = found.names, found.letters, found.offsets
    if not DATA_LETTERS.intersection(found.letters):
        columns = _with_exports(image, *columns)
    sizes = {"kallsyms_seqs_of_names": _SEQUENCE * len(found.names), "kallsyms_token_index": _INDEX}
    return KnownSymbols(*_sorted(*columns), found.start, found.known_from, sizes=sizes)


def _sorted(names: list[str], letters: list[str], offsets: list[int]) -> tuple[list[str], list[str], list[int]]:
    """The columns sorted by offset, as they are already in kallsyms, unless it is damaged, which a check reports."""
    if not out_of_order(offsets):
        return names, letters, offsets
    order = sorted(range(len(offsets)), key=offsets.__getitem__)
    return [names[index] for index in order], [letters[index] for index in order], [offsets[index] for index in order]


def _with_exports(
    image: Image, names: list[str], letters: list[str], offsets: list[int]
) -> tuple[list[str], list[str], list[int]]:
    """The symbols and, of the exports, those that are not among them: variables, or all without kallsyms."""
    known, size = set(names), image.header.image_size
    names, letters, offsets = list(names), list(letters), list(offsets)
    for table in readable_exports(image).tables:
        for export, target in zip(table.exports, table.targets, strict=True):
            if export.name not in known and 0 <= target < size:
                known.add(export.name)
                names.append(export.name)
                letters.append(EXPORTED)
                offsets.append(target)
    return names, letters, offsets
