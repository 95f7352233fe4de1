"""The texts of two kernels compared."""

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from kinspect.views.changes.causes.banner import Stamps
from kinspect.views.changes.causes.parts import known_parts
from kinspect.views.changes.causes.texts import text_causes
from kinspect.views.changes.side import KernelSide
from kinspect.views.changes.targets import CPIO
from kinspect.views.kernel.instructions import page_target

_MOST_TEXTS, _REACH = 32, 24
_MOST_PADDING = 4096
"""Bytes between functions that lie together."""
_TEXT = re.compile(rb"(?<=\0)(?:\x01[0-7c])?[\x20-\x7e\t\n\r\x1b]{6,2000}(?=\0)")


class ChangedTexts(NamedTuple):
    """The texts that only one of two kernels has; of the others, those of the new kernel by a known cause to differ."""

    removed: tuple[str, ...]
    added: tuple[str, ...]
    causes: dict[str, tuple[str, ...]]


def changed_texts(old: KernelSide, new: KernelSide, marks: Stamps) -> ChangedTexts:
    """The texts that differ in two kernels, outside of their code."""
    ours, theirs = set(_texts(old)), set(_texts(new))
    removed, added = ours - theirs, theirs - ours
    causes: dict[str, list[str]] = {}
    for text, (before, cause) in text_causes(removed, added, marks).items():
        removed.discard(before)
        added.discard(text)
        causes.setdefault(cause, []).append(text.decode())
    left = sorted(removed), sorted(added)
    named = _names(old), _names(new)
    shown = [
        tuple(text.decode() for text in texts if text not in names and not text.startswith(CPIO))
        for texts, names in zip(left, named, strict=True)
    ]
    return ChangedTexts(shown[0], shown[1], {cause: tuple(sorted(found)) for cause, found in causes.items()})


def users_of(side: KernelSide, texts: Sequence[str]) -> Iterator[tuple[int, int, int]]:
    """The functions that use some texts: where each begins, the number of the instruction, and the text's offset."""
    places = {place for text in texts[:_MOST_TEXTS] for place in _places(side.data, text.encode())}
    low = {place & 0xFFF for place in places}
    if not places:
        return
    tails = re.escape(bytes({part >> 6 for part in low}))
    for hit in re.finditer(b"[" + tails + b"]\x91", side.data[: side.code_end or len(side.data)]):
        at = hit.start() - 2
        word = side.words[at >> 2] if not at & 3 and at >= 0 else 0
        if word >> 10 & 0xFFF not in low or word & 0xFFC00000 != 0x91000000:
            continue
        for before in range((at >> 2) - 1, max(-1, (at >> 2) - _REACH), -1):
            page = side.words[before]
            if page & 0x9F00001F == 0x90000000 | word >> 5 & 31:
                place, start = page_target(page, 4 * before) + (word >> 10 & 0xFFF), side.owner(at)
                if place in places and start is not None:
                    yield start, at - start >> 2, place
                break


def _places(data: bytes, text: bytes) -> Iterator[int]:
    at = data.find(b"\0" + text + b"\0")
    while at >= 0:
        yield at + 1
        at = data.find(b"\0" + text + b"\0", at + 1)


def _names(side: KernelSide) -> set[bytes]:
    """Names of functions, which `__func__` and tables of names have too."""
    return {name.encode("utf-8", "surrogateescape") for name in side.names.values()}


def _texts(side: KernelSide) -> Iterator[bytes]:
    """The texts of a kernel outside of its code and of what is embedded in it."""
    at = side.code_end
    parts = [(place.offset, place.offset + place.size) for _, place in known_parts(side)]
    for first, last in sorted([*parts, *_later_code(side)]):
        if first > at:
            yield from _TEXT.findall(side.data, at, first)
        at = max(at, last)
    yield from _TEXT.findall(side.data, at, len(side.data))


def _later_code(side: KernelSide) -> Iterator[tuple[int, int]]:
    """Where functions lie behind the text: those for the start of the kernel."""
    start, end = -1, -1
    for offset in side.functions:
        if offset >= side.code_end:
            if start >= 0 and offset - end > _MOST_PADDING:
                yield start, end
                start = -1
            start, end = offset if start < 0 else start, side.ends[offset]
    if start >= 0:
        yield start, end
