"""What a project demands of its builds: `kinspect.toml`, or `[tool.kinspect]` in pyproject.toml."""

import os
from typing import NamedTuple

from kinspect.errors import Location, MalformedError, UnsupportedError
from kinspect.source import Source

FILES = ("kinspect.toml", "pyproject.toml")
LARGEST_POLICY = 1 << 20
_KEYS = ("require", "ignore", "select")


class Policy(NamedTuple):
    """Pieces that must be there; checks whose findings do not count; checks that are the only ones to run, if any."""

    require: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    select: tuple[str, ...] = ()


def policy_in(folder: str) -> Policy:
    """The policy of a folder; one that demands nothing when there is no file of it."""
    for name in FILES:
        path = os.path.join(folder, name)
        if os.path.isfile(path):
            found = policy(path)
            if found is not None:
                return found
    return Policy()


def policy(path: str) -> Policy | None:
    """The policy in a file; None for a pyproject.toml without one. MalformedError says what is wrong with it."""
    import tomllib

    source = Source(path)
    if source.size > LARGEST_POLICY:
        expected = f"at most {LARGEST_POLICY:,} bytes"
        raise UnsupportedError("too large for a policy", Location(path), expected=expected, actual=source.size)
    try:
        table = tomllib.loads(source.read(0, source.size).decode("utf-8"))
    except (UnicodeDecodeError, tomllib.TOMLDecodeError, RecursionError) as reason:
        raise MalformedError(f"no TOML ({reason})", Location(path)) from reason
    if os.path.basename(path) == "pyproject.toml":
        tool = table.get("tool", {})
        if isinstance(tool, dict) and "kinspect" not in tool:
            return None
        table = tool["kinspect"] if isinstance(tool, dict) else tool
    if not isinstance(table, dict):
        raise MalformedError("no table", Location(path, "tool.kinspect"))
    found = {}
    for key, value in table.items():
        if key not in _KEYS:
            raise MalformedError("unknown key", Location(path, key), expected=", ".join(_KEYS))
        if not isinstance(value, list) or not all(isinstance(word, str) for word in value):
            raise MalformedError("not a list of texts", Location(path, key), actual=str(value)[:80])
        found[key] = tuple(value)
    return Policy(**found)
