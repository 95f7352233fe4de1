"""What mkinitramfs of Debian makes of a real kernel's modules: good as it is, and each change is named.

It runs as root in a mount namespace of its own, where /lib/modules and /boot are those of the kernel.
"""

import os
import random
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from kinspect.artifacts.initramfs.file import Initramfs
from kinspect.artifacts.module.ko import Module
from kinspect.inspection.build.initramfs import initramfs, initramfs_names
from kinspect.inspection.report import Report
from kinspect.source import Source
from kinspect.views.initramfs.contents import InitramfsFacts
from tests.conftest import Kernel, kernel_named
from tests.toy_initramfs import real_cpio
from tests.toy_zboot import compressed

pytestmark = pytest.mark.corpus
Tool = Callable[[str], str]
SCRIPT = """set -e
mkdir -p /lib/modules
mount --bind modules /lib/modules
mount -t tmpfs tmpfs /boot
mount -t tmpfs tmpfs /var/tmp
cp config /boot/config-$1
cp -r /etc/initramfs-tools conf
sed -i 's/^MODULES=.*/MODULES=list/; s/^COMPRESS=.*/COMPRESS=gzip/' conf/initramfs.conf
printf 'virtio_net\\nxfs\\nvirtio_blk\\n' > conf/modules
"$2" -d "$PWD/conf" -o "$PWD/initrd.img" "$1"
"""
PLACES, SEED = 1000, 14


class Made:
    """An initramfs that mkinitramfs made, and what is in it, unpacked."""

    def __init__(self, folder: Path, kernel: Kernel, tool: Tool) -> None:
        self.folder, self.kernel, self.tool = folder, kernel, tool
        self.path = folder / "initrd.img"
        self.root = folder / "root"

    @property
    def modules(self) -> Path:
        return self.root / "usr/lib/modules" / self.kernel.release

    def named(self, name: str) -> Path:
        return next(self.modules.rglob(f"{name}.ko*"))

    def depmod(self) -> None:
        command = [self.tool("depmod"), "-b", str(self.root), "-C", "/nonexistent", self.kernel.release]
        subprocess.run(command, check=True)

    def report(self) -> Report[InitramfsFacts]:
        """The report on an archive of the folder as it is now, for the kernel."""
        path = self.folder / "changed.img"
        path.write_bytes(compressed(real_cpio(self.tool("cpio"), self.root), "gzip", self.tool))
        return initramfs(path, self.kernel.image)


@pytest.fixture(scope="module", params=["bookworm-cloud", "trixie-cloud"])
def original(request: pytest.FixtureRequest, tool: Tool, tmp_path_factory: pytest.TempPathFactory) -> Made:
    if os.geteuid():
        pytest.skip("mkinitramfs is run as root, in a mount namespace")
    kernel = kernel_named(request.param)
    folder = tmp_path_factory.mktemp("made")
    lib = folder / "base/lib"
    lib.mkdir(parents=True)
    shutil.copytree(kernel.folder / "lib/modules", folder / "modules")
    (lib / "modules").symlink_to("../../modules")
    shutil.copy(kernel.folder / "config", folder / "config")
    subprocess.run([tool("depmod"), "-b", str(folder / "base"), kernel.release], check=True)
    command = [tool("unshare"), "-m", "sh", "-c", SCRIPT, "sh", kernel.release, tool("mkinitramfs")]
    subprocess.run(command, cwd=folder, check=True, capture_output=True)
    return Made(folder, kernel, tool)


@pytest.fixture
def made(original: Made, tool: Tool) -> Made:
    """The same, unpacked anew."""
    shutil.rmtree(original.root, ignore_errors=True)
    original.root.mkdir()
    data = subprocess.run([tool("gzip"), "-dc", str(original.path)], capture_output=True, check=True).stdout
    command = [tool("cpio"), "-idm", "--quiet", "--no-absolute-filenames"]
    subprocess.run(command, input=data, cwd=original.root, check=True, capture_output=True)
    return original


def wrong(report: Report[InitramfsFacts]) -> dict[str, str]:
    assert report.errors == ()
    found = [one for one in report.findings if one.severity != "info"]
    return {one.id: " ".join([str(one.evidence), *map(str, one.evidence.at)]) for one in found}


def test_it_is_good(original: Made) -> None:
    report = initramfs(original.path, original.kernel.image)
    assert wrong(report) == {}
    assert report.ok
    (release,) = report.facts[0].releases
    assert release.release == original.kernel.release
    assert dict(release.drivers)["network"] == ("failover", "net_failover", "virtio_net")


def test_names_are_those_of_lsinitramfs(original: Made, tool: Tool) -> None:
    theirs = subprocess.run([tool("lsinitramfs"), str(original.path)], capture_output=True, check=True).stdout
    ours = b"".join(initramfs_names(original.path))
    assert sorted(ours.splitlines()) == sorted(theirs.splitlines())


def test_a_module_that_is_taken_out(made: Made) -> None:
    made.named("net_failover").unlink()
    made.depmod()
    (message,) = wrong(made.report()).items()
    assert message[0] == "needed-modules-are-in-the-initramfs"
    assert message[1].startswith("net_failover is left out: virtio_net needs it")


def test_a_module_that_is_taken_out_behind_depmods_back(made: Made) -> None:
    made.named("net_failover").unlink()
    (message,) = wrong(made.report()).items()
    assert message[0] == "modules-of-modules-dep-are-there"
    assert "net_failover" in message[1]


def test_a_module_of_another_build(made: Made) -> None:
    other = kernel_named("trixie-cloud" if made.kernel.name == "bookworm-cloud" else "bookworm-cloud")
    source = next(other.folder.glob("lib/modules/*/kernel/drivers/block/virtio_blk.ko*"))
    target = made.named("virtio_blk")
    target.unlink()
    (target.parent / "virtio_blk.ko").write_bytes(Module(str(source)).data)
    made.depmod()
    found = wrong(made.report())
    assert {"modules-have-one-size-of-struct-module", "module-versions-are-those-of-the-kernel"} <= found.keys()
    for text in found.values():
        assert text.startswith("virtio_blk ")


def test_an_index_that_is_stale(made: Made) -> None:
    index = made.modules / "modules.dep.bin"
    whole = index.read_bytes()
    kept = made.named("xfs")
    moved = kept.rename(made.folder / kept.name)
    made.depmod()
    stale = index.read_bytes()
    moved.rename(kept)
    made.depmod()
    assert wrong(made.report()) == {}
    assert stale != whole
    index.write_bytes(stale)
    (message,) = wrong(made.report()).items()
    assert message[0] == "indexes-are-of-their-texts"
    assert "modules.dep.bin" in message[1]


@pytest.mark.parametrize("form", ["gzip", "xz", "bzip2", "zstd"])
def test_a_flipped_bit_is_found(form: str, original: Made, tool: Tool) -> None:
    """1,000 places in a small one, of which the compression has a checksum. What is not found changes no member."""
    parts = [b"".join(initramfs_names(original.path)), original.path.read_bytes()[:20_000]]
    (original.folder / "small").mkdir(exist_ok=True)
    for number, part in enumerate(parts):
        (original.folder / "small" / f"part{number}").write_bytes(part)
    plain = real_cpio(tool("cpio"), original.folder / "small")
    whole = compressed(plain, form, tool)
    draw, missed = random.Random(SEED), 0
    for _ in range(PLACES):
        place, bit = draw.randrange(len(whole)), 1 << draw.randrange(8)
        changed = bytearray(whole)
        changed[place] ^= bit
        faults, members = contents(bytes(changed))
        if not faults:
            missed += 1
            assert members == contents(whole)[1], (place, bit)
    # gzip's time, flags and system, and bits of streams that mean nothing.
    assert missed < PLACES // 50


def contents(data: bytes) -> tuple[bool, list[tuple[str, bytes]]]:
    """Whether something is wrong with an initramfs, and its members with their data."""
    found = Initramfs(Source("x", data))
    members: list[tuple[str, bytearray]] = []

    def on_member(member: object) -> Callable[[bytes], None]:
        members.append((getattr(member, "path", ""), bytearray()))
        return members[-1][1].extend

    try:
        found.read(on_member)
    except Exception:
        return True, []
    return bool(found.faults or not found.parts), [(name, bytes(body)) for name, body in members]
