"""Checks of packages that were given: what a package manager would say, and whether a kernel has its modules."""

from collections.abc import Iterator
from typing import NamedTuple

from kinspect.checks.check import Evidence, Severity, check
from kinspect.errors import Location
from kinspect.views.build.inventory import FoundPiece, PackageFacts

_FOR_ARM64 = ("arm64", "aarch64", "all", "any", "noarch")
"""What packages for arm64 say, and those for every machine: of Debian, RPM, Arch and Alpine."""
_FOR_ARM32 = ("armhf", "armel", "armv7", "armv7h", "armv7hl", "armv6h", "armv8l")


class PackageFiles(NamedTuple):
    """The packages that were given, installed together.

    `shared` has a path in each of two packages whose contents differ there. `without_modules` has the kernels with the
    modules of other releases only, which are `modules`.
    """

    packages: tuple[PackageFacts, ...]
    shared: tuple[tuple[Location, Location], ...]
    without_modules: tuple[FoundPiece, ...]
    modules: tuple[FoundPiece, ...]


@check(Severity.ERROR)
def packages_agree_on_shared_paths(files: PackageFiles) -> Iterator[Evidence]:
    """No two of the packages have a file with the same path and different contents.

    A package manager refuses to install both (`trying to overwrite ... which is also in package ...`). kinspect checks
    only the file of the first package. Name packages of a single build, in a single version.
    Source: Debian Policy, 7.6; dpkg, src/main/archives.c.
    """
    for places in files.shared:
        yield Evidence("two packages have this file, with different contents", places)


@check(Severity.ERROR)
def packaged_kernel_has_its_modules(files: PackageFiles) -> Iterator[Evidence]:
    """If the packages have modules, those of the kernel's release are among them, in lib/modules/RELEASE.

    modprobe looks only in the folder named after the release of the running kernel: with modules of another release,
    the kernel boots but can load none of them. The package mixes files of two builds, or its kernel was updated without
    its modules.
    Source: kmod, libkmod/libkmod.c, kmod_new(); github.com/raspberrypi/linux, issues 1554 and 4616.
    """
    releases = ", ".join(sorted({piece.release for piece in files.modules}))
    for kernel in files.without_modules:
        at = tuple(Location(piece.path) for piece in (kernel, *files.modules))
        yield Evidence("all modules are for another release", at, kernel.release, releases)


@check(Severity.WARNING)
def packages_are_for_arm64(files: PackageFiles) -> Iterator[Evidence]:
    """Every package is for arm64 or for any architecture.

    A package manager on an arm64 machine does not install other packages. Packages for 32-bit Arm are allowed: a 32-bit
    distribution may have a 64-bit kernel, as Raspberry Pi OS had.
    Source: Debian Policy, 5.6.8; rpm, rpmrc.
    """
    for package in files.packages:
        machine = package.architecture
        if machine and machine not in (*_FOR_ARM64, *_FOR_ARM32):
            yield Evidence("the package is for another architecture", (Location(package.path),), "arm64", machine)
