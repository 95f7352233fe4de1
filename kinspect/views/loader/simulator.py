"""A machine as far as it matters for loading modules: what is loaded, and what is tainted.

Source: kernel/module/main.c, load_module(), simplify_symbols(), resolve_symbol(), verify_exported_symbols().
"""

from collections.abc import Iterator
from errno import EEXIST, EINVAL, ENOENT, ENOEXEC
from typing import NamedTuple

from kinspect.views.loader.kernel import KernelExport, TargetKernel
from kinspect.views.loader.modinfo import VersionTable
from kinspect.views.loader.preflight import Needed, PreparedModule, Stage, TaintLine
from kinspect.views.loader.relocations import unresolved
from kinspect.views.loader.verdict import TAINTS, Outcome, Refusal, Result, SymbolFault, Unknown, Verdict, listed

_UNRELIABLE = ("P", "F")
"""Taints after which the kernel does not trust its locks. Source: kernel/panic.c, add_taint()."""


class LoadedModule(NamedTuple):
    """A module that is loaded, or may be: `sure` says which."""

    module: PreparedModule
    taints: frozenset[str]
    sure: bool


class _Found(NamedTuple):
    """An export, and the module that has it; None for the kernel."""

    export: KernelExport
    module: LoadedModule | None


class Simulator:
    """A kernel that runs, and the modules in it. A module's own start is taken to succeed."""

    def __init__(self, kernel: TargetKernel) -> None:
        self.kernel = kernel
        self.loaded: dict[str, LoadedModule] = {}
        self.tainted: set[str] = set()
        self._said: set[str] = set()
        self._exporters: dict[str, list[LoadedModule]] = {}
        self.refused: dict[str, str] = {}
        """The module that would export a symbol, had it not been refused."""

    def load(self, module: PreparedModule) -> Verdict:
        """Load a module, and tell what became of it."""
        return _Load(self, module).verdict()

    def remove(self, name: str) -> None:
        """A module is gone: unloaded, or its own start failed. What it tainted stays tainted."""
        gone = self.loaded.pop(name, None)
        for symbol in gone.module.exports if gone else ():
            self._exporters[symbol] = [one for one in self._exporters[symbol] if one is not gone]

    def add(self, one: LoadedModule) -> None:
        """A module is in, or may be. Of two of a name, of which neither is known to be, the first is kept."""
        if one.module.struct_name in self.loaded:
            return
        self.loaded[one.module.struct_name] = one
        for symbol in one.module.exports:
            # The kernel looks at the newest first.
            self._exporters.setdefault(symbol, []).insert(0, one)

    def exporters(self, symbol: str) -> Iterator[_Found]:
        """Who exports a symbol, in the order in which the kernel looks."""
        export = self.kernel.exports.get(symbol)
        if export is not None:
            yield _Found(export, None)
        for one in self._exporters.get(symbol, ()):
            yield _Found(one.module.exports[symbol], one)

    def note(self, note: TaintLine) -> Iterator[str]:
        """Taint the kernel; the lines that it writes."""
        if note.line and (not note.once or note.taint not in self.tainted):
            yield note.line
        if note.taint in _UNRELIABLE:
            yield from self.once("unreliable", "Disabling lock debugging due to kernel taint")
        self.tainted.add(note.taint)

    def once(self, kind: str, line: str) -> Iterator[str]:
        """A line that the kernel writes only for the first of its kind."""
        if kind not in self._said:
            self._said.add(kind)
            yield line


class _Load:
    """One module being loaded."""

    def __init__(self, machine: Simulator, module: PreparedModule) -> None:
        self.machine, self.module, self.kernel = machine, module, machine.kernel
        self.words: list[str] = []
        self.taints: set[str] = set()
        self.symbols: list[SymbolFault] = []
        self.uses_gpl = False
        self.unresolved: list[str] = []

    def verdict(self) -> Verdict:
        result = self._result()
        listed = self.module.struct_name or self.module.name
        if isinstance(result, Refusal):
            self.machine.refused.update(dict.fromkeys(self.module.exports, listed))
        else:
            self.machine.add(LoadedModule(self.module, frozenset(self.taints), result is None))
        letters = "".join(letter for letter in TAINTS if letter in self.taints)
        outcome = {Refusal: Outcome.REFUSED, Unknown: Outcome.UNKNOWN}.get(type(result), Outcome.LOADS)
        return Verdict(
            self.module.path,
            listed,
            outcome,
            result.errno if isinstance(result, Refusal) else 0,
            (*self.words, *(result.words if isinstance(result, Refusal) else ())),
            letters,
            tuple(self.symbols),
            result.why if isinstance(result, Unknown) else "",
            self.module.signer,
        )

    def _result(self) -> Result:
        was_proprietary = "P" in self.machine.tainted
        for step in self.module.steps:
            if isinstance(step, TaintLine):
                self.words += self.machine.note(step)
                self.taints.add(step.taint)
                continue
            if step is Stage.TAINTED and "P" in self.machine.tainted and not was_proprietary:
                self.words.append(f"{self.module.struct_name}: module license taints kernel.")
            result = self._stage(step) if isinstance(step, Stage) else step
            if result is not None:
                return result
        return None

    def _stage(self, stage: Stage) -> Result:
        match stage:
            case Stage.NAME:
                return self._name()
            case Stage.TAINTED:
                return None
            case Stage.SYMBOLS:
                return self._resolved()
            case Stage.EXPORTS:
                return self._exported()

    def _name(self) -> Result:
        there = self.machine.loaded.get(self.module.struct_name)
        if there is None:
            return None
        return Refusal(EEXIST) if there.sure else Unknown(f"whether {there.module.path} is loaded by then is not known")

    def _resolved(self) -> Result:
        """All symbols are looked at, and the last error counts."""
        errno, unsure = 0, None
        for need in self.module.needs:
            result = self._symbol(need)
            if isinstance(result, Unknown):
                unsure = result
            elif result is not None:
                errno = result.errno or errno
                self.words += result.words
        if unsure is not None:
            return unsure
        if errno:
            return Refusal(errno)
        for name in self.unresolved:
            if name in self.module.weak:
                return unresolved(self.kernel, self.module.struct_name, self.module.weak[name])
        return None

    def _symbol(self, need: Needed) -> Result:
        if need.refusal is not None:
            return need.refusal if need.refusal.errno else Unknown(need.refusal.words[0])
        found, why = self._found(need.name)
        if found is None or (fault := self._inherits(need.name, found)):
            if need.weak:
                self.unresolved.append(need.name)
                return None
            if found is not None:
                return self._unknown_symbol(need.name, ENOENT, fault, found.export.owner)
            owner = self.machine.refused.get(need.name, "")
            lost = f"{owner}, which exports it, is refused" if owner else "nobody exports it"
            return self._unknown_symbol(need.name, ENOENT, why or lost, owner)
        if found.module is not None and not found.module.sure:
            return Unknown(
                f"{need.name} is of {found.module.module.struct_name}, of which it is not known that it loads"
            )
        fault = self._version(need.name, found.export) or self._namespace(need.name, found.export)
        return self._unknown_symbol(need.name, EINVAL, fault, found.export.owner) if fault else None

    def _unknown_symbol(self, symbol: str, errno: int, fault: str, owner: str) -> Refusal:
        self.symbols.append(SymbolFault(symbol, fault, owner))
        return Refusal(errno, (f"{self.module.struct_name}: Unknown symbol {symbol} (err -{errno})",))

    def _found(self, symbol: str) -> tuple[_Found | None, str]:
        why = ""
        for found in self.machine.exporters(symbol):
            if found.export.gpl and "P" in self.taints:
                why = f"{found.export.owner} exports it for the GPL alone"
                continue
            self.uses_gpl = self.uses_gpl or found.export.gpl
            return found, ""
        return None, why

    def _inherits(self, symbol: str, found: _Found) -> str:
        """What is wrong when symbols for the GPL alone and those of a proprietary module meet in one."""
        owner = found.module
        if owner is None or "P" not in owner.taints:
            return ""
        names = self.module.struct_name, owner.module.struct_name
        if self.uses_gpl:
            what = f"module using GPL-only symbols uses symbols {symbol} from proprietary module {names[1]}."
            self.words.append(f"{names[0]}: {what}")
            return f"{names[1]} is proprietary, and symbols for the GPL alone are used too"
        if "P" not in self.taints:
            what = f"module uses symbols {symbol} from proprietary module {names[1]}, inheriting taint."
            self.words.append(f"{names[0]}: {what}")
            self.taints.add("P")
        return ""

    def _version(self, symbol: str, export: KernelExport) -> str:
        versions = self.module.versions
        if not self.kernel.modversions or export.crc is None or versions is None:
            return ""
        if versions.kind is VersionTable.NONE:
            if not self.kernel.forces:
                return "the module has no CRCs"
            self.taints.add("F")
            self.words += self.machine.note(TaintLine("F", f"{self.module.struct_name}: {symbol}: kernel tainted."))
            return ""
        if versions.kind is VersionTable.EXTENDED and symbol not in versions.crcs:
            line = f"{self.module.name}: no extended symbol version for {symbol}"
            self.words += self.machine.once("no extended symbol version", line)
            return ""
        fault = versions.fault(symbol, export.crc)
        if not fault:
            return ""
        self.words.append(f"{self.module.name}: {fault}")
        wanted = versions.crcs.get(symbol)
        has = f"{export.owner} has {export.crc:#010x}"
        return f"the module has no CRC for it, {has}" if wanted is None else f"its CRC is {wanted:#010x}, {has}"

    def _namespace(self, symbol: str, export: KernelExport) -> str:
        space = export.namespace
        if not space or space in self.module.namespaces:
            return ""
        if self.kernel.module_namespaces and listed(self.module.struct_name, space):
            return ""
        what = f"module uses symbol ({symbol}) from namespace {space}, but does not import it."
        self.words.append(f"{self.module.struct_name}: {what}")
        return f"its namespace {space} is not imported" if self.kernel.needs_imports else ""

    def _exported(self) -> Result:
        for symbol in self.module.exports:
            for found in self.machine.exporters(symbol):
                if found.module is not None and not found.module.sure:
                    return Unknown(f"whether {found.export.owner}, which exports {symbol} too, is loaded is not known")
                owner = found.export.owner
                self.symbols.append(SymbolFault(symbol, f"{owner} exports it too", owner))
                words = f"exports duplicate symbol {symbol} (owned by {owner})"
                return Refusal(ENOEXEC, (f"{self.module.struct_name}: {words}",))
        return None
