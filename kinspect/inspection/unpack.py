"""What is inside a kernel's file: the raw kernel, parts of a boot loader's container, the .config."""

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING

from kinspect.artifacts.kinds import open_artifact, open_as
from kinspect.artifacts.raw.limits import LARGEST_KERNEL
from kinspect.errors import Location, MalformedError, UnsupportedError, WrongKindError, did_you_mean
from kinspect.inspection.build.opening import not_a_kernel, open_kernel
from kinspect.inspection.package.taken import KERNEL, Packages
from kinspect.inspection.report import WRAPPING_CHECKS, Path, Report, run_checks, trees_report, verified_report

if TYPE_CHECKING:
    from typing import Never

    from kinspect.artifacts.boot.image import Image
    from kinspect.artifacts.boot.parts import BootContainer, ContainerFacts
    from kinspect.artifacts.elf.vmlinux import Vmlinux
    from kinspect.source import Source
    from kinspect.views.android.avb import VbmetaFacts
    from kinspect.views.boot.coverage import CoverageFacts
    from kinspect.views.kernel.config import ConfigFacts
    from kinspect.views.kernel.unpacked import PartFacts, UnpackedFacts
    from kinspect.views.signing.fit import FitSignatures

_STEP = 1 << 20


def unpack(path: Path, out: Path) -> "Report[UnpackedFacts]":
    """Write the raw kernel in a file to another, whole or not at all, and check it and its wrappings.

    Raises KinspectError.
    """
    from kinspect.inspection.writing import write_whole
    from kinspect.views.kernel.unpacked import UnpackedFacts

    found = kernel_in(path)
    target = os.fsdecode(out)
    report = Report((UnpackedFacts(found.path, target, found.kind, found.size, found.layers),))
    write_whole(target, contents(found))
    return report + verdict(found)


def kernel_in(path: Path) -> "Vmlinux | Image":
    """The kernel in a file.

    WrongKindError when the file has none, or only a stub without code; UnsupportedError when it is larger than any
    kernel: it would fill the disk.
    """
    from kinspect.artifacts.elf.vmlinux import Vmlinux
    from kinspect.inspection.kernel import with_code

    found = open_kernel(path)
    _ = found.header
    if found.size > LARGEST_KERNEL:
        expected = f"at most {LARGEST_KERNEL:,} bytes"
        raise UnsupportedError("too large for a kernel", found.at(), expected=expected, actual=found.size)
    return with_code(found) if isinstance(found, Vmlinux) else found


def verdict(kernel: "Vmlinux | Image") -> "Report[Never]":
    """The findings on an unpacked kernel and its wrappings, without facts."""
    topics = (*(WRAPPING_CHECKS if kernel.wrappings else ()), "boot.header", "boot.ending", "boot.pe", "elf.layout")
    return run_checks((kernel, *kernel.wrappings), *topics) + trees_report((kernel, *kernel.wrappings))


def parts(path: Path) -> "Report[ContainerFacts | CoverageFacts | VbmetaFacts | FitSignatures]":
    """The parts of a boot loader's container, and the findings on it and on its device trees. Raises KinspectError."""
    from kinspect.inspection.signing.image import fit_signatures_report
    from kinspect.views.boot.coverage import readable_coverage

    container = container_in(path)
    covered = readable_coverage(container)
    more = verified_report((container,)) + fit_signatures_report(container) + part_verdict(path)
    return Report((container.facts,)) + (Report((covered,)) + more if covered else more)


def unpack_part(path: Path, name: str, out: Path) -> "Report[PartFacts]":
    """Write a part of a boot loader's container to a file, whole or not at all, and check the container.

    Raises as `part_in` does.
    """
    from kinspect.inspection.writing import write_whole
    from kinspect.views.kernel.unpacked import PartFacts

    source = part_in(path, name)
    target = os.fsdecode(out)
    findings = part_verdict(path)
    write_whole(target, pieces_of(source), (path,))
    return Report((PartFacts(os.fsdecode(path), target, name, source.size),)) + findings


def part_verdict(path: Path) -> "Report[Never]":
    """The findings on a boot loader's container, without facts."""
    found = container_in(path)
    wrappings = (found, *found.wrappings)
    return run_checks(wrappings, *WRAPPING_CHECKS, "boot.pe", "boot.signature") + trees_report(wrappings)


def container_in(path: Path) -> "BootContainer":
    """The outermost container of a boot loader in a file, or a kernel and the device trees behind it.

    WrongKindError when there is none.
    """
    from kinspect.artifacts.boot.parts import BootContainer

    try:
        return open_as(BootContainer, path)
    except WrongKindError:
        from kinspect.artifacts.boot.appended import with_trees

        found = with_trees(path)
        if found is None:
            raise
        return found


def part_in(path: Path, name: str) -> "Source":
    """The bytes of a part, as they are in the container. MalformedError when it has no part of that name."""
    container = container_in(path)
    part = container.part(name)
    if part is None:
        names = [found.name for found in (*container.parts, *container.inner_trees)]
        problem = f"unknown part{did_you_mean(name, names)}"
        raise MalformedError(problem, Location("--part"), expected=f"one of {', '.join(names)}", actual=name)
    return container.source_of(part)


def contents(kernel: "Vmlinux | Image") -> Iterator[bytes]:
    """The bytes of a kernel, a step at a time. Raises KinspectError."""
    return pieces_of(kernel.source)


def pieces_of(source: "Source") -> Iterator[bytes]:
    """All bytes of a source, a step at a time. Raises KinspectError."""
    for start in range(0, source.size, _STEP):
        yield source.read(start, min(_STEP, source.size - start))


def config(path: Path) -> "Report[ConfigFacts]":
    """The .config inside an Image, a vmlinux or configs.ko; without one there is a finding.

    A package is taken for the kernel in it. Raises KinspectError.
    """
    with Packages() as packages:
        return packages.named(_config_report(packages.file(path, *KERNEL)))


def _config_report(path: Path) -> "Report[ConfigFacts]":
    from kinspect.artifacts.boot.image import Image
    from kinspect.artifacts.elf.vmlinux import Vmlinux
    from kinspect.artifacts.module.ko import Module
    from kinspect.views.kernel.config import config_facts

    artifact = open_artifact(path)
    if not isinstance(artifact, Image | Vmlinux | Module):
        raise not_a_kernel(artifact, "an Image, a vmlinux or configs.ko")
    facts = config_facts(artifact)
    return Report((facts,)) + run_checks((facts,), "build.embedded")
