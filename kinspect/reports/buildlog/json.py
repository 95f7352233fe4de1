"""A build log as JSON."""

from typing import Any

from kinspect.views.buildlog.commands import Step
from kinspect.views.buildlog.facts import BuildLogFacts
from kinspect.views.buildlog.output_folder import BuiltFacts
from kinspect.views.buildlog.tags import TAGS

Document = dict[str, Any]


def log(facts: BuildLogFacts) -> Document:
    """A build log."""
    return {
        "kind": "build_log",
        "path": facts.path,
        "lines": facts.lines,
        "account": facts.account._asdict(),
        "verbosity": facts.verbosity,
        "outcome": facts.outcome.value,
        "failures": list(facts.failures),
        "last": _step(facts.last),
        "errors": facts.errors,
        "warnings": facts.warnings,
        "messages": [
            {**message._asdict(), "path": message.path or None, "step": _step(message.step)}
            for message in facts.messages
        ],
        "products": list(facts.products),
        "modules": facts.modules,
        "device_trees": facts.device_trees,
        "installed": facts.installed,
        "folders": [row._asdict() for row in facts.folders],
        "tags": [
            {
                "tag": tally.tag,
                "mark": tally.mark or None,
                "meaning": TAGS[tally.tag].meaning if tally.tag in TAGS else None,
                "steps": tally.steps,
                "folders": [{"folder": folder, "steps": count} for folder, count in tally.folders],
            }
            for tally in facts.tallies
        ],
        "reasons": [{"reason": reason, "steps": count} for reason, count in facts.reasons],
        "unknown": [{"line": number, "text": text} for number, text in facts.unknown],
    }


def _step(step: Step | None) -> Document | None:
    return {"tag": step.tag, "mark": step.mark or None, "target": step.target} if step else None


def built(facts: BuiltFacts) -> Document:
    """An O= folder held against its log."""
    return {
        "kind": "built",
        **facts._asdict(),
        "missing_names": list(facts.missing_names),
        "changed_names": list(facts.changed_names),
        "stale": [one._asdict() for one in facts.stale],
    }
