"""The layout of a type in memory: members with offsets and sizes, holes, padding; as pahole computes it."""

from typing import NamedTuple

from kinspect.artifacts.btf.table import Btf
from kinspect.errors import MalformedError
from kinspect.schemas import btf
from kinspect.views.btf.declarations import DEEPEST, QUALIFIERS, Declarations, enum_values, members

POINTER = 8
_MOST_MEMBERS = 1 << 17
SIZED = frozenset({btf.INT, btf.STRUCT, btf.UNION, btf.ENUM, btf.FLOAT, btf.ENUM64, btf.DATASEC})
COMPOSITE = frozenset({btf.STRUCT, btf.UNION})
_FOLLOWED = frozenset({btf.TYPEDEF, btf.VOLATILE, btf.CONST, btf.RESTRICT, btf.VAR, btf.TYPE_TAG})
_WORDS = {
    btf.STRUCT: "struct",
    btf.UNION: "union",
    btf.ENUM: "enum",
    btf.ENUM64: "enum",
    btf.TYPEDEF: "typedef",
    btf.FUNC: "function",
    btf.VAR: "variable",
    btf.FWD: "forward declaration",
    btf.INT: "integer",
    btf.FLOAT: "float",
    btf.DATASEC: "section",
}


class TypeMember(NamedTuple):
    """A member of a struct or union. `offset` and `size` in bytes, `offset` from the start of the outermost type.

    `bits` is the size of a bitfield, 0 for another member; a bitfield is `bit` bits after `offset`, in a unit of `size`
    bytes. `hole` and `bit_hole` are the unused bytes and bits after it. An anonymous struct or union has `members`, and
    its padding; its `declaration` has `{}` for them: `struct {} vlan[2]`. Others have no semicolon: `u8 daddr[6]`.
    """

    declaration: str
    name: str
    offset: int
    size: int
    bits: int
    bit: int
    hole: int
    bit_hole: int
    members: "tuple[TypeMember, ...]"
    padding: int
    bit_padding: int


class TypeFacts(NamedTuple):
    """A named type. `size` in bytes; None for what has none (a function, a forward declaration).

    `kind` is struct, union, enum, typedef, function, variable, integer, float, section or forward declaration.
    `padding` and `bit_padding` are unused at its end. `values` are those of an enum.
    """

    path: str
    id: int
    kind: str
    name: str
    declaration: str
    size: int | None
    members: tuple[TypeMember, ...]
    padding: int
    bit_padding: int
    values: tuple[tuple[str, int], ...]


def size_of_type(types: Btf, number: int) -> int | None:
    """The size of a type in bytes; None for void and functions. MalformedError when it refers to itself."""
    count = 1
    for _ in range(DEEPEST):
        kind = types.kind_of(number)
        if kind in SIZED:
            return count * types.target_of(number)
        if kind == btf.PTR:
            return count * POINTER
        if kind == btf.ARRAY:
            number, _, elements = types.rows_of(number)
            count *= elements
        elif kind in _FOLLOWED:
            number = types.target_of(number)
        else:
            return None
    raise MalformedError("types are nested too deeply", types.at(types.part), actual=f"type {number}")


def type_facts(types: Btf, number: int, declarations: Declarations) -> TypeFacts:
    """A type with its members or values. Raises MalformedError when it is broken."""
    kind, name = types.kind_of(number), types.name_of(number)
    inside: tuple[TypeMember, ...] = ()
    padding = bit_padding = 0
    size = None if kind == btf.FUNC else size_of_type(types, number)
    if kind in COMPOSITE:
        inside, padding, bit_padding = _Layout(types, declarations).of(number, 0, 0)
    values = tuple(enum_values(types, number)) if kind in (btf.ENUM, btf.ENUM64) else ()
    declaration = _declaration(types, number, kind, name, declarations)
    title = _WORDS.get(kind, "type")
    return TypeFacts(types.path, number, title, name, declaration, size, inside, padding, bit_padding, values)


def _declaration(types: Btf, number: int, kind: int, name: str, declarations: Declarations) -> str:
    if kind == btf.FUNC:
        return declarations.prototype(number, name)
    if kind in (btf.TYPEDEF, btf.VAR):
        target = declarations.named(types.target_of(number), name)
        return f"typedef {target}" if kind == btf.TYPEDEF else target
    return declarations.of(number)


class Body(NamedTuple):
    """An anonymous struct or union that a member is made of: its id, and what C writes before `{` and around the name.

    A member that points to it has its `offset` elsewhere: `pointer`.
    """

    id: int
    before: str
    star: str
    after: str

    @property
    def pointer(self) -> bool:
        """Whether the member is a pointer to it."""
        return bool(self.star)


def anonymous_body(types: Btf, number: int) -> Body | None:
    """The anonymous struct or union in a type: the type itself, an element of an array, what a pointer refers to."""
    before = star = after = ""
    for _ in range(DEEPEST):
        kind = types.kind_of(number)
        if kind in QUALIFIERS:
            before += QUALIFIERS[kind] + " "
        elif kind == btf.ARRAY and not star:
            after += f"[{types.rows_of(number)[2]}]"
        elif kind == btf.PTR and not star and not before:
            star = "*"
        elif kind in COMPOSITE and not types.name_of(number):
            return Body(number, before + ("struct" if kind == btf.STRUCT else "union"), star, after)
        else:
            break
        number = types.rows_of(number)[0] if kind == btf.ARRAY else types.target_of(number)
    return None


class _Layout:
    def __init__(self, types: Btf, declarations: Declarations) -> None:
        self.types, self.declarations = types, declarations
        self._left = _MOST_MEMBERS

    def of(self, number: int, base: int, depth: int) -> tuple[tuple[TypeMember, ...], int, int]:
        """The members of a struct or union that starts at `base` bytes, and its padding in bytes and bits."""
        types = self.types
        if depth > DEEPEST:
            raise MalformedError("types are nested too deeply", types.at(types.part), actual=f"type {number}")
        found: list[TypeMember] = []
        rows = members(types, number)
        self._left -= len(rows)
        if self._left < 0:
            problem = "too many members in nested anonymous types"
            raise MalformedError(problem, types.at(types.part), expected=f"at most {_MOST_MEMBERS:,}")
        struct, size = types.kind_of(number) == btf.STRUCT, types.target_of(number)
        # In bits: the end of the member before, and of the unit of its bitfield.
        end = unit_end = 0
        for name, member, start, bits in rows:
            held = size_of_type(types, member) or 0
            offset = start // 8
            if bits and held:
                offset = start // (8 * held) * held
            hole = bit_hole = 0
            if struct:
                filled = max(end, min(start, unit_end))
                bit_hole = filled - end
                if bits:
                    # The bytes up to the unit of a bitfield are a hole, the bits in it are a hole in bits.
                    aligned = 8 * offset if filled < 8 * offset <= start else filled
                    hole = (aligned - filled) // 8
                    bit_hole += start - aligned
                else:
                    hole = start // 8 - filled // 8
                if found:
                    found[-1] = found[-1]._replace(hole=hole, bit_hole=bit_hole)
                end = start + (bits or 8 * held)
                unit_end = max(unit_end if bits else 0, 8 * (offset + held), end) if bits else end
            found.append(self._member(name, member, (base + offset, held, bits, start - 8 * offset), depth))
        if not struct:
            return tuple(found), size - max((row.offset + row.size - base for row in found), default=size), 0
        filled = min(8 * size, max(end, unit_end))
        return tuple(found), size - filled // 8, filled - end

    def _member(self, name: str, number: int, place: tuple[int, int, int, int], depth: int) -> TypeMember:
        offset, size, bits, bit = place
        types = self.types
        inside: tuple[TypeMember, ...] = ()
        padding = bit_padding = 0
        body = None if bits else anonymous_body(types, number)
        if body is None:
            declaration = self.declarations.named(number, name)
        else:
            # What a pointer refers to has offsets of its own.
            inside, padding, bit_padding = self.of(body.id, 0 if body.pointer else offset, depth + 1)
            declaration = f"{body.before} {{}} {body.star}{name}{body.after}".rstrip()
        declaration += f" : {bits}" if bits else ""
        return TypeMember(declaration, name, offset, size, bits, bit if bits else 0, 0, 0, inside, padding, bit_padding)
