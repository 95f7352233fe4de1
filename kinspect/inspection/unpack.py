"""The raw kernel inside a compressed or zboot image, and the .config inside a kernel."""

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING

from kinspect.artifacts.kinds import open_artifact
from kinspect.artifacts.raw.limits import LARGEST_KERNEL
from kinspect.errors import Location, UnsupportedError, WrongKindError
from kinspect.inspection.kernel import open_kernel
from kinspect.inspection.report import Path, Report, run_checks

if TYPE_CHECKING:
    from kinspect.source import Source
    from kinspect.views.kernel.config import ConfigFacts
    from kinspect.views.kernel.unpacked import UnpackedFacts

_STEP = 1 << 20


def unpack(path: Path, out: Path) -> "Report[UnpackedFacts]":
    """Write the raw kernel in a file to another, whole or not at all, and check its wrappings.

    Raises KinspectError, OSError.
    """
    from kinspect.inspection.writing import write_whole
    from kinspect.views.kernel.unpacked import UnpackedFacts

    found = open_kernel(path)
    _demand_size(found.source)
    target = os.fsdecode(out)
    report = Report((UnpackedFacts(found.path, target, found.kind, found.size, found.layers),))
    write_whole(target, _contents(found.source))
    return report + (run_checks(found.wrappings, "boot.container") if found.wrappings else Report())


def raw_kernel(path: Path) -> Iterator[bytes]:
    """The bytes of the raw kernel in a file, a step at a time. Raises KinspectError."""
    found = open_kernel(path)
    _demand_size(found.source)
    yield from _contents(found.source)


def _demand_size(source: "Source") -> None:
    """Raise UnsupportedError for a file that is larger than any kernel: it would fill the disk."""
    if source.size > LARGEST_KERNEL:
        expected = f"at most {LARGEST_KERNEL:,} bytes"
        raise UnsupportedError("too large for a kernel", Location(source.path), expected=expected, actual=source.size)


def _contents(source: "Source") -> Iterator[bytes]:
    for start in range(0, source.size, _STEP):
        yield source.read(start, min(_STEP, source.size - start))


def config(path: Path) -> "Report[ConfigFacts]":
    """The .config inside an Image, a vmlinux or configs.ko; without one there is a finding. Raises KinspectError."""
    from kinspect.artifacts.boot.image import Image
    from kinspect.artifacts.elf.vmlinux import Vmlinux
    from kinspect.artifacts.module.ko import Module
    from kinspect.views.kernel.config import config_facts

    artifact = open_artifact(path)
    if not isinstance(artifact, Image | Vmlinux | Module):
        expected = "an Image, a vmlinux or configs.ko"
        raise WrongKindError("not a kernel", artifact.at(), expected=expected, actual=artifact.kind)
    facts = config_facts(artifact)
    return Report((facts,)) + run_checks((facts,), "build.embedded")
