"""The named types of a kernel as they can be compared with those of another: by what they are, not by their ids."""

from collections.abc import Iterator
from functools import cached_property
from hashlib import blake2b
from itertools import islice
from typing import NamedTuple

from kinspect.artifacts.btf.table import Btf
from kinspect.errors import MalformedError
from kinspect.schemas import btf
from kinspect.views.btf.declarations import DEEPEST, MEMBER, PARAM, VALUES, Declarations, enum_values, members
from kinspect.views.btf.layout import COMPOSITE, SIZED, anonymous_body

_DEFINED = frozenset({btf.STRUCT, btf.UNION, btf.ENUM, btf.ENUM64, btf.TYPEDEF})
_NONE: frozenset[str] = frozenset()
_MOST_FIELDS = 1 << 17


class Definition(NamedTuple):
    """One definition of a named type. `shape` is what the source says: members in order, their types, values.

    `layout` is what the compiler made of it: the size in bytes, and the offsets of the members in bits.
    """

    id: int
    shape: tuple[object, ...]
    layout: tuple[object, ...]


class Definitions:
    """The definitions of a BTF by the name of the type, as C writes it: `struct device`, `pid_t`.

    A name may have several definitions, in different files of the source. For a module, those of the kernel are in
    `base`. All raise MalformedError when the types are broken.
    """

    def __init__(self, types: Btf, base: "Definitions | None" = None) -> None:
        self.types, self.base = types, base
        self.declarations = Declarations(types)
        self._references: dict[int, frozenset[str]] = {}
        self._embeddings: dict[int, frozenset[str]] = {}
        self._digests: dict[int, bytes] = {}

    @cached_property
    def forwards(self) -> frozenset[str]:
        """The names that are only declared somewhere: `struct device;`."""
        found = set(map(self.declarations.of, self.types.of_kind(btf.FWD)))
        return frozenset(found | self.base.forwards if self.base else found)

    @cached_property
    def ids(self) -> dict[str, list[int]]:
        """The ids of the definitions of each name."""
        found: dict[str, list[int]] = {}
        types, declarations = self.types, self.declarations
        for number in types.of_kind(*_DEFINED):
            if types.name_offset(number):
                found.setdefault(declarations.of(number), []).append(number)
        return found

    def of(self, name: str) -> tuple[Definition, ...]:
        """The definitions of a name, without doubles; the kernel's and the module's."""
        found: dict[tuple[object, object], Definition] = {}
        if self.base:
            for definition in self.base.of(name):
                found[definition[1:]] = definition
        for number in self.ids.get(name, ()):
            shape, layout = self._shape(number)
            found.setdefault((shape, layout), Definition(number, shape, layout))
        return tuple(found.values())

    @cached_property
    def functions(self) -> dict[str, int]:
        """The prototype of each function; of one with several, the first."""
        found: dict[str, int] = {}
        types = self.types
        for number in types.of_kind(btf.FUNC):
            found.setdefault(types.name_of(number), types.target_of(number))
        return found

    def prototype(self, number: int, name: str = "") -> str:
        """A prototype without the names of parameters, which no CRC depends on."""
        return self.declarations.prototype(number, name, parameter_names=False)

    def number_type(self, number: int) -> str | None:
        """The number type that a typedef stands for, also through other typedefs; None if it is another type."""
        for _ in range(DEEPEST):
            kind = self.types.kind_of(number)
            if kind != btf.TYPEDEF:
                return self.declarations.of(number) if kind in (btf.INT, btf.FLOAT) else None
            number = self.types.target_of(number)
        return None

    def _shape(self, number: int) -> tuple[tuple[object, ...], tuple[object, ...]]:
        types = self.types
        kind, record = types.kind_of(number), types.record_of(number)
        if kind == btf.TYPEDEF:
            return (self.declarations.of(record.size_or_type),), (self._anonymous_layout(record.size_or_type, 0),)
        if kind in VALUES:
            return tuple(enum_values(types, number)), (record.size_or_type,)
        rows, text = types.rows_of(number), self.declarations.of
        names = tuple(map(types.text, rows[::MEMBER]))
        kinds = tuple(map(text, rows[1::MEMBER]))
        bits = tuple(offset >> 24 for offset in rows[2::MEMBER]) if record.info >> 31 else ()
        return (names, kinds, bits), self._layout(number, 0)

    def _layout(self, number: int, depth: int) -> tuple[object, ...]:
        types = self.types
        if depth > DEEPEST:
            raise MalformedError("types are nested too deeply", types.at(types.part), actual=f"type {number}")
        rows = types.rows_of(number)
        inside = tuple(self._anonymous_layout(member, depth) for member in rows[1::MEMBER])
        return types.target_of(number), tuple(rows[2::MEMBER]), inside if any(inside) else ()

    def _anonymous_layout(self, number: int, depth: int) -> bytes:
        """A digest of the layout of an anonymous struct or union in a type; empty for other types.

        A digest, because anonymous types may be nested in each other many times over.
        """
        kind = self.types.kind_of(number)
        body = None if kind in SIZED and kind not in COMPOSITE else anonymous_body(self.types, number)
        if body is None:
            return b""
        if body.id not in self._digests:
            text = repr(self._layout(body.id, depth + 1)).encode()
            self._digests[body.id] = blake2b(text, digest_size=16).digest()
        return self._digests[body.id]

    def references(self, number: int, depth: int = 0) -> frozenset[str]:
        """The names that a type refers to, through pointers, arrays, prototypes and anonymous types."""
        found = self._references.get(number)
        if found is None:
            if depth > DEEPEST:
                raise MalformedError("types are nested too deeply", self.types.at(self.types.part))
            found = self._references[number] = self._referenced(number, depth)
        return found

    def _referenced(self, number: int, depth: int) -> frozenset[str]:
        types = self.types
        kind, record = types.kind_of(number), types.record_of(number)
        if (kind in _DEFINED and record.name_off) or kind == btf.FWD:
            return frozenset({self.declarations.of(number)})
        return self._inside(number, kind, depth)

    def _inside(self, number: int, kind: int, depth: int) -> frozenset[str]:
        """The names that a definition refers to."""
        types = self.types
        if kind in COMPOSITE:
            inner = types.rows_of(number)[1::MEMBER]
        elif kind == btf.FUNC_PROTO:
            inner = [types.target_of(number), *types.rows_of(number)[1::PARAM]]
        elif kind == btf.ARRAY:
            inner = types.rows_of(number)[:1]
        elif kind in SIZED or not number:
            return _NONE
        else:
            inner = [types.target_of(number)]
        if len(inner) == 1:
            return self.references(inner[0], depth + 1)
        return _NONE.union(*(self.references(member, depth + 1) for member in inner))

    def neighbours(self, name: str) -> frozenset[str]:
        """The names that the definitions of a name refer to."""
        found = self.base.neighbours(name) if self.base else _NONE
        for number in self.ids.get(name, ()):
            found |= self._inside(number, self.types.kind_of(number), 0)
        return found

    def embedded(self, name: str) -> frozenset[str]:
        """The names whose size and layout the definitions of a name depend on: all but what is behind a pointer."""
        found = self.base.embedded(name) if self.base else _NONE
        for number in self.ids.get(name, ()):
            found |= self._embedded(number, 0)
        return found

    def _embedded(self, number: int, depth: int) -> frozenset[str]:
        types = self.types
        if depth > DEEPEST:
            raise MalformedError("types are nested too deeply", types.at(types.part))
        if depth and types.kind_of(number) in _DEFINED and types.name_offset(number):
            return frozenset({self.declarations.of(number)})
        if number not in self._embeddings:
            inner = (self._embedded(member, depth + 1) for member in _contained(types, number))
            self._embeddings[number] = _NONE.union(*inner)
        return self._embeddings[number]

    def fields(self, number: int) -> list["Field"]:
        """The members of a struct or union, those of anonymous ones inside included."""
        found = list(islice(self._fields(number, "", 0, 0), _MOST_FIELDS + 1))
        if len(found) > _MOST_FIELDS:
            problem = "too many members in nested anonymous types"
            raise MalformedError(problem, self.types.at(self.types.part), expected=f"at most {_MOST_FIELDS:,}")
        return found

    def _fields(self, number: int, prefix: str, base: int, depth: int) -> "Iterator[Field]":
        types = self.types
        for name, member, offset, bits in members(types, number):
            body = None if bits else anonymous_body(types, member)
            if body and depth < DEEPEST:
                inner = f"{prefix}{name}." if name else prefix
                yield from self._fields(body.id, inner, 0 if body.pointer else base + offset, depth + 1)
            else:
                declared = self.declarations.named(member, prefix + name) + (f" : {bits}" if bits else "")
                yield Field(prefix + name, self.declarations.of(member), base + offset, bits, declared)


def _contained(types: Btf, number: int) -> list[int]:
    """The types that are part of a type, and not only pointed to."""
    kind = types.kind_of(number)
    if kind in COMPOSITE:
        return types.rows_of(number)[1::MEMBER]
    if kind == btf.ARRAY:
        return types.rows_of(number)[:1]
    return [types.target_of(number)] if kind in (btf.TYPEDEF, btf.CONST, btf.VOLATILE, btf.TYPE_TAG) else []


class Field(NamedTuple):
    """A member of a struct: its type, its offset and the size of a bitfield in bits, its declaration."""

    name: str
    type: str
    offset: int
    bits: int
    declaration: str
