"""The command line: words in, one call, words out. Typer reads the words; each command imports what it runs."""

import os
import sys
from collections.abc import Callable, Iterable
from itertools import islice
from typing import TYPE_CHECKING, Annotated

import typer

from kinspect.errors import KinspectError

if TYPE_CHECKING:
    from kinspect.inspection import Report
    from kinspect.reports.terminal import Paint

app = typer.Typer(
    name="kinspect",
    help="Inspect the artifacts of a Linux ARM64 kernel build. Exit status: 0 good or same, 1 not, 2 trouble.",
    add_completion=False,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

Json = Annotated[bool, typer.Option("--json", help="Print one JSON document (docs/report.schema.json).")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing; the exit status tells.")]
VmlinuxPath = Annotated[str, typer.Argument(metavar="VMLINUX", help="The linked kernel, an ELF file.")]
Writer = Callable[["Report", "Paint"], Iterable[str]]


def _version(wanted: bool) -> None:
    if wanted:
        from kinspect import __version__

        print(f"kinspect {__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Options before the command."""


def image(
    paths: Annotated[list[str], typer.Argument(metavar="IMAGE...", help="Kernel images.")],
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Decode the boot header of a kernel image and judge it."""
    from kinspect import inspection

    _tell([_attempt(inspection.image, path) for path in paths], json, quiet)


def file(
    paths: Annotated[list[str], typer.Argument(metavar="PATH...", help="Files of any kind.")],
    brief: Annotated[bool, typer.Option("--brief", "-b", help="Do not print the names.")] = False,
    follow: Annotated[bool, typer.Option("--dereference", "-L", help="Follow symbolic links.")] = False,
    file_version: Annotated[str, typer.Option(metavar="VERSION", help="Print as this file(1) does.")] = "5.44",
    json: Json = False,
) -> None:
    """Print what file(1) prints. As there, the exit status is 0 whatever the files are."""
    from kinspect.views.file_line import VERSIONS, lines

    if file_version not in VERSIONS:
        raise typer.BadParameter(f"{file_version} is none of {', '.join(VERSIONS)}", param_hint="--file-version")
    if json:
        from kinspect import inspection

        _tell([inspection.file(*paths, version=file_version, follow=follow)], json)
    _print(lines(paths, version=file_version, brief=brief, follow=follow))


def vmlinux(
    path: VmlinuxPath,
    table: Annotated[str | None, typer.Option(metavar="NAME", help="List the entries of one table.")] = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Show what a vmlinux is: segments, sections, the kernel's tables."""
    from kinspect import inspection

    _tell([_attempt(inspection.table, path, table) if table else _attempt(inspection.vmlinux, path)], json, quiet)


def diff(
    vmlinux: VmlinuxPath,
    image: Annotated[str, typer.Argument(metavar="IMAGE", help="The Image that was made from it.")],
    ranges: Annotated[int, typer.Option(metavar="N", min=0, help="Show the first N ranges that differ.")] = 10,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Tell whether an Image is objcopy of a vmlinux, where not, and why. Exit status: 0 same, 1 not, 2 trouble."""
    from kinspect import inspection
    from kinspect.reports.text import facts_lines

    # The facts say it all: the finding would repeat them.
    def lines(report: "Report", paint: "Paint") -> Iterable[str]:
        return (line for facts in report.facts for line in facts_lines(facts, paint))

    _tell([_attempt(inspection.diff, vmlinux, image, 0 if quiet else ranges)], json, quiet, lines)


def size(
    vmlinux: VmlinuxPath,
    image: Annotated[str | None, typer.Argument(metavar="[IMAGE]", help="The Image, to prove the sums on.")] = None,
    sort: Annotated[str, typer.Option(metavar="address|size|name", help="The order of the sections.")] = "address",
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Account for every byte of a kernel, in the Image and in memory."""
    from kinspect import inspection
    from kinspect.reports.sizes_text import ORDERS, sizes_lines
    from kinspect.reports.text import verdict_lines
    from kinspect.views.sizes import Sizes

    if sort not in ORDERS:
        raise typer.BadParameter(f"{sort} is none of {', '.join(ORDERS)}", param_hint="--sort")

    def lines(report: "Report", paint: "Paint") -> Iterable[str]:
        for facts in report.facts_of(Sizes):
            yield from sizes_lines(facts, paint, sort)
        if report.ran:
            yield ""
            yield from verdict_lines(report, paint)

    _tell([_attempt(inspection.size, vmlinux, image)], json, quiet, lines)


def checks(
    check_id: Annotated[str | None, typer.Argument(metavar="[ID]", help="The check to explain.")] = None,
    json: Json = False,
) -> None:
    """List every check, or explain one."""
    from kinspect.inspection import checks_of
    from kinspect.reports.checks import list_lines, page_lines
    from kinspect.reports.terminal import Paint

    chosen = tuple(check for check in checks_of() if check_id in (None, check.id))
    if not chosen:
        raise typer.BadParameter(f"no check is named {check_id}; `kinspect checks` lists them", param_hint="ID")
    if json:
        from kinspect.reports.json import checks_text

        _print([checks_text(chosen)])
    else:
        paint = Paint.of(sys.stdout)
        _print(page_lines(chosen[0], paint) if check_id else list_lines(chosen, paint))


def _attempt(inspection: "Callable[..., Report]", *words: str | int | None) -> "Report":
    """The report of an inspection, or of the error that it ends with."""
    from kinspect.inspection import Report

    try:
        return inspection(*words)
    except KinspectError as error:
        return Report(errors=(error,))


def _tell(reports: "list[Report]", json: bool, quiet: bool = False, lines: Writer | None = None) -> None:
    """Print reports and end with the worst exit status among them."""
    from kinspect.reports.terminal import Paint, escaped

    if json and not quiet:
        from kinspect.inspection import Report
        from kinspect.reports.json import report_text

        _print([report_text(sum(reports, Report()))])
    for index, report in enumerate(reports):
        if not quiet and not json:
            from kinspect.reports.text import report_lines

            _print([""] * bool(index))
            _print((lines or report_lines)(report, Paint.of(sys.stdout)))
        for error in report.errors:
            _flush()
            print(f"kinspect: {escaped(str(error))}", file=sys.stderr)
    raise typer.Exit(max(report.exit_code for report in reports))


def _print(lines: Iterable[str]) -> None:
    """Lines to standard output; a reader that has gone away ends them quietly."""
    rest = iter(lines)
    try:
        # By the thousand: a stream that is not buffered makes a system call of every write.
        while batch := list(islice(rest, 1000)):
            sys.stdout.write("\n".join(batch) + "\n")
        sys.stdout.flush()
    except BrokenPipeError:
        _discard_output()


def _flush() -> None:
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        _discard_output()


def _discard_output() -> None:
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


COMMANDS = {command.__name__: command for command in (image, file, vmlinux, diff, size, checks)}


def _register(words: list[str]) -> None:
    """Give typer the command that is called, or all when that is none: it takes its time over each."""
    for name in words[:1] if words and words[0] in COMMANDS else COMMANDS:
        app.command(name)(COMMANDS[name])


def main(arguments: list[str]) -> int:
    """Run one command and return its exit status; whatever goes wrong is one line and status 2."""
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    _register(arguments)
    try:
        app(arguments, prog_name="kinspect")
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 2
    except KeyboardInterrupt:
        return 130
    except OSError as error:
        print(f"kinspect: cannot write: {error.strerror}", file=sys.stderr)
        return 2
    except Exception as error:
        place = error.__traceback__
        while place and place.tb_next:
            place = place.tb_next
        where = f" ({os.path.basename(place.tb_frame.f_code.co_filename)}:{place.tb_lineno})" if place else ""
        print(f"kinspect: internal error: {type(error).__name__}: {error}{where}", file=sys.stderr)
        return 2
    return 0
