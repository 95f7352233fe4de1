"""What file(1) prints: the one inspection that opens no artifact."""

import os
from typing import TYPE_CHECKING

from kinspect.inspection.report import Path, Report

if TYPE_CHECKING:
    from kinspect.views.filetype.line import FileFacts


def file(*paths: Path, version: str = "5.44", follow: bool = False) -> "Report[FileFacts]":
    """What file(1) of a version prints of some paths; `follow` follows symbolic links."""
    from kinspect.views.filetype.line import FileFacts, description

    names = (os.fsdecode(path) for path in paths)
    return Report(tuple(FileFacts(name, description(name, version=version, follow=follow)) for name in names))
