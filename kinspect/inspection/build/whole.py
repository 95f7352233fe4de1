"""The files of a build, found, opened and compared: those of each kernel with each other."""

import os
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Never

from kinspect.artifacts.artifact import Artifact, wrapping_suffix
from kinspect.artifacts.boot.image import Image
from kinspect.artifacts.boot.parts import KERNEL, BootContainer
from kinspect.artifacts.build.kernel_config import KernelConfig, KernelRelease
from kinspect.artifacts.build.symvers import Symvers
from kinspect.artifacts.build.system_map import SystemMap
from kinspect.artifacts.build.tree import BUILT, BuildFile, is_output_folder, opened, unbuilt_targets
from kinspect.artifacts.compression.magics import LONGEST_MAGIC, compression_of
from kinspect.artifacts.dtb.blob import DtbKind
from kinspect.artifacts.elf.debug_file import DebugFile, debug_file_at
from kinspect.artifacts.elf.vmlinux import Vmlinux
from kinspect.artifacts.initramfs.file import Initramfs
from kinspect.artifacts.module.ko import Module
from kinspect.artifacts.module.tree import ModuleTree
from kinspect.checks.wording import counted, summarized
from kinspect.errors import KinspectError, UnsupportedError, WrongKindError
from kinspect.inspection.build.given import GivenFile, given_files
from kinspect.inspection.build.one_kernel import ROLES, KernelFiles
from kinspect.inspection.report import Report, run_checks
from kinspect.views.build.inventory import NOT_JUDGED, BuildFacts, FoundPiece, Unjudged
from kinspect.workers import titled

if TYPE_CHECKING:
    from kinspect.workers import OnProgress

_DEBUG_ROLES = ("", "file", "vmlinux")
"""Roles of files that may be debug files."""
COMMANDS = {
    "config": "make ARCH=arm64 defconfig",
    "vmlinux": "make ARCH=arm64 vmlinux",
    "System.map": "make ARCH=arm64 vmlinux",
    "Image": "make ARCH=arm64 Image",
    "Module.symvers": "make ARCH=arm64 modules",
    "modules": "make ARCH=arm64 modules_install INSTALL_MOD_PATH=FOLDER",
    BUILT: "make ARCH=arm64 modules",
}
"""The command that makes each file of a build."""
_AFTER_ALL = 1 << 32
"""Added to the numbers of files that are not judged: they are listed last."""


def inspect_build(paths: list[str], on_progress: "OnProgress | None") -> tuple[Report[Never], BuildFacts]:
    """The findings on the files under some paths, and what was found. The order of the paths changes neither."""
    build = _Build(paths, on_progress)
    report = build.report()
    return report, BuildFacts(tuple(paths), build.pieces, build.missing, tuple(build.unjudged))


def found_pieces(artifacts: Iterable[Artifact]) -> list[FoundPiece]:
    """The artifacts as pieces of a build, without a description."""
    return [FoundPiece(ROLES.get(type(artifact), "file"), artifact.path, 0, "") for artifact in artifacts]


class _Build:
    """The artifacts under some paths, each opened once."""

    def __init__(self, paths: list[str], on_progress: "OnProgress | None") -> None:
        self._paths, self._on_progress = paths, on_progress
        self._found: dict[int, FoundPiece] = {}
        self._kernels: dict[str, KernelFiles] = {}
        self._errors: list[KinspectError] = []
        self._debug_files: list[tuple[GivenFile, DebugFile]] = []
        self.unjudged: list[Unjudged] = []

    @property
    def pieces(self) -> tuple[FoundPiece, ...]:
        """What was found, in the order of the paths."""
        return tuple(self._found[number] for number in sorted(self._found))

    def report(self) -> Report[Never]:
        """The findings, and what could not be read."""
        files, self._errors = given_files(self._paths)
        reading = titled(self._on_progress, "reading files")
        for number, file in enumerate(files):
            if reading:
                reading(number, len(files))
            try:
                self._take(file)
            except (WrongKindError, UnsupportedError) as error:
                if file.loose:
                    self._leave(file, str(error.actual or error.problem))
                else:
                    self._fail(file, error)
            except KinspectError as error:
                self._fail(file, error)
        report: Report[Never] = Report(errors=tuple(self._errors))
        for file, debug in self._debug_files:
            report += self._paired(file, debug)
        for kernel in self._kernels.values():
            report += kernel.report(self._on_progress)
            self.unjudged += kernel.unpaired(len(self._kernels) > 1)
            self.unjudged += kernel.unverified()
        return report + self._overlays()

    def _overlays(self) -> Report[Never]:
        """What the overlays lack among the device trees of all kernels."""
        from kinspect.views.dtb.pairing import completed, unpaired_among

        trees = [tree for kernel in self._kernels.values() for tree in kernel.named_trees]
        overlays = [tree.dtb for tree in trees if tree.names.form == DtbKind.OVERLAY]
        if not overlays:
            return Report()
        # They may be of several kernels, and need not be named as overlays.
        unpaired = unpaired_among(
            completed(trees, filter(None, (kernel.needed_names for kernel in self._kernels.values())))
        )
        if not unpaired.bases:
            self.unjudged += (Unjudged(one.path, "overlay without a device tree") for one in overlays)
            return Report()
        reason = "overlay that applies to no device tree here"
        self.unjudged += (Unjudged(one.path, reason) for one in unpaired.overlays)
        return run_checks((unpaired,), "dtb.overlay")

    def _paired(self, file: GivenFile, debug: "DebugFile") -> Report[Never]:
        """The findings on a debug file, also with the file that it belongs to."""
        from kinspect.inspection.build.debug_files import debug_file_report

        others = [one for kernel in self._kernels.values() for one in kernel.of(Vmlinux, Module)]
        report, paired = debug_file_report(debug, others)
        if not paired and not report.ran:
            self._leave(file, debug.title)
            return report
        if not paired:
            self.unjudged.append(Unjudged(file.path, "debug file without its vmlinux"))
        self._found[file.number] = FoundPiece("debug file", file.path, debug.size, debug.title)
        return report

    def _fail(self, file: GivenFile, error: KinspectError) -> None:
        self._errors.append(error)
        if file.role:
            self._found[file.number] = FoundPiece(file.role, file.path, 0, "cannot be read")

    def _leave(self, file: GivenFile, reason: str) -> None:
        self.unjudged.append(Unjudged(file.path, reason))
        size = os.path.getsize(file.path) if os.path.isfile(file.path) else 0
        self._found[_AFTER_ALL + file.number] = FoundPiece(NOT_JUDGED, file.path, size, reason)

    def _take(self, file: GivenFile) -> None:
        debug = None if file.role not in _DEBUG_ROLES else debug_file_at(file.path)
        if debug:
            self._debug_files.append((file, debug))
            return
        if file.unknown:
            self._leave(file, file.unknown)
            return
        artifact = opened(BuildFile(file.role, file.path))
        if file.role and isinstance(artifact, Vmlinux) and _is_stub(artifact):
            self._leave(file, "a stub with type information only")
            return
        # An error when it cannot be listed; the modules are read with their kernel.
        if isinstance(artifact, ModuleTree) and not artifact.files and not artifact.dep:
            self.unjudged.append(Unjudged(file.path, "modules (not in the folder)"))
        description = _description(artifact)
        packed = isinstance(artifact, Image) and bool(artifact.layers)
        role = "packed Image" if packed else file.role or ROLES.get(type(artifact), "file")
        own = _release_of(artifact)
        release = own if file.group is None else file.group
        self._kernels.setdefault(release, KernelFiles(release)).take(artifact)
        size = os.path.getsize(file.path) if os.path.isfile(file.path) else artifact.size
        self._found[file.number] = FoundPiece(role, file.path, size, description, own)

    @property
    def missing(self) -> tuple[tuple[str, str], ...]:
        """What the O= folders among the paths should have and have not, with the command that makes it."""
        found: dict[str, str] = {}
        for folder in filter(os.path.isdir, self._paths):
            if is_output_folder(folder):
                found.update(self._missing_in(folder))
        return tuple(found.items())

    def _missing_in(self, folder: str) -> Iterator[tuple[str, str]]:
        start = os.path.join(folder, "")
        roles = {piece.role for piece in self.pieces if os.path.join(piece.path, "").startswith(start)}
        expected = ["config", "vmlinux", "System.map", "Image"]
        artifacts = [artifact for kernel in self._kernels.values() for artifact in kernel.of(KernelConfig)]
        configs = [one for one in artifacts if isinstance(one, KernelConfig) and one.path.startswith(start)]
        if any(config.on("MODULES") for config in configs):
            expected += ["Module.symvers", BUILT]
        yield from ((role, COMMANDS[role]) for role in expected if role not in roles)
        for target in unbuilt_targets(folder):
            if not target.endswith("/Image"):
                name = target.removeprefix("arch/arm64/boot/").removeprefix("dts/")
                yield target, f"make ARCH=arm64 {name}"


def _is_stub(vmlinux: Vmlinux) -> bool:
    """Whether a vmlinux has only the types of the kernel, as in a package of kernel headers."""
    has_code = any(section.executable and section.file_size for section in vmlinux.sections)
    return not has_code and vmlinux.section(".BTF") is not None


def _description(artifact: Artifact) -> str:
    match artifact:
        case Image():
            return _release(artifact.banner) + wrapping_suffix(artifact.layers) + _beside(artifact)
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
        case Initramfs():
            return compression_of(artifact.source.head(LONGEST_MAGIC)) or "not compressed"
        case ModuleTree():
            return f"{artifact.release or 'of an unknown release'}, {counted(len(artifact.files), 'module')}"
    return artifact.kind


def _beside(artifact: Artifact) -> str:
    """The parts beside a kernel in the container of a boot loader: ` (beside it: ramdisk, dtb)`."""
    found = [part for one in artifact.wrappings if isinstance(one, BootContainer) for part in one.parts]
    names = [part.name for part in found if part.name != KERNEL]
    return f" (beside it: {summarized(names)})" if names else ""


def _release_of(artifact: Artifact) -> str:
    """The release of the kernel that a file belongs to, as its contents say; empty when they do not."""
    match artifact:
        case Image() | Vmlinux():
            return _release(artifact.banner, "")
        case KernelRelease():
            return artifact.release
        case ModuleTree():
            return artifact.release
    return ""


def _release(banner: str | None, otherwise: str = "of an unknown release") -> str:
    words = (banner or "").split(" ")
    return words[2] if len(words) > 2 else otherwise
