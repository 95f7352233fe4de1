"""What must hold in the rows of a Module.symvers alone."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from itertools import groupby

from kinspect.artifacts.build.symvers import KERNEL, Layout, Symvers, is_crc
from kinspect.checks.check import Evidence, Severity, check
from kinspect.checks.symvers.text import each

LONGEST_NAME = 55
"""Characters of a name that fit a row of `__versions` with its NUL."""


def _rows(symvers: Symvers, indices: Sequence[int], told: Callable[[int], Evidence]) -> Iterator[Evidence]:
    """Evidence for each of some rows: `told` takes the index of one."""
    numbers = symvers.rows.numbers
    by_number = {numbers[index]: index for index in indices}
    return each(symvers, list(by_number), lambda number: told(by_number[number]))


@check(Severity.ERROR)
def symvers_crcs_are_readable(symvers: Symvers) -> Iterator[Evidence]:
    """Every CRC is `0x` and 8 hexadecimal digits.

    modpost refuses what is no number, but takes one without `0x`, and one with more than 32 bits, of which it keeps the
    lower.
    Source: scripts/mod/modpost.c, write_dump.
    """
    rows = symvers.rows
    if None not in rows.crcs:
        return
    texts = symvers.crc_texts

    def told(index: int) -> Evidence:
        at = (symvers.line(rows.numbers[index], rows.names[index]),)
        return Evidence("not a CRC", at, expected="0x and 8 hexadecimal digits", actual=texts[index] or "nothing")

    yield from _rows(symvers, [index for index, text in enumerate(texts) if not is_crc(text)], told)


@check(Severity.ERROR)
def symvers_names_are_there(symvers: Symvers) -> Iterator[Evidence]:
    """Every line names a symbol and a module, without blanks.

    modpost refuses the others.
    Source: scripts/mod/modpost.c, read_dump.
    """
    rows = symvers.rows

    def told(index: int) -> Evidence:
        at = (symvers.line(rows.numbers[index], rows.names[index]),)
        what, text = "symbol", rows.names[index]
        if text and " " not in text:
            what, text = "module", rows.modules[index]
        return Evidence(f"a blank in the name of the {what}" if text else f"no name of a {what}", at)

    # Both columns are searched as one text each: that no name is at fault is told at once.
    columns = (rows.names, rows.modules)
    if all(all(column) and " " not in "\t".join(column) for column in columns):
        return
    found = enumerate(zip(*columns, strict=True))
    yield from _rows(symvers, [at for at, texts in found if not all(texts) or any(" " in text for text in texts)], told)


@check(Severity.ERROR)
def symvers_types_are_known(symvers: Symvers) -> Iterator[Evidence]:
    """Every type is one that a kernel has had.

    Today these are EXPORT_SYMBOL and EXPORT_SYMBOL_GPL, and modpost refuses all others. Up to 5.11 there were
    EXPORT_SYMBOL_GPL_FUTURE, EXPORT_UNUSED_SYMBOL and EXPORT_UNUSED_SYMBOL_GPL as well, and up to 5.5 `(unknown)`.
    Source: scripts/mod/modpost.c, read_dump.
    """
    rows, known = symvers.rows, symvers.known_types
    if known.issuperset(rows.types):
        return

    def told(index: int) -> Evidence:
        at = (symvers.line(rows.numbers[index], rows.names[index]),)
        return Evidence("an unknown type", at, "EXPORT_SYMBOL or EXPORT_SYMBOL_GPL", rows.types[index] or "nothing")

    yield from _rows(symvers, [index for index, text in enumerate(rows.types) if text not in known], told)


@check(Severity.ERROR)
def symvers_names_are_unique(symvers: Symvers) -> Iterator[Evidence]:
    """No symbol is exported twice.

    modpost and the kernel refuse the second, and whoever takes the first line for its CRC may take the wrong one.
    Source: scripts/mod/modpost.c, sym_add_exported.
    """
    rows, first = symvers.rows, symvers.index
    if len(first) == len(rows.names):
        return

    def told(index: int) -> Evidence:
        name = rows.names[index]
        one, other = rows.numbers[first[name]], rows.numbers[index]
        return Evidence(
            f"{name} is exported twice",
            (symvers.line(other, name), symvers.line(one, name)),
            actual=f"by {rows.modules[index]}, and in line {one} by {rows.modules[first[name]]}",
        )

    yield from _rows(symvers, [at for at, name in enumerate(rows.names) if first[name] != at], told)


@check(Severity.ERROR)
def symvers_crcs_are_all_there_or_none(symvers: Symvers) -> Iterator[Evidence]:
    """Either every CRC is zero (a kernel without CONFIG_MODVERSIONS) or none is.

    A single zero is an export for which genksyms found no type: modules that use it are loaded whatever its type has
    become, or not at all.
    Source: scripts/mod/modpost.c, "has no CRC"; kernel/module/version.c, check_version.
    """
    rows = symvers.rows
    zeros = rows.crcs.count(0)
    others = len(rows.crcs) - rows.crcs.count(None) - zeros
    if not (zeros and others):
        return
    # The fewer ones are the fault.
    zero = zeros <= others
    odd = [at for at, crc in enumerate(rows.crcs) if crc is not None and (not crc) == zero]
    message = f"{zeros:,} of {zeros + others:,} CRCs {'is' if zeros == 1 else 'are'} zero"
    yield Evidence(message, tuple(symvers.line(rows.numbers[at], rows.names[at]) for at in odd[:5]), "all or none")


@check(Severity.WARNING)
def symvers_modules_are_together(symvers: Symvers) -> Iterator[Evidence]:
    """The lines of the kernel come first, then those of each module together.

    So modpost writes them since 5.19; before, lines are in no order, and then this check says nothing. Otherwise the
    file was edited, or put together of several.
    Source: scripts/mod/modpost.c, write_dump.
    """
    modules, numbers = symvers.rows.modules, symvers.rows.numbers
    # A line without a proper module is a finding of its own.
    named = (at for at, module in enumerate(modules) if module and " " not in module)
    runs: dict[str, list[int]] = defaultdict(list)
    for module, run in groupby(named, modules.__getitem__):
        runs[module].append(next(run))
    counts = Counter(modules)
    several = [module for module in runs if counts[module] > 1]
    apart = [module for module in several if len(runs[module]) > 1]
    # In no order it would be a rare chance that the lines of a module stand together.
    if 2 * len(apart) > len(several):
        return
    if runs.get(KERNEL, [0])[0]:
        at = (symvers.line(numbers[runs[KERNEL][0]]),)
        yield Evidence("the lines of the kernel are not the first", at, expected=KERNEL, actual=modules[0])

    def told(index: int) -> Evidence:
        at = tuple(symvers.line(numbers[start]) for start in (index, runs[modules[index]][0]))
        return Evidence(f"the lines of {modules[index]} are not together", at)

    yield from _rows(symvers, [runs[module][1] for module in apart], told)


@check(Severity.WARNING)
def symvers_namespace_is_last(symvers: Symvers) -> Iterator[Evidence]:
    """The namespace is the last column, not the third.

    It was the third in 5.4 and 5.5 alone, and tools that know the other layouts take it for the module. kinspect reads
    both.
    Source: scripts/mod/modpost.c, write_dump.
    """
    if symvers.layout == Layout.NAMESPACE_THIRD:
        expected = "CRC, symbol, module, type, namespace"
        actual = "CRC, symbol, namespace, module, type"
        yield Evidence("the columns of 5.4 and 5.5", (symvers.line(symvers.rows.numbers[0]),), expected, actual)


@check(Severity.INFO)
def symvers_has_crcs(symvers: Symvers) -> Iterator[Evidence]:
    """The exports have versions.

    All CRCs are zero in a kernel without CONFIG_MODVERSIONS: nothing then tells a module that was built against another
    interface, and the comparison of two kernels' interfaces sees names alone.
    Source: scripts/mod/modpost.c, write_dump.
    """
    rows = symvers.rows
    if rows.crcs and not symvers.versioned and None not in rows.crcs:
        count = len(rows.crcs)
        yield Evidence(f"all {count:,} CRCs are zero: the kernel is built without MODVERSIONS", (symvers.at(),))


@check(Severity.INFO)
def symvers_names_fit_versions(symvers: Symvers) -> Iterator[Evidence]:
    """With MODVERSIONS, no name is longer than 55 characters.

    A row of `__versions` has room for so many. Longer names, as Rust has them, need CONFIG_EXTENDED_MODVERSIONS (6.14):
    without it a module that uses one cannot be built.
    Source: include/linux/module.h, struct modversion_info; scripts/mod/modpost.c, add_versions.
    """
    rows = symvers.rows
    long = [at for at, name in enumerate(rows.names) if len(name) > LONGEST_NAME] if symvers.versioned else []
    if long:
        count = f"{len(long):,} {'name is' if len(long) == 1 else 'names are'}"
        at = (symvers.line(rows.numbers[long[0]], rows.names[long[0]]),)
        longest = max(len(rows.names[at]) for at in long)
        yield Evidence(f"{count} longer than {LONGEST_NAME} characters", at, actual=f"up to {longest}")
