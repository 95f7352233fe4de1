"""What could be given back of a kernel's bytes: what nothing needs, what start-up alone needs, what is optional."""

from collections.abc import Iterator
from itertools import groupby

from kinspect.schemas.elf import Rela
from kinspect.schemas.record import size_of
from kinspect.views.savings.data import MOST_EXAMPLES, LoadedBytes, copied_tables, fill, repeated_strings, zeros
from kinspect.views.savings.entry import Example, SavingKind, Waste, WasteFacts
from kinspect.views.savings.options import options
from kinspect.views.size.attribution import Attribution
from kinspect.views.tables.relocations import packed_size


def waste(attribution: Attribution) -> tuple[Waste, ...]:
    """What could be given back, by sort, the largest first; nothing that is not there."""
    loaded = LoadedBytes(attribution)
    found = [*_relocations(loaded), *_alignment(loaded), _padding(loaded), _start_up(loaded)]
    found += [repeated_strings(loaded), copied_tables(loaded), zeros(loaded), *options(loaded)]
    order = list(SavingKind)
    there = [entry._replace(examples=entry.examples[:MOST_EXAMPLES]) for entry in found if entry.file or entry.memory]
    return tuple(sorted(there, key=lambda entry: (order.index(entry.sort), -max(entry.file, entry.memory), entry.id)))


def waste_facts(attribution: Attribution) -> WasteFacts:
    """The same, with what it is held against."""
    account = attribution.account
    return WasteFacts(account.vmlinux, account.file_size, account.memory_size, waste(attribution))


def _relocations(loaded: LoadedBytes) -> Iterator[Waste]:
    """Rows that correct nothing, and rows that could be packed."""
    section = loaded.vmlinux.section(".rela.dyn")
    if section is None:
        return
    row, dead, places = size_of(Rela), loaded.relocations.dead, loaded.relocations.packable
    kept = loaded.memory(section.address, section.end) > 0
    yield Waste(
        "dead-relocations",
        SavingKind.WASTE,
        dead * row,
        dead * row * kept,
        dead,
        "Relocations of type R_AARCH64_NONE in .rela.dyn correct nothing: the linker set their places aside before it "
        "knew that it would not need them.",
        "The linker decides. Another one (ld.lld, or a newer ld) may leave none.",
        (Example(".rela.dyn", dead * row),),
    )
    if loaded.vmlinux.section(".relr.dyn") is None:
        saved = max(0, len(places) * row - packed_size(places))
        yield Waste(
            "unpacked-relocations",
            SavingKind.WASTE,
            saved,
            saved * kept,
            len(places),
            f"Relative relocations take {row} bytes each in .rela.dyn; packed into .relr.dyn most take a bit.",
            "CONFIG_RELR=y, which needs ld.lld, or ld of binutils 2.43 or newer.",
            (Example(".rela.dyn", saved),),
        )


def _alignment(loaded: LoadedBytes) -> Iterator[Waste]:
    """Between sections, and between symbols within them."""
    spans = [span for span in loaded.spans if span.kind == "alignment"]
    yield Waste(
        "alignment-between-sections",
        SavingKind.WASTE,
        sum(span.file_size for span in spans),
        sum(loaded.memory(span.address, span.address + span.size) for span in spans),
        len(spans),
        "The linker script starts sections at a boundary: of a segment, where permissions change, of a page, of a row.",
        "The largest come with the granularity of segments (64 KiB). There is no option against them.",
        tuple(_largest((span.name, span.size) for span in spans)),
    )
    runs = list(fill(loaded))
    by_section = groupby(runs, key=lambda run: run.section)
    yield Waste(
        "alignment-within-sections",
        SavingKind.WASTE,
        sum(loaded.file(run.start, run.end) for run in runs),
        sum(loaded.memory(run.start, run.end) for run in runs),
        len(runs),
        "Zeros and nops between two symbols of a section, so that the next starts at a boundary. Nops that the tracer "
        "patches do not count.",
        "Of code: CONFIG_FUNCTION_ALIGNMENT, as far as what selects it can be missed; CONFIG_CC_OPTIMIZE_FOR_SIZE "
        "aligns less. Of data: the types.",
        tuple(_largest((name, sum(run.end - run.start for run in group)) for name, group in by_section)),
    )


def _padding(loaded: LoadedBytes) -> Waste:
    """`.pecoff_edata_padding`."""
    section = loaded.vmlinux.section(".pecoff_edata_padding")
    start, end = (section.address, section.end) if section else (0, 0)
    return Waste(
        "efi-padding",
        SavingKind.WASTE,
        loaded.file(start, end),
        loaded.memory(start, end),
        1,
        "PE/COFF wants the file to end at a multiple of 512 bytes.",
        "Nothing: EFI firmware reads the Image by it.",
        (Example(".pecoff_edata_padding", loaded.file(start, end)),),
    )


def _start_up(loaded: LoadedBytes) -> Waste:
    """What is freed after boot."""
    spans = [span for span in loaded.spans if span.freed]
    return Waste(
        "init-memory",
        SavingKind.START,
        sum(span.file_size for span in spans),
        0,
        len(spans),
        "Code and data of the start-up, from __init_begin to __init_end. The kernel frees this memory after boot; the "
        "Image carries it.",
        "Drivers built as modules bring their own only when they are loaded.",
        tuple(_largest((span.name, span.size) for span in spans)),
    )


def _largest(pairs: Iterator[tuple[str, int]]) -> list[Example]:
    return [Example(name, size) for name, size in sorted(pairs, key=lambda pair: (-pair[1], pair[0]))]
