"""Numbers in the headers of tar archives."""

import zlib

_BLANK_SUM = 8 * 0x20
"""The sum of the checksum's own field, which counts as blanks."""
_ADLER = 65521
_MASK = 0xFFFF


def tar_number(field: bytes) -> int:
    """A number of a header: octal digits or base-256; zero when it is empty.

    ValueError when it is not a number, or a negative one.
    """
    if field[0] & 0x80:
        # The first bit marks base-256; the second is the sign.
        if field[0] != 0x80:
            raise ValueError("negative, or too large")
        return int.from_bytes(field[1:], "big")
    digits = field.split(b"\0", 1)[0].strip(b" ")
    if not digits:
        return 0
    # int() takes signs and underscores too.
    if not digits.isdigit():
        raise ValueError("no digits")
    return int(digits, 8)


def tar_seconds(field: bytes) -> int:
    """A time, which is of no consequence when it is not a number."""
    try:
        found = tar_number(field)
    except ValueError:
        return 0
    return found if found < 1 << 36 else 0


def decimal(digits: bytes) -> int:
    """A number of decimal digits. ValueError when it is none, or has more than 20 digits."""
    if not digits.isdigit() or len(digits) > 20:
        raise ValueError("no number")
    return int(digits)


def sum_is_right(block: bytes, chksum: bytes) -> bool:
    """Whether the checksum of a header is that of its bytes, signed or not. ValueError when it is not a number."""
    found = tar_number(chksum)
    # Adler-32 has the sum in its low half, modulo 65521, at the speed of C.
    total = (zlib.adler32(block) & _MASK) - 1 + _BLANK_SUM - sum(chksum)
    if (total - found) % _ADLER == 0:
        return True
    signed = total - 256 * sum(byte > 127 for byte in block.replace(chksum, b""))
    return (signed - found) % _ADLER == 0
