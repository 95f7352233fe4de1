"""The tests of a module that its file alone decides, and what the others need to know of it.

The order of the tests is the kernel's. Those that depend on what is loaded already stand among the results as stages.
Source: kernel/module/main.c, load_module().
"""

from collections.abc import Iterator
from enum import Enum, auto
from errno import EINVAL, EPERM
from sys import intern
from typing import NamedTuple

from kinspect.schemas import elf
from kinspect.schemas.elf import Symbol
from kinspect.schemas.record import column
from kinspect.views.loader import layout
from kinspect.views.loader.elf import ELF_TESTS, Test, not_empty, refuse
from kinspect.views.loader.exports import crc_tables, exports, has_exports
from kinspect.views.loader.kernel import KernelExport, Order, TargetKernel
from kinspect.views.loader.load_info import LONGEST_TEXT, LoadInfo
from kinspect.views.loader.modinfo import (
    NO_LIVEPATCH,
    RequiredCrcs,
    blacklisted,
    force,
    layout_version,
    livepatch,
    vermagic,
    versions_of,
)
from kinspect.views.loader.relocation.tables import code_tables
from kinspect.views.loader.relocation.tests import relocations
from kinspect.views.loader.signature import VERIFICATION_FAILED, signature
from kinspect.views.loader.verdict import GPL_COMPATIBLE, MODULE_NAMESPACE, Crash, Refusal, Result, Signer, Unknown

_OFFENDERS = ("driverloader", "lve")
"""Modules that the kernel knows for false claims of the GPL. Source: kernel/module/main.c."""
_TWO_LISTS = "has both .ctors and .init_array."


class LoadStage(Enum):
    """A test that depends on what is loaded already."""

    ALLOCATED = auto()  # from here on the kernel frees the memory of a module that it refuses
    NAME = auto()  # no module of that name is loaded
    TAINTED = auto()  # newer kernels log a new taint for the licence
    SYMBOLS = auto()  # undefined symbols resolve
    EXPORTS = auto()  # no export is a duplicate


class TaintLine(NamedTuple):
    """A taint, and the line that the kernel logs for it: always, or only for the first module with that taint."""

    taint: str
    line: str
    once: bool = True


class LogLine(NamedTuple):
    """A line that the kernel logs while it goes on."""

    line: str


Step = LogLine | TaintLine | Refusal | Crash | Unknown | LoadStage


class UndefinedSymbol(NamedTuple):
    """An undefined symbol, or another that simplify_symbols() stops at: then `result` is why."""

    name: str
    weak: bool
    result: Result = None


class PreparedModule(NamedTuple):
    """The results of a module's tests, and what else matters of it, without its bytes.

    `name` is the one in most messages, `struct_name` the one under which the kernel lists the module. `freed_safely` is
    False when the kernel would use struct module after it has freed the memory of a module that it refuses. `undefined`
    are the undefined symbols and whether each is weak; where there is more to say of them, `symbols` has them instead.
    `weak` has the results for weak undefined symbols that nothing exports, by name. The owner of `exports` is the
    module.
    """

    path: str
    name: str
    struct_name: str
    steps: tuple[Step, ...]
    freed_safely: bool = True
    signer: Signer | None = None
    undefined: dict[str, bool] = {}
    symbols: tuple[UndefinedSymbol, ...] = ()
    weak: dict[str, Result] = {}
    exports: dict[str, KernelExport] = {}
    versions: RequiredCrcs | None = None
    namespaces: frozenset[str] = frozenset()


def preflight(kernel: TargetKernel, path: str, data: bytes) -> PreparedModule:
    """Make all tests of a module that its file decides. Raises as TargetKernel does; no module makes it raise."""
    info = LoadInfo(kernel, data)
    steps: list[Step] = []
    for test in (not_empty, signature, *ELF_TESTS[kernel.order]):
        result = test(info)
        if result is not None:
            return PreparedModule(path, info.name, "", (*map(LogLine, info.logged), result), signer=info.signer)
    steps += map(LogLine, info.logged)
    safe = info.kernel.order is Order.FIRST or layout.writable(info)
    for step in _early(info):
        steps.append(step)
        if isinstance(step, Refusal | Crash | Unknown):
            return PreparedModule(path, info.name, info.struct_name, tuple(steps), safe, info.signer)
    undefined = _undefined(info)
    symbols = tuple(_symbols(info)) if undefined is None else ()
    relocated = relocations(info, _weak_numbers(info))
    exported = exports(info)
    steps += _late(info, relocated.result, exported)
    return PreparedModule(
        path,
        info.name,
        info.struct_name,
        tuple(steps),
        safe,
        info.signer,
        undefined or {},
        symbols,
        relocated.weak,
        {} if isinstance(exported, Crash | Unknown) else exported,
        versions_of(info),
        frozenset(info.modinfo.get("import_ns", ())),
    )


def _results(info: LoadInfo, *tests: Test) -> Iterator[Step]:
    """The results of tests, with the taints for what they forced."""
    for test in tests:
        result = test(info)
        yield from _forced(info)
        if result is not None:
            yield result


def _forced(info: LoadInfo) -> Iterator[TaintLine]:
    reasons, info.forced = info.forced, []
    return (TaintLine("F", f"{info.struct_name}: {reason}: kernel tainted.") for reason in reasons)


def _early(info: LoadInfo) -> Iterator[Step]:
    """The tests before the module has memory."""
    yield from _results(info, blacklisted, layout_version, vermagic)
    memory = (layout.plt_sections, layout.write_and_run, layout.memory)
    if info.kernel.order is Order.FIRST:
        yield from _origin(info)
        yield from _results(info, livepatch)
        yield from _licence(info)
        yield from _results(info, *memory)
        yield LoadStage.NAME
        yield from _unsigned(info)
        yield from _offenders(info)
    else:
        yield from _results(info, livepatch)
        yield LoadStage.NAME
        yield from _results(info, *memory)
        yield LoadStage.ALLOCATED
        yield from _origin(info)
        yield from _licence(info)
        yield from _unsigned(info)
        yield from _offenders(info)
        yield LoadStage.TAINTED
    if line := layout.per_cpu_alignment(info):
        yield LogLine(line)
    yield from _results(info, layout.per_cpu)


def _origin(info: LoadInfo) -> Iterator[TaintLine]:
    name = info.struct_name
    if info.get_modinfo("intree") is None:
        yield TaintLine("O", f"{name}: loading out-of-tree module taints kernel.")
    if info.get_modinfo("staging") is not None:
        warning = "module is from the staging directory, the quality is unknown, you have been warned."
        yield TaintLine("C", f"{name}: {warning}", once=False)
    if info.get_modinfo("livepatch") is not None and not info.kernel.has_message(NO_LIVEPATCH):
        yield TaintLine("K", f"{name}: tainting kernel with TAINT_LIVEPATCH")


def _licence(info: LoadInfo) -> Iterator[TaintLine]:
    licence, name = info.get_modinfo("license"), info.struct_name
    licence = "unspecified" if licence is None else licence
    if licence not in GPL_COMPATIBLE:
        yield TaintLine("P", f"{name}: module license '{licence}' taints kernel.")
    if info.get_modinfo("test") is not None:
        yield TaintLine("N", f"{name}: loading test module taints kernel.")


def _unsigned(info: LoadInfo) -> Iterator[TaintLine]:
    # A kernel without MODULE_SIG does not taint itself for a missing signature.
    if not info.signed and info.kernel.has_message(VERIFICATION_FAILED):
        yield TaintLine("E", f"{info.struct_name}: {VERIFICATION_FAILED} - tainting kernel")


def _offenders(info: LoadInfo) -> Iterator[TaintLine]:
    if info.struct_name in _OFFENDERS:
        line = f"{info.struct_name}: module license taints kernel."
        yield TaintLine("P", line if info.kernel.order is Order.FIRST else "")


def _late(info: LoadInfo, relocated: Result, exported: dict[str, KernelExport] | Crash | Unknown) -> Iterator[Step]:
    """The tests after the module has memory."""
    kernel, name = info.kernel, info.struct_name
    if kernel.has_message(f"%s: {_TWO_LISTS}") and info.find(b".ctors") and info.find(b".init_array"):
        yield Refusal(EINVAL, (f"{name}: {_TWO_LISTS}",))
    if has_exports(info) and kernel.export_flags and not info.find(b"__kflagstab"):
        yield refuse(f"{name}: no flags for exported symbols")
    if kernel.modversions and None in crc_tables(info):
        refused = force(info, "no versions for exported symbols")
        yield from _forced(info)
        if refused:
            yield refused
    if kernel.module_namespaces:
        imports = info.modinfo.get("import_ns", ())
        wrong = next((space for space in imports if space.startswith(MODULE_NAMESPACE)), None)
        if wrong is not None:
            yield Refusal(EPERM, (f"{name}: module tries to import module namespace: {wrong}",))
    yield LoadStage.SYMBOLS
    if relocated is not None:
        yield relocated
    yield from _results(info, layout.per_cpu_copy, layout.first_symbol, code_tables, layout.trampolines)
    yield exported if isinstance(exported, Crash | Unknown) else LoadStage.EXPORTS
    yield from _results(info, layout.protection, layout.btf, layout.folder, layout.section_names)


_SPECIAL = (elf.SHN_ABS, 0xFF20)
"""Numbers beyond the last section that simplify_symbols() passes."""


def _undefined(info: LoadInfo) -> dict[str, bool] | None:
    """The undefined symbols in their order, and whether each is weak; None when that is not all there is to say."""
    count, numbers = info.count, info.undefined
    if any(number >= count and number not in _SPECIAL for number in set(info.symbol_sections)):
        return None
    names, infos = column(Symbol, "st_name", info.symbol_table), column(Symbol, "st_info", info.symbol_table)
    text, starts = info.strings, [names[at] for at in numbers]
    try:
        found = [intern(text[start : text.index("\0", start)]) for start in starts]
    except ValueError:
        return None
    weak = dict(zip(found, [infos[at] >> 4 == elf.STB_WEAK for at in numbers], strict=True))
    return weak if len(weak) == len(found) and max(map(len, found), default=0) <= LONGEST_TEXT else None


def _symbols(info: LoadInfo) -> Iterator[UndefinedSymbol]:
    """The undefined symbols in their order, and the others that simplify_symbols() stops at."""
    sections, count = info.symbol_sections, info.count
    names, infos = column(Symbol, "st_name", info.symbol_table), column(Symbol, "st_info", info.symbol_table)
    strings = info.sections.offsets[info.index["str"]]
    for at, section in enumerate(sections):
        if (section and (section < count or section in _SPECIAL)) or not at:
            continue
        name = info.text_at(strings + names[at])
        if name is None:
            yield UndefinedSymbol("", False, Unknown("the name of a symbol lies outside the file"))
        elif not section:
            yield UndefinedSymbol(name, infos[at] >> 4 == elf.STB_WEAK)
        elif section == elf.SHN_COMMON:
            if not name.startswith("__gnu_lto"):
                yield UndefinedSymbol(name, False, refuse(f"{info.struct_name}: please compile with -fno-common"))
        else:
            message = f"{info.struct_name}: Symbol {name} has an invalid section index {section} (max {count - 1})"
            yield UndefinedSymbol(name, False, refuse(message))


def _weak_numbers(info: LoadInfo) -> dict[int, str]:
    """The names of the weak undefined symbols by their number."""
    names, infos = column(Symbol, "st_name", info.symbol_table), column(Symbol, "st_info", info.symbol_table)
    strings = info.sections.offsets[info.index["str"]]
    weak = [at for at in info.undefined if infos[at] >> 4 == elf.STB_WEAK]
    return {at: info.text_at(strings + names[at]) or "" for at in weak}
