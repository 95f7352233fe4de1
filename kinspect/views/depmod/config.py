"""The configuration of depmod (depmod.d), and which of several modules with the same name it selects.

Source: depmod.d(5); kmod, tools/depmod.c, cfg_load() and depmod_module_is_higher_priority().
"""

import os
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from kinspect.artifacts.module.scan import ModuleFile, module_name
from kinspect.artifacts.raw.regex import Regex
from kinspect.artifacts.raw.regex_syntax import LargeRegexError, RegexError
from kinspect.errors import Location, UnreadableError
from kinspect.source import Source

_MOST_BYTES = 1 << 20
_MOST_STEPS = 16_384
"""Steps of all regular expressions together; each may look at every character of the release."""
_BUILT_IN, _EXTERNAL = "built-in", "external"


class DepmodConfig(NamedTuple):
    """The lines of depmod.d, the last one first, as depmod goes through them.

    `ignored` are lines that are not understood, and paths that do not exist.
    """

    searches: tuple[str, ...] = ("updates",)
    overrides: tuple[str, ...] = ()
    excludes: tuple[str, ...] = ()
    ignored: tuple[Location, ...] = ()


class Duplicate(NamedTuple):
    """Modules with the same name: the path that depmod uses, and the others.

    `ambiguous` if no rule decides; depmod's choice then depends on the order in which the system lists the folder.
    """

    name: str
    used: str
    others: tuple[str, ...]
    ambiguous: bool


def read_config(paths: Sequence[str], release: str) -> DepmodConfig:
    """The configuration in files and in folders of `*.conf`. A file hides those of the same name in later folders.

    Raises UnreadableError. Folders outside the tree (`external`) are not supported: their lines are in `ignored`.
    """
    files: dict[str, str] = {}
    for path in paths:
        for file in _config_files(path):
            files.setdefault(os.path.basename(file), file)
    searches: list[str] = []
    overrides: list[str] = []
    excludes: list[str] = []
    ignored = [Location(path) for path in paths if not os.path.lexists(path)]
    versions = _Versions(release)
    for _, file in sorted(files.items()):
        for number, words in _lines(file):
            match words:
                case ["search", *names]:
                    searches += names
                case ["override", name, version, folder, *_]:
                    try:
                        if versions.matches(version):
                            overrides.append(f"{folder}/{name}")
                    except RegexError:
                        ignored.append(Location(file, line=number))
                case ["exclude", *names]:
                    excludes += names
                case _:
                    ignored.append(Location(file, line=number))
    return DepmodConfig(tuple(searches[::-1] or ["updates"]), tuple(overrides[::-1]), tuple(excludes), tuple(ignored))


def _config_files(path: str) -> list[str]:
    if not os.path.isdir(path):
        return [path] if os.path.lexists(path) else []
    try:
        names = sorted(os.listdir(path))
    except OSError as reason:
        raise UnreadableError(reason.strerror or str(reason), Location(path)) from reason
    chosen = (os.path.join(path, name) for name in names if name.endswith(".conf") and not name.startswith("."))
    return [file for file in chosen if os.path.isfile(file)]


def _lines(file: str) -> Iterator[tuple[int, list[str]]]:
    """Number and words of each line; a backslash at its end joins it with the next one."""
    source = Source(file)
    text = source.read(0, min(source.size, _MOST_BYTES)).decode("utf-8", "surrogateescape")
    # A backslash quotes the next character. A quoted newline becomes a NUL here, which keeps the line numbers right.
    text = re.sub(
        r"\\(.?)", lambda found: "\0" if found[1] == "\n" else found[1], text.replace("\0", ""), flags=re.DOTALL
    )
    number = 0
    for joined in text.split("\n"):
        number += 1 + joined.count("\0")
        line = joined.replace("\0", "")
        words = [word for word in re.split("[\t ]", line) if word]
        if words and not line.startswith("#"):
            yield number, words


class _Versions:
    """Whether the versions in `override` lines, `*` or extended regular expressions, match the release."""

    def __init__(self, release: str) -> None:
        self._release = release
        self._known = {"*": True}
        self._steps = 0

    def matches(self, version: str) -> bool:
        """As depmod has it, an expression that is none matches nothing. RegexError for too many large ones."""
        if version not in self._known:
            self._known[version] = self._search(version)
        return self._known[version]

    def _search(self, version: str) -> bool:
        if self._steps > _MOST_STEPS:
            raise RegexError("too many expressions")
        try:
            expression = Regex(version)
        except RegexError as reason:
            if isinstance(reason, LargeRegexError):
                raise
            return False
        self._steps += len(expression.program)
        return expression.search(self._release)


def chosen(files: Iterable[ModuleFile], config: DepmodConfig) -> tuple[dict[str, str], tuple[Duplicate, ...]]:
    """The path of the module that depmod uses for each name, and the names that several modules have."""
    used: dict[str, str] = {}
    several: dict[str, list[str]] = {}
    for file in files:
        if config.excludes and any(part in config.excludes for part in file.path.split("/")):
            continue
        name = file.name
        if name not in used:
            used[name] = file.path
            continue
        several.setdefault(name, [used[name]]).append(file.path)
        if not _stays(used[name], file.path, config):
            used[name] = file.path
    duplicates = []
    for name, paths in several.items():
        others = tuple(path for path in paths if path != used[name])
        ambiguous = any(_rank(path, config) == _rank(used[name], config) for path in others)
        duplicates.append(Duplicate(name, used[name], others, ambiguous))
    return used, tuple(duplicates)


def _stem(path: str) -> str:
    """A path without its extension, as `override` lines have it."""
    return path[: path.rfind("/") + 1 + len(module_name(path))]


def _stays(old: str, new: str, config: DepmodConfig) -> bool:
    """Whether depmod keeps the module that it has when it finds another one.

    If both are in the same `search` folder, depmod only checks the new one, and uses it.
    """
    old, new = _stem(old), _stem(new)
    for path in config.overrides:
        if path in (new, old):
            return path != new
    built_in = old_rank = new_rank = -1
    for rank, folder in enumerate(config.searches):
        if folder == _BUILT_IN:
            built_in = rank
        elif folder == _EXTERNAL:
            continue
        elif new.startswith(folder + "/"):
            new_rank = rank
        elif old.startswith(folder + "/"):
            old_rank = rank
    return (new_rank if new_rank >= 0 else built_in) <= (old_rank if old_rank >= 0 else built_in)


def _rank(path: str, config: DepmodConfig) -> tuple[int, int]:
    """The priority that the configuration gives a path; between equal ones the order of the folder decides."""
    stem = _stem(path)
    override = config.overrides.index(stem) if stem in config.overrides else len(config.overrides)
    ranks = [
        rank for rank, folder in enumerate(config.searches) if folder != _EXTERNAL and stem.startswith(folder + "/")
    ]
    built_in = config.searches.index(_BUILT_IN) if _BUILT_IN in config.searches else -1
    return -override, ranks[-1] if ranks else built_in
