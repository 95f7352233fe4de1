"""An Image compared with a vmlinux, as text and as JSON."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from kinspect.artifacts.artifact import wrapping_suffix
from kinspect.reports.layout import columns, titled, wrapped
from kinspect.reports.terminal import Style, counted, escaped, exact
from kinspect.views.diff.facts import OTHER_BUILD, DiffFacts

if TYPE_CHECKING:
    from kinspect.reports.values import Document
    from kinspect.views.diff.explanation import ImageDifference

TOP = 10
"""Sections and symbols that are listed."""


def lines(facts: DiffFacts, style: Style, places: bool = True) -> Iterator[str]:
    """The likely cause of the differences, then where they are unless the builds differ and `places` is off."""
    image = f"{style.bold(escaped(facts.image))}: arm64 Image{wrapping_suffix(facts.layers)}"
    yield f"{image}, compared with {style.bold(escaped(facts.vmlinux))}"
    flags = f"objcopy {' '.join(facts.flags.words)}"
    if facts.why is None:
        yield f"  all {exact(facts.actual_size)} match the output of {escaped(flags)}"
        yield f"  flags from {escaped(facts.flags.origin)}"
        return
    yield f"  {style.bold(escaped(facts.why.cause.message))}"
    yield ""
    yield from _summary(facts, facts.why, flags, style)
    if facts.ranges and (places or facts.why.cause.id != OTHER_BUILD):
        yield ""
        yield from _places(facts, facts.why, style)


def _summary(facts: DiffFacts, why: "ImageDifference", flags: str, style: Style) -> Iterator[str]:
    rows = []
    for name, vmlinux, image in why.cause.facts:
        rows += [(name, "vmlinux", escaped(vmlinux) or "none"), ("", "Image", escaped(image) or "none")]
    yield from columns(style, rows, "<<<")
    if rows:
        yield ""
    where = f"in {counted(facts.ranges, 'range')}" if facts.ranges else ""
    about = [
        ("size", f"{exact(facts.actual_size)}, objcopy writes {facts.expected_size:,}"),
        ("different", f"{counted(facts.differing_bytes, 'byte')} {where}".rstrip()),
        ("flags", escaped(f"{flags} (from {facts.flags.origin})")),
    ]
    yield from columns(style, about, "<<")


def _places(facts: DiffFacts, why: "ImageDifference", style: Style) -> Iterator[str]:
    if facts.ranges > len(why.differences):
        for title, stats in (("section", why.sections), ("symbol", why.symbols)):
            rows = [(escaped(stat.name), f"{stat.bytes:,}", f"{stat.ranges:,}") for stat in stats[:TOP]]
            yield from titled(style, (title, "bytes", "ranges"), rows, "/>>")
            if len(stats) > TOP:
                yield style.dim(f"  and {len(stats) - TOP:,} more")
            yield ""
    for hunk in why.differences:
        place = f"{escaped(hunk.section)}  {escaped(hunk.place)}  {counted(hunk.size, 'byte')}"
        yield f"  {style.bold(f'{hunk.offset:#x}')}  {place}"
        if hunk.line:
            yield f"      {escaped(hunk.line)}"
        yield from wrapped(style, f"      vmlinux  {hunk.expected.hex(' ')}", 15)
        yield from wrapped(style, f"      Image    {hunk.actual.hex(' ')}", 15)
    if facts.ranges > len(why.differences):
        yield style.dim(f"  and {counted(facts.ranges - len(why.differences), 'more range')} (--ranges N shows more)")
    if why.without_lines and why.differences:
        yield style.dim(f"  no source lines: {escaped(why.without_lines)}")


def outcome(facts: DiffFacts) -> str:
    """Whether the Image is objcopy's output for the vmlinux."""
    image, vmlinux = escaped(facts.image), escaped(facts.vmlinux)
    if facts.same:
        return f"{image} is what objcopy makes of {vmlinux}"
    return f"{image} is not what objcopy makes of {vmlinux}"


def document(facts: DiffFacts) -> "Document":
    """`diff` in docs/report.schema.json."""
    return {
        "kind": "diff",
        "vmlinux": facts.vmlinux,
        "image": facts.image,
        "layers": [layer._asdict() for layer in facts.layers],
        "same": facts.same,
        "flags": list(facts.flags.words),
        "flags_from": facts.flags.origin,
        "expected_size": facts.expected_size,
        "actual_size": facts.actual_size,
        "differing_bytes": facts.differing_bytes,
        "ranges": facts.ranges,
        "why": _why(facts.why) if facts.why else None,
    }


def _why(why: "ImageDifference") -> "Document":
    return {
        "cause": why.cause.id,
        "message": why.cause.message,
        "shown_by": [{"what": name, "vmlinux": vmlinux, "image": image} for name, vmlinux, image in why.cause.facts],
        "sections": [stat._asdict() for stat in why.sections],
        "symbols": [stat._asdict() for stat in why.symbols],
        "differences": [
            {
                **hunk._asdict(),
                "address": f"{hunk.address:#x}",
                "expected": hunk.expected.hex(),
                "actual": hunk.actual.hex(),
            }
            for hunk in why.differences
        ],
        "without_lines": why.without_lines,
    }
