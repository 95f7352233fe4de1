"""The facts of a module: what modinfo prints, and more."""

from collections.abc import Mapping

from kinspect.artifacts.compression.magics import module_compression_of
from kinspect.artifacts.module.facts import MemorySizes, ModuleFacts, NeedFacts, SignatureFacts
from kinspect.artifacts.module.ko import Module
from kinspect.artifacts.module.sections import module_elf
from kinspect.artifacts.module.signature import ID_TYPES, OLD_ALGORITHMS, OLD_HASHES, Trailer, old_names
from kinspect.artifacts.raw.notes import build_id_of
from kinspect.errors import MalformedError
from kinspect.schemas import elf
from kinspect.schemas.module import PKCS7

_NOT_LOADED = frozenset((b".modinfo", b"__versions", b"__version_ext_crcs", b"__version_ext_names"))
PER_CPU = b".data..percpu"


def module_facts(module: Module, providers: Mapping[str, str] | None = None) -> ModuleFacts:
    """The facts of a module; `providers` maps symbols to their exporters: names of modules, or vmlinux.

    Raises KinspectError when the file cannot be read or is not a module.
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
    """The compression of the file: gzip, xz, zstd or none."""
    return module_compression_of(module.source.head(8)) or "none"


def memory_sizes(module: Module) -> MemorySizes:
    """The sizes of the sections that the kernel loads; zeros when the section table is broken.

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
    """The signer of a module; None when it is not signed. A broken message becomes `problem`, not an error."""
    found = module.trailer
    if found is None:
        return None
    if found.info.id_type != PKCS7:
        return _old_signature(module, found)
    size = found.info.sig_len
    try:
        message = module.signed_message(found)
    except MalformedError as error:
        return SignatureFacts(ID_TYPES[PKCS7], "", "", "", "", "", size, error.problem)
    by_id = message.key_id is not None
    key = message.key_id if message.key_id is not None else message.serial
    kind = "key id" if by_id else "serial"
    return SignatureFacts(
        ID_TYPES[PKCS7], message.issuer_text, key.hex(), kind, message.hash, message.algorithm, size, ""
    )


def _old_signature(module: Module, found: Trailer) -> SignatureFacts:
    info = found.info
    signer, key = old_names(module.data, found)
    return SignatureFacts(
        _name(ID_TYPES, info.id_type),
        signer.decode("utf-8", "surrogateescape"),
        key.hex(),
        "key id",
        _name(OLD_HASHES, info.hash),
        _name(OLD_ALGORITHMS, info.algo),
        info.sig_len,
        "not PKCS#7: kernels since 4.3 do not read it",
    )


def _name(names: tuple[str, ...], number: int) -> str:
    return names[number] if number < len(names) else f"number {number}"
