"""Files beside modules as older kmods, older kernels and Android write them: good, and their faults are found."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from kinspect.artifacts.module.tree import ModuleTree
from kinspect.checks.check import Severity
from kinspect.inspection.modules import modules
from kinspect.views.depmod.files import BUILTIN_ALIASES, Depmod
from kinspect.views.depmod.index import index_bytes, sorted_values
from kinspect.views.depmod.texts import builtin_alias_entries, builtin_name_entries
from tests.toy_tree import ko, tree_of

MODINFO = (
    b"aes.alias=crypto-aes\0aes.alias=aes\0aes.license=GPL\0aes.file=crypto/aes\0"
    b"tty.license=GPL\0tty.file=drivers/tty\0"
)
BUILTIN = b"kernel/crypto/aes.ko\nkernel/drivers/tty.ko\n"
FOLDER = "/vendor/lib/modules/"


def installed(base: Path, files: Mapping[str, bytes] = {}) -> Path:
    """A release with the files of kmod 30, of which some are others."""
    info = ("license=GPL", "vermagic=6.1.0-toy SMP aarch64")
    found = {"kernel/a.ko": ko(exports=["one"], info=info), "kernel/b.ko": ko(needs=["one"], info=info)}
    root = Path(tree_of(base, found, "kernel/a.ko\nkernel/b.ko\n").root)
    (root / "modules.builtin").write_bytes(files.get("modules.builtin", BUILTIN))
    (root / "modules.builtin.modinfo").write_bytes(files.get("modules.builtin.modinfo", MODINFO))
    depmod = Depmod(ModuleTree(root), 30)
    for name in depmod.names:
        (root / name).write_bytes(files.get(name, depmod.contents(name)))
    return root


def faults(root: Path) -> list[str]:
    """The ids of errors and warnings, but for the modules that the kernel is not there to need."""
    return [finding.id for finding in modules(root).findings if finding.severity is not Severity.INFO]


def aliases(names: bytes) -> bytes:
    """The index of built-in aliases of kmod 29, for some names of modules."""
    entries = [*builtin_alias_entries(MODINFO), *builtin_name_entries(names)]
    return index_bytes(sorted_values(entries), 30)


INDEXES = {
    "kmod 30": (aliases(b""), True),
    "kmod 29: the modules are keys too": (aliases(MODINFO), True),
    "kmod 28: empty": (b"", True),
    "one module is missing": (aliases(b"aes.file=x\0"), False),
    "another module is a key": (aliases(MODINFO + b"lpt.file=x\0"), False),
}


@pytest.mark.parametrize("name", INDEXES)
def test_built_in_aliases(name: str, tmp_path: Path) -> None:
    data, good = INDEXES[name]
    assert faults(installed(tmp_path, {BUILTIN_ALIASES: data})) == ([] if good else ["indexes-are-of-their-texts"])


@pytest.mark.parametrize("name", ["modules.alias.bin", "modules.builtin.bin", "modules.dep.bin"])
def test_no_other_index_may_be_empty(name: str, tmp_path: Path) -> None:
    assert faults(installed(tmp_path, {name: b""})) == ["indexes-are-of-their-texts"]


def test_modinfo_of_kernels_that_do_not_name_files(tmp_path: Path) -> None:
    modinfo = b"".join(entry + b"\0" for entry in MODINFO.split(b"\0")[:-1] if b".file=" not in entry)
    assert faults(installed(tmp_path / "old", {"modules.builtin.modinfo": modinfo})) == []
    # A kernel that names files names all of them.
    modinfo = MODINFO.replace(b"tty.file=drivers/tty\0", b"")
    for folder, text in (("new", modinfo), ("empty", b"")):
        root = installed(tmp_path / folder, {"modules.builtin.modinfo": text})
        assert faults(root) == ["modules-builtin-is-of-its-modinfo"]


def android(base: Path, dep: str) -> Path:
    """A folder as Android's build installs it."""
    root = base / "vendor_dlkm"
    root.mkdir(parents=True)
    info = ("license=GPL", "vermagic=6.1.0-toy SMP aarch64")
    (root / "a.ko").write_bytes(ko(exports=["one"], info=info))
    (root / "b.ko").write_bytes(ko(needs=["one"], info=info))
    (root / "modules.load").write_text("a.ko\nb.ko\n")
    (root / "modules.dep").write_text(dep)
    return root


def test_absolute_paths_of_android(tmp_path: Path) -> None:
    root = android(tmp_path, f"{FOLDER}b.ko: {FOLDER}a.ko\n{FOLDER}a.ko:\n")
    findings = [finding for finding in modules(root).findings if finding.id.startswith("modules-dep-")]
    assert [str(finding) for finding in findings] == [
        f"{root}/modules.dep: all paths are absolute: the folder must be installed as {FOLDER}"
        " [modules-dep-is-relative]"
    ]
    assert faults(root) == []
    dep = ModuleTree(root).dep
    assert dep is not None
    assert (dep.prefix, [row.path for row in dep.rows], dep.rows[0].needs) == (FOLDER, ["b.ko", "a.ko"], ("a.ko",))


@pytest.mark.parametrize(
    "dep",
    [
        f"{FOLDER}a.ko:\n{FOLDER}b.ko: /system/lib/modules/a.ko\n",
        f"{FOLDER}a.ko:\nb.ko: a.ko\n",
        "/tmp/a.ko:\n/tmp/b.ko: /tmp/a.ko\n",
        f"{FOLDER}c.ko:\n",
        f"{FOLDER}a.ko:\n{FOLDER}b.ko: {FOLDER}../a.ko\n",
    ],
)
def test_other_absolute_paths_lead_out_of_the_folder(dep: str, tmp_path: Path) -> None:
    assert "modules-dep-stays-inside-its-folder" in faults(android(tmp_path, dep))


def test_a_module_that_android_needs_and_does_not_list(tmp_path: Path) -> None:
    found = faults(android(tmp_path, f"{FOLDER}b.ko:\n{FOLDER}a.ko:\n"))
    assert found == ["modules-dep-is-what-depmod-writes"]
