"""The files that depmod writes for a folder of modules, computed but not written.

They equal those of kmod 30 or 34 to the byte. Where depmod gives up (a cycle) or is silent (two modules with the same
name, one symbol exported by two modules, a file that is not a module), `problems` has it as data.
Source: kmod, tools/depmod.c.
"""

from collections.abc import Collection, Iterator
from functools import cached_property
from typing import NamedTuple

from kinspect.artifacts.depmod.graph import closure, cycles, reversed_graph
from kinspect.artifacts.depmod.kmod_index import Values
from kinspect.artifacts.module.scan import module_name
from kinspect.artifacts.module.summary import ModuleSummary
from kinspect.artifacts.module.tree import ModuleTree
from kinspect.views.depmod import texts
from kinspect.views.depmod.config import DepmodConfig, Duplicate, chosen, read_config
from kinspect.views.depmod.index import index_bytes, sorted_values
from kinspect.views.depmod.needs import Clash, closures, exporters, needed_modules, numbered, symbol_owners
from kinspect.views.depmod.order import MODULE_BUCKETS, SYMBOL_BUCKETS, broken_line, in_hash_order, in_order

WEAKDEP_SINCE = 33
NEWEST = 34
"""The kmod version whose depmod is followed by default."""
TEXTS = ("modules.dep", "modules.alias", "modules.softdep", "modules.weakdep", "modules.symbols", "modules.devname")
BUILTIN_ALIASES = "modules.builtin.alias.bin"
INDEXES = {
    "modules.dep.bin": "",
    "modules.alias.bin": "",
    "modules.symbols.bin": "",
    "modules.builtin.bin": "modules.builtin",
    BUILTIN_ALIASES: "modules.builtin.modinfo",
}
"""The indexes, each with the file that it is made from: depmod writes an empty index when that file is missing."""


class Unresolved(NamedTuple):
    """An undefined symbol of a module that neither a module nor the kernel exports."""

    module: str
    symbol: str
    weak: bool


class Problems(NamedTuple):
    """Problems of the modules themselves, independent of the files beside them.

    `cycles` are modules that need each other: each needs the next, the last the first. depmod lists `unreadable`
    modules as if they needed nothing. `phantoms` are symbols in modules.symbols that no module exports, with their
    module: without MODVERSIONS depmod mistakes namespaces for symbols. depmod leaves out `aliases` with unbalanced
    brackets or non-ASCII characters, and `devices` that have a name but no numbers. `order_line` is a line without a
    newline, which makes depmod ignore modules.order.
    """

    cycles: tuple[tuple[str, ...], ...]
    duplicates: tuple[Duplicate, ...]
    unreadable: tuple[ModuleSummary, ...]
    clashes: tuple[Clash, ...]
    phantoms: tuple[tuple[str, str], ...]
    aliases: tuple[tuple[str, str], ...]
    devices: tuple[tuple[str, str], ...]
    order_line: int | None


class Depmod:
    """The work of one version of depmod on a folder. Everything is computed on first use."""

    def __init__(self, tree: ModuleTree, kmod: int = NEWEST) -> None:
        self.tree, self.kmod = tree, kmod

    @cached_property
    def config(self) -> DepmodConfig:
        """The configuration, which decides between modules with the same name; by default `updates` comes first."""
        return read_config(self.tree.config, self.tree.release)

    @cached_property
    def _chosen(self) -> tuple[dict[str, str], tuple[Duplicate, ...]]:
        return chosen(self.tree.files, self.config)

    @cached_property
    def modules(self) -> tuple[ModuleSummary, ...]:
        """The modules that depmod uses, one for each name, in its order."""
        used = self._chosen[0]
        paths = [used[name] for name in in_hash_order(used, MODULE_BUCKETS)]
        by_path = {module.path: module for module in self.tree.modules}
        return tuple(by_path[path] for path in in_order(paths, self._order, self.kmod))

    @cached_property
    def paths(self) -> dict[str, str]:
        """The path of each module by name."""
        return {module.name: module.path for module in self.modules}

    @cached_property
    def _order(self) -> bytes | None:
        return self.tree.text("modules.order")

    @cached_property
    def _owners(self) -> dict[str, int]:
        return symbol_owners(self.modules)

    @cached_property
    def exporters(self) -> dict[str, list[str]]:
        """The modules that export each symbol."""
        return exporters(self.modules)

    @cached_property
    def needed(self) -> list[list[int]]:
        """For each module the indices of those whose symbols it uses."""
        return needed_modules(self.modules, self._owners)

    @cached_property
    def needs(self) -> dict[str, tuple[str, ...]]:
        """For each module the modules whose symbols it uses, by name."""
        names = [module.name for module in self.modules]
        return {name: tuple(names[other] for other in needed) for name, needed in zip(names, self.needed, strict=True)}

    @cached_property
    def _users(self) -> dict[str, list[str]]:
        return reversed_graph(self.needs)

    def users(self, name: str) -> list[str]:
        """The modules that cannot be loaded without a module: its users, their users, and so on, nearest first."""
        return closure(self._users, name)

    @cached_property
    def dep_lines(self) -> list[str]:
        """The lines of modules.dep, without newlines."""
        paths = [module.path for module in self.modules]
        needed = closures(self.needed, numbered(self.needed))
        return [
            f"{path}:{''.join(f' {paths[other]}' for other in others)}"
            for path, others in zip(paths, needed, strict=True)
        ]

    @cached_property
    def symbols(self) -> list[tuple[str, int]]:
        """The symbols that depmod finds, each with the index of its module, in the order of modules.symbols."""
        owners = self._owners
        return [(symbol, owners[symbol]) for symbol in in_hash_order(owners, SYMBOL_BUCKETS)]

    def lines(self, name: str) -> list[str]:
        """The lines of one of TEXTS, without newlines."""
        match name:
            case "modules.dep":
                return self.dep_lines
            case "modules.alias":
                return texts.alias_lines(self.modules)
            case "modules.softdep":
                return texts.softdep_lines(self.modules)
            case "modules.weakdep":
                return texts.weakdep_lines(self.modules)
            case "modules.symbols":
                return texts.symbol_lines((symbol, self.modules[owner]) for symbol, owner in self.symbols)
            case "modules.devname":
                return texts.devname_lines(self.modules)
        raise ValueError(f"depmod writes no text {name}")

    def entries(self, name: str) -> dict[str, Values]:
        """The keys of one of INDEXES with their values; keys that are not ASCII are left out."""
        return sorted_values(entry for entry in self._entries(name) if entry[0].isascii())

    def _entries(self, name: str) -> Iterator[texts.Entry]:
        match name:
            case "modules.dep.bin":
                pairs = zip(self.modules, self.dep_lines, strict=True)
                return ((module.name, number, line) for number, (module, line) in enumerate(pairs))
            case "modules.alias.bin":
                return texts.alias_entries(self.modules)
            case "modules.symbols.bin":
                return ((f"symbol:{symbol}", owner, self.modules[owner].name) for symbol, owner in self.symbols)
            case "modules.builtin.bin":
                return texts.builtin_entries(self.tree.text("modules.builtin") or b"")
            case "modules.builtin.alias.bin":
                return texts.builtin_alias_entries(self.tree.text("modules.builtin.modinfo") or b"")
        raise ValueError(f"depmod writes no index {name}")

    @property
    def names(self) -> tuple[str, ...]:
        """The files that this depmod writes."""
        written = [name for name in TEXTS if name != "modules.weakdep" or self.kmod >= WEAKDEP_SINCE]
        return (*written, *INDEXES)

    def contents(self, name: str) -> bytes:
        """One of the files, byte for byte."""
        if name not in INDEXES:
            return "".join(f"{line}\n" for line in self.lines(name)).encode("utf-8", "surrogateescape")
        made_of = INDEXES[name]
        if made_of and self.tree.source_of(made_of) is None:
            return b""
        return index_bytes(self.entries(name), self.kmod)

    @cached_property
    def problems(self) -> Problems:
        """The problems of the modules, without a look at the files beside them."""
        order = self._order
        return Problems(
            tuple(cycles(self.needs)),
            self._chosen[1],
            tuple(module for module in self.modules if module.errors),
            tuple(Clash(name, users[-1], tuple(users[:-1])) for name, users in self.exporters.items() if users[1:]),
            tuple(self._phantoms()),
            tuple(
                (module.name, value)
                for module in self.modules
                for key, value in module.modinfo
                if key == "alias" and (texts.normalised_alias(value) is None or not value.isascii())
            ),
            tuple(self._devices()),
            broken_line(order) if order is not None else None,
        )

    def _phantoms(self) -> Iterator[tuple[str, str]]:
        for module in self.modules:
            if len(module.provides) != len(module.exports):
                exported = {export.name for export in module.exports}
                yield from ((symbol, module.name) for symbol in module.provides if symbol not in exported)

    def _devices(self) -> Iterator[tuple[str, str]]:
        for module in self.modules:
            name, numbers = texts.device(module)
            if name is not None and not numbers:
                yield module.name, name

    def unresolved(self, kernel: Collection[str]) -> Iterator[Unresolved]:
        """The undefined symbols that nothing exports, given what the kernel exports. Weak ones are allowed."""
        for module in self.modules:
            for symbol, weak in module.needs.items():
                if symbol not in self.exporters and symbol not in kernel and symbol != "__this_module":
                    yield Unresolved(module.name, symbol, weak)

    @cached_property
    def builtin(self) -> frozenset[str]:
        """The names of the modules that are built into the kernel, as modules.builtin lists them."""
        lines = (self.tree.text("modules.builtin") or b"").decode("utf-8", "surrogateescape").splitlines()
        return frozenset(module_name(line) for line in lines if line)
