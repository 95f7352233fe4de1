"""A booted kernel unpacks an initramfs, or says why not: it does what kinspect says."""

import lzma
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from kinspect.errors import MalformedError
from kinspect.inspection.build.initramfs import initramfs
from tests.conftest import Kernel, kernel_named
from tests.load.machine import QEMU
from tests.toy_initramfs import FOLDER, Entry, archive
from tests.toy_zboot import compressed, squeezed

pytestmark = pytest.mark.corpus
PLAIN = archive(Entry("dev", mode=FOLDER), Entry("init", b"#!/none\n", 0o100755))
WORDS = ("-M", "virt", "-cpu", "cortex-a57", "-m", "1024", "-nographic", "-no-reboot", "-net", "none")
FAILED, STARTED = "Initramfs unpacking failed", "Run /init as init process"


@pytest.fixture(scope="module")
def forms(tool: Callable[[str], str]) -> dict[str, bytes]:
    found = {form: compressed(PLAIN, form, tool) for form in ("gzip", "zstd", "xz", "lz4", "lz4 frame")}
    found["lzo"] = subprocess.run([tool("lzop"), "-c"], input=PLAIN, capture_output=True, check=True).stdout
    found |= {"plain": PLAIN, "bzip2": squeezed(PLAIN, "bzip2"), "xz CRC64": lzma.compress(PLAIN)}
    broken = bytearray(found["gzip"])
    broken[12] ^= 0xFF  # in the deflate stream: the kernel does not verify gzip's CRC
    found |= {"broken gzip": bytes(broken), "cut gzip": found["gzip"][:-12], "odc": PLAIN.replace(b"070701", b"070707")}
    early = archive(Entry("early", b"x"))
    found |= {"after another": early + found["xz"], "garbage after": found["gzip"] + b"garbage!"}
    return found


@pytest.mark.parametrize(
    "form",
    [
        *("plain", "gzip", "bzip2", "xz", "zstd", "lz4", "lzo", "lz4 frame", "xz CRC64"),
        *("broken gzip", "cut gzip", "odc", "after another", "garbage after"),
    ],
)
def test_the_kernel_says_the_same(
    form: str, forms: dict[str, bytes], tool: Callable[[str], str], tmp_path: Path
) -> None:
    kernel: Kernel = kernel_named("bookworm-cloud")
    path = tmp_path / "initrd"
    path.write_bytes(forms[form])
    try:
        good = initramfs(path, kernel.image).ok
    except MalformedError:
        good = False  # what breaks in the first block may be another kind of file
    words = [tool(QEMU), *WORDS, "-kernel", kernel.image, "-initrd", str(path), "-append", "console=ttyAMA0 panic=-1"]
    said = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, timeout=90).stdout.decode(
        "utf-8", "replace"
    )
    assert (FAILED in said) != good, said[-3000:]
    assert (STARTED in said) or not good
