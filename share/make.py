"""Writes the man page and the completions for shells, from the commands themselves: `python share/make.py`.

They lie in share/ as an installation has them; a test holds what is committed against what this writes.
"""

from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

from kinspect import __version__
from kinspect.cli import COMMANDS, typer_app
from kinspect.commands.interface.examples import EXAMPLES
from kinspect.reports.formats import WRITERS

SHARE = Path(__file__).parent
NO_FILES = {"NAME", "N", "VERSION", "FIELD", "REGEX", "GROUPING,..."}
"""Values that are no files. Those that have a bar are choices."""
SUMMARY = "inspect the output of a Linux arm64 kernel build"
CHECK_IDS = "kinspect checks 2>/dev/null | cut -d ' ' -f 1"


class Option(NamedTuple):
    """An option: its names, the name of its value (empty for a flag), its help."""

    names: tuple[str, ...]
    value: str
    help: str

    @property
    def choices(self) -> list[str]:
        """The values it takes, when they are given."""
        return self.value.split("|") if "|" in self.value else []

    @property
    def takes_file(self) -> bool:
        """Whether its value is a path."""
        return bool(self.value) and not self.choices and self.value not in NO_FILES

    @property
    def shown(self) -> str:
        """`-o, --out OUT`."""
        return ", ".join(sorted(self.names, key=len)) + (f" {self.value}" if self.value else "")


class Command(NamedTuple):
    """A command: its name, what it does, its arguments with their help, its options."""

    name: str
    help: str
    arguments: tuple[tuple[str, str], ...]
    options: tuple[Option, ...]

    @property
    def title(self) -> str:
        """The first line of its help."""
        return self.help.split("\n", 1)[0]


def commands() -> list[Command]:
    """Every command, as typer reads it."""
    import typer

    group: Any = typer.main.get_command(typer_app(COMMANDS))
    return [_command(name, command) for name, command in group.commands.items()]


def _command(name: str, command: Any) -> Command:
    arguments, options = [], []
    for one in command.params:
        if one.param_type_name == "argument":
            arguments.append((one.metavar, one.help))
        else:
            options.append(Option((*one.opts,), "" if one.is_flag else one.metavar, one.help))
    return Command(name, command.help, tuple(arguments), (*options, Option(("--help", "-h"), "", "Show help.")))


def bash(every: list[Command]) -> str:
    """The completion for bash. Where it offers nothing, bash offers files."""
    options = [f"    {one.name}) options='{_words(one)}' ;;" for one in every]
    values = [
        f"    {command.name}:{name}) choices='{' '.join(option.choices)}' ;;"
        for command in every
        for option in command.options
        for name in option.names
        if option.choices
    ]
    lines = [
        "# kinspect: completion for bash. Written by share/make.py.",
        "_kinspect() {",
        "  local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]} options= choices=",
        "  # --format=json comes as three words.",
        "  if [[ $word == = ]]; then word=",
        "  elif [[ $before == = ]]; then before=${COMP_WORDS[COMP_CWORD-2]}; fi",
        "  COMPREPLY=()",
        "  if ((COMP_CWORD == 1)); then",
        f"    choices='{' '.join(one.name for one in every)} -V --version --color --help'",
        "  fi",
        "  case ${COMP_WORDS[1]} in",
        *options,
        "  esac",
        "  case ${COMP_WORDS[1]}:$before in",
        *values,
        f"    checks:checks) [[ $word == -* ]] || choices=$({CHECK_IDS}) ;;",
        "  esac",
        "  if [[ -z $choices && $word == -* ]]; then choices=$options; fi",
        '  [[ -z $choices ]] || mapfile -t COMPREPLY < <(compgen -W "$choices" -- "$word")',
        "}",
        "complete -o bashdefault -o default -F _kinspect kinspect",
    ]
    return "\n".join(lines) + "\n"


def zsh(every: list[Command]) -> str:
    """The completion for zsh."""
    lines = [
        "#compdef kinspect",
        "# kinspect: completion for zsh. Written by share/make.py.",
        "_kinspect() {",
        "  local -a commands ids",
        "  if (( CURRENT == 2 )); then",
        "    commands=(",
        *(f"      {_quoted(f'{one.name}:{one.title}')}" for one in every),
        "    )",
        "    _describe command commands",
        "    _arguments '(-V --version)'{-V,--version}'[Print the version and exit.]' "
        "'--color[Whether to colour the output.]:when:(auto always never)' '(-h --help)'{-h,--help}'[Show help.]'",
        "    return",
        "  fi",
        "  shift words",
        "  (( CURRENT-- ))",
        "  case $words[1] in",
    ]
    for command in every:
        ids = command.name == "checks"
        if ids:
            lines += [f"    {command.name})", f'      ids=(${{(f)"$({CHECK_IDS})"}})']
        else:
            lines.append(f"    {command.name})")
        files = "*:check:compadd -a ids" if ids else "*:file:_files"
        options = [f"        {_zsh_option(option)} \\" for option in command.options]
        lines += ["      _arguments \\", *options, f"        {_quoted(files)} ;;"]
    return "\n".join([*lines, "  esac", "}", '_kinspect "$@"']) + "\n"


def _zsh_option(option: Option) -> str:
    message = option.help.replace("[", r"\[").replace("]", r"\]").replace(":", r"\:")
    value = ""
    if option.value:
        action = f"({' '.join(option.choices)})" if option.choices else "_files" if option.takes_file else ""
        value = f":{'value' if option.choices else option.value}:{action}"
    spec = _quoted(f"[{message}]{value}")
    names = [name + ("" if not option.value else "=" if name.startswith("--") else "+") for name in option.names]
    return names[0] + spec if len(names) == 1 else f"'({' '.join(option.names)})'{{{','.join(names)}}}{spec}"


def fish(every: list[Command]) -> str:
    """The completion for fish."""
    lines = ["# kinspect: completion for fish. Written by share/make.py."]
    lines += [
        f"complete -c kinspect -n __fish_use_subcommand -f -a {one.name} -d {_fish_quoted(one.title)}" for one in every
    ]
    lines.append("complete -c kinspect -n __fish_use_subcommand -s V -l version -d 'Print the version and exit.'")
    for command in every:
        head = f"complete -c kinspect -n '__fish_seen_subcommand_from {command.name}'"
        for option in command.options:
            names = [f"-l {name[2:]}" if name.startswith("--") else f"-s {name[1:]}" for name in option.names]
            value = ["-r" if option.takes_file else "-x"] if option.value else []
            value += [f"-a '{' '.join(option.choices)}'"] if option.choices else []
            lines.append(" ".join([head, *names, *value, "-d", _fish_quoted(option.help)]))
        if command.name == "checks":
            lines.append(f'{head} -f -a "({CHECK_IDS})"')
    return "\n".join(lines) + "\n"


def _words(command: Command) -> str:
    return " ".join(name for option in command.options for name in option.names)


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"


def _fish_quoted(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def man(every: list[Command]) -> str:
    """kinspect(1), for groff and mandoc."""
    template = (SHARE / "kinspect.1.in").read_text()
    parts: list[str] = []
    for command in every:
        usage = " ".join(f"\\fI{_roff(name)}\\fR" for name, _ in command.arguments)
        parts += [f".SS kinspect {command.name} {usage} [\\fIOPTION\\fR]...".replace("  ", " "), _roff(command.help)]
        for name, help_text in command.arguments:
            parts += [".TP", f"\\fI{_roff(name)}\\fR", _roff(help_text)]
        for option in command.options[:-1]:
            parts += [".TP", f"\\fB{_roff(option.shown)}\\fR", _roff(option.help)]
        for purpose, line in EXAMPLES.get(command.name, ()):
            parts += [".PP", f"Example: {_roff(purpose)}", ".PP", ".nf", f".RS\n{_roff(line)}\n.RE", ".fi"]
    formats: list[str] = []
    for name, where in WRITERS.items():
        module = import_module(f"kinspect.reports.formats.{where.split(':')[0]}")
        formats += [".TP", f"\\fB{name}\\fR", _roff((module.__doc__ or "").split("\n", 1)[0])]
    text = template.replace("@COMMANDS@", "\n".join(parts)).replace("@FORMATS@", "\n".join(formats))
    return text.replace("@VERSION@", __version__).replace("@SUMMARY@", SUMMARY)


def _roff(text: str) -> str:
    written = text.replace("\\", "\\e").replace("-", "\\-")
    return f"\\&{written}" if written.startswith((".", "'")) else written


MADE = {
    "man/man1/kinspect.1": man,
    "bash-completion/completions/kinspect": bash,
    "zsh/site-functions/_kinspect": zsh,
    "fish/vendor_completions.d/kinspect.fish": fish,
}
"""Each file in share/, with what writes it."""


if __name__ == "__main__":
    described = commands()
    for name, make in MADE.items():
        path = SHARE / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(make(described))
