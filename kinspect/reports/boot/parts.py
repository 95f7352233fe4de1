"""A boot loader's container as text and as JSON."""

from collections.abc import Iterator

from kinspect.artifacts.boot.parts import ContainedPart, ContainerFacts
from kinspect.reports.layout import titled
from kinspect.reports.terminal import Style, escaped, exact, human
from kinspect.reports.values import Document


def lines(facts: ContainerFacts, style: Style) -> Iterator[str]:
    """A line for each part."""
    yield f"{style.bold(escaped(facts.path))}: {escaped(facts.container)}, {exact(facts.size)}"
    yield ""
    rows = [
        (escaped(part.name), f"{part.offset:#x}", human(part.size), part.contents, _about(part)) for part in facts.parts
    ]
    yield from titled(style, ("part", "offset", "size", "contents", "name"), rows, "<>><<")


def _about(part: ContainedPart) -> str:
    """What the container calls a part, and what a device tree is for."""
    return escaped(": ".join(filter(None, [part.title, part.machine])))


def document(facts: ContainerFacts) -> Document:
    """`container` in docs/report.schema.json."""
    return {
        "kind": "container",
        "path": facts.path,
        "size": facts.size,
        "container": facts.container,
        "parts": [part._asdict() for part in facts.parts],
    }
