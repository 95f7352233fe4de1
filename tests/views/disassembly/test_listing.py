"""Functions as assembly: objdump is the reference; what they refer to is named."""

import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from kinspect.artifacts.elf.vmlinux import Vmlinux
from kinspect.source import Source
from kinspect.views.changes.described.code import SideCode
from kinspect.views.changes.side import kernel_side
from kinspect.views.disassembly.decoder import Decoder
from kinspect.views.disassembly.facts import compared
from kinspect.views.disassembly.immediates import immediate_of
from kinspect.views.disassembly.listing import ListedInstruction, Listing
from tests.conftest import Kernel
from tests.toy_program import HEAD, SCRIPT, run

SOURCE = """
#define HIDDEN __attribute__((visibility("hidden")))
#define FAR __attribute__((noinline))
extern HIDDEN int state[32];
int state[32];
FAR int HIDDEN put(const char *text, ...) { return text[0] + state[3]; }
FAR int HIDDEN first(int n) { return put("a text of %d", n) + state[1]; }
FAR int HIDDEN second(int n) { int s = 0; for (int i = 0; i < n; i++) s += first(i) ^ state[2]; return s; }
"""
START = 0xFFFF800008000000
WORDS = 20_000
"""Instructions of a real kernel that are compared with objdump's."""


def canonical(text: str) -> str:
    """An instruction in one form, with numbers in decimal."""
    text = re.sub(r"\s*//.*|\s*<[^>]*>", "", text.strip()).lower()
    text = re.sub(r"0x([0-9a-f]+)", lambda found: str(int(found[1], 16)), text)
    text = re.sub(r"\b\d{10,}\b", lambda found: str(signed(int(found[0]))), text)
    text = re.sub(r"\bcs\b", "hs", re.sub(r"\bcc\b", "lo", text))
    return re.sub(r"[\s,#]+", " ", text).strip()


def signed(number: int) -> int:
    """A number with the top bit of 32 or 64 as its sign."""
    return number - (1 << 64 if number >> 63 else 1 << 32 if 1 << 31 <= number < 1 << 32 else 0)


def from_objdump(command: str, path: Path | str, start: int, end: int) -> dict[int, str]:
    """What objdump makes of a range of addresses."""
    flags = ("-d", "--no-show-raw-insn", f"--start-address={start}", f"--stop-address={end}")
    done = subprocess.run([command, *flags, str(path)], capture_output=True, text=True, check=True)
    rows = re.findall(r"^\s*([0-9a-f]+):\t(.*)", done.stdout, re.M)
    return {int(at, 16): text for at, text in rows}


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory, tool: Callable[[str], str]) -> Path:
    folder = tmp_path_factory.mktemp("listing")
    for name, text in (("script.lds", SCRIPT), ("head.S", HEAD), ("code.c", SOURCE)):
        (folder / name).write_text(text)
    for file in ("code.c", "head.S"):
        run(folder, tool("aarch64-linux-gnu-gcc"), "-c", "-O2", "-fPIC", "-fno-asynchronous-unwind-tables", file)
    linker = (tool("aarch64-linux-gnu-ld"), "-EL", "-maarch64elf", "-shared", "-Bsymbolic", "-X", "-T", "script.lds")
    run(folder, *linker, "-o", "vmlinux", "head.o", "code.o")
    return folder / "vmlinux"


def listing_of(path: Path | str) -> tuple[Listing, dict[str, int], dict[int, int]]:
    side = kernel_side(Vmlinux(Source(path)))
    return Listing(SideCode(side), Decoder()), {name: at for at, name in side.names.items()}, side.ends


def test_what_a_function_refers_to_is_named(program: Path) -> None:
    listing, places, ends = listing_of(program)
    texts = [line.text for line in listing.function(places["first"], ends[places["first"]] - places["first"])]
    assert "bl put" in texts
    assert any(re.fullmatch(r'adrp x\d+, "a text of %d"', text) for text in texts)
    assert any(re.fullmatch(r'add x\d+, x\d+, :lo12:"a text of %d"', text) for text in texts)
    second = list(listing.function(places["second"], ends[places["second"]] - places["second"]))
    assert "bl first" in [line.text for line in second]
    (loop,) = (line for line in second if line.text.startswith("b.ne"))
    assert loop.inside is not None
    assert loop.text == f"b.ne <+{loop.inside:#x}>"
    assert loop.key == "b.ne "


def test_as_objdump_says(program: Path, tool: Callable[[str], str]) -> None:
    listing, places, ends = listing_of(program)
    for name in ("put", "first", "second"):
        at, end = places[name], ends[places[name]]
        expected = from_objdump(tool("aarch64-linux-gnu-objdump"), program, START + at, START + end)
        lines = list(listing.function(at, end - at))
        # Behind the last function lies data.
        assert len(lines) >= len(expected) > 3
        for line, text in zip(lines, expected.values(), strict=False):
            assert line.text.split()[0] == text.split()[0]
            if line.text == line.key and "lo12" not in line.key and not re.match("bl|adr", line.text):
                assert canonical(line.text) == canonical(text)


# capstone writes what is no instruction, and some system registers of later architectures, in another way.
OTHERWISE = re.compile(r"\.inst|\.word|udf|undefined|s\d_\d_c\d+_c\d+_\d|sys|hint|prfm|tlbi|bti|mrs|msr")


def test_a_real_kernel_as_objdump_says(kernel: Kernel, tool: Callable[[str], str]) -> None:
    vmlinux = Vmlinux(Source(kernel.vmlinux))
    section = vmlinux.section(".text")
    assert section is not None
    middle = section.address + (section.file_size // 2 & -4)
    found = from_objdump(tool("aarch64-linux-gnu-objdump"), kernel.vmlinux, middle, middle + 4 * WORDS)
    offset = section.offset + middle - section.address
    words = memoryview(vmlinux.source.read(offset, 4 * WORDS)).cast("I").tolist()
    decoder, compared = Decoder(), 0
    for number, word in enumerate(words):
        at = middle + 4 * number
        mnemonic, operands = decoder.decoded(word, at)
        expected = re.sub(r"\b(ffff[0-9a-f]{12})\b", r"0x\1", found.get(at, ".word"))
        if OTHERWISE.search(expected) or OTHERWISE.search(mnemonic):
            continue
        compared += 1
        assert canonical(f"{mnemonic} {operands}") == canonical(expected), f"{at:#x}: {word:#010x}"
    assert compared > 0.9 * WORDS


def line(offset: int, key: str, inside: int | None = None, outside: int | None = None) -> ListedInstruction:
    return ListedInstruction(offset, key, key, inside, outside)


def test_branches_are_compared_by_what_they_go_to() -> None:
    ours = [line(0, "a"), line(4, "b.ne ", 12), line(8, "c"), line(12, "d")]
    theirs = [line(0, "a"), line(4, "b.ne ", 16), line(8, "new"), line(12, "c"), line(16, "d")]
    assert [found.same for found in compared(ours, theirs, lambda *_: True)] == [True, True, False, True, True]
    elsewhere = [theirs[0], theirs[1]._replace(inside=12), *theirs[2:]]
    assert [found.same for found in compared(ours, elsewhere, lambda *_: True)] == [
        True,
        False,
        False,
        False,
        True,
        True,
    ]


def test_places_without_a_name_are_compared_by_what_they_are() -> None:
    ours, theirs = [line(0, "adrp x0, ", None, 100)], [line(0, "adrp x0, ", None, 200)]
    assert all(found.same for found in compared(ours, theirs, lambda *pair: pair == (100, 200)))
    assert not any(found.same for found in compared(ours, theirs, lambda *_: False))


@pytest.mark.parametrize(
    ("first", "second", "values"),
    [
        (0x9100A000, 0x9100A400, (40, 41)),  # add x0, x0, #40
        (0xF9400400, 0xF9400800, (8, 16)),  # ldr x0, [x0, #8]
        (0xF9400400, 0xF8404400, None),  # ldr x0, [x0], #4
        (0xF9400400, 0xF8404000, (8, 4)),  # ldr x0, [x0, #4], which is ldur
        (0xF9400400, 0xB9400800, None),  # ldr w0, [x0, #8]
        (0xF9400400, 0xF9400801, None),  # ldr x1, [x0, #16]
        (0xA9BF7BFD, 0xA9BE7BFD, (-16, -32)),  # stp x29, x30, [sp, #-16]!
        (0x52800540, 0x52800560, (42, 43)),  # mov w0, #42
        (0x52800540, 0x52A00540, None),  # mov w0, #42 << 16
        (0x37000040, 0x37080040, (0, 1 << 19)),  # tbnz w0, #0
        (0x37000040, 0x37000060, None),  # tbnz w0, #0, another target
        (0x3D800420, 0x3D800820, (16, 32)),  # str q0, [x1, #16]
    ],
)
def test_immediates(first: int, second: int, values: tuple[int, int] | None) -> None:
    one, two = immediate_of(first), immediate_of(second)
    assert one is not None
    assert two is not None
    assert ((one.value, two.value) if one.form == two.form else None) == values


@pytest.mark.parametrize("word", [0x94000001, 0x90000000, 0x10000000, 0xD65F03C0, 0x8B010000, 0x54000040, 0x58000040])
def test_no_immediate(word: int) -> None:
    assert immediate_of(word) is None
