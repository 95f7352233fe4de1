"""What stands before the lines of a log: times, the names of jobs and containers, quotation marks; and its encoding.

Times and the like are known by their form. Any other prefix is learned from the first step or line of make that has it.
"""

import codecs
import re

from kinspect.views.buildlog.tags import TAGS

MOST_LEARNED = 16
"""Prefixes that are learned from one log."""
ESCAPES = re.compile(rb"\x1b(?:\[[0-9;:?]*[ -/]*[@-~]|\][^\x07\x1b\n]*(?:\x07|\x1b\\)|[ -/]*[0-~])")
_TIME = rb"\d\d:\d\d:\d\d(?:[.,]\d+)?"
_ZONE = rb"(?:Z|[+-]\d\d:?\d\d)?"
_FORMS = (
    # What CI puts before a line: the time, the number of docker's step, the name of a stream or step, a mark.
    rb"\xef\xbb\xbf",
    rb"\d{4}-\d\d-\d\d[T ]" + _TIME + _ZONE + rb"(?: \d\d[OE][ +]| |$)",
    rb"\[(?: *\d+(?:\.\d+)?m?s?|(?:\d{4}-\d\d-\d\d[T ])?" + _TIME + _ZONE + rb")\](?: |$)",
    rb"[A-Z][a-z]{2} [ \d]\d " + _TIME + rb"(?: |$)",
    _TIME + rb"(?: |$)",
    rb"#\d+ \d+\.\d+(?: |$)",
    rb"[^\t\n]{1,100}+\t[^\t\n]{1,100}+\t(?=\xef\xbb\xbf|\d{4}-\d\d-\d\dT)",
    rb"##\[(?:error|warning|command|debug)\]",
)
_STEP = re.compile(
    r"(?P<start>\S.{0,99}?)"
    r"(?P<line>  (?P<tag>[A-Z][A-Z0-9_.]*[A-Z0-9])(?: \[[A-Z]\])? +[^\s;'\"]+(?: - due to.*)?)$"
)
_MAKE = re.compile(r"g?make(?:\[\d{1,6}\])?\s?: (?:\*\*\*[ \xa0]|Entering directory)")
_PREFIX = re.compile(r"(?!  ).{0,79}[|>\])\t»│]\s*")
_TIME_IN = re.compile(rb"(?:\d{4}-\d\d-\d\d[T ])?\[?" + _TIME)
_QUOTED_AGAIN = re.compile(rb" {5,}> ")
"""nix repeats the last lines of a log that failed."""


class Prefixes:
    """The prefixes of the lines of one log."""

    def __init__(self) -> None:
        self._learned: list[bytes] = []
        self._pattern = self._compiled()

    def _compiled(self) -> re.Pattern[bytes]:
        forms = (*map(re.escape, self._learned), *_FORMS)
        return re.compile(rb"^(?:" + rb"|".join(forms) + rb")+", re.MULTILINE)

    def cleaned(self, chunk: bytes) -> bytes:
        """Whole lines without colours, carriage returns, and the prefixes that most of them have."""
        if b"\r" in chunk:
            chunk = chunk.replace(b"\r\n", b"\n").removesuffix(b"\r")
        if b"\x1b" in chunk:
            chunk = ESCAPES.sub(b"", chunk)
        start = chunk[:1024]
        # If half of the first lines have a prefix, it is removed from all lines at once; otherwise `removed` does it.
        common = 2 * sum(1 for _ in self._pattern.finditer(start)) > start.count(b"\n")
        return self._pattern.sub(b"", chunk) if common else chunk

    def removed(self, raw: bytes) -> bytes:
        """One line without its prefix."""
        found = self._pattern.match(raw)
        return raw[found.end() :] if found else raw

    def split(self, line: str) -> tuple[str, str] | None:
        """What stands before a step or a line of make, and the rest; None for other lines.

        A prefix is learned, and the first part is then empty; otherwise it is the end of another program's line.
        """
        start, rest = self._parts(line)
        if not rest:
            return None
        if rest.startswith("  ") and start[-1:].isspace() and not _PREFIX.fullmatch(start):
            return ("", rest) if self._learn(start) else None
        if _PREFIX.fullmatch(start) and start.strip("*# "):
            self._learn(start)
            return "", rest
        return start, rest

    @staticmethod
    def _parts(line: str) -> tuple[str, str]:
        if (
            line[:2] != "  "
            and line.find("  ", 1, 110) > 0
            and len(line) < 500
            and (found := _STEP.match(line))
            and found["tag"] in TAGS
        ):
            return found["start"], found["line"]
        if "*** " in line or "Entering" in line:
            at = found.start() if (found := _MAKE.search(line)) else 0
            if line[:at].endswith("/"):
                at = max(line.rfind(" ", 0, at), line.rfind("\t", 0, at)) + 1
            if line[:at].strip():
                return line[:at], line[at:]
        return "", ""

    def _learn(self, start: str) -> bool:
        prefix = start.encode("utf-8", "surrogateescape")
        if time := _TIME_IN.search(prefix):
            prefix = prefix[: time.start()]
        if prefix.strip() and len(prefix) <= 80 and prefix not in self._learned and len(self._learned) < MOST_LEARNED:
            self._learned.append(prefix)
            self._pattern = self._compiled()
        return bool(prefix.strip())


def is_repeated(raw: bytes) -> bool:
    """Whether nix quotes a line of the log again."""
    return bool(_QUOTED_AGAIN.match(raw))


class Transcoder:
    """Turns UTF-16, which PowerShell writes, into UTF-8 as it arrives; other encodings are left alone."""

    def __init__(self) -> None:
        self._start = b""
        self._known = False
        self._decoder: codecs.IncrementalDecoder | None = None

    def decoded(self, data: bytes, final: bool = False) -> bytes:
        """The bytes in UTF-8. The first few are kept back until they show the encoding, or until the end."""
        if not self._known:
            self._start += data
            if len(self._start) < 4 and not final:
                return b""
            data, self._start, self._known = self._start, b"", True
            if data[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
                self._decoder = codecs.getincrementaldecoder("utf-16")("replace")
            elif len(data) >= 4 and data[1:4:2] == b"\0\0" and 0 not in data[0:4:2]:
                self._decoder = codecs.getincrementaldecoder("utf-16-le")("replace")
        if self._decoder is None:
            return data
        return self._decoder.decode(data, final).encode("utf-8", "replace")
