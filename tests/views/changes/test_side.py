"""What is kept of a kernel while two are compared, and what is known of places without names."""

from pathlib import Path

from kinspect.artifacts.boot.image import Image
from kinspect.artifacts.elf.vmlinux import Vmlinux
from kinspect.source import Source
from kinspect.views.changes.matching import export_bounds
from kinspect.views.changes.side import kernel_side
from kinspect.views.kernel.listed_symbols import symbols_facts
from tests.conftest import SAMPLE, Kernel


def test_the_symbol_table_of_a_vmlinux_is_not_kept() -> None:
    """That of a distribution's kernel takes up to 60 MB, and two are compared."""
    vmlinux = Vmlinux(Source(SAMPLE / "vmlinux"))
    assert kernel_side(vmlinux).functions
    assert not {"symbols", "own_symbols", "_views"} & vars(vmlinux).keys()


def test_where_the_tables_of_exports_are(kernel: Kernel) -> None:
    """As the symbols of vmlinux say; kallsyms of an Image may have functions only."""
    facts = symbols_facts(Vmlinux(Source(Path(kernel.vmlinux))))
    ends = [f"__{end}___ksymtab{table}" for end in ("start", "stop") for table in ("", "_gpl")]
    expected = {offset for offset, name in zip(facts.offsets, facts.names, strict=True) if name in ends}
    side = kernel_side(Image(Source(Path(kernel.image))))
    assert len(expected) >= 2
    assert export_bounds(side, side) == sorted((offset, offset) for offset in expected)
