"""What a kernel returns after a message, read off code as compilers write it."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from kinspect.artifacts.boot.image import Image
from kinspect.artifacts.elf.vmlinux import Vmlinux
from kinspect.views.kernel.code import returned_after
from tests.conftest import Kernel

MESSAGE = b"\x014%s: no symbol version for %s\n\0"
SOURCE = r"""
__asm__(".text\n.globl _text, strcmp, _printk\n_text: strcmp: _printk: ret\n");
int strcmp(const char *one, const char *other);
int _printk(const char *format, ...);
struct version { unsigned long crc; char name[56]; };
struct info { const char *name; struct version *versions; unsigned count; };
static _Bool once __attribute__((section(".data.once")));
int check_version(const struct info *info, const char *symbol, const unsigned *crc) {
    if (!crc) return 1;
    for (unsigned at = 0; at < info->count; at++) {
        if (strcmp(info->versions[at].name, symbol)) continue;
        if (info->versions[at].crc == *crc) return 1;
        _printk("\0014%s: disagrees about version of symbol %s\n", info->name, symbol);
        return 0;
    }
    WARN("\0014%s: no symbol version for %s\n", info->name, symbol);
    return RESULT;
}
"""
ALWAYS = "-DWARN(...)=_printk(__VA_ARGS__)"
ONCE = "-DWARN(...)=do { if (!once) { once = 1; _printk(__VA_ARGS__); } } while (0)"
COMPILERS = {"gcc": ("aarch64-linux-gnu-gcc",), "clang": ("clang", "--target=aarch64-linux-gnu")}


@pytest.mark.parametrize("level", ["-O2", "-Os"])
@pytest.mark.parametrize("compiler", COMPILERS)
@pytest.mark.parametrize(("warning", "result"), [(ONCE, "1"), (ALWAYS, "0"), (ALWAYS, "*crc")])
def test_code_of_compilers(
    warning: str, result: str, compiler: str, level: str, tool: Callable[[str], str], tmp_path: Path
) -> None:
    """Mainline warns once and returns 1, Debian's kernel warns and returns 0; a third kernel shows no constant."""
    (tmp_path / "version.c").write_text(SOURCE)
    program, *options = COMPILERS[compiler]
    command = [tool(program), *options, level, "-ffreestanding", "-fno-pic", warning, f"-DRESULT={result}"]
    subprocess.run([*command, "-c", "version.c", "-o", "version.o"], cwd=tmp_path, check=True)
    linked = [tool("aarch64-linux-gnu-ld"), "-e", "0", "-Ttext=0x10000", "version.o", "-o", "vmlinux"]
    subprocess.run(linked, cwd=tmp_path, check=True)
    expected = int(result) if result.isdigit() else None
    assert returned_after(Vmlinux(tmp_path / "vmlinux"), MESSAGE) == expected
    assert returned_after(Vmlinux(tmp_path / "vmlinux"), b"\x014another message\n\0") is None


@pytest.mark.corpus
def test_debians_kernels_refuse(kernels: tuple[Kernel, Kernel], old_kernel: Kernel) -> None:
    """The newest one is built without CRCs."""
    for kernel, expected in ((old_kernel, 0), (kernels[0], 0), (kernels[1], None)):
        assert returned_after(Image(kernel.image), MESSAGE) == expected
        assert returned_after(Vmlinux(kernel.vmlinux), MESSAGE) == expected
