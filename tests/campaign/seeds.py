"""The files that a campaign changes: one of each format, with the commands that read it."""

import bz2
import gzip
import lzma
import shutil
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from kinspect.reports.formats import FORMATS
from tests.conftest import SAMPLE
from tests.toy_module import pkcs7, signed
from tests.toy_release import VERMAGIC, toy_release, toy_symvers
from tests.toy_zboot import lz4_stored, zboot

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

FILE, FOLDER = "{file}", "{folder}"
ANY = (("file", FILE), ("check", FILE))
KO = (*ANY, ("module", FILE), ("module", "--modinfo", FILE), ("load", "{loads}", FILE), ("config", FILE))
KERNEL = (*ANY, ("image", FILE), ("config", FILE), ("unpack", FILE, "-o", "{out}"), ("load", FILE, "{toy}"))
OUTPUTS = ((), (), ("--json",), ("--quiet",), *(("--format", form) for form in FORMATS))
"""What is added to a command that can report in several formats."""
TEXTS_OF_TREE = (("modules", FOLDER), ("check", FOLDER), ("depmod", FOLDER, "-o", "{out}"))


class Seed(NamedTuple):
    """A file: its place below its folder, its contents, how it is packed after a change, and commands."""

    name: str
    data: bytes
    commands: Sequence[tuple[str, ...]]
    packed: Callable[[bytes], bytes] = bytes
    folder: Path | None = None


def _gz(data: bytes) -> bytes:
    return gzip.compress(data, 1)


def _bz2(data: bytes) -> bytes:
    return bz2.compress(data, 1)


def _xz(data: bytes) -> bytes:
    return lzma.compress(data, preset=0, check=lzma.CHECK_CRC32)


def _zst(data: bytes) -> bytes:
    return zstd.compress(data, 1)


def _lzma(data: bytes) -> bytes:
    return lzma.compress(data, lzma.FORMAT_ALONE, preset=0)


PACKERS = (_gz, _bz2, _xz, _zst, _lzma, lz4_stored)


def _zboot(data: bytes) -> bytes:
    return zboot(_gz(data), "gzip")


def seeds(scratch: Path) -> tuple[list[Seed], dict[str, str]]:
    """All seeds, and the files that commands need beside them, by the name in braces."""
    tree = toy_release(scratch / "release")
    kos = sorted(tree.rglob("*.ko"))
    toy = kos[0].read_bytes()
    image, vmlinux = (SAMPLE / "Image").read_bytes(), (SAMPLE / "vmlinux").read_bytes()
    # In bytes that nothing reads: a kernel that loads the toys.
    loads = image.replace(bytes(256), (b"\0" + VERMAGIC.encode() + b"\0").ljust(256, b"\0"), 1)
    (scratch / "loads").write_bytes(loads)
    symvers = toy_symvers().encode()
    (scratch / "Module.symvers").write_bytes(symvers)
    elf = (
        ("vmlinux", FILE), ("vmlinux", FILE, "--table", ".symtab"), ("vmlinux", FILE, "--table", "__ksymtab"),
        ("vmlinux", FILE, "--table", ".notes"), ("diff", FILE, "{image}"), ("size", FILE), ("size", FILE, "{image}"),
        ("size", FILE, "--by", "folder,symbol"), ("size", FILE, "--savings"), ("size", FILE, "--by", "source,object"),
        ("size", FILE, "--against", "{vmlinux}"), ("size", FILE, "--html", "{out}"), ("config", FILE),
        ("load", FILE, "{toy}"), ("symvers", "{symvers}", "--vmlinux", FILE),
    )  # fmt: skip
    against = (("diff", "{vmlinux}", FILE), ("size", "{vmlinux}", FILE))
    dtb = (*ANY, ("dtb", FILE), ("dtb", "--tree", FILE), ("dtb", "--path", "/", FILE))
    own_symvers = (
        ("symvers", FILE), ("symvers", FILE, "--vmlinux", "{vmlinux}"), ("abi", FILE, "{symvers}"),
        ("abi", "{symvers}", FILE, "--format", "ksymvers"), ("modules", "{tree}", "--symvers", FILE),
    )  # fmt: skip
    found = [
        Seed("Image", image, KERNEL + against),
        Seed("loads", loads, KERNEL),
        Seed("vmlinux", vmlinux, ANY + elf),
        Seed("vmlinuz.efi", _zboot(image), KERNEL),
        Seed("inside.efi", image, KERNEL, _zboot),
        *(Seed(f"Image{number}", pack(image), KERNEL) for number, pack in enumerate(PACKERS)),
        *(Seed(f"inside{number}", image, KERNEL, pack) for number, pack in enumerate(PACKERS[:4])),
        Seed("toy.ko", toy, KO),
        Seed("signed.ko", signed(toy, pkcs7()), KO),
        *(Seed(f"toy.ko.{form}", toy, KO, pack) for form, pack in (("gz", _gz), ("xz", _xz), ("zst", _zst))),
        Seed("packed.ko.gz", _gz(toy), KO),
        Seed("a.dtb", (SAMPLE / "dtb/hello.dtb").read_bytes(), dtb),
        Seed("a.dtbo", (SAMPLE / "dtb/hello-lamp.dtbo").read_bytes(), dtb),
        Seed("Module.symvers", (SAMPLE / "modules/Module.symvers").read_bytes(), ANY + own_symvers),
        Seed("System.map", (SAMPLE / "System.map").read_bytes(), (*ANY, ("check", FILE, "{vmlinux}"))),
        Seed("config", b"#\n# Automatically generated file; DO NOT EDIT.\n# Linux/arm64 6.1.0\n#\nCONFIG_A=y\n"
             b"# CONFIG_B is not set\nCONFIG_C=\"x\"\n", (*ANY, ("check", FILE, "{image}"), ("check", FILE, "{tree}"))),
        Seed("limits.toml", b'[image]\nfile = "32 MiB"\ngrowth = "2 %"\n[section.".text"]\nmemory = 1000\n',
             (("size", "{vmlinux}", "--budget", FILE),
              ("size", "{vmlinux}", "--budget", FILE, "--against", "{vmlinux}"))),
        Seed("kinspect.toml", b'require = ["image"]\nignore = ["image-fits-image-size"]\n',
             (("check", "{image}", "--policy", FILE),)),
        Seed("rules", b"MODULE drivers/* PASS\nSYMBOL a*b FAIL # no\nx? PASS\n",
             (("abi", "{symvers}", "{other}", "--rules", FILE),)),
        Seed("a.conf", b"override toy ^6[.](1|2)+ extra\nsearch updates built-in\nexclude a b\nexternal * /x\n",
             (("modules", "{tree}", "-C", FILE), ("depmod", "{tree}", "-C", FILE, "-o", "{out}"))),
        *(Seed(path.name, path.read_bytes(), (*ANY, ("log", FILE))) for path in (SAMPLE / "logs").glob("*.log")),
    ]  # fmt: skip
    for path in sorted(tree.glob("modules.*")):
        copy = scratch / "trees" / path.name
        shutil.copytree(tree, copy)
        found.append(Seed(path.name, path.read_bytes(), TEXTS_OF_TREE, folder=copy))
    names = {
        "loads": str(scratch / "loads"), "toy": str(kos[0]), "image": str(SAMPLE / "Image"),
        "vmlinux": str(SAMPLE / "vmlinux"), "symvers": str(scratch / "Module.symvers"),
        "other": str(SAMPLE / "modules/Module.symvers"),
        "tree": str(tree), "out": str(scratch / "out"),
    }  # fmt: skip
    return found, names
