"""The exports of two kernels compared, and the types behind what changed."""

import os
import re
from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from kinspect.errors import Location, MalformedError, UnsupportedError, WrongKindError, did_you_mean
from kinspect.inspection.package.taken import Packages
from kinspect.inspection.report import Path, Report, run_checks
from kinspect.source import Source

if TYPE_CHECKING:
    from kinspect.artifacts.boot.image import Image
    from kinspect.artifacts.elf.vmlinux import Vmlinux
    from kinspect.views.abi.causes import AbiCauses
    from kinspect.views.abi.changes import AbiFacts
    from kinspect.views.abi.rules import AbiRules
    from kinspect.views.abi.sides import AbiSide, AbiTypes
    from kinspect.views.abi.symbols import ExportCauses

_ROLES = ("Module.symvers", "vmlinux", "Image", "packed Image", "modules")
_MOST_SYMBOLS = 100


def abi(
    old: Path, new: Path, rules: Path | None = None, symbols: Sequence[str] = (), types_matching: str | None = None
) -> "Report[AbiFacts | AbiCauses | ExportCauses]":
    """What changed between the exports of two kernels, and why. `rules` are changes to tolerate.

    Each side is a Module.symvers, a vmlinux or an Image, or a folder or package that has them, with modules or without.
    The causes are in the report when both sides have a kernel with type information. `symbols` are names or patterns of
    exports to explain one by one, and nothing else is compared then; `types_matching` is a regular expression for the
    causes that are listed. Raises KinspectError.
    """
    from kinspect.views.abi.rules import AbiRules

    _check_rules(rules)
    allowed = AbiRules.of(rules) if rules is not None else None
    with Packages() as packages:
        sides = open_side(packages.folder(old)), open_side(packages.folder(new))
        return packages.named(compared_sides(*sides, allowed, symbols, types_matching))


def compared_sides(
    old: "AbiSide",
    new: "AbiSide",
    rules: "AbiRules | None" = None,
    symbols: Sequence[str] = (),
    types_matching: str | None = None,
) -> "Report[AbiFacts | AbiCauses | ExportCauses]":
    """What changed between two sides, as `abi` reports it. Raises KinspectError."""
    from kinspect.views.abi.changes import compare
    from kinspect.views.abi.rules import AbiRules
    from kinspect.views.abi.sides import AbiTypes

    types, allowed, sides = AbiTypes(old, new), rules or AbiRules(), (old, new)
    alone = any(side.kernel_alone for side in sides)
    typed = types.kernel is not None
    if symbols and not typed:
        side = next(side for side in sides if side.types is None)
        problem = "no types to explain symbols with: name a kernel that has .BTF, or a folder with one"
        raise UnsupportedError(problem, Location(side.path))
    facts = compare(sides[0].symvers, sides[1].symvers, allowed, types.of if typed else None, alone)
    if symbols:
        only = _exports_of(types, symbols)
        facts = facts._replace(only=only, changes=tuple(found for found in facts.changes if found.name in set(only)))
    report: Report[AbiFacts | AbiCauses | ExportCauses] = Report((facts,)) + run_checks((facts,), "symvers.abi")
    if symbols:
        return report + Report(tuple(_explained(types, facts)))
    if not typed:
        return report
    found = _causes(types, facts, allowed)
    if types_matching is not None:
        matches = _expression(types_matching)
        matching = tuple(change for change in found.types if matches.search(change.type))
        found = found._replace(types=matching, left_out=len(found.types) - len(matching))
    return report + Report((found,))


def _expression(text: str) -> "re.Pattern[str]":
    try:
        return re.compile(text)
    except re.error as reason:
        raise MalformedError(f"not a regular expression ({reason})", Location("--types"), actual=text) from reason


def _causes(types: "AbiTypes", facts: "AbiFacts", rules: "AbiRules") -> "AbiCauses":
    from kinspect.views.abi.causes import Basis, causes
    from kinspect.views.abi.changes import Change, Modversions

    by_types = facts.versions != Modversions.BOTH
    changed = {found.name: found.module for found in facts.changes if found.change in (Change.CRC, Change.TYPES)}
    old, new = types.old.symvers, types.new.symvers
    common = ((name, old.rows.modules[at]) for name, at in old.index.items() if name in new.index)
    # Nobody needs to know of exports that the types say changed, when they say it of all.
    kept = () if by_types else ((name, module) for name, module in common if name not in changed)
    groups = types.groups(changed.items(), kept)
    basis = Basis.TYPES if by_types else Basis.CRC
    return causes((facts.old, facts.new), basis, groups, types.reason, rules.tolerates_type)


def _exports_of(types: "AbiTypes", patterns: Sequence[str]) -> tuple[str, ...]:
    """The exports of either kernel with some names or patterns. MalformedError when a pattern matches none."""
    known = sorted({*types.old.symvers.index, *types.new.symvers.index})
    found: dict[str, None] = {}
    for pattern in patterns:
        names = [name for name in known if name == pattern or fnmatchcase(name, pattern)]
        if not names:
            near = did_you_mean(pattern, known)
            raise MalformedError(f"no such export in either kernel{near}", Location("--symbol"), actual=pattern)
        found.update(dict.fromkeys(names))
    return tuple(found)


def _explained(types: "AbiTypes", facts: "AbiFacts") -> "Iterator[ExportCauses]":
    """The selected exports that both kernels have, one by one."""
    from kinspect.views.abi.changes import Change
    from kinspect.views.abi.symbols import export_causes

    old, new = types.old.symvers, types.new.symvers
    changed = {found.name for found in facts.changes if found.change in (Change.CRC, Change.TYPES)}
    common = [name for name in facts.only if name in old.index and name in new.index]
    for name in common[:_MOST_SYMBOLS]:
        module = old.rows.modules[old.index[name]]
        comparison = types.comparison(module)
        if comparison:
            found = types.of(name, module)
            reason = "" if found or name not in changed else types.reason(name)
            yield export_causes(comparison, name, found, name in changed, reason)


def ksymvers(old: Path, new: Path, rules: Path | None = None) -> Iterator[str]:
    """The same as SUSE's ksymvers prints it, line by line. Raises KinspectError."""
    from kinspect.views.abi.changes import ksymvers_lines
    from kinspect.views.abi.rules import AbiRules

    _check_rules(rules)
    with Packages() as packages:
        sides = open_side(packages.folder(old)), open_side(packages.folder(new))
        yield from ksymvers_lines(sides[0].symvers, sides[1].symvers, AbiRules.of(rules) if rules is not None else None)


def _check_rules(path: Path | None) -> None:
    from kinspect.artifacts.kinds import refuse_other_kinds

    if path is not None:
        refuse_other_kinds(Source(path), "rules on changes to tolerate")


def open_side(path: Path) -> "AbiSide":
    """One side of a comparison: a Module.symvers, a kernel, or a folder that has them. Raises KinspectError."""
    from kinspect.artifacts.build.symvers import Symvers
    from kinspect.artifacts.kinds import open_artifact
    from kinspect.views.abi.sides import AbiSide

    if os.path.isdir(path):
        return _side_of_folder(os.fspath(path))
    artifact = open_artifact(path)
    if isinstance(artifact, Symvers):
        return AbiSide(artifact.path, artifact)
    kernel = _as_kernel(artifact)
    if kernel is None:
        expected = "a Module.symvers, a vmlinux, an Image, or a folder with them"
        raise WrongKindError("no exports to compare", artifact.at(), expected=expected, actual=artifact.kind)
    return AbiSide(kernel.path, None, kernel)


def _as_kernel(artifact: object) -> "Vmlinux | Image | None":
    from kinspect.artifacts.boot.image import Image
    from kinspect.artifacts.elf.vmlinux import Vmlinux

    return artifact if isinstance(artifact, Vmlinux | Image) else None


def _side_of_folder(folder: str) -> "AbiSide":
    from kinspect.artifacts.build.symvers import Symvers
    from kinspect.artifacts.build.tree import build_files
    from kinspect.artifacts.module.tree import ModuleTree
    from kinspect.views.abi.sides import AbiSide

    found: dict[str, list[str]] = {role: [] for role in _ROLES}
    for piece in build_files(folder):
        found.setdefault("modules" if piece.role == "built modules" else piece.role, []).append(piece.path)
    several = next((role for role in ("Module.symvers", "modules") if len(found[role]) > 1), None)
    if several:
        problem = f"contains several {several}: name the folder of one kernel"
        raise UnsupportedError(problem, Location(folder), actual=", ".join(found[several]))
    # A package of kernel headers has, beside Module.symvers, a vmlinux with nothing but types.
    beside = [os.path.join(os.path.dirname(path), "vmlinux") for path in found["Module.symvers"]]
    kernel = _first_kernel(
        [path for role in _ROLES[1:4] for path in found[role]] + list(filter(os.path.isfile, beside))
    )
    symvers = Symvers(found["Module.symvers"][0]) if found["Module.symvers"] else None
    first = symvers or kernel
    if first is None:
        expected = "a Module.symvers or a kernel"
        raise MalformedError("nothing to compare in this folder", Location(folder), expected=expected)
    tree = ModuleTree(found["modules"][0]) if found["modules"] else None
    return AbiSide(first.path, symvers, kernel, tree)


def _first_kernel(paths: Sequence[str]) -> "Vmlinux | Image | None":
    """The first kernel with types, or else the first. No more are opened: some would have to be unpacked."""
    from kinspect.artifacts.kinds import open_artifact
    from kinspect.views.btf.kernel import has_types

    first = None
    for path in paths:
        kernel = _as_kernel(open_artifact(path))
        if kernel is not None and has_types(kernel):
            return kernel
        first = first or kernel
    return first
