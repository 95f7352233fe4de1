"""An Image held against a vmlinux, as text."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from kinspect.artifacts.artifact import wrapping_suffix
from kinspect.inspection.kernel import DiffFacts
from kinspect.reports.terminal import Style, columns, counted, escaped, exact, titled

if TYPE_CHECKING:
    from kinspect.views.diff.explanation import ImageDifference

TOP = 10
"""Sections and symbols that are listed."""


def diff_lines(facts: DiffFacts, paint: Style) -> Iterator[str]:
    """The verdict first, then the evidence."""
    names = f"{paint.bold(escaped(facts.image))} and {paint.bold(escaped(facts.vmlinux))}"
    if facts.layers:
        names += f", the Image{wrapping_suffix(facts.layers)}"
    flags = f"objcopy {' '.join(facts.flags.words)}"
    if facts.why is None:
        yield f"{paint.good('same')}: {names}"
        yield f"  all {exact(facts.actual_size)} are those of {escaped(flags)}"
        yield f"  flags from {escaped(facts.flags.origin)}"
        return
    yield f"{paint.bad('different')}: {names}"
    yield f"  {paint.bold(escaped(facts.why.cause.message))}"
    yield ""
    yield from _summary(facts, facts.why, flags)
    if facts.ranges:
        yield ""
        yield from _places(facts, facts.why, paint)


def _summary(facts: DiffFacts, why: "ImageDifference", flags: str) -> Iterator[str]:
    rows = [(name, "vmlinux", escaped(one) or "none") for name, one, _ in why.cause.facts]
    both = [
        (("", "Image", escaped(other) or "none"), row) for row, (_, _, other) in zip(rows, why.cause.facts, strict=True)
    ]
    yield from columns([line for image, vmlinux in both for line in (vmlinux, image)], "<<<")
    if both:
        yield ""
    where = f"in {counted(facts.ranges, 'range')}" if facts.ranges else ""
    about = [
        ("size", f"{exact(facts.actual_size)}, objcopy writes {facts.expected_size:,}"),
        ("different", f"{counted(facts.differing_bytes, 'byte')} {where}".rstrip()),
        ("flags", escaped(f"{flags} (from {facts.flags.origin})")),
    ]
    yield from columns(about, "<<")


def _places(facts: DiffFacts, why: "ImageDifference", paint: Style) -> Iterator[str]:
    if facts.ranges > len(why.differences):
        for title, tallies in (("section", why.sections), ("symbol", why.symbols)):
            rows = [(escaped(tally.name), f"{tally.bytes:,}", f"{tally.ranges:,}") for tally in tallies[:TOP]]
            yield from titled(paint, (title, "bytes", "ranges"), rows, "<>>")
            if len(tallies) > TOP:
                yield paint.dim(f"  and {len(tallies) - TOP:,} more")
            yield ""
    for difference in why.differences:
        place = f"{escaped(difference.section)}  {escaped(difference.place)}  {counted(difference.size, 'byte')}"
        yield f"  {paint.bold(f'{difference.offset:#x}')}  {place}"
        if difference.line:
            yield f"      {escaped(difference.line)}"
        yield f"      vmlinux  {difference.expected.hex(' ')}"
        yield f"      Image    {difference.actual.hex(' ')}"
    if facts.ranges > len(why.differences):
        yield paint.dim(f"  and {counted(facts.ranges - len(why.differences), 'more range')} (--ranges N shows more)")
    if why.without_lines and why.differences:
        yield paint.dim(f"  no source lines: {escaped(why.without_lines)}")
