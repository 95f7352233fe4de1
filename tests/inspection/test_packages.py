"""Packages taken for the folder that a package manager would make of them."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest

import kinspect
from kinspect.cli import main
from kinspect.inspection.package.taken import is_package
from kinspect.reports.formats import FORMATS
from samples.hello.examples import RELEASE, make_examples, make_output_folder
from tests.conftest import ROOT, SAMPLE
from tests.packaged_sample import (
    DEBUG,
    HEADERS,
    IMAGE,
    KERNEL,
    TREE,
    Tool,
    deb,
    findings,
    kernel_folders,
    same_findings,
    temporary,
    unpacked,
)

OTHER = "6.2.0-other"
NOTHING_LEFT = re.compile(r"kinspect-\w{8}")


@pytest.fixture
def folders(tmp_path: Path) -> dict[str, Path]:
    """What is in each of the packages."""
    return kernel_folders(tmp_path / "packages")


@pytest.fixture
def packages(folders: dict[str, Path], tool: Tool) -> list[Path]:
    """The packages of the sample's kernel: image, headers, debug."""
    return [deb(tool("dpkg-deb"), folder, name) for name, folder in folders.items()]


def test_the_verdict_is_that_of_the_folder(packages: list[Path], tool: Tool, tmp_path: Path) -> None:
    report = same_findings(packages, unpacked(tool("dpkg-deb"), packages, tmp_path / "system"))
    assert report.ok
    facts = report.facts[0]
    assert facts.absent == ()
    assert facts.paths == tuple(map(str, packages))
    assert [(one.name, one.version, one.architecture) for one in facts.packages] == [
        (name, "6.1.0-1", "arm64") for name in (IMAGE, HEADERS, DEBUG)
    ]
    assert {piece.role: piece.path for piece in facts.pieces} == {
        "config": f"{packages[0]}:boot/config-{RELEASE}",
        "Image": f"{packages[0]}:{KERNEL}",
        "modules": f"{packages[0]}:{TREE}",
        "Module.symvers": f"{packages[1]}:usr/src/linux-headers-{RELEASE}/Module.symvers",
        "vmlinux": f"{packages[2]}:usr/lib/debug/boot/vmlinux-{RELEASE}",
        "System.map": f"{packages[2]}:usr/lib/debug/boot/System.map-{RELEASE}",
    }
    assert findings(kinspect.check(list(map(str, packages))), ()) == findings(report, ())
    assert findings(kinspect.check(*reversed(packages)), ()) == findings(report, ())


def test_and_so_is_that_of_a_faulty_build(folders: dict[str, Path], tool: Tool, tmp_path: Path) -> None:
    image = folders[IMAGE] / KERNEL
    data = bytearray(image.read_bytes())
    data[0x10A00:0x10A04] = b"\x1f\x20\x03\xd5"
    image.write_bytes(data)
    (folders[IMAGE] / TREE / "modules.dep").write_text("kernel/lib/nosuch.ko:\n")
    packages = [deb(tool("dpkg-deb"), folder, name) for name, folder in folders.items()]
    report = same_findings(packages, unpacked(tool("dpkg-deb"), packages, tmp_path / "system"))
    assert report.exit_code == 1
    changed = next(one for one in report.findings if one.id == "image-is-objcopy-of-vmlinux")
    assert {at.path for at in changed.evidence.at} == {
        f"{packages[0]}:{KERNEL}",
        f"{packages[2]}:usr/lib/debug/boot/vmlinux-{RELEASE}",
    }


def test_what_is_in_none_of_the_packages(packages: list[Path], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", *map(str, packages[:2])]) == 0
    out = capsys.readouterr().out
    assert "\n  absent  vmlinux, System.map: in none of the packages\n" in out
    assert out.endswith("not checked: Image without vmlinux\n")
    assert kinspect.check(packages[1]).facts[0].absent == ("config", "vmlinux", "System.map", "Image", "modules")


@pytest.mark.parametrize("form", [form for form in FORMATS if form != "csv"])
def test_every_format_names_the_package(
    form: str, folders: dict[str, Path], tool: Tool, capsys: pytest.CaptureFixture[str]
) -> None:
    (folders[IMAGE] / TREE / "modules.dep").write_text("kernel/lib/nosuch.ko:\n")
    (folders[IMAGE] / f"boot/config-{RELEASE}").write_bytes(b"\x7fELF")
    package = deb(tool("dpkg-deb"), folders[IMAGE], IMAGE)
    assert main(["check", str(package), "--format", form]) == 2
    out, err = capsys.readouterr()
    assert not NOTHING_LEFT.search(out + err)
    # Text has the name of a package that is alone in its first line only.
    place = f" {TREE}" if form == "text" else f"{IMAGE}.deb:{TREE}"
    assert place in out.replace("%3A", ":")
    if form == "json":
        jsonschema.validate(json.loads(out), json.loads((ROOT / "docs/report.schema.json").read_text()))


def test_an_error_names_the_package(folders: dict[str, Path], tool: Tool, capsys: pytest.CaptureFixture[str]) -> None:
    (folders[IMAGE] / KERNEL).write_bytes(b"\x1f\x8b\x08\0")
    package = deb(tool("dpkg-deb"), folders[IMAGE], IMAGE)
    for words in (["check"], ["image"]):
        assert main([*words, str(package)]) == 2
        out, err = capsys.readouterr()
        assert err.startswith(f"kinspect: {package}:{KERNEL}: ")
        assert err.count("\n") == 1
        assert not NOTHING_LEFT.search(out + err)


def test_two_packages_with_another_file_at_one_path(folders: dict[str, Path], tool: Tool) -> None:
    config = folders[DEBUG] / f"boot/config-{RELEASE}"
    config.parent.mkdir()
    shutil.copy(folders[IMAGE] / f"boot/config-{RELEASE}", config)
    packages = [deb(tool("dpkg-deb"), folder, name) for name, folder in folders.items()]
    assert kinspect.check(*packages).ok
    config.write_bytes(config.read_bytes() + b"CONFIG_MORE=y\n")
    packages = [deb(tool("dpkg-deb"), folder, name) for name, folder in folders.items()]
    report = kinspect.check(*packages)
    found = next(one for one in report.findings if one.id == "packages-agree-on-shared-paths")
    assert [at.path for at in found.evidence.at] == [
        f"{package}:boot/config-{RELEASE}" for package in (packages[0], packages[2])
    ]
    assert report.exit_code == 1


def test_modules_of_another_release(folders: dict[str, Path], tool: Tool) -> None:
    """As in raspberrypi/linux, issues 1554 and 4616: the kernel starts, and modprobe finds nothing."""
    (folders[IMAGE] / TREE).rename(folders[IMAGE] / f"lib/modules/{OTHER}")
    package = deb(tool("dpkg-deb"), folders[IMAGE], IMAGE)
    report = kinspect.check(package)
    found = next(one for one in report.findings if one.id == "packaged-kernel-has-its-modules")
    assert (found.evidence.expected, found.evidence.actual) == (RELEASE, OTHER)
    assert [at.path for at in found.evidence.at] == [f"{package}:{KERNEL}", f"{package}:lib/modules/{OTHER}"]
    assert report.exit_code == 1


def test_a_kernel_in_a_folder_may_have_its_modules_elsewhere(
    folders: dict[str, Path], tool: Tool, tmp_path: Path
) -> None:
    boot = tmp_path / "boot"
    boot.mkdir()
    data = (folders[IMAGE] / KERNEL).read_bytes()
    (boot / f"vmlinuz-{OTHER}").write_bytes(data.replace(RELEASE.encode(), OTHER.encode()))
    report = kinspect.check(deb(tool("dpkg-deb"), folders[IMAGE], IMAGE), boot)
    assert not [one for one in report.findings if one.id == "packaged-kernel-has-its-modules"]


def test_nothing_that_can_be_checked(folders: dict[str, Path], tool: Tool, capsys: pytest.CaptureFixture[str]) -> None:
    """As of a folder: a .config alone is not good."""
    shutil.rmtree(folders[IMAGE] / "lib")
    (folders[IMAGE] / KERNEL).unlink()
    package = deb(tool("dpkg-deb"), folders[IMAGE], IMAGE)
    assert kinspect.check(folders[IMAGE]).exit_code == 2
    assert main(["check", str(package)]) == 2
    out, err = capsys.readouterr()
    assert out.splitlines()[-1].startswith("could not tell")
    assert err.startswith(f"kinspect: {package}: cannot be checked alone")


def test_modules_of_several_kernels_are_not_those_of_another(folders: dict[str, Path], tool: Tool) -> None:
    """One package may have several kernels, of which not all are for arm64."""
    shutil.copytree(folders[IMAGE] / TREE, folders[IMAGE] / f"lib/modules/{OTHER}")
    report = kinspect.check(deb(tool("dpkg-deb"), folders[IMAGE], IMAGE))
    assert not [one for one in report.findings if one.id == "packaged-kernel-has-its-modules"]


@pytest.mark.parametrize(("machine", "warned"), [("amd64", True), ("armhf", False), ("all", False), ("arm64", False)])
def test_a_package_for_another_machine(machine: str, warned: bool, folders: dict[str, Path], tool: Tool) -> None:
    report = kinspect.check(deb(tool("dpkg-deb"), folders[IMAGE], IMAGE, architecture=machine))
    assert report.facts[0].packages[0].architecture == machine
    assert bool([one for one in report.findings if one.id == "packages-are-for-arm64"]) is warned
    assert report.ok


def test_a_package_without_a_kernel(
    packages: list[Path], tool: Tool, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    readme = tmp_path / "doc/usr/share/doc/linux-doc/README"
    readme.parent.mkdir(parents=True)
    readme.write_text("read me\n")
    other = deb(tool("dpkg-deb"), tmp_path / "doc", "linux-doc")
    for command in ("check", "modules", "image", "types"):
        assert main([command, str(other)]) == 2
        out, err = capsys.readouterr()
        assert out == ""
        assert err.startswith(f"kinspect: {other}: the package has no files of a kernel build")
        assert err.count("\n") == 1
    # Beside others it is only named.
    assert main(["check", *map(str, packages), str(other)]) == 0
    assert "not checked: 1 file (doc.deb)" in capsys.readouterr().out


def test_a_package_that_is_broken_beside_others(packages: list[Path], capsys: pytest.CaptureFixture[str]) -> None:
    packages[1].write_bytes(packages[1].read_bytes()[:600])
    assert main(["check", *map(str, packages)]) == 2
    out, err = capsys.readouterr()
    assert err.startswith(f"kinspect: {packages[1]}")
    assert err.count("\n") == 1
    assert "could not tell" in out
    assert "1 file not read" in out
    report = kinspect.check(*packages)
    assert "image-is-objcopy-of-vmlinux" in report.ran
    assert report.facts[0].absent == ("Module.symvers",)
    for package in packages:
        package.write_bytes(package.read_bytes()[:600])
    assert main(["check", *map(str, packages)]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_packages_folders_and_files_together(packages: list[Path], folders: dict[str, Path]) -> None:
    debug = folders[DEBUG] / "usr/lib/debug/boot"
    report = kinspect.check(debug / f"vmlinux-{RELEASE}", packages[0], folders[HEADERS])
    paths = {piece.role: piece.path for piece in report.facts[0].pieces}
    assert paths["vmlinux"] == str(debug / f"vmlinux-{RELEASE}")
    assert paths["Image"] == f"{packages[0]}:{KERNEL}"
    assert paths["Module.symvers"].startswith(str(folders[HEADERS]))
    assert report.ok
    assert "image-is-objcopy-of-vmlinux" in report.ran


def test_a_merged_usr(folders: dict[str, Path], tool: Tool) -> None:
    """One package has lib/modules, another usr/lib/modules: on the system they are one folder."""
    module = folders[IMAGE] / TREE / "kernel/lib/hello_text.ko"
    target = folders[HEADERS] / "usr" / TREE / "kernel/lib/hello_text.ko"
    target.parent.mkdir(parents=True)
    module.rename(target)
    packages = [deb(tool("dpkg-deb"), folder, name) for name, folder in folders.items()]
    report = kinspect.check(*packages)
    assert report.ok
    trees = [piece for piece in report.facts[0].pieces if piece.role == "modules"]
    assert [(tree.path, tree.description) for tree in trees] == [
        (f"{packages[0]}:{TREE}", f"{RELEASE}, 4 modules"),
    ]
    places = {at.path for one in report.findings for at in one.evidence.at}
    assert f"{packages[1]}:usr/{TREE}/kernel/lib/hello_text.ko" in places


def test_other_commands(packages: list[Path], capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    image, headers, debug = map(str, packages)
    for words, expected in (
        (["modules", image], f"{image}:{TREE}"),
        (["modules", image, "--symvers", headers, "--vmlinux", debug], "good: "),
        (["image", image], f"{image}:{KERNEL}: arm64 Image"),
        (["load", image, image], "good: 4 modules load"),
        (["size", debug], f"{debug}:usr/lib/debug/boot/vmlinux-{RELEASE}"),
        (["size", image], f"{image}:{KERNEL}"),
        (["size", image, "--html", str(tmp_path / "page")], str(tmp_path / "page")),
        (["elf", image, "-o", str(tmp_path / "vmlinux")], f"ELF written from {image}:{KERNEL}"),
        (["size", debug, image, "--by", "section"], f"{debug}:usr/lib/debug/boot/vmlinux-{RELEASE}"),
        (["size", debug, "--against", debug, "--by", "section"], f"{debug}:usr/lib/debug/boot/vmlinux-{RELEASE}"),
        (["image", debug, "--hardening"], f"{debug}:usr/lib/debug/boot/vmlinux-{RELEASE}"),
        (["symvers", headers, "--vmlinux", debug, "--modules", image], f"{headers}:usr/src"),
        (["symbols", debug, "--match", "start_kernel"], "T start_kernel"),
        (["vmlinux", debug], f"{debug}:usr/lib/debug/boot/vmlinux-{RELEASE}"),
        (["vmlinux", debug, "--table", "__ksymtab"], "uart_print"),
        (["elf", image, "-o", str(tmp_path / "elf")], f"{image}:{KERNEL}"),
        (["abi", headers, headers], "nothing changed"),
        (["depmod", image, "-o", str(tmp_path / "depmod")], str(tmp_path / "depmod")),
    ):
        assert main(words) == 0, (words, capsys.readouterr())
        out, err = capsys.readouterr()
        assert expected in out, words
        assert not NOTHING_LEFT.search(out + err), (words, out)
    assert main(["config", image]) == 1
    assert f"{image}:{KERNEL}" in capsys.readouterr().err
    assert (tmp_path / "depmod/modules.dep").exists()


def test_types_in_a_package(tool: Tool, tmp_path: Path, sample: Path, capsys: pytest.CaptureFixture[str]) -> None:
    packages = []
    for name in ("old", "new"):
        shutil.copytree(sample / "abi" / name, tmp_path / name / "usr/src/linux-headers-1")
        (tmp_path / name / "boot").mkdir()
        shutil.copy(sample / "abi" / name / "vmlinux", tmp_path / name / "boot/vmlinux-1")
        packages.append(deb(tool("dpkg-deb"), tmp_path / name, name))
    assert main(["types", str(packages[1]), "gadget"]) == 0
    assert "struct gadget" in capsys.readouterr().out
    assert main(["types", str(packages[1]), "--format", "raw"]) == 0
    assert "STRUCT 'gadget'" in capsys.readouterr().out
    status = main(["abi", *(str(sample / "abi" / name) for name in ("old", "new"))])
    expected = capsys.readouterr().out
    assert main(["abi", *map(str, packages)]) == status
    found = capsys.readouterr().out
    for name, package in zip(("old", "new"), packages, strict=True):
        found = found.replace(f"{package}:usr/src/linux-headers-1", str(sample / "abi" / name))
    assert found == expected
    assert main(["abi", *map(str, packages), "--format", "ksymvers"]) in (0, 1)


def test_what_is_not_in_the_package(packages: list[Path], capsys: pytest.CaptureFixture[str]) -> None:
    image, headers, debug = map(str, packages)
    for words, said in (
        (["vmlinux", image], f"{image}: the package has no vmlinux: found config, Image, modules"),
        (["size", headers], f"{headers}: the package has no vmlinux or Image: found Module.symvers"),
        (["elf", debug, "-o", "/dev/full"], f"{debug}: the package has no Image: found vmlinux"),
        (["image", headers], f"{headers}: the package has no Image: found Module.symvers"),
        (["load", headers, image], f"{headers}: the package has no Image or vmlinux: found Module.symvers"),
        (["modules", image, "--symvers", debug], f"{debug}: the package has no Module.symvers"),
        (["depmod", image], f"{image}: depmod's files cannot be written into a package: expected --out FOLDER"),
        (["diff", debug, headers], f"{headers}: the package has no Image or vmlinux: found Module.symvers"),
        (["module", image], f"{image}: not a module (`kinspect check` takes packages; for this, `dpkg-deb"),
    ):
        assert main(words) == 2
        out, err = capsys.readouterr()
        assert err.startswith(f"kinspect: {said}"), err
        assert (out, err.count("\n")) == ("", 1)


def test_kernels_in_packages_are_compared(packages: list[Path], capsys: pytest.CaptureFixture[str]) -> None:
    image, _, debug = map(str, packages)
    made, linked = f"{image}:boot/vmlinuz-{RELEASE}", f"{debug}:usr/lib/debug/boot/vmlinux-{RELEASE}"
    for words in ((debug, image), (image, debug)):
        assert main(["diff", *words]) == 0
        assert capsys.readouterr().out.endswith(f"\ngood: {made} is what objcopy makes of {linked}\n")
    assert main(["diff", image, image]) == 0
    assert capsys.readouterr().out.endswith(f"\ngood: {made} is the same as {made}\n")
    pytest.importorskip("capstone")
    assert main(["diff", debug, debug, "--function", "print"]) == 0
    assert f"print in {linked}, compared with {linked}" in capsys.readouterr().out


def test_a_folder_of_packages(packages: list[Path], capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    for name in ("old", "new"):
        (tmp_path / name).mkdir()
        for package in packages:
            shutil.copy(package, tmp_path / name)
        (tmp_path / name / "NEWS.tar").write_text("no package")
    old, new = str(tmp_path / "old"), str(tmp_path / "new")
    assert main(["abi", old, new]) == 0
    assert capsys.readouterr().out.startswith(f"{new}/{HEADERS}.deb:usr/src/linux-headers-{RELEASE}/Module.symvers: ")
    report = kinspect.check(old)
    assert findings(report, ()) == findings(kinspect.check(*sorted((tmp_path / "old").glob("*.deb"))), ())
    assert len(report.facts[0].packages) == 3
    assert main(["modules", old]) == 0
    assert capsys.readouterr().out.startswith(f"{old}: 4 modules\n")
    assert main(["load", str(packages[0]), old]) == 0
    # Beside a build they are only files.
    shutil.copy(SAMPLE / "Module.symvers", tmp_path / "old")
    assert kinspect.check(old).facts[0].packages == ()
    # None that is broken is left out.
    data = packages[0].read_bytes()
    (tmp_path / "new" / packages[0].name).write_bytes(data[:-99])
    assert main(["modules", new]) == 2
    assert f"{packages[0].name}" in capsys.readouterr().err


def test_several_kernels_in_a_package(folders: dict[str, Path], tool: Tool, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copy(folders[IMAGE] / KERNEL, folders[IMAGE] / f"boot/vmlinuz-{OTHER}")
    package = deb(tool("dpkg-deb"), folders[IMAGE], IMAGE)
    assert main(["image", str(package)]) == 2
    err = capsys.readouterr().err
    assert err.startswith(
        f"kinspect: {package}: more than one Image: unpack the package and name one of them: found {package}:boot/"
    )
    assert not NOTHING_LEFT.search(err)


@pytest.mark.parametrize("command", ["check -", "modules -", "image -", "load - {0}"])
def test_from_a_pipe(command: str, packages: list[Path], tmp_path: Path) -> None:
    words = command.format(packages[0]).split()
    with subprocess.Popen(
        [sys.executable, "-m", "kinspect", *words],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=temporary(tmp_path),
    ) as child:
        out, err = child.communicate(packages[0].read_bytes())
    assert (child.returncode, err) == (0, b"")
    assert b"good: " in out
    assert not NOTHING_LEFT.search(out.decode())
    assert list((tmp_path / "temporary").iterdir()) == []


def test_the_examples_are_packages_of_dpkg(tool: Tool, tmp_path: Path) -> None:
    make_examples(tmp_path)
    packages = sorted((tmp_path / "packages").iterdir())
    assert same_findings(packages, unpacked(tool("dpkg-deb"), packages, tmp_path / "system")).ok
    control = subprocess.run([tool("dpkg-deb"), "-f", packages[0]], capture_output=True, text=True, check=True).stdout
    assert "Architecture: arm64" in control


_COMPRESSORS = {"gz": "gzip", "xz": "xz", "zst": "zstd", "bz2": "bzip2", "": "tar"}


@pytest.mark.parametrize("form", _COMPRESSORS)
@pytest.mark.parametrize("top", ["", "build-6.1"])
def test_an_archive_of_a_build(
    form: str, top: str, tool: Tool, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As people send them: the O= folder, or what is in it, in a tar archive."""
    tool(_COMPRESSORS[form])
    folder = tmp_path / "in" / top
    make_output_folder(folder)
    path = tmp_path / f"out.tar{form and '.'}{form}"
    subprocess.run([tool("tar"), "-C", str(tmp_path / "in"), "-caf", str(path), top or "."], check=True)
    report, expected = kinspect.check(path), kinspect.check(folder)
    prefixes = [f"{path}:{top}/"] if top else [f"{path}:"]
    assert findings(report, prefixes) == findings(expected, (f"{folder}/",))
    assert report.ok
    assert [piece.role for piece in report.facts[0].pieces] == [piece.role for piece in expected.facts[0].pieces]
    assert main(["check", str(path)]) == 0
    out = capsys.readouterr().out
    assert re.search(rf"built modules +22.4 KiB +{top or '[.]'} +6.1.0-hello, 4 modules", out)
    assert not NOTHING_LEFT.search(out)


@pytest.mark.parametrize("name", ["Image.gz", "Image.bz2", "Image.xz"])
def test_a_compressed_kernel_is_no_package(name: str, sample: Path, tool: Tool, tmp_path: Path) -> None:
    path = tmp_path / name
    compressor = {"gz": "gzip", "bz2": "bzip2", "xz": "xz"}[name.partition(".")[2]]
    with path.open("wb") as target:
        subprocess.run([tool(compressor), "-c", str(sample / "Image")], stdout=target, check=True)
    assert not is_package(path)
    assert kinspect.image(path).ok
