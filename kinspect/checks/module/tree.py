"""What must hold among the modules of a folder, whatever is in the files beside them."""

from collections import Counter
from collections.abc import Iterator
from functools import lru_cache

from kinspect.artifacts.module.summary import ModuleSummary
from kinspect.artifacts.module.tree import ModuleTree
from kinspect.checks.check import Evidence, Severity, capped, check
from kinspect.checks.wording import counted, cycle_text, needed_by, summarized
from kinspect.errors import sentence
from kinspect.views.depmod.files import NEWEST, Depmod


def depmod_of(tree: ModuleTree, kmod: int = NEWEST) -> Depmod:
    """What depmod makes of a folder: all checks share it."""
    return _depmod(tree, kmod)


# One for each kmod that is followed. A cache takes a default for another argument than the same value given.
@lru_cache(maxsize=2)
def _depmod(tree: ModuleTree, kmod: int) -> Depmod:
    return Depmod(tree, kmod)


def impact(tree: ModuleTree, name: str) -> str:
    """How many modules cannot be loaded without one."""
    return needed_by(len(depmod_of(tree).users(name)))


def path_of(tree: ModuleTree, name: str) -> str:
    """The path of the module of a name, below the folder."""
    return next(module.path for module in depmod_of(tree).modules if module.name == name)


@check(Severity.WARNING)
def entries_of_the_tree_can_be_followed(tree: ModuleTree) -> Iterator[Evidence]:
    """Every entry of the folder is a folder or a file that can be read.

    depmod passes over a link that leads nowhere, or in a circle, and the modules behind it are missing without a word.
    Source: kmod, tools/depmod.c, depmod_modules_search_dir().
    """
    found = (Evidence(fault.problem, (tree.location(fault.path),)) for fault in tree.faults)
    yield from capped(found, "entries", tree.location(""))


@check(Severity.ERROR)
def modules_can_be_read(tree: ModuleTree) -> Iterator[Evidence]:
    """Every file of the tree that is called a module is a sound one for arm64.

    depmod lists a file that is cut or no module at all as if it needed nothing, with status 0, and the kernel refuses
    it (`Invalid module format`).
    Source: kmod, tools/depmod.c, depmod_load_modules(); kernel/module/main.c, elf_validity_check().
    """
    found = (
        Evidence(
            f"{module.name} is corrupt: {sentence(error.problem, error.expected, error.actual)}; "
            f"it will not load, and {_listed_users(tree, module)}",
            (error.at, tree.location(module.path)),
        )
        for module in depmod_of(tree).problems.unreadable
        for error in module.errors[:1]
    )
    yield from capped(found, "modules", tree.location(""))


def _listed_users(tree: ModuleTree, module: ModuleSummary) -> str:
    """How many modules need one whose exports cannot be read: modules.dep may still know."""
    listed = len(tree.dep.users(module.path)) if tree.dep else 0
    return needed_by(max(listed, len(depmod_of(tree).users(module.name))))


@check(Severity.ERROR)
def modules_do_not_need_each_other(tree: ModuleTree) -> Iterator[Evidence]:
    """No modules use each other's symbols in a circle.

    None of them can be loaded first. depmod then writes no modules.dep at all, and no module of the tree is found. Of
    modules that are in several cycles one cycle is told.
    Source: kmod, tools/depmod.c, depmod_report_cycles().
    """
    for path in depmod_of(tree).problems.cycles:
        message = f"{cycle_text(path)}: they will not load, and {impact(tree, path[0])}"
        yield Evidence(message, tuple(tree.location(path_of(tree, name)) for name in path[:10]))


@check(Severity.WARNING)
def depmod_configuration_is_understood(tree: ModuleTree) -> Iterator[Evidence]:
    """The configuration of depmod that was named is there, and every line of it is one that is followed.

    depmod passes over a path where nothing is without a word, and over a line that it does not know with a warning: the
    modules that it was to choose are not chosen. kinspect follows `override`, `search` and `exclude`, and not
    `external`, which names folders outside of the tree.
    Source: depmod.d(5); kmod, tools/depmod.c, cfg_file_parse().
    """
    ignored = depmod_of(tree).config.ignored
    found = (Evidence("no such configuration" if at.line is None else "a line without effect", (at,)) for at in ignored)
    yield from capped(found, "lines", tree.location(""))


@check(Severity.WARNING)
def module_names_are_unambiguous(tree: ModuleTree) -> Iterator[Evidence]:
    """Of two modules of one name a rule says which one is taken.

    Modules in `updates` go before others, and depmod.d may say more. Where no rule decides depmod takes the one that
    the system lists first, which may be another on another disk.
    Source: depmod.d(5); kmod, tools/depmod.c, depmod_module_is_higher_priority().
    """
    for one in depmod_of(tree).problems.duplicates:
        if one.ambiguous:
            at = tuple(tree.location(path) for path in (one.used, *one.others))
            message = f"{counted(len(at), 'module')} of the name {one.name}; {impact(tree, one.name)}"
            yield Evidence(message, at, expected="one", actual=summarized((one.used, *one.others)))


@check(Severity.INFO)
def modules_are_not_replaced(tree: ModuleTree) -> Iterator[Evidence]:
    """No module is replaced by another of its name.

    That is what `updates` and depmod.d are for; it is good to know all the same.
    Source: depmod.d(5).
    """
    for one in depmod_of(tree).problems.duplicates:
        if not one.ambiguous:
            message = f"{one.used} is taken in place of {summarized(one.others)}"
            yield Evidence(message, (tree.location(one.used),))


@check(Severity.ERROR)
def modules_do_not_export_the_same_symbol(tree: ModuleTree) -> Iterator[Evidence]:
    """No symbol is exported by two modules.

    The kernel refuses the second that is loaded (`exports duplicate symbol`), and depmod takes one of them without a
    word.
    Source: kernel/module/main.c, verify_exported_symbols().
    """
    symbols: dict[tuple[str, ...], list[str]] = {}
    for clash in depmod_of(tree).problems.clashes:
        symbols.setdefault((clash.used, *clash.others), []).append(clash.symbol)
    for names, found in symbols.items():
        loss = f"one of them will not load; {names[0]}: {impact(tree, names[0])}"
        message = f"{summarized(names)} export {summarized(found)}: {loss}"
        yield Evidence(message, tuple(tree.location(path_of(tree, name)) for name in names))


@check(Severity.ERROR)
def modules_bear_the_names_of_their_files(tree: ModuleTree) -> Iterator[Evidence]:
    """The name in every module is its file's, up to the first dot and with `_` for `-`.

    modprobe takes the name from the file, the kernel from the module. Where they differ, a module that is loaded looks
    as if it were not, and `modprobe -r` does not find it.
    Source: kernel/module/main.c, load_module(); kmod, path_to_modname().
    """
    found = (
        Evidence(
            f"the name inside is another; {impact(tree, module.name)}",
            (tree.location(module.path, "struct module: name"),),
            expected=module.name,
            actual=module.struct_name,
        )
        for module in depmod_of(tree).modules
        if not module.errors and module.struct_name and module.struct_name != module.name
    )
    yield from capped(found, "modules", tree.location(""))


@check(Severity.ERROR)
def modules_are_not_built_in_too(tree: ModuleTree) -> Iterator[Evidence]:
    """No module is there as a file and built into the kernel as well.

    The kernel refuses the file (`module is already loaded` or `exports duplicate symbol owned by kernel`). The
    configuration changed, and modules of an earlier build were left behind.
    Source: kernel/params.c, locate_module_kobject().
    """
    depmod = depmod_of(tree)
    for module in depmod.modules:
        if module.name in depmod.builtin:
            at = (tree.location(module.path), tree.location("modules.builtin"))
            yield Evidence(f"{module.name} is built in too: it will not load; {impact(tree, module.name)}", at)


def vermagics(tree: ModuleTree) -> Counter[str]:
    """The vermagic of the modules with how many have it."""
    modules = depmod_of(tree).modules
    return Counter(value for module in modules for value in module.values("vermagic")[:1])


def _others(tree: ModuleTree, what: str, of: dict[str, str]) -> Iterator[Evidence]:
    """Modules that have something else than most."""
    usual = Counter(of.values()).most_common(1)
    for name, value in of.items():
        if value != usual[0][0]:
            message = f"the {what} is not that of the other {usual[0][1]:,} modules: it will not load, and "
            at = (tree.location(path_of(tree, name)),)
            yield Evidence(message + impact(tree, name), at, expected=usual[0][0] or "none", actual=value or "none")


@check(Severity.ERROR)
def modules_have_one_vermagic(tree: ModuleTree) -> Iterator[Evidence]:
    """All modules have the same vermagic.

    It names the release and what changes structures: another one comes from another build. The kernel refuses it
    (`version magic ... should be ...`).
    Source: kernel/module/main.c, check_modinfo().
    """
    modules = (one for one in depmod_of(tree).modules if not one.errors)
    found = {one.name: "".join(one.values("vermagic")[:1]) for one in modules}
    yield from capped(_others(tree, "vermagic", found), "modules", tree.location(""))


@check(Severity.ERROR)
def modules_have_one_size_of_struct_module(tree: ModuleTree) -> Iterator[Evidence]:
    """`.gnu.linkonce.this_module` has one size in all modules.

    It is struct module, whose size depends on the configuration. The kernel refuses another (`section size must match
    the kernel's built struct module size at run time`).
    Source: kernel/module/main.c, elf_validity_check().
    """
    found = {one.name: f"{one.struct_size:,} bytes" for one in depmod_of(tree).modules if one.struct_size}
    yield from capped(_others(tree, "size of struct module", found), "modules", tree.location(""))


@check(Severity.INFO)
def modules_symbols_has_no_phantoms(tree: ModuleTree) -> Iterator[Evidence]:
    """Everything that depmod takes for an exported symbol is one.

    Without MODVERSIONS depmod takes every string beside the names of exports for a symbol, and so namespaces too:
    modules.symbols has `symbol:CXL`. Nobody asks for such a symbol.
    Source: kmod, libkmod/libkmod-elf.c, kmod_elf_get_symbols().
    """
    found = sorted({symbol for symbol, _ in depmod_of(tree).problems.phantoms})
    if found:
        message = f"{counted(len(found), 'name')} that no module exports"
        yield Evidence(message, (tree.location("modules.symbols"),), actual=summarized(found))


@check(Severity.WARNING)
def aliases_can_be_looked_up(tree: ModuleTree) -> Iterator[Evidence]:
    """The brackets of every alias match, and all its letters are ASCII.

    depmod leaves others out of the index that modprobe reads: the device is there, and its module is not loaded.
    Source: kmod, shared/util.c, alias_normalize().
    """
    found = (
        Evidence(f"an alias of {name} that no index can hold", (tree.location(path_of(tree, name)),), actual=alias)
        for name, alias in depmod_of(tree).problems.aliases
    )
    yield from capped(found, "aliases", tree.location(""))
