"""A vmlinux of some functions as a real compiler writes them, with the protections that it is told to make."""

import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

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
ASSEMBLY = r"""
.text
.globl other, fortify_panic, __check_object_size
other: ret
fortify_panic: ret
__check_object_size: ret
"""
SCRIPT = """SECTIONS {
  . = 0xffff800008000000; _text = .;
  . = ALIGN(0x1000); _stext = .; .text : { *(.text) *(.text.*) } _etext = .;
  . = ALIGN(0x1000); .rodata : { *(.rodata .rodata.*) } .data : { *(.data .data.*) *(.bss) }
  /DISCARD/ : { *(.note*) *(.comment) *(.eh_frame) *(__patchable_function_entries) }
}"""


def linked(folder: Path, tool: Callable[[str], str], compiler: Sequence[str], options: Sequence[str]) -> Path:
    """The vmlinux. Options beside the compiler's: FORTIFY, USERCOPY, HASHES, RELOCATABLE, KASLR, ASSEMBLY=NUMBER."""
    _compile(folder, tool, compiler, options)
    (folder / "vmlinux.lds").write_text(SCRIPT)
    (folder / "extra.s").write_text(_assembly(options))
    gcc, ld = tool("aarch64-linux-gnu-gcc"), tool("aarch64-linux-gnu-ld")
    subprocess.run([gcc, "-c", "extra.s"], cwd=folder, check=True)
    command = [ld, "-e", "0", "-T", "vmlinux.lds", "--no-warn-rwx-segments", "code.o", "extra.o", "-o", "vmlinux"]
    subprocess.run(command, cwd=folder, check=True)
    return folder / "vmlinux"


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
        if name in ("RELOCATABLE", "KASLR"):
            text += {"RELOCATABLE": "__relocate_kernel", "KASLR": "kaslr_early_init"}[name] + ": ret\n"
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
