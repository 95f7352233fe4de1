"""Logs of real oopses: a real kernel boots and is given modules of ours that fail, each in its own way."""

import subprocess
import tempfile
from pathlib import Path

from kinspect.artifacts.boot.image import Image
from kinspect.views.btf.kernel import kernel_types
from kinspect.views.btf.layout import TypeFacts
from kinspect.views.btf.search import types_by_name
from kinspect.views.loader.kernel import TargetKernel
from tests.conftest import real_tool
from tests.load.machine import CHARACTER, FILE, FOLDER, GCC, QEMU, Command, _run, init_program, initramfs
from tests.load.modules import text

HERE = Path(__file__).parent
FAULTS = {"null": 1, "brk": 2, "warning": 3, "callback": 4, "stack": 5, "free": 6, "canary": 7, "lockup": 8}
NEEDS = ("_printk", "dump_stack", "kfree", "refcount_warn_saturate", "sort", "__stack_chk_fail")
FLAGS = ("-c", "-O2", "-g", "-ffreestanding", "-fno-pic", "-mgeneral-regs-only", "-mbranch-protection=none", "-Wall")
KEEP_FRAMES = ("-fno-omit-frame-pointer", "-fno-optimize-sibling-calls", "-fno-stack-protector")


def failing(kernel: TargetKernel, fault: str, folder: Path) -> Path:
    """A module that fails, with DWARF."""
    types = next(types_by_name(kernel_types(kernel.kernel), ["module"]))
    assert isinstance(types, TypeFacts)
    at = {member.name: member.offset for member in types.members}
    name, size = f"oops_{fault}", kernel.struct_size or 0
    first = at["init"]
    this_module = f"""
    .section .gnu.linkonce.this_module, "aw"
    .balign 64
    .zero 24
    .asciz "{name}"
    .zero {first - 24 - len(name) - 1}
    .quad init_module
    .zero {size - first - 8}
"""
    parts = [folder / f"{name}.{part}.o" for part in ("code", "rest")]
    compiled = [real_tool(GCC), *FLAGS, *KEEP_FRAMES, f"-DFAULT={FAULTS[fault]}", "-o", str(parts[0]), "oops.c"]
    subprocess.run(compiled, cwd=HERE, check=True)
    assembly = text(kernel, name, needs=NEEDS, this_module=this_module)
    assemble = [real_tool(GCC), "-c", "-x", "assembler", "-o", str(parts[1]), "-"]
    subprocess.run(assemble, input=assembly.encode(), check=True)
    out = folder / f"{name}.ko"
    subprocess.run(
        [real_tool("aarch64-linux-gnu-ld"), "-r", "--build-id", "-o", str(out), *map(str, parts)], check=True
    )
    return out


def console(image: str, modules: list[Path], cmdline: str = "", seconds: int = 120) -> str:
    """What a kernel prints on its serial console while it boots and is given the modules."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        commands = "".join(f"{Command('load', f'/m/{path.name}')}\n" for path in modules).encode()
        nodes = [("dev", FOLDER, 0, b""), ("sys", FOLDER, 0, b""), ("m", FOLDER, 0, b"")]
        nodes += [("dev/console", CHARACTER, 5 << 8 | 1, b""), ("dev/kmsg", CHARACTER, 1 << 8 | 11, b"")]
        nodes += [("dev/serial", CHARACTER, 204 << 8 | 64, b""), ("init", FILE, 0, init_program(folder))]
        nodes += [("cases", FILE, 0, commands)]
        nodes += [(f"m/{path.name}", FILE, 0, path.read_bytes()) for path in modules]
        (folder / "initrd").write_bytes(initramfs(nodes))
        words = [QEMU, "-M", "virt,gic-version=3", "-cpu", "cortex-a57", "-m", "1024", "-nographic", "-no-reboot"]
        words += ["-nodefaults", "-serial", f"file:{folder / 'serial'}", "-kernel", image]
        words += ["-initrd", str(folder / "initrd")]
        words += ["-append", f"console=ttyAMA0 panic=-1 loglevel=8 {cmdline}"]
        _run(words, folder / "serial", seconds)
        said = (folder / "serial").read_text("utf-8", "backslashreplace")
    return "".join(f"{line}\n" for line in said.replace("\r", "").split("\n") if not line.startswith("@"))


def oopses(image: str, into: TargetKernel, folder: Path, faults: list[str], cmdline: str = "") -> str:
    """The console of a kernel that is given failing modules, which stay in the folder."""
    return console(image, [failing(into, fault, folder) for fault in faults], cmdline)


def loading(image: str) -> TargetKernel:
    """The kernel of an Image."""
    return TargetKernel(Image(image))
