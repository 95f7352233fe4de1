"""Where the bytes of a kernel go, what made it grow, and what could be saved."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple, Never

from kinspect.artifacts.kinds import plausible
from kinspect.inspection.kernel import vmlinux_and_image, vmlinux_or_image, with_code
from kinspect.inspection.package.taken import KERNEL, WITH_SYMBOLS, Packages
from kinspect.inspection.report import Path, Report, run_checks
from kinspect.views.size.grouped import GroupedSizes, Grouping, groupings, impossible, refuse_sources

if TYPE_CHECKING:
    from kinspect.artifacts.boot.image import Image
    from kinspect.artifacts.elf.vmlinux import Vmlinux
    from kinspect.views.savings.facts import SavingsFacts
    from kinspect.views.size.account import Sizes


class SizeQuery(NamedTuple):
    """What is asked of a kernel's sizes: the grouping, and the files that they are compared with.

    `old` is the vmlinux of an older build, `budget` a file of limits, `linker_map` the linker's map of this build.
    `parts` asks for `GroupedSizes.parts`.
    """

    grouping: Grouping = Grouping()
    old: Path | None = None
    budget: Path | None = None
    linker_map: Path | None = None
    savings: bool = False
    parts: bool = False
    largest: int = 0
    """When not 0, no more than the largest groups are needed, so many of them."""

    @property
    def files(self) -> tuple[Path | None, ...]:
        """The files to read besides the kernel's."""
        return self.old, self.budget, self.linker_map

    @property
    def groups(self) -> bool:
        """Whether groups are asked for: explicitly, or as the answer to a budget or an older build."""
        return not self.grouping.is_default or self.old is not None or (self.budget is not None and not self.savings)


def size(
    vmlinux: Path,
    image: Path | None = None,
    *,
    by: str | Sequence[str] = (),
    old: Path | None = None,
    depth: int | None = None,
    section: str | None = None,
    match: str | None = None,
    domain: str = "memory",
    budget: Path | None = None,
    linker_map: Path | None = None,
) -> "Report[Sizes | GroupedSizes | SavingsFacts]":
    """Where every byte of a kernel goes; with an Image, whether the totals are those of the Image.

    Without a grouping the facts are `Sizes`: all sections in the order of addresses. Otherwise they are `GroupedSizes`:
    `by` is one or more of `kinspect.views.size.attribution.GROUPINGS`, outermost first, as names or as text such as
    `"folder,symbol"`. Folders go down to `depth` levels, only the bytes of `section` count, and groups whose path does
    not match the regular expression `match` are summed up. `domain` is what counts: `memory`, `file` (the Image) or
    `vmlinux` (that file). `old` is the vmlinux of an older build to compare with, `linker_map` the map that the linker
    wrote of this one. Each limit in the file `budget` that is exceeded is a finding. Raises KinspectError.
    """
    grouping = Grouping(groupings(by), depth, section, match, domain)
    return answer(vmlinux, image, SizeQuery(grouping, old, budget, linker_map))


def savings(vmlinux: Path) -> "Report[Sizes | GroupedSizes | SavingsFacts]":
    """What could be saved in a kernel: bytes, reasons and remedies, as `SavingsFacts`. Raises KinspectError."""
    return answer(vmlinux, None, SizeQuery(savings=True))


def answer(vmlinux: Path, image: Path | None, query: SizeQuery) -> "Report[Sizes | GroupedSizes | SavingsFacts]":
    """The answer to a query; a package is taken for the kernel in it. Raises KinspectError."""
    with Packages() as packages:
        linked = packages.file(vmlinux, *(WITH_SYMBOLS if image is None else ("vmlinux",)))
        made, old = packages.file(image, *KERNEL), packages.file(query.old, *WITH_SYMBOLS)
        return packages.named(_answer(linked, made, query._replace(old=old)))


def _answer(vmlinux: Path, image: Path | None, query: SizeQuery) -> "Report[Sizes | GroupedSizes | SavingsFacts]":
    from kinspect.artifacts.boot.image import Image

    if query.linker_map is not None:
        from kinspect.artifacts.build.linker_map import LinkerMap

        plausible(LinkerMap(query.linker_map))
    linked, made = (_kernel(vmlinux), None) if image is None else vmlinux_and_image(vmlinux, image)
    if isinstance(linked, Image):
        return _of_image(linked, query)
    verdict: Report[Never] = run_checks((linked, made), "size.image") if made else Report()
    if not query.groups and not query.savings:
        from kinspect.views.size.account import sizes

        return Report((sizes(linked, made),)) + verdict
    return verdict + _attributed(linked, made, query)


def has_sources(kernel: Path) -> bool:
    """Whether a kernel may have sources: an Image has none. Raises KinspectError."""
    from kinspect.artifacts.boot.image import Image

    with Packages() as packages:
        return not isinstance(vmlinux_or_image(packages.file(kernel, *WITH_SYMBOLS)), Image)


def _kernel(path: Path) -> "Vmlinux | Image":
    """A vmlinux with code, or an Image."""
    from kinspect.artifacts.elf.vmlinux import Vmlinux

    found = vmlinux_or_image(path)
    return with_code(found) if isinstance(found, Vmlinux) else found


def _old(path: Path, grouping: Grouping) -> "Vmlinux":
    """A vmlinux of an older build; of an Image, what can be made of it."""
    from kinspect.artifacts.elf.vmlinux import Vmlinux

    found = _kernel(path)
    if isinstance(found, Vmlinux):
        return found
    from kinspect.views.rebuilt.file import vmlinux_of

    refuse_sources(grouping, f"{found.path} is an Image, which has no sources")
    return vmlinux_of(found)


def _of_image(image: "Image", query: SizeQuery) -> "Report[Sizes | GroupedSizes | SavingsFacts]":
    """The answer for an Image alone, from the sections and symbols that it tells of."""
    from kinspect.views.rebuilt.facts import missing_symbols
    from kinspect.views.rebuilt.file import vmlinux_of

    grouping = query.grouping.checked() if query.groups else query.grouping
    if query.savings or query.linker_map is not None:
        raise impossible("savings" if query.savings else "map", "a vmlinux", image.kind)
    if grouping.domain == "vmlinux":
        raise impossible("domain", "memory or file, of an Image", grouping.domain)
    refuse_sources(grouping, "an Image has no sources")
    made = vmlinux_of(image)
    missing = missing_symbols(image)
    notes = (f"{image.path}: {missing}",) if missing else ()
    if not query.groups:
        from kinspect.views.size.account import sizes

        return Report((sizes(made, image)._replace(vmlinux_size=image.size, parts=(), notes=notes),))
    found = _attributed(made, image, query)
    facts = [one._replace(notes=(*one.notes, *notes)) if isinstance(one, GroupedSizes) else one for one in found.facts]
    return Report(tuple(facts), found.findings, found.ran, found.errors)


def _attributed(vmlinux: "Vmlinux", image: "Image | None", query: SizeQuery) -> "Report[GroupedSizes | SavingsFacts]":
    """The answer that needs to know what each byte belongs to."""
    from kinspect.artifacts.build.linker_map import LinkerMap
    from kinspect.views.size.attribution import Attribution
    from kinspect.views.size.grouped import grouped_file, grouped_sizes, largest_groups

    report: Report[GroupedSizes | SavingsFacts] = Report()
    grouping = query.grouping.checked()
    of_file = grouping.domain == "vmlinux"
    if of_file:
        if query.old is not None or query.budget is not None:
            raise impossible("domain", "memory or file, with a budget or an older build", "vmlinux")
        report += Report((grouped_file(vmlinux, grouping),))
        if not query.savings:
            return report
    before = None if query.old is None else _old(query.old, grouping)
    # The symbols of an Image have no sources: then those of the other build must have none either.
    has_sources = not (vmlinux.of_image or (before is not None and before.of_image))
    linker_map = LinkerMap(query.linker_map) if query.linker_map is not None else None
    new = Attribution(vmlinux, image, linker_map, has_sources)
    old = Attribution(before, has_sources=has_sources) if before else None
    if query.budget is not None:
        from kinspect.artifacts.policy.budget import Budget
        from kinspect.views.size.budget import compared_with_budget

        comparison = compared_with_budget(Budget(query.budget), new, old)
        report += run_checks((comparison,), "size.budget")
    if query.groups and not of_file:
        largest = largest_groups(new, grouping, query.largest) if query.largest and old is None else None
        report += Report((largest or grouped_sizes(new, grouping, old, query.parts),))
    if query.savings:
        from kinspect.views.savings.facts import savings_facts

        report += Report((savings_facts(new),))
    return report
