"""Packages that do not go together, a kernel without its modules, a package for another machine."""

import pytest

from kinspect.checks.build.packages import PackageFiles
from kinspect.errors import Location
from kinspect.inspection.report import run_checks
from kinspect.views.build.inventory import FoundPiece, PackageFacts

KERNEL = FoundPiece("Image", "a.deb:boot/vmlinuz-6.1", 1, "", "6.1")
MODULES = FoundPiece("modules", "a.deb:lib/modules/6.2", 1, "", "6.2")


def package(architecture: str) -> PackageFacts:
    return PackageFacts("a.deb", "deb", "a", "1", architecture, 1)


@pytest.mark.parametrize(
    ("files", "found"),
    [
        (PackageFiles((package("arm64"),), (), (), (MODULES,)), {}),
        (
            PackageFiles((package("arm64"),), ((Location("a.deb:boot/x"), Location("b.deb:boot/x")),), (), ()),
            {"packages-agree-on-shared-paths": "two packages have this file, with different contents"},
        ),
        (
            PackageFiles((package("arm64"),), (), (KERNEL,), (MODULES,)),
            {"packaged-kernel-has-its-modules": "all modules are for another release: expected 6.1, found 6.2"},
        ),
        (
            PackageFiles((package("x86_64"),), (), (), ()),
            {"packages-are-for-arm64": "the package is for another architecture: expected arm64, found x86_64"},
        ),
        *((PackageFiles((package(name),), (), (), ()), {}) for name in ("", "all", "noarch", "aarch64", "armhf")),
    ],
)
def test_checks_of_packages(files: PackageFiles, found: dict[str, str]) -> None:
    report = run_checks((files,), "build.packages")
    assert {one.id: str(one.evidence) for one in report.findings} == found
