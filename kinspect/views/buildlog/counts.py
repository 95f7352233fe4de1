"""The lines of a build log by kind, and its steps by tag and folder."""

from collections import Counter
from collections.abc import Mapping
from typing import NamedTuple

from kinspect.views.buildlog import lines as forms
from kinspect.views.buildlog.commands import Step


class Account(NamedTuple):
    """How many lines of each kind a log has; the sum is the number of lines."""

    steps: int
    messages: int
    make: int
    shell: int
    notes: int
    blank: int
    unknown: int


class StepCount(NamedTuple):
    """The number of steps with one tag and mark, in total and by folder."""

    tag: str
    mark: str
    steps: int
    folders: tuple[tuple[str, int], ...]


def tallies(heads: Mapping[bytes, int], others: Mapping[Step, int]) -> tuple[StepCount, ...]:
    """The steps by tag and mark, the most frequent first, from their lines up to the last slash and from steps."""
    found: dict[tuple[str, str], Counter[str]] = {}
    for head, count in heads.items():
        tag, mark, folder = forms.parts(head)
        found.setdefault((tag, mark), Counter())[folder] += count
    for step, count in others.items():
        found.setdefault((step.tag, step.mark), Counter())[step.target.rpartition("/")[0]] += count
    counts = (
        StepCount(tag, mark, folders.total(), tuple(sorted(folders.items(), key=lambda row: (-row[1], row[0]))))
        for (tag, mark), folders in found.items()
    )
    return tuple(sorted(counts, key=lambda row: (-row.steps, row.tag, row.mark)))
