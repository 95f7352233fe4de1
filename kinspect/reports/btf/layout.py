"""The layout of a type, as text and as JSON."""

from collections.abc import Iterator

from kinspect.reports.layout import wrapped
from kinspect.reports.terminal import Style, counted, escaped, exact
from kinspect.reports.values import Document
from kinspect.views.btf.layout import TypeFacts, TypeMember

CACHE_LINE = 64
"""Bytes. Source: arch/arm64/include/asm/cache.h, L1_CACHE_BYTES."""
_BLANK = ("", "")
Row = tuple[str, str, str]


def lines(facts: TypeFacts, style: Style) -> Iterator[str]:
    """The type in C, with the offset and size of each member in bytes; holes, padding and cache lines among them."""
    size = "" if facts.size is None else f", {exact(facts.size)}"
    composite = facts.kind in ("struct", "union")
    if composite and facts.size:
        size += f", {counted(-(-facts.size // CACHE_LINE), 'cache line')}"
    title = escaped(facts.name) or "(anonymous)"
    yield f"{style.bold(escaped(facts.path))}: {facts.kind} {style.bold(title)}{size}"
    if not composite and not facts.values:
        yield f"  {escaped(facts.declaration)};"
        return
    yield ""
    if facts.values:
        yield f"  {escaped(facts.declaration)} {{"
        width = max(len(escaped(name)) for name, _ in facts.values)
        yield from (f"      {escaped(name):{width}} = {value}," for name, value in facts.values)
        yield "  };"
        return
    rows: list[Row] = [("offset", "size", f"{escaped(facts.declaration)} {{")]
    rows += _member_rows(facts.members, 1, style, facts.kind == "struct")
    rows += _unused_rows(facts.size or 0, facts.padding, facts.bit_padding, 1, "padding", style)
    rows.append(("", "", "};"))
    offsets, sizes = (max(len(row[column]) for row in rows) for column in (0, 1))
    for row in rows:
        line = f"  {row[0]:>{offsets}}  {row[1]:>{sizes}}  {row[2]}".rstrip()
        indent = len(row[2]) - len(row[2].lstrip(" "))
        yield from wrapped(style, line, offsets + sizes + 6 + indent + 8)
    if facts.kind == "struct":
        yield from _summary(facts)


def _member_rows(members: tuple[TypeMember, ...], depth: int, style: Style, struct: bool) -> Iterator[Row]:
    indent = "    " * depth
    line = 0
    for member in members:
        if depth == 1 and struct and member.offset // CACHE_LINE > line:
            line = member.offset // CACHE_LINE
            ago = member.offset - line * CACHE_LINE
            started = f", which started {counted(ago, 'byte')} before" if ago else ""
            yield (*_BLANK, style.dim(f"{indent}/* cache line {line}{started} */"))
        offset = f"{member.offset}:{member.bit}" if member.bits else str(member.offset)
        before, braces, after = escaped(member.declaration).partition("{}")
        if braces:
            yield (*_BLANK, f"{indent}{before}{{")
            yield from _member_rows(member.members, depth + 1, style, before.endswith("struct "))
            yield from _unused_rows(
                member.offset + member.size, member.padding, member.bit_padding, depth + 1, "padding", style
            )
            yield offset, str(member.size), f"{indent}}}{after};"
        else:
            yield offset, str(member.size), f"{indent}{before};"
        end = 0 if member.bits else member.offset + member.size + member.hole
        yield from _unused_rows(end, member.hole, member.bit_hole, depth, "hole", style)


def _unused_rows(end: int, size: int, bits: int, depth: int, noun: str, style: Style) -> Iterator[Row]:
    indent = "    " * depth
    if bits:
        yield (*_BLANK, style.dim(f"{indent}/* {noun} of {counted(bits, 'bit')} */"))
    if size > 0:
        yield (str(end - size) if end else "", str(size), style.dim(f"{indent}/* {noun} */"))


def _summary(facts: TypeFacts) -> Iterator[str]:
    holes = [member.hole for member in facts.members if member.hole]
    bits = [member.bit_hole for member in facts.members if member.bit_hole]
    parts = [counted(len(facts.members), "member")]
    if holes:
        parts.append(f"{counted(sum(holes), 'byte')} in {counted(len(holes), 'hole')}")
    if bits:
        parts.append(f"{counted(sum(bits), 'bit')} in {counted(len(bits), 'hole')} of bits")
    if facts.padding:
        parts.append(f"{counted(facts.padding, 'byte')} of padding")
    yield ""
    yield f"  {', '.join(parts)}"


def document(facts: TypeFacts) -> Document:
    """`type` in docs/report.schema.json."""
    return {
        **facts._asdict(),
        "kind": "type",
        "type": facts.kind,
        "members": [_member(member) for member in facts.members],
        "values": [{"name": name, "value": value} for name, value in facts.values],
    }


def _member(member: TypeMember) -> Document:
    return {**member._asdict(), "members": [_member(inner) for inner in member.members]}
