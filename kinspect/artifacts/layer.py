"""One wrapping around a kernel, in numbers."""

from typing import NamedTuple


class Layer(NamedTuple):
    """One wrapping around a kernel. Offset and sizes in bytes.

    The wrapping has `size` bytes; its compressed stream has `packed_size` bytes and starts at `offset`. The stream
    unpacks to `unpacked_size` bytes, of which the last `padding` are zeros that belong to the wrapping. `name` is
    "EFI zboot", that of a boot loader's container, whose `compression` is "none", or the same as `compression`.
    """

    name: str
    compression: str
    size: int
    offset: int
    packed_size: int
    unpacked_size: int
    padding: int

    @property
    def title(self) -> str:
        """Its name in messages: `gzip`, `EFI zboot (gzip)`."""
        return self.name if self.compression in (self.name, "none") else f"{self.name} ({self.compression})"
