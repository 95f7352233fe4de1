"""Modules as JSON: what docs/report.schema.json has under `module`."""

from typing import Any

from kinspect.artifacts.module.facts import ModuleFacts

Document = dict[str, Any]


def module_document(facts: ModuleFacts) -> Document:
    """The facts of a module. CRCs are strings like "0x0a1b2c3d"; a key of `modinfo` has all its values."""
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
        "exports": [{**export._asdict(), "crc": _crc(export.crc)} for export in facts.exports],
        "needs": [{**need._asdict(), "crc": _crc(need.crc)} for need in facts.needs],
        "providers": facts.providers,
    }


def _crc(value: int | None) -> str | None:
    return None if value is None else f"{value:#010x}"
