"""The order in which depmod has modules and symbols: that of its hash tables, then modules.order.

Source: kmod, shared/hash.c; tools/depmod.c, depmod_modules_sort().
"""

import struct
from collections.abc import Iterable, Iterator

from kinspect.artifacts.module_scan import module_name

MODULE_BUCKETS, SYMBOL_BUCKETS = 512, 2048
FIRST_LINE_WINS_SINCE = 34
"""The first kmod that takes the first of two equal lines of modules.order; earlier ones take the last."""
LINE_BUFFER = 4096
"""PATH_MAX: what depmod reads of a line at once."""
_MASK = 0xFFFFFFFF


def superfast_hash(key: bytes) -> int:
    """Paul Hsieh's hash as kmod computes it. Of bytes over 127 the last is taken unsigned, as on arm64."""
    size = len(key)
    value, rest = size, size & 3
    halves = struct.unpack_from(f"<{size // 4 * 2}H", key)
    for low, high in zip(halves[::2], halves[1::2], strict=True):
        value = (value + low) & _MASK
        value = ((value << 16) ^ (high << 11) ^ value) & _MASK
        value += value >> 11
    value &= _MASK
    if rest > 1:
        value = (value + int.from_bytes(key[size - rest : size - rest + 2], "little")) & _MASK
        value ^= (value << (16 if rest == 3 else 11)) & _MASK
        if rest == 3:
            value ^= key[-1] << 18
            value += value >> 11
        else:
            value += value >> 17
    elif rest:
        value = (value + key[-1]) & _MASK
        value ^= (value << 10) & _MASK
        value += value >> 1
    for left, right in ((3, 5), (4, 17), (25, 6)):
        value &= _MASK
        value ^= (value << left) & _MASK
        value += value >> right
    return value & _MASK


def in_hash_order(names: Iterable[str], buckets: int) -> list[str]:
    """Names as one walks a hash table of kmod: bucket by bucket, sorted inside each."""
    keyed = []
    for name in names:
        key = name.encode("utf-8", "surrogateescape")
        keyed.append((superfast_hash(key) & (buckets - 1), key, name))
    keyed.sort()
    return [name for _, _, name in keyed]


def lines_read(data: bytes) -> Iterator[bytes]:
    """What fgets gives depmod of a text, line by line: at most 4,095 bytes at once, and nothing after a NUL."""
    for line in data.splitlines(keepends=True) if b"\r" not in data else _split(data):
        for start in range(0, len(line), LINE_BUFFER - 1):
            yield line[start : start + LINE_BUFFER - 1].split(b"\0", 1)[0]


def _split(data: bytes) -> list[bytes]:
    *lines, rest = data.split(b"\n")
    return [line + b"\n" for line in lines] + ([rest] if rest else [])


def broken_line(order: bytes) -> int | None:
    """The first line of modules.order, counted from 1, for whose missing end depmod ignores the whole file."""
    for number, line in enumerate(lines_read(order), start=1):
        if line and not line.endswith(b"\n"):
            return number
    return None


def in_order(paths: list[str], order: bytes | None, kmod: int) -> list[str]:
    """Paths in hash order, sorted by modules.order: what it lists comes first, the rest after in the order it has."""
    if order is None or broken_line(order):
        return paths
    number: dict[str, int] = {}
    for place, line in enumerate(lines_read(order)):
        path = line[:-1].decode("utf-8", "surrogateescape")
        if line and (kmod < FIRST_LINE_WINS_SINCE or path not in number):
            number[path] = place
    return sorted(paths, key=lambda path: number.get(uncompressed(path), len(order) + 1))


def uncompressed(path: str) -> str:
    """A module's path as modules.order has it: its name and three letters, which are `.ko` when it has one dot."""
    folder = path.rfind("/") + 1
    return path[: folder + len(module_name(path)) + len(".ko")]
