"""A module as text and as JSON."""

from collections import Counter
from collections.abc import Iterator

from kinspect.artifacts.module.facts import MemorySizes, ModuleFacts, SignatureFacts
from kinspect.reports.layout import columns, titled
from kinspect.reports.terminal import Style, counted, escaped, exact, human
from kinspect.reports.values import Document, crc


def lines(facts: ModuleFacts, style: Style) -> Iterator[str]:
    """Vermagic, license, sizes and signature, then exports and undefined symbols."""
    yield f"{style.bold(escaped(facts.path))}: arm64 module {escaped(facts.name)}, {exact(facts.size)}"
    yield ""
    unpacked = f", {exact(facts.decompressed_size)} decompressed" if facts.compression != "none" else ""
    rows = [
        ("vermagic", _listed(facts.values("vermagic"), "none")),
        ("license", _listed(facts.values("license"), "none")),
        ("build id", facts.build_id or "none"),
        ("compression", facts.compression + unpacked),
        *_memory_rows(facts.memory),
        *_signature_rows(facts.signature),
        ("versions", f"CRCs of {counted(facts.versions, 'symbol')}" if facts.versions else "none: no MODVERSIONS"),
    ]
    yield from columns(style, rows, "<<")
    if facts.exports:
        yield ""
        yield from _exports(facts, style)
    if facts.needs:
        yield ""
        yield from _needs(facts, style)


def _listed(values: list[str], nothing: str) -> str:
    return escaped(", ".join(values)) or nothing


def _memory_rows(memory: MemorySizes) -> Iterator[tuple[str, str]]:
    shown = ", ".join(
        f"{human(size)} {kind}"
        for kind, size in (
            ("code", memory.code),
            ("read-only data", memory.read_only),
            ("data", memory.data),
            (".bss", memory.bss),
        )
        if size
    )
    yield "in memory", f"{exact(memory.kept)}: {shown}" if shown else "nothing"
    if memory.init:
        yield "", f"{exact(memory.init)} more, freed after init"
    if memory.per_cpu:
        yield "", f"{exact(memory.per_cpu)} more for each CPU"


def _signature_rows(signature: SignatureFacts | None) -> Iterator[tuple[str, str]]:
    if signature is None:
        yield "signature", "none"
        return
    yield (
        "signature",
        ", ".join(filter(None, (signature.id_type, signature.algorithm, signature.hash, exact(signature.size)))),
    )
    if signature.problem:
        yield "", escaped(signature.problem)
    if signature.signer:
        yield "signed by", escaped(signature.signer)
    if signature.key:
        yield "key", f"{signature.key_kind} {signature.key}"


def _exports(facts: ModuleFacts, style: Style) -> Iterator[str]:
    rows = [
        (
            escaped(export.name),
            "GPL" if export.gpl else "any",
            "none" if export.crc is None else f"{export.crc:#010x}",
            escaped(export.namespace),
        )
        for export in facts.exports
    ]
    yield from titled(style, (counted(len(rows), "export"), "license", "CRC", "namespace"), rows, "/<<<")


def _needs(facts: ModuleFacts, style: Style) -> Iterator[str]:
    weak = sum(need.weak for need in facts.needs)
    about = counted(len(facts.needs), "symbol") + " needed" + (f", {weak:,} of them weak" if weak else "")
    if not facts.providers:
        yield f"  {about}"
        return
    found = Counter(need.provider or "" for need in facts.needs)
    rows = [(escaped(name) or "none", f"{count:,}") for name, count in found.most_common()]
    yield from titled(style, (about, "symbols"), rows, "/>")
    missing = [escaped(need.name) + (" (weak)" if need.weak else "") for need in facts.needs if need.provider is None]
    for name in missing:
        yield f"    nothing exports {name}"


def verdict_notes(facts: ModuleFacts) -> Iterator[str]:
    """That the signature was read but not verified."""
    if facts.signature:
        yield "not checked: whether the signature is valid (`kinspect load` verifies it)"


def document(facts: ModuleFacts) -> Document:
    """`module` in docs/report.schema.json. A key of `modinfo` has all its values."""
    modinfo: dict[str, list[str]] = {}
    for key, value in facts.modinfo:
        modinfo.setdefault(key, []).append(value)
    return {
        "kind": "module",
        "path": facts.path,
        "name": facts.name,
        "size": facts.size,
        "compression": facts.compression,
        "decompressed_size": facts.decompressed_size,
        "build_id": facts.build_id,
        "modinfo": modinfo,
        "memory": {**facts.memory._asdict(), "kept": facts.memory.kept},
        "signature": facts.signature._asdict() if facts.signature else None,
        "versions": facts.versions,
        "exports": [{**export._asdict(), "crc": crc(export.crc)} for export in facts.exports],
        "needs": [{**need._asdict(), "crc": crc(need.crc)} for need in facts.needs],
        "providers": facts.providers,
    }
