"""Modules as artifacts: real trees compared with Module.symvers, nm and modprobe; small ones in every form."""

import gzip
import lzma
import random
import subprocess
import sys
import tracemalloc
from collections.abc import Callable
from functools import reduce
from pathlib import Path

import pytest

from kinspect.artifacts.module import ko as reader
from kinspect.artifacts.module.exports import Export
from kinspect.artifacts.module.ko import Module, Need
from kinspect.errors import KinspectError, MalformedError, UnreadableError, UnsupportedError, WrongKindError
from kinspect.schemas import elf
from tests.conftest import Kernel
from tests.toy_module import (
    CODE,
    CRCS,
    INFO,
    THIS_MODULE,
    TOY,
    VERMAGIC,
    assembled,
    export,
    extended,
    flagged_export,
    modinfo,
    number_of,
    objcopied,
    old_export,
    pkcs7,
    put,
    section_of,
    signed,
    trailer,
    versions,
    with_header,
    with_section,
    written,
)

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

Tool = Callable[[str], str]
FORMS: dict[str, Callable[[bytes], bytes]] = {".gz": gzip.compress, ".xz": lzma.compress, ".zst": zstd.compress}


def modules_of(kernel: Kernel) -> list[Path]:
    found = sorted((kernel.folder / "lib").rglob("*.ko*"))
    assert len(found) > 900
    return found


def some_of(kernel: Kernel) -> list[Path]:
    return random.Random(30).sample(modules_of(kernel), 30)


def plain(path: Path, folder: Path) -> Path:
    """The decompressed module, for tools that do not decompress."""
    if path.suffix != ".xz":
        return path
    return written(folder, lzma.decompress(path.read_bytes()), path.stem)


def toy(folder: Path, *parts: str) -> Module:
    return Module(written(folder, assembled(THIS_MODULE + CODE + modinfo(*INFO) + "".join(parts))))


def test_exports_are_those_of_module_symvers(kernel: Kernel) -> None:
    expected = set()
    for line in (kernel.folder / "Module.symvers").read_text().splitlines():
        crc, name, where, kind, space = line.split("\t")
        if where != "vmlinux":
            expected.add((int(crc, 16), name, where, kind, space))
    found = []
    for path in modules_of(kernel):
        module = Module(path)
        where = str(path).split(f"/{kernel.release}/")[1].split(".ko")[0].removeprefix("kernel/")
        for one in module.exports:
            kind = "EXPORT_SYMBOL_GPL" if one.gpl else "EXPORT_SYMBOL"
            found.append((one.crc or 0, one.name, where, kind, one.namespace))
        module.release()
    assert len(expected) > 2000
    assert sorted(found) == sorted(expected)


def test_needs_are_what_nm_says(kernel: Kernel, tool: Tool, tmp_path: Path) -> None:
    seen = set()
    for path in some_of(kernel):
        shown = subprocess.check_output([tool("aarch64-linux-gnu-nm"), "-u", plain(path, tmp_path)], text=True)
        expected = [tuple(line.split()) for line in shown.splitlines()]
        found = [("w" if need.weak else "U", need.name) for need in Module(path).needs]
        assert sorted(found) == sorted(expected)
        seen.update(found)
    assert len(seen) > 300


@pytest.mark.corpus
def test_versions_are_what_modprobe_says(kernels: tuple[Kernel, Kernel], tool: Tool) -> None:
    for path in some_of(kernels[0]):
        shown = subprocess.check_output([tool("modprobe"), "--dump-modversions", path], text=True)
        found = Module(path).versions
        assert sorted(f"{crc:#010x}\t{name}" for name, crc in found.items()) == sorted(shown.splitlines())
        assert "module_layout" in found


@pytest.mark.corpus
def test_without_modversions_there_are_no_crcs(kernels: tuple[Kernel, Kernel]) -> None:
    for path in some_of(kernels[1]):
        module = Module(path)
        assert module.versions == {}
        assert {one.crc for one in module.exports} <= {None}


def test_a_toy(tmp_path: Path) -> None:
    module = Module(written(tmp_path, signed(assembled(TOY)), "to-y.x.ko.gz"))
    assert module.name == "to_y"
    assert module.values("license") == ["GPL"]
    assert module.modinfo[-1] == ("vermagic", VERMAGIC)
    assert module.needs == (Need("_printk", False), Need("kfree", False))
    assert module.versions == CRCS
    assert module.exports == (Export("toy_open", 7, False, ""),)
    assert module.signature is not None
    assert module.signature.data == pkcs7()
    assert module.header.e_type == elf.ET_REL
    text = module.sections[b".text"]
    assert (text.number, text.header.sh_size) == (number_of(assembled(TOY), ".text"), 8)
    assert module.section(b".text") == bytes(8)[:3] + b"\x94" + bytes(3) + b"\x14"
    assert module.section(b".bss") == module.section(b".nothing") == b""


def test_exports_of_every_age(tmp_path: Path) -> None:
    for parts, expected in (
        (export("toy_open", "__ksymtab_gpl", 9, "TOY"), Export("toy_open", 9, True, "TOY")),
        (export("toy_open", crc=None), Export("toy_open", None, False, "")),
        (old_export("toy_open", 0xFEDCBA98), Export("toy_open", 0xFEDCBA98, True, "")),
        (flagged_export("toy_open", 1), Export("toy_open", None, True, "")),
        (flagged_export("toy_open", 0), Export("toy_open", None, False, "")),
        (flagged_export("toy_open", 2), Export("toy_open", None, False, "")),
        (export("toy_open", crc=3, space="module:a,b-*"), Export("toy_open", 3, False, "module:a,b-*")),
    ):
        assert toy(tmp_path, parts).exports == (expected,)
    both = toy(tmp_path, flagged_export("toy_close", 1), flagged_export("toy_open", 0))
    assert {one.name: one.gpl for one in both.exports} == {"toy_close": True, "toy_open": False}
    assert toy(tmp_path).exports == ()


def test_a_label_is_read_in_its_own_section(tmp_path: Path) -> None:
    """Several sections of one name, as with -ffunction-sections or in unmerged groups."""
    apart = {
        '__ksymtab_strings, "aMS", %progbits, 1': '__ksymtab_strings, "a", %progbits, unique, 1',
        '__ksymtab, "a"': '__ksymtab, "a", %progbits, unique, 2',
        '__kcrctab, "a"': '__kcrctab, "a", %progbits, unique, 3',
        '__kflagstab, "a"': '__kflagstab, "a", %progbits, unique, 4',
    }
    for text, expected in (
        (export("toy_close", crc=9, space="OTHER"), Export("toy_close", 9, False, "OTHER")),
        (flagged_export("toy_close", 1), Export("toy_close", None, True, "")),
    ):
        first = export("toy_open", crc=7, space="ONE") + flagged_export("toy_flag", 0) + "\n.bss\ntoy_flag:\n"
        module = toy(tmp_path, first, reduce(lambda text, one: text.replace(*one), apart.items(), text))
        exports = {export.name: export for export in module.exports}
        assert exports.pop("toy_close") == expected
        assert exports["toy_open"] == Export("toy_open", 7, False, "ONE")
        # By name, the first section is found, as in the kernel and kmod.
        assert module.section(b"__ksymtab_strings").startswith(b"toy_open\0ONE\0")


def test_versions_of_every_age(tmp_path: Path) -> None:
    long = "_R" + "n" * 200
    assert toy(tmp_path).versions == {}
    assert toy(tmp_path, versions({"a" * 55: 0xFFFFFFFF})).versions == {"a" * 55: 0xFFFFFFFF}
    assert toy(tmp_path, extended({long: 5, **CRCS})).versions == {long: 5, **CRCS}
    assert toy(tmp_path, versions(CRCS), extended({long: 5, **CRCS})).versions == {long: 5, **CRCS}


def test_weak_needs(tmp_path: Path) -> None:
    module = toy(tmp_path, "\n.text\n.weak nowhere\nbl nowhere\n")
    assert Need("nowhere", True) in module.needs
    assert Need("kfree", False) in module.needs


@pytest.mark.parametrize("form", FORMS)
def test_compressed_forms_read_the_same(form: str, tmp_path: Path) -> None:
    data = signed(assembled(TOY))
    one = Module(written(tmp_path, data))
    other = Module(written(tmp_path, FORMS[form](data), f"toy.ko{form}"))
    assert other.size != one.size
    for part in ("name", "data", "modinfo", "needs", "exports", "versions", "signature", "sections"):
        assert getattr(other, part) == getattr(one, part)


@pytest.mark.parametrize("form", FORMS)
def test_broken_streams_are_malformed(form: str, tmp_path: Path) -> None:
    data = FORMS[form](assembled(TOY))
    for end in (*range(8, len(data), len(data) // 40), len(data) - 1):
        path = written(tmp_path, data[:end], f"toy.ko{form}")
        with pytest.raises(MalformedError, match="compressed stream") as caught:
            _ = Module(path).modinfo
        assert caught.value.at.path == str(path)
    broken = bytearray(data)
    broken[len(data) // 2] ^= 0xFF
    broken[-5] ^= 0xFF
    with pytest.raises(MalformedError, match="compressed stream"):
        _ = Module(written(tmp_path, bytes(broken), f"toy.ko{form}")).data


@pytest.mark.parametrize("form", FORMS)
def test_a_bomb_is_bounded(form: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reader, "LARGEST_MODULE", 1 << 20)
    path = written(tmp_path, FORMS[form](bytes(64 << 20)), f"toy.ko{form}")
    tracemalloc.start()
    try:
        with pytest.raises(UnsupportedError, match="too large when decompressed"):
            _ = Module(path).data
        # 8 MiB is xz's dictionary.
        assert tracemalloc.get_traced_memory()[1] < 16 << 20
    finally:
        tracemalloc.stop()
    largest = assembled(TOY).ljust(1 << 20, b"\0")
    assert Module(written(tmp_path, FORMS[form](largest), f"toy.ko{form}")).data == largest


def test_files_that_are_not_modules(tmp_path: Path) -> None:
    data = assembled(TOY)
    for wrong in (
        with_header(data, e_machine=62),
        with_header(data, e_type=elf.ET_EXEC),
        put(data, 4, b"\1"),
        put(data, 5, b"\2"),
        b"\0asm" + data[4:],
    ):
        with pytest.raises(WrongKindError):
            _ = Module(written(tmp_path, wrong)).needs
    with pytest.raises(UnreadableError):
        _ = Module(tmp_path).data
    with pytest.raises(UnreadableError):
        _ = Module(tmp_path / "nothing.ko").modinfo


def test_what_is_broken(tmp_path: Path) -> None:
    data = signed(assembled(TOY))
    table, strings = section_of(data, ".symtab"), section_of(data, ".strtab")
    for broken, part in (
        (with_header(data, e_shoff=len(data) - 100), "sections"),
        (with_header(data, e_shoff=(1 << 64) - 1), "sections"),
        (with_header(data, e_shstrndx=999), "sections"),
        (with_header(data, e_shentsize=0), "sections"),
        (with_section(data, ".modinfo", sh_size=1 << 40), "modinfo"),
        (with_section(data, ".symtab", sh_entsize=0), "needs"),
        (with_section(data, ".symtab", sh_size=table.sh_size - 1), "needs"),
        (with_section(data, ".symtab", sh_link=999), "needs"),
        (with_section(data, ".strtab", sh_offset=len(data) - strings.sh_size + 1), "needs"),
        (with_section(data, "__versions", sh_size=65), "versions"),
        (data + trailer(1 << 31), "signature"),
    ):
        with pytest.raises(MalformedError) as caught:
            getattr(Module(written(tmp_path, broken)), part)
        assert caught.value.at.path.endswith("toy.ko")


def test_every_part_of_a_truncated_module_ends_in_an_error_or_is_whole(tmp_path: Path) -> None:
    data = signed(assembled(TOY))
    for index in range(100):
        path = written(tmp_path, data[: len(data) * index // 100])
        for part in ("header", "sections", "modinfo", "needs", "exports", "versions", "signature"):
            try:
                getattr(Module(path), part)
            except KinspectError:
                continue
            assert part in ("header", "signature") or len(data) * index // 100 >= len(assembled(TOY))


def test_release_keeps_what_was_decoded(tmp_path: Path) -> None:
    path = written(tmp_path, assembled(TOY))
    module = Module(path)
    needs, exports = module.needs, module.exports
    module.release()
    path.unlink()
    assert (module.needs, module.exports) == (needs, exports)
    with pytest.raises(UnreadableError):
        _ = module.data


def test_a_stripped_module_needs_nothing(tmp_path: Path) -> None:
    module = Module(written(tmp_path, objcopied(assembled(THIS_MODULE + modinfo(*INFO)), "--strip-all")))
    assert (module.needs, module.exports, module.values("name")) == ((), (), ["toy"])
