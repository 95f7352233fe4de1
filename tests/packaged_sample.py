"""Packages for tests: the sample's kernel as the real tools package it."""

import os
import shutil
import subprocess
from collections.abc import Callable, Iterable
from pathlib import Path

import kinspect
from kinspect.inspection.report import Report
from kinspect.views.build.inventory import BuildFacts
from samples.hello.examples import RELEASE, make_output_folder

Tool = Callable[[str], str]
MODULES = Path(__file__).parent.parent / "samples/hello/modules/lib/modules" / RELEASE
IMAGE, HEADERS, DEBUG = f"linux-image-{RELEASE}", f"linux-headers-{RELEASE}", f"linux-image-{RELEASE}-dbg"
KERNEL, TREE = f"boot/vmlinuz-{RELEASE}", f"lib/modules/{RELEASE}"


def kernel_folders(base: Path) -> dict[str, Path]:
    """The contents of the packages of the sample's kernel, each in a folder of its own."""
    out = base / "out"
    make_output_folder(out)
    places = {
        "arch/arm64/boot/Image": (IMAGE, KERNEL),
        ".config": (IMAGE, f"boot/config-{RELEASE}"),
        "Module.symvers": (HEADERS, f"usr/src/linux-headers-{RELEASE}/Module.symvers"),
        "vmlinux": (DEBUG, f"usr/lib/debug/boot/vmlinux-{RELEASE}"),
        "System.map": (DEBUG, f"usr/lib/debug/boot/System.map-{RELEASE}"),
    }
    for name, (package, place) in places.items():
        target = base / package / place
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(out / name, target)
    shutil.copytree(MODULES, base / IMAGE / TREE)
    readme = base / IMAGE / "usr/share/doc" / IMAGE / "copyright"
    readme.parent.mkdir(parents=True)
    readme.write_text("GPL-2\n")
    return {name: base / name for name in (IMAGE, HEADERS, DEBUG)}


def deb(dpkg_deb: str, folder: Path, name: str, *options: str, architecture: str = "arm64") -> Path:
    """The package that dpkg-deb makes of a folder, beside it."""
    control = folder / "DEBIAN"
    control.mkdir(exist_ok=True)
    fields = {"Package": name, "Version": "6.1.0-1", "Architecture": architecture, "Maintainer": "me <me@example.org>"}
    text = "".join(f"{key}: {value}\n" for key, value in fields.items())
    (control / "control").write_text(f"{text}Description: a sample\n")
    path = folder.parent / f"{folder.name}.deb"
    command = [dpkg_deb, "--root-owner-group", *(options or ("-Zxz", "-z1")), "--build", str(folder), str(path)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    shutil.rmtree(control)
    return path


def unpacked(dpkg_deb: str, packages: Iterable[Path], folder: Path) -> Path:
    """What dpkg-deb unpacks of some packages, all in one folder."""
    for package in packages:
        subprocess.run([dpkg_deb, "-x", str(package), str(folder)], check=True)
    return folder


def temporary(base: Path) -> dict[str, str]:
    """An environment in which a program's temporary files are in an empty folder, which it must leave empty."""
    (base / "temporary").mkdir()
    return os.environ | {"TMPDIR": str(base / "temporary")}


def findings(report: Report, shorten: Iterable[str]) -> list[str]:
    """The findings of a report as texts, with the paths in the packages."""
    texts = [f"{one.severity} {one.id} {one.evidence} {[str(at) for at in one.evidence.at]}" for one in report.findings]
    for prefix in shorten:
        texts = [text.replace(prefix, "") for text in texts]
    return sorted(texts)


def same_findings(packages: list[Path], folder: Path) -> Report[BuildFacts]:
    """The report on packages, which says what that on a folder says."""
    report, expected = kinspect.check(*packages), kinspect.check(folder)
    own = {"packages-agree-on-shared-paths", "packaged-kernel-has-its-modules", "packages-are-for-arm64"}
    assert own <= set(report.ran)
    assert sorted(set(report.ran) - own) == sorted(set(expected.ran))
    assert findings(report, (f"{package}:" for package in packages)) == findings(expected, (f"{folder}/",))
    assert report.exit_code == expected.exit_code
    roles = sorted((piece.role, piece.size, piece.description) for piece in expected.facts[0].pieces)
    assert sorted((piece.role, piece.size, piece.description) for piece in report.facts[0].pieces) == roles
    return report
