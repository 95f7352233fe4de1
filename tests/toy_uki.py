"""Unified kernel images made of our own records, as ukify lays them out."""

from collections.abc import Sequence

from kinspect.schemas.pe import (
    EFI_APPLICATION,
    MACHINE_ARM64,
    NX_COMPAT,
    PE32_PLUS,
    CoffHeader,
    DataDirectory,
    OptionalHeader,
    PeSectionHeader,
)
from kinspect.schemas.pe import MAGIC as PE_MAGIC
from kinspect.schemas.record import build, size_of

HEADER, PAGE, ALIGNED = 4096, 4096, 512
READ, CODE = 0x40000040, 0x60000020


def uki(*sections: tuple[str, bytes], certificates: bytes = b"", machine: int = MACHINE_ARM64) -> bytes:
    """A small stub with sections behind it; a certificate table follows them."""
    rows, body, address, offset = list[PeSectionHeader](), b"", HEADER, HEADER
    every: Sequence[tuple[str, bytes]] = ((".text", bytes(512)), *sections)
    for name, data in every:
        raw = len(data) + -len(data) % ALIGNED
        flags = CODE if name == ".text" else READ
        rows.append(PeSectionHeader(name.encode().ljust(8, b"\0"), len(data), address, raw, offset, 0, 0, 0, 0, flags))
        body += data.ljust(raw, b"\0")
        address += len(data) + -len(data) % PAGE or PAGE
        offset += raw
    directories = [DataDirectory(0, 0)] * 6
    if certificates:
        directories[4] = DataDirectory(offset, len(certificates))
    optional = OptionalHeader(
        *(PE32_PLUS, 0, 0, 512, 0, 0, HEADER + 16, HEADER, 0, PAGE, ALIGNED, 0, 0, 1, 1, 0, 0, 0),
        *(address, HEADER, 0, EFI_APPLICATION, NX_COMPAT, 0, 0, 0, 0, 0, len(directories)),
    )
    table = b"".join(map(build, directories))
    coff = CoffHeader(machine, len(rows), 0, 0, 0, size_of(OptionalHeader) + len(table), 0x206)
    head = b"MZ".ljust(60, b"\0") + (64).to_bytes(4, "little")
    return b"".join([head, PE_MAGIC, build(coff), build(optional), table, *map(build, rows)]).ljust(HEADER, b"\0") + (
        body + certificates
    )
