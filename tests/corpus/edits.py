"""Edits of a kernel's sources, and what they change in its object files: the truth for `kinspect diff`.

edits.py apply SOURCE    edit the sources
edits.py undo SOURCE     take the edits back
edits.py truth OLD NEW   compare the object files of two builds, and write what changed as JSON
"""

import json
import re
import struct
import sys
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

TEXT, DATA = "kinspect_text", "kinspect_data"
SHIFT = f"""#include <linux/types.h>
asm(".pushsection .text\\n.type {TEXT}, %function\\n{TEXT}: .rept 1133\\nadd x1, x1, #7\\n.endr\\nret\\n"
".size {TEXT}, . - {TEXT}\\n.popsection\\n"
".pushsection .rodata, \\"a\\"\\n.type {DATA}, %object\\n{DATA}: .fill 1212, 4, 77\\n"
".size {DATA}, . - {DATA}\\n.popsection");"""
NEW = """EXPORT_SYMBOL(hex_to_bin);
int hex_digits(unsigned long n); int hex_digits(unsigned long n) { int i = 0; while (n) { n >>= 4; i++; } return i; }
EXPORT_SYMBOL(hex_digits);"""
FIRST, LAST = "\t\toffsetof(struct prctl_mm_map, start_code),\n", "\t\toffsetof(struct prctl_mm_map, end_code),\n"
EDITS = [
    # A function's body.
    ("kernel/resource.c", "root->end < 0x10000 ? 4 : 8;", "root->end < 0x10000 ? 4 : root->end >> 48 ? 16 : 8;"),
    # A constant in a function.
    ("lib/random32.c", "#define LCG(x)\t ((x) * 69069U)", "#define LCG(x)\t ((x) * 69061U)"),
    # A string of the same length, and a longer one.
    ("kernel/panic.c", "---[ end Kernel panic", "---[ END Kernel panic"),
    ("kernel/reboot.c", '"System halted\\n"', '"The system is halted now\\n"'),
    # A new function that nothing calls, but modules may.
    ("lib/hexdump.c", "EXPORT_SYMBOL(hex_to_bin);", NEW),
    # Static functions with another name: one in a table, one that is called.
    ("kernel/resource.c", "r_stop", "r_unlock"),
    ("fs/filesystems.c", "find_filesystem", "place_of_filesystem"),
    # A function in a header that is inlined into others.
    ("fs/mount.h", "return mnt != mnt->mnt_parent;", "return mnt != mnt->mnt_parent && mnt->mnt_id;"),
    # Tables: bytes, and one that only its function can see.
    ("lib/ctype.c", "_U,_U,_U,_P,_P,_P,_P,_P,", "_U,_U,_U,_P,_P,_C,_P,_P,"),
    ("kernel/sys.c", FIRST + LAST, LAST + FIRST),
    # A variable with another first value.
    ("fs/pipe.c", "pipe_max_size = 1048576", "pipe_max_size = 524288"),
    # A pointer to a function in a table.
    ("fs/pipe.c", ".llseek\t\t= no_llseek", ".llseek\t\t= noop_llseek"),
    # A call of another function.
    ("fs/seq_file.c", "kfree(seq->private);", "kvfree(seq->private);"),
    # Lines move in a file that warns: the numbers of lines in __bug_table change, and nothing else.
    ("fs/super.c", "#include <linux/export.h>", "\n\n#include <linux/export.h>"),
    # Everything moves, but for the head.
    ("init/main.c", "#include <linux/types.h>", SHIFT),
]
"""The file, what is replaced, and by what."""


def edit(source: Path, undo: bool) -> None:
    """Make all edits, or take them back."""
    for path, *texts in EDITS:
        before, after = reversed(texts) if undo else texts
        text = (source / path).read_text()
        if before not in text:
            raise SystemExit(f"{path}: no {before!r}")
        (source / path).write_text(text.replace(before, after))


RENAMED = {"r_stop": "r_unlock", "find_filesystem": "place_of_filesystem"}
_NOT_LINKED = re.compile(r"(?:scripts|tools|certs|usr)/|(?:.*/)?(?:\.|vmlinux|vdso)|arch/arm64/boot/|.*\.mod\.o$")
_IGNORED = re.compile(r"\.discard|\.note|\.comment|\.eh_frame|\.modinfo|\.export_symbol|___k(?:sym|crc)tab")
_ALLOC, _EXECUTE, _STRINGS = 2, 4, 0x20
_PROGBITS, _SYMTAB, _RELA, _NOBITS = 1, 2, 4, 8
_RESERVED = 0xFF00
_NOP, _SHORT, _SHORTEST = 0xD503201F, (0x54, 0x34, 0x35, 0xB4, 0xB5), (0x36, 0x37, 0xB6, 0xB7)
_NUMBER = re.compile(r"\.\d+")
_TEXT = re.compile(rb"(?:\x01[0-7c])?[\x20-\x7e\t\n\r\x1b]{6,}\Z")


class Section(NamedTuple):
    name: str
    flags: int
    kind: int
    data: bytes
    size: int


class Symbol(NamedTuple):
    name: str
    kind: int
    section: int
    value: int
    size: int


class ObjectFile:
    """A relocatable file: its symbols with what they hold, without places."""

    def __init__(self, path: Path) -> None:
        self.sections, links = _sections(path.read_bytes())
        self.symbols = [
            Symbol(_name(self.sections[links[number][0]].data, name), info & 15, place, value, length)
            for number, section in enumerate(self.sections)
            if section.kind == _SYMTAB
            for name, info, _, place, value, length in struct.iter_unpack("<IBBHQQ", section.data)
        ]
        self.relocations: dict[int, dict[int, tuple[int, int, int]]] = defaultdict(dict)
        for number, section in enumerate(self.sections):
            if section.kind == _RELA:
                for offset, info, addend in struct.iter_unpack("<QQq", section.data):
                    self.relocations[links[number][1]][offset] = info & 0xFFFFFFFF, info >> 32, addend
        self.sized: dict[int, list[tuple[int, int, str]]] = defaultdict(list)
        for symbol in self.symbols:
            if (
                0 < symbol.section < _RESERVED
                and symbol.size
                and symbol.kind <= 2
                and symbol.name[:1] not in ("$", ".")
            ):
                self.sized[symbol.section].append((symbol.value, symbol.value + symbol.size, symbol.name))
        for found in self.sized.values():
            found.sort()

    def named(self, section: int, offset: int) -> tuple[str, int] | None:
        found = self.sized[section]
        at = bisect_right(found, (offset, 1 << 62, "")) - 1
        if at >= 0 and found[at][0] <= offset < found[at][1]:
            return _plain(found[at][2]), offset - found[at][0]
        return None

    def target(self, section: int, offset: int) -> object:
        """What lies at an offset of a section: a named thing, a text, or something without a name."""
        named = self.named(section, offset)
        if named:
            return named
        place = self.sections[section]
        if place.flags & _STRINGS and 0 <= offset < place.size:
            return place.data[offset : place.data.index(b"\0", offset)]
        return place.name

    def relocated(self, relocation: tuple[int, int, int]) -> object:
        kind, number, addend = relocation
        symbol = self.symbols[number]
        if symbol.section == 0 or symbol.section >= _RESERVED:
            return kind, _plain(symbol.name), addend
        if symbol.kind == 3 or symbol.size == 0:
            return kind, self.target(symbol.section, symbol.value + addend)
        return kind, _plain(symbol.name), addend

    def content(self, number: int, start: int, end: int) -> list[object]:
        """The bytes from `start` to `end` of a section, with what they refer to."""
        section, relocations = self.sections[number], self.relocations[number]
        if section.kind == _NOBITS:
            return [end - start]
        found: list[object] = []
        if not section.flags & _EXECUTE:
            data = bytearray(section.data[start:end])
            for offset, relocation in sorted(relocations.items()):
                if start <= offset < end:
                    data[offset - start : offset - start + 4] = b"----"
                    found.append((offset - start, self.relocated(relocation)))
            return [bytes(data), *found]
        # Nops that align a loop depend on where the function lies in its file.
        kept = [at for at in range(start, end - 3, 4) if _word(section.data, at) != _NOP]
        numbers = {at: number for number, at in enumerate(kept)}
        for at in kept:
            word, goal = _word(section.data, at), _goal(section.data, at)
            if at in relocations:
                found.append((_opcode(word), self.relocated(relocations[at])))
            elif goal is None:
                found.append(word)
            else:
                while start <= goal < end and goal not in numbers:
                    goal += 4
                found.append((_opcode(word), numbers.get(goal) if start <= goal < end else self.named(number, goal)))
        return found

    def things(self) -> Iterator[tuple[str, str, list[object]]]:
        """All functions and data with a name: the kind, the name, the content."""
        for number, section in enumerate(self.sections):
            if section.flags & _ALLOC and not _IGNORED.match(section.name):
                kind = "function" if section.flags & _EXECUTE else "data"
                for start, end, name in self.sized[number]:
                    yield kind, name, self.content(number, start, end)

    def tables(self) -> dict[str, list[object]]:
        """Tables without names, such as __bug_table."""
        return {
            section.name: self.content(number, 0, section.size)
            for number, section in enumerate(self.sections)
            if section.flags & _ALLOC and section.name.startswith("__") and not _IGNORED.match(section.name)
        }

    def texts(self) -> Iterator[str]:
        for section in self.sections:
            if section.flags & _ALLOC and section.kind == _PROGBITS and not _IGNORED.match(section.name):
                for text in section.data.split(b"\0"):
                    if not section.flags & _EXECUTE and _TEXT.match(text):
                        yield text.decode()


def _sections(raw: bytes) -> tuple[list[Section], list[tuple[int, int]]]:
    """The sections of a file, and for each those that it belongs to: sh_link and sh_info."""
    (start,) = struct.unpack_from("<Q", raw, 0x28)
    size, number, names = struct.unpack_from("<HHH", raw, 0x3A)
    heads = [struct.unpack_from("<IIQQQQIIQQ", raw, start + at * size) for at in range(number)]
    table = raw[heads[names][4] :][: heads[names][5]]
    sections = []
    for name, kind, flags, _, offset, length, *_ in heads:
        data = b"" if kind == _NOBITS else raw[offset : offset + length]
        sections.append(Section(_name(table, name), flags, kind, data, length))
    return sections, [(head[6], head[7]) for head in heads]


def _word(data: bytes, at: int) -> int:
    return int.from_bytes(data[at : at + 4], "little")


def _goal(data: bytes, at: int) -> int | None:
    """Where a branch goes."""
    word = _word(data, at)
    if word >> 26 & 31 == 5:
        return at + 4 * ((word & 0x1FFFFFF) - (word & 0x2000000))
    if word >> 24 in _SHORT:
        return at + 4 * ((word >> 5 & 0x3FFFF) - (word >> 5 & 0x40000))
    if word >> 24 in _SHORTEST:
        return at + 4 * ((word >> 5 & 0x1FFF) - (word >> 5 & 0x2000))
    return None


def _opcode(word: int) -> int:
    """An instruction without the field that a relocation fills, or that says how far a branch goes."""
    if word >> 26 & 31 == 5:
        return word & 0xFC000000
    if word >> 24 in _SHORT:
        return word & 0xFF00001F
    if word >> 24 in _SHORTEST:
        return word & 0xFFF8001F
    if word >> 24 & 0x1F == 0x10:
        return word & 0x9F00001F
    if word >> 24 & 0x1F == 0x11 or word >> 24 & 0x3B == 0x39:
        return word & 0xFFC003FF
    return word


def _name(table: bytes, at: int) -> str:
    return table[at : table.index(b"\0", at)].decode()


def _plain(name: str) -> str:
    name = _NUMBER.sub("", name)
    return RENAMED.get(name, name)


def _all(out: Path) -> Iterator[tuple[str, ObjectFile]]:
    for path in sorted(out.rglob("*.o")):
        name = str(path.relative_to(out))
        if not _NOT_LINKED.match(name):
            raw = path.open("rb").read(20)
            if raw[:4] == b"\x7fELF" and raw[16:20] == b"\1\0\xb7\0":
                yield name, ObjectFile(path)


class Build:
    """What the object files of a build hold, by names."""

    def __init__(self, out: Path) -> None:
        self.things: dict[str, dict[tuple[str, str, int], list[object]]] = {"function": {}, "data": {}}
        self.tables: dict[tuple[str, str], list[object]] = {}
        self.texts: set[str] = set()
        self.names: set[str] = set()
        for path, file in _all(out):
            for kind, name, content in file.things():
                self.names.add(name)
                things, number = self.things[kind], 0
                while (_plain(name), path, number) in things:
                    number += 1
                things[_plain(name), path, number] = content
            self.tables |= {(path, name): content for name, content in file.tables().items()}
            self.texts |= set(file.texts())


def truth(old: Build, new: Build) -> dict[str, object]:
    """What differs in two builds. Names of several things occur several times."""
    found: dict[str, object] = {}
    for kind, ours in old.things.items():
        theirs = new.things[kind]
        found[kind] = {
            "number": len(theirs),
            "changed": sorted(key[0] for key in ours.keys() & theirs.keys() if ours[key] != theirs[key]),
            "removed": sorted(key[0] for key in ours.keys() - theirs.keys()),
            "added": sorted(key[0] for key in theirs.keys() - ours.keys()),
        }
    found["renamed"] = [[one, two] for one, two in RENAMED.items() if one in old.names and two in new.names]
    found["text"] = {"removed": sorted(old.texts - new.texts), "added": sorted(new.texts - old.texts)}
    tables = old.tables.keys() & new.tables.keys()
    found["tables"] = sorted(
        f"{path} {name}" for path, name in tables if old.tables[path, name] != new.tables[path, name]
    )
    return found


if __name__ == "__main__":
    if sys.argv[1] == "truth":
        json.dump(truth(Build(Path(sys.argv[2])), Build(Path(sys.argv[3]))), sys.stdout, indent=1)
    else:
        edit(Path(sys.argv[2]), undo=sys.argv[1] == "undo")
