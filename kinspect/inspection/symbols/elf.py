"""An ELF file made from a raw Image."""

import os
from typing import TYPE_CHECKING

from kinspect.artifacts.boot.image import Image
from kinspect.artifacts.kinds import open_as
from kinspect.inspection.package.taken import KERNEL, Packages
from kinspect.inspection.report import WRAPPING_CHECKS, Path, Report, run_checks, trees_report

if TYPE_CHECKING:
    from kinspect.views.rebuilt.facts import ElfFacts


def elf(path: Path, out: Path, base: int | None = None) -> "Report[ElfFacts]":
    """Write a vmlinux-like ELF file for an Image, compressed or not, and check the Image.

    It has the sections and symbols that the Image tells of, and the Image's bytes as they are. `base` is the address of
    `_text` if it is not known, or is to be another. `out` is written whole or not at all. A package is taken for the
    Image in it. Raises KinspectError.
    """
    with Packages() as packages:
        return packages.named(_elf_report(packages.file(path, *KERNEL[:2]), out, base, path))


def _elf_report(path: Path, out: Path, base: int | None, given: Path) -> "Report[ElfFacts]":
    from kinspect.inspection.writing import write_whole
    from kinspect.views.rebuilt.facts import elf_facts
    from kinspect.views.rebuilt.file import rebuilt_elf

    image = open_as(Image, path)
    _ = image.header
    found, target = rebuilt_elf(image, base), os.fsdecode(out)
    write_whole(target, found.pieces, (path, given))
    topics = (*(WRAPPING_CHECKS if image.wrappings else ()), "boot.header", "boot.ending", "boot.kallsyms")
    report = Report((elf_facts(image, found, target),)) + run_checks((image, *image.wrappings), *topics)
    return report + trees_report(image.wrappings)
