"""Metadata of Android Verified Boot: right as avbtool writes it; each fault gives its finding."""

import random
import struct
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

import kinspect
from kinspect.errors import KinspectError
from kinspect.inspection import unpack as unpacking
from kinspect.reports.verdict import verdict
from kinspect.views.android.avb import VbmetaFacts
from kinspect.views.signing import verification
from tests.conftest import SAMPLE
from tests.support import optional_tool
from tests.toy_android import descriptor, hash_descriptor, vbmeta
from tests.toy_boot import avb_footer, boot_image

BOOT = boot_image(2, (SAMPLE / "Image").read_bytes(), b"ramdisk", (SAMPLE / "dtb" / "hello.dtb").read_bytes())
SIZE = 1 << 18
CMDLINE = descriptor(3, struct.pack(">II", 1, 3) + b"a=b")
GOOD = vbmeta(hash_descriptor(BOOT))
SIGNED = vbmeta(hash_descriptor(BOOT), signed=True)
FOOTER = SIZE - 64


def patched(data: bytes, offset: int, value: bytes) -> bytes:
    return data[:offset] + value + data[offset + len(value) :]


def partition(metadata: bytes) -> bytes:
    return avb_footer(BOOT, metadata, SIZE)


FAULTS: dict[str, tuple[bytes, set[str]]] = {
    "sha256": (partition(GOOD), set()),
    "sha512": (partition(vbmeta(hash_descriptor(BOOT, "sha512"))), set()),
    "no salt": (partition(vbmeta(hash_descriptor(BOOT, salt=b""))), set()),
    "other descriptors": (
        partition(
            vbmeta(hash_descriptor(BOOT), descriptor(9, b"new"), descriptor(3, struct.pack(">II", 1, 3) + b"a=b"))
        ),
        set(),
    ),
    "another image": (partition(vbmeta(hash_descriptor(b"more" + BOOT[4:]))), {"avb-hash-matches"}),
    "a part of the image": (partition(vbmeta(hash_descriptor(BOOT[:4096]))), {"avb-hash-matches"}),
    "more than the image": (partition(vbmeta(hash_descriptor(BOOT + bytes(SIZE)))), {"avb-hash-matches"}),
    "no magic number": (partition(b"AVB1" + GOOD[4:]), {"avb-metadata-is-readable"}),
    "a descriptor past its block": (
        partition(patched(GOOD, 256 + 8, struct.pack(">Q", 1 << 20))),
        {"avb-metadata-is-readable"},
    ),
    "a salt past its descriptor": (
        partition(patched(GOOD, 256 + 16 + 44, struct.pack(">I", 1 << 30))),
        {"avb-metadata-is-readable"},
    ),
    "another hash": (
        partition(patched(SIGNED, 256, b"\xff\xff\xff")),
        {"avb-metadata-hash-matches", "avb-signature-is-by-its-key"},
    ),
    "another key": (partition(SIGNED), {"avb-signature-is-by-its-key"}),
    "an image that ends past its metadata": (
        patched(partition(vbmeta(descriptor(9, b""))), FOOTER + 12, struct.pack(">Q", SIZE)),
        {"avb-footer-fits-the-image"},
    ),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_gives_its_findings_and_no_other(name: str, tmp_path: Path) -> None:
    data, expected = FAULTS[name]
    path = tmp_path / "boot.img"
    path.write_bytes(data)
    found = {finding.id for finding in unpacking.part_verdict(path).findings}
    assert found == {finding.id for finding in kinspect.check(path).findings} == expected


def test_without_the_library_nothing_is_verified(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kinspect.views.android.avb.can_verify", lambda: False)
    monkeypatch.setattr("kinspect.reports.android.avb.can_verify", lambda: False)
    path = tmp_path / "vbmeta.img"
    path.write_bytes(SIGNED)
    report = unpacking.parts(path)
    assert report.findings == ()
    assert str(verdict(report)).endswith("; AVB signature not verified (needs kinspect[verify])")


@pytest.fixture
def signed(tmp_path: Path, tool: Callable[[str], str]) -> Path:
    """A boot.img that the real tools made and signed."""
    key, path = tmp_path / "key.pem", tmp_path / "boot.img"
    subprocess.run([tool("openssl"), "genrsa", "-out", str(key), "2048"], check=True, capture_output=True)
    path.write_bytes(BOOT)
    command = [optional_tool("avbtool"), "add_hash_footer", "--image", str(path), "--partition_name", "boot"]
    command += ["--partition_size", str(SIZE), "--algorithm", "SHA256_RSA2048", "--key", str(key), "--prop", "a:b"]
    subprocess.run(command, check=True, capture_output=True)
    return path


def test_what_avbtool_says(signed: Path, tool: Callable[[str], str]) -> None:
    said = subprocess.run(
        [optional_tool("avbtool"), "info_image", "--image", str(signed)], check=True, capture_output=True
    )
    report = unpacking.parts(signed)
    (facts,) = report.facts_of(VbmetaFacts)
    text = said.stdout.decode()
    assert facts.key in text
    assert facts.descriptors[0].digest in text
    assert facts.descriptors[0].computed == facts.descriptors[0].digest
    assert {(one.kind, one.name, one.value) for one in facts.descriptors} == {
        ("hash", "boot", ""),
        ("property", "a", "b"),
    }
    if verification.can_verify():
        assert facts.right
        assert str(verdict(report)).endswith("; AVB signature verified with the embedded key only")
    assert report.findings == ()


def test_flipped_bytes_are_found_as_avbtool_finds_them(signed: Path, tool: Callable[[str], str]) -> None:
    data, choose, verify = signed.read_bytes(), random.Random(14), optional_tool("avbtool")
    metadata = data.index(b"AVB0")
    for place in [*choose.sample(range(len(BOOT)), 4), *choose.sample(range(metadata, metadata + 1100), 12)]:
        signed.write_bytes(patched(data, place, bytes([data[place] ^ 1])))
        theirs = subprocess.run([verify, "verify_image", "--image", str(signed)], capture_output=True, check=False)
        try:
            ours = kinspect.check(signed).exit_code
        except KinspectError:
            ours = 2
        assert bool(ours) == bool(theirs.returncode), place
