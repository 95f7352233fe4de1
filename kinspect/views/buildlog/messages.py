"""Errors and warnings of compilers, linkers and the kernel's own tools in a build log.

One line starts a message; lines that explain it (source excerpts, notes, `In function`) belong to it.
"""

import re
from typing import NamedTuple

from kinspect.views.buildlog.commands import Step


class Diagnostic(NamedTuple):
    """An error or warning, with the tool and the step that it comes from; `number` is its line in the log, from 1.

    `path` and `line` are as the tool prints them; `path` is empty when there is none, `step` is None when unknown.
    """

    severity: str
    tool: str
    path: str
    line: int | None
    text: str
    number: int
    step: Step | None = None


_SEVERITY = {"warning": "warning", "info": "note", "note": "note"}
_WORD = (
    r"(?P<severity>fatal error|internal compiler error|[Ee]rror|ERROR|FATAL ERROR|FATAL|[Ww]arning|WARNING|note|Info)"
)
_AT = r"(?P<path>[^\s:]++):(?P<line>\d+)"
_FORMS = tuple(
    (tool, re.compile(pattern))
    for tool, pattern in (
        # The tool, and the form of its messages; the first match counts. ++ prevents backtracking on long lines.
        ("objtool", rf"(?P<path>[^\s:]++): {_WORD}: objtool: (?P<text>.*)"),
        ("dtc", rf"(?P<path>[^\s:]++)(?<=\.dts|dtsi|\.tmp):(?P<line>\d+)\.\d+[-.\d]*+: {_WORD} (?P<text>\(\w+\): .*)"),
        ("dtc", rf"{_WORD}: (?P<path>[^\s:]++)(?<=\.dts|dtsi|\.tmp):(?P<line>\d+)\.\d+[-.\d]*+ (?P<text>.*)"),
        ("dtc", rf"(?:(?P<path>[^\s:]++)(?<=\.dtb|dtbo): )?{_WORD} (?P<text>\(\w+\): .*)"),
        ("dtc", r"(?P<severity>FATAL ERROR): (?P<text>.*)"),
        ("kconfig", rf"(?=[^\s:]*?(?:Kconfig|\.config:)){_AT}:\s?(?:{_WORD}: ?)?(?P<text>.*)"),
        ("kconfig", r"(?P<severity>WARNING): (?P<text>unmet direct dependencies detected for .*)"),
        ("modpost", r"(?P<severity>ERROR|WARNING|FATAL): modpost: (?P<text>.*)"),
        ("modpost", r'(?P<severity>ERROR|WARNING|FATAL): (?P<text>"\S+" \[\S+\] (?:\S+ )?undefined!.*)'),
        (
            "modpost",
            r"(?P<severity>ERROR|WARNING|FATAL): (?P<text>(?:[^\s:(]++(?<=\.o|ko|ux)|Module\.symvers|EXPORT)\b.*)",
        ),
        ("assembler", rf"{_AT}: (?P<severity>Error|Warning|Fatal error): (?P<text>.*)"),
        ("compiler", rf"{_AT}:(?:\d+:)? {_WORD}: (?P<text>.*)"),
        ("linker", rf"(?:[^\s:]++: )?{_AT}: (?P<text>(?:undefined reference|multiple definition).*)"),
        ("linker", r"(?:[^\s:]++: )?(?P<path>[^\s:]++):\([^\s)]++\): (?P<text>(?:undefined ref|multiple def).*)"),
        ("linker", rf"(?:[^\s:]*[-/])?ld(?:\.lld|\.bfd|\.gold)?(?:-[\d.]+)?: (?:{_WORD}: )?(?P<text>.*)"),
        ("rustc", r"(?P<severity>error|warning)\[E\d+\]: (?P<text>.*)"),
        ("shell", r"(?:[^\s:]*/)?(?:ba|da)?sh: (?:line )?\d+: (?P<text>.*)"),
        ("shell", r"(?P<path>[^\s:]++)(?<=\.sh): (?:line )?(?P<line>\d+): (?P<text>.*)"),
        ("pahole", r"(?P<text>(?:BTF: |Failed to generate BTF).*)"),
        ("link-vmlinux", r"(?P<text>Inconsistent kallsyms data|Failed to sort kernel tables|Try \"make KALLSYMS.*)"),
        ("python", r"(?P<text>Traceback \(most recent call last\):)"),
        ("", rf"(?P<tool>[\w./+-]++): {_WORD}: (?P<text>.*)"),
        ("", rf"{_WORD}: (?P<text>.*)"),
    )
)
_CONTEXT = re.compile(
    # Lines before a message that say what it is about.
    r"In file included from |\s+from [^\s:]++:\d+[:,]"
    r"|[^\s:]++: (?:In (?:member )?(?:function|constructor) |At top level:|Assembler messages:)"
    r"|[^\s:]++: [^\s:]++: in function "
)
_INCLUDED = re.compile(r"(?:In file included)?\s++from ([^\s:]++):\d")
_CLOSING = re.compile(
    r"cc1\w*: |compilation terminated\.|\d+ (?:warning|error)s?\b.* generated\.|>>> |collect2: error: ld returned"
    r"|aborting due to|(?:[^\s:]++:\d+(?::\d+)?: )?note: |[\s~^]"
)
_MAKEFILE = r"(?=[^\s:]*?(?:[Mm]akefile|Kbuild:|\.mk:|\.mak:))(?P<path>[^\s:]++):(?P<line>\d+): "
_IN_MAKEFILE = re.compile(rf"{_MAKEFILE}(?P<text>.*)")
_MAKE = re.compile(rf"(?:[^\s:]*/)?g?make(?:\[\d+\])?: |{_MAKEFILE}")
_FAILED = re.compile(
    r"(?:[^\s:]*/)?g?make(?:\[\d+\])?: \*\*\* "
    r"(?:\[(?:[^\s:]++:\d+: )?(?P<target>.+?)\] (?:Error \d|[A-Z])|(?P<text>(?!Waiting|Deleting).*))"
)
_STOPPED = re.compile(rf"{_MAKEFILE}\*\*\* (?P<text>.*)  Stop\.$")


def message_in(line: str, number: int) -> Diagnostic | None:
    """The error, warning or note that starts in a line, or None."""
    for tool, form in _FORMS:
        if found := form.match(line):
            parts = found.groupdict()
            word = (parts.get("severity") or "error").lower()
            name = (parts.get("tool") or tool).rpartition("/")[2]
            at = parts.get("line")
            line_number = int(at) if at and len(at) < 10 else None
            return Diagnostic(
                _SEVERITY.get(word, "error"), name, parts.get("path") or "", line_number, parts["text"], number
            )
    return None


def is_context(line: str) -> bool:
    """Whether a line is context for the message that follows it."""
    return bool(_CONTEXT.match(line))


def included_by(line: str) -> str:
    """The including file in gcc's `In file included from`; the last of these lines names the file that is compiled."""
    found = _INCLUDED.match(line)
    return found[1] if found else ""


def belongs(line: str) -> bool:
    """Whether a line can only belong to the message before it."""
    return bool(_CLOSING.match(line))


def is_make(line: str) -> bool:
    """Whether a line comes from make itself."""
    return bool(_MAKE.match(line))


def make_warning_in(line: str, number: int) -> Diagnostic | None:
    """The warning of make itself, or of a Makefile's $(warning), in a line that comes from make."""
    if " *** " in line:
        return None
    if found := _IN_MAKEFILE.match(line):
        text = found["text"].removeprefix("warning: ")
        return Diagnostic("warning", "make", found["path"], int(found["line"][:9]), text, number)
    _, separator, text = line.partition(": warning: ")
    return Diagnostic("warning", "make", "", None, text, number) if separator else None


def failure_in(line: str) -> str | None:
    """The target that make reports as failed, or the reason if it names no target; None for other lines."""
    if found := _FAILED.match(line):
        return found["target"] or found["text"]
    return found["text"] if (found := _STOPPED.match(line)) else None
