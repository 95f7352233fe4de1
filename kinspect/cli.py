"""The command line: words in, one call, words out. Typer reads the words; each command imports what it runs."""

import os
import sys
from importlib import import_module
from typing import Annotated

import typer

app = typer.Typer(
    name="kinspect",
    help="Inspect the artifacts of a Linux ARM64 kernel build. Exit status: 0 good or same, 1 not, 2 trouble.",
    add_completion=False,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

COMMANDS = {
    "image": "kernel",
    "file": "kernel",
    "vmlinux": "kernel",
    "diff": "kernel",
    "size": "kernel",
    "module": "modules",
    "symvers": "modules",
    "modules": "modules",
    "depmod": "modules",
    "abi": "modules",
    "checks": "kernel",
}
"""Each command, in the order of the help, with the module of kinspect.commands that has it."""


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


def _register(words: list[str]) -> None:
    """Give typer the command that is called, or all when that is none: it takes its time over each."""
    # main may run more than once in a process.
    app.registered_commands.clear()
    for name in words[:1] if words and words[0] in COMMANDS else COMMANDS:
        app.command(name)(getattr(import_module(f"kinspect.commands.{COMMANDS[name]}"), name))


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
