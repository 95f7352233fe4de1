"""How much memory a stream needs for decompression: the window (xz calls it dictionary) in its header."""

HEADER = 64
"""As many bytes as `window_of` may read."""
_LZMA2 = 0x21
_ZSTD_SINGLE_SEGMENT = 0x20


def window_of(head: bytes, name: str) -> int | None:
    """The window in bytes of an xz, lzma or zstd stream that begins with `head`; None when the header is broken.

    Source: RFC 8878, 3.1.1.1 "Frame_Header"; the .xz file format, 3.1 "Block Header" and 5.3.1 "LZMA2".
    """
    try:
        match name:
            case "zstd":
                return _zstd(head)
            case "xz":
                return _xz(head)
            case "lzma":
                return int.from_bytes(head[1:5], "little")
    except IndexError:
        pass
    return None


def _zstd(head: bytes) -> int:
    descriptor = head[4]
    if descriptor & _ZSTD_SINGLE_SEGMENT:
        # The whole frame is the window. Its size follows the number of the dictionary.
        at = 5 + (0, 1, 2, 4)[descriptor & 3]
        width = (1, 2, 4, 8)[descriptor >> 6]
        return int.from_bytes(head[at : at + width], "little") + (256 if width == 2 else 0)
    base = 1 << (10 + (head[5] >> 3))
    return base + base // 8 * (head[5] & 7)


def _xz(head: bytes) -> int | None:
    flags, at = head[13], 14
    for bit in (0x40, 0x80):
        if flags & bit:
            _, at = _number(head, at)
    for _ in range((flags & 3) + 1):
        filter_id, at = _number(head, at)
        size, at = _number(head, at)
        if filter_id == _LZMA2:
            bits = head[at]
            return (2 | bits & 1) << (bits // 2 + 11)
        at += size
    return None


def _number(head: bytes, at: int) -> tuple[int, int]:
    """A number of seven bits a byte, and the offset after it."""
    value, shift = 0, 0
    while True:
        byte = head[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at
