"""What must hold in a module alone: its name, what it says of itself, the versions of what it needs."""

from collections.abc import Iterator
from collections.abc import Set as AbstractSet

from kinspect.artifacts.module.ko import Module
from kinspect.artifacts.module.sections import module_elf
from kinspect.checks.check import Evidence, Severity, check
from kinspect.errors import Location
from kinspect.schemas.module import ModversionInfo, ThisModule
from kinspect.schemas.record import offsets, parse_table, size_of
from kinspect.views.loader.verdict import GPL_COMPATIBLE, MODULE_NAMESPACE

_THIS_MODULE, _MODINFO = b".gnu.linkonce.this_module", b".modinfo"
_VERSIONS, _LONG_CRCS, _LONG_NAMES = b"__versions", b"__version_ext_crcs", b"__version_ext_names"
_LAYOUT = "module_layout"
_LONGEST_NAME = 55
"""Characters of a name that fit `__versions` with its NUL."""


def _has(module: Module, name: bytes) -> bool:
    """Whether the module can be read and has a section."""
    sections = module_elf(module).readable
    return sections is not None and name in sections.names


def _has_one(module: Module, name: bytes) -> bool:
    """Whether there is no other of the name; where there is, a check of its own tells."""
    sections = module_elf(module).readable
    return sections is not None and sections.names.count(name) == 1


def _start(module: Module, name: bytes) -> Location:
    part = module.sections.get(name)
    return module.at(name.decode(), part.header.sh_offset if part else None)


@check(Severity.ERROR)
def module_name_is_the_file_name(module: Module) -> Iterator[Evidence]:
    """The name inside is the file's, up to the first dot and with `_` for `-`.

    modprobe and depmod take the name from the file, the kernel from `.gnu.linkonce.this_module`. Where they differ, a
    module that is loaded looks as if it were not, and `modprobe -r` does not find it.
    Source: kernel/module/main.c, load_module(); kmod, path_to_modname().
    """
    if not _has_one(module, _THIS_MODULE):
        return
    section = module.section(_THIS_MODULE)
    start = offsets(ThisModule)["name"]
    inside = section[start : size_of(ThisModule)].split(b"\0", 1)[0].decode("utf-8", "surrogateescape")
    if section and inside != module.name:
        at = _start(module, _THIS_MODULE)
        where = (at._replace(part="struct module: name", offset=(at.offset or 0) + start),)
        yield Evidence("the name inside is another", where, expected=module.name, actual=inside or "none")
    for name in module.values("name"):
        if name != module.name:
            yield Evidence("the name inside is another", (_start(module, _MODINFO),), expected=module.name, actual=name)


@check(Severity.ERROR)
def module_has_a_vermagic(module: Module) -> Iterator[Evidence]:
    """There is one vermagic, and it is of an arm64 kernel.

    The kernel compares it with its own; with CRCs its first word, the release, is left out. A module without one is
    loaded with force alone (`version magic ... should be ...`).
    Source: kernel/module/main.c, check_modinfo(); include/linux/vermagic.h.
    """
    if not _has_one(module, _MODINFO):
        return
    found = module.values("vermagic")
    if len(found) != 1:
        yield Evidence("not one vermagic", (_start(module, _MODINFO),), expected=1, actual=len(found))
    elif "aarch64" not in found[0].split():
        at = (_start(module, _MODINFO),)
        yield Evidence("the vermagic is not of an arm64 kernel", at, expected="... aarch64", actual=found[0])


@check(Severity.ERROR)
def module_has_a_license(module: Module) -> Iterator[Evidence]:
    """The module states its licence.

    The build refuses a module without MODULE_LICENSE(). The kernel takes it for proprietary: it gets no symbol that is
    exported for the GPL alone and taints the kernel.
    Source: kernel/module/main.c, module_license_taint_check(); scripts/mod/modpost.c.
    """
    if _has_one(module, _MODINFO) and not any(module.values("license")):
        yield Evidence("no licence", (_start(module, _MODINFO),), expected="license=...")


@check(Severity.INFO)
def module_license_is_gpl_compatible(module: Module) -> Iterator[Evidence]:
    """The licence is one that the kernel takes as compatible with the GPL.

    Any other taints the kernel, and the module gets no symbol that is exported for the GPL alone. The first licence
    counts.
    Source: include/linux/license.h, license_is_gpl_compatible().
    """
    if _has_one(module, _MODINFO):
        for licence in module.values("license")[:1]:
            if licence and licence not in GPL_COMPATIBLE:
                at = (_start(module, _MODINFO),)
                yield Evidence("not a licence compatible with the GPL", at, actual=licence)


@check(Severity.ERROR)
def module_versions_are_there(module: Module) -> Iterator[Evidence]:
    """A module for a kernel with MODVERSIONS has the CRCs of what it needs, and of what it exports.

    Its vermagic says `modversions`. Without `__versions` the kernel loads it with force alone; an export without a CRC
    makes it refuse the module (`no versions for exported symbols`) or taints whoever uses it. A tool that removes
    sections may have removed them, or the kernel's Module.symvers was missing when the module was built.
    Source: kernel/module/version.c, check_version(); kernel/module/main.c, check_export_symbol_versions().
    """
    if not _has_one(module, _MODINFO) or not any("modversions" in value.split() for value in module.values("vermagic")):
        return
    if not _has(module, _VERSIONS) and not _has(module, _LONG_CRCS):
        yield Evidence("no CRCs of what the module needs", (module.at("__versions"),), expected="a section __versions")
    for export in module.exports:
        if export.crc is None:
            yield Evidence(f"the export {export.name} has no CRC", (module.at(f"__crc_{export.name}"),))


@check(Severity.ERROR)
def module_versions_are_the_needs(module: Module) -> Iterator[Evidence]:
    """The names in `__versions` are the undefined symbols and module_layout.

    A symbol without its CRC the kernel refuses (`no symbol version for`); a CRC without its symbol makes depmod see a
    need that is none. Both mean that the module was changed after modpost wrote the section. A weak symbol that nobody
    exported has no CRC; a name longer than 55 characters is in `__version_ext_names` alone.
    Source: scripts/mod/modpost.c, add_versions(); kernel/module/version.c, check_version().
    """
    if not _has(module, _VERSIONS):
        return
    data, row = module.section(_VERSIONS), size_of(ModversionInfo)
    if len(data) % row:
        at = (_start(module, _VERSIONS),)
        yield Evidence("no whole number of rows", at, expected=f"a multiple of {row}", actual=len(data))
        return
    extended = _has(module, _LONG_NAMES)
    named = set(_row_names(data)) if extended else module.versions.keys()
    yield from _differences(module, named, _VERSIONS, _LONGEST_NAME if extended else None)


@check(Severity.ERROR)
def module_extended_versions_are_sound(module: Module) -> Iterator[Evidence]:
    """`__version_ext_crcs` and `__version_ext_names` come together, have as many entries, and agree with `__versions`.

    Kernels from 6.14 on write them for names of any length. The kernel refuses a module with one of the two sections
    alone, or with more CRCs than names.
    Source: kernel/module/main.c, elf_validity_cache_index_versions().
    """
    there = [name for name in (_LONG_CRCS, _LONG_NAMES) if _has(module, name)]
    if not there:
        return
    at = (_start(module, there[0]),)
    if len(there) == 1:
        missing = (_LONG_CRCS if there[0] == _LONG_NAMES else _LONG_NAMES).decode()
        yield Evidence(f"{there[0].decode()} is alone", at, expected=f"a section {missing}")
        return
    crcs, text = module.section(_LONG_CRCS), module.section(_LONG_NAMES)
    names = [name for name in text.decode("utf-8", "surrogateescape").split("\0") if name]
    if len(crcs) != 4 * len(names) or not text.endswith(b"\0"):
        yield Evidence("not a name for each CRC", at, expected=f"{len(names):,} CRCs", actual=f"{len(crcs):,} bytes")
        return
    yield from _differences(module, set(names), _LONG_NAMES, None)
    data = module.section(_VERSIONS)
    if len(data) % size_of(ModversionInfo) == 0:
        extended = dict(zip(names, memoryview(crcs).cast("I"), strict=True))
        for name, crc in zip(_row_names(data), (row.crc for row in parse_table(ModversionInfo, data)), strict=True):
            if extended.get(name, crc) != crc:
                message, actual = f"{name} has two CRCs", f"{extended[name]:#010x}"
                yield Evidence(message, at, expected=f"{crc:#010x}, as in __versions", actual=actual)


def _row_names(data: bytes) -> list[str]:
    return [row.name.split(b"\0", 1)[0].decode("utf-8", "surrogateescape") for row in parse_table(ModversionInfo, data)]


def _differences(module: Module, named: AbstractSet[str], section: bytes, longest: int | None) -> Iterator[Evidence]:
    """What has a CRC and is not needed, what is needed and has none."""
    needs = {need.name: need.weak for need in module.needs}
    wanted = {_LAYOUT, *needs}
    if named == wanted:
        return
    at = (_start(module, section),)
    for name in sorted(named - wanted):
        yield Evidence(f"a CRC of {name}, which the module does not need", at)
    for name in sorted(wanted - named):
        if not needs.get(name, False) and (longest is None or len(name) <= longest):
            yield Evidence(f"no CRC of {name}, which the module needs", at)


@check(Severity.ERROR)
def module_namespaces_are_not_imported(module: Module) -> Iterator[Evidence]:
    """No namespace that begins with `module:` is imported.

    Such a namespace lists the modules that may use a symbol, and they need no import. The kernel refuses a module that
    has one (`module tries to import module namespace`).
    Source: kernel/module/main.c, setup_modinfo(); since 6.16.
    """
    if _has_one(module, _MODINFO):
        for space in module.values("import_ns"):
            if space.startswith(MODULE_NAMESPACE):
                yield Evidence("a namespace that cannot be imported", (_start(module, _MODINFO),), actual=space)


@check(Severity.WARNING)
def namespaces_are_plain_names(module: Module) -> Iterator[Evidence]:
    """The names of namespaces, imported and exported to, hold no quotes and no blanks, and are not empty.

    Since 6.13 MODULE_IMPORT_NS() and EXPORT_SYMBOL_NS() take a string; before, they took a bare word. Code written for
    the one and built for the other gives `"NAME"` with its quotes, which is another namespace than NAME.
    Source: include/linux/module.h, MODULE_IMPORT_NS(); include/linux/export.h.
    """
    if not _has_one(module, _MODINFO):
        return
    for space in module.values("import_ns"):
        if not _plain(space):
            yield Evidence("import of what is hardly a namespace", (_start(module, _MODINFO),), actual=repr(space))
    for export in module.exports:
        if export.namespace and not _plain(export.namespace):
            at = (module.at(f"__kstrtabns_{export.name}"),)
            yield Evidence("export to what is hardly a namespace", at, actual=repr(export.namespace))


def _plain(space: str) -> bool:
    return bool(space) and not any(character.isspace() or character in "\"'" for character in space)
