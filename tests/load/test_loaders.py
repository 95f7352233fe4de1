"""Real boot loaders, asked to boot one small kernel in each form: they do what kinspect says.

U-Boot runs in qemu, and its booti and bootm are told to start the file; QEMU's own -kernel starts it; grub-file judges
it. The kernel has no root file system: it ends in a panic, which ends QEMU.
"""

import gzip
import lzma
import os
import select
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from kinspect.artifacts.boot.image import Image
from kinspect.artifacts.kinds import open_as
from kinspect.schemas.image import ImageHeader
from kinspect.schemas.record import build as built
from kinspect.schemas.record import parse
from kinspect.views.boot.loaders import loader_verdicts
from tests.conftest import CORPUS, Build, missing
from tests.load.machine import QEMU
from tests.toy_zboot import compressed

pytestmark = pytest.mark.corpus
UBOOT = Path("/usr/lib/u-boot/qemu_arm64/u-boot.bin")
AT, MACHINE = 0x50000000, ("-M", "virt", "-cpu", "cortex-a57", "-m", "1024", "-nographic", "-no-reboot", "-net", "none")
STARTED, LACKING = "Starting kernel ...", "Unimplemented compression type"
LONGEST = 60
SPACE = "setenv kernel_comp_addr_r 0x60000000; setenv kernel_comp_size 0x3000000; "
FORMS = (
    *("Image", "no PE", "gzip", "lz4", "lz4 frame", "zstd", "lzma", "xz", "zboot", "zboot in gzip"),
    *("uImage", "wrong uImage", "FIT"),
)


@pytest.fixture(scope="module")
def forms(build: Build, tool: Callable[[str], str], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The kernel in each form."""
    folder, boot = tmp_path_factory.mktemp("forms"), build.out / "arch/arm64/boot"
    image, packed, zboot = (boot / name for name in ("Image", "Image.gz", "vmlinuz.efi"))
    data = image.read_bytes()
    plain = built(parse(ImageHeader, data[:64])._replace(code0=0xD503201F, res5=0)) + data[64:]
    made = {"no PE": plain, "lzma": lzma.compress(data, lzma.FORMAT_ALONE, preset=1)}
    made |= {form: compressed(data, form, tool) for form in ("lz4", "lz4 frame", "zstd", "xz")}
    made["zboot in gzip"] = gzip.compress(zboot.read_bytes(), 1)
    found = {"Image": image, "gzip": packed, "zboot": zboot}
    for name, content in made.items():
        found[name] = folder / name.replace(" ", "-")
        found[name].write_bytes(content)
    common = ["-A", "arm64", "-O", "linux", "-T", "kernel", "-C", "gzip", "-a", "0x40200000", "-e", "0x40200000"]
    dtb = next((CORPUS / "dtbs").rglob("*.dtb"))
    for name, more in (("uImage", []), ("wrong uImage", ["-C", "none"]), ("FIT", ["-f", "auto", "-b", str(dtb)])):
        found[name] = folder / name.replace(" ", "-")
        command = [tool("mkimage"), *common, *more, "-n", "k", "-d", str(packed), str(found[name])]
        subprocess.run(command, check=True, capture_output=True)
    return found


def answer(path: Path, loader: str) -> str:
    return next(one.takes for one in loader_verdicts(open_as(Image, str(path))) if one.loader == loader)


def uboot_says(path: Path, command: str) -> str:
    """What U-Boot prints after a command, with the file in memory."""
    words = [QEMU, *MACHINE, "-bios", str(UBOOT), "-device", f"loader,file={path},addr={AT:#x},force-raw=on"]
    out, asked, end = b"", 0, time.monotonic() + LONGEST
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0) as machine:
        assert machine.stdin
        assert machine.stdout
        os.set_blocking(machine.stdout.fileno(), False)
        while time.monotonic() < end:
            select.select([machine.stdout], [], [], 0.2)
            out += machine.stdout.read(1 << 16) or b""
            if not asked and b"Hit any key" in out:
                machine.stdin.write(b" ")
                asked = 1
            elif asked == 1 and out.endswith(b"=> "):
                machine.stdin.write(command.encode() + b"\n")
                asked, out = 2, b""
            elif asked == 2 and STARTED.encode() in out:
                asked, end = 3, time.monotonic() + 2
            elif asked == 2 and out.endswith(b"\n=> "):
                break
        machine.kill()
    return out.decode("utf-8", "replace")


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("loader", ["U-Boot booti", "U-Boot bootm"])
def test_uboot(form: str, loader: str, forms: dict[str, Path], tool: Callable[[str], str]) -> None:
    tool(QEMU)
    if not UBOOT.exists():
        missing("U-Boot", "sh tests/tools.sh installs u-boot-qemu")
    verb = loader.split(" ")[1]
    # U-Boot chooses a configuration by the machine that it runs on, which no tree of the image is for.
    at = f"{AT:#x}#conf-1" if form == "FIT" and verb == "bootm" else f"{AT:#x}"
    said = uboot_says(forms[form], f"{SPACE}{verb} {at} - ${{fdtcontroladdr}}")
    takes = answer(forms[form], loader)
    if takes == "if" and LACKING in said:
        return  # this one was built without the option
    # It starts anything that is under -C none.
    started = STARTED in said and "Synchronous Abort" not in said
    assert started == (takes != "no"), said


@pytest.mark.parametrize("form", FORMS)
def test_qemu(form: str, forms: dict[str, Path], tool: Callable[[str], str]) -> None:
    version = subprocess.run([tool(QEMU), "--version"], capture_output=True, text=True, check=True).stdout
    if form == "zboot" and int(version.split(" ")[3].split(".")[0]) < 8:
        pytest.skip("QEMU unpacks zboot images since 8.0")
    words = [QEMU, *MACHINE, "-kernel", str(forms[form]), "-append", "panic=-1"]
    takes = answer(forms[form], "QEMU -kernel")
    try:
        subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, timeout=LONGEST if takes != "no" else 8)
        ended = True
    except subprocess.TimeoutExpired:
        ended = False
    assert ended == (takes != "no")


@pytest.mark.parametrize("form", FORMS)
def test_grub(form: str, forms: dict[str, Path], tool: Callable[[str], str]) -> None:
    """grub-file reads a file as GRUB does, and says whether it is an EFI program."""
    command = [tool("grub-file"), "--is-arm64-efi", str(forms[form])]
    is_efi = subprocess.run(command, capture_output=True).returncode == 0
    assert is_efi == (answer(forms[form], "GRUB") != "no")
