"""Device trees from reports: what `kinspect check` says of each, by its name."""

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

import kinspect
from kinspect.checks.check import Severity
from kinspect.views.build.inventory import Unjudged

FILES: dict[str, tuple[str, ...]] = {
    "auto.fit": (),
    "ext.fit": (),
    "base.dtb": (),
    "base-nosym.dtb": (),
    "base.dtb.gz": (),
    "binman.dtb": (),
    "dormant.dtbo": (),
    "real-anyspi.dtbo": (),
    "ov.dtbo": (),
    "ov-prop.dtbo": (),
    "its.fit": ("fit-configurations-name-images",),
    "its-ext.fit": ("fit-configurations-name-images",),
    "its-badhash.fit": ("fit-hashes-match", "fit-configurations-name-images"),
    "two.dtb": ("dtb-ends-with-its-file",),
}
"""The findings on each file below `modules/dt`."""


@pytest.mark.parametrize("name", FILES)
def test_files(name: str, cases: Path) -> None:
    report = kinspect.check(cases / "modules" / "dt" / name)
    assert tuple(finding.id for finding in report.findings) == FILES[name]


@pytest.mark.parametrize("base", ["base.dtb", "base-nosym.dtb"])
@pytest.mark.parametrize("name", ["ov.dtbo", "ov-prop.dtbo", "ov-path.dtbo", "ov-missing.dtbo", "dormant.dtbo"])
def test_an_overlay_applies_when_fdtoverlay_says_so(
    name: str, base: str, cases: Path, tmp_path: Path, tool: Callable[[str], str]
) -> None:
    folder, out, expected = cases / "modules" / "dt", tmp_path / "out.dtb", tmp_path / "expected.dtb"
    fdtoverlay = tool("fdtoverlay")
    version = subprocess.run([fdtoverlay, "--version"], capture_output=True, text=True, check=True).stdout
    command = [fdtoverlay, "-i", str(folder / base), "-o", str(expected), str(folder / name)]
    applies = subprocess.run(command, capture_output=True, check=False).returncode == 0
    dtc = version.partition("DTC ")[2].strip().partition("-")[0]
    report = kinspect.overlay(folder / base, [folder / name], out, dtc)
    assert (report.exit_code == 0) == applies
    if applies:
        assert out.read_bytes() == expected.read_bytes()


@pytest.mark.parametrize(
    ("name", "base", "reason"),
    [
        ("ov-missing.dtbo", "base.dtb", "the base has no label no_such_label"),
        ("ov-missing.dtbo", "base-nosym.dtb", "the base has no labels, and so no no_such_label: compile it with `dtc"),
        ("ov-path.dtbo", "base.dtb", "the base has no node /soc/nothing@9, the target of the fragment: /soc has no"),
        ("ov.dtbo", "base.dtb", "the overlay changes the phandle of its target /soc/radio@1000 from 0x1 to 0x3"),
    ],
)
def test_why_an_overlay_does_not_apply(name: str, base: str, reason: str, cases: Path) -> None:
    folder = cases / "modules" / "dt"
    report = kinspect.overlay(folder / base, [folder / name])
    assert report.findings[0].id == "overlays-apply"
    assert report.findings[0].evidence.message.startswith(reason)


def test_overlays_in_a_folder(cases: Path, tmp_path: Path) -> None:
    for name in ("base.dtb", "ov.dtbo", "ov-prop.dtbo", "ov-path.dtbo", "ov-missing.dtbo", "dormant.dtbo"):
        shutil.copy(cases / "modules" / "dt" / name, tmp_path)
    report = kinspect.check(tmp_path)
    unpaired = {f"{tmp_path}/ov-missing.dtbo", f"{tmp_path}/ov-path.dtbo"}
    assert (report.exit_code, {finding.evidence.at[0].path for finding in report.findings}) == (0, unpaired)
    assert {finding.severity for finding in report.findings} == {Severity.INFO}
    (facts,) = report.facts
    assert set(facts.unjudged) == {Unjudged(path, "overlay that applies to no device tree here") for path in unpaired}


def test_the_overlays_of_a_package(tmp_path: Path, cases: Path) -> None:
    """Debian's packages since 6.13 have some beside the device trees."""
    folder = tmp_path / "usr" / "lib" / "linux-image-7.3.4" / "sample"
    folder.mkdir(parents=True)
    for name in ("base.dtb", "ov.dtbo", "ov-missing.dtbo"):
        shutil.copy(cases / "modules" / "dt" / name, folder)
    (facts,) = kinspect.check(tmp_path).facts
    assert {Path(piece.path).name for piece in facts.pieces} == {"base.dtb", "ov.dtbo", "ov-missing.dtbo"}
    assert [Path(entry.path).name for entry in facts.unjudged] == ["ov-missing.dtbo"]
