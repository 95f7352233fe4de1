"""Our regular expressions are glibc's, in linear time."""

import ctypes
import random
import time

import pytest

from kinspect.artifacts.raw.regex import Regex
from kinspect.artifacts.raw.regex_syntax import RegexError

_EXTENDED, _NO_POSITIONS = 1, 8
ATOMS = [*"ab6.()", "[ab]", "[^a]", "[]a]", "[[:digit:]]", "[a-]", "(a|b)", "()", "\\.", "\\w", "\\b"]
REPEATS = ["*", "+", "?", "{2}", "{1,2}", "{,2}", "{1,}", "|", "^", "$", "\\<", "\\>"]
TEXTS = ["", "a", "b", "ab", "aab", "ba-6", "6.1.0-a", "aaab", "]", ")", "a)b", "b b", "-"]


class Posix:
    """The regcomp() and regexec() of this machine's libc, which depmod calls."""

    def __init__(self) -> None:
        self.libc = ctypes.CDLL(None)
        if not hasattr(self.libc, "gnu_get_libc_version"):
            pytest.skip("not glibc")

    def search(self, pattern: str, text: str) -> bool | None:
        """Whether it matches; None when it is not an expression."""
        compiled = ctypes.create_string_buffer(256)
        if self.libc.regcomp(compiled, pattern.encode(), _EXTENDED | _NO_POSITIONS):
            return None
        try:
            return bool(self.libc.regexec(compiled, text.encode(), 0, None, 0) == 0)
        finally:
            self.libc.regfree(compiled)


def ours(pattern: str, text: str) -> bool | None:
    try:
        return Regex(pattern).search(text)
    except RegexError:
        return None


@pytest.mark.parametrize("seed", range(20))
def test_random_expressions_match_as_those_of_the_c_library(seed: int) -> None:
    posix, draw = Posix(), random.Random(seed)
    for _ in range(300):
        pattern = "".join(draw.choice(ATOMS if draw.random() < 0.6 else REPEATS) for _ in range(draw.randrange(1, 7)))
        for text in TEXTS:
            assert ours(pattern, text) == posix.search(pattern, text), (pattern, text)


@pytest.mark.parametrize(
    "pattern",
    ["*a", "a|*b", "^*", "a{", "a{x}", "a{2,1}", "a{99999999999}", "[a", "[b-a]", "[[:no:]]", "(a", "a)", "\\", "{1}"],
)
def test_what_is_an_expression(pattern: str) -> None:
    posix = Posix()
    for text in ("", "a", "a)", "*a"):
        assert ours(pattern, text) == posix.search(pattern, text)


@pytest.mark.parametrize(
    ("pattern", "text", "found"),
    [
        ("(a+)+$", "a" * 5000 + "!", False),
        ("(a|a)*b", "a" * 5000, False),
        ("(a*)*(b|a)*c", "a" * 5000, False),
        ("a{1000}b", "a" * 5000, False),
        ("(" * 2500 + "a" + ")" * 2500, "ba", True),
        ("[[a]", "[", True),
    ],
)
def test_it_is_linear(pattern: str, text: str, found: bool) -> None:
    start = time.process_time()
    assert Regex(pattern).search(text) is found
    assert time.process_time() - start < 5


@pytest.mark.parametrize("pattern", ["a{200}{200}", "(a{30}{30}){30}", "(((a{9}){9}){9}){9}", "(a)\\1"])
def test_too_large_or_not_supported(pattern: str) -> None:
    with pytest.raises(RegexError):
        Regex(pattern)
