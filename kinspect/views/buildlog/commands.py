"""The commands that `make V=1` prints, mapped to the steps that it prints without V=1: `gcc ... -o init/main.o` is CC.

A command is recognised by its program and options, as the `cmd_...` beside each `quiet_cmd_...` writes them.
"""

import re
from typing import NamedTuple


class Step(NamedTuple):
    """One step: its tag, the mark in brackets (`M` for modules; empty without one), and the file that it makes."""

    tag: str
    mark: str
    target: str


_SIMPLE = tuple(
    (re.compile(pattern), tag)
    for pattern, tag in (
        # The program, and the target as the only group; the first match counts. (?>...) prevents backtracking.
        (r"rm -f (\S+\.a); ", "AR"),
        (r"\S+ -E (?>.*? -D__DTS__ )(?>.*?\bdtc -o )(\S+) (?=.*\bdt-validate)", "DTC_CHK"),
        (r"\S+ -E (?>.*? -D__DTS__ )(?>.*?\bdtc -o )(\S+)", "DTC"),
        (r"\S*\bfdtoverlay -o (\S+)", "DTOVL"),
        (r"\S*strip \S+ -o (\S+) (?=.*EFI stub)", "STUBCPY"),
        (r"\S*objcopy --prefix-symbols=__kvm_nvhe_ \S+ (\S+)", "HYPCOPY"),
        (r"\S*objcopy .* (\S+)$", "OBJCOPY"),
        (r"\S*nm \S+ \| \S*gen_vdso_offsets\.sh .*> (\S+)", "VDSOSYM"),
        (r"\S*/gen-hyprel \S+ > (\S+)", "HYPREL"),
        (r"\S*sh (\S*/(?:checksyscalls|check-atomics)\.sh)", "CALL"),
        (r"if ! command -v sha1sum (?>.*?sed -n '\S+ ::p' )(\S+)\)", "CHKSHA1"),
        (r"\S*perl \S+\.pl (?:\S+ )?(?:> )?(\S+\.S)$", "PERLASM"),
        (r"\S*awk .*unroll\.awk .*> (\S+)$", "UNROLL"),
        (r"\S*/mktables > (\S+)", "TABLE"),
        (r"\S*/conmakehash .*> (\S+)", "CONMK"),
        (r"\S*/mk_elfconfig < \S+ > (\S+)", "MKELF"),
        (r"\S*/asn1_compiler .* (\S+)\.c \S+\.h$", "ASN.1"),
        (r"\S*/extract-cert .* (\S+)$", "CERT"),
        (r"openssl req (?>.*? -out )(\S+)", "GENKEY"),
        (r"(?>.*?\bmodpost )(?>.*?-o )(\S+)", "MODPOST"),
        (r"\S*flex -o(\S+)", "LEX"),
        (r"(?:\S*bison --version >/dev/null; )?\S*bison -o (\S+)\.c ", "YACC"),
        (r"\S*/?sign-file .* (\S+)$", "SIGN"),
        (r"\S*strip \S+ (\S+)$", "STRIP"),
        (r"(?:mkdir -p \S+; )?cp \S+ (\S+)$", "INSTALL"),
        (r"sed \S+ \S+ > (\S+/lib/modules/\S+)$", "INSTALL"),
        (r"ln -s \S+ (\S+)$", "SYMLINK"),
        (r"(?:\S*sh )?\S*/depmod\.sh (?:\S*depmod )?(\S+)$", "DEPMOD"),
        (r'echo "\\?#include <asm-generic/\S+>" > (\S+)', "WRAP"),
        (r"(?:\{ )?cat .*\| \S*gzip .*> (\S+)$", "GZIP"),
        (r"\S*gzip -n -f (\S+)$", "GZIP"),
        (r"(?:\{ )?cat .*\| \S*bzip2 .*> (\S+)$", "BZIP2"),
        (r"(?:\{ )?cat .*\| \S*lzma .*> (\S+)$", "LZMA"),
        (r"(?:\{ )?cat .*\| \S*lzop .*> (\S+)$", "LZO"),
        (r"(?:\{ )?cat .*\| \S*lz4 .*> (\S+)$", "LZ4"),
        (r"(?:\{ )?cat .*\| (?:sh )?\S*xz_wrap\.sh.*> (\S+)$", "XZKERN"),
        (r"(?:\{ )?cat .*\| \S*zstd (?:-22|--ultra) .*> (\S+)$", "ZSTD22"),
        (r"(?:\{ )?cat .*\| \S*zstd .*> (\S+)$", "ZSTD"),
        (r"\S*xz (?:--check=\S+ )?--lzma2=\S+ -f (\S+)$", "XZ"),
        (r"\S*zstd .*--rm .* (\S+)$", "ZSTD"),
        (r"cat \S+ > (\S+)$", "COPY"),
        (r"\S*sh \S*/gen_initramfs\.sh -o (\S+)", "GEN"),
        # The shell's echo turns the \n in this command into a newline, so the end of it starts a line.
        (r"' \| uniq .*> (\S+)$", "GEN"),
        (r"\S*sparse .* (\S+\.c)$", "CHECK"),
        (r"LLVM_OBJCOPY=\S+ \S*pahole -J .* (\S+\.ko)", "BTF"),
    )
)
LONGEST = 1 << 14
"""Characters of a command that are examined, half from its start and half from its end."""
_SILENT = re.compile(
    # Commands for which `make` without V=1 prints nothing.
    r"\S*/check-local-export |if \S*nm .*__ksymtab|\{ .*\} > \S*(?:modules\.order|\.mod|\.usyms)$|set -e; mkdir -p "
    r"|\S*sh \S*/link-vmlinux\.sh|make |\S*/fixdep |ln -fsn |test -|: |mkdir -p \S+$|\S*/remove-stale-files"
)
_CACHE = re.compile(r"(?:ccache|sccache|distcc) ")
_COMPILER = re.compile(r"((?:\S*[-/])?)(gcc|g\+\+|clang(?:\+\+)?|cc|c\+\+)(?:-[\d.]+)? ")
_LINKER = re.compile(r"(?:\S*[-/])?ld(?:\.lld|\.bfd|\.gold)?(?:-[\d.]+)? (?>.*?-o )(\S+)")
_OUTPUT = re.compile(r" -o (\S+)")
_GENERATED = re.compile(r".*> (\S+)$|\S*(?:sh|python3?|perl|awk) \S+ (?>.*?-o )(\S+)")


def step_of_command(command: str, certain: bool = True) -> Step | None:
    """The step that a command stands for; None for one that `make` without V=1 does not print.

    Any other program that writes a file is GEN, unless it is not `certain` that this line is a command.
    """
    command = _CACHE.sub("", command.strip())
    if len(command) > LONGEST:
        command = f"{command[: LONGEST // 2]} {command[-LONGEST // 2 :]}"
    if _SILENT.match(command):
        return None
    for pattern, tag in _SIMPLE:
        if found := pattern.match(command):
            target = found[1]
            if tag == "YACC" or tag == "ASN.1":
                target += ".[ch]"
            return Step(tag, "M" if tag == "BTF" else "", _unquoted(target))
    if found := _LINKER.match(command):
        modular = found[1].endswith(".ko") or ("@" in command and ".mod" in command)
        return Step("LD", "M" if modular else "", _unquoted(found[1]))
    if found := _COMPILER.match(command):
        return _compiled(command, found[1])
    if certain and (found := _GENERATED.match(command)):
        return Step("GEN", "", _unquoted(found[1] or found[2]))
    return None


def _compiled(command: str, prefix: str) -> Step | None:
    found = _OUTPUT.search(command)
    if not found:
        return None
    target, program = _unquoted(found[1]), _COMPILER.match(command)
    assert program is not None
    if " -D__KERNEL__" in command:
        mark = "M" if " -DMODULE " in command else ""
        if " -E " in command:
            return Step("LDS" if "-DLINKER_SCRIPT" in command else "CPP", mark, target)
        return Step("AS" if "-D__ASSEMBLY__" in command or "-D__ASSEMBLER__" in command else "CC", mark, target)
    sources = re.search(r"\.(c|cc|cpp)\b", command[found.end() :])
    if prefix and not prefix.endswith("/"):
        return Step("CC" if sources else "LD", "U", target)
    if not sources:
        return Step("HOSTLD", "", target)
    return Step("HOSTCXX" if "+" in program[2] else "HOSTCC", "", target)


def _unquoted(target: str) -> str:
    return target.strip("'\"").removesuffix(";")
