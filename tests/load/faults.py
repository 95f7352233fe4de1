"""Faults drawn by lot: one or two at a time in a module of ours, and in the signatures of others.

A fault is a change of a field to a value that means something: an edge of a range, a number of another section, a
name that the kernel knows. None of the modules has an init function.
"""

import random
import struct
from collections.abc import Iterator
from functools import partial
from itertools import product

from kinspect.schemas import elf
from kinspect.schemas.elf import Symbol
from kinspect.schemas.record import build, parse, size_of
from kinspect.views.loader.kernel import TargetKernel
from tests.load.edges import Fault, edge_kinds, number_of_symbol
from tests.load.modules import Given, Key, openssl, signed_by, toy, with_message
from tests.load.proof import Case
from tests.toy_module import put, section_of, trailer, with_header, with_section

PARTS = """
    .text
toy_code: nop
    nop
    bl _printk
    bl toy_code
    b toy_init
    .section .init.text, "ax"
toy_init: nop
    bl toy_code
    .section .rodata, "a"
toy_constant: .quad toy_code, 1
    .data
toy_data: .quad toy_constant, 2, 3, 4
    .long toy_constant - .
    .long toy_data - .
    .bss
toy_zeros: .zero 64
    .section .data..percpu, "aw"
toy_each: .quad 1
    .section .other, ""
toy_unloaded: .quad 1
    .section .note.toy, "a"
    .quad 1
    .set toy_absolute, 0x1234
    .data
    .quad toy_absolute, toy_unloaded, toy_each, toy_zeros
"""
TYPES = (
    *range(256, 294), 299, 0, 1, 311, 1024,
)  # fmt: skip
TARGETS = (
    "toy_code", "toy_init", "toy_constant", "toy_data", "toy_zeros", "toy_each", "toy_unloaded", "toy_absolute",
    "_printk", "",
)  # fmt: skip
ADDENDS = (
    0, 8, -8, 0x7FFF, 0x8000, 0xFFFF, 0x10000, (1 << 20) - 1, 1 << 20, 1 << 27, (1 << 31) - 1, 1 << 32, 1 << 34,
    -(1 << 20), -(1 << 33), 1 << 48, -(1 << 62),
)  # fmt: skip
SECTIONS = (
    ".text", ".init.text", ".rodata", ".data", ".bss", ".data..percpu", ".other", ".modinfo", ".plt", ".init.plt",
    ".gnu.linkonce.this_module", "__ksymtab_strings", ".symtab", ".strtab", ".shstrtab", ".rela.data", ".rela.text",
)  # fmt: skip
ALIGNMENTS = (0, 1, 2, 3, 8, 24, 4096, 1 << 14, 1 << 16, 1 << 20, 1 << 24, 1 << 32, 1 << 63)
FLAGS = (0, 1, 2, 3, 4, 6, 0x200003, 0x100002, 0x10000002)
KINDS = (0, 1, 2, 3, 4, 7, elf.SHT_NOBITS, 9, 14, 0x6FFFFFFF)
NUMBERS = (0, 1, 7, 8, 63, 64, 4095, 4096, 8192, 8193, 1 << 16, 1 << 31, (1 << 32) - 1, 1 << 32, (1 << 64) - 1)
NAMES = ("", "printk", "kernel", "tcp_cubic", "module", "8250", "a/b", "x" * 55, "cordic")
SECTION_NUMBERS = (0, 1, 5, 99, 0xFF00, 0xFF20, elf.SHN_ABS, elf.SHN_COMMON, 0xFFFF)
VALUES = (1, 0xFFFF, 1 << 20, 1 << 27, 1 << 31, 1 << 32, 1 << 47, 1 << 63, (1 << 64) - 1)


NAME = "toy_0000"


def base(kernel: TargetKernel) -> bytes:
    """The module that is changed."""
    return toy(kernel, NAME, needs=["kfree", "_printk"], exports=[Given("toy_one")], more=PARTS)


def numbered(data: bytes, number: int) -> bytes:
    """A module with a name of its own: what the kernel did not get rid of after an oops keeps its name."""
    return data.replace(NAME.encode(), f"toy_{number:04}".encode())


def relocation(data: bytes, table: str, row: int, kind: int, target: str, addend: int) -> bytes:
    start = section_of(data, table).sh_offset + row * 24
    return put(data, start + 8, struct.pack("<QQ", number_of_symbol(data, target) << 32 | kind, addend & (1 << 64) - 1))


def place(data: bytes, table: str, offset: int) -> bytes:
    return put(data, section_of(data, table).sh_offset, struct.pack("<Q", offset))


def symbol(data: bytes, name: str, field: str, number: int) -> bytes:
    start = section_of(data, ".symtab").sh_offset + number_of_symbol(data, name) * size_of(Symbol)
    row = parse(Symbol, data[start : start + size_of(Symbol)])
    return put(data, start, build(row._replace(**{field: number})))


def section(data: bytes, name: str, **fields: int) -> bytes:
    return with_section(data, name, **fields)


def linked(data: bytes, name: str, field: str, number: int) -> bytes:
    return with_section(data, name, **{field: number})


def header(data: bytes, field: str, number: int) -> bytes:
    return with_header(data, **{field: number})


def renamed(data: bytes, name: str) -> bytes:
    start = section_of(data, ".gnu.linkonce.this_module").sh_offset + 24
    return put(data, start, name.encode().ljust(56, b"\0"))


def modinfo(data: bytes, old: bytes, new: bytes) -> bytes:
    start = data.index(old, section_of(data, ".modinfo").sh_offset)
    return put(data, start, new)


def kinds() -> dict[str, list[Fault]]:
    """All faults, by kind."""
    tables = {".rela.data": 3, ".rela.text": 3, ".rela.init.text": 1}
    relocations = product(tables, TYPES, TARGETS, ADDENDS)
    return {
        "relocation": [
            Fault(f"{table} {kind} {target or 'symbol 0'} {addend:+#x}", partial(
                relocation, table=table, row=0, kind=kind, target=target, addend=addend))
            for table, kind, target, addend in relocations
        ],
        "place": [Fault(f"{t} at {n:#x}", partial(place, table=t, offset=n)) for t, n in product(tables, NUMBERS)],
        "alignment": [
            Fault(f"{name} aligned to {n:#x}", partial(section, name=name, sh_addralign=n))
            for name, n in product(SECTIONS, ALIGNMENTS)
        ],
        "flags": [
            Fault(f"{name} flags {n:#x}", partial(section, name=name, sh_flags=n))
            for name, n in product(SECTIONS, FLAGS)
        ],
        "type": [
            Fault(f"{name} type {n:#x}", partial(section, name=name, sh_type=n)) for name, n in product(SECTIONS, KINDS)
        ],
        "size": [
            Fault(f"{name} size {n:#x}", partial(section, name=name, sh_size=n))
            for name, n in product(SECTIONS, NUMBERS)
        ],
        "link": [
            Fault(f"{name} {field} {n:#x}", partial(linked, name=name, field=field, number=n))
            for name, field, n in product(SECTIONS, ("sh_link", "sh_info"), (0, 1, 3, 99, 1 << 31))
        ],
        "name": [Fault(f"named {name!r}", partial(renamed, name=name)) for name in NAMES],
        "symbol": [
            Fault(f"{name} {field} {n:#x}", partial(symbol, name=name, field=field, number=n))
            for name, (field, numbers) in product(
                TARGETS, (("st_shndx", SECTION_NUMBERS), ("st_value", VALUES), ("st_info", (0x10, 0x20, 0xFF))))
            for n in numbers
        ],
        "header": [
            Fault(f"{field} {n:#x}", partial(header, field=field, number=n))
            for field, n in product(("e_flags", "e_version", "e_phnum", "e_ehsize", "e_entry"), (0, 1, 0xFFFF))
        ],
        "modinfo": [
            Fault(f"{old!r} becomes {new!r}", partial(modinfo, old=old, new=new))
            for old, new in ((b"license=GPL", b"license=GPM"), (b"license", b"licence"), (b"intree", b"xntree"),
                             (b"vermagic=", b"vermagik="), (b"name=toy", b"name=toz"))
        ],
        **edge_kinds(),
    }  # fmt: skip


def singles(kernel: TargetKernel, seed: int, count: int) -> Iterator[Case]:
    """Cases with one fault: of each kind in turn, at random, until a kind has no more."""
    chance, found, data = random.Random(seed), kinds(), base(kernel)
    for faults in found.values():
        chance.shuffle(faults)
    left = [faults for faults in found.values() if faults]
    while count and left:
        for faults in [faults for faults in left if faults][:count]:
            fault = faults.pop()
            try:
                changed = fault.apply(numbered(data, count))
            except (StopIteration, ValueError, AssertionError):
                continue  # this kernel's modules have no such part
            count -= 1
            yield Case(fault.name, (changed,))
        left = [faults for faults in left if faults]


def pairs(kernel: TargetKernel, seed: int, count: int) -> Iterator[Case]:
    """Cases with two faults of different kinds."""
    chance, found, data = random.Random(seed), kinds(), base(kernel)
    while count:
        first, second = (chance.choice(found[kind]) for kind in chance.sample(sorted(found), 2))
        try:
            both = second.apply(first.apply(numbered(data, 5000 + count)))
        except (StopIteration, ValueError, AssertionError, struct.error, IndexError):
            continue  # the first fault hides what the second one changes
        count -= 1
        yield Case(f"{first.name}; {second.name}", (both,))


def signatures(kernel: TargetKernel, key: Key, seed: int, count: int) -> Iterator[Case]:
    """A signature by a stranger with a fault in the trailer or in the message, and messages of other kinds."""
    chance, data = random.Random(seed), toy(kernel)
    signed = signed_by(key, data)
    message = signed[len(data) : -len(trailer(0))]
    fields = ("algo", "hash", "id_type", "signer_len", "key_id_len")
    whole = [
        Case(f"{field} {n}", (with_message(data, message, **{field: n}),)) for field in fields for n in (0, 1, 255)
    ]
    whole += [
        Case(f"{size} bytes of {name}", (with_message(data, (start + bytes(size))[:size]),))
        for name, start in (("nothing", b""), ("a message", message), ("SEQUENCE", b"\x30\x83\x01\x00\x00"))
        for size in (1, 12, 65535, 65536, 70000)
    ]
    for name, words in (
        ("attributes", ("-nocerts",)),
        ("attributes, no S/MIME", ("-nocerts", "-nosmimecap")),
        ("certificate and attributes", ("-nosmimecap",)),
        ("data inside", ("-noattr", "-nodetach", "-nocerts")),
        ("another content type", ("-noattr", "-nocerts", "-econtent_type", "1.2.840.113549.1.7.3")),
        ("a key identifier", ("-noattr", "-nocerts", "-keyid")),
    ):
        files = ("-signer", str(key.certificate), "-inkey", str(key.key))
        cms = openssl("cms", "-sign", "-binary", "-md", "sha256", "-outform", "DER", *files, *words, data=data)
        whole.append(Case(name, (with_message(data, cms),)))
    for digest in ("sha1", "sha224", "sha384", "sha512", "md5"):
        whole.append(Case(f"with {digest}", (signed_by(key, data, digest),)))
    enveloped = message.replace(bytes.fromhex("06092a864886f70d010702"), bytes.fromhex("06092a864886f70d010703"), 1)
    whole.append(Case("enveloped", (with_message(data, enveloped),)))
    while len(whole) < count:
        at = chance.randrange(0, 60)
        changed = put(message, at, bytes([message[at] ^ 1 << chance.randrange(8)]))
        whole.append(Case(f"bit of the message at {at}", (with_message(data, changed),)))
    yield from whole[:count]
