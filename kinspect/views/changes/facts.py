"""Two kernels compared by what they are: functions, data and texts that changed, and known causes of differences."""

from collections.abc import Iterable, Sequence
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from kinspect.artifacts.boot.image import Image
from kinspect.artifacts.elf.vmlinux import Vmlinux
from kinspect.source import WINDOW
from kinspect.views.changes.causes.addresses import pointer_at
from kinspect.views.changes.causes.banner import stamps
from kinspect.views.changes.causes.known import Explained
from kinspect.views.changes.causes.moved import moved_parts
from kinspect.views.changes.causes.order import reordered
from kinspect.views.changes.causes.parts import known_parts
from kinspect.views.changes.causes.places import explained
from kinspect.views.changes.closely import FunctionChange, changed_functions
from kinspect.views.changes.data.changed import ChangedData, compared_data
from kinspect.views.changes.described.functions import with_texts, with_values
from kinspect.views.changes.described.interface import Interface, interface_of
from kinspect.views.changes.described.prototypes import Retyped, retyped
from kinspect.views.changes.described.structs import explained as types_explaining
from kinspect.views.changes.functions import Use
from kinspect.views.changes.matching import Matching, matched
from kinspect.views.changes.renaming import Renamed, renamed
from kinspect.views.changes.side import KernelSide, SymbolExtent, kernel_side
from kinspect.views.changes.texts import changed_texts, users_of
from kinspect.views.changes.uses.alternatives import changed_alternatives, without_replacements
from kinspect.views.changes.uses.unnamed import users_of_changed
from kinspect.views.diff.comparison import RangeFinder
from kinspect.workers import beside

if TYPE_CHECKING:
    from kinspect.artifacts.layer import Layer


class UnexplainedRange(NamedTuple):
    """Bytes that differ at the same place of both kernels, outside of functions: where, and the symbol if known."""

    offset: int
    size: int
    symbol: str


class UncertainUse(NamedTuple):
    """A function that refers to data of which nothing says whether it is the same: its name, and where it does so.

    The place is that in the function, in the new kernel.
    """

    name: str
    at: int


class KernelDifference(NamedTuple):
    """Two kernels compared. Sizes in bytes are those of the raw Images.

    `kind` is that of both files. `same` is whether they are equal byte for byte, `same_layout` whether every symbol is
    at the same place in both. `banners` and `build_ids` are of the old and the new kernel. `causes` are known causes of
    differences that are no change of the kernel. `functions` is how many were compared, `uncertain` where it cannot be
    said whether they changed. `ranges` are other differences of kernels with the same layout, outside of functions;
    `data` is the data of others by symbol. `interface` has the exports and types that changed. `retyped` are functions
    with another type hash, whose code may be the same.
    """

    old: str
    new: str
    old_layers: "tuple[Layer, ...]"
    new_layers: "tuple[Layer, ...]"
    kind: str
    old_size: int
    new_size: int
    same: bool
    same_layout: bool
    banners: tuple[str | None, str | None]
    build_ids: tuple[str | None, str | None]
    causes: tuple[Explained, ...] = ()
    functions: int = 0
    changed: tuple[FunctionChange, ...] = ()
    added: tuple[SymbolExtent, ...] = ()
    removed: tuple[SymbolExtent, ...] = ()
    renamed: tuple[Renamed, ...] = ()
    uncertain: tuple[UncertainUse, ...] = ()
    texts_added: tuple[str, ...] = ()
    texts_removed: tuple[str, ...] = ()
    ranges: tuple[UnexplainedRange, ...] = ()
    interface: Interface = Interface()
    data: ChangedData = ChangedData()
    retyped: tuple[Retyped, ...] = ()

    @property
    def all_compared(self) -> bool:
        """Whether data was compared too, all of it: in another layout, that takes the names of data."""
        return self.same_layout or (self.data.objects > 0 and not self.data.unjudged)

    @property
    def only_causes(self) -> bool:
        """Whether all differences have a known cause that is no change of the kernel."""
        functions = self.changed, self.added, self.removed, self.renamed, self.retyped, self.uncertain
        others = self.texts_added, self.texts_removed, self.ranges, self.interface.changed, *self.data[1:4]
        return not self.same and self.all_compared and not any((*functions, *others))


def kernel_difference(old: Image | Vmlinux, new: Image | Vmlinux) -> KernelDifference:
    """Two kernels compared by what they are. UnsupportedError for one without symbols, unless they are equal."""
    if isinstance(old, Image) and isinstance(new, Image) and _equal(old, new):
        return _facts(old, new, old, new)._replace(same=True, same_layout=True)
    # What modules see of the kernels depends on nothing else, and takes a fifth of the time.
    with beside(lambda: interface_of(old, new)) as interface:
        sides = kernel_side(old), kernel_side(new)
        found = _facts(old, new, sides[0].image, sides[1].image)
        if _equal(sides[0].image, sides[1].image):
            return found._replace(same=True, same_layout=True)
        found = _compared(found, *sides)
        counts, places = interface()
    changed = with_values(found.changed, *sides, partial(types_explaining, places))
    return found._replace(changed=with_texts(changed, *sides), interface=counts)


def _facts(old: Image | Vmlinux, new: Image | Vmlinux, one: Image, other: Image) -> KernelDifference:
    kind = Image.kind if isinstance(new, Image) else Vmlinux.kind
    banners, ids = (
        (one.banner, other.banner),
        [found.hex() if found else None for found in (one.build_id, other.build_id)],
    )
    return KernelDifference(
        old.path, new.path, old.layers, new.layers, kind, one.size, other.size, False, False, banners, (ids[0], ids[1])
    )


def _compared(found: KernelDifference, old: KernelSide, new: KernelSide) -> KernelDifference:
    marks = stamps(*found.banners)
    same_layout = _laid_out_alike(old, new)
    match = matched(old, new, marks, bounds=not same_layout and not old.names_data)
    with beside(lambda: changed_texts(old, new, marks)) as changed_ones:
        suspects = _suspects(match)
        texts = changed_ones()
    changed = _changed(match, suspects, texts.removed)
    names = renamed(old, new, match.functions, match.targets)
    match = match.with_renamed(names)
    functions = match.functions
    by_symbol = not same_layout and old.names_data and new.names_data
    with beside(lambda: compared_data(old, new, dict(functions.pairs), marks) if by_symbol else ChangedData()) as data:
        if names:
            suspects = _suspects(match)
            changed = _changed(match, suspects, texts.removed)
        found = found._replace(
            same_layout=same_layout,
            functions=len(functions.pairs),
            changed=tuple(changed),
            added=_extents(new, functions.added),
            removed=_extents(old, functions.removed),
            renamed=tuple(names),
            retyped=tuple(retyped(old, new, functions.pairs)),
            uncertain=_uncertain(new, suspects.unjudged, changed),
            texts_removed=texts.removed,
            texts_added=texts.added,
        )
        if same_layout:
            return _by_place(found, old, new)
        causes = moved_parts(old, new, texts.causes)
        if not any((found.changed, found.added, found.removed, found.renamed, found.retyped)):
            causes += reordered(old, new, functions.pairs + match.objects)
        return found._replace(causes=tuple(causes), data=data())


class _Suspects(NamedTuple):
    """Pairs of functions that may have changed, those whose replacements changed, and what cannot be judged."""

    pairs: dict[tuple[int, int], set[int]]
    replaced: list[tuple[tuple[int, int], int]]
    unjudged: tuple[Use, ...]


def _suspects(match: Matching) -> _Suspects:
    old, new = match.comparison.old, match.comparison.new
    suspects, unjudged = match.comparison.suspects(match.targets)
    replaced = changed_alternatives(old, new, dict(match.functions.pairs), match.targets.same)
    return _Suspects(without_replacements(old, suspects), list(replaced), unjudged)


def _changed(match: Matching, suspects: _Suspects, texts: Sequence[str]) -> list[FunctionChange]:
    """The functions that changed. `texts` are those that were removed."""
    old, new, targets, pairs = match.comparison.old, match.comparison.new, match.targets, suspects.pairs
    # A text that changed in place leaves no trace in the code.
    for start, lane, _place in users_of(old, texts):
        theirs = targets.pairs.get(start)
        if theirs is not None and old.function(start) == new.function(theirs):
            pairs.setdefault((start, theirs), set()).add(lane)
    alike = {start: other for start, other in match.functions.pairs if (start, other) not in pairs}
    for pair, lane in users_of_changed(old, new, alike, targets.pairs, targets.same):
        pairs.setdefault(pair, set()).add(lane)
    return changed_functions(old, new, pairs, targets, suspects.replaced)


def _uncertain(side: KernelSide, uses: Iterable[Use], changed: Iterable[FunctionChange]) -> tuple[UncertainUse, ...]:
    """The references that were not judged, of functions that are not known to have changed."""
    known = {function.new_offset for function in changed}
    places = sorted({(use.pair[1], 4 * use.lane) for use in uses if use.pair[1] not in known})
    return tuple(UncertainUse(side.names[start], at) for start, at in places)


def _laid_out_alike(old: KernelSide, new: KernelSide) -> bool:
    """Whether every symbol is at the same place in both, but for those of type information and other known parts."""
    if len(old.data) != len(new.data):
        return False
    if old.bounds == new.bounds and old.names == new.names:
        return True
    for side, other in ((old, new), (new, old)):
        parts = [(place.offset, place.offset + place.size) for _, place in known_parts(side)]
        for offset in side.bounds:
            if other.names.get(offset) != side.names.get(offset) and not any(
                first < offset <= last for first, last in parts
            ):
                return False
    return True


def _by_place(found: KernelDifference, old: KernelSide, new: KernelSide) -> KernelDifference:
    """The differences outside of functions of kernels that are laid out alike: their causes, and those without one."""
    texts = found.texts_removed + found.texts_added
    causes, left = explained(old, new, _ranges(old.image, new.image), texts)
    ranges = [UnexplainedRange(start, end - start, new.symbol_at(pointer_at(new, start))) for start, end in left]
    return found._replace(causes=tuple(causes), ranges=tuple(ranges))


def _equal(old: Image, new: Image) -> bool:
    """Whether two Images are the same byte for byte."""
    if old.size != new.size:
        return False
    sizes = ((at, min(WINDOW, old.size - at)) for at in range(0, old.size, WINDOW))
    return all(old.source.read(at, size) == new.source.read(at, size) for at, size in sizes)


def _ranges(old: Image, new: Image) -> list[tuple[int, int]]:
    """Where two Images of one size differ."""
    finder = RangeFinder()
    for at in range(0, old.size, WINDOW):
        size = min(WINDOW, old.size - at)
        ours, theirs = old.source.read(at, size), new.source.read(at, size)
        if ours != theirs:
            finder.add(ours, theirs, at, size)
    finder.finish()
    return list(zip(finder.starts, finder.ends, strict=True))


def _extents(side: KernelSide, offsets: Iterable[int]) -> tuple[SymbolExtent, ...]:
    return tuple(SymbolExtent(side.names[offset], offset, side.ends[offset] - offset) for offset in sorted(offsets))
