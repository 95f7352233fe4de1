"""The signatures of a FIT image, which mkimage makes: verified with the certificate, and not when touched."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

import kinspect
from kinspect.artifacts.dtb.blob import Dtb
from kinspect.artifacts.dtb.fit import signatures
from kinspect.errors import KinspectError
from kinspect.inspection import unpack as unpacking
from kinspect.inspection.kernel import image as inspect_image
from kinspect.reports.verdict import verdict
from kinspect.views.signing.fit import FitSignatures, covered
from kinspect.views.signing.verification import EXTRA, can_verify
from tests import toy_fit
from tests.conftest import missing
from tests.load.modules import new_key
from tests.support import optional_tool
from tests.toy_fit import RAMDISK, source
from tests.toy_module import put

TRUST, COVERS, HASH = "fit-signature-is-trusted", "fit-signature-covers-its-images", "fit-hashes-match"
KINDS = [
    ("sha256,rsa2048", "", "rsa:2048", ()),
    ("sha256,rsa2048", "pss", "rsa:2048", ("-E",)),
    ("sha512,rsa4096", "pkcs-1.5", "rsa:4096", ()),
    ("sha1,rsa2048", "pss", "rsa:2048", ()),
    ("sha256,ecdsa256", "", "prime256v1", ("-E",)),
]


@pytest.fixture(autouse=True)
def _library(tool: Callable[[str], str]) -> None:
    tool("openssl")
    if not can_verify():
        missing("cryptography", f"the extra {EXTRA} brings it")


def certificate(folder: Path, name: str, kind: str = "rsa:2048") -> Path:
    """A certificate, with its key where mkimage looks for it."""
    keys = folder / "keys"
    keys.mkdir(exist_ok=True)
    key = new_key(keys, name, kind)
    (folder / f"{name}.key").write_bytes(key.key.read_bytes())
    (folder / f"{name}.crt").write_bytes(key.certificate.read_bytes())
    (folder / f"{name}.pem").write_bytes(key.key.read_bytes())
    return folder / f"{name}.crt"


def made(folder: Path, tool: Callable[[str], str], text: str, *options: str) -> Path:
    return toy_fit.made(folder, tool, text, *options, "-k", ".", "-r")


def ids(path: Path, *certificates: Path) -> set[str]:
    found = inspect_image(path, certificates).findings
    return {one.id for one in found if one.severity.value != "info"}


@pytest.mark.parametrize(("algorithm", "padding", "key", "options"), KINDS, ids=[f"{k[0]} {k[1]}" for k in KINDS])
def test_signed_and_touched(
    algorithm: str, padding: str, key: str, options: tuple[str, ...], tool: Callable[[str], str], tmp_path: Path
) -> None:
    own, other = certificate(tmp_path, "dev", key), certificate(tmp_path, "other")
    path = made(tmp_path, tool, source(signed=algorithm, padding=padding), *options)
    report = inspect_image(path, (own,))
    assert report.exit_code == 0
    (facts,) = report.facts_of(FitSignatures)
    assert [(one.signs, one.of, one.right, one.signer) for one in facts.signatures] == [
        ("/images/kernel", "image", True, "dev"),
        ("/configurations/conf", "configuration", True, "dev"),
    ]
    assert ids(path) == set()
    assert ids(path, other) == {TRUST}
    assert ids(path, other, own) == set()
    assert str(verdict(inspect_image(path))).endswith("FIT signature not verified (--cert)")
    assert str(verdict(unpacking.parts(path))).endswith("FIT signature not verified (--cert)")
    assert "FIT signature (kinspect image --cert)" in str(verdict(kinspect.check(path)))
    # The load address of the ramdisk, which no hash covers but the signature of the configuration.
    data = path.read_bytes()
    path.write_bytes(data.replace(RAMDISK.to_bytes(4, "big"), (RAMDISK + 64).to_bytes(4, "big")))
    assert ids(path) == set()
    assert ids(path, own) == {TRUST}


def test_every_covered_byte_counts(tool: Callable[[str], str], tmp_path: Path) -> None:
    own = certificate(tmp_path, "dev")
    path = made(tmp_path, tool, source(signed="sha256,rsa2048"))
    data, tree = path.read_bytes(), Dtb(path)
    _, node = list(signatures(tree))[-1]
    places = [place for region in covered(tree, node) for place in range(region.start, region.end)]
    for place in places[:: len(places) // 40]:
        path.write_bytes(put(data, place, bytes([data[place] ^ 1])))
        try:
            status = inspect_image(path, (own,)).exit_code
        except KinspectError:
            status = 2
        assert status, place


def test_what_the_signature_leaves_out(tool: Callable[[str], str], tmp_path: Path) -> None:
    own = certificate(tmp_path, "dev")
    path = made(tmp_path, tool, source(signed="sha256,rsa2048", sign_images=("kernel", "fdt")))
    report = inspect_image(path, (own,))
    (found,) = [str(one.evidence) for one in report.findings if one.id == COVERS]
    assert found == "the signature does not cover the image ramdisk"


def test_unsigned(tool: Callable[[str], str], tmp_path: Path) -> None:
    own = certificate(tmp_path, "dev")
    path = toy_fit.made(tmp_path, tool, source())
    assert ids(path) == set()
    assert ids(path, own) == {"image-signature-is-trusted"}
    # The default configuration is not signed, another is.
    text = source(signed="sha256,rsa2048", more='new { kernel = "kernel"; fdt = "fdt"; };')
    path = made(tmp_path, tool, text.replace('default = "conf"', 'default = "new"'))
    report = inspect_image(path, (own,))
    assert [str(one.evidence) for one in report.findings if one.id == TRUST] == [
        "the default configuration is not signed"
    ]
    assert report.facts_of(FitSignatures)[0].unsigned == ("/configurations/new",)


def test_the_real_tool_agrees(tool: Callable[[str], str], tmp_path: Path) -> None:
    """U-Boot's own check, with the key that mkimage puts into a device tree."""
    check = optional_tool("fit_check_sign")
    own = certificate(tmp_path, "dev")
    (tmp_path / "key.dts").write_text("/dts-v1/; / { };")
    subprocess.run([tool("dtc"), "-o", "key.dtb", "key.dts"], cwd=tmp_path, check=True, capture_output=True)
    path = made(tmp_path, tool, source(signed="sha256,rsa2048"), "-K", "key.dtb")
    data = path.read_bytes()
    for place in (0, 0x40, data.index(b"conf\0") + 2, len(data) - 20):
        path.write_bytes(put(data, place, bytes([data[place] ^ 1])) if place else data)
        theirs = subprocess.run([check, "-f", str(path), "-k", "key.dtb"], cwd=tmp_path, capture_output=True)
        assert bool(theirs.returncode) == bool(ids(path, own)), place
