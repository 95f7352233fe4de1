"""A machine that boots a real kernel and is asked to load modules: qemu, and an initramfs with one program of ours.

Everything comes back over the serial port. The kernel's own messages stay off it (`quiet`): the program reads them from
/dev/kmsg and tells those of each module apart. What the kernel prints nevertheless, an oops, is kept for the reader.
"""

import contextlib
import subprocess
import tempfile
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

HERE = Path(__file__).parent
GCC = "aarch64-linux-gnu-gcc"
QEMU = "qemu-system-aarch64"
FLAGS = (
    "-static",
    "-nostdlib",
    "-ffreestanding",
    "-fno-stack-protector",
    "-fno-pie",
    "-no-pie",
    "-O2",
    "-Wall",
    "-Werror",
)
CHARACTER, FOLDER, FILE = 0o020600, 0o040755, 0o100755
WORDS = "quiet loglevel=1 panic=-1 printk.devkmsg=on initcall_debug"
"""An end instead of a panic's wait; our own lines in the log without a limit; each call of a module's init told."""
KILLED, HUNG = 1000, 1001
"""What init.c answers when the kernel kills the process that loads a module, and when that does not come back."""
LONGEST_BOOT, LONGEST_SILENCE = 90, 20
"""Seconds to the first word, and between two: then a machine is taken to hang. init.c waits 10 for a module."""
COMPRESSED = 4
"""MODULE_INIT_COMPRESSED_FILE. Source: include/uapi/linux/module.h."""


class Command(NamedTuple):
    """One line for the program: `load`, `unload` or `taint`; `what` is a path in the initramfs or a module's name."""

    verb: str
    what: str
    flags: int = 0

    def __str__(self) -> str:
        # sysfs has no slash in names.
        what = self.what.replace("/", "!") if self.verb == "taint" else self.what
        return f"{self.verb} {what}" + (f" {self.flags}" if self.verb == "load" else "")


class Answer(NamedTuple):
    """What came of a command: the errno (0 is none) or the letters of taints, and what the kernel wrote to its log."""

    command: Command
    errno: int
    taint: str
    log: tuple[str, ...]


class DiedError(Exception):
    """The machine did not answer all commands; the text says after which, and what it printed last."""

    def __init__(self, text: str, answers: list[Answer]) -> None:
        super().__init__(text)
        self.answers = answers


def init_program(folder: Path) -> bytes:
    """The program of init.c."""
    out = folder / "init"
    subprocess.run([GCC, *FLAGS, "-o", str(out), str(HERE / "init.c")], check=True)
    return out.read_bytes()


def initramfs(files: Iterable[tuple[str, int, int, bytes]]) -> bytes:
    """A cpio archive (newc) of files: path, mode, device number, contents.

    Source: Documentation/driver-api/early-userspace/buffer-format.rst.
    """
    parts = []
    for number, (path, mode, device, data) in enumerate((*files, ("TRAILER!!!", 0, 0, b"")), start=1):
        name = path.encode() + b"\0"
        fields = (number, mode, 0, 0, 1, 0, len(data), 0, 0, device >> 8, device & 0xFF, len(name), 0)
        head = b"070701" + b"".join(b"%08X" % field for field in fields) + name
        parts += [head, bytes(-len(head) % 4), data, bytes(-len(data) % 4)]
    return b"".join(parts)


def boot(
    image: str, modules: dict[str, bytes], commands: Sequence[Command], *, cmdline: str = "", seconds: int = 300
) -> list[Answer]:
    """Boot an Image, run the commands and give their answers. DiedError when the machine ends before the last."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        lines = "".join(f"{command}\n" for command in commands).encode("utf-8", "surrogateescape")
        nodes = [("dev", FOLDER, 0, b""), ("sys", FOLDER, 0, b""), ("m", FOLDER, 0, b"")]
        nodes += [("dev/console", CHARACTER, 5 << 8 | 1, b""), ("dev/kmsg", CHARACTER, 1 << 8 | 11, b"")]
        nodes += [("dev/serial", CHARACTER, 204 << 8 | 64, b""), ("init", FILE, 0, init_program(folder))]
        nodes += [("cases", FILE, 0, lines)]
        nodes += [(path.lstrip("/"), FILE, 0, data) for path, data in modules.items()]
        (folder / "initrd").write_bytes(initramfs(nodes))
        memory = 1024 + (sum(map(len, modules.values())) >> 19)
        words = [QEMU, "-M", "virt,gic-version=3", "-cpu", "cortex-a57", "-m", str(memory), "-nographic", "-no-reboot"]
        words += ["-nodefaults", "-serial", f"file:{folder / 'serial'}", "-kernel", image]
        words += ["-initrd", str(folder / "initrd"), "-append", f"console=ttyAMA0 {WORDS} {cmdline}"]
        said = _run(words, folder / "serial", seconds)
        text = (folder / "serial").read_text("utf-8", "backslashreplace") if (folder / "serial").exists() else ""
    return _answers(text, commands, said)


def _run(words: Sequence[str], serial: Path, seconds: int) -> str:
    """Run a machine to its end, or until it has said nothing for too long: what qemu printed, or why it was ended."""
    with subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as machine:
        end, size, quiet_since = time.monotonic() + seconds, -1, 0.0
        while True:
            with contextlib.suppress(subprocess.TimeoutExpired):
                return machine.communicate(timeout=0.2)[1]
            now, found = time.monotonic(), serial.stat().st_size if serial.exists() else 0
            if found != size:
                size, quiet_since = found, now
            silence = LONGEST_SILENCE if size else LONGEST_BOOT
            if now > end or now > quiet_since + silence:
                machine.kill()
                return f"no end within {seconds} s, or nothing said for {silence} s"


def _answers(text: str, commands: Sequence[Command], said: str) -> list[Answer]:
    found: list[Answer] = []
    lines = iter(text.replace("\r", "").split("\n"))
    errno, taint, log, at, other = 0, "", [], -1, []
    for line in lines:
        word, _, rest = line.partition(" ")
        if word in ("@load", "@unload") and rest.isdigit():
            errno, taint = int(rest), ""
        elif word == "@taint":
            errno, taint = 0, rest.strip()
        elif word == "@log":
            log.append(rest)
        elif word == "@end":
            if at >= 0:
                found.append(Answer(commands[at], errno, taint, tuple(log)))
            at, log = at + 1, []
        elif word == "@done":
            return found
        elif line:
            other.append(line)
    after = f"before {commands[at]}" if 0 <= at < len(commands) else "before the first command"
    raise DiedError("\n".join((f"the machine ended {after}", said, *log[-20:], *other[-40:])), found)
