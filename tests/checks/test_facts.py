"""The checks that need facts, not artifacts: each with facts that break it and with facts that do not."""

import os
from pathlib import Path
from typing import NamedTuple

import pytest

from kinspect.artifacts.build.symvers import Symvers
from kinspect.checks.build.files import ReadErrors, RequiredFiles
from kinspect.checks.check import Subject
from kinspect.errors import Location, UnreadableError
from kinspect.inspection.log import log_of
from kinspect.inspection.report import Report, run_checks
from kinspect.views.abi.changes import AbiFacts, compare
from kinspect.views.abi.comparison import ExportTypes
from kinspect.views.buildlog.facts import BuildLogFacts
from kinspect.views.buildlog.output_folder import BuiltFacts, Stale
from kinspect.views.kernel.config import ConfigFacts
from kinspect.views.signing.authenticode import ImageSignature, ImageSignatures

OLD = """\
0x00000001\tbar\tvmlinux\tEXPORT_SYMBOL\t
0x00000002\tbaz\tvmlinux\tEXPORT_SYMBOL\t
0x00000003\tfoo\tlib/foo\tEXPORT_SYMBOL_GPL\t
0x00000004\tgone\tvmlinux\tEXPORT_SYMBOL\t
0x00000005\there\tvmlinux\tEXPORT_SYMBOL\tNET
"""
NEW = """\
0x000000ff\tbar\tvmlinux\tEXPORT_SYMBOL\t
0x00000002\tbaz\tvmlinux\tEXPORT_SYMBOL_GPL\t
0x00000003\tfoo\tlib/foo\tEXPORT_SYMBOL\t
0x00000007\tfresh\tlib/fresh\tEXPORT_SYMBOL_GPL\t
0x00000005\there\tlib/here\tEXPORT_SYMBOL\tUSB
"""
GOOD_LOG = "  CC      fs/a.o\n"
BAD_LOG = """\
  CC      fs/a.o
fs/a.c:1:2: warning: unused variable 'x' [-Wunused-variable]
fs/a.c:2:2: error: 'y' undeclared
what is this
make: *** [Makefile:250: __sub-make] Error 2
"""
SIGNATURE = ImageSignature("sha256", "RSA sha256", "ab", "ab", ("someone",), "01", True, True)


def log_facts(text: str) -> BuildLogFacts:
    return log_of([text.encode()], "log").facts_of(BuildLogFacts)[0]


def changed_exports(folder: Path, old: str, new: str) -> AbiFacts:
    for name, text in (("old", old), ("new", new)):
        (folder / name).write_text(text)
    return compare(Symvers(folder / "old"), Symvers(folder / "new"))


def findings_of(facts: Subject, *names: str) -> Report:
    """The report of some facts, each of whose checks ran once."""
    report = run_checks((facts,), *names)
    assert len(set(report.ran)) == len(report.ran) > 0
    return report


def test_changed_exports(tmp_path: Path) -> None:
    report = findings_of(changed_exports(tmp_path, OLD, NEW), "symvers.abi")
    assert [(finding.id, finding.severity.value, finding.evidence.message) for finding in report.findings] == [
        ("abi-exports-are-kept", "error", "1 export removed: gone"),
        ("abi-crcs-are-kept", "error", "1 export with a different CRC: bar"),
        ("abi-licences-are-kept", "error", "1 export now GPL-only: baz"),
        ("abi-namespaces-are-kept", "error", "1 export in a different namespace: here"),
        ("abi-exports-stay-in-their-module", "warning", "1 export moved to another module: here"),
        ("abi-licences-are-opened", "info", "1 export no longer GPL-only: foo"),
        ("abi-exports-are-added", "info", "1 export added: fresh"),
    ]
    zero = "".join(f"0x00000000{line[10:]}\n" for line in OLD.splitlines())
    report = findings_of(changed_exports(tmp_path, OLD, zero), "symvers.abi")
    assert [finding.id for finding in report.findings] == ["abi-modversions-are-kept"]
    assert findings_of(changed_exports(tmp_path, OLD, OLD), "symvers.abi").ok


def test_exports_whose_types_changed(tmp_path: Path) -> None:
    zero = "".join(f"0x00000000{line[10:]}\n" for line in OLD.splitlines())
    (tmp_path / "symvers").write_text(zero)
    symvers = Symvers(tmp_path / "symvers")
    changed = ExportTypes(("struct device",), None, True)
    facts = compare(symvers, symvers, types=lambda name, module: changed if name == "baz" else None)
    [found] = findings_of(facts, "symvers.abi").findings
    assert (found.id, found.evidence.message) == ("abi-types-are-kept", "1 export with changed types: baz")
    assert findings_of(compare(symvers, symvers, types=lambda name, module: None), "symvers.abi").ok


def test_build_logs() -> None:
    report = findings_of(log_facts(BAD_LOG), "build.log")
    assert [(finding.id, finding.severity.value) for finding in report.findings] == [
        ("build-is-finished", "error"),
        ("build-has-no-errors", "error"),
        ("build-has-no-warnings", "warning"),
        ("build-log-is-understood", "info"),
    ]
    assert findings_of(log_facts(GOOD_LOG), "build.log").findings == ()


def test_equal_messages_are_findings_of_their_own() -> None:
    """A warning in a header comes once for each file that includes it."""
    facts = log_facts("  CC      fs/a.o\nfs/a.h:1:2: warning: odd\n  CC      fs/b.o\nfs/a.h:1:2: warning: odd\n")
    found = findings_of(facts, "build.log").findings
    assert [finding.evidence.at[1].line for finding in found] == [2, 4]


def test_output_folders() -> None:
    good = BuiltFacts("log", "out", 3, 0, (), 0, (), ())
    assert findings_of(good, "build.log").findings == ()
    bad = good._replace(
        missing=1, missing_names=("a",), changed=2, changed_names=("b", "c"), stale=(Stale("Image", "vmlinux"),)
    )
    assert [str(finding) for finding in findings_of(bad, "build.log").findings] == [
        "out/a: 1 file made by this build is missing [built-files-are-there]",
        "out/Image: older than vmlinux, from which it is made [built-files-are-fresh]",
        "out/b: 2 files are newer than the log [built-files-are-of-this-log]",
    ]


def test_signatures() -> None:
    good = ImageSignatures("Image", (SIGNATURE,))
    assert findings_of(good, "boot.signature").ok
    for signatures, expected in (
        ((), "the image is not signed"),
        ((SIGNATURE._replace(trusted=False),), "no signature verifies against a trusted certificate"),
        ((SIGNATURE._replace(stated="cd"),), "no signature verifies against a trusted certificate"),
    ):
        (finding,) = findings_of(ImageSignatures("Image", signatures), "boot.signature").findings
        assert (finding.id, finding.severity) == ("image-signature-is-trusted", "error")
        assert finding.evidence.message == expected
    unknown = ImageSignatures("Image", (SIGNATURE._replace(right=None, trusted=None),))
    (finding,) = findings_of(unknown, "boot.signature").findings
    assert (finding.id, finding.severity) == ("image-signature-is-trusted", "undecided")
    assert "kinspect[verify]" in finding.evidence.message


@pytest.mark.parametrize(
    ("good", "bad", "module", "expected"),
    [
        (
            ConfigFacts("Image", (), None, "CONFIG_A=y\n"),
            ConfigFacts("Image", (), None, None),
            "build.embedded",
            "Image: no embedded .config: build with CONFIG_IKCONFIG=y, ",
        ),
        (
            RequiredFiles("out", ()),
            RequiredFiles("out", (("Image", "`make Image`"),)),
            "build.files",
            "out: no Image found: `make Image`",
        ),
        (
            ReadErrors(()),
            ReadErrors((UnreadableError("No such file or directory", Location("Image")),)),
            "build.files",
            "Image: No such file or directory",
        ),
    ],
)
def test_other_facts(good: NamedTuple, bad: NamedTuple, module: str, expected: str) -> None:
    assert findings_of(good, module).ok
    (finding,) = findings_of(bad, module).findings
    assert str(finding).startswith(expected)
    assert str(finding).endswith(f" [{finding.id}]")
    assert finding.severity == "error"


def test_a_log_with_its_folder_runs_both_kinds_of_checks(tmp_path: Path) -> None:
    (tmp_path / "fs").mkdir()
    (tmp_path / "fs/a.o").touch()
    os.utime(tmp_path / "fs/a.o", (1000, 1000))
    report = log_of([GOOD_LOG.encode()], "log", tmp_path, ended=1000)
    assert len(report.ran) == 7
    assert report.findings == ()
