"""Two kernels of Debian with one fix between them: the functions that it changes are all that is named.

6.1.192-2 is 6.1.192-1 with `ext4: fix NULL folio dereference in mballoc`: two functions of fs/ext4/mballoc.c.
A third, ext4_mb_seq_groups_show, begins at another place and has one more nop, which aligns a loop.
"""

import json
from pathlib import Path

import pytest

import kinspect
from kinspect.cli import main
from kinspect.views.changes.facts import KernelDifference
from tests.conftest import CORPUS, missing

UNFIXED, FIXED = "bookworm-cloud-unfixed", "bookworm-cloud-fixed"
FUNCTIONS = {"ext4_mb_init_group", "ext4_mb_load_buddy_gfp"}


@pytest.fixture(scope="module")
def pair() -> tuple[Path, Path]:
    """The Images of both kernels, the older one first."""
    for name in (UNFIXED, FIXED):
        absent = CORPUS / name / ".absent"
        if absent.exists():
            pytest.skip(absent.read_text().strip())
        if not (CORPUS / name / ".complete").exists():
            missing(f"the kernel {name}", f"bash tests/corpus/fetch.sh {CORPUS} {name} fetches it")
    return CORPUS / UNFIXED / "Image", CORPUS / FIXED / "Image"


@pytest.mark.corpus
@pytest.mark.parametrize("reverse", [False, True], ids=["update", "downgrade"])
def test_two_functions_and_nothing_else(pair: tuple[Path, Path], reverse: bool) -> None:
    old, new = reversed(pair) if reverse else pair
    report = kinspect.diff(old, new)
    [facts] = report.facts_of(KernelDifference)
    assert {change.name for change in facts.changed} == FUNCTIONS
    assert len(facts.changed) == len(FUNCTIONS)
    assert (facts.added, facts.removed, facts.renamed) == ((), (), ())
    assert (facts.texts_added, facts.texts_removed, facts.ranges) == ((), (), ())
    assert facts.functions > 40_000
    assert (facts.same, facts.same_layout, report.ok) == (False, False, False)
    assert {cause.id for cause in facts.causes} == {"banner", "version", "build-id", "build-salt", "module-signing-key"}


@pytest.mark.corpus
def test_the_command_names_them(pair: tuple[Path, Path], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["diff", *map(str, pair)]) == 1
    text = capsys.readouterr().out
    assert text.endswith("differs: 2 functions changed\n")
    assert main(["diff", *map(str, pair), "--json"]) == 1
    [facts] = json.loads(capsys.readouterr().out)["facts"]
    empty = [key for key in ("added", "removed", "renamed", "texts_added", "texts_removed", "ranges") if facts.get(key)]
    assert not empty


@pytest.mark.corpus
def test_each_with_itself(pair: tuple[Path, Path]) -> None:
    for image in pair:
        assert kinspect.diff(image, image).ok
