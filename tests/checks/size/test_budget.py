"""A budget is kept or exceeded, and a wrong budget is an error that names the key."""

from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kinspect.artifacts.elf.vmlinux import Vmlinux
from kinspect.artifacts.policy.budget import Budget
from kinspect.checks.check import Finding
from kinspect.errors import KinspectError, MalformedError, UnsupportedError
from kinspect.inspection.report import Report, run_checks
from kinspect.views.size.attribution import Attribution
from kinspect.views.size.budget import compared_with_budget, overruns
from tests.conftest import SAMPLE, Kernel
from tests.support import changed_section, patched

HELLO = SAMPLE / "vmlinux"
MEMORY = 0x30000


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where a test writes its budget."""
    return tmp_path / "budget.toml"


def findings(path: Path, text: str, new: Path = HELLO, old: Path | None = None) -> list[Finding]:
    path.write_text(text)
    before = Attribution(Vmlinux(old)) if old else None
    return list(judged(path, Attribution(Vmlinux(new)), before).findings)


def judged(path: Path, new: Attribution, old: Attribution | None = None) -> Report:
    comparison: Any = compared_with_budget(Budget(path), new, old)
    return run_checks((comparison,), "size.budget")


def test_a_budget_that_is_kept(path: Path) -> None:
    text = f"""
        [image]
        image_size = {MEMORY}
        file = "1 MiB"
        [section.".text"]
        memory = "64 KiB"
        [source."find.c"]
        file = 4096
        [folder.'.']
        memory = "0.5 MiB"
        [kind.code]
        file = "128KiB"
    """
    assert findings(path, text) == []
    report = judged(path, Attribution(Vmlinux(HELLO)))
    assert (report.ran, report.exit_code) == (("sizes-are-within-budget",), 0)


def test_a_budget_that_is_not_kept(path: Path) -> None:
    found = findings(path, f"[image]\nimage_size = {MEMORY - 1}\n[section.'.text']\nmemory = '1 B'\n")
    first, second = found
    assert str(first).startswith(f"{path}: image.image_size: the kernel takes 1 byte more than allowed in memory (lar")
    assert str(first).endswith("expected at most 196,607 bytes, found 196,608 [sizes-are-within-budget]")
    text = Vmlinux(HELLO).section(".text")
    assert text is not None
    assert f"takes {text.size - 1:,} bytes more than allowed" in second.evidence.message
    assert Report((), tuple(found)).exit_code == 1
    assert judged(path, Attribution(Vmlinux(HELLO))).ran == (first.id,)


def test_growth(path: Path, tmp_path: Path) -> None:
    """In the old kernel .rodata is shorter, and the rest of it is alignment."""
    rodata = Vmlinux(HELLO).section(".rodata")
    assert rodata is not None
    old = patched(HELLO, changed_section(HELLO, ".rodata", sh_size=rodata.size - 100), tmp_path)
    (only,) = findings(path, "[section.'.rodata']\ngrowth = 99\nfile_growth = 100\n", HELLO, old)
    assert "section .rodata grew 1 byte more than allowed in memory (largest growth: " in only.evidence.message
    assert (only.evidence.expected, only.evidence.actual) == ("at most +99 bytes", "+100")
    percent = 100 * 100 / (rodata.size - 100)
    assert len(findings(path, f"[section.'.rodata']\ngrowth = '{percent - 0.01:.4f} %'\n", HELLO, old)) == 1
    assert findings(path, f"[section.'.rodata']\ngrowth = '{percent + 0.01:.4f} %'\n", HELLO, old) == []
    # A part that shrank keeps within any limit on growth.
    assert findings(path, "[section.'.rodata']\ngrowth = 0\n", old, HELLO) == []


def test_growth_needs_an_older_build(path: Path) -> None:
    with pytest.raises(MalformedError, match=r"image\.growth: a limit on growth needs an older build \(--against\)"):
        findings(path, "[image]\ngrowth = '1 %'\n")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[image", "not TOML: "),
        ("[image]\nfile = 1 2\n", ":2: not TOML: "),
        (
            "[images]\nfile = 1",
            "images: unknown key (did you mean image?): expected one of image, section",
        ),
        ("image = 3", "image: wrong type: expected a table, found an integer"),
        ("[section]\ntext = 3", "section.text: wrong type: expected a table, found an integer"),
        ("[image]\nmemory = 3", "image.memory: unknown key: expected one of file, image_size, growth, file_growth"),
        ("[section.text]\nsize = 3", "section.text.size: unknown key: expected one of file, memory, growth"),
        ("[folder.drivers.net]\nfile = 3", "unknown key (quote names that contain dots or slashes)"),
        ("[image]\nfile = -1", "image.file: a negative size: expected bytes, or a string"),
        ("[image]\nfile = true", 'image.file: wrong type: expected bytes, or a string like "32 MiB", found a boolean'),
        ("[image]\nfile = 1.5", "found a float"),
        ("[image]\nfile = [1]", "found an array"),
        ("[image]\nfile = 2026-01-01", "found a date or time"),
        ("[image]\nfile = '32 MB'", 'image.file: not a size: expected bytes, or a string like "32 MiB", found "32 MB"'),
        ("[image]\nfile = '2 %'", "image.file: not a size"),
        ("[image]\ngrowth = '-2 %'", 'expected bytes, or a string like "32 MiB" or "2 %", found "-2 %"'),
        ("[section.'.text2']\nfile = 3", 'section.".text2".file: the kernel has no such section: found .text2'),
        ("[folder.drivers]\nfile = 3", "folder.drivers.file: the kernel has no such folder: found drivers"),
        ("[source.'x.c']\nmemory = 3", "the kernel has no such source"),
        ("[kind.words]\nmemory = 3", "the kernel has no such kind"),
        ("x = " + "[" * 100_000, "nested too deep"),
        ("x = " + "9" * 10_000, "not TOML: "),
    ],
    ids=lambda text: text[:30],
)
def test_a_wrong_budget(path: Path, text: str, said: str) -> None:
    with pytest.raises(MalformedError) as caught:
        findings(path, text)
    assert str(caught.value).startswith(str(path))
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_budget_that_is_not_text_or_too_large(path: Path) -> None:
    path.write_bytes(b"# \xff")
    with pytest.raises(MalformedError, match="not UTF-8"):
        _ = Budget(path).limits
    path.write_bytes(b"#" * (1 << 20) + b"#")
    with pytest.raises(UnsupportedError, match="too large for a budget"):
        _ = Budget(path).limits


@given(st.text() | st.text(alphabet="[]{}.='\"\n#image file growth01% KiB"))
def test_any_text_is_a_budget_or_an_error(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    path = tmp_path_factory.mktemp("any") / "budget.toml"
    path.write_text(text)
    with suppress(KinspectError):
        assert all(limit.most >= 0 for limit in Budget(path).limits)


@pytest.mark.corpus
def test_between_real_kernels(kernels: tuple[Kernel, Kernel], path: Path) -> None:
    """Limits equal to the real sizes hold, and are exceeded when one byte lower; growth is that of image_size."""
    old, new = (Attribution(Vmlinux(kernel.vmlinux)) for kernel in kernels)
    grown = new.account.memory_size - old.account.memory_size
    sums: dict[str, tuple[int, int]] = {}
    for attribution in (new, old):
        folders = attribution.leaves(("folder",))
        inside = [pair for parts, pair in folders.items() if parts[:2] == ("drivers", "net")]
        assert inside
        sums[attribution.account.vmlinux] = sum(file for file, _ in inside), sum(memory for _, memory in inside)
    net = sums[new.account.vmlinux]
    net_grown = net[1] - sums[old.account.vmlinux][1]
    limits = f"""
        [image]
        file = {new.account.file_size}
        growth = {grown}
        [folder."drivers/net"]
        file = {net[0]}
        memory = {net[1]}
        growth = {net_grown}
    """
    path.write_text(limits)
    assert list(overruns(Budget(path), new, old)) == []
    for number in (new.account.file_size, grown, net[1], net_grown):
        path.write_text(limits.replace(f"= {number}\n", f"= {number - 1}\n"))
        found = list(overruns(Budget(path), new, old))
        assert found
        assert all(one.actual == one.most + 1 == number for one in found)
        assert all(size > 0 for one in found for _, size in one.by)
        assert all(one.by for one in found)
    path.write_text("[folder.'drivers/net']\nmemory = 1\n")
    (only,) = overruns(Budget(path), new)
    assert all(name.startswith("drivers/net/") and name.endswith((".c", ".rs")) for name, _ in only.by)
    assert only.by[0][1] == max(
        memory for parts, (_, memory) in new.leaves(("source",)).items() if parts[0].startswith("drivers/net/")
    )
