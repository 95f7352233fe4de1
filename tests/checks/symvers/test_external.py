"""The Module.symvers of external modules (M=) is not taken for the kernel's."""

import shutil
from pathlib import Path

import pytest

import kinspect
from kinspect.artifacts.build.symvers import Symvers
from kinspect.checks.check import Severity
from kinspect.inspection.check import check
from kinspect.inspection.report import Report
from kinspect.views.build.inventory import BuildFacts
from tests.conftest import SAMPLE

LINE = "0x11111111\tlamp_register\t{}\tEXPORT_SYMBOL\t\n"
MODULES = SAMPLE / "modules/lib/modules/6.1.0-hello"


def symvers(folder: Path, text: str) -> Path:
    path = folder / "Module.symvers"
    path.write_text(text)
    return path


def problems(report: Report) -> list[str]:
    return [str(found) for found in report.findings if found.severity is not Severity.INFO]


@pytest.mark.parametrize(
    ("module", "external"),
    [
        ("/home/u/lamp/lamp", True),
        ("lamp", True),
        ("src/lamp", True),
        ("drivers/leds/lamp", False),
        ("vmlinux", False),
        ("", False),
    ],
)
def test_it_is_recognised_by_its_paths(module: str, external: bool, tmp_path: Path) -> None:
    path = symvers(tmp_path, LINE.format(module))
    assert Symvers(path).external is external
    # Kernel and external module in one file, as KBUILD_EXTRA_SYMBOLS could have them.
    path = symvers(tmp_path, LINE.format(module) + LINE.format("vmlinux").replace("lamp", "kernel"))
    assert not Symvers(path).external


def test_the_kernels_files_are_not_external() -> None:
    for path in (SAMPLE / "Module.symvers", SAMPLE / "modules/Module.symvers"):
        assert not Symvers(path).external


def test_it_is_not_compared_with_the_kernels_exports(tmp_path: Path) -> None:
    path = symvers(tmp_path, LINE.format("/home/u/lamp/lamp"))
    for kernel in ("vmlinux", "Image"):
        report = kinspect.symvers(path, SAMPLE / kernel)
        assert report.ok, problems(report)
        # Nothing says that they are the same.
        assert len(report.facts) == 1
    both = symvers(tmp_path, LINE.format("lamp") + LINE.format("lamp").replace("lamp_register", "log_buffer"))
    (found,) = kinspect.symvers(both, SAMPLE / "vmlinux").findings
    assert found.id == "external-symvers-lists-nothing-of-the-kernel"
    assert found.evidence.message == "log_buffer of lamp is exported by the kernel, too"


def test_without_its_modules_it_is_not_judged(tmp_path: Path) -> None:
    path = symvers(tmp_path, LINE.format("lamp"))
    report = check(path, MODULES)
    assert report.ok, problems(report)
    reasons = {entry.reason for entry in report.facts_of(BuildFacts)[0].unjudged}
    assert "Module.symvers of external modules without its modules" in reasons
    found = {finding.id: finding for finding in kinspect.modules(MODULES, symvers=path).findings}
    assert "not compared: 1 external module not among the modules: lamp" in str(
        found["modules-of-external-symvers-are-there"]
    )
    assert {finding.severity for finding in found.values()} == {Severity.INFO}


def test_it_is_compared_with_its_modules_wherever_they_are(tmp_path: Path) -> None:
    """The exports of one of the sample's modules, as if that had been built outside."""
    name, lines = "hello_text", (SAMPLE / "modules/Module.symvers").read_text().splitlines(keepends=True)
    own = [line for line in lines if line.split("\t")[2].endswith(f"/{name}")]
    assert own
    text = "".join(own).replace(own[0].split("\t")[2], f"/home/u/{name}")
    tree = tmp_path / "lib/modules/6.1.0-hello"
    shutil.copytree(MODULES, tree, symlinks=True)
    (module,) = tree.rglob(f"{name}.ko*")
    (tree / "updates").mkdir()
    for folder in (module.parent, tree / "updates"):
        module = module.rename(folder / module.name)
        report = kinspect.modules(tree, symvers=symvers(tmp_path, text))
        ids = {finding.id for finding in report.findings}
        assert not any("symvers" in found for found in ids), ids
        other = symvers(tmp_path, f"0x{int(text[2:10], 16) ^ 1:08x}{text[10:]}")
        report = kinspect.modules(tree, symvers=other)
        assert "symvers-crcs-are-those-of-the-modules" in {finding.id for finding in report.findings}


def test_a_symvers_of_another_build_is_one_finding(tmp_path: Path) -> None:
    """`symvers` folds what follows from it, as `modules` and `check` do."""
    lines = (SAMPLE / "modules/Module.symvers").read_text().splitlines(keepends=True)
    lines = [line.replace("\t", "\tother_", 1) for line in lines]
    lines += [f"0x5eadbe{number:02x}\tmore_{number}\tlib/hello_text\tEXPORT_SYMBOL\t\n" for number in range(30)]
    lines.sort(key=lambda line: ("\tvmlinux\t" not in line, line.split("\t")[2]))
    report = kinspect.symvers(symvers(tmp_path, "".join(lines)), SAMPLE / "vmlinux", MODULES)
    (found,) = [finding for finding in report.findings if finding.severity is Severity.ERROR]
    assert found.id == "symvers-is-of-the-build-of-the-kernel"
    assert "follow" in found.evidence.message
