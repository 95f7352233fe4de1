"""One verdict for the same files however they are arranged and named, and what the verdict line says."""

import gzip
import itertools
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from kinspect.artifacts.build.tree import build_files, is_output_folder, release_in_path, unbuilt_targets
from kinspect.artifacts.module.ko import Module
from kinspect.artifacts.module.summary import ModuleSummary, summary
from kinspect.errors import MalformedError
from kinspect.inspection.check import check
from kinspect.inspection.report import Report
from kinspect.views.build.inventory import BuildFacts
from tests.conftest import ROOT, SAMPLE, Build, Kernel
from tests.inspection.test_check import run
from tests.support import Named, Part, elf_of
from tests.toy_build import BOOT, edit, full_sample_build, installed, linked, put, sample_build, words


def facts(report: Report) -> BuildFacts:
    return report.facts_of(BuildFacts)[0]


def outcome(report: Report) -> tuple[object, ...]:
    """All that a verdict consists of."""
    errors = sorted(map(str, report.errors))
    return report.exit_code, report.findings, sorted(report.ran), errors, sorted(facts(report).unjudged)


def verdict_of(*arguments: str, cwd: Path) -> str:
    return run(*arguments, cwd=cwd).stdout.splitlines()[-1]


# The order of the arguments.


def test_no_order_changes_a_verdict(tmp_path: Path) -> None:
    """All orders of the files of a build, some of them of another build."""
    out = full_sample_build(tmp_path / "out")
    edit(out / BOOT / "Image", lambda data: data[:9000] + bytes([data[9000] ^ 1]) + data[9001:])
    put(out / BOOT / "Image.gz", gzip.compress((SAMPLE / "Image").read_bytes(), 1))
    files = [out / name for name in ("vmlinux", BOOT + "Image", BOOT + "Image.gz", ".config")]
    outcomes = {repr(outcome(check(*order))) for order in itertools.permutations(files)}
    assert len(outcomes) == 1
    assert len(check(*files).findings) >= 2


def test_packed_images_are_compared_in_any_order(tmp_path: Path) -> None:
    image, packed = tmp_path / "Image", tmp_path / "Image.gz"
    shutil.copy(SAMPLE / "Image", image)
    put(packed, gzip.compress(image.read_bytes(), 1))
    assert outcome(check(packed, image)) == outcome(check(image, packed)) == outcome(check(image, packed, image))
    assert check(packed, image).ok
    other = tmp_path / "other.gz"
    put(other, gzip.compress(image.read_bytes()[:-512] + bytes(512), 1))
    for paths in itertools.permutations((packed, other)):
        # There is no plain Image: they are compared with each other.
        assert "packed-image-is-the-image" in {found.id for found in check(*paths).findings}


# What the verdict covers.


def test_an_unfinished_build_is_incomplete(tmp_path: Path) -> None:
    out = sample_build(tmp_path / "out")
    for name in ("vmlinux", "System.map", BOOT + "Image", "Module.symvers"):
        (out / name).unlink()
    done = run("out", cwd=tmp_path)
    assert done.returncode == 1
    assert done.stdout.splitlines()[-1].startswith("incomplete: 4 pieces missing; ")
    assert "`make ARCH=arm64 vmlinux`" in done.stdout
    assert "distribution" not in done.stdout
    required = run("out", "--require=vmlinux", cwd=tmp_path)
    assert (
        "no vmlinux found: `make ARCH=arm64 vmlinux`, or take it from the distribution's debug package"
        in required.stdout
    )


def test_a_command_without_its_file_is_missing(tmp_path: Path) -> None:
    out = sample_build(tmp_path)
    put(out / BOOT / ".Image.gz.cmd", b"")
    put(out / BOOT / "dts/vendor/.board.dtb.cmd", b"")
    assert unbuilt_targets(str(out)) == [BOOT + "Image.gz", BOOT + "dts/vendor/board.dtb"]
    assert [role for role, _ in facts(check(out)).missing] == [BOOT + "Image.gz", BOOT + "dts/vendor/board.dtb"]
    assert check(out).exit_code == 1


def test_the_verdict_names_what_was_not_judged(tmp_path: Path) -> None:
    put(tmp_path / "dist/Image", (SAMPLE / "Image").read_bytes())
    put(tmp_path / "dist/System.map", (SAMPLE / "System.map").read_bytes())
    put(tmp_path / "dist/notes.txt", b"read me")
    put(tmp_path / "dist/initrd.gz", gzip.compress(b"070701" + bytes(9000)))
    put(tmp_path / "dist/tool", (SAMPLE / "vmlinux").read_bytes())
    verdict = verdict_of("dist", cwd=tmp_path)
    expected = "not checked: System.map without vmlinux, Image without vmlinux, 3 files (initrd.gz, notes.txt, tool)"
    assert verdict.startswith("good: ")
    assert verdict.endswith(f"; {expected}")
    document = json.loads(run("dist", "--json", cwd=tmp_path).stdout)
    unjudged = document["facts"][0]["unjudged"]
    assert {entry["path"] for entry in unjudged} == {f"dist/{name}" for name in os.listdir(tmp_path / "dist")}


def test_a_config_alone_is_not_good(tmp_path: Path) -> None:
    sample_build(tmp_path / "out")
    result = run("out/.config", cwd=tmp_path)
    assert result.returncode == 2
    assert result.stdout.splitlines()[-1] == "could not tell: nothing checked; not checked: config without a kernel"
    assert result.stderr == "kinspect: out/.config: cannot be checked alone: found config without a kernel\n"


def test_a_slash_after_a_folder_changes_nothing(tmp_path: Path) -> None:
    sample_build(tmp_path / "out")
    plain, slash = (json.loads(run(path, "--json", cwd=tmp_path).stdout) for path in ("out", "out///"))
    assert plain == slash


def test_a_package_with_only_the_files_beside_the_modules(tmp_path: Path) -> None:
    """Debian's linux-base of 7.x: modules.order, and the modules in another package."""
    files = tmp_path / "base/usr/lib/modules/6.1.0-hello"
    for name in ("modules.order", "modules.builtin", "modules.builtin.modinfo"):
        put(files / name, (SAMPLE / "modules/lib/modules/6.1.0-hello" / name).read_bytes())
    result = run("base", cwd=tmp_path)
    assert result.returncode == 0
    assert "listed but missing" not in result.stdout
    assert result.stdout.splitlines()[-1] == (
        "good: 45 checks, nothing wrong; not checked: modules (not in the folder), modules without a kernel"
    )
    # Some of the modules are there: Ubuntu has the others in another package.
    module = next((SAMPLE / "modules/lib/modules").rglob("hello_text.ko"))
    put(files / "kernel/lib/hello_text.ko", module.read_bytes())
    result = run("base", cwd=tmp_path)
    assert result.returncode == 0
    assert "3 modules listed but missing" in result.stdout
    assert result.stdout.splitlines()[-1].startswith("good: ")


def test_an_unread_file_is_not_good(tmp_path: Path) -> None:
    out = sample_build(tmp_path / "out")
    put(out / BOOT / "Image.gz", b"\x1f\x8b")
    verdict = verdict_of("out", cwd=tmp_path)
    assert verdict.startswith("could not tell: ")
    assert "1 file not read" in verdict


def test_a_folder_without_modules_is_refused(tmp_path: Path) -> None:
    (tmp_path / "root/lib/modules/6.1.0").mkdir(parents=True)
    (tmp_path / "empty").mkdir()
    put(tmp_path / "Image", (SAMPLE / "Image").read_bytes())
    for path in ("root", "root/lib/modules/6.1.0", "empty"):
        done = run(path, "Image", cwd=tmp_path)
        assert done.returncode == 2, path
        assert done.stdout.splitlines()[-1].startswith("could not tell: ")


def test_ignored_findings_are_counted_with_who_ignores_them(tmp_path: Path) -> None:
    jsonschema = pytest.importorskip("jsonschema")
    out = sample_build(tmp_path / "out")
    edit(out / ".config", lambda data: data.replace(b"_4K_", b"_16K_"))
    put(tmp_path / "kinspect.toml", b'ignore = ["header-is-of-the-config"]\n')
    assert verdict_of("out", cwd=tmp_path).endswith("; 1 finding ignored by kinspect.toml (header-is-of-the-config)")
    option = "--ignore=weak-symbols-are-exported"
    document = json.loads(run("out", option, "--json", cwd=tmp_path).stdout)
    jsonschema.validate(document, json.loads((ROOT / "docs/report.schema.json").read_text()))
    assert document["facts"][0]["ignored"] == [
        {"id": "header-is-of-the-config", "count": 1, "by": "kinspect.toml"},
        {"id": "weak-symbols-are-exported", "count": 2, "by": "--ignore"},
    ]
    assert document["exit_code"] == 0


def test_an_error_in_a_policy_names_it(tmp_path: Path) -> None:
    sample_build(tmp_path / "out")
    for key, hint in (("ignore", "an id that"), ("select", "an id that"), ("require", "one of release")):
        put(tmp_path / "kinspect.toml", f'{key} = ["nonsense"]\n'.encode())
        done = run("out", cwd=tmp_path)
        assert done.returncode == 2
        assert f"kinspect.toml: {key}: unknown name: expected {hint}" in done.stderr
    with pytest.raises(MalformedError, match="--ignore: unknown name"):
        check(tmp_path / "out", ignore=["nonsense"])


# Arrangements.


def test_releases_are_in_paths() -> None:
    for path, release in (
        ("boot/vmlinuz-6.1.0-50-arm64", "6.1.0-50-arm64"),
        ("boot/vmlinuz-linux", ""),
        ("boot/symvers-6.1.0.xz", "6.1.0"),
        ("usr/lib/modules/6.1.0/vmlinuz", "6.1.0"),
        ("usr/lib/modules/6.1.0", "6.1.0"),
        ("usr/src/linux-headers-6.1.0/Module.symvers", "6.1.0"),
        ("usr/lib/debug/lib/modules/6.1.0/vmlinux", "6.1.0"),
        ("Image", ""),
    ):
        assert release_in_path(f"/{path}") == release


def two_kernels(folder: Path) -> Path:
    """The sample and the same kernel under another release, as two packages install them."""
    for release in ("6.1.0-hello", "6.1.0-other"):
        for name, place in (
            ("Image", f"boot/vmlinuz-{release}"),
            ("System.map", f"boot/System.map-{release}"),
            ("vmlinux", f"usr/lib/debug/boot/vmlinux-{release}"),
        ):
            data = (SAMPLE / name).read_bytes().replace(b"6.1.0-hello", release.encode())
            if release.endswith("other") and name == "System.map":
                continue
            put(folder / place, data)
    return folder


def test_each_kernel_is_compared_with_its_own_files(tmp_path: Path) -> None:
    root = two_kernels(tmp_path)
    report = check(root)
    assert report.ok, words(report.findings)
    assert facts(report).unjudged == ()
    # The Image of one is the other's: that is found, and only for that one.
    put(root / "boot/vmlinuz-6.1.0-other", (SAMPLE / "Image").read_bytes())
    report = check(root)
    assert {at.path for found in report.findings for at in found.evidence.at} == {
        f"{root}/boot/vmlinuz-6.1.0-other",
        f"{root}/usr/lib/debug/boot/vmlinux-6.1.0-other",
    }
    # Two files of different releases that were given are compared.
    pair = root / "boot/vmlinuz-6.1.0-hello", root / "usr/lib/debug/boot/vmlinux-6.1.0-other"
    assert "image-is-objcopy-of-vmlinux" in {found.id for found in check(*pair).findings}


def test_kernels_beside_modules_and_in_boot_partitions(tmp_path: Path) -> None:
    image = (SAMPLE / "Image").read_bytes()
    for place in ("usr/lib/modules/6.1.0/vmlinuz", "kernel8.img", "boot/firmware/kernel8.img"):
        root = tmp_path / place.replace("/", "-")
        put(root / place, gzip.compress(image, 1) if place.endswith(".img") else image)
        report = check(root, require=["Image"])
        assert report.ok, words([*report.findings, *report.errors])
        assert facts(report).pieces[0].path == f"{root}/{place}"


def test_kernel_headers_are_no_unfinished_build(tmp_path: Path) -> None:
    headers = tmp_path / "usr/src/linux-headers-6.1.0-hello"
    for name in ("Module.symvers", ".config", "include/config/kernel.release"):
        put(headers / name, (sample_build(tmp_path / "out") / name).read_bytes())
    put(headers / "include/config/auto.conf", b"")
    (tmp_path / "lib/modules/6.1.0-hello").mkdir(parents=True)
    (tmp_path / "lib/modules/6.1.0-hello/build").symlink_to("/usr/src/linux-headers-6.1.0-hello")
    assert not is_output_folder(str(headers))
    assert is_output_folder(str(tmp_path / "out"))
    shutil.rmtree(tmp_path / "out")
    put(headers / "vmlinux", elf_of(Part(".BTF", b"types", 0, 0), symbols=[Named("nothing", 0)]))
    for path in (headers, tmp_path):
        report = check(path)
        assert (report.exit_code, facts(report).missing) == (0, ()), words([*report.findings, *report.errors])


def test_modules_installed_inside_the_build(tmp_path: Path) -> None:
    out = sample_build(tmp_path / "out")
    tree = SAMPLE / "modules/lib/modules/6.1.0-hello"
    for below in ("install", "mods", "debian/linux-image"):
        shutil.copytree(tree, out / below / "lib/modules/6.1.0-hello", symlinks=True)
        report = check(out)
        assert report.ok, words(report.findings)
        assert "modules" in {piece.role for piece in facts(report).pieces}
        shutil.rmtree(out / below)


def test_modules_are_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also when a kernel beside them says what it would do with each."""
    reads: list[str] = []

    def counted_summary(module: Module, path: str) -> ModuleSummary:
        reads.append(path)
        return summary(module, path)

    monkeypatch.setattr("kinspect.artifacts.module.tree.summary", counted_summary)
    shutil.copytree(SAMPLE / "modules/lib", tmp_path / "lib", symlinks=True)
    modules = len(list(tmp_path.rglob("*.ko*")))
    for name in ("", "vmlinux", "Image"):
        if name:
            put(tmp_path / name, (SAMPLE / name).read_bytes())
        seen: list[tuple[int, int]] = []
        facts(check(tmp_path, on_progress=lambda done, of, seen=seen: seen.append((done, of))))  # type: ignore[misc]
        assert len(reads) == modules, name
        assert seen[-1] == (modules, modules)
        reads.clear()


def test_a_symvers_of_the_kernel_alone_is_not_compared_with_modules(tmp_path: Path) -> None:
    root = tmp_path / "root"
    shutil.copytree(SAMPLE / "modules/lib", root / "lib", symlinks=True)
    put(root / "Module.symvers", (SAMPLE / "Module.symvers").read_bytes())
    report = check(root)
    assert report.ok, words(report.findings)
    assert "Module.symvers without lines of modules" in {entry.reason for entry in facts(report).unjudged}


def test_a_flat_folder_of_modules(tmp_path: Path) -> None:
    out, dist = sample_build(tmp_path / "out"), tmp_path / "modules/dist"
    for path in (*out.rglob("*.ko"), out / BOOT / "Image", out / "Module.symvers", out / "System.map", out / "vmlinux"):
        put(dist / path.name, path.read_bytes())
    put(dist / "modules.load", b"hello.ko\n")
    report = check(dist)
    assert report.ok, words(report.findings)
    assert facts(report).unjudged == ()
    # Some of the modules were left out.
    (dist / "hello_light.ko").unlink()
    assert check(dist).ok, words(check(dist).findings)


@pytest.mark.corpus
def test_real_builds_in_every_arrangement(build: Build, tmp_path: Path) -> None:
    out = linked(build.out.resolve(), tmp_path / "out")
    shutil.copytree(build.modules, out / "mods", symlinks=True)
    dist = tmp_path / "dist"
    dist.mkdir()
    for path in (*build.out.resolve().rglob("*.ko"), *(build.out / BOOT / "dts").rglob("*.dtb")):
        shutil.copy(path, dist)
    for name in ("System.map", "Module.symvers", "vmlinux", ".config", BOOT + "Image", BOOT + "Image.gz"):
        shutil.copy(build.out / name, dist / Path(name).name.lstrip("."))
    for folder in (out, dist):
        report = check(folder)
        assert report.ok, words(report.findings)
        assert {str(found.severity) for found in report.findings} <= {"info"}
        assert facts(report).unjudged == ()


@pytest.mark.corpus
def test_two_real_kernels_in_one_root(
    kernels: tuple[Kernel, Kernel], tool: Callable[[str], str], tmp_path: Path
) -> None:
    for kernel in kernels:
        installed(kernel, tmp_path, tool("depmod"))
    report = check(tmp_path)
    assert report.ok, words(report.findings)
    assert {str(found.severity) for found in report.findings} <= {"info"}
    assert facts(report).unjudged == ()
    # Of one release each piece is there once, and every file is found.
    assert len(facts(report).pieces) == 12


def test_each_file_is_found_once(tmp_path: Path) -> None:
    put(tmp_path / "usr/lib/modules/6.1.0/kernel/a.ko", b"anything")
    put(tmp_path / "boot/vmlinuz-6.1.0", b"anything")
    (tmp_path / "lib").symlink_to("usr/lib")
    (tmp_path / "boot/vmlinuz").symlink_to("vmlinuz-6.1.0")
    found = [os.path.relpath(piece.path, tmp_path) for piece in build_files(str(tmp_path))]
    assert found == ["boot/vmlinuz-6.1.0", "lib/modules/6.1.0"]


@pytest.mark.corpus
def test_the_config_beside_a_kernel_says_whether_signatures_are_enforced(
    kernels: tuple[Kernel, Kernel], tmp_path: Path
) -> None:
    kernel = kernels[0]
    module = next((kernel.folder / "lib/modules" / kernel.release).rglob("nls_ascii.ko"))
    data = module.read_bytes()
    trailer = data.rindex(b"~Module signature appended~\n")
    size = int.from_bytes(data[trailer - 4 : trailer], "big")
    put(tmp_path / "lib/modules" / kernel.release / "kernel/nls_ascii.ko", data[: trailer - 12 - size])
    config = (kernel.folder / "config").read_bytes()
    forced = config.replace(b"# CONFIG_MODULE_SIG_FORCE is not set", b"CONFIG_MODULE_SIG_FORCE=y")
    ids, found = {"modules-are-known-to-load", "modules-are-loaded"}, []
    for number, text in enumerate((b"", config, forced)):
        put(tmp_path / f"{number}/config", text)
        paths = [tmp_path / "lib", kernel.folder / "Image", *([tmp_path / f"{number}/config"] if text else [])]
        found.append(ids & {finding.id for finding in check(*paths).findings})
    # Without a .config, the Image itself says that they are not.
    assert found == [set(), set(), {"modules-are-loaded"}]
