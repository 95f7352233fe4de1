"""The protections of a kernel as text and as JSON."""

from collections.abc import Iterator

from kinspect.artifacts.artifact import wrapping_suffix
from kinspect.reports.boot.layers import layer_documents
from kinspect.reports.layout import titled, wrapped
from kinspect.reports.terminal import Style, counted, escaped
from kinspect.reports.values import Document
from kinspect.views.hardening.facts import Feature, HardeningFacts

_TITLES = {
    "pac": "signed return address",
    "scs": "shadow call stack",
    "bti": "landing pad (BTI)",
    "kcfi": "type hash (kCFI)",
    "canary": "stack canary",
    "fortify": "fortified strings",
    "usercopy": "checked user copies",
    "relocatable": "relocatable",
    "kaslr": "random base (KASLR)",
    "wx": "code not writable",
}
_SHOWN = 8
"""Functions that are named as examples."""


def lines(facts: HardeningFacts, style: Style) -> Iterator[str]:
    """A table of the protections, and examples of the functions that are without one."""
    suffix, number = wrapping_suffix(facts.layers), counted(facts.functions, "function")
    yield f"{style.bold(escaped(facts.path))}{suffix}: hardening, as compiled into {number}"
    yield ""
    head = ("protection", "functions", "of", "compiled", ".config" if facts.config else "")
    yield from titled(style, head, [_row(feature, style) for feature in facts.features], "<>><<")
    notes = [(feature, text) for feature in facts.features if (text := _note(feature))]
    if notes:
        yield ""
    for feature, text in notes:
        yield from wrapped(style, f"  {_TITLES[feature.id]}: {text}")
    yield ""
    if facts.config is None:
        text = "Not compared with a .config: none is embedded in the kernel or beside it. Use --config FILE."
    else:
        text = f".config: {'embedded' if facts.config == facts.path else escaped(facts.config)}"
    yield from wrapped(style, style.dim(text), 0)


def _row(feature: Feature, style: Style) -> tuple[str, ...]:
    compiled = {True: "yes", False: "no", None: "unknown"}[feature.present]
    numbers = ("" if number is None else f"{number:,}" for number in (feature.found, feature.of))
    setting = feature.setting
    configured = f"{setting.option}={setting.value}" if setting.value else ""
    return _TITLES[feature.id], *numbers, compiled, configured if feature.agrees else style.bad(configured)


def _note(feature: Feature) -> str:
    """Examples of what is without a protection, and what the numbers leave open."""
    shown = ", ".join(map(escaped, feature.without[:_SHOWN]))
    more = len(feature.without) - _SHOWN
    names = f"{shown} and {more:,} more" if more > 0 else shown
    without = f"writable: {names}" if feature.id == "wx" else f"not in {names}"
    return "; ".join(filter(None, (feature.note, without if shown else "")))


def document(facts: HardeningFacts) -> Document:
    """`hardening` in docs/report.schema.json."""
    return {
        "kind": "hardening",
        "path": facts.path,
        "layers": layer_documents(facts.layers),
        "functions": facts.functions,
        "config": facts.config,
        "protections": [
            {
                "id": feature.id,
                "compiled": feature.present,
                "functions": feature.found,
                "of": feature.of,
                "without": list(feature.without),
                "option": feature.setting.option or None,
                "value": feature.setting.value or None,
                "expected": feature.setting.on,
                "note": feature.note or None,
            }
            for feature in facts.features
        ],
    }
