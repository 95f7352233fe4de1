"""depmod's order of modules and symbols: that of its hash tables, then modules.order.

Source: kmod, shared/hash.c; tools/depmod.c, depmod_modules_sort().
"""

import struct
from collections.abc import Iterable, Iterator

from kinspect.artifacts.module.scan import module_name

MODULE_BUCKETS, SYMBOL_BUCKETS = 512, 2048
FIRST_LINE_WINS_SINCE = 34
"""The first kmod that uses the first of two equal lines of modules.order; earlier versions use the last."""
LINE_BUFFER = 4096
"""PATH_MAX: the size of depmod's buffer for a line."""


def superfast_hashes(keys: list[bytes]) -> list[int]:
    """Paul Hsieh's hash, as kmod computes it, of many keys of the same length. Bytes are unsigned, as on arm64.

    All hashes are computed at once in one large integer, each in a lane of 64 bits with the upper half for carries.
    """
    count, size = len(keys), len(keys[0]) if keys else 0
    text, ones = b"".join(keys), int.from_bytes(b"\1\0\0\0\0\0\0\0" * len(keys), "little")
    mask = ones * 0xFFFFFFFF

    def letters(start: int, width: int) -> int:
        lanes = bytearray(8 * count)
        for place in range(width):
            lanes[place::8] = text[start + place :: size]
        return int.from_bytes(lanes, "little")

    value, rest = ones * size, size & 3
    for start in range(0, size - 3, 4):
        value = (value + letters(start, 2)) & mask
        value = (value << 16 ^ letters(start + 2, 2) << 11 ^ value) & mask
        value = (value + (value >> 11 & mask)) & mask
    if rest:
        value = (value + letters(size - rest, min(rest, 2))) & mask
        left, right = {1: (10, 1), 2: (11, 17), 3: (16, 11)}[rest]
        value = (value ^ value << left) & mask
        if rest == 3:
            value ^= letters(size - 1, 1) << 18
        value = (value + (value >> right & mask)) & mask
    for left, right in ((3, 5), (4, 17), (25, 6)):
        value = (value ^ value << left) & mask
        value = (value + (value >> right & mask)) & mask
    return list(struct.unpack(f"<{count}Q", value.to_bytes(8 * count, "little")))


def in_hash_order(names: Iterable[str], buckets: int) -> list[str]:
    """Names in the order of a hash table of kmod: bucket by bucket, and sorted within each bucket."""
    by_size: dict[int, dict[bytes, str]] = {}
    for name in names:
        key = name.encode("utf-8", "surrogateescape")
        by_size.setdefault(len(key), {})[key] = name
    found = []
    for keyed in by_size.values():
        hashes = superfast_hashes(list(keyed))
        found += [(value & (buckets - 1), key, name) for value, (key, name) in zip(hashes, keyed.items(), strict=True)]
    found.sort()
    return [name for _, _, name in found]


def lines_read(data: bytes) -> Iterator[bytes]:
    """The lines that depmod reads with fgets: at most 4,095 bytes each, and cut at a NUL."""
    for line in data.splitlines(keepends=True) if b"\r" not in data else _split(data):
        for start in range(0, len(line), LINE_BUFFER - 1):
            yield line[start : start + LINE_BUFFER - 1].split(b"\0", 1)[0]


def _split(data: bytes) -> list[bytes]:
    *lines, rest = data.split(b"\n")
    return [line + b"\n" for line in lines] + ([rest] if rest else [])


def broken_line(order: bytes) -> int | None:
    """The first line of modules.order, counted from 1, without a newline: depmod then ignores the whole file."""
    for number, line in enumerate(lines_read(order), start=1):
        if line and not line.endswith(b"\n"):
            return number
    return None


def in_order(paths: list[str], order: bytes | None, kmod: int) -> list[str]:
    """Paths in hash order, sorted by modules.order: those that it lists come first, the others keep their order."""
    if order is None or broken_line(order):
        return paths
    number: dict[str, int] = {}
    for place, line in enumerate(lines_read(order)):
        path = line[:-1].decode("utf-8", "surrogateescape")
        if line and (kmod < FIRST_LINE_WINS_SINCE or path not in number):
            number[path] = place
    return sorted(paths, key=lambda path: number.get(uncompressed(path), len(order) + 1))


def uncompressed(path: str) -> str:
    """A module's path as modules.order has it: up to the first dot of the name and three characters, usually `.ko`."""
    folder = path.rfind("/") + 1
    return path[: folder + len(module_name(path)) + len(".ko")]
