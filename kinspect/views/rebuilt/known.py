"""The symbols that an Image has, and the address that it was linked at; of an Image without kallsyms none."""

from collections.abc import Mapping
from typing import NamedTuple

from kinspect.artifacts.boot.ending import relocations
from kinspect.artifacts.boot.image import Image
from kinspect.artifacts.raw.kallsyms_offsets import out_of_order
from kinspect.errors import UnsupportedError
from kinspect.views.kernel.image_symbols import image_symbols

_SEQUENCE, _INDEX = 3, 512
"""Bytes of an entry of kallsyms_seqs_of_names, and of the token index. Source: kernel/kallsyms.c."""


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
        return KnownSymbols([], [], [], start, known_from, error.problem)
    names, letters, offsets = found.names, found.letters, found.offsets
    if out_of_order(offsets):  # which a check reports
        order = sorted(range(len(offsets)), key=offsets.__getitem__)
        names, letters = [names[index] for index in order], [letters[index] for index in order]
        offsets = [offsets[index] for index in order]
    sizes = {"kallsyms_seqs_of_names": _SEQUENCE * len(names), "kallsyms_token_index": _INDEX}
    return KnownSymbols(names, letters, offsets, found.start, found.known_from, sizes=sizes)
