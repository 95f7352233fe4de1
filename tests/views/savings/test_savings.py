"""The possible savings of a kernel: every figure is counted a second time, by the tools or from raw bytes."""

import json
import re
import subprocess
from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from kinspect.artifacts.elf.vmlinux import Vmlinux
from kinspect.errors import TruncatedError
from kinspect.inspection.report import Report
from kinspect.reports.json import report_text
from kinspect.reports.savings.facts import lines as savings_lines
from kinspect.reports.terminal import Style
from kinspect.schemas import elf
from kinspect.schemas.elf import Rela
from kinspect.schemas.record import build
from kinspect.views.savings.data import LoadedKernel, fill
from kinspect.views.savings.entry import Saving
from kinspect.views.savings.facts import savings, savings_facts
from kinspect.views.size.attribution import Attribution
from kinspect.views.tables.relocations import DynamicRelocations, packed_size, unpacked
from tests.conftest import ROOT, SAMPLE, Kernel
from tests.support import Named, Part, changed_section, elf_of, patched

Tool = Callable[[str], str]
NOP = bytes.fromhex("1f2003d5")


@cache
def attribution(path: str) -> Attribution:
    return Attribution(Vmlinux(path))


@cache
def entries(path: str) -> dict[str, Saving]:
    return {entry.id: entry for entry in savings(attribution(path))}


@cache
def lines(*command: str) -> list[list[str]]:
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return [line.split() for line in text.splitlines()]


class Raw:
    """A kernel read with readelf and from its own bytes, without kinspect."""

    def __init__(self, kernel: Kernel, tool: Tool) -> None:
        self.image = Path(kernel.image).read_bytes()
        self.sections: dict[str, tuple[int, int, str]] = {}
        for row in lines(tool("aarch64-linux-gnu-readelf"), "-SW", kernel.vmlinux):
            found = re.search(
                r"\] (\S+) +(\w+) +([0-9a-f]{16}) [0-9a-f]+ ([0-9a-f]+) \w\w +(\w*A\w*) ", " ".join(row) + " "
            )
            if found and found[2] != "NOBITS":
                self.sections[found[1]] = (int(found[3], 16), int(found[4], 16), found[5])
        # Address, size, type, name; as nm has them, mapping symbols left out.
        self.symbols = []
        for row in lines(tool("aarch64-linux-gnu-readelf"), "-sW", kernel.vmlinux):
            named = len(row) == 8 and row[0][:-1].isdigit() and row[6].isdigit()
            if named and row[3] not in ("SECTION", "FILE") and not re.search(r"\$[xd](\.|$)", row[7]):
                self.symbols.append((int(row[1], 16), int(row[2], 0), row[3], row[7], int(row[6])))
        self.values = {name: value for value, _, _, name, _ in reversed(self.symbols)}
        rela = [row for row in lines(tool("aarch64-linux-gnu-readelf"), "-rW", kernel.vmlinux) if len(row) >= 3]
        self.rela = [row for row in rela if row[2].startswith("R_AARCH64_")]

    def bytes(self, start: int, end: int) -> bytes:
        return self.image[start - self.values["_text"] : end - self.values["_text"]]

    @property
    def relative(self) -> dict[int, int]:
        rows = [row for row in self.rela if row[2].startswith("R_AARCH64_RELATIV")]
        return {int(row[0], 16): int(row[3], 16) % (1 << 64) for row in rows}

    def packed(self) -> set[int]:
        """The places in .relr.dyn."""
        found, at = set(), 0
        start, size, _ = self.sections.get(".relr.dyn", (0, 0, ""))
        for offset in range(0, size, 8):
            word = int.from_bytes(self.bytes(start + offset, start + offset + 8), "little")
            if word % 2 == 0:
                found.add(word)
                at = word + 8
            else:
                found |= {at + 8 * bit for bit, one in enumerate(reversed(f"{word:064b}"[:-1])) if one == "1"}
                at += 63 * 8
        return found


@pytest.fixture(scope="module")
def raw(kernel: Kernel, tool: Tool) -> Raw:
    return Raw(kernel, tool)


def kept(raw: Raw, start: int, end: int) -> int:
    return end - start - max(0, min(end, raw.values["__init_end"]) - max(start, raw.values["__init_begin"]))


def test_dead_relocations_are_those_of_readelf(kernel: Kernel, raw: Raw) -> None:
    dead = sum(row[2] == "R_AARCH64_NONE" for row in raw.rela)
    found = entries(kernel.vmlinux)["dead-relocations"]
    assert dead > 9000
    assert (found.places, found.file, found.memory) == (dead, 24 * dead, 0)
    # With those that live they are the section.
    live = entries(kernel.vmlinux)["relocatable"].file - raw.sections.get(".relr.dyn", (0, 0))[1]
    assert found.file + live == raw.sections[".rela.dyn"][1]


def test_what_is_saved_by_packing_is_what_packing_gives(kernel: Kernel, raw: Raw) -> None:
    found = entries(kernel.vmlinux).get("unpacked-relocations")
    if ".relr.dyn" in raw.sections:
        assert found is None
        # Our packing of its places is no larger than the linker's.
        places = sorted(raw.packed())
        assert len(places) > 100_000
        assert packed_size(places) == raw.sections[".relr.dyn"][1] - _fill_words(raw)
        return
    places = sorted(place for place in raw.relative if place % 2 == 0)
    assert found is not None
    assert found.places == len(places) > 100_000
    assert found.file == 24 * len(places) - packed_size(places) > 3_000_000
    assert found.memory == 0


def _fill_words(raw: Raw) -> int:
    """Words of 1, with which a linker fills up."""
    start, size, _ = raw.sections[".relr.dyn"]
    return 8 * sum(raw.bytes(start + at, start + at + 8) == b"\1" + bytes(7) for at in range(0, size, 8))


@pytest.mark.parametrize(
    ("places", "words"),
    [
        ([], 0),
        ([16], 1),
        ([16, 24], 2),
        ([16, 16 + 63 * 8], 2),
        ([16, 16 + 64 * 8], 2),
        ([16, 24, 16 + 64 * 8], 3),
        ([16, 24 + 8 * 63 * 2], 2),
        ([16, 18], 2),
    ],
)
def test_packing(places: list[int], words: int) -> None:
    assert packed_size(places) == 8 * words


def test_unpacking_stops() -> None:
    def endless() -> Iterator[int]:
        while True:
            yield (1 << 64) - 1

    assert list(unpacked([0x1000, 0b1011, 0b11])) == [0x1000, 0x1008, 0x1018, 0x1008 + 63 * 8]
    assert sum(1 for _ in unpacked(endless())) < (1 << 22) + 64


def test_alignment_between_sections_is_zero_and_the_rest(kernel: Kernel) -> None:
    """The rest of the Image and of memory, without sections and page tables."""
    account = attribution(kernel.vmlinux).account
    found = entries(kernel.vmlinux)["alignment-between-sections"]
    rest = [span for span in account.spans if span.kind != "alignment"]
    assert found.file == len(Path(kernel.image).read_bytes()) - sum(span.file_size for span in rest) > 80_000
    freed = sum(span.size for span in account.spans if span.kind == "alignment" and span.freed)
    assert found.memory == account.memory_size - sum(span.size for span in rest) - freed


def test_alignment_within_sections_is_what_nm_leaves(kernel: Kernel, raw: Raw) -> None:
    """Counted again from readelf's symbols: gaps of less than 64 bytes with zeros, or nops that are not patched."""
    found = entries(kernel.vmlinux)["alignment-within-sections"]
    first, last = raw.values["__start_mcount_loc"], raw.values["__stop_mcount_loc"]
    relative = raw.relative
    slots = ((at, int.from_bytes(raw.bytes(at, at + 8), "little")) for at in range(first, last, 8))
    sites = sorted(relative.get(at, value) for at, value in slots)
    by_section: dict[int, list[tuple[int, int]]] = defaultdict(list)
    for value, size, _, _, section in raw.symbols:
        by_section[section].append((value, size))
    wanted = in_memory = 0
    file_end = raw.values["_text"] + len(raw.image)
    for symbols in by_section.values():
        symbols.sort()
        reach = 0
        for (value, size), (after, _) in pairwise([*symbols, (0, 0)]):
            if value >= reach:
                reach = value + size if size else 0
            elif size:
                reach = max(reach, value + size)
            if not reach or not reach < after < reach + 64:
                continue
            site = bisect_left(sites, reach)
            stop = min(after, sites[site]) if site < len(sites) else after
            gap = raw.bytes(reach, stop) if stop <= file_end else b""
            code = _executable(raw, reach)
            if reach < stop and set(_words(gap, code)) <= {b"", b"\0", NOP}:
                wanted += min(stop, file_end) - min(reach, file_end)
                in_memory += kept(raw, reach, stop)
    assert found.file == wanted > 100_000
    assert found.memory == in_memory


def _executable(raw: Raw, address: int) -> bool:
    return any("X" in flags and start <= address < start + size for start, size, flags in raw.sections.values())


def _words(gap: bytes, code: bool) -> Iterator[bytes]:
    for at in range(0, len(gap), 4):
        word = gap[at : at + 4]
        yield NOP if code and word == NOP else (word.strip(b"\0") and word) or b"\0"


def test_no_symbol_lies_in_alignment(kernel: Kernel, raw: Raw) -> None:
    starts = sorted(value for value, _, _, _, _ in raw.symbols)
    runs = list(fill(LoadedKernel(attribution(kernel.vmlinux))))
    assert len(runs) == entries(kernel.vmlinux)["alignment-within-sections"].places > 10_000
    for run, after in pairwise(runs):
        assert bisect_left(starts, run.start + 1) == bisect_left(starts, run.end), hex(run.start)
        assert run.end <= after.start or run.section != after.section


def test_copied_tables_are_equal_and_all_of_them(kernel: Kernel, raw: Raw) -> None:
    """Counted again from readelf: objects with the same bytes and the same relocations."""
    relocated = sorted([(place, addend) for place, addend in raw.relative.items()] + [(at, -1) for at in raw.packed()])
    places = [place for place, _ in relocated]
    groups: Counter[tuple[Any, ...]] = Counter()
    for name in (".rodata", ".hyp.rodata"):
        at, size, _ = raw.sections[name]
        last, end = at, at + size
        for value, length, kind, _, _ in sorted(raw.symbols, key=lambda one: (one[0], one[1])):
            if kind == "OBJECT" and length >= 16 and last <= value and value + length <= end:
                last = value + length
                if raw.values["__start_ro_after_init"] <= value < raw.values["__end_ro_after_init"]:
                    continue
                first, stop = bisect_left(places, value), bisect_left(places, value + length)
                own = tuple((place - value, addend) for place, addend in relocated[first:stop])
                groups[(name, raw.bytes(value, value + length), own)] += 1
    wanted = sum((count - 1) * len(key[1]) for key, count in groups.items())
    found = entries(kernel.vmlinux)["copied-tables"]
    assert found.file == found.memory == wanted > 30_000
    assert found.places == sum(count - 1 for count in groups.values())
    assert found.examples[0].size == max((count - 1) * len(key[1]) for key, count in groups.items())
    assert found.examples[0].where.endswith(".c")


def test_tables_with_other_relocations_are_no_copies(tmp_path: Path) -> None:
    """Pointers are zero in the file: only the relocations distinguish the tables."""

    def found(targets: tuple[int, int]) -> Saving | None:
        rows = [build(Rela(0x1100 + 32 * at, elf.R_AARCH64_RELATIVE, target)) for at, target in enumerate(targets)]
        parts = (
            Part(".rodata", bytes(256) + bytes(24) + b"12345678" + bytes(24) + b"12345678", 0x1000),
            Part(".rela.dyn", b"".join(rows), 0x2000, type=elf.SHT_RELA),
        )
        names = [Named("_text", 0x1000), Named("_end", 0x3000)]
        names += [Named(f"table{at}", 0x1100 + 32 * at, 1, elf.STT_OBJECT, 32) for at in range(2)]
        (tmp_path / "vmlinux").write_bytes(elf_of(*parts, symbols=names))
        every = savings(Attribution(Vmlinux(tmp_path / "vmlinux")))
        return {entry.id: entry for entry in every}.get("copied-tables")

    assert found((0x1010, 0x1020)) is None
    copied = found((0x1010, 0x1010))
    assert copied is not None
    assert (copied.file, copied.places, copied.examples[0].name) == (32, 1, "2 times table0")


def test_zeros_in_data_are_zero_and_all_of_them(kernel: Kernel, raw: Raw) -> None:
    places = sorted([*raw.relative, *raw.packed()])
    at, size, _ = raw.sections[".data"]
    last, wanted, names = at, 0, set()
    for value, length, kind, name, _ in sorted(raw.symbols, key=lambda one: (one[0], one[1])):
        if kind == "OBJECT" and length >= 16 and last <= value and value + length <= at + size:
            last = value + length
            if bisect_left(places, value) == bisect_left(places, last) and not any(raw.bytes(value, last)):
                wanted += length
                names.add(name)
    found = entries(kernel.vmlinux)["zeros-in-data"]
    assert (found.file, found.memory) == (wanted, 0)
    assert wanted > 50_000
    assert {example.name for example in found.examples} <= names
    assert found.examples[0] == ("join_entries", 16384, "net/mptcp/syncookies.c")


def test_repeated_strings_stand_where_it_is_said(kernel: Kernel, raw: Raw) -> None:
    """The total is counted again over the pools, and each example is searched for in the Image."""
    layer = attribution(kernel.vmlinux).symbol
    counts: Counter[bytes] = Counter()
    data_at, data_size, _ = raw.sections[".data"]
    for at, start in enumerate(layer.starts):
        end = layer.starts[at + 1] if at + 1 < len(layer.starts) else layer.end
        name = layer.names[layer.labels[at]]
        if name in ("[strings]", "[__ksymtab_strings]") and not data_at <= start < data_at + data_size:
            pool = raw.bytes(start, end)
            counts.update(re.findall(rb"(?:(?<=\0)|\A)[\x20-\x7e\t\n\r\x1b\x01]{4,}(?=\0|\Z)", pool))
    found = entries(kernel.vmlinux)["repeated-strings"]
    assert found.file == sum((count - 1) * (len(text) + 1) for text, count in counts.items()) > 3000
    assert found.places == sum(count > 1 for count in counts.values())
    assert found.memory <= found.file
    for example in found.examples:
        named = re.fullmatch(r'(\d+) times "(.*)"', example.name, re.DOTALL)
        assert named
        text = b"\0" + named[2].encode() + b"\0"
        occurrences = len(re.findall(b"(?=" + re.escape(text) + b")", raw.image))
        assert occurrences >= int(named[1]) == counts[named[2].encode()] >= 2


def test_start_up_is_what_lies_between_its_symbols(kernel: Kernel, raw: Raw) -> None:
    found = entries(kernel.vmlinux)["init-memory"]
    assert (found.file, found.memory) == (raw.values["__init_end"] - raw.values["__init_begin"], 0)


def test_padding_is_its_section(kernel: Kernel, raw: Raw) -> None:
    assert entries(kernel.vmlinux)["efi-padding"].file == raw.sections[".pecoff_edata_padding"][1]


def test_options_are_their_sections(kernel: Kernel, raw: Raw) -> None:
    found = entries(kernel.vmlinux)
    assert found["btf"].file == sum(raw.sections[name][1] for name in (".BTF", ".BTF_ids"))
    exports = [size for name, (_, size, _) in raw.sections.items() if re.match("__k(symtab|crctab|flagstab)", name)]
    assert found["exports"].memory == found["exports"].file == sum(exports)
    for name, label in (("jump-labels", "__jump_table"), ("dynamic-debug", "__dyndbg")):
        assert found[name].file == raw.values[f"__stop_{label}"] - raw.values[f"__start_{label}"]
    assert found["initramfs"].file == raw.values["__irf_end"] - raw.values["__irf_start"]


def test_kallsyms_reaches_from_its_first_table_to_the_end_of_its_last(kernel: Kernel, raw: Raw) -> None:
    names = ("offsets", "relative_base", "num_syms", "names", "markers", "seqs_of_names", "token_table", "token_index")
    tables = {name: raw.values[f"kallsyms_{name}"] for name in names if f"kallsyms_{name}" in raw.values}
    last = max(tables, key=lambda name: tables[name])
    symbols = int.from_bytes(raw.bytes(tables["num_syms"], tables["num_syms"] + 4), "little")
    size = {"token_index": 256 * 2, "seqs_of_names": symbols * 3}[last]
    end = tables[last] + size
    assert 0 <= entries(kernel.vmlinux)["kallsyms"].file - (end - min(tables.values())) < 8


def test_the_tracer_has_nops_at_its_sites(kernel: Kernel, raw: Raw) -> None:
    first, last = raw.values["__start_mcount_loc"], raw.values["__stop_mcount_loc"]
    relative = raw.relative
    nops = 0
    for at in range(first, last, 8):
        site = relative.get(at, int.from_bytes(raw.bytes(at, at + 8), "little"))
        if not site:
            # A row that the build blanked: the function was a weak one that lost.
            assert at < first + (last - first) // 50
            continue
        code = raw.bytes(site, site + 20)
        run = re.match(rb"(?:\x1f\x20\x03\xd5|\x5f\x24\x03\xd5)+", code)
        assert run, hex(site)
        nops += 4 * run[0].count(NOP)
    found = entries(kernel.vmlinux)["function-tracer"]
    assert found.file == nops + last - first > 500_000


def test_reports(kernel: Kernel) -> None:
    facts = savings_facts(attribution(kernel.vmlinux))
    text = "\n".join(savings_lines(facts, Style(False)))
    assert all(entry.id.replace("-", " ") in text for entry in facts.entries)
    assert max(map(len, text.splitlines())) <= 120
    document = json.loads(report_text(Report((facts,))))
    jsonschema.validate(document, json.loads((ROOT / "docs" / "report.schema.json").read_text()))
    assert [entry["id"] for entry in document["facts"][0]["entries"]] == [entry.id for entry in facts.entries]


def test_the_sample() -> None:
    found = entries(str(SAMPLE / "vmlinux"))
    assert found["unpacked-relocations"].places == len(DynamicRelocations(Vmlinux(SAMPLE / "vmlinux")).packable) > 0
    assert "btf" not in found


@pytest.mark.parametrize("name", [".rela.dyn", ".rodata", ".data", "__ksymtab_strings", ".text"])
@pytest.mark.parametrize("fields", [{"sh_size": 1 << 40}, {"sh_offset": 1 << 62}, {"sh_size": 1001}, {"sh_type": 8}])
def test_sections_that_lie_are_left_out_or_an_error(name: str, fields: dict[str, int], tmp_path: Path) -> None:
    path = patched(SAMPLE / "vmlinux", changed_section(SAMPLE / "vmlinux", name, **fields), tmp_path)
    found = Attribution(Vmlinux(path))
    found_savings: tuple[Saving, ...] = ()
    with suppress(TruncatedError):  # the layer of symbols raises it
        found_savings = savings(found)
    for entry in found_savings:
        assert 0 <= entry.file <= found.account.file_size
        assert 0 <= entry.memory <= found.account.memory_size
        assert all(example.size >= 0 for example in entry.examples)
