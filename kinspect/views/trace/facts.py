"""What a log says, decoded with a kernel: frames with their source lines, and what does not fit the kernel."""

from typing import NamedTuple

from kinspect.artifacts.dwarf.frames import SourceFrame
from kinspect.views.trace.kernel import KernelIdentity


class TracedFrame(NamedTuple):
    """A place in the code that a line of a log names, counted from 1.

    `address` is the one that the kernel was linked at, `printed` the one in the log; in a module `address` is an
    offset in `section`. `offset` is None where the log has only the name of a function. `sources` are the lines, the
    innermost inlined call first. If several symbols have this name and size, and other lines, `sources` is empty and
    `alternatives` has those of each. `decoded` is false for a symbol that the kernel or module does not have, or has of
    another size.
    """

    line: int
    symbol: str
    offset: int | None
    size: int | None
    module: str
    section: str
    address: int | None
    printed: int | None
    sources: tuple[SourceFrame, ...]
    decoded: bool
    alternatives: tuple[tuple[SourceFrame, ...], ...] = ()


class LoggedKernel(NamedTuple):
    """What a line of a log says of its kernel. Fields are empty where it does not say it."""

    line: int
    identity: KernelIdentity


class StrangeSymbol(NamedTuple):
    """A symbol of a log that is not in the kernel, or of another size; `sizes` are those that it has there."""

    line: int
    symbol: str
    size: int | None
    sizes: tuple[int, ...]
    module: str


class StrangeCode(NamedTuple):
    """An instruction of a `Code:` line that differs from the one in the kernel."""

    line: int
    place: str
    expected: int
    found: int


class ModuleOfLog(NamedTuple):
    """A module that a log names: its file, or why there is none. `lines` is whether the file has DWARF."""

    line: int
    name: str
    build_id: str
    path: str | None
    lines: bool
    problem: str


class TraceFacts(NamedTuple):
    """A log decoded with a kernel. `frames` are the first MOST_FRAMES of `places`.

    `kernel_offset` is what KASLR added to the addresses, if the log shows it. `strange` are symbols that do not fit,
    `outside` addresses that are not of the kernel, with their lines. `compared` is the number of instructions of
    `Code:` lines that were compared. `without_lines` says why there are no source lines; it is empty if there are.
    """

    log: str
    kernel: str
    identity: KernelIdentity
    lines: int
    places: int
    decoded: int
    frames: tuple[TracedFrame, ...]
    kernel_offset: int | None
    logged: tuple[LoggedKernel, ...]
    strange: tuple[StrangeSymbol, ...]
    outside: tuple[tuple[int, int], ...]
    modules: tuple[ModuleOfLog, ...]
    compared: int
    code: tuple[StrangeCode, ...]
    without_lines: str
