"""Images with kallsyms in every order that kernels have had, as scripts/kallsyms.c writes them."""

import struct
from collections.abc import Sequence
from itertools import accumulate
from typing import NamedTuple

BASE = 0xFFFF800008000000
START = 0x8000
"""Where kallsyms begins in the Image."""
LAYOUTS = {
    "4.6": "offsets base count8 names markers8 tokens",
    "5.10": "offsets base count names markers tokens",
    "6.2": "offsets base count names markers seqs tokens",
    "6.4": "count names markers tokens offsets base seqs",
    "7.0": "count4 names markers tokens4 prel seqs",
    "absolute 4.6": "addresses count8 names markers8 tokens",
    "absolute 6.4": "count names markers tokens addresses seqs",
}
"""The tables in their order, by the kernel that introduced it."""
PAIRS = ("init_mm", "swapper_pg_dir", "init_task", "init_cred")


class Toy(NamedTuple):
    """A symbol: its offset from _text, its type letter, its name."""

    offset: int
    letter: str
    name: str


def symbols(number: int = 700) -> list[Toy]:
    """_text, functions, a long name, an alias, and the data that tells where a kernel was linked."""
    found = [Toy(0, "T", "_text"), Toy(0x1000, "T", "_stext")]
    found += [Toy(0x1000 + 16 * index, "tTWd"[index % 4], f"function_{index}.cold") for index in range(number - 8)]
    found += [Toy(found[-1].offset, "t", "alias"), Toy(found[-1].offset + 16, "t", "l" * 300)]
    data = [Toy(0x6000 + 0x100 * index, "D", name) for index, name in enumerate(PAIRS)]
    return found + data


def _tokens() -> list[bytes]:
    words = [bytes((number,)) if 0x20 <= number < 0x7F else b"" for number in range(256)]
    words[0x80:0x83] = [b"function_", b"n_", b".cold"]
    # A token that no name has is a byte that stands for itself in a real table too, except NUL.
    return [word or b"?" for word in words]


def _packed(toy: Toy) -> bytes:
    data = f"{toy.letter}{toy.name}".encode().replace(b"function_", b"\x80").replace(b".cold", b"\x82")
    head = [len(data)] if len(data) < 128 else [len(data) & 127 | 128, len(data) >> 7]
    return bytes(head) + data


def tables(  # noqa: C901  one case for each table
    toys: Sequence[Toy], layout: str, base: int, at: int = START
) -> tuple[bytes, dict[str, int]]:
    """The bytes of kallsyms at an offset in the Image, and the offset of each table."""
    data, places = bytearray(), dict[str, int]()
    packed = [_packed(toy) for toy in toys]
    starts = [sum(map(len, packed[:index])) for index in range(0, len(packed), 256)]
    tokens = _tokens()
    index = accumulate((len(token) + 1 for token in tokens[:-1]), initial=0)
    first = toys[0].offset

    def align(size: int) -> None:
        data.extend(bytes(-(at + len(data)) % size))

    for table in LAYOUTS[layout].split():
        align(4 if table in ("count4", "names", "tokens4") or ("4" in layout and table == "prel") else 8)
        name, here = table.rstrip("48"), at + len(data)
        if table == "names" and "count4" not in LAYOUTS[layout]:
            align(8)
        places[name] = here = at + len(data)
        match name:
            case "offsets":
                data += struct.pack(f"<{len(toys)}I", *(toy.offset - first for toy in toys))
            case "prel":
                data += struct.pack(f"<{len(toys)}i", *(toy.offset - here - 4 * i for i, toy in enumerate(toys)))
            case "addresses":
                data += struct.pack(f"<{len(toys)}Q", *(BASE + toy.offset for toy in toys))
            case "base":
                data += struct.pack("<Q", base)
            case "count":
                data += struct.pack("<Q" if table == "count8" else "<I", len(toys))
            case "names":
                data += b"".join(packed)
            case "markers":
                data += struct.pack(f"<{len(starts)}{'Q' if table == 'markers8' else 'I'}", *starts)
            case "seqs":
                order = sorted(range(len(toys)), key=lambda number: toys[number].name)
                data += b"".join(number.to_bytes(3, "big") for number in order)
            case "tokens":
                data += b"".join(token + b"\0" for token in tokens)
                align(4 if table == "tokens4" else 8)
                places["index"] = at + len(data)
                data += struct.pack("<256H", *index)
    align(8)
    return bytes(data), places


def image(
    toys: Sequence[Toy] = (), layout: str = "5.10", *, relocatable: bool = True, pairs: bool = True
) -> tuple[bytes, dict[str, int]]:
    """An Image with kallsyms, and the offset of each table in it.

    The base is in the file, or in a relocation, as the linker does it; with `pairs`, data points to data.
    """
    toys = toys or symbols()
    head = struct.pack("<IIQQQ24x4sI", 0xD503201F, 0x14000400, 0, 0x200000, 0xA, b"ARM\x64", 0)
    data = bytearray(head.ljust(0x6000, b"\x5a").ljust(START, b"\0"))
    address = BASE + toys[0].offset
    found, places = tables(toys, layout, 0 if relocatable else address)
    by_name = {toy.name: BASE + toy.offset for toy in toys}
    if pairs and set(PAIRS) <= by_name.keys() and "base" not in places:
        struct.pack_into("<QQ", data, by_name["init_mm"] - BASE, by_name["swapper_pg_dir"], by_name["init_mm"])
        struct.pack_into("<QQ", data, by_name["init_task"] - BASE, by_name["init_task"], by_name["init_cred"])
    data += found
    if relocatable and "base" in places:
        rows = [(BASE + place, BASE) for place in range(0x2000, 0x2040, 8)] + [(BASE + places["base"], address)]
        data += b"".join(struct.pack("<QQQ", place, 0x403, addend) for place, addend in rows)
    return bytes(data.ljust(0x40000, b"\0")), places
