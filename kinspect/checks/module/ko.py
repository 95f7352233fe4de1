"""Checks of a single module: its name, its modinfo, the CRCs of the symbols that it needs."""

from collections.abc import Iterator
from collections.abc import Set as AbstractSet

from kinspect.artifacts.module.ko import Module
from kinspect.artifacts.module.sections import module_elf
from kinspect.checks.check import Evidence, Severity, check
from kinspect.checks.wording import counted
from kinspect.errors import Location
from kinspect.schemas.module import ModversionInfo, ThisModule
from kinspect.schemas.record import offsets, parse_table, size_of
from kinspect.source import STDIN
from kinspect.views.loader.verdict import GPL_COMPATIBLE, MODULE_NAMESPACE

_THIS_MODULE, _MODINFO = b".gnu.linkonce.this_module", b".modinfo"
_VERSIONS, _LONG_CRCS, _LONG_NAMES = b"__versions", b"__version_ext_crcs", b"__version_ext_names"
_LAYOUT = "module_layout"
_LONGEST_NAME = 55
"""Characters of a name that fit `__versions` with its NUL."""
_OTHER_NAME = "the name in the module is not that of the file"


def _has(module: Module, name: bytes) -> bool:
    """Whether the module can be read and has a section."""
    sections = module_elf(module).readable
    return sections is not None and name in sections.names


def _has_one(module: Module, name: bytes) -> bool:
    """Whether there is exactly one section of a name; another check reports when there are several."""
    sections = module_elf(module).readable
    return sections is not None and sections.names.count(name) == 1


def _start(module: Module, name: bytes) -> Location:
    part = module.sections.get(name)
    return module.at(name.decode(), part.header.sh_offset if part else None)


@check(Severity.ERROR)
def module_name_is_the_file_name(module: Module) -> Iterator[Evidence]:
    """The name in the module is that of the file, up to the first dot and with `_` instead of `-`.

    modprobe and depmod take the name from the file, the kernel from `.gnu.linkonce.this_module`. If they differ, a
    loaded module appears not to be loaded, and `modprobe -r` does not find it. Give the file its original name.
    Source: kernel/module/main.c, load_module(); kmod, path_to_modname().
    """
    if not _has_one(module, _THIS_MODULE) or module.path == STDIN:
        return
    section = module.section(_THIS_MODULE)
    start = offsets(ThisModule)["name"]
    inside = section[start : size_of(ThisModule)].split(b"\0", 1)[0].decode("utf-8", "surrogateescape")
    if section and inside != module.name:
        at = _start(module, _THIS_MODULE)
        where = (at._replace(part="struct module: name", offset=(at.offset or 0) + start),)
        yield Evidence(_OTHER_NAME, where, expected=module.name, actual=inside or "none")
    for name in module.values("name"):
        if name != module.name:
            yield Evidence(_OTHER_NAME, (_start(module, _MODINFO),), expected=module.name, actual=name)


@check(Severity.ERROR)
def module_has_a_vermagic(module: Module) -> Iterator[Evidence]:
    """The module has exactly one vermagic, which is that of an arm64 kernel.

    The kernel compares it with its own (without the first word, the release, if the module has CRCs) and refuses a
    module with a different one (`version magic ... should be ...`). A module without a vermagic can be loaded only with
    `modprobe --force`, which taints the kernel. Build the module with the kernel's own build system.
    Source: kernel/module/main.c, check_modinfo(); include/linux/vermagic.h.
    """
    if not _has_one(module, _MODINFO):
        return
    found = module.values("vermagic")
    if len(found) != 1:
        yield Evidence(
            "the module does not have exactly one vermagic", (_start(module, _MODINFO),), expected=1, actual=len(found)
        )
    elif "aarch64" not in found[0].split():
        at = (_start(module, _MODINFO),)
        yield Evidence("the vermagic is not that of an arm64 kernel", at, expected="... aarch64", actual=found[0])


@check(Severity.ERROR)
def module_has_a_license(module: Module) -> Iterator[Evidence]:
    """The module states its licence.

    The kernel treats a module without a licence as proprietary: it taints the kernel, and is refused if it uses an
    EXPORT_SYMBOL_GPL symbol (`Unknown symbol`). modpost fails to build it. Add MODULE_LICENSE().
    Source: kernel/module/main.c, module_license_taint_check(); scripts/mod/modpost.c.
    """
    if _has_one(module, _MODINFO) and not any(module.values("license")):
        yield Evidence("the module states no licence", (_start(module, _MODINFO),), expected="license=...")


@check(Severity.INFO)
def module_license_is_gpl_compatible(module: Module) -> Iterator[Evidence]:
    """The licence is one that the kernel accepts as GPL-compatible.

    A module with any other licence taints the kernel, and is refused if it uses an EXPORT_SYMBOL_GPL symbol (`Unknown
    symbol`). Only the first licence counts, and only the spellings in the kernel's list are accepted.
    Source: include/linux/license.h, license_is_gpl_compatible().
    """
    if _has_one(module, _MODINFO):
        for licence in module.values("license")[:1]:
            if licence and licence not in GPL_COMPATIBLE:
                at = (_start(module, _MODINFO),)
                yield Evidence(f"the licence `{licence}` is not GPL-compatible", at)


@check(Severity.ERROR)
def module_versions_are_there(module: Module) -> Iterator[Evidence]:
    """A module with `modversions` in its vermagic has the CRCs of the symbols that it needs or exports.

    Without `__versions`, the kernel refuses the module, or is tainted if the module is loaded by force. An export
    without a CRC makes the kernel refuse the module (`no versions for exported symbols`) or taints it. A tool stripped
    the sections, or the kernel's Module.symvers was missing when the module was built: build it again.
    Source: kernel/module/version.c, check_version(); kernel/module/main.c, check_export_symbol_versions().
    """
    if not _has_one(module, _MODINFO) or not any("modversions" in value.split() for value in module.values("vermagic")):
        return
    if not _has(module, _VERSIONS) and not _has(module, _LONG_CRCS):
        yield Evidence("no section __versions: the CRCs of needed symbols are missing", (module.at("__versions"),))
    for export in module.exports:
        if export.crc is None:
            yield Evidence(f"the export {export.name} has no CRC", (module.at(f"__crc_{export.name}"),))


@check(Severity.ERROR)
def module_versions_are_the_needs(module: Module) -> Iterator[Evidence]:
    """`__versions` names only undefined symbols and module_layout.

    A superfluous CRC makes depmod record a dependency that does not exist. The module was changed after modpost wrote
    the section: build it again.
    Source: scripts/mod/modpost.c, add_versions().
    """
    if not _has(module, _VERSIONS):
        return
    data, row = module.section(_VERSIONS), size_of(ModversionInfo)
    if len(data) % row:
        at = (_start(module, _VERSIONS),)
        yield Evidence("the section does not hold whole rows", at, expected=f"a multiple of {row}", actual=len(data))
        return
    yield from _superfluous(module, _short_names(module), _VERSIONS)


def _short_names(module: Module) -> AbstractSet[str]:
    """The names in `__versions`."""
    return set(_row_names(module.section(_VERSIONS))) if _has(module, _LONG_NAMES) else module.versions.keys()


@check(Severity.WARNING)
def module_lacks_no_versions(module: Module) -> Iterator[Evidence]:
    """`__versions` names all undefined symbols and module_layout.

    If a CRC is missing (`no symbol version for`), the result depends on the kernel: since 4.9 it warns once and loads
    the module, but Debian's kernels refuse it. `kinspect load` determines from the kernel's code which it does. The
    module was changed after modpost wrote the section, or built without a Module.symvers that lists all symbols that it
    needs: build it again. A weak symbol that nothing exported needs no CRC; a name longer than 55 characters is only in
    `__version_ext_names`.
    Source: scripts/mod/modpost.c, add_versions(); kernel/module/version.c, check_version().
    """
    if _has(module, _VERSIONS) and len(module.section(_VERSIONS)) % size_of(ModversionInfo) == 0:
        longest = _LONGEST_NAME if _has(module, _LONG_NAMES) else None
        yield from _missing(module, _short_names(module), _VERSIONS, longest)


@check(Severity.ERROR)
def module_extended_versions_are_sound(module: Module) -> Iterator[Evidence]:
    """`__version_ext_crcs` and `__version_ext_names` have the same number of entries and agree with `__versions`.

    They contain the CRCs of symbols with names of any length (CONFIG_EXTENDED_MODVERSIONS, since 6.14). The kernel
    refuses a module that has only one of the two sections, or more CRCs than names. Build the module again.
    Source: kernel/module/main.c, elf_validity_cache_index_versions().
    """
    there = [name for name in (_LONG_CRCS, _LONG_NAMES) if _has(module, name)]
    if not there:
        return
    at = (_start(module, there[0]),)
    if len(there) == 1:
        missing = (_LONG_CRCS if there[0] == _LONG_NAMES else _LONG_NAMES).decode()
        yield Evidence(f"there is a section {there[0].decode()}, but no {missing}", at)
        return
    crcs, text = module.section(_LONG_CRCS), module.section(_LONG_NAMES)
    names = [name for name in text.decode("utf-8", "surrogateescape").split("\0") if name]
    if len(crcs) != 4 * len(names) or not text.endswith(b"\0"):
        expected, actual = f"{4 * len(names):,} bytes of CRCs for {counted(len(names), 'name')}", f"{len(crcs):,}"
        yield Evidence("the CRCs and their names do not match", at, expected=expected, actual=actual)
        return
    yield from _superfluous(module, set(names), _LONG_NAMES)
    yield from _missing(module, set(names), _LONG_NAMES, None)
    data = module.section(_VERSIONS)
    if len(data) % size_of(ModversionInfo) == 0:
        extended = dict(zip(names, memoryview(crcs).cast("I"), strict=True))
        for name, crc in zip(_row_names(data), (row.crc for row in parse_table(ModversionInfo, data)), strict=True):
            if extended.get(name, crc) != crc:
                message, actual = f"{name} has a different CRC in __versions", f"{extended[name]:#010x}"
                yield Evidence(message, at, expected=f"{crc:#010x}", actual=actual)


def _row_names(data: bytes) -> list[str]:
    return [row.name.split(b"\0", 1)[0].decode("utf-8", "surrogateescape") for row in parse_table(ModversionInfo, data)]


def _superfluous(module: Module, named: AbstractSet[str], section: bytes) -> Iterator[Evidence]:
    """Symbols that have a CRC and are not needed."""
    for name in sorted(named - {_LAYOUT, *(need.name for need in module.needs)}):
        yield Evidence(f"CRC of {name}, which the module does not need", (_start(module, section),))


def _missing(module: Module, named: AbstractSet[str], section: bytes, longest: int | None) -> Iterator[Evidence]:
    """Symbols that are needed and have no CRC."""
    needs = {need.name: need.weak for need in module.needs}
    at = (_start(module, section),)
    for name in sorted({_LAYOUT, *needs} - named):
        if not needs.get(name, False) and (longest is None or len(name) <= longest):
            yield Evidence(f"no CRC of {name}, which the module needs", at)


@check(Severity.ERROR)
def module_namespaces_are_not_imported(module: Module) -> Iterator[Evidence]:
    """The module imports no namespace that begins with `module:`.

    Such a namespace lists the modules that may use a symbol; these do not need to import it. The kernel refuses a
    module that imports one (`module tries to import module namespace`). Remove the MODULE_IMPORT_NS().
    Source: kernel/module/main.c, setup_modinfo(); since 6.16.
    """
    if _has_one(module, _MODINFO):
        for space in module.values("import_ns"):
            if space.startswith(MODULE_NAMESPACE):
                yield Evidence(f"import of the module namespace {space}", (_start(module, _MODINFO),))


@check(Severity.WARNING)
def namespaces_are_plain_names(module: Module) -> Iterator[Evidence]:
    """The names of all imported and exported namespaces are not empty and contain no quotes or blanks.

    MODULE_IMPORT_NS() and EXPORT_SYMBOL_NS() take a string since 6.13 and took an identifier before. Code written for
    one and built with the other gives `"NAME"`, including the quotes, which is a different namespace from NAME: modules
    that use the symbols are refused. Use the form of the macro that this kernel expects.
    Source: include/linux/module.h, MODULE_IMPORT_NS(); include/linux/export.h.
    """
    if not _has_one(module, _MODINFO):
        return
    for space in module.values("import_ns"):
        if not _plain(space):
            yield Evidence(f"unlikely name of an imported namespace: {space!r}", (_start(module, _MODINFO),))
    for export in module.exports:
        if export.namespace and not _plain(export.namespace):
            at = (module.at(f"__kstrtabns_{export.name}"),)
            yield Evidence(f"unlikely name of the namespace of {export.name}: {export.namespace!r}", at)


def _plain(space: str) -> bool:
    return bool(space) and not any(character.isspace() or character in "\"'" for character in space)
