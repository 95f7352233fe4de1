"""Data with names that two kernels have, in pairs.

Most names are there once. Others are those of static variables of several files or functions (`names`, `__func__.3`),
whose numbers say nothing: they are paired by their neighbours first, and by their content when they differ.
"""

import re
from collections import Counter
from collections.abc import Iterable
from typing import NamedTuple

from kinspect.views.changes.names import compared_name
from kinspect.views.changes.side import KernelSide

_TYPE_ID = "__BTF_ID__"
_ELSEWHERE = (
    *(f"__{table}_" for table in ("ksymtab", "kstrtab", "kstrtabns", "kcrctab", "crc", "flags", "addressable")),
    "__UNIQUE_ID___addressable",
    "_note_",
    "kallsyms_",
)
"""Tables of exports, of types and of names, which are compared by other means or follow from what changed."""
_MARKERS = re.compile(
    r"_s?data|_edata|_[se]inittext|_stext|_text|_end|_etext|__(?:start|stop|begin|end)_\w+|__bss_(?:start|stop)|__initcall(?:\d?s?|rootfs)_(?:start|end)"
    r"|__(?:pi_)?(?:rela|relr|con_initcall|security_initcall|init|initdata|inittext|exittext|initramfs|irf|setup|dtb|nosave|mmuoff_data"
    r"|per_cpu(?:_hot)?|hyp_\w+|kunit(?:_init)?_suites|module_cert|kvm_nvhe___\w+)_(?:start|end|begin|load)"
    r"|__alt_instructions(?:_end)?|__pi__end|__sched_class_(?:highest|lowest)"
    r"|__(?:(?:irqchip|timer)_acpi_probe|(?:irqchip|timer|clk|cpu_method|cpuidle_method|iommu|reservedmem)_of"
    r"|earlycon|governor_thermal)_table(?:_end)?"
)
"""Names that mark where a part of the kernel begins or ends."""
_INITCALLS = ("__initcall__", "__exitcall_")
_BY_MACROS = frozenset(
    (
        "__func__",
        "__PRETTY_FUNCTION__",
        "__already_done",
        "__warned",
        "__print_once",
        "___done",
        "___once_key",
        "__key",
        "__msg",
        "_rs",
        "___tp_str",
        "descriptor",
        "_entry",
        "_entry_ptr",
        "_alloc_tag",
        "__UNIQUE_ID_ddebug",
        "__UNIQUE_ID_ddebug_",
    )
)
"""Variables that macros make in functions, one for each use, some with its line: the functions themselves changed."""


class NamedData(NamedTuple):
    """The objects of a kernel that are compared: offsets from `_text`, ascending, and their compared names."""

    offsets: list[int]
    names: list[str]


class DataPairs(NamedTuple):
    """Offsets of objects that are the same in both kernels, old and new, and those that only one has.

    `several` are the names that are there more than once; `anchors` has what is before those, of both kernels.
    """

    pairs: dict[int, int]
    removed: list[int]
    added: list[int]
    several: frozenset[str]
    anchors: tuple[dict[int, str], dict[int, str]]


def named_data(side: KernelSide, parts: Iterable[tuple[int, int]]) -> NamedData:
    """The objects of a kernel, without those in `parts` that are known to differ, and what only marks a place."""
    parts = sorted(parts)
    offsets, names = [], []
    known = side.names
    if ids := [offset for offset in side.objects if known[offset].startswith(_TYPE_ID)]:
        parts = sorted([*parts, (ids[0], ids[-1] + 1)])
    at, start, end = 0, -1, -1
    for offset in side.objects:
        while end <= offset and at < len(parts):
            start, end = parts[at][0], max(end, parts[at][1])
            at += 1
        if start <= offset < end:
            continue
        name = known[offset] if offset not in side.aliases else object_name(side, offset)
        if name[0] in "_k" and (name.startswith(_ELSEWHERE) or _MARKERS.fullmatch(name)):
            continue
        offsets.append(offset)
        names.append(compared_name(name))
    return NamedData(offsets, names)


def object_name(side: KernelSide, offset: int) -> str:
    """The name of an object: of several the best one that it has for itself.

    Others mark where a part of the kernel begins, or are those of a lock class, which has no size without lockdep.
    """
    name = side.names[offset]
    if offset not in side.aliases or not _is_aside(name):
        return name
    return min((other for _, other in side.aliases[offset] if not _is_aside(other) and "$" not in other), default=name)


def _is_aside(name: str) -> bool:
    return name[0] == "_" and (_MARKERS.fullmatch(name) is not None or is_by_macro(compared_name(name)))


def is_by_macro(name: str) -> bool:
    """Whether a macro makes a variable of that name in each function that uses it."""
    return name in _BY_MACROS or name.startswith(_INITCALLS)


def paired_data(ours: NamedData, theirs: NamedData) -> DataPairs:
    """The objects of two kernels by name, and those of one name by their neighbours."""
    counts = Counter(ours.names), Counter(theirs.names)
    once = {name for name, number in counts[0].items() if number == 1 and counts[1].get(name) == 1}
    several = frozenset(name for both in counts for name, number in both.items() if number > 1)
    (mine, first), (yours, second) = _by_key(ours, once), _by_key(theirs, once)
    pairs, removed = {}, []
    for key, offset in mine.items():
        other = yours.pop(key, None)
        if other is None:
            removed.append(offset)
        else:
            pairs[offset] = other
    return DataPairs(pairs, removed, sorted(yours.values()), several, (first, second))


def _by_key(objects: NamedData, once: set[str]) -> tuple[dict[object, int], dict[int, str]]:
    """Each object by its name, or if others have that, also by the last one before it that has a name of its own."""
    found: dict[object, int] = {}
    anchors: dict[int, str] = {}
    anchor, seen = "", dict[str, int]()
    for offset, name in zip(objects.offsets, objects.names, strict=True):
        if name in once:
            found[name] = offset
            anchor, seen = name, {}
        else:
            number = seen[name] = seen.get(name, 0) + 1
            found[anchor, name, number] = offset
            anchors[offset] = anchor
    return found, anchors
