"""Symbols as text, as nm and /proc/kallsyms print them, as JSON and as CSV."""

from collections.abc import Iterable, Iterator, Sequence

from kinspect.reports.boot.layers import layer_documents
from kinspect.reports.terminal import LONGEST, Style, escaped
from kinspect.reports.values import Document, hexadecimal
from kinspect.views.kernel.listed_symbols import PlacedAddress, PlacedFacts, SymbolsFacts

_NO_ADDRESS = " " * 16


def lines(facts: SymbolsFacts | PlacedFacts, style: Style) -> Iterator[str]:
    """A line for each: address, type, name. Addresses that are not known are offsets from _text, with a plus sign."""
    if isinstance(facts, PlacedFacts):
        yield from map(_place_line, facts.places)
        return
    if facts.start is None and facts.module is None:
        for offset, letter, name in zip(facts.offsets, facts.letters, facts.names, strict=True):
            yield f"{f'+{offset:#x}':>16} {letter} {escaped(name)}"
        yield ""
        yield style.dim("Offsets from _text: the address is not known. --base ADDRESS sets it.")
        return
    yield from _rows(facts.addresses, facts.letters, _escaped(facts.names))


def _escaped(names: Sequence[str]) -> Iterable[str]:
    """The names, each escaped if any of them may need it: a kernel has 200,000."""
    text = "".join(names)
    plain = text.isascii() and text.isprintable() and ":" not in text and "#" not in text
    return names if plain and max(map(len, names), default=0) <= LONGEST else map(escaped, names)


def _rows(addresses: Sequence[int | None], letters: Iterable[str], names: Iterable[str]) -> Iterator[str]:
    if None not in addresses:
        yield from map("%016x %s %s".__mod__, zip(addresses, letters, names, strict=True))
        return
    for address, letter, name in zip(addresses, letters, names, strict=True):
        yield f"{_NO_ADDRESS if address is None else f'{address:016x}'} {letter} {name}"


def nm_lines(facts: SymbolsFacts) -> Iterator[str]:
    """What `nm FILE` prints, of symbols that are sorted by name."""
    yield from _rows(facts.addresses, facts.letters, facts.names)


def kallsyms_lines(facts: SymbolsFacts) -> Iterator[str]:
    """What /proc/kallsyms shows: no undefined and absolute symbols."""
    suffix = f"\t[{facts.module}]" if facts.module else ""
    for address, letter, name in zip(facts.addresses, facts.letters, facts.names, strict=True):
        if address is not None and letter not in "aA":
            yield f"{address:016x} {letter} {name}{suffix}"


def _place_line(place: PlacedAddress) -> str:
    if place.symbol is None:
        return f"{place.address:016x} ? not in the kernel"
    size = "" if place.size is None else f"/{place.size:#x}"
    return f"{place.address:016x} {place.letter} {escaped(place.symbol)}+{place.offset:#x}{size}"


def rows(facts: SymbolsFacts | PlacedFacts) -> Iterator[tuple[str | int, ...]]:
    """A row for each, after the header."""
    if isinstance(facts, PlacedFacts):
        yield PlacedAddress._fields
        for place in facts.places:
            yield (hexadecimal(place.address), *("" if value is None else value for value in place[1:]))
        return
    yield "address", "offset", "type", "name"
    columns = (facts.addresses, facts.offsets, facts.letters, facts.names)
    for address, offset, letter, name in zip(*columns, strict=True):
        yield "" if address is None else hexadecimal(address), "" if offset is None else offset, letter, name


def document(facts: SymbolsFacts | PlacedFacts) -> Document:
    """`symbols` and `symbols_at` in docs/report.schema.json."""
    if isinstance(facts, PlacedFacts):
        return {"kind": "symbols_at", "path": facts.path, "places": list(map(_place_document, facts.places))}
    return {
        "kind": "symbols",
        "path": facts.path,
        "layers": layer_documents(facts.layers),
        "table": facts.table,
        "module": facts.module,
        "start": _hexadecimal(facts.start),
        "known_from": facts.known_from or None,
        "total": facts.total,
        "symbols": [
            {"address": _hexadecimal(address), "offset": offset, "type": letter, "name": name}
            for address, offset, letter, name in zip(
                facts.addresses, facts.offsets, facts.letters, facts.names, strict=True
            )
        ],
    }


def _place_document(place: PlacedAddress) -> Document:
    address, symbol, letter, offset, size = place
    return {"address": hexadecimal(address), "symbol": symbol, "type": letter, "offset": offset, "size": size}


def _hexadecimal(value: int | None) -> str | None:
    return None if value is None else hexadecimal(value)
