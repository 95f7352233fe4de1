"""One wrapping around a kernel, in numbers."""

from typing import NamedTuple


class Layer(NamedTuple):
    """One wrapping around a kernel. Offset and sizes in bytes.

    The wrapping has `size` bytes; its compressed stream has `packed_size` bytes and starts at `offset`. The stream
    unpacks to `unpacked_size` bytes, of which the last `padding` are zeros that belong to the wrapping. `name` is
    "EFI zboot", or the same as `compression`.
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
        return self.name if self.name == self.compression else f"{self.name} ({self.compression})"
