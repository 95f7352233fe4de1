"""What a module contains, as plain values."""

from typing import NamedTuple

from kinspect.artifacts.module.exports import Export


class MemorySizes(NamedTuple):
    """The sections that the kernel loads, in bytes by what they hold, without the gaps that align them.

    `init` is freed when the module has started; `per_cpu` is taken once for each processor.
    """

    code: int
    read_only: int
    data: int
    bss: int
    init: int
    per_cpu: int

    @property
    def kept(self) -> int:
        """What the module takes while it is loaded."""
        return self.code + self.read_only + self.data + self.bss


class NeedFacts(NamedTuple):
    """A symbol that the module needs, the CRC that it must have, and who provides it, where that is known."""

    name: str
    weak: bool
    crc: int | None
    provider: str | None


class SignatureFacts(NamedTuple):
    """Who signed a module. `key` is the certificate's serial number, or its key id as `key_kind` says.

    `size` counts all bytes after the module without the trailer; `problem` says why the rest could not be told.
    """

    id_type: str
    signer: str
    key: str
    key_kind: str
    hash: str
    algorithm: str
    size: int
    problem: str


class ModuleFacts(NamedTuple):
    """What a module says of itself. Sizes are in bytes; `providers` says whether it was told who provides symbols."""

    path: str
    name: str
    size: int
    compression: str
    decompressed_size: int
    build_id: str | None
    modinfo: tuple[tuple[str, str], ...]
    memory: MemorySizes
    exports: tuple[Export, ...]
    needs: tuple[NeedFacts, ...]
    versions: int
    signature: SignatureFacts | None
    providers: bool

    def values(self, key: str) -> list[str]:
        """All values of a key of `.modinfo`."""
        return [value for name, value in self.modinfo if name == key]
