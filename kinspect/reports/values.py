"""Values as they are written in JSON. Sizes, counts and offsets are integers; addresses and bit patterns are hex."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kinspect.artifacts.raw.embedded import Extent

Document = dict[str, Any]


def hexadecimal(value: int) -> str:
    """An address or a bit pattern: `0xa`."""
    return f"{value:#x}"


def crc(value: int | None) -> str | None:
    """A CRC, with all of its 8 digits: `0x0a1b2c3d`."""
    return None if value is None else f"{value:#010x}"


def extent(found: "Extent | None") -> Document | None:
    """A place in a file; null when there is none."""
    return found._asdict() if found else None
