"""The table of cases: each row of what load_module() tests, alone and two at a time, for one kernel."""

import random
import struct
from collections.abc import Iterator
from pathlib import Path

from kinspect.schemas import elf
from kinspect.schemas.elf import ElfHeader, Symbol
from kinspect.schemas.module import SIGNATURE_MARKER
from kinspect.schemas.record import build, parse, size_of
from kinspect.views.loader.kernel import TargetKernel
from kinspect.views.loader.load_info import LoadInfo
from tests.load.modules import (
    TRAMPOLINES,
    Given,
    Key,
    new_key,
    openssl,
    real,
    signed_by,
    text,
    toy,
    unsigned,
    with_message,
)
from tests.load.proof import Case
from tests.toy_module import (
    assembled,
    extended,
    header_of,
    number_of,
    objcopied,
    put,
    section_of,
    trailer,
    with_header,
    with_section,
)

GPL_ONLY, FREE = "sysfs_create_bin_file", "_printk"
"""Exports of every kernel: one for the GPL alone, one for all."""
SPACED = {
    "bookworm-cloud": "crypto_cipher_encrypt_one",
    "trixie-cloud": "crypto_cipher_encrypt_one",
    "backports-cloud": "crypto_cipher_setkey",
    "clang-64k": "crypto_cipher_encrypt_one",
}
CRC = 0x12345678


def good(kernel: TargetKernel) -> Iterator[Case]:
    """Modules that load, and what taints they bring."""
    one = Given("toy_one"), Given("toy_two", gpl=True)
    crcs = {given.name: CRC for given in one}
    yield Case("plain", (toy(kernel),))
    yield Case("a symbol of the kernel", (toy(kernel, needs=[FREE, GPL_ONLY]),))
    yield Case("chain", (toy(kernel, "a", exports=one), toy(kernel, "b", needs=crcs, versions=crcs)))
    third = toy(kernel, "c", needs=["toy_three"], versions={"toy_three": CRC})
    second = toy(kernel, "b", needs=crcs, exports=[Given("toy_three")], versions=crcs)
    yield Case("chain of three", (toy(kernel, "a", exports=one), second, third))
    yield Case("weak symbol that is there", (toy(kernel, weak=[FREE]),))
    yield Case("weak symbol that nobody has", (toy(kernel, weak=["toy_nobody"]),))
    yield Case("out of tree", (toy(kernel, intree=None),))
    yield Case("staging", (toy(kernel, staging="Y"), toy(kernel, "b", staging="Y")))
    yield Case("test", (toy(kernel, test="Y"),))
    yield Case("Dual MIT/GPL", (toy(kernel, license="Dual MIT/GPL"),))
    yield Case("another name in .modinfo", (toy(kernel, more='.section .modinfo,"a"\n.asciz "name=other"\n'),))
    yield Case("branch too far", (toy(kernel, needs=[FREE], more=f"    .text\n    bl {FREE} + 0x7fffff0\n"),))
    yield Case("per-CPU data", (toy(kernel, more='    .section .data..percpu, "aw"\n    .quad 1\n'),))
    yield Case("two licences", (toy(kernel, license=("GPL", "Proprietary")),))
    yield Case("extra symbols, no .comment", (objcopied(toy(kernel, needs=[FREE]), "-R", ".comment"),))


def tainting(kernel: TargetKernel) -> Iterator[Case]:
    """Licences; they come late, for what they taint stays."""
    free, gpl = Given("toy_free"), Given("toy_gpl", gpl=True)
    crcs = {"toy_free": CRC, "toy_gpl": CRC}
    owner = toy(kernel, "owner", exports=[free, gpl], license="Proprietary")
    yield Case("proprietary", (toy(kernel, license="Proprietary"),))
    yield Case("no licence", (toy(kernel, license=None),))
    yield Case("a licence that is nearly the GPL", (toy(kernel, license="GPL v3"),))
    yield Case("GPL symbol of the kernel, proprietary", (toy(kernel, needs=[GPL_ONLY], license="Proprietary"),))
    yield Case("weak GPL symbol, proprietary", (toy(kernel, weak=[GPL_ONLY], license="Proprietary"),))
    under_gpl = toy(kernel, "owner", exports=[free, gpl])
    user = toy(kernel, needs=["toy_gpl"], versions=crcs, license="Proprietary")
    yield Case("GPL symbol of a module, proprietary", (under_gpl, user))
    yield Case("proprietary owner", (owner, toy(kernel, needs=["toy_free"], versions=crcs)))
    both = toy(kernel, needs=["toy_free", GPL_ONLY], versions=crcs)
    yield Case("proprietary owner, then GPL", (owner, both))
    both = toy(kernel, needs=[GPL_ONLY, "toy_free"], versions=crcs)
    yield Case("GPL, then proprietary owner", (owner, both))
    yield Case("a name that is known for its licence", (toy(kernel, "lve"),))


def told(kernel: TargetKernel, kind: str) -> Iterator[Case]:
    """What modules say of themselves: names, vermagic, versions, namespaces."""
    after = kernel.vermagic.partition(" ")[2]
    spaced = SPACED[kind]
    space = kernel.exports[spaced].namespace
    yield Case("twice", (toy(kernel), toy(kernel)))
    yield Case("another module of the name", (toy(kernel), toy(kernel, intree=None)))
    yield Case("another release", (toy(kernel, vermagic=f"5.4.0-other {after}"),))
    yield Case("other words in vermagic", (toy(kernel, vermagic=f"{kernel.release} SMP aarch64"),))
    yield Case("vermagic without blanks", (toy(kernel, vermagic="x"),))
    yield Case("empty vermagic", (toy(kernel, vermagic=""),))
    yield Case("no vermagic", (toy(kernel, vermagic=None), toy(kernel, "b", vermagic=None)))
    yield Case("no .modinfo", (objcopied(toy(kernel), "-R", ".modinfo"),))
    yield Case("livepatch", (toy(kernel, livepatch="Y"),))
    yield Case("livepatch, another vermagic", (toy(kernel, livepatch="Y", vermagic="x"),))
    yield Case("livepatch, no licence, again there", (toy(kernel), toy(kernel, livepatch="Y", staging="Y")))
    yield Case("namespace", (toy(kernel, needs=[spaced], import_ns=space),))
    yield Case("second namespace", (toy(kernel, needs=[spaced], import_ns=("OTHER", space)),))
    yield Case("namespace not imported", (toy(kernel, needs=[spaced]),))
    yield Case("another namespace imported", (toy(kernel, needs=[spaced], import_ns=f"{space}X"),))
    yield Case("weak, namespace not imported", (toy(kernel, weak=[spaced]),))
    for name, listed in (("a", True), ("b_c", True), ("b_", True), ("d", False)):
        owner = toy(kernel, "owner", exports=[Given("toy_one", space="module:a,b-*")])
        user = toy(kernel, name, needs=["toy_one"], versions={"toy_one": CRC})
        yield Case(f"module namespace, {'' if listed else 'not '}for {name}", (owner, user))
    yield Case("module namespace imported", (toy(kernel, import_ns="module:a"),))
    yield Case("module namespace imported, and symbol missing", (toy(kernel, import_ns="module:a", needs=["toy_no"]),))
    yield Case("CRC of module_layout", (toy(kernel, versions={"module_layout": 1}),))
    yield Case("CRC of module_layout and vermagic", (toy(kernel, versions={"module_layout": 1}, vermagic="x"),))
    yield Case("CRC of a symbol", (toy(kernel, needs=[FREE], versions={FREE: 1}),))
    yield Case("CRC of a weak symbol", (toy(kernel, weak=[FREE], versions={FREE: 1}),))
    yield Case("no versions", (objcopied(toy(kernel, needs=[FREE]), "-R", "__versions"),))
    other = toy(kernel, "b", needs=[FREE])
    yield Case(
        "no versions, but for another release",
        (objcopied(toy(kernel, vermagic=f"5.4 {after}"), "-R", "__versions"), other),
    )
    symbol = toy(kernel, needs=[FREE, "kfree"])
    yield Case("no CRC for a symbol", (renamed_version(symbol, FREE, b"other"),))
    yield Case("no CRC for module_layout", (renamed_version(symbol, "module_layout", b"other"),))
    yield Case("a name that fills its row", (renamed_version(symbol, FREE, b"x" * 56),))
    wrong = text(kernel, needs=[FREE]) + extended({"module_layout": 1, FREE: 2})
    yield Case("extended versions that are wrong", (assembled(wrong),))
    one_sided = text(kernel, needs=[FREE]) + extended({FREE: 2}).partition(".section __version_ext_names")[0]
    yield Case("extended versions without names", (assembled(one_sided),))
    short = text(kernel) + extended({FREE: 2}) + '    .section __version_ext_crcs, "a"\n    .long 1, 2, 3\n'
    yield Case("extended versions with too few names", (assembled(short),))


def renamed_version(data: bytes, name: str, other: bytes) -> bytes:
    """Another name in the row of `__versions` for one; as it is where there are no versions."""
    if b"\0__versions\0" not in data:
        return data
    section = section_of(data, "__versions")
    start = data.index(name.encode() + b"\0", section.sh_offset)
    return put(data, start, other.ljust(56, b"\0"))


def symbols(kernel: TargetKernel, kind: str) -> Iterator[Case]:
    """Undefined symbols, exports, and two faults at once."""
    owner = toy(kernel, "owner", exports=[Given("toy_one")])
    good_crc, bad = {"toy_one": CRC}, {"toy_one": 1}
    yield Case("missing symbol", (toy(kernel, needs=["toy_nobody"]),))
    yield Case("missing symbols", (toy(kernel, needs=["toy_nobody", FREE, "toy_none"]),))
    yield Case("owner not loaded", (toy(kernel, needs=["toy_one"], versions=good_crc),))
    yield Case("CRC of a module's symbol", (owner, toy(kernel, needs=["toy_one"], versions=bad)))
    yield Case("missing, then CRC", (owner, toy(kernel, needs=["toy_nobody", "toy_one"], versions=bad)))
    yield Case("CRC, then missing", (owner, toy(kernel, needs=["toy_one", "toy_nobody"], versions=bad)))
    yield Case("missing, then namespace", (toy(kernel, needs=["toy_nobody", SPACED[kind]]),))
    yield Case("namespace, then missing", (toy(kernel, needs=[SPACED[kind], "toy_nobody"]),))
    yield Case(
        "weak symbol too far", (toy(kernel, more="    .weak toy_nobody\n    .data\n    .long toy_nobody - .\n"),)
    )
    page = "    .weak toy_nobody\n    .text\n    adrp x0, toy_nobody\n"
    yield Case("weak symbol too far for a page", (toy(kernel, more=page),))
    yield Case("common symbol", (toy(kernel, more="    .comm toy_common, 8, 8\n"),))
    yield Case("common, then missing", (toy(kernel, needs=["toy_nobody"], more="    .comm toy_common, 8, 8\n"),))
    yield Case("common symbol of LTO", (toy(kernel, more="    .comm __gnu_lto_v1, 8, 8\n"),))
    defined = toy(kernel, needs=[FREE], exports=[Given("toy_one")])
    yield Case("symbol in a section that is not", (with_symbol(defined, "toy_one", st_shndx=99),))
    yield Case(
        "symbol in a section that is not, and vermagic",
        (with_symbol(toy(kernel, exports=[Given("toy_one")], vermagic="x"), "toy_one", st_shndx=99),),
    )
    yield Case("symbol of live patching", (with_symbol(defined, "toy_one", st_shndx=0xFF20),))
    yield Case("duplicate of the kernel", (toy(kernel, exports=[Given(FREE)]),))
    yield Case("duplicate of the kernel's GPL symbol", (toy(kernel, exports=[Given(GPL_ONLY)]),))
    yield Case("duplicate of a module", (owner, toy(kernel, exports=[Given("toy_one")])))
    yield Case("duplicate and missing", (toy(kernel, exports=[Given(FREE)], needs=["toy_nobody"]),))
    yield Case("gone again", (owner, toy(kernel, "b", exports=[Given("toy_two")])))
    yield Case("export without CRCs", (objcopied(defined, "-R", "__kcrctab"), toy(kernel, "b", needs=["toy_one"])))
    yield Case("export without flags", (objcopied(defined, "-R", "__kflagstab"),))
    without = objcopied(toy(kernel, exports=[Given("toy_one")], needs=["toy_nobody"]), "-R", "__kflagstab")
    yield Case("export without flags, and missing", (without,))


def with_symbol(data: bytes, name: str, **fields: int) -> bytes:
    """Other fields in the row of a symbol."""
    table, names = section_of(data, ".symtab"), section_of(data, ".strtab")
    size = size_of(Symbol)
    for at in range(table.sh_offset, table.sh_offset + table.sh_size, size):
        row = parse(Symbol, data[at : at + size])
        if data.startswith(name.encode() + b"\0", names.sh_offset + row.st_name):
            return put(data, at, build(row._replace(**fields)))
    raise AssertionError(name)


def memory(kernel: TargetKernel) -> Iterator[Case]:
    """Sections, relocations, room."""
    for name in (".plt", ".init.plt", ".text.ftrace_trampoline", ".init.text.ftrace_trampoline"):
        rows = TRAMPOLINES.split("    .section ")
        left = "    .section ".join(row for row in rows if not row.startswith(f"{name},"))
        yield Case(f"no {name}", (toy(kernel, trampolines=left),))
    rest = toy(kernel, trampolines="")
    yield Case("no .plt, there already", (toy(kernel), rest))
    yield Case("no .plt, vermagic", (toy(kernel, trampolines="", vermagic="x"),))
    yield Case("no .plt, proprietary", (toy(kernel, trampolines="", license="GPL v9"),))
    both = toy(kernel, more='    .section .both, "awx"\n    .quad 0\n')
    yield Case("written and run", (both,))
    yield Case("written and run, there already", (toy(kernel), both))
    one = toy(kernel, needs=[FREE])
    relocation = section_of(one, ".rela.data").sh_offset
    for kind in (1, 255, 281, 311, 1024, 1 << 20):
        yield Case(f"relocation of type {kind}", (put(one, relocation + 8, struct.pack("<I", kind)),))
    yield Case("relocation of no type", (put(one, relocation + 8, struct.pack("<I", 0)),))
    here = "    .data\ntoy_here: .long toy_here - . + 8\n    .globl toy_here\n    .long toy_text - .\n"
    near = toy(kernel, more=here + "    .text\ntoy_text: nop\n")
    relocation = section_of(near, ".rela.data").sh_offset
    for addend in (0, 64, -64, 1 << 40, -(1 << 40)):
        yield Case(f"addend {addend:#x}", (put(near, relocation + 16, struct.pack("<q", addend)),))
    yield Case("32 bits for an address", (put(near, relocation + 8, struct.pack("<I", 258)),))
    yield Case("REL", (rel(near),))
    yield Case("relocations for live patching", (with_section(near, ".rela.data", sh_flags=0x00100040),))
    yield Case("two sections of a name", (toy(kernel, more=twins("toy_part")),))
    yield Case("two sections of a name, one empty", (toy(kernel, more=twins("toy_part", "")),))
    yield Case(
        "two sections of a name, duplicate export", (toy(kernel, more=twins("toy_part"), exports=[Given(FREE)]),)
    )
    constructors = '    .section .ctors, "aw"\n    .section .init_array, "aw"\n'
    yield Case("empty .ctors and .init_array", (toy(kernel, more=constructors),))
    yield Case("three GiB of .bss", (toy(kernel, more="    .bss\n    .zero 0xc0000000\n"),))
    yield Case("no room, vermagic", (toy(kernel, more="    .bss\n    .zero 0xc0000000\n", vermagic="x"),))


def rel(data: bytes) -> bytes:
    return with_section(data, ".rela.data", sh_type=9)


def twins(name: str, contents: str = "    .quad 1\n") -> str:
    """Two sections of one name, which an assembler makes only of different groups."""
    parts = (f'    .section {name}, "aG", %progbits, toy_group_{at}, comdat\n{contents}' for at in (1, 2))
    return "".join(parts)


def broken(kernel: TargetKernel) -> Iterator[Case]:
    """The ELF itself."""
    data = toy(kernel, needs=[FREE], exports=[Given("toy_one")])
    count, names = header_of(data).e_shnum, ".shstrtab"
    yield Case("empty", (b"",))
    yield Case("one byte", (b"\x7f",))
    yield Case("63 bytes", (data[:63],))
    yield Case("64 bytes", (data[:64],))
    yield Case("text", (b"no module at all\n" * 10,))
    yield Case("magic", (with_header(data, e_ident=b"\x7fELG" + data[4:16]),))
    yield Case("32-bit in e_ident", (with_header(data, e_ident=data[:4] + b"\1" + data[5:16]),))
    yield Case("big-endian in e_ident", (with_header(data, e_ident=data[:5] + b"\2" + data[6:16]),))
    for kind in (0, 2, 3, 0x101):
        yield Case(f"e_type {kind}", (with_header(data, e_type=kind),))
    yield Case("machine", (with_header(data, e_machine=62),))
    yield Case("machine and type", (with_header(data, e_machine=62, e_type=2),))
    yield Case("e_shentsize", (with_header(data, e_shentsize=40),))
    yield Case("e_shoff at the end", (with_header(data, e_shoff=len(data)),))
    yield Case("e_shoff at the end, no sections", (with_header(data, e_shoff=len(data), e_shnum=0),))
    yield Case("e_shoff beyond", (with_header(data, e_shoff=1 << 63),))
    yield Case("e_shnum", (with_header(data, e_shnum=0xFFF0),))
    yield Case("one section less", (with_header(data, e_shnum=count - 1),))
    yield Case("e_shstrndx 0", (with_header(data, e_shstrndx=0),))
    yield Case("e_shstrndx beyond", (with_header(data, e_shstrndx=count),))
    yield Case("e_shstrndx of code", (with_header(data, e_shstrndx=number_of(data, ".text")),))
    yield Case("no names", (with_section(data, names, sh_size=0),))
    yield Case("names that do not end", (with_section(data, names, sh_size=section_of(data, names).sh_size - 1),))
    yield Case("names beyond the file", (with_section(data, names, sh_size=1 << 40),))
    yield Case("names of no type", (with_section(data, names, sh_type=0),))
    yield Case("names that are data", (with_section(data, names, sh_type=elf.SHT_PROGBITS),))
    yield Case("section 0 with a type", (with_section(data, 0, sh_type=1),))
    yield Case("section 0 with a large type", (with_section(data, 0, sh_type=0xFFFFFFFF),))
    yield Case("section 0 with a size", (with_section(data, 0, sh_size=1),))
    yield Case("section 0 and e_shstrndx", (with_header(with_section(data, 0, sh_size=1), e_shstrndx=0),))
    yield Case("code beyond the file", (with_section(data, ".text", sh_offset=len(data)),))
    yield Case("code beyond all numbers", (with_section(data, ".text", sh_offset=(1 << 64) - 1, sh_size=4),))
    yield Case(
        "code beyond the file, and e_shstrndx",
        (with_header(with_section(data, ".text", sh_offset=len(data)), e_shstrndx=count),),
    )
    yield Case("name of code", (with_section(data, ".text", sh_name=section_of(data, names).sh_size),))
    yield Case("name of .symtab", (with_section(data, ".symtab", sh_name=section_of(data, names).sh_size),))
    yield Case("two .modinfo", (with_section(data, ".data", sh_name=section_of(data, ".modinfo").sh_name),))
    this = ".gnu.linkonce.this_module"
    later = toy(kernel, more='    .section .later, "aw"\n    .quad 0\n')
    yield Case("two this_module", (with_section(later, ".later", sh_name=section_of(later, this).sh_name),))
    yield Case("no this_module", (with_section(data, this, sh_name=section_of(data, ".data").sh_name),))
    yield Case("this_module not loaded", (with_section(data, this, sh_flags=1),))
    yield Case("this_module not loaded, vermagic", (with_section(toy(kernel, vermagic="x"), this, sh_flags=1),))
    if kernel.has_message("section must have a size set"):
        yield Case("this_module without contents", (with_section(data, this, sh_type=elf.SHT_NOBITS),))
        size = kernel.struct_size or 0
        yield Case("this_module too small", (with_section(data, this, sh_size=size - 64),))
    yield Case("no symbols", (with_section(data, ".symtab", sh_type=elf.SHT_PROGBITS),))
    yield Case(
        "no symbols and no this_module", (with_section(with_section(data, ".symtab", sh_type=1), this, sh_flags=0),)
    )
    yield Case("stripped", (objcopied(data, "--strip-unneeded"),))
    yield Case("two symbol tables", (with_section(data, ".strtab", sh_type=elf.SHT_SYMTAB),))
    yield Case("two symbol tables that link", (with_section(data, ".strtab", sh_type=elf.SHT_SYMTAB, sh_link=1),))
    yield Case("sh_link 0", (with_section(data, ".symtab", sh_link=0),))
    yield Case("sh_link beyond", (with_section(data, ".symtab", sh_link=count),))
    yield Case("sh_link far beyond", (with_section(data, ".symtab", sh_link=0xFFFFFFFF),))
    yield Case("sh_link to code", (with_section(data, ".symtab", sh_link=number_of(data, ".text")),))
    if kernel.has_message("symbol name out of bounds in string table"):
        strings = section_of(data, ".strtab")
        yield Case("no names of symbols", (with_section(data, ".strtab", sh_size=0),))
        yield Case("names of symbols without a first", (put(data, strings.sh_offset, b"x"),))
        yield Case("names of symbols without an end", (with_section(data, ".strtab", sh_size=strings.sh_size - 1),))
        yield Case("name of a symbol", (with_symbol(data, "toy_one", st_name=strings.sh_size),))


def signatures(kernel: TargetKernel, folder: Path, keys: Path) -> Iterator[Case]:
    """Signed, unsigned, touched, signed by a stranger; and broken signatures."""
    data = toy(kernel)
    stranger, curve = new_key(keys, "stranger"), new_key(keys, "curve", "P-256")
    genuine = real(folder, "cordic")
    bare = unsigned(genuine)
    yield Case("genuine", (genuine,))
    yield Case("genuine, twice", (genuine, genuine))
    yield Case("signature taken off", (bare,))
    yield Case("touched", (put(genuine, len(bare) - 200, bytes([genuine[len(bare) - 200] ^ 1])),))
    yield Case("touched, no ELF", (b"X" + genuine[1:],))
    yield Case("touched signature", (put(genuine, len(genuine) - 60, bytes([genuine[-60] ^ 1])),))
    yield Case("a byte behind", (genuine + b"\n",))
    yield Case("of another module", (data + genuine[len(bare) :],))
    yield Case("stranger", (signed_by(stranger, data),))
    yield Case("stranger with a curve", (signed_by(curve, data),))
    yield Case("stranger, touched", (b"\0" + signed_by(stranger, data)[1:],))
    yield Case("stranger, certificate inside", (signed_by(stranger, data, "sha256", "-outform", "DER"),))
    inside = signed_by(stranger, data, "sha256", "-outform", "DER")
    yield Case("stranger, certificate inside, touched", (put(inside, 200, bytes([inside[200] ^ 1])),))
    yield Case("stranger, by key identifier", (signed_by(stranger, data, "sha256", "-nocerts", "-keyid"),))
    yield Case("stranger, vermagic", (signed_by(stranger, toy(kernel, vermagic="x")),))
    yield Case("stranger, sha1", (signed_by(stranger, data, "sha1"),))
    yield Case("stranger over genuine", (signed_by(stranger, genuine),))
    yield Case("genuine over stranger", (signed_by(stranger, data) + genuine[len(bare) :],))
    message = genuine[len(bare) : len(genuine) - len(SIGNATURE_MARKER) - 12]
    yield Case("marker alone", (SIGNATURE_MARKER,))
    yield Case("marker and 12 bytes", (bytes(12) + SIGNATURE_MARKER,))
    yield Case("marker behind the module", (bare + SIGNATURE_MARKER,))
    yield Case("signature of no bytes", (bare + trailer(0),))
    yield Case("signature as long as the file", (bare + trailer(len(bare)),))
    yield Case("signature longer than the file", (bare + trailer(1 << 30),))
    yield Case("signature one byte short", (bare + message[:-1] + trailer(len(message) - 1),))
    yield Case("signature with a byte behind", (bare + message + b"\0" + trailer(len(message) + 1),))
    yield Case("signature one byte long", (bare + message + trailer(len(message) + 1),))
    yield Case("id_type 0", (with_message(bare, message, id_type=0),))
    yield Case("id_type 0, hash", (with_message(bare, message, id_type=0, hash=4),))
    yield Case("hash in the trailer", (with_message(bare, message, hash=4),))
    yield Case("signer_len in the trailer", (with_message(bare, message, signer_len=1),))
    yield Case("no DER", (with_message(bare, b"\xff" * 100),))
    yield Case("a sequence of nothing", (with_message(bare, b"\x30\0"),))
    yield Case("with attributes", (with_attributes(stranger, data),))
    yield Case("data inside", (data_inside(stranger, data),))


def with_attributes(key: Key, data: bytes) -> bytes:
    return with_message(data, _cms(key, data, "-binary", "-nosmimecap", "-nocerts"))


def data_inside(key: Key, data: bytes) -> bytes:
    return with_message(data, _cms(key, data[:100], "-binary", "-noattr", "-nodetach", "-nocerts"))


def _cms(key: Key, data: bytes, *words: str) -> bytes:
    files = ("-signer", str(key.certificate), "-inkey", str(key.key))
    return openssl("cms", "-sign", "-md", "sha256", "-outform", "DER", *files, *words, data=data)


def truncations(folder: Path, count: int = 100) -> Iterator[Case]:
    """A genuine module cut at many places: the ends of its parts, and others drawn by lot."""
    data = real(folder, "cordic")
    chance = random.Random(6)
    header = header_of(data)
    places = {0, 1, 63, 64, header.e_shoff, header.e_shoff + 1, header.e_shoff + 64 * header.e_shnum, len(data) - 1}
    places |= {len(data) - 28, len(data) - 29, len(data) - 40, len(data) - 41, len(unsigned(data))}
    while len(places) < count:
        places.add(chance.randrange(len(data)))
    for place in sorted(places):
        yield Case(f"cut at {place}", (data[:place],))


FLIPPED = ("cordic", "memconsole", "mdio-cavium", "ife", "crc7", "crc-itu-t", "crc8")
"""Small modules without init functions; each kernel has some of them."""
_LEFT_OUT = (
    b".text", b".rodata", b".data", b".bss", b".init", b".exit", b".altinstructions", b"__bug_table", b"__jump_table",
    b"__patchable", b"__ksymtab", b"__kcrctab", b"__kflagstab", b"__ex_table", b".eh_frame", b".BTF", b"__mcount_loc",
    b".rela.altinstructions", b".rela__bug_table", b".rela__jump_table", b".rela__patchable", b".rela__ex_table",
)  # fmt: skip
"""Code and data, and what tells the kernel which code to write over: what comes of a flip there no test decides."""
_KEPT = (b"__ksymtab_strings",)


def flips(kernel: TargetKernel, kind: str, folder: Path, seed: int) -> Iterator[Case]:
    """Unsigned real modules with one bit flipped, without end. What a module is made of is left as it is."""
    chance = random.Random(seed)
    there = [name for name in FLIPPED if next(folder.rglob(f"{name}.ko*"), None)]
    bases = [(name, unsigned(real(folder, name))) for name in there]
    spans = {name: list(flippable(kernel, data)) for name, data in bases}
    while True:
        name, data = chance.choice(bases)
        start, end = chance.choice(spans[name])
        place, bit = chance.randrange(start, end), chance.randrange(8)
        yield Case(f"{name}: bit {bit} at {place:#x}", (put(data, place, bytes([data[place] ^ 1 << bit])),))


def flippable(kernel: TargetKernel, data: bytes) -> Iterator[tuple[int, int]]:
    """Where bits are flipped: the headers, and the sections that tell the kernel what to do with the others."""
    info = LoadInfo(kernel, data)
    yield 0, size_of(ElfHeader)
    header = info.header
    yield header.e_shoff, header.e_shoff + header.e_shnum * header.e_shentsize
    for number, name in enumerate(info.names):
        start, size = info.sections.offsets[number], info.sections.sizes[number]
        if name == b".gnu.linkonce.this_module":
            yield start + 24, start + 24 + 8
        elif name and size and (name in _KEPT or not name.startswith(_LEFT_OUT)) and info.sections.types[number] != 8:
            yield start, start + size
