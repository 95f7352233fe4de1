"""Modules on another kernel than the one that they were built for: which types they would see with another layout."""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from kinspect.artifacts.module.ko import Module
from kinspect.views.abi.causes import TypeChange, type_change
from kinspect.views.abi.comparison import TypeComparison
from kinspect.views.abi.reach import path_to


class AffectedModule(NamedTuple):
    """A module that uses changed types: through which symbols, and which types."""

    path: str
    symbols: tuple[str, ...]
    types: tuple[str, ...]


class BuiltForFacts(NamedTuple):
    """The modules of one kernel on another.

    `by_crc` says whether a symbol counts only when the kernel has another CRC of it than the module; without
    MODVERSIONS every symbol counts whose types changed. `unknown` is the number of needed symbols that have no
    prototype in one of the kernels. In `types`, `exports` is the number of modules that use the type. `foreign` is the
    number of modules that were built for neither: their CRCs are not those of `built_for`. They are not compared.
    """

    kernel: str
    built_for: str
    modules: int
    by_crc: bool
    affected: tuple[AffectedModule, ...]
    types: tuple[TypeChange, ...]
    unknown: int
    foreign: int = 0


def built_for_facts(
    kernels: tuple[str, str],
    comparison: TypeComparison,
    modules: Iterable[Module],
    crcs: Mapping[str, int],
    original: Mapping[str, int] | None = None,
) -> BuiltForFacts:
    """Modules compared with a kernel, whose exports have `crcs`: empty without MODVERSIONS.

    `kernels` are the paths of the one that the modules were built for, and of the other; `original` are the CRCs of the
    first. Raises as `Module.undefined` and `Definitions` do.
    """
    expected = original or {}
    affected: list[AffectedModule] = []
    counts: Counter[str] = Counter()
    unknown: set[str] = set()
    through: dict[str, str] = {}
    count = foreign = 0
    for module in modules:
        count += 1
        if any(expected.get(name, crc) != crc for name, crc in module.versions.items()):
            foreign += 1
            module.release()
            continue
        versions = module.versions if crcs else {}
        symbols: list[str] = []
        types: dict[str, None] = {}
        for name in module.undefined:
            if crcs and (name not in versions or crcs.get(name, versions[name]) == versions[name]):
                continue
            found = comparison.of_export(name)
            if found is None:
                unknown.add(name)
            elif found.changed or (crcs and found.causes):
                symbols.append(name)
                types.update(dict.fromkeys(found.causes))
                for cause in found.causes:
                    through.setdefault(cause, name)
        module.release()
        if symbols:
            affected.append(AffectedModule(module.path, tuple(symbols), tuple(types)))
            counts.update(types.keys())
    paths = comparison.paths(sorted(set(through.values())))
    order = sorted(counts, key=lambda name: (-counts[name], len(path_to(name, paths)), name))
    changes = [type_change(comparison, name, counts[name], path_to(name, paths), False) for name in order]
    return BuiltForFacts(
        kernels[1], kernels[0], count, bool(crcs), tuple(affected), tuple(changes), len(unknown), foreign
    )
