"""The usual reasons why an Image differs from a vmlinux, recognised from the bytes."""

from collections import Counter
from itertools import chain
from typing import NamedTuple

from kinspect.artifacts.boot.image import Image
from kinspect.artifacts.elf.vmlinux import Vmlinux
from kinspect.source import WINDOW
from kinspect.views.diff.comparison import Comparison, compare
from kinspect.views.diff.objcopy import Span

PROBE = 64
"""Size of a block that is searched for in the Image, in bytes."""
PROBES = 12
"""Blocks that are searched for."""
AGREEING = 3
"""Blocks that must have moved the same distance, at least."""


class Cause(NamedTuple):
    """A likely cause: a stable id, a message, and the facts behind it: each a name, vmlinux's value, the Image's."""

    id: str
    message: str
    facts: tuple[tuple[str, str, str], ...] = ()


def cause_of(vmlinux: Vmlinux, image: Image) -> Cause:
    """The likely cause of the differences, kept with the Image."""
    return image.cached(_cause, vmlinux)


def _cause(image: Image, vmlinux: Vmlinux) -> Cause:
    comparison = compare(vmlinux, image)
    return (
        _length_only(image, comparison)
        or _signed(image, comparison)
        or _other_build(vmlinux, image, comparison)
        or _shifted(vmlinux, image, comparison)
        or _changed(vmlinux, image, comparison)
    )


def _length_only(image: Image, comparison: Comparison) -> Cause | None:
    extra = image.size - comparison.flat.size
    if comparison.ranges or not extra:
        return None
    if extra < 0:
        return Cause("truncated", f"the Image is truncated by {_bytes(-extra)}")
    fill = _fill_of(image, comparison.flat.size)
    if fill is None:
        return Cause("appended", f"the Image has {_bytes(extra)} appended")
    return Cause("padded", f"the Image is padded with {_bytes(extra)} of {fill:#04x}")


def _bytes(count: int) -> str:
    return "1 byte" if count == 1 else f"{count:,} bytes"


def _fill_of(image: Image, start: int) -> int | None:
    """The value of all bytes from `start` on; None when they differ."""
    first = image.source.read(start, 1)
    for at in range(start, image.size, WINDOW):
        data = image.source.read(at, min(WINDOW, image.size - at))
        if data.count(first) != len(data):
            return None
    return first[0]


def _signed(image: Image, comparison: Comparison) -> Cause | None:
    """Signing writes the PE checksum and the entry of the certificate table, and appends the table."""
    pe = image.readable_pe
    table = pe.certificate_table if pe else None
    if pe is None or table is None:
        return None
    written = ((pe.checksum_at, pe.checksum_at + 4), (pe.certificate_entry_at, pe.certificate_entry_at + 8))
    for found in comparison.ranges:
        for start, end in zip(found.starts, found.ends, strict=True):
            if not any(first <= start and end <= last for first, last in written):
                return None
    padding = table.virtual_address - comparison.flat.size
    if not 0 <= padding < 8 or table.virtual_address + table.size != image.size:
        return None
    return Cause("signed", f"the Image is this vmlinux, signed afterwards: a certificate table of {table.size:,} bytes")


def _other_build(vmlinux: Vmlinux, image: Image, comparison: Comparison) -> Cause | None:
    """The build id is a hash of everything else: another build differs in two places at least."""
    ids, banners = (vmlinux.build_id, image.build_id), (vmlinux.banner, image.banner)
    if comparison.range_count < 2:
        return None
    # When bytes have moved, a vDSO's build id may be found first: so the Image is searched for vmlinux's.
    if ids[0] and (ids[0] == ids[1] or next(image.source.find(ids[0]), None) is not None):
        return None
    facts = []
    if ids[0] and ids[1]:
        facts.append(("build id", ids[0].hex(), ids[1].hex()))
    if banners[0] and banners[1] and banners[0] != banners[1]:
        facts.append(("banner", banners[0], banners[1]))
    return Cause("another build", "the two come from different builds", tuple(facts)) if facts else None


def _shifted(vmlinux: Vmlinux, image: Image, comparison: Comparison) -> Cause | None:
    """Whether most blocks after the first difference are found, all moved by the same distance."""
    if not comparison.ranges:
        return None
    first = comparison.ranges[0].starts[0]
    found: Counter[int] = Counter({0: 0})
    probes = _probes(vmlinux, comparison.flat.spans, first)
    for offset, block in probes:
        # It has most likely moved as far as others did: the whole Image is searched only if not.
        likely = (offset + shift for shift, _ in found.most_common())
        near = (place for place in likely if _is_at(image, place, block))
        place = next(chain(near, image.source.find(block, max(0, first - PROBE))), None)
        if place is not None:
            found[place - offset] += 1
    shift, agreeing = found.most_common(1)[0]
    if not shift or agreeing < AGREEING or 2 * agreeing < len(probes):
        return None
    direction = "later" if shift > 0 else "earlier"
    return Cause("shifted", f"from offset {first:#x} on, the contents are {_bytes(abs(shift))} {direction}")


def _is_at(image: Image, offset: int, block: bytes) -> bool:
    return 0 <= offset <= image.size - len(block) and image.source.read(offset, len(block)) == block


def _probes(vmlinux: Vmlinux, spans: tuple[Span, ...], first: int) -> list[tuple[int, bytes]]:
    """Distinctive blocks of the flat image, spread over what follows an offset."""
    found: list[tuple[int, bytes]] = []
    rest = [span for span in spans if span.end > first + PROBE]
    step = max(PROBE, sum(span.size for span in rest) // (4 * PROBES))
    for span in rest:
        for at in range(max(span.offset, first + PROBE), span.end - PROBE, step):
            block = vmlinux.source.read(span.source_offset + at - span.offset, PROBE)
            if len(set(block)) > PROBE // 3:
                found.append((at, block))
            if len(found) == PROBES:
                return found
    return found


def _changed(vmlinux: Vmlinux, image: Image, comparison: Comparison) -> Cause:
    where = "one place" if comparison.range_count == 1 else f"{comparison.range_count:,} places"
    pairs = ("banner", vmlinux.banner, image.banner), ("build id", vmlinux.build_id, image.build_id)
    alike = [name for name, ours, theirs in pairs if ours and ours == theirs]
    if not alike:
        return Cause("changed", f"the Image differs in {where}")
    agree = f"{' and '.join(alike)} {'agree' if len(alike) > 1 else 'agrees'}"
    return Cause("changed", f"the same build ({agree}), changed after the link in {where}")
