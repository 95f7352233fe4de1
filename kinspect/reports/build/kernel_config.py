"""System.map and .config as text and as JSON."""

from collections.abc import Iterator
from typing import Any

from kinspect.artifacts.build.kernel_config import KernelConfigFacts
from kinspect.artifacts.build.system_map import SystemMapFacts
from kinspect.reports.terminal import Style, counted, escaped, exact


def system_map_lines(facts: SystemMapFacts, paint: Style) -> Iterator[str]:
    """A System.map in a line."""
    symbols = counted(facts.symbols, "symbol")
    yield f"{paint.bold(escaped(facts.path))}: System.map, {symbols}, {exact(facts.size)}"


def kernel_config_lines(facts: KernelConfigFacts, paint: Style) -> Iterator[str]:
    """A .config in a line."""
    version = f"of Linux {escaped(facts.version)}" if facts.version else "of an unknown kernel"
    yield f"{paint.bold(escaped(facts.path))}: .config {version}, {counted(facts.options, 'option')}"


def system_map(facts: SystemMapFacts) -> dict[str, Any]:
    """The document of a System.map."""
    return {"kind": "system_map", **facts._asdict()}


def kernel_config(facts: KernelConfigFacts) -> dict[str, Any]:
    """The document of a .config."""
    return {"kind": "kernel_config", **facts._asdict()}
