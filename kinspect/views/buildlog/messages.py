"""Errors and warnings of compilers, linkers and the kernel's own tools in a build log.

One line starts a message; lines that explain it (source excerpts, notes, `In function`) belong to it.
"""
# ruff: noqa: RUF001

import re
from typing import NamedTuple

from kinspect.views.buildlog.commands import Step
from kinspect.views.buildlog.languages import QUOTED, SEVERITIES, SEVERITY


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


_SEVERITY = {"warn": "warning", "info": "note"}
_ENGLISH = (
    "fatal error|internal compiler error|[Ee]rror|(?:LLVM )?ERROR|FATAL ERROR|FATAL|[Ww]arning|WARNING|WARN|note|Info"
)
_WORD = rf"(?P<severity>{_ENGLISH})"
_ANY_WORD = rf"(?P<severity>{_ENGLISH}|{SEVERITY})\s?(?:: ?|：)"
_AT = r"(?P<path>\{standard input\}|<inline asm>|[^\s:]++):(?P<line>\d+)"
_SYSTEM_ERROR = (
    # What the C library says of an error, and the shell of a program that is missing or was killed.
    r"(?:No such file or directory|Permission denied|No space left on device|(?:[Cc]ommand )?not found"
    r"|Read-only file system|Cannot allocate memory|Disk quota exceeded|Exec format error|Input/output error"
    r"|Too many open files|Is a directory|Not a directory|Operation not permitted|Argument list too long|Text file busy"
    r"|Invalid argument"
    r"|Segmentation fault|Bus error|Illegal instruction|Aborted|Killed)(?: \(core dumped\))?"
)
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
            r"(?P<severity>ERROR|WARNING|FATAL): "
            r"(?P<text>(?:[^\s:(]++(?<=\.o|ko)|\S*vmlinux|Module\.symvers|EXPORT)\b.*)",
        ),
        ("assembler", rf"{_AT}: (?P<severity>Error|Warning|Fatal error): (?P<text>.*)"),
        ("compiler", rf"{_AT}:(?:\d+:)? {_ANY_WORD}(?P<text>.*)"),
        ("compiler", rf"(?P<path>[^\s:(]++)\((?P<line>\d+),\d+\): {_WORD} \w*: (?P<text>.*)"),
        ("linker", rf"(?:[^\s:]++: )?(?:[^\s:]++:)?{_AT}: (?P<text>(?:undefined reference|multiple definition).*)"),
        ("linker", r"(?:[^\s:]++: )?(?:(?P<path>[^\s:]++):)?\([^\s)]++\): (?P<text>(?:undefined|multiple) .*)"),
        ("linker", r"(?:[^\s:]++: )?(?P<path>[^\s:]++)(?<=\.[cSo]):(?:(?P<line>\d+):)?\(\.[^\s)]++\): (?P<text>.*)"),
        ("linker", rf"(?:[^\s:]*[-/])?ld(?:\.lld|\.bfd|\.gold)?(?:-[\d.]+)?: (?:{_ANY_WORD})?(?P<text>.*)"),
        ("rustc", r"(?P<severity>error|warning)\[E\d+\]: (?P<text>.*)"),
        ("shell", r"(?:[^\s:]*/)?(?:ba|da|a|k|z)?sh: (?:(?:line )?\d+: )?(?P<text>.*)"),
        ("shell", r"(?P<path>[^\s:]++)(?<=\.sh): (?:line )?(?P<line>\d+): (?P<text>.*)"),
        (
            "shell",
            r"(?=[^\s:]*/)(?P<path>[^\s:]++): (?:line )?(?P<line>\d+): "
            rf"(?P<text>(?:[^\s:]++: )*(?:Syntax error.*|{_SYSTEM_ERROR}$))",
        ),
        ("pahole", r"(?P<text>(?:BTF: |Failed to generate BTF|Encountered error while encoding BTF).*)"),
        ("resolve_btfids", r"FAILED:? (?P<text>(?:load BTF|unresolved symbol).*)"),
        ("resolve_btfids", r"(?P<severity>WARN): (?:resolve_btfids: )?(?P<text>(?:multiple IDs|unresolved symbol).*)"),
        ("libbpf", r"libbpf: (?P<text>(?:[Ff]ailed|[Ee]rror).*)"),
        ("kconfig", r"(?P<text>Error in reading or end of file\.)$"),
        ("dt-validate", r"(?P<path>[^\s:]++(?<=\.dtb|yaml)): (?P<text>\S.*)"),
        ("link-vmlinux", r"(?P<text>Inconsistent kallsyms data|Failed to sort kernel tables|Try \"make KALLSYMS.*)"),
        ("python", r"(?P<text>Traceback \(most recent call last\):)"),
        ("", rf"(?P<tool>[\w./+-]++): {_ANY_WORD}(?P<text>.*)"),
        ("", rf"(?P<tool>[\w./+-]++): (?P<text>(?:.*\W)?{_SYSTEM_ERROR})$"),
        ("", rf"{_WORD}: (?:(?P<path>[^\s:]++)(?<=\.[ch]):(?P<line>\d+) )?(?P<text>.*)"),
    )
)
_WITHOUT_COLON = re.compile(
    # The only messages that have no colon and blank. Most commands of make V=1 have none either.
    r"Traceback|Inconsistent|Failed to|Try|Encountered|Error in|FAILED|[^\s:]*?(?:Kconfig|\.config):"
)
_CONTEXT = re.compile(
    # Lines before a message that say what it is about.
    r"In file included from |\s+from [^\s:]++:\d+[:,]"
    r"|(?:\{standard input\}|[^\s:]++): (?:In (?:member )?(?:function|constructor) |At top level:|Assembler messages:)"
    r"|[^\s:]++: [^\s:]++: in function "
    # The same in other languages.
    r"|[^\s:]++(?<=\.[chSo])(?:: [^:0-9][^:]*+:|: [^：]*+：)$"
)
_INCLUDED = re.compile(r"(?:In file included)?\s++from ([^\s:]++):\d")
_CLOSING = re.compile(
    r"cc1\w*: |compilation terminated\.|\d+ (?:warning|error)s?\b.* generated\.|>>> |collect2: error: ld returned"
    r"|aborting due to|(?:[^\s:]++:\d+(?::\d+)?: )?note: |[^\s:]++:\d+:\d+: {2,}|[\s~^]"
)
_SUMMARY = re.compile(r"(?:error|warning): (?:aborting due to|\d+ warnings? emitted|`\S+` \(\S+\) generated)")
_RUST_PLACE = re.compile(r" *--> (?P<path>[^\s:]++):(?P<line>\d{1,9}):\d")
_EXCEPTION = re.compile(r"[A-Za-z_][\w.]*+(?:: .*|$)")
_MAKEFILE = r"(?=[^\s:]*?(?:[Mm]akefile|Kbuild:|\.mk:|\.mak:))(?P<path>[^\s:]++):(?P<line>\d+): "
_NAME = r"(?:[^\s:]*/)?g?make(?:\[\d+\])?[\s\udca0]?:"
_IN_MAKEFILE = re.compile(rf"{_MAKEFILE}(?P<text>.*)")
_MAKE = re.compile(rf"{_NAME} |{_MAKEFILE}")
_FAILED = re.compile(
    rf"{_NAME} \*\*\*[ \xa0](?:\[(?:[^\s:：]++[:：]\d+ ?[:：] ?)?(?P<target>.+?)\] (?P<status>.*)|(?P<text>.*))"
)
_RECIPE_FAILED = re.compile(rf"{_MAKEFILE}(?:recipe|commands) for target [`'](?P<target>.*)' failed$")
_STOPPED = re.compile(rf"{_MAKEFILE}\*\*\* (?P<text>.*)")
_STOP = re.compile(r"[.。]\s{1,2}[^\s.。]+[.。]$")
"""make's "Stop.", in any language."""
_QUOTE = re.compile(r"""["'`«»„“”「」‘’]""")
_WARNING = re.compile(rf"{_NAME} (?:[Ww]arning|{SEVERITY})\s?[:：]\s*(?P<text>.*)")
_LEADING_WARNING = re.compile(rf"^(?:[Ww]arning|{SEVERITY})\s?[:：]\s*")
_NOT_RUN = re.compile(rf"{_NAME} (?P<text>[^\s:]++: {_SYSTEM_ERROR})$")
_WRAPPER = re.compile(
    # The lines by which the programs around make say that it failed.
    r"error: (?:builder for|Cannot build|build of) '|error: Bad exit status from |error! \["
    r"|ERROR: (?:Task (?:\S+ )?\(|oe_runmake failed|Logfile of failure|\S+ do_\w+: |Job failed|Build failed"
    r"|Failed to compile|script returned exit code |/\S+BUILD\S*: .*failed: \(Exit)"
    r"|(?:ERROR: )?(?:Target )?\S+ failed to build\.?$"
    r"|make -r \S+: build failed|==> ERROR: |dpkg-buildpackage: error: |The command \".*\" exited with [1-9]"
    r"|# exit code: [1-9]|(?:Error: )?Process completed with exit code [1-9]|Bash exited with code '[1-9]"
    r"|E: Build failure|Build step .* marked build as failure|Finished: FAILURE$|FAILED: Build did NOT complete"
    r"|WARNING: (?:\S+:\d+ exit \d|Backtrace \(BB)"
)


class Failure(NamedTuple):
    """A target that make reports as failed, with its exit status as make prints it: `Error 1`, `Killed`.

    When make stops for a reason of its own, `message` is that.
    """

    target: str
    status: str
    message: Diagnostic | None = None


def message_in(line: str, number: int) -> Diagnostic | None:
    """The error, warning or note that starts in a line, or None."""
    if ": " not in line and "：" not in line and not _WITHOUT_COLON.match(line):
        return None
    for tool, form in _FORMS:
        if found := form.match(line):
            parts = found.groupdict()
            word = (parts.get("severity") or ("warning" if tool == "dt-validate" else "error")).lower()
            name = (parts.get("tool") or tool).rpartition("/")[2]
            at = parts.get("line")
            line_number = int(at) if at and len(at) < 10 else None
            return Diagnostic(
                _SEVERITY.get(word) or SEVERITIES.get(word, "error"),
                name,
                parts.get("path") or "",
                line_number,
                parts["text"],
                number,
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
        text = _LEADING_WARNING.sub("", found["text"])
        return Diagnostic("warning", "make", found["path"], int(found["line"][:9]), text, number)
    if found := _NOT_RUN.match(line):
        return Diagnostic("error", "make", "", None, found["text"], number)
    return Diagnostic("warning", "make", "", None, found["text"], number) if (found := _WARNING.match(line)) else None


def failure_in(line: str, number: int) -> Failure | None:
    """The failure that a line of make reports; None for other lines."""
    if found := _RECIPE_FAILED.match(line):
        return Failure(found["target"], "")
    found = _FAILED.match(line) or _STOPPED.match(line)
    if not found:
        return None
    parts = found.groupdict()
    if target := parts.get("target"):
        # "Deleting file 'x'" is not a failure, in any language.
        return None if _QUOTE.search(parts["status"]) else Failure(target, parts["status"])
    text = parts["text"]
    waiting = text.endswith(("...", "…")) or text.startswith("...")
    names = QUOTED.findall(text)
    # "Deleting file 'x'" has one name and no full stop.
    if not text or waiting or (len(names) == 1 and not text.endswith((".", "。", ","))) or "not deleted" in text:
        return None
    text, path, at = _STOP.sub("", text), parts.get("path") or "", parts.get("line")
    quoted = [] if path else names
    message = Diagnostic("error", "make", path, int(at[:9]) if at else None, text, number)
    return Failure(quoted[-1] if quoted else text, "", message)


def repeats(message: Diagnostic, failure: Failure, number: int) -> bool:
    """Whether a message is make's "recipe for target 'x' failed" before the failure in a line, in any language."""
    return (message.tool, message.severity) == ("make", "warning") and (
        message.number == number - 1 and failure.target in QUOTED.findall(message.text)
    )


def is_wrapper(line: str) -> bool:
    """Whether a program around make, such as bitbake, nix or a CI system, says in a line that the build failed."""
    return bool(_WRAPPER.match(line))


def is_summary(line: str) -> bool:
    """Whether rustc counts its messages in a line."""
    return bool(_SUMMARY.match(line))


def completed(message: Diagnostic, line: str) -> Diagnostic | None:
    """The message with what a later line adds: rustc's place, Python's exception; None if the line adds nothing."""
    if found := _RUST_PLACE.match(line):
        return None if message.path else message._replace(tool="rustc", path=found["path"], line=int(found["line"]))
    if message.tool == "python" and message.text.startswith("Traceback") and _EXCEPTION.match(line):
        return message._replace(text=line)
    return None
