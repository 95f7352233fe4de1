"""ELF notes and the build id in them."""

from collections.abc import Iterator

from kinspect.schemas.elf import NT_GNU_BUILD_ID, NoteEntry, NoteHeader
from kinspect.schemas.record import parse_table, size_of

MOST_NOTES, MOST_BYTES = 4096, 1 << 20


def notes(data: bytes) -> Iterator[tuple[int, NoteEntry]]:
    """The notes in a section or segment with their offsets, up to the first that does not fit.

    Bounded: at most 4096 notes of the first MiB.
    """
    data, offset, head = data[:MOST_BYTES], 0, size_of(NoteHeader)
    for _ in range(MOST_NOTES):
        if offset + head > len(data):
            return
        header = parse_table(NoteHeader, data[offset : offset + head])[0]
        name_at = offset + head
        desc_at = name_at + _padded(header.n_namesz)
        name_end, end = name_at + header.n_namesz, desc_at + header.n_descsz
        if end > len(data):
            return
        # Ten times as fast as parse(NoteEntry, ...): a file may hold thousands.
        yield offset, NoteEntry(*header, data[name_at:name_end], data[desc_at:end])
        # The padding of the last note may be missing.
        offset = _padded(end)


def build_id_of(data: bytes) -> bytes | None:
    """The GNU build id among the notes of a section."""
    for _, note in notes(data):
        if note.n_type == NT_GNU_BUILD_ID and note.owner == "GNU":
            return note.desc
    return None


def _padded(size: int) -> int:
    return (size + 3) & ~3
