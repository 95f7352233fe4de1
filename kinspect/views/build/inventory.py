"""The inventory of a build: which of its files are there, and which are missing."""

from typing import NamedTuple


class FoundPiece(NamedTuple):
    """A file or folder of a build: its role, its size in bytes, and a short description such as its release."""

    role: str
    path: str
    size: int
    description: str


class BuildFacts(NamedTuple):
    """What was found under which paths. `missing` lists roles that a build has, each with the command that makes it."""

    paths: tuple[str, ...]
    pieces: tuple[FoundPiece, ...]
    missing: tuple[tuple[str, str], ...]
