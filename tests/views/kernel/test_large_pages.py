"""A kernel of Debian with pages of 16 KiB: its symbols, the ELF that is made of it, its protections."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

import kinspect
from kinspect.artifacts.boot.image import Image
from kinspect.artifacts.build.kernel_config import KernelConfig
from kinspect.artifacts.elf.vmlinux import Vmlinux
from kinspect.inspection.kernel import vmlinux as vmlinux_report
from kinspect.views.hardening.facts import hardening_facts
from kinspect.views.kernel.image_symbols import image_symbols
from kinspect.views.tables.raw_exports import readable_exports
from tests.conftest import CORPUS, LARGE_PAGES, LARGE_PAGES_SYMBOLS, kernel_named
from tests.views.kernel.test_image_symbols import equal
from tests.views.rebuilt.test_file import hold, written

Tool = Callable[[str], str]
pytestmark = pytest.mark.corpus


@pytest.fixture(scope="module")
def path() -> str:
    return kernel_named(LARGE_PAGES).image


@pytest.fixture(scope="module")
def debug(path: str) -> Path:
    """The folder of its vmlinux and System.map."""
    folder = CORPUS / LARGE_PAGES_SYMBOLS
    if not (folder / ".complete").exists():
        pytest.skip(f"without its vmlinux: bash tests/corpus/fetch.sh {CORPUS} {LARGE_PAGES_SYMBOLS} fetches it (1 GB)")
    releases = {(place / "release").read_text() for place in (folder, Path(path).parent)}
    if len(releases) > 1:
        pytest.skip(f"the vmlinux in {folder} is of another update")
    return folder


def test_symbols_are_where_exports_say(path: str) -> None:
    """The table of exports has addresses and names of its own."""
    image = Image(path)
    assert image.header.page_size == 1 << 14
    found = image_symbols(image)
    assert found.start == 0xFFFFC00080000000  # 47 bits of addresses
    assert len(found.names) > 140_000
    rows = set(zip(found.names, found.offsets, strict=True))
    exports = {
        (export.name, target)
        for table in readable_exports(image).tables
        for export, target in zip(table.exports, table.targets, strict=True)
    }
    assert len(exports) > 10_000
    assert exports <= rows


def test_the_elf_of_it(path: str, tmp_path: Path, tool: Tool) -> None:
    out = written(path, tmp_path)
    subprocess.run([tool("aarch64-linux-gnu-objcopy"), "-O", "binary", out, tmp_path / "flat"], check=True)
    assert (tmp_path / "flat").read_bytes() == Path(path).read_bytes()
    assert kinspect.diff(out, path).ok
    assert vmlinux_report(out).ok


def test_its_protections_are_those_of_its_config(path: str) -> None:
    facts = hardening_facts(Image(path), KernelConfig(Path(path).parent / "config"))
    assert all(feature.agrees for feature in facts.features)
    assert {feature.id for feature in facts.features if feature.present} == {
        *("pac", "canary", "fortify", "usercopy", "relocatable", "kaslr", "wx")
    }


def test_symbols_are_those_of_nm(path: str, debug: Path) -> None:
    equal(path, debug / "System.map", debug / "vmlinux", True, 140_000)


def test_the_elf_is_like_the_vmlinux(path: str, debug: Path, tmp_path: Path, tool: Tool) -> None:
    hold(path, debug / "vmlinux", tmp_path, tool)


def test_protections_of_the_vmlinux(path: str, debug: Path) -> None:
    config = KernelConfig(Path(path).parent / "config")
    raw, linked = hardening_facts(Image(path), config), hardening_facts(Vmlinux(debug / "vmlinux"), config)
    assert [one for one in raw.features if one.id != "wx"] == [one for one in linked.features if one.id != "wx"]
