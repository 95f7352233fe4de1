"""Separate debug files among the files of a build, each compared with the file that it belongs to."""

import os
from collections.abc import Iterator, Sequence
from typing import Never

from kinspect.artifacts.artifact import Artifact
from kinspect.artifacts.elf.debug_file import DebugFile, debug_link
from kinspect.artifacts.elf.file import Elf
from kinspect.artifacts.elf.vmlinux import Vmlinux
from kinspect.artifacts.module.ko import Module
from kinspect.errors import KinspectError
from kinspect.inspection.report import Report, run_checks
from kinspect.schemas import elf
from kinspect.source import Source


def debug_file_report(debug: DebugFile, others: Sequence[Artifact]) -> tuple[Report[Never], bool]:
    """The findings on a debug file, and whether the file that it belongs to is among the others.

    It belongs to the one with its build id, else to the one that names it, else to the only one of its kind.
    """
    kind = Module if debug.header.e_type == elf.ET_REL else Vmlinux
    owners = [one for one in others if isinstance(one, kind)]
    chosen = list(_of_one_build(debug, owners)) or list(_naming(debug, owners)) or owners
    report: Report[Never] = Report()
    if kind is Vmlinux:
        report = run_checks((Vmlinux(debug.source),), "elf.layout")
    if len(chosen) == 1 or (chosen and chosen != owners):
        return report + run_checks((chosen[0], debug), "elf.debug_file"), True
    return report, False


def _of_one_build(debug: DebugFile, owners: Sequence[Artifact]) -> Iterator[Artifact]:
    for owner in owners:
        try:
            if debug.build_id and _file(owner).build_id == debug.build_id:
                yield owner
        except KinspectError:
            continue  # another check's finding


def _naming(debug: DebugFile, owners: Sequence[Artifact]) -> Iterator[Artifact]:
    for owner in owners:
        try:
            link = debug_link(_file(owner))
        except KinspectError:
            continue
        if link and link.name == os.path.basename(debug.path):
            yield owner


def _file(owner: Artifact) -> Elf:
    return Elf(Source(owner.path, owner.data)) if isinstance(owner, Module) else Elf(owner.source)
