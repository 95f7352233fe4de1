"""The link map that every arm64 kernel hides in its symbol table.

Each object leaves mapping symbols (`$x` before code, `$d` before data) at the start of what it gives to a section, and
they stand behind the symbol of type FILE that names it. Objects come in the order of the link.
Source: ELF for the Arm 64-bit Architecture, section 5.8, mapping symbols; GNU ld, elf_link_input_bfd().
"""

import re
from bisect import bisect_right
from typing import NamedTuple

from kinspect.artifacts.symbols import Symbols
from kinspect.schemas.elf import SHN_LORESERVE, STT_FILE

_MAPPING = re.compile(rb"\$[xd][.\0]")


class LinkMap(NamedTuple):
    """What objects give to sections. `objects` are names as the linker gives them: `main.c`, `head.o`.

    `blocks` holds, for each section by number, addresses in ascending order and the number of the object from there on.
    The object -1 is none: what the linker made itself.
    """

    objects: tuple[str, ...]
    blocks: dict[int, tuple[list[int], list[int]]]


def mapping_names(symbols: Symbols) -> frozenset[int]:
    """The places in the string table where the names of mapping symbols begin.

    objcopy may have given them a prefix (`__pi_`, `__efistub_`, `__kvm_nvhe_`), and the linker lets a name be the tail
    of another.
    """
    data = symbols.strings.data
    plain = [match.start() for match in _MAPPING.finditer(data)]
    return frozenset(plain + [data.rfind(b"\0", 0, place) + 1 for place in plain])


def link_map(symbols: Symbols) -> LinkMap:
    """The link map in a symbol table; empty when the linker dropped mapping symbols (`--discard-locals`)."""
    files, at, infos = [], -1, symbols.infos
    while (at := infos.find(STT_FILE, at + 1)) >= 0:
        files.append(at)
    names = [symbols.name(index) for index in files]
    wanted = mapping_names(symbols)
    marks = [index for index, name in enumerate(symbols.name_offsets) if name in wanted]
    sections, values = symbols.sections, symbols.values
    found: dict[int, list[tuple[int, int]]] = {}
    for index in marks:
        if 0 < sections[index] < SHN_LORESERVE:
            owner = bisect_right(files, index) - 1
            found.setdefault(sections[index], []).append((values[index], owner if names[owner] else -1))
    blocks = {}
    for section, pairs in found.items():
        pairs.sort()
        starts: list[int] = []
        owners: list[int] = []
        for start, owner in pairs:
            if not owners or owners[-1] != owner:
                starts.append(start)
                owners.append(owner)
        blocks[section] = starts, owners
    return LinkMap(tuple(names), blocks)
