"""Checks of two Module.symvers against each other: whether modules built for the old kernel fit the new one."""

from collections.abc import Iterator

from kinspect.checks.check import Evidence, Severity, check
from kinspect.checks.wording import counted
from kinspect.errors import Location
from kinspect.views.abi.changes import AbiFacts, Change, ChangedExport, Modversions

NAMED = 3
"""Exports that a finding names."""
_CHANGED = {
    Change.CRC: "with a different CRC",
    Change.TYPES: "with changed types",
    Change.RESTRICTED: "now GPL-only",
    Change.NAMESPACE: "in a different namespace",
    Change.OPENED: "no longer GPL-only",
}


@check(Severity.ERROR)
def abi_modversions_are_kept(facts: AbiFacts) -> Iterator[Evidence]:
    """Both kernels have CRCs of their exports (CONFIG_MODVERSIONS), or neither has.

    Otherwise the CRCs cannot be compared, and the vermagic differs: the new kernel refuses modules of the old one
    (`version magic ... should be ...`). Set the option as in the old kernel, or rebuild all
    modules.
    Source: kernel/module/version.c, check_version().
    """
    if facts.incomparable:
        change = "disappeared" if facts.versions == Modversions.GONE else "was added"
        message = f"MODVERSIONS {change}: the CRCs of {counted(facts.incomparable, 'export')} cannot be compared"
        yield Evidence(message, (Location(facts.new), Location(facts.old)))


@check(Severity.ERROR)
def abi_exports_are_kept(facts: AbiFacts) -> Iterator[Evidence]:
    """Every export of the old kernel is an export of the new one.

    The new kernel refuses modules that use a removed export (`Unknown symbol`). Keep the export, change and rebuild the
    modules, or allow the change with a rule (`kinspect abi --rules`).
    Source: kernel/module/main.c, simplify_symbols().
    """
    return _changed(facts, Change.REMOVED)


@check(Severity.ERROR)
def abi_crcs_are_kept(facts: AbiFacts) -> Iterator[Evidence]:
    """Every export has the same CRC in both kernels.

    A CRC changes when the types of a function or variable change. The new kernel refuses modules that were built with
    the old CRC (`disagrees about version of symbol`). Undo the change of the types, rebuild the modules, or allow the
    change with a rule.
    Source: scripts/genksyms; kernel/module/version.c, check_version().
    """
    return _changed(facts, Change.CRC)


@check(Severity.ERROR)
def abi_types_are_kept(facts: AbiFacts) -> Iterator[Evidence]:
    """Without MODVERSIONS: no type that an exported function uses changed.

    Such a kernel loads the modules of the old kernel, because nothing compares types. They then read and write members
    of a struct at the wrong offsets. Types of which a function only uses pointers count too: about one export in ten is
    reported although a module could not tell. Rebuild the modules, or allow the change with a rule (TYPE).
    Source: the types in both kernels (.BTF).
    """
    return _changed(facts, Change.TYPES)


@check(Severity.ERROR)
def abi_licences_are_kept(facts: AbiFacts) -> Iterator[Evidence]:
    """No export became EXPORT_SYMBOL_GPL.

    The new kernel refuses proprietary modules that use such an export (`Unknown symbol`). Keep EXPORT_SYMBOL, or allow
    the change with a rule.
    Source: kernel/module/main.c, find_exported_symbol_in_section().
    """
    return _changed(facts, Change.RESTRICTED)


@check(Severity.ERROR)
def abi_namespaces_are_kept(facts: AbiFacts) -> Iterator[Evidence]:
    """Every export is in the same namespace in both kernels.

    The new kernel refuses modules that do not import the new namespace (`uses symbol from namespace ..., but does not
    import it`). Keep the namespace, add MODULE_IMPORT_NS() to the modules, or allow the change with a rule.
    Source: kernel/module/main.c, verify_namespace_is_imported().
    """
    return _changed(facts, Change.NAMESPACE)


@check(Severity.WARNING)
def abi_exports_stay_in_their_module(facts: AbiFacts) -> Iterator[Evidence]:
    """Every export comes from the same module, or the kernel itself, in both kernels.

    Modules that use a moved export still load with modprobe, because depmod finds the new owner. Scripts that load
    modules by name, and an initramfs with a fixed list of modules, may lack it.
    Source: depmod(8).
    """
    return _changed(facts, Change.MOVED)


@check(Severity.INFO)
def abi_licences_are_opened(facts: AbiFacts) -> Iterator[Evidence]:
    """No EXPORT_SYMBOL_GPL became EXPORT_SYMBOL.

    Existing modules are not affected. Modules that are built for the new kernel may not load into the old one.
    Source: kernel/module/main.c, find_exported_symbol_in_section().
    """
    return _changed(facts, Change.OPENED)


@check(Severity.INFO)
def abi_exports_are_added(facts: AbiFacts) -> Iterator[Evidence]:
    """Every export of the new kernel is an export of the old one.

    Existing modules are not affected by a new export. Modules that use it do not load into the old kernel.
    Source: kernel/module/main.c, simplify_symbols().
    """
    return _changed(facts, Change.ADDED)


def _changed(facts: AbiFacts, change: Change) -> Iterator[Evidence]:
    """All changes of a kind that no rule lets pass."""
    found = [export for export in facts.of(change) if not export.tolerated]
    if found:
        names = ", ".join(export.name for export in found[:NAMED]) + (", ..." if len(found) > NAMED else "")
        at = tuple(_place(facts, export) for export in found[:NAMED])
        yield Evidence(f"{counted(len(found), 'export')} {_CHANGED.get(change, change)}: {names}", at)


def _place(facts: AbiFacts, export: ChangedExport) -> Location:
    """The line of an export in the new file; in the old one when it was removed."""
    if export.change == Change.REMOVED:
        return Location(facts.old, export.name, None, export.old_line or None)
    return Location(facts.new, export.name, None, export.new_line or None)
