"""kinspect unpack and kinspect config, held against the tools that do the same by hand."""

import gzip
import json
import os
import pty
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import jsonschema
import pytest

from kinspect.artifacts.boot.image import Image
from tests.conftest import CORPUS, ROOT, SAMPLE, Kernel, missing
from tests.support import Part, elf_of, read_terminal
from tests.toy_zboot import compressed, padded, squeezed, zboot

Tool = Callable[[str], str]
IMAGE = (SAMPLE / "Image").read_bytes()
SCHEMA = json.loads((ROOT / "docs" / "report.schema.json").read_text())
TEXT = b"".join(b"CONFIG_OPTION_%d=y\n" % number for number in range(4000)) + b'CONFIG_NAME="\xff"\n'
EMBEDDED = b"IKCFG_ST" + gzip.compress(TEXT, mtime=0) + b"IKCFG_ED"


def kinspect(*words: str | Path) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-m", "kinspect", *map(str, words)]
    return subprocess.run(command, capture_output=True, timeout=120)


@pytest.fixture(scope="session")
def built() -> Path:
    """The O= folder of the real build, which has IKCONFIG and an EFI zboot image."""
    if not (CORPUS / "build" / ".complete").exists():
        missing("the build of a kernel", f"bash tests/corpus/build.sh {CORPUS} makes it")
    return CORPUS / "build" / "out"


# unpack


def test_it_says_what_it_wrote(tmp_path: Path) -> None:
    path, out = tmp_path / "Image.xz", tmp_path / "Image"
    path.write_bytes(squeezed(IMAGE, "xz"))
    done = kinspect("unpack", path, "-o", out)
    assert (done.returncode, done.stderr, out.read_bytes()) == (0, b"", IMAGE)
    assert sorted(os.listdir(tmp_path)) == ["Image", "Image.xz"]
    said = done.stdout.decode()
    assert said.startswith(f"{out}: written from {path}, an arm64 Image in xz, 135,680 bytes (132.5 KiB)\n")
    assert said.endswith("good: 26 checks, nothing wrong\n")


def test_standard_output_gets_the_image(tmp_path: Path) -> None:
    path = tmp_path / "vmlinuz.efi"
    path.write_bytes(zboot(squeezed(padded(IMAGE), "gzip"), "gzip"))
    done = kinspect("unpack", path, "-o", "-")
    assert (done.returncode, done.stdout, done.stderr) == (0, IMAGE, b"")


def test_json_tells_the_layers(tmp_path: Path) -> None:
    path, out = tmp_path / "vmlinuz.efi", tmp_path / "Image"
    path.write_bytes(zboot(squeezed(padded(IMAGE), "gzip"), "gzip"))
    done = kinspect("unpack", path, "-o", out, "--json")
    document = json.loads(done.stdout)
    jsonschema.validate(document, SCHEMA)
    (facts,) = document["facts"]
    assert facts["layers"][0]["name"] == "EFI zboot"
    assert facts["layers"][0]["padding"] == len(padded(IMAGE)) - len(IMAGE)
    assert (facts["out"], facts["size"], out.read_bytes()) == (str(out), len(IMAGE), IMAGE)


def test_what_is_not_wrapped_is_copied(tmp_path: Path) -> None:
    done = kinspect("unpack", SAMPLE / "Image", "-o", tmp_path / "Image")
    assert done.stdout.decode().startswith(f"{tmp_path}/Image: written from {SAMPLE}/Image, an arm64 Image, 135,680 ")
    assert (tmp_path / "Image").read_bytes() == IMAGE


def test_it_may_write_over_what_it_reads(tmp_path: Path) -> None:
    path, link = tmp_path / "Image", tmp_path / "link"
    path.write_bytes(squeezed(IMAGE, "xz"))
    link.symlink_to(path)
    assert kinspect("unpack", path, "-o", link, "-q").returncode == 0
    assert path.read_bytes() == IMAGE
    assert link.is_symlink()


def refused(tmp_path: Path, words: list[str | Path], said: str) -> None:
    before = sorted(os.listdir(tmp_path))
    done = kinspect("unpack", *words)
    assert (done.returncode, done.stdout) == (2, b"")
    assert re.fullmatch(rf"kinspect: .*{re.escape(said)}.*\n", done.stderr.decode())
    assert sorted(os.listdir(tmp_path)) == before


def test_nothing_is_written_when_it_fails(tmp_path: Path) -> None:
    path, out = tmp_path / "packed", tmp_path / "out"
    path.write_bytes(squeezed(IMAGE, "gzip")[:-1])
    out.write_bytes(b"before")
    refused(tmp_path, [path, "-o", out], "the stream is truncated")
    assert out.read_bytes() == b"before"
    path.write_bytes(b"\x89LZO\0\r\n\x1a\n" + bytes(99))
    refused(tmp_path, [path, "-o", out], "wrong lzo checksum")
    path.write_bytes(squeezed(b"no kernel", "gzip"))
    refused(tmp_path, [path, "-o", out], "wrong kind of file inside gzip")
    refused(tmp_path, [path], "--out: missing: expected a file")
    path.write_bytes(squeezed(IMAGE, "gzip"))
    refused(tmp_path, [path, "-o", tmp_path / "no" / "folder"], "folder: cannot write: no such folder")
    refused(tmp_path, [path, "-o", tmp_path], "is not a regular file")
    refused(tmp_path, [path, "-o", "/dev/null"], "is not a regular file")
    assert Path("/dev/null").is_char_device()
    refused(tmp_path, [SAMPLE / "modules" / "Module.symvers", "-o", out], "not a kernel")


def test_a_full_disk_leaves_nothing(tmp_path: Path) -> None:
    path = tmp_path / "packed"
    path.write_bytes(squeezed(IMAGE, "gzip"))
    script = f"ulimit -f 16; exec {sys.executable} -m kinspect unpack {path} -o {tmp_path}/Image"
    done = subprocess.run(["sh", "-c", script], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (2, f"kinspect: {tmp_path}/Image: cannot write: File too large\n")
    assert os.listdir(tmp_path) == ["packed"]


def on_a_terminal(*words: str | Path) -> tuple[int, str]:
    """The exit status, and what a command prints on a terminal."""
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "kinspect", *map(str, words)]
    child = subprocess.Popen(command, stdout=theirs, stderr=theirs)
    os.close(theirs)
    found = read_terminal(ours)
    return child.wait(), found


def test_a_terminal_gets_no_kernel(tmp_path: Path) -> None:
    status, said = on_a_terminal("unpack", SAMPLE / "Image", "-o", "-")
    assert (status, said) == (
        2,
        "kinspect: --out: standard output is a terminal: expected a file or a pipe\r\n",
    )


def test_a_reader_that_goes_away_is_quiet(tmp_path: Path) -> None:
    path = tmp_path / "Image"
    path.write_bytes(squeezed(IMAGE.ljust(4 << 20, b"\0"), "gzip"))
    script = f"{sys.executable} -m kinspect unpack {path} -o - | head -c 4"
    done = subprocess.run(["sh", "-c", script], capture_output=True)
    assert (done.stdout, done.stderr) == (IMAGE[:4], b"")


@pytest.mark.parametrize("cut", [0, 3, 63, 64, 4095, 4096, 4700, 5000, 7000, -600, -512, -1])
def test_a_zboot_image_that_is_cut_is_one_line(cut: int, tmp_path: Path) -> None:
    path = tmp_path / "vmlinuz.efi"
    data = zboot(squeezed(padded(IMAGE), "xz"), "xzkern", len(padded(IMAGE)))
    path.write_bytes(data[:cut])
    for words in (("image", path), ("diff", SAMPLE / "vmlinux", path), ("unpack", path, "-o", tmp_path / "out")):
        done = kinspect(*words, "--json")
        document = json.loads(done.stdout)
        jsonschema.validate(document, SCHEMA)
        # Behind the payload only the program is cut: the Image inside is whole, and the checks say what is not.
        whole = cut < 0
        assert len(document["errors"]) == done.stderr.count(b"\n") == (0 if whole else 1), words
        assert done.returncode == (2 if not whole else 0 if words[0] == "diff" else document["exit_code"])
        assert (tmp_path / "out").exists() == (whole and words[0] == "unpack")
        if words[0] == "image" and whole:
            assert "pe-sections-are-inside-the-file" in {finding["id"] for finding in document["findings"]}
            assert document["facts"][0]["layers"][0]["name"] == "EFI zboot"


# config


def injected(kernel: Kernel, folder: Path) -> Path:
    """A copy of a real Image with a .config in place of some of its code."""
    data = bytearray(Path(kernel.image).read_bytes())
    data[0x400003 : 0x400003 + len(EMBEDDED)] = EMBEDDED
    path = folder / "Image"
    path.write_bytes(data)
    return path


def by_hand(path: Path, tool: Tool) -> bytes:
    """What scripts/extract-ikconfig does: grep for the marker, cut there, unpack."""
    grep = [tool("grep"), "-abo", "IKCFG_ST", str(path)]
    found = subprocess.run(grep, capture_output=True, env={**os.environ, "LC_ALL": "C"}, check=True).stdout
    start = int(found.split(b":")[0]) + len("IKCFG_ST")
    with open(path, "rb") as file:
        file.seek(start)
        return subprocess.run([tool("gzip"), "-dcq"], stdin=file, capture_output=True).stdout


def test_a_config_in_a_real_image(kernel: Kernel, tool: Tool, tmp_path: Path) -> None:
    path = injected(kernel, tmp_path)
    assert by_hand(path, tool) == TEXT
    done = kinspect("config", path)
    assert (done.returncode, done.stdout, done.stderr) == (0, TEXT, b"")
    packed = tmp_path / "vmlinuz.efi"
    packed.write_bytes(zboot(compressed(padded(path.read_bytes()), "zstd", tool), "zstd22", 1))
    assert kinspect("config", packed).stdout == TEXT
    place = Image(path).embedded.config
    assert place is not None
    assert (place.offset, place.size) == (0x40000B, len(EMBEDDED) - 16)
    document = json.loads(kinspect("config", path, "--json").stdout)
    jsonschema.validate(document, SCHEMA)
    assert document["facts"][0]["place"] == {"offset": place.offset, "size": place.size}


def test_the_config_of_a_real_build(built: Path, tool: Tool) -> None:
    text = (built / ".config").read_bytes()
    boot = built / "arch" / "arm64" / "boot"
    assert by_hand(boot / "Image", tool) == text
    for path in (boot / "Image", boot / "Image.gz", boot / "vmlinuz.efi", built / "vmlinux"):
        done = kinspect("config", path)
        assert (done.returncode, done.stdout, done.stderr) == (0, text, b""), path
    done = kinspect("image", boot / "Image")
    assert b".config    embedded, " in done.stdout


def test_a_real_build_unpacks(built: Path, tool: Tool, tmp_path: Path) -> None:
    boot = built / "arch" / "arm64" / "boot"
    packed = [path for path in boot.iterdir() if path.name.startswith(("Image.", "vmlinuz")) and path.suffix != ".elf"]
    assert {"Image.gz", "Image.lz4", "Image.zst", "vmlinuz.efi"} <= {path.name for path in packed}
    for path in packed:
        if path.name in ("vmlinuz.o",):
            continue
        done = kinspect("unpack", path, "-o", tmp_path / "Image")
        assert done.returncode == 0, (path, done.stderr)
        assert b"nothing wrong" in done.stdout
        assert subprocess.run([tool("cmp"), tmp_path / "Image", boot / "Image"]).returncode == 0
        assert kinspect("diff", built / "vmlinux", path).stdout.split(b"\n")[-2].startswith(b"good: ")
        assert kinspect("image", path, "-q").returncode == 0


def test_the_config_in_configs_ko(tmp_path: Path) -> None:
    module = elf_of(Part(".rodata", b"start" + EMBEDDED + b"rest"), e_type=1)
    for data, name in ((module, "configs.ko"), (gzip.compress(module), "configs.ko.gz")):
        path = tmp_path / name
        path.write_bytes(data)
        done = kinspect("config", path)
        assert (done.returncode, done.stdout, done.stderr) == (0, TEXT, b"")


@pytest.mark.parametrize("path", [SAMPLE / "Image", SAMPLE / "vmlinux"], ids=lambda path: path.name)
def test_none_is_status_1_and_says_what_to_do(path: Path) -> None:
    done = kinspect("config", path)
    assert (done.returncode, done.stdout) == (1, b"")
    assert done.stderr.decode().startswith(f"kinspect: {path}: no embedded .config: build with CONFIG_IKCONFIG=y, ")
    assert done.stderr.count(b"\n") == 1
    assert kinspect("config", path, "-q").stderr == b""
    done = kinspect("config", path, "--json")
    document = json.loads(done.stdout)
    jsonschema.validate(document, SCHEMA)
    assert (document["exit_code"], document["facts"][0]["text"], done.returncode) == (1, None, 1)


def test_a_real_kernel_without_says_so(kernel: Kernel) -> None:
    assert "CONFIG_IKCONFIG=y" not in (kernel.folder / "config").read_text()
    assert kinspect("config", kernel.vmlinux).returncode == 1


def test_other_files_are_no_kernel(tmp_path: Path) -> None:
    for path in (SAMPLE / "modules" / "Module.symvers", tmp_path, tmp_path / "missing"):
        done = kinspect("config", path)
        assert (done.returncode, done.stdout, done.stderr.count(b"\n")) == (2, b"", 1), path


def test_a_terminal_is_not_steered(tmp_path: Path) -> None:
    path = tmp_path / "Image"
    path.write_bytes(IMAGE + b"IKCFG_ST" + gzip.compress(b'CONFIG_A="\x1b[31m"\nCONFIG_B=y\n') + b"IKCFG_ED")
    assert on_a_terminal("config", path) == (0, 'CONFIG_A="\\x1b[31m"\r\nCONFIG_B=y\r\n')
