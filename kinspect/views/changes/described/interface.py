"""What modules see of two kernels, compared: exports and types. How many changed; `kinspect abi` says why."""

from contextlib import suppress
from typing import NamedTuple

from kinspect.artifacts.boot.image import Image
from kinspect.artifacts.elf.vmlinux import Vmlinux
from kinspect.artifacts.module.exports import Export
from kinspect.errors import KinspectError
from kinspect.views.abi.comparison import TypeComparison
from kinspect.views.abi.definitions import Definitions
from kinspect.views.btf.kernel import has_types, kernel_types
from kinspect.views.changes.described.structs import MovedMembers, Places
from kinspect.views.tables.raw_exports import kernel_exports

Kernel = Image | Vmlinux


class ExportCounts(NamedTuple):
    """The exports of two kernels: how many each has, those that only one has, and the changed ones.

    `crcs` is how many have another CRC; None if one of the kernels was built without CONFIG_MODVERSIONS.
    """

    old: int
    new: int
    added: tuple[str, ...]
    removed: tuple[str, ...]
    crcs: int | None

    @property
    def changed(self) -> bool:
        """Whether anything changed."""
        return bool(self.added or self.removed or self.crcs)


class TypeCounts(NamedTuple):
    """The types of two kernels: the names of those that changed, and how many others changed in size or offsets only.

    These have a changed type inside.
    """

    changed: tuple[str, ...]
    layouts: int


class Interface(NamedTuple):
    """The exports and types of two kernels compared; None where they are not known."""

    exports: ExportCounts | None = None
    types: TypeCounts | None = None

    @property
    def changed(self) -> bool:
        """Whether anything is known to have changed."""
        exports, types = self.exports, self.types
        return bool((exports and exports.changed) or (types and (types.changed or types.layouts)))


def interface_of(old: Kernel, new: Kernel) -> tuple[Interface, Places]:
    """The exports and types of two kernels compared, and what has another value in the types."""
    types = compared_types(old, new)
    counts = type_counts(types)
    places: Places = {}
    if types and counts and counts.changed:
        with suppress(KinspectError):
            places = MovedMembers(types).places()
    return Interface(export_counts(old, new), counts), places


def export_counts(old: Kernel, new: Kernel) -> ExportCounts | None:
    """The exports of two kernels compared; None if those of one cannot be read."""
    ours, theirs = _exports(old), _exports(new)
    if ours is None or theirs is None:
        return None
    versioned = all(any(export.crc is not None for export in side.values()) for side in (ours, theirs))
    both = ours.keys() & theirs.keys()
    crcs = sum(ours[name].crc != theirs[name].crc for name in both) if versioned else None
    added, removed = (tuple(sorted(one.keys() - both)) for one in (theirs, ours))
    return ExportCounts(len(ours), len(theirs), added, removed, crcs)


def _exports(kernel: Kernel) -> dict[str, Export] | None:
    try:
        return {export.name: export for export in kernel_exports(kernel).exports}
    except KinspectError:
        return None


def compared_types(old: Kernel, new: Kernel) -> TypeComparison | None:
    """The types of two kernels, to be compared; None if one has none."""
    if not has_types(old) or not has_types(new):
        return None
    return TypeComparison(Definitions(kernel_types(old)), Definitions(kernel_types(new)))


def type_counts(types: TypeComparison | None) -> TypeCounts | None:
    """How many types changed; None if that is not known."""
    if types is None:
        return None
    if types.old.types.data == types.new.types.data:
        return TypeCounts((), 0)
    try:
        return TypeCounts(tuple(types.causes), len(types.knock_ons))
    except KinspectError:
        return None
