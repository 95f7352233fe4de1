"""Each check of what an Image is wrapped in fails when, and only when, its fault is put in."""

import struct
from pathlib import Path

import pytest

from kinspect.checks.check import Severity
from kinspect.inspection import kernel as inspection
from kinspect.inspection.report import checks_of, inspect
from kinspect.schemas.pe import CoffHeader, OptionalHeader, PeSectionHeader
from kinspect.schemas.record import offsets, size_of
from kinspect.schemas.zboot import ZbootHeader
from tests.conftest import SAMPLE
from tests.toy_zboot import appended, padded, squeezed, zboot

IMAGE = (SAMPLE / "Image").read_bytes()
SIZE = len(IMAGE)
OPTIONAL = 64 + 4 + size_of(CoffHeader)
SECTIONS = OPTIONAL + size_of(OptionalHeader) + 6 * 8
PADDED = padded(IMAGE)
XZ = zboot(squeezed(PADDED, "xz"), "xzkern", len(PADDED))
GZIP = zboot(squeezed(PADDED, "gzip"), "gzip")


def patched(data: bytes, offset: int, value: bytes) -> bytes:
    return data[:offset] + value + data[offset + len(value) :]


def field(name: str, value: bytes, data: bytes = XZ) -> bytes:
    return patched(data, offsets(ZbootHeader)[name], value)


def number(name: str, value: int, data: bytes = XZ) -> bytes:
    return field(name, struct.pack("<I", value), data)


def optional(name: str, value: int, code: str = "<I") -> bytes:
    return patched(XZ, OPTIONAL + offsets(OptionalHeader)[name], struct.pack(code, value))


def section(index: int, name: str, value: int) -> bytes:
    offset = SECTIONS + index * size_of(PeSectionHeader) + offsets(PeSectionHeader)[name]
    return patched(XZ, offset, struct.pack("<I", value))


PACKED = squeezed(IMAGE, "xz")
START = offsets(ZbootHeader)["payload_offset"]
PAYLOAD, LENGTH = struct.unpack_from("<II", XZ, START)

FAULTS: dict[str, tuple[bytes, set[str]]] = {
    "gzip": (squeezed(IMAGE, "gzip"), set()),
    "xz": (PACKED, set()),
    "bzip2 with its size": (squeezed(IMAGE, "bzip2") + appended(SIZE), set()),
    "lzma with its size": (squeezed(IMAGE, "lzma") + appended(SIZE), set()),
    "lz4 with its size": (squeezed(IMAGE, "lz4") + appended(SIZE), set()),
    "xz with another size": (PACKED + appended(SIZE + 1), {"appended-size-is-right"}),
    "lz4 with another size": (squeezed(IMAGE, "lz4") + appended(9), {"appended-size-is-right"}),
    "gzip with a size": (squeezed(IMAGE, "gzip") + appended(SIZE), {"nothing-follows-the-stream"}),
    "bytes behind xz": (PACKED + b"more than a size", {"nothing-follows-the-stream"}),
    "three bytes behind xz": (PACKED + b"abc", {"nothing-follows-the-stream"}),
    "two streams": (squeezed(IMAGE[:99], "xz") + squeezed(IMAGE[99:], "xz"), set()),
    "two streams with a size": (
        squeezed(IMAGE[: 8 << 10], "bzip2") + squeezed(IMAGE[8 << 10 :], "bzip2") + appended(SIZE),
        set(),
    ),
    "padding behind xz": (PACKED + bytes(8), set()),
    "a device tree behind gzip": (
        squeezed(IMAGE, "gzip") + b"\xd0\x0d\xfe\xed" + bytes(100),
        {"nothing-follows-the-stream"},
    ),
    "zboot xz": (XZ, set()),
    "zboot gzip": (GZIP, set()),
    "zboot without padding": (zboot(PACKED, "xzkern", SIZE), set()),
    "zboot in gzip": (squeezed(XZ, "gzip"), set()),
    "zboot with another size": (patched(XZ, PAYLOAD + LENGTH, appended(SIZE)), {"appended-size-is-right"}),
    "zboot with the size of the file": (zboot(squeezed(PADDED, "xz"), "xzkern", SIZE), {"appended-size-is-right"}),
    "zboot cut behind its payload": (
        XZ[: PAYLOAD + LENGTH],
        {"appended-size-is-right", "pe-sections-are-inside-the-file"},
    ),
    "a payload that counts its size": (
        number("payload_size", LENGTH + 4),
        {"nothing-follows-the-stream", "appended-size-is-right"},
    ),
    "another name": (field("compression", b"zstd22\0"), {"zboot-payload-is-what-the-header-says"}),
    "no name": (field("compression", bytes(32)), {"zboot-payload-is-what-the-header-says"}),
    "kinspect's name": (field("compression", b"xz\0\0\0\0\0"), {"zboot-payload-is-what-the-header-says"}),
    "gzip called xz": (
        field("compression", b"xzkern\0", GZIP),
        {"zboot-payload-is-what-the-header-says"},
    ),
    "no PE header": (number("pe_offset", 0), {"zboot-is-an-efi-program"}),
    "a PE header past the end": (number("pe_offset", 0x7FFFFFF8), {"pe-header-is-readable"}),
    "a PE header elsewhere": (number("pe_offset", 0x1000), {"pe-header-is-readable"}),
    "another machine": (patched(XZ, 68, b"\x64\x86"), {"pe-is-an-arm64-efi-application"}),
    "another subsystem": (optional("subsys", 3, "<H"), {"pe-is-an-arm64-efi-application"}),
    "an entry in no code": (optional("entry_point", 16), {"pe-entry-is-in-code"}),
    "no NX_COMPAT": (optional("dll_flags", 0, "<H"), {"pe-is-nx-compatible"}),
    "a payload outside": (
        section(0, "data_addr", PAYLOAD + 512),
        {"zboot-payload-is-loaded", "pe-sections-are-inside-the-file"},
    ),
    "a section that is too short": (section(0, "raw_data_size", 512), {"zboot-payload-is-loaded"}),
    "bytes behind zboot": (XZ + bytes(16), {"pe-sections-reach-the-end-of-the-file"}),
    "a reserved field": (field("reserved", b"\1"), {"zboot-reserved-fields-are-usual"}),
    "no MZ": (field("mz", b"XX"), {"zboot-reserved-fields-are-usual"}),
    "the magic of an Image": (field("linux_magic", b"ARM\x64"), {"zboot-is-not-marked-as-an-image"}),
    "an older magic": (number("linux_magic", 0), set()),
    "another magic": (number("linux_magic", 1), {"zboot-reserved-fields-are-usual"}),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_gives_its_findings_and_no_other(name: str, tmp_path: Path) -> None:
    data, expected = FAULTS[name]
    path = tmp_path / "vmlinuz"
    path.write_bytes(data)
    report = inspection.image(path)
    assert {finding.id for finding in report.findings} == expected
    assert not any(finding.severity == Severity.UNDECIDED for finding in report.findings)
    severe = any(finding.severity == Severity.ERROR for finding in report.findings)
    assert report.exit_code == (1 if severe else 0)
    assert all(finding.evidence.at[0].path == str(path) for finding in report.findings)
    assert set(inspect(path).findings) == set(report.findings)


def test_every_check_of_a_wrapping_has_a_fault() -> None:
    declared = {check.id for check in checks_of("boot.container")} - {"packed-image-is-the-image"}
    assert declared <= {check_id for _, expected in FAULTS.values() for check_id in expected}


def test_a_packed_image_is_the_image_beside_it(tmp_path: Path) -> None:
    place = 0x12345
    other = IMAGE[:place] + bytes([IMAGE[place] ^ 1]) + IMAGE[place + 1 :]
    image = tmp_path / "Image"
    (tmp_path / "Image").write_bytes(IMAGE)
    for packed, told in (
        (squeezed(IMAGE, "gzip"), ""),
        (XZ, ""),
        (squeezed(other, "xz"), f"unpacked at {place:#x}: the kernel inside differs from {image}"),
        (
            squeezed(IMAGE[:-1], "gzip"),
            f": the kernel inside differs in size from {image}: expected {SIZE:,} bytes",
        ),
    ):
        (tmp_path / "packed").write_bytes(packed)
        report = inspect(tmp_path / "packed", tmp_path / "Image")
        assert "packed-image-is-the-image" in report.ran
        found = [str(one) for one in report.findings if one.id == "packed-image-is-the-image"]
        assert len(found) == bool(told)
        assert not told or told in found[0]


def test_findings_point_at_the_field(tmp_path: Path) -> None:
    path = tmp_path / "vmlinuz.efi"
    path.write_bytes(FAULTS["zboot with another size"][0])
    (finding,) = inspection.image(path).findings
    place = f"{path}: appended size at {PAYLOAD + LENGTH:#x}"
    sizes = f"expected {len(PADDED):,} ({len(PADDED):#x}), found {SIZE:,} ({SIZE:#x})"
    assert str(finding) == f"{place}: the appended size is not the uncompressed size: {sizes} [appended-size-is-right]"


def test_a_tree_behind_a_stream_is_judged(tmp_path: Path) -> None:
    tree = (SAMPLE / "dtb" / "hello.dtb").read_bytes()
    # A version that no reader knows.
    bad = tree[:20] + struct.pack(">II", 99, 98) + tree[28:]
    path = tmp_path / "Image.gz-dtb"
    for trees, places in (((tree,), set()), ((bad,), {f"{path}:dtb"}), ((tree, bad), {f"{path}:dtb-2"})):
        path.write_bytes(squeezed(IMAGE, "gzip") + b"".join(trees))
        report = inspection.image(path)
        severe = [finding for finding in report.findings if finding.severity == Severity.ERROR]
        assert {finding.evidence.at[0].path for finding in severe} == places
        assert "dtb-is-whole" in report.ran
