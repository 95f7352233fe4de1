"""Modules in files and folders, loaded into a kernel in the order in which modprobe would load them."""

from collections.abc import Sequence
from typing import NamedTuple

from kinspect.artifacts.boot.image import Image
from kinspect.artifacts.build.kernel_config import KernelConfig
from kinspect.artifacts.elf.vmlinux import Vmlinux
from kinspect.artifacts.module.ko import Module
from kinspect.artifacts.module.scan import module_name
from kinspect.artifacts.module.summary import ModuleSummary, summary
from kinspect.artifacts.module.tree import ModuleTree
from kinspect.errors import KinspectError, Location, MalformedError
from kinspect.views.depmod.needs import closures, needed_modules, numbered, symbol_owners
from kinspect.views.depmod.tree import depmod_of
from kinspect.views.loader.kernel import TargetKernel
from kinspect.views.loader.preflight import PreparedModule, preflight
from kinspect.views.loader.simulator import Simulator
from kinspect.views.loader.verdict import Unknown, Verdict
from kinspect.workers import OnProgress


class Candidate(NamedTuple):
    """A module to be loaded: as depmod sees it, and as the kernel does."""

    summary: ModuleSummary
    module: PreparedModule


class Candidates:
    """Modules that are tested for one kernel while they are read."""

    def __init__(self, kernel: TargetKernel) -> None:
        self.kernel = kernel
        # A kernel that gives no verdicts raises here, before a thousand modules are read.
        _ = kernel.vermagic, kernel.order, kernel.exports, kernel.certificates, kernel.struct_size, kernel.config

    def prepared(self, module: Module, path: str) -> PreparedModule:
        """Test a module while its bytes are in memory; one that cannot be read is Unknown."""
        try:
            return preflight(self.kernel, module.path, module.data)
        except KinspectError as error:
            name, unread = module_name(path), Unknown(f"not read: {error.problem}")
            return PreparedModule(module.path, name, name, (unread,))

    def of_file(self, path: str) -> Candidate:
        """A module in a file. Raises UnreadableError."""
        module = Module(path)
        _ = module.size
        prepared = self.prepared(module, path)
        return Candidate(summary(module, path), prepared)

    def of_tree(self, tree: ModuleTree, on_progress: OnProgress | None = None) -> list[Candidate]:
        """The modules of a folder that depmod takes, in its order."""
        prepared = tree.judged(self.prepared, on_progress)
        by_path = {file.path: module for file, module in zip(tree.files, prepared, strict=True)}
        return [Candidate(module, by_path[module.path]) for module in depmod_of(tree).modules]


def in_load_order(candidates: Sequence[Candidate], tree: ModuleTree | None = None) -> list[Candidate]:
    """Each module after those that it needs, as modprobe would load all of them; those of a tree when it has all."""
    modules = [candidate.summary for candidate in candidates]
    needed = needed_modules(modules, symbol_owners(modules)) if tree is None else depmod_of(tree).needed
    seen: dict[int, None] = {}
    for number, others in enumerate(closures(needed, numbered(needed))):
        # A line of modules.dep has users before what they need: modprobe goes from its end.
        seen.update(dict.fromkeys((*reversed(others), number)))
    return [candidates[number] for number in seen]


def in_given_order(candidates: Sequence[Candidate], text: str, path: str) -> list[Candidate]:
    """The modules that the lines of a text name, by path or by name; `#` begins a comment.

    Raises MalformedError, with the line of the file `path`, for a module that is not among the candidates.
    """
    known = {candidate.module.path: candidate for candidate in candidates}
    known |= {candidate.summary.path: candidate for candidate in candidates}
    known |= {candidate.summary.name: candidate for candidate in reversed(candidates)}
    ordered = []
    for number, line in enumerate(text.splitlines(), start=1):
        name = line.partition("#")[0].strip()
        if not name:
            continue
        candidate = known.get(name) or known.get(module_name(name))
        if candidate is None:
            raise MalformedError("no such module among those given", Location(path, line=number), actual=name)
        ordered.append(candidate)
    return ordered


def verdicts(kernel: TargetKernel, candidates: Sequence[Candidate]) -> list[Verdict]:
    """The verdicts on modules that are loaded one after the other; their init functions are taken to succeed."""
    simulator = Simulator(kernel)
    return [simulator.load(candidate.module) for candidate in candidates]


class ConfiguredKernel(NamedTuple):
    """A vmlinux or Image, with the .config of its build beside it."""

    kernel: Image | Vmlinux
    config: KernelConfig


class _TreeVerdicts:
    """The verdicts of one kernel on the modules of a folder."""

    def __init__(self, tree: ModuleTree, kernel: Image | Vmlinux, config: KernelConfig | None) -> None:
        self._tree, self._kernel, self._config = tree, kernel, config
        self._verdicts: list[Verdict] | None = None

    def read(self, on_progress: OnProgress | None) -> list[Verdict]:
        """Read the folder, unless that was done before."""
        if self._verdicts is None:
            kernel = TargetKernel(self._kernel, self._config.options if self._config else None)
            found = Candidates(kernel).of_tree(self._tree, on_progress)
            self._verdicts = verdicts(kernel, in_load_order(found, self._tree))
        return self._verdicts


def tree_verdicts(
    tree: ModuleTree, kernel: Image | Vmlinux | ConfiguredKernel, on_progress: OnProgress | None = None
) -> list[Verdict]:
    """The verdicts on all modules of a folder; they are kept with it. Raises as TargetKernel does."""
    found, config = kernel if isinstance(kernel, ConfiguredKernel) else (kernel, None)
    return tree.cached(_TreeVerdicts, found, config).read(on_progress)
