"""Checks of a log that is decoded with a kernel: whether it is a log of that kernel."""

from collections.abc import Iterator

from kinspect.checks.check import Evidence, Severity, capped, check
from kinspect.checks.wording import counted, summarized
from kinspect.errors import Location
from kinspect.views.trace.facts import ModuleOfLog, StrangeSymbol, TraceFacts
from kinspect.views.trace.kernel import KernelIdentity

MOST_SYMBOLS = 3
"""Symbols that are listed: in the log of another kernel most of them differ."""


@check(Severity.ERROR)
def log_is_of_this_kernel(trace: TraceFacts) -> Iterator[Evidence]:
    """The log comes from the kernel that it is decoded with, not from another release or build.

    kinspect compares the `Linux version` line, and the release, build number (`#1`) and build ID in lines such as
    `CPU: 0 PID: 1 Comm: init Not tainted 6.1.0 #1`. Another kernel gives the wrong source lines: use the vmlinux of the
    kernel that wrote the log.
    Source: init/version.c, linux_banner; kernel/printk/printk.c and lib/dump_stack.c, dump_stack_print_info().
    """
    others: dict[tuple[str, str, str], Evidence] = {}
    for logged in trace.logged:
        found = _difference(logged.identity, trace.identity)
        if found:
            at = Location(trace.log, line=logged.line)
            others.setdefault(found, Evidence(found[0], (at,), expected=found[1], actual=found[2]))
    return capped(others.values(), "lines", Location(trace.log))


def _difference(logged: KernelIdentity, kernel: KernelIdentity) -> tuple[str, str, str] | None:
    """What differs: a message, the kernel's value, and the one in the log."""
    for what, ours, theirs in (
        ("the log is from another release", kernel.release, logged.release),
        ("the log is from another build", f"build ID {kernel.build_id}", f"build ID {logged.build_id}"),
        ("the log is from another build", kernel.build, logged.build),
        ("the log is from another build", kernel.banner, logged.banner),
    ):
        known = ours.removeprefix("build ID ") and theirs.removeprefix("build ID ")
        # The line in the log may be cut.
        if known and ours != theirs and not (theirs == logged.banner and ours.startswith(theirs)):
            return what, ours, theirs
    return None


@check(Severity.ERROR)
def logged_symbols_fit_the_kernel(trace: TraceFacts) -> Iterator[Evidence]:
    """The kernel and its modules have every function that the log names, with the same size.

    In `foo+0x10/0x20`, 0x20 is the size of foo. If it differs, the log is from another build of the kernel or module,
    and the address is not decoded.
    Source: kernel/kallsyms.c, sprint_symbol().
    """
    for one in trace.strange[:MOST_SYMBOLS]:
        yield Evidence(_strange(one), (Location(trace.log, line=one.line),))
    if (more := len(trace.strange) - MOST_SYMBOLS) > 0:
        yield Evidence(f"and {more:,} more such symbols", (Location(trace.log),))


def _strange(one: StrangeSymbol) -> str:
    where = f"the module {one.module}" if one.module else "the kernel"
    if not one.sizes or one.size is None:
        return f"{where} has no symbol {one.symbol}"
    sizes = " or ".join(f"{size:#x}" for size in one.sizes[:3])
    return f"{one.symbol} has a size of {one.size:#x} in the log, but {sizes} in {where}"


@check(Severity.ERROR)
def logged_code_is_the_kernels(trace: TraceFacts) -> Iterator[Evidence]:
    """The instructions in a `Code:` line are those that the kernel has there.

    Instructions that the kernel patches at run time may differ: alternatives, jump labels, ftrace calls, kprobes. Any
    other difference means that the log is from another build, or that the code was overwritten in memory.
    Source: arch/arm64/kernel/traps.c, dump_kernel_instr().
    """
    for one in trace.code:
        message, at = f"the instruction at {one.place} differs", Location(trace.log, line=one.line)
        yield Evidence(message, (at,), expected=f"{one.expected:08x}", actual=f"{one.found:08x}")


@check(Severity.WARNING)
def logged_modules_are_found(trace: TraceFacts) -> Iterator[Evidence]:
    """The file of every module that the log names is found, with the build ID given in the log.

    Functions of a missing module are not decoded. Use `--modules FOLDER` to say where the modules are:
    lib/modules/RELEASE, a build folder, or usr/lib/debug of a debug package.
    Source: kernel/module/kallsyms.c, module_address_lookup(); lib/vsprintf.c, symbol_string().
    """
    missing: dict[str, list[ModuleOfLog]] = {}
    for module in trace.modules:
        if module.path is None:
            missing.setdefault(module.problem, []).append(module)
    for problem, modules in missing.items():
        names = summarized([one.name for one in modules])
        message = f"{counted(len(modules), 'module')} not decoded ({names}): {problem}"
        yield Evidence(message, (Location(trace.log, line=modules[0].line),))


@check(Severity.WARNING)
def logged_addresses_are_in_the_kernel(trace: TraceFacts) -> Iterator[Evidence]:
    """Every bare address (without a symbol) in the log or given with --at is in the kernel.

    Any other address is in a module, whose load address no file has, or KASLR moved the kernel and the log does not say
    by how much: a panic prints that as `Kernel Offset`.
    Source: arch/arm64/kernel/setup.c, dump_kernel_offset().
    """
    found = (
        Evidence(f"{address:#x} is not in the kernel", (Location(trace.log, line=line),))
        for line, address in trace.outside
    )
    return capped(found, "addresses", Location(trace.log))
