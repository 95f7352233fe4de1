"""All checks of a build: of each file that is there, alone and together."""

import os
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Never

from kinspect.artifacts.artifact import Artifact, wrapping_suffix
from kinspect.artifacts.boot.image import Image
from kinspect.artifacts.build.kernel_config import KernelConfig, KernelRelease
from kinspect.artifacts.build.symvers import Symvers
from kinspect.artifacts.build.system_map import SystemMap
from kinspect.artifacts.build.tree import BUILT, PLACES, BuildFile, build_files, opened
from kinspect.artifacts.elf.vmlinux import Vmlinux
from kinspect.artifacts.module.tree import ModuleTree
from kinspect.checks.boot.container import packed_image_is_the_image
from kinspect.checks.build.files import RequiredFiles, required_files_are_there
from kinspect.checks.check import Finding, Severity, topics
from kinspect.checks.wording import counted
from kinspect.errors import KinspectError, Location, MalformedError
from kinspect.inspection.report import Path, Report, checks_of, run_checks
from kinspect.views.build.inventory import BuildFacts, FoundPiece

if TYPE_CHECKING:
    from kinspect.artifacts.module.tree import OnProgress

ROLES = (*PLACES, BUILT)
# The command that makes each file of a build.
_REMEDIES = {
    "config": "make ARCH=arm64 defconfig",
    "vmlinux": "make ARCH=arm64 vmlinux; distributions ship it in a package for debugging",
    "System.map": "make ARCH=arm64 vmlinux; distributions ship it in a package for debugging",
    "Image": "make ARCH=arm64 Image",
    "Module.symvers": "make ARCH=arm64 modules; distributions ship it with the headers",
    "modules": "make ARCH=arm64 modules_install INSTALL_MOD_PATH=FOLDER",
    BUILT: "make ARCH=arm64 modules",
}


def check(
    *paths: Path,
    require: Sequence[str] = (),
    ignore: Sequence[str] = (),
    select: Sequence[str] = (),
    on_progress: "OnProgress | None" = None,
) -> Report[BuildFacts]:
    """Check a build: its folder, installed modules, unpacked packages, or single files.

    `require` lists files (ROLES, case does not matter) whose absence is an error. Findings of the checks in `ignore`
    are dropped; when `select` names checks, only their findings are kept, and those of `require`. Raises MalformedError
    for an unknown name.
    """
    known = {name: role for role in ROLES for name in (role, role.lower(), role.lower().replace(" ", "-"))}
    _known("require", require, known)
    _known("ignore", ignore, _ids())
    _known("select", select, _ids())
    work = _Build([os.fsdecode(path) for path in paths], on_progress)
    report = work.report()
    chosen = frozenset(select or report.ran)
    if require:
        missing = [role for role in dict.fromkeys(known[name] for name in require) if role not in work.roles]
        required = RequiredFiles(work.paths[0], tuple((role, _remedy(role)) for role in missing))
        report = run_checks((required,), "build.files") + report
        chosen |= {required_files_are_there.id}
    chosen -= frozenset(ignore)
    findings = tuple(finding for finding in report.findings if finding.id in chosen)
    ran = tuple(check_id for check_id in report.ran if check_id in chosen)
    return report.replaced(findings=findings, ran=ran)


def _ids() -> tuple[str, ...]:
    return tuple(one.id for one in checks_of())


def _known(option: str, words: Sequence[str], known: Collection[str]) -> None:
    for word in words:
        if word not in known:
            hint = "one of " + ", ".join(ROLES) if option == "require" else "an id that `kinspect checks` lists"
            raise MalformedError("unknown name", Location(f"--{option}"), expected=hint, actual=word)


def _remedy(role: str) -> str:
    return f"`{_REMEDIES[role]}`" if role in _REMEDIES else "the build did not make it"


class _Build:
    """The artifacts of a build, each opened once."""

    def __init__(self, paths: list[str], on_progress: "OnProgress | None") -> None:
        self.paths, self._on_progress = paths, on_progress
        self._pieces: list[FoundPiece] = []
        self._artifacts: list[Artifact] = []
        self._packed: Report[Never] = Report()

    @property
    def roles(self) -> set[str]:
        """What is there."""
        return {piece.role for piece in self._pieces}

    def report(self) -> Report[BuildFacts]:
        """Facts and findings."""
        errors: list[KinspectError] = []
        for path in self.paths:
            try:
                for piece in build_files(path) if os.path.isdir(path) else [BuildFile("", path)]:
                    try:
                        self._take(piece)
                    except KinspectError as error:
                        errors.append(error)
                        if piece.role:
                            self._pieces.append(FoundPiece(piece.role, piece.path, 0, "cannot be read"))
            except KinspectError as error:
                errors.append(error)
        if not self._pieces and not errors:
            at, expected = Location(self.paths[0]), "the folder of a build, modules, or an unpacked package"
            errors.append(MalformedError("nothing of a kernel's build is here", at, expected=expected))
        missing = tuple((role, _REMEDIES[role]) for role in self._missing())
        facts = BuildFacts(tuple(self.paths), tuple(self._pieces), missing)
        report = Report((facts,), errors=tuple(errors)) + self._judged() + self._packed
        return report.replaced(findings=tuple(self._once(report.findings)))

    def _judged(self) -> Report[Never]:
        """The findings on everything but wrapped Images. What modules need is compared with one of the kernels."""
        apart = ("boot.container", "size.budget", "module.needs", "loader.verdict")
        others = (topic for topic in topics() if topic not in apart)
        kernels = [one for kind in (Image, Vmlinux, Symvers) for one in self._artifacts if isinstance(one, kind)]
        kernel = next((one for one in kernels if _exports(one)), None)
        trees = [one for one in self._artifacts if isinstance(one, ModuleTree)]
        report = run_checks(tuple(self._artifacts), *others)
        return report + run_checks((*trees, kernel) if kernel else tuple(trees), "module.needs", "loader.verdict")

    def _once(self, findings: Iterable[Finding]) -> Iterator[Finding]:
        """What is said of a piece against vmlinux and against the Image is said once, and so is why nothing can be."""
        kernels = {one.path for one in self._artifacts if isinstance(one, Image | Vmlinux)}
        alike: dict[tuple[object, ...], list[Finding]] = {}
        for found in findings:
            evidence = found.evidence
            rest = tuple(at for at in evidence.at if at.path not in kernels)
            check_id = "" if found.severity == Severity.UNDECIDED else found.id
            alike.setdefault((check_id, *evidence._replace(at=rest or evidence.at)), []).append(found)
        for first, *more in alike.values():
            at = dict.fromkeys(at for found in (first, *more) for at in found.evidence.at)
            yield first._replace(evidence=first.evidence._replace(at=tuple(at)))

    def _take(self, piece: BuildFile) -> None:
        artifact = opened(piece)
        if isinstance(artifact, ModuleTree):
            artifact.read(self._on_progress)
        role = piece.role or _ROLES.get(type(artifact), "file")
        told = _told(artifact)
        images: list[Image] = []
        if artifact.layers:
            # Judged at once, and forgotten: it is whole in memory.
            images = [one for one in self._artifacts if isinstance(one, Image)]
            self._packed += self._unpacked(artifact, images)
            role = "packed Image"
        if not artifact.layers or not images:
            self._artifacts.append(artifact)
        size = os.path.getsize(piece.path) if os.path.isfile(piece.path) else artifact.size
        self._pieces.append(FoundPiece(role, piece.path, size, told))

    def _unpacked(self, packed: Artifact, images: list[Image]) -> Report[Never]:
        """The verdict on a packed Image. One that is vmlinux's is right where the Image beside it is not."""
        report = run_checks((packed, *packed.wrappings, *images), "boot.container")
        # Other checks judge an artifact that is kept; one that equals the Image beside it has the same findings.
        differs = any(found.id == packed_image_is_the_image.id for found in report.findings)
        alone = (packed, *packed.wrappings) if differs else packed.wrappings
        program = run_checks(alone, "boot.header", "boot.ending", "boot.pe", "boot.signature")
        # What is only good to know of it is left to `kinspect image`.
        kept = tuple(found for found in program.findings if found.severity != Severity.INFO)
        report += program.replaced(findings=kept)
        other = [found for found in report.findings if found.id == packed_image_is_the_image.id]
        kernels = [one for one in self._artifacts if isinstance(one, Vmlinux)] if other else []
        if isinstance(packed, Image) and any(_is_made_of(packed, vmlinux) for vmlinux in kernels):
            return report.replaced(findings=tuple(found for found in report.findings if found not in other))
        return report

    def _missing(self) -> list[str]:
        """What a build has beside what is there."""
        if self.roles & {BUILT, "release"}:
            wanted = ["config", "vmlinux", "System.map", "Image", "Module.symvers"]
            if any(isinstance(one, KernelConfig) and one.on("MODULES") for one in self._artifacts):
                wanted.append(BUILT)
        else:
            wanted = ["modules"] if "Image" in self.roles else []
        return [role for role in wanted if role not in self.roles]


_ROLES: dict[type[Artifact], str] = {
    Image: "Image",
    Vmlinux: "vmlinux",
    Symvers: "Module.symvers",
    SystemMap: "System.map",
    KernelConfig: "config",
    ModuleTree: "modules",
}


def _is_made_of(image: Image, vmlinux: Vmlinux) -> bool:
    from kinspect.views.diff.comparison import compare

    try:
        return compare(vmlinux, image).same
    except KinspectError:
        return False  # which a check says


def _exports(kernel: Artifact) -> bool:
    """Whether it can be told what a kernel exports."""
    from kinspect.views.tables.raw_exports import readable_exports

    try:
        return isinstance(kernel, Symvers) or (
            isinstance(kernel, Image | Vmlinux) and bool(readable_exports(kernel).tables)
        )
    except KinspectError:
        return False


def _told(artifact: Artifact) -> str:
    """What a piece says of itself, in a few words."""
    match artifact:
        case Image():
            return _release(artifact.banner) + wrapping_suffix(artifact.layers)
        case Vmlinux():
            return f"{_release(artifact.banner)}, {counted(len(artifact.readable_symbols), 'symbol')}"
        case Symvers():
            return counted(len(artifact.rows.names), "export")
        case SystemMap():
            return counted(len(artifact.lines), "symbol")
        case KernelConfig():
            return f"{artifact.version or 'of an unknown kernel'}, {counted(len(artifact.options), 'option')}"
        case KernelRelease():
            return artifact.release
        case ModuleTree():
            return f"{artifact.release or 'of an unknown release'}, {counted(len(artifact.files), 'module')}"
    return artifact.kind


def _release(banner: str | None) -> str:
    words = (banner or "").split(" ")
    return words[2] if len(words) > 2 else "of an unknown release"
