"""Modules as text."""

from collections import Counter
from collections.abc import Iterator

from kinspect.artifacts.module.facts import MemorySizes, ModuleFacts, SignatureFacts
from kinspect.reports.terminal import Style, columns, counted, escaped, exact, human, titled


def module_lines(facts: ModuleFacts, paint: Style) -> Iterator[str]:
    """What a module is, who signed it, what it exports and what it needs."""
    yield f"{paint.bold(escaped(facts.path))}: arm64 module {escaped(facts.name)}, {exact(facts.size)}"
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
    yield from columns(rows, "<<")
    if facts.exports:
        yield ""
        yield from _exports(facts, paint)
    if facts.needs:
        yield ""
        yield from _needs(facts, paint)


def _listed(values: list[str], nothing: str) -> str:
    return escaped(", ".join(values)) or nothing


def _memory_rows(memory: MemorySizes) -> Iterator[tuple[str, str]]:
    shown = ", ".join(
        f"{human(size)} {what}"
        for what, size in (
            ("code", memory.code),
            ("read-only data", memory.read_only),
            ("data", memory.data),
            (".bss", memory.bss),
        )
        if size
    )
    yield "in memory", f"{exact(memory.kept)}: {shown}" if shown else "nothing"
    if memory.init:
        yield "", f"{exact(memory.init)} more until it has started"
    if memory.per_cpu:
        yield "", f"{exact(memory.per_cpu)} more for each processor"


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


def _exports(facts: ModuleFacts, paint: Style) -> Iterator[str]:
    rows = [
        (
            escaped(export.name),
            "GPL" if export.gpl else "any",
            "none" if export.crc is None else f"{export.crc:#010x}",
            escaped(export.namespace),
        )
        for export in facts.exports
    ]
    yield from titled(paint, (counted(len(rows), "export"), "license", "CRC", "namespace"), rows, "<<<<")


def _needs(facts: ModuleFacts, paint: Style) -> Iterator[str]:
    weak = sum(need.weak for need in facts.needs)
    about = counted(len(facts.needs), "symbol") + " needed" + (f", {weak:,} of them weak" if weak else "")
    if not facts.providers:
        yield f"  {about}"
        return
    found = Counter(need.provider or "" for need in facts.needs)
    rows = [(escaped(name) or "nobody", f"{count:,}") for name, count in found.most_common()]
    yield from titled(paint, (about, "symbols"), rows, "<>")
    missing = [escaped(need.name) + (" (weak)" if need.weak else "") for need in facts.needs if need.provider is None]
    for name in missing:
        yield f"    nobody exports {name}"
