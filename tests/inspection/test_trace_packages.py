"""`kinspect trace` with packages: the kernel, and the modules that a log names."""

import io
import tarfile
from collections.abc import Mapping
from pathlib import Path

import pytest

import kinspect
from kinspect.cli import main
from kinspect.inspection.package.modules import PackagedModules
from kinspect.inspection.package.taken import Packages
from kinspect.inspection.symbols.trace import log_decoder
from kinspect.views.trace.facts import TraceFacts
from samples.hello.examples import RELEASE
from tests.conftest import SAMPLE
from tests.packaged_sample import MODULES, Tool, deb, kernel_folders

LOG = SAMPLE / "logs/oops.log"
BELL = MODULES / "kernel/drivers/hello/bell/hello_bell.ko.xz"
TEXT = MODULES / "kernel/lib/hello_text.ko"
TREE = f"usr/lib/debug/lib/modules/{RELEASE}/kernel"
Capture = pytest.CaptureFixture[str]


def tar(path: Path, files: Mapping[str, Path | bytes]) -> str:
    with tarfile.open(path, "w:gz") as archive:
        for name, source in files.items():
            data = source if isinstance(source, bytes) else source.read_bytes()
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return str(path)


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of temporary files, which is empty afterwards."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    return folder


@pytest.fixture
def debug(tmp_path: Path) -> str:
    """A debug package: the vmlinux, and modules where debug packages have them."""
    return tar(
        tmp_path / "debug.tar.gz",
        {
            f"usr/lib/debug/boot/vmlinux-{RELEASE}": SAMPLE / "vmlinux",
            f"{TREE}/lib/hello_text.ko": TEXT,
            f"{TREE}/drivers/hello/bell/hello_bell.ko.xz": BELL,
            f"{TREE}/fs/other.ko": b"not a module",
        },
    )


def frames_of(kernel: Path | str, lines: list[str], *modules: Path | str) -> TraceFacts:
    return kinspect.trace(kernel, lines, modules).facts_of(TraceFacts)[0]


def test_the_log_is_decoded_as_with_the_files(debug: str, temporary: Path, capsys: Capture) -> None:
    assert main(["trace", str(SAMPLE / "vmlinux"), str(LOG)]) == 0
    expected = capsys.readouterr().out
    assert main(["trace", debug, str(LOG)]) == 0
    out, err = capsys.readouterr()
    assert out == expected
    assert f"  kernel  {debug}:usr/lib/debug/boot/vmlinux-{RELEASE} (6.1.0-hello)" in err
    assert main(["trace", debug, "--at", "start_kernel+0x6c"]) == 0
    assert capsys.readouterr().out == "start_kernel+0x6c/0xc4 (hello.c:72)\n"
    assert list(temporary.iterdir()) == []


def test_modules_of_the_package_of_the_kernel(debug: str, temporary: Path) -> None:
    lines = [" hello_reverse+0x0/0x10 [hello_text]", " bell_ring+0x0/0x4 [hello_bell]", " walk+0x0/0x4 [missing]"]
    facts = frames_of(debug, lines)
    assert [(module.name, module.path) for module in facts.modules] == [
        ("hello_text", f"{debug}:{TREE}/lib/hello_text.ko"),
        ("hello_bell", f"{debug}:{TREE}/drivers/hello/bell/hello_bell.ko.xz"),
        ("missing", None),
    ]
    assert facts.modules[2].problem == f"no file of that name in {debug}"
    assert list(temporary.iterdir()) == []


def test_packages_and_folders_of_modules(debug: str, tmp_path: Path, temporary: Path) -> None:
    one = tar(tmp_path / "one.tar.gz", {"hello_text.ko": TEXT})
    lines = [" hello_reverse+0x0/0x10 [hello_text]", " hello_door+0x0/0x10 [hello_door]"]
    facts = frames_of(SAMPLE / "vmlinux", lines, one, MODULES)
    # A file that is found twice is one of them.
    paths = {module.name: module.path for module in facts.modules}
    assert paths["hello_text"] in (f"{one}:hello_text.ko", str(TEXT))
    assert paths["hello_door"] == str(MODULES / "kernel/drivers/hello/hello-door.ko")
    facts = frames_of(debug, lines, one)
    assert facts.modules[0].path == f"{one}:hello_text.ko"
    assert facts.modules[1].problem == f"no file of that name in {one}"
    assert list(temporary.iterdir()) == []


@pytest.mark.parametrize("from_file", [True, False])
def test_a_package_is_read_once_for_a_file(
    from_file: bool, debug: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For a log that comes through a pipe it is read with each new module: lines are printed as they come."""
    asked = []
    unpack = PackagedModules._unpack

    def noted(self: PackagedModules, path: str, names: set[str]) -> None:
        asked.append(names)
        unpack(self, path, names)

    monkeypatch.setattr(PackagedModules, "_unpack", noted)
    log = tmp_path / "log"
    log.write_text(" a+0x0/0x10 [hello_text]\n b+0x0/0x4 [hello-bell]\n a+0x4/0x10 [hello_text]\n" * 3)
    with Packages() as packages:
        decoder = log_decoder(SAMPLE / "vmlinux", [debug], packages, log if from_file else None)
        assert len(list(decoder.lines(log.read_text().splitlines()))) == 9
        assert all(module.path for module in decoder.facts("log").modules)
    assert asked == ([{"hello_text", "hello_bell"}] if from_file else [{"hello_text"}, {"hello_bell"}])


def test_a_package_without_a_kernel(tmp_path: Path, capsys: Capture, temporary: Path) -> None:
    path = tar(tmp_path / "modules.tar", {f"lib/modules/{RELEASE}/kernel/lib/hello_text.ko": TEXT})
    assert main(["trace", path, str(LOG)]) == 2
    err = capsys.readouterr().err
    assert err == f"kinspect: {path}: the package has no vmlinux or Image: found modules\n"
    two = {f"boot/vmlinux-{release}": SAMPLE / "vmlinux" for release in ("1", "2")}
    path = tar(tmp_path / "two.tar", two)
    assert main(["trace", path, str(LOG)]) == 2
    assert "more than one vmlinux" in capsys.readouterr().err
    assert list(temporary.iterdir()) == []


def test_a_broken_package_of_modules(debug: str, tmp_path: Path, capsys: Capture, temporary: Path) -> None:
    path = tmp_path / "broken.tar.gz"
    data = Path(debug).read_bytes()
    path.write_bytes(data[: len(data) // 2])
    log = tmp_path / "log"
    log.write_text(LOG.read_text() + " a+0x0/0x10 [hello_text]\n" * 3)
    assert main(["trace", str(SAMPLE / "vmlinux"), str(log), "--modules", str(path)]) == 2
    out, err = capsys.readouterr()
    assert out.count(" a+0x0/0x10 [hello_text]\n") == 3
    assert err.count(f"{path}: ") == 1
    assert list(temporary.iterdir()) == []


def test_real_packages(tmp_path: Path, tool: Tool, temporary: Path) -> None:
    folders = kernel_folders(tmp_path)
    packages = [deb(tool("dpkg-deb"), folder, name) for name, folder in folders.items()]
    image, _, dbg = map(str, packages)
    lines = [*LOG.read_text().splitlines(), " a+0x0/0x10 [hello_text]"]
    facts = frames_of(dbg, lines, image)
    assert facts.decoded == 5
    assert facts.modules[0].path == f"{image}:lib/modules/{RELEASE}/kernel/lib/hello_text.ko"
    # The package of the kernel alone has no symbols in this sample.
    with pytest.raises(kinspect.UnsupportedError, match=f"{image}:boot/vmlinuz-{RELEASE}"):
        kinspect.trace(image, lines)
    assert list(temporary.iterdir()) == []
