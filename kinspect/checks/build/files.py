"""Checks of the files that a command was given: whether they can be read, and whether those required are there."""

from collections.abc import Iterator
from typing import NamedTuple

from kinspect.checks.check import Evidence, Severity, check
from kinspect.errors import KinspectError, Location


class ReadErrors(NamedTuple):
    """The files that a command was given. `errors` says which of them could not be read, and why."""

    errors: tuple[KinspectError, ...]


class RequiredFiles(NamedTuple):
    """The files that `kinspect check --require` names. `missing` are those that were not found, with the remedy."""

    path: str
    missing: tuple[tuple[str, str], ...]


@check(Severity.ERROR)
def can_be_read(files: ReadErrors) -> Iterator[Evidence]:
    """Every file that was named can be read and is of a kind that the command takes.

    Otherwise nothing is known of it: the exit status is 2. The message says whether it is missing, unreadable, corrupt
    or of another kind. Reports list such errors apart from findings; in JUnit XML they are a test case of this name.
    Source: the system's error, or the format of the file.
    """
    yield from map(Evidence.of, files.errors)


@check(Severity.ERROR)
def required_files_are_there(files: RequiredFiles) -> Iterator[Evidence]:
    """Everything that `kinspect check --require` names was found.

    What is missing was not built, or was not copied to the folder that is checked. The message names the command that
    makes it.
    Source: Documentation/admin-guide/README.rst; Documentation/kbuild/modules.rst.
    """
    for role, remedy in files.missing:
        yield Evidence(f"no {role} found: {remedy}", (Location(files.path),))
