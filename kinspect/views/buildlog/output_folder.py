"""A build log compared with the O= folder: whether the files that it made exist, and have not changed since."""

import os
import re
from collections.abc import Iterable
from typing import NamedTuple

from kinspect.views.buildlog.commands import Step

MOST_NAMED = 1_000
"""Files of one kind that are kept by name."""
_GRACE = 60
"""Seconds that the last steps may take after their lines are printed."""
_NO_FILE = frozenset(
    re.findall(
        r"\S+",
        """BTFIDS CALL CHECK CHK CHKDT CHKSHA1 CLANG CLEAN DEPMOD DESCEND HDRTEST INSTALL INSTALL32 LINT MKDIR REMOVE
        RUSTDOC SIGN SORTEX SORTTAB SPHINX STRIP SUBDIR SYMLINK SYNC TEST UNINST VDSOCHK XZ""",
    )
)
"""Tags of steps that make no file of their own in the O= folder: they only read one, or write elsewhere."""
_SUFFIXES = ("gz", "bz2", "lzma", "lzo", "lz4", "xz", "zst")
_PAIRS = (
    ("arch/arm64/boot/Image", "vmlinux"),
    ("arch/arm64/boot/vmlinuz.efi", "arch/arm64/boot/Image"),
    *((f"arch/arm64/boot/Image.{suffix}", "arch/arm64/boot/Image") for suffix in _SUFFIXES),
)
"""Products, each with the file that it is made from."""


class Stale(NamedTuple):
    """A file that is older than the file that it is made from."""

    path: str
    source: str


class BuiltFacts(NamedTuple):
    """A build log and its O= folder: how many `files` it made, and how many are `missing` from the folder.

    `changed` counts files that are newer than the log. The names are the first thousand of each.
    """

    log: str
    folder: str
    files: int
    missing: int
    missing_names: tuple[str, ...]
    changed: int
    changed_names: tuple[str, ...]
    stale: tuple[Stale, ...]


def built_facts(log: str, steps: Iterable[Step], folder: str, ended: float | None) -> BuiltFacts:
    """Compare steps with a folder; `ended` is when the log was last written, in seconds since 1970, None if unknown."""
    files = sorted({path for step in steps for path in _files(step)})
    missing, changed, times = [], [], {}
    for path in files:
        try:
            times[path] = os.stat(os.path.join(folder, path)).st_mtime
        except (OSError, ValueError):
            missing.append(path)
            continue
        if ended is not None and times[path] > ended + _GRACE:
            changed.append(path)
    stale = (Stale(*pair) for pair in _PAIRS if pair[0] in times and pair[1] in times)
    return BuiltFacts(
        log,
        folder,
        len(files),
        len(missing),
        tuple(missing[:MOST_NAMED]),
        len(changed),
        tuple(changed[:MOST_NAMED]),
        tuple(pair for pair in stale if times[pair.path] < times[pair.source] - 1),
    )


def _files(step: Step) -> list[str]:
    """The files that a step makes in the O= folder."""
    target = step.target
    name = target.rpartition("/")[2]
    # .tmp_ files are trial links and tests of the compiler.
    if step.tag in _NO_FILE or name.startswith(".tmp_") or target.startswith("/") or " " in target or not name:
        return []
    if found := re.fullmatch(r"(.*\.)\[ch\]", target):
        return [found[1] + "c", found[1] + "h"]
    # modules_install compresses files elsewhere, and every make writes the Makefile again.
    if (step.tag in ("GZIP", "ZSTD") and ".ko" in name) or target == "Makefile":
        return []
    return [target]
