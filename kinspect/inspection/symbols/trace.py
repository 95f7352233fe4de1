"""A log of a kernel, decoded with its vmlinux or Image."""

import os
import re
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING

from kinspect.errors import KinspectError, Location, MalformedError, UncheckedError, UnreadableError
from kinspect.inspection.build.opening import open_kernel
from kinspect.inspection.package.taken import WITH_SYMBOLS, Packages, is_package
from kinspect.inspection.report import Path, Report, run_checks
from kinspect.source import WINDOW, Source

if TYPE_CHECKING:
    from kinspect.views.trace.facts import TraceFacts
    from kinspect.views.trace.kernel import TracedKernel
    from kinspect.views.trace.log import LogDecoder

LOG = "the log of a kernel"
LONGEST = 1 << 16
"""Bytes of a line that stay together: longer ones are no text."""
_MOST_MODULES = 10_000
_MODULE = re.compile(rb" \[((?=[\w-]*[A-Za-z])[\w-]{1,64})(?: [0-9a-f]{8,40})?\]")


def trace(kernel: Path, lines: Iterable[str], modules: Sequence[Path] = ()) -> "Report[TraceFacts]":
    """What the lines of a log say of a kernel: functions, source lines, and whether they are of that kernel.

    `kernel` is a vmlinux, an Image (compressed or not), or a folder or package with one, `modules` are files, folders
    or packages of modules. Raises KinspectError.
    """
    with Packages() as packages:
        decoder = log_decoder(kernel, modules, packages)
        for _ in decoder.lines(line.rstrip("\r\n") for line in lines):
            pass
        return packages.named(trace_report(decoder, "log"))


def log_decoder(
    kernel: Path, modules: Sequence[Path] = (), packages: Packages | None = None, log: Path | None = None
) -> "LogDecoder":
    """What decodes the lines of a log. Raises KinspectError when the kernel has no symbols, or there is none.

    With `packages`, which must stay open, the kernel and the modules may be packages. A package of modules is read when
    the log names the first of them; if the log is in the file `log`, once for all that it names.
    """
    from kinspect.views.trace.log import LogDecoder
    from kinspect.views.trace.modules import TracedModules

    given = [os.fspath(path) for path in modules]
    for path in given:
        if not os.path.exists(path):
            raise UnreadableError("No such file or directory", Location(path))
    of_kernel = packages is not None and is_package(kernel)
    if packages and of_kernel:
        packages.file(kernel, *WITH_SYMBOLS)  # raises the error for a package with no kernel, or with several
    found, beside = _opened(os.fspath(packages.folder(kernel) if packages else kernel))
    _ = found.symbols
    if not given:
        given = [os.fspath(kernel)] if of_kernel else beside
    packed = [path for path in given if is_package(path)] if packages else []
    if not (packages and packed):
        return LogDecoder(found, TracedModules(given))
    from kinspect.inspection.package.modules import PackagedModules

    others = [path for path in given if path not in packed]
    return LogDecoder(found, TracedModules(others, PackagedModules(packages, packed, partial(_named_modules, log))))


def _named_modules(log: Path | None) -> set[str]:
    """The names that may be of modules in the log in a file; none of what can be read only once."""
    found = set[bytes]()
    if log is None or not os.path.isfile(log):
        return set()
    for piece in pieces_of(Source(log)):
        if len(found) > _MOST_MODULES:
            break
        found.update(_MODULE.findall(piece))
    return {name.decode().replace("-", "_") for name in found}


def trace_report(decoder: "LogDecoder", name: str) -> "Report[TraceFacts]":
    """The report of what has been decoded."""
    facts = decoder.facts(name)
    errors = [decoder.error] if decoder.error else []
    if not (facts.places or facts.logged or facts.outside):
        # Such as an empty file, where a log was not written or not found: whether it is of this kernel is not known.
        expected = "a `Linux version` line, or functions as in an oops"
        errors.append(UncheckedError("no kernel messages in the log", Location(name), expected=expected))
    return Report((facts,), errors=tuple(errors)) + run_checks((facts,), "trace.log")


def _opened(path: str) -> "tuple[TracedKernel, list[str]]":
    """The kernel in a file or a folder, and where its modules are if it is a folder."""
    from kinspect.views.trace.kernel import TracedKernel

    if not os.path.isdir(path):
        # Modules that were built with it.
        beside = os.path.dirname(os.path.abspath(path))
        built = os.path.isdir(os.path.join(beside, "include/config"))
        return TracedKernel(open_kernel(path)), [beside] if built else []
    from kinspect.artifacts.boot.image import Image
    from kinspect.artifacts.build.tree import BUILT, build_files
    from kinspect.artifacts.elf.vmlinux import Vmlinux

    pieces = list(build_files(path))
    folders = [piece.path for piece in pieces if piece.role in ("modules", BUILT)]
    vmlinux, image = None, None
    for role in ("vmlinux", "Image", "packed Image"):
        for piece in pieces:
            if piece.role != role or (image if role != "vmlinux" else vmlinux):
                continue
            kernel = open_kernel(piece.path)
            if isinstance(kernel, Vmlinux):
                vmlinux = vmlinux or (kernel if _has_symbols(kernel) else None)
            elif isinstance(kernel, Image):
                image = kernel
    found = vmlinux or image
    if found is None:
        raise MalformedError("no kernel in this folder", Location(path), expected="a vmlinux or an Image")
    return TracedKernel(found, image), folders


def _has_symbols(vmlinux: "Vmlinux") -> bool:  # type: ignore[name-defined]  # noqa: F821
    try:
        return bool(len(vmlinux.symbols))
    except KinspectError:
        return False


def pieces_of(source: Source) -> Iterator[bytes]:
    """The bytes of a file from start to end, in windows."""
    for offset in range(0, source.size, WINDOW):
        yield source.read(offset, min(WINDOW, source.size - offset))


def split_lines(pieces: Iterable[bytes]) -> Iterator[tuple[str, str]]:
    """The lines of a log that comes in pieces, each with its end: a newline, with a carriage return before it or not.

    A line of more than LONGEST bytes is split.
    """
    rest = b""
    for piece in pieces:
        *whole, rest = (rest + piece).split(b"\n")
        for line in whole:
            text = line.decode("utf-8", "surrogateescape")
            yield (text[:-1], "\r\n") if text.endswith("\r") else (text, "\n")
        while len(rest) > LONGEST:
            yield rest[:LONGEST].decode("utf-8", "surrogateescape"), ""
            rest = rest[LONGEST:]
    if rest:
        yield rest.decode("utf-8", "surrogateescape"), ""
