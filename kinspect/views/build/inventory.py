"""The inventory of a build: its files, those missing, those not judged, and the findings that were ignored."""

from typing import NamedTuple

NOT_JUDGED = "not judged"
"""The role of a file that was not checked. Text says `not checked`."""


class FoundPiece(NamedTuple):
    """A file or folder of a build: its role, its size in bytes, and a short description.

    `release` is that of its kernel, as the contents or the name of the folder say; it may be empty.
    """

    role: str
    path: str
    size: int
    description: str
    release: str = ""


class PackageFacts(NamedTuple):
    """A package that was given: its format, and what it says of itself; texts are empty where it does not."""

    path: str
    format: str
    name: str
    version: str
    architecture: str
    size: int


class Unjudged(NamedTuple):
    """A file that was not judged, or not in full: one of an unknown kind, or one without its counterpart."""

    path: str
    reason: str


class IgnoredFindings(NamedTuple):
    """How many findings of a check were ignored. `by` is the policy file, or the option."""

    id: str
    number: int
    by: str


class BuildFacts(NamedTuple):
    """The files of a build, found under some paths.

    `missing` lists the roles that an O= folder should have and has not, each with the command that makes it. `absent`
    lists those of a kernel's parts that are in none of the `packages`, if there are any.
    """

    paths: tuple[str, ...]
    pieces: tuple[FoundPiece, ...]
    missing: tuple[tuple[str, str], ...]
    unjudged: tuple[Unjudged, ...] = ()
    ignored: tuple[IgnoredFindings, ...] = ()
    packages: tuple[PackageFacts, ...] = ()
    absent: tuple[str, ...] = ()
