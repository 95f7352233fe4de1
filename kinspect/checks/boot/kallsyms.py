"""Checks of kallsyms, the names that a kernel carries of its own symbols."""

import re
from collections import Counter
from collections.abc import Iterator
from itertools import pairwise

from kinspect.artifacts.boot.image import Image
from kinspect.artifacts.build.system_map import SystemMap
from kinspect.artifacts.elf.vmlinux import Vmlinux
from kinspect.artifacts.raw.kallsyms_order import WIDTH, NameOrder, name_order
from kinspect.checks.check import Evidence, Severity, check
from kinspect.checks.wording import counted, summarized
from kinspect.errors import Location, MalformedError, UnsupportedError
from kinspect.views.kernel.image_symbols import ImageSymbols, image_symbols
from kinspect.views.kernel.symbols import symbol_counts

_UNUSUAL = re.compile(r"[\x00-\x20\x7f]")
_LETTERS = frozenset("ABCDGINRSTUVWabcdginrstuvw?")
_ANOTHER_BUILD = 20


def _readable(image: Image) -> ImageSymbols | None:
    """The symbols; None without kallsyms, in a form that is not known, and when it contradicts itself."""
    try:
        return image_symbols(image)
    except (MalformedError, UnsupportedError):
        return None


@check(Severity.ERROR)
def kallsyms_is_consistent(image: Image) -> Iterator[Evidence]:
    """The markers of kallsyms point to every 256th of its names, and no name is empty.

    The kernel finds a name from the nearest marker: if it is wrong, an oops, ftrace and kprobes name the wrong
    functions. The Image was damaged or patched; build or copy it again. A kernel without kallsyms passes, and one with
    tables in an order that kinspect does not know.
    Source: kernel/kallsyms.c, get_symbol_offset(); scripts/kallsyms.c.
    """
    try:
        image_symbols(image)
    except UnsupportedError:
        return
    except MalformedError as error:
        yield Evidence.of(error)


@check(Severity.ERROR)
def kallsyms_is_in_order(image: Image) -> Iterator[Evidence]:
    """The addresses in kallsyms ascend.

    The kernel looks an address up by binary search, which finds the wrong name if they do not. The Image was damaged or
    patched; build or copy it again.
    Source: kernel/kallsyms.c, get_symbol_pos().
    """
    found = _readable(image)
    if found is None:
        return
    for number, (before, offset) in enumerate(pairwise(found.offsets), start=1):
        if offset < before:
            table = found.kallsyms.offsets.place
            width = table.size // len(found.offsets)
            at = image.at(f"kallsyms entry {number}, {found.names[number]}", table.offset + number * width)
            yield Evidence("the symbol is out of order", (at,), f"an offset from {before:#x}", f"{offset:#x}")
            return


@check(Severity.ERROR)
def kallsyms_names_are_valid(image: Image) -> Iterator[Evidence]:
    """The names in kallsyms have no spaces and control characters, and their types are letters of nm.

    Programs split the lines of /proc/kallsyms at spaces. The Image was damaged or patched; build or copy it again.
    Source: scripts/kallsyms.c, read_symbol().
    """
    found = _readable(image)
    if found is None:
        return
    if _UNUSUAL.search("".join(found.names)):
        number = next(index for index, name in enumerate(found.names) if _UNUSUAL.search(name))
        yield _at(image, found, number, "the name of the symbol is not valid", found.names[number])
    if unknown := set(found.letters) - _LETTERS:
        number = next(index for index, letter in enumerate(found.letters) if letter in unknown)
        yield _at(image, found, number, "the type of the symbol is not valid", found.letters[number])


@check(Severity.ERROR)
def kallsyms_finds_names(image: Image) -> Iterator[Evidence]:
    """kallsyms_seqs_of_names, the index by name, has every symbol exactly once, sorted by name.

    kprobes, livepatch and BPF look functions up by name, with binary search: if the table is wrong, they find none or
    the wrong ones. The Image was damaged or patched; build or copy it again. Kernels before 6.2 do not have this table,
    and pass.
    Source: kernel/kallsyms.c, kallsyms_lookup_names(); scripts/kallsyms.c, compare_names().
    """
    found = _readable(image)
    order = None if found is None else name_order(image.source, found.kallsyms, image.searched)
    if found is None or order is None:
        return
    names, total = found.names, len(found.names)
    if len(set(order.numbers)) < total or max(order.numbers) >= total:
        seen: set[int] = set()
        for row, number in enumerate(order.numbers):
            if number >= total or number in seen:
                expected = f"an unused number below {total:,}"
                yield Evidence("wrong symbol number", (_row(image, order, row),), expected, f"{number:,}")
                return
            seen.add(number)
    listed = list(map(names.__getitem__, order.numbers))
    if "".join(names).isascii():
        for row, (before, name) in enumerate(pairwise(listed), start=1):
            # Builds with link-time optimization leave out what follows a dot.
            if name < before and name.partition(".")[0] < before.partition(".")[0]:
                yield Evidence("the names are out of order", (_row(image, order, row),), f"a name from {before}", name)
                return


def _row(image: Image, order: NameOrder, row: int) -> Location:
    return image.at(f"kallsyms_seqs_of_names[{row}]", order.place.offset + row * WIDTH)


def _at(image: Image, found: ImageSymbols, number: int, problem: str, actual: str) -> Evidence:
    table = found.kallsyms.table
    at = image.at(f"kallsyms entry {number}", table.place.offset + table.lengths[number])
    return Evidence(problem, (at,), actual=actual)


@check(Severity.ERROR)
def kallsyms_is_of_vmlinux(image: Image, vmlinux: Vmlinux) -> Iterator[Evidence]:
    """Every symbol in the kallsyms of the Image is in vmlinux, with the same address and type.

    Otherwise the two are of different builds, or the last step of the link went wrong: the kernel prints other names in
    an oops than a debugger shows. Build both again.
    Source: scripts/link-vmlinux.sh.
    """
    found = _readable(image)
    if found is None or not len(vmlinux.symbols):
        return  # a stripped vmlinux has nothing to compare
    ours = _lines(found, vmlinux.text)
    theirs = vmlinux.cached(symbol_counts)
    if theirs.total() < ours.total():
        # It was stripped in part: what it still has can be compared.
        names = {line.split(b" ", 2)[2] for line in theirs}
        ours = Counter(line for line in ours.elements() if line.split(b" ", 2)[2] in names)
    yield from _difference(image, vmlinux.at(), found, ours - theirs)


@check(Severity.ERROR)
def kallsyms_is_of_system_map(image: Image, system_map: SystemMap) -> Iterator[Evidence]:
    """Every symbol in the kallsyms of the Image is in System.map, with the same address and type.

    Crash addresses are looked up in System.map: one of another build gives the wrong names. Install the one that was
    made with this kernel.
    Source: scripts/link-vmlinux.sh; scripts/mksysmap.
    """
    found = _readable(image)
    if found is None:
        return
    theirs = Counter(system_map.lines)
    start = next((int(line[:-7], 16) for line in theirs if line.endswith(b" T _text")), None)
    yield from _difference(image, system_map.at(), found, _lines(found, start) - theirs)


def _lines(found: ImageSymbols, otherwise: int | None) -> Counter[bytes]:
    """The lines of nm for the symbols of an Image. Where its address is not known, that of the other file is used."""
    start = otherwise or 0 if found.start is None else found.start
    rows = zip(found.offsets, found.letters, found.names, strict=True)
    text = "\n".join(f"{start + offset:016x} {letter} {name}" for offset, letter, name in rows)
    return Counter(text.encode("utf-8", "surrogateescape").split(b"\n"))


def _difference(image: Image, other: Location, found: ImageSymbols, missing: Counter[bytes]) -> Iterator[Evidence]:
    if not missing:
        return
    shown = summarized([line.decode("utf-8", "backslashreplace") for line in sorted(missing.elements())])
    message = f"{counted(missing.total(), 'symbol')} of kallsyms not in {other.path}: {shown}"
    if missing.total() * _ANOTHER_BUILD > len(found.names):
        message = f"not the same build: {message}"
    yield Evidence(message, (image.at("kallsyms", found.kallsyms.table.place.offset), other))
