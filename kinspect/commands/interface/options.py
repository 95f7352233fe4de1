"""The types of the commands' parameters: arguments and options, with their help.

Only this module and parser.py import typer, and the command line imports them only when typer must parse the arguments.
"""

from typing import Annotated

import typer

from kinspect.commands.interface.output import one_of
from kinspect.reports.formats import FORMATS
from kinspect.reports.terminal import WHEN


def _form(value: str) -> str:
    # Checked before the command starts: its work may take long, or write files.
    one_of("--format", value, FORMATS)
    return value


Json = Annotated[bool, typer.Option("--json", help="Print one JSON document (docs/report.schema.json).")]
Form = Annotated[
    str, typer.Option("--format", metavar="|".join(FORMATS), callback=_form, help="The format of the report.")
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing; only set the exit status.")]

Limit = Annotated[
    str | None,
    typer.Option("--limit", metavar="SIZE", help="Limit the unpacked size of a file, and the memory used for it."),
]

Images = Annotated[list[str], typer.Argument(metavar="IMAGE...", help="Kernel images.")]
Image = Annotated[str, typer.Argument(metavar="IMAGE", help="A kernel image, compressed or not.")]
ElfOut = Annotated[str | None, typer.Option("-o", "--out", metavar="OUT", help="The file to write.")]
UnpackedOut = Annotated[
    str | None, typer.Option("-o", "--out", metavar="OUT", help="The file to write; - is standard output.")
]
ListParts = Annotated[bool, typer.Option("--list", help="List the parts of a boot loader's container.")]
PartName = Annotated[
    str | None,
    typer.Option("--part", metavar="NAME", help="Write this part unchanged: kernel, ramdisk, dtb, cmdline ..."),
]
KernelOrModule = Annotated[
    str, typer.Argument(metavar="IMAGE_OR_VMLINUX_OR_MODULE", help="A kernel, compressed or not, or configs.ko.")
]
Files = Annotated[list[str], typer.Argument(metavar="PATH...", help="Files of any kind.")]
Vmlinux = Annotated[str, typer.Argument(metavar="VMLINUX", help="The linked kernel, an ELF file.")]
VmlinuxOrOld = Annotated[
    str, typer.Argument(metavar="VMLINUX", help="The linked kernel, an ELF file; or the older of two kernels.")
]
SizedKernel = Annotated[
    str, typer.Argument(metavar="VMLINUX", help="The linked kernel, an ELF file; or an Image if there is none.")
]
ImageOfVmlinux = Annotated[
    str, typer.Argument(metavar="IMAGE", help="The Image to compare with it; or the newer of two kernels.")
]
ImageForSums = Annotated[str | None, typer.Argument(metavar="[IMAGE]", help="Compare the totals with this Image.")]
CheckId = Annotated[str | None, typer.Argument(metavar="[ID]", help="The check to explain.")]
Hardening = Annotated[
    bool, typer.Option("--hardening", help="Show how the code is hardened, and compare that with the .config.")
]
ConfigFile = Annotated[
    str | None,
    typer.Option("--config", metavar="FILE", help="The .config for --hardening, instead of the one found."),
]
Brief = Annotated[bool, typer.Option("--brief", "-b", help="Leave out the file names.")]
Follow = Annotated[bool, typer.Option("--dereference", "-L", help="Follow symbolic links.")]
FileVersion = Annotated[str, typer.Option(metavar="VERSION", help="The version of file(1) to imitate.")]
TableName = Annotated[str | None, typer.Option(metavar="NAME", help="List the entries of this table.")]
Ranges = Annotated[
    int | None, typer.Option(metavar="N", min=0, help="Show the first N differences, even between different builds.")
]
OneFunction = Annotated[
    str | None, typer.Option("--function", metavar="NAME", help="Compare one function of two kernels, as assembly.")
]
Sort = Annotated[str, typer.Option(metavar="address|size|name", help="The order of the sections.")]
By = Annotated[
    list[str] | None,
    typer.Option(metavar="GROUPING,...", help="Group by section, segment, kind, folder, source, object, symbol."),
]
Against = Annotated[str | None, typer.Option(metavar="OLD_VMLINUX", help="Show what grew since an older build.")]
Depth = Annotated[int | None, typer.Option(metavar="N", min=1, help="Show folders down to level N.")]
Top = Annotated[int | None, typer.Option(metavar="N", min=0, help="List N groups at each level; 0 lists all.")]
OneSection = Annotated[str | None, typer.Option("--section", metavar="NAME", help="Count one section only.")]
Match = Annotated[str | None, typer.Option(metavar="REGEX", help="Show groups whose path matches; sum up the rest.")]
Domain = Annotated[
    str, typer.Option(metavar="memory|file|vmlinux", help="Count bytes in memory, in the Image, or in vmlinux.")
]
Csv = Annotated[bool, typer.Option("--csv", help="Same as --format csv.")]
MapFile = Annotated[
    str | None, typer.Option("--map", metavar="FILE", help="Read the objects from the linker map, vmlinux.map.")
]
Budget = Annotated[str | None, typer.Option(metavar="FILE", help="Check the sizes against limits (docs/sizes.md).")]
Savings = Annotated[bool, typer.Option("--savings", "--waste", help="Show what could be saved.")]
Html = Annotated[str | None, typer.Option(metavar="FILE", help="Write an HTML page.")]

BuildPaths = Annotated[
    list[str], typer.Argument(metavar="PATH...", help="Build folders, module folders, packages, files.")
]
Require = Annotated[
    list[str] | None,
    typer.Option(metavar="PIECE,...", help="Report an error if one of these is missing: image, vmlinux, modules ..."),
]
Ignore = Annotated[list[str] | None, typer.Option(metavar="ID,...", help="Ignore the findings of these checks.")]
Select = Annotated[list[str] | None, typer.Option(metavar="ID,...", help="Report only the findings of these checks.")]
PolicyFile = Annotated[
    str | None, typer.Option("--policy", metavar="FILE", help="The policy to use instead of kinspect.toml.")
]

Modules = Annotated[list[str], typer.Argument(metavar="KO...", help="Modules, plain or compressed.")]
ModuleField = Annotated[
    str | None, typer.Option("--field", "-F", metavar="FIELD", help="Print one field, like modinfo.")
]
Author = Annotated[bool, typer.Option("--author", "-a", help="Print only the author, like modinfo.")]
Description = Annotated[bool, typer.Option("--description", "-d", help="Print only the description, like modinfo.")]
License = Annotated[bool, typer.Option("--license", "-l", help="Print only the license, like modinfo.")]
Parameters = Annotated[bool, typer.Option("--parameters", "-p", help="Print only the parameters, like modinfo.")]
Filename = Annotated[bool, typer.Option("--filename", "-n", help="Print only the file name, like modinfo.")]
Null = Annotated[bool, typer.Option("--null", "-0", help="Separate values with NUL, like modinfo.")]
Modinfo = Annotated[bool, typer.Option("--modinfo", help="Print exactly what modinfo prints.")]
Providers = Annotated[
    str | None, typer.Option(metavar="MODULE_SYMVERS", help="Show which module exports each needed symbol.")
]
Symvers = Annotated[str, typer.Argument(metavar="MODULE_SYMVERS", help="The exports of a build.")]
Folder = Annotated[str, typer.Argument(metavar="FOLDER", help="lib/modules/RELEASE, or any folder of modules.")]
Kernel = Annotated[str | None, typer.Option("--vmlinux", metavar="VMLINUX_OR_IMAGE", help="Compare with this kernel.")]
AgainstModules = Annotated[str | None, typer.Option(metavar="FOLDER", help="Compare with these modules.")]
AgainstSymvers = Annotated[str | None, typer.Option(metavar="MODULE_SYMVERS", help="Compare with these exports.")]
Out = Annotated[
    str | None, typer.Option("-o", "--out", metavar="OUT", help="Write to this folder instead; - prints the texts.")
]
Config = Annotated[
    list[str] | None,
    typer.Option("-C", "--config", metavar="PATH,...", help="Files or folders of depmod.d to use, like depmod -C."),
]
Kmod = Annotated[int, typer.Option(metavar="VERSION", help="The version of kmod to imitate.")]
Old = Annotated[
    str,
    typer.Argument(
        metavar="OLD", help="The kernel that modules were built for: Module.symvers, vmlinux, Image, folder."
    ),
]
New = Annotated[str, typer.Argument(metavar="NEW", help="The new kernel, in any of these forms.")]
Symbols = Annotated[
    list[str] | None, typer.Option("--symbol", metavar="NAME,...", help="Explain these exports, or those of a pattern.")
]
BuiltFor = Annotated[
    str | None,
    typer.Option("--built-for", metavar="KERNEL", help="The kernel of these modules: show the types that differ."),
]
TypesMatching = Annotated[
    str | None, typer.Option("--types", metavar="REGEX", help="List only the changed types that match.")
]
Rules = Annotated[str | None, typer.Option(metavar="FILE", help="Changes to tolerate, in SUSE's syntax.")]
AbiFormat = Annotated[
    str, typer.Option("--format", metavar="ksymvers|" + "|".join(FORMATS), help="The format of the report.")
]
KernelAndModules = Annotated[
    list[str],
    typer.Argument(
        metavar="IMAGE_OR_VMLINUX MODULE_OR_FOLDER...", help="A kernel, followed by modules or folders of modules."
    ),
]
Order = Annotated[
    str | None, typer.Option(metavar="FILE", help="Load the modules that this file lists, in that order.")
]
DotConfig = Annotated[str | None, typer.Option(metavar="FILE", help="The kernel's .config.")]
Cmdline = Annotated[str, typer.Option(metavar="TEXT", help="The kernel's command line.")]
Certificates = Annotated[
    list[str] | None, typer.Option(metavar="FILE,...", help="Trust these certificates too, PEM or DER.")
]
Every = Annotated[bool, typer.Option("--all", help="List every change, not only the first of each kind.")]

KernelOrModuleWithTypes = Annotated[
    str, typer.Argument(metavar="KERNEL_OR_MODULE", help="A vmlinux, an Image (compressed or not), a module, or BTF.")
]
TypeNames = Annotated[
    list[str] | None, typer.Argument(metavar="[NAME...]", help="Types: device, 'struct device', 'dev_*'.")
]
FindMember = Annotated[str | None, typer.Option(metavar="MEMBER", help="List the structs that have this member.")]
BaseKernel = Annotated[
    str | None, typer.Option("--base", "-B", metavar="KERNEL", help="The kernel whose types a module continues.")
]
TypesFormat = Annotated[
    str,
    typer.Option("--format", metavar="raw|" + "|".join(FORMATS), help="The format of the report; raw is bpftool's."),
]

InitramfsFile = Annotated[str, typer.Argument(metavar="FILE", help="An initramfs, or a kernel or boot image with one.")]
StartedKernel = Annotated[
    str | None,
    typer.Option("--kernel", metavar="IMAGE_OR_VMLINUX", help="Check that this kernel would load the modules."),
]
FirmwareFolders = Annotated[
    list[str] | None,
    typer.Option("--firmware", metavar="FOLDER,...", help="Look for firmware in these folders too."),
]
ListNames = Annotated[bool, typer.Option("--list", help="List the names of all members, as cpio -t does.")]
KernelOrModuleWithSymbols = Annotated[
    str, typer.Argument(metavar="KERNEL_OR_MODULE", help="An Image (compressed or not), a vmlinux, or a module.")
]
MatchSymbols = Annotated[
    str | None, typer.Option("--match", metavar="GLOB_OR_REGEX", help="List only the symbols whose name matches.")
]
AtAddress = Annotated[
    list[str] | None, typer.Option("--at", metavar="ADDRESS,...", help="Show the symbols at these addresses.")
]
LoadAddress = Annotated[
    str | None, typer.Option("--at", metavar="ADDRESS", help="Show what the kernel needs at this load address.")
]
BaseAddress = Annotated[str | None, typer.Option("--base", metavar="ADDRESS", help="Use this as the address of _text.")]
SymbolsFormat = Annotated[
    str, typer.Option("--format", metavar="nm|kallsyms|" + "|".join(FORMATS), help="The format of the list.")
]

Dtbs = Annotated[list[str], typer.Argument(metavar="DTB...", help="Device trees, overlays, FIT images.")]
Tree = Annotated[bool, typer.Option("--tree", help="Print the source of the tree, as dtc does.")]
NodePath = Annotated[str | None, typer.Option("--path", metavar="NODE", help="Print the source of one node.")]
Onto = Annotated[
    str | None, typer.Option(metavar="BASE", help="Apply the overlays to this device tree, in order, as fdtoverlay.")
]
MergedOut = Annotated[
    str | None, typer.Option("-o", "--out", metavar="OUT", help="Write the merged tree; - is standard output.")
]
DtcVersion = Annotated[str, typer.Option("--dtc", metavar="VERSION", help="The version of fdtoverlay to imitate.")]
Log = Annotated[
    str | None, typer.Argument(metavar="[FILE|-|TAG]", help="The output of make (- for standard input), or a tag.")
]
BuildFolder = Annotated[str | None, typer.Option(metavar="FOLDER", help="Compare with this O= folder.")]
Through = Annotated[
    bool, typer.Option("--through", help="Copy standard input to standard output; report on standard error.")
]
Explain = Annotated[bool, typer.Option("--explain", help="Explain a tag, such as MODPOST; list all without one.")]
ExplainCommand = Annotated[
    str | None,
    typer.Option(metavar="COMMAND|FILE", help="Explain each word of a command of make V=1 or a .cmd file."),
]


def _color(value: str) -> str:
    one_of("--color", value, WHEN)
    return value


Color = Annotated[
    str, typer.Option("--color", metavar="|".join(WHEN), callback=_color, help="Whether to colour the output.")
]

TracedKernel = Annotated[
    str,
    typer.Argument(metavar="KERNEL", help="A vmlinux, an Image (compressed or not), or a folder or package with one."),
]
KernelLog = Annotated[
    str | None, typer.Argument(metavar="[LOG]", help="The kernel log; standard input if - or omitted.")
]
TracedModules = Annotated[
    list[str] | None,
    typer.Option(
        "--modules", metavar="PATH,...", help="Look for modules and their debug files here: folders, packages."
    ),
]
TraceAt = Annotated[
    list[str] | None,
    typer.Option("--at", metavar="ADDRESS,...", help="Decode these addresses (or foo+0x10), not a log."),
]
