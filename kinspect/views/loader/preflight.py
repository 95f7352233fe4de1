"""A module made ready for a kernel: every test that its file alone decides, and what the others need of it.

The kernel makes its tests in an order. Those of the file are made here once; those that depend on what is loaded
already stand between them as stages.
Source: kernel/module/main.c, load_module().
"""

from collections.abc import Iterator, Sequence
from enum import Enum, auto
from errno import EINVAL, EPERM
from typing import NamedTuple

from kinspect.schemas import elf
from kinspect.schemas.elf import Symbol
from kinspect.schemas.record import column
from kinspect.views.loader import layout
from kinspect.views.loader.elf import ELF_TESTS, Test, not_empty, refuse
from kinspect.views.loader.exports import crc_tables, exports
from kinspect.views.loader.kernel import KernelExport, Order, TargetKernel
from kinspect.views.loader.load_info import LoadInfo
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
from kinspect.views.loader.relocations import relocations
from kinspect.views.loader.signature import signature
from kinspect.views.loader.tables import code_tables
from kinspect.views.loader.verdict import GPL_COMPATIBLE, Refusal, Result, Signer, Unknown

_OFFENDERS = ("driverloader", "lve")
"""Modules that claimed to be under the GPL. Source: kernel/module/main.c."""


class Stage(Enum):
    """A test that depends on what is loaded already."""

    NAME = auto()  # a module of the name is there
    TAINTED = auto()  # newer kernels sum up a taint for the licence
    SYMBOLS = auto()  # undefined symbols are found
    EXPORTS = auto()  # nobody exports the same


class TaintLine(NamedTuple):
    """A taint, and the line that the kernel writes about it: always, or only for the first module that brings it."""

    taint: str
    line: str
    once: bool = True


Step = TaintLine | Refusal | Unknown | Stage


class Needed(NamedTuple):
    """An undefined symbol; or what makes the kernel refuse the symbol table, when there is `refusal`."""

    name: str
    weak: bool
    refusal: Refusal | None = None


class PreparedModule(NamedTuple):
    """A module without its bytes. `name` is that of its messages, `struct_name` the one it is listed under.

    `weak` has the relocation types that need a weak symbol near. Exports have the module as their owner.
    """

    path: str
    name: str
    struct_name: str
    steps: tuple[Step, ...]
    signer: Signer | None = None
    needs: tuple[Needed, ...] = ()
    weak: dict[str, int] = {}
    exports: dict[str, KernelExport] = {}
    versions: RequiredCrcs | None = None
    namespaces: frozenset[str] = frozenset()


def prepared(kernel: TargetKernel, path: str, data: bytes) -> PreparedModule:
    """Make a module ready. Raises UnsupportedError as TargetKernel does; nothing in a module raises."""
    attempt = LoadInfo(kernel, data)
    steps: list[Step] = []
    for test in (not_empty, signature, *ELF_TESTS[kernel.order]):
        result = test(attempt)
        if result is not None:
            return PreparedModule(path, attempt.name, "", (result,), attempt.signer)
    for step in _early(attempt):
        steps.append(step)
        if isinstance(step, Refusal | Unknown):
            return PreparedModule(path, attempt.name, attempt.struct_name, tuple(steps), attempt.signer)
    needs = tuple(_needs(attempt))
    weak = _weak_numbers(attempt, needs)
    found = relocations(attempt, weak)
    given = exports(attempt)
    steps += _late(attempt, found.result, given)
    return PreparedModule(
        path,
        attempt.name,
        attempt.struct_name,
        tuple(steps),
        attempt.signer,
        needs,
        found.weak,
        {} if isinstance(given, Unknown) else given,
        versions_of(attempt),
        frozenset(attempt.modinfo.get("import_ns", ())),
    )


def _results(attempt: LoadInfo, *tests: Test) -> Iterator[Step]:
    """What tests say, with the notes of what they forced."""
    for test in tests:
        result = test(attempt)
        yield from _forced(attempt)
        if result is not None:
            yield result


def _forced(attempt: LoadInfo) -> Iterator[TaintLine]:
    reasons, attempt.forced = attempt.forced, []
    return (TaintLine("F", f"{attempt.struct_name}: {reason}: kernel tainted.") for reason in reasons)


def _early(attempt: LoadInfo) -> Iterator[Step]:
    """From the name to the memory."""
    yield from _results(attempt, blacklisted, layout_version, vermagic)
    memory = (layout.plt_sections, layout.write_and_run, layout.memory)
    if attempt.kernel.order is Order.FIRST:
        yield from _origin(attempt)
        yield from _results(attempt, livepatch)
        yield from _licence(attempt)
        yield from _results(attempt, *memory)
        yield Stage.NAME
        yield from _unsigned(attempt)
        yield from _offenders(attempt)
    else:
        yield from _results(attempt, livepatch)
        yield Stage.NAME
        yield from _results(attempt, *memory)
        yield from _origin(attempt)
        yield from _licence(attempt)
        yield from _unsigned(attempt)
        yield from _offenders(attempt)
        yield Stage.TAINTED
    yield from _results(attempt, layout.per_cpu)


def _origin(attempt: LoadInfo) -> Iterator[TaintLine]:
    name = attempt.struct_name
    if attempt.info("intree") is None:
        yield TaintLine("O", f"{name}: loading out-of-tree module taints kernel.")
    if attempt.info("staging") is not None:
        words = "module is from the staging directory, the quality is unknown, you have been warned."
        yield TaintLine("C", f"{name}: {words}", False)
    if attempt.info("livepatch") is not None and not attempt.kernel.says(NO_LIVEPATCH):
        yield TaintLine("K", f"{name}: tainting kernel with TAINT_LIVEPATCH")


def _licence(attempt: LoadInfo) -> Iterator[TaintLine]:
    licence, name = attempt.info("license"), attempt.struct_name
    licence = "unspecified" if licence is None else licence
    if licence not in GPL_COMPATIBLE:
        yield TaintLine("P", f"{name}: module license '{licence}' taints kernel.")
    if attempt.info("test") is not None:
        yield TaintLine("N", f"{name}: loading test module taints kernel.")


def _unsigned(attempt: LoadInfo) -> Iterator[TaintLine]:
    if not attempt.signed:
        words = "module verification failed: signature and/or required key missing - tainting kernel"
        yield TaintLine("E", f"{attempt.struct_name}: {words}")


def _offenders(attempt: LoadInfo) -> Iterator[TaintLine]:
    if attempt.struct_name in _OFFENDERS:
        line = f"{attempt.struct_name}: module license taints kernel."
        yield TaintLine("P", line if attempt.kernel.order is Order.FIRST else "")


def _late(attempt: LoadInfo, relocated: Result, given: dict[str, KernelExport] | Unknown) -> Iterator[Step]:
    """From the memory to the start."""
    kernel, name = attempt.kernel, attempt.struct_name
    if kernel.says("%s: has both .ctors and .init_array.") and attempt.find(b".ctors") and attempt.find(b".init_array"):
        yield Refusal(EINVAL, (f"{name}: has both .ctors and .init_array.",))
    if given and kernel.flags and not attempt.find(b"__kflagstab"):
        yield refuse(f"{name}: no flags for exported symbols")
    if given and kernel.modversions and any(None is one for one in crc_tables(attempt)):
        refused = force(attempt, "no versions for exported symbols")
        yield from _forced(attempt)
        if refused:
            yield refused
    if kernel.module_namespaces:
        wrong = next((one for one in attempt.modinfo.get("import_ns", ()) if one.startswith("module:")), None)
        if wrong is not None:
            yield Refusal(EPERM, (f"{name}: module tries to import module namespace: {wrong}",))
    yield Stage.SYMBOLS
    if relocated is not None:
        yield relocated
    yield from _results(attempt, layout.first_symbol, code_tables, layout.trampolines)
    yield given if isinstance(given, Unknown) else Stage.EXPORTS
    yield from _results(attempt, layout.btf, layout.section_names)


def _needs(attempt: LoadInfo) -> Iterator[Needed]:
    """The undefined symbols in their order, and the symbols for which the kernel refuses the table."""
    sections, count = attempt.symbol_sections, attempt.count
    names, infos = column(Symbol, "st_name", attempt.symbol_table), column(Symbol, "st_info", attempt.symbol_table)
    strings = attempt.sections.starts[attempt.index["str"]]
    special = (elf.SHN_ABS, 0xFF20)
    odd = any(number >= count and number not in special for number in set(sections))
    for at, section in enumerate(sections):
        if (section and (not odd or section < count or section in special)) or not at:
            continue
        name = attempt.text_at(strings + names[at])
        if name is None:
            yield Needed("", False, Refusal(0, ("the name of a symbol lies outside of the file",)))
        elif not section:
            yield Needed(name, infos[at] >> 4 == elf.STB_WEAK)
        elif section == elf.SHN_COMMON:
            if not name.startswith("__gnu_lto"):
                yield Needed(name, False, refuse(f"{attempt.struct_name}: please compile with -fno-common"))
        else:
            what = f"Symbol {name} has an invalid section index {section} (max {count - 1})"
            yield Needed(name, False, refuse(f"{attempt.struct_name}: {what}"))


def _weak_numbers(attempt: LoadInfo, needs: Sequence[Needed]) -> dict[int, str]:
    if not any(need.weak for need in needs):
        return {}
    names, infos = column(Symbol, "st_name", attempt.symbol_table), column(Symbol, "st_info", attempt.symbol_table)
    strings = attempt.sections.starts[attempt.index["str"]]
    return {
        at: attempt.text_at(strings + names[at]) or ""
        for at, section in enumerate(attempt.symbol_sections)
        if at and not section and infos[at] >> 4 == elf.STB_WEAK
    }
