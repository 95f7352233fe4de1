"""The commands for the kernel itself: image, file, vmlinux, symbols, diff; and checks."""

from __future__ import annotations

import sys
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from kinspect.commands.interface.output import (
    address,
    listed,
    listed_paths,
    one_of,
    print_lines,
    print_reports,
    report_or_error,
)
from kinspect.errors import Location, MalformedError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from kinspect.commands.interface import options
    from kinspect.inspection.report import Report
    from kinspect.reports.terminal import Style

RANGES = 10
"""The differing ranges that are shown by default: of two builds, none."""
_LISTS = ("nm", "kallsyms")
"""Formats of `symbols` that are lists without anything else."""


def image(
    paths: options.Images,
    *,
    cert: options.Certificates = None,
    load_address: options.LoadAddress = None,
    hardening: options.Hardening = False,
    config: options.ConfigFile = None,
    form: options.Form = "text",
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> int:
    """Decode and check the boot header of a kernel image.

    Also show which boot loaders accept it and, with --at, whether it can start at that address.
    """
    from kinspect.inspection import kernel as inspection

    if hardening or config:
        _refuse_with_hardening({"--cert": cert, "--at": load_address}, hardening)
        return print_reports((_hardening(path, config) for path in paths), json, quiet, form=form)
    given = (listed_paths(cert), None if load_address is None else address("--at", load_address))
    return print_reports((report_or_error(inspection.image, path, *given) for path in paths), json, quiet, form=form)


def file(
    paths: options.Files,
    *,
    brief: options.Brief = False,
    follow: options.Follow = False,
    file_version: options.FileVersion = "5.44",
    json: options.Json = False,
) -> int:
    """Print what file(1) prints. As with file, the exit status is always 0."""
    from kinspect.inspection import file as inspection
    from kinspect.views.filetype.line import VERSIONS, FileFacts, file_line, name_width

    one_of("--file-version", file_version, VERSIONS)
    width = max(map(name_width, paths), default=0)

    def lines(report: Report, _: Style) -> Iterable[str]:
        return (file_line(facts, width, brief) for facts in report.facts_of(FileFacts))

    reports = (inspection.file(path, version=file_version, follow=follow) for path in paths)
    return print_reports(reports, json, lines=lines, verbatim=True)


def vmlinux(
    path: options.Vmlinux,
    *,
    table: options.TableName = None,
    hardening: options.Hardening = False,
    config: options.ConfigFile = None,
    form: options.Form = "text",
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> int:
    """Show and check a vmlinux: segments, sections, tables."""
    from kinspect.inspection import kernel as inspection

    if hardening or config:
        _refuse_with_hardening({"--table": table}, hardening)
        return print_reports([_hardening(path, config)], json, quiet, form=form)
    report = report_or_error(inspection.table, path, table) if table else report_or_error(inspection.vmlinux, path)
    return print_reports([report], json, quiet, form=form)


def _refuse_with_hardening(others: dict[str, object], hardening: bool) -> None:
    """Refuse the options that --hardening excludes, and --config without it."""
    if not hardening:
        raise MalformedError("only possible with --hardening", Location("--config"))
    for option, value in others.items():
        if value is not None:
            raise MalformedError("not possible with --hardening", Location(option))


def _hardening(path: str, config: str | None) -> Report:
    from kinspect.inspection.symbols.hardening import hardening

    return report_or_error(hardening, path, config)


def diff(
    vmlinux: options.VmlinuxOrOld,
    image: options.ImageOfVmlinux,
    *,
    ranges: options.Ranges = None,
    function: options.OneFunction = None,
    form: options.Form = "text",
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> int:
    """Compare an Image with the vmlinux it was made from, or two kernels.

    Check that an Image is what objcopy makes of a vmlinux; if not, show where they differ and why. Two Images, or two
    vmlinux files, are compared function by function; what differs with every build is listed separately. The exit
    status is 0 if they are the same, 1 if they differ, and 2 on error.
    """
    from kinspect.checks.check import Severity
    from kinspect.inspection import kernel as inspection
    from kinspect.reports.text import report_lines

    if function is not None:
        return _function(vmlinux, image, function, ranges, (form, json, quiet))

    # Findings would repeat the facts, except that the check could not run.
    def lines(report: Report, style: Style) -> Iterable[str]:
        return report_lines(report, style, (Severity.UNDECIDED,), partial(_diff_lines, ranges=ranges))

    most = 0 if quiet else RANGES if ranges is None else ranges
    return print_reports([report_or_error(inspection.diff, vmlinux, image, most)], json, quiet, lines, form)


def _function(old: str, new: str, name: str, ranges: int | None, output: tuple[str, bool, bool]) -> int:
    """Compare one function of two kernels."""
    from kinspect.checks.check import Severity
    from kinspect.inspection.symbols.function import function_diff
    from kinspect.reports.text import report_lines

    if ranges is not None:
        raise MalformedError("not possible with --function", Location("--ranges"))

    def lines(report: Report, style: Style) -> Iterable[str]:
        return report_lines(report, style, (Severity.UNDECIDED,))

    form, json, quiet = output
    return print_reports([report_or_error(function_diff, old, new, name)], json, quiet, lines, form)


def _diff_lines(facts: NamedTuple, style: Style, ranges: int | None) -> Iterator[str]:
    """An Image compared with a vmlinux, or two kernels."""
    from kinspect.views.diff.facts import DiffFacts

    if isinstance(facts, DiffFacts):
        from kinspect.reports.diff.facts import lines as diff_lines

        return diff_lines(facts, style, places=ranges is not None)
    from kinspect.reports.changes.facts import TOP
    from kinspect.reports.changes.facts import lines as kernel_lines

    return kernel_lines(facts, style, TOP if ranges is None else ranges)  # type: ignore[arg-type]


def symbols(
    path: options.KernelOrModuleWithSymbols,
    *,
    match: options.MatchSymbols = None,
    at: options.AtAddress = None,
    base: options.BaseAddress = None,
    form: options.SymbolsFormat = "text",
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> int:
    """List the symbols of a kernel or module, with addresses and type letters as nm prints them.

    Those of an Image come from its kallsyms.
    """
    from kinspect.inspection import kernel as inspection
    from kinspect.reports.formats import FORMATS

    one_of("--format", form, (*_LISTS, *FORMATS))
    places = None if at is None else [address("--at", word) for word in listed(at)]
    if places is not None and (match is not None or form in _LISTS):
        other = "--match" if match is not None else f"--format {form}"
        raise MalformedError(f"not possible with {other}", Location("--at"))
    start = None if base is None else address("--base", base)
    report = report_or_error(inspection.symbols, path, match, places, start, form == "nm")
    if form in _LISTS and not report.errors and not json and not quiet:
        return _list(report, form)
    return print_reports([report], json, quiet, form="text" if form in _LISTS else form, verbatim=True)


def _list(report: Report, form: str) -> int:
    """Print what nm or /proc/kallsyms would."""
    from kinspect.reports.kernel.listed_symbols import kallsyms_lines, nm_lines
    from kinspect.views.kernel.listed_symbols import SymbolsFacts, address_unknown

    facts = report.facts_of(SymbolsFacts)[0]
    if facts.start is None and facts.module is None:
        raise address_unknown(facts.path)
    print_lines((kallsyms_lines if form == "kallsyms" else nm_lines)(facts))
    return report.exit_code


def checks(
    check_id: options.CheckId = None,
    *,
    json: options.Json = False,
) -> int:
    """List every check, or explain one."""
    from kinspect.inspection.report import checks_of
    from kinspect.reports.checks import list_lines, page_lines
    from kinspect.reports.terminal import Style

    chosen = tuple(check for check in checks_of() if check_id in (None, check.id))
    if not chosen:
        near = did_you_mean(str(check_id), (check.id for check in checks_of()))
        raise MalformedError(f"no such check{near or ' (`kinspect checks` lists all)'}", Location(str(check_id)))
    if json:
        from kinspect.reports.json import checks_text

        print_lines([checks_text(chosen)])
    else:
        style = Style.of(sys.stdout)
        print_lines(page_lines(chosen[0], style) if check_id else list_lines(chosen, style))
    return 0
