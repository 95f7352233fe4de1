"""Files that are written whole or not at all."""

import os
import stat
from collections.abc import Iterable

from kinspect.errors import Location, UnsupportedError


def write_whole(path: str, pieces: Iterable[bytes]) -> None:
    """Write a file beside its place and put it there when it is whole. Raises OSError, UnsupportedError.

    A link is followed. What is there and no regular file, such as a device, is left alone.
    """
    place = os.path.realpath(path)
    if os.path.exists(place) and not stat.S_ISREG(os.stat(place).st_mode):
        raise UnsupportedError("is no regular file: it is not written to", Location(path))
    unit = os.open(f"{place}.new", os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o644)
    try:
        with os.fdopen(unit, "wb") as file:
            file.writelines(pieces)
        os.replace(f"{place}.new", place)
    except BaseException:
        os.unlink(f"{place}.new")
        raise
