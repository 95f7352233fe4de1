"""The types of variables, found by their addresses: of a kernel's 200 MB of DWARF, only the entries that are needed.

An entry says where its variable is: DW_OP_addr and 8 bytes. All of these are searched for at once; the entry around
such a place starts as many bytes before it as the abbreviation says.
"""

import re
from bisect import bisect_right
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from kinspect.artifacts.dwarf.info import dwarf_info
from kinspect.artifacts.dwarf.units import dwarf_section, unit_heads
from kinspect.artifacts.elf.contents import Contents
from kinspect.artifacts.elf.file import Elf

_STEP, _OVERLAP = 4 << 20, 16
_LOCATION = re.compile(rb"\x09\x03(.{6}\xff\xff)", re.DOTALL)
"""An expression of 9 bytes: DW_OP_addr and an address of the kernel."""
_FORMS = {
    "DW_FORM_data1": 1, "DW_FORM_data2": 2, "DW_FORM_data4": 4, "DW_FORM_ref1": 1, "DW_FORM_ref2": 2, "DW_FORM_ref4": 4,
    "DW_FORM_strp": 4, "DW_FORM_line_strp": 4, "DW_FORM_flag": 1, "DW_FORM_flag_present": 0,
    "DW_FORM_implicit_const": 0,
    "DW_FORM_ref_addr": 4, "DW_FORM_sec_offset": 4, "DW_FORM_strx1": 1, "DW_FORM_strx2": 2,
}  # fmt: skip
"""The sizes in bytes of what comes before the location of a variable."""
_QUALIFIERS = {
    "DW_TAG_const_type": "const", "DW_TAG_volatile_type": "volatile", "DW_TAG_restrict_type": "restrict",
}  # fmt: skip
_TAGS = {"DW_TAG_structure_type": "struct", "DW_TAG_union_type": "union", "DW_TAG_enumeration_type": "enum"}
_ORIGINS = ("DW_AT_specification", "DW_AT_abstract_origin")
_DEEPEST, _MOST_ABBREVIATIONS = 32, 4096


class VariableType(NamedTuple):
    """The type of a variable as C writes it, and the named types in it: `struct device`, `gfp_t`."""

    text: str
    names: frozenset[str]


def variable_types(vmlinux: Elf, addresses: Mapping[int, str]) -> dict[str, VariableType]:
    """The types of variables, given by address with their names; without those that DWARF does not have.

    Raises KinspectError when a section cannot be read. Source: DWARF 5, sections 2.6.1, 4.1 and 5.
    """
    info = dwarf_section(vmlinux, ".debug_info")
    if info is None or not addresses:
        return {}
    starts = [head.offset for head in unit_heads(vmlinux)]
    dwarf = dwarf_info(vmlinux)
    prefixes: dict[int, list[tuple[bytes, int]]] = {}
    found: dict[str, VariableType] = {}
    for place, address in _places(info, addresses):
        at = bisect_right(starts, place) - 1
        if at < 0 or addresses[address] in found:
            continue
        try:
            unit = dwarf.get_CU_at(starts[at])
            table = unit["debug_abbrev_offset"]
            if table not in prefixes:
                prefixes[table] = list(_prefixes(unit))
            entry = _entry(unit, info, place, prefixes[table])
            kind = _type_of(entry) if entry is not None else None
            if kind is not None:
                found[addresses[address]] = _Types().of(kind)
        # On broken DWARF pyelftools raises whatever its code runs into, from KeyError to RecursionError.
        except Exception:
            continue
    return found


def _places(info: Contents, addresses: Mapping[int, str]) -> Iterator[tuple[int, int]]:
    """Where the addresses are in `.debug_info`: the offset of the length of each expression."""
    known = {address.to_bytes(8, "little"): address for address in addresses}
    at, end = 0, info.readable
    while at < end:
        data = info.read(at, min(_STEP + _OVERLAP, end - at))
        for match in _LOCATION.finditer(data):
            if match[1] in known and match.start() < _STEP:
                yield at + match.start(), known[match[1]]
        at += _STEP


def _prefixes(unit: Any) -> Iterator[tuple[bytes, int]]:
    """What an entry of a variable starts with (the code of its abbreviation), and how far its location is behind."""
    table = unit.get_abbrev_table()
    for code in range(1, _MOST_ABBREVIATIONS):
        try:
            declaration = table.get_abbrev(code)
        except KeyError:
            return
        if declaration["tag"] != "DW_TAG_variable":
            continue
        size = 0
        for attribute in declaration["attr_spec"]:
            if attribute.name == "DW_AT_location" and attribute.form == "DW_FORM_exprloc":
                yield _leb(code), size
                break
            if attribute.form not in _FORMS:
                break
            size += _FORMS[attribute.form]


def _leb(number: int) -> bytes:
    found = bytearray()
    while number > 0x7F:
        found.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*found, number])


def _entry(unit: Any, info: Contents, place: int, prefixes: list[tuple[bytes, int]]) -> Any:
    """The entry of a variable around the place of its location; None when what is there is no such entry."""
    for code, size in prefixes:
        start = place - size - len(code)
        if start > unit.cu_offset and info.read(start, len(code)) == code:
            entry = unit.get_DIE_from_refaddr(start)
            location = entry.attributes.get("DW_AT_location")
            if entry.tag == "DW_TAG_variable" and location is not None and location.offset == place:
                return entry
    return None


def _type_of(entry: Any) -> Any:
    """The entry of the type of another; None for void. A definition has that of its declaration."""
    for _ in range(_DEEPEST):
        if "DW_AT_type" in entry.attributes:
            return entry.get_DIE_from_attribute("DW_AT_type")
        origin = next((name for name in _ORIGINS if name in entry.attributes), None)
        if origin is None:
            return None
        entry = entry.get_DIE_from_attribute(origin)
    return None


class _Types:
    """One type, as text, from the inside out, and the named types that occur."""

    def __init__(self) -> None:
        self._names: set[str] = set()

    def of(self, entry: Any) -> VariableType:
        """A type without a name for what is declared."""
        return VariableType(self._declared(entry, "", 0), frozenset(self._names))

    def _declared(self, entry: Any, inner: str, depth: int) -> str:
        qualified = ""
        while entry is not None:
            depth += 1
            if depth > _DEEPEST:
                raise ValueError("types are nested too deeply")
            tag, target = entry.tag, _type_of(entry)
            if tag == "DW_TAG_pointer_type":
                inner = f"*{qualified}{inner}" if inner else f"*{qualified}".rstrip()
                qualified = ""
                if target is not None and target.tag in ("DW_TAG_subroutine_type", "DW_TAG_array_type"):
                    inner = f"({inner})"
            elif tag in _QUALIFIERS:
                # gcc qualifies an array and its elements.
                word = _QUALIFIERS[tag]
                qualified = qualified if word in qualified.split() else f"{word} {qualified}"
            elif tag == "DW_TAG_array_type":
                inner += "".join(f"[{count}]" for count in _counts(entry))
            elif tag == "DW_TAG_subroutine_type":
                inner += f"({self._parameters(entry, depth)})"
            else:
                return _joined(qualified + self._named(entry), inner)
            entry = target
        return _joined(f"{qualified}void", inner)

    def _named(self, entry: Any) -> str:
        name = entry.attributes["DW_AT_name"].value.decode("utf-8", "surrogateescape") if _named(entry) else ""
        word = _TAGS.get(entry.tag)
        if not name:
            return f"{word or entry.tag} {{...}}"
        if entry.tag == "DW_TAG_base_type":
            return name
        text = f"{word} {name}" if word else name
        self._names.add(text)
        return text

    def _parameters(self, entry: Any, depth: int) -> str:
        found = [
            "..." if child.tag == "DW_TAG_unspecified_parameters" else self._declared(_type_of(child), "", depth)
            for child in entry.iter_children()
        ]
        return ", ".join(found) or "void"


def _named(entry: Any) -> bool:
    return "DW_AT_name" in entry.attributes


def _joined(base: str, inner: str) -> str:
    return f"{base} {inner}" if inner else base


def _counts(entry: Any) -> Iterator[int]:
    """The number of elements in each dimension of an array; 0 when it is not known."""
    for child in entry.iter_children():
        if child.tag == "DW_TAG_subrange_type":
            count, last = child.attributes.get("DW_AT_count"), child.attributes.get("DW_AT_upper_bound")
            yield count.value if count else last.value + 1 if last and isinstance(last.value, int) else 0
