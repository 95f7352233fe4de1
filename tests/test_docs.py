"""What the documents show is what the commands print: every `$ kinspect` block is run in a copy of samples/hello.

The copy has more: Image.touched, the Image with one instruction changed; Image.bz2; build.log, what make may say of a
build that fails; and out, the sample as `make O=out` would leave it. `python -m tests.test_docs` writes the blocks
anew.
"""

import atexit
import bz2
import re
import shutil
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path

import pytest

from tests.toy_build import sample_build

ROOT = Path(__file__).parent.parent
PAGES = sorted((ROOT / "docs").glob("*.md"))
BLOCK = re.compile(r"^```console\n\$ kinspect (.*)\n((?:.*\n)*?)```$", re.MULTILINE)
LINK = re.compile(r"\]\(([^)#:]+)\)")

LOG = """\
make[1]: Entering directory '/home/me/linux/out'
  GEN     Makefile
  CALL    ../scripts/checksyscalls.sh
  CC      init/main.o
  CC [M]  fs/nls/nls_utf8.o
  CC      kernel/fork.o
../fs/nls/nls_utf8.c: In function 'uni2char':
../fs/nls/nls_utf8.c:14:16: error: 'lenght' undeclared (first use in this function)
   14 |         return lenght;
      |                ^~~~~~
make[4]: *** [../scripts/Makefile.build:250: fs/nls/nls_utf8.o] Error 1
make[3]: *** [../scripts/Makefile.build:500: fs/nls] Error 2
make[3]: *** Waiting for unfinished jobs....
  AR      init/built-in.a
make[2]: *** [../scripts/Makefile.build:500: fs] Error 2
make[1]: *** [/home/me/linux/Makefile:2000: .] Error 2
make[1]: Leaving directory '/home/me/linux/out'
make: *** [Makefile:250: __sub-make] Error 2
"""
"""The output of a build that fails, as short as can be."""


@cache
def folder() -> Path:
    """The copy of the sample."""
    parent = tempfile.mkdtemp()
    atexit.register(shutil.rmtree, parent, ignore_errors=True)
    found = Path(parent) / "hello"
    shutil.copytree(ROOT / "samples" / "hello", found)
    data = bytearray((found / "Image").read_bytes())
    (found / "Image.bz2").write_bytes(bz2.compress(data))
    data[0x10A00:0x10A04] = b"\x1f\x20\x03\xd5"
    (found / "Image.touched").write_bytes(data)
    (found / "build.log").write_text(LOG)
    sample_build(found / "out")
    return found


def output(words: str) -> str:
    """What a command prints."""
    command = [sys.executable, "-m", "kinspect", *words.split()]
    done = subprocess.run(command, cwd=folder(), capture_output=True, text=True)
    return done.stdout + done.stderr


def blocks() -> list[tuple[Path, str, str]]:
    return [(page, *found) for page in PAGES for found in BLOCK.findall(page.read_text())]


def test_there_are_blocks() -> None:
    assert len(blocks()) >= 6


@pytest.mark.parametrize(("page", "words", "shown"), blocks(), ids=lambda value: str(value)[:40].replace("\n", " "))
def test_a_document_shows_what_is_printed(page: Path, words: str, shown: str) -> None:
    assert shown == output(words)


@pytest.mark.parametrize("page", [*PAGES, ROOT / "README.md"], ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    for target in LINK.findall(page.read_text()):
        assert (page.parent / target).exists(), target


if __name__ == "__main__":
    for page in PAGES:
        text = page.read_text()
        page.write_text(BLOCK.sub(lambda block: f"```console\n$ kinspect {block[1]}\n{output(block[1])}```", text))
