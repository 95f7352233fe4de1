"""The command for the types of a kernel."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from kinspect.commands.interface.output import one_of, print_lines, print_reports, report_or_error
from kinspect.errors import Location, MalformedError

if TYPE_CHECKING:
    from kinspect.commands.interface import options


def types(
    path: options.KernelOrModuleWithTypes,
    names: options.TypeNames = None,
    *,
    find: options.FindMember = None,
    base: options.BaseKernel = None,
    form: options.TypesFormat = "text",
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> int:
    """Show the types in a kernel or module, and their layout.

    Without a name, count the types and check them.
    """
    from kinspect.inspection.abi import types as inspection
    from kinspect.reports.formats import FORMATS
    from kinspect.reports.terminal import escaped

    if names and not os.path.lexists(path) and os.path.isfile(names[-1]):
        raise MalformedError("no such file; the file comes first, then the names of types", Location(path))
    one_of("--format", form, ("raw", *FORMATS))
    if find is not None and names:
        raise MalformedError("not possible with the name of a type", Location("--find"), actual=names[0])
    if form == "raw" and not json and not quiet:
        lines = inspection.raw_types(path, base)
        print_lines("\t" * line.startswith("\t") + escaped(line.removeprefix("\t")) for line in lines)
        return 0
    report = report_or_error(inspection.types, path, names or (), base, find)
    return print_reports([report], json, quiet, form="text" if form == "raw" else form)
