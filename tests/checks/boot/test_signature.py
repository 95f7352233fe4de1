"""The Secure Boot signature of an Image, made by sbsign, the tool that distributions sign with."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

import kinspect
from kinspect.artifacts.boot.image import Image, ImageFacts
from kinspect.artifacts.crypto.x509 import certificates_of_file
from kinspect.inspection.check import check
from kinspect.inspection.kernel import image as inspect_image
from kinspect.inspection.report import Report
from kinspect.reports.verdict import verdict
from kinspect.views.signing import authenticode
from kinspect.views.signing.authenticode import ImageSignatures, image_signatures
from kinspect.views.signing.verification import EXTRA, can_verify
from tests.conftest import SAMPLE, kernel_named, missing
from tests.load.modules import Key, new_key
from tests.toy_module import put
from tests.toy_uki import uki
from tests.toy_zboot import padded, squeezed, zboot

_CHECK, _TRUST = "image-signature-is-of-the-image", "image-signature-is-trusted"


@pytest.fixture(autouse=True)
def _library(tool: Callable[[str], str]) -> None:
    tool("openssl")
    if not can_verify():
        missing("cryptography", f"the extra {EXTRA} brings it")


def signed(tool: Callable[[str], str], key: Key, image: Path | str, out: Path, *words: str) -> Path:
    command = [tool("sbsign"), "--key", str(key.key), "--cert", str(key.certificate), "--output", str(out), *words]
    subprocess.run([*command, str(image)], check=True, capture_output=True)
    return out


def about(path: Path, *certificates: Path) -> dict[str, str]:
    found = inspect_image(path, certificates).findings
    return {one.id: one.severity.value for one in found if one.id.startswith("image-signature")}


KERNELS = ["hello", pytest.param("bookworm-cloud", marks=pytest.mark.corpus)]


@pytest.fixture
def unsigned(request: pytest.FixtureRequest) -> Path:
    """The Image of the sample or of a real kernel."""
    return SAMPLE / "Image" if request.param == "hello" else Path(kernel_named(request.param).image)


def touched(data: bytes, place: int) -> bytes:
    """The same with one bit flipped."""
    return put(data, place, bytes([data[place] ^ 1]))


@pytest.mark.parametrize(
    "unsigned", [*KERNELS, pytest.param("backports-cloud", marks=pytest.mark.corpus)], indirect=True
)
def test_signed_and_touched(unsigned: Path, tool: Callable[[str], str], tmp_path: Path) -> None:
    key, other = new_key(tmp_path, "Secure Boot key"), new_key(tmp_path, "other")
    path = signed(tool, key, unsigned, tmp_path / "Image")
    subprocess.run([tool("sbverify"), "--cert", str(key.certificate), str(path)], capture_output=True, check=True)
    facts = image_signatures(Image(path), certificates_of_file(key.certificate.read_bytes(), "key"))
    assert facts
    one = facts.signatures[0]
    assert (one.stated, one.right, one.trusted) == (one.computed, True, True)
    assert one.chain == ("Secure Boot key",)
    assert one.hash == "sha256"
    assert about(path) == {}
    assert about(path, key.certificate) == {}
    assert about(path, other.certificate) == {_TRUST: "error"}
    assert about(unsigned, key.certificate) == {_TRUST: "error"}
    data = path.read_bytes()
    path.write_bytes(touched(data, len(data) // 2))
    assert about(path, key.certificate) == {_CHECK: "error", _TRUST: "error"}
    # The signature's own last byte: the digest is right, the signature is not.
    pe = Image(path).pe
    assert pe
    assert pe.certificate_table
    place = pe.certificate_table.virtual_address
    last = place + int.from_bytes(data[place : place + 4], "little") - 1
    path.write_bytes(touched(data, last))
    assert about(path) == {_CHECK: "error"}


@pytest.mark.parametrize("unsigned", KERNELS, indirect=True)
def test_two_signatures_and_a_chain(unsigned: Path, tool: Callable[[str], str], tmp_path: Path) -> None:
    root = new_key(tmp_path, "root")
    leaf = new_key(tmp_path, "leaf", "rsa:2048", "-CA", str(root.certificate), "-CAkey", str(root.key))
    other = new_key(tmp_path, "other")
    once = signed(tool, leaf, unsigned, tmp_path / "once", "--addcert", str(root.certificate))
    twice = signed(tool, other, once, tmp_path / "twice")
    facts = image_signatures(Image(twice))
    assert facts
    assert [one.chain for one in facts.signatures] == [("leaf", "root"), ("other",)]
    assert all(one.right and one.stated == one.computed for one in facts.signatures)
    for key in (root, leaf, other):
        assert about(twice, key.certificate) == {}
    report = inspect_image(twice, [root.certificate])
    assert report.facts_of(ImageSignatures)[0].signatures[0].trusted
    assert not report.facts_of(ImageSignatures)[0].signatures[1].trusted


@pytest.mark.parametrize("unsigned", KERNELS, indirect=True)
def test_without_the_library(
    unsigned: Path, tool: Callable[[str], str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = new_key(tmp_path, "key")
    path = signed(tool, key, unsigned, tmp_path / "Image")
    monkeypatch.setattr(authenticode, "can_verify", lambda: False)
    assert about(path) == {}
    assert about(path, key.certificate) == {_TRUST: "undecided"}
    data = path.read_bytes()
    path.write_bytes(touched(data, len(data) // 2))
    assert about(path) == {_CHECK: "error"}


def test_an_unsigned_image_has_no_facts(sample: Path) -> None:
    assert image_signatures(Image(sample / "Image")) is None
    assert kinspect.inspect(sample / "Image").facts_of(ImageSignatures) == []


@pytest.mark.parametrize("inner", [False, True])
def test_a_zboot_image_is_signed_outside(inner: bool, tool: Callable[[str], str], tmp_path: Path) -> None:
    """The program around the kernel is what firmware verifies, whatever signature the kernel inside has."""
    key, other = new_key(tmp_path, "Secure Boot key"), new_key(tmp_path, "other")
    image = signed(tool, other, SAMPLE / "Image", tmp_path / "inner") if inner else SAMPLE / "Image"
    unsigned = tmp_path / "vmlinuz"
    unsigned.write_bytes(zboot(squeezed(padded(image.read_bytes()), "gzip"), "gzip"))
    path = signed(tool, key, unsigned, tmp_path / "vmlinuz.efi")
    for certificate, status in ((key.certificate, 0), (other.certificate, 1)):
        verify = [tool("sbverify"), "--cert", str(certificate), str(path)]
        assert subprocess.run(verify, capture_output=True).returncode == status
    report = inspect_image(path, (key.certificate,))
    assert (report.facts_of(ImageFacts)[0].signature, report.exit_code) == ("present", 0)
    assert about(path, other.certificate) == {_TRUST: "error"}
    assert inspect_image(unsigned).facts_of(ImageFacts)[0].signature == "none"
    assert about(unsigned, other.certificate) == {_TRUST: "error"}
    # The padding at the end of the code: the kernel inside is untouched.
    path.write_bytes(touched(path.read_bytes(), 4200))
    reports: tuple[Report, ...] = (inspect_image(path), check(path))
    for found_report in reports:
        assert [found.id for found in found_report.findings] == [_CHECK]


@pytest.mark.parametrize(("inner", "outer"), [(True, True), (True, False), (False, True)])
def test_every_layer_of_a_uki_is_told(inner: bool, outer: bool, tool: Callable[[str], str], tmp_path: Path) -> None:
    """Which program is signed and by whom; --cert is about the outermost, as sbverify is."""
    key, other = new_key(tmp_path, "platform"), new_key(tmp_path, "distribution")
    image = signed(tool, other, SAMPLE / "Image", tmp_path / "inner") if inner else SAMPLE / "Image"
    packed = tmp_path / "vmlinuz"
    packed.write_bytes(zboot(squeezed(padded(image.read_bytes()), "gzip"), "gzip"))
    path = tmp_path / "linux.efi"
    path.write_bytes(uki((".linux", packed.read_bytes()), (".sbat", b"sbat,1")))
    path = signed(tool, key, path, tmp_path / "signed.efi") if outer else path
    report = inspect_image(path)
    layers = report.facts_of(ImageSignatures)
    chains = [(one.layer, one.outermost, *(two.chain[0] for two in one.signatures)) for one in layers]
    assert chains == [
        ("UKI", True, *(["platform"] if outer else [])),
        ("EFI zboot (gzip)", False),
        ("arm64 Image", False, *(["distribution"] if inner else [])),
    ]
    note = "not checked: whether the signature is trusted (--cert)" if outer else "the UKI is not signed"
    assert str(verdict(report)).endswith(note)
    for certificate in (key.certificate, other.certificate):
        verify = [tool("sbverify"), "--cert", str(certificate), str(path)]
        refused = subprocess.run(verify, capture_output=True).returncode
        assert bool(about(path, certificate)) == bool(refused)
    if inner:
        # The kernel inside was changed after it was signed, and before the container was made.
        data = bytearray(image.read_bytes())
        data[0x18000] ^= 1
        path.write_bytes(uki((".linux", bytes(data)), (".sbat", b"sbat,1")))
        assert _CHECK in about(path)


def test_check_judges_the_program_around_the_kernel(tmp_path: Path) -> None:
    """As `kinspect image` does, alone and beside the Image that is inside."""
    image = (SAMPLE / "Image").read_bytes()
    path = tmp_path / "vmlinuz.efi"
    path.write_bytes(zboot(squeezed(padded(image), "gzip"), "gzip")[:-100])
    assert {found.id for found in inspect_image(path).findings} == {"pe-sections-are-inside-the-file"}
    for paths in ((path,), (path, SAMPLE / "Image"), (SAMPLE / "Image", path)):
        assert {found.id for found in check(*paths).findings} == {"pe-sections-are-inside-the-file"}
