"""Arguments that are not plain: help, a path without a command, `-` for standard input; and usage errors in one line.

Imported only when typer must parse the arguments, or nobody knows the command.
"""

import os
import stat
import sys
from collections.abc import Collection, Iterator, Sequence
from fcntl import F_GETFL, fcntl
from itertools import pairwise
from typing import Any, NoReturn

from kinspect.errors import (
    KinspectError,
    Location,
    MalformedError,
    UnreadableError,
    UnsupportedError,
    UnwritableError,
    did_you_mean,
)
from kinspect.source import STDIN

SHORT_HELP = """\
kinspect inspects the output of a Linux arm64 kernel build. Three to try first:

  kinspect check out            Is every file of this build valid, and do all
                                come from the same build?
  kinspect size out/vmlinux     Where does every byte of the kernel go?
  kinspect log build.log        How did this build end, and where did it fail?

`kinspect PATH...` is `kinspect check PATH...`.
`kinspect help` lists all commands, and `kinspect help COMMAND` explains one."""
"""What kinspect prints without arguments."""
LARGEST_INPUT = 2 << 30
"""Bytes of a pipe that are kept: of a vmlinux with debug information too."""
WITH_TABLE = ("size", "symbols", "vmlinux --table", "depmod")
"""The commands that can print a table as CSV."""
_FLAGS = ("--json", "--quiet", "-q")
_NOT_INPUT = (
    *("-o", "--out", "--html", "--cmdline", "--explain-command"),
    *(
        "--match",
        "--types",
        "--symbol",
        "--find",
        "--at",
        "--field",
        "-F",
        "--section",
        "--table",
        "--path",
        "--part",
        "--function",
    ),
    *("--by", "--sort", "--domain", "--depth", "--top", "--ranges", "--require", "--ignore", "--select"),
    *("--format", "--limit", "--color", "--file-version", "--kmod", "--dtc"),
)
"""Options whose value is not a file to read."""
_STEP = 1 << 20


def full_command(arguments: Sequence[str], commands: Collection[str]) -> list[str]:
    """The arguments with the command that is meant first, or --help. MalformedError for an unknown command."""
    rest = list(arguments)
    if rest[0] in ("-h", "--help") and rest[1:2] and rest[1] in commands:
        return [rest[1], "--help"]
    flags = []
    while rest and rest[0] in _FLAGS:
        flags.append(rest.pop(0))
    if not rest or (rest[0].startswith("-") and rest[0] != "-"):
        return list(arguments)
    first, *others = rest
    if first == "help":
        return _help(others, commands)
    if first in commands:
        return _with_input([first, *flags, *others])
    if first == "-" or "/" in first or os.path.lexists(first):
        return _with_input(["check", *flags, *rest])
    near = did_you_mean(first, [*commands, "help", "--version"]) or " (`kinspect help` lists the commands)"
    raise MalformedError(f"no such command or file{near}", Location(first or "''"))


def _help(names: list[str], commands: Collection[str]) -> list[str]:
    if not names or names[0] == "help" or names[0].startswith("-"):
        return ["--help"]
    if names[0] not in commands:
        near = did_you_mean(names[0], commands) or " (`kinspect help` lists them)"
        raise MalformedError(f"no such command{near}", Location(names[0]))
    return [names[0], "--help"]


def _with_input(arguments: list[str]) -> list[str]:
    """The arguments with the path of standard input for `-`, which becomes a file that can be read at any offset."""
    if arguments[0] in ("log", "trace"):  # which read it line by line
        return arguments
    places = [
        number
        for number, (before, argument) in enumerate(pairwise(arguments), start=1)
        if (argument == "-" and before not in _NOT_INPUT)
        or (argument.startswith("--") and argument.endswith("=-") and argument[:-2] not in _NOT_INPUT)
    ]
    if len(places) > 1:
        raise MalformedError("used twice", Location("-"), expected="standard input for one file only")
    for number in places:
        keep_input()
        # `kinspect file` names it as file does.
        if arguments[0] != "file":
            arguments[number] = f"{arguments[number][:-1]}{STDIN}"
    return arguments


def keep_input() -> None:
    """Let standard input be a regular file: a pipe is copied to a temporary one. Raises KinspectError."""
    at = Location("standard input")
    # What a shell has closed was opened for writing only.
    if sys.stdin is None or fcntl(0, F_GETFL) & os.O_ACCMODE == os.O_WRONLY:
        raise UnreadableError("closed", at)
    mode = os.fstat(0).st_mode
    if not (stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode) or os.isatty(0)):
        return
    import tempfile

    total = 0
    try:
        with tempfile.TemporaryFile() as file:
            while piece := _piece(at):
                total += len(piece)
                if total > LARGEST_INPUT:
                    problem = "too long: write it to a file first"
                    raise UnsupportedError(problem, at, expected=f"at most {LARGEST_INPUT:,} bytes")
                file.write(piece)
            file.flush()
            os.dup2(file.fileno(), 0)
    except OSError as reason:
        problem = f"cannot write: {reason.strerror} (set TMPDIR to another folder)"
        raise UnwritableError(problem, Location(tempfile.gettempdir())) from reason


def _piece(at: Location) -> bytes:
    try:
        return os.read(0, _STEP)
    except OSError as reason:
        raise UnreadableError(reason.strerror or "unreadable", at) from reason


def refuse_conflicts(command: str, arguments: dict[str, Any]) -> None:
    """Raise MalformedError for options that exclude each other, before anything is read or written."""
    form = arguments.get("form", "text")
    if arguments.get("json") and form not in ("text", "json"):
        raise MalformedError("not possible with --json", Location(f"--format {form}"))
    whole = f"{command} --table" if arguments.get("table") else command
    if form == "csv" and whole not in WITH_TABLE:
        raise MalformedError(
            f"{command} has no table", Location("--format csv"), expected=f"one of {', '.join(WITH_TABLE)}"
        )


def reraise_as_one_line(error: Exception, arguments: Sequence[str]) -> NoReturn:
    """Raise a usage error of typer as a KinspectError, and any other error as it is."""
    if isinstance(error, KinspectError) or not hasattr(error, "format_message"):
        raise error
    raise _usage_error(error, arguments) from error


def _usage_error(error: Any, arguments: Sequence[str]) -> MalformedError:
    context: Any = getattr(error, "ctx", None)
    kind = type(error).__name__
    command = context.info_name if context and context.parent else ""
    manual = f"`kinspect help {command}`" if command else "`kinspect help`"
    match kind:
        case "NoSuchOption":
            name = error.option_name
            if not command:
                near = did_you_mean(name, ("--version", "--help")) or " (options come after the command)"
                return MalformedError(f"no such option{near}", Location(name))
            known = [option for parameter in context.command.params for option in (*parameter.opts, "--help")]
            near = did_you_mean(name, [option for option in known if option.startswith("--")])
            return MalformedError(f"no such option of {command}{near or f' ({manual} lists them)'}", Location(name))
        case "MissingParameter":
            expected = " ".join(["kinspect", command, *_metavars(context.command)])
            # A file may have the name of a command.
            same = len(arguments) == 1 and os.path.lexists(command)
            hint = f"; `kinspect check {command}` checks the file of that name" if same else ""
            return MalformedError(f"{error.param.metavar} is missing{hint}", Location(command), expected=expected)
        case "BadOptionUsage":
            needs = "requires" in error.message
            return MalformedError("needs a value" if needs else "takes no value", Location(error.option_name))
        case "BadParameter" if error.param is not None:
            name = max(error.param.opts, key=len)
            given = error.message.split("'")
            least = getattr(error.param.type, "min", None)
            expected = "a whole number" + ("" if least is None else f" of at least {least}")
            actual = given[1] if len(given) > 2 else error.message.split(" ")[0]
            return MalformedError("unknown value", Location(name), expected=expected, actual=actual)
    problem = str(error.format_message()).rstrip(".")
    if problem.startswith("Got unexpected extra argument"):
        expected = " ".join(["kinspect", command, *_metavars(context.command)])
        extra = problem.partition("(")[2].partition("(")[2].rstrip(")") or problem.rpartition("(")[2].rstrip(")")
        return MalformedError("too many arguments", Location(command), expected=expected, actual=extra)
    return MalformedError(problem, Location(command or "kinspect"))


def _metavars(command: Any) -> Iterator[str]:
    """The arguments of a command as its help names them."""
    for parameter in command.params:
        if parameter.param_type_name == "argument":
            yield parameter.metavar
