"""The functions of two kernels compared: instructions that differ, other than by where code and data lie.

An instruction that holds an address is the same when the address is the same thing in both kernels. Most functions are
decided by their bytes, and most of the others by instructions with an address alone; what is left is looked at closely.
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import compress, starmap
from typing import Any, NamedTuple

from kinspect.views.changes.alike import astray
from kinspect.views.changes.bodies import aside, body_size
from kinspect.views.changes.side import KernelSide
from kinspect.views.changes.targets import Targets
from kinspect.views.changes.uses.following import PairedCode, completed_soon, detours_of, followed, is_pair
from kinspect.views.kernel.instructions import (
    BRANCH,
    CLASSES,
    LOW,
    PAGE,
    SHORT,
    branch_target,
    page_target,
    short_mask,
    short_target,
)
from kinspect.workers import beside

_PAIR = tuple[int, int]
_Parts = tuple[list[_PAIR], dict[_PAIR, set[int]], list[tuple[Any, ...]], set[_PAIR], list[tuple[Any, ...]]]
_MANY = 4096
"""Pairs of functions of which another process compares half."""
_ENDLESS = frozenset(
    (
        *("__stack_chk_fail", "__fortify_panic", "fortify_panic", "panic", "nmi_panic", "usercopy_abort", "do_exit"),
        *("make_task_dead", "do_group_exit", "kthread_exit", "kthread_complete_and_exit", "__kvm_nvhe_hyp_panic"),
        *("__module_put_and_kthread_exit", "arch_cpu_idle_dead", "cpu_die", "machine_restart", "emergency_restart"),
        *("panic_smp_self_stop", "cpu_park_loop", "rest_init", "__ubsan_handle_builtin_unreachable"),
    )
)
"""Functions that never return. Source: tools/objtool/noreturns.h."""


class Use(NamedTuple):
    """A place in a pair of functions where each refers to an address: the number of the instruction, the addresses.

    `derived` is whether it is a place in what another instruction refers to, `weak` whether the instruction may refer
    to something else as well.
    """

    pair: tuple[int, int]
    lane: int
    ours: int
    theirs: int
    derived: bool = False
    weak: bool = False


class Suspects(NamedTuple):
    """The pairs of functions that may have changed, with the numbers of the instructions that differ.

    For functions that differ in size there are none. `unjudged` are the places where a function refers to data of which
    neither name, content nor place says whether it is the same.
    """

    pairs: dict[tuple[int, int], set[int]]
    unjudged: tuple[Use, ...]


class FunctionPairs:
    """Pairs of functions, and where the two of a pair differ or refer to addresses that may not be the same thing."""

    def __init__(self, old: KernelSide, new: KernelSide, known: dict[int, int]) -> None:
        self.old, self.new, self._known = old, new, known
        self._tops = old.data[3::4][: len(old.words)].translate(CLASSES)
        self._endless = frozenset(start for start in old.functions if old.names[start] in _ENDLESS)
        self._sizes: list[_PAIR] = []
        self._odd: dict[_PAIR, set[int]] = {}
        self._uses: list[Use] = []
        self._mixed: set[_PAIR] = set()
        self._jumps: list[Use] = []

    def add(self, pairs: Sequence[_PAIR]) -> None:
        """Compare the functions of some pairs; of many, half of them in another process."""
        half = len(pairs) // 2 if len(pairs) > _MANY else 0
        if not half:
            self._add(pairs)
            return
        with beside(lambda: self._added(pairs[half:])) as rest:
            self._add(pairs[:half])
            sizes, odd, uses, mixed, jumps = rest()
        self._sizes += sizes
        self._odd |= odd
        self._uses += starmap(Use, uses)
        self._mixed |= mixed
        self._jumps += starmap(Use, jumps)

    def _added(self, pairs: Sequence[_PAIR]) -> _Parts:
        """What is found in some pairs, as plain values."""
        found = FunctionPairs(self.old, self.new, self._known)
        found._add(pairs)
        return found._sizes, found._odd, list(map(tuple, found._uses)), found._mixed, list(map(tuple, found._jumps))

    def _add(self, pairs: Iterable[_PAIR]) -> None:
        old, new = self.old, self.new
        ours, theirs, mine, yours = old.data, new.data, old.ends, new.ends
        alike: dict[_PAIR, set[int]] = {}
        for pair in pairs:
            start, other = pair
            size, length = mine[start] - start, yours[other] - other
            if size != length:
                size, length = body_size(old, start), body_size(new, other)
                if size != length:
                    self._sizes.append(pair)
                    continue
            one, two = ours[start : start + size], theirs[other : other + size]
            alike[pair] = set() if one == two else self._differing(pair, one, two)
        for pair, kind, at in astray(old, new, list(alike), self._known, self._tops):
            start, other = pair
            lane = at - start >> 2
            word, size = old.words[at >> 2], min(mine[start] - start, yours[other] - other)
            if 4 * lane >= size or new.words[(other >> 2) + lane] != word:
                continue
            if kind == PAGE:
                alike[pair].add(lane)
            else:
                target = branch_target(word, at) if kind == BRANCH else short_target(word, at)
                self._jumps.append(Use(pair, lane, target, target - start + other))
        for pair, pages in alike.items():
            if pages:
                self._follow(pair, sorted(pages))

    def _differing(self, pair: _PAIR, one: bytes, two: bytes) -> set[int]:
        """Sort the instructions that differ; return those that put a page into a register and must be followed."""
        (start, other), size = pair, len(one) >> 2
        both = int.from_bytes(one, "little") ^ int.from_bytes(two, "little")
        lanes = list(compress(range(size), memoryview(both.to_bytes(4 * size, "little")).cast("I")))
        first, second = start >> 2, other >> 2
        kinds, mine, yours = self._tops, self.old.words, self.new.words
        odd: set[int] = set()
        pages: set[int] = set()
        low = False
        for lane in lanes:
            kind = kinds[first + lane]
            word, changed = mine[first + lane], yours[second + lane]
            if kind == BRANCH and not (word ^ changed) >> 26:
                target, goal = branch_target(word, start + 4 * lane), branch_target(changed, other + 4 * lane)
                if self._known.get(target) != goal:
                    self._jumps.append(Use(pair, lane, target, goal))
            elif kind == PAGE and not (word ^ changed) & 0x1F00001F:
                pages.add(lane)
            elif kind == SHORT and self._leaves(pair, 4 * size, lane, word, changed):
                continue
            else:
                odd.add(lane)
                low = low or kind == LOW or is_pair(word)
        if odd:
            self._odd[pair] = odd
        if low:
            pages.update(lane for lane in range(size) if kinds[first + lane] == PAGE)
        return pages

    def _leaves(self, pair: _PAIR, size: int, lane: int, one: int, two: int) -> bool:
        """Whether both are a branch on one condition, out of the function."""
        (start, other), at = pair, 4 * lane
        target, goal = short_target(one, at), short_target(two, at)
        if (one ^ two) & short_mask(one) or 0 <= target < size or 0 <= goal < size:
            return False
        self._jumps.append(Use(pair, lane, start + target, other + goal))
        return True

    def _follow(self, pair: _PAIR, pages: Iterable[int]) -> None:
        """Follow the registers of adrp and adr to the instructions that add the low bits."""
        code = self._code(pair)
        odd = self._odd.get(pair, set())
        uses: set[Use] = set()
        self._complete(pair, code, pages, False, uses)
        odd.difference_update({use.lane for use in uses})
        if odd:
            # What is left may be far away, or counted from another address.
            self._complete(pair, code._replace(detours=detours_of(code.mine)), pages, True, uses)
            if any(use.weak for use in uses):
                self._mixed.add(pair)
            odd.difference_update({use.lane for use in uses})
        self._uses += uses

    def _complete(self, pair: _PAIR, code: PairedCode, pages: Iterable[int], further: bool, uses: set[Use]) -> None:
        """Add what the instructions of some pages refer to."""
        start, other = pair
        odd = self._odd.get(pair, ())
        for at in pages:
            one, two = code.mine[at], code.yours[at]
            if (one ^ two) & 0x1F00001F:
                continue
            page, goal = page_target(one, start + 4 * at), page_target(two, other + 4 * at)
            if not one >> 31 and not two >> 31:
                uses.add(Use(pair, at, page, goal))
                continue
            soon = None if further else completed_soon(code, at)
            if soon is not None:
                uses.add(Use(pair, soon[0], page + soon[1], goal + soon[2]))
                continue
            for lane, ours, theirs, derived, doubtful in followed(code, at, further):
                weak = derived or doubtful
                if not weak or lane in odd:
                    uses.add(Use(pair, lane, page + ours, goal + theirs, derived, weak))

    def suspects(self, targets: Targets) -> Suspects:
        """The pairs that may have changed. The uses of data that others agree on count as evidence."""
        found = {pair: set(odd) for pair, odd in self._odd.items() if odd}
        for use in self._jumps:
            if targets.pairs.get(use.ours) != use.theirs and not self._same_place(use):
                found.setdefault(use.pair, set()).add(use.lane)
        targets.vote((use.ours, use.theirs) for use in self._uses if not use.weak)
        unjudged = []
        for use, same in self._judged(targets):
            if same is None:
                unjudged.append(use)
            elif not same:
                found.setdefault(use.pair, set()).add(use.lane)
        return Suspects({**{pair: set[int]() for pair in self._sizes}, **found}, tuple(unjudged))

    def _judged(self, targets: Targets) -> Iterator[tuple[Use, bool | None]]:
        """The uses with whether both are the same thing, and None where nothing tells."""
        weak: dict[tuple[_PAIR, int], list[Use]] = {}
        strong = set()
        for use in self._uses:
            if use.weak:
                weak.setdefault((use.pair, use.lane), []).append(use)
                continue
            same = targets.same(use.ours, use.theirs)
            if not same and self._anchors(use, targets):
                same = True
            if use.pair in self._mixed:
                strong.add((use.pair, use.lane))
            yield use, same
        for place, uses in weak.items():
            if place not in strong:
                # A field of a structure that moved is another field.
                told = [(targets.within if use.derived else targets.same)(use.ours, use.theirs) for use in uses]
                yield uses[0], True if True in told else None if None in told else False

    def _anchors(self, use: Use, targets: Targets) -> bool:
        """Whether an address is only where the compiler begins to count from, and all places from there are the same.

        It may be that of any variable of an object file, or lie between two (-fsection-anchors).
        """
        start, lane = use.pair[0], use.lane
        if use.weak or self.old.words[(start >> 2) + lane] & 0xFFC00000 != 0x91000000:
            return False
        places = [
            (found.ours, found.theirs)
            for found in followed(self._code(use.pair), lane, True, complete=True)
            if found.derived and not found.doubtful
        ]
        return bool(places) and all(targets.within(use.ours + one, use.theirs + two) for one, two in places)

    def _code(self, pair: _PAIR) -> PairedCode:
        start, other = pair
        size = min(self.old.ends[start] - start, self.new.ends[other] - other) >> 2
        mine, yours = (
            side.words[at >> 2 : (at >> 2) + size].tolist() for side, at in ((self.old, start), (self.new, other))
        )
        return PairedCode(mine, yours, start, self._endless)

    def _same_place(self, use: Use) -> bool:
        """Whether a branch that goes to no function of both kernels goes to the same place."""
        (start, other), target, goal = use.pair, use.ours, use.theirs
        if target - start == goal - other and 0 <= target - start < body_size(self.old, start):
            return True
        return aside(self.old, start, target) == aside(self.new, other, goal)
