"""A program of many small files that is laid out as a kernel is, and what the linker says of it."""

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

NAMES = ("main", "core", "probe", "init", "table", "sysfs", "debug", "bus", "irq", "power")
FOLDERS = ("init", "kernel", "mm", "fs", "fs/proc", "drivers/base", "drivers/tty", "drivers/clk", "lib", "net")
PREFIXED = "arch/pi"
SCRIPT = """
SECTIONS {
  . = 0xffff800008000000;
  .head.text : { _text = .; *(.head.text) }
  .text : ALIGN(4096) { *(.text.hot) *(.text .text.*) }
  .rodata : ALIGN(4096) { *(.rodata) *(.rodata.*) }
  .rela.dyn : { *(.rela .rela.*) }
  .relr.dyn : { *(.relr.dyn) }
  __bug_table : ALIGN(8) { *(__bug_table) }
  __init_begin = ALIGN(4096);
  .init.text : ALIGN(4096) { *(.init.text) }
  .init.data : { *(.init.data) *(.init.rodata) *(.init.rodata.*) }
  __init_end = ALIGN(4096);
  .data : ALIGN(4096) { _sdata = .; *(.data .data.*) *(.got .got.plt .plt) }
  .bss : { *(.bss) *(COMMON) }
  _end = ALIGN(4096);
  /DISCARD/ : { *(.interp .dynamic .dynsym .dynstr .hash .gnu.*) *(.eh_frame .note.* .comment) }
}
"""
HEAD = """
  .section .head.text, "ax"
  .globl head
head: b head
  .long 0
  .quad 0, 0x1000000, 0xa, 0, 0, 0
  .ascii "ARM\\x64"
  .long 0
"""
ASSEMBLY = """
  .text
  .globl @_entry
@_entry:
  .rept %d
  add x0, x0, #1
  .endr
  ret
  .section .rodata, "a"
  .align 3
@_words: .fill %d, 8, 7
  .data
  .align 3
  .globl @_state
@_state: .quad @_words, @_entry
"""
C = """
struct bug { unsigned a, b, c; };
extern __attribute__((visibility("hidden"))) int put(const char *, ...);
%(common)s int @_numbers[%(size)d];
static int state[%(size)d];
static const int table[%(size)d] = { 1, %(number)d };
static long counters[%(small)d] = { %(number)d };
static const char *const words[] = { "@ starts", "not enough memory", "@ ends with %%d of %(number)d", "%(shared)s" };
static const char once[] __attribute__((section(".init.rodata"))) = "@ once";
static int setting __attribute__((section(".init.data"))) = %(number)d;
static const struct bug bug __attribute__((section("__bug_table"), used)) = { %(number)d, 2, 3 };
static __attribute__((noinline)) int show(int n) { state[n] += table[n]; return put("@ shows %%d", state[n]); }
static __attribute__((noinline)) int store(int n) { counters[n & 1]++; return put(words[n & 3], "invalid argument"); }
int @_probe(int n) { return show(n) + store(n + 1) + @_numbers[n]; }
__attribute__((section(".init.text"))) int @_init(void) { setting++; return put(once, "@ at start"); }
"""
VERSION = """
const char version[] = "Toy version 1";
int put(const char *text, ...) { return text[0]; }
"""
DATA = """
const int @_numbers[%(size)d] = { 3, %(number)d };
static const char *const names[] = { "@ alone", "%(shared)s", "@ is of no use" };
const char *const *@_names = names;
"""


class Program(NamedTuple):
    """What was built in a folder: objects and sources by path, and the linkers that linked them."""

    folder: Path
    sources: dict[str, str]

    def linked(self, linker: str, name: str, *objects: str) -> tuple[Path, Path]:
        """The program, or some of its objects, as a linker links it, and the map that it writes."""
        vmlinux, told = self.folder / name, self.folder / f"{name}.map"
        command = [linker, "-EL", "-maarch64elf", "-shared", "-Bsymbolic", "-X", "--unresolved-symbols=ignore-all"]
        command += ["-T", "script.lds", f"-Map={told.name}", "-o", vmlinux.name, "--whole-archive"]
        run(self.folder, *command, *(objects or ("vmlinux.a", "lib/lib.a", "init/version.o", "pi.o")))
        return vmlinux, told


def run(folder: Path, *command: str) -> None:
    subprocess.run(command, cwd=folder, check=True, capture_output=True)


def toy_program(folder: Path, tool: Callable[[str], str]) -> Program:
    """Write and compile it: objects in an archive of paths, in one of names, by itself, and linked before."""
    sources, texts = {}, {}
    places = [(at, name) for at in FOLDERS for name in NAMES] + [(PREFIXED, name) for name in NAMES[:3]]
    for number, (at, name) in enumerate(places):
        own = f"{at}_{name}".replace("/", "_")
        text, ending = C, ".c"
        if number % 7 == 3:
            text, ending = DATA, ".c"
        elif number % 11 == 5:
            text, ending = ASSEMBLY % (number % 20, 3 + number % 30), ".S"
        if text is not ASSEMBLY and ending == ".c":
            shared = ("permission denied", "no such device", "busy")[number % 3]
            values = {"size": 5 + number * 7 % 60, "small": 2 + number % 5, "number": number, "shared": shared}
            values["common"] = "" if number % 20 == 6 else "__attribute__((nocommon))"
            text %= values
        sources[f"{at}/{name}.o"] = f"{at}/{name}{ending}"
        texts[f"{at}/{name}{ending}"] = text.replace("@", own)
    sources["init/version.o"], texts["init/version.c"] = "init/version.c", VERSION
    sources["init/head.o"], texts["init/head.S"] = "init/head.S", HEAD
    for path, text in texts.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)
    (folder / "script.lds").write_text(SCRIPT)
    gcc = tool("aarch64-linux-gnu-gcc")
    flags = "-c -g -O2 -fcommon -fPIC -fvisibility=hidden -fno-asynchronous-unwind-tables"
    script = [f"{gcc} {flags} {source} -o {path}" for path, source in sources.items()]
    (folder / "build").write_text("\0".join(script))
    run(folder, "xargs", "-0", "-a", "build", "-n1", "-P2", "sh", "-c")
    objcopy = tool("aarch64-linux-gnu-objcopy")
    prefixed = [path for path in sources if path.startswith(PREFIXED)]
    run(folder, tool("aarch64-linux-gnu-ld"), "-r", "-o", "pi.o", *prefixed)
    run(folder, objcopy, "--prefix-symbols=__pi_", "pi.o")
    run(folder, objcopy, "--redefine-sym", "__pi_put=put", "pi.o")
    others = [path for path in sources if not path.startswith(("lib/", PREFIXED, "init/version", "init/head"))]
    run(folder, tool("aarch64-linux-gnu-ar"), "rcST", "vmlinux.a", "init/head.o", *others)
    run(
        folder, tool("aarch64-linux-gnu-ar"), "rcS", "lib/lib.a", *(path for path in sources if path.startswith("lib/"))
    )
    return Program(folder, sources)


def toy_kernel(folder: Path, tool: Callable[[str], str], name: str, source: str) -> Path:
    """Compile one source, and link it as a kernel is laid out."""
    # With .plt, .data would be code.
    (folder / "script.lds").write_text(
        SCRIPT.replace(" .plt)", ")").replace("*(.text .text.*)", "*(.text .text.* .plt)")
    )
    (folder / "head.S").write_text(HEAD)
    (folder / f"{name}.c").write_text(source)
    gcc, flags = tool("aarch64-linux-gnu-gcc"), ("-c", "-O2", "-fPIC", "-fno-asynchronous-unwind-tables")
    for file in (f"{name}.c", "head.S"):
        run(folder, gcc, *flags, file)
    command = ["-EL", "-maarch64elf", "-shared", "-Bsymbolic", "-X", "-T", "script.lds", "-o", f"{name}.elf"]
    run(folder, tool("aarch64-linux-gnu-ld"), *command, "head.o", f"{name}.o")
    return folder / f"{name}.elf"
