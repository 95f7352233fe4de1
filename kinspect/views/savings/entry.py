"""One possible saving: bytes with one cause, and what can be done about them."""

from enum import StrEnum
from typing import NamedTuple


class SavingKind(StrEnum):
    """Why bytes could be saved. The values are those of JSON."""

    UNNEEDED = "waste"  # nothing uses them
    BOOT = "start-up"  # used only during boot: they take room in the Image, and memory until the kernel frees it
    OPTION = "option"  # in use, but the configuration can leave them out


class Example(NamedTuple):
    """One of the largest items of a saving, in bytes. `where` is its source file, empty when not known."""

    name: str
    size: int
    where: str = ""


class Saving(NamedTuple):
    """Bytes with one cause, found in `places` places.

    `file` bytes lie in the Image; `memory` bytes stay in the running kernel after boot. Savings overlap (memory freed
    after boot contains alignment, for example), so adding them up is wrong.
    """

    id: str
    kind: SavingKind
    file: int
    memory: int
    places: int
    reason: str
    remedy: str
    examples: tuple[Example, ...] = ()
