"""Checks of a separate debug file against the file that it was made from."""

from collections.abc import Iterator

from kinspect.artifacts.elf.debug_file import DebugFile, debug_link, mismatch
from kinspect.artifacts.elf.file import Elf
from kinspect.artifacts.elf.vmlinux import Vmlinux
from kinspect.artifacts.module.ko import Module
from kinspect.checks.check import Evidence, Severity, check
from kinspect.source import Source


@check(Severity.ERROR)
def debug_file_is_of_the_same_build(stripped: Vmlinux | Module, debug: DebugFile) -> Iterator[Evidence]:
    """A separate debug file belongs to the vmlinux or module beside it.

    Both have the same build id, and the debug file has the CRC that the debug link (`.gnu_debuglink`) states; without
    a link, the build id decides. With a debug file from another build, debuggers and addr2line show wrong functions and
    lines, or refuse it. Take both from one build: `objcopy --only-keep-debug`, then `objcopy --strip-debug
    --add-gnu-debuglink=DEBUGFILE`. A debug file that was changed after that has another CRC.
    Source: the manual of gdb, "Separate Debug Files".
    """
    file = stripped if isinstance(stripped, Vmlinux) else Elf(Source(stripped.path, stripped.data))
    problem = mismatch(file, debug, debug_link(file))
    if problem is not None:
        yield Evidence(f"{debug.title} is {problem}", (debug.at(), file.at()))
