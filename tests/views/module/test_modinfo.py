"""modinfo to the byte: on every module of the real kernels, and on small ones of our own."""

import lzma
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from kinspect.artifacts.module.ko import Module
from kinspect.errors import MalformedError, UnreadableError, WrongKindError
from kinspect.schemas.module import SIGNATURE_MARKER
from kinspect.views.module.modinfo import SHORT_FIELDS, modinfo
from tests.conftest import Kernel
from tests.toy_module import (
    CN,
    CODE,
    INFO,
    ORGANISATION,
    SIGNER,
    THIS_MODULE,
    TOY,
    assembled,
    der,
    name_part,
    objcopied,
    pkcs7,
    signed,
    trailer,
    written,
)
from tests.toy_module import modinfo as section

Tool = Callable[[str], str]
FIELDS = ("filename", "parm", "parmtype", "alias", "depends", "sig_key", "no such")


def theirs(modinfo: str, *words: str | Path, cwd: Path | None = None) -> bytes:
    return subprocess.run([modinfo, *words], cwd=cwd, capture_output=True, check=False).stdout


def ours(path: str | Path, field: str | None = None, null: bool = False) -> bytes:
    """All that is printed before the first error, as modinfo does."""
    out = b""
    try:
        for line in modinfo(Module(path), field, null):
            out += line.encode("utf-8", "surrogateescape")
    except (MalformedError, WrongKindError):
        return out
    return out


def test_every_module_of_a_kernel(kernel: Kernel, tool: Tool) -> None:
    paths = sorted((kernel.folder / "lib").rglob("*.ko*"))
    modules = [Module(path) for path in paths]
    assert len(modules) > 900
    wanted: list[tuple[tuple[str, ...], str | None, bool]] = [((), None, False), (("-0",), None, True)]
    wanted += [(("-F", field), field, False) for field in FIELDS]
    wanted += [((option,), field, False) for option, field in SHORT_FIELDS.items()]
    found = [b""] * len(wanted)
    # Decompressed once for all of them; theirs decompress each time.
    for module in modules:
        for index, (_, field, null) in enumerate(wanted):
            found[index] += "".join(modinfo(module, field, null)).encode("utf-8", "surrogateescape")
        module.release()
    for (words, _, _), mine in zip(wanted, found, strict=True):
        assert mine == theirs(tool("modinfo"), *words, *paths), words
    assert len(found[0]) > 1_000_000


# fmt: off
CRAFTED: dict[str, tuple[str, ...]] = {
    "as modpost writes it": INFO,
    "nothing": (),
    "one entry": ("license=GPL",),
    "a key alone": ("license", "=value", "=", "a=b=c"),
    "empty values": ("license=", "alias=", "parm=", "parmtype="),
    "values of many lines": (r"description=one\n\ttwo\n", r"parm=p:one\n\ttwo", "parmtype=p:int"),
    "no ASCII": ("author=Jörg Müller <j@m>", r"description=\377\200\033[31m", "schlüssel=wert", "parm=ü:ß"),
    "long keys": ("a12345678901234=15", "a123456789012345=16", "a12345678901234567890=21"),
    "parameters": ("parmtype=a:int", "parm=a:first", "parm=b:second", "parmtype=b:bool"),
    "a parameter without type": ("parm=a:only text", "parm=b:"),
    "a parameter without text": ("parmtype=a:int", "parmtype=b:"),
    "a parameter twice": ("parm=a:one", "parm=b:x", "parm=a:two", "parmtype=a:int", "parmtype=a:uint"),
    "a parameter with colons": ("parm=a:one: two", "parmtype=a:array:of int"),
    "a parameter without a colon": ("parm=a", "parmtype=b", "parm=c:text"),
    "a parameter without a name": ("parm=:text", "parmtype=:int"),
    "parameters among others": ("parm=a:x", "license=GPL", "parmtype=a:int", "alias=z", "alias=y"),
    "keys of the signature": ("sig_id=mine", "signer=me", "license=GPL"),
}
OPTIONS: tuple[tuple[tuple[str, ...], str | None, bool], ...] = (
    ((), None, False), (("-0",), None, True), (("-0", "-F", "parm"), "parm", True),
    *((("-F", field), field, False) for field in ("parm", "parmtype", "license", "alias", "", "a", "sig_id")),
    *(((option,), field, False) for option, field in SHORT_FIELDS.items()),
)
# fmt: on


def agrees(modinfo: str, path: Path) -> None:
    for words, field, null in OPTIONS:
        assert ours(path, field, null) == theirs(modinfo, *words, path), words


@pytest.mark.parametrize("name", CRAFTED)
def test_crafted(name: str, tmp_path: Path, tool: Tool) -> None:
    data = assembled(THIS_MODULE + CODE + section(*CRAFTED[name]))
    agrees(tool("modinfo"), written(tmp_path, data))
    agrees(tool("modinfo"), written(tmp_path, signed(data), "sig_ned-module.ko"))


def raw_section(data: bytes, folder: Path, contents: bytes) -> bytes:
    (folder / "contents").write_bytes(contents)
    return objcopied(data, f"--update-section=.modinfo={folder / 'contents'}")


@pytest.mark.parametrize(
    "contents",
    [b"\0\0a=b\0\0\0c=d\0\0", b"a=b\0c=d", b"a=b", b"\0", b"\0\0\0", b"\0\0\0a", b"aa\0"],
    ids=["padding", "no NUL at the end", "one", "NUL", "NULs", "a last character", "a key"],
)
def test_sections_of_other_makers(contents: bytes, tmp_path: Path, tool: Tool) -> None:
    data = raw_section(assembled(TOY), tmp_path, contents)
    agrees(tool("modinfo"), written(tmp_path, data))


MESSAGE = pkcs7()
MODULE = THIS_MODULE + section(*INFO)
OLD = b"A signer\0more" + b"\x12\x34\xff" + bytes(45)
SIGNATURES: dict[str, bytes] = {
    "sound": signed(b"", MESSAGE),
    "another hash": signed(b"", pkcs7(hashed="2.16.840.1.101.3.4.2.3")),
    "sha224": signed(b"", pkcs7(hashed="2.16.840.1.101.3.4.2.4")),
    "sha1": signed(b"", pkcs7(hashed="1.3.14.3.2.26")),
    "md5": signed(b"", pkcs7(hashed="1.2.840.113549.2.5")),
    "sm3": signed(b"", pkcs7(hashed="1.2.156.10197.1.401")),
    "a hash of no name": signed(b"", pkcs7(hashed="2.16.840.1.101.3.4.2.8")),
    "a key id": signed(b"", pkcs7(key_id=b"\x12\x34")),
    "an empty key id": signed(b"", pkcs7(key_id=b"")),
    "a negative serial": signed(b"", pkcs7(serial=b"\xff\x01")),
    "serial 0": signed(b"", pkcs7(serial=b"\0")),
    "a long serial": signed(b"", pkcs7(serial=bytes(range(1, 61)))),
    "no signature bytes": signed(b"", pkcs7(signature=b"")),
    "one byte": signed(b"", pkcs7(signature=b"\xab")),
    "20 bytes": signed(b"", pkcs7(signature=bytes(20))),
    "21 bytes": signed(b"", pkcs7(signature=bytes(21))),
    "40 bytes": signed(b"", pkcs7(signature=bytes(40))),
    "nameless": signed(b"", pkcs7(issuer=der(0x30, name_part(ORGANISATION, b"Org"), name_part("2.5.4.11", b"Unit")))),
    "name of no ASCII": signed(b"", pkcs7(issuer=der(0x30, name_part(CN, "Schlüssel".encode())))),
    "name in Latin-1": signed(b"", pkcs7(issuer=der(0x30, name_part(CN, "Schlüssel".encode("latin-1"), 0x14)))),
    "name in 16 bits": signed(b"", pkcs7(issuer=der(0x30, name_part(CN, "Key".encode("utf-16-be"), 0x1E)))),
    "two common names": signed(b"", pkcs7(issuer=der(0x30, name_part(CN, b"one"), name_part(CN, b"two")))),
    "certificates": signed(b"", pkcs7(certificates=der(0xA0))),
    "bytes after the message": signed(b"", MESSAGE + b"rest"),
    "bytes before the message": signed(b"", b"rest" + MESSAGE),
    "truncated": signed(b"", MESSAGE[:-1]),
    "not PKCS#7": signed(b"", bytes(50)),
    "of size 0": trailer(0),
    "larger than the file": trailer(1 << 20),
    "of 4 GiB": MESSAGE + trailer((1 << 32) - 1),
    "twice": signed(signed(b"", pkcs7(serial=b"\1")), pkcs7(serial=b"\2")),
    "marker alone": SIGNATURE_MARKER,
    "algo out of range": signed(b"", MESSAGE, algo=2),
    "hash out of range": signed(b"", MESSAGE, hash=9),
    "id_type out of range": signed(b"", MESSAGE, id_type=3),
    "other lengths": signed(b"", MESSAGE, signer_len=3, key_id_len=4),
    "X509": OLD + trailer(45, algo=1, hash=4, id_type=1, signer_len=13, key_id_len=3),
    "PGP": OLD + trailer(45, algo=0, hash=2, id_type=0, signer_len=8, key_id_len=0),
    "X509 without names": OLD + trailer(1, algo=0, hash=8, id_type=1),
}


@pytest.mark.parametrize("name", SIGNATURES)
def test_signatures(name: str, tmp_path: Path, tool: Tool) -> None:
    data = assembled(MODULE) + SIGNATURES[name]
    path = written(tmp_path, data)
    agrees(tool("modinfo"), path)
    for field in ("sig_id", "signer", "sig_key", "sig_hashalgo", "signature"):
        assert ours(path, field) == theirs(tool("modinfo"), "-F", field, path)


def test_names_that_begin_before_the_file(tmp_path: Path, tool: Tool) -> None:
    data = assembled(MODULE)
    for short, told in ((9, False), (10, True)):
        tail = trailer(len(data) - short, id_type=1, hash=4, signer_len=7, key_id_len=3)
        path = written(tmp_path, data + tail)
        agrees(tool("modinfo"), path)
        assert bool(ours(path, "sig_id")) == told


def test_that_the_signatures_are_told(tmp_path: Path) -> None:
    told = {name for name, data in SIGNATURES.items() if ours(written(tmp_path, assembled(MODULE) + data), "sig_id")}
    untold = set(SIGNATURES) - told
    assert "sound" in told
    assert "X509" in told
    assert "serial 0" in told
    assert {"truncated", "a key id", "of size 0", "marker alone", "hash out of range", "not PKCS#7"} <= untold
    assert SIGNER in SIGNATURES["sound"]


BROKEN: dict[str, Callable[[bytes], bytes]] = {
    "no .modinfo": lambda data: objcopied(data, "--remove-section=.modinfo"),
    "no .modinfo, signed": lambda data: signed(objcopied(data, "--remove-section=.modinfo")),
    "truncated": lambda data: data[: len(data) // 2],
    "text": lambda _: b"a module? no, a text that is longer than an ELF header\n" * 3,
}


@pytest.mark.parametrize("name", BROKEN)
def test_the_file_name_comes_before_the_error(name: str, tmp_path: Path, tool: Tool) -> None:
    path = written(tmp_path, BROKEN[name](assembled(TOY)))
    agrees(tool("modinfo"), path)
    with pytest.raises((MalformedError, WrongKindError)):
        list(modinfo(Module(path)))


def test_paths(tmp_path: Path, tool: Tool, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "a folder"
    folder.mkdir()
    (tmp_path / "link").symlink_to(folder)
    data = assembled(TOY)
    (folder / "toy.ko").write_bytes(data)
    os.link(folder / "toy.ko", os.fsencode(folder) + b"/\xff\x1b.ko")
    monkeypatch.chdir(folder)
    for pwd in (folder, tmp_path / "link", tmp_path, "relative", tmp_path / "nothing there"):
        monkeypatch.setenv("PWD", str(pwd))
        for path in ("toy.ko", "./toy.ko", f"../{folder.name}/toy.ko", "../link/toy.ko", os.fsdecode(b"\xff\x1b.ko")):
            assert ours(path) == theirs(tool("modinfo"), path, cwd=folder)
    monkeypatch.delenv("PWD")
    assert ours("toy.ko") == theirs(tool("modinfo"), "toy.ko")


def test_compressed(tmp_path: Path, tool: Tool) -> None:
    path = written(tmp_path, lzma.compress(signed(assembled(TOY))), "toy.ko.xz")
    agrees(tool("modinfo"), path)


@pytest.mark.parametrize("field", [None, "filename"])
def test_a_file_that_is_not_there_has_no_name(field: str | None, tmp_path: Path, tool: Tool) -> None:
    for path in (tmp_path / "nothing.ko", tmp_path):
        assert theirs(tool("modinfo"), "-F", field or "", path) == b""
        with pytest.raises(UnreadableError):
            next(modinfo(Module(path), field))


def test_an_empty_file_has_a_name(tmp_path: Path, tool: Tool) -> None:
    agrees(tool("modinfo"), written(tmp_path, b""))
