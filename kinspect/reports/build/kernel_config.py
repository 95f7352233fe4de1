"""A .config as text and as JSON."""

from collections.abc import Iterator

from kinspect.artifacts.build.kernel_config import KernelConfigFacts
from kinspect.reports.terminal import Style, counted, escaped
from kinspect.reports.values import Document


def lines(facts: KernelConfigFacts, style: Style) -> Iterator[str]:
    """One line: version and number of options."""
    version = f"of Linux {escaped(facts.version)}" if facts.version else "of an unknown kernel"
    yield f"{style.bold(escaped(facts.path))}: .config {version}, {counted(facts.options, 'option')}"


def document(facts: KernelConfigFacts) -> Document:
    """`kernel_config` in docs/report.schema.json."""
    return {"kind": "kernel_config", **facts._asdict()}
