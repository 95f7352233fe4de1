"""The places in a line of a log that name code: `symbol+0x10/0x20 [module]`, addresses, calls of ftrace.

Each is found by a text that every one has, and read from there: a line of any length takes one pass.
"""

import re
from collections.abc import Iterator
from typing import NamedTuple

LONGEST_LINE = 1 << 14
"""Characters of a line that are read; the kernel cuts lines at 1,024."""
_NAME = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.$@"
_LONGEST_NAME = 512
"""KSYM_NAME_LEN."""
_OFFSET = re.compile(r"\+0x([0-9a-f]{1,16})/0x([0-9a-f]{1,16})(?![0-9a-zA-Z_])")
_MODULE = re.compile(r" \[((?=[\w-]*[A-Za-z])[\w-]{1,64})(?: ([0-9a-f]{8,40}))?\]")
_BRACKETED = re.compile(r"\[<(?:0x)?([0-9a-f]{1,16})>\]")
_BRACKETED_BEFORE = re.compile(r"\[<(?:0x)?([0-9a-f]{1,16})>\] ?$")
_PLAIN_BEFORE = re.compile(r"(?:^|[\s(\[])(?:0x)?(ffff[0-9a-f]{12})[\]):]? $")
_ADDRESS_AFTER = re.compile(r" <(ffff[0-9a-f]{12})>")
_CALL = " <-"
_KERNEL_HALF = 1 << 63
"""Where the kernel's addresses begin: smaller numbers in brackets are hashes of pointers (%p)."""
# An address alone, behind what syslog, journald, printk and arm64's registers put before it.
_LONE = re.compile(
    r"(?P<before>(?:.{0,160}?\bkernel: ?)?(?:<\d{1,3}>)?(?:\[[^\]]{0,40}\] ?){0,3}\s{0,40}"
    r"(?:(?:pc|lr|elr|PC is at|LR is at) ?:? ?)?)(?:0x)?(?P<address>ffff[0-9a-f]{12})(?: \([A-Z]{1,4}\))?\s*"
)
# Addresses among other words: in events of ftrace, with its option sym-addr, in its histograms, and where the kernel
# has no symbols to print.
_AMONG = re.compile(
    r"(?:\b(?:call_?site|caller|function|func|ip|parent_ip|ret_ip|pc|lr)=(?:0x)?|<|\b(?:in|at):? 0x|:\d{1,9} 0x"
    r"|\bWorkqueue: \S{1,80} 0x)"
    r"(?P<address>ffff[0-9a-f]{12})(?![0-9a-f])|\[(?P<listed>ffff[0-9a-f]{12})\] [A-Za-z_][\w.]*(?![\w.=])"
)
_INTERESTING = re.compile(
    r"\+0x|\[<|Linux version |Kernel Offset: |Code: |pc : |PC is at|ainted| <-|[=<\[]ffff[0-9a-f]{12}"
    r"|[\w=:] ?0xffff[0-9a-f]{12}|ffff[0-9a-f]{12}(?: \([A-Z]{1,4}\))?\s*$"
)


class CodePlace(NamedTuple):
    """A place in a line: the span of text that it takes, and what the text says.

    `name` is empty for a bare address. `offset` and `size` are None where the text has none. `raw` is an address that
    is printed with a name. `among` says that it is an
    address among other words, which may be of data or of anything else.
    """

    start: int
    end: int
    name: str
    offset: int | None = None
    size: int | None = None
    module: str = ""
    build_id: str = ""
    raw: int | None = None
    among: bool = False


def is_interesting(line: str) -> bool:
    """Whether a line may name code, or say which kernel it is of. Most lines of a log are not."""
    return _INTERESTING.search(line) is not None


def code_places(line: str) -> list[CodePlace]:
    """The places in a line, in order."""
    found = list(_symbols(line))
    taken = [(one.start, one.end) for one in found]
    if "[<" in line:
        for match in _BRACKETED.finditer(line):
            start, end = match.span()
            if int(match[1], 16) >= _KERNEL_HALF and not any(first < end and start < last for first, last in taken):
                found.append(CodePlace(start, end, "", raw=int(match[1], 16)))
    if not found and (lone := _LONE.fullmatch(line)):
        found.append(CodePlace(*lone.span("address"), "", raw=int(lone["address"], 16)))
    if _CALL in line:
        found += _calls(line, taken)
    if "ffff" in line:
        known = {one.raw for one in found}
        for match in _AMONG.finditer(line):
            group = "address" if match["address"] else "listed"
            raw = int(match[group], 16)
            if raw not in known:
                found.append(CodePlace(*match.span(group), "", raw=raw, among=True))
    return sorted(found)


def _symbols(line: str) -> Iterator[CodePlace]:
    floor = 0
    for match in _OFFSET.finditer(line):
        start = _name_start(line, match.start(), floor)
        name = line[start : match.start()]
        if not name or name[0] in "0123456789@":
            continue
        end, module, build_id = match.end(), "", ""
        if of_module := _MODULE.match(line, end):
            end, module, build_id = of_module.end(), of_module[1], of_module[2] or ""
        raw = None
        before = line[max(floor, start - 24) : start]
        if bracketed := _BRACKETED_BEFORE.search(before):
            raw, start = int(bracketed[1], 16), start - len(before) + bracketed.start()
        elif plain := _PLAIN_BEFORE.search(before) or _ADDRESS_AFTER.match(line, end):
            raw = int(plain[1], 16)
        floor = end
        yield CodePlace(start, end, name, int(match[1], 16), int(match[2], 16), module, build_id, raw or None)


def _name_start(line: str, end: int, floor: int) -> int:
    head = line[max(floor, end - _LONGEST_NAME) : end]
    return end - len(head) + len(head.rstrip(_NAME))


def _calls(line: str, taken: list[tuple[int, int]]) -> Iterator[CodePlace]:
    """`function <-caller` of the function tracer, which prints no offsets by default."""
    at = line.find(_CALL)
    tail = line[at + len(_CALL) :]
    after = at + len(_CALL)
    if tail.startswith(" "):  # of a probe on a function's return
        after, tail = after + 1, tail[1:]
    spans = (_name_start(line, at, 0), at), (after, len(line) - len(tail.lstrip(_NAME)))
    for start, end in spans:
        name = line[start:end]
        known = any(first < end and start < last for first, last in taken)
        if 0 < len(name) <= _LONGEST_NAME and not name[0].isdigit() and not known:
            module = _MODULE.match(line, end)
            yield CodePlace(start, module.end() if module else end, name, module=module[1] if module else "")
