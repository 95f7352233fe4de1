"""Modules of files and folders, loaded into a kernel in the order in which modprobe would."""

import os
from collections.abc import Sequence
from typing import NamedTuple
from weakref import WeakKeyDictionary

from kinspect.artifacts.boot.image import Image
from kinspect.artifacts.elf.vmlinux import Vmlinux
from kinspect.artifacts.module.ko import Module
from kinspect.artifacts.module.scan import module_name
from kinspect.artifacts.module.summary import ModuleSummary, summary
from kinspect.artifacts.module.tree import ModuleTree, OnProgress
from kinspect.errors import KinspectError, Location, MalformedError
from kinspect.views.depmod.files import Depmod
from kinspect.views.depmod.needs import closures, needed_modules, numbered, symbol_owners
from kinspect.views.loader.kernel import TargetKernel
from kinspect.views.loader.preflight import PreparedModule, prepared
from kinspect.views.loader.simulator import Simulator
from kinspect.views.loader.verdict import Unknown, Verdict


class Candidate(NamedTuple):
    """A module that is to be loaded: as depmod sees it, and as the kernel does."""

    summary: ModuleSummary
    prepared: PreparedModule


class Candidates:
    """Modules that are made ready for one kernel while they are read."""

    def __init__(self, kernel: TargetKernel) -> None:
        self.kernel = kernel
        self._prepared: dict[str, PreparedModule] = {}
        # Whether it can be judged at all is told before a thousand modules are read.
        _ = kernel.vermagic, kernel.order, kernel.exports, kernel.certificates, kernel.struct_size

    def look(self, module: Module, path: str) -> None:
        """Make a module ready, while its bytes are held."""
        try:
            self._prepared[module.path] = prepared(self.kernel, module.path, module.data)
        except KinspectError as error:
            name = module_name(path)
            self._prepared[module.path] = PreparedModule(
                module.path, name, name, (Unknown(f"not read: {error.problem}"),)
            )

    def of_file(self, path: str) -> Candidate:
        """A module in a file. Raises UnreadableError."""
        module = Module(path)
        _ = module.size
        self.look(module, path)
        return Candidate(summary(module, path), self._prepared[path])

    def of_tree(self, tree: ModuleTree, on_progress: OnProgress | None = None) -> list[Candidate]:
        """The modules that depmod takes in a folder, in its order."""
        tree.read(on_progress, self.look)
        return [self.of_summary(tree, module) for module in Depmod(tree).modules]

    def of_summary(self, tree: ModuleTree, module: ModuleSummary) -> Candidate:
        """A module of a folder that was read."""
        return Candidate(module, self._prepared[os.path.join(tree.root, module.path)])


def in_load_order(candidates: Sequence[Candidate]) -> list[Candidate]:
    """Each module after those that it needs, as modprobe would load one after the other."""
    modules = [candidate.summary for candidate in candidates]
    needed = needed_modules(modules, symbol_owners(modules))
    seen: dict[int, None] = {}
    for number, others in enumerate(closures(needed, numbered(needed))):
        # A line of modules.dep has users before what they need: modprobe goes from its end.
        seen.update(dict.fromkeys((*reversed(others), number)))
    return [candidates[number] for number in seen]


def in_given_order(candidates: Sequence[Candidate], text: str, path: str) -> list[Candidate]:
    """The modules that a text names, a line each, by path or by name; `#` begins a comment.

    Raises MalformedError for one that is not there.
    """
    known = {candidate.prepared.path: candidate for candidate in candidates}
    known |= {candidate.summary.path: candidate for candidate in candidates}
    known |= {candidate.summary.name: candidate for candidate in reversed(candidates)}
    found = []
    for number, line in enumerate(text.splitlines(), start=1):
        name = line.partition("#")[0].strip()
        if not name:
            continue
        one = known.get(name) or known.get(module_name(name))
        if one is None:
            raise MalformedError("no such module among those given", Location(path, line=number), actual=name)
        found.append(one)
    return found


def verdicts(kernel: TargetKernel, candidates: Sequence[Candidate]) -> list[Verdict]:
    """What the kernel would say of modules that are loaded in an order, each one's start taken to succeed."""
    machine = Simulator(kernel)
    return [machine.load(candidate.prepared) for candidate in candidates]


_known: "WeakKeyDictionary[ModuleTree, dict[str, list[Verdict]]]" = WeakKeyDictionary()


def tree_verdicts(tree: ModuleTree, kernel: Image | Vmlinux, on_progress: OnProgress | None = None) -> list[Verdict]:
    """The verdicts on all modules of a folder, computed once for a kernel. Raises as TargetKernel does."""
    known = _known.setdefault(tree, {})
    if kernel.path not in known:
        candidates = Candidates(TargetKernel(kernel))
        known[kernel.path] = verdicts(candidates.kernel, in_load_order(candidates.of_tree(tree, on_progress)))
    return known[kernel.path]
