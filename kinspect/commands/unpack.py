"""The commands that extract what is inside a kernel: elf, unpack, config."""

from __future__ import annotations

import sys
from functools import partial
from typing import TYPE_CHECKING

from kinspect.commands.interface.output import address, print_bytes, print_lines, print_reports, report_or_error
from kinspect.errors import Location, MalformedError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from kinspect.checks.check import Finding
    from kinspect.commands.interface import options


def elf(
    path: options.Image,
    *,
    out: options.ElfOut = None,
    base: options.BaseAddress = None,
    form: options.Form = "text",
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> int:
    """Write an ELF file like vmlinux from an Image, with sections and symbols, for gdb, objdump, nm and pahole."""
    from kinspect.inspection.symbols import elf as inspection

    if out is None or out == "-":
        raise MalformedError("missing" if out is None else "not possible: -", Location("--out"), expected="a file")
    start = None if base is None else address("--base", base)
    return print_reports([report_or_error(inspection.elf, path, out, start)], json, quiet, form=form)


def unpack(
    path: options.Image,
    *,
    out: options.UnpackedOut = None,
    list_parts: options.ListParts = False,
    part: options.PartName = None,
    form: options.Form = "text",
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> int:
    """Write the raw Image inside a compressed or EFI zboot image, or a part of a boot loader's container."""
    from kinspect.inspection import unpack as inspection

    if list_parts:
        if out is not None or part is not None:
            raise MalformedError(f"not possible with --{'part' if out is None else 'out'}", Location("--list"))
        return print_reports([report_or_error(inspection.parts, path)], json, quiet, form=form)
    if out is None:
        raise MalformedError("missing", Location("--out"), expected="a file, or - for standard output")
    if out != "-":
        arguments = (inspection.unpack, path) if part is None else (inspection.unpack_part, path, part)
        return print_reports([report_or_error(*arguments, out)], json, quiet, form=form)
    if json or form != "text":
        raise MalformedError("not possible with --out -", Location("--json" if json else f"--format {form}"))
    if sys.stdout.isatty():
        raise MalformedError("standard output is a terminal", Location("--out"), expected="a file or a pipe")
    if part is None:
        kernel = inspection.kernel_in(path)
        pieces, verdict = inspection.contents(kernel), partial(inspection.verdict, kernel)
    else:
        pieces = inspection.pieces_of(inspection.part_in(path, part))
        verdict = partial(inspection.part_verdict, path)
    if not print_bytes(pieces):
        return 0
    report = verdict()
    _print_errors(report.findings)
    return report.exit_code


def config(
    path: options.KernelOrModule,
    *,
    form: options.Form = "text",
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> int:
    """Print the .config embedded in a kernel or in configs.ko.

    Exit status 1: there is none.
    """
    from kinspect.inspection import unpack as inspection
    from kinspect.reports.terminal import Style

    report = report_or_error(inspection.config, path)
    if json or quiet or form != "text" or report.errors:
        return print_reports([report], json, quiet, form=form)
    from kinspect.reports.kernel.config import lines
    from kinspect.views.kernel.config import ConfigFacts

    for facts in report.facts_of(ConfigFacts):
        if sys.stdout.isatty():
            print_lines(lines(facts, Style.of(sys.stdout)))
        else:
            print_bytes([(facts.text or "").encode("utf-8", "surrogateescape")])
    _print_errors(report.findings)
    return report.exit_code


def _print_errors(findings: Iterable[Finding]) -> None:
    """Print on standard error why the exit status is not 0; standard output has other contents."""
    from kinspect.checks.check import Severity
    from kinspect.reports.terminal import escaped

    for finding in findings:
        if finding.severity in (Severity.ERROR, Severity.UNDECIDED):
            sys.stderr.write(f"kinspect: {escaped(f'{finding.evidence.at[0]}: {finding.evidence}')}\n")
