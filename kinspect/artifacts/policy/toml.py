"""TOML files of limited size and depth.

tomllib takes time and memory quadratic in the length of a dotted key, and calls itself for nested values.
"""

import re
from typing import Any

from kinspect.artifacts.kinds import refuse_other_kinds
from kinspect.errors import Location, MalformedError, UnsupportedError
from kinspect.source import Source

DEEPEST = 64
"""Parts of a dotted key, and levels of nested arrays and tables."""
_TEXTS = re.compile(
    r'"""(?:[^"\\]|\\.|"(?!""))*+(?:""")?|\'\'\'(?:[^\']|\'(?!\'\'))*+(?:\'\'\')?'
    r'|"(?:[^"\\\n]|\\.)*+"?|\'[^\'\n]*+\'?|#[^\n]*+',
    re.DOTALL,
)
_LONG_KEY = re.compile(rf"(?<![\w-])(?:[\w-]++[ \t]*+\.[ \t]*+){{{DEEPEST}}}")
_AT_LINE = re.compile(r" \(at line (\d+), column (\d+)\)")


def document(source: Source, noun: str, largest: int) -> dict[str, Any]:
    """The contents of a TOML file; `noun` names it in errors.

    Raises WrongKindError for a file of another kind, UnsupportedError when it has more than `largest` bytes,
    MalformedError when it is not TOML or nested too deeply.
    """
    import tomllib

    at = Location(source.path)
    if source.size > largest:
        expected = f"at most {largest:,} bytes"
        raise UnsupportedError(f"too large for {noun}", at, expected=expected, actual=source.size)
    refuse_other_kinds(source, noun)
    try:
        text = source.read(0, source.size).decode() if source.size else ""
        if _is_deep(text):
            raise MalformedError("not TOML: nested too deeply", at, expected=f"at most {DEEPEST} levels")
        return tomllib.loads(text)
    except UnicodeDecodeError as reason:
        raise MalformedError("not TOML: not UTF-8", at._replace(offset=reason.start)) from reason
    except RecursionError as reason:
        raise MalformedError("not TOML: nested too deeply", at) from reason
    # tomllib passes on the ValueError of int() and of dates.
    except ValueError as reason:
        place = _AT_LINE.search(str(reason))
        problem = _AT_LINE.sub("", str(reason))
        raise MalformedError(f"not TOML: {problem}", at._replace(line=int(place[1]) if place else None)) from reason


def _is_deep(text: str) -> bool:
    """Whether a text has a long dotted key or many open brackets."""
    bare = _TEXTS.sub("s", text)
    level = deepest = 0
    for bracket in re.findall(r"[\[\]{}]", bare):
        level = level + 1 if bracket in "[{" else max(0, level - 1)
        deepest = max(deepest, level)
    return deepest > DEEPEST or _LONG_KEY.search(bare) is not None


def type_of(value: Any) -> str:
    """The name of a TOML type."""
    types = {bool: "a boolean", float: "a float", str: "a string", list: "an array", dict: "a table", int: "an integer"}
    return types.get(type(value), "a date or time")
