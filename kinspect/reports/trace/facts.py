"""A decoded log as text, below the log itself, and as JSON with its frames."""

from collections.abc import Iterator

from kinspect.artifacts.dwarf.frames import SourceFrame
from kinspect.reports.layout import columns
from kinspect.reports.terminal import Style, counted, escaped
from kinspect.reports.values import Document, hexadecimal
from kinspect.views.trace.facts import LoggedKernel, ModuleOfLog, StrangeCode, StrangeSymbol, TracedFrame, TraceFacts

TOP = 8
"""Modules that are listed."""


def lines(facts: TraceFacts, style: Style) -> Iterator[str]:
    """What was decoded, and with what."""
    places = f"{facts.decoded:,} of {counted(facts.places, 'address', 'addresses')} decoded"
    yield f"{style.bold(escaped(facts.log))}: {counted(facts.lines, 'line')}, {places}"
    release = f" ({escaped(facts.identity.release)})" if facts.identity.release else ""
    rows = [("kernel", f"{escaped(facts.kernel)}{release}")]
    if facts.kernel_offset is not None:
        rows.append(("KASLR", f"the kernel ran {facts.kernel_offset:#x} above its link address"))
    if facts.compared:
        differ = f", {counted(len(facts.code), 'differs', 'differ')}" if facts.code else ""
        rows.append(("code", f"{counted(facts.compared, 'instruction')} compared{differ}"))
    found = [module for module in facts.modules if module.path is not None]
    rows += [("modules", _modules(found))] if found else []
    if facts.without_lines:
        rows.append(("lines", f"none: {escaped(facts.without_lines)}"))
    yield from columns(style, rows, "<<")


def _modules(found: list[ModuleOfLog]) -> str:
    names = [escaped(one.name) + ("" if one.lines else " (without DWARF)") for one in found]
    more = f" and {len(names) - TOP} more" if len(names) > TOP else ""
    return ", ".join(names[:TOP]) + more


def document(facts: TraceFacts) -> Document:
    """`trace` in docs/report.schema.json."""
    return {
        "kind": "trace",
        "log": facts.log,
        "kernel": facts.kernel,
        "release": facts.identity.release or None,
        "build_id": facts.identity.build_id or None,
        "lines": facts.lines,
        "places": facts.places,
        "decoded": facts.decoded,
        "kernel_offset": None if facts.kernel_offset is None else hexadecimal(facts.kernel_offset),
        "frames": list(map(_frame, facts.frames)),
        "logged_kernels": list(map(_logged, facts.logged)),
        "strange_symbols": list(map(_strange, facts.strange)),
        "outside": [{"line": line, "address": hexadecimal(address)} for line, address in facts.outside],
        "modules": [_module_document(module) for module in facts.modules],
        "instructions_compared": facts.compared,
        "instructions_differing": [
            {
                "line": one.line,
                "place": one.place,
                "expected": hexadecimal(one.expected),
                "found": hexadecimal(one.found),
            }
            for one in facts.code
        ],
        "without_lines": facts.without_lines or None,
    }


def _frame(frame: TracedFrame) -> Document:
    return {
        "line": frame.line,
        "symbol": frame.symbol or None,
        "offset": frame.offset,
        "size": frame.size,
        "module": frame.module or None,
        "section": frame.section or None,
        "address": None if frame.address is None else hexadecimal(frame.address),
        "printed": None if frame.printed is None else hexadecimal(frame.printed),
        "decoded": frame.decoded,
        "sources": [_source(one) for one in frame.sources],
        "alternatives": [[_source(one) for one in sources] for sources in frame.alternatives],
    }


def _source(one: SourceFrame) -> Document:
    return {
        "function": one.function or None,
        "path": one.source.path,
        "line": one.source.line or None,
        "discriminator": one.source.discriminator or None,
    }


def _logged(one: LoggedKernel) -> Document:
    identity = one.identity
    return {
        "line": one.line,
        "banner": identity.banner or None,
        "release": identity.release or None,
        "build": identity.build or None,
        "build_id": identity.build_id or None,
    }


def _strange(one: StrangeSymbol) -> Document:
    return {**one._asdict(), "module": one.module or None, "sizes": list(one.sizes)}


def _instruction(one: StrangeCode) -> Document:
    return {**one._asdict(), "expected": hexadecimal(one.expected), "found": hexadecimal(one.found)}


def _module_document(module: ModuleOfLog) -> Document:
    return {**module._asdict(), "build_id": module.build_id or None, "problem": module.problem or None}
