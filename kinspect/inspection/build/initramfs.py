"""An initramfs: its archives, and the modules in it with the kernel that is to load them."""

import os
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Never

from kinspect.artifacts.boot.image import Image
from kinspect.artifacts.boot.parts import BootContainer
from kinspect.artifacts.elf.vmlinux import Vmlinux
from kinspect.artifacts.initramfs.beginning import is_initramfs, refuse_others, what_holds_one
from kinspect.artifacts.initramfs.file import Initramfs
from kinspect.artifacts.initramfs.member import CpioNumbers, Member, Sink
from kinspect.artifacts.initramfs.ramdisks import ramdisks_of
from kinspect.artifacts.kinds import open_artifact, refuse_folder
from kinspect.artifacts.module.tree import ModuleTree
from kinspect.checks.check import Finding
from kinspect.errors import KinspectError, Location, MalformedError, WrongKindError
from kinspect.inspection.build.folding import folded
from kinspect.inspection.build.opening import open_kernel
from kinspect.inspection.build.reading import read_modules
from kinspect.inspection.package.naming import renamed
from kinspect.inspection.package.private_folder import PrivateFile, link, private_folder
from kinspect.inspection.package.taken import KERNEL, Packages
from kinspect.inspection.report import Path, Report, run_checks
from kinspect.source import Source
from kinspect.views.build.inventory import FoundPiece
from kinspect.views.initramfs.built_in import BuiltIn, built_in_initramfs
from kinspect.views.initramfs.built_in_firmware import built_in_firmware
from kinspect.views.initramfs.contents import InitramfsFacts, Inventory
from kinspect.views.loader.tree import ConfiguredKernel

if TYPE_CHECKING:
    from kinspect.checks.check import Subject
    from kinspect.workers import OnProgress

_MODULES = (
    "depmod.modules_dep",
    "depmod.files",
    "depmod.indexes",
    "depmod.modules_order",
    "module.tree",
    "module.members",
    "module.needs",
)
"""The checks of the modules of one release."""
INITRAMFS_TOPICS = ("initramfs.archive", "initramfs.kernel", "initramfs.modules")
_NOT_OF_A_SUBSET = "modules-of-modules-order-are-there"
"""An initramfs has some of the modules that its modules.order lists."""
_UNRESOLVED = "needed-symbols-are-exported"


def open_initramfs(path: Path) -> Initramfs:
    """The initramfs in a file; that of a kernel is built in, and that of a boot loader's container its first ramdisk.

    WrongKindError when the file begins with none of them; UnsupportedError for a kernel without one.
    """
    source = Source(path)
    refuse_folder(source, Initramfs.kind)
    if not source.size:
        raise MalformedError("empty file", Location(source.path))
    found = _inside(source)
    if found is None:
        refuse_others(source)
    return found or Initramfs(source)


def _inside(source: Source) -> Initramfs | None:
    """The initramfs in a kernel or in a container with one; None for any other file."""
    kind = None if is_initramfs(source) else what_holds_one(source)
    if kind is None:
        return None
    if issubclass(kind, BootContainer):
        try:
            container = open_artifact(source, BootContainer)
        except WrongKindError:
            return None
        if ramdisk := next(ramdisks_of((container,)), None):
            return ramdisk
    return built_in_initramfs(open_kernel(source))


def initramfs(
    path: Path,
    kernel: Path | None = None,
    firmware: Sequence[str] = (),
    on_progress: "OnProgress | None" = None,
) -> Report[InitramfsFacts]:
    """The facts of an initramfs and the findings on it; also with the kernel, a vmlinux or Image, that starts with it.

    The file may be a kernel, whose built-in initramfs is judged with it. `firmware` are folders like /lib/firmware,
    beside what is in it. Raises KinspectError.
    """
    found = open_initramfs(path)
    own = found.kernel if isinstance(found, BuiltIn) else None
    with Packages() as packages:
        started = own if kernel is None else open_kernel(packages.file(kernel, *KERNEL))
        return packages.named(initramfs_report(found, started, firmware, on_progress))


def initramfs_names(path: Path) -> Iterator[bytes]:
    """The names of all members, in batches of lines, as `cpio -t` prints them for each archive in turn.

    Raises KinspectError, after the names before the fault.
    """
    found = open_initramfs(path)
    names: list[bytes] = []

    def on_member(member: Member) -> None:
        names.append(member.name + b"\n")

    found.read(on_member)
    yield from names
    for fault in found.faults:
        raise _error(found, fault.problem, fault.offset)


def _error(initramfs: Initramfs, problem: str, offset: int) -> KinspectError:
    return MalformedError(problem, initramfs.at("", offset))


def initramfs_report(
    initramfs: Initramfs,
    kernel: "Subject | None" = None,
    firmware: Sequence[str] = (),
    on_progress: "OnProgress | None" = None,
) -> Report[InitramfsFacts]:
    """The facts of an initramfs and the findings on it, also with a kernel: a vmlinux or Image, or with its .config.

    `firmware` are folders like /lib/firmware. Only modules and the files beside them are unpacked, into a temporary
    folder. Raises KinspectError.
    """
    with private_folder() as folder:
        inventory = _unpacked(initramfs, folder)
        trees = [ModuleTree(os.path.join(folder, root)) for root in inventory.roots]
        chosen = _of_the_kernel(trees, kernel)
        report: Report[Never] = Report()
        for tree in trees:
            target = kernel if tree in chosen else None
            read_modules(tree, target, on_progress)
            report += _findings(tree, target)
        facts = inventory.facts(initramfs, trees, firmware, _built_in_firmware(trees, kernel))
        subjects = (facts,) if kernel is None else (facts, kernel)
        own = run_checks(subjects, *INITRAMFS_TOPICS)
        settled = {user for one in facts.left_out for user in one.users}
        kept = tuple(one for one in report.findings if not _follows(one, settled))
        whole = Report((facts,)) + own + report.replaced(findings=kept)
        return whole.replaced(**renamed(vars(whole), lambda text: text.replace(f"{folder}/", f"{initramfs.path}:")))


def _unpacked(initramfs: Initramfs, folder: str) -> Inventory:
    """Read an initramfs, and unpack its modules below a folder."""
    inventory = Inventory()
    links = _HardLinks()
    current: list[PrivateFile] = []

    def on_member(member: Member) -> Sink | None:
        while current:
            current.pop().close()
        path = inventory.add(member)
        if path is None or links.postponed((initramfs.archive, *member.file_id), path, member.numbers):
            return None
        file = PrivateFile.below(folder, path)
        if file is None:
            return None
        current.append(file)
        return file.write

    try:
        initramfs.read(on_member)
    finally:
        while current:
            current.pop().close()
    links.make(folder)
    return inventory


def _built_in_firmware(trees: Sequence[ModuleTree], kernel: "Subject | None") -> set[str]:
    """The firmware that a kernel has, if there are modules to ask for any."""
    known = kernel if isinstance(kernel, Image | Vmlinux | ConfiguredKernel) else None
    return built_in_firmware(known) if trees and known else set()


class _HardLinks:
    """Names of one file: only one of them has its data, the first or the last."""

    def __init__(self) -> None:
        self._with_data: dict[tuple[int, ...], str] = {}
        self._without: list[tuple[tuple[int, ...], str]] = []

    def postponed(self, key: tuple[int, ...], path: str, numbers: CpioNumbers) -> bool:
        """Whether a member is to get the data of another one, which may follow."""
        if numbers.nlink > 1 and not numbers.filesize:
            self._without.append((key, path))
            return True
        if numbers.nlink > 1:
            self._with_data[key] = path
        return False

    def make(self, folder: str) -> None:
        """Link the names that have no data, below a folder. A file without any is empty."""
        for key, path in self._without:
            file = PrivateFile.below(folder, path)
            if file is None:
                continue
            file.close()
            if key in self._with_data and self._with_data[key] != path:
                link(folder, self._with_data[key], path)


def _findings(tree: ModuleTree, kernel: "Subject | None") -> Report[Never]:
    """The findings on the modules of one release."""
    given: list[Subject] = [tree, *([kernel] if kernel is not None else [])]
    bare = [getattr(one, "kernel", one) if one is kernel else one for one in given]
    report = run_checks(tuple(bare), *_MODULES)
    if kernel is not None:
        report += run_checks(tuple(given), "loader.verdict")
    pieces = [FoundPiece("modules", tree.path, 0, ""), FoundPiece("Image", getattr(bare[-1], "path", ""), 0, "")]
    found = tuple(one for one in folded(report.findings, pieces) if one.id != _NOT_OF_A_SUBSET)
    return report.replaced(findings=found, ran=tuple(name for name in report.ran if name != _NOT_OF_A_SUBSET))


def _of_the_kernel(trees: Sequence[ModuleTree], kernel: "Subject | None") -> Sequence[ModuleTree]:
    """Of the modules of several releases, those of the kernel's; all where it has none."""
    found = getattr(kernel, "kernel", kernel)
    if not isinstance(found, Image | Vmlinux):
        return trees
    words = (found.banner or "").split(" ")
    return [tree for tree in trees if tree.release in words[2:3]] or trees


def _follows(finding: Finding, users: set[str]) -> bool:
    """Whether a finding follows from a provider that was left out: the symbols that nothing exports."""
    return finding.id == _UNRESOLVED and finding.evidence.message.split(" ")[0] in users
