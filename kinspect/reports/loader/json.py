"""What a kernel would say of modules as JSON: what docs/report.schema.json has under `loading`."""

from errno import errorcode
from typing import Any

from kinspect.inspection.load import LoadingFacts
from kinspect.views.loader.verdict import TAINTS, Verdict

Document = dict[str, Any]


def loading_document(facts: LoadingFacts) -> Document:
    """The kernel, and a verdict for each module in the order of loading."""
    return {
        "kind": "loading",
        "kernel": facts.kernel,
        "vermagic": facts.vermagic,
        "modversions": facts.modversions,
        "enforced": facts.enforced,
        "locked_down": facts.locked_down,
        "certificates": [one._asdict() for one in facts.certificates],
        "verdicts": [_verdict(verdict) for verdict in facts.verdicts],
    }


def _verdict(verdict: Verdict) -> Document:
    return {
        "path": verdict.path,
        "name": verdict.name,
        "outcome": verdict.outcome.value,
        "errno": errorcode.get(verdict.errno, str(verdict.errno)) if verdict.errno else None,
        "words": list(verdict.words),
        "taints": [TAINTS[letter] for letter in verdict.taints],
        "symbols": [one._asdict() for one in verdict.symbols],
        "why": verdict.why or None,
        "signer": verdict.signer._asdict() if verdict.signer else None,
    }
