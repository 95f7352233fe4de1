"""What is kept of a kernel while two are compared."""

from kinspect.artifacts.elf.vmlinux import Vmlinux
from kinspect.source import Source
from kinspect.views.changes.side import kernel_side
from tests.conftest import SAMPLE


def test_the_symbol_table_of_a_vmlinux_is_not_kept() -> None:
    """That of a distribution's kernel takes up to 60 MB, and two are compared."""
    vmlinux = Vmlinux(Source(SAMPLE / "vmlinux"))
    assert kernel_side(vmlinux).functions
    assert not {"symbols", "own_symbols", "_views"} & vars(vmlinux).keys()
