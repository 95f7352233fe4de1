"""Each check of a module fails when, and only when, its fault is put in; on real modules none does."""

import lzma
import random
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from kinspect.artifacts.module.description import module_facts
from kinspect.artifacts.module.ko import Module
from kinspect.checks.check import Finding, Severity, run
from kinspect.errors import KinspectError
from kinspect.inspection.report import checks_of
from kinspect.schemas import elf
from kinspect.schemas.elf import ElfHeader, Rela, Symbol
from kinspect.schemas.record import build, parse, size_of
from kinspect.views.module.modinfo import modinfo as modinfo_lines
from tests.conftest import Kernel
from tests.toy_module import (
    CODE,
    CRCS,
    INFO,
    THIS_MODULE,
    TOY,
    VERMAGIC,
    assembled,
    der,
    export,
    extended,
    flagged_export,
    header_of,
    in_section,
    modinfo,
    number_of,
    objcopied,
    old_export,
    pkcs7,
    put,
    section_of,
    signed,
    trailer,
    version_row,
    versions,
    with_header,
    with_section,
    written,
)

TOPICS = ("module.sections", "module.ko", "module.signature")
CHECKS = checks_of(*TOPICS)
Data = Callable[[], bytes]


def findings(module: Module) -> list[Finding]:
    return [finding for check in CHECKS for _, found in run(check, [module]) for finding in found]


def ids(path: Path) -> set[str]:
    found = findings(Module(path))
    return {finding.id + (": undecided" if finding.severity == Severity.UNDECIDED else "") for finding in found}


def toy() -> bytes:
    return assembled(TOY)


def made(
    *info: str, code: str = CODE, crcs: str | None = None, exports: str = export("toy_open"), this: str = THIS_MODULE
) -> bytes:
    return assembled(this + code + modinfo(*info) + (versions(CRCS) if crcs is None else crcs) + exports)


def info(old: str, *new: str) -> bytes:
    """A toy with other entries in place of one of `.modinfo`."""
    assert old in INFO
    return made(*(entry for before in INFO for entry in (new if before == old else (before,))))


def symbol(index: int, **fields: int) -> bytes:
    start = section_of(toy(), ".symtab").sh_offset + index * size_of(Symbol)
    return put(toy(), start, build(parse(Symbol, toy()[start : start + 24])._replace(**fields)))


def relocation(section: str = ".text", data: bytes | None = None, index: int = 0, **fields: int) -> bytes:
    data = data or toy()
    start = section_of(data, f".rela{section}").sh_offset + index * size_of(Rela)
    return put(data, start, build(parse(Rela, data[start : start + 24])._replace(**fields)))


def without(*sections: str) -> bytes:
    return objcopied(toy(), *(f"--remove-section={name}" for name in sections))


def titled(name: str, other: str) -> bytes:
    """A section under the name of another."""
    return with_section(toy(), name, sh_name=section_of(toy(), other).sh_name)


def debugged() -> bytes:
    """A relocation of what is not loaded, of a type for other programs."""
    data = made(*INFO, code=CODE + "\n.section .debug_info\n.quad toy_open\n")
    return relocation(".debug_info", data, r_info=1 << 32 | 9999, r_offset=1 << 40)


LONG = "_R" + "n" * 60
LONG_NEED = CODE + f"\n.text\nbl {LONG}\n"
WEAK_NEED = CODE + "\n.text\n.weak nowhere\nbl nowhere\n"


def symbols() -> int:
    return section_of(toy(), ".symtab").sh_size // size_of(Symbol)


def end() -> int:
    return len(toy())


# fmt: off
FAULTS: dict[str, tuple[Data, set[str]]] = {
    "nothing": (toy, set()),
    "nothing, signed": (lambda: signed(toy()), set()),
    "nothing, as up to 5.18": (lambda: made(*INFO, exports=old_export("toy_open", 5)), set()),
    "nothing, without MODVERSIONS": (
        lambda: made(*INFO[:3], "vermagic=7.3 SMP aarch64", crcs="", exports=flagged_export("toy_open", 1)), set()),

    "not ELF": (lambda: put(toy(), 0, b"\x7fELG"), {"module-is-an-arm64-elf"}),
    "empty": (lambda: b"", {"module-is-an-arm64-elf"}),
    "a header cut short": (lambda: toy()[:63], {"module-is-an-arm64-elf"}),
    "for x86": (lambda: with_header(toy(), e_machine=62), {"module-is-an-arm64-elf"}),
    "of 32 bits": (lambda: put(toy(), 4, b"\1"), {"module-is-an-arm64-elf"}),
    "big-endian": (lambda: put(toy(), 5, b"\2"), {"module-is-an-arm64-elf"}),
    "linked": (lambda: with_header(toy(), e_type=elf.ET_DYN), {"module-is-an-arm64-elf"}),
    "xz cut short": (lambda: lzma.compress(toy())[:-20], {"module-is-an-arm64-elf"}),
    "xz": (lambda: lzma.compress(signed(toy())), set()),

    "truncated": (lambda: toy()[: end() // 2], {"module-section-table-is-sound"}),
    "one byte missing": (lambda: toy()[:-1], {"module-section-table-is-sound"}),
    "section headers of size 1": (lambda: with_header(toy(), e_shentsize=1), {"module-section-table-is-sound"}),
    "e_shoff of 2^64-1": (lambda: with_header(toy(), e_shoff=(1 << 64) - 1), {"module-section-table-is-sound"}),
    "no sections": (lambda: with_header(toy(), e_shnum=0), {"module-section-table-is-sound"}),
    "no e_shstrndx": (lambda: with_header(toy(), e_shstrndx=0), {"module-section-table-is-sound"}),
    "e_shstrndx of no section": (lambda: with_header(toy(), e_shstrndx=999), {"module-section-table-is-sound"}),
    "section 0 of a type": (lambda: with_section(toy(), 0, sh_type=1), {"module-section-table-is-sound"}),
    "section 0 of a size": (lambda: with_section(toy(), 0, sh_size=1), {"module-section-table-is-sound"}),
    "a name outside": (lambda: with_section(toy(), ".data", sh_name=1 << 31), {"module-section-table-is-sound"}),
    "names without an end": (
        lambda: with_section(toy(), ".shstrtab", sh_size=section_of(toy(), ".shstrtab").sh_size - 1),
        {"module-section-table-is-sound"}),
    "names past the end": (
        lambda: with_section(toy(), ".shstrtab", sh_offset=end()), {"module-section-table-is-sound"}),

    "a section past the end": (
        lambda: with_section(toy(), ".data", sh_offset=end() - 7), {"module-sections-are-inside-the-file"}),
    "a section of 2^64-1": (
        lambda: with_section(toy(), ".modinfo", sh_size=(1 << 64) - 1), {"module-sections-are-inside-the-file"}),
    "a section in the signature": (
        lambda: with_section(signed(toy()), ".data", sh_offset=end()), {"module-sections-are-inside-the-file"}),
    "symbols past the end": (
        lambda: with_section(toy(), ".symtab", sh_offset=end()), {"module-sections-are-inside-the-file"}),
    "a large .bss": (lambda: with_section(toy(), ".bss", sh_size=1 << 40), set()),

    "stripped": (lambda: with_section(toy(), ".symtab", sh_type=1), {"module-symbol-table-is-sound"}),
    "two symbol tables": (lambda: with_section(toy(), ".data", sh_type=2), {"module-symbol-table-is-sound"}),
    "symbols of 16 bytes": (lambda: with_section(toy(), ".symtab", sh_entsize=16), {"module-symbol-table-is-sound"}),
    "half a symbol": (lambda: with_section(toy(), ".symtab", sh_size=36), {"module-symbol-table-is-sound"}),
    "symbols without strings": (lambda: with_section(toy(), ".symtab", sh_link=0), {"module-symbol-table-is-sound"}),
    "strings of no section": (lambda: with_section(toy(), ".symtab", sh_link=999), {"module-symbol-table-is-sound"}),
    "strings of another type": (
        lambda: with_section(toy(), ".symtab", sh_link=number_of(toy(), ".text")), {"module-symbol-table-is-sound"}),
    "strings without a beginning": (lambda: in_section(toy(), ".strtab", 0, b"x"), {"module-symbol-table-is-sound"}),
    "strings without an end": (
        lambda: in_section(toy(), ".strtab", section_of(toy(), ".strtab").sh_size - 1, b"x"),
        {"module-symbol-table-is-sound"}),
    "no strings": (lambda: with_section(toy(), ".strtab", sh_size=0), {"module-symbol-table-is-sound"}),
    "a symbol's name outside": (lambda: symbol(1, st_name=1 << 31), {"module-symbol-table-is-sound"}),
    "a symbol's name right after": (
        lambda: symbol(1, st_name=section_of(toy(), ".strtab").sh_size), {"module-symbol-table-is-sound"}),
    "a symbol's name the last NUL": (
        lambda: symbol(1, st_name=section_of(toy(), ".strtab").sh_size - 1), set()),

    "no this_module": (lambda: without(".gnu.linkonce.this_module"), {"this-module-is-sound"}),
    "two of this_module": (lambda: titled(".data", ".gnu.linkonce.this_module"), {"this-module-is-sound"}),
    "this_module not written": (
        lambda: with_section(toy(), ".gnu.linkonce.this_module", sh_flags=2), {"this-module-is-sound"}),
    "this_module not loaded": (
        lambda: with_section(toy(), ".gnu.linkonce.this_module", sh_flags=1), {"this-module-is-sound"}),
    "this_module not in the file": (
        lambda: with_section(toy(), ".gnu.linkonce.this_module", sh_type=8), {"this-module-is-sound"}),
    "this_module of another size": (
        lambda: with_section(toy(), ".gnu.linkonce.this_module", sh_size=100), {"this-module-is-sound"}),

    "no .modinfo": (lambda: without(".modinfo"), {"module-has-one-modinfo"}),
    "two of .modinfo": (lambda: titled(".data", ".modinfo"), {"module-has-one-modinfo"}),

    "a common symbol": (
        lambda: made(*INFO, code=CODE + "\n.comm shared, 8, 8\n"), {"module-has-no-common-symbols"}),

    "a relocation of another type": (
        lambda: relocation(r_info=(1 << 32) | 1024), {"module-relocations-are-sound"}),
    "a relocation of type 281": (lambda: relocation(r_info=(1 << 32) | 281), {"module-relocations-are-sound"}),
    "a relocation of type 2^16 + 257": (
        lambda: relocation(r_info=(1 << 32) | 0x10101), {"module-relocations-are-sound"}),
    "a relocation of nothing": (lambda: relocation(r_info=(1 << 32)), set()),
    "a relocation without a symbol": (
        lambda: relocation(r_info=(symbols() << 32) | 283), {"module-relocations-are-sound"}),
    "a relocation of the last symbol": (lambda: relocation(r_info=((symbols() - 1) << 32) | 283), set()),
    "a relocation after its section": (lambda: relocation(r_offset=8), {"module-relocations-are-sound"}),
    "a relocation of 2^64-1": (lambda: relocation(r_offset=(1 << 64) - 1), {"module-relocations-are-sound"}),
    "relocations of no section": (
        lambda: with_section(toy(), ".rela.text", sh_info=999), {"module-relocations-are-sound"}),
    "relocations of section 0": (
        lambda: with_section(toy(), ".rela.text", sh_info=0), {"module-relocations-are-sound"}),
    "relocations of other symbols": (
        lambda: with_section(toy(), ".rela.text", sh_link=1), {"module-relocations-are-sound"}),
    "relocations of 16 bytes": (
        lambda: with_section(toy(), ".rela.text", sh_entsize=16), {"module-relocations-are-sound"}),
    "half a relocation": (lambda: with_section(toy(), ".rela.text", sh_size=36), {"module-relocations-are-sound"}),
    "relocations without addends": (
        lambda: with_section(toy(), ".rela.text", sh_type=9), {"module-relocations-are-sound"}),
    "relocations of debug information": (debugged, set()),

    "another name inside": (
        lambda: in_section(toy(), ".gnu.linkonce.this_module", 24, b"tow"), {"module-name-is-the-file-name"}),
    "no name inside": (
        lambda: in_section(toy(), ".gnu.linkonce.this_module", 24, b"\0\0\0"), {"module-name-is-the-file-name"}),
    "another name in .modinfo": (lambda: info("name=toy", "name=tow"), {"module-name-is-the-file-name"}),
    "no name in .modinfo": (lambda: info("name=toy"), set()),

    "no vermagic": (lambda: info(INFO[3]), {"module-has-a-vermagic"}),
    "two of vermagic": (lambda: info(INFO[3], INFO[3], INFO[3]), {"module-has-a-vermagic"}),
    "vermagic of x86": (
        lambda: info(INFO[3], "vermagic=6.1 SMP mod_unload modversions "), {"module-has-a-vermagic"}),
    "vermagic with a seed": (lambda: info(INFO[3], INFO[3] + " RANDSTRUCT_0123"), set()),

    "no license": (lambda: info(INFO[0]), {"module-has-a-license"}),
    "an empty license": (lambda: info(INFO[0], "license="), {"module-has-a-license"}),
    "a license of its own": (
        lambda: info(INFO[0], "license=Proprietary"), {"module-license-is-gpl-compatible"}),
    "a first license of its own": (
        lambda: info(INFO[0], "license=XPL", "license=GPL"), {"module-license-is-gpl-compatible"}),
    "two licenses": (lambda: info(INFO[0], "license=Dual BSD/GPL", "license=XPL"), set()),

    "no versions": (lambda: made(*INFO, crcs=""), {"module-versions-are-there"}),
    "an export without a CRC": (
        lambda: made(*INFO, exports=export("toy_open") + export("toy_close", crc=None)), {"module-versions-are-there"}),
    "no versions, and none wanted": (
        lambda: made(*INFO[:3], "vermagic=6.1 SMP aarch64", crcs="", exports=export("toy_open", crc=None)), set()),

    "a version too many": (
        lambda: made(*INFO, crcs=versions({**CRCS, "kmalloc": 1})), {"module-versions-are-the-needs"}),
    "a version missing": (
        lambda: made(*INFO, crcs=versions({"module_layout": 1, "kfree": 1})), {"module-lacks-no-versions"}),
    "no module_layout": (
        lambda: made(*INFO, crcs=versions({"_printk": 1, "kfree": 1})), {"module-lacks-no-versions"}),
    "half a version": (
        lambda: with_section(toy(), "__versions", sh_size=96), {"module-versions-are-the-needs"}),
    "versions in another order": (lambda: made(*INFO, crcs=versions(dict(reversed(CRCS.items())))), set()),
    "a weak need without a version": (lambda: made(*INFO, code=WEAK_NEED), set()),
    "a weak need with one": (lambda: made(*INFO, code=WEAK_NEED, crcs=versions({**CRCS, "nowhere": 1})), set()),

    "extended versions": (lambda: made(*INFO, crcs=versions(CRCS) + extended(CRCS)), set()),
    "extended versions alone": (lambda: made(*INFO, crcs=extended(CRCS)), set()),
    "a long name": (
        lambda: made(*INFO, code=LONG_NEED, crcs=versions(CRCS) + extended({**CRCS, LONG: 9})), set()),
    "a long name without a CRC": (
        lambda: made(*INFO, code=LONG_NEED, crcs=versions(CRCS) + extended(CRCS)),
        {"module-extended-versions-are-sound"}),
    "extended names alone": (
        lambda: objcopied(made(*INFO, crcs=versions(CRCS) + extended(CRCS)), "--remove-section=__version_ext_crcs"),
        {"module-extended-versions-are-sound"}),
    "extended CRCs alone": (
        lambda: objcopied(made(*INFO, crcs=versions(CRCS) + extended(CRCS)), "--remove-section=__version_ext_names"),
        {"module-extended-versions-are-sound"}),
    "fewer extended CRCs": (
        lambda: with_section(made(*INFO, crcs=versions(CRCS) + extended(CRCS)), "__version_ext_crcs", sh_size=8),
        {"module-extended-versions-are-sound"}),
    "extended CRCs of 3 bytes": (
        lambda: with_section(made(*INFO, crcs=versions(CRCS) + extended(CRCS)), "__version_ext_crcs", sh_size=11),
        {"module-extended-versions-are-sound"}),
    "extended names without an end": (
        lambda: with_section(made(*INFO, crcs=versions(CRCS) + extended(CRCS)), "__version_ext_names",
                             sh_size=len("module_layout__printk_kfree")),
        {"module-extended-versions-are-sound"}),
    "an extended CRC of another value": (
        lambda: made(*INFO, crcs=versions(CRCS) + extended({**CRCS, "kfree": 2})),
        {"module-extended-versions-are-sound"}),
    "an extended version too many": (
        lambda: made(*INFO, crcs=versions(CRCS) + extended({**CRCS, "kmalloc": 2})),
        {"module-extended-versions-are-sound"}),
    "a version too many beside extended ones": (
        lambda: made(*INFO, crcs=versions({**CRCS, "kmalloc": 2}) + extended(CRCS)), {"module-versions-are-the-needs"}),

    "a namespace": (lambda: made(*INFO, "import_ns=CXL", exports=export("toy_open", space="TOY")), set()),
    "an export for modules": (lambda: made(*INFO, exports=export("toy_open", space="module:kvm,kvm-*")), set()),
    "an import of module:": (
        lambda: made(*INFO, "import_ns=module:kvm"), {"module-namespaces-are-not-imported"}),
    "an import in quotes": (lambda: made(*INFO, r"import_ns=\"CXL\""), {"namespaces-are-plain-names"}),
    "an empty import": (lambda: made(*INFO, "import_ns="), {"namespaces-are-plain-names"}),
    "an export in quotes": (
        lambda: made(*INFO, exports=export("toy_open", space=r"\"TOY\"")), {"namespaces-are-plain-names"}),

    "a signature of size 0": (lambda: toy() + trailer(0), {"signature-trailer-is-sound"}),
    "a signature larger than the file": (lambda: toy() + trailer(1 << 20), {"signature-trailer-is-sound"}),
    "a marker behind zeros": (lambda: toy() + bytes(12) + trailer(0)[12:], {"signature-trailer-is-sound"}),
    "a signature of 2015": (lambda: signed(toy(), None, id_type=1), {"signature-trailer-is-sound"}),
    "a hash in the trailer": (lambda: signed(toy(), None, hash=4), {"signature-trailer-is-sound"}),
    "a name in the trailer": (lambda: signed(toy(), None, signer_len=4), {"signature-trailer-is-sound"}),

    "a signature cut short": (lambda: signed(toy(), pkcs7()[:-1]), {"signature-message-is-sound"}),
    "a signature too long": (lambda: signed(toy(), pkcs7() + b"\0"), {"signature-message-is-sound"}),
    "one byte too few stated": (
        lambda: toy() + pkcs7() + trailer(len(pkcs7()) - 1), {"signature-message-is-sound"}),
    "one byte too many stated": (
        lambda: toy() + pkcs7() + trailer(len(pkcs7()) + 1),
        {"signature-message-is-sound"}),
    "an indefinite length": (
        lambda: signed(toy(), b"\x30\x80" + pkcs7()[3:] + b"\0\0"), {"signature-message-is-sound"}),
    "no signature but bytes": (lambda: signed(toy(), bytes(100)), {"signature-message-is-sound"}),
    "a signature of other data": (
        lambda: signed(toy(), pkcs7(content="1.3.6.1.4.1.311.2.1.4")), {"signature-message-is-sound"}),
    "signed attributes": (
        lambda: signed(toy(), pkcs7(attributes=der(0xA0))), {"signature-message-is-sound"}),
    "signed attributes of ML-DSA": (
        lambda: signed(toy(), pkcs7(attributes=der(0xA0), algorithm="2.16.840.1.101.3.4.3.18")), set()),
    "a key id": (lambda: signed(toy(), pkcs7(key_id=b"\1\2")), set()),
    "ECDSA": (lambda: signed(toy(), pkcs7(algorithm="1.2.840.10045.4.3.2")), set()),

    "signed twice": (lambda: signed(signed(toy())), {"module-is-signed-once"}),
    "signed again over nonsense": (lambda: signed(toy() + trailer(5)), {"module-is-signed-once"}),

    "a byte after the module": (lambda: toy() + b"\0", {"nothing-follows-the-module"}),
    "a signature cut off": (lambda: signed(toy())[:-1], {"signature-trailer-is-whole"}),
    "a signature cut in its message": (lambda: signed(toy())[:-60], {"signature-trailer-is-whole"}),
    "a signature with another line end": (lambda: signed(toy())[:-1] + b"\r\n", {"signature-trailer-is-whole"}),
    "a newline after the signature": (lambda: signed(toy()) + b"\n", {"signature-trailer-is-whole"}),
    "nothing but the beginning of a signature": (lambda: toy() + pkcs7()[:8], {"nothing-follows-the-module"}),
    "a byte before the signature": (lambda: signed(toy() + b"\n"), {"nothing-follows-the-module"}),
}
# fmt: on


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_found_and_nothing_else(name: str, tmp_path: Path) -> None:
    data, expected = FAULTS[name]
    assert ids(written(tmp_path, data())) == expected


def test_every_check_has_a_fault() -> None:
    assert {found for _, expected in FAULTS.values() for found in expected} == {check.id for check in CHECKS}


def test_the_module_is_named_after_its_file(tmp_path: Path) -> None:
    for name in ("toy.ko", "toy.ko.gz", "toy.x.ko"):
        assert ids(written(tmp_path, toy(), name)) == set()
    for name in ("toys.ko", "to-y.ko", "Toy.ko"):
        assert ids(written(tmp_path, toy(), name)) == {"module-name-is-the-file-name"}
    dashed = toy().replace(b"toy\0".ljust(20, b"\0"), b"t_y\0".ljust(20, b"\0")).replace(b"name=toy", b"name=t_y")
    assert ids(written(tmp_path, dashed, "t-y.ko")) == set()


def test_messages_and_places(tmp_path: Path) -> None:
    def only(data: bytes) -> Finding:
        (found,) = findings(Module(written(tmp_path, data)))
        return found

    found = only(with_header(toy(), e_machine=62))
    assert "for x86-64, not an arm64 module: found class 2, data 1, machine 62" in str(found)
    assert found.evidence.at[0].offset == 4
    found = only(with_section(toy(), ".data", sh_offset=end() - 7))
    assert ".data ends past the file" in str(found)
    start = header_of(toy()).e_shoff + number_of(toy(), ".data") * 64
    assert found.evidence.at[0].offset == start + 24
    assert (found.evidence.expected, found.evidence.actual) == (f"at most {end():,}", end() + 1)
    found = only(relocation(r_info=(symbols() << 32) | 283))
    assert found.evidence.at[0].offset == section_of(toy(), ".rela.text").sh_offset
    assert (found.evidence.expected, found.evidence.actual) == (f"below {symbols():,}", symbols())
    found = only(in_section(toy(), ".gnu.linkonce.this_module", 24, b"tow"))
    assert (found.evidence.expected, found.evidence.actual) == ("toy", "tow")
    assert found.evidence.at[0].offset == section_of(toy(), ".gnu.linkonce.this_module").sh_offset + 24
    found = only(signed(toy(), None, hash=4))
    assert found.evidence.at[0].offset == end() + len(pkcs7()) + 1
    found = only(made(*INFO, crcs=versions({**CRCS, "kmalloc": 1})))
    assert "CRC of kmalloc" in str(found)


def test_version_rows_are_what_assembly_makes() -> None:
    start = section_of(toy(), "__versions").sh_offset
    assert toy()[start : start + 64] == version_row("module_layout", CRCS["module_layout"])
    assert VERMAGIC.encode() in toy()


def test_severities() -> None:
    found = {check.id: check.severity for check in CHECKS}
    assert {one for one, severity in found.items() if severity == Severity.INFO} == {"module-license-is-gpl-compatible"}
    assert {one for one, severity in found.items() if severity == Severity.WARNING} == {
        "namespaces-are-plain-names",
        "module-lacks-no-versions",
        "module-is-signed-once",
        "nothing-follows-the-module",
    }


def test_every_check_has_a_page() -> None:
    for check in CHECKS:
        assert len(check.title) < 121, check.id
        assert "Source: " in check.doc


def test_nothing_is_found_in_the_modules_of_the_sample(sample: Path) -> None:
    paths = sorted((sample / "modules").rglob("*.ko*"))
    assert len(paths) == 4
    assert [str(found) for path in paths for found in findings(Module(path))] == []


def test_nothing_is_found_in_real_modules(kernel: Kernel) -> None:
    paths = sorted((kernel.folder / "lib").rglob("*.ko*"))
    assert len(paths) > 900
    found = []
    for path in paths:
        module = Module(path)
        found += findings(module)
        module.release()
    assert found == []


def everything_of(path: Path) -> None:
    """Ask all there is to ask of a module."""
    for question in (
        lambda: list(modinfo_lines(Module(path))),
        lambda: module_facts(Module(path)),
        lambda: Module(path).exports,
        lambda: Module(path).needs,
        lambda: Module(path).versions,
        lambda: Module(path).signature,
        lambda: Module(path).sections,
    ):
        with suppress(KinspectError):
            question()
    findings(Module(path))


def every_truncation(path: Path, folder: Path) -> None:
    """Cut a module at every hundredth of its size: it ends before its section headers, or within its ELF header."""
    data, stored = Module(path).data, path.read_bytes()
    name = f"{path.name.partition('.')[0]}.ko"
    for index in range(100):
        cut = written(folder, data[: len(data) * index // 100], name)
        everything_of(cut)
        whole_header = cut.stat().st_size >= size_of(ElfHeader)
        assert ids(cut) == {"module-section-table-is-sound" if whole_header else "module-is-an-arm64-elf"}
    if stored != data:
        for index in range(0, 100, 10):
            cut = written(folder, stored[: len(stored) * index // 100], path.name)
            everything_of(cut)
            assert ids(cut) == {"module-is-an-arm64-elf"}


@pytest.mark.parametrize("name", ["hello-door.ko", "hello_bell.ko.xz"])
def test_truncations_of_a_module_of_the_sample(name: str, sample: Path, tmp_path: Path) -> None:
    (path,) = (sample / "modules").rglob(name)
    every_truncation(path, tmp_path)


def test_truncations_of_a_real_module(kernel: Kernel, tmp_path: Path) -> None:
    every_truncation(next(path for path in sorted((kernel.folder / "lib").rglob("dm-mod.ko*"))), tmp_path)


def test_changed_bytes(tmp_path: Path) -> None:
    whole = signed(made(*INFO, "parm=a:b", crcs=versions(CRCS) + extended(CRCS)))
    chance = random.Random(20)
    header, table = range(64), range(header_of(whole).e_shoff, header_of(whole).e_shoff + 64 * 20)
    for _ in range(600):
        data = bytearray(whole)
        where = chance.choice((header, table, range(len(whole)), range(len(whole) - 300, len(whole))))
        for _ in range(chance.choice((1, 1, 2, 8))):
            data[chance.choice(where) % len(data)] = chance.choice((0, 1, 0x7F, 0x80, 0xFF, chance.randrange(256)))
        everything_of(written(tmp_path, bytes(data)))
