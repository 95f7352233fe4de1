"""Known causes of differences between kernels of different layout."""

from collections.abc import Mapping

from kinspect.views.changes.causes.banner import stamps
from kinspect.views.changes.causes.known import (
    BANNER,
    BUILD_ID,
    CERTIFICATES,
    CONFIG,
    HEADERS,
    INITRAMFS,
    SALT,
    SIGNING_KEY,
    VERSION,
    Explained,
)
from kinspect.views.changes.causes.parts import known_parts
from kinspect.views.changes.causes.stamps import keys_of, notes_of, without_keys
from kinspect.views.changes.side import KernelSide


def moved_parts(old: KernelSide, new: KernelSide, texts: Mapping[str, tuple[str, ...]]) -> list[Explained]:
    """The known parts of two kernels that differ, and the causes of `texts`. BTF and kallsyms follow other changes."""
    marks, found = stamps(old.image.banner, new.image.banner), dict[str, Explained]()
    ours, theirs = dict(known_parts(old)), dict(known_parts(new))
    for cause in (BANNER, VERSION, CONFIG, HEADERS, INITRAMFS, CERTIFICATES):
        if cause in ours and cause in theirs:
            one, other = (
                side.data[place.offset : place.offset + place.size]
                for side, place in ((old, ours[cause]), (new, theirs[cause]))
            )
            if cause == CERTIFICATES:
                one, other = without_keys(one), without_keys(other)
            if one.rstrip(b"\0") != other.rstrip(b"\0"):
                found[cause] = Explained(cause, len(other), ())
    keys = keys_of(old.data), keys_of(new.data)
    if keys[0] != keys[1]:
        found[SIGNING_KEY] = Explained(SIGNING_KEY, sum(map(len, keys[1])), ())
    notes = notes_of(old.data), notes_of(new.data)
    for cause in (BUILD_ID, SALT):
        if notes[0][cause] != notes[1][cause]:
            found[cause] = Explained(cause, sum(map(len, notes[1][cause])), ())
    for cause, places in texts.items():
        found.setdefault(cause, Explained(cause, sum(map(len, places)), places))
    if marks and not {BANNER, VERSION} & found.keys():
        found[VERSION] = Explained(VERSION, 0, ())
    return list(found.values())
