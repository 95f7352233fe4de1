"""The forms that the lines of a build log have, and the prefixes that are removed before they are read."""

import re
from enum import StrEnum

from kinspect.views.buildlog.commands import Step


class LineKind(StrEnum):
    """The kinds of lines in a log."""

    STEP = "steps"
    MESSAGE = "messages"
    MAKE = "make"
    SHELL = "shell"  # what make V=1 prints besides steps
    NOTE = "notes"
    BLANK = "blank"
    UNKNOWN = "unknown"


STEP = re.compile(rb"^(?:(  [A-Z][A-Z0-9_.]*[A-Z0-9](?: \[[A-Z]\])? +(?:[^ \n/]*+/)*+)([^ \n]+)|(.*))$", re.MULTILINE)
ONE_STEP = re.compile(r"\s*([A-Z][A-Z0-9_.]*[A-Z0-9])(?: \[([A-Z])\]| FPIC)? +(?:[A-Z]{1,2} )?(\S.*)$")
REASON = re.compile(r" - due to.*$")
GLUED = re.compile(r"(.*?\S)(  ([A-Z][A-Z0-9_.]*[A-Z0-9])(?: \[[A-Z]\])? +\S+)$")
DOTS = re.compile(r"[.+*]+(?=  \S)")
"""openssl prints them while it generates a key, and the output of other jobs follows on the same line."""
NOTE = re.compile(
    r"#|\*(?:\s|\*|$)|[-.+*]+$|No change to |Kernel: |Setup is |System is |Image Name: |Created: |Image Type: "
    r"|Data Size: |Load Address: |Entry Point: |  Building modules, stage|  Using .* as source|Generating |Extracted "
    r"|Pass \d+$|writing new private key|You are about to|configuration written|scripts/kconfig/"
    r"|.* is up to date\.$|(?:NOTE|DEBUG|INFO): "
)
QUESTION = re.compile(r"\([A-Z0-9_]++\) \[[^\]\[]*+\]")
COMMAND = re.compile(r"  +\S|' ")
"""The start of a command that stands for a step, or of the rest of a command that contains a newline."""
RECIPE = re.compile(
    r"  \S|' |[\w-]+=\S*(?: \\)?$|(?:test|ln|rm|mv|cp|mkdir|touch|cat|echo|sed|if|for|make|:|\{|\S*sh) "
    r"|(?:\.\.?|\S*scripts)/"
)


def text_of(raw: bytes) -> str:
    """A line that STEP does not match as text, without what a carriage return overwrote."""
    line = raw.decode("utf-8", "surrogateescape").rstrip().rpartition("\r")[2]
    return line[dots.end() :] if (dots := DOTS.match(line)) else line


def step_in(head: bytes, name: bytes) -> Step:
    """The step of a line that is split after its last slash."""
    tag, mark, folder = parts(head)
    start = f"{folder}/" if folder or head.endswith(b"/") else ""
    return Step(tag, mark, start + name.decode("utf-8", "surrogateescape"))


_REASONS = {text: text for text in ("target is PHONY", "target missing", "command line change", "missing .cmd file")}


def reason(text: str) -> str:
    """The reason that make V=2 gives for a step, without the names of files."""
    if text.startswith(" - due to: "):
        return "a newer prerequisite"
    return (
        "not in targets"
        if " not in $(targets)" in text
        else _REASONS.get(text.removeprefix(" - due to "), "another reason")
    )


def parts(head: bytes) -> tuple[str, str, str]:
    """Tag, mark and folder in the part of a line up to its last slash."""
    words = head.decode("utf-8", "surrogateescape").split()
    mark = words[1][1] if len(words) > 1 and words[1].startswith("[") else ""
    folder = words[-1].removesuffix("/") if len(words) > 1 + bool(mark) else ""
    return words[0], mark, folder
