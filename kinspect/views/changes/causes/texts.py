"""Texts that differ with every build: with the version, a date, the build folder or the seed of RANDSTRUCT in them."""

import re
from collections.abc import Iterable

from kinspect.views.changes.causes.banner import Stamps
from kinspect.views.changes.causes.known import BANNER, DATES, FOLDER, INITRAMFS, RANDSTRUCT, VERSION
from kinspect.views.changes.targets import CPIO

_DATE = re.compile(rb"\b[A-Z][a-z]{2} [ \d]\d (?:19|20)\d\d\b|\b\d\d:\d\d:\d\d\b")
_SOURCE = re.compile(rb"/(?:[^/\s:]+/)+(?=[^/\s:]+/[^/\s:]+\.(?:c|h|S|rs)\b)")
_RANDSTRUCT = re.compile(rb"RANDSTRUCT_[0-9a-f]+")
_BANNERS = b"Linux version", b"%s version"


def text_cause(ours: bytes, theirs: bytes, marks: Stamps) -> str | None:
    """The known cause why a text differs; None when it has another."""
    if ours.startswith(CPIO) and theirs.startswith(CPIO):
        return INITRAMFS
    if _RANDSTRUCT.sub(b"", ours) == _RANDSTRUCT.sub(b"", theirs):
        return RANDSTRUCT
    ours = marks.renewed(ours)
    if ours == theirs:
        return BANNER if theirs.startswith(_BANNERS) else VERSION
    if _DATE.sub(b"", ours) == _DATE.sub(b"", theirs):
        return DATES
    if _folderless(ours) == _folderless(theirs):
        return FOLDER
    return None


def text_causes(removed: Iterable[bytes], added: Iterable[bytes], marks: Stamps) -> dict[bytes, tuple[bytes, str]]:
    """Those of the texts of the new kernel alone that differ from one of the old kernel alone for a known cause.

    For each, the text of the old kernel and the cause.
    """
    forms = {_form(marks.renewed(text)): text for text in removed}
    found = {}
    for text in added:
        ours = forms.get(_form(text))
        cause = text_cause(ours, text, marks) if ours is not None else None
        if ours is not None and cause:
            found[text] = ours, cause
    return found


def _form(text: bytes) -> bytes:
    return _folderless(_DATE.sub(b"", _RANDSTRUCT.sub(b"", text)))


def _folderless(text: bytes) -> bytes:
    """A text without the folders of a source file, but for the last: how deep it lies in the sources is not known."""
    return _SOURCE.sub(b"/", text)
