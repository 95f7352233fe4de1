"""The pieces of a build that must be there."""

from kinspect.checks.build.files import RequiredFiles
from kinspect.inspection.report import run_checks
from kinspect.views.build.inventory import BuildFacts


def test_a_build_is_complete_when_nothing_is_missing() -> None:
    for missing, messages in (
        ((), []),
        ((("vmlinux", "make vmlinux"),), ["the build is incomplete: 1 piece missing: vmlinux"]),
        (
            (("vmlinux", "make vmlinux"), ("Image", "make Image")),
            ["the build is incomplete: 2 pieces missing: vmlinux, Image"],
        ),
    ):
        report = run_checks((BuildFacts(("out",), (), missing),), "build.files")
        assert [str(found.evidence) for found in report.findings] == messages
        assert report.ran == ("build-is-complete",)


def test_required_files() -> None:
    report = run_checks((RequiredFiles("out", (("Image", "`make Image`"),)),), "build.files")
    assert [str(found.evidence) for found in report.findings] == ["no Image found: `make Image`"]
