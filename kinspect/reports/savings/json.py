"""What a kernel could give back, as JSON."""

from typing import Any

from kinspect.views.savings.entry import WasteFacts


def waste(facts: WasteFacts) -> dict[str, Any]:
    """The entries in numbers and words."""
    entries = [
        {**entry._asdict(), "sort": entry.sort.value, "examples": [example._asdict() for example in entry.examples]}
        for entry in facts.entries
    ]
    return {"kind": "waste", **facts._asdict(), "entries": entries}
