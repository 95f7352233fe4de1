"""`kinspect image --hardening` and `kinspect vmlinux --hardening`: the table, the .config that is taken, the status."""

import gzip
import json
import sys
from collections.abc import Callable
from pathlib import Path

import jsonschema
import pytest

import kinspect
from kinspect.cli import main
from tests.conftest import ROOT, SAMPLE, kernel_named
from tests.support import on_a_terminal
from tests.toy_kernel_code import linked

GCC = ("aarch64-linux-gnu-gcc",)
WORDS = ("vmlinux", "vmlinux", "--hardening")
HEAD = "#\n# Automatically generated file; DO NOT EDIT.\n# Linux/arm64 6.1.0 Kernel Configuration\n#\n"
SIGNED = f"{HEAD}CONFIG_ARM64_PTR_AUTH_KERNEL=y\n"
SCHEMA = json.loads((ROOT / "docs" / "report.schema.json").read_text())
TABLE = """\
vmlinux: hardening, as compiled into 134 functions

  protection             functions   of  compiled  .config
  signed return address        100  100  yes       ARM64_PTR_AUTH_KERNEL=y
  shadow call stack              0  100  no        SHADOW_CALL_STACK=n
  landing pad (BTI)              0  134  no        ARM64_BTI_KERNEL=n
  type hash (kCFI)               0  134  no        CFI_CLANG=n
  stack canary                   0  134  no        STACKPROTECTOR=n
  fortified strings              0  134  no        FORTIFY_SOURCE=n
  checked user copies            0  134  no        HARDENED_USERCOPY=n
  relocatable                            no        RELOCATABLE=n
  random base (KASLR)                    no        RANDOMIZE_BASE=n
  code not writable                      yes

  landing pad (BTI): paciasp is not counted
  code not writable: 4 ELF sections checked

.config: .config

good: 8 checks, nothing wrong
"""


@pytest.fixture
def folder(tool: Callable[[str], str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a vmlinux whose functions sign the return address. It is the current one."""
    linked(tmp_path, tool, GCC, ("-mbranch-protection=pac-ret",))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(capsys: pytest.CaptureFixture[str], *words: str, status: int = 0) -> str:
    assert main([*words]) == status
    done = capsys.readouterr()
    return done.out + done.err


def test_table(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / ".config").write_text(SIGNED)
    assert run(capsys, "vmlinux", "vmlinux", "--hardening") == TABLE
    status, text = on_a_terminal([sys.executable, "-m", "kinspect", *WORDS], cwd=folder, NO_COLOR="1")
    assert status == 0
    assert max(map(len, text.splitlines())) <= 80


def test_without_a_config(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing is compared, and the report says so. A file of that name may be anything."""
    (folder / "config").write_text("Host *\n")
    text = run(capsys, "vmlinux", "vmlinux", "--hardening")
    assert "Not compared with a .config" in text
    assert "good" not in text
    assert not kinspect.hardening(folder / "vmlinux").ran


@pytest.mark.parametrize("name", ["vmlinux", "vmlinux-6.1.0-toy"])
def test_the_config_beside_the_kernel(name: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """config-RELEASE is preferred, --config wins; a file of another kind is refused."""
    (folder / "vmlinux").rename(folder / name)
    (folder / ".config").write_text(f"{HEAD}CONFIG_ARM64_BTI_KERNEL=y\n" if "-" in name else SIGNED)
    (folder / "config-6.1.0-toy").write_text(SIGNED)
    run(capsys, "vmlinux", name, "--hardening")
    (folder / "other").write_text(f"{HEAD}CONFIG_CFI=y\n")
    text = run(capsys, "vmlinux", name, "--hardening", "--config", "other", status=1)
    assert "none of 130 functions have a type hash, but CONFIG_CFI=y  [type-hashes-are-as-configured]" in text
    assert "100 functions of 100 sign the return address, but CONFIG_ARM64_PTR_AUTH_KERNEL is not set" in text
    assert "not good: 2 of 8 checks failed" in text
    assert "wrong kind" in run(capsys, "vmlinux", name, "--hardening", "--config", name, status=2)


def test_output_folder(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The .config of an O= folder belongs to the Image inside it."""
    boot = folder / "out" / "arch" / "arm64" / "boot"
    boot.mkdir(parents=True)
    (folder / "vmlinux").rename(boot / "vmlinux")
    (folder / "out" / ".config").write_text(SIGNED)
    assert ".config: out/.config\n" in run(capsys, "vmlinux", "out/arch/arm64/boot/vmlinux", "--hardening")


def test_options_that_do_not_fit(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "config").write_text(SIGNED)
    for words, problem in (
        (("--config", "config"), "--config: only possible with --hardening"),
        (("--hardening", "--table", "__ksymtab"), "--table: not possible with --hardening"),
    ):
        assert problem in run(capsys, "vmlinux", "vmlinux", *words, status=2)


def test_json(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "config").write_text(SIGNED)
    document = json.loads(run(capsys, "vmlinux", "vmlinux", "--hardening", "--json"))
    jsonschema.validate(document, SCHEMA)
    (facts,) = document["facts"]
    assert facts["protections"][0] == {
        "id": "pac",
        "compiled": True,
        "functions": 100,
        "of": 100,
        "without": [],
        "option": "ARM64_PTR_AUTH_KERNEL",
        "value": "y",
        "expected": True,
        "note": None,
    }


def test_kernels_that_cannot_be_read(capsys: pytest.CaptureFixture[str]) -> None:
    """The sample's Image has no kallsyms; a module is no kernel."""
    assert "use its vmlinux" in run(capsys, "image", str(SAMPLE / "Image"), "--hardening", status=2)
    module = SAMPLE / "modules/lib/modules/6.1.0-hello/kernel/lib/hello_text.ko"
    assert "not a kernel" in run(capsys, "image", str(module), "--hardening", status=2)


@pytest.mark.corpus
def test_a_compressed_image(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    kernel = kernel_named("bookworm-cloud")
    (tmp_path / "vmlinuz-toy").write_bytes(gzip.compress(Path(kernel.image).read_bytes(), 1))
    (tmp_path / "config-toy").write_bytes((kernel.folder / "config").read_bytes())
    text = run(capsys, "image", str(tmp_path / "vmlinuz-toy"), "--hardening")
    assert "gzip" in text.splitlines()[0]
    assert "good: 8 checks, nothing wrong" in text
