"""What could be saved in a kernel: bytes that nothing uses, that only booting uses, or that are optional."""

from collections.abc import Iterator
from itertools import groupby
from typing import NamedTuple

from kinspect.schemas.elf import Rela
from kinspect.schemas.record import size_of
from kinspect.views.savings.data import MOST_EXAMPLES, LoadedKernel, copied_tables, fill, repeated_strings, zeros
from kinspect.views.savings.entry import Example, Saving, SavingKind
from kinspect.views.savings.options import options
from kinspect.views.size.attribution import Attribution
from kinspect.views.tables.relocations import packed_size


class SavingsFacts(NamedTuple):
    """The possible savings of a kernel, by kind, the largest first. Sizes in bytes.

    `file_size` and `memory_size` are those of the whole kernel.
    """

    vmlinux: str
    file_size: int
    memory_size: int
    entries: tuple[Saving, ...]


def savings_facts(attribution: Attribution) -> SavingsFacts:
    """The possible savings of a kernel, with its own sizes."""
    account = attribution.account
    return SavingsFacts(account.vmlinux, account.file_size, account.memory_size, savings(attribution))


def savings(attribution: Attribution) -> tuple[Saving, ...]:
    """The possible savings, by kind, the largest first; those of 0 bytes are left out."""
    loaded = LoadedKernel(attribution)
    found = [*_relocations(loaded), *_alignment(loaded), _padding(loaded), _boot_memory(loaded)]
    found += [repeated_strings(loaded), copied_tables(loaded), zeros(loaded), *options(loaded)]
    order = list(SavingKind)
    present = [
        saving._replace(examples=saving.examples[:MOST_EXAMPLES]) for saving in found if saving.file or saving.memory
    ]
    return tuple(
        sorted(present, key=lambda saving: (order.index(saving.kind), -max(saving.file, saving.memory), saving.id))
    )


def _relocations(loaded: LoadedKernel) -> Iterator[Saving]:
    """Relocations without effect, and relocations that could be packed."""
    section = loaded.vmlinux.section(".rela.dyn")
    if section is None:
        return
    row, dead, places = size_of(Rela), loaded.relocations.dead, loaded.relocations.packable
    kept = loaded.memory(section.address, section.end) > 0
    yield Saving(
        "dead-relocations",
        SavingKind.UNNEEDED,
        dead * row,
        dead * row * kept,
        dead,
        "Entries of type R_AARCH64_NONE in .rela.dyn have no effect: the linker reserved them before it knew that they "
        "are not needed.",
        "The linker decides. Another one (ld.lld, or a newer ld) may leave none.",
        (Example(".rela.dyn", dead * row),),
    )
    if loaded.vmlinux.section(".relr.dyn") is None:
        saved = max(0, len(places) * row - packed_size(places))
        yield Saving(
            "unpacked-relocations",
            SavingKind.UNNEEDED,
            saved,
            saved * kept,
            len(places),
            f"Relative relocations take {row} bytes each in .rela.dyn; packed in .relr.dyn, most take one bit.",
            "CONFIG_RELR=y, which needs ld.lld, or GNU ld 2.43 or newer.",
            (Example(".rela.dyn", saved),),
        )


def _alignment(loaded: LoadedKernel) -> Iterator[Saving]:
    """Alignment between sections, and between the symbols of a section."""
    spans = [span for span in loaded.spans if span.kind == "alignment"]
    yield Saving(
        "alignment-between-sections",
        SavingKind.UNNEEDED,
        sum(span.file_size for span in spans),
        sum(loaded.memory(span.address, span.address + span.size) for span in spans),
        len(spans),
        "The linker script aligns sections: to a segment where permissions change, to a page, or to a table entry.",
        "None. The largest gaps come from the alignment of segments (64 KiB), which no option changes.",
        tuple(_largest((span.name, span.size) for span in spans)),
    )
    runs = list(fill(loaded))
    by_section = groupby(runs, key=lambda run: run.section)
    yield Saving(
        "alignment-within-sections",
        SavingKind.UNNEEDED,
        sum(loaded.file(run.start, run.end) for run in runs),
        sum(loaded.memory(run.start, run.end) for run in runs),
        len(runs),
        "Zeros and nops between two symbols of a section, which align the second one. Nops that the function tracer "
        "patches do not count.",
        "For code, disable the options that select a large CONFIG_FUNCTION_ALIGNMENT, or set "
        "CONFIG_CC_OPTIMIZE_FOR_SIZE=y. For data, the types decide.",
        tuple(_largest((name, sum(run.end - run.start for run in group)) for name, group in by_section)),
    )


def _padding(loaded: LoadedKernel) -> Saving:
    """`.pecoff_edata_padding`."""
    section = loaded.vmlinux.section(".pecoff_edata_padding")
    start, end = (section.address, section.end) if section else (0, 0)
    return Saving(
        "efi-padding",
        SavingKind.UNNEEDED,
        loaded.file(start, end),
        loaded.memory(start, end),
        1,
        "PE/COFF requires a file size that is a multiple of 512 bytes.",
        "None: EFI firmware needs it to load the Image.",
        (Example(".pecoff_edata_padding", loaded.file(start, end)),),
    )


def _boot_memory(loaded: LoadedKernel) -> Saving:
    """Memory that is freed after boot."""
    spans = [span for span in loaded.spans if span.freed]
    return Saving(
        "init-memory",
        SavingKind.BOOT,
        sum(span.file_size for span in spans),
        0,
        len(spans),
        "Code and data used only during boot, from __init_begin to __init_end. The kernel frees them after boot, but "
        "they take room in the Image.",
        "Build drivers as modules: their init code is then not in the Image.",
        tuple(_largest((span.name, span.size) for span in spans)),
    )


def _largest(pairs: Iterator[tuple[str, int]]) -> list[Example]:
    return [Example(name, size) for name, size in sorted(pairs, key=lambda pair: (-pair[1], pair[0]))]
