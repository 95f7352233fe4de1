"""A running kernel, as far as it matters for loading modules: what is loaded, and what is tainted.

Source: kernel/module/main.c, load_module(), simplify_symbols(), resolve_symbol(), verify_exported_symbols().
"""

from collections.abc import Iterable, Iterator
from errno import EEXIST, EINVAL, ENOENT, ENOEXEC

from kinspect.views.loader.exporters import Exporters, FoundExport, LoadedModule
from kinspect.views.loader.kernel import KernelExport, TargetKernel
from kinspect.views.loader.modinfo import VersionTable, depends_on_crc
from kinspect.views.loader.preflight import LoadStage, LogLine, PreparedModule, TaintLine, UndefinedSymbol
from kinspect.views.loader.verdict import TAINTS, Crash, Outcome, Refusal, Result, SymbolFault, Unknown, Verdict, listed

_UNRELIABLE = ("P", "F")
"""Taints after which the kernel turns lock debugging off. Source: kernel/panic.c, add_taint()."""


_OUTCOMES = {Refusal: Outcome.REFUSED, Crash: Outcome.CRASHES, Unknown: Outcome.UNKNOWN}

NO_CRC = "the module has no CRC for it"
"""How the fault of a symbol begins that a kernel refuses for want of a CRC; others load the module."""


class Simulator:
    """A running kernel and its modules. The init functions of modules are taken to succeed."""

    def __init__(self, kernel: TargetKernel) -> None:
        self.kernel = kernel
        self.loaded: dict[str, LoadedModule] = {}
        self.tainted: set[str] = set()
        self._logged: set[str] = set()
        self.exporters = Exporters(kernel)
        self.refused: dict[str, str] = {}
        """By symbol, the refused module that would export it."""

    def load(self, module: PreparedModule) -> Verdict:
        """Load a module: what the kernel would do with it after all that were loaded before."""
        return _Load(self, module).verdict()

    def remove(self, name: str) -> None:
        """Remove a module that was unloaded, or whose init failed. Its taints stay."""
        gone = self.loaded.pop(name, None)
        if gone:
            self.exporters.remove(gone)

    def add(self, loaded: LoadedModule) -> None:
        """Add a module that is loaded or may be; the first of a name stays, and none loads without a name."""
        if not loaded.module.struct_name or loaded.module.struct_name in self.loaded:
            return
        self.loaded[loaded.module.struct_name] = loaded
        self.exporters.add(loaded)

    def taint(self, added: TaintLine) -> Iterator[str]:
        """Taint the kernel: the lines that it logs."""
        if added.line and (not added.once or added.taint not in self.tainted):
            yield added.line
        if added.taint in _UNRELIABLE:
            yield from self.once("unreliable", "Disabling lock debugging due to kernel taint")
        self.tainted.add(added.taint)

    def once(self, kind: str, line: str) -> Iterator[str]:
        """A line that the kernel logs only for the first of its kind."""
        if kind not in self._logged:
            self._logged.add(kind)
            yield line


class _Load:
    """One module being loaded."""

    def __init__(self, simulator: Simulator, module: PreparedModule) -> None:
        self.simulator, self.module, self.kernel = simulator, module, simulator.kernel
        self.log_lines: list[str] = []
        self.taints: set[str] = set()
        self.symbols: list[SymbolFault] = []
        self.uses_gpl = False
        self.unresolved: list[str] = []

    def verdict(self) -> Verdict:
        result = self._result()
        name = self.module.struct_name or self.module.name
        if isinstance(result, Refusal | Crash):
            self.simulator.refused.update(dict.fromkeys(self.module.exports, name))
        else:
            self.simulator.add(LoadedModule(self.module, frozenset(self.taints), result is None))
        letters = "".join(letter for letter in TAINTS if letter in self.taints)
        outcome = _OUTCOMES.get(type(result), Outcome.LOADS)
        return Verdict(
            self.module.path,
            name,
            outcome,
            result.errno if isinstance(result, Refusal) else 0,
            (*self.log_lines, *(result.log_lines if isinstance(result, Refusal) else ())),
            letters,
            tuple(self.symbols),
            result.why if isinstance(result, Crash | Unknown) else "",
            self.module.signer,
        )

    def _result(self) -> Result:
        allocated, was_proprietary = False, "P" in self.simulator.tainted
        for step in self.module.steps:
            if isinstance(step, TaintLine):
                self.log_lines += self.simulator.taint(step)
                self.taints.add(step.taint)
                continue
            if step is LoadStage.TAINTED and "P" in self.simulator.tainted and not was_proprietary:
                self.log_lines.append(f"{self.module.struct_name}: module license taints kernel.")
            if isinstance(step, LogLine):
                self.log_lines.append(step.line)
                continue
            allocated = allocated or step is LoadStage.ALLOCATED
            result = self._stage(step) if isinstance(step, LoadStage) else step
            if isinstance(result, Refusal) and allocated and not self.module.freed_safely:
                return Crash("the module is refused, and its struct module is used after it has been freed")
            if result is not None:
                return result
        return None

    def _stage(self, stage: LoadStage) -> Result:
        match stage:
            case LoadStage.NAME:
                return self._name()
            case LoadStage.TAINTED | LoadStage.ALLOCATED:
                return None
            case LoadStage.SYMBOLS:
                return self._resolved()
            case LoadStage.EXPORTS:
                return self._exported()

    def _name(self) -> Result:
        there = self.simulator.loaded.get(self.module.struct_name)
        if there is None:
            return None
        return Refusal(EEXIST) if there.sure else Unknown(f"{there.module.path} has that name and is not known to load")

    def _resolved(self) -> Result:
        """Resolve all symbols; the errno of the last refusal counts."""
        refusal: Refusal | None = None
        unknown: Crash | Unknown | None = None
        for symbol in self._unusual():
            result = self._symbol(symbol)
            if isinstance(result, Crash | Unknown):
                unknown = result
            elif result is not None:
                refusal = Refusal(result.errno)
                self.log_lines += result.log_lines
        if unknown or refusal:
            return unknown or refusal
        for name in self.unresolved:
            if self.module.weak.get(name) is not None:
                return self.module.weak[name]
        return None

    def _unusual(self) -> Iterator[UndefinedSymbol]:
        """The undefined symbols, without those that resolve and leave no trace."""
        if self.module.symbols:
            return iter(self.module.symbols)
        undefined, versions, plain = self.module.undefined, self.module.versions, self.simulator.exporters.plain
        names: Iterable[str] = undefined
        # What uses a proprietary module's symbols inherits its taint.
        if "P" not in self.simulator.tainted and versions is not None:
            if not self.kernel.modversions:
                names = [name for name in undefined if name not in plain]
            elif versions.kind is not VersionTable.NONE:
                crcs = list(map(plain.get, undefined))
                required = list(map(versions.crcs.get, undefined))
                # Most modules differ in nothing, which is seen at once.
                if crcs == required and None not in crcs:
                    names = ()
                else:
                    rows = zip(undefined, crcs, required, strict=True)
                    names = [name for name, crc, other in rows if crc is None or crc != other]
        return (UndefinedSymbol(name, undefined[name]) for name in names)

    def _symbol(self, symbol: UndefinedSymbol) -> Result:
        if symbol.result is not None:
            return symbol.result
        name = symbol.name
        found, why = self._found(name)
        if found is None or (fault := self._inherits(name, found)):
            if symbol.weak:
                self.unresolved.append(name)
                return None
            if found is not None:
                return self._unknown_symbol(name, ENOENT, fault, found.export.owner)
            owner = self.simulator.refused.get(name, "")
            missing = f"{owner}, which exports it, is refused" if owner else "nothing exports it"
            return self._unknown_symbol(name, ENOENT, why or missing, owner)
        if found.module is not None and not found.module.sure:
            return Unknown(f"{name} is exported by {found.export.owner}, which is not known to load")
        if self._lacks_crc(name, found.export):
            if self.kernel.refuses_missing_crcs is None:
                return depends_on_crc(name)
            if not self.kernel.refuses_missing_crcs:
                line = f"{self.module.name}: no symbol version for {name}"
                self.log_lines += self.simulator.once("no symbol version", line)
        fault = self._version(name, found.export) or self._namespace(name, found.export)
        return self._unknown_symbol(name, EINVAL, fault, found.export.owner) if fault else None

    def _unknown_symbol(self, symbol: str, errno: int, fault: str, owner: str) -> Refusal:
        self.symbols.append(SymbolFault(symbol, fault, owner))
        return Refusal(errno, (f"{self.module.struct_name}: Unknown symbol {symbol} (err -{errno})",))

    def _found(self, symbol: str) -> tuple[FoundExport | None, str]:
        """The export that the module may use; else None, and why it may not use the one that there is."""
        why = ""
        for found in self.simulator.exporters.of(symbol):
            if found.export.gpl and "P" in self.taints:
                why = f"{found.export.owner} exports it as GPL-only"
                continue
            self.uses_gpl = self.uses_gpl or found.export.gpl
            return found, ""
        return None, why

    def _inherits(self, symbol: str, found: FoundExport) -> str:
        """What is wrong when a module uses a proprietary module's symbols and GPL-only ones; it inherits the taint."""
        owner = found.module
        if owner is None or "P" not in owner.taints:
            return ""
        names = self.module.struct_name, owner.module.struct_name
        if self.uses_gpl:
            message = f"module using GPL-only symbols uses symbols {symbol} from proprietary module {names[1]}."
            self.log_lines.append(f"{names[0]}: {message}")
            return f"{names[1]} is proprietary, and the module uses GPL-only symbols too"
        if "P" not in self.taints:
            message = f"module uses symbols {symbol} from proprietary module {names[1]}, inheriting taint."
            self.log_lines.append(f"{names[0]}: {message}")
            self.taints.add("P")
        return ""

    def _lacks_crc(self, symbol: str, export: KernelExport) -> bool:
        versions = self.module.versions
        compared = self.kernel.modversions and export.crc is not None and versions is not None
        return compared and versions is not None and versions.lacks(symbol)

    def _version(self, symbol: str, export: KernelExport) -> str:
        versions = self.module.versions
        if not self.kernel.modversions or export.crc is None or versions is None:
            return ""
        if versions.kind is VersionTable.NONE:
            if not self.kernel.can_force:
                return "the module has no CRCs"
            self.taints.add("F")
            line = f"{self.module.struct_name}: {symbol}: kernel tainted."
            self.log_lines += self.simulator.taint(TaintLine("F", line))
            return ""
        if versions.kind is VersionTable.EXTENDED and symbol not in versions.crcs:
            line = f"{self.module.name}: no extended symbol version for {symbol}"
            self.log_lines += self.simulator.once("no extended symbol version", line)
            return ""
        fault = versions.fault(symbol, export.crc)
        if not fault or (versions.lacks(symbol) and not self.kernel.refuses_missing_crcs):
            return ""
        self.log_lines.append(f"{self.module.name}: {fault}")
        required = versions.crcs.get(symbol)
        has = f"{export.owner} has {export.crc:#010x}"
        return f"{NO_CRC}, {has}" if required is None else f"its CRC is {required:#010x}, {has}"

    def _namespace(self, symbol: str, export: KernelExport) -> str:
        space = export.namespace
        if not space or space in self.module.namespaces:
            return ""
        if self.kernel.module_namespaces and listed(self.module.struct_name, space):
            return ""
        message = f"module uses symbol ({symbol}) from namespace {space}, but does not import it."
        self.log_lines.append(f"{self.module.struct_name}: {message}")
        return f"its namespace {space} is not imported" if self.kernel.needs_imports else ""

    def _exported(self) -> Result:
        for symbol in self.module.exports:
            for found in self.simulator.exporters.of(symbol):
                if found.module is not None and not found.module.sure:
                    return Unknown(f"{found.export.owner} exports {symbol} too and is not known to load")
                owner = found.export.owner
                self.symbols.append(SymbolFault(symbol, f"{owner} exports it too", owner))
                message = f"{self.module.struct_name}: exports duplicate symbol {symbol} (owned by {owner})"
                return Refusal(ENOEXEC, (message,))
        return None
