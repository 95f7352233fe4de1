"""A budget: a TOML file of limits on the size of a kernel and its parts, and on their growth.

    [image]
    file = "32 MiB"
    image_size = "40 MiB"
    growth = "64 KiB"
    [section.".text"]
    memory = "14 MiB"
    [folder."drivers/net"]
    growth = "2 %"

Sizes are whole bytes, or strings with a unit. `growth` is in memory, since an older build, and may be in percent.
"""

import re
from functools import cached_property
from typing import Any, NamedTuple

from kinspect.artifacts.artifact import Artifact
from kinspect.artifacts.policy.toml import document, type_of
from kinspect.errors import Location, MalformedError, did_you_mean

LARGEST_BUDGET = 1 << 20
"""The largest budget file that is read, in bytes."""
IMAGE = "image"
GROUPS = ("section", "folder", "source", "kind")
"""The parts of a kernel that can be limited. Each is a TOML table with a table for every name."""
KEYS = ("file", "memory", "growth", "file_growth")
"""The limits of a part: bytes in the Image, bytes in memory, and the growth of each."""
_KEYS = {key: key for key in KEYS}
_IMAGE_KEYS = {"file": "file", "image_size": "memory", "growth": "growth", "file_growth": "file_growth"}
_UNITS = {"B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}
_SIZE = re.compile(r"(\d{1,15})(?:\.(\d{1,6}))? ?(%|[KMG]iB|B)")


class Limit(NamedTuple):
    """One limit. `group` is `image` or one of GROUPS, `name` is empty for `image`, `key` is one of KEYS.

    `most` is in bytes, or if `relative`, in millionths of the size in the older build.
    """

    group: str
    name: str
    key: str
    most: int
    relative: bool
    at: Location

    @property
    def growing(self) -> bool:
        """Whether it limits growth."""
        return self.key.endswith("growth")

    @property
    def in_file(self) -> bool:
        """Whether it limits bytes in the Image, not in memory."""
        return self.key.startswith("file")


class Budget(Artifact):
    """A budget file. Reading `limits` raises MalformedError, which names the first wrong key."""

    kind = "a budget"

    @cached_property
    def limits(self) -> tuple[Limit, ...]:
        """The limits in the order of the file."""
        found: list[Limit] = []
        for group, inner in self._document.items():
            if group == IMAGE:
                found += self._limits(group, "", inner, group, _IMAGE_KEYS)
                continue
            if group not in GROUPS:
                expected = f"one of {', '.join((IMAGE, *GROUPS))}"
                near = did_you_mean(group, (IMAGE, *GROUPS))
                raise MalformedError(f"unknown key{near}", self.at(group), expected=expected, actual=group)
            for name, limits in self._table(inner, group).items():
                found += self._limits(group, name, limits, f"{group}.{_quoted(name)}", _KEYS)
        return tuple(found)

    @cached_property
    def _document(self) -> dict[str, Any]:
        return document(self.source, "a budget", LARGEST_BUDGET)

    def _table(self, value: Any, part: str) -> dict[str, Any]:
        if isinstance(value, dict):
            return value
        raise MalformedError("wrong type", self.at(part), expected="a table", actual=type_of(value))

    def _limits(self, group: str, name: str, value: Any, part: str, keys: dict[str, str]) -> list[Limit]:
        found = []
        for key, size in self._table(value, part).items():
            at = self.at(f"{part}.{_quoted(key)}")
            if key not in keys:
                hint = did_you_mean(key, keys)
                if isinstance(size, dict):
                    hint = " (quote names that contain dots or slashes)"
                raise MalformedError(f"unknown key{hint}", at, expected=f"one of {', '.join(keys)}", actual=key)
            found.append(Limit(group, name, keys[key], *_size(size, keys[key].endswith("growth"), at), at))
        return found


def _size(value: Any, growing: bool, at: Location) -> tuple[int, bool]:
    """A size in bytes and False, or a share in millionths and True."""
    expected = 'bytes, or a string like "32 MiB"' + (' or "2 %"' if growing else "")
    if isinstance(value, int) and not isinstance(value, bool):
        if value < 0:
            raise MalformedError("a negative size", at, expected=expected, actual=type_of(value))
        if value >= 1 << 63:
            raise MalformedError("too large a size", at, expected="below 2^63")
        return value, False
    if not isinstance(value, str):
        raise MalformedError("wrong type", at, expected=expected, actual=type_of(value))
    found = _SIZE.fullmatch(value)
    if found is None or (found[3] == "%" and not growing):
        raise MalformedError("not a size", at, expected=expected, actual=f'"{value[:80]}"')
    # Whole millionths, so that no size is ever rounded by a float.
    millionths = int(found[1]) * 1_000_000 + int((found[2] or "").ljust(6, "0"))
    return (millionths // 100, True) if found[3] == "%" else (millionths * _UNITS[found[3]] // 1_000_000, False)


def _quoted(name: str) -> str:
    """A key in TOML syntax."""
    return name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else f'"{name[:200]}"'
