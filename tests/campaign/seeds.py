"""The files that a campaign changes: one of each format, with the commands that read it."""

import base64
import bz2
import gzip
import lzma
import shutil
import struct
import sys
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from kinspect.artifacts.elf.vmlinux import Vmlinux
from kinspect.artifacts.kinds import open_artifact
from kinspect.reports.formats import FORMATS
from kinspect.schemas.pe import CoffHeader, DataDirectory, OptionalHeader
from kinspect.schemas.record import size_of
from kinspect.views.btf.kernel import types_of
from kinspect.views.signing.verification import can_verify
from samples.hello.examples import initramfs
from tests.conftest import SAMPLE
from tests.toy_android import descriptor, dtbo, hash_descriptor, vbmeta
from tests.toy_boot import avb_footer, boot_image, boot_image_v4, uimage, uimage_of_files, vendor_boot
from tests.toy_dtb import Toy
from tests.toy_dtb import toy as toy_dtb
from tests.toy_dwarf import compressed_dwarf, without_dwarf
from tests.toy_kallsyms import LAYOUTS
from tests.toy_kallsyms import image as kallsyms_image
from tests.toy_module import der, pkcs7, signed
from tests.toy_package import packages
from tests.toy_release import VERMAGIC, toy_release, toy_symvers
from tests.toy_uki import uki
from tests.toy_zboot import lz4_stored, zboot

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

FILE, FOLDER = "{file}", "{folder}"
ANY = (("file", FILE), ("check", FILE))
KO = (*ANY, ("module", FILE), ("module", "--modinfo", FILE), ("load", "{loads}", FILE), ("config", FILE))
SYMBOLS = (("symbols", FILE), ("symbols", FILE, "--format", "nm"), ("symbols", FILE, "--at", "0,ffff800008001008"))
KERNEL = (*ANY, ("image", FILE), ("config", FILE), ("unpack", FILE, "-o", "{out}"), ("load", FILE, "{toy}"))
INITRAMFS = (*ANY, ("initramfs", FILE), ("initramfs", FILE, "--kernel", "{loads}"), ("check", FILE, "{loads}"))
BOOT = (*KERNEL, ("unpack", FILE, "--list"), ("unpack", FILE, "--part", "dtb", "-o", "{out}"))
TRACE = (("trace", FILE, "{oops}"), ("trace", FILE, "{oops}", "--json"), ("trace", FILE, "--at", "print+0x8,0"))
TYPES = (
    *ANY, ("types", FILE), ("types", FILE, "*"), ("types", FILE, "--find", "flags"), ("types", FILE, "--format", "raw"),
)  # fmt: skip
TYPED = (
    ("abi", FOLDER, "{typed}"), ("abi", "{typed}", FOLDER, "--all"), ("abi", "{typed}", FOLDER, "--symbol", "*"),
)  # fmt: skip
LZO = (
    "iA-8g01XNn3J^dbpb0<&2?GEC4FCWD0BZ{fC;$Ke001Qo0vrGU1ONa40C8|YmUj~{H%0(4Fev~40yr^2G%z#)05L2#05U@`AO!&cHQ)gaX>MtB001K)"
    "FJftKFLP)LAOHd+05E(80W>j1L?8rw1|SIl04Ki(WMy^<X8<tF0XYBwAQ#O6Lf`=iR8m1nOhr;5At3-D08;<}5dZ)H0000"
)
"""A small archive, by lzop -9."""
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
    oops = (SAMPLE / "logs/oops.log").read_bytes()
    symvers = toy_symvers().encode()
    (scratch / "Module.symvers").write_bytes(symvers)
    elf = (
        ("vmlinux", FILE), ("vmlinux", FILE, "--table", ".symtab"), ("vmlinux", FILE, "--table", "__ksymtab"),
        ("vmlinux", FILE, "--table", ".notes"), ("diff", FILE, "{image}"), ("size", FILE), ("size", FILE, "{image}"),
        ("size", FILE, "--by", "folder,symbol"), ("size", FILE, "--savings"), ("size", FILE, "--by", "source,object"),
        ("size", FILE, "--against", "{vmlinux}"), ("size", FILE, "--html", "{out}"), ("config", FILE),
        ("load", FILE, "{toy}"), ("symvers", "{symvers}", "--vmlinux", FILE),
    )  # fmt: skip
    kernels = (
        ("diff", "{vmlinux}", FILE), ("diff", FILE, "{vmlinux}"), ("diff", FILE, "{vmlinux}", "--function", "print"),
        ("diff", "{vmlinux}", FILE, "--function", "print"),
    )  # fmt: skip
    (scratch / "kallsyms").write_bytes(kallsyms_image(layout="6.4")[0])
    two = (("diff", "{kallsyms}", FILE), ("diff", FILE, "{kallsyms}"), ("diff", FILE, "{kallsyms}", "--ranges", "99"))
    against = (("diff", "{vmlinux}", FILE), ("size", "{vmlinux}", FILE))
    dtb = (*ANY, ("dtb", FILE), ("dtb", "--tree", FILE), ("dtb", "--path", "/", FILE))
    initrd = gzip.decompress(initramfs())
    hello = (SAMPLE / "dtb/hello.dtb").read_bytes()
    boot = boot_image(2, _gz(image), b"ramdisk", hello)
    own_symvers = (
        ("symvers", FILE), ("symvers", FILE, "--vmlinux", "{vmlinux}"), ("abi", FILE, "{symvers}"),
        ("abi", "{symvers}", FILE, "--format", "ksymvers"), ("modules", "{tree}", "--symvers", FILE),
    )  # fmt: skip
    typed = scratch / "typed"
    shutil.copytree(SAMPLE / "abi/old", typed)
    found = [
        Seed("Image", image, KERNEL + against),
        Seed("loads", loads, KERNEL),
        *(Seed(f"kallsyms{layout}", kallsyms_image(layout=layout)[0], ANY + SYMBOLS + two) for layout in LAYOUTS),
        Seed("vmlinux", vmlinux, ANY + elf + SYMBOLS + TRACE + kernels),
        Seed("oops.log", oops, (("trace", "{vmlinux}", FILE), ("trace", "{vmlinux}", FILE, "--json"))),
        Seed("vmlinuz.efi", _zboot(image), KERNEL),
        Seed("inside.efi", image, KERNEL, _zboot),
        *(Seed(f"Image{number}", pack(image), KERNEL) for number, pack in enumerate(PACKERS)),
        *(Seed(f"inside{number}", image, KERNEL, pack) for number, pack in enumerate(PACKERS[:4])),
        Seed("toy.ko", toy, KO + SYMBOLS),
        Seed("signed.ko", signed(toy, pkcs7()), KO),
        *(Seed(f"toy.ko.{form}", toy, KO, pack) for form, pack in (("gz", _gz), ("xz", _xz), ("zst", _zst))),
        Seed("packed.ko.gz", _gz(toy), KO),
        Seed("uImage", uimage(_gz(image), ih_comp=1), BOOT),
        Seed("uImage.multi", uimage_of_files(_gz(image), b"ramdisk", (SAMPLE / "dtb/hello.dtb").read_bytes()), BOOT),
        Seed("boot.img", boot, BOOT),
        Seed("boot-initrd.img", boot_image(1, image, _gz(initrd)), (*BOOT, *INITRAMFS)),
        Seed("boot-v4.img", boot_image_v4(4, image, b"ramdisk", b"signature"), BOOT),
        Seed("vendor_boot.img", vendor_boot([b"a", b"b"], (SAMPLE / "dtb/hello.dtb").read_bytes(), b"c=1"), BOOT),
        Seed("verified.img", avb_footer(boot, vbmeta(hash_descriptor(boot), signed=True), 1 << 18), BOOT),
        Seed("vbmeta.img", vbmeta(hash_descriptor(boot), descriptor(0, bytes(16)), signed=True), BOOT),
        Seed("dtbo.img", dtbo(hello, hello, hello, version=1, flags=(0, 1, 2)), BOOT),
        Seed("Image.gz-dtb", _gz(image) + hello + hello, BOOT),
        Seed("Image-dtb", image + hello + hello, BOOT),
        Seed("two.dtb", hello + hello, (*dtb, *BOOT)),
        Seed("linux.efi", uki((".cmdline", b"quiet"), (".uname", b"6.1.0-hello"), (".linux", image)), BOOT),
        Seed("a.dtb", (SAMPLE / "dtb/hello.dtb").read_bytes(), dtb),
        Seed("a.itb", _fit(), (*dtb, *BOOT, ("image", FILE, "--cert", "{cert}"))),
        Seed("a.dtbo", (SAMPLE / "dtb/hello-lamp.dtbo").read_bytes(), dtb),
        Seed("initrd.img", initrd, INITRAMFS),
        Seed("initrd.img.gz", _gz(initrd), INITRAMFS),
        Seed("inside.img", initrd, INITRAMFS, _gz),
        Seed("initrd.img.lzo", base64.b85decode(LZO), INITRAMFS),
        Seed("built-in", image + bytes(-len(image) % 8) + initrd + len(initrd).to_bytes(8, "little"), INITRAMFS),
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
        Seed("vmlinux", (SAMPLE / "abi/old/vmlinux").read_bytes(), TYPES + TYPED, folder=typed),
        Seed("a.btf", types_of(open_artifact(SAMPLE / "abi/old/vmlinux")).data, TYPES),
        *(Seed(name, data, ANY) for name, data in packages().items()),
        *(Seed(path.name, path.read_bytes(), (*ANY, ("log", FILE))) for path in (SAMPLE / "logs").glob("*.log")),
    ]  # fmt: skip
    found += _signing(image)
    (scratch / "cert.pem").write_bytes(next((seed.data for seed in found if seed.name == "cert.pem"), b""))
    beside = scratch / "beside"
    beside.mkdir()
    shutil.copy(SAMPLE / "Image", beside / "Image")
    command = (SAMPLE / ".Image.cmd").read_bytes()
    found.append(Seed(".Image.cmd", command, (("diff", "{vmlinux}", "{beside}"),), folder=beside))
    dwarf = (
        ("size", FILE, "--by", "source"), ("size", FILE, "--by", "folder,symbol"), ("vmlinux", FILE), ("check", FILE),
        ("size", FILE), ("diff", FILE, "{different}"),
    )  # fmt: skip
    found += [Seed(f"vmlinux.{form}", compressed_dwarf(form), dwarf) for form in ("zlib", "zstd", "zlib-gnu")]
    (scratch / "different").write_bytes(
        image[:0x10000] + b"\1\2\3\4" + image[0x10004:0x10800] + b"\1" + image[0x10801:]
    )
    split = scratch / "split"
    build_id = (Vmlinux(SAMPLE / "vmlinux").build_id or b"").hex()
    place = split / ".build-id" / build_id[:2] / f"{build_id[2:]}.debug"
    place.parent.mkdir(parents=True)
    (split / "vmlinux").write_bytes(without_dwarf())
    beside_it = tuple(tuple(word.replace(FILE, "{split}") for word in command) for command in dwarf)
    found.append(Seed(place.name, vmlinux, (*beside_it, ("check", "{split}", FILE)), folder=place.parent))
    for path in sorted(tree.glob("modules.*")):
        copy = scratch / "trees" / path.name
        shutil.copytree(tree, copy)
        found.append(Seed(path.name, path.read_bytes(), TEXTS_OF_TREE, folder=copy))
    names = {
        "loads": str(scratch / "loads"), "toy": str(kos[0]), "image": str(SAMPLE / "Image"),
        "vmlinux": str(SAMPLE / "vmlinux"), "oops": str(SAMPLE / "logs/oops.log"),
        "symvers": str(scratch / "Module.symvers"),
        "other": str(SAMPLE / "modules/Module.symvers"),
        "cert": str(scratch / "cert.pem"), "beside": str(beside / "Image"), "tree": str(tree),
        "out": str(scratch / "out"), "typed": str(SAMPLE / "abi/new"), "different": str(scratch / "different"),
        "split": str(split / "vmlinux"), "kallsyms": str(scratch / "kallsyms"),
    }  # fmt: skip
    return found, names


def _fit() -> bytes:
    digest = Toy("hash-1", [("algo", b"crc32\0"), ("value", bytes(4))])
    of_image = Toy("signature-1", [("algo", b"sha256,ecdsa256\0"), ("value", bytes(64))])
    loaded = [("type", b"kernel\0"), ("load", bytes(4)), ("entry", bytes(4)), ("compression", b"gzip\0")]
    kernel = Toy("kernel", [("data", _gz((SAMPLE / "Image").read_bytes())), *loaded], [digest, of_image])
    fdt = Toy("fdt", [("data", (SAMPLE / "dtb/hello.dtb").read_bytes()), ("load", bytes(4))], [digest])
    hashed = [("hashed-nodes", b"/\0/configurations/conf\0/images/kernel\0"), ("hashed-strings", bytes(7) + b"\x20")]
    signed = [("algo", b"sha256,rsa2048\0"), ("padding", b"pss\0"), ("value", bytes(256)), *hashed]
    conf = Toy("conf", [("kernel", b"kernel\0"), ("fdt", b"fdt\0")], [Toy("signature-1", signed)])
    return toy_dtb(Toy("images", [], [kernel, fdt]), Toy("configurations", [("default", b"conf\0")], [conf]))


def _signing(image: bytes) -> list[Seed]:
    """A certificate, and an Image that carries a signature with it. Ed25519 makes the same bytes in each run."""
    if not can_verify():
        return []
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import Encoding
    from cryptography.x509.oid import NameOID

    key, name = (
        Ed25519PrivateKey.from_private_bytes(bytes(32)),
        x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "k")]),
    )
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = builder.serial_number(7).not_valid_before(datetime(2020, 1, 1)).not_valid_after(datetime(2040, 1, 1))
    certificate = builder.sign(key, None)
    message = pkcs7(certificates=der(0xA0, certificate.public_bytes(Encoding.DER)))
    table = struct.pack("<IHH", 8 + len(message), 0x200, 2) + message
    table += bytes(-len(table) % 8)
    # The fifth of the data directories is that of the certificates.
    directory = 0x40 + 4 + size_of(CoffHeader) + size_of(OptionalHeader) + 4 * size_of(DataDirectory)
    data = bytearray(image + table)
    struct.pack_into("<II", data, directory, len(image), len(table))
    pem = certificate.public_bytes(Encoding.PEM)
    reads = (("image", "{image}", "--cert", FILE), ("load", "{loads}", "{toy}", "--cert", FILE))
    return [
        Seed("signed.Image", bytes(data), (*KERNEL, ("image", FILE, "--cert", "{cert}"))),
        Seed("cert.pem", pem, reads),
        Seed("cert.der", certificate.public_bytes(Encoding.DER), reads),
    ]
