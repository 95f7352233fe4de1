"""A report as JSON for programs: docs/report.schema.json says what is in it.

Sizes, counts and offsets in files are integers; addresses, flags and other bit patterns are strings like "0xa".
"""

import json
import re
from collections.abc import Callable
from importlib import import_module
from typing import TYPE_CHECKING, Any

from kinspect.checks.check import Check, Evidence, Finding
from kinspect.errors import KinspectError, Location, Value
from kinspect.inspection.report import Report

if TYPE_CHECKING:
    from kinspect.views.buildlog.tags import Tag

SCHEMA_VERSION = 1
_LONE_SURROGATE = re.compile(r"(?<!\\ud[89ab][0-9a-f][0-9a-f])\\udc([89a-f][0-9a-f])")

Document = dict[str, Any]


def report_text(report: Report) -> str:
    """The whole report as one JSON document."""
    return document_text(
        {
            "schema_version": SCHEMA_VERSION,
            "ok": report.ok,
            "exit_code": report.exit_code,
            "facts": [facts_document(facts) for facts in report.facts],
            "findings": [finding_document(finding) for finding in report.findings],
            "checks": list(report.ran),
            "errors": [error_document(error) for error in report.errors],
        }
    )


def checks_text(checks: tuple[Check, ...]) -> str:
    """What checks there are, as one JSON document."""
    listed = [{"id": check.id, "severity": check.severity, "title": check.title, "page": check.doc} for check in checks]
    return document_text({"schema_version": SCHEMA_VERSION, "checks": listed})


def tag_text(tag: "Tag") -> str:
    """What a tag in a build log means, as one JSON document."""
    return document_text({"schema_version": SCHEMA_VERSION, "tag": tag._asdict()})


def document_text(document: Document, indent: int | None = 2) -> str:
    """JSON of a document; on one line with no indent."""
    # Bytes that are no UTF-8 come as lone surrogates, which not every reader takes: they become \xNN in the text.
    return _LONE_SURROGATE.sub(r"\\\\x\1", json.dumps(document, indent=indent))


def finding_document(finding: Finding) -> Document:
    """A finding: `finding` in the schema."""
    return {"id": finding.id, "severity": finding.severity, **_evidence(finding.evidence)}


def _evidence(evidence: Evidence) -> Document:
    return {
        "message": evidence.message,
        "at": [_location(at) for at in evidence.at],
        "expected": _value(evidence.expected),
        "actual": _value(evidence.actual),
    }


def error_document(error: KinspectError) -> Document:
    """An error: `error` in the schema."""
    document = {"kind": type(error).__name__, "message": error.problem, "at": [_location(error.at)]}
    return {**document, "expected": _value(error.expected), "actual": _value(error.actual)}


def _location(at: Location) -> Document:
    return {"path": at.path, "part": at.part or None, "offset": at.offset, "line": at.line}


def _value(value: Value | None) -> int | str | None:
    return value.hex() if isinstance(value, bytes) else value


def _hex(value: int) -> str:
    return f"{value:#x}"


def facts_document(facts: Any) -> Document:
    """Facts of any kind, as the schema has them."""
    name = type(facts).__name__
    if name in WRITERS:
        return WRITERS[name](facts)
    module, function = OTHER_WRITERS[name].split(":")
    document: Document = getattr(import_module(f"kinspect.reports.{module}"), function)(facts)
    return document


def _image(facts: Any) -> Document:
    header = facts.header
    return {
        "kind": "image",
        "path": facts.path,
        "size": facts.size,
        "layers": layers(facts.layers),
        "banner": facts.banner,
        "build_id": facts.build_id,
        "signature": facts.signature,
        "config": place(facts.config),
        "btf": place(facts.btf),
        "kallsyms": place(facts.kallsyms),
        "header": {
            "code0": _hex(header.code0),
            "code1": _hex(header.code1),
            "text_offset": _hex(header.text_offset),
            "image_size": header.image_size,
            "flags": _hex(header.flags),
            "res2": _hex(header.res2),
            "res3": _hex(header.res3),
            "res4": _hex(header.res4),
            "magic": header.magic.decode("ascii"),
            "res5": header.res5,
        },
        "big_endian": header.big_endian,
        "page_size": header.page_size,
        "anywhere": header.anywhere,
        "efi": header.efi,
        "entry": header.entry,
        "pe": _pe(facts.pe) if facts.pe else None,
    }


def layers(found: Any) -> list[Document]:
    """What something came out of, the outermost first."""
    return [layer._asdict() for layer in found]


def place(found: Any) -> Document | None:
    return found._asdict() if found else None


def _pe(pe: Any) -> Document:
    optional, table = pe.optional, pe.certificate_table
    return {
        "offset": pe.offset,
        "machine": _hex(pe.coff.machine),
        "entry_point": _hex(optional.entry_point),
        "image_size": optional.image_size,
        "section_align": optional.section_align,
        "file_align": optional.file_align,
        "subsystem": optional.subsys,
        "dll_flags": _hex(optional.dll_flags),
        "checksum": _hex(optional.csum),
        "certificate_table": {"offset": table.virtual_address, "size": table.size} if table else None,
        "sections": [
            {
                "name": section.title,
                "address": _hex(section.virtual_address),
                "size": section.virtual_size,
                "offset": section.data_addr,
                "file_size": section.raw_data_size,
                "flags": _hex(section.flags),
            }
            for section in pe.sections
        ],
    }


def _file(facts: Any) -> Document:
    return {"kind": "file", **facts._asdict()}


def _vmlinux(facts: Any) -> Document:
    header = facts.header
    return {
        "kind": "vmlinux",
        "path": facts.path,
        "size": facts.size,
        "banner": facts.banner,
        "build_id": facts.build_id,
        "compilers": list(facts.compilers),
        "type": header.e_type,
        "entry": _hex(header.e_entry),
        "symbols": facts.symbols,
        "segments": [
            {
                "type": _hex(segment.p_type),
                "flags": _hex(segment.p_flags),
                "offset": segment.p_offset,
                "address": _hex(segment.p_vaddr),
                "load_address": _hex(segment.p_paddr),
                "file_size": segment.p_filesz,
                "memory_size": segment.p_memsz,
                "alignment": segment.p_align,
            }
            for segment in facts.segments
        ],
        "sections": [
            {
                "number": section.number,
                "name": section.name,
                "type": _hex(section.type),
                "flags": _hex(section.flags),
                "offset": section.offset,
                "address": _hex(section.address),
                "size": section.size,
                "file_size": section.file_size,
            }
            for section in facts.sections
        ],
    }


def _tables(facts: Any) -> Document:
    return {
        "kind": "tables",
        "path": facts.path,
        "tables": [
            {"name": table.name, "record": table.record, "entries": table.entries, "size": table.section.size}
            for table in facts.tables
        ],
    }


def _table(facts: Any) -> Document:
    table = facts.table
    in_hex = [column.kind in ("address", "bits") for column in table.columns]
    return {
        "kind": "table",
        "path": facts.path,
        "name": table.name,
        "section": table.section.name,
        "record": table.record,
        "entries": table.entries,
        "columns": [column.name for column in table.columns],
        "rows": [
            [
                _hex(cell) if hexadecimal and isinstance(cell, int) else cell
                for cell, hexadecimal in zip(row, in_hex, strict=True)
            ]
            for row in table.rows
        ],
    }


def _diff(facts: Any) -> Document:
    return {
        "kind": "diff",
        "vmlinux": facts.vmlinux,
        "image": facts.image,
        "layers": layers(facts.layers),
        "same": facts.same,
        "flags": list(facts.flags.words),
        "flags_from": facts.flags.origin,
        "expected_size": facts.expected_size,
        "actual_size": facts.actual_size,
        "differing_bytes": facts.differing_bytes,
        "ranges": facts.ranges,
        "why": _why(facts.why) if facts.why else None,
    }


def _why(why: Any) -> Document:
    return {
        "cause": why.cause.id,
        "message": why.cause.message,
        "shown_by": [{"what": what, "vmlinux": one, "image": other} for what, one, other in why.cause.facts],
        "sections": [tally._asdict() for tally in why.sections],
        "symbols": [tally._asdict() for tally in why.symbols],
        "differences": [
            {
                **difference._asdict(),
                "address": _hex(difference.address),
                "expected": difference.expected.hex(),
                "actual": difference.actual.hex(),
            }
            for difference in why.differences
        ],
        "without_lines": why.without_lines,
    }


WRITERS: dict[str, Callable[[Any], Document]] = {
    "ImageFacts": _image,
    "FileFacts": _file,
    "VmlinuxFacts": _vmlinux,
    "TablesFacts": _tables,
    "TableFacts": _table,
    "DiffFacts": _diff,
}
"""How each kind of facts is written; by name, so that no module is imported for facts that are not there."""
OTHER_WRITERS = {
    "BuildFacts": "build.inventory:build",
    "SystemMapFacts": "build.kernel_config:system_map",
    "KernelConfigFacts": "build.kernel_config:kernel_config",
    "Sizes": "size.account:document",
    "GroupedSizes": "size.grouped:document",
    "UnpackedFacts": "boot.json:unpacked",
    "ConfigFacts": "boot.json:config",
    "SavingsFacts": "savings.facts:document",
    "ModuleFacts": "module.json:module_document",
    "SymversFacts": "module.others:symvers",
    "AgainstFacts": "module.others:against",
    "AbiFacts": "module.others:abi",
    "ModuleTreeFacts": "module.others:tree",
    "WrittenFacts": "module.others:written",
    "DtbFacts": "dtb.nodes:dtb",
    "DtbTreeFacts": "dtb.nodes:tree",
    "BuildLogFacts": "buildlog.json:log",
    "BuiltFacts": "buildlog.json:built",
    "ImageSignatures": "signing.authenticode:signature_document",
    "LoadingFacts": "loader.json:loading_document",
}
"""Those in modules of their own."""
