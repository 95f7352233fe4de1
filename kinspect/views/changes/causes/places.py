"""Differences at the same places of two kernels: their known causes, and those without one."""

from bisect import bisect_right
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from kinspect.views.changes.causes.addresses import MovedThings, pointer_at
from kinspect.views.changes.causes.banner import stamps
from kinspect.views.changes.causes.known import ADDRESSES, BTF, CAUSES, CERTIFICATES, Explained
from kinspect.views.changes.causes.parts import known_parts
from kinspect.views.changes.causes.stamps import certificate_at, stamp_at
from kinspect.views.changes.causes.texts import text_cause
from kinspect.views.changes.side import KernelSide
from kinspect.views.changes.targets import text_around, text_end

_WORD = 8
_LARGEST, _MOST_PIECES = 1 << 16, 1 << 14
"""Bytes of a range that is looked at piece by piece, and pieces without a cause after which none is looked at."""


class Piece(NamedTuple):
    """A part of a range that differs: from `start` to `end`, the cause if one is known, and the text it is in."""

    start: int
    end: int
    cause: str | None
    text: str = ""


def explained(
    old: KernelSide, new: KernelSide, ranges: Iterable[tuple[int, int]], texts: Iterable[str]
) -> tuple[list[Explained], list[tuple[int, int]]]:
    """The causes of differences outside of functions and of `texts`, and the ranges that have none."""
    look = _PieceFinder(old, new, {text.encode() for text in texts})
    counts: dict[str, int] = {}
    places: dict[str, dict[str, None]] = {}
    left: list[tuple[int, int]] = []
    for start, end in ranges:
        for piece in look.pieces(start, end):
            if piece.cause is None:
                if left and start <= left[-1][1] >= piece.start - _WORD:
                    left[-1] = left[-1][0], piece.end
                else:
                    left.append((piece.start, piece.end))
                continue
            counts[piece.cause] = counts.get(piece.cause, 0) + piece.end - piece.start
            place = piece.text or (new.symbol_at(pointer_at(new, piece.start)) if new.names_data else "")
            if place:
                places.setdefault(piece.cause, {})[place] = None
    causes = [Explained(cause, counts[cause], tuple(places.get(cause, ()))) for cause in CAUSES if cause in counts]
    return causes, left


class _PieceFinder:
    def __init__(self, old: KernelSide, new: KernelSide, listed: set[bytes]) -> None:
        self.old, self.new, self.listed = old, new, listed
        parts = [known_parts(side) for side in (old, new)]
        self.parts = sorted((place.offset, place.offset + place.size, cause) for own in parts for cause, place in own)
        self.marks = stamps(old.image.banner, new.image.banner)
        self.code, self.unknown = new.functions, 0
        self.hashes = {*new.hashes.values(), *old.hashes.values()}
        ends = [side.image.embedded.btf for side in (old, new)]
        limits = [max([at.offset + at.size for cause, at in own if cause == BTF], default=0) for own in parts]
        btf = (ends[0].offset + ends[0].size, ends[1].offset + ends[1].size) if ends[0] and ends[1] else None
        self.moved = MovedThings(old, new, btf, (limits[0], limits[1]))

    def pieces(self, start: int, end: int) -> Iterator[Piece]:
        """A range in pieces of one cause each; bytes that are equal, functions and type hashes are left out."""
        large = end - start > _LARGEST or self.unknown > _MOST_PIECES
        at = start
        while at < end:
            if self.old.data[at] == self.new.data[at]:
                at += 1
                continue
            after = self._function_end(at) or self._hash_end(at) or self._listed_end(at)
            if after is not None:
                at = after
                continue
            piece = self._piece(at, end) if self.unknown <= _MOST_PIECES else self._in_part(at)
            if piece.cause is None and large:
                piece = piece._replace(end=min(end, self._part_start(at)))
            self.unknown += piece.cause is None
            last = max(piece.end, at + 1)
            yield piece._replace(end=self._last_difference(at, min(last, end)))
            at = last

    def _in_part(self, at: int) -> Piece:
        for first, last, part in self.parts:
            if first <= at < last and part != CERTIFICATES:
                return Piece(at, last, part)
        return Piece(at, at + 1, None)

    def _piece(self, at: int, end: int) -> Piece:
        found = self._in_part(at)
        if found.cause:
            return found
        certificate = certificate_at(self.new.data, at)
        if certificate:
            return Piece(at, certificate[1], certificate[0])
        if any(first <= at < last for first, last, _ in self.parts):
            return Piece(at, (at & -_WORD) + _WORD, CERTIFICATES)
        texts = text_around(self.old.data, at), text_around(self.new.data, at)
        if texts[0] is not None and texts[1] is not None:
            cause = text_cause(texts[0], texts[1], self.marks)
            if cause:
                last = min(text_end(side.data, at) for side in (self.old, self.new))
                return Piece(at, last, cause, texts[1].decode("utf-8", "backslashreplace"))
        stamp = stamp_at(self.new.data, at)
        if stamp:
            return Piece(at, stamp[1], stamp[0])
        word = at & -_WORD, (at & -_WORD) + _WORD
        return Piece(at, word[1], ADDRESSES if self.moved.explain(at, min(end, word[1])) else None)

    def _function_end(self, at: int) -> int | None:
        """The end of the function that holds an offset."""
        found = bisect_right(self.code, at) - 1
        if found < 0:
            return None
        end = self.new.ends[self.code[found]]
        return end if at < end else None

    def _hash_end(self, at: int) -> int | None:
        """The end of the type hash of a function that holds an offset."""
        return (at & -4) + 4 if at & -4 in self.hashes else None

    def _listed_end(self, at: int) -> int | None:
        """The end of the text that holds an offset, when it is one of those that are listed."""
        for side in (self.old, self.new):
            if self.listed and text_around(side.data, at) in self.listed:
                return text_end(side.data, at)
        return None

    def _part_start(self, at: int) -> int:
        return min((first for first, _, _ in self.parts if first > at), default=len(self.new.data))

    def _last_difference(self, start: int, end: int) -> int:
        while end > start + 1 and self.old.data[end - 1] == self.new.data[end - 1]:
            end -= 1
        return end
