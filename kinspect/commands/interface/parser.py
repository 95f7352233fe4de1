"""What typer shows besides the parameters of a command: its usage and examples, and the options before a command."""

from typing import Annotated, Any

import typer
import typer.core

from kinspect.commands.interface.options import Color
from kinspect.reports.terminal import COLOUR


class WithExamples(typer.core.TyperCommand):
    """A command whose help ends with examples, and whose usage names arguments as man pages do."""

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        """The parts of the usage line. Typer puts required arguments in braces, which stand for alternatives."""
        return [piece.removeprefix("{").removesuffix("}") for piece in super().collect_usage_pieces(ctx)]

    def format_epilog(self, ctx: Any, formatter: Any) -> None:
        """Write the examples of the command, if it has any."""
        from kinspect.commands.interface.examples import EXAMPLES

        examples = EXAMPLES.get(self.name or "", ())
        if examples:
            with formatter.section("Examples"):
                formatter.write("\n".join(f"  # {purpose}\n  {command}\n" for purpose, command in examples))


def _version(wanted: bool) -> None:
    if wanted:
        from kinspect import __version__

        typer.echo(f"kinspect {__version__}")
        raise typer.Exit


def options(
    version: Annotated[
        bool, typer.Option("--version", "-V", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
    color: Color = "auto",
) -> None:
    """Options before the command."""
    if color != "auto":
        COLOUR.set(color)
