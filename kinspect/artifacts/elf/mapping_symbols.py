"""The link map that every arm64 kernel hides in its symbol table.

Each object leaves mapping symbols (`$x` before code, `$d` before data) at the start of what it gives to a section, and
they stand behind the symbol of type FILE that names it; so do its static variables. Objects come in the order of the
link.
Source: ELF for the Arm 64-bit Architecture, section 5.8, mapping symbols; GNU ld, elf_link_input_bfd().
"""

import re
from itertools import pairwise
from typing import NamedTuple

from kinspect.artifacts.elf.symbols import Symbols
from kinspect.schemas.elf import SHN_LORESERVE, STB_LOCAL, STT_FILE, STT_OBJECT

_STATIC = STB_LOCAL << 4 | STT_OBJECT
_MAPPING = re.compile(rb"\$[xd][.\0]")


class ObjectMap(NamedTuple):
    """What objects give to sections. `objects` are names as the linker gives them: `main.c`, `head.o`.

    `blocks` holds, for each section by number, addresses in ascending order and the number of the object from there on;
    of several at one address the last. The object -1 is none: what the linker made itself.
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


def object_map(symbols: Symbols) -> ObjectMap:
    """The link map in a symbol table; empty when the linker dropped mapping symbols (`--discard-locals`)."""
    files, at, infos = [], -1, symbols.infos
    while (at := infos.find(STT_FILE, at + 1)) >= 0:
        files.append(at)
    names = [symbols.name(index) for index in files]
    wanted = mapping_names(symbols)
    # Variables behind a FILE without a name were global, and are of any object.
    named = [number if name else -1 for number, name in enumerate(names)]
    owner_of = [-1] * (files[0] if files else len(infos))
    for number, (first, after) in enumerate(pairwise([*files, len(infos)])):
        owner_of += [named[number]] * (after - first)
    rows = zip(symbols.sections, symbols.values, symbols.name_offsets, infos, owner_of, strict=True)
    found: dict[int, list[tuple[int, bool, int]]] = {}
    for section, value, name, info, owner in rows:
        mapping = name in wanted
        if (mapping or (info == _STATIC and owner >= 0)) and 0 < section < SHN_LORESERVE:
            found.setdefault(section, []).append((value, mapping, owner))
    blocks = {}
    for section, marks in found.items():
        marks.sort()
        starts: list[int] = []
        owners: list[int] = []
        for start, _, owner in marks:
            if not owners or owners[-1] != owner:
                starts.append(start)
                owners.append(owner)
        blocks[section] = starts, owners
    return ObjectMap(tuple(names), blocks)
