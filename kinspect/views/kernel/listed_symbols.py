"""The symbols of a kernel or module, from its symbol table or its kallsyms; and the symbols at some addresses."""

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from fnmatch import translate
from itertools import compress
from re import compile as compiled
from typing import NamedTuple

from kinspect.artifacts.artifact import Artifact
from kinspect.artifacts.boot.image import Image
from kinspect.artifacts.elf.file import Elf
from kinspect.artifacts.elf.vmlinux import Vmlinux
from kinspect.artifacts.layer import Layer
from kinspect.artifacts.module.ko import Module
from kinspect.artifacts.raw.kallsyms_offsets import out_of_order
from kinspect.artifacts.raw.regex import Regex
from kinspect.artifacts.raw.regex_syntax import RegexError
from kinspect.errors import Location, MalformedError, UnsupportedError, WrongKindError
from kinspect.source import Source
from kinspect.views.kernel.image_symbols import image_symbols
from kinspect.views.kernel.symbols import symbol_rows

_GLOB, _EXPRESSION = "*?[", "^$()|+\\{"
_LONGEST_PATTERN = 256
_LAST_ADDRESS = (1 << 64) - 1


class SymbolsFacts(NamedTuple):
    """Symbols, sorted by address or by name; `names`, `letters`, `offsets` and `addresses` have the same length.

    `letters` are those of nm. `offsets` count from `_text`, whose address is `start`; either is None where it is not
    known, and in a module, whose addresses are offsets in sections. Undefined symbols have no address. `table` is
    `kallsyms` or `symbol table`, `total` the number of its symbols, and `known_from` what the addresses of an Image
    follow from. `module` is the name of a module.
    """

    path: str
    layers: tuple[Layer, ...]
    table: str
    module: str | None
    start: int | None
    known_from: str
    total: int
    names: Sequence[str]
    letters: Sequence[str]
    offsets: Sequence[int | None]
    addresses: Sequence[int | None]


class PlacedAddress(NamedTuple):
    """An address as `symbol+offset/size`. `symbol` is None when none covers it.

    The size reaches to the next symbol: kallsyms has no sizes. It is None for the last one.
    """

    address: int
    symbol: str | None
    letter: str | None
    offset: int | None
    size: int | None


class PlacedFacts(NamedTuple):
    """Some addresses, with their symbols, in the order in which they were given."""

    path: str
    places: tuple[PlacedAddress, ...]


def symbols_facts(
    artifact: Artifact, pattern: str | None = None, base: int | None = None, by_name: bool = False
) -> SymbolsFacts:
    """The symbols of an Image, a vmlinux or a module whose names match a glob or a regular expression.

    They are sorted by address, or by name: those of one name stay in the order of the symbol table, as in nm's list.
    `base` is the address of `_text` instead of the one that the kernel was linked at. WrongKindError for other files,
    UnsupportedError without symbols, MalformedError for a pattern or base that is not valid.
    """
    found = artifact.cached(_of_module if isinstance(artifact, Module) else _of_kernel, base)
    if pattern is not None:
        found = _kept(found, list(map(matcher(pattern), found.names)))
    # kallsyms is sorted, unless it is damaged, which a check reports.
    return found if found.table == "kallsyms" and not by_name else _sorted(found, by_name)


def _kept(found: SymbolsFacts, kept: Sequence[bool]) -> SymbolsFacts:
    return found._replace(
        names=list(compress(found.names, kept)),
        letters=list(compress(found.letters, kept)),
        offsets=list(compress(found.offsets, kept)),
        addresses=list(compress(found.addresses, kept)),
    )


def _sorted(found: SymbolsFacts, by_name: bool) -> SymbolsFacts:
    """The same symbols, sorted. Undefined ones come first among addresses."""
    if by_name:
        keys: list[bytes] | list[int] = [name.encode("utf-8", "surrogateescape") for name in found.names]
    else:
        keys = [-1 if address is None else address for address in found.addresses]
        if not out_of_order(keys):
            return found
    order = sorted(range(len(keys)), key=keys.__getitem__)
    return found._replace(
        names=list(map(found.names.__getitem__, order)),
        letters=list(map(found.letters.__getitem__, order)),
        offsets=list(map(found.offsets.__getitem__, order)),
        addresses=list(map(found.addresses.__getitem__, order)),
    )


def matcher(pattern: str) -> Callable[[str], bool]:
    """Whether a name matches: `vfs_*` and `*.cold` are globs, `^vfs_` and `read|write` extended regular expressions."""
    at = Location("--match")
    if len(pattern) > _LONGEST_PATTERN:
        expected = f"at most {_LONGEST_PATTERN} characters"
        raise MalformedError("the pattern is too long", at, expected=expected, actual=len(pattern))
    if ".*" in pattern or any(character in pattern for character in _EXPRESSION):
        try:
            return Regex(pattern).search
        except RegexError as reason:
            raise MalformedError(f"not a regular expression: {reason}", at, actual=pattern) from reason
    if any(character in pattern for character in _GLOB):
        match = compiled(translate(pattern)).match
        return lambda name: match(name) is not None
    return pattern.__eq__


def address_unknown(path: str) -> UnsupportedError:
    """The error for an Image that does not say where it was linked."""
    problem = "it is not known where the kernel was linked: give the address of _text as --base"
    return UnsupportedError(problem, Location(path))


def _of_kernel(artifact: Artifact, base: int | None) -> SymbolsFacts:
    if isinstance(artifact, Image):
        return _of_image(artifact, base)
    if isinstance(artifact, Vmlinux):
        return _of_vmlinux(artifact, base)
    hint = f" ({artifact.hint})" if artifact.hint else ""
    expected = "a vmlinux, an Image or a module"
    raise WrongKindError(f"not a kernel{hint}", artifact.at(), expected=expected, actual=artifact.kind)


def _of_image(image: Image, base: int | None) -> SymbolsFacts:
    found = image_symbols(image)
    start, known_from = (found.start, found.known_from) if base is None else (base, "--base")
    addresses = [start + offset for offset in found.offsets] if start is not None else [None] * len(found.offsets)
    columns = found.names, found.letters, found.offsets, addresses
    return SymbolsFacts(image.path, image.layers, "kallsyms", None, start, known_from, len(found.names), *columns)


def _of_vmlinux(vmlinux: Vmlinux, base: int | None) -> SymbolsFacts:
    names, letters, addresses = _columns(vmlinux)
    text, offsets, known_from = vmlinux.text, [], "the symbol table"
    for letter, address in zip(letters, addresses, strict=True):
        known = address is not None and text is not None and letter not in "aA"
        offsets.append(address - text if known else None)  # type: ignore[operator]
    if base is not None:
        if text is None:
            raise UnsupportedError("no symbol _text: --base cannot be applied", vmlinux.at())
        shift, text, known_from = base - text, base, "--base"
        addresses = [
            address + shift if address is not None and offset is not None else address
            for address, offset in zip(addresses, offsets, strict=True)
        ]
    columns = names, letters, offsets, addresses
    return SymbolsFacts(vmlinux.path, vmlinux.layers, "symbol table", None, text, known_from, len(names), *columns)


def _of_module(module: Module, base: int | None) -> SymbolsFacts:
    if base is not None:
        raise MalformedError("a module has no fixed address", Location("--base"))
    _ = module.header  # which raises for what is no module
    names, letters, addresses = _columns(Elf(Source(module.path, module.data)))
    columns = names, letters, [None] * len(names), addresses
    return SymbolsFacts(module.path, module.layers, "symbol table", module.name, None, "", len(names), *columns)


def _columns(file: Elf) -> tuple[list[str], list[str], list[int | None]]:
    """Names, letters and addresses, in the order of the symbol table."""
    rows = list(symbol_rows(file))
    if not rows:
        problem = "no symbols: it is stripped; take the vmlinux of the debug package, or the Image"
        raise UnsupportedError(problem, file.at())
    names = b"\0".join(name for _, _, name in rows).decode("utf-8", "surrogateescape").split("\0")
    return names, [letter for _, letter, _ in rows], [value for value, _, _ in rows]


def placed_facts(artifact: Artifact, addresses: Iterable[int], base: int | None = None) -> PlacedFacts:
    """The symbols at some addresses of a kernel. Errors as of `symbols_facts`; a module has no addresses."""
    if isinstance(artifact, Module):
        raise MalformedError("a module has no fixed address", Location("--at"))
    found = symbols_facts(artifact, base=base)
    if found.start is None:
        raise UnsupportedError(
            "it is not known where the kernel was linked: give the address of _text as --base", artifact.at()
        )
    return PlacedFacts(artifact.path, tuple(_places(found, addresses)))


def _places(found: SymbolsFacts, addresses: Iterable[int]) -> Iterator[PlacedAddress]:
    rows = zip(found.addresses, found.letters, found.names, found.offsets, strict=True)
    rest = [
        (address, letter, name) for address, letter, name, offset in rows if address is not None and offset is not None
    ]
    starts = [address for address, _, _ in rest]
    for address in addresses:
        upto = bisect_right(starts, address)
        if not upto or address > _LAST_ADDRESS:
            yield PlacedAddress(address, None, None, None, None)
            continue
        # The first of several at one address, as the kernel prints it.
        first = bisect_left(starts, starts[upto - 1])
        start, letter, name = rest[first]
        size = starts[upto] - start if upto < len(starts) else None
        if size is None and address > start:
            yield PlacedAddress(address, None, None, None, None)
        else:
            yield PlacedAddress(address, name, letter, address - start, size)
