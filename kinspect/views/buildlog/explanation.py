"""A command that `make V=1` prints, or that a .cmd file keeps, with the meaning of each of its words.

Sources: Makefile, scripts/Makefile.lib and arch/arm64/Makefile of the kernel; the manuals of GCC, Clang and binutils.
"""

import re
import shlex
from collections.abc import Iterator
from typing import NamedTuple

from kinspect.views.buildlog.commands import Step, step_of_command

LONGEST = 1 << 20
"""Characters of a command that are read."""


class Word(NamedTuple):
    """A word of a command, or an option with its argument; `meaning` is empty if it is not known."""

    text: str
    meaning: str


class CommandFacts(NamedTuple):
    """A command: the step that it stands for, its words, and what a .cmd file lists as prerequisites.

    `options` are those prerequisites that stand for an option of the configuration, without CONFIG_.
    """

    step: Step | None
    words: tuple[Word, ...]
    files: tuple[str, ...] = ()
    options: tuple[str, ...] = ()


_ROWS = """\
-c | compiles or assembles, but does not link
-S | writes assembly instead of an object
-E | only preprocesses
-o * | the file to write
-include * | reads this header before the source
-I* | looks for headers in this folder
-isystem * | looks for headers in this folder, without warnings about them
-iquote * | looks for headers in quotes in this folder
-nostdinc | does not use the headers of the build machine
-nostdlib | does not link the standard libraries
-x* | the language of the source
-x * | the language of the source
-P | leaves out line numbers
-undef | does not define the compiler's own macros
-D__KERNEL__ | the code is of the kernel, not of user space
-DMODULE | the code is of a module
-DKBUILD_MODFILE=* | the module that the object belongs to, with its folder
-DKBUILD_BASENAME=* | the name of the object, for messages
-DKBUILD_MODNAME=* | the name of the module that the object belongs to, also when it is built in
-D__KBUILD_MODNAME=* | the same as part of an identifier
-DKASAN_SHADOW_SCALE_SHIFT=* | how much memory KASAN's shadow takes; empty when KASAN is off
-DCONFIG_CC_HAS_K_CONSTRAINT=* | the compiler knows the assembly constraint K
-DARM64_ASM_ARCH=* | the architecture for inline assembly
-D__ASSEMBLY__ | the source is assembly
-D__ASSEMBLER__ | the source is assembly
-D__GENKSYMS__ | the output is for genksyms, which computes symbol versions
-DCC_USING_PATCHABLE_FUNCTION_ENTRY | functions start with space for ftrace
-DLINKER_SCRIPT | the output is a linker script
-D* | defines a macro
-U* | removes the definition of a macro
-Wp,-MMD,* | writes the headers that the file includes to this file, for fixdep
-Wp,-MD,* | writes the headers that the file includes to this file, for fixdep
-Wa,* | an option for the assembler
-Wl,* | an option for the linker
-std=* | the version of the C language
-O2 | optimizes for speed: CONFIG_CC_OPTIMIZE_FOR_PERFORMANCE
-Os | optimizes for size: CONFIG_CC_OPTIMIZE_FOR_SIZE
-g | writes DWARF debug information
-gdwarf-* | writes DWARF debug information of this version
-gz=* | compresses the debug information
-gsplit-dwarf | writes the debug information to a .dwo file
--target=* | the machine that Clang compiles for
-mlittle-endian | little-endian: CONFIG_CPU_LITTLE_ENDIAN
-mbig-endian | big-endian: CONFIG_CPU_BIG_ENDIAN
-mgeneral-regs-only | leaves floating-point and vector registers to user space
-mabi=* | the calling convention
-march=* | the version of the architecture
-mcmodel=* | how far apart code and data may be
-mbranch-protection=none | neither signs return addresses nor marks branch targets
-mbranch-protection=* | signs return addresses (pac-ret) and marks branch targets (bti)
-mstack-protector-guard* | where the value that guards the stack is kept
-mno-outline-atomics | does not call libgcc for atomic instructions
-fmacro-prefix-map=* | removes the source folder from __FILE__, so that builds are reproducible
-ffile-prefix-map=* | removes the source folder from file names, so that builds are reproducible
-fdebug-prefix-map=* | removes the source folder from debug information
-fno-strict-aliasing | pointers of different types may point to the same memory
-fno-common | a variable defined twice is an error
-fshort-wchar | wchar_t has 16 bits, as in UEFI
-fno-PIE | the code has a fixed address; the kernel relocates itself by other means
-fno-pic | the code has a fixed address
-fpie | the code runs at any address
-fno-asynchronous-unwind-tables | no tables for unwinding the stack
-fno-unwind-tables | no tables for unwinding the stack
-fno-delete-null-pointer-checks | keeps tests for NULL: page 0 may be mapped
-fno-allow-store-data-races | does not add stores that other CPUs could see
-fno-stack-protector | no check for stack overflows
-fstack-protector-strong | checks for stack overflows: CONFIG_STACKPROTECTOR_STRONG
-fno-omit-frame-pointer | keeps the frame pointer, for backtraces
-fomit-frame-pointer | does not keep the frame pointer
-fno-optimize-sibling-calls | no tail calls, so that backtraces are complete
-ftrivial-auto-var-init=* | initializes local variables: CONFIG_INIT_STACK_ALL_ZERO
-fzero-init-padding-bits=* | initializes padding too
-fno-stack-clash-protection | does not touch each page of large stack frames
-fno-strict-overflow | signed numbers wrap around
-fwrapv | signed numbers wrap around
-fno-stack-check | no checks of the stack's size
-fconserve-stack | prefers small stack frames
-fno-builtin-wcslen | does not turn loops into calls of wcslen, which the kernel lacks
-fno-builtin* | does not treat standard functions specially
-ffreestanding | there is no standard library
-ffixed-x18 | leaves register x18 to the shadow call stack
-fsanitize=* | adds checks at run time
-fpatchable-function-entry=* | leaves space for ftrace at the start of functions
-ffunction-sections | each function in its own section
-fdata-sections | each variable in its own section
-fmin-function-alignment=* | the alignment of functions
-falign-functions=* | the alignment of functions
-flto* | optimizes at link time
-fverbose-asm | comments in the assembly
-fno-code-hoisting | leaves expressions in their branches
-fvisibility=* | the visibility of symbols
-fcf-protection=* | marks branch targets
-fplugin=* | loads a plugin of the compiler
-Werror | every warning is an error: CONFIG_WERROR
-Wall | the common warnings
-Wextra | more warnings
-Wundef | warns about undefined macros in #if
-Wvla | warns about arrays of variable length
-Wframe-larger-than=* | warns about stack frames of more bytes: CONFIG_FRAME_WARN
-Wimplicit-fallthrough* | warns when a case runs into the next
-w | no warnings
-r | joins objects into one that can be linked again
-EL | little-endian
-EB | big-endian
-maarch64elf | the output format
-m * | the output format
-z * | a property of the output
-T * | the linker script
--script=* | the linker script
-e * | the entry point
-shared | writes a shared object
-static | links no shared objects
-Bsymbolic | binds symbols inside the shared object
-pie | the output runs at any address
--pic-veneer | veneers run at any address
-soname=* | the name of the shared object
--build-id* | adds a build id, a hash of the contents
--no-warn-rwx-segments | does not warn about segments that are writable and executable
--fix-cortex-a53-843419 | works around an erratum of Cortex-A53
--no-undefined | an undefined symbol is an error
--no-apply-dynamic-relocs | leaves relocated places zero; the kernel fills them in at boot
--whole-archive | links all objects of the archives that follow
--no-whole-archive | links only what is needed from the archives that follow
--start-group | searches the archives up to --end-group again and again
--end-group | ends the group
--orphan-handling=* | what to do with sections that the linker script does not name
--emit-relocs | keeps relocations in the output
-Map=* | writes a map of the output
--strip-debug | removes debug information
-X | removes local labels
-s | removes symbols
-O binary | writes the contents of memory, without ELF headers
-O * | the output format
-R * | leaves out this section
-j * | keeps only this section
--remove-section=* | leaves out this section
--prefix-symbols=* | puts this before each symbol
"""
"""A word, or an option with its argument, and its meaning; * stands for any text. The first match counts."""
_TABLE = [(pattern, meaning) for pattern, _, meaning in (row.partition(" | ") for row in _ROWS.splitlines())]
_EXACT = {pattern: meaning for pattern, meaning in _TABLE if "*" not in pattern}
_PREFIXES = [(pattern[:-1], meaning) for pattern, meaning in _TABLE if pattern.endswith("*") and " " not in pattern]
_PAIRS = {pattern[:-2]: meaning for pattern, meaning in _TABLE if pattern.endswith(" *")}
_JOINED = {"-I", "-D", "-U"}
"""Options whose argument may also be the next word."""
_PROGRAMS = (
    (r"(?:ccache|sccache|distcc)", "a cache of compiled objects"),
    (r"(?:.*[-/])?(?:gcc|clang|cc)(?:-[\d.]+)?", "the C compiler"),
    (r"(?:.*[-/])?(?:g\+\+|clang\+\+|c\+\+)(?:-[\d.]+)?", "the C++ compiler"),
    (r"(?:.*[-/])?ld(?:\.lld|\.bfd)?(?:-[\d.]+)?", "the linker"),
    (r"(?:.*-)?objcopy", "copies an object, changed"),
    (r"(?:.*-)?(?:ar|llvm-ar)", "collects objects in an archive"),
    (r"(?:.*-)?nm", "lists symbols"),
    (r"(?:.*-)?strip", "removes symbols"),
    (r"(?:.*/)?rustc", "the Rust compiler"),
    (r"(?:.*/)?fixdep", "writes the .cmd file"),
    (r"(?:.*/)?(?:scripts|tools)/\S+", "a program of the kernel's build"),
    (r"(?:.*/)?\w*sh", "the shell"),
    (r"(?:sed|grep|awk|echo|printf|cat|rm|cp|mv|test|set|:)", "a program of the shell"),
)
_FILES = (
    (".c", "the source, in C"),
    (".S", "the source, in assembly"),
    (".s", "assembly"),
    (".rs", "the source, in Rust"),
    (".o", "an object"),
    (".a", "an archive of objects"),
    (".lds", "a linker script"),
    (".dts", "the source of a device tree"),
)
_OPERATORS = {
    **dict.fromkeys((";", "&&"), "then"),
    **dict.fromkeys(("|", "||"), "passes the output on, or runs the next command if this one fails"),
    **dict.fromkeys(("if", "then", "else", "fi", "for", "do", "done", "{", "}"), "a word of the shell"),
    ">": "writes the output to",
    ">>": "appends the output to",
}
_FILE = re.compile(r"^  (\S+) \\$", re.MULTILINE)
_OPTION = re.compile(r"^ +\$\(wildcard include/config/(\S+)\) \\$", re.MULTILINE)
_SAVED = re.compile(r"(?:saved)?cmd_\S+ := (.*)")


def command_facts(text: str) -> CommandFacts | None:
    """The facts of a command, of a .cmd file, or of the first step in the output of make V=1; None if there is none."""
    lines = text.split("\n")
    if saved := _SAVED.match(lines[0]):
        command = saved[1].replace("$(pound)", "#").replace("$$", "$").replace("\\#", "#")
        files, options = (tuple(form.findall(text)) for form in (_FILE, _OPTION))
        return CommandFacts(step_of_command(command), tuple(_words(command)), files, options)
    for line in lines:
        command = line.strip()
        step = step_of_command(command, certain=False)
        words = tuple(_words(command)) if step or len(lines) == 1 else ()
        if step or any(word.meaning for word in words):
            return CommandFacts(step, words)
    return None


def _words(command: str) -> Iterator[Word]:
    try:
        lexer = shlex.shlex(command[:LONGEST], posix=True, punctuation_chars=";|&<>")
        lexer.commenters, lexer.whitespace_split = "", True
        words = list(lexer)
    except ValueError:
        words = command[:LONGEST].split()
    index, first = 0, True
    while index < len(words):
        word, following = words[index], words[index + 1] if index + 1 < len(words) else ""
        pair = _EXACT.get(f"{word} {following}") or _PAIRS.get(word) or (word in _JOINED and _meaning(word + "x")) or ""
        if pair and following:
            yield Word(f"{word} {following}", pair)
            index += 2
            continue
        if word in _OPERATORS:
            yield Word(word, _OPERATORS[word])
            first = not word.startswith(">")
        else:
            yield Word(word, _program(word) if first else _meaning(word))
            # A cache runs the compiler.
            first = first and (word.endswith("cache") or "=" in word)
        index += 1


def _program(word: str) -> str:
    return next((meaning for pattern, meaning in _PROGRAMS if re.fullmatch(pattern, word)), "")


def _meaning(word: str) -> str:
    if not word.startswith("-"):
        if word.startswith("@"):
            return "a file that lists more words"
        return next((meaning for suffix, meaning in _FILES if word.endswith(suffix)), "")
    if meaning := _EXACT.get(word):
        return meaning
    if meaning := next((meaning for prefix, meaning in _PREFIXES if word.startswith(prefix)), ""):
        return meaning
    for prefix, form in (("-Werror=", "makes this warning an error"), ("-Wno-", "does not give this warning")):
        if word.startswith(prefix):
            return form
    if word.startswith("-W"):
        return "gives this warning"
    if word.startswith("-f"):
        return "turns this off" if word.startswith("-fno-") else "turns this on"
    return "a property of the machine" if word.startswith("-m") else ""
