"""The facts that kinspect module prints beyond modinfo's, and their text."""

import gzip
import json
import random
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from kinspect.artifacts.module.description import module_facts
from kinspect.artifacts.module.exports import Export
from kinspect.artifacts.module.facts import MemorySizes, NeedFacts, SignatureFacts
from kinspect.artifacts.module.ko import Module
from kinspect.errors import KinspectError
from kinspect.reports.module.facts import document as module_document
from kinspect.reports.module.facts import lines as module_lines
from kinspect.reports.terminal import Style
from tests.conftest import Kernel
from tests.toy_module import (
    CODE,
    CRCS,
    INFO,
    THIS_MODULE,
    TOY,
    assembled,
    export,
    modinfo,
    pkcs7,
    signed,
    trailer,
    versions,
    written,
)

Tool = Callable[[str], str]
NOTE = """
    .section .note.gnu.build-id, "a", %note
    .long 4, 4, 3
    .asciz "GNU"
    .byte 0xde, 0xad, 0xbe, 0xef
"""
PROVIDERS = {"_printk": "vmlinux", "other": "vmlinux"}


def text_of(path: Path, providers: dict[str, str] | None = None) -> str:
    return "\n".join(module_lines(module_facts(Module(path), providers), Style(False))) + "\n"


def test_a_toy(tmp_path: Path) -> None:
    data = signed(assembled(TOY + NOTE))
    packed = gzip.compress(data)
    facts = module_facts(Module(written(tmp_path, packed, "toy.ko.gz")), PROVIDERS)
    assert (facts.name, facts.size, facts.compression, facts.decompressed_size) == (
        "toy",
        len(packed),
        "gzip",
        len(data),
    )
    assert facts.build_id == "deadbeef"
    # Read-only: __ksymtab, its strings, __kcrctab and the note.
    assert facts.memory == MemorySizes(code=8, read_only=12 + 10 + 4 + 20, data=8 + 0x380, bss=100, init=4, per_cpu=8)
    assert facts.memory.kept == 8 + 46 + 8 + 0x380 + 100
    assert facts.exports == (Export("toy_open", 7, False, ""),)
    assert facts.needs == (NeedFacts("_printk", False, 0xDEADBEEF, "vmlinux"), NeedFacts("kfree", False, 1, None))
    assert facts.versions == 3
    assert facts.providers
    size = len(pkcs7())
    assert facts.signature == SignatureFacts("PKCS#7", "A key", "f1e2", "serial", "sha256", "RSA", size, "")
    assert not module_facts(Module(written(tmp_path, data))).providers


def test_signatures_that_cannot_be_read_are_reported(tmp_path: Path) -> None:
    def facts_of(data: bytes) -> SignatureFacts | None:
        return module_facts(Module(written(tmp_path, assembled(TOY) + data))).signature

    assert facts_of(b"") is None
    keyed = facts_of(signed(b"", pkcs7(key_id=b"\1\2")))
    assert keyed is not None
    assert (keyed.key, keyed.key_kind, keyed.signer, keyed.problem) == ("0102", "key id", "", "")
    broken = facts_of(signed(b"", pkcs7()[:-1]))
    assert broken is not None
    assert broken.problem.startswith("PKCS#7: ")
    huge = facts_of(trailer(1 << 31))
    assert huge is not None
    assert huge.problem == "the signature is longer than the file"
    old = facts_of(b"me\1\2sig" + trailer(3, id_type=1, hash=4, algo=1, signer_len=2, key_id_len=2))
    assert old is not None
    assert old[:7] == ("X509", "me", "0102", "key id", "sha256", "RSA", 3)
    odd = facts_of(b"sig" + trailer(3, id_type=77, hash=88, algo=99))
    assert odd is not None
    assert (odd.id_type, odd.hash, odd.algorithm) == ("number 77", "number 88", "number 99")


def test_sizes_in_memory_are_those_of_size(kernel: Kernel, tool: Tool) -> None:
    paths = sorted(path for path in (kernel.folder / "lib").rglob("*.ko"))
    for path in random.Random(5).sample(paths, min(20, len(paths))):
        shown = subprocess.check_output([tool("aarch64-linux-gnu-size"), path], text=True).splitlines()[1]
        module = Module(path)
        facts = module_facts(module)
        unloaded = sum(len(module.section(name)) for name in (b".modinfo", b"__versions"))
        assert sum(facts.memory) + unloaded == int(shown.split()[3])


def test_every_real_module(kernel: Kernel) -> None:
    symvers = (kernel.folder / "Module.symvers").read_text().splitlines()
    providers = {row[1]: row[2] for row in (line.split("\t") for line in symvers)}
    compressions, unknown = set(), 0
    for path in sorted((kernel.folder / "lib").rglob("*.ko*")):
        module = Module(path)
        facts = module_facts(module, providers)
        compressions.add(facts.compression)
        unknown += sum(need.provider is None and not need.weak for need in facts.needs)
        assert facts.build_id is not None
        assert len(facts.build_id) == 40
        assert facts.signature is not None
        assert facts.signature.problem == ""
        assert all((need.crc is None) == (not facts.versions) for need in facts.needs)
        assert len(list(module_lines(facts, Style(False)))) > 10
        document = json.loads(json.dumps(module_document(facts)))
        assert document["modinfo"]["name"] == [facts.name] == [module.name]
        assert sum(map(len, document["modinfo"].values())) == len(module.modinfo)
        module.release()
    assert compressions == {{"bookworm-cloud": "none", "backports-cloud": "xz"}[kernel.name]}
    assert unknown == 0


def test_text(tmp_path: Path) -> None:
    spaced = export("toy_open") + export("toy_close", "__ksymtab_gpl", crc=None, space="TOY")
    code = CODE + "\n.text\n.weak nowhere\nbl nowhere\n"
    data = signed(assembled(THIS_MODULE + code + modinfo(*INFO) + versions(CRCS) + spaced))
    path = written(tmp_path, data)
    assert text_of(path, PROVIDERS).replace(str(path), "PATH").replace(f"{len(data):,}", "SIZE") == EXPECTED
    alone = text_of(path)
    assert "  3 symbols needed, 1 of them weak\n" in alone
    assert "nothing exports" not in alone


EXPECTED = """\
PATH: arm64 module toy, SIZE bytes (4.2 KiB)

  vermagic     6.1.0 SMP mod_unload modversions aarch64
  license      GPL
  build id     none
  compression  none
  in memory    1,068 bytes (1.0 KiB): 12 B code, 52 B read-only data, 904 B data, 100 B .bss
               4 bytes more, freed after init
               8 bytes more for each CPU
  signature    PKCS#7, RSA, sha256, 181 bytes
  signed by    A key
  key          serial f1e2
  versions     CRCs of 3 symbols

  2 exports  license  CRC         namespace
  toy_open   any      0x00000007
  toy_close  GPL      none        TOY

  3 symbols needed, 1 of them weak  symbols
  none                                    2
  vmlinux                                 1
    nothing exports kfree
    nothing exports nowhere (weak)
"""


def test_text_of_little(tmp_path: Path) -> None:
    path = written(tmp_path, assembled('\n.section .modinfo, "a"\n.asciz "name=\\33[31m"\n'), "to\x1by.ko")
    text = text_of(path)
    assert "\x1b" not in text
    for line in (
        "  vermagic     none",
        "  license      none",
        "  build id     none",
        "  compression  none",
        "  in memory    nothing",
        "  signature    none",
        "  versions     none: no MODVERSIONS",
    ):
        assert line in text.splitlines()
    assert "needed" not in text


def test_json(tmp_path: Path) -> None:
    data = signed(assembled(TOY))
    document = module_document(module_facts(Module(written(tmp_path, data)), PROVIDERS))
    assert document["kind"] == "module"
    assert document["exports"] == [{"name": "toy_open", "crc": "0x00000007", "gpl": False, "namespace": ""}]
    assert document["needs"][0] == {"name": "_printk", "weak": False, "crc": "0xdeadbeef", "provider": "vmlinux"}
    assert document["signature"]["signer"] == "A key"
    assert document["memory"]["code"] == 8
    assert document["modinfo"]["license"] == ["GPL"]


def test_a_broken_module_has_no_facts(tmp_path: Path) -> None:
    data = assembled(TOY)
    for end in (0, 63, len(data) // 2, len(data) - 1):
        with pytest.raises(KinspectError):
            module_facts(Module(written(tmp_path, data[:end])))
