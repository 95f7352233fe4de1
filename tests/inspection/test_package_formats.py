"""The kernel of the sample in every format of packages: one verdict."""

import gzip
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

import kinspect
from kinspect.cli import main
from samples.hello.examples import RELEASE
from tests.packaged_sample import HEADERS, IMAGE, KERNEL, Tool, deb, findings, kernel_folders

PKGINFO = f"pkgname = {IMAGE}\npkgver = 6.1.0-1\narch = aarch64\n"
SPEC = """\
Name: linux-image
Version: 6.1.0
Release: 1
Summary: a kernel
License: GPL-2
%description
A kernel.
%install
cp -a {folder}/. %{{buildroot}}
%files
/*
"""


def rpm(folder: Path, tool: Tool) -> Path:
    """What rpmbuild makes of a folder."""
    base = folder.parent
    (base / "a.spec").write_text(SPEC.format(folder=folder))
    settings = {"_topdir": str(base / "top"), "_dbpath": str(base / "db"), "__os_install_post": "%{nil}"}
    options = [word for name, value in settings.items() for word in ("--define", f"{name} {value}")]
    command = [tool("rpmbuild"), "-bb", "--target", "aarch64-linux", *options, str(base / "a.spec")]
    subprocess.run(command, capture_output=True, check=True)
    return next((base / "top/RPMS").rglob("*.rpm"))


def pacman(folder: Path, tool: Tool) -> Path:
    """What makepkg makes of a folder."""
    (folder / ".PKGINFO").write_text(PKGINFO)
    path = folder.parent / "linux.pkg.tar.zst"
    names = [".PKGINFO", *sorted(entry.name for entry in folder.iterdir() if entry.name != ".PKGINFO")]
    subprocess.run([tool("bsdtar"), "--zstd", "-cf", str(path), *names], cwd=folder, check=True)
    return path


def apk(folder: Path, tool: Tool) -> Path:
    """What abuild makes of a folder: archives without an end, each compressed, one after the other."""
    (folder / ".PKGINFO").write_text(PKGINFO)
    made = []
    for names in ([".PKGINFO"], ["boot", "lib", "usr"]):
        done = subprocess.run([tool("tar"), "-c", "-b1", *names], cwd=folder, capture_output=True, check=True)
        made.append(done.stdout if len(names) > 1 else done.stdout[:-1024])
    path = folder.parent / "linux.apk"
    path.write_bytes(b"".join(map(gzip.compress, made)))
    return path


def tar_pkg(folder: Path, tool: Tool) -> Path:
    """What `make targz-pkg` makes."""
    path = folder.parent / "linux.tar.gz"
    subprocess.run([tool("tar"), "-czf", str(path), "boot", "lib"], cwd=folder, check=True)
    return path


@pytest.mark.parametrize(
    ("make", "described"),
    [
        (rpm, ("rpm", "linux-image", "6.1.0-1", "aarch64")),
        (pacman, ("pacman package", IMAGE, "6.1.0-1", "aarch64")),
        (apk, ("apk", IMAGE, "6.1.0-1", "aarch64")),
        (tar_pkg, ("tar", "", "", "")),
    ],
)
def test_the_verdict_is_that_of_the_folder(
    make: Callable[[Path, Tool], Path],
    described: tuple[str, ...],
    tool: Tool,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder = kernel_folders(tmp_path)[IMAGE]
    (folder / f"lib/modules/{RELEASE}/modules.dep").write_text("kernel/lib/nosuch.ko:\n")
    path = make(folder, tool)
    report = kinspect.check(path)
    assert findings(report, [f"{path}:"]) == findings(kinspect.check(folder), [f"{folder}/"])
    (package,) = report.facts[0].packages
    assert (package.format, package.name, package.version, package.architecture) == described
    assert main(["check", str(path)]) == 1
    assert re.search(rf"Image +132.5 KiB +{KERNEL}", capsys.readouterr().out)
    assert kinspect.image(path).ok


def test_a_package_that_is_cut(tool: Tool, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for make in (rpm, pacman, apk, tar_pkg):
        path = make(kernel_folders(tmp_path / make.__name__)[IMAGE], tool)
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
        for command in ("check", "modules", "image"):
            assert main([command, str(path)]) == 2
            out, err = capsys.readouterr()
            assert (out, err.count("\n")) == ("", 1)
            assert err.startswith(f"kinspect: {path}")


@pytest.mark.parametrize(
    ("image", "symvers"),
    [
        (KERNEL, f"usr/src/linux-headers-{RELEASE}/Module.symvers"),
        (f"lib/modules/{RELEASE}/vmlinuz", f"usr/src/kernels/{RELEASE}/Module.symvers"),
        (f"usr/lib/modules/{RELEASE}/Image", "usr/src/linux-6.1.0-obj/aarch64/hello/Module.symvers"),
        (f"usr/lib/modules/{RELEASE}/vmlinuz", f"usr/lib/modules/{RELEASE}/build/Module.symvers"),
    ],
)
def test_where_distributions_have_them(image: str, symvers: str, tool: Tool, tmp_path: Path) -> None:
    folders = kernel_folders(tmp_path)
    files = {KERNEL: image, f"usr/src/linux-headers-{RELEASE}/Module.symvers": symvers}
    packages = []
    for name in (IMAGE, HEADERS):
        for old, new in files.items():
            if (folders[name] / old).exists():
                (folders[name] / new).parent.mkdir(parents=True, exist_ok=True)
                (folders[name] / old).rename(folders[name] / new)
        if image.endswith("/Image") and name == IMAGE:
            (folders[name] / f"boot/Image-{RELEASE}").symlink_to(f"../{image}")
        packages.append(deb(tool("dpkg-deb"), folders[name], name))
    report = kinspect.check(*packages)
    assert report.ok
    assert "symvers-is-of-the-build-of-the-kernel" in report.ran
    paths = {piece.role: piece.path for piece in report.facts[0].pieces}
    assert (paths["Image"], paths["Module.symvers"]) == (f"{packages[0]}:{image}", f"{packages[1]}:{symvers}")
    assert kinspect.image(packages[0]).ok
    assert kinspect.symvers(packages[1], packages[0]).ok
