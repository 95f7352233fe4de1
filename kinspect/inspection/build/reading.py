"""A folder of modules, read once with the kernel that is to load them."""

from typing import TYPE_CHECKING

from kinspect.artifacts.boot.image import Image
from kinspect.artifacts.elf.vmlinux import Vmlinux
from kinspect.artifacts.module.tree import ModuleTree
from kinspect.errors import MalformedError, UnsupportedError

if TYPE_CHECKING:
    from kinspect.checks.check import Subject
    from kinspect.workers import OnProgress


def read_modules(tree: ModuleTree, kernel: "Subject | None", on_progress: "OnProgress | None" = None) -> None:
    """Read a folder of modules once: what a kernel does with each is predicted while its bytes are in memory."""
    from kinspect.views.loader.tree import ConfiguredKernel, tree_verdicts

    if isinstance(kernel, Image | Vmlinux | ConfiguredKernel):
        try:
            tree_verdicts(tree, kernel, on_progress)
            return
        except (MalformedError, UnsupportedError):
            pass  # the checks report what cannot be read off the kernel
    tree.read(on_progress)
