"""A real kernel with known edits, and the same one built again: all that changed is named, and nothing else.

What the edits change is read off the object files by tests/corpus/edits.py, so the compiler has the last word.
"""

import json
from pathlib import Path

import pytest

import kinspect
from kinspect.views.changes.facts import KernelDifference
from kinspect.views.changes.names import compared_name
from tests.conftest import CORPUS, missing

pytestmark = pytest.mark.corpus
FILES = ("vmlinux", "Image")
STAMPED = ("Linux version", "#1 SMP", "#2 SMP")
"""How texts begin that differ with every build."""
STAMPED_DATA = ("init_uts_ns", "linux_banner", "linux_proc_banner")
LATER = {"banner", "build-id", "module-signing-key", "version"}
ELSEWHERE = LATER | {"build-salt", "config"}
"""Causes for which a kernel differs that was built at another time by someone else, and with another salt."""


@pytest.fixture(scope="module")
def edits() -> Path:
    folder = CORPUS / "edits"
    if not (folder / ".complete").exists():
        missing("the kernel with known edits", f"bash tests/corpus/edits.sh {CORPUS} builds it")
    return folder


def difference(old: Path, new: Path) -> KernelDifference:
    (facts,) = kinspect.diff(old, new).facts
    assert isinstance(facts, KernelDifference)
    return facts


def names(found: tuple[object, ...]) -> list[str]:
    return sorted(compared_name(one.name) for one in found)  # type: ignore[attr-defined]


@pytest.mark.parametrize("file", FILES)
@pytest.mark.parametrize("back", [False, True], ids=["edited", "edits taken back"])
def test_exactly_the_edited_things_are_named(edits: Path, file: str, back: bool) -> None:
    truth = json.loads((edits / "truth.json").read_text())
    sides = edits / "base" / file, edits / "edited" / file
    facts = difference(*(reversed(sides) if back else sides))
    added, removed = ("removed", "added") if back else ("added", "removed")
    assert names(facts.changed) == truth["function"]["changed"]
    assert not facts.uncertain
    assert names(facts.added) == truth["function"][added]
    assert names(facts.removed) == truth["function"][removed]
    changed = [name for name in truth["data"]["changed"] if name not in STAMPED_DATA]
    assert names(facts.data.changed) == changed
    assert names(facts.data.added) == truth["data"][added]
    assert names(facts.data.removed) == truth["data"][removed]
    pairs = [[name.old_name, name.new_name] for name in facts.renamed]
    assert sorted(pairs) == sorted(pair[::-1] if back else pair for pair in truth["renamed"])
    functions = truth["function"]["added"]
    for texts, expected in ((facts.texts_added, added), (facts.texts_removed, removed)):
        texts_of_edits = [text for text in truth["text"][expected] if not text.startswith(STAMPED)]
        assert sorted(texts) == [text for text in texts_of_edits if text not in functions]
    assert not facts.same_layout


@pytest.mark.parametrize("file", FILES)
def test_built_again_with_stamps_of_the_same_length(edits: Path, file: str) -> None:
    facts = difference(edits / "base" / file, edits / "again" / file)
    assert facts.same_layout
    assert facts.only_causes
    assert {cause.id for cause in facts.causes} == LATER


@pytest.mark.parametrize("file", FILES)
def test_built_again_elsewhere(edits: Path, file: str) -> None:
    facts = difference(edits / "base" / file, edits / "second" / file)
    assert not facts.same_layout
    assert facts.only_causes
    assert {cause.id for cause in facts.causes} == ELSEWHERE
