"""Types as C writes them: `struct device *`, `int (*)(struct inode *, u64)`, `u8 [16]`."""

from kinspect.artifacts.btf.table import Btf
from kinspect.errors import MalformedError
from kinspect.schemas import btf
from kinspect.schemas.btf import BtfMember, BtfParam
from kinspect.schemas.record import size_of

DEEPEST = 64
"""Nested pointers, arrays and anonymous types; the kernel's limit for following references is 32."""
LONGEST = 1 << 12
_MOST_TEXT = 1 << 28
"""Limits of one text, in characters, and of all that are made."""
QUALIFIERS = {btf.CONST: "const", btf.VOLATILE: "volatile", btf.RESTRICT: "restrict"}
_TAGS = {btf.STRUCT: "struct", btf.UNION: "union", btf.ENUM: "enum", btf.ENUM64: "enum", btf.FWD: "struct"}
MEMBER, PARAM = size_of(BtfMember) // 4, size_of(BtfParam) // 4
VALUES = {btf.ENUM: 2, btf.ENUM64: 3}
"""Words of a row."""


class Declarations:
    """The declarations of the types of a BTF. An anonymous struct, union or enum is written out.

    All raise MalformedError for ids and names out of range, and for types that refer to themselves without a name.
    """

    def __init__(self, types: Btf) -> None:
        self.types = types
        self._known: dict[int, str] = {0: "void"}
        self._bases: dict[int, str] = {}
        self._left = _MOST_TEXT

    def of(self, number: int) -> str:
        """A type without a name for what is declared: `struct device *`."""
        found = self._known.get(number)
        if found is None:
            found = self._known[number] = self._declared(number, "", 0)
        return found

    def named(self, number: int, name: str) -> str:
        """The declaration of a name: `struct device *parent`."""
        return self._declared(number, name, 0)

    def prototype(self, number: int, name: str, parameter_names: bool = True) -> str:
        """The prototype of a FUNC or FUNC_PROTO."""
        types = self.types
        if types.kind_of(number) == btf.FUNC:
            number = types.target_of(number)
        if types.kind_of(number) != btf.FUNC_PROTO:
            raise MalformedError("not a prototype", types.at(types.part), actual=f"type {number}")
        result = types.target_of(number)
        return self._declared(result, f"{name}({self._parameters(number, 0, parameter_names)})", 0)

    def _declared(self, number: int, inner: str, depth: int) -> str:
        """From the inside out, as C declares: `inner` is what has been read so far."""
        types = self.types
        qualified = ""
        while True:
            if depth > DEEPEST:
                raise MalformedError("types are nested too deeply", types.at(types.part), actual=f"type {number}")
            depth += 1
            kind, target = types.kind_of(number), types.target_of(number)
            if kind == btf.PTR:
                inner = f"*{qualified}{inner}" if inner else f"*{qualified}".rstrip()
                qualified = ""
                if types.kind_of(target) in (btf.FUNC_PROTO, btf.ARRAY):
                    inner = f"({inner})"
                number = target
            elif kind in QUALIFIERS:
                qualified = f"{QUALIFIERS[kind]} {qualified}"
                number = target
            elif kind == btf.ARRAY:
                element, _, count = types.rows_of(number)
                inner = f"{inner}[{count}]"
                number = element
            elif kind == btf.FUNC_PROTO:
                inner = f"{inner}({self._parameters(number, depth)})"
                number = target
            elif kind == btf.TYPE_TAG or kind == btf.FUNC:
                number = target
            else:
                base = f"{qualified}{self._base(number, kind, depth)}"
                return self._spent(f"{base} {inner}" if inner else base)

    def _base(self, number: int, kind: int, depth: int) -> str:
        if number not in self._bases:
            self._bases[number] = self._written(number, kind, depth)
        return self._bases[number]

    def _written(self, number: int, kind: int, depth: int) -> str:
        name = self.types.name_of(number) if number else "void"
        if kind not in _TAGS:
            return name
        tag = "union" if kind == btf.FWD and self.types.record_of(number).info >> 31 else _TAGS[kind]
        return f"{tag} {name}" if name else f"{tag} {{ {self._shortened(self._body(number, kind, depth))} }}"

    def _body(self, number: int, kind: int, depth: int) -> str:
        types = self.types
        if kind in VALUES:
            return ", ".join(f"{name} = {value}" for name, value in enum_values(types, number))
        parts = []
        for name, member, _, bits in members(types, number):
            declared = self._declared(member, name, depth)
            parts.append(f"{declared} : {bits};" if bits else f"{declared};")
        return " ".join(parts)

    def _parameters(self, number: int, depth: int, names: bool = False) -> str:
        rows = self.types.rows_of(number)
        if not rows:
            return "void"
        found = []
        for name, kind in zip(rows[::PARAM], rows[1::PARAM], strict=True):
            text = self.types.text(name) if names else ""
            found.append(self._declared(kind, text, depth) if kind or text else "...")
        return ", ".join(found)

    def _shortened(self, text: str) -> str:
        """A long body as its start and a digest: it still differs when the body does."""
        if len(text) <= LONGEST:
            return text
        from hashlib import sha256

        return f"{text[:200]} ... {sha256(text.encode('utf-8', 'surrogateescape')).hexdigest()[:16]}"

    def _spent(self, text: str) -> str:
        self._left -= len(text)
        if self._left < 0:
            raise MalformedError("the types are too long when they are written out", self.types.at(self.types.part))
        return text


def members(types: Btf, number: int) -> list[tuple[str, int, int, int]]:
    """The members of a struct or union: name, type, offset in bits, size of a bitfield in bits (0: not one)."""
    rows = types.rows_of(number)
    offsets = rows[2::MEMBER]
    bits = [0] * len(offsets)
    if types.record_of(number).info >> 31:
        bits = [offset >> 24 for offset in offsets]
        offsets = [offset & 0xFFFFFF for offset in offsets]
    names = list(map(types.text, rows[::MEMBER]))
    return list(zip(names, rows[1::MEMBER], offsets, bits, strict=True))


def enum_values(types: Btf, number: int) -> list[tuple[str, int]]:
    """The names and values of an enum. With kind_flag they are signed."""
    record, rows = types.record_of(number), types.rows_of(number)
    words = VALUES[types.kind_of(number)]
    values = rows[1::words]
    width = 32
    if words == 3:
        width = 64
        values = [low | high << 32 for low, high in zip(values, rows[2::words], strict=True)]
    if record.info >> 31:
        sign = 1 << width - 1
        values = [(value ^ sign) - sign for value in values]
    return list(zip(map(types.text, rows[::words]), values, strict=True))
