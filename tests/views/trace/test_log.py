"""Logs of the sample kernel: every form in which a line names code, and what shows that a log is of another kernel."""

import gzip
import time
import tracemalloc
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest

import kinspect
from kinspect.errors import MalformedError, UnreadableError, UnsupportedError
from kinspect.inspection.symbols.trace import log_decoder, split_lines, trace_report
from kinspect.views.trace.facts import TraceFacts
from kinspect.views.trace.lines import code_places
from tests.conftest import SAMPLE
from tests.toy_kallsyms import image

VMLINUX = SAMPLE / "vmlinux"
BANNER = (
    "Linux version 6.1.0-hello (hello@sample) (aarch64-linux-gnu-gcc (Debian 12.2.0-14) 12.2.0, GNU ld (GNU Binutils "
    "for Debian) 2.40) #1 Sample 1 (2026-01-01)"
)
CPU = "CPU: 0 PID: 1 Comm: init Tainted: G           O      6.1.0-hello #1 Sample 1"
BUILD_ID = "7e0b8037c7a54560209d051bc58181e1c48894e8"


def decoded(*lines: str, kernel: Path = VMLINUX) -> list[str]:
    return list(log_decoder(kernel).lines(lines))


def facts(*lines: str, kernel: Path = VMLINUX) -> TraceFacts:
    return kinspect.trace(kernel, lines).facts_of(TraceFacts)[0]


def findings(*lines: str, kernel: Path = VMLINUX) -> list[tuple[str, str, int | None]]:
    report = kinspect.trace(kernel, lines)
    return [(one.id, str(one.evidence), one.evidence.at[0].line) for one in report.findings]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("pc : probe_read+0x8/0x14", "pc : probe_read (lib.S:26)"),
        ("lr : test_exceptions+0x28/0x54", "lr : test_exceptions (hello.c:53)"),
        (" start_kernel+0x6c/0xc4 (P)", " start_kernel (hello.c:72) (P)"),
        ("[    1.046674][  T123]  print+0x8/0x60", "[    1.046674][  T123]  print (print.c:28)"),
        ("[  +0.000012]  print+0x8/0x60", "[  +0.000012]  print (print.c:28)"),
        ("<4>[    1.0] print+0x8/0x60", "<4>[    1.0] print (print.c:28)"),
        ("Nov 28 15:44:19 host kernel:  print+0x8/0x60", "Nov 28 15:44:19 host kernel:  print (print.c:28)"),
        ("2026-11-28T15:44:19+00 h kernel: print+0x8/0x60\t", "2026-11-28T15:44:19+00 h kernel: print (print.c:28)\t"),
        ("[<ffff800008010a38>] print+0x8/0x60", "print (print.c:28)"),
        ("[<0>] print+0x8/0x60", "print (print.c:28)"),
        (" #0: (lock){+.+.}, at: [<ffff800008010a38>] print+0x8/0x60", " #0: (lock){+.+.}, at: print (print.c:28)"),
        ("BUG: KASAN: slab-out-of-bounds in print+0x8/0x60", "BUG: KASAN: slab-out-of-bounds in print (print.c:28)"),
        ("WARNING: CPU: 0 PID: 0 at p.c:1 print+0x8/0x60", "WARNING: CPU: 0 PID: 0 at p.c:1 print (print.c:28)"),
        ("WARNING: x.c:1 at print+0x8/0x60, CPU#0: init/88", "WARNING: x.c:1 at print (print.c:28), CPU#0: init/88"),
        ("Workqueue: events 0x0 (print+0x8/0x60)", "Workqueue: events 0x0 (print (print.c:28))"),
        ("init-1 [000] d..1 1.2: strlen <-print", "init-1 [000] d..1 1.2: strlen (lib.S:11) <-print (print.c:28)"),
        ("1.2: print+0x8/0x60 <-start_kernel+0x6c/0xc4", "1.2: print (print.c:28) <-start_kernel (hello.c:72)"),
        ("ffff800008010a38", "ffff800008010a38 print+0x8/0x60 (print.c:28)"),
        ("[    1.2]  0xffff800008010a38", "[    1.2]  0xffff800008010a38 print+0x8/0x60 (print.c:28)"),
        ("pc : 0xffff800008010a38", "pc : 0xffff800008010a38 print+0x8/0x60 (print.c:28)"),
        ("pc : [<ffff800008010a38>] lr : [<ffff800008015420>] pstate: 60000145",
         "pc : [<ffff800008010a38>] print+0x8/0x60 (print.c:28) lr : [<ffff800008015420>] start_kernel+0x6c/0xc4 "
         "(hello.c:72) pstate: 60000145"),
        # Kernels without symbols print addresses in the place of names.
        (" 0xffff800008010a38 (P)", " 0xffff800008010a38 print+0x8/0x60 (print.c:28) (P)"),
        ("BUG: KASAN: slab-use-after-free in 0xffff800008010a38",
         "BUG: KASAN: slab-use-after-free in 0xffff800008010a38 print+0x8/0x60 (print.c:28)"),
        ("panic: stack is corrupted in: 0xffff800008010a38",
         "panic: stack is corrupted in: 0xffff800008010a38 print+0x8/0x60 (print.c:28)"),
        ("WARNING: CPU: 0 PID: 9 at mm/x.c:1 0xffff800008010a38",
         "WARNING: CPU: 0 PID: 9 at mm/x.c:1 0xffff800008010a38 print+0x8/0x60 (print.c:28)"),
        ("Workqueue: events 0xffff800008010a38", "Workqueue: events 0xffff800008010a38 print+0x8/0x60 (print.c:28)"),
        # Lockdep, and KASAN's variables, which have no lines.
        (" linux_banner+0x4/0xb6", " linux_banner+0x4/0xb6"),
        ("hardirqs last  enabled at (12): [<ffff800008010a38>] print+0x8/0x60",
         "hardirqs last  enabled at (12): print (print.c:28)"),
        # KCSAN, KFENCE, kmemleak, SLUB, initcall_debug, irq: nobody cared.
        ("BUG: KFENCE: out-of-bounds read in print+0x8/0x60", "BUG: KFENCE: out-of-bounds read in print (print.c:28)"),
        ("    [<00000000f3a1c2d4>] print+0x8/0x60", "    print (print.c:28)"),
        ("INFO: Allocated in print+0x8/0x60 age=1", "INFO: Allocated in print (print.c:28) age=1"),
        ("initcall print+0x0/0x60 returned 0 after 1 usecs", "initcall print (print.c:28) returned 0 after 1 usecs"),
        # ftrace: events, with sym-addr, probes, histograms, the stack tracer, function_graph with return addresses.
        ("x-1 [000] .... 1.2: kmalloc: call_site=ffff800008010a38 ptr=ffff0000c0ffee00",
         "x-1 [000] .... 1.2: kmalloc: call_site=ffff800008010a38 print+0x8/0x60 (print.c:28) ptr=ffff0000c0ffee00"),
        ("1.2: kfree: call_site=print+0x8/0x60 ptr=0", "1.2: kfree: call_site=print (print.c:28) ptr=0"),
        (" => print+0x8/0x60 <ffff800008010a38>", " => print (print.c:28) <ffff800008010a38>"),
        (" => unknown <ffff800008010a38>", " => unknown <ffff800008010a38 print+0x8/0x60 (print.c:28)>"),
        ("1.2: myprobe: (print+0x8/0x60) x0=0x1", "1.2: myprobe: (print (print.c:28)) x0=0x1"),
        ("1.2: r: (start_kernel+0x6c/0xc4 <- print) x0=0x1",
         "1.2: r: (start_kernel (hello.c:72) <- print (print.c:28)) x0=0x1"),
        ("{ call_site: [ffff800008010a38] print     } hitcount: 1",
         "{ call_site: [ffff800008010a38 print+0x8/0x60 (print.c:28)] print     } hitcount: 1"),
        ("{ call_site: [ffff800008010a38] print+0x8/0x60 }", "{ call_site: [ffff800008010a38] print (print.c:28) }"),
        ("  2)     2928     224   print+0x8/0x60", "  2)     2928     224   print (print.c:28)"),
        (" 0)   0.6 us |  } /* strlen <-print+0x8/0x60 */",
         " 0)   0.6 us |  } /* strlen (lib.S:11) <-print (print.c:28) */"),
    ],
)  # fmt: skip
def test_each_form(line: str, expected: str) -> None:
    assert decoded(line) == [expected]
    found = facts(line)
    assert found.places == found.decoded == len(found.frames) > 0
    assert not findings(line)


@pytest.mark.parametrize(
    "line",
    [
        "x29: ffff800008010a38 x28: ffff800008010a38 x27: 0000000000000000",
        "sp : ffff800008010a38",
        "print + 0x8/0x60",
        "print+0x8",
        "+0x8/0x60",
        "print+0x8/0x60x",
        "0x12+0x8/0x60",
        "Modules linked in: a(E+) b(OE)",
        "Unable to handle kernel paging request at virtual address ffff800008010a38",
        "[ffff800008010a38] pgd=1000000043fff003, p4d=1000000043fff003",
        "Write of size 1 at addr ffff800008010a38 by task insmod/2760",
        " [ffff800008010a38, ffff800008010ab8)",
        " ffff800008010a38: 00 00 00 03 fc fc fc fc",
        "write to 0xffffffffc009a628 of 8 bytes by task 487 on cpu 0:",
        "[<00000000f3a1c2d4>] acpi_irq",
        "out-of-bounds access at 0xffff8c3f2e291fff (1B left of kfence-#72):",
        "unreferenced object 0xffff0000c0ffee00 (size 128):",
        "1.2: kmem_cache_free: call_site=ffffa1b2c3d4e5f6 ptr=ffff800008010a38",
        "1.2: irq_handler_entry: irq=1 name=<ffff0000c0ffee00>",
        "hello \x1b[31m wörld \udcff",
        "",
    ],
)
def test_other_lines_pass_unchanged(line: str) -> None:
    assert decoded(line) == [line]
    assert facts(line).places == 0


def test_addresses_that_kaslr_moved() -> None:
    raw = f"{0xFFFF800008010A38 + 0x24E1D0A00000:x}"
    plain = f"{raw} print+0x8/0x60 (print.c:28)"
    # The log says where the kernel ran only after the address, or with another one.
    assert decoded(raw, "x", "Kernel Offset: 0x24e1d0a00000 from 0xffff800008000000")[:2] == [plain, "x"]
    pair = f"[<{0xFFFF8000080109F8 + 0x24E1D0A00000:x}>] probe_read+0x8/0x14"
    assert decoded(raw, pair) == [plain, "probe_read (lib.S:26)"]
    assert decoded(pair, raw)[1] == plain
    assert facts(pair).kernel_offset == 0x24E1D0A00000
    assert decoded(raw, "x") == [raw, "x"]
    assert [one[0] for one in findings(raw)] == ["logged-addresses-are-in-the-kernel"]
    assert facts("Kernel Offset: disabled").kernel_offset is None


def test_frames_have_what_json_shows() -> None:
    (one,) = facts("", " print+0x8/0x60").frames
    assert (one.line, one.symbol, one.offset, one.size, one.address) == (2, "print", 8, 0x60, 0xFFFF800008010A38)
    assert [(source.function, str(source.source)) for source in one.sources] == [("print", "print.c:28")]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (BANNER.replace("6.1.0", "6.1.1"), "the log is from another release: expected 6.1.0-hello, found 6.1.1-hello"),
        (BANNER.replace("#1", "#2"), "the log is from another build: expected #1, found #2"),
        (BANNER.replace("12.2.0,", "12.2.1,"), "the log is from another build: expected Linux version"),
        (CPU.replace("-hello", "-world"), "the log is from another release: expected 6.1.0-hello, found 6.1.0-world"),
        (CPU.replace("#1", "#3"), "the log is from another build: expected #1, found #3"),
        (f"{CPU} {BUILD_ID[::-1]}", f"the log is from another build: expected build ID {BUILD_ID}, found build ID"),
        ("CPU: 0 UID: 0 PID: 1 Comm: a b Not tainted 6.12.1 #1", "the log is from another release"),
        ("pc : probe_read+0x8/0x18", "probe_read has a size of 0x18 in the log, but 0x14 in the kernel"),
        ("pc : prope_read+0x8/0x14", "the kernel has no symbol prope_read"),
    ],
)
def test_the_log_of_another_kernel(line: str, message: str) -> None:
    (found,) = findings("", f"[    1.2] {line}")
    assert found[1].startswith(message)
    assert found[2] == 2
    assert not kinspect.trace(VMLINUX, [line]).ok


def test_the_log_of_this_kernel() -> None:
    assert findings(BANNER, f"[    0.1] {BANNER}", CPU, f"{CPU} {BUILD_ID}", BANNER[:60]) == []
    assert len(facts(BANNER, CPU).logged) == 2


def test_a_symbol_of_another_size_is_not_decoded() -> None:
    assert decoded("probe_read+0x8/0x18") == ["probe_read+0x8/0x18"]
    assert [one.decoded for one in facts("probe_read+0x8/0x18").frames] == [False]


def test_code() -> None:
    pc, good = "pc : probe_read+0x8/0x14", "Code: d1000400 d65f03c0 aa0003e2 52800000 (b9400043)"
    assert findings(pc, good) == []
    assert facts(pc, good).compared == 5
    ((check, message, line),) = findings(pc, good.replace("52800000", "52800001"))
    assert (check, line) == ("logged-code-is-the-kernels", 2)
    assert message == "the instruction at probe_read+0x8, 4 bytes before pc differs: expected 52800000, found 52800001"
    # A kernel that has read no instruction, a breakpoint, a log without pc, a pc of a program.
    assert facts(pc, good.replace("d1000400", "????????")).compared == 4
    assert findings(pc, good.replace("52800000", "d4200080")) == []
    assert facts(good.replace("b9", "c9")).compared == 0
    assert facts(pc, "pc : 0000aaaae2a51234", good.replace("b9", "c9")).compared == 0


def test_code_at_an_alternative() -> None:
    """psci_call has an hvc that the kernel replaces with smc."""
    vmlinux = kinspect.Vmlinux(VMLINUX)
    start = vmlinux.symbols.value("psci_call")
    assert start is not None
    words = [int.from_bytes(vmlinux.read_address(start + at, 4), "little") for at in (0, 4)]
    pc, code = "pc : psci_call+0x4/0x8", f"Code: {words[0]:08x} ({words[1]:08x})"
    assert findings(pc, code) == []
    changed = code.replace(f"{words[0]:08x}", "d4000003")
    assert words[0] == 0xD4000002
    assert findings(pc, changed) == []
    assert facts(pc, changed).compared == 2
    assert len(findings(pc, changed.replace(f"({words[1]:08x})", "(d65f03c1)"))) == 1


def test_modules_that_are_not_there() -> None:
    lines = [" a+0x8/0x10 [hello]", " b+0x8/0x10 [world]", " c+0x8/0x10 [bpf]", " bpf_prog_1234_x+0x8/0x10"]
    assert decoded(*lines) == lines
    assert findings(*lines) == [
        ("logged-modules-are-found", "2 modules not decoded (hello, world): no modules given (--modules FOLDER)", 1)
    ]


def test_an_image_has_functions_only(tmp_path: Path) -> None:
    data, _ = image()
    path = tmp_path / "Image.gz"
    path.write_bytes(gzip.compress(data))
    found = kinspect.symbols(path).facts_of(kinspect.SymbolsFacts)[0]
    name, address, after = found.names[5], found.addresses[5] or 0, found.addresses[6] or 0
    line = f"{name}+0x0/{after - address:#x}"
    assert decoded(line, f"{address:x}", kernel=path) == [line, f"{address:x} {line}"]
    assert facts(line, kernel=path).without_lines.startswith("an Image has no DWARF")
    assert len(findings(f"{line}0", kernel=path)) == 1
    with pytest.raises(UnsupportedError, match="no kallsyms"):
        log_decoder(SAMPLE / "Image")


def test_places_that_are_asked_for() -> None:
    decoder = log_decoder(VMLINUX)
    asked = ["ffff800008010a38", "0xFFFF800008010A38", "print+0x8", "print", "print+0x8/0x60", "12", "nothing+0x1"]
    assert list(decoder.places_at(asked)) == [
        "ffff800008010a38 print+0x8/0x60 (print.c:28)",
        "0xFFFF800008010A38 print+0x8/0x60 (print.c:28)",
        "print+0x8/0x60 (print.c:28)",
        "print+0x0/0x60 (print.c:28)",
        "print+0x8/0x60 (print.c:28)",
        "12 ? not in the kernel",
        "nothing+0x1 ? not in the kernel",
    ]
    for word in ("", "0x", "fffff800008010a38", "print+8", "a b"):
        with pytest.raises(MalformedError, match="--at: not an address"):
            list(log_decoder(VMLINUX).places_at([word]))


def test_folders(tmp_path: Path) -> None:
    assert decoded("print+0x8/0x60", kernel=SAMPLE) == ["print (print.c:28)"]
    with pytest.raises(MalformedError, match="no kernel in this folder"):
        log_decoder(tmp_path)
    with pytest.raises(UnreadableError):
        log_decoder(VMLINUX, [tmp_path / "nothing"])


def test_lines_keep_their_ends() -> None:
    data = b"a\r\nb\nc\r\n\n\xff\x80\nlast"
    for size in (1, 2, 3, 100):
        found = list(split_lines(data[at : at + size] for at in range(0, len(data), size)))
        assert "".join(text + end for text, end in found).encode("utf-8", "surrogateescape") == data
        assert [text for text, _ in found][:3] == ["a", "b", "c"]


# ---- Hostile logs.


HOSTILE: dict[str, Callable[[], str]] = {
    "one endless name": lambda: "a" * 3_000_000,
    "names without an end": lambda: "a+0x" * 800_000,
    "symbols everywhere": lambda: "print+0x8/0x60 " * 200_000,
    "long names before each": lambda: ("a" * 600 + "+0x1/0x2 ") * 5000,
    "numbers of 400 digits": lambda: ("print+0x" + "1" * 400 + "/0x" + "2" * 400 + "\n") * 3000,
    "brackets": lambda: "[<" * 1_500_000,
    "addresses": lambda: "[<ffff800008010a38>] " * 150_000,
    "calls": lambda: "a <-b" * 600_000,
    "a million lines": lambda: "x\n" * 1_000_000,
    "strange symbols": lambda: "".join(f"s{number}+0x1/0x2\n" for number in range(100_000)),
    "addresses elsewhere": lambda: "".join(f"ffff9{number:011x}\n" for number in range(100_000)),
    "kernels": lambda: "".join(f"CPU: 0 Comm: x Not tainted 6.{number}.1 #1\n" for number in range(50_000)),
    "code": lambda: "pc : print+0x8/0x60\n" + "Code: " + "12345678 " * 300_000,
    "modules": lambda: "".join(f"f+0x1/0x2 [m{number}]\n" for number in range(50_000)),
    "prefixes": lambda: ("[" + "1" * 39 + "] ") * 60_000 + "ffff800008010a38",
    "kernel:": lambda: "kernel: " * 300_000 + "ffff800008010a38",
    "NUL": lambda: "\0" * 3_000_000,
    "build IDs": lambda: "f+0x1/0x2 [m " + "a" * 3_000_000,
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_log_takes_one_pass(name: str) -> None:
    text = HOSTILE[name]()
    decoder = log_decoder(VMLINUX)
    pieces = (text[at : at + (1 << 17)].encode() for at in range(0, len(text), 1 << 17))
    begin = time.process_time()
    size = sum(len(line) for line in decoder.lines(line for line, _ in split_lines(pieces)))
    report = trace_report(decoder, name)
    assert time.process_time() - begin < 15
    assert size > len(text) / 4
    assert len(report.findings) < 100


def test_memory_is_bounded() -> None:
    decoder = log_decoder(VMLINUX)
    lines = (f"s{number}+0x1/0x2 print+0x8/0x60 ffff9{number:011x}" for number in range(30_000))
    list(decoder.lines(["print+0x8/0x60"]))
    tracemalloc.start()
    for _ in decoder.lines(lines):
        pass
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 64 << 20


def test_places_do_not_overlap() -> None:
    line = "a+0x1/0x2b+0x1/0x2 [<ffff800008010a38>] c+0x1/0x2 <-d e <-f+0x1/0x2 [m]"
    found = code_places(line)
    assert all(one.end <= other.start for one, other in pairwise(found))
