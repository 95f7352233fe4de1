"""What the words after a command are, and what its help says of them: the types of the commands' parameters.

Only this module imports typer, and the command line imports this module only when typer must read the words.
"""

from typing import Annotated

import typer

Json = Annotated[bool, typer.Option("--json", help="Print one JSON document (docs/report.schema.json).")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing; the exit status tells.")]

Images = Annotated[list[str], typer.Argument(metavar="IMAGE...", help="Kernel images.")]
Files = Annotated[list[str], typer.Argument(metavar="PATH...", help="Files of any kind.")]
Vmlinux = Annotated[str, typer.Argument(metavar="VMLINUX", help="The linked kernel, an ELF file.")]
ImageOfVmlinux = Annotated[str, typer.Argument(metavar="IMAGE", help="The Image that was made from it.")]
ImageForSums = Annotated[str | None, typer.Argument(metavar="[IMAGE]", help="The Image, to prove the sums on.")]
CheckId = Annotated[str | None, typer.Argument(metavar="[ID]", help="The check to explain.")]
Brief = Annotated[bool, typer.Option("--brief", "-b", help="Do not print the names.")]
Follow = Annotated[bool, typer.Option("--dereference", "-L", help="Follow symbolic links.")]
FileVersion = Annotated[str, typer.Option(metavar="VERSION", help="Print as this file(1) does.")]
TableName = Annotated[str | None, typer.Option(metavar="NAME", help="List the entries of one table.")]
Ranges = Annotated[int, typer.Option(metavar="N", min=0, help="Show the first N ranges that differ.")]
Sort = Annotated[str, typer.Option(metavar="address|size|name", help="The order of the sections.")]

Modules = Annotated[list[str], typer.Argument(metavar="KO...", help="Modules, plain or compressed.")]
ModuleField = Annotated[str | None, typer.Option("--field", "-F", metavar="FIELD", help="One field, as modinfo.")]
Null = Annotated[bool, typer.Option("--null", "-0", help="End values with NUL, as modinfo.")]
Modinfo = Annotated[bool, typer.Option("--modinfo", help="Print exactly what modinfo prints.")]
Providers = Annotated[str | None, typer.Option(metavar="MODULE_SYMVERS", help="Tell who provides what a module needs.")]
Symvers = Annotated[str, typer.Argument(metavar="MODULE_SYMVERS", help="The exports of a build.")]
Folder = Annotated[str, typer.Argument(metavar="FOLDER", help="lib/modules/RELEASE, or any folder of modules.")]
Kernel = Annotated[str | None, typer.Option("--vmlinux", metavar="VMLINUX_OR_IMAGE", help="Hold it against a kernel.")]
AgainstModules = Annotated[str | None, typer.Option(metavar="FOLDER", help="Hold it against modules.")]
AgainstSymvers = Annotated[str | None, typer.Option(metavar="MODULE_SYMVERS", help="Hold them against exports.")]
Out = Annotated[str | None, typer.Option("-o", "--out", metavar="OUT", help="Write there instead.")]
Kmod = Annotated[int, typer.Option(metavar="VERSION", help="Write as this kmod does.")]
Old = Annotated[str, typer.Argument(metavar="OLD", help="The Module.symvers that modules were built for.")]
New = Annotated[str, typer.Argument(metavar="NEW", help="The Module.symvers of the new kernel.")]
Rules = Annotated[str | None, typer.Option(metavar="FILE", help="What may change, as SUSE's rules say it.")]
AbiFormat = Annotated[str, typer.Option("--format", metavar="text|ksymvers", help="How to say it.")]
KernelAndModules = Annotated[
    list[str],
    typer.Argument(metavar="IMAGE_OR_VMLINUX MODULE_OR_FOLDER...", help="A kernel, then modules and folders of them."),
]
Order = Annotated[str | None, typer.Option(metavar="FILE", help="Load the modules that it names, in its order.")]
Config = Annotated[str | None, typer.Option(metavar="FILE", help="The kernel's .config.")]
Cmdline = Annotated[str, typer.Option(metavar="TEXT", help="The kernel's command line.")]
Certificates = Annotated[
    list[str] | None, typer.Option(metavar="FILE", help="A certificate that is trusted too, PEM or DER; repeatable.")
]
Every = Annotated[bool, typer.Option("--all", help="List every change, not the first of each kind.")]


def _version(wanted: bool) -> None:
    if wanted:
        from kinspect import __version__

        typer.echo(f"kinspect {__version__}")
        raise typer.Exit


def options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Options before the command."""
