"""One verdict for a whole build: clean on what is, and for every fault its finding and no other."""

import gzip
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from kinspect.artifacts.elf.vmlinux import Vmlinux
from kinspect.errors import MalformedError
from kinspect.inspection.check import check
from kinspect.inspection.report import Report
from kinspect.views.build.inventory import BuildFacts
from tests.conftest import ROOT, SAMPLE, Build, Kernel, kernel_named, real_tool
from tests.toy_build import (
    BOOT,
    CONFIG,
    edit,
    full_sample_build,
    installed,
    linked,
    other_sample,
    put,
    sample_build,
    take,
    words,
)
from tests.toy_dtb import toy
from tests.toy_tree import ko

WITH_NAME = "vmlinux-\x1b[31m\nred"


def facts(report: Report) -> BuildFacts:
    return report.facts_of(BuildFacts)[0]


def run(*arguments: str, cwd: Path) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "kinspect", "check", *arguments]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, env=environment, timeout=60)


# What is good.


@pytest.mark.corpus
def test_a_real_build_is_good(build: Build) -> None:
    start = time.monotonic()
    done = run(".", cwd=build.out)
    seconds = time.monotonic() - start
    assert (done.returncode, done.stderr) == (0, "")
    assert re.search(r"\ngood: \d+ checks, nothing wrong\n$", done.stdout)
    inventory = done.stdout.split("\n\n")[1]
    roles = [line.split("  ")[1].strip() for line in inventory.splitlines()]
    assert list(dict.fromkeys(roles)) == [
        "release",
        "config",
        "vmlinux",
        "System.map",
        "Image",
        "packed Image",
        "Module.symvers",
        "device tree",
        "built modules",
    ]
    assert roles.count("packed Image") == 4
    # A second on a machine of its own; this one may be busy.
    assert seconds < 10


@pytest.mark.corpus
def test_a_large_kernel_takes_little_memory(
    kernels: tuple[Kernel, Kernel], tool: Callable[[str], str], tmp_path: Path
) -> None:
    """The vmlinux has 403 MiB."""
    folder = installed(kernels[1], tmp_path, tool("depmod"))
    # Its own peak: what the system says of a child includes what its parent had when it began.
    script = (
        "import re, sys\n"
        "from kinspect.cli import main\n"
        "status = main(sys.argv[1:])\n"
        "print(status, re.search(r'VmHWM:\\s+(\\d+) kB', open('/proc/self/status').read())[1])"
    )
    command = [sys.executable, "-c", script, "check", "-q", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT)
    status, peak = done.stdout.split()
    assert status == "0"
    assert int(peak) < 400 << 10


@pytest.mark.corpus
def test_its_installed_modules_are_good(build: Build) -> None:
    report = check(build.out, build.modules)
    assert words(report.findings) == ""
    assert (report.errors, facts(report).missing) == ((), ())
    assert {piece.role for piece in facts(report).pieces} >= {"modules", "built modules"}
    assert "signatures-are-of-the-config" in report.ran


@pytest.mark.corpus
def test_a_real_kernel_as_installed_is_good(kernel: Kernel, tool: Callable[[str], str], tmp_path: Path) -> None:
    report = check(installed(kernel, tmp_path, tool("depmod")))
    assert report.ok, words(report.findings)
    assert {str(found.severity) for found in report.findings} <= {"info"}
    pieces = [piece.role for piece in facts(report).pieces]
    assert pieces == ["config", "vmlinux", "System.map", "Image", "Module.symvers", "modules"]


@pytest.mark.corpus
def test_a_real_kernel_in_its_packages_is_good(kernel: Kernel, tool: Callable[[str], str], tmp_path: Path) -> None:
    """The packages lie unpacked each in its folder, and the modules are given by their own."""
    whole = installed(kernel, tmp_path / "all", tool("depmod"))
    parts = []
    for name, places in (("image", ["boot", "lib"]), ("debug", ["usr/lib"]), ("headers", ["usr/src"])):
        for place in places:
            (tmp_path / name / place).parent.mkdir(parents=True, exist_ok=True)
            (whole / place).rename(tmp_path / name / place)
        parts.append(tmp_path / name)
    report = check(*parts)
    assert report.ok, words(report.findings)
    assert [piece.role for piece in facts(report).pieces] == [
        "config",
        "System.map",
        "Image",
        "modules",
        "vmlinux",
        "Module.symvers",
    ]
    modules = tmp_path / "image/lib/modules" / kernel.release
    assert [piece.role for piece in facts(check(modules)).pieces] == ["modules"]


def test_the_sample_as_the_folder_of_a_build_is_good(tmp_path: Path) -> None:
    report = check(sample_build(tmp_path))
    assert report.ok, words(report.findings)
    assert {found.id for found in report.findings} == {"weak-symbols-are-exported"}
    # One for each symbol, whatever modules use it, and though vmlinux and the Image both lack it.
    assert len(report.findings) == 2
    assert facts(report).missing == ()


# Faults in a build, the real one and the sample's: what is done to the folder, and the findings. E: what it ends with.


class Pieces(NamedTuple):
    """A build to put faults into, as a folder that is copied, and files in it that have a part in faults.

    `leaf` is a module that no other needs, `needed` one that another does, `above` a folder of some, `other` a folder
    of another kernel; `quiet` are findings of what is good.
    """

    build: Path
    other: Path
    leaf: str
    needed: str
    above: str
    built_in: str
    packed: str
    dtb: str
    quiet: frozenset[str] = frozenset()

    def named(self, text: str) -> str:
        """A text with the names of this build in place of LEAF, BUILTIN, PACKED and DTB."""
        names = {"LEAF": self.leaf, "BUILTIN": self.built_in, "PACKED": self.packed, "DTB": self.dtb}
        return re.sub("|".join(names), lambda found: names[found[0]], text)


Fault = Callable[[Path, Pieces], None]


def touched(data: bytes) -> bytes:
    at = len(data) // 2
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


def other_build_id(out: Path, of: Pieces) -> None:
    own = Vmlinux(out / "vmlinux").build_id
    assert own
    edit(out / "vmlinux", lambda data: data.replace(own, touched(own)))


def changing(name: str, old: str, new: str) -> Fault:
    return lambda out, of: edit(
        out / of.named(name), lambda data: data.replace(of.named(old).encode(), of.named(new).encode())
    )


def circles(out: Path, of: Pieces) -> None:
    for place in (of.above, BOOT + "dts"):
        (out / place / "up").symlink_to("..")


def stripped(out: Path, of: Pieces) -> None:
    subprocess.run([real_tool("aarch64-linux-gnu-strip"), "-o", "stripped", "vmlinux"], cwd=out, check=True)
    (out / "stripped").replace(out / "vmlinux")


FAULTS: dict[str, tuple[Fault, list[str]]] = {
    "another kernel's System.map": (
        lambda out, of: take(out / "System.map", of.other / "System.map"),
        ["system-map-is-of-vmlinux"],
    ),
    "a symbol of another type": (
        changing("System.map", " T start_kernel", " t start_kernel"),
        ["system-map-is-of-vmlinux"],
    ),
    # The packed images still are what vmlinux gives: the Image is the odd one.
    "a touched Image": (lambda out, of: edit(out / BOOT / "Image", touched), ["image-is-objcopy-of-vmlinux"]),
    "a stale modules.order": (changing("modules.order", "LEAF\n", ""), ["modules-order-is-of-the-build"]),
    "a line too many in it": (
        changing("modules.order", "LEAF\n", "LEAF\nfs/a.ko\n"),
        ["modules-order-is-of-the-build"],
    ),
    "no modules.order": (lambda out, of: (out / "modules.order").unlink(), ["modules-order-is-of-the-build"]),
    "an empty modules.order": (lambda out, of: put(out / "modules.order", b""), ["modules-order-is-of-the-build"]),
    "another kernel's Image.gz": (
        lambda out, of: put(out / BOOT / "Image.gz", gzip.compress((of.other / "Image").read_bytes(), 1)),
        ["packed-image-is-the-image"],
    ),
    "Image.gz of a touched Image": (
        lambda out, of: put(out / BOOT / "Image.gz", gzip.compress(touched((out / BOOT / "Image").read_bytes()), 1)),
        ["packed-image-is-the-image"],
    ),
    "a changed option": (
        changing(".config", "CONFIG_SYSFS=y", "# CONFIG_SYSFS is not set"),
        ["config-is-the-embedded-one"],
    ),
    # The .config inside is another, and what the header says is one of the differences.
    "another page size": (
        changing(".config", "CONFIG_ARM64_4K_PAGES=y", "CONFIG_ARM64_64K_PAGES=y"),
        ["config-is-the-embedded-one"],
    ),
    "another kernel's .config": (
        lambda out, of: take(out / ".config", of.other / "config"),
        ["config-is-the-embedded-one"],
    ),
    "a removed module": (lambda out, of: (out / of.leaf).unlink(), ["modules-order-is-of-the-build"]),
    # btrfs will not load without it.
    "a removed module that another needs": (
        lambda out, of: (out / of.needed).unlink(),
        ["modules-order-is-of-the-build", "needed-symbols-are-exported"],
    ),
    "an empty module": (lambda out, of: put(out / of.leaf, b""), ["modules-can-be-read"]),
    # It is compared with the kernel and with the modules.
    "another release": (
        lambda out, of: put(out / "include/config/kernel.release", b"6.1.0-other\n"),
        ["release-is-that-of-the-kernel"],
    ),
    # Three files have the CRCs, and the .config says that there are some.
    "no CRCs": (
        lambda out, of: edit(out / "Module.symvers", lambda data: re.sub(rb"(?m)^0x[0-9a-f]{8}", b"0x00000000", data)),
        ["symvers-has-crcs", "symvers-is-of-the-build-of-the-kernel"],
    ),
    "another kernel's Module.symvers": (
        lambda out, of: take(out / "Module.symvers", of.other / "Module.symvers"),
        ["symvers-is-of-the-build-of-the-kernel"],
    ),
    "other flags of objcopy": (
        changing(BOOT + ".Image.cmd", " -R .comment", ""),
        ["image-is-made-with-the-usual-flags"],
    ),
    # The Image is not what these flags make of vmlinux, either.
    "flags that leave out code": (
        changing(BOOT + ".Image.cmd", " -S", " -R .init.text -S"),
        ["image-is-made-with-the-usual-flags", "image-is-objcopy-of-vmlinux"],
    ),
    "a vmlinux with another build id": (other_build_id, ["image-is-objcopy-of-vmlinux"]),
    # Everything else is of another build.
    "another kernel's vmlinux": (
        lambda out, of: take(out / "vmlinux", of.other / "vmlinux"),
        ["image-is-objcopy-of-vmlinux"],
    ),
    # Two things cannot be told without symbols.
    "a stripped vmlinux": (stripped, ["export-values-are-symbols", "sections-sum-to-image-size"]),
    "another dtb": (
        lambda out, of: edit(out / of.dtb, lambda data: data[:20] + b"\0\0\0\x63" + data[24:]),
        ["dtb-version-is-17"],
    ),
    "a cut Image.gz": (
        lambda out, of: edit(out / BOOT / "Image.gz", lambda data: data[:-999]),
        ["E the stream is truncated"],
    ),
    "a cut zboot image": (
        lambda out, of: edit(out / BOOT / "vmlinuz.efi", lambda data: data[:4500]),
        ["E the payload begins past the end"],
    ),
    "no .Image.cmd to read": (lambda out, of: put(out / BOOT / ".Image.cmd", b""), ["image-is-objcopy-of-vmlinux"]),
    "an order of modules.builtin": (
        changing("modules.builtin", "BUILTIN\n", ""),
        ["modules-builtin-is-of-its-modinfo"],
    ),
    "links in circles": (circles, ["entries-of-the-tree-can-be-followed"] * 2),
}
FILES = (
    "vmlinux",
    "System.map",
    ".config",
    "Module.symvers",
    BOOT + "Image",
    "PACKED",
    "DTB",
    "include/config/kernel.release",
)
for _name in FILES:
    FAULTS[f"{_name} is empty"] = (lambda out, of, name=_name: put(out / of.named(name), b""), ["E empty file"])  # type: ignore[misc]


def fifo(out: Path, name: str) -> None:
    (out / name).unlink()
    os.mkfifo(out / name)


def device(out: Path, name: str) -> None:
    (out / name).unlink()
    (out / name).symlink_to("/dev/zero")


for _name in FILES:
    FAULTS[f"{_name} is a FIFO"] = (lambda out, of, name=_name: fifo(out, of.named(name)), ["E is a FIFO"])  # type: ignore[misc]
FAULTS["an Image that is a device"] = (lambda out, of: device(out, BOOT + "Image"), ["E is a character device"])


REAL_ALONE = {"another kernel's vmlinux"}
"""Faults that take a second kernel, linked of other sources."""
IN_THE_SAMPLE = {
    # Its exports are so few that each is named.
    "no CRCs": [
        *["symvers-crcs-are-those-of-the-kernel"] * 11,
        *["symvers-crcs-are-those-of-the-modules"] * 6,
        "symvers-has-crcs",
        "versions-are-of-the-config",
    ],
    # Two modules need it, one of them with its namespace.
    "a removed module that another needs": [
        "imported-namespaces-are-exported",
        "modules-order-is-of-the-build",
        *["needed-symbols-are-exported"] * 2,
    ],
}
"""What is found in the sample instead."""
BASES = ["hello", pytest.param("build", marks=pytest.mark.corpus)]


@pytest.fixture(scope="session", params=BASES)
def pieces(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Pieces:
    """The sample as a build, and the real one without what is never looked at: a copy of it takes no time."""
    folder = tmp_path_factory.mktemp("pieces")
    if request.param == "build":
        out = linked(request.getfixturevalue("build").out.resolve(), folder / "out")
        names = ("fs/nls/nls_ascii.ko", "lib/raid6/raid6_pq.ko", "fs", "kernel/fs/exportfs/exportfs.ko")
        dtb = BOOT + "dts/bitmain/bm1880-sophon-edge.dtb"
        other = kernel_named("bookworm-cloud").folder
        return Pieces(out, other, *names, BOOT + "Image.zst", dtb)
    names = ("drivers/hello/hello_light.ko", "lib/hello_text.ko", "drivers", "kernel/fs/hello_fs.ko")
    return Pieces(
        full_sample_build(folder / "out"),
        other_sample(folder / "other"),
        *names,
        BOOT + "Image.xz",
        BOOT + "dts/hello/hello.dtb",
        # What its modules may do without.
        frozenset({"weak-symbols-are-exported"}),
    )


CASES = [("hello", fault) for fault in FAULTS if fault not in REAL_ALONE] + [
    pytest.param("build", fault, marks=pytest.mark.corpus) for fault in FAULTS
]


@pytest.mark.parametrize(("pieces", "fault"), CASES, indirect=["pieces"])
def test_a_fault_gives_its_finding(fault: str, pieces: Pieces, tmp_path: Path) -> None:
    change, expected = FAULTS[fault]
    out = linked(pieces.build, tmp_path / "out")
    if pieces.quiet:
        expected = IN_THE_SAMPLE.get(fault, expected)
    change(out, pieces)
    report = check(out)
    findings = [one for one in report.findings if one.id not in pieces.quiet]
    found = sorted([one.id for one in findings] + [f"E {error.problem}" for error in report.errors])
    assert found == expected, words([*findings, *report.errors])
    kinds = {str(one.severity) for one in findings}
    assert report.exit_code == (2 if report.errors or "undecided" in kinds else "error" in kinds)


def test_without_a_fault_there_is_no_finding(pieces: Pieces) -> None:
    report = check(pieces.build)
    assert {found.id for found in report.findings} == pieces.quiet
    assert report.errors == ()


@pytest.mark.corpus
def test_faults_of_installed_modules(build: Build, tmp_path: Path) -> None:
    base = linked(build.modules, tmp_path / "install")
    tree = base / "lib/modules" / build.release
    installed = build.modules / "lib/modules" / build.release / "kernel/fs/nls/nls_ascii.ko"
    times = installed.stat().st_atime_ns, installed.stat().st_mtime_ns
    put(tree / "kernel/fs/nls/nls_ascii.ko", (build.out / "fs/nls/nls_ascii.ko").read_bytes())
    os.utime(tree / "kernel/fs/nls/nls_ascii.ko", ns=times)
    report = check(build.out, base)
    assert sorted(found.id for found in report.findings) == ["signatures-are-of-the-config"]
    take(tree / "kernel/fs/nls/nls_ascii.ko", installed)
    tree.rename(tree.parent / "6.1.0-other")
    report = check(build.out, base)
    assert sorted(found.id for found in report.findings) == ["modules-lie-in-the-folder-of-their-release"]


# What is asked for.


def test_missing_pieces_are_listed_with_the_command_that_builds_them(tmp_path: Path) -> None:
    folder = sample_build(tmp_path)
    for name, role, remedy in (
        (".config", "config", "defconfig"),
        ("vmlinux", "vmlinux", "make ARCH=arm64 vmlinux"),
        ("System.map", "System.map", "make ARCH=arm64 vmlinux"),
        (BOOT + "Image", "Image", "make ARCH=arm64 Image"),
        ("Module.symvers", "Module.symvers", "make ARCH=arm64 modules"),
    ):
        kept = (folder / name).read_bytes()
        (folder / name).unlink()
        report = check(folder)
        assert [found.id for found in report.findings if found.severity == "error"] == ["build-is-complete"]
        assert report.exit_code == 1
        assert [found for found, _ in facts(report).missing] == [role]
        assert remedy in facts(report).missing[0][1]
        required = check(folder, require=[role])
        assert [found.id for found in required.findings if found.severity == "error"] == ["required-files-are-there"]
        assert required.exit_code == 1
        put(folder / name, kept)
    for module in folder.rglob("*.ko"):
        module.unlink()
    (folder / "modules.order").unlink()
    assert [role for role, _ in facts(check(folder)).missing] == ["built modules"]
    required = check(folder, require=["image", "packed-image", "MODULES".lower(), "device tree", "image"])
    said = [str(found.evidence) for found in required.findings if found.id == "required-files-are-there"]
    assert said == [
        "no packed Image found: the build did not make it",
        "no modules found: `make ARCH=arm64 modules_install INSTALL_MOD_PATH=FOLDER`",
        "no device tree found: the build did not make it",
    ]


def test_ignore_and_select(tmp_path: Path) -> None:
    folder = sample_build(tmp_path)
    put(folder / "include/config/kernel.release", b"6.1.0-other\n")
    put(folder / ".config", CONFIG.replace(b"_4K_", b"_16K_"))
    every = check(folder)
    # The release is compared with the kernel and with the modules, which is one fault.
    assert len([found for found in every.findings if found.severity == "error"]) == 2
    one = check(folder, ignore=["header-is-of-the-config", "release-is-that-of-the-modules"])
    assert [found.id for found in one.findings if found.severity == "error"] == ["release-is-that-of-the-kernel"]
    assert "header-is-of-the-config" not in one.ran
    one = check(folder, select=["header-is-of-the-config", "system-map-is-of-vmlinux"])
    assert [found.id for found in one.findings] == ["header-is-of-the-config"]
    assert set(one.ran) == {"header-is-of-the-config", "system-map-is-of-vmlinux"}
    assert check(folder, select=["header-is-of-the-config"], ignore=["header-is-of-the-config"]).ok
    for words_of in ({"require": ["kernel"]}, {"ignore": ["nonsense"]}, {"select": [""]}):
        with pytest.raises(MalformedError, match="unknown name"):
            check(folder, **words_of)  # type: ignore[arg-type]


def test_a_policy_is_read_where_the_command_runs(tmp_path: Path) -> None:
    folder = sample_build(tmp_path / "out")
    assert run("out", "-q", cwd=tmp_path).returncode == 0
    (tmp_path / "kinspect.toml").write_text('require = ["packed Image"]\n')
    done = run("out", cwd=tmp_path)
    assert done.returncode == 1
    assert "no packed Image found" in done.stdout
    (tmp_path / "kinspect.toml").unlink()
    (tmp_path / "pyproject.toml").write_text('[tool.kinspect]\nrequire = ["packed Image"]\n')
    assert run("out", "-q", cwd=tmp_path).returncode == 1
    # Instead of it, not beside it.
    (tmp_path / "none.toml").write_text("")
    assert run("out", "-q", "--policy", "none.toml", cwd=tmp_path).returncode == 0
    put(folder / "include/config/kernel.release", b"6.1.0-other\n")
    (tmp_path / "some.toml").write_text('ignore = ["release-is-that-of-the-kernel"]\n')
    option = "--ignore=release-is-that-of-the-modules"
    assert run("out", "-q", "--policy", "some.toml", cwd=tmp_path).returncode == 1
    assert run("out", "-q", "--policy", "some.toml", option, cwd=tmp_path).returncode == 0
    for text, said in (
        ("ignor = []", "unknown key (did you mean ignore?): expected require, ignore, select"),
        ('ignore = "a"', "not a list of strings"),
        ("ignore = [1]", "not a list of strings"),
        ('ignore = ["nonsense"]', "unknown name"),
        ("ignore = [", "not TOML"),
        ("\udcff", "not TOML"),
    ):
        (tmp_path / "some.toml").write_bytes(text.encode("utf-8", "surrogateescape"))
        done = run("out", "--policy", "some.toml", cwd=tmp_path)
        assert (done.returncode, done.stdout) == (2, ""), text
        assert said in done.stderr
        assert done.stderr.count("\n") == 1
    done = run("out", "--policy", "nowhere.toml", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (2, "kinspect: nowhere.toml: No such file or directory\n")


def test_json_and_quiet(tmp_path: Path) -> None:
    jsonschema = pytest.importorskip("jsonschema")
    sample_build(tmp_path / "out")
    put(tmp_path / "out" / BOOT / "Image.gz", b"\x1f\x8b")
    (tmp_path / "out/System.map").unlink()
    done = run("out", "--json", cwd=tmp_path)
    document = json.loads(done.stdout)
    jsonschema.validate(document, json.loads((ROOT / "docs/report.schema.json").read_text()))
    (build,) = (one for one in document["facts"] if one["kind"] == "build")
    assert {"role": "packed Image", "path": f"out/{BOOT}Image.gz", "size": 0, "told": "cannot be read"} in build[
        "pieces"
    ]
    assert [one["role"] for one in build["missing"]] == ["System.map"]
    assert done.returncode == 2
    done = run("out", "-q", cwd=tmp_path)
    assert (done.stdout, done.returncode) == ("", 2)


# What is hostile.


def test_paths_without_a_build(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for path, said in (
        ("empty", "no files of a kernel build are here"),
        ("nowhere", "No such file or directory"),
        ("/dev/null", "is a character device"),
    ):
        done = run(path, cwd=tmp_path)
        assert done.returncode == 2
        assert said in done.stderr
        assert done.stderr.count("\n") == 1


def test_device_trees_in_folders_of_vendors(tmp_path: Path) -> None:
    for path in ("dtbs-6.1/arm/juno.dtb", "dtbs-6.1/ti/overlays/cape.dtbo", "dtbs-6.1/one.dtb"):
        put(tmp_path / path, toy())
    put(tmp_path / "dtbs-6.1/ti/README", b"text\n")
    report = check(tmp_path / "dtbs-6.1")
    assert report.exit_code == 0
    found = [(piece.role, os.path.relpath(piece.path, tmp_path)) for piece in report.facts[0].pieces]
    assert sorted(found) == [
        ("device tree", "dtbs-6.1/arm/juno.dtb"),
        ("device tree", "dtbs-6.1/one.dtb"),
        ("device tree", "dtbs-6.1/ti/overlays/cape.dtbo"),
    ]


def test_large_and_sparse(tmp_path: Path) -> None:
    """Nothing is read whole that is larger than its kind may be, and no line is told whole."""
    for name, data in (
        (".config", b"#\n"),
        ("System.map", b"0000000000000000 T "),
        ("Module.symvers", b"0x00000000\ta"),
    ):
        with (tmp_path / name).open("wb") as file:
            file.write(data)
            file.truncate(1 << 30)
    (tmp_path / "include/config").mkdir(parents=True)
    with (tmp_path / "include/config/kernel.release").open("wb") as file:
        file.truncate(1 << 30)
    start = time.monotonic()
    report = check(tmp_path)
    assert time.monotonic() - start < 10
    assert report.exit_code == 2
    assert len(report.errors) >= 3
    assert all(len(str(error)) < 500 for error in report.errors)
    (tmp_path / "System.map").write_bytes(b"0000000000000000 T " + b"a" * (1 << 25) + b" b\n")
    (told,) = (error for error in check(tmp_path).errors if error.at.path.endswith("System.map"))
    assert told.at.line == 1
    assert len(str(told)) < 400


def test_a_folder_with_very_many_entries(tmp_path: Path) -> None:
    folder = sample_build(tmp_path / "out")
    for number in range(100_000):
        os.symlink("nowhere", folder / f"{number}.x")
    start = time.monotonic()
    assert check(folder).ok
    assert time.monotonic() - start < 30


def test_names_that_a_terminal_would_obey(tmp_path: Path) -> None:
    folder = sample_build(tmp_path / "out")
    (folder / "vmlinux").rename(folder / WITH_NAME)
    (folder / "dtbs").mkdir()
    (folder / "dtbs" / (WITH_NAME + ".dtb")).write_bytes(b"no tree")
    put(folder / f"a/{WITH_NAME}.ko", ko())
    done = run("out", cwd=tmp_path)
    assert done.returncode == 2
    assert "\x1b" not in done.stdout + done.stderr
    assert r"vmlinux-\x1b[31m\x0ared" in done.stdout
    assert done.stderr.count("\n") == 1


def test_single_files(tmp_path: Path) -> None:
    report = check(SAMPLE / "vmlinux", SAMPLE / "Image", SAMPLE / "System.map")
    assert [piece.role for piece in facts(report).pieces] == ["vmlinux", "Image", "System.map"]
    assert report.ok
    # Debian's stand-in for a System.map is none.
    put(tmp_path / "boot/System.map-6.1", b"ffffffffffffffff B The real System.map is in the linux-image-dbg package\n")
    put(tmp_path / "boot/vmlinuz-6.1", (SAMPLE / "Image").read_bytes())
    assert [piece.role for piece in facts(check(tmp_path)).pieces] == ["Image"]
