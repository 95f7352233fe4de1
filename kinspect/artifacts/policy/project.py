"""A project's policy for its builds: `kinspect.toml`, or `[tool.kinspect]` in pyproject.toml."""

import os
from typing import NamedTuple

from kinspect.artifacts.policy.toml import document, type_of
from kinspect.errors import Location, MalformedError, did_you_mean
from kinspect.source import Source

FILES = ("kinspect.toml", "pyproject.toml")
LARGEST_POLICY = 256 << 10
"""Bytes of a policy file. It is read unasked from the current folder."""
_KEYS = ("require", "ignore", "select")


class Policy(NamedTuple):
    """Files of a build that are required; checks whose findings are ignored; the only checks to run, if any.

    `path` is the file that says so; empty without one.
    """

    require: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    select: tuple[str, ...] = ()
    path: str = ""


def policy_in(folder: str) -> Policy:
    """The policy in a folder; an empty one without a policy file. Raises as `policy` does."""
    for name in FILES:
        path = os.path.normpath(os.path.join(folder, name))
        if os.path.isfile(path):
            found = policy(path)
            if found is not None:
                return found
    return Policy()


def policy(path: str) -> Policy | None:
    """The policy in a file; None for a pyproject.toml without one.

    Raises MalformedError when the policy is invalid, UnsupportedError when the file is too large.
    """
    table = document(Source(path), "a policy", LARGEST_POLICY)
    if os.path.basename(path) == "pyproject.toml":
        tool = table.get("tool", {})
        if isinstance(tool, dict) and "kinspect" not in tool:
            return None
        table = tool["kinspect"] if isinstance(tool, dict) else tool
    if not isinstance(table, dict):
        raise MalformedError("not a table", Location(path, "tool.kinspect"))
    found = {}
    for key, value in table.items():
        if key not in _KEYS:
            near = did_you_mean(key, _KEYS)
            raise MalformedError(f"unknown key{near}", Location(path, key), expected=", ".join(_KEYS))
        if not isinstance(value, list) or not all(isinstance(word, str) for word in value):
            raise MalformedError("not a list of strings", Location(path, key), actual=_shown(value))
        found[key] = tuple(value)
    return Policy(**found, path=path)


def _shown(value: object) -> str:
    """A value in a message; the type of a list's first wrong member."""
    if isinstance(value, list):
        return f"an array with {next(type_of(member) for member in value if not isinstance(member, str))}"
    return type_of(value)
