"""An initramfs beside a kernel, as `kinspect check` finds it in /boot."""

import gzip
import json
from pathlib import Path

import pytest

from kinspect.inspection.check import check
from kinspect.inspection.report import Report
from kinspect.views.build.inventory import BuildFacts
from samples.hello.examples import RELEASE, initramfs, make_output_folder
from tests.toy_initramfs import Entry, archive
from tests.toy_tree import ko

OTHER = "6.2.0-other"


@pytest.fixture
def boot(tmp_path: Path) -> Path:
    """A /boot with the sample's kernel, and its initramfs."""
    make_output_folder(tmp_path / "out")
    folder = tmp_path / "system/boot"
    folder.mkdir(parents=True)
    image = (tmp_path / "out/arch/arm64/boot/Image").read_bytes()
    (folder / f"vmlinuz-{RELEASE}").write_bytes(image)
    (folder / f"initrd.img-{RELEASE}").write_bytes(initramfs())
    return folder


def with_modules_of(release: str) -> bytes:
    info = ("name=m", "vermagic=6.1.0-hello SMP mod_unload modversions aarch64")
    return gzip.compress(archive(Entry("init", b"x"), Entry(f"lib/modules/{release}/m.ko", ko(info=info))))


def found(report: Report[BuildFacts]) -> set[str]:
    return {finding.id for finding in report.findings if finding.severity == "error"}


@pytest.mark.parametrize("name", ["initrd.img-{}", "initramfs-{}.img", "initramfs-{}", "initrd-{}", "initrd.img"])
def test_it_is_found_beside_its_kernel(name: str, boot: Path) -> None:
    (boot / f"initrd.img-{RELEASE}").rename(boot / name.format(RELEASE))
    report = check(boot.parent)
    roles = {piece.role: piece.path for piece in report.facts[0].pieces}
    assert roles == {"Image": f"{boot}/vmlinuz-{RELEASE}", "initramfs": f"{boot}/{name.format(RELEASE)}"}
    assert report.ok
    assert {"initramfs-is-whole", "initramfs-has-modules-of-the-kernel"} <= set(report.ran)
    assert check(boot, require=["initramfs"]).ok


def test_one_of_another_kernel(boot: Path) -> None:
    (boot / f"initrd.img-{RELEASE}").write_bytes(with_modules_of(OTHER))
    assert "initramfs-has-modules-of-the-kernel" in found(check(boot.parent))


def test_each_belongs_to_the_kernel_of_its_release(boot: Path) -> None:
    image = (boot / f"vmlinuz-{RELEASE}").read_bytes()
    (boot / f"vmlinuz-{OTHER}").write_bytes(image.replace(RELEASE.encode(), OTHER.encode()))
    (boot / f"initrd.img-{OTHER}").write_bytes(with_modules_of(OTHER))
    report = check(boot.parent)
    assert [piece.role for piece in report.facts[0].pieces].count("initramfs") == 2
    assert "initramfs-has-modules-of-the-kernel" not in found(report)


def test_one_that_is_cut(boot: Path) -> None:
    path = boot / f"initrd.img-{RELEASE}"
    path.write_bytes(path.read_bytes()[:-2000])
    report = check(boot.parent)
    assert found(report) >= {"initramfs-is-whole"}
    assert report.exit_code == 1


def test_one_without_a_kernel(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from kinspect.cli import main

    path = tmp_path / "some.cpio.gz"
    path.write_bytes(initramfs())
    assert main(["check", str(path)]) == 0
    assert "not checked: initramfs without a kernel" in capsys.readouterr().out
    assert main(["check", str(path), "--json"]) == 0
    (facts,) = json.loads(capsys.readouterr().out)["facts"]
    assert facts["pieces"][0]["role"] == "initramfs"
