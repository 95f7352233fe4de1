"""Checks of the rows of a Module.symvers."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from itertools import groupby

from kinspect.artifacts.build.symvers import KERNEL, Layout, Symvers, is_crc
from kinspect.checks.check import Evidence, Severity, check
from kinspect.checks.symvers.text import each

LONGEST_NAME = 55
"""Characters of a name that fit a row of `__versions` with its NUL."""


def _rows(symvers: Symvers, indices: Sequence[int], evidence: Callable[[int], Evidence]) -> Iterator[Evidence]:
    """Evidence for each of some rows by their index."""
    numbers = symvers.rows.numbers
    by_number = {numbers[index]: index for index in indices}
    return each(symvers, list(by_number), lambda number: evidence(by_number[number]))


@check(Severity.ERROR)
def symvers_crcs_are_readable(symvers: Symvers) -> Iterator[Evidence]:
    """Every CRC is `0x` and 8 hexadecimal digits.

    modpost refuses the file if a CRC is not a number, but accepts a number without `0x`, or one with more than 32 bits,
    of which it keeps the low 32. Modules then have a wrong CRC and are refused. The file was edited; build the modules
    again to regenerate it.
    Source: scripts/mod/modpost.c, write_dump.
    """
    rows = symvers.rows
    if None not in rows.crcs:
        return
    texts = symvers.crc_texts

    def evidence(index: int) -> Evidence:
        at = (symvers.line(rows.numbers[index], rows.names[index]),)
        return Evidence("invalid CRC", at, expected="0x and 8 hexadecimal digits", actual=texts[index] or "nothing")

    yield from _rows(symvers, [index for index, text in enumerate(texts) if not is_crc(text)], evidence)


@check(Severity.ERROR)
def symvers_names_are_there(symvers: Symvers) -> Iterator[Evidence]:
    """Every line names a symbol and a module, and neither contains a blank.

    Otherwise modpost refuses the file (`parse error in symbol dump file`), and no module can be built with it. The file
    was edited; build the modules again to regenerate it.
    Source: scripts/mod/modpost.c, read_dump.
    """
    rows = symvers.rows

    def evidence(index: int) -> Evidence:
        at = (symvers.line(rows.numbers[index], rows.names[index]),)
        noun, text = "symbol", rows.names[index]
        if text and " " not in text:
            noun, text = "module", rows.modules[index]
        return Evidence(
            f"the name of the {noun} contains a blank" if text else f"the name of the {noun} is missing", at
        )

    # Each column is searched as one text: in a good file that is all there is to do.
    columns = (rows.names, rows.modules)
    if all(all(column) and " " not in "\t".join(column) for column in columns):
        return
    found = enumerate(zip(*columns, strict=True))
    yield from _rows(
        symvers, [at for at, texts in found if not all(texts) or any(" " in text for text in texts)], evidence
    )


@check(Severity.ERROR)
def symvers_types_are_known(symvers: Symvers) -> Iterator[Evidence]:
    """Every type is one that the kernel has or had.

    Current kernels have EXPORT_SYMBOL and EXPORT_SYMBOL_GPL. modpost refuses a file with any other type (`parse error
    in symbol dump file`). Up to 5.11 there were also EXPORT_SYMBOL_GPL_FUTURE, EXPORT_UNUSED_SYMBOL and
    EXPORT_UNUSED_SYMBOL_GPL, and up to 5.5 `(unknown)`. The file was edited, or has the format of another kernel.
    Source: scripts/mod/modpost.c, read_dump.
    """
    rows, known = symvers.rows, symvers.known_types
    if known.issuperset(rows.types):
        return

    def evidence(index: int) -> Evidence:
        at = (symvers.line(rows.numbers[index], rows.names[index]),)
        return Evidence("unknown type", at, "EXPORT_SYMBOL or EXPORT_SYMBOL_GPL", rows.types[index] or "nothing")

    yield from _rows(symvers, [index for index, text in enumerate(rows.types) if text not in known], evidence)


@check(Severity.ERROR)
def symvers_names_are_unique(symvers: Symvers) -> Iterator[Evidence]:
    """No symbol is exported twice.

    modpost refuses the file (`exported twice`), and the kernel refuses the second module that exports the symbol. Tools
    that use the first line may get the wrong CRC. Remove or rename one of the exports.
    Source: scripts/mod/modpost.c, sym_add_exported.
    """
    rows, first = symvers.rows, symvers.index
    if len(first) == len(rows.names):
        return

    def evidence(index: int) -> Evidence:
        name = rows.names[index]
        one, other = rows.numbers[first[name]], rows.numbers[index]
        return Evidence(
            f"{name} is exported twice: by {rows.modules[index]}, and on line {one} by {rows.modules[first[name]]}",
            (symvers.line(other, name), symvers.line(one, name)),
        )

    yield from _rows(symvers, [at for at, name in enumerate(rows.names) if first[name] != at], evidence)


@check(Severity.ERROR)
def symvers_crcs_are_all_there_or_none(symvers: Symvers) -> Iterator[Evidence]:
    """Either every CRC is zero (a kernel without CONFIG_MODVERSIONS) or none is.

    A zero among other CRCs means that genksyms did not find the type of an export, often one from an assembly file: a
    change of its type goes unnoticed, or modules that use it are refused. Declare the symbol in asm/asm-prototypes.h.
    Source: scripts/mod/modpost.c, "has no CRC"; kernel/module/version.c, check_version.
    """
    rows = symvers.rows
    zeros = rows.crcs.count(0)
    others = len(rows.crcs) - rows.crcs.count(None) - zeros
    if not (zeros and others):
        return
    # The minority is at fault.
    zero = zeros <= others
    odd = [at for at, crc in enumerate(rows.crcs) if crc is not None and (not crc) == zero]
    message = f"{zeros:,} of {zeros + others:,} CRCs {'is' if zeros == 1 else 'are'} zero, not all or none"
    yield Evidence(message, tuple(symvers.line(rows.numbers[at], rows.names[at]) for at in odd[:5]))


@check(Severity.WARNING)
def symvers_modules_are_together(symvers: Symvers) -> Iterator[Evidence]:
    """The lines of the kernel come first, and the lines of each module are together.

    modpost writes them in this order since 5.19; nothing is reported for an unordered file, such as older kernels
    write. Otherwise the file was edited or merged from several files, and may list exports that are not in this build.
    Build the modules again to regenerate it.
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
    # In an unordered file the lines of a module are together only by a rare chance.
    if 2 * len(apart) > len(several):
        return
    if runs.get(KERNEL, [0])[0]:
        at = (symvers.line(numbers[runs[KERNEL][0]]),)
        yield Evidence(f"the lines of {modules[0]} come before those of the kernel", at)

    def evidence(index: int) -> Evidence:
        at = tuple(symvers.line(numbers[start]) for start in (index, runs[modules[index]][0]))
        return Evidence(f"the lines of {modules[index]} are not together", at)

    yield from _rows(symvers, [runs[module][1] for module in apart], evidence)


@check(Severity.WARNING)
def symvers_namespace_is_last(symvers: Symvers) -> Iterator[Evidence]:
    """The namespace is the last column, not the third.

    Kernels 5.4 and 5.5 have it in the third. Tools that do not know this layout mistake the namespace for the module,
    and miss or misattribute exports. kinspect reads both. There is nothing to fix, except in such a tool.
    Source: scripts/mod/modpost.c, write_dump.
    """
    if symvers.layout == Layout.NAMESPACE_THIRD:
        expected = "CRC, symbol, module, type, namespace"
        actual = "CRC, symbol, namespace, module, type"
        yield Evidence("column order of 5.4 and 5.5", (symvers.line(symvers.rows.numbers[0]),), expected, actual)


@check(Severity.INFO)
def symvers_has_crcs(symvers: Symvers) -> Iterator[Evidence]:
    """The exports have CRCs.

    All are zero in a kernel without CONFIG_MODVERSIONS: it does not detect that a module was built with other types,
    and `kinspect abi` can compare only names. Build with CONFIG_MODVERSIONS=y if that matters.
    Source: scripts/mod/modpost.c, write_dump.
    """
    rows = symvers.rows
    if rows.crcs and not symvers.versioned and None not in rows.crcs:
        count = len(rows.crcs)
        yield Evidence(f"all {count:,} CRCs are zero: the kernel was built without MODVERSIONS", (symvers.at(),))


@check(Severity.INFO)
def symvers_names_fit_versions(symvers: Symvers) -> Iterator[Evidence]:
    """With MODVERSIONS, no name is longer than 55 characters.

    An entry of `__versions` has no room for more. Longer names, common in Rust, need CONFIG_EXTENDED_MODVERSIONS
    (6.14): without it, a module that uses one cannot be built (`"...": too long symbol`).
    Source: include/linux/module.h, struct modversion_info; scripts/mod/modpost.c, add_versions.
    """
    rows = symvers.rows
    long = [at for at, name in enumerate(rows.names) if len(name) > LONGEST_NAME] if symvers.versioned else []
    if long:
        count = f"{len(long):,} {'name is' if len(long) == 1 else 'names are'}"
        at = (symvers.line(rows.numbers[long[0]], rows.names[long[0]]),)
        longest = max(len(rows.names[at]) for at in long)
        yield Evidence(f"{count} longer than {LONGEST_NAME} characters, up to {longest}", at)
