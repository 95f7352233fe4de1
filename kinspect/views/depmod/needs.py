"""Dependencies between modules, and the order in which modprobe loads them, as depmod computes both.

Source: kmod, tools/depmod.c, depmod_load_dependencies() and depmod_calculate_dependencies().
"""

from collections.abc import Sequence
from typing import NamedTuple

from kinspect.artifacts.depmod.graph import components
from kinspect.artifacts.module.summary import ModuleSummary
from kinspect.errors import Location, UnsupportedError

MOST_NEEDS = 5_000_000
"""The limit of names in modules.dep; a distribution's has some thousand."""


class Clash(NamedTuple):
    """A symbol that several modules export: depmod silently uses the last of them in its order."""

    symbol: str
    used: str
    others: tuple[str, ...]


def symbol_owners(modules: Sequence[ModuleSummary]) -> dict[str, int]:
    """The index of the module that depmod considers the owner of each symbol: later modules replace earlier ones."""
    return {symbol: number for number, module in enumerate(modules) for symbol in module.provides}


def exporters(modules: Sequence[ModuleSummary]) -> dict[str, list[str]]:
    """The modules that export each symbol in fact, in depmod's order."""
    found: dict[str, list[str]] = {}
    for module in modules:
        for export in module.exports:
            found.setdefault(export.name, []).append(module.name)
    return found


def needed_modules(modules: Sequence[ModuleSummary], owners: dict[str, int]) -> list[list[int]]:
    """For each module the modules whose symbols it uses: first by undefined symbols, then by its __versions."""
    # depmod ignores a leading dot in the name of an undefined symbol.
    known = {symbol: owner for symbol, owner in owners.items() if not symbol.startswith(".")}
    known.update({f".{symbol}": owner for symbol, owner in owners.items()})
    found = []
    for module in modules:
        # Most symbols are the kernel's, and not among them.
        shared = known.keys() & module.needs.keys()
        needed = [known[symbol] for symbol in module.needs if symbol in shared] if shared else []
        needed += [known[symbol] for symbol in module.layout_needs if symbol in known]
        found.append(list(dict.fromkeys(needed)))
    return found


def numbered(needed: list[list[int]]) -> list[int]:
    """The position of each module in a topological order, users before the modules that they need.

    depmod gives up at a cycle; here its first module goes before the others.
    """
    users = [0] * len(needed)
    for others in needed:
        for other in others:
            users[other] += 1
    ready = [module for module, count in enumerate(users) if not count]
    found = [-1] * len(needed)
    cyclic: list[int] | None = None
    for number in range(len(needed)):
        if not ready:
            cyclic = _cyclic(needed) if cyclic is None else cyclic
            while found[cyclic[-1]] >= 0:
                cyclic.pop()
            ready.append(cyclic.pop())
        module = ready.pop()
        found[module] = number
        for other in needed[module]:
            users[other] -= 1
            if users[other] == 0 and found[other] < 0:
                ready.append(other)
    return found


def _cyclic(needed: list[list[int]]) -> list[int]:
    """All modules, those of a cycle together. Read from the end, users come first, and a cycle's first module."""
    return [module for part in components(dict(enumerate(needed))) for module in sorted(part, reverse=True)]


def closures(needed: list[list[int]], order: list[int]) -> list[list[int]]:
    """All modules that each module needs, directly or not, sorted by their position in `order`.

    UnsupportedError if there are more than MOST_NEEDS in total.
    """
    whole: list[set[int]] = [set() for _ in needed]
    kept = 0
    for part in components(dict(enumerate(needed))):
        found = set(part) if len(part) > 1 else set()
        for module in part:
            for other in needed[module]:
                found.add(other)
                found |= whole[other]
        for module in part:
            whole[module] = found - {module}
            kept += len(found)
        if kept > MOST_NEEDS:
            raise UnsupportedError(
                "too many dependencies between modules", Location(""), expected=f"at most {MOST_NEEDS:,}"
            )
    return [sorted(found, key=order.__getitem__) for found in whole]
