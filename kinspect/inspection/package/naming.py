"""What to call the files in a temporary folder: by the file that they were unpacked from, never by their path there."""

import os
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeVar, cast

from kinspect.errors import KinspectError

T = TypeVar("T")
Rename = Callable[[str], str]


class UnpackedFile(NamedTuple):
    """A file that was unpacked: its path below the folder, the package that it is from, and its path in that."""

    path: str
    package: str
    member: str


def renamed(value: T, rename: Rename) -> T:
    """A value with other texts: those in tuples, records, lists, dictionaries and errors too, however deep."""
    found: object = value
    if type(value) is str:  # not an enum
        found = rename(str(value))
    elif isinstance(value, tuple):
        parts = [renamed(one, rename) for one in value]
        if any(new is not old for new, old in zip(parts, value, strict=True)):
            found = type(value)._make(parts) if hasattr(value, "_make") else tuple(parts)
    elif isinstance(value, list):
        found = [renamed(one, rename) for one in value]
    elif isinstance(value, dict):
        found = {renamed(key, rename): renamed(one, rename) for key, one in value.items()}
    elif isinstance(value, KinspectError):
        found = renamed_error(value, rename)
    return cast(T, found)


def renamed_error(error: KinspectError, rename: Rename) -> KinspectError:
    """An error of the same class with other texts."""
    expected, actual = renamed((error.expected, error.actual), rename)
    return type(error)(rename(error.problem), renamed(error.at, rename), expected=expected, actual=actual)


class PackageNames:
    """The names of files and folders below a folder, such as `linux-image.deb:boot/vmlinuz-6.1`.

    A folder is named by the package that most of the files below it are from, and the folder itself by the package that
    alone has files in it, as an archive of modules has; else by `title`.
    """

    def __init__(self, folder: str, files: Sequence[UnpackedFile], title: str) -> None:
        self._title = title
        outermost = {file.package for file in files if "/" not in file.path}
        self._whole = outermost.pop() if len(outermost) == 1 else title
        self._known = {file.path: f"{file.package}:{file.member}" for file in files}
        counts: dict[str, Counter[str]] = defaultdict(Counter)
        for file in files:
            above, member = os.path.dirname(file.path), os.path.dirname(file.member)
            while above:
                counts[above][f"{file.package}:{member}"] += 1
                above, member = os.path.dirname(above), os.path.dirname(member)
        for above, names in counts.items():
            self._known.setdefault(above, names.most_common(1)[0][0])
        # The folder, and the one that it is when the temporary folder is a link.
        self._folders = tuple(dict.fromkeys((folder, os.path.realpath(folder))))
        choice = "|".join(map(re.escape, self._folders))
        self._path = re.compile(rf"(?:{choice})(?![^\s/,;:'\"`()\[\]])(?:/([^\s,;:'\"`()\[\]]*))?")

    def __call__(self, text: str) -> str:
        """A text in which the paths below the folder are names of files in packages."""
        if not any(folder in text for folder in self._folders):
            return text
        for folder in self._folders:
            # A path alone may have blanks in it.
            if text.startswith(f"{folder}/") and (known := self._known.get(text[len(folder) + 1 :].rstrip("/"))):
                return known
        return self._path.sub(lambda found: self._name(found[1] or ""), text)

    def _name(self, path: str) -> str:
        path = path.rstrip("/")
        known, rest = path, ""
        while known and known not in self._known:
            known, _, name = known.rpartition("/")
            rest = f"{name}/{rest}" if rest else name
        if not known:
            return f"{self._title}:{path}" if path else self._whole
        return f"{self._known[known]}/{rest}" if rest else self._known[known]
