"""What is to be said of a build because it came in packages."""

from typing import TYPE_CHECKING, Never

from kinspect.artifacts.build.tree import BUILT
from kinspect.checks.build.packages import PackageFiles
from kinspect.errors import Location
from kinspect.inspection.report import Report, run_checks
from kinspect.views.build.inventory import NOT_JUDGED, BuildFacts, FoundPiece, Unjudged

if TYPE_CHECKING:
    from kinspect.inspection.package.together import InstalledPackages

_IMAGES = ("Image", "packed Image")
_PARTS = ("config", "vmlinux", "System.map", "Image", "Module.symvers", "modules")
"""The parts of a build that distributions have in packages."""
_ALIKE = {"packed Image": "Image", BUILT: "modules"}
_NOTHING = "a package without any part of a kernel's build"


def with_packages(facts: BuildFacts, together: "InstalledPackages") -> tuple[Report[Never], BuildFacts]:
    """The findings on packages, and the facts of a build with what is to be said of them."""
    packaged = (piece for piece in facts.pieces if piece.path.startswith(together.folder))
    kernels = [piece for piece in packaged if piece.role in _IMAGES and piece.release]
    modules = tuple(piece for piece in facts.pieces if piece.role == "modules" and piece.release)
    releases = {piece.release for piece in modules}
    without = tuple(piece for piece in kernels if releases and piece.release not in releases)
    shared = tuple(
        (Location(f"{one.package}:{one.path}"), Location(f"{one.other}:{one.path}")) for one in together.conflicts
    )
    report = run_checks((PackageFiles(together.packages, shared, without, modules),), "build.packages")
    there = {_ALIKE.get(piece.role, piece.role) for piece in facts.pieces}
    unused = together.unused
    uncovered = [entry for entry in together.uncovered if entry[0] not in {package.path for package in unused}]
    pieces = tuple(FoundPiece(NOT_JUDGED, package.path, package.size, _NOTHING) for package in unused)
    unjudged = [Unjudged(package.path, _NOTHING) for package in unused]
    unjudged += (Unjudged(path, f"damage to {files} without a checksum") for path, files in uncovered)
    return report, facts._replace(
        pieces=facts.pieces + pieces,
        unjudged=(*facts.unjudged, *unjudged),
        packages=together.packages,
        absent=tuple(role for role in _PARTS if role not in there),
    )
