"""Checks of the files that a command was given: whether they can be read, and whether those required are there."""

from collections.abc import Iterator
from typing import NamedTuple

from kinspect.checks.check import Evidence, Severity, check
from kinspect.checks.wording import counted
from kinspect.errors import KinspectError, Location
from kinspect.views.build.inventory import BuildFacts


class ReadErrors(NamedTuple):
    """The files that a command was given. `errors` says which of them could not be read, and why."""

    errors: tuple[KinspectError, ...]


class RequiredFiles(NamedTuple):
    """The files that `kinspect check --require` names. `missing` are those that were not found, with the remedy."""

    path: str
    missing: tuple[tuple[str, str], ...]


@check(Severity.ERROR)
def can_be_read(files: ReadErrors) -> Iterator[Evidence]:
    """Every file on the command line can be read and is of a kind that the command takes.

    Otherwise it cannot be checked, and the exit status is 2. The message says whether it is missing, unreadable,
    corrupt or of another kind. Reports list such errors separately from findings; in JUnit XML they are a test case
    with this name.
    Source: the system's error, or the format of the file.
    """
    yield from map(Evidence.of, files.errors)


@check(Severity.ERROR)
def required_files_are_there(files: RequiredFiles) -> Iterator[Evidence]:
    """Everything that `kinspect check --require` names was found.

    A missing file was not built, or was not copied to the folder that is checked. The message names the command that
    makes it.
    Source: Documentation/admin-guide/README.rst; Documentation/kbuild/modules.rst.
    """
    for role, remedy in files.missing:
        yield Evidence(f"no {role} found: {remedy}", (Location(files.path),))


@check(Severity.ERROR)
def build_is_complete(facts: BuildFacts) -> Iterator[Evidence]:
    """The folder of a build (O=) has every file that its .config and its recorded commands say the build makes.

    These are the .config, vmlinux, System.map and Image, with CONFIG_MODULES also Module.symvers and the modules, and
    every image and device tree for which there is a .cmd file (such as `.Image.gz.cmd`). If one is missing, make was
    interrupted or failed, or the file was deleted: run make again. Packages, installed systems and single files are not
    checked.
    Source: Makefile; arch/arm64/boot/Makefile; scripts/Makefile.modpost.
    """
    if facts.missing:
        names = ", ".join(role for role, _ in facts.missing)
        message = f"the build is incomplete: {counted(len(facts.missing), 'piece')} missing: {names}"
        yield Evidence(message, (Location(facts.paths[0]),))
