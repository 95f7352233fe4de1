"""What depmod writes, computed: byte for byte what the real depmod writes, and told where it fails."""

import os
import shutil
import string
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kinspect.artifacts.module.tree import ModuleTree
from kinspect.errors import Location
from kinspect.views.depmod.config import read_config
from kinspect.views.depmod.difference import FileDifference, LineDifference, differences, writing_kmod
from kinspect.views.depmod.files import Depmod, Unresolved
from kinspect.views.depmod.index import PREORDER_SINCE
from kinspect.views.depmod.needs import Clash
from kinspect.views.depmod.order import superfast_hashes
from kinspect.views.depmod.texts import builtin_of_modinfo, device, normalised_alias
from tests.conftest import Kernel
from tests.toy_tree import RELEASE, computed, kmod_version, ko, linked_copy, real_depmod, tree_of

Tool = Callable[[str], str]
Paths = dict[str, bytes]


@pytest.fixture(scope="session")
def depmod(tool: Tool) -> str:
    return os.environ.get("KINSPECT_DEPMOD") or tool("depmod")


def written_by_ours(base: Path, kmod: int, *config: str) -> dict[str, bytes]:
    return computed(Depmod(ModuleTree(base, config), kmod))


def assert_equal(depmod: str, base: Path, *config: str) -> dict[str, bytes]:
    """Ours equals the real one in every file; what the real one wrote."""
    options = [word for path in config for word in ("-C", path)]
    expected = real_depmod(depmod, base, *options)
    found = written_by_ours(base, kmod_version(depmod), *config)
    assert sorted(found) == sorted(expected)
    for name, data in expected.items():
        assert found[name] == data, name
    return expected


def dep_of(files: dict[str, bytes]) -> dict[str, list[str]]:
    lines = files["modules.dep"].decode().splitlines()
    return {path: needs.split() for path, _, needs in (line.partition(":") for line in lines)}


# Real trees


@pytest.mark.corpus
def test_real_trees_byte_for_byte(kernel: Kernel, depmod: str, tmp_path: Path) -> None:
    base = linked_copy(kernel.folder / "lib" / "modules" / kernel.release, tmp_path)
    expected = real_depmod(depmod, base, release=kernel.release)
    found = written_by_ours(base, kmod_version(depmod))
    assert sorted(found) == sorted(expected)
    assert {name for name in found if found[name] != expected[name]} == set()
    assert len(expected["modules.dep"].splitlines()) > 900
    assert all(len(expected[name]) > 200 for name in expected if name not in ("modules.weakdep", "modules.devname"))


@pytest.mark.corpus
def test_real_trees_without_order(kernel: Kernel, depmod: str, tmp_path: Path) -> None:
    base = linked_copy(kernel.folder / "lib" / "modules" / kernel.release, tmp_path)
    (base / "lib" / "modules" / kernel.release / "modules.order").unlink()
    expected = real_depmod(depmod, base, release=kernel.release)
    assert {
        name for name, data in written_by_ours(base, kmod_version(depmod)).items() if data != expected[name]
    } == set()


@pytest.mark.corpus
def test_a_real_tree_has_no_problems_and_no_differences(kernel: Kernel, depmod: str, tmp_path: Path) -> None:
    base = linked_copy(kernel.folder / "lib" / "modules" / kernel.release, tmp_path)
    real_depmod(depmod, base, release=kernel.release)
    tree = ModuleTree(base)
    ours = Depmod(tree, writing_kmod(tree))
    assert list(differences(ours)) == []
    problems = ours.problems
    assert problems._replace(phantoms=()) == ((), (), (), (), (), (), (), None)
    # Without MODVERSIONS, as in the newer kernel, namespaces are taken for symbols.
    assert bool(problems.phantoms) == (kernel.release > "7")
    assert len(ours.users("virtio")) == 0 or "virtio_ring" in ours.needs


@pytest.mark.corpus
def test_real_modprobe_reads_our_indexes(kernels: tuple[Kernel, Kernel], tool: Tool, tmp_path: Path) -> None:
    """modprobe reads nothing but the indexes: the same answers from ours, in both layouts, as from depmod's own."""
    kernel = kernels[0]
    base = linked_copy(kernel.folder / "lib" / "modules" / kernel.release, tmp_path)
    root = base / "lib" / "modules" / kernel.release
    tree = ModuleTree(base)
    names = [module.name for module in tree.modules[::50]]
    aliases = [
        "pci:v00001AF4d00001000sv00001AF4sd00000001bc02sc00i00",
        "fs-ext4",
        "devname:fuse",
        "symbol:mdio_device_free",
    ]

    def answers() -> list[str]:
        command = [tool("modprobe"), "-n", "-d", str(base), "-S", kernel.release, "-C", str(tmp_path)]
        loads = [[*command, "--show-depends", name] for name in names]
        finds = [[*command, "-R", alias] for alias in aliases]
        return [subprocess.run(one, capture_output=True, text=True, check=False).stdout for one in (*loads, *finds)]

    real_depmod(tool("depmod"), base, release=kernel.release)
    expected = answers()
    assert all(expected[: len(names)])
    assert any(expected[len(names) :])
    for kmod in (30, 34):
        for old in root.glob("modules.*.bin"):
            old.unlink()
        assert answers() != expected
        for name, data in written_by_ours(base, kmod).items():
            (root / name).write_bytes(data)
        assert answers() == expected


# Small trees

CHAIN: Paths = {
    "kernel/a.ko": ko(["a1"], ["b1", "outside"]),
    "kernel/b.ko": ko(["b1", "b2"], ["c1"]),
    "kernel/c.ko": ko(["c1"]),
    "kernel/fs/d-d.ko": ko([], ["b2", "c1", "a1"]),
}
ORDER = "kernel/c.ko\nkernel/fs/d-d.ko\nkernel/a.ko\n"
TREES: dict[str, tuple[Paths, str | bytes | None]] = {
    "a chain": (CHAIN, ORDER),
    "without an order": (CHAIN, None),
    "an empty order": (CHAIN, ""),
    "an order without its last line's end": (CHAIN, ORDER.rstrip()),
    "an order with one line twice": (CHAIN, "kernel/b.ko\n" + ORDER + "kernel/b.ko\n"),
    "an order with unknown lines": (CHAIN, "kernel/x.ko\n\nb.ko\n" + ORDER + "nonsense\n"),
    "an order with a line that is too long": (CHAIN, ORDER + "x" * 5000 + "\n"),
    "an order with a line that just fits": (CHAIN, "x" * 4094 + "\n" + ORDER),
    "an order with CR LF": (CHAIN, ORDER.replace("\n", "\r\n")),
    "an order with a NUL": (CHAIN, ORDER.replace("a.ko", "a\0ko")),
    "an order with a NUL at the start": (CHAIN, ORDER.replace("kernel/a", "\0kernel/a")),
    "an order with compressed names": (CHAIN, ORDER.replace(".ko", ".ko.xz")),
    "no modules": ({}, None),
    "one module": ({"kernel/a.ko": ko(["x"])}, "kernel/a.ko\n"),
    "names with dots and dashes": (
        {"kernel/a.b.ko": ko(["x"], ["y"]), "kernel/x-y_z.1.2.ko": ko(["y"]), "kernel/q.ko": ko([], ["x"])},
        "kernel/q.ko\nkernel/a.b.\nkernel/x-y_z.1.\n",
    ),
    "weak needs": ({"kernel/a.ko": ko([], [], ["b1", "nowhere"]), "kernel/b.ko": ko(["b1"])}, None),
    "needs of versions alone": (
        {
            "kernel/a.ko": ko([], ["b1"], versions=["c1", "b1", "module_layout"]),
            "kernel/b.ko": ko(["b1"]),
            "kernel/c.ko": ko(["c1"]),
        },
        None,
    ),
    "dots before needs": (
        {"kernel/a.ko": ko([], [".b1", ".c1", ".d1"]), "kernel/b.ko": ko(["b1"]), "kernel/c.ko": ko([".c1", "..d1"])},
        None,
    ),
    "one symbol of two modules": (
        {"kernel/a.ko": ko(["x", "y"]), "kernel/b.ko": ko(["x"]), "kernel/c.ko": ko([], ["x"])},
        "kernel/b.ko\nkernel/a.ko\n",
    ),
    "without MODVERSIONS": (
        {"kernel/a.ko": ko(["x"], crcs=False, strings=["", "NS"]), "kernel/b.ko": ko([], ["x"], crcs=False)},
        None,
    ),
    "aliases": (
        {
            "kernel/a.ko": ko(
                info=[
                    "alias=pci:v1-d[0-9]*",
                    "alias=a-b-c",
                    "alias=bad[",
                    "alias=bad]",
                    "alias",
                    "alias=",
                    "license=GPL",
                ]
            ),
            "kernel/b.ko": ko(info=["alias=a_b_c", "alias=a-b-c", "alias=a-b", "alias=x[a-]b-c[-]", "alias=x y"]),
        },
        None,
    ),
    "soft and weak dependencies": (
        {
            "kernel/a.ko": ko(info=["softdep=pre: b post: c", "weakdep=b", "softdep=pre: c"]),
            "kernel/b.ko": ko(info=["weakdep=c d"]),
        },
        "kernel/b.ko\n",
    ),
    "devices": (
        {
            "kernel/a.ko": ko(info=["alias=devname:net/tun", "alias=char-major-10-200"]),
            "kernel/b.ko": ko(info=["alias=block-major-7-*", "alias=block-major-7-3", "alias=devname:loop-control"]),
            "kernel/c.ko": ko(info=["alias=devname:alone"]),
            "kernel/d.ko": ko(info=["alias=char-major-1-1"]),
            "kernel/e.ko": ko(
                info=["alias=char-major-1-1x", "alias=char-major- 2-+3", "alias=devname:two", "alias=char-major-9-9"]
            ),
            "kernel/f.ko": ko(
                info=["alias=devname:first", "alias=devname:last", "alias=char-major--1-99999999999999999999999"]
            ),
        },
        None,
    ),
    "modules below other folders": (
        {"updates/a.ko": ko(["x"]), "extra/deep/er/b.ko": ko([], ["x"]), "c.ko": ko([], ["x"])},
        None,
    ),
    "folders that are passed over": (
        {
            "build/a.ko": ko(),
            "kernel/source/b.ko": ko(),
            "kernel/build/c.ko": ko(),
            "kernel/d.ko": ko(),
            ".hid/e.ko": ko(),
        },
        None,
    ),
    "entries that are no modules": (
        {"kernel/a.ko": ko(), "kernel/b.o": ko(), "kernel/c.ko.bak": ko(), "kernel/.ko": ko(), "kernel/d.kO": ko()},
        None,
    ),
    "modules that are none": (
        {
            "kernel/a.ko": ko(["x"], info=["alias=is-there"]),
            "kernel/text.ko": b"not a module\n" * 20,
            "kernel/empty.ko": b"",
            "kernel/short.ko": b"\x7fELF\2\1",
            "kernel/cut.ko": ko(["y"], ["x"], info=["alias=is-cut"])[:-200],
        },
        None,
    ),
    "bytes that are not ASCII": ({"kernel/a.ko": ko(info=["softdep=pre: \udcff\udc80", "author=ü"])}, None),
    "a module without symbols": ({"kernel/a.ko": ko(info=["alias=x"])}, None),
}


@pytest.mark.parametrize(("modules", "order"), TREES.values(), ids=TREES)
def test_small_trees_byte_for_byte(modules: Paths, order: str | bytes | None, depmod: str, tmp_path: Path) -> None:
    tree_of(tmp_path, modules, order)
    assert_equal(depmod, tmp_path)


def test_what_a_chain_needs(depmod: str, tmp_path: Path) -> None:
    """The real depmod's answer is not trusted blindly: closures, users before providers."""
    tree_of(tmp_path, CHAIN, ORDER)
    a, b, c, d = "kernel/a.ko", "kernel/b.ko", "kernel/c.ko", "kernel/fs/d-d.ko"
    assert dep_of(assert_equal(depmod, tmp_path)) == {c: [], d: [a, b, c], a: [b, c], b: [c]}
    ours = Depmod(ModuleTree(tmp_path))
    assert [module.name for module in ours.modules] == ["c", "d_d", "a", "b"]
    assert ours.needs == {"c": (), "d_d": ("b", "c", "a"), "a": ("b",), "b": ("c",)}
    assert sorted(ours.users("c")) == ["a", "b", "d_d"]
    assert ours.users("a") == ["d_d"]
    assert ours.users("d_d") == ours.users("nobody") == []
    assert list(ours.unresolved(())) == [Unresolved("a", "outside", False)]
    assert list(ours.unresolved({"outside"})) == []


NAMES = st.text(string.ascii_lowercase + "_-", min_size=1, max_size=8)


@given(st.data())
@settings(deadline=None, max_examples=40)
def test_any_tree_byte_for_byte(depmod: str, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    names = data.draw(st.lists(NAMES, min_size=1, max_size=14, unique_by=lambda name: name.replace("-", "_")))
    modules = {}
    for number, name in enumerate(names):
        # A module needs earlier ones alone: no cycles.
        needs = data.draw(st.lists(st.sampled_from(names[:number]), unique=True)) if number else []
        exports = [f"{name}_{letter}" for letter in "xyz"]
        folder = data.draw(st.sampled_from(["kernel", "kernel/fs", "updates", "extra"]))
        modules[f"{folder}/{name}.ko"] = ko(
            exports, [f"{other}_{name[0] if name[0] in 'xyz' else 'y'}" for other in needs]
        )
    order = data.draw(st.lists(st.sampled_from(sorted(modules)), max_size=20))
    base = tmp_path_factory.mktemp("tree")
    tree_of(base, modules, "".join(f"{path}\n" for path in order))
    assert_equal(depmod, base)


# Two modules of one name

DUPLICATES: dict[str, tuple[list[str], bool]] = {
    "updates before the kernel's": (["kernel/a.ko", "updates/a.ko"], False),
    "two of the kernel": (["kernel/a.ko", "kernel/fs/a.ko"], True),
    "three of the kernel": (["kernel/a.ko", "kernel/fs/a.ko", "extra/a.ko"], True),
    "two of updates": (["updates/a.ko", "updates/dkms/a.ko"], True),
    "two of updates and one": (["updates/a.ko", "updates/dkms/a.ko", "kernel/a.ko"], True),
    "dash and underscore": (["kernel/a-b.ko", "kernel/fs/a_b.ko"], True),
    "plain and compressed": (["kernel/a.ko", "kernel/a.ko.xz"], True),
    "a name up to the first dot": (["kernel/a.x.ko", "kernel/a.ko"], True),
}


@pytest.mark.parametrize(("paths", "ambiguous"), DUPLICATES.values(), ids=DUPLICATES)
@pytest.mark.parametrize("backwards", [False, True])
def test_duplicates(paths: list[str], ambiguous: bool, backwards: bool, depmod: str, tmp_path: Path) -> None:
    tree_of(tmp_path, {path: ko([f"x{len(path)}"]) for path in (reversed(paths) if backwards else paths)})
    expected = assert_equal(depmod, tmp_path)
    (found,) = Depmod(ModuleTree(tmp_path)).problems.duplicates
    assert [found.used] == list(dep_of(expected))
    assert sorted([found.used, *found.others]) == sorted(paths)
    assert (found.name, found.ambiguous) == (paths[0].rsplit("/")[-1].split(".")[0].replace("-", "_"), ambiguous)


CONFIGS = {
    "search": "search extra built-in updates\n",
    "search in two lines": "search extra\nsearch kernel/fs built-in\n",
    "search by folder": "search kernel/fs updates\n",
    "override": "override a * kernel/fs\n",
    "override of another release": "override a ^5\\. kernel/fs\noverride a * extra\n",
    "override by expression": "override a 6.1.*toy kernel/fs\n",
    "override with a broken expression": "override a ( kernel/fs\n",
    "two overrides": "override a * extra\noverride a * kernel\n",
    "override, search, comment": "# a comment\n\nsearch updates\n  override\ta  *  kernel/fs more\n",
    "exclude": "exclude extra updates\nexclude fs\n",
    "a line that goes on": "search ex\\\ntra upd\\ates\nover\\\\ride\n",
    "nonsense": "nonsense\noverride a\ninclude /etc\nsearch\n",
}


@pytest.mark.parametrize("text", CONFIGS.values(), ids=CONFIGS)
def test_configuration(text: str, depmod: str, tmp_path: Path) -> None:
    paths = ["kernel/a.ko", "kernel/fs/a.ko", "updates/a.ko", "extra/a.ko", "kernel/b.ko"]
    tree_of(tmp_path, {path: ko([f"x{number}"]) for number, path in enumerate(paths)})
    config = tmp_path / "depmod.d"
    config.mkdir()
    (config / "toy.conf").write_text(text)
    (config / "ignored").write_text("exclude kernel\n")
    assert_equal(depmod, tmp_path, str(config))


def test_configuration_of_two_folders(depmod: str, tmp_path: Path) -> None:
    tree_of(tmp_path, {path: ko([path[0]]) for path in ("kernel/a.ko", "extra/a.ko", "updates/a.ko")})
    first, second = tmp_path / "1", tmp_path / "2"
    for folder, text in ((first, "search extra\n"), (second, "search built-in\n")):
        folder.mkdir()
        (folder / "x.conf").write_text(text)
    (second / "y.conf").write_text("override a * updates\nbad line\n")
    assert_equal(depmod, tmp_path, str(first), str(second))
    assert_equal(depmod, tmp_path, str(first))
    assert_equal(depmod, tmp_path, str(first / "x.conf"), str(tmp_path / "nowhere"))
    config = read_config([str(first), str(second)], RELEASE)
    assert config.searches == ("extra",)
    assert config.overrides == ("updates/a",)
    assert [(os.path.basename(at.path), at.line) for at in config.ignored] == [("y.conf", 2)]
    assert read_config([str(first), str(tmp_path / "nowhere")], RELEASE).ignored == (
        Location(str(tmp_path / "nowhere")),
    )


# Built into the kernel

BUILTIN = {
    "plain": (b"kernel/fs/ext4.ko\nkernel/a-b.ko\n", b"ext4.alias=fs-ext4\0ext4.license=GPL\0a_b.alias=x-[a-c]-y\0"),
    "odd lines": (
        b"kernel/a.ko\n#x\n\n9.ko\nb\nkernel/\nc.ko",
        b"a.alias=\0.alias=x\0a\0b.alias\0c.alias=y\0d.alias=z",
    ),
    "brackets": (b"kernel/a.ko\n", b"a.alias=bad[\0a.alias=bad]\0a.alias=good\0a.alias=good\0b.alias=good\0"),
    "a key without a value": (b"kernel/a.ko\n", b"a.license\0a.alias=lost\0a.alias=found\0a.parm=x=y.z\0"),
    "a line longer than the buffer": (b"kernel/" + b"x" * 5000 + b".ko\nkernel/b.ko\n", b""),
    "empty": (b"", b""),
}


@pytest.mark.parametrize(("builtin", "modinfo"), BUILTIN.values(), ids=BUILTIN)
def test_built_in(builtin: bytes, modinfo: bytes, depmod: str, tmp_path: Path) -> None:
    tree = tree_of(tmp_path, {"kernel/z.ko": ko()})
    (Path(tree.root) / "modules.builtin").write_bytes(builtin)
    (Path(tree.root) / "modules.builtin.modinfo").write_bytes(modinfo)
    assert_equal(depmod, tmp_path)


def test_without_built_in_the_indexes_are_empty_files(depmod: str, tmp_path: Path) -> None:
    tree_of(tmp_path, {"kernel/z.ko": ko()})
    expected = assert_equal(depmod, tmp_path)
    assert expected["modules.builtin.bin"] == expected["modules.builtin.alias.bin"] == b""
    assert list(differences(Depmod(ModuleTree(tmp_path), kmod_version(depmod)))) == []


@pytest.mark.corpus
def test_modules_builtin_follows_from_its_modinfo(kernel: Kernel) -> None:
    tree = ModuleTree(kernel.folder)
    assert builtin_of_modinfo(tree.text("modules.builtin.modinfo") or b"") == tree.text("modules.builtin")
    assert {"kernel"}.isdisjoint(Depmod(tree).builtin)
    assert len(Depmod(tree).builtin) > 100


# Where depmod fails


def cycle(*names: str) -> Paths:
    users = (*names[1:], names[0])
    return {f"kernel/{name}.ko": ko([f"{name}_x"], [f"{other}_x"]) for name, other in zip(names, users, strict=True)}


def test_a_cycle_is_told_with_its_path_and_the_rest_is_there(depmod: str, tmp_path: Path) -> None:
    modules = cycle("a", "b", "c") | {"kernel/user.ko": ko(["u"], ["b_x"]), "kernel/lone.ko": ko(info=["alias=l"])}
    tree_of(tmp_path, modules)
    with pytest.raises(subprocess.CalledProcessError):
        real_depmod(depmod, tmp_path)
    ours = Depmod(ModuleTree(tmp_path))
    (found,) = ours.problems.cycles
    assert sorted(found) == ["a", "b", "c"]
    assert all(other in ours.needs[name] for name, other in zip(found, (*found[1:], found[0]), strict=True))
    dep = dep_of(computed(ours))
    assert dep["kernel/lone.ko"] == []
    assert sorted(dep["kernel/user.ko"]) == ["kernel/a.ko", "kernel/b.ko", "kernel/c.ko"]
    assert sorted(dep["kernel/a.ko"]) == ["kernel/b.ko", "kernel/c.ko"]
    assert b"alias l lone\n" in computed(ours)["modules.alias"]
    assert sorted(ours.users("a")) == ["b", "c", "user"]


def test_a_module_that_needs_itself(tmp_path: Path) -> None:
    tree_of(tmp_path, {"kernel/a.ko": ko(["a_x"], ["a_x"]), "kernel/b.ko": ko([], ["a_x"])})
    ours = Depmod(ModuleTree(tmp_path))
    assert ours.problems.cycles == (("a",),)
    assert dep_of(computed(ours)) == {"kernel/a.ko": [], "kernel/b.ko": ["kernel/a.ko"]}


def test_two_linked_cycles(tmp_path: Path) -> None:
    """The real depmod's memory runs away on these."""
    modules = cycle("a", "b") | cycle("c", "d")
    modules["kernel/b.ko"] = ko(["b_x"], ["a_x", "c_x"])
    ours = Depmod(tree_of(tmp_path, modules))
    assert sorted(sorted(one) for one in ours.problems.cycles) == [["a", "b"], ["c", "d"]]
    dep = dep_of(computed(ours))
    assert sorted(dep["kernel/a.ko"]) == ["kernel/b.ko", "kernel/c.ko", "kernel/d.ko"]
    assert dep["kernel/c.ko"] == ["kernel/d.ko"]


def test_a_long_chain_does_not_recurse(tmp_path: Path) -> None:
    count = 1500
    modules = {f"kernel/m{n}.ko": ko([f"x{n}"], [f"x{n + 1}"] if n < count - 1 else []) for n in range(count)}
    ours = Depmod(tree_of(tmp_path, modules))
    assert ours.problems.cycles == ()
    assert len(dep_of(computed(ours))["kernel/m0.ko"]) == count - 1
    assert len(ours.users(f"m{count - 1}")) == count - 1


def test_a_long_cycle_does_not_recurse(tmp_path: Path) -> None:
    ours = Depmod(tree_of(tmp_path, cycle(*(f"m{number}" for number in range(1200)))))
    (found,) = ours.problems.cycles
    assert len(found) == 1200
    assert len(ours.dep_lines) == 1200


def test_problems_are_told_where_depmod_is_silent(tmp_path: Path) -> None:
    modules = {
        "kernel/a.ko": ko(["x", "y"], info=["alias=bad[", "alias=ü", "alias=fine", "alias=devname:d"]),
        "kernel/b.ko": ko(["x"]),
        "kernel/c.ko": ko(["z"], crcs=False, strings=["NS"]),
        "kernel/text.ko": b"text",
    }
    problems = Depmod(tree_of(tmp_path, modules, "kernel/b.ko\nkernel/a.ko\nkernel/c.ko")).problems
    assert problems.clashes in ((Clash("x", "a", ("b",)),), (Clash("x", "b", ("a",)),))
    assert problems.phantoms == (("NS", "c"),)
    assert problems.aliases == (("a", "bad["), ("a", "ü"))
    assert problems.devices == (("a", "d"),)
    assert [(module.path, len(module.errors)) for module in problems.unreadable] == [("kernel/text.ko", 1)]
    assert problems.order_line == 3
    assert (problems.cycles, problems.duplicates) == ((), ())


def test_a_key_that_is_not_ascii_is_left_out(tmp_path: Path) -> None:
    ours = Depmod(tree_of(tmp_path, {"kernel/ü.ko": ko(["ä"], info=["alias=ö"]), "kernel/a.ko": ko()}))
    assert set(ours.entries("modules.dep.bin")) == {"a"}
    assert ours.entries("modules.symbols.bin") == ours.entries("modules.alias.bin") == {}
    assert "alias ö ü" in ours.lines("modules.alias")


# Versions of kmod


def test_what_changed_with_kmod_33_and_34(tmp_path: Path) -> None:
    tree = tree_of(tmp_path, CHAIN, "kernel/b.ko\n" + ORDER + "kernel/b.ko\n")
    assert [module.name for module in Depmod(tree, 30).modules] == ["c", "d_d", "a", "b"]
    assert [module.name for module in Depmod(tree, 34).modules] == ["b", "c", "d_d", "a"]
    assert "modules.weakdep" not in Depmod(tree, 32).names
    assert "modules.weakdep" in Depmod(tree, 33).names
    assert PREORDER_SINCE == 34
    for name in ("modules.dep.bin", "modules.symbols.bin"):
        assert Depmod(tree, 33).contents(name) != Depmod(tree, 34).contents(name)
    with pytest.raises(ValueError, match=r"writes no text modules\.x"):
        Depmod(tree).lines("modules.x")
    with pytest.raises(ValueError, match=r"writes no index modules\.dep"):
        Depmod(tree).entries("modules.dep")


def test_weakdep_of_kmod_34(tmp_path: Path) -> None:
    """As kmod 34 writes it; Debian's depmod writes none."""
    modules = {
        "kernel/a.ko": ko(info=["weakdep=b", "softdep=pre: b", "weakdep=c d"]),
        "kernel/b-b.ko": ko(info=["weakdep="]),
        "kernel/c.ko": ko(),
    }
    ours = Depmod(tree_of(tmp_path, modules, "kernel/b-b.ko\nkernel/a.ko\nkernel/c.ko\n"), 34)
    assert ours.contents("modules.weakdep") == (
        b"# Weak dependencies extracted from modules themselves.\nweakdep b_b \nweakdep a b\nweakdep a c d\n"
    )


# Small parts


KNOWN_HASHES = {
    b"": 0,
    b"a": 0x115EA782,
    b"ab": 0x516B8B44,
    b"abc": 0xD2BE198A,
    b"abcd": 0xDAD8B8DB,
    b"e1000": 0x40FE6064,
    b"nf_conntrack": 0x94A65959,
    b"usb_storage_x": 0x89EAC035,
    b"crc32c_generic_module_layout": 0x058D1B27,
}


def test_the_hash_is_kmods() -> None:
    """Values of kmod's own hash_superfast(), compiled and run."""
    for key, value in KNOWN_HASHES.items():
        assert superfast_hashes([key]) == [value], key
        assert superfast_hashes([key, bytes(len(key)), key])[::2] == [value, value], key
    assert superfast_hashes([]) == []


@pytest.mark.parametrize(
    ("alias", "normal"),
    [
        ("a-b", "a_b"),
        ("[a-b]-c", "[a-b]_c"),
        ("a]", None),
        ("[a", None),
        ("", ""),
        ("[]-", "[]_"),
        ("a[[-]-", "a[[-]_"),
    ],
)
def test_aliases_are_normalised(alias: str, normal: str | None) -> None:
    assert normalised_alias(alias) == normal


# Differences


@pytest.fixture
def written(depmod: str, tmp_path: Path) -> tuple[Path, int]:
    modules = CHAIN | {"kernel/z.ko": ko(info=["alias=z-1", "alias=z-2", "softdep=pre: a"])}
    tree_of(tmp_path, modules, ORDER)
    real_depmod(depmod, tmp_path)
    return tmp_path / "lib" / "modules" / RELEASE, kmod_version(depmod)


def found_in(root: Path, kmod: int) -> list[FileDifference]:
    return list(differences(Depmod(ModuleTree(root), kmod)))


def test_nothing_differs(written: tuple[Path, int]) -> None:
    assert found_in(*written) == []
    assert writing_kmod(ModuleTree(written[0])) == (34 if written[1] >= 33 else 30)


def test_a_line_of_modules_dep_differs(written: tuple[Path, int]) -> None:
    path = written[0] / "modules.dep"
    path.write_text(path.read_text().replace("kernel/a.ko: kernel/b.ko kernel/c.ko", "kernel/a.ko: kernel/b.ko"))
    want, have = "kernel/a.ko: kernel/b.ko kernel/c.ko", "kernel/a.ko: kernel/b.ko"
    assert found_in(*written) == [
        FileDifference("modules.dep", True, 1, (LineDifference(3, "kernel/a.ko", want, have),))
    ]


def test_a_line_is_missing_and_one_is_too_many(written: tuple[Path, int]) -> None:
    for name, old, new in (("modules.dep", "kernel/z.ko:", "kernel/q.ko:"), ("modules.alias", "z-2 z", "z-3 z")):
        path = written[0] / name
        path.write_text(path.read_text().replace(old, new))
    dep, alias = found_in(*written)
    line = (written[0] / "modules.dep").read_text().splitlines().index("kernel/q.ko:") + 1
    assert dep.differences == (
        LineDifference(line, "kernel/q.ko", None, "kernel/q.ko:"),
        LineDifference(None, "kernel/z.ko", "kernel/z.ko:", None),
    )
    assert alias.differences == (
        LineDifference(3, "", None, "alias z-3 z"),
        LineDifference(None, "", "alias z-2 z", None),
    )


def test_the_order_alone_differs(written: tuple[Path, int]) -> None:
    path = written[0] / "modules.dep"
    first, second, *rest = path.read_text().splitlines(keepends=True)
    path.write_text("".join([second, first, *rest]))
    assert [(one.name, one.misordered, one.total) for one in found_in(*written)] == [("modules.dep", 1, 1)]


def test_line_ends_differ(written: tuple[Path, int]) -> None:
    path = written[0] / "modules.dep"
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    (found,) = found_in(*written)
    assert found.total == 5
    path.write_bytes(path.read_bytes().replace(b"\r\n", b"\n")[:-1])
    (found,) = found_in(*written)
    assert found.total == 1
    assert found.differences[0].line == 5


def test_files_are_missing(written: tuple[Path, int]) -> None:
    for name in ("modules.dep", "modules.symbols.bin"):
        (written[0] / name).unlink()
    assert found_in(*written) == [FileDifference("modules.dep", False), FileDifference("modules.symbols.bin", False)]


def test_an_index_is_stale(written: tuple[Path, int]) -> None:
    (written[0] / "kernel" / "z.ko").write_bytes(ko(info=["alias=z-1", "softdep=pre: a"]))
    found = {one.name: one for one in found_in(*written)}
    assert set(found) == {"modules.alias", "modules.alias.bin"}
    (key,) = found["modules.alias.bin"].differences
    assert (key.line, key.key, key.expected) == (None, "z_2", None)
    assert key.found is not None
    assert key.found.startswith("z (")


def test_an_index_in_the_other_layout_does_not_differ(written: tuple[Path, int]) -> None:
    root, kmod = written
    for name in ("modules.dep.bin", "modules.symbols.bin"):
        old = (root / name).read_bytes()
        (root / name).write_bytes(Depmod(ModuleTree(root), 64 - kmod).contents(name))
        assert (root / name).read_bytes() != old
    assert found_in(root, kmod) == []


def test_an_index_is_broken(written: tuple[Path, int]) -> None:
    (written[0] / "modules.dep.bin").write_bytes(b"")
    (written[0] / "modules.alias.bin").write_bytes(b"nonsense.......")
    found = found_in(*written)
    assert [(one.name, one.error is not None) for one in found] == [
        ("modules.dep.bin", True),
        ("modules.alias.bin", True),
    ]


def test_many_differences_are_counted_and_few_are_kept(written: tuple[Path, int]) -> None:
    (written[0] / "modules.dep").write_text("".join(f"kernel/n{number}.ko:\n" for number in range(500)))
    (found,) = found_in(*written)
    assert found.total == 505
    assert len(found.differences) == 100


def test_a_device_needs_both_its_name_and_its_numbers(tmp_path: Path) -> None:
    (module,) = tree_of(tmp_path, {"kernel/a.ko": ko(info=["alias=char-major-10-200", "license=GPL"])}).modules
    assert device(module) == (None, "c10:200")


def test_a_folder_that_is_gone_while_it_is_read(tmp_path: Path) -> None:
    tree = tree_of(tmp_path, CHAIN)
    assert len(tree.files) == 4
    shutil.rmtree(tmp_path / "lib")
    assert all(module.errors for module in tree.modules)
    assert len(Depmod(tree).problems.unreadable) == 4
