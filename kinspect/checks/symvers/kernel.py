"""Checks of a Module.symvers against the kernel of its build, a vmlinux or a raw Image."""

from collections.abc import Callable, Iterator

from kinspect.artifacts.boot.image import Image
from kinspect.artifacts.build.symvers import KERNEL, Symvers
from kinspect.artifacts.elf.vmlinux import Vmlinux
from kinspect.checks.check import Evidence, Severity, check
from kinspect.checks.symvers.text import MOST
from kinspect.checks.wording import counted
from kinspect.errors import Location, UnsupportedError
from kinspect.schemas.elf import STT_FILE
from kinspect.views.abi.kernel_match import Difference, DifferingExport, ExportComparison, against_kernel
from kinspect.views.tables.raw_exports import readable_exports

_VALUES = (Difference.CRC, Difference.LICENCE, Difference.NAMESPACE)
"""Differences between two values."""
Place = Callable[[DifferingExport], Location]
LABEL = "__ksymtab_"
EXPORTS_OBJECT = ".vmlinux.export.c"
"""The object with all entries of the tables, which modpost writes since 6.5; before, it held only the CRCs."""


def message_of(mismatch: DifferingExport) -> str:
    """A difference as a sentence."""
    return {
        Difference.MISSING: f"{mismatch.name} is exported but not in Module.symvers",
        Difference.EXTRA: f"{mismatch.name} is in Module.symvers but not exported by {mismatch.module}",
        Difference.MODULE: f"{mismatch.name} is exported by {mismatch.module}, not by {mismatch.actual}",
        Difference.CRC: f"{mismatch.name} has a different CRC in Module.symvers",
        Difference.LICENCE: f"{mismatch.name} has a different type in Module.symvers",
        Difference.NAMESPACE: f"{mismatch.name} has a different namespace in Module.symvers",
    }[mismatch.difference]


def evidence_of(symvers: Symvers, comparison: ExportComparison, place: Place, *kinds: Difference) -> Iterator[Evidence]:
    """The differences of some kinds, the first of them one by one; `place` is where the binary has the export.

    Nothing when nearly everything differs: `build_evidence` reports that once.
    """
    if not comparison.one_build:
        return
    found = comparison.of(*kinds)
    for mismatch in found[:MOST]:
        line = symvers.at(mismatch.name) if mismatch.line is None else symvers.line(mismatch.line, mismatch.name)
        at = (line,) if mismatch.difference == Difference.EXTRA else (line, place(mismatch))
        values = (mismatch.expected, mismatch.actual) if mismatch.difference in _VALUES else ()
        yield Evidence(message_of(mismatch), at, *values)
    if len(found) > MOST:
        yield Evidence(f"and {len(found) - MOST:,} more such exports", (symvers.at(),))


def build_evidence(symvers: Symvers, comparison: ExportComparison, other: Location) -> Iterator[Evidence]:
    """That the two are not from one build, with the numbers of what differs."""
    if not comparison.one_build:
        counts = ((kind, len(comparison.of(kind))) for kind in Difference)
        listed = ", ".join(f"{kind} {count:,}" for kind, count in counts if count)
        count = counted(comparison.differing, "differing export")
        yield Evidence(f"not the same build: {count} ({listed})", (symvers.at(), other))


def _evidence(symvers: Symvers, kernel: Vmlinux | Image, *kinds: Difference) -> Iterator[Evidence]:
    # When the exports cannot be read, the check of the build says so.
    exports = readable_exports(kernel)
    if exports.tables:
        comparison = against_kernel(symvers, kernel)
        yield from evidence_of(symvers, comparison, lambda found: exports.place(found.name), *kinds)


@check(Severity.ERROR)
def symvers_is_of_the_build_of_the_kernel(symvers: Symvers, kernel: Vmlinux | Image) -> Iterator[Evidence]:
    """Module.symvers and the kernel come from one build.

    If more than one export in twenty differs, this finding replaces those on single exports. The kernel refuses modules
    that are built with such a Module.symvers or, worse, loads them. Take both from one build. The exports can also be
    read from the bytes of an Image: neither vmlinux nor symbols are needed.
    Source: scripts/Makefile.modpost.
    """
    return build_evidence(symvers, against_kernel(symvers, kernel), kernel.at())


@check(Severity.ERROR)
def symvers_lists_the_exports_of_the_kernel(symvers: Symvers, kernel: Vmlinux | Image) -> Iterator[Evidence]:
    """Module.symvers has a `vmlinux` line for every export of the kernel, and no others.

    A module that uses an export without a line cannot be built (`"..." undefined!`). A module that uses a line without
    an export can be built, but is refused when it is loaded (`Unknown symbol`). Take both files from one build.
    Source: scripts/mod/modpost.c, write_dump().
    """
    return _evidence(symvers, kernel, Difference.MISSING, Difference.EXTRA, Difference.MODULE)


@check(Severity.ERROR)
def symvers_crcs_are_those_of_the_kernel(symvers: Symvers, kernel: Vmlinux | Image) -> Iterator[Evidence]:
    """Every export of the kernel has the same CRC in the kernel and in Module.symvers (zero if it has none).

    A module gets its CRCs from Module.symvers, and the kernel refuses the module if they differ from the kernel's own
    (`disagrees about version of symbol`). Take both files from one build.
    Source: kernel/module/version.c, check_version().
    """
    return _evidence(symvers, kernel, Difference.CRC)


@check(Severity.ERROR)
def symvers_licences_are_those_of_the_kernel(symvers: Symvers, kernel: Vmlinux | Image) -> Iterator[Evidence]:
    """Every export has the same type, EXPORT_SYMBOL or EXPORT_SYMBOL_GPL, in the kernel and in Module.symvers.

    modpost lets a proprietary module use what is EXPORT_SYMBOL in Module.symvers. If the symbol is EXPORT_SYMBOL_GPL in
    the kernel, the kernel refuses the module (`Unknown symbol`). Take both files from one build.
    Source: kernel/module/main.c, find_symbol().
    """
    if not readable_exports(kernel).licensed:
        raise UnsupportedError("this Image's table of exports does not show which exports are GPL-only", kernel.at())
    return _evidence(symvers, kernel, Difference.LICENCE)


@check(Severity.ERROR)
def symvers_namespaces_are_those_of_the_kernel(symvers: Symvers, kernel: Vmlinux | Image) -> Iterator[Evidence]:
    """Every export is in the same namespace in the kernel and in Module.symvers.

    modpost requires a module to import the namespace in Module.symvers; the kernel refuses a module that does not
    import the kernel's namespace (`uses symbol from namespace ..., but does not import it`). Take both files from one
    build.
    Source: kernel/module/main.c, verify_namespace_is_imported().
    """
    return _evidence(symvers, kernel, Difference.NAMESPACE)


@check(Severity.ERROR)
def external_symvers_lists_nothing_of_the_kernel(symvers: Symvers, kernel: Vmlinux | Image) -> Iterator[Evidence]:
    """No export in the Module.symvers of an external module is one of the kernel, too.

    The file of modules that were built with M= lists their own exports, and is otherwise not compared with the kernel.
    The kernel refuses a module that exports what it exports (`exports duplicate symbol`). Rename the symbol, or build
    the kernel without its own version of the module.
    Source: kernel/module/main.c, verify_exported_symbols().
    """
    if symvers.external:
        rows, exports = symvers.rows, readable_exports(kernel)
        names = {export.name for export in exports.exports}
        both = [at for at, name in enumerate(rows.names) if name in names]
        for at in both[:MOST]:
            place = symvers.line(rows.numbers[at], rows.names[at]), exports.place(rows.names[at])
            yield Evidence(f"{rows.names[at]} of {rows.modules[at]} is exported by the kernel, too", place)
        if len(both) > MOST:
            yield Evidence(f"and {len(both) - MOST:,} more such exports", (symvers.at(),))


@check(Severity.WARNING)
def symvers_follows_the_order_of_vmlinux(symvers: Symvers, vmlinux: Vmlinux) -> Iterator[Evidence]:
    """The lines of the kernel are in the order of the `__ksymtab_*` labels of vmlinux.

    Since 6.5, modpost writes both from one list, with all labels in one object, `.vmlinux.export.c`. Lines in another
    order were not written by the build of this vmlinux, or were sorted by a tool. Take both files from one build.
    Source: scripts/mod/modpost.c, write_dump and add_exported_symbols.
    """
    if not (readable_exports(vmlinux).tables and against_kernel(symvers, vmlinux).one_build):
        return
    rows = symvers.rows
    kernel = [at for at, module in enumerate(rows.modules) if module == KERNEL]
    places = {name: place for place, name in enumerate(_labels(vmlinux))}
    # A name that only one of the two has is reported by another check.
    known = [at for at in kernel if rows.names[at] in places]
    last = -1
    for at in known:
        place = places[rows.names[at]]
        if place < last:
            line = (symvers.line(rows.numbers[at], rows.names[at]),)
            yield Evidence(f"{rows.names[at]} is not in the order of the labels in vmlinux", line)
            return
        last = place


def _labels(vmlinux: Vmlinux) -> list[str]:
    """The exports in the order of their labels; none where the entries do not come from one object."""
    symbols = vmlinux.readable_symbols
    start = symbols.find(EXPORTS_OBJECT)
    if start is None:
        return []
    # The symbols of an object follow its name, up to the name of the next.
    end = next((at for at in range(start + 1, len(symbols)) if symbols.infos[at] & 0xF == STT_FILE), len(symbols))
    names = (symbols.name(at) for at in range(start + 1, end))
    return [name.removeprefix(LABEL) for name in names if name.startswith(LABEL)]
