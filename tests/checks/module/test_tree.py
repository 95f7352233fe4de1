"""Each check of a folder of modules fails when, and only when, its fault is put in; on the real trees none does."""

import lzma
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from kinspect.artifacts.boot.image import Image
from kinspect.artifacts.build.symvers import Symvers
from kinspect.artifacts.module.ko import Module
from kinspect.artifacts.module.summary import ModuleSummary
from kinspect.artifacts.module.tree import ModuleTree
from kinspect.checks.check import Finding, Severity
from kinspect.checks.module.exports import Offer, namespace_faults
from kinspect.inspection.report import run_checks
from kinspect.schemas.elf import STB_WEAK, SectionHeader, Symbol
from kinspect.schemas.module import ModuleSignature, ModversionInfo
from kinspect.schemas.record import build, parse, size_of
from tests.conftest import Kernel, kernel_named
from tests.toy_build import BOOT, sample_build
from tests.toy_release import ToyExport, ToyModule, own_depmod, toy_module, toy_release, toy_symvers
from tests.toy_tree import ko as toy_ko
from tests.toy_tree import tree_of

TOPICS = (
    "depmod.modules_dep",
    "module.tree",
    "depmod.modules_order",
    "module.members",
    "depmod.files",
    "depmod.indexes",
    "module.needs",
    "symvers.modules",
)
SEEDS = (
    "nf_nat_ftp",
    "xt_nat",
    "ansi_cprng",
    "wireguard",
    "tun",
    "mana",
    "virtio_net",
    "ext4",
    "xt_conntrack",
    "vxlan",
)
NAT, CONNTRACK, CRC32 = "net/netfilter/nf_nat", "net/netfilter/nf_conntrack", "lib/libcrc32c"
XT_NAT, TUN, MANA = "net/netfilter/xt_nat", "drivers/net/tun", "drivers/net/ethernet/microsoft/mana/mana"
WEAKDEP = b"# Weak dependencies extracted from modules themselves.\n"

Depmod = Callable[[Path], None]


class Tree:
    """A folder of hard links: a file in it is replaced, and never changed."""

    def __init__(self, folder: Path, depmod: Depmod) -> None:
        self.folder, self.depmod = folder, depmod

    def path(self, name: str) -> Path:
        return self.folder / (name if name.startswith("modules.") else f"kernel/{name}.ko")

    def put(self, name: str, data: bytes) -> None:
        """Give a file other contents, and its own time."""
        path = self.path(name)
        status = path.stat() if path.exists() else None
        new = path.with_name("new")
        new.write_bytes(data)
        if status:
            os.utime(new, ns=(status.st_atime_ns, status.st_mtime_ns))
        os.replace(new, path)

    def change(self, name: str, old: bytes, new: bytes) -> None:
        data = self.path(name).read_bytes()
        assert data.count(old) == 1, (name, old, data.count(old))
        self.put(name, data.replace(old, new))

    def change_section(self, name: str, section: bytes, old: bytes, new: bytes) -> None:
        """Change as many bytes in a section of a module."""
        header = Module(self.path(name)).sections[section].header
        start, end = header.sh_offset, header.sh_offset + header.sh_size
        data = self.path(name).read_bytes()
        part = data[start:end]
        assert len(old) == len(new)
        assert part.count(old) == 1
        self.put(name, data[:start] + part.replace(old, new) + data[end:])

    def lines(self, name: str) -> list[bytes]:
        return self.path(name).read_bytes().splitlines(keepends=True)

    def change_line(self, module: str, changed: Callable[[list[bytes]], list[bytes]]) -> None:
        """Change what a module needs in modules.dep."""
        lines = self.lines("modules.dep")
        start = f"kernel/{module}.ko:".encode()
        number = next(number for number, line in enumerate(lines) if line.startswith(start))
        lines[number] = b" ".join([start, *changed(lines[number].split()[1:])]) + b"\n"
        self.put("modules.dep", b"".join(lines))

    def rename(self, old: str, new: str) -> None:
        self.path(old).rename(self.path(new))

    def copy(self, old: str, new: str) -> None:
        os.link(self.path(old), self.path(new))


def ko(*names: str) -> list[bytes]:
    return [f"kernel/{name}.ko".encode() for name in names]


@pytest.fixture(scope="module")
def depmod(tool: Callable[[str], str]) -> Depmod:
    program = tool("depmod")

    def run(folder: Path) -> None:
        subprocess.run([program, "-b", str(folder.parents[2]), folder.name], check=True, capture_output=True)

    return run


def linked(source: Path, folder: Path, names: set[str] | None = None) -> Path:
    """Hard links of a release's folder, of some modules or of all; below it nothing is shared but contents."""
    for file in source.rglob("*"):
        path = folder / file.relative_to(source)
        if file.is_file() and (names is None or ".ko" not in file.name or file.name.split(".")[0] in names):
            path.parent.mkdir(parents=True, exist_ok=True)
            try:
                os.link(file, path)
            except OSError:
                shutil.copy2(file, path)
    return folder


def release_of(kernel: Kernel) -> Path:
    return kernel.folder / "lib" / "modules" / kernel.release


class Base:
    """Some modules of the 6.1 kernel with all that they need, after depmod, and their Module.symvers."""

    def __init__(self, kernel: Kernel, top: Path, depmod: Depmod) -> None:
        whole = linked(release_of(kernel), top / "whole/lib/modules/6.1")
        depmod(whole)
        names, chosen = set(SEEDS), set[str]()
        for line in (whole / "modules.dep").read_text().splitlines():
            paths = line.replace(":", "").split()
            if Path(paths[0]).stem.replace("-", "_") in names:
                chosen.update(Path(path).stem for path in paths)
        self.folder = linked(release_of(kernel), top / "part/lib/modules/6.1", chosen)
        files = {str(path.relative_to(self.folder)) for path in self.folder.rglob("*.ko")}
        order = [line for line in (self.folder / "modules.order").read_text().splitlines() if line in files]
        (self.folder / "modules.order").unlink()
        (self.folder / "modules.order").write_text("".join(f"{line}\n" for line in order))
        depmod(self.folder)
        modules = {"vmlinux", *(path.removeprefix("kernel/").removesuffix(".ko") for path in files)}
        rows = (kernel.folder / "Module.symvers").read_text().splitlines(keepends=True)
        self.symvers = "".join(row for row in rows if row.split("\t")[2] in modules)


class ToyBase:
    """The same of a toy release, which takes neither a real kernel nor a real depmod."""

    def __init__(self, top: Path) -> None:
        self.folder = toy_release(top)
        self.symvers = toy_symvers()


@pytest.fixture(scope="module", params=["toy", pytest.param("bookworm-cloud", marks=pytest.mark.corpus)])
def base(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Base | ToyBase:
    top = tmp_path_factory.mktemp("trees")
    if request.param == "toy":
        return ToyBase(top)
    return Base(kernel_named(request.param), top, request.getfixturevalue("depmod"))


@pytest.fixture
def tree(base: Base | ToyBase, tmp_path: Path, request: pytest.FixtureRequest) -> Tree:
    depmod = own_depmod if isinstance(base, ToyBase) else request.getfixturevalue("depmod")
    return Tree(linked(base.folder, tmp_path / "lib/modules/6.1"), depmod)


def found_in(tree: Tree, symvers: str, folder: Path) -> list[Finding]:
    (folder / "Module.symvers").write_text(symvers)
    artifacts = (ModuleTree(tree.folder), Symvers(folder / "Module.symvers"))
    return list(run_checks(artifacts, *TOPICS).findings)


def ids(findings: list[Finding]) -> list[str]:
    return sorted(finding.id for finding in findings)


@pytest.mark.parametrize("ran", [True, False], ids=["depmod", "no-depmod"])
def test_on_a_real_tree_nothing_is_wrong(kernel: Kernel, ran: bool, tmp_path: Path, depmod: Depmod) -> None:
    folder = release_of(kernel)
    if ran:
        folder = linked(folder, tmp_path / "lib/modules" / kernel.release)
        depmod(folder)
    artifacts = (ModuleTree(folder), Symvers(kernel.folder / "Module.symvers"), Image(kernel.image))
    report = run_checks(artifacts, *TOPICS)
    assert report.exit_code == 0
    bad = [str(found) for found in report.findings if found.severity != Severity.INFO]
    assert bad == []
    assert ("depmod-has-run" in {found.id for found in report.findings}) is not ran
    assert len(report.ran) > 40


def change_version(tree: Tree, module: str, symbol: str, **fields: int | bytes) -> None:
    """Change the CRC of a need, or which one it is of."""
    data = Module(tree.path(module)).section(b"__versions")
    rows = [data[at : at + size_of(ModversionInfo)] for at in range(0, len(data), size_of(ModversionInfo))]
    row = next(row for row in rows if parse(ModversionInfo, row).name.split(b"\0")[0] == symbol.encode())
    other = build(parse(ModversionInfo, row)._replace(**fields))  # type: ignore[arg-type]
    tree.change_section(module, b"__versions", row, other)


def without_version(tree: Tree, module: str, symbol: str) -> None:
    """In its place that of module_layout stands twice."""
    crc = Module(tree.path(module)).versions["module_layout"]
    change_version(tree, module, symbol, crc=crc, name=b"module_layout".ljust(56, b"\0"))


def crc_changed(symbol: str) -> Callable[[Tree], None]:
    return lambda tree: change_version(tree, NAT, symbol, crc=1)


def crc_of_another(tree: Tree) -> None:
    change_version(tree, NAT, "nf_ct_iterate_cleanup_net", name=b"nobody_needs_it".ljust(56, b"\0"))


def signature_changed(name: str, place: int, value: int) -> Callable[[Tree], None]:
    """Another byte in a signature, counted from its beginning, or in its trailer, counted back from its end."""

    def change(tree: Tree) -> None:
        signature = Module(tree.path(name)).signature
        assert signature is not None
        data = bytearray(tree.path(name).read_bytes())
        end = signature.offset + len(signature.data) + size_of(ModuleSignature)
        data[signature.offset + place if place >= 0 else end + place] = value
        tree.put(name, bytes(data))

    return change


DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "that is cut": lambda data: data[:-20],
    "without a newline": lambda data: data[:-1],
    "with CR LF": lambda data: data[:-1] + b"\r\n",
    "with a line more": lambda data: data + b"\n",
}


def signature_damaged(damage: Callable[[bytes], bytes]) -> Callable[[Tree], None]:
    return lambda tree: tree.put(NAT, damage(tree.path(NAT).read_bytes()))


def modinfo(name: str, old: bytes, new: bytes) -> Callable[[Tree], None]:
    return lambda tree: tree.change_section(name, b".modinfo", old, new)


def line(module: str, changed: Callable[[list[bytes]], list[bytes]]) -> Callable[[Tree], None]:
    return lambda tree: tree.change_line(module, changed)


def appended(name: str, text: bytes) -> Callable[[Tree], None]:
    def change(tree: Tree) -> None:
        there = tree.path(name).exists()
        tree.put(name, (tree.path(name).read_bytes() if there else b"") + text)

    return change


def without_line(name: str, number: int) -> Callable[[Tree], None]:
    def change(tree: Tree) -> None:
        lines = tree.lines(name)
        del lines[number]
        tree.put(name, b"".join(lines))

    return change


def swapped(tree: Tree) -> None:
    first, second, *rest = tree.lines("modules.dep")
    tree.put("modules.dep", b"".join([second, first, *rest]))


def doubled(tree: Tree) -> None:
    lines = tree.lines("modules.dep")
    tree.put("modules.dep", b"".join([*lines, lines[3]]))


def cut_to(name: str, size: int) -> Callable[[Tree], None]:
    return lambda tree: tree.put(name, tree.path(name).read_bytes()[:size])


def two_cycles(tree: Tree) -> None:
    tree.change_line(CRC32, lambda _: ko(CONNTRACK))
    tree.change_line("net/ipv4/netfilter/nf_defrag_ipv4", lambda _: ko(CONNTRACK))


def needing(tree: Tree, user: str, provider: str) -> None:
    """Let a module need a symbol of another, in place of one of the kernel whose name is as long."""
    exports = {len(export.name): export for export in Module(tree.path(provider)).exports}
    module = Module(tree.path(user))
    strings = module.section(b".strtab")
    old = next(
        need.name
        for need in module.needs
        if len(need.name) in exports and strings.count(f"\0{need.name}\0".encode()) == 1
    )
    new = exports[len(old)]
    tree.change_section(user, b".strtab", f"\0{old}\0".encode(), f"\0{new.name}\0".encode())
    assert new.crc is not None
    change_version(tree, user, old, crc=new.crc, name=new.name.encode().ljust(56, b"\0"))


def module_cycle(tree: Tree) -> None:
    needing(tree, CRC32, CONNTRACK)


def two_module_cycles(tree: Tree) -> None:
    needing(tree, CRC32, CONNTRACK)
    needing(tree, "net/ipv4/netfilter/nf_defrag_ipv4", CONNTRACK)


def renamed(tree: Tree) -> None:
    tree.rename(NAT, f"{NAT}_other")


def copied_and_listed(new: str) -> Callable[[Tree], None]:
    def change(tree: Tree) -> None:
        tree.copy(NAT, new)
        tree.depmod(tree.folder)

    return change


def built_in(tree: Tree) -> None:
    appended("modules.builtin", f"kernel/{TUN}.ko\n".encode())(tree)
    appended("modules.builtin.modinfo", f"tun.file={TUN}\0".encode())(tree)
    tree.depmod(tree.folder)


def touched(tree: Tree) -> None:
    data = tree.path(TUN).read_bytes()
    tree.path(TUN).unlink()
    tree.path(TUN).write_bytes(data)
    os.utime(tree.path(TUN), (1 << 33, 1 << 33))


def without_module(name: str) -> Callable[[Tree], None]:
    def change(tree: Tree) -> None:
        start = f"kernel/{name}.ko:".encode()
        tree.put("modules.dep", b"".join(line for line in tree.lines("modules.dep") if not line.startswith(start)))

    return change


def larger_struct(tree: Tree) -> None:
    module = Module(tree.path(TUN))
    part = module.sections[b".gnu.linkonce.this_module"]
    start = module.header.e_shoff + part.number * size_of(SectionHeader)
    row = build(part.header._replace(sh_size=part.header.sh_size + 64))
    data = tree.path(TUN).read_bytes()
    tree.put(TUN, data[:start] + row + data[start + len(row) :])


def broken_alias(tree: Tree) -> None:
    tree.change_section(TUN, b".modinfo", b"alias=devname:net/tun", b"alias=devname:net[tun")
    tree.depmod(tree.folder)


def replaced(tree: Tree) -> None:
    (tree.folder / "updates").mkdir()
    tree.copy(NAT, "../updates/nf_nat")
    tree.depmod(tree.folder)


def weak_need(tree: Tree) -> None:
    """Let a module need, in place of a symbol of the kernel, a weak one that nobody has."""
    module = Module(tree.path(TUN))
    strings, table = module.section(b".strtab"), module.section(b".symtab")
    name = next(need.name for need in module.needs if strings.count(f"\0{need.name}\0".encode()) == 1).encode()
    start = strings.index(b"\0" + name + b"\0") + 1
    rows = [table[at : at + size_of(Symbol)] for at in range(0, len(table), size_of(Symbol))]
    row = next(row for row in rows if parse(Symbol, row).st_name == start)
    weak = build(parse(Symbol, row)._replace(st_info=STB_WEAK << 4))
    tree.change_section(TUN, b".symtab", row, weak)
    tree.change_section(TUN, b".strtab", b"\0" + name + b"\0", b"\0" + b"x" * len(name) + b"\0")
    without_version(tree, TUN, name.decode())


def without_crcs(tree: Tree) -> None:
    """A module as of a build without MODVERSIONS, which exports to a namespace."""
    data = tree.path(MANA).read_bytes()
    assert data.count(b"\0__crc_mana") > 1
    tree.put(MANA, data.replace(b"\0__crc_mana", b"\0__xrc_mana"))
    tree.depmod(tree.folder)


def removed(name: str) -> Callable[[Tree], None]:
    return lambda tree: tree.path(name).unlink()


FAULTS: dict[str, tuple[Callable[[Tree], None], list[str]]] = {
    "nothing": (lambda tree: None, []),
    "a CRC of another module": (
        crc_changed("nf_ct_iterate_cleanup_net"),
        ["module-versions-are-those-of-other-modules"],
    ),
    "a CRC of the kernel": (crc_changed("module_layout"), ["module-versions-are-those-of-the-kernel"]),
    "licence": (
        modinfo(NAT, b"license=GPL\0", b"license=BSD\0"),
        ["symbols-for-the-gpl-of-modules-are-used-under-it", "symbols-for-the-gpl-of-the-kernel-are-used-under-it"],
    ),
    "namespace import": (
        modinfo("crypto/ansi_cprng", b"import_ns=CRYPTO_INTERNAL", b"import_nx=CRYPTO_INTERNAL"),
        ["namespaces-of-the-kernel-are-imported"],
    ),
    "no vermagic": (modinfo(TUN, b"vermagic=6.1", b"vermagix=6.1"), ["modules-have-one-vermagic"]),
    "no CRC of a need": (
        lambda tree: without_version(tree, NAT, "nf_ct_iterate_cleanup_net"),
        ["modules-lack-no-versions"],
    ),
    "a CRC of no need": (crc_of_another, ["modules-have-versions-of-their-needs", "modules-lack-no-versions"]),
    "a signature that is none": (signature_changed(NAT, 0, 0), ["signatures-of-modules-are-sound"]),
    "a signature with a longer part": (signature_changed(TUN, 3, 255), ["signatures-of-modules-are-sound"]),
    "a signature of X.509": (signature_changed(TUN, -10, 1), ["signatures-of-modules-are-sound"]),
    "another signature": (signature_changed(TUN, 600, 0), []),
    **{
        f"a signature {name}": (signature_damaged(damage), ["signatures-of-modules-are-whole"])
        for name, damage in DAMAGES.items()
    },
    "another release, with CRCs": (modinfo(TUN, b"vermagic=6.1", b"vermagic=6.2"), ["modules-are-of-one-release"]),
    "vermagic": (modinfo(TUN, b" mod_unload ", b" mod_unlOad "), ["modules-have-one-vermagic"]),
    "size of struct module": (larger_struct, ["modules-have-one-size-of-struct-module"]),
    "alias without an end": (broken_alias, ["aliases-can-be-looked-up"]),
    "module replaced": (replaced, ["modules-are-not-replaced"]),
    "a weak need": (weak_need, ["weak-symbols-are-exported"]),
    "a namespace of nobody": (
        modinfo(TUN, b"description=Universal TUN/TAP", b"import_ns=NOBODY\0author=TUN/X"),
        ["imported-namespaces-are-exported"],
    ),
    "exports without CRCs": (
        without_crcs,
        ["modules-symbols-has-no-phantoms", *["symvers-crcs-are-those-of-the-modules"] * 6],
    ),
    "module renamed": (
        renamed,
        [
            "modules-are-in-modules-dep",
            "modules-bear-the-names-of-their-files",
            "modules-of-modules-dep-are-there",
        ],
    ),
    "module truncated": (cut_to(NAT, 20_000), ["modules-can-be-read"]),
    "module empty": (cut_to(NAT, 0), ["modules-can-be-read"]),
    "module is text": (lambda tree: tree.put(NAT, b"#!/bin/sh\n" * 50), ["modules-can-be-read"]),
    "module removed": (removed(NAT), ["modules-of-modules-dep-are-there"]),
    "module twice": (copied_and_listed("lib/nf_nat"), ["module-names-are-unambiguous"]),
    "module newer": (touched, ["modules-are-older-than-modules-dep"]),
    "module built in": (built_in, ["modules-are-not-built-in-too"]),
    "modules in a cycle": (module_cycle, ["modules-do-not-need-each-other"]),
    "modules in two linked cycles": (two_module_cycles, ["modules-do-not-need-each-other"]),
    "dangling link": (
        lambda tree: tree.path("lib/gone").symlink_to("nowhere.ko"),
        ["entries-of-the-tree-can-be-followed"],
    ),
    "a need dropped": (line("net/netfilter/nf_nat_ftp", lambda needs: needs[:-1]), ["modules-dep-lines-are-closed"]),
    "a need added": (line(XT_NAT, lambda needs: [*needs, *ko(TUN)]), ["modules-dep-is-what-depmod-writes"]),
    "needs reordered": (line(XT_NAT, lambda needs: needs[::-1]), ["modules-dep-lines-are-in-order"]),
    "a need without a line": (
        line(TUN, lambda _: ko("lib/none")),
        ["modules-dep-has-a-line-for-every-need"],
    ),
    "a need of itself": (line(TUN, lambda _: ko(TUN)), ["modules-dep-has-no-cycle"]),
    "a cycle": (line(CRC32, lambda _: ko(CONNTRACK)), ["modules-dep-has-no-cycle"]),
    "two linked cycles": (two_cycles, ["modules-dep-has-no-cycle"]),
    "lines swapped": (swapped, ["modules-dep-is-what-depmod-writes"]),
    "a line twice": (doubled, ["modules-dep-names-each-module-once"]),
    "no line for a leaf": (without_module(TUN), ["modules-are-in-modules-dep"]),
    "two paths for a name": (
        appended("modules.dep", b"kernel/lib/tun.ko:\n"),
        ["modules-dep-has-one-path-for-a-name", "modules-of-modules-dep-are-there"],
    ),
    "no colon": (appended("modules.dep", b"kernel\n"), ["modules-dep-is-well-formed"]),
    "CR LF": (
        lambda tree: tree.put("modules.dep", tree.path("modules.dep").read_bytes().replace(b"\n", b"\r\n")),
        ["modules-dep-is-well-formed"],
    ),
    "not UTF-8": (appended("modules.dep", b"kernel/\xff.ko:\n"), ["modules-dep-is-well-formed"]),
    "a long line": (appended("modules.dep", b"a" * (2 << 20) + b"\n"), ["modules-dep-is-well-formed"]),
    "../": (appended("modules.dep", b"../../../../etc/shadow.ko:\n"), ["modules-dep-stays-inside-its-folder"]),
    "absolute": (line(TUN, lambda _: [b"/etc/shadow.ko"]), ["modules-dep-stays-inside-its-folder"]),
    "stale index": (
        lambda tree: tree.put("modules.alias.bin", tree.path("modules.symbols.bin").read_bytes()),
        ["indexes-are-of-their-texts"],
    ),
    "broken index": (lambda tree: tree.put("modules.dep.bin", b"no index"), ["indexes-are-of-their-texts"]),
    "alias gone": (without_line("modules.alias", 2), ["texts-are-what-depmod-writes"]),
    "symbols swapped": (
        lambda tree: tree.put("modules.symbols", b"".join(tree.lines("modules.symbols")[::-1])),
        ["texts-are-what-depmod-writes"],
    ),
    "no symbols": (removed("modules.symbols"), ["files-of-depmod-are-complete"]),
    "no aliases of built-in modules, as of kmod 27": (removed("modules.builtin.alias.bin"), []),
    "no aliases of built-in modules, of kmod 34": (
        lambda tree: (appended("modules.weakdep", WEAKDEP)(tree), removed("modules.builtin.alias.bin")(tree))[0],
        ["files-of-depmod-are-complete"],
    ),
    "weakdep of kmod 34": (appended("modules.weakdep", WEAKDEP), []),
    "weakdep with a line more": (
        appended("modules.weakdep", WEAKDEP + b"weakdep tun nf_nat\n"),
        ["texts-are-what-depmod-writes"],
    ),
    "modules.builtin": (without_line("modules.builtin", 1), ["modules-builtin-is-of-its-modinfo"]),
    "modules.order": (without_line("modules.order", 1), ["modules-order-lists-the-modules"]),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_found_and_no_other(fault: str, tree: Tree, base: Base | ToyBase, tmp_path: Path) -> None:
    change, expected = FAULTS[fault]
    change(tree)
    found = found_in(tree, base.symvers, tmp_path)
    assert ids(found) == expected, "\n".join(map(str, found))


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_modinfo_sees_no_damaged_signature(
    damage: Callable[[bytes], bytes], tree: Tree, tool: Callable[[str], str]
) -> None:
    def fields() -> str:
        return subprocess.run([tool("modinfo"), tree.path(NAT)], capture_output=True, text=True, check=True).stdout

    assert "sig_hashalgo:" in fields()
    signature_damaged(damage)(tree)
    assert "sig_hashalgo:" not in fields()


@pytest.mark.parametrize("change", ["absolute paths", "modules.load", "neither"])
def test_times_in_a_folder_of_android_say_nothing(change: str, tree: Tree) -> None:
    touched(tree)
    if change == "absolute paths":
        rows = [row.split() for row in tree.lines("modules.dep")]
        written = (b" ".join(b"/vendor/lib/modules/" + word for word in row) for row in rows)
        tree.put("modules.dep", b"".join(line + b"\n" for line in written))
        os.utime(tree.path("modules.dep"), ns=(1, 1))
    if change == "modules.load":
        tree.put("modules.load", b"")
    found = run_checks((ModuleTree(tree.folder),), "depmod.files").findings
    assert ("modules-are-older-than-modules-dep" in ids(list(found))) is (change == "neither")


def test_a_copy_of_a_module_exports_the_same(tree: Tree, base: Base | ToyBase, tmp_path: Path) -> None:
    copied_and_listed(f"{NAT}_copy")(tree)
    found = set(ids(found_in(tree, base.symvers, tmp_path)))
    expected = {"modules-bear-the-names-of-their-files", "modules-do-not-export-the-same-symbol"}
    assert found - {"modules-order-lists-the-modules"} == expected


def row_dropped(rows: list[str], at: int) -> None:
    del rows[at]


def other_crc(rows: list[str], at: int) -> None:
    rows[at] = "0x00000001" + rows[at][10:]


def other_licence(rows: list[str], at: int) -> None:
    assert "EXPORT_SYMBOL\t" in rows[at]
    rows[at] = rows[at].replace("EXPORT_SYMBOL", "EXPORT_SYMBOL_GPL")


def other_namespace(rows: list[str], at: int) -> None:
    rows[at] = rows[at].rstrip("\n") + "OTHER\n"


def other_module(rows: list[str], at: int) -> None:
    rows[at] = rows[at].replace(NAT, CONNTRACK)


def group_moved(rows: list[str], at: int) -> None:
    last = rows[-1].split("\t")[2]
    group = [row for row in rows if row.split("\t")[2] == last]
    del rows[-len(group) :]
    first = next(number for number, row in enumerate(rows) if row.split("\t")[2] != "vmlinux")
    assert first < at
    rows[first:first] = group


def extra_row(rows: list[str], at: int) -> None:
    rows.append(rows[at].replace("nf_nat_setup_info", "nf_nat_other"))


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (group_moved, "symvers-follows-modules-order"),
        (row_dropped, "symvers-lists-the-exports-of-the-modules"),
        (other_crc, "symvers-crcs-are-those-of-the-modules"),
        (other_licence, "symvers-licences-are-those-of-the-modules"),
        (other_namespace, "symvers-namespaces-are-those-of-the-modules"),
        (other_module, "symvers-lists-the-exports-of-the-modules"),
        (extra_row, "symvers-lists-the-exports-of-the-modules"),
    ],
)
def test_symvers_against_the_modules(
    change: Callable[[list[str], int], None], expected: str, tree: Tree, base: Base | ToyBase, tmp_path: Path
) -> None:
    rows = base.symvers.splitlines(keepends=True)
    at = next(number for number, row in enumerate(rows) if "\tnf_nat_setup_info\t" in row)
    change(rows, at)
    assert ids(found_in(tree, "".join(rows), tmp_path)) == [expected]


def test_the_configuration_of_depmod(tmp_path: Path) -> None:
    (tmp_path / "toy.conf").write_text("override a * kernel\nsearch updates\nexclude x\n")
    (tmp_path / "odd.conf").write_text("# of depmod.d\nexternal * /opt\noverride a\nsearch updates\n")
    tree_of(tmp_path, {})

    def found(*names: str) -> list[tuple[str, int | None]]:
        tree = ModuleTree(tmp_path, [str(tmp_path / name) for name in names])
        findings = run_checks((tree,), "module.tree").findings
        assert {finding.id for finding in findings} <= {"depmod-configuration-is-understood"}
        return [(Path(at.path).name, at.line) for finding in findings for at in finding.evidence.at]

    assert found() == found("toy.conf") == []
    assert found("odd.conf", "gone") == [("gone", None), ("odd.conf", 2), ("odd.conf", 3)]


def test_a_row_of_the_kernel_that_is_gone(tree: Tree, base: Base | ToyBase, tmp_path: Path) -> None:
    rows = base.symvers.splitlines(keepends=True)
    kept = "".join(row for row in rows if "\tcrypto_shash_update\t" not in row)
    found = found_in(tree, kept, tmp_path)
    assert set(ids(found)) == {"needed-symbols-are-exported"}
    assert any("libcrc32c needs 1 symbol" in str(one) and "it will not load" in str(one) for one in found)


def test_a_symbol_of_the_kernel_and_of_a_module(tree: Tree, base: Base | ToyBase, tmp_path: Path) -> None:
    row = next(row for row in base.symvers.splitlines() if "\tnf_nat_setup_info\t" in row)
    found = found_in(tree, base.symvers.replace(row, row.replace(NAT, "vmlinux")), tmp_path)
    assert ids(found) == ["modules-do-not-export-what-the-kernel-exports", "symvers-lists-the-exports-of-the-modules"]


def test_a_symvers_of_another_build(tree: Tree, base: Base | ToyBase, tmp_path: Path) -> None:
    rows = (f"0x00000001{row[10:]}" for row in base.symvers.splitlines(keepends=True))
    found = ids(found_in(tree, "".join(rows), tmp_path))
    assert set(found) == {"symvers-is-of-the-build-of-the-modules", "module-versions-are-those-of-the-kernel"}
    assert found.count("symvers-is-of-the-build-of-the-modules") == 1
    assert found.count("module-versions-are-those-of-the-kernel") == 1


def test_a_finding_counts_the_modules_that_need_one(tree: Tree, base: Base | ToyBase, tmp_path: Path) -> None:
    users = sum(b"/nf_nat.ko" in row.partition(b":")[2] for row in tree.lines("modules.dep"))
    removed(NAT)(tree)
    (found,) = found_in(tree, base.symvers, tmp_path)
    assert users > 1
    assert f"it will not load, and {users} modules need it" in found.evidence.message


def judged_by_kernels(tree: ModuleTree, own: Path | str, other: Path | str) -> None:
    report = run_checks((tree, Image(other)), "module.needs")
    assert "vermagic-is-the-kernels" in {found.id for found in report.findings}
    report = run_checks((tree, Image(own)), "module.needs")
    assert report.exit_code == 0
    assert "vermagic-is-the-kernels" in report.ran


def test_another_release_without_crcs(tmp_path: Path) -> None:
    """The kernel compares the release of modules without CRCs."""
    magic = "vermagic=6.{} SMP mod_unload modversions aarch64"
    for versions, fault in (((), ["modules-have-one-vermagic"]), (("module_layout",), [])):
        built = {f"kernel/m{n}.ko": toy_ko(versions=versions, info=(magic.format(n // 3),)) for n in range(4)}
        findings = run_checks((tree_of(tmp_path / str(len(versions)), built),), "module.tree").findings
        assert [found.id for found in findings if found.severity is Severity.ERROR] == fault


def test_another_kernel(sample: Path, tmp_path: Path) -> None:
    """The Image of the toy build has the vermagic of the sample's modules; the sample's own has none."""
    own = sample_build(tmp_path) / BOOT / "Image"
    judged_by_kernels(ModuleTree(sample / "modules/lib/modules/6.1.0-hello"), own, sample / "Image")


@pytest.mark.corpus
def test_another_real_kernel(kernels: tuple[Kernel, Kernel]) -> None:
    judged_by_kernels(ModuleTree(release_of(kernels[0])), kernels[0].image, kernels[1].image)


@pytest.mark.parametrize(
    ("namespace", "imported", "uses"),
    [
        ("", (), "nothing"),
        ("OWN", ("import_ns=OWN",), "nothing"),
        ("OWN", ("import_ns=OTHER",), "shared of owner (in OWN)"),
        ("module:user", (), "nothing"),
        ("module:other", ("import_ns=module:other",), "nothing"),
        ("module:other", (), "shared of owner (only for module:other)"),
    ],
)
def test_a_namespace_of_a_toy_module(namespace: str, imported: tuple[str, ...], uses: str, tmp_path: Path) -> None:
    shared = ToyExport("shared", True, namespace)
    crcs = {"shared": shared.crc, "module_layout": 1}
    modules = {
        "kernel/owner.ko": toy_module("owner", ToyModule((shared,)), crcs),
        "kernel/user.ko": toy_module("user", ToyModule((), ("shared",), imported), crcs),
    }
    found = run_checks((tree_of(tmp_path, modules),), "module.needs").findings
    assert ids(list(found)) == ([] if uses == "nothing" else ["namespaces-of-modules-are-imported"])
    fault = f"user uses 1 symbol from namespaces that it does not import: {uses}; it will not load, and "
    expected = [] if uses == "nothing" else [f"{fault}no other module needs it"]
    assert [one.evidence.message for one in found] == expected


@pytest.mark.corpus
@pytest.mark.parametrize(
    ("name", "old", "new", "user"),
    [
        ("drivers/gpio/gpio-pci-idio-16", b"import_ns=GPIO_IDIO_16\0", b"import_nx=GPIO_IDIO_16\0", ""),
        ("drivers/dax/hmem/dax_hmem", b"module:dax_cxl\0", b"module:dax_cxx\0", "dax_cxl"),
    ],
    ids=["an import gone", "a list without the user"],
)
def test_a_namespace_of_a_real_module(
    name: str, old: bytes, new: bytes, user: str, kernels: tuple[Kernel, Kernel], tmp_path: Path
) -> None:
    folder = linked(release_of(kernels[1]), tmp_path / "lib/modules" / kernels[1].release)
    path = folder / f"kernel/{name}.ko.xz"
    data = Module(path).data
    assert data.count(old) == 1
    path.unlink()
    path.write_bytes(lzma.compress(data.replace(old, new), check=lzma.CHECK_CRC32))
    (found,) = run_checks((ModuleTree(folder),), "module.needs").findings
    assert found.id == "namespaces-of-modules-are-imported"
    named = user or Path(name).name.replace("-", "_")
    assert found.evidence.message.startswith(f"{named} uses 1 symbol from namespaces that it does not import: ")
    assert found.evidence.message.endswith("; it will not load, and no other module needs it")


@pytest.mark.parametrize(
    ("namespace", "allowed"),
    [
        ("", True),
        ("OWN", True),
        ("OTHER", False),
        ("module:toy_a", True),
        ("module:x,toy-*", True),
        ("module:toy", False),
        ("module:*y_a", False),
    ],
)
def test_a_namespace_lets_a_module_in(namespace: str, allowed: bool) -> None:
    module = ModuleSummary("toy-a.ko", "toy_a", modinfo=(("import_ns", "OWN"),), needs={"open": False})
    found = list(namespace_faults(module, {"open": Offer("toy", None, True, namespace)}))
    assert (found == []) is allowed
