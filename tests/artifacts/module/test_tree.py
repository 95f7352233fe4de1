"""Folders of modules: which files are found, what is kept of them, and how broken or hostile folders are handled."""

import errno
import gzip
import lzma
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from kinspect.artifacts.depmod.kmod_index import KmodIndex
from kinspect.artifacts.module import scan as module_scan
from kinspect.artifacts.module import tree as module_tree
from kinspect.artifacts.module.ko import Module
from kinspect.artifacts.module.scan import module_name, scan
from kinspect.artifacts.module.summary import ModuleSummary, summary
from kinspect.artifacts.module.tree import ModuleTree
from kinspect.errors import KinspectError, MalformedError, UnreadableError, UnsupportedError, WrongKindError
from kinspect.schemas import elf
from tests.conftest import Kernel
from tests.support import Part, elf_of
from tests.toy_module import TOY, assembled, signed, with_section
from tests.toy_tree import RELEASE, ko, tree_of


def paths_of(tree: ModuleTree) -> list[str]:
    return sorted(file.path for file in tree.files)


# Which folder


def test_a_release_below_a_folder_is_found(tmp_path: Path) -> None:
    tree = tree_of(tmp_path, {"kernel/a.ko": ko()})
    root = tmp_path / "lib" / "modules" / RELEASE
    for given in (tmp_path, tmp_path / "lib" / "modules", root):
        found = ModuleTree(given)
        assert (found.root, found.release, paths_of(found)) == (str(root), RELEASE, ["kernel/a.ko"])
    assert ModuleTree(f"{root}/").root == tree.root


def test_a_release_below_usr(tmp_path: Path) -> None:
    tree_of(tmp_path / "usr", {"kernel/a.ko": ko()})
    assert ModuleTree(tmp_path).release == RELEASE


def test_several_releases_must_be_named(tmp_path: Path) -> None:
    tree_of(tmp_path, {"kernel/a.ko": ko()})
    (tmp_path / "lib" / "modules" / "6.2" / "kernel").mkdir(parents=True)
    with pytest.raises(UnsupportedError, match=f"several releases: give the path of one: found {RELEASE}, 6.2"):
        _ = ModuleTree(tmp_path).root
    assert ModuleTree(tmp_path / "lib" / "modules" / "6.2").files == ()


def test_a_build_tree(tmp_path: Path) -> None:
    (tmp_path / "kernel").mkdir()
    (tmp_path / "drivers").mkdir()
    (tmp_path / "drivers" / "x.ko").write_bytes(ko(["x"]))
    tree = ModuleTree(tmp_path)
    assert (tree.root, tree.release, paths_of(tree)) == (str(tmp_path), "", ["drivers/x.ko"])
    (tmp_path / "include" / "config").mkdir(parents=True)
    (tmp_path / "include" / "config" / "kernel.release").write_text("6.9.0-rc1\n")
    assert tree.release == "6.9.0-rc1"


def test_a_folder_of_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "x.ko").write_bytes(ko())
    assert paths_of(ModuleTree(tmp_path)) == ["x.ko"]


def test_paths_that_are_not_folders(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for name, problem in (("file", "not a folder"), ("nothing", "No such file")):
        with pytest.raises(UnreadableError, match=problem):
            _ = ModuleTree(tmp_path / name).files


# Which files


def test_depmods_rules(tmp_path: Path) -> None:
    names = ["a.ko", "b.ko.gz", "c.ko.xz", "d.ko.zst", "e.ko.bz2", "f.o", "ko", ".ko", ".ko.xz", "x.ko.d"]
    modules = {f"{folder}/{name}": b"" for folder in ("kernel", "build", "kernel/source/x") for name in names}
    tree = tree_of(tmp_path, modules)
    assert paths_of(tree) == ["kernel/a.ko", "kernel/b.ko.gz", "kernel/c.ko.xz", "kernel/d.ko.zst"]
    assert tree.faults == ()
    assert [found.path for found in scan(tree.root, excluded=["kernel"])] == []


def test_names_are_modprobes() -> None:
    paths = ("kernel/fs/a-b_c.ko", "a.b.ko.xz", "/x/.ko")
    assert [module_name(path) for path in paths] == ["a_b_c", "a", ""]


def test_links_are_followed_and_never_in_a_circle(tmp_path: Path) -> None:
    tree = tree_of(tmp_path / "t", {"kernel/a/x.ko": ko()})
    root, outside = Path(tree.root), tmp_path / "outside"
    outside.mkdir()
    (outside / "y.ko").write_bytes(ko())
    (root / "kernel" / "outside").symlink_to(outside)
    (root / "kernel" / "z.ko").symlink_to(outside / "y.ko")
    (root / "kernel" / "a" / "up").symlink_to("..")
    (root / "kernel" / "a" / "self").symlink_to("self")
    (root / "kernel" / "gone.ko").symlink_to("nowhere")
    (root / "build").symlink_to("/")
    os.mkfifo(root / "kernel" / "fifo.ko")
    assert paths_of(tree) == ["kernel/a/x.ko", "kernel/outside/y.ko", "kernel/z.ko"]
    assert sorted(tree.faults) == [
        ("kernel/a/self", os.strerror(errno.ELOOP)),
        ("kernel/a/up", "a symbolic link to a folder above it"),
        ("kernel/fifo.ko", "neither a file nor a folder"),
        ("kernel/gone.ko", "a broken symbolic link"),
    ]


def test_links_that_double_at_every_level_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """2 to the power of 40 paths without a cycle."""
    root = Path(tree_of(tmp_path / "t", {}).root)
    for level in range(40):
        folder = tmp_path / f"level{level}"
        folder.mkdir()
        for name in ("one", "two"):
            (folder / name).symlink_to(tmp_path / f"level{level + 1}")
    (tmp_path / "level40").mkdir()
    (root / "kernel" / "in").symlink_to(tmp_path / "level0")
    monkeypatch.setattr(module_scan, "_MOST_ENTRIES", 5000)
    tree = ModuleTree(root)
    assert tree.files == ()
    assert {fault.problem for fault in tree.faults} >= {"a folder that 4 paths lead to already"}


def test_a_folder_that_is_too_deep_is_reported(tmp_path: Path) -> None:
    deep = "/".join(["d"] * 150)
    tree = tree_of(tmp_path, {f"kernel/{deep}/x.ko": ko()})
    assert tree.files == ()
    assert [fault.problem for fault in tree.faults] == ["more than 100 folders deep"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_folder_that_is_forbidden(tmp_path: Path) -> None:
    tree = tree_of(tmp_path, {"kernel/a/x.ko": ko()})
    (Path(tree.root) / "kernel" / "a").chmod(0)
    assert [fault.path for fault in tree.faults] == ["kernel/a"]


# What is kept


def test_the_summary_of_a_module(tmp_path: Path) -> None:
    data = signed(assembled(TOY))
    (module,) = tree_of(tmp_path, {"kernel/t-oy.ko": data}).modules
    assert (module.path, module.name, module.size, module.errors) == ("kernel/t-oy.ko", "t_oy", len(data), ())
    assert module.needs == {"_printk": False, "kfree": False}
    assert module.layout_needs == ("module_layout",)
    assert module.provides == ("toy_open",)
    assert [tuple(export) for export in module.exports] == [("toy_open", 7, False, "")]
    assert module.versions == {"module_layout": 0x12345678, "_printk": 0xDEADBEEF, "kfree": 1}
    assert (module.struct_name, module.struct_size) == ("toy", 0x380)
    assert module.values("license") == ["GPL"]
    assert module.signature is not None
    assert module.signature.offset == len(assembled(TOY))


def test_weak_needs_and_namespaces_are_kept(tmp_path: Path) -> None:
    (module,) = tree_of(tmp_path, {"kernel/a.ko": ko(["x"], ["n"], ["w"], crcs=False, strings=["", "NS"])}).modules
    assert module.needs == {"n": False, "w": True}
    assert module.provides == ("x", "NS")
    assert [export.name for export in module.exports] == ["x"]


def test_undefined_symbols_among_the_local_ones_are_needed(tmp_path: Path) -> None:
    data = with_section(ko(["x"], ["n"], ["w"]), ".symtab", sh_info=99)
    (module,) = tree_of(tmp_path, {"kernel/a.ko": data}).modules
    assert module.needs == {"n": False, "w": True}


def test_of_two_sections_of_one_name_the_first_is_read(tmp_path: Path) -> None:
    data = elf_of(Part(".modinfo", b"license=GPL\0"), Part(".modinfo", b"license=no\0"), e_type=elf.ET_REL)
    (module,) = tree_of(tmp_path, {"kernel/a.ko": data}).modules
    assert module.values("license") == ["GPL"]


@pytest.mark.corpus
def test_summaries_say_what_modules_say(kernel: Kernel) -> None:
    tree = ModuleTree(kernel.folder)
    for file, kept in list(zip(tree.files, tree.modules, strict=True))[::25]:
        module = Module(os.path.join(tree.root, file.path))
        assert kept.path == file.path
        assert (kept.name, kept.size, kept.modinfo) == (module.name, file.size, module.modinfo)
        assert (kept.exports, kept.versions, kept.signature) == (module.exports, module.versions, module.signature)
        assert tuple(kept.needs.items()) == tuple(map(tuple, module.needs))
        assert kept.errors == ()
    assert {module.struct_size for module in tree.modules} == {0x380 if kernel.release < "7" else 0x500}
    assert all(module.struct_name == module.name for module in tree.modules)


def test_modules_are_read_in_processes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    forms: list[tuple[str, Callable[[bytes], bytes]]]
    forms = [("ko", bytes), ("ko.gz", gzip.compress), ("ko.xz", lzma.compress)]
    modules = {f"kernel/m{n}.{forms[n % 3][0]}": forms[n % 3][1](ko([f"x{n}"])) for n in range(60)}
    tree = tree_of(tmp_path, modules)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1, 2})
    forked: list[int] = []
    fork = os.fork

    def counted() -> int:
        forked.append(1)
        return fork()

    monkeypatch.setattr(os, "fork", counted)
    calls: list[tuple[int, int]] = []
    found = tree.read(lambda done, total: calls.append((done, total)))
    assert len(forked) == 3
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)
    assert [module.path for module in found] == [file.path for file in tree.files]
    assert {module.path: module.provides for module in found} == {
        f"kernel/m{n}.{forms[n % 3][0]}": (f"x{n}",) for n in range(60)
    }
    assert tree.modules is found
    assert calls == sorted(calls)
    assert 3 <= len(calls) <= 60
    assert calls[-1] == (60, 60)
    assert {total for _, total in calls} == {60}


@pytest.mark.parametrize(("name", "count"), [("x.ko", 8), ("x.ko.xz", 8), ("x.ko", 100)])
def test_a_mistake_of_ours_is_not_swallowed(
    name: str, count: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(module: Module, path: str) -> ModuleSummary:
        raise RuntimeError(f"a mistake in {path}")

    monkeypatch.setattr(module_tree, "summary", broken)
    with pytest.raises(RuntimeError, match="a mistake"):
        _ = tree_of(tmp_path, {f"kernel/{n}{name}": ko() for n in range(count)}).modules


# What is broken


def test_a_module_that_cannot_be_read_is_kept_with_its_error(tmp_path: Path) -> None:
    good = ko(["x"], info=["license=GPL"])
    modules = {
        "kernel/a.ko": good,
        "kernel/empty.ko": b"",
        "kernel/text.ko": b"no module",
        "kernel/cut.ko": good[:-100],
        "kernel/other.ko": good[:18] + b"\x3e\0" + good[20:],
        "kernel/stream.ko.xz": lzma.compress(good)[:-20],
        "kernel/notxz.ko.xz": good,
    }
    found = {module.name: module for module in tree_of(tmp_path, modules).modules}
    assert set(found) == {"a", "empty", "text", "cut", "other", "stream", "notxz"}
    kinds = {name: [type(error) for error in module.errors] for name, module in found.items()}
    assert kinds == {
        "a": [],
        "empty": [WrongKindError],
        "text": [WrongKindError],
        "cut": [MalformedError],
        "other": [WrongKindError],
        "stream": [MalformedError],
        "notxz": [],
    }
    for name in ("empty", "text", "cut", "other", "stream"):
        assert (found[name].provides, found[name].modinfo, found[name].needs) == ((), (), {})
        assert found[name].errors[0].at.path.endswith(found[name].path)


def test_what_can_be_read_of_a_broken_module_is_read(tmp_path: Path) -> None:
    data = bytearray(ko(["x"], info=["license=GPL"]))
    module = Module(tmp_path / "x.ko")
    Path(module.path).write_bytes(data)
    table = module.sections[b".symtab"]
    start = module.header.e_shoff + 64 * table.number
    data[start + 56 : start + 64] = (23).to_bytes(8, "little")
    (kept,) = tree_of(tmp_path, {"kernel/x.ko": bytes(data)}).modules
    assert kept.values("license") == ["GPL"]
    assert (kept.needs, kept.exports) == ({}, ())
    assert [str(error.problem) for error in kept.errors] == ["the symbol table cannot be read"]


def test_any_byte_of_a_module_may_be_wrong(tmp_path: Path) -> None:
    data = signed(assembled(TOY))
    path = tmp_path / "x.ko"
    for offset in [*range(64), *range(64, len(data), 7)]:
        for value in (0, 0x7F, 0xFF):
            path.write_bytes(data[:offset] + bytes([value]) + data[offset + 1 :])
            kept = summary(Module(path), "x.ko")
            assert all(isinstance(error, KinspectError) for error in kept.errors)


def test_nothing_stays_open(tmp_path: Path) -> None:
    tree = tree_of(tmp_path, {f"kernel/m{number}.ko": ko() for number in range(30)})
    before = len(os.listdir("/proc/self/fd"))
    assert len(tree.modules) == 30
    assert len(os.listdir("/proc/self/fd")) == before


# The files beside


def test_files_beside_the_modules(tmp_path: Path) -> None:
    tree = tree_of(tmp_path, {"kernel/a.ko": ko(), "kernel/b.ko.xz": lzma.compress(ko())}, "kernel/a.ko\n")
    assert tree.text("modules.order") == b"kernel/a.ko\n"
    missing = (tree.text("modules.dep"), tree.dep, tree.index("modules.dep.bin"), tree.source_of("x"))
    assert missing == (None, None, None, None)
    root = Path(tree.root)
    (root / "modules.dep").write_text("kernel/a.ko:\n")
    (root / "modules.dep.bin").write_bytes(b"x")
    again = ModuleTree(tmp_path)
    assert again.dep is not None
    assert [row.path for row in again.dep.rows] == ["kernel/a.ko"]
    assert isinstance(again.index("modules.dep.bin"), KmodIndex)
    facts = again.facts
    assert (facts.root, facts.release, facts.modules, facts.compressed) == (str(root), RELEASE, 2, 1)
    assert facts.others == ("modules.order", "modules.dep", "modules.dep.bin")
    assert again.size == sum((root / file.path).stat().st_size for file in again.files)
    at = again.location("modules.dep", line=3)
    assert str(at) == f"{root}/modules.dep:3"


def test_a_file_beside_that_is_none(tmp_path: Path) -> None:
    tree = tree_of(tmp_path, {})
    (Path(tree.root) / "modules.order").mkdir()
    (Path(tree.root) / "modules.dep").symlink_to("nowhere")
    for name in ("modules.order", "modules.dep"):
        with pytest.raises(UnreadableError):
            tree.text(name)
    with (Path(tree.root) / "modules.alias").open("wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(UnsupportedError, match="too large"):
        tree.text("modules.alias")
