"""Each check between the files of a build fails when, and only when, its fault is put in."""

import gzip
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from kinspect.artifacts.build.system_map import SystemMap
from kinspect.artifacts.elf.vmlinux import Vmlinux
from kinspect.inspection.check import check
from kinspect.inspection.report import run_checks
from kinspect.schemas import elf
from tests.conftest import Kernel
from tests.support import Named, Part, elf_of
from tests.toy_build import BOOT, CONFIG, edit, put, sample_build
from tests.toy_tree import ko, tree_of

IKCONFIG = b"IKCFG_ST%bIKCFG_ED"
QUIET = {"weak-symbols-are-exported"}
"""What the sample's modules may do without is no fault."""


def renamed(folder: Path) -> Path:
    tree = tree_of(folder, {"kernel/a.ko": ko(info=("vermagic=5.4.0 SMP aarch64",))})
    return Path(tree.root)


def without(name: bytes) -> Callable[[bytes], bytes]:
    return lambda data: b"".join(line for line in data.splitlines(True) if not line.endswith(name + b"\n"))


def started(folder: Path) -> None:
    """The first module's path as older and newer kernels list it."""
    edit(folder / "modules.order", lambda data: b"kernel/" + data.replace(b"bell.ko\n", b"bell.o\n"))


FAULTS: dict[str, tuple[Callable[[Path], None], set[str]]] = {
    "none": (lambda folder: None, set()),
    "modules.order of other kernels": (started, set()),
    "a symbol with another address": (
        lambda folder: edit(folder / "System.map", lambda data: re.sub(rb"[0-9a-f](?= T strlen\n)", b"1", data)),
        {"system-map-is-of-vmlinux"},
    ),
    "a symbol less": (lambda folder: edit(folder / "System.map", without(b" strlen")), {"system-map-is-of-vmlinux"}),
    "another release": (
        lambda folder: put(folder / "include/config/kernel.release", b"6.1.0-other\n"),
        {"release-is-that-of-the-kernel"},
    ),
    "another objcopy": (
        lambda folder: edit(folder / BOOT / ".Image.cmd", lambda data: data.replace(b" -R .comment", b"")),
        {"image-is-made-with-the-usual-flags"},
    ),
    "a .config that the kernel lacks": (
        lambda folder: put(folder / ".config", CONFIG + b"CONFIG_IKCONFIG=y\n"),
        {"config-is-the-embedded-one"},
    ),
    "another page size": (
        lambda folder: edit(folder / ".config", lambda data: data.replace(b"_4K_", b"_64K_")),
        {"header-is-of-the-config"},
    ),
    "another byte order": (
        lambda folder: put(folder / ".config", CONFIG + b"CONFIG_CPU_BIG_ENDIAN=y\n"),
        {"header-is-of-the-config"},
    ),
    "no EFI": (
        lambda folder: edit(folder / ".config", lambda data: data.replace(b"CONFIG_EFI=y\n", b"")),
        {"header-is-of-the-config"},
    ),
    "no versions": (
        lambda folder: edit(folder / ".config", lambda data: data.replace(b"CONFIG_MODVERSIONS=y\n", b"")),
        {"versions-are-of-the-config"},
    ),
    "type information": (
        lambda folder: put(folder / ".config", CONFIG + b"CONFIG_DEBUG_INFO_BTF=y\n"),
        {"type-information-is-of-the-config"},
    ),
    "a module listed too many": (
        lambda folder: edit(folder / "modules.order", lambda data: data + b"fs/none.ko\n"),
        {"modules-order-is-of-the-build"},
    ),
    "a module not listed": (
        lambda folder: edit(folder / "modules.order", without(b"bell.ko")),
        {"modules-order-is-of-the-build"},
    ),
    "no modules.order": (lambda folder: (folder / "modules.order").unlink(), {"modules-order-is-of-the-build"}),
}


@pytest.mark.parametrize(("fault", "ids"), FAULTS.values(), ids=FAULTS)
def test_a_fault_in_the_folder_of_a_build(fault: Callable[[Path], None], ids: set[str], tmp_path: Path) -> None:
    folder = sample_build(tmp_path / "out")
    fault(folder)
    report = check(folder)
    assert {found.id for found in report.findings} - QUIET == ids
    assert len(report.findings) - sum(found.id in QUIET for found in report.findings) == len(ids)
    assert not report.errors


def test_the_embedded_config(tmp_path: Path) -> None:
    """The kernel's own is the one beside it, to the byte; where not the first line that differs is told."""
    part = Part(".rodata", IKCONFIG % gzip.compress(CONFIG))
    for config, told in (
        (CONFIG, None),
        (CONFIG.replace(b"_4K_", b"_16K_"), (7, "CONFIG_ARM64_4K_PAGES=y", "CONFIG_ARM64_16K_PAGES=y")),
        (CONFIG[:-14], (8, "CONFIG_EFI=y", "the end")),
        (CONFIG + b"CONFIG_A=y\n", (9, "", "CONFIG_A=y")),
    ):
        folder = tmp_path / str(told)
        put(folder / "vmlinux", elf_of(part))
        put(folder / ".config", config)
        report = check(folder, select=["config-is-the-embedded-one"])
        assert report.ran == ("config-is-the-embedded-one",)
        found = [(one.evidence.at[0].line, one.evidence.expected, one.evidence.actual) for one in report.findings]
        assert found == ([told] if told else []), config


def test_the_config_in_configs_ko(tmp_path: Path) -> None:
    config = CONFIG + b"CONFIG_IKCONFIG=m\n"
    for inside, message in (
        (IKCONFIG % gzip.compress(config), None),
        (IKCONFIG % gzip.compress(CONFIG), "the .config differs from the one in the kernel"),
        (b"", "CONFIG_IKCONFIG=m, but there is no .config in the module"),
    ):
        folder = tmp_path / str(len(inside))
        tree_of(folder, {"kernel/kernel/configs.ko": ko() + inside, "kernel/other.ko": ko()})
        put(folder / "config", config)
        report = check(folder, select=["config-is-that-in-configs-ko"])
        assert report.ran == ("config-is-that-in-configs-ko",)
        assert [found.evidence.message for found in report.findings] == ([message] if message else [])


def test_crcs_of_the_hypervisor_are_not_in_system_map(tmp_path: Path) -> None:
    """Up to 5.18 a CRC is an absolute symbol, and mksysmap leaves out every name with `__crc_` in it."""
    symbols = [Named("_text", 0x10000), Named("__kvm_nvhe___crc_memcpy", 0x4829A47E, 0xFFF1)]
    code = Part(".text", bytes(64), 0x10000, elf.SHF_ALLOC | elf.SHF_EXECINSTR)
    (tmp_path / "vmlinux").write_bytes(elf_of(code, symbols=[*symbols, Named("__crc_x", 7, 0xFFF1)]))
    (tmp_path / "System.map").write_bytes(b"0000000000010000 T _text\n")
    artifacts = SystemMap(tmp_path / "System.map"), Vmlinux(tmp_path / "vmlinux")
    assert run_checks(artifacts, "build.consistency").findings == ()


def test_signatures(tmp_path: Path) -> None:
    """What is not signed is told when all are to be, and not in the folder of a build, where nothing is signed yet."""
    for option, wanted in (("SIG_ALL", True), ("SIG_FORCE", True), ("SIG", False)):
        folder = tmp_path / option
        tree_of(folder, {"kernel/a.ko": ko()})
        put(folder / "config", CONFIG + f"CONFIG_MODULE_{option}=y\n".encode())
        report = check(folder, select=["signatures-are-of-the-config"])
        assert report.ran == ("signatures-are-of-the-config",)
        assert [str(found.evidence) for found in report.findings] == (
            [f"CONFIG_MODULE_{option}=y, but 1 module without a signature: kernel/a.ko"] if wanted else []
        )
    folder = sample_build(tmp_path / "out")
    put(folder / ".config", CONFIG + b"CONFIG_MODULE_SIG_ALL=y\n")
    assert check(folder).ok


def test_the_folder_of_the_release(tmp_path: Path) -> None:
    """The toy tree's folder is 6.1.0-toy."""
    select = ["modules-lie-in-the-folder-of-their-release"]
    root = renamed(tmp_path)
    report = check(tmp_path, select=select)
    assert [(found.evidence.expected, found.evidence.actual) for found in report.findings] == [("6.1.0-toy", "5.4.0")]
    assert check(root, select=select).findings == report.findings
    root.rename(root.parent / "5.4.0")
    assert not check(tmp_path, select=select).findings
    # What lies in no lib/modules bears no release.
    (root.parent / "5.4.0").rename(tmp_path / "any")
    assert not check(tmp_path / "any", select=select).findings


@pytest.mark.corpus
def test_type_information_of_real_kernels(kernel: Kernel, tmp_path: Path) -> None:
    select = ["type-information-is-of-the-config"]
    report = check(kernel.vmlinux, kernel.folder / "config", select=select)
    assert (report.ran, report.findings) == (tuple(select), ())
    config = tmp_path / "config"
    data = (kernel.folder / "config").read_bytes()
    config.write_bytes(data.replace(b"CONFIG_DEBUG_INFO_BTF=y\n", b""))
    assert [found.id for found in check(kernel.vmlinux, config, select=select).findings] == select
