"""The texts that depmod writes, and the entries of its indexes.

Source: kmod, tools/depmod.c, output_*().
"""

import re
from collections.abc import Iterable, Iterator, Sequence

from kinspect.artifacts.module.scan import module_name
from kinspect.artifacts.module.summary import ModuleSummary
from kinspect.views.depmod.order import LINE_BUFFER, lines_read

Entry = tuple[str, int, str]
"""An entry of an index: key, priority, value."""
_DEVICE = re.compile(r"(char|block)-major-\s*([+-]?\d+)-\s*([+-]?\d+)", re.ASCII)
_LARGEST_LONG = (1 << 64) - 1


def alias_lines(modules: Iterable[ModuleSummary]) -> list[str]:
    """modules.alias."""
    found = ["# Aliases extracted from modules themselves."]
    found += [f"alias {value} {module.name}" for module in modules for key, value in module.modinfo if key == "alias"]
    return found


def softdep_lines(modules: Iterable[ModuleSummary]) -> list[str]:
    """modules.softdep."""
    return ["# Soft dependencies extracted from modules themselves.", *_dep_lines(modules, "softdep")]


def weakdep_lines(modules: Iterable[ModuleSummary]) -> list[str]:
    """modules.weakdep, since kmod 33."""
    return ["# Weak dependencies extracted from modules themselves.", *_dep_lines(modules, "weakdep")]


def _dep_lines(modules: Iterable[ModuleSummary], field: str) -> Iterator[str]:
    return (f"{field} {module.name} {value}" for module in modules for key, value in module.modinfo if key == field)


def symbol_lines(symbols: Iterable[tuple[str, ModuleSummary]]) -> list[str]:
    """modules.symbols."""
    found = ["# Aliases for symbols, used by symbol_request()."]
    found += [f"alias symbol:{symbol} {owner.name}" for symbol, owner in symbols]
    return found


def devname_lines(modules: Iterable[ModuleSummary]) -> list[str]:
    """modules.devname; empty when no module has a device."""
    found = ["# Device nodes to trigger on-demand module loading."]
    for module in modules:
        name, numbers = device(module)
        if name is not None and numbers:
            found.append(f"{module.name} {name} {numbers}")
    return found if len(found) > 1 else []


def device(module: ModuleSummary) -> tuple[str | None, str]:
    """The name of the device that a module is loaded for, and its numbers as `c10:229`; both from its aliases."""
    name, numbers = None, ""
    for key, value in module.modinfo:
        if key != "alias":
            continue
        if value.startswith("devname:"):
            name = value.removeprefix("devname:")
        elif found := _DEVICE.match(value):
            numbers = f"{found[1][0]}{_unsigned(found[2])}:{_unsigned(found[3])}"
        if name is not None and numbers:
            break
    return name, numbers


def _unsigned(digits: str) -> int:
    """A number as sscanf reads it with %u: a sign is allowed, and numbers that are too large become the largest."""
    value = int(digits[:40])
    if abs(value) > _LARGEST_LONG:
        value = _LARGEST_LONG
    return value & 0xFFFFFFFF


def normalised_alias(alias: str) -> str | None:
    """An alias as modprobe looks it up: with `_` for `-` except in brackets; None if brackets are unbalanced."""
    alias = alias[: LINE_BUFFER - 1]
    if "[" not in alias and "]" not in alias:
        return alias.replace("-", "_")
    found, at = [], 0
    while at < len(alias):
        if alias[at] == "]":
            return None
        if alias[at] == "[":
            end = alias.find("]", at)
            if end < 0:
                return None
            found.append(alias[at : end + 1])
            at = end + 1
        else:
            found.append("_" if alias[at] == "-" else alias[at])
            at += 1
    return "".join(found)


def alias_entries(modules: Sequence[ModuleSummary]) -> Iterator[Entry]:
    """modules.alias.bin; aliases with unbalanced brackets are left out."""
    for number, module in enumerate(modules):
        for key, value in module.modinfo:
            if key == "alias" and (alias := normalised_alias(value)) is not None:
                yield alias, number, module.name


def builtin_entries(builtin: bytes) -> Iterator[Entry]:
    """modules.builtin.bin; lines that do not begin with a letter are left out."""
    for line in lines_read(builtin):
        if line[:1].isalpha():
            yield module_name(line.decode("utf-8", "surrogateescape")), 0, ""


def builtin_alias_entries(modinfo: bytes) -> Iterator[Entry]:
    """modules.builtin.alias.bin, from the `module.key=value` entries in modules.builtin.modinfo."""
    at = 0
    while at < len(modinfo):
        name, at, _ = _until(modinfo, at, b".")
        if not name:
            continue
        key, at, _ = _until(modinfo, at, b"=")
        value, at, ended = _until(modinfo, at, b"\0")
        alias = normalised_alias(value.decode("utf-8", "surrogateescape")) if key == b"alias" and ended else None
        if alias:
            yield alias, 0, name.decode("utf-8", "surrogateescape")


def builtin_name_entries(modinfo: bytes) -> Iterator[Entry]:
    """The names of all modules in modules.builtin.modinfo, which kmod 29 put into modules.builtin.alias.bin too."""
    names = dict.fromkeys(entry.partition(b".")[0] for entry in modinfo.split(b"\0") if b"." in entry)
    return ((name, 0, name) for name in (name.decode("utf-8", "surrogateescape") for name in names))


def _until(data: bytes, start: int, letter: bytes) -> tuple[bytes, int, bool]:
    """The bytes before a letter, the offset to continue from, and True; empty and False if a NUL comes first."""
    stop = data.find(b"\0", start)
    stop = stop if stop >= 0 else len(data)
    end = data.find(letter, start, stop + 1)
    return (data[start:end], end + 1, True) if end >= 0 else (b"", stop + 1, False)


def builtin_of_modinfo(modinfo: bytes) -> bytes:
    """modules.builtin as the kernel's build makes it from modules.builtin.modinfo: the value of every `file`.

    Source: scripts/modules-check.sh and Makefile, modules.builtin.
    """
    found: list[str] = []
    for entry in modinfo.split(b"\0"):
        key, _, value = entry.decode("utf-8", "surrogateescape").partition("=")
        if key.endswith(".file"):
            for name in value.split():
                if found[-1:] != [name]:
                    found.append(name)
    return "".join(f"kernel/{name}.ko\n" for name in found).encode("utf-8", "surrogateescape")
