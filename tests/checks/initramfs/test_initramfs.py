"""The checks of an initramfs: each finds its fault, and says nothing of a good one."""

import bz2
import gzip
import lzma
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from kinspect.artifacts.initramfs.file import Initramfs
from kinspect.checks.check import Severity
from kinspect.cli import main
from kinspect.errors import UnsupportedError
from kinspect.inspection.build.initramfs import initramfs
from kinspect.inspection.report import Report
from kinspect.source import Source
from kinspect.views.initramfs.contents import InitramfsFacts
from tests.conftest import Kernel
from tests.toy_initramfs import FOLDER, LINK, Entry, archive, entries_of, real_cpio
from tests.toy_tree import RELEASE, ko, real_depmod, tree_of

Tool = Callable[[str], str]
ROOT = f"lib/modules/{RELEASE}"
INIT = Entry("init", b"#!/bin/sh\n", 0o100755)
MODULES = {
    "kernel/drivers/block/disk.ko": ko(["read"], [], info=("name=disk", "depends=", "firmware=disk/one.bin")),
    "kernel/fs/files.ko": ko([], ["read"], info=("name=files", "depends=disk")),
    "kernel/drivers/net/wire.ko": ko(info=("name=wire", "depends=", "firmware=wire-*.fw")),
}


@pytest.fixture(autouse=True)
def nothing_left(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterable[None]:
    """No temporary folder is left behind."""
    place = tmp_path / "temporary"
    place.mkdir()
    monkeypatch.setenv("TMPDIR", str(place))
    monkeypatch.setattr(tempfile, "tempdir", str(place))
    yield
    assert list(place.iterdir()) == []


@pytest.fixture
def root(tmp_path: Path, tool: Tool) -> Path:
    """A folder with modules, and what depmod writes."""
    base = tmp_path / "root"
    tree_of(base, MODULES)
    for name, data in real_depmod(tool("depmod"), base).items():
        (base / ROOT / name).write_bytes(data)
    return base


def report_of(root: Path, *more: Entry, without: str = "") -> Report[InitramfsFacts]:
    kept = [entry for entry in entries_of(root) if not without or not str(entry.name).endswith(without)]
    return report(archive(INIT, *kept, *more), root)


def report(data: bytes, root: Path, **options: object) -> Report[InitramfsFacts]:
    path = root.parent / "initrd.img"
    path.write_bytes(data)
    return initramfs(path, **options)  # type: ignore[arg-type]


def messages(report: Report[InitramfsFacts], least: Severity = Severity.WARNING) -> dict[str, str]:
    shown = (Severity.ERROR, Severity.UNDECIDED) + ((Severity.WARNING,) if least != Severity.ERROR else ())
    shown += (Severity.INFO,) if least == Severity.INFO else ()
    return {found.id: found.evidence.message for found in report.findings if found.severity in shown}


FIRMWARE = (Entry("lib/firmware/disk/one.bin.xz", b"1"), Entry(f"lib/firmware/{RELEASE}/wire-7.fw", b"2"))


def test_a_good_one(root: Path) -> None:
    found = report_of(root, *FIRMWARE)
    assert (messages(found, Severity.INFO), found.exit_code) == ({}, 0)
    (facts,) = found.facts
    (release,) = facts.releases
    assert (release.release, release.modules, facts.init, facts.firmware) == (RELEASE, 3, True, 2)
    assert dict(release.drivers) == {"block": ("disk",), "file systems": ("files",), "network": ("wire",)}
    assert {one.name: one.files for one in facts.folders}["modules"] == 3
    assert "initramfs-is-whole" in found.ran


def test_a_provider_that_is_left_out(root: Path, tool: Tool) -> None:
    (root / ROOT / "kernel/drivers/block/disk.ko").unlink()
    # modules.dep still names it.
    found = report_of(root, *FIRMWARE)
    assert "modules-of-modules-dep-are-there" in messages(found)
    assert "needed-modules-are-in-the-initramfs" not in messages(found)
    # depmod takes its exports for the kernel's.
    for name, data in real_depmod(tool("depmod"), root).items():
        (root / ROOT / name).write_bytes(data)
    found = report_of(root, *FIRMWARE)
    expected = "disk is left out: files needs it and does not load"
    assert messages(found) == {"needed-modules-are-in-the-initramfs": expected}
    (finding,) = (one for one in found.findings if one.severity == Severity.ERROR)
    assert str(finding.evidence.at[0]) == f"{root.parent}/initrd.img:{ROOT}/kernel/fs/files.ko"
    # A provider that is built in is not left out.
    (root / ROOT / "modules.builtin").write_text("kernel/drivers/block/disk.ko\n")
    assert "needed-modules-are-in-the-initramfs" not in messages(report_of(root))


def test_an_index_that_is_stale(root: Path) -> None:
    path = root / ROOT / "modules.dep.bin"
    shutil.copy(root / ROOT / "modules.symbols.bin", path)
    assert "indexes-are-of-their-texts" in messages(report_of(root))
    assert "files-of-depmod-are-complete" in messages(report_of(root, without="modules.dep"))


def test_a_module_of_another_build(root: Path) -> None:
    for name in ("one", "two"):
        (root / ROOT / f"kernel/{name}.ko").write_bytes(ko(info=(f"name={name}", "vermagic=6.1.0 SMP ")))
    (root / ROOT / "kernel/other.ko").write_bytes(ko(info=("name=other", "vermagic=5.0.0 SMP ")))
    assert "modules-have-one-vermagic" in messages(report_of(root))


def test_firmware_that_is_not_there(root: Path, tmp_path: Path) -> None:
    data = archive(INIT, *entries_of(root))
    found = report(data, root)
    assert [one.name for one in found.facts[0].missing_firmware] == ["disk/one.bin", "wire-*.fw"]
    expected = "2 firmware files that 2 modules may ask for are not in it: disk/one.bin, wire-*.fw"
    assert messages(found, Severity.INFO) == {"firmware-is-in-the-initramfs": expected}
    (tmp_path / "firmware/disk").mkdir(parents=True)
    (tmp_path / "firmware/disk/one.bin.zst").write_bytes(b"")
    found = report(data, root, firmware=[str(tmp_path / "firmware")])
    assert [one.name for one in found.facts[0].missing_firmware] == ["wire-*.fw"]


def test_archives_that_are_broken(root: Path) -> None:
    whole = archive(INIT, *entries_of(root))
    found = report(whole[: len(whole) // 2], root)
    assert "initramfs-is-whole" in messages(found)
    assert found.exit_code == 1
    found = report(bytes(1024), root)
    assert messages(found)["initramfs-is-whole"] == "there is no archive in it: it is all zeros"
    damaged = archive(Entry("init", b"x", fields={"check": 9}), magic=b"070702")
    assert messages(report(damaged, root)) == {"checksums-of-members-are-right": "the data does not have its checksum"}
    assert messages(report(archive(INIT, magic=b"070702"), root)) == {}


@pytest.mark.parametrize("name", ["initrd.img-6.1", "initramfs-6.1.img", "unnamed"])
@pytest.mark.parametrize("form", ["gzip", "xz", "lzma", "bzip2", "lz4", "lzo"])
def test_streams_that_are_broken_at_their_beginning_or_later(
    form: str, name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Wherever a compressed archive is broken it is a finding, also of `check` where the name says what it is."""
    whole = archive(INIT, Entry("data", random.Random(1).randbytes(1 << 19)))
    packed = {
        "gzip": gzip.compress(whole, mtime=0),
        "xz": lzma.compress(whole, check=lzma.CHECK_CRC32),
        "lzma": lzma.compress(whole, lzma.FORMAT_ALONE),
        "bzip2": bz2.compress(whole),
        "lz4": b"\x02\x21\x4c\x18\0\0\1\0" + bytes(99),
        "lzo": b"\x89LZO\0\r\n\x1a\n" + bytes(99),
    }[form]
    path = tmp_path / name
    for size in (20, len(packed) - 40):
        path.write_bytes(packed[:size])
        for command in ("initramfs", "check") if name != "unnamed" else ("initramfs",):
            assert main([command, str(path)]) == 1, (command, size)
            assert "[initramfs-is-whole]" in capsys.readouterr().out


def test_names_that_lead_out(root: Path) -> None:
    names = ("../../up", f"{ROOT}/../../../../x.ko", "a/../b")
    found = report_of(root, *(Entry(name, b"x") for name in names))
    assert messages(found)["members-stay-below-the-root"].startswith("3 names with `..`: ../../up, ")
    assert not (root.parent / "x.ko").exists()


def test_no_init(root: Path) -> None:
    found = report(archive(Entry("kernel/x86/microcode/GenuineIntel.bin", b"1")), root)
    assert "initramfs-has-an-init" in messages(found, Severity.INFO)
    assert found.ok


def test_members_in_each_others_way(root: Path) -> None:
    """As where the kernel cannot make them, the first stays."""
    file, below = Entry(f"{ROOT}/kernel/a.ko", ko()), Entry(f"{ROOT}/kernel/a.ko/b.ko", ko())
    for entries in ((file, below), (below, file)):
        found = report(archive(INIT, *entries), root)
        assert found.errors == ()
    long = Entry(f"{ROOT}/kernel/{'a' * 300}.ko", ko())
    assert report(archive(INIT, long), root).errors == ()
    links = (Entry(f"{ROOT}/kernel", b"/etc", LINK), Entry(f"{ROOT}/kernel/c.ko", ko()), Entry("dev", mode=0o60600))
    assert report(archive(INIT, *links), root).errors == ()


def test_hard_links_share_their_data(root: Path, tool: Tool) -> None:
    other = root / ROOT / "kernel/second.ko"
    other.hardlink_to(root / ROOT / "kernel/fs/files.ko")
    found = report(real_cpio(tool("cpio"), root), root)
    assert "modules-can-be-read" not in messages(found)
    assert found.facts[0].modules == 4
    # Other writers put the data first.
    data = ko(info=("name=a",))
    linked = (Entry(f"{ROOT}/a.ko", data, ino=5, nlink=2), Entry(f"{ROOT}/b.ko", b"", ino=5, nlink=2))
    assert "modules-can-be-read" not in messages(report(archive(INIT, *linked), root))


def test_modules_outside_of_a_release(root: Path) -> None:
    found = report(archive(INIT, Entry("modules", mode=FOLDER), Entry("modules/x.ko", ko())), root)
    assert [(one.root, one.release) for one in found.facts[0].releases] == [("modules", "")]
    many = (Entry(f"{number}/x.ko", b"") for number in range(60))
    with pytest.raises(UnsupportedError, match="too many modules"):
        report(archive(INIT, *many), root)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_the_temporary_folder_goes_away_when_a_signal_ends_the_program(number: signal.Signals, tmp_path: Path) -> None:
    path = tmp_path / "initrd.img"
    modules = (Entry(f"{ROOT}/kernel/m{number}.ko", ko([f"s{number}"]) + bytes(9000)) for number in range(6000))
    path.write_bytes(gzip.compress(archive(INIT, *modules), 1))
    place = tmp_path / "place"
    place.mkdir()
    command = [sys.executable, "-m", "kinspect", "initramfs", str(path)]
    with subprocess.Popen(
        command, env=os.environ | {"TMPDIR": str(place)}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as child:
        end = time.monotonic() + 30
        while not any(place.rglob("m9*.ko")) and time.monotonic() < end and child.poll() is None:
            time.sleep(0.005)
        assert child.poll() is None
        child.send_signal(number)
        child.wait()
    assert child.returncode in (130, -number)
    assert list(place.iterdir()) == []


@pytest.mark.corpus
def test_a_real_kernels_modules(kernel: Kernel, tool: Tool, tmp_path: Path) -> None:
    """What update-initramfs would choose for a disk and a network, and the same without a provider."""
    release = kernel.release
    source = next(Path(kernel.folder).glob(f"lib/modules/{release}"))
    base = tmp_path / "root"
    target = base / "usr/lib/modules" / release
    for name in ("virtio_net", "net_failover", "failover", "xfs", "nvme", "nvme-core"):
        for path in source.rglob(f"{name}.ko*"):
            (target / path.relative_to(source)).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, target / path.relative_to(source))
    for name in ("modules.builtin", "modules.builtin.modinfo", "modules.order"):
        shutil.copy(source / name, target / name)
    (base / "lib").symlink_to("usr/lib")
    (base / "init").write_bytes(b"#!/bin/sh\n")
    needed = {path.name.partition(".")[0] for path in target.rglob("*.ko*")}
    subprocess.run([tool("depmod"), "-b", str(base), "-C", "/nonexistent", release], check=True)
    path = tmp_path / f"initrd.img-{release}"
    path.write_bytes(gzip.compress(real_cpio(tool("cpio"), base)))
    found = initramfs(path, kernel.vmlinux)
    assert [one.release for one in found.facts[0].releases] == [release]
    if messages(found):
        assert set(messages(found)) == {"needed-modules-are-in-the-initramfs"}, messages(found)
    assert "net_failover" in needed
    next(target.rglob("net_failover.ko*")).unlink()
    subprocess.run([tool("depmod"), "-b", str(base), "-C", "/nonexistent", release], check=True)
    path.write_bytes(gzip.compress(real_cpio(tool("cpio"), base)))
    found = initramfs(path, kernel.vmlinux)
    left_out = [one.name for one in found.facts[0].left_out]
    assert "net_failover" in left_out


def test_a_byte_that_is_flipped_in_a_compressed_one_is_found(root: Path) -> None:
    whole = gzip.compress(archive(INIT, *entries_of(root)), mtime=0)
    draw = random.Random(14)
    # The first ten bytes of gzip are a time, flags and a system, which nothing covers.
    for place in (draw.randrange(10, len(whole)) for _ in range(200)):
        flipped = bytearray(whole)
        flipped[place] ^= 1 << draw.randrange(8)
        # Some bits of deflate mean nothing: the contents are the same.
        assert initramfs_is_broken(bytes(flipped)) or gzip.decompress(flipped) == gzip.decompress(whole), place


def initramfs_is_broken(data: bytes) -> bool:
    found = Initramfs(Source("initrd.img", data))
    found.read(lambda _: None)
    return bool(found.faults)


def test_what_no_checksum_covers_is_said(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = root.parent / "initrd.img"
    data = archive(INIT)
    for contents, note in (
        (data, "; no checksum covers the uncompressed data\n"),
        (gzip.compress(data), "nothing wrong\n"),
    ):
        path.write_bytes(contents)
        assert main(["initramfs", str(path)]) == 0
        assert capsys.readouterr().out.endswith(note)
