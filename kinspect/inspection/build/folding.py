"""One fault, one finding: a file of another build differs from every file that it is compared with."""

import os
import re
from collections import defaultdict
from collections.abc import Iterable, Sequence

from kinspect.checks.boot.kallsyms import kallsyms_is_of_system_map, kallsyms_is_of_vmlinux
from kinspect.checks.boot.vmlinux import image_is_objcopy_of_vmlinux
from kinspect.checks.build.config import config_is_that_in_configs_ko, config_is_the_embedded_one
from kinspect.checks.build.consistency import (
    release_is_that_of_the_kernel,
    release_is_that_of_the_modules,
    system_map_is_of_vmlinux,
)
from kinspect.checks.build.packages import packaged_kernel_has_its_modules
from kinspect.checks.check import Finding, Severity
from kinspect.checks.module.needs import module_versions_are_those_of_the_kernel, vermagic_is_the_kernels
from kinspect.checks.symvers.kernel import symvers_is_of_the_build_of_the_kernel
from kinspect.checks.symvers.modules import symvers_is_of_the_build_of_the_modules
from kinspect.views.build.inventory import FoundPiece

_ANOTHER_BUILD = (
    packaged_kernel_has_its_modules.id,
    image_is_objcopy_of_vmlinux.id,
    symvers_is_of_the_build_of_the_kernel.id,
    symvers_is_of_the_build_of_the_modules.id,
    system_map_is_of_vmlinux.id,
    config_is_the_embedded_one.id,
    config_is_that_in_configs_ko.id,
    vermagic_is_the_kernels.id,
    module_versions_are_those_of_the_kernel.id,
    release_is_that_of_the_kernel.id,
    release_is_that_of_the_modules.id,
)
"""The checks that find two files to be of different builds. The first that found it is the finding that is kept."""
_OR_FEW = (system_map_is_of_vmlinux.id, module_versions_are_those_of_the_kernel.id)
"""Those of them that find a small difference too."""
_IMPLIED = {
    kallsyms_is_of_system_map.id: system_map_is_of_vmlinux.id,
    kallsyms_is_of_vmlinux.id: image_is_objcopy_of_vmlinux.id,
}
"""The symbols in an Image differ where these already found that System.map, or the whole Image, differs."""
_Entry = tuple[int, Finding]
"""A finding, and its place among all."""
_MORE = re.compile(r"and ([\d,]+) more such ")
"""The message of a finding that counts those of a check that are not listed."""
_SUSPECTS = ("Module.symvers", "System.map", "config", "release", "vmlinux", "Image")
"""Of two files of different builds, the first of these is taken for the foreign one."""


def folded(findings: Sequence[Finding], pieces: Iterable[FoundPiece]) -> tuple[Finding, ...]:
    """The findings, those that follow from a file of another build folded into the one that says so."""
    owners = {os.path.normpath(piece.path): piece.role for piece in pieces}
    ids = {finding.id for finding in findings}
    rest = [entry for entry in enumerate(findings) if _IMPLIED.get(entry[1].id) not in ids]
    settled = []
    while found := _foreign((finding for _, finding in rest), owners):
        foreign, partners = found
        involved = [entry for entry in rest if _follows(entry[1], foreign, partners, owners)]
        involved += _counts_of(involved, rest)
        number, first = min(involved, key=lambda entry: (_rank(entry[1]), entry[0]))
        settled.append((number, _merged(first, [finding for _, finding in involved if finding is not first])))
        rest = [entry for entry in rest if entry not in involved]
    return tuple(finding for _, finding in sorted(rest + settled, key=lambda entry: entry[0]))


def _counts_of(involved: Sequence[_Entry], rest: Sequence[_Entry]) -> list[_Entry]:
    """The findings that count more of those that are involved, where no other of the same check is left."""
    ids = {finding.id for _, finding in involved}
    others = [entry for entry in rest if entry not in involved]
    left = {finding.id for _, finding in others if not _MORE.match(finding.evidence.message)}
    return [entry for entry in others if entry[1].id in ids - left]


def _merged(first: Finding, others: Sequence[Finding]) -> Finding:
    """A finding with the places of those that say the same, and the number of those that follow from it."""
    evidence = first.evidence
    same = [finding for finding in others if _rank(finding) < len(_ANOTHER_BUILD)]
    at = dict.fromkeys((*evidence.at, *(at for finding in same for at in finding.evidence.at)))
    message = evidence.message
    if others:
        counted = (_MORE.match(finding.evidence.message) for finding in others)
        number = sum(int(more[1].replace(",", "")) if more else 1 for more in counted)
        count = "1 finding that follows" if number == 1 else f"{number:,} findings that follow"
        message += f" ({count} from it left out)"
    return first._replace(evidence=evidence._replace(message=message, at=tuple(at)))


def _foreign(findings: Iterable[Finding], owners: dict[str, str]) -> tuple[str, set[str]] | None:
    """The file that differs from most others, and those; None when no two are of different builds."""
    edges: dict[str, set[str]] = defaultdict(set)
    for found in findings:
        if _rank(found) < len(_ANOTHER_BUILD):
            files = _files(found, owners)
            for file in files:
                edges[file] |= files - {file}
    suspects = [file for file, others in edges.items() if others]
    if not suspects:
        return None
    order = {role: number for number, role in enumerate(_SUSPECTS)}
    chosen = min(suspects, key=lambda file: (-len(edges[file]), order.get(owners[file], len(order)), file))
    return chosen, edges[chosen]


def _follows(found: Finding, foreign: str, partners: set[str], owners: dict[str, str]) -> bool:
    """Whether a finding compares the foreign file with another; with its only partner when it may be either."""
    files = _files(found, owners)
    return foreign in files and bool(files & partners if len(partners) == 1 else files - {foreign})


def _files(found: Finding, owners: dict[str, str]) -> set[str]:
    """The files of the build that a finding is about. A file in a folder of modules is the folder's."""
    files = set()
    for at in found.evidence.at:
        path = os.path.normpath(at.path)
        while path not in owners and path != os.path.dirname(path):
            path = os.path.dirname(path)
        if path in owners:
            files.add(path)
    return files


def _rank(found: Finding) -> int:
    """The place among the checks that find another build; after all of them for any other finding."""
    if found.severity != Severity.ERROR or found.id not in _ANOTHER_BUILD:
        return len(_ANOTHER_BUILD)
    if found.id in _OR_FEW and not found.evidence.message.startswith("not the same build"):
        return len(_ANOTHER_BUILD)
    return _ANOTHER_BUILD.index(found.id)
