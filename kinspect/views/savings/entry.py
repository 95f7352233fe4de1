"""What could be given back of a kernel's bytes: one entry a cause, each with what is known to do about it."""

from enum import StrEnum
from typing import NamedTuple


class SavingKind(StrEnum):
    """What is meant by giving bytes back."""

    WASTE = "waste"  # nothing would be missed
    START = "start-up"  # memory gives it back by itself after boot; the Image carries it
    OPTION = "option"  # of use, and the configuration can leave it out


class Example(NamedTuple):
    """One of those that have the most of an entry, and how many bytes of it. `where` is a source file, if known."""

    name: str
    size: int
    where: str = ""


class Waste(NamedTuple):
    """Bytes with one cause, in so many `places`.

    `file` lies in the Image, `memory` is what the running kernel has of it, less what it frees after boot. Entries
    overlap (start-up memory has alignment in it), so that they have no sum.
    """

    id: str
    sort: SavingKind
    file: int
    memory: int
    places: int
    reason: str
    remedy: str
    examples: tuple[Example, ...] = ()


class WasteFacts(NamedTuple):
    """What a kernel could give back: by sort, the largest first. Sizes in bytes."""

    vmlinux: str
    file_size: int
    memory_size: int
    entries: tuple[Waste, ...]
