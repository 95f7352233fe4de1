"""The files of one kernel, compared with each other."""

from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, Never

from kinspect.artifacts.artifact import Artifact
from kinspect.artifacts.boot.image import Image
from kinspect.artifacts.boot.parts import BootContainer
from kinspect.artifacts.build.kernel_config import KernelConfig
from kinspect.artifacts.build.symvers import KERNEL, Symvers
from kinspect.artifacts.build.system_map import SystemMap
from kinspect.artifacts.dtb.blob import Dtb
from kinspect.artifacts.elf.vmlinux import Vmlinux
from kinspect.artifacts.initramfs.file import Initramfs
from kinspect.artifacts.kinds import open_as
from kinspect.artifacts.module.scan import module_name
from kinspect.artifacts.module.tree import ModuleTree
from kinspect.checks.boot.container import packed_image_is_the_image
from kinspect.checks.check import Finding, Severity, Subject, run, topics
from kinspect.errors import KinspectError
from kinspect.inspection.build.initramfs import INITRAMFS_TOPICS
from kinspect.inspection.build.ramdisks import beside_kernel, built_in_report, ramdisks_report
from kinspect.inspection.build.reading import read_modules
from kinspect.inspection.report import WRAPPING_CHECKS, Report, checks_of, run_checks, trees_report
from kinspect.inspection.signing.fit import is_signed_fit
from kinspect.source import Source
from kinspect.views.build.inventory import Unjudged
from kinspect.workers import results, titled

if TYPE_CHECKING:
    from kinspect.inspection.report import Judged
    from kinspect.views.dtb.pairing import NamedTree, NeededNames, TreeNames
    from kinspect.workers import OnProgress

ROLES: dict[type[Artifact], str] = {
    Image: "Image",
    Vmlinux: "vmlinux",
    Symvers: "Module.symvers",
    SystemMap: "System.map",
    KernelConfig: "config",
    ModuleTree: "modules",
    Dtb: "device tree",
    Initramfs: "initramfs",
}
_ALONE = ("boot.container", "size.budget", "module.needs", "loader.verdict", *INITRAMFS_TOPICS)
"""Checks that not every file of a kernel is given to."""


class KernelFiles:
    """The files of one kernel, which are compared with each other."""

    def __init__(self, release: str) -> None:
        self.release = release
        self._artifacts: list[Artifact] = []
        self._packed: Report[Never] = Report()
        self._images: list[Image] = []
        self._containers: list[BootContainer] = []
        self._device_trees: list[Dtb] = []
        self.named_trees: list[NamedTree] = []
        """The device trees with their names, once they have been read; of bases those that are needed."""
        self.needed_names: NeededNames | None = None

    def of(self, *kinds: type[Artifact]) -> list[Artifact]:
        """The files of some kinds."""
        return [artifact for artifact in (*self._artifacts, *self._device_trees) if isinstance(artifact, kinds)]

    def take(self, artifact: Artifact) -> None:
        """Keep an artifact, except a packed Image beside another: it is checked at once, for it is whole in memory."""
        self._containers += [one for one in (artifact, *artifact.wrappings) if isinstance(one, BootContainer)]
        if isinstance(artifact, Dtb) and not artifact.wrappings:
            artifact.close()
            self._device_trees.append(artifact)
        elif not isinstance(artifact, Image):
            self._artifacts.append(artifact)
            if artifact.wrappings:
                self._packed += run_checks(artifact.wrappings, *WRAPPING_CHECKS)
            self._packed += trees_report((artifact, *artifact.wrappings))
        elif not artifact.layers:
            self._artifacts.append(artifact)
            self._images.append(artifact)
            self._packed += trees_report((artifact,))
        else:
            self._packed += self._unpacked(artifact)
            if not self._images:
                self._artifacts.append(artifact)
                # The others are compared with what is inside this one.
                self._images.append(Image(artifact.source))

    def _unpacked(self, packed: Image) -> Report[Never]:
        """The findings on a packed Image. One that is vmlinux's is right where the Image beside it is not."""
        report: Report[Never] = trees_report((packed, *packed.wrappings))
        report += run_checks((packed, *packed.wrappings, *self._images), *WRAPPING_CHECKS)
        # Other checks take an artifact that is kept; one that equals the Image beside it has the same findings.
        differs = any(found.id == packed_image_is_the_image.id for found in report.findings)
        alone = (packed, *packed.wrappings) if self._images and differs else packed.wrappings
        program = run_checks(alone, "boot.header", "boot.ending", "boot.pe", "boot.signature")
        # What is only good to know of it is left to `kinspect image`.
        report += program.replaced(findings=tuple(one for one in program.findings if one.severity != Severity.INFO))
        other = [found for found in report.findings if found.id == packed_image_is_the_image.id]
        kernels = self.of(Vmlinux) if other else []
        if any(_is_made_of(packed, vmlinux) for vmlinux in kernels if isinstance(vmlinux, Vmlinux)):
            return report.replaced(findings=tuple(found for found in report.findings if found not in other))
        return report

    def report(self, on_progress: "OnProgress | None" = None) -> Report[Never]:
        """The findings on everything. What modules need is compared with one of the kernels."""
        topics_of_all = (topic for topic in topics() if topic not in _ALONE)
        kernels = [artifact for kind in (Image, Vmlinux, Symvers) for artifact in self.of(kind)]
        kernel = next(filter(_exports, kernels), None)
        target = self._configured(kernel) if kernel else None
        trees = self.of(ModuleTree)
        for tree in trees:
            if isinstance(tree, ModuleTree):
                read_modules(tree, target, titled(on_progress, "reading modules") or on_progress)
        judged = self._judged_device_trees(titled(on_progress, "reading device trees"))
        checking = titled(on_progress, "checking")
        report = run_checks(tuple(self._artifacts), *topics_of_all, judged=judged, on_progress=checking)
        report += run_checks((*trees, kernel) if kernel else tuple(trees), "module.needs")
        report += run_checks((*trees, target) if target else tuple(trees), "loader.verdict")
        started = target if isinstance(kernel, Image | Vmlinux) else None
        for initramfs in self.of(Initramfs):
            report += beside_kernel(open_as(Initramfs, initramfs), started)
        report += ramdisks_report(self._containers, started)
        for vmlinux in self.of(Vmlinux):
            report += built_in_report(open_as(Vmlinux, vmlinux))
        report += self._packed + self._hardening()
        return report.replaced(findings=tuple(self._once(report.findings)))

    def _judged_device_trees(self, on_progress: "OnProgress | None") -> "Judged":
        """The findings on each device tree by itself. No tree is kept: there may be thousands."""
        wrapped = [tree for tree in self._artifacts if isinstance(tree, Dtb)]
        if not self._device_trees and not wrapped:
            return {}
        from kinspect.artifacts.boot.appended import trees_of
        from kinspect.views.dtb.pairing import NO_NAMES, NamedTree, needed_by

        checks = [check for check in checks_of() if check.inputs == (Dtb,)]
        overlays = (tree for tree in (*self._device_trees, *wrapped) if tree.path.endswith(".dtbo"))
        names_of_overlays = (_names_in(tree, NO_NAMES) for tree in overlays)
        self.needed_names = needed = needed_by(filter(None, names_of_overlays))

        def work(unread: Dtb) -> "tuple[list[list[Finding]], TreeNames | None]":
            tree = Dtb(unread.path)
            every = [tree]
            with suppress(KinspectError):  # what is broken is the finding of a check
                every += (behind for behind in trees_of(tree) if isinstance(behind, Dtb))
            found = [[one for _, several in run(check, every) for one in several] for check in checks]
            names = _names_in(tree, needed)
            tree.close()
            return found, names

        judged = results(work, self._device_trees, on_progress)
        kept = [*zip(self._device_trees, (names for _, names in judged), strict=True)]
        kept += [(tree, _names_in(tree, needed)) for tree in wrapped]
        self.named_trees = [NamedTree(tree, names) for tree, names in kept if names]
        return {check.id: [found[number] for found, _ in judged] for number, check in enumerate(checks)}

    def _configured(self, kernel: Artifact) -> Subject:
        """A kernel with the .config beside it, unless it carries its own."""
        from kinspect.views.kernel.config import embedded_config
        from kinspect.views.loader.tree import ConfiguredKernel

        configs = [one for one in self.of(KernelConfig) if isinstance(one, KernelConfig) and one.options]
        if not configs or not isinstance(kernel, Image | Vmlinux):
            return kernel
        try:
            return kernel if embedded_config(kernel) else ConfiguredKernel(kernel, configs[0])
        except KinspectError:
            return kernel  # a broken .config inside is another check's finding

    def _hardening(self) -> Report[Never]:
        """The findings on protections that the code lacks though the .config sets them, and the other way round."""
        from kinspect.views.hardening.facts import judged_facts
        from kinspect.views.kernel.config import embedded_config

        kernel = next(iter(self.of(Image) or self.of(Vmlinux)), None)
        if not isinstance(kernel, Image | Vmlinux):
            return Report()
        # What is broken is another check's finding, and without symbols nothing is known.
        with suppress(KinspectError):
            embedded = embedded_config(kernel)
            inside = [KernelConfig(Source(kernel.path, embedded.text))] if embedded else []
            for config in (*inside, *self.of(KernelConfig)):
                # One without the first lines of Kconfig may be a part, such as a defconfig.
                if isinstance(config, KernelConfig) and config.version:
                    return run_checks((judged_facts(kernel, config),), "hardening.configured")
        return Report()

    def _once(self, findings: Iterable[Finding]) -> Iterator[Finding]:
        """What holds of neither the vmlinux nor the Image is one finding, and so is why several cannot be decided."""
        kernels = {artifact.path for artifact in self.of(Image, Vmlinux)}
        alike: dict[tuple[object, ...], list[Finding]] = {}
        for found in findings:
            evidence = found.evidence
            rest = tuple(at for at in evidence.at if at.path not in kernels)
            check_id = "" if found.severity == Severity.UNDECIDED else found.id
            alike.setdefault((check_id, *evidence._replace(at=rest or evidence.at)), []).append(found)
        for first, *more in alike.values():
            at = dict.fromkeys(at for found in (first, *more) for at in found.evidence.at)
            yield first._replace(evidence=first.evidence._replace(at=tuple(at)))

    def unverified(self) -> Iterator[Unjudged]:
        """The FIT images with signatures, which a certificate would be needed for."""
        for artifact in self._artifacts:
            for container in (artifact, *artifact.wrappings):
                if is_signed_fit(container):
                    yield Unjudged(container.path, "FIT signature (kinspect image --cert)")

    def unpaired(self, several: bool) -> Iterator[Unjudged]:
        """The files that lack the one that they would be compared with."""
        kernels, whole = self.of(Image, Vmlinux), self.of(ModuleTree)
        of = f" of {self.release}" if several and self.release else ""
        for artifact in self._artifacts:
            lacks = ""
            match artifact:
                case Image() if not self.of(Vmlinux):
                    lacks = "vmlinux"
                case Vmlinux() if not self.of(Image):
                    lacks = "Image"
                case SystemMap() if not self.of(Vmlinux):
                    lacks = "vmlinux"
                case KernelConfig() | ModuleTree() | Initramfs() if not kernels:
                    lacks = "a kernel"
                case Symvers() if not kernels and not whole:
                    lacks = "a kernel or modules"
                case Symvers() if artifact.external:
                    lacks = "" if any(_names(tree) & _listed(artifact) for tree in whole) else "its modules"
                case Symvers() if whole and set(artifact.rows.modules) == {KERNEL}:
                    lacks = "lines of modules"
            if lacks:
                external = isinstance(artifact, Symvers) and artifact.external
                role = "Module.symvers of external modules" if external else ROLES[type(artifact)]
                yield Unjudged(artifact.path, f"{role}{of} without {lacks}")


def _names(tree: Artifact) -> set[str]:
    return {file.name for file in tree.files} if isinstance(tree, ModuleTree) else set()


def _listed(symvers: Symvers) -> set[str]:
    """The names of the modules with lines in a Module.symvers."""
    return set(map(module_name, symvers.rows.modules))


def _names_in(tree: Dtb, needed: "NeededNames") -> "TreeNames | None":
    """The names in a tree; None when it cannot be read, which the checks report."""
    from kinspect.views.dtb.pairing import names_of

    try:
        return names_of(tree, needed)
    except KinspectError:
        return None


def _is_made_of(image: Image, vmlinux: Vmlinux) -> bool:
    from kinspect.views.diff.comparison import compare

    try:
        return compare(vmlinux, image).same
    except KinspectError:
        return False  # which a check says


def _exports(kernel: Artifact) -> bool:
    """Whether the exports of a kernel can be read."""
    from kinspect.views.tables.raw_exports import readable_exports

    try:
        if isinstance(kernel, Symvers):
            return KERNEL in kernel.rows.modules
        return isinstance(kernel, Image | Vmlinux) and bool(readable_exports(kernel).tables)
    except KinspectError:
        return False
