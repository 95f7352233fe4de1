"""The real packages of a kernel: image, headers, debug."""

import shutil
from pathlib import Path

import pytest

import kinspect
from tests.conftest import CORPUS, missing
from tests.packaged_sample import Tool, same_findings, unpacked

pytestmark = pytest.mark.corpus


@pytest.fixture(scope="module")
def packages() -> list[Path]:
    folder = CORPUS / "bookworm-cloud-packages"
    if not (folder / ".complete").exists():
        missing(
            "the packages of a real kernel", f"bash tests/corpus/fetch.sh {CORPUS} bookworm-cloud-packages fetches them"
        )
    return sorted(folder.glob("*.deb"))


def test_the_verdict_is_that_of_dpkg(packages: list[Path], tool: Tool, tmp_path: Path) -> None:
    folder = unpacked(tool("dpkg-deb"), packages, tmp_path / "system")
    report = same_findings(packages, folder)
    shutil.rmtree(folder)
    facts = report.facts[0]
    assert facts.absent == ()
    assert report.ok
    assert not [finding for finding in report.findings if finding.severity == "error"]
    assert {package.architecture for package in facts.packages} == {"arm64"}


def test_other_commands(packages: list[Path], tmp_path: Path) -> None:
    headers, _, image = packages
    report = kinspect.modules(image, symvers=headers, kernel=image)
    assert report.ok
    assert report.facts[0].root.startswith(f"{image}:lib/modules/")
    assert {verdict.outcome for verdict in kinspect.load(image, image)} == {kinspect.Outcome.LOADS}
    assert kinspect.abi(headers, image).ok
    assert kinspect.types(image, ["list_head"]).ok
    assert kinspect.image(image).ok
    assert kinspect.depmod(image, tmp_path / "out").ok
