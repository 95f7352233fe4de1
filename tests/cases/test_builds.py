"""The cases of whole builds: what lies in a folder is judged, or named as not judged."""

import os
from pathlib import Path

import pytest

from kinspect.inspection.check import check
from kinspect.views.build.inventory import BuildFacts


def test_a_dist_folder(cases: Path) -> None:
    """Modules and a device tree beside a Module.symvers that lacks the modules' exports."""
    folder = cases / "modules/dist"
    report = check(folder)
    (facts,) = report.facts_of(BuildFacts)
    listed = {os.path.basename(piece.path) for piece in facts.pieces}
    assert listed == {"Module.symvers", "dist", "base.dtb"}
    assert [found.id for found in report.findings if found.severity == "error"] == [
        "symvers-is-of-the-build-of-the-modules"
    ]
    assert [entry.reason for entry in facts.unjudged] == ["modules without a kernel"]


@pytest.mark.parametrize("name", ["kmod28", "kmod29", "k54", "vm"])
def test_installed_modules_alone_say_what_they_lack(name: str, cases: Path) -> None:
    report = check(cases / "modules" / name)
    (facts,) = report.facts_of(BuildFacts)
    assert report.errors == ()
    assert [entry.reason for entry in facts.unjudged] == ["modules without a kernel"]
