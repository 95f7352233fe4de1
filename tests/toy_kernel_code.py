"""A vmlinux of some functions as a real compiler writes them, with the protections that it is told to make."""

import struct
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

from tests.toy_kallsyms import BASE, START, Toy, tables

FUNCTIONS, LEAVES = 100, 30
"""Those that save their return address, and those that call nothing."""
SOURCE = r"""
#define CODE __attribute__((noinline))
void __stack_chk_fail(void) { for (;;); }
unsigned long __stack_chk_guard = 1;
void fortify_panic(void);
void __check_object_size(void);
void other(char *);
#ifdef FORTIFY
#define STRING fortify_panic()
#else
#define STRING
#endif
#ifdef USERCOPY
#define COPY __check_object_size()
#else
#define COPY
#endif
FUNCTIONS
int (*const table[])(int) = TABLE;
"""
LABELS = {"RELOCATABLE": "__relocate_kernel", "KASLR": "kaslr_early_init", "JUMP_TABLES": "__cfi_slowpath"}
ASSEMBLY = r"""
.text
.globl other, fortify_panic, __check_object_size
other: ret
fortify_panic: ret
__check_object_size: ret
__entry_text_start: vectors: stp x29, x30, [sp, #-16]!
ret
__entry_text_end:
__pi_start: stp x29, x30, [sp, #-16]!
ret
"""
SCRIPT = """SECTIONS {
  . = 0xffff800008000000; _text = .;
  .head.text : { QUAD(0) . += 0xff8; }
  _stext = .; .text : { *(.text) *(.text.*) } _etext = .;
  . = ALIGN(0x1000); .rodata : { *(.rodata .rodata.*) } .data : { *(.data .data.*) *(.bss) }
  /DISCARD/ : { *(.note*) *(.comment) *(.eh_frame) *(__patchable_function_entries) }
}"""


def linked(folder: Path, tool: Callable[[str], str], compiler: Sequence[str], options: Sequence[str]) -> Path:
    """The vmlinux. Options of ours: -DFORTIFY, -DUSERCOPY, -DHASHES, those of LABELS, -DASSEMBLY=NUMBER."""
    _compile(folder, tool, compiler, options)
    (folder / "vmlinux.lds").write_text(SCRIPT)
    (folder / "extra.s").write_text(_assembly(options))
    gcc, ld = tool("aarch64-linux-gnu-gcc"), tool("aarch64-linux-gnu-ld")
    subprocess.run([gcc, "-c", "extra.s"], cwd=folder, check=True)
    command = [ld, "-e", "0", "-T", "vmlinux.lds", "--no-warn-rwx-segments", "code.o", "extra.o", "-o", "vmlinux"]
    subprocess.run(command, cwd=folder, check=True)
    return folder / "vmlinux"


def image_of(vmlinux: Path, tool: Callable[[str], str]) -> Path:
    """The Image of such a vmlinux, with kallsyms at its end."""
    out = vmlinux.with_name("Image")
    subprocess.run([tool("aarch64-linux-gnu-objcopy"), "-O", "binary", vmlinux, out], check=True)
    command = [tool("aarch64-linux-gnu-nm"), "-n", str(vmlinux)]
    lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    rows = [line.split() for line in lines if "$" not in line]
    toys = [Toy(int(address, 16) - BASE, letter, name) for address, letter, name in rows]
    toys += [Toy(toys[-1].offset + number, "d", f"data_{number}") for number in range(600)]
    data = out.read_bytes().ljust(START, b"\0")
    head = struct.pack("<IIQQQ24x4sI", 0xD503201F, 0x14000400, 0, 0x200000, 0xA, b"ARM\x64", 0)
    found, _ = tables(toys, "6.4", BASE + toys[0].offset)
    out.write_bytes(head + data[len(head) :] + found)
    return out


def _compile(folder: Path, tool: Callable[[str], str], compiler: Sequence[str], options: Sequence[str]) -> None:
    numbers = range(FUNCTIONS)
    functions = "\n".join(
        f"CODE int function_{number}(int n) {{ char room[64]; other(room); STRING; COPY; return n + room[n]; }}"
        for number in numbers
    )
    functions += "".join(
        f"\nCODE int function_leaf_{number}(int n) {{ return n * {number}; }}" for number in range(LEAVES)
    )
    names = [f"function_{number}" for number in numbers] + [f"function_leaf_{number}" for number in range(LEAVES)]
    table = ", ".join(names)
    (folder / "code.c").write_text(SOURCE.replace("FUNCTIONS", functions).replace("TABLE", f"{{ {table} }}"))
    program, *more = compiler
    command = [tool(program), *more, "-O2", "-ffreestanding", "-fno-pic", "-fno-asynchronous-unwind-tables"]
    protector = [] if any("stack-protector" in option for option in options) else ["-fno-stack-protector"]
    subprocess.run([*command, *protector, *options, "-S", "code.c", "-o", "made.s"], cwd=folder, check=True)
    text = (folder / "made.s").read_text()
    (folder / "code.s").write_text(_hashed(text) if "-DHASHES" in options else text)
    subprocess.run([tool(program), *more, "-march=armv8.5-a", "-c", "code.s"], cwd=folder, check=True)


def _assembly(options: Sequence[str]) -> str:
    """What no compiler protects."""
    text = ASSEMBLY
    for option in options:
        name, _, value = option.removeprefix("-D").partition("=")
        if name in LABELS:
            text += f"{LABELS[name]}: ret\n"
        elif name == "ASSEMBLY":
            text += "".join(f"assembly_{at}: stp x29, x30, [sp, #-16]!\nret\n" for at in range(int(value)))
    return text


def _hashed(text: str) -> str:
    """The same with a type hash before each function, and before what ftrace patches there.

    Clang does it since version 16; here it works with every compiler.
    """
    found: list[str] = []
    for line in text.split("\n"):
        if line.startswith("function_") and ":" in line:
            # The two instructions before it, if they are there, have been written already.
            before = len(found)
            while found[before - 1].strip() == "nop" or found[before - 1].startswith((".Ltmp", ".LPFE")):
                before -= 1
            found.insert(before, "\t.word 0x7230bf2a")
        found.append(line)
    return "\n".join(found)
