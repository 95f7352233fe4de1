"""Device trees from reports: what `kinspect check` says of each, by its name."""

from pathlib import Path

import pytest

import kinspect

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
