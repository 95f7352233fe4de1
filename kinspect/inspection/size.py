"""Where the bytes of a kernel go, and what made it grow."""

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from kinspect.artifacts.kinds import open_as
from kinspect.errors import KinspectError, Location, MalformedError
from kinspect.inspection.kernel import with_code
from kinspect.inspection.report import Path, Report, run_checks

if TYPE_CHECKING:
    from kinspect.views.size.attribution import Attribution
    from kinspect.views.size.node import SizeNode

DOMAINS = ("memory", "file", "vmlinux")
"""What is counted: memory of the running kernel, the Image, or the vmlinux file with all that is dropped from it."""


class GroupedSizes(NamedTuple):
    """The bytes of a kernel in groups, by `by` and within each by the next; of two builds when `against` is one.

    `unattributed` bytes of memory have no source, or no symbol where symbols were asked for.
    """

    vmlinux: str
    image: str | None
    against: str | None
    by: tuple[str, ...]
    domain: str
    section: str | None
    root: "SizeNode"
    unattributed: int


def size(
    vmlinux: Path,
    image: Path | None = None,
    *,
    by: Sequence[str] = (),
    against: Path | None = None,
    depth: int | None = None,
    section: str | None = None,
    match: str | None = None,
    domain: str = "memory",
    budget: Path | None = None,
    linker_map: Path | None = None,
) -> Report:
    """Where every byte of a kernel goes, and whether the sums are those of the Image.

    By section in the order of addresses, with all that can be said of each; or grouped `by` any of
    `kinspect.views.size.attribution.GROUPINGS`, the next within each, folders down to `depth`. `against` is the vmlinux
    of an older build, `linker_map` the map that the linker wrote of this one. Only what lies in `section`, only groups
    whose path the pattern `match` finds. Each limit of the file `budget` that broke is a finding. Raises KinspectError.
    """
    from kinspect.artifacts.boot.image import Image
    from kinspect.artifacts.elf.vmlinux import Vmlinux

    linked = with_code(open_as(Vmlinux, vmlinux))
    made = open_as(Image, image) if image is not None else None
    verdict = run_checks((linked, made), "size.image") if made else Report()
    if not by and domain == "memory" and against is section is match is budget is None:
        from kinspect.views.size.account import sizes

        return Report((sizes(linked, made),)) + verdict
    by = tuple(by) or ("section",)
    _check(by, depth, match, domain)
    if domain == "vmlinux":
        from kinspect.views.size.tree import file_tree

        if set(by) - {"section", "kind"} or against is not None or budget is not None:
            raise _bad("domain", "by section or kind, of one build, without a budget", f"by {', '.join(by)}")
        root = file_tree(linked, by)
        return Report((GroupedSizes(linked.path, None, None, by, domain, section, root, 0),)) + verdict
    from kinspect.artifacts.build.linker_map import LinkerMap
    from kinspect.views.size.attribution import Attribution

    new = Attribution(linked, made, LinkerMap(linker_map) if linker_map is not None else None)
    old = Attribution(with_code(open_as(Vmlinux, against))) if against is not None else None
    if budget is not None:
        from kinspect.artifacts.policy.budget import Budget
        from kinspect.checks.size.budget import budget_findings, sizes_are_within_budget

        verdict += Report((), tuple(budget_findings(Budget(budget), new, old)), (sizes_are_within_budget.id,))
    facts = grouped(new, by, old, depth=depth, section=section, match=match, domain=domain)
    return Report((facts,)) + verdict


def waste(vmlinux: Path) -> Report:
    """What of a kernel could be given back, with bytes and reasons. Raises KinspectError."""
    from kinspect.artifacts.elf.vmlinux import Vmlinux
    from kinspect.views.savings.facts import waste_facts
    from kinspect.views.size.attribution import Attribution

    return Report((waste_facts(Attribution(with_code(open_as(Vmlinux, vmlinux)))),))


def grouped(
    new: "Attribution",
    by: tuple[str, ...],
    old: "Attribution | None" = None,
    *,
    depth: int | None = None,
    section: str | None = None,
    match: str | None = None,
    domain: str = "memory",
) -> GroupedSizes:
    """The facts of one grouping."""
    from kinspect.views.size.tree import size_tree, unattributed

    root = size_tree(new, by, old, depth=depth, section=section, match=match)
    if section is not None and not root.children:
        raise MalformedError("no such section", new.vmlinux.at(section))
    return GroupedSizes(
        new.vmlinux.path,
        new.account.image,
        old.vmlinux.path if old else None,
        by,
        domain,
        section,
        root,
        unattributed(root),
    )


def _check(by: tuple[str, ...], depth: int | None, match: str | None, domain: str) -> None:
    from kinspect.views.size.attribution import GROUPINGS

    for word in by:
        if word not in GROUPINGS or by.count(word) > 1:
            raise _bad("by", f"each of {', '.join(GROUPINGS)} at most once", ",".join(by))
    if depth is not None and depth < 1:
        raise _bad("depth", "at least 1", str(depth))
    if domain not in DOMAINS:
        raise _bad("domain", f"one of {', '.join(DOMAINS)}", domain)
    try:
        re.compile(match or "")
    except re.error as reason:
        raise MalformedError(f"no regular expression ({reason})", Location("match"), actual=match) from reason


def _bad(option: str, expected: str, actual: str) -> KinspectError:
    return MalformedError("not possible", Location(option), expected=expected, actual=actual)
