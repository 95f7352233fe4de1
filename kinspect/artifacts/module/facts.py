"""What a module is, and what modinfo does not say of it."""

from collections.abc import Mapping
from typing import NamedTuple

from kinspect.artifacts.crypto.pkcs7 import ID_TYPES, OLD_ALGORITHMS, OLD_HASHES, Trailer, message, old_names, trailer
from kinspect.artifacts.module.ko import Export, Module
from kinspect.artifacts.module.sections import module_elf
from kinspect.artifacts.raw.notes import build_id_of
from kinspect.errors import MalformedError
from kinspect.schemas import elf
from kinspect.schemas.module import PKCS7

_COMPRESSIONS = {b"\x1f\x8b": "gzip", b"\xfd7zXZ\0": "xz", b"\x28\xb5\x2f\xfd": "zstd"}
_NOT_LOADED = frozenset((b".modinfo", b"__versions", b"__version_ext_crcs", b"__version_ext_names"))
PER_CPU = b".data..percpu"


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


def module_facts(module: Module, providers: Mapping[str, str] | None = None) -> ModuleFacts:
    """The facts of a module; `providers` tells who exports a symbol: a module's name, or vmlinux.

    Raises KinspectError when the file cannot be read or is no module.
    """
    crcs = module.versions
    build_id = build_id_of(module.section(b".note.gnu.build-id"))
    provided = providers or {}
    return ModuleFacts(
        module.path,
        module.name,
        module.size,
        compression(module),
        len(module.data),
        build_id.hex() if build_id else None,
        module.modinfo,
        memory_sizes(module),
        module.exports,
        tuple(NeedFacts(need.name, need.weak, crcs.get(need.name), provided.get(need.name)) for need in module.needs),
        len(crcs),
        signature_facts(module),
        providers is not None,
    )


def compression(module: Module) -> str:
    """How the file is compressed: gzip, xz, zstd or none."""
    head = module.source.head(8)
    return next((name for magic, name in _COMPRESSIONS.items() if head.startswith(magic)), "none")


def memory_sizes(module: Module) -> MemorySizes:
    """The sizes of the sections that the kernel loads.

    Source: kernel/module/main.c, layout_sections() and rewrite_section_headers().
    """
    sizes = dict.fromkeys(MemorySizes._fields, 0)
    sections = module_elf(module).sections
    if sections:
        rows = zip(sections.names, sections.flags, sections.types, sections.sizes, strict=True)
        for name, flags, kind, size in rows:
            if flags & elf.SHF_ALLOC and name not in _NOT_LOADED:
                sizes[_kind_of_memory(name, flags, kind)] += size
    return MemorySizes(**sizes)


def _kind_of_memory(name: bytes, flags: int, kind: int) -> str:
    if name.startswith(b".init"):
        return "init"
    if name == PER_CPU:
        return "per_cpu"
    if flags & elf.SHF_EXECINSTR:
        return "code"
    if not flags & elf.SHF_WRITE:
        return "read_only"
    return "bss" if kind == elf.SHT_NOBITS else "data"


def signature_facts(module: Module) -> SignatureFacts | None:
    """Who signed a module; None when nobody did. What cannot be read of a signature is told, never raised."""
    found = trailer(module)
    if found is None:
        return None
    if found.info.id_type != PKCS7:
        return _old_signature(module, found)
    size = found.info.sig_len
    try:
        told = message(module, found)
    except MalformedError as error:
        return SignatureFacts(ID_TYPES[PKCS7], "", "", "", "", "", size, error.problem)
    by_id = told.key_id is not None
    key = told.key_id if told.key_id is not None else told.serial
    kind = "key id" if by_id else "serial"
    return SignatureFacts(ID_TYPES[PKCS7], told.issuer_text, key.hex(), kind, told.hash, told.algorithm, size, "")


def _old_signature(module: Module, found: Trailer) -> SignatureFacts:
    info = found.info
    signer, key = old_names(module, found)
    return SignatureFacts(
        _name(ID_TYPES, info.id_type),
        signer.decode("utf-8", "surrogateescape"),
        key.hex(),
        "key id",
        _name(OLD_HASHES, info.hash),
        _name(OLD_ALGORITHMS, info.algo),
        info.sig_len,
        "not PKCS#7: kernels from 4.3 on do not read it",
    )


def _name(names: tuple[str, ...], number: int) -> str:
    return names[number] if number < len(names) else f"number {number}"
