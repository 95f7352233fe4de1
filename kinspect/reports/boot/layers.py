"""The wrappings around a kernel, as text and as JSON."""

from collections.abc import Iterable, Iterator

from kinspect.artifacts.layer import Layer
from kinspect.reports.layout import titled
from kinspect.reports.terminal import Style, human
from kinspect.reports.values import Document


def layer_lines(layers: Iterable[Layer], style: Style) -> Iterator[str]:
    """A line for each wrapping, the outermost first."""
    head = ("wrapping", "file", "offset", "stream", "unpacked", "")
    rows = [
        (
            layer.title,
            human(layer.size),
            f"{layer.offset:#x}",
            human(layer.packed_size),
            human(layer.unpacked_size),
            f"with {human(layer.padding)} of padding" if layer.padding else "",
        )
        for layer in layers
    ]
    yield from titled(style, head, rows, "<>>>><")


def layer_documents(layers: Iterable[Layer]) -> list[Document]:
    """The wrappings, the outermost first."""
    return [layer._asdict() for layer in layers]
