"""What is predicted of modules, without a machine: signatures, what is not known, orders, bad input."""

import gzip
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import kinspect
from kinspect.artifacts.boot.image import Image
from kinspect.artifacts.build.kernel_config import KernelConfig
from kinspect.artifacts.crypto.pkcs7 import HASHES
from kinspect.artifacts.crypto.x509 import certificates_in, certificates_of_file
from kinspect.checks.check import Severity
from kinspect.errors import KinspectError, Location, MalformedError, UnsupportedError
from kinspect.inspection.load import load_report
from kinspect.inspection.report import checks_of
from kinspect.source import Source
from kinspect.views.loader import signature as loading_signature
from kinspect.views.loader.elf import ELF_TESTS
from kinspect.views.loader.facts import LoadFacts
from kinspect.views.loader.kernel import Order, TargetKernel
from kinspect.views.loader.load_info import LoadInfo
from kinspect.views.loader.preflight import preflight
from kinspect.views.loader.simulator import Simulator
from kinspect.views.loader.verdict import Outcome, Refusal, SymbolFault, Unknown, Verdict, listed
from kinspect.views.signing.verification import EXTRA, can_verify
from tests.conftest import Build, Kernel, kernel_named, missing
from tests.load.modules import Given, Key, new_key, real, signed_by, toy
from tests.toy_module import der, pkcs7, put, signed

pytestmark = pytest.mark.corpus
CONFIG = {"CONFIG_MODULE_SIG_FORCE": "y"}


@pytest.fixture(scope="module", autouse=True)
def _tools(tool: Callable[[str], str]) -> None:
    for name in ("aarch64-linux-gnu-gcc", "openssl"):
        tool(name)
    if not can_verify():
        missing("cryptography", f"the extra {EXTRA} brings it")


@pytest.fixture(scope="module")
def newest() -> Kernel:
    """The 7.x kernel: all digests are built into it."""
    return kernel_named("backports-cloud")


def into(kernel: Kernel, *keys: Key, enforced: bool = True, cmdline: str = "") -> TargetKernel:
    trusted = [one for key in keys for one in certificates_of_file(key.certificate.read_bytes(), "key")]
    return TargetKernel(Image(kernel.image), CONFIG if enforced else {}, cmdline, trusted)


def verdict(kernel: TargetKernel, data: bytes) -> Verdict:
    return Simulator(kernel).load(preflight(kernel, "toy.ko", data))


def signed_with_sha3(key: Key, data: bytes, hashed: str) -> bytes:
    """A module signed with ECDSA over SHA-3, the message written by a DER writer of our own."""
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    private = load_pem_private_key(key.key.read_bytes(), None)
    assert isinstance(private, ec.EllipticCurvePrivateKey)
    signature = private.sign(data, ec.ECDSA(getattr(hashes, hashed.upper().replace("-", "_"))()))
    one = certificates_of_file(key.certificate.read_bytes(), "key")[0]
    hash_id = next(number for number, name in HASHES.items() if name == hashed)
    algorithm = {"sha3-256": 10, "sha3-384": 11, "sha3-512": 12}[hashed]
    issuer, oid = der(0x30, one.issuer), f"2.16.840.1.101.3.4.3.{algorithm}"
    return signed(data, pkcs7(issuer, one.serial, None, hash_id, oid, signature=signature))


@pytest.mark.parametrize("hashed", ["sha1", "sha224", "sha256", "sha384", "sha512", "sha3-256", "sha3-384", "sha3-512"])
@pytest.mark.parametrize("kind", ["rsa:2048", "P-256", "P-384"])
def test_signatures_of_every_kind(newest: Kernel, tmp_path: Path, kind: str, hashed: str) -> None:
    key, other = new_key(tmp_path, "Release key", kind), new_key(tmp_path, "other", kind)
    kernel = into(newest, key)
    # openssl writes no message with ECDSA and SHA-3.
    sign = signed_with_sha3 if kind[0] == "P" and hashed.startswith("sha3-") else signed_by
    data = sign(key, toy(kernel), hashed)
    right = verdict(kernel, data)
    assert (right.outcome, right.taints) == (Outcome.LOADS, "")
    assert right.signer
    assert right.signer[0] == "Release key"
    assert right.signer.verified == "verified: Release key"
    assert right.signer.algorithm == f"{'RSA' if 'rsa' in kind else 'ECDSA'} {hashed}"
    touched = verdict(kernel, put(data, 100, bytes([data[100] ^ 1])))
    assert (touched.errno, touched.signer and touched.signer.verified) == (129, "does not match the module")
    stranger = verdict(kernel, sign(other, toy(kernel), hashed))
    assert (stranger.errno, stranger.log_lines) == (129, ("Loading of module with unavailable key is rejected",))


def test_a_key_named_by_its_identifier(newest: Kernel, tmp_path: Path) -> None:
    key = new_key(tmp_path, "by id")
    kernel = into(newest, key)
    assert verdict(kernel, signed_by(key, toy(kernel), "sha256", "-nocerts", "-keyid")).loads


def test_certificates_inside_a_signature(newest: Kernel, tmp_path: Path) -> None:
    """A key that a trusted one vouches for, in the message itself; and one that nobody vouches for."""
    root = new_key(tmp_path, "root")
    leaf = new_key(tmp_path, "leaf", "rsa:2048", "-CA", str(root.certificate), "-CAkey", str(root.key))
    kernel = into(newest, root)
    inside = ("-outform", "DER")
    assert verdict(kernel, signed_by(leaf, toy(kernel), "sha256", *inside)).loads
    assert verdict(into(newest), signed_by(leaf, toy(kernel), "sha256", *inside)).errno == 129
    assert verdict(kernel, signed_by(new_key(tmp_path, "alone"), toy(kernel), "sha256", *inside)).errno == 129


def test_a_digest_that_is_not_built_in(kernel: Kernel, tmp_path: Path) -> None:
    key = new_key(tmp_path, "key")
    found = verdict(into(kernel, key), signed_by(key, toy(into(kernel)), "sha512"))
    known = into(kernel).has_hash("sha512")
    assert found.outcome is (Outcome.LOADS if known else Outcome.UNKNOWN)
    assert known or "sha512 is not built into the kernel" in found.why


def test_without_the_library_a_right_signature_is_not_known(kernel: Kernel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loading_signature, "can_verify", lambda: False)
    found = verdict(into(kernel), real(kernel.folder, "cordic"))
    assert found.outcome is Outcome.UNKNOWN
    assert EXTRA in found.why
    assert verdict(into(kernel), toy(into(kernel))).errno == 129


def silent(kernel: Kernel, folder: Path) -> str:
    """An Image of which neither a symbol nor a parameter says whether signatures are enforced."""
    data = bytearray(Path(kernel.image).read_bytes().replace(b"\0module.sig_enforce\0", b"\0module.sig_unknown\0"))
    tables = Image(kernel.image).embedded.kallsyms
    assert tables
    data[tables.offset : tables.offset + tables.size] = bytes(tables.size)
    path = folder / "Image.silent"
    path.write_bytes(data)
    return str(path)


def test_what_an_image_does_not_tell(kernel: Kernel, tmp_path: Path) -> None:
    alone = TargetKernel(Image(silent(kernel, tmp_path)))
    assert alone.enforced is None
    assert TargetKernel(Image(kernel.image)).enforced is False
    found = verdict(alone, toy(alone))
    assert (found.outcome, found.errno) == (Outcome.UNKNOWN, 0)
    assert "--config" in found.why
    assert TargetKernel(Image(kernel.image), cmdline="module.sig_enforce").enforced is True
    assert TargetKernel(Image(kernel.image), cmdline="module.sig-enforce=Y").enforced is True
    assert TargetKernel(Image(kernel.image), {}, "module.sig_enforce=0").enforced is False
    assert TargetKernel(Image(kernel.image), {}, "lockdown=none").locked_down is False


def test_the_findings_of_load(kernel: Kernel, tmp_path: Path) -> None:
    """One check, listed like all others: what is refused does not hold, what is not known is undecided."""
    config = tmp_path / "config"
    config.write_text("CONFIG_MODULE_SIG_FORCE=y\n")
    module = tmp_path / "toy.ko"
    module.write_bytes(toy(into(kernel)))
    for given, severity, text in (
        (None, Severity.UNDECIDED, "toy: not known: unsigned module: "),
        (config, Severity.ERROR, "refused, EKEYREJECTED: Loading of unsigned module is rejected"),
    ):
        report = load_report(silent(kernel, tmp_path), [module], config=given)
        assert report.ran == ("modules-are-loaded",)
        (found,) = report.findings
        assert (found.id, found.severity) == ("modules-are-loaded", severity)
        assert text in found.evidence.message
        assert found.evidence.at == (Location(str(module)),)
    assert {check.id for check in checks_of("loader.verdict")} >= set(report.ran)


def test_a_config_inside_the_kernel(kernel: Kernel, tmp_path: Path) -> None:
    image = tmp_path / "Image"
    text = gzip.compress(b"CONFIG_MODULE_SIG_FORCE=y\n# CONFIG_X is not set\n")
    image.write_bytes(Path(kernel.image).read_bytes() + b"IKCFG_ST" + text + b"IKCFG_ED")
    found = TargetKernel(Image(image))
    assert found.config == CONFIG
    assert found.enforced is True
    assert TargetKernel(Image(image), {}).enforced is False


def test_what_depends_on_a_module_that_is_not_known(kernel: Kernel) -> None:
    simulator = Simulator(into(kernel, enforced=False))
    crcs = {"toy_one": 0x12345678}
    owner = preflight(simulator.kernel, "owner", toy(simulator.kernel, "owner", exports=[Given("toy_one")]))
    unknown = owner._replace(steps=(Unknown("a test"),))
    assert simulator.load(unknown).outcome is Outcome.UNKNOWN
    user = preflight(simulator.kernel, "user", toy(simulator.kernel, "user", needs=crcs, versions=crcs))
    assert simulator.load(user).why == "toy_one is exported by owner, which is not known to load"
    again = simulator.load(owner)
    assert again.outcome is Outcome.UNKNOWN
    simulator.remove("owner")
    simulator.remove("user")
    simulator.remove("nobody")
    assert simulator.load(owner).loads
    assert simulator.load(user).loads


@pytest.mark.corpus
def test_a_missing_crc_depends_on_the_kernel() -> None:
    """Debian's kernel refuses the module; mainline's warns once and loads it."""
    kernel = into(kernel_named("bookworm-cloud"), enforced=False)
    assert kernel.refuses_missing_crcs
    owner = preflight(kernel, "owner", toy(kernel, "owner", exports=[Given("toy_one"), Given("toy_two")]))
    user = preflight(kernel, "user", toy(kernel, "user", needs=["toy_one", "toy_two"]))
    for refuses, outcome in ((True, Outcome.REFUSED), (False, Outcome.LOADS), (None, Outcome.UNKNOWN)):
        kernel.__dict__["refuses_missing_crcs"] = refuses
        simulator = Simulator(kernel)
        assert simulator.load(owner).loads
        found = simulator.load(user)
        assert found.outcome is outcome
        warnings = [line for line in found.log_lines if line.startswith("user: no symbol version for toy_")]
        assert len(warnings) == {True: 2, False: 1, None: 0}[refuses]
    assert "no CRC of toy_two" in found.why


def test_symbols_of_a_module_that_is_refused(kernel: Kernel) -> None:
    simulator = Simulator(into(kernel, enforced=False))
    crcs = {"toy_one": 0x12345678}
    data = toy(simulator.kernel, "owner", exports=[Given("toy_one")], import_ns="module:a", needs=["toy_nobody"])
    refused = simulator.load(preflight(simulator.kernel, "owner", data))
    assert refused.outcome is Outcome.REFUSED
    user = simulator.load(preflight(simulator.kernel, "user", toy(simulator.kernel, "user", needs=crcs, versions=crcs)))
    assert user.symbols == (SymbolFault("toy_one", "owner, which exports it, is refused", "owner"),)


def test_a_tree_and_an_order(kernel: Kernel, tmp_path: Path) -> None:
    kernel_of = into(kernel, enforced=False)
    crcs = {"toy_one": 0x12345678}
    folder = tmp_path / "lib" / "modules" / "x" / "kernel"
    folder.mkdir(parents=True)
    (folder / "a.ko").write_bytes(toy(kernel_of, "a", needs=crcs, versions=crcs))
    (folder / "b.ko").write_bytes(toy(kernel_of, "b", exports=[Given("toy_one")]))
    config = tmp_path / "config"
    config.write_text("CONFIG_X=y\n# CONFIG_MODULE_SIG_FORCE is not set\n")
    verdicts = kinspect.load(kernel.image, tmp_path / "lib", config=config)
    assert [one.name for one in verdicts] == ["b", "a"]
    assert all(one.loads for one in verdicts)
    assert kinspect.load(kernel.image, [folder / "a.ko"], config=config)[0].errno == 2
    assert all(one.loads for one in kinspect.load(kernel.image, [folder / "a.ko", folder / "b.ko"], config=config))
    order = tmp_path / "order"
    order.write_text("kernel/a.ko\nb # by name\n")
    report = load_report(kernel.image, [tmp_path / "lib"], order=order, config=config)
    assert [one.errno for one in report.facts_of(LoadFacts)[0].verdicts] == [2, 0]
    assert report.exit_code == 1
    with pytest.raises(MalformedError, match=r"not a valid \.config line"):
        kinspect.load(kernel.image, tmp_path / "lib", config=order)
    order.write_text("c\n")
    with pytest.raises(MalformedError, match="no such module"):
        load_report(kernel.image, [tmp_path / "lib"], order=order)


def test_a_tree_with_one_module_that_is_refused(kernel: Kernel, tmp_path: Path) -> None:
    """`kinspect modules` finds it by the same verdict, and says how many need it."""
    kernel_of = into(kernel, enforced=False)
    crcs = {"toy_one": 0x12345678}
    folder = tmp_path / "lib" / "modules" / kernel.release / "kernel"
    folder.mkdir(parents=True)
    (folder / "a.ko").write_bytes(toy(kernel_of, "a", needs=crcs, versions=crcs))
    for trampolines, wanted in ((None, set()), ("", {"modules-are-loaded"})):
        given = {} if trampolines is None else {"trampolines": trampolines}
        (folder / "b.ko").write_bytes(toy(kernel_of, "b", exports=[Given("toy_one")], **given))
        unknown = silent(kernel, tmp_path)
        for path in (kernel.vmlinux, kernel.image, unknown):
            found = kinspect.modules(tmp_path / "lib", kernel=path).findings
            about = {one.id: str(one) for one in found if one.id.startswith("modules-are-")}
            # Such an Image without a .config does not tell whether unsigned modules load.
            if path == unknown:
                assert set(about) == {"modules-are-known-to-load"}
            else:
                assert set(about) == wanted
                assert not wanted or "it will not load, and 1 module needs it" in about["modules-are-loaded"]


def test_a_tree_is_read_into_verdicts_once(kernel: Kernel) -> None:
    verdicts = kinspect.load(kernel.image, kernel.folder / "lib")
    assert len(verdicts) > 900
    assert {one.outcome for one in verdicts} == {Outcome.LOADS}
    names = [one.name for one in verdicts]
    assert len(set(names)) == len(names)


def hostile(kernel: Kernel) -> Iterator[bytes]:
    data = real(kernel.folder, "cordic")
    yield from (b"", b"\x7fELF", data[:70], data[:-30], bytes(100_000), b"\xff" * 5000)
    yield data[: len(data) - 40] + b"\xff" * 12 + data[-28:]
    for place in range(0, len(data), 97):
        yield put(data, place, b"\xff" * min(8, len(data) - place))


def test_no_bytes_raise(kernel: Kernel) -> None:
    kernel_of = into(kernel, enforced=False)
    for data in hostile(kernel):
        assert verdict(kernel_of, data).outcome in Outcome


def test_every_order_has_its_tests(kernel: Kernel) -> None:
    """The one between the two kernels of the corpus: its words are those of neither."""
    kernel_of = into(kernel, enforced=False)
    data = toy(kernel_of)
    for test in ELF_TESTS[Order.COPY]:
        assert test(info := LoadInfo(kernel_of, data)) is None or isinstance(info, LoadInfo)
    info = LoadInfo(kernel_of, data)
    assert [result for test in ELF_TESTS[Order.COPY] if (result := test(info)) is not None] == []
    assert info.name == "toy"
    bad = LoadInfo(kernel_of, put(data, 16, b"\2\0"))
    assert ELF_TESTS[Order.COPY][0](bad) == Refusal(8, ("Invalid ELF header type: 2 != 1",))


def test_certificates(tmp_path: Path) -> None:
    key = new_key(tmp_path, "a name")
    pem = key.certificate.read_bytes()
    one = certificates_of_file(pem, "x")[0]
    assert (one.subject_text, one.issuer_text, one.self_issued) == ("a name", "a name", True)
    assert certificates_of_file(one.der + one.der, "x") == [one, one]
    assert certificates_of_file(pem + pem, "x") == [one, one]
    assert [found.serial for found in certificates_in(b"junk" + one.der + b"\x30\x82" * 20, "x")] == [one.serial]
    for bad in (b"", b"junk", one.der[:-1], b"-----BEGIN CERTIFICATE-----\nA\n-----END CERTIFICATE-----"):
        with pytest.raises(MalformedError):
            certificates_of_file(bad, "x")


def test_kernels_that_tell_nothing(sample: Path, tmp_path: Path) -> None:
    with pytest.raises(UnsupportedError, match="no vermagic found"):
        kinspect.load(sample / "Image", sample / "modules")
    with pytest.raises(KinspectError):
        kinspect.load(sample / "Image", tmp_path)
    config = KernelConfig(Source(".config", b"CONFIG_A=y\n# CONFIG_B is not set\nCONFIG_C=m\n"))
    assert config.options == {"CONFIG_A": "y", "CONFIG_C": "m"}
    with pytest.raises(UnsupportedError, match="cannot be read"):
        TargetKernel(Image(sample / "Image"), cmdline='"')


def test_namespaces_for_modules() -> None:
    assert listed("a", "module:a,b")
    assert listed("b_c", "module:a,b-*")
    assert not listed("ab", "module:a,b-*")
    assert not listed("a", "A")
    assert not listed("", "module:")


@pytest.mark.corpus
def test_modules_as_a_build_leaves_them_load_unsigned(build: Build) -> None:
    """Some have alternatives that the kernel's own callbacks write."""
    verdicts = kinspect.load(build.out / "vmlinux", [build.out])
    assert len(verdicts) > 40
    assert {verdict.outcome for verdict in verdicts} == {Outcome.LOADS}
    installed = kinspect.load(build.out / "vmlinux", [build.modules])
    assert {verdict.outcome for verdict in installed} == {Outcome.LOADS}
    assert len(installed) == len(verdicts)
