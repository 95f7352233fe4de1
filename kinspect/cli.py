"""The command line: words in, one call, words out. Each command imports what it runs."""

import os
import sys
from collections.abc import Callable, Iterable
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING

from kinspect.errors import KinspectError

if TYPE_CHECKING:
    import typer

COMMANDS = {
    "check": "check",
    "image": "kernel",
    "file": "kernel",
    "vmlinux": "kernel",
    "diff": "kernel",
    "size": "size",
    "unpack": "unpack",
    "config": "unpack",
    "module": "modules",
    "symvers": "modules",
    "modules": "modules",
    "depmod": "modules",
    "abi": "modules",
    "dtb": "dtb",
    "load": "load",
    "log": "log",
    "checks": "kernel",
}
"""Each command, in the order of the help, with the module of kinspect.commands that has it."""
_FLAGS = {"--json": "json", "--quiet": "quiet", "-q": "quiet"}


def _command(name: str) -> Callable[..., int]:
    found: Callable[..., int] = getattr(import_module(f"kinspect.commands.{COMMANDS[name]}"), name)
    return found


def plain_call(command: Callable[..., int], words: list[str]) -> Callable[[], int] | None:
    """The call that words ask for when they are nothing but paths, --json and --quiet; else None: typer reads them.

    Most calls are such, and importing typer would take longer than most of them do. A command's parameters before
    the `*` are its paths, and one that is named `paths` takes all of them.
    """
    code, given = command.__code__, [word for word in words if word not in _FLAGS]
    flags = {_FLAGS[word]: True for word in words if word in _FLAGS}
    names, optional = code.co_varnames[: code.co_argcount], len(command.__defaults__ or ())
    if any(path.startswith("-") for path in given) or not flags.keys() <= (command.__kwdefaults__ or {}).keys():
        return None
    if names == ("paths",):
        return partial(command, given, **flags) if given else None
    return partial(command, *given, **flags) if len(names) - optional <= len(given) <= len(names) else None


def typer_app(names: Iterable[str]) -> "typer.Typer":
    """The commands of some names as typer reads them, with their words and help."""
    import typer

    from kinspect.commands import options

    def end(status: int, **_: object) -> None:
        raise typer.Exit(status)

    app = typer.Typer(
        name="kinspect",
        help="Inspect the artifacts of a Linux ARM64 kernel build. Exit status: 0 good or same, 1 not, 2 trouble.",
        callback=options.options,
        result_callback=end,
        add_completion=False,
        no_args_is_help=True,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    for name in names:
        app.command(name)(_with_types(_command(name)))
    return app


def _with_types(command: Callable[..., int]) -> Callable[..., int]:
    """A command with the types of its parameters in place of their names, as typer needs them.

    Commands name them as strings, so that a plain call does not import typer.
    """
    from functools import wraps
    from inspect import signature, unwrap
    from typing import get_type_hints

    from kinspect.commands import options

    types = get_type_hints(command, {**unwrap(command).__globals__, "options": options}, include_extras=True)
    parameters = [one.replace(annotation=types[name]) for name, one in signature(command).parameters.items()]

    @wraps(command)
    def typed(**given: object) -> int:
        return command(**given)

    typed.__signature__ = signature(command).replace(parameters=parameters, return_annotation=int)  # type: ignore[attr-defined]
    typed.__annotations__ = types
    return typed


def _run_by_typer(words: list[str]) -> None:
    """Run a command whose words typer reads. It always raises SystemExit."""
    # The command that is called, or all when that is none: typer takes its time over each.
    app = typer_app(words[:1] if words and words[0] in COMMANDS else COMMANDS)
    app(words, prog_name="kinspect")


def main(arguments: list[str]) -> int:
    """Run one command and return its exit status; whatever goes wrong is one line and status 2."""
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    try:
        call = plain_call(_command(arguments[0]), arguments[1:]) if arguments and arguments[0] in COMMANDS else None
        if call:
            return call()
        _run_by_typer(arguments)
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 2
    except KeyboardInterrupt:
        return 130
    except KinspectError as error:
        print(f"kinspect: {error}", file=sys.stderr)
    except OSError as error:
        print(f"kinspect: cannot write: {error.strerror}", file=sys.stderr)
    except Exception as error:
        place = error.__traceback__
        while place and place.tb_next:
            place = place.tb_next
        where = f" ({os.path.basename(place.tb_frame.f_code.co_filename)}:{place.tb_lineno})" if place else ""
        print(f"kinspect: internal error: {type(error).__name__}: {error}{where}", file=sys.stderr)
    return 2
