"""Each check of an Image fails when, and only when, its fault is put in."""

import struct
from collections.abc import Callable
from pathlib import Path

import pytest

from kinspect.checks.check import Severity
from kinspect.inspection import kernel as inspection
from kinspect.inspection.report import checks_of
from kinspect.schemas.image import ImageHeader
from kinspect.schemas.pe import CoffHeader, OptionalHeader, PeSectionHeader
from kinspect.schemas.record import offsets, size_of
from tests.conftest import SAMPLE, Kernel

Change = Callable[[bytearray], None]
PE = 0x40
OPTIONAL = PE + 4 + size_of(CoffHeader)
SECTIONS = OPTIONAL + 0xA0


def put(offset: int, value: bytes) -> Change:
    def change(data: bytearray) -> None:
        data[offset : offset + len(value)] = value

    return change


def header(field: str, value: int, width: str = "Q") -> Change:
    return put(offsets(ImageHeader)[field], struct.pack("<" + width, value))


def coff(field: str, value: int) -> Change:
    return put(PE + 4 + offsets(CoffHeader)[field], struct.pack("<H", value))


def optional(field: str, value: int, width: str = "I") -> Change:
    return put(OPTIONAL + offsets(OptionalHeader)[field], struct.pack("<" + width, value))


def section(index: int, field: str, value: int) -> Change:
    return put(SECTIONS + index * size_of(PeSectionHeader) + offsets(PeSectionHeader)[field], struct.pack("<I", value))


def appended(count: int) -> Change:
    return lambda data: data.extend(b"\1" * count)


def all_of(*changes: Change) -> Change:
    def change(data: bytearray) -> None:
        for one in changes:
            one(data)

    return change


def without_banner(data: bytearray) -> None:
    data[:] = data.replace(b" #1 ", b" #x ")


def image_size(size: int) -> Change:
    return all_of(header("image_size", size), optional("image_size", size & 0xFFFFFFFF))


def certificate(offset: int, size: int, blob: bytes) -> Change:
    entry = OPTIONAL + size_of(OptionalHeader) + 4 * 8
    return all_of(lambda data: data.extend(blob), put(entry, struct.pack("<II", offset, size)))


SIZE = len((SAMPLE / "Image").read_bytes())
GOOD_BLOB = struct.pack("<IHH", 16, 0x200, 2) + b"\x30\x06signed"

FAULTS: dict[str, tuple[Change, set[str]]] = {
    "nothing": (put(0, b""), set()),
    "image_size below the file": (image_size(0x20000), {"image-fits-image-size", "pe-sections-are-inside-the-image"}),
    "image_size 0": (image_size(0), {"image-size-is-stated", "pe-sections-are-inside-the-image"}),
    "image_size 4 GiB": (
        header("image_size", 1 << 32),
        {"image-size-is-below-4-gib", "pe-size-is-image-size"},
    ),
    "image_size 2^64-4096": (
        header("image_size", (1 << 64) - 4096),
        {"image-size-is-below-4-gib", "pe-size-is-image-size"},
    ),
    "image_size odd": (image_size(0x30001), {"image-size-is-whole-pages"}),
    "16K pages of 4K": (all_of(header("flags", 0xC), image_size(0x31000)), {"image-size-is-whole-pages"}),
    "no page size": (header("flags", 0x8), {"page-size-is-stated"}),
    "reserved flag": (header("flags", 0x1A), {"reserved-flags-are-zero"}),
    "highest flag": (header("flags", 0xA | 1 << 63), {"reserved-flags-are-zero"}),
    "res2": (header("res2", 1), {"reserved-fields-are-zero"}),
    "res3": (header("res3", 1), {"reserved-fields-are-zero"}),
    "res4": (header("res4", 1 << 63), {"reserved-fields-are-zero"}),
    "text_offset": (header("text_offset", 0x1000), {"text-offset-is-usual"}),
    "old text_offset": (header("text_offset", 0x80000), set()),
    "no branch": (header("code1", 0xD503201F, "I"), {"entry-branch-lands-inside"}),
    "branch back": (header("code1", 0x17FFFFF0, "I"), {"entry-branch-lands-inside"}),
    "branch past the end": (header("code1", 0x14000000 | SIZE // 4, "I"), {"entry-branch-lands-inside"}),
    "no banner": (without_banner, {"image-has-a-banner"}),
    "MZ without PE": (header("res5", 0, "I"), {"mz-comes-with-a-pe-header"}),
    "PE without MZ": (header("code0", 0xD503201F, "I"), {"mz-comes-with-a-pe-header"}),
    "no EFI at all": (all_of(header("code0", 0xD503201F, "I"), header("res5", 0, "I")), set()),
    "branch in code0": (
        all_of(header("code0", 0x14000010, "I"), header("code1", 0, "I"), header("res5", 0, "I")),
        set(),
    ),
    "PE past the end": (header("res5", 0x7FFFFFF8, "I"), {"pe-header-is-readable"}),
    "PE not aligned": (header("res5", 0x44, "I"), {"pe-header-is-readable"}),
    "PE signature": (put(PE, b"NE"), {"pe-header-is-readable"}),
    "PE32": (optional("magic", 0x10B, "H"), {"pe-header-is-readable"}),
    "too many directories": (optional("data_dirs", 0xFFFFFFFF), {"pe-header-is-readable"}),
    "too many sections": (coff("sections", 0xFFFF), {"pe-header-is-readable"}),
    "machine": (coff("machine", 0x8664), {"pe-is-an-arm64-efi-application"}),
    "subsystem": (optional("subsys", 11, "H"), {"pe-is-an-arm64-efi-application"}),
    "SizeOfImage": (optional("image_size", 0x40000), {"pe-size-is-image-size"}),
    "entry in .data": (optional("entry_point", 0x21000), {"pe-entry-is-in-code"}),
    "entry in the header": (optional("entry_point", 0x10), {"pe-entry-is-in-code"}),
    "raw data past the end": (section(1, "raw_data_size", 0xFFFFFFFF), {"pe-sections-are-inside-the-file"}),
    "overlapping sections": (section(1, "virtual_address", 0x11000), {"pe-sections-are-inside-the-image"}),
    "section past SizeOfImage": (section(1, "virtual_size", 0x100000), {"pe-sections-are-inside-the-image"}),
    "section over the header": (section(0, "virtual_address", 0x8000), {"pe-sections-are-inside-the-image"}),
    "appended bytes": (appended(16), {"pe-sections-reach-the-end-of-the-file"}),
    "writable code": (section(0, "flags", 0xE0000020), {"pe-has-no-writable-code"}),
    "no NX_COMPAT": (optional("dll_flags", 0, "H"), {"pe-is-nx-compatible"}),
    "signed with nothing": (certificate(SIZE, 16, GOOD_BLOB), {"image-signature-is-of-the-image"}),
    "certificate length": (
        certificate(SIZE, 16, struct.pack("<IHH", 64, 0x200, 2) + bytes(8)),
        {"certificate-table-is-sound"},
    ),
    "certificate length 0": (
        certificate(SIZE, 16, bytes(16)),
        {"certificate-table-is-sound"},
    ),
    "certificate type": (
        certificate(SIZE, 16, struct.pack("<IHH", 16, 0x200, 1) + bytes(8)),
        {"certificate-table-is-sound"},
    ),
    "certificate table past the end": (certificate(SIZE, 32, GOOD_BLOB), {"certificate-table-is-sound"}),
    "certificate table elsewhere": (
        certificate(SIZE - 3, 19, GOOD_BLOB),
        {"certificate-table-is-sound", "pe-sections-reach-the-end-of-the-file"},
    ),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_gives_its_findings_and_no_other(name: str, tmp_path: Path) -> None:
    change, expected = FAULTS[name]
    data = bytearray((SAMPLE / "Image").read_bytes())
    change(data)
    path = tmp_path / "Image"
    path.write_bytes(data)
    report = inspection.image(path)
    assert {finding.id for finding in report.findings} == expected
    assert not any(finding.severity == Severity.UNDECIDED for finding in report.findings)
    severe = any(finding.severity == Severity.ERROR for finding in report.findings)
    assert report.exit_code == (1 if severe else 0)
    assert all(finding.evidence.at[0].path == str(path) for finding in report.findings)


def test_every_check_of_an_image_has_a_fault() -> None:
    declared = {check.id for check in checks_of("boot.header", "boot.pe", "boot.signature")}
    declared -= {"image-signature-is-trusted"}  # needs certificates
    assert declared == {check_id for _, expected in FAULTS.values() for check_id in expected}


def test_findings_point_at_the_field(tmp_path: Path) -> None:
    data = bytearray((SAMPLE / "Image").read_bytes())
    header("res3", 7)(data)
    (tmp_path / "Image").write_bytes(data)
    (finding,) = inspection.image(tmp_path / "Image").findings
    assert str(finding) == f"{tmp_path}/Image: res3 at 0x28: res3 is not zero: expected 0, found 7 [{finding.id}]"


def test_a_real_image_is_good(kernel: Kernel) -> None:
    report = inspection.image(kernel.image)
    assert report.findings == ()
    assert len(report.ran) == len(checks_of("boot.header", "boot.ending", "boot.pe"))
    assert report.ok
