"""Checks of the modules of a folder among each other, without the files of depmod beside them."""

from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial

from kinspect.artifacts.module.summary import ModuleSummary
from kinspect.artifacts.module.tree import ModuleTree
from kinspect.checks.check import Evidence, Severity, capped, check
from kinspect.checks.wording import counted, cycle_text, impact, needed_by, summarized
from kinspect.errors import sentence
from kinspect.views.depmod.tree import depmod_of, path_of, vermagic_for, vermagics


@check(Severity.WARNING)
def entries_of_the_tree_can_be_followed(tree: ModuleTree) -> Iterator[Evidence]:
    """Every entry of the folder leads to a readable folder or a file.

    depmod silently skips links that are dangling or circular and folders that cannot be read, and modprobe does not
    find the modules behind them. Remove or repair the link, or fix the permissions. If modules.dep or a similar file is
    a link to a file outside the folder, kinspect does not open it, because findings would print its contents.
    Source: kmod, tools/depmod.c, depmod_modules_search_dir().
    """
    found = (Evidence(fault.problem, (tree.location(fault.path),)) for fault in tree.faults)
    yield from capped(found, "entries", tree.location(""))


@check(Severity.ERROR)
def modules_can_be_read(tree: ModuleTree) -> Iterator[Evidence]:
    """Every file with a module's file name is a valid module for arm64.

    depmod lists a truncated file, or one that is not a module, as if it needed nothing, and reports success. The kernel
    refuses it (`Invalid module format`). Install the module again.
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
    """How many modules need one whose exports cannot be read; modules.dep may still list them."""
    listed = len(tree.dep.users(module.path)) if tree.dep else 0
    return needed_by(max(listed, len(depmod_of(tree).users(module.name))))


@check(Severity.ERROR)
def modules_do_not_need_each_other(tree: ModuleTree) -> Iterator[Evidence]:
    """The dependencies between modules have no cycle.

    None of the modules in a cycle can be loaded first. depmod fails and writes no modules.dep, so modprobe finds no
    modules at all. Move the shared code to a module of its own. If modules are in several cycles, only one of the
    cycles is reported.
    Source: kmod, tools/depmod.c, depmod_report_cycles().
    """
    for path in depmod_of(tree).problems.cycles:
        message = f"{cycle_text(path)}: they will not load, and {impact(tree, path[0])}"
        yield Evidence(message, tuple(tree.location(path_of(tree, name)) for name in path[:10]))


@check(Severity.WARNING)
def depmod_configuration_is_understood(tree: ModuleTree) -> Iterator[Evidence]:
    """The depmod.d files on the command line exist, and every line in them has an effect.

    depmod silently skips a missing file, and skips an unknown line with a warning: of two modules with the same name,
    it may then choose the wrong one. Correct the path or the line. kinspect follows `override`, `search` and `exclude`,
    but not `external`, which names folders outside the tree.
    Source: depmod.d(5); kmod, tools/depmod.c, cfg_file_parse().
    """
    ignored = depmod_of(tree).config.ignored
    found = (
        Evidence("no such depmod configuration" if at.line is None else "the line has no effect", (at,))
        for at in ignored
    )
    yield from capped(found, "lines", tree.location(""))


@check(Severity.WARNING)
def module_names_are_unambiguous(tree: ModuleTree) -> Iterator[Evidence]:
    """If several modules have the same name, a rule determines which of them is used.

    Modules in `updates` take precedence, and depmod.d may add rules. Without a rule, depmod uses the module that the
    file system lists first, which may differ from machine to machine. Remove all but one, or add an `override` to
    depmod.d.
    Source: depmod.d(5); kmod, tools/depmod.c, depmod_module_is_higher_priority().
    """
    for one in depmod_of(tree).problems.duplicates:
        if one.ambiguous:
            at = tuple(tree.location(path) for path in (one.used, *one.others))
            paths = summarized((one.used, *one.others))
            yield Evidence(f"{len(at):,} modules are named {one.name}: {paths}; {impact(tree, one.name)}", at)


@check(Severity.INFO)
def modules_are_not_replaced(tree: ModuleTree) -> Iterator[Evidence]:
    """No module replaces another with the same name.

    `updates` and depmod.d exist for that purpose. Make sure that the replacement is intended: the kernel's own module
    is not loaded.
    Source: depmod.d(5).
    """
    for one in depmod_of(tree).problems.duplicates:
        if not one.ambiguous:
            message = f"{one.used} replaces {summarized(one.others)}"
            yield Evidence(message, (tree.location(one.used),))


@check(Severity.ERROR)
def modules_do_not_export_the_same_symbol(tree: ModuleTree) -> Iterator[Evidence]:
    """No symbol is exported by two modules.

    The kernel refuses whichever is loaded second (`exports duplicate symbol`), and depmod silently picks one of them
    for the modules that need the symbol. Remove one of the modules, or rename the symbol.
    Source: kernel/module/main.c, verify_exported_symbols().
    """
    symbols: dict[tuple[str, ...], list[str]] = {}
    for clash in depmod_of(tree).problems.clashes:
        symbols.setdefault((clash.used, *clash.others), []).append(clash.symbol)
    for names, found in symbols.items():
        loss = f"only one of them can be loaded; {names[0]}: {impact(tree, names[0])}"
        message = f"{summarized(names)} all export {summarized(found)}: {loss}"
        yield Evidence(message, tuple(tree.location(path_of(tree, name)) for name in names))


@check(Severity.ERROR)
def modules_bear_the_names_of_their_files(tree: ModuleTree) -> Iterator[Evidence]:
    """The name in every module is that of its file, up to the first dot and with `_` instead of `-`.

    modprobe takes the name from the file, the kernel from the module. If they differ, a loaded module appears not to be
    loaded, and `modprobe -r` does not find it. Give the file its original name.
    Source: kernel/module/main.c, load_module(); kmod, path_to_modname().
    """
    found = (
        Evidence(
            f"the name in the module is not that of its file; {impact(tree, module.name)}",
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
    """No module in the folder is also built into the kernel.

    The kernel refuses to load the file (`module is already loaded`, or `exports duplicate symbol ... (owned by
    kernel)`). An option was changed from m to y, and the module from an earlier build is left over: delete it, then run
    `depmod RELEASE`.
    Source: kernel/params.c, locate_module_kobject().
    """
    depmod = depmod_of(tree)
    for module in depmod.modules:
        if module.name in depmod.builtin:
            at = (tree.location(module.path), tree.location("modules.builtin"))
            yield Evidence(f"{module.name} is also built in: the file will not load; {impact(tree, module.name)}", at)


def _others(tree: ModuleTree, noun: str, of: dict[str, str]) -> Iterator[Callable[[], Evidence]]:
    """Modules whose value differs from that of most."""
    usual = Counter(of.values()).most_common(1)

    def evidence(name: str, value: str) -> Evidence:
        message = f"{name} has a different {noun} than {usual[0][1]:,} other modules: it will not load, and "
        at = (tree.location(path_of(tree, name)),)
        return Evidence(message + impact(tree, name), at, expected=usual[0][0] or "none", actual=value or "none")

    return (partial(evidence, name, value) for name, value in of.items() if value != usual[0][0])


@check(Severity.ERROR)
def modules_have_one_vermagic(tree: ModuleTree) -> Iterator[Evidence]:
    """All modules have the same vermagic; the release may differ if they have CRCs.

    The vermagic names the kernel's release and the options that change its structures: a module with a different
    vermagic comes from another build, and the kernel refuses it (`version magic ... should be ...`). Build the module
    for this kernel.
    Source: kernel/module/main.c, check_modinfo(), same_magic().
    """
    modules = [one for one in depmod_of(tree).modules if not one.errors]
    usual = "".join(value for value, _ in vermagics(tree).most_common(1))
    found = {one.name: vermagic_for(one, usual) for one in modules}
    yield from capped(_others(tree, "vermagic", found), "modules", tree.location(""))


@check(Severity.INFO)
def modules_are_of_one_release(tree: ModuleTree) -> Iterator[Evidence]:
    """The vermagic of every module has the same release.

    A kernel with MODVERSIONS does not compare the release: it compares CRCs, and a module that was built for another
    release loads when they agree. Distributors reuse modules with later kernels this way. There is nothing to fix.
    Source: include/linux/vermagic.h; kernel/module/version.c, same_magic().
    """
    usual = "".join(value for value, _ in vermagics(tree).most_common(1))
    others = [one for one in depmod_of(tree).modules if one.values("vermagic")[:1] not in ([], [usual])]
    others = [one for one in others if vermagic_for(one, usual) == usual and not one.errors]
    if others:
        message = f"{counted(len(others), 'module')} of a different release: {summarized([one.name for one in others])}"
        at = (tree.location(others[0].path),)
        yield Evidence(message, at, usual.split(" ", 1)[0], others[0].values("vermagic")[0].split(" ", 1)[0])


@check(Severity.ERROR)
def modules_have_one_size_of_struct_module(tree: ModuleTree) -> Iterator[Evidence]:
    """`.gnu.linkonce.this_module` has the same size in all modules.

    It holds struct module, whose size depends on the configuration. The kernel refuses a module with a different size
    (`section size must match the kernel's built struct module size at run time`). Build the module for this kernel.
    Source: kernel/module/main.c, elf_validity_check().
    """
    found = {one.name: f"{one.struct_size:,} bytes" for one in depmod_of(tree).modules if one.struct_size}
    yield from capped(_others(tree, "size of struct module", found), "modules", tree.location(""))


@check(Severity.INFO)
def modules_symbols_has_no_phantoms(tree: ModuleTree) -> Iterator[Evidence]:
    """Every name that depmod lists as an exported symbol is an exported symbol.

    Without MODVERSIONS, depmod takes every string next to the names of exports for a symbol, including namespaces:
    modules.symbols then has entries such as `symbol:CXL`. This does no harm, because nothing needs such a symbol. There
    is nothing to fix.
    Source: kmod, libkmod/libkmod-elf.c, kmod_elf_get_symbols().
    """
    found = sorted({symbol for symbol, _ in depmod_of(tree).problems.phantoms})
    if found:
        message = f"{counted(len(found), 'name')} that no module exports: {summarized(found)}"
        yield Evidence(message, (tree.location("modules.symbols"),))


@check(Severity.WARNING)
def aliases_can_be_looked_up(tree: ModuleTree) -> Iterator[Evidence]:
    """Every alias has matching brackets and only ASCII characters.

    depmod leaves any other alias out of the index that modprobe reads: the module is not loaded for its device. Correct
    the MODULE_ALIAS() or MODULE_DEVICE_TABLE() of the module.
    Source: kmod, shared/util.c, alias_normalize().
    """
    found = (
        Evidence(f"no index can hold the alias {alias} of {name}", (tree.location(path_of(tree, name)),))
        for name, alias in depmod_of(tree).problems.aliases
    )
    yield from capped(found, "aliases", tree.location(""))
