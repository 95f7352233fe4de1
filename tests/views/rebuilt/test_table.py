"""The tables of an Image are those of its vmlinux."""

import re

import pytest

from kinspect.artifacts.boot.image import Image
from kinspect.artifacts.elf.vmlinux import Vmlinux
from kinspect.artifacts.kinds import open_as
from kinspect.cli import main
from kinspect.errors import UnsupportedError, WrongKindError
from kinspect.views.rebuilt.file import vmlinux_of
from kinspect.views.rebuilt.table import image_table_facts
from kinspect.views.tables.entries import Table, table
from tests.conftest import OLD_KERNEL, SAMPLE, kernel_named

Capture = pytest.CaptureFixture[str]
FULL = ("__ksymtab", "__ksymtab_gpl", "__kcrctab", "__kcrctab_gpl", "__kflagstab", "__ex_table", ".altinstructions")
FOUND = {
    OLD_KERNEL: FULL,
    "bookworm-cloud": FULL,
    "trixie-cloud": (*FULL, "__param", "__bug_table", ".relr.dyn"),
    "backports-cloud": (*FULL, "__param", "__bug_table", ".relr.dyn"),
}
_SIZE = re.compile(r"\+(0x[0-9a-f]+)/0x[0-9a-f]+$")


def rows(found: Table) -> list[tuple[object, ...]]:
    """Without the names of symbols, which are more in vmlinux."""
    kept = [number for number, column in enumerate(found.columns) if column.name not in NAMES]
    return [tuple(row[number] for number in kept) for row in found.rows]


NAMES = ("symbol", "fixup", "replacement", "operations", "argument")


@pytest.mark.corpus
@pytest.mark.parametrize("name", FOUND)
def test_real_kernels(name: str) -> None:
    kernel = kernel_named(name)
    vmlinux, image = Vmlinux(kernel.vmlinux), open_as(Image, kernel.image)
    for title in (*FOUND[name], ".BTF", ".rela.dyn"):
        if vmlinux.section(title) is None:
            continue
        ours, theirs = image_table_facts(image, title).table, table(vmlinux, title)
        assert rows(ours) == rows(theirs), title
        assert (ours.columns, ours.record) == (theirs.columns, theirs.record)
        section = image.source.read(ours.section.offset, 64)
        assert section == vmlinux.source.read(theirs.section.offset, 64)


@pytest.mark.corpus
def test_names_at_addresses() -> None:
    """Of code, all are those of vmlinux, apart from aliases; a size reaches to the next symbol."""
    kernel = kernel_named("trixie-cloud")
    vmlinux, image = Vmlinux(kernel.vmlinux), open_as(Image, kernel.image)
    for title in ("__ex_table", "__bug_table"):
        pairs = zip(image_table_facts(image, title).table.rows, table(vmlinux, title).rows, strict=True)
        same = [_SIZE.sub(r"+\1", str(ours[1])) == _SIZE.sub(r"+\1", str(theirs[1])) for ours, theirs in pairs]
        assert sum(same) / len(same) > 0.99


@pytest.mark.corpus
def test_what_is_not_found_is_named() -> None:
    image = open_as(Image, kernel_named("bookworm-cloud").image)
    with pytest.raises(UnsupportedError, match=r"__kflagstab was not found .*KALLSYMS_ALL.*found: __ksymtab,"):
        image_table_facts(image, "__kflagstab")
    image = open_as(Image, kernel_named("backports-cloud").image)
    with pytest.raises(UnsupportedError, match=r"__kcrctab was not found in the Image \(the kernel may have none\)"):
        image_table_facts(image, "__kcrctab")


def test_the_sample(capsys: Capture) -> None:
    for title in ("__ksymtab", "__ksymtab_gpl", "__kcrctab", ".rela.dyn", ".notes"):
        image = Image(SAMPLE / "Image")
        assert rows(image_table_facts(image, title).table) == rows(table(Vmlinux(SAMPLE / "vmlinux"), title))
    assert vmlinux_of(image).path == str(SAMPLE / "Image")
    with pytest.raises(UnsupportedError, match="no kallsyms: the kernel was built without CONFIG_KALLSYMS"):
        image_table_facts(image, "__param")
    with pytest.raises(WrongKindError, match="no such table"):
        image_table_facts(image, "__parm")
    assert main(["vmlinux", str(SAMPLE / "Image"), "--table", "__ksymtab"]) == 0
    assert "Image: __ksymtab, " in capsys.readouterr().out
    assert main(["vmlinux", str(SAMPLE / "Image")]) == 2
    assert main(["vmlinux", str(SAMPLE / "System.map"), "--table", "__ksymtab"]) == 2
