"""The contents of a module, as plain values."""

from typing import NamedTuple

from kinspect.artifacts.module.exports import Export


class MemorySizes(NamedTuple):
    """The sizes of the sections that the kernel loads, in bytes, by their contents, without alignment gaps.

    `init` is freed after the module's init; `per_cpu` is allocated once per processor.
    """

    code: int
    read_only: int
    data: int
    bss: int
    init: int
    per_cpu: int

    @property
    def kept(self) -> int:
        """The memory that the module occupies while it is loaded, without `per_cpu`."""
        return self.code + self.read_only + self.data + self.bss


class NeedFacts(NamedTuple):
    """A symbol that the module needs, the CRC that it must have, and its exporter, where known."""

    name: str
    weak: bool
    crc: int | None
    provider: str | None


class SignatureFacts(NamedTuple):
    """The signature of a module. `key` is the certificate's serial number or its key ID, as `key_kind` says.

    `size` is that of the signature in bytes, without the trailer; `problem` says why other fields are missing.
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
    """The contents of a module. Sizes are in bytes; `providers` says whether exporters of symbols were looked up."""

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
