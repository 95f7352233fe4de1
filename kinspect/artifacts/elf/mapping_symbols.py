"""Which object contributed which addresses, from the mapping symbols in the symbol table of an arm64 kernel.

Every object has mapping symbols (`$x` before code, `$d` before data) at the start of its contribution to a section.
They follow the FILE symbol that names the object, as do its static variables. Objects come in link order.
Source: ELF for the Arm 64-bit Architecture, section 5.8, mapping symbols; GNU ld, elf_link_input_bfd().
"""

import re
from itertools import pairwise
from typing import NamedTuple

from kinspect.artifacts.elf.symbols import Symbols
from kinspect.schemas.elf import SHN_LORESERVE, STB_LOCAL, STT_FILE, STT_OBJECT

STATIC = STB_LOCAL << 4 | STT_OBJECT
"""The st_info of a static variable."""
_MAPPING = re.compile(rb"\$[xd][.\0]")


class ObjectMap(NamedTuple):
    """The contributions of objects to sections. `objects` are names as in the FILE symbols: `main.c`, `head.o`.

    `blocks` maps the number of a section to start addresses, ascending, and the index of the object from each address
    on; the last one where an address repeats. Index -1 stands for what the linker itself generated.
    """

    objects: tuple[str, ...]
    blocks: dict[int, tuple[list[int], list[int]]]


def mapping_names(symbols: Symbols) -> frozenset[int]:
    """The offsets in the string table at which the names of mapping symbols begin.

    objcopy may have added a prefix (`__pi_`, `__efistub_`, `__kvm_nvhe_`), and the linker may store a name as the tail
    of another.
    """
    data = symbols.strings.data
    matches = [match.start() for match in _MAPPING.finditer(data)]
    return frozenset(matches + [data.rfind(b"\0", 0, offset) + 1 for offset in matches])


def object_map(symbols: Symbols) -> ObjectMap:
    """The object map of a symbol table; empty when the linker dropped mapping symbols (`--discard-locals`)."""
    files, at, infos = [], -1, symbols.infos
    while (at := infos.find(STT_FILE, at + 1)) >= 0:
        files.append(at)
    names = [symbols.name(index) for index in files]
    mapping_offsets = mapping_names(symbols)
    # Variables after a FILE symbol without a name were global and may be of any object.
    named = [number if name else -1 for number, name in enumerate(names)]
    owner_of = [-1] * (files[0] if files else len(infos))
    for number, (first, after) in enumerate(pairwise([*files, len(infos)])):
        owner_of += [named[number]] * (after - first)
    rows = zip(symbols.sections, symbols.values, symbols.name_offsets, infos, owner_of, strict=True)
    found: dict[int, list[tuple[int, bool, int]]] = {}
    for section, value, name, info, owner in rows:
        mapping = name in mapping_offsets
        if (mapping or (info == STATIC and owner >= 0)) and 0 < section < SHN_LORESERVE:
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
