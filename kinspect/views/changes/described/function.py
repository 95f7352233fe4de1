"""One function of two kernels compared, instruction by instruction."""

from collections.abc import Iterable, Iterator, Sequence

from kinspect.artifacts.boot.image import Image
from kinspect.artifacts.elf.vmlinux import Vmlinux
from kinspect.errors import Location, MalformedError, UnsupportedError, did_you_mean
from kinspect.views.changes.bodies import body_size
from kinspect.views.changes.causes.banner import stamps
from kinspect.views.changes.described.code import SideCode
from kinspect.views.changes.described.prototypes import retyped
from kinspect.views.changes.matching import matched
from kinspect.views.changes.names import compared_name
from kinspect.views.changes.padding import differ_in_padding, padding
from kinspect.views.changes.renaming import renamed
from kinspect.views.changes.side import KernelSide, kernel_side
from kinspect.views.changes.targets import Targets
from kinspect.views.changes.uses.alternatives import changed_alternatives
from kinspect.views.changes.uses.unnamed import users_of_changed
from kinspect.views.disassembly.decoder import EXTRA, Decoder, can_disassemble
from kinspect.views.disassembly.facts import FunctionDifference, compared
from kinspect.views.disassembly.listing import ListedInstruction, Listing
from kinspect.views.kernel.instructions import NOP

_Pair = tuple[int, int]
_LARGEST = 256 << 10
"""Bytes of a function that is compared as assembly: no compiler makes one of this size."""


def function_differences(old: Image | Vmlinux, new: Image | Vmlinux, name: str) -> tuple[FunctionDifference, ...]:
    """The functions of a name in two kernels compared: those that differ, or one if none does.

    Raises MalformedError when the kernels have none of that name in common, UnsupportedError without capstone, for a
    function that is too large, and as `kernel_side` does.
    """
    if not can_disassemble():
        problem = f"capstone is missing, which disassembles: pip install '{EXTRA}'"
        raise UnsupportedError(problem, Location(new.path, name))
    ours, theirs = kernel_side(old), kernel_side(new)
    marks = stamps(ours.image.banner, theirs.image.banner)
    functions, _, _, targets, comparison = matched(ours, theirs, marks, bounds=not ours.names_data)
    # What the instructions of all functions refer to says what is the same.
    comparison.suspects(targets)
    pairs = _of_name(functions.pairs, ours, theirs, name)
    if not pairs:
        found = renamed(ours, theirs, functions, targets)
        pairs = [(one.old_offset, one.new_offset) for one in found if name in (one.old_name, one.new_name)]
    if not pairs:
        raise _none_of_name(ours, theirs, (old.path, new.path), name)
    decoder = Decoder()
    listings = Listing(SideCode(ours), decoder), Listing(SideCode(theirs), decoder)
    replaced = dict(changed_alternatives(ours, theirs, dict(functions.pairs), targets.same))
    every = [_difference((old.path, new.path), (ours, theirs), pair, listings, targets) for pair in pairs]
    places = [replaced.get(pair) for pair in pairs]
    every = [
        found if lane is None else found._replace(replaced=4 * lane) for found, lane in zip(every, places, strict=True)
    ]
    every = list(_besides(ours, theirs, every, targets))
    return tuple(found for found in every if not found.same) or (every[0],)


def _besides(
    old: KernelSide, new: KernelSide, every: Iterable[FunctionDifference], targets: Targets
) -> Iterator[FunctionDifference]:
    """The functions with what differs outside of their code: data without a name, and type hashes."""
    every = list(every)
    alike = {found.old_offset: found.new_offset for found in every if found.same}
    unnamed: dict[_Pair, int] = {}
    for pair, lane in users_of_changed(old, new, alike, targets.pairs, targets.same) if alike else ():
        unnamed[pair] = min(4 * lane, unnamed.get(pair, 4 * lane))
    for found in every:
        pair = found.old_offset, found.new_offset
        hashes = [(one.old_hash, one.new_hash) for one in retyped(old, new, [pair])]
        yield found._replace(unnamed=unnamed.get(pair), hashes=hashes[0] if hashes else None)


def _of_name(pairs: Iterable[_Pair], old: KernelSide, new: KernelSide, name: str) -> list[_Pair]:
    """The pairs of functions of a name; without any, of that name without the numbers that compilers add."""
    pairs = list(pairs)
    exact = [pair for pair in pairs if name in (old.names[pair[0]], new.names[pair[1]])]
    return exact or [pair for pair in pairs if compared_name(new.names[pair[1]]) == name]


def _none_of_name(old: KernelSide, new: KernelSide, paths: tuple[str, str], name: str) -> MalformedError:
    names = [{side.names[offset] for offset in side.functions} for side in (old, new)]
    for path, has, other in ((paths[0], names[0], "new"), (paths[1], names[1], "old")):
        if name in has:
            return MalformedError(f"the {other} kernel does not have this function", Location(path, name))
    return MalformedError(f"no such function{did_you_mean(name, sorted(names[1]))}", Location(paths[1], name))


def _difference(
    paths: tuple[str, str],
    sides: tuple[KernelSide, KernelSide],
    pair: _Pair,
    listings: tuple[Listing, Listing],
    targets: Targets,
) -> FunctionDifference:
    for path, side, start in zip(paths, sides, pair, strict=True):
        size = side.ends[start] - start
        if size > _LARGEST:
            at = Location(path, side.names[start])
            raise UnsupportedError("too large for a function", at, expected=f"at most {_LARGEST:,} bytes", actual=size)
    bodies = [body_size(side, start) for side, start in zip(sides, pair, strict=True)]
    found = _of_sizes(paths, sides, pair, bodies, listings, targets)
    if not found.same:
        return found
    # Parts of functions lie behind the last of an object file.
    wholes = [side.ends[start] - start for side, start in zip(sides, pair, strict=True)]
    return _of_sizes(paths, sides, pair, wholes, listings, targets)


def _of_sizes(
    paths: tuple[str, str],
    sides: tuple[KernelSide, KernelSide],
    pair: _Pair,
    sizes: Sequence[int],
    listings: tuple[Listing, Listing],
    targets: Targets,
) -> FunctionDifference:
    # Nops that may align a loop are no change.
    padded = differ_in_padding(*sides, pair, (), targets)
    lists = [_listed(*place, padded) for place in zip(listings, pair, sizes, strict=True)]

    def same(ours: int, theirs: int) -> bool:
        return targets.same(ours, theirs) or targets.between(ours, theirs)

    instructions = compared(lists[0], lists[1], same)
    removed = sum(found.new_offset is None for found in instructions)
    added = sum(found.old_offset is None for found in instructions)
    names = [side.names[start] for side, start in zip(sides, pair, strict=True)]
    return FunctionDifference(*paths, names[0], names[1], *pair, sizes[0], sizes[1], removed, added, instructions)


def _listed(listing: Listing, start: int, size: int, padded: bool) -> list[ListedInstruction]:
    """The instructions of a function without padding: `padded` is whether every nop may be some."""
    words = listing.words(start, size)
    left_out = {lane for lane, word in enumerate(words) if word == NOP} if padded else padding(words, start)
    return [line for line in listing.function(start, size) if line.offset >> 2 not in left_out]
