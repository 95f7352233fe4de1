"""The raw kernel inside a compressed or zboot image, and the .config inside a kernel."""

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING

from kinspect.artifacts.kinds import open_artifact
from kinspect.artifacts.raw.limits import LARGEST_KERNEL
from kinspect.errors import UnsupportedError
from kinspect.inspection.kernel import not_a_kernel, open_kernel
from kinspect.inspection.report import Path, Report, run_checks

if TYPE_CHECKING:
    from typing import Never

    from kinspect.artifacts.boot.image import Image
    from kinspect.artifacts.elf.vmlinux import Vmlinux
    from kinspect.views.kernel.config import ConfigFacts
    from kinspect.views.kernel.unpacked import UnpackedFacts

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
    topics = (*(("boot.container",) if kernel.wrappings else ()), "boot.header", "boot.ending", "boot.pe", "elf.layout")
    return run_checks((kernel, *kernel.wrappings), *topics)


def contents(kernel: "Vmlinux | Image") -> Iterator[bytes]:
    """The bytes of a kernel, a step at a time. Raises KinspectError."""
    source = kernel.source
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
        raise not_a_kernel(artifact, "an Image, a vmlinux or configs.ko")
    facts = config_facts(artifact)
    return Report((facts,)) + run_checks((facts,), "build.embedded")
