"""The files that depmod wrote."""

from typing import NamedTuple


class WrittenFacts(NamedTuple):
    """The folder that depmod wrote to, the number of modules, and each file with its size in bytes."""

    folder: str
    modules: int
    files: tuple[tuple[str, int], ...]
