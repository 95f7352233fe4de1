"""kallsyms: the names of all symbols that a kernel carries, decoded from its raw bytes.

The token table is found first; all other tables lie around it, in an order that has changed over time. Which it is
shows in the tables themselves: markers count the bytes of the names, and offsets ascend.
Source: scripts/kallsyms.c, write_src(); kernel/kallsyms.c.
"""

from typing import NamedTuple

from kinspect.artifacts.raw.embedded import Extent, token_tables
from kinspect.artifacts.raw.kallsyms_offsets import KallsymsOffsets, Surroundings, kallsyms_offsets
from kinspect.errors import Location, MalformedError, UnsupportedError
from kinspect.source import Source

TOKENS, BUCKET = 256, 256
"""The number of tokens, and of names that share a marker."""
_SEARCHED = (8 << 20, 64 << 20)
"""Bytes before the token table that are searched, at first and at most: a distribution's tables have 4 MB."""
_LARGEST_TEXT = 64 << 20
"""Bytes of all names together, once expanded."""
_WIDEST = BUCKET * 260
"""The bytes that 256 names can take: a compressed name has about 14."""
_MOST_CANDIDATES, _MOST_TABLES = 1 << 14, 32
"""Zeros that may be the first marker, and runs of markers, that are looked at: a kernel has a handful."""
_MOST_MARKERS = 1 << 13
"""Of two million symbols; a distribution has 200,000."""
_MOST_STARTS = 64
_MOST_EXTRA = 8
_BROKEN = 2
"""Markers in a row that may be wrong: more of them are not markers."""


class Markers(NamedTuple):
    """A table of markers: its first offset, the width of one, and the values."""

    start: int
    width: int
    values: list[int]


class KallsymsNames(NamedTuple):
    """The compressed names: their extent, their number, and the place of the length of each in it."""

    place: Extent
    total: int
    number: int
    """The offset of the number of symbols, before them."""
    markers: Markers
    lengths: list[int]


class Kallsyms(NamedTuple):
    """The symbols of a kernel in the order of their addresses: a name, a type letter as nm prints it, a value each."""

    names: list[str]
    letters: list[str]
    offsets: KallsymsOffsets
    table: KallsymsNames
    tokens: Extent


def kallsyms_in(source: Source, end: int) -> Kallsyms | None:
    """The symbols in the raw bytes of a kernel up to `end`; None when it has no token table.

    UnsupportedError when one of the other tables cannot be found, MalformedError when they contradict each other.
    """
    found = token_tables(source, end)
    if found is None:
        return None
    tokens, index = found
    for size in _SEARCHED:
        start = max(0, tokens.offset - size) & -8
        before = source.read(start, tokens.offset - start)
        table = _names(source, start, before)
        if table or not start:
            break
    if table is None:
        raise _missing(source, "no markers and names", "before", tokens.offset)
    around = Surroundings(source, start, before, table.number, index.offset + index.size, end)
    offsets = kallsyms_offsets(around, table.total)
    if offsets is None:
        raise _missing(source, "no offsets or addresses", "around", tokens.offset)
    words = source.read(tokens.offset, tokens.size).split(b"\0")[:TOKENS]
    blob = before[table.place.offset - start :][: table.place.size]
    letters, names = _expanded(source, table, words, blob)
    return Kallsyms(names, letters, offsets, table, Extent(tokens.offset, index.offset + index.size - tokens.offset))


def _missing(source: Source, what: str, where: str, tokens: int) -> UnsupportedError:
    place = Location(source.path, "kallsyms token table", tokens)
    return UnsupportedError(f"{what} of kallsyms found {where} its token table", place)


def _names(source: Source, start: int, data: bytes) -> KallsymsNames | None:
    """The markers nearest to the token table with names before them."""
    view = memoryview(data)
    limit, tables, left = len(data), 0, 2 * _MOST_MARKERS
    for _ in range(_MOST_CANDIDATES):
        at = data.rfind(b"\0\0\0\0", 0, limit)
        if at < 0:
            return None
        at &= -4
        limit = at + 3
        for width in (8, 4):
            if at % width or at + width > len(data) or any(data[at : at + width]):
                continue
            size = min(len(data) - at, width * _MOST_MARKERS, width * left)
            values = _ascending(view[at : at + size // width * width].cast("Q" if width == 8 else "I"))
            left -= len(values)
            if len(values) < 2:
                continue
            if found := _names_before(start, data, Markers(start + at, width, values)):
                return _whole(source, data, start, found)
            tables += 1
            if tables == _MOST_TABLES or left <= 0:
                return None
    return None


def _ascending(words: memoryview) -> list[int]:
    """The words up to the last that may be a marker. A few that are wrong in between are kept, for a check to see."""
    last, good, broken = 0, 0, 0
    for index, word in enumerate(words):
        steps = index - good
        if BUCKET * steps <= word - last <= _WIDEST * steps:
            last, good, broken = word, index, 0
        else:
            broken += 1
            if broken > _BROKEN:
                break
    return words[: good + 1].tolist() if len(words) else []


def _names_before(start: int, data: bytes, markers: Markers) -> KallsymsNames | None:
    """The names that end at some markers: how many there are is a number before them."""
    end = markers.start - start
    buckets, tries = len(markers.values), 0
    # What follows the markers may look like more of them.
    for number in range(buckets, max(1, buckets - _MOST_EXTRA), -1):
        last = markers.values[number - 1]
        fewest, most = BUCKET * (number - 1) + 1, BUCKET * number
        low = max(8, end - last - _WIDEST - 8) & -4
        words = memoryview(data)[: end & -4].cast("I")
        for place in range(low >> 2, max(low, end - last) >> 2):
            for at in (place - 1, place - 2):
                if fewest <= words[at] <= most and (at == place - 1 or not words[at + 1]):
                    tries += 1
                    if tries > _MOST_STARTS:
                        return None
                    first, total = 4 * place, words[at]
                    if _lands(data, first, markers.values[:number], total, end):
                        kept = markers._replace(values=markers.values[:number])
                        return KallsymsNames(Extent(start + first, end - first), total, start + 4 * at, kept, [])
    return None


def _lands(data: bytes, first: int, markers: list[int], total: int, end: int) -> bool:
    """Whether the last bucket of names ends at the markers. They are aligned to 8 bytes at most."""
    walked = _walk(data, first + markers[-1], total - BUCKET * (len(markers) - 1), end)
    # No name is empty: four zeros before the names are alignment.
    return data[first] != 0 and walked is not None and end - 8 < walked[1] <= end and not any(data[walked[1] : end])


def _walk(data: bytes, at: int, number: int, end: int) -> tuple[list[int], int] | None:
    """The places of the lengths of some names, and where they end; None when that is not before `end`."""
    places: list[int] = []
    add_place = places.append
    try:
        for _ in range(number):
            add_place(at)
            size = data[at]
            at += size + 1 if size < 128 else (size & 127 | data[at + 1] << 7) + 2
    except IndexError:
        return None
    return (places, at) if at <= end else None


def _whole(source: Source, data: bytes, start: int, found: KallsymsNames) -> KallsymsNames:
    """The names with the places of all lengths. MalformedError when the markers say something else."""
    first = found.place.offset - start
    end = first + found.place.size
    walked = _walk(data, first, found.total, end)
    places = walked[0] if walked else []
    ours = [place - first for place in places[::BUCKET]]
    for number, value in enumerate(found.markers.values):
        actual = ours[number] if number < len(ours) else None
        if actual != value:
            part, offset = f"kallsyms_markers[{number}]", found.markers.start + number * found.markers.width
            problem = "the names of kallsyms and their markers disagree"
            names = f"{actual:#x}" if actual is not None else "past the end of the names"
            raise MalformedError(problem, Location(source.path, part, offset), expected=names, actual=f"{value:#x}")
    assert walked
    place = Extent(found.place.offset, walked[1] - first)
    return found._replace(place=place, lengths=[place - first for place in places])


def _expanded(source: Source, table: KallsymsNames, tokens: list[bytes], blob: bytes) -> tuple[list[str], list[str]]:
    """The type letters and the names: every byte of the names becomes its token, every length a separator."""
    at = Location(source.path, "kallsyms_names", table.place.offset)
    longest = max(map(len, tokens))
    if longest * len(blob) > _LARGEST_TEXT:
        # No real token has 255 bytes: all are counted at once, and what long ones have beyond that.
        size = sum(blob.translate(bytes(min(len(token), 255) for token in tokens)))
        long = ((number, len(token) - 255) for number, token in enumerate(tokens) if len(token) > 255)
        size += sum(blob.count(bytes((number,))) * more for number, more in long)
        if size > _LARGEST_TEXT:
            expected = f"at most {_LARGEST_TEXT:,} bytes"
            raise UnsupportedError("the names of kallsyms are too long", at, expected=expected, actual=size)
    # Text, because joining bytes takes a buffer of 80 bytes for each piece.
    words = [token.decode("latin-1") for token in tokens]
    pieces = list(map(words.__getitem__, blob))
    for place in table.lengths:
        pieces[place] = "\0"
        if blob[place] & 128:
            pieces[place + 1] = ""
    joined = "".join(pieces)
    if not joined.isascii():
        joined = joined.encode("latin-1").decode("utf-8", "surrogateescape")
    texts = joined.split("\0")
    del texts[0], pieces
    if min(map(len, texts)) < 2:
        number = next(index for index, text in enumerate(texts) if len(text) < 2)
        at = at._replace(offset=table.place.offset + table.lengths[number])
        raise MalformedError(f"symbol {number} of kallsyms has no name", at)
    return [text[0] for text in texts], [text[1:] for text in texts]
