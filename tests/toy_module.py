"""Small modules for tests: our own assembly, and signatures written by a DER writer of our own."""

import struct
import subprocess
import tempfile
from functools import cache
from pathlib import Path

from kinspect.schemas.elf import ElfHeader, SectionHeader
from kinspect.schemas.module import SIGNATURE_MARKER, ModuleSignature, ModversionInfo
from kinspect.schemas.record import build, offsets, parse, size_of
from tests.conftest import real_tool

GCC, OBJCOPY = "aarch64-linux-gnu-gcc", "aarch64-linux-gnu-objcopy"
VERMAGIC = "6.1.0 SMP mod_unload modversions aarch64"
CRCS = {"module_layout": 0x12345678, "_printk": 0xDEADBEEF, "kfree": 1}

THIS_MODULE = """
    .section .gnu.linkonce.this_module, "aw"
    .balign 64
    .zero 24
    .asciz "toy"
    .zero 0x380 - 28
"""
CODE = """
    .text
    .globl toy_open
toy_open: bl _printk
toy_close: b kfree
    .data
    .quad toy_close
    .bss
    .zero 100
    .section .init.text, "ax"
    nop
    .section .data..percpu, "aw"
    .zero 8
"""


def modinfo(*pairs: str) -> str:
    return '\n.section .modinfo, "a"\n' + "".join(f'.asciz "{pair}"\n' for pair in pairs)


INFO = ("license=GPL", "depends=", "name=toy", f"vermagic={VERMAGIC}")


def versions(crcs: dict[str, int]) -> str:
    rows = (f'.quad {crc:#x}\n.asciz "{name}"\n.zero {55 - len(name)}\n' for name, crc in crcs.items())
    return '\n.section __versions, "a"\n' + "".join(rows)


def extended(crcs: dict[str, int]) -> str:
    numbers = "".join(f".long {crc:#x}\n" for crc in crcs.values())
    names = "".join(f'.asciz "{name}"\n' for name in crcs)
    return f'\n.section __version_ext_crcs, "a"\n{numbers}\n.section __version_ext_names, "a"\n{names}.byte 0\n'


def export(name: str, section: str = "__ksymtab", crc: int | None = 7, space: str = "") -> str:
    """An export as kernels since 5.19 write it: the CRC lies in `__kcrctab`."""
    return _labels(name, section, space) + (
        f'\n.section {section.replace("__ksymtab", "__kcrctab")}, "a"\n__crc_{name}: .long {crc:#x}\n' if crc else ""
    )


def old_export(name: str, crc: int) -> str:
    """An export as up to 5.18: the CRC is the value of an absolute symbol."""
    return _labels(name, "__ksymtab_gpl", "") + f"\n__crc_{name} = {crc:#x}\n"


def flagged_export(name: str, flags: int) -> str:
    """An export as in 7.x: the licence is a flag."""
    return _labels(name, "__ksymtab", "") + f'\n.section __kflagstab, "a"\n__flags_{name}: .byte {flags}\n'


def _labels(name: str, section: str, space: str) -> str:
    return f"""
    .section __ksymtab_strings, "aMS", %progbits, 1
__kstrtab_{name}: .asciz "{name}"
__kstrtabns_{name}: .asciz "{space}"
    .section {section}, "a"
    .balign 4
__ksymtab_{name}: .long {name} - ., __kstrtab_{name} - ., __kstrtabns_{name} - .
"""


TOY = THIS_MODULE + CODE + modinfo(*INFO) + versions(CRCS) + export("toy_open")


@cache
def assembled(text: str) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "toy.o"
        command = [real_tool(GCC), "-c", "-x", "assembler", "-o", str(out), "-"]
        subprocess.run(command, input=text.encode(), check=True)
        return out.read_bytes()


def objcopied(data: bytes, *words: str) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "toy.o"
        path.write_bytes(data)
        subprocess.run([real_tool(OBJCOPY), *words, str(path)], check=True)
        return path.read_bytes()


def written(folder: Path, data: bytes, name: str = "toy.ko") -> Path:
    path = folder / name
    path.write_bytes(data)
    return path


def header_of(data: bytes) -> ElfHeader:
    return parse(ElfHeader, data[:64])


def with_header(data: bytes, **fields: int | bytes) -> bytes:
    return build(header_of(data)._replace(**fields)) + data[64:]  # type: ignore[arg-type]


def number_of(data: bytes, name: str) -> int:
    """The number of the first section of a name."""
    header = header_of(data)
    rows = [section_of(data, number) for number in range(header.e_shnum)]
    names = data[rows[header.e_shstrndx].sh_offset :]
    return next(n for n, row in enumerate(rows) if names.startswith(name.encode() + b"\0", row.sh_name))


def section_of(data: bytes, which: int | str) -> SectionHeader:
    number = number_of(data, which) if isinstance(which, str) else which
    start = header_of(data).e_shoff + number * size_of(SectionHeader)
    return parse(SectionHeader, data[start : start + size_of(SectionHeader)])


def with_section(data: bytes, which: int | str, **fields: int) -> bytes:
    """Other fields in a section header."""
    number = number_of(data, which) if isinstance(which, str) else which
    start = header_of(data).e_shoff + number * size_of(SectionHeader)
    return put(data, start, build(section_of(data, number)._replace(**fields)))


def put(data: bytes, offset: int, value: bytes) -> bytes:
    assert 0 <= offset <= len(data) - len(value)
    return data[:offset] + value + data[offset + len(value) :]


def in_section(data: bytes, name: str, offset: int, value: bytes) -> bytes:
    """Other bytes in a section."""
    return put(data, section_of(data, name).sh_offset + offset, value)


def version_row(name: str, crc: int) -> bytes:
    return build(ModversionInfo(crc, name.encode().ljust(56, b"\0")))


def der(tag: int, *parts: bytes) -> bytes:
    body = b"".join(parts)
    size = len(body)
    if size < 0x80:
        return bytes([tag, size]) + body
    length = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes([tag, 0x80 | len(length)]) + length + body


def oid(dotted: str) -> bytes:
    first, second, *rest = map(int, dotted.split("."))
    out = b""
    for number in (first * 40 + second, *rest):
        septets = [number & 0x7F]
        while number := number >> 7:
            septets.append(number & 0x7F | 0x80)
        out += bytes(reversed(septets))
    return der(0x06, out)


SHA256, RSA, CN, ORGANISATION = "2.16.840.1.101.3.4.2.1", "1.2.840.113549.1.1.1", "2.5.4.3", "2.5.4.10"
PLAIN, SIGNED = "1.2.840.113549.1.7.1", "1.2.840.113549.1.7.2"


def name_part(kind: str, value: bytes, tag: int = 0x0C) -> bytes:
    return der(0x31, der(0x30, oid(kind), der(tag, value)))


SIGNER = der(0x30, name_part(ORGANISATION, b"Org"), name_part(CN, b"A key"))


def pkcs7(
    issuer: bytes = SIGNER,
    serial: bytes = b"\x00\xf1\xe2",
    key_id: bytes | None = None,
    hashed: str = SHA256,
    algorithm: str = RSA,
    content: str = PLAIN,
    attributes: bytes = b"",
    certificates: bytes = b"",
    signature: bytes = bytes(range(50)),
) -> bytes:
    """A message as sign-file writes it."""
    sid = der(0x30, issuer, der(0x02, serial)) if key_id is None else der(0x80, key_id)
    digest = der(0x30, oid(hashed), der(0x05))
    info = der(
        0x30, der(0x02, b"\1"), sid, digest, attributes, der(0x30, oid(algorithm), der(0x05)), der(0x04, signature)
    )
    signed = der(0x30, der(0x02, b"\1"), der(0x31, digest), der(0x30, oid(content)), certificates, der(0x31, info))
    return der(0x30, oid(SIGNED), der(0xA0, signed))


def trailer(size: int, **fields: int) -> bytes:
    row = ModuleSignature(0, 0, 2, 0, 0, bytes(3), struct.pack(">I", size))._replace(**fields)  # type: ignore[arg-type]
    return build(row) + SIGNATURE_MARKER


def signed(data: bytes, message: bytes | None = None, **fields: int) -> bytes:
    message = pkcs7() if message is None else message
    return data + message + trailer(len(message), **fields)


assert offsets(ModuleSignature)["id_type"] == 2
