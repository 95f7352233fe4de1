"""Which module needs which, and the order in which modprobe loads them, as depmod computes both.

Source: kmod, tools/depmod.c, depmod_load_dependencies() and depmod_calculate_dependencies().
"""

from collections.abc import Sequence
from typing import NamedTuple

from kinspect.artifacts.depmod.graph import components
from kinspect.artifacts.module.summary import ModuleSummary
from kinspect.errors import Location, UnsupportedError

MOST_NEEDS = 5_000_000
"""Names that modules.dep may hold; a distribution's has some thousand."""


class Clash(NamedTuple):
    """A symbol that several modules export: depmod takes the last of them in its order, and says nothing."""

    symbol: str
    used: str
    others: tuple[str, ...]


def symbol_owners(modules: Sequence[ModuleSummary]) -> dict[str, int]:
    """The number of the module that depmod takes for the owner of each symbol: a later one replaces an earlier."""
    return {symbol: number for number, module in enumerate(modules) for symbol in module.provides}


def exporters(modules: Sequence[ModuleSummary]) -> dict[str, list[str]]:
    """The modules that really export each symbol, in depmod's order."""
    found: dict[str, list[str]] = {}
    for module in modules:
        for export in module.exports:
            found.setdefault(export.name, []).append(module.name)
    return found


def needed_modules(modules: Sequence[ModuleSummary], owners: dict[str, int]) -> list[list[int]]:
    """For each module those whose symbols it needs, in the order of the needs: undefined symbols, then versions."""
    # A dot before a symbol that is needed does not count.
    known = {symbol: owner for symbol, owner in owners.items() if not symbol.startswith(".")}
    known.update({f".{symbol}": owner for symbol, owner in owners.items()})
    found = []
    for module in modules:
        needed = [known[symbol] for symbol in module.needs if symbol in known]
        needed += [known[symbol] for symbol in module.layout_needs if symbol in known]
        found.append(list(dict.fromkeys(needed)))
    return found


def numbered(needed: list[list[int]]) -> list[int]:
    """The number of each module in a topological order, users before what they need.

    In a cycle, where depmod gives up, the first module of it goes before the others.
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
    """All modules, those of one cycle together; from the end of the list, users first, and the first of a cycle."""
    return [module for part in components(dict(enumerate(needed))) for module in sorted(part, reverse=True)]


def closures(needed: list[list[int]], order: list[int]) -> list[list[int]]:
    """Everything that each module needs, by number in `order`, users before what they need."""
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
                "modules need each other too often", Location(""), expected=f"at most {MOST_NEEDS:,}"
            )
    return [sorted(found, key=order.__getitem__) for found in whole]
