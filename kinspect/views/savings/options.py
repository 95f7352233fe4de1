"""Parts of a kernel that its configuration can leave out, and the size of each."""

from collections.abc import Iterator
from typing import NamedTuple

from kinspect.schemas.elf import Rela
from kinspect.schemas.record import size_of
from kinspect.views.savings.data import NOP, LoadedKernel
from kinspect.views.savings.entry import Example, Saving, SavingKind

_EXPORTS = ("__ksymtab", "__ksymtab_gpl", "__kcrctab", "__kcrctab_gpl", "__kflagstab", "__ksymtab_strings")
_KALLSYMS = tuple(
    f"kallsyms_{name}"
    for name in (
        "addresses",
        "offsets",
        "relative_base",
        "num_syms",
        "names",
        "markers",
        "seqs_of_names",
        "token_table",
        "token_index",
    )
)
_BTI = b"\x5f\x24\x03\xd5"
_LONGEST_SITE = 5
"""Instructions at a call site: nops before the function, BTI, nops in it."""


class _Part(NamedTuple):
    """A part that an option controls: its sections, its symbols, and its ranges as pairs of labels."""

    id: str
    reason: str
    remedy: str
    sections: tuple[str, ...] = ()
    symbols: tuple[str, ...] = ()
    between: tuple[tuple[str, str], ...] = ()


_PARTS = (
    _Part(
        "btf",
        "BTF type information, which BPF programs need to run on any kernel.",
        "CONFIG_DEBUG_INFO_BTF=n",
        sections=(".BTF", ".BTF_ids"),
    ),
    _Part(
        "kallsyms",
        "Symbol names, for stack traces, tracing and live patching.",
        "CONFIG_KALLSYMS_ALL=n leaves out the names of data, CONFIG_KALLSYMS=n all names",
        symbols=_KALLSYMS,
    ),
    _Part(
        "exports",
        "Symbols exported to modules.",
        "CONFIG_TRIM_UNUSED_KSYMS=y keeps only those that modules of this build use",
        sections=_EXPORTS,
    ),
    _Part(
        "dynamic-debug",
        "A descriptor for each debug message that can be turned on at run time; the texts are not counted.",
        "CONFIG_DYNAMIC_DEBUG=n",
        between=(("__start___dyndbg", "__stop___dyndbg"),),
    ),
    _Part(
        "jump-labels",
        "The places to patch when a static key changes.",
        "CONFIG_JUMP_LABEL=n; the code then tests a variable instead",
        between=(("__start___jump_table", "__stop___jump_table"),),
    ),
    _Part(
        "printk-index",
        "An index entry for each message that the kernel can print.",
        "CONFIG_PRINTK_INDEX=n",
        between=(("__start_printk_index", "__stop_printk_index"),),
    ),
    _Part(
        "configuration",
        "The .config of the build, shown as /proc/config.gz.",
        "CONFIG_IKCONFIG=n",
        between=(("kernel_config_data", "kernel_config_data_end"),),
    ),
    _Part(
        "initramfs",
        "The built-in initramfs.",
        "an empty CONFIG_INITRAMFS_SOURCE",
        between=(("__irf_start", "__irf_end"),),
    ),
)


def options(loaded: LoadedKernel) -> Iterator[Saving]:
    """A saving for each part; of 0 bytes when the kernel does not have it."""
    for part in _PARTS:
        runs = [*_runs(loaded, part)]
        yield _entry(loaded, part.id, part.reason, part.remedy, runs)
    yield _relocatable(loaded)
    yield _tracer(loaded)


def _entry(loaded: LoadedKernel, id_: str, reason: str, remedy: str, runs: list[tuple[str, int, int]]) -> Saving:
    runs = [(name, *loaded.clipped(start, end)) for name, start, end in runs]
    file = sum(loaded.file(start, end) for _, start, end in runs)
    memory = sum(loaded.memory(start, end) for _, start, end in runs)
    sizes: dict[str, int] = {}
    for name, start, end in runs:
        sizes[name] = sizes.get(name, 0) + end - start
    top = tuple(Example(name, size) for name, size in sorted(sizes.items(), key=lambda item: (-item[1], item[0])))
    return Saving(id_, SavingKind.OPTION, file, memory, len(runs), reason, remedy, top)


def _runs(loaded: LoadedKernel, part: _Part) -> Iterator[tuple[str, int, int]]:
    for span in loaded.spans:
        if span.kind == "section" and span.name in part.sections:
            yield span.name, span.address, span.address + span.size
    if part.symbols:
        layer = loaded.attribution.symbol
        wanted = {number for number, name in enumerate(layer.names) if name in part.symbols}
        for start, label, end in zip(layer.starts, layer.labels, [*layer.starts[1:], layer.end], strict=True):
            if label in wanted:
                yield layer.names[label], start, end
    for first, last in part.between:
        start, end = (loaded.vmlinux.symbols.value(name) or 0 for name in (first, last))
        if loaded.spans[0].address <= start < end:
            yield first, start, end


def _relocatable(loaded: LoadedKernel) -> Saving:
    """The relocations that the kernel applies to itself at boot, without those that have no effect."""
    dead = loaded.relocations.dead * size_of(Rela)
    runs = [
        (span.name, span.address, span.address + span.size - (dead if span.name == ".rela.dyn" else 0))
        for span in loaded.spans
        if span.name in (".rela.dyn", ".relr.dyn")
    ]
    reason = "Relocations to apply when the kernel runs at another address; dead relocations are not counted."
    return _entry(loaded, "relocatable", reason, "CONFIG_RANDOMIZE_BASE=n and CONFIG_RELOCATABLE=n", runs)


def _tracer(loaded: LoadedKernel) -> Saving:
    """The list of call sites, and the nops at each."""
    first, last = (loaded.vmlinux.symbols.value(f"__{edge}_mcount_loc") or 0 for edge in ("start", "stop"))
    runs = [("list of call sites", first, last)] if loaded.call_sites else []
    for site in loaded.call_sites:
        code, at = loaded.bytes(site, site + 4 * _LONGEST_SITE), 0
        while code.startswith(_BTI, at) or code.startswith(NOP, at):
            first, at = at, at + 4
            while code.startswith(NOP, first) and code.startswith(NOP, at):
                at += 4
            if code.startswith(NOP, first):
                runs.append(("nops in functions", site + first, site + at))
    reason = "Nops in every function, which the function tracer patches, and the list of their addresses."
    return _entry(loaded, "function-tracer", reason, "CONFIG_FUNCTION_TRACER=n", runs)
