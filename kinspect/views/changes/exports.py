"""Where the tables of exports begin and end, in kernels without names of data: code refers to that."""

from kinspect.views.changes.side import KernelSide
from kinspect.views.tables.raw_exports import readable_exports


def export_bounds(old: KernelSide, new: KernelSide) -> list[tuple[int, int]]:
    """Offsets that are the same in both kernels: of the tables of exports that both have."""
    found = []
    for side in (old, new):
        tables = readable_exports(side.image).tables
        found.append({table.name: (table.offset, table.offset + len(table.exports) * table.row) for table in tables})
    both = [name for name in found[0] if name in found[1]]
    return sorted({pair for name in both for pair in zip(found[0][name], found[1][name], strict=True)})
