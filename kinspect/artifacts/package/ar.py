"""Ar archives, which a Debian package is."""

from typing import NamedTuple

from kinspect.errors import Location, MalformedError, TruncatedError
from kinspect.schemas.package.ar import END, MAGIC, ArHeader
from kinspect.schemas.record import parse_table, size_of
from kinspect.source import Source

_MOST_MEMBERS = 1000
_HEADER = size_of(ArHeader)


class ArMember(NamedTuple):
    """A member: where its data are in the file."""

    name: str
    offset: int
    size: int


def ar_members(source: Source) -> list[ArMember]:
    """The members of an ar archive. Raises MalformedError, TruncatedError when one ends after the file."""
    if source.head(len(MAGIC)) != MAGIC:
        raise MalformedError("not an ar archive", Location(source.path, "", 0), expected="!<arch>")
    found: list[ArMember] = []
    at = len(MAGIC)
    while at < source.size and len(found) < _MOST_MEMBERS:
        header = parse_table(ArHeader, source.read(at, _HEADER, "the header of a member"))[0]
        digits = header.ar_size.rstrip(b" ")
        if header.ar_fmag != END or not digits.isdigit():
            raise MalformedError("not an ar member header", Location(source.path, "", at))
        name = header.ar_name.decode("ascii", "backslashreplace").rstrip(" ").removesuffix("/")
        start, size = at + _HEADER, int(digits)
        if start + size > source.size:
            raise TruncatedError(
                "the package is cut off",
                Location(source.path, name, start),
                expected=f"{size:,} bytes",
                actual=f"{source.size - start:,}",
            )
        found.append(ArMember(name, start, size))
        at = start + size + size % 2
    return found
