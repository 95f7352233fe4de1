"""The command line: finds the command, calls it, and turns errors into one line and an exit status."""

import os
import sys
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING

from kinspect.commands.interface.output import discard_output, print_lines
from kinspect.errors import KinspectError
from kinspect.reports.terminal import COLOUR, WHEN

if TYPE_CHECKING:
    import typer

COMMANDS = {
    "check": "check",
    "image": "kernel",
    "file": "kernel",
    "vmlinux": "kernel",
    "diff": "kernel",
    "size": "size",
    "symbols": "kernel",
    "elf": "unpack",
    "unpack": "unpack",
    "config": "unpack",
    "module": "modules",
    "symvers": "modules",
    "modules": "modules",
    "depmod": "modules",
    "abi": "abi",
    "types": "types",
    "dtb": "dtb",
    "load": "load",
    "initramfs": "load",
    "log": "log",
    "trace": "trace",
    "checks": "kernel",
}
"""The commands in the order of the help; for each the module of kinspect.commands that has a function of its name."""
_UNLIMITED = ("log", "checks")
"""The commands that unpack nothing, and have no --limit."""
_FLAGS = {"--json": "json", "--quiet": "quiet", "-q": "quiet"}
_TEXTS = {name: name.lstrip("-") for name in ("--section", "--match", "--domain", "--sort", "--table", "--against")}
_NUMBERS, _LISTS = {"--top": "top"}, {"--by": "by", "--modules": "module_paths", "--at": "addresses"}
"""Options with a value that a plain call may have, as commands/interface/options.py declares them."""


def _command(name: str) -> Callable[..., int]:
    command: Callable[..., int] = getattr(import_module(f"kinspect.commands.{COMMANDS[name]}"), name)
    return command


def plain_call(command: Callable[..., int], arguments: list[str]) -> Callable[[], int] | None:
    """The call of a command with only paths, --json, --quiet and a few options; None when typer must parse it.

    Most calls are of this form, and importing typer takes longer than most of them. The parameters of a command before
    the `*` are its paths; a last one named `paths` or `names` takes all that are left.
    """
    code = command.__code__
    paths, given = _plain_arguments(arguments)
    names, optional = code.co_varnames[: code.co_argcount], len(command.__defaults__ or ())
    if any(path.startswith("-") for path in paths) or not given.keys() <= (command.__kwdefaults__ or {}).keys():
        return None
    if names and names[-1] in ("paths", "names"):
        first, rest = paths[: len(names) - 1], paths[len(names) - 1 :]
        return partial(command, *first, rest, **given) if rest else None
    return partial(command, *paths, **given) if len(names) - optional <= len(paths) <= len(names) else None


def _plain_arguments(arguments: list[str]) -> tuple[list[str], dict[str, object]]:
    """The paths and the options among arguments. What is not understood is left among the paths, with its dash."""
    paths: list[str] = []
    given: dict[str, object] = {}
    lists: dict[str, list[str]] = {}
    rest = iter(arguments)
    for argument in rest:
        name, equals, value = argument.partition("=")
        if argument in _FLAGS:
            given[_FLAGS[argument]] = True
            continue
        parameter = _TEXTS.get(name) or _NUMBERS.get(name) or _LISTS.get(name)
        if parameter is None:
            paths.append(argument)
            continue
        value = value if equals else next(rest, "-")
        if value.startswith("-") or (name in _NUMBERS and not (value.isascii() and value.isdecimal())):
            return [argument], {}
        if name in _LISTS:
            lists.setdefault(parameter, []).append(value)
        else:
            given[parameter] = int(value) if name in _NUMBERS else value
    return paths, given | lists


def typer_app(names: Iterable[str]) -> "typer.Typer":
    """The named commands as a typer application, with their options and help."""
    import typer

    from kinspect.commands.interface import parser

    def end(status: int, **_: object) -> None:
        raise typer.Exit(status)

    app = typer.Typer(
        name="kinspect",
        help="Inspect a Linux arm64 kernel build. Exit status: 0 good, 1 not good, 2 could not tell, or an error.",
        callback=parser.options,
        result_callback=end,
        add_completion=False,
        no_args_is_help=True,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    for name in names:
        app.command(name, cls=parser.WithExamples)(_with_types(_command(name)))
    return app


def _with_types(command: Callable[..., int]) -> Callable[..., int]:
    """A command with its annotations evaluated, as typer needs them, and the option --limit unless it unpacks nothing.

    Commands write them as strings, so that a plain call does not import typer. An annotation may use what the module of
    the command defines, `options`, `typer` and `Annotated`.
    """
    from functools import wraps
    from inspect import Parameter, signature, unwrap
    from typing import Annotated, get_type_hints

    import typer

    from kinspect.artifacts.raw.limits import set_limit
    from kinspect.commands.interface import options
    from kinspect.commands.interface.usage import refuse_conflicts

    names = {**unwrap(command).__globals__, "options": options, "typer": typer, "Annotated": Annotated}
    types = get_type_hints(command, names, include_extras=True)
    limited = command.__name__ not in _UNLIMITED
    types |= {"limit": options.Limit} if limited else {}
    parameters = [one.replace(annotation=types[name]) for name, one in signature(command).parameters.items()]
    if limited:
        parameters.append(Parameter("limit", Parameter.KEYWORD_ONLY, default=None, annotation=options.Limit))
    types["color"] = options.Color
    parameters.append(Parameter("color", Parameter.KEYWORD_ONLY, default="auto", annotation=options.Color))

    @wraps(command)
    def typed(*, color: str, limit: str | None = None, **arguments: object) -> int:
        set_limit(limit)
        refuse_conflicts(command.__name__, arguments)
        if color != "auto":
            COLOUR.set(color)
        try:
            return command(**arguments)
        except KeyboardInterrupt:
            # click would end with status 1.
            raise typer.Exit(130) from None
        finally:
            set_limit(None)

    typed.__signature__ = signature(command).replace(parameters=parameters, return_annotation=int)  # type: ignore[attr-defined]
    typed.__annotations__ = types
    return typed


def _without_colour(arguments: list[str]) -> list[str]:
    """The arguments without `--color=WHEN`, which may be anywhere before `--`: typer is not imported for it alone."""
    end = arguments.index("--") if "--" in arguments else len(arguments)
    flags = {f"--color={when}": when for when in WHEN}
    for argument in arguments[:end]:
        if argument in flags:
            COLOUR.set(flags[argument])
    return [*(one for one in arguments[:end] if one not in flags), *arguments[end:]]


def _run_as_meant(arguments: list[str]) -> int:
    """Run what is not plain: options, `-`, help, a path without a command, or nothing at all."""
    from kinspect.commands.interface.usage import SHORT_HELP, full_command

    if not arguments:
        print_lines([SHORT_HELP])
        return 2
    if arguments in (["-V"], ["--version"]):
        from kinspect import __version__

        # Not by typer, which takes most of the time.
        print_lines([f"kinspect {__version__}"])
        return 0
    meant = full_command(arguments, COMMANDS)
    call = _plain(meant) if meant != arguments else None
    return call() if call else _run_by_typer(meant)


def _run_by_typer(arguments: list[str]) -> int:
    """Run a command whose arguments typer parses. Raises KinspectError for a usage error."""
    import typer

    from kinspect.commands.interface.usage import reraise_as_one_line

    # Only the command that is called, where there is one: typer spends time on each.
    app = typer_app(arguments[:1] if arguments and arguments[0] in COMMANDS else COMMANDS)
    try:
        status: int = typer.main.get_command(app).main(arguments, prog_name="kinspect", standalone_mode=False)
    except typer.Abort:
        return 130
    except Exception as error:
        reraise_as_one_line(error, arguments)
    return status


def main(arguments: list[str]) -> int:
    """Run one command and return its exit status. Every error is one line and status 2."""
    # A caller in the same process gets its own value back.
    before = COLOUR.set("auto")
    try:
        return _run(arguments)
    finally:
        COLOUR.reset(before)


def _run(arguments: list[str]) -> int:
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    try:
        arguments = _without_colour(arguments)
        call = _plain(arguments)
        return call() if call else _run_as_meant(arguments)
    except SystemExit as end:
        return _status(end)
    except KeyboardInterrupt:
        return 130
    except KinspectError as error:
        _complain(str(error))
    except BrokenPipeError:
        discard_output()
    except OSError as error:
        _complain(f"{error.filename or 'standard output'}: cannot write: {error.strerror}")
    except Exception as error:
        _complain(f"internal error: {type(error).__name__}: {error}{_place(error)}")
    return 2


def _plain(arguments: list[str]) -> Callable[[], int] | None:
    return plain_call(_command(arguments[0]), arguments[1:]) if arguments and arguments[0] in COMMANDS else None


def _status(end: SystemExit) -> int:
    # After EPIPE, click ends with status 1, which is that of findings.
    if type(sys.stdout).__name__ == "PacifyFlushWrapper":
        return 2
    return end.code if isinstance(end.code, int) else 2


def _place(error: Exception) -> str:
    """Where an error was raised."""
    place = error.__traceback__
    while place and place.tb_next:
        place = place.tb_next
    return f" ({os.path.basename(place.tb_frame.f_code.co_filename)}:{place.tb_lineno})" if place else ""


def _complain(text: str) -> None:
    """Print an error, if standard error can be written."""
    from kinspect.reports.terminal import escaped

    with suppress(OSError):
        print(f"kinspect: {escaped(text)}", file=sys.stderr)
