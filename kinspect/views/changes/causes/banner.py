"""The banners of two kernels: what stands for each other in their texts."""

import re
from collections.abc import Iterable

_BANNER = re.compile(r"Linux version (\S+) (\(\S+\)) \((.*)\) (?P<version>#.*)$", re.MULTILINE)
_FEWEST = 4
"""Characters of a word that stands for another wherever it occurs."""


class Stamps:
    """Pairs of texts, such as two releases: one of the old kernel that is the other in the new."""

    def __init__(self, pairs: Iterable[tuple[bytes, bytes]] = ()) -> None:
        self._pairs = dict(sorted(pairs, key=lambda pair: -len(pair[0])))
        # Not within a longer word or number.
        words = [rb"(?<![\w.])" * one[:1].isalnum() + re.escape(one) + rb"(?!\w|\.\w)" for one in self._pairs]
        self._pattern = re.compile(b"|".join(words)) if words else None

    def __bool__(self) -> bool:
        return bool(self._pairs)

    def renewed(self, text: bytes) -> bytes:
        """A text of the old kernel as the new one has it."""
        return self._pattern.sub(lambda found: self._pairs[found.group()], text) if self._pattern else text


def stamps(ours: str | None, theirs: str | None) -> Stamps:
    """What differs in two banners and stands for each other in other texts: the release, the builder, the version."""
    parts = [_BANNER.match(banner) if banner else None for banner in (ours, theirs)]
    if parts[0] is None or parts[1] is None:
        return Stamps()
    pairs = set(zip(parts[0].groups(), parts[1].groups(), strict=True))
    # The version without the number of the build, and its words, such as the version of a package.
    versions = parts[0]["version"], parts[1]["version"]
    pairs.add((versions[0].partition(" ")[2], versions[1].partition(" ")[2]))
    words = versions[0].split(), versions[1].split()
    if len(words[0]) == len(words[1]):
        pairs.update((one, other) for one, other in zip(*words, strict=True) if min(len(one), len(other)) >= _FEWEST)
    return Stamps((one.encode(), other.encode()) for one, other in pairs if one != other and one and other)
