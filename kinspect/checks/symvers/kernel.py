"""What must hold between a Module.symvers and the kernel of its build, a vmlinux or a raw Image."""

from collections.abc import Callable, Iterator

from kinspect.artifacts.boot.image import Image
from kinspect.artifacts.build.symvers import KERNEL, Symvers
from kinspect.artifacts.elf.vmlinux import Vmlinux
from kinspect.checks.check import Evidence, Severity, check
from kinspect.checks.symvers.text import MOST
from kinspect.errors import Location, UnsupportedError
from kinspect.schemas.elf import STT_FILE
from kinspect.views.abi.kernel_match import Difference, DifferingExport, ExportComparison, against_kernel
from kinspect.views.tables.raw_exports import readable_exports

Place = Callable[[DifferingExport], Location]
LABEL = "__ksymtab_"
EXPORTS_OBJECT = ".vmlinux.export.c"
"""The object with all entries of the tables, which modpost writes since 6.5; before, it had the versions alone."""


def message_of(mismatch: DifferingExport, other: str) -> str:
    """A difference in words; `other` is what Module.symvers is held against."""
    return {
        Difference.MISSING: f"{mismatch.name} is exported and not in Module.symvers",
        Difference.EXTRA: f"{mismatch.name} is in Module.symvers and not exported by {other}",
        Difference.MODULE: f"{mismatch.name} is exported by another module",
        Difference.CRC: f"the CRC of {mismatch.name} is another",
        Difference.LICENCE: f"the licence of {mismatch.name} is another",
        Difference.NAMESPACE: f"the namespace of {mismatch.name} is another",
    }[mismatch.difference]


def evidence_of(symvers: Symvers, comparison: ExportComparison, place: Place, *what: Difference) -> Iterator[Evidence]:
    """The differences of some kinds, the first of them one by one; `place` is where the binary has the export.

    There is none when nearly everything differs: that is said once, as `build_evidence` has it.
    """
    if not comparison.one_build:
        return
    found = comparison.of(*what)
    for mismatch in found[:MOST]:
        line = symvers.at(mismatch.name) if mismatch.line is None else symvers.line(mismatch.line, mismatch.name)
        at = (line,) if mismatch.difference == Difference.EXTRA else (line, place(mismatch))
        message, words = message_of(mismatch, mismatch.module), (mismatch.expected, mismatch.actual)
        if mismatch.difference in (Difference.MISSING, Difference.EXTRA):
            yield Evidence(message, at)
        else:
            yield Evidence(message, at, *words)
    if len(found) > MOST:
        yield Evidence(f"and {len(found) - MOST:,} more such exports", (symvers.at(),))


def build_evidence(symvers: Symvers, comparison: ExportComparison, other: Location) -> Iterator[Evidence]:
    """That the two are not of one build, with the numbers of what differs."""
    if not comparison.one_build:
        counts = ((what, len(comparison.of(what))) for what in Difference)
        words = ", ".join(f"{what} {count:,}" for what, count in counts if count)
        yield Evidence(
            f"not the same build: {words}",
            (symvers.at(), other),
            expected=f"the {comparison.exports:,} exports of {other.path}",
            actual=f"{comparison.differing:,} differ",
        )


def _evidence(symvers: Symvers, kernel: Vmlinux | Image, *what: Difference) -> Iterator[Evidence]:
    # That the exports cannot be read is said once, by the check of the build.
    exports = readable_exports(kernel)
    if exports.tables:
        comparison = against_kernel(symvers, kernel)
        yield from evidence_of(symvers, comparison, lambda found: exports.place(found.name), *what)


def _licences(symvers: Symvers, kernel: Vmlinux | Image) -> Iterator[Evidence]:
    if not readable_exports(kernel).licensed:
        raise UnsupportedError("the one table of exports does not tell the licences", kernel.at())
    return _evidence(symvers, kernel, Difference.LICENCE)


@check(Severity.ERROR)
def symvers_is_of_the_build_of_vmlinux(symvers: Symvers, vmlinux: Vmlinux) -> Iterator[Evidence]:
    """Module.symvers and vmlinux are of one build.

    When more than one export in twenty differs they are not, and no export is named. Modules that are built with this
    Module.symvers do not load into this kernel, or worse, do.
    Source: scripts/Makefile.modpost.
    """
    return build_evidence(symvers, against_kernel(symvers, vmlinux), vmlinux.at())


@check(Severity.ERROR)
def symvers_is_of_the_build_of_the_image(symvers: Symvers, image: Image) -> Iterator[Evidence]:
    """Module.symvers and the Image are of one build.

    When more than one export in twenty differs they are not, and no export is named. The exports are found in the bytes
    of the Image: it takes neither vmlinux nor symbols.
    Source: scripts/Makefile.modpost.
    """
    return build_evidence(symvers, against_kernel(symvers, image), image.at())


@check(Severity.ERROR)
def symvers_lists_the_exports_of_vmlinux(symvers: Symvers, vmlinux: Vmlinux) -> Iterator[Evidence]:
    """Module.symvers has a line of `vmlinux` for every export of vmlinux, and for nothing else.

    A module that uses a symbol without a line is not built; one that uses a line without a symbol is built and does not
    load.
    Source: scripts/mod/modpost.c, write_dump.
    """
    return _evidence(symvers, vmlinux, Difference.MISSING, Difference.EXTRA, Difference.MODULE)


@check(Severity.ERROR)
def symvers_lists_the_exports_of_the_image(symvers: Symvers, image: Image) -> Iterator[Evidence]:
    """Module.symvers has a line of `vmlinux` for every export of the Image, and for nothing else.

    A module that uses a symbol without a line is not built; one that uses a line without a symbol is built and does not
    load.
    Source: scripts/mod/modpost.c, write_dump.
    """
    return _evidence(symvers, image, Difference.MISSING, Difference.EXTRA, Difference.MODULE)


@check(Severity.ERROR)
def symvers_crcs_are_those_of_vmlinux(symvers: Symvers, vmlinux: Vmlinux) -> Iterator[Evidence]:
    """Every export of vmlinux has the same CRC in `__kcrctab` and in Module.symvers; zero where vmlinux has none.

    A module takes the CRC of Module.symvers, and the kernel refuses it when its own is another.
    Source: kernel/module/version.c, check_version.
    """
    return _evidence(symvers, vmlinux, Difference.CRC)


@check(Severity.ERROR)
def symvers_crcs_are_those_of_the_image(symvers: Symvers, image: Image) -> Iterator[Evidence]:
    """Every export of the Image has the same CRC there and in Module.symvers; zero where the Image has none.

    A module takes the CRC of Module.symvers, and the kernel refuses it when its own is another.
    Source: kernel/module/version.c, check_version.
    """
    return _evidence(symvers, image, Difference.CRC)


@check(Severity.ERROR)
def symvers_licences_are_those_of_vmlinux(symvers: Symvers, vmlinux: Vmlinux) -> Iterator[Evidence]:
    """Every export of vmlinux is for all or for the GPL alone as Module.symvers has it.

    modpost lets a proprietary module use what Module.symvers allows; the kernel then refuses the symbol.
    Source: kernel/module/main.c, find_symbol.
    """
    return _licences(symvers, vmlinux)


@check(Severity.ERROR)
def symvers_licences_are_those_of_the_image(symvers: Symvers, image: Image) -> Iterator[Evidence]:
    """Every export of the Image is for all or for the GPL alone as Module.symvers has it.

    modpost lets a proprietary module use what Module.symvers allows; the kernel then refuses the symbol.
    Source: kernel/module/main.c, find_symbol.
    """
    return _licences(symvers, image)


@check(Severity.ERROR)
def symvers_namespaces_are_those_of_vmlinux(symvers: Symvers, vmlinux: Vmlinux) -> Iterator[Evidence]:
    """Every export of vmlinux is in the namespace that Module.symvers has it in.

    A module imports the namespaces of Module.symvers, and the kernel refuses it when it does not import its own.
    Source: kernel/module/main.c, verify_namespace_is_imported.
    """
    return _evidence(symvers, vmlinux, Difference.NAMESPACE)


@check(Severity.ERROR)
def symvers_namespaces_are_those_of_the_image(symvers: Symvers, image: Image) -> Iterator[Evidence]:
    """Every export of the Image is in the namespace that Module.symvers has it in.

    A module imports the namespaces of Module.symvers, and the kernel refuses it when it does not import its own.
    Source: kernel/module/main.c, verify_namespace_is_imported.
    """
    return _evidence(symvers, image, Difference.NAMESPACE)


@check(Severity.WARNING)
def symvers_follows_the_order_of_vmlinux(symvers: Symvers, vmlinux: Vmlinux) -> Iterator[Evidence]:
    """The lines of the kernel are in the order of the `__ksymtab_*` labels of vmlinux.

    modpost writes both since 6.5, from the same list: the labels are then in one object, `.vmlinux.export.c`. Lines in
    another order were not written by the build of this vmlinux.
    Source: scripts/mod/modpost.c, write_dump and add_exported_symbols.
    """
    if not (readable_exports(vmlinux).tables and against_kernel(symvers, vmlinux).one_build):
        return
    rows = symvers.rows
    kernel = [at for at, module in enumerate(rows.modules) if module == KERNEL]
    places = {name: place for place, name in enumerate(_labels(vmlinux))}
    # A name that only one of the two has is a finding of its own.
    known = [at for at in kernel if rows.names[at] in places]
    last = -1
    for at in known:
        place = places[rows.names[at]]
        if place < last:
            line = (symvers.line(rows.numbers[at], rows.names[at]),)
            yield Evidence(f"{rows.names[at]} is out of order", line)
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
