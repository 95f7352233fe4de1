"""Which bytes of a boot loader's container a checksum, a hash or a signature of it covers, and which none does.

Only those count that kinspect checks and that are right. A checksum in a compressed kernel is not one of the container.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from kinspect.artifacts.android.boot_image import AndroidBoot
from kinspect.artifacts.android.metadata import Metadata
from kinspect.artifacts.android.verified import Verified
from kinspect.artifacts.boot.appended import KernelWithTrees
from kinspect.artifacts.boot.efi import EfiProgram
from kinspect.artifacts.boot.fit import Fit
from kinspect.artifacts.boot.parts import BootContainer
from kinspect.artifacts.boot.uimage import Uimage
from kinspect.artifacts.crypto.x509 import Certificate
from kinspect.artifacts.dtb.blob import Dtb
from kinspect.artifacts.dtb.fit import fit_images, signatures
from kinspect.artifacts.dtb.structure import Property
from kinspect.errors import KinspectError
from kinspect.schemas.android import BootHeader, HashDescriptor, VbmetaHeader
from kinspect.schemas.fdt import PropertyHeader
from kinspect.schemas.record import offsets, size_of

Span = tuple[int, int]
"""The offsets of the first byte and of that behind the last one."""
_STEP = 1 << 20
_ERASED = (b"\0", b"\xff")
PADDING = "padding"
"""What uncovered bytes are called that are only zeros, or the 0xff of erased flash memory."""
SIGNATURE = "signature"
"""What the certificate table of a signed program is called, which no digest can cover."""
_SHA1 = 20
_BEFORE_VALUE = 4 + size_of(PropertyHeader)
_PE_SKIPPED = (4, 8)
"""The sizes of what the digest of a PE file leaves out: its checksum, and the entry of the certificate table."""


class UncoveredBytes(NamedTuple):
    """Bytes that nothing covers: from `offset` on, `size` bytes of a part, of the header or of padding."""

    name: str
    offset: int
    size: int


class CoverageFacts(NamedTuple):
    """How many bytes of a container are covered by a checksum, a hash or a signature of it, and the others."""

    path: str
    size: int
    covered: int
    uncovered: tuple[UncoveredBytes, ...]


def coverage(container: BootContainer, trusted: Sequence[Certificate] = ()) -> CoverageFacts:
    """What is covered in a container; by the signatures of a FIT image only with certificates. Raises as `parts` does.

    Whether a checksum is right is not asked here: a check reports a wrong one.
    """
    merged = _merged(_covered(container, trusted), container.size)
    gaps: list[UncoveredBytes] = []
    at = 0
    for start, end in (*merged, (container.size, container.size)):
        if at < start:
            gaps += _named(container, at, start)
        at = end
    return CoverageFacts(container.path, container.size, sum(end - start for start, end in merged), tuple(gaps))


def _merged(spans: Iterator[Span], size: int) -> list[Span]:
    found: list[Span] = []
    for start, end in sorted((start, min(end, size)) for start, end in spans if start < min(end, size)):
        if found and start <= found[-1][1]:
            found[-1] = found[-1][0], max(end, found[-1][1])
        else:
            found.append((start, end))
    return found


def _named(container: BootContainer, start: int, end: int) -> Iterator[UncoveredBytes]:
    """A gap, cut at the borders of parts."""
    parts = sorted((part for part in container.separate_parts if part.size), key=lambda part: part.start)
    first = parts[0].start if parts else container.size
    at = start
    while at < end:
        part = next((one for one in parts if one.start <= at < one.end), None)
        last = min(end, part.end if part else min((one.start for one in parts if one.start > at), default=end))
        if part:
            name = part.name
        elif isinstance(container, Fit) and at < container.tree.header.totalsize:
            name = "nodes of the tree"
        elif isinstance(container, EfiProgram) and at >= _signatures_start(container):
            name = SIGNATURE
        elif at < first:
            name = "header"
        else:
            name = PADDING if _is_padding(container, at, last) else "between the parts"
        yield UncoveredBytes(name, at, last - at)
        at = last


def _signatures_start(program: EfiProgram) -> int:
    """Where the certificate table begins; the end of the file without one."""
    table = program.readable_pe.certificate_table if program.readable_pe else None
    return table.virtual_address if table else program.size


def _is_padding(container: BootContainer, start: int, end: int) -> bool:
    kinds = list(_ERASED)
    for at in range(start, end, _STEP):
        data = container.source.read(at, min(_STEP, end - at))
        kinds = [one for one in kinds if not data.strip(one)]
    return bool(kinds)


def _covered(container: BootContainer, trusted: Sequence[Certificate]) -> Iterator[Span]:
    if isinstance(container, Uimage):
        yield 0, container.data.end
    elif isinstance(container, Verified):
        if isinstance(container, AndroidBoot):
            yield from _of_boot_id(container)
        yield from _of_avb(container)
    elif isinstance(container, Fit):
        yield from _of_hashes(container.tree)
        yield from _of_fit_signatures(container.tree, trusted)
    elif isinstance(container, EfiProgram):
        yield from _of_pe(container)


def _of_boot_id(boot: AndroidBoot) -> Iterator[Span]:
    """The parts, their sizes in the header, and the id: the SHA-1 of both. Since version 3 there is none."""
    if boot.version > 2 or any(boot.header.id[_SHA1:]) or not any(boot.header.id):
        return
    at = offsets(BootHeader)
    yield at["id"], at["id"] + _SHA1
    hashed = ("kernel", "ramdisk", "second", "recovery_dtbo", "dtb")[: 4 + (boot.version > 1)]
    for name in hashed:
        part = boot.part(name)
        if part:
            yield part.start, part.end
            yield at[f"{name}_size"], at[f"{name}_size"] + 4


def _of_avb(verified: Verified) -> Iterator[Span]:
    metadata = verified.metadata
    if metadata is None:
        return
    if verified.footer:
        for one in metadata.descriptors:
            if one.kind == "hash":
                yield 0, one.size
                # Its digest and its salt are found wrong too, if nothing else covers them.
                after = one.offset + 16 + size_of(HashDescriptor) + len(one.name.encode())
                yield after, after + len(one.salt) + len(one.digest)
    if metadata.algorithm[1]:
        yield from _of_metadata(metadata)


def _of_metadata(metadata: Metadata) -> Iterator[Span]:
    """Header and auxiliary block, and the hash and the signature themselves."""
    header, block = metadata.header, metadata.start + size_of(VbmetaHeader)
    yield metadata.start, block
    yield block + header.authentication_data_block_size, metadata.start + metadata.size
    yield block + header.hash_offset, block + header.hash_offset + header.hash_size
    yield block + header.signature_offset, block + header.signature_offset + header.signature_size


def _value(found: Property) -> Span:
    start = found.offset + _BEFORE_VALUE
    return start, start + len(found.value)


def _of_hashes(tree: Dtb) -> Iterator[Span]:
    """The data of images with a hash, and the hashes themselves."""
    from kinspect.views.dtb.fit import knows_hash

    for image in fit_images(tree):
        if image.node.property("data-size-unciphered"):
            continue
        for node in image.hashes:
            value, algorithm = node.property("value"), node.property("algo")
            if value is None or algorithm is None or node.property("uboot-ignore"):
                continue
            if not (algorithm.texts and knows_hash(algorithm.texts[0])):
                continue
            yield _value(value)
            data = image.node.property("data")
            if image.external:
                yield image.external.start, image.external.start + image.external.size
            elif data:
                yield _value(data)


def _of_fit_signatures(tree: Dtb, trusted: Sequence[Certificate]) -> Iterator[Span]:
    """What the signatures of configurations cover that verify, and those signatures."""
    from kinspect.views.signing.fit import covered, fit_signatures

    if not trusted:
        return
    facts = fit_signatures(tree, trusted).signatures
    for (_, node), one in zip(signatures(tree), facts, strict=True):
        value = node.property("value")
        if one.right and one.of == "configuration" and value:
            yield _value(value)
            yield from covered(tree, node)


def _of_pe(program: EfiProgram) -> Iterator[Span]:
    """All of a signed program but its checksum, and its certificate table with the entry of that."""
    pe = program.readable_pe
    table = pe.certificate_table if pe else None
    if pe is None or table is None:
        return
    yield 0, pe.checksum_at
    yield pe.checksum_at + _PE_SKIPPED[0], pe.certificate_entry_at
    yield pe.certificate_entry_at + _PE_SKIPPED[1], table.virtual_address


def readable_coverage(container: BootContainer, trusted: Sequence[Certificate] = ()) -> CoverageFacts | None:
    """The coverage of a container; None when it is broken, which checks report, or files that were only joined."""
    try:
        return None if isinstance(container, KernelWithTrees) else coverage(container, trusted)
    except KinspectError:
        return None
