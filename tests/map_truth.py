"""How much of what symbols and DWARF tell of a kernel's sources a linker's map confirms."""

from bisect import bisect_left, bisect_right
from collections import Counter
from typing import NamedTuple

from kinspect.artifacts.build.linker_map import LinkerMap
from kinspect.artifacts.dwarf.compile_units import CompileUnits
from kinspect.artifacts.elf.vmlinux import Vmlinux
from kinspect.views.size.attribution import Attribution
from kinspect.views.size.layers import MemoryLayer
from kinspect.views.size.map_layers import kernel_contributions, map_sources

BY_ROW = ("__ksymtab", "__kcrctab", "__kflagstab", ".rela.dyn", ".relr.dyn", "__ex_table", ".altinstructions")
"""Tables whose rows are whose code they are about: the map says whose object gave them, which is another question."""


class Truth(NamedTuple):
    """Bytes by section: right, wrong by what was said instead of what, and all that an object gave."""

    right: Counter[str]
    wrong: Counter[tuple[str, str, str]]
    total: Counter[str]

    @property
    def share(self) -> float:
        """The part of all bytes that is right."""
        return sum(self.right.values()) / sum(self.total.values())

    def table(self) -> str:
        """What to print of it."""
        rows = [f"{name:22}{size:10,} {self.right[name] / size:8.2%}" for name, size in self.total.items()]
        worst = [f"  {size:,} {what}" for what, size in self.wrong.most_common(8)]
        return "\n".join([*rows, f"{'all':22}{sum(self.total.values()):10,} {self.share:8.2%}", *worst])


def owners(layer: MemoryLayer, start: int, end: int) -> Counter[str]:
    """The bytes of [start, end) by owner."""
    found: Counter[str] = Counter()
    at = bisect_right(layer.starts, start) - 1
    while start < end:
        upto = min(end, layer.starts[at + 1] if at + 1 < len(layer.starts) else layer.end)
        found[layer.names[layer.labels[at]]] += upto - start
        start, at = upto, at + 1
    return found


def truth(vmlinux: Vmlinux, linked: LinkerMap) -> Truth:
    """Hold what is told without the map against it, for every byte that an object gave."""
    units = CompileUnits(vmlinux).units
    contributions = kernel_contributions(vmlinux, linked)
    sources, told = map_sources(contributions, units), Attribution(vmlinux).source
    # Whose code is in an object that was linked from others before, DWARF says exactly.
    code = sorted((start, unit.path) for unit in units for start, _ in unit.ranges)
    inside: dict[str, set[str]] = {}
    for one in contributions:
        first, last = (bisect_left(code, (at, "")) for at in (one.address, one.address + one.size))
        inside.setdefault(one.object, set()).update(path for _, path in code[first:last])
    found = Truth(Counter(), Counter(), Counter())
    for one in contributions:
        section = vmlinux.section_at(one.address)
        assert section is not None
        if section.name.startswith(BY_ROW):
            continue
        wanted = {sources[one.object]} if one.object in sources else inside[one.object]
        for name, size in owners(told, one.address, one.address + one.size).items():
            found.total[section.name] += size
            stem = name.removeprefix("?/").rpartition(".")[0]
            if name in wanted or (name.startswith("?/") and any(f"/{stem}." in f"/{one}" for one in wanted)):
                found.right[section.name] += size
            else:
                found.wrong[section.name, one.object, name] += size
    return found
