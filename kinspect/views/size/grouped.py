"""The bytes of a kernel in groups: what is asked for, and the facts that answer it."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from kinspect.errors import KinspectError, Location, MalformedError, did_you_mean

# A call that only checks a grouping, or has none, imports no more than this module.
if TYPE_CHECKING:
    from kinspect.artifacts.elf.vmlinux import Vmlinux
    from kinspect.views.size.attribution import Attribution
    from kinspect.views.size.node import SizeNode

TOP = 20
"""Groups that are listed by default; in each of them, a quarter as many."""
PARTS = ("kind", "section", "folder", "source", "symbol")
"""The grouping from which a page makes all others of these names."""
OF_IMAGE = ("section", "kind", "symbol")
"""The groupings of an Image without a vmlinux."""
DOMAINS = ("memory", "file", "vmlinux")
"""What is counted: memory of the running kernel, the Image file, or the vmlinux file."""

_BY_SOURCE = ("folder", "source", "object")


class Grouping(NamedTuple):
    """How to group the bytes of a kernel.

    `by` lists `kinspect.views.size.attribution.GROUPINGS`, outermost first; folders go down to `depth` levels. Only
    the bytes of `section` count. Groups whose path does not match the regular expression `match` are summed up.
    `domain` is one of DOMAINS. Reports list `top` groups at each level: 0 lists all, None is the report's default.
    """

    by: tuple[str, ...] = ()
    depth: int | None = None
    section: str | None = None
    match: str | None = None
    domain: str = "memory"
    top: int | None = None

    @property
    def switchable(self) -> bool:
        """Whether a page can group the same bytes in other ways; a depth and a pattern are of one grouping."""
        return self.depth is None and self.match is None and self.domain != "vmlinux" and set(self.by) <= set(PARTS)

    @property
    def is_default(self) -> bool:
        """Whether it asks for nothing but the account of sections."""
        return not self.by and self.section is self.match is None and self.domain == "memory"

    def checked(self) -> "Grouping":
        """The same, by section when it has no groupings. Raises MalformedError when a value is not possible."""
        from kinspect.views.size.attribution import GROUPINGS

        for name in self.by:
            if name not in GROUPINGS or self.by.count(name) > 1:
                expected = f"each of {', '.join(GROUPINGS)} at most once"
                raise impossible("by", expected, ",".join(self.by), did_you_mean(name, set(GROUPINGS) - {name}))
        if self.depth is not None and self.depth < 1:
            raise impossible("depth", "at least 1", str(self.depth))
        if self.domain not in DOMAINS:
            near = did_you_mean(self.domain, DOMAINS)
            raise impossible("domain", f"one of {', '.join(DOMAINS)}", self.domain, near)
        from kinspect.artifacts.raw.regex import Regex
        from kinspect.artifacts.raw.regex_syntax import RegexError

        try:
            Regex(self.match or "")
        except RegexError as reason:
            problem = f"not a regular expression ({reason})"
            raise MalformedError(problem, Location("--match"), actual=self.match) from reason
        return self._replace(by=self.by or ("section",))


class GroupedSizes(NamedTuple):
    """The bytes of a kernel in groups; of two builds compared when `old` is the path of the older vmlinux.

    The source, or the symbol if grouped by symbol, of `unattributed` bytes of memory is not known; `notes` says which
    file with debug information is missing. `parts` are the same bytes grouped by PARTS, if that was asked for.
    When only the largest groups were asked for, the last child of the root is the sum of `others` further groups.
    """

    vmlinux: str
    image: str | None
    old: str | None
    grouping: Grouping
    root: "SizeNode"
    unattributed: int
    notes: tuple[str, ...] = ()
    parts: "SizeNode | None" = None
    others: int = 0


def groupings(by: str | Sequence[str]) -> tuple[str, ...]:
    """The names of groupings, also from text such as `folder,symbol`."""
    return tuple(filter(None, by.split(","))) if isinstance(by, str) else tuple(by)


def grouped_sizes(
    new: "Attribution", grouping: Grouping, old: "Attribution | None" = None, parts: bool = False
) -> GroupedSizes:
    """The sizes of a kernel, or of two compared; with `parts` if the grouping is switchable.

    Raises MalformedError when the kernel has no such section.
    """
    from kinspect.views.size.tree import size_tree, unattributed

    by, depth, section, match = grouping[:4]
    root = size_tree(new, by, old, depth=depth, section=section, match=match)
    if section is not None and not root.children:
        near = did_you_mean(section, (known.name for known in new.vmlinux.sections))
        raise MalformedError(f"no such section{near}", new.vmlinux.at(section))
    before = old.vmlinux.path if old else None
    kernels = [new.vmlinux, *([old.vmlinux] if old else [])] if set(by) & set(_BY_SOURCE) else []
    notes = tuple(f"{one.path}: {one.debug_note}" for one in kernels if one.debug_note)
    detail = size_tree(new, PARTS, old, section=section) if parts and grouping.switchable else None
    found = new.vmlinux.path, new.account.image, before, grouping, root, unattributed(root)
    return GroupedSizes(*found, notes, detail)


def largest_groups(new: "Attribution", grouping: Grouping, top: int) -> GroupedSizes | None:
    """The `top` largest groups and the sum of the others; None where that takes no less than all groups."""
    if grouping._replace(top=None) != Grouping(("symbol",)) or top < 1:
        return None
    from kinspect.views.size.largest import largest_symbols
    from kinspect.views.size.node import SizeNode
    from kinspect.views.size.tree import TOTAL

    found = largest_symbols(new, top)
    if found is None:
        return None
    nodes, count, unattributed = found
    account = new.account
    file, memory = account.file_size, account.memory_size
    rest = SizeNode("others", file - sum(node.file for node in nodes), memory - sum(node.memory for node in nodes))
    root = SizeNode(TOTAL, file, memory, children=(*nodes, rest))
    return GroupedSizes(new.vmlinux.path, account.image, None, grouping, root, unattributed, others=count)


def grouped_file(vmlinux: "Vmlinux", grouping: Grouping) -> GroupedSizes:
    """The sizes of the vmlinux file itself, by section or kind. Raises MalformedError for other groupings."""
    from kinspect.views.size.tree import file_tree

    if set(grouping.by) - {"section", "kind"}:
        raise impossible("domain", "by section or kind", f"by {', '.join(grouping.by)}")
    return GroupedSizes(vmlinux.path, None, None, grouping, file_tree(vmlinux, grouping.by), 0)


def refuse_sources(grouping: Grouping, reason: str) -> None:
    """Raise MalformedError for a grouping that an Image does not have."""
    if unknown := [name for name in grouping.by if name not in OF_IMAGE]:
        raise impossible("by", f"{', '.join(OF_IMAGE)}: {reason}", ", ".join(unknown))


def impossible(option: str, expected: str, actual: str, near: str = "") -> KinspectError:
    """The error for an option whose value is not possible; `near` suggests another."""
    return MalformedError(f"not possible{near}", Location(f"--{option}"), expected=expected, actual=actual)
