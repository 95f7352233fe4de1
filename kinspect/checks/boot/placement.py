"""Checks of a kernel at an address."""

from collections.abc import Iterator

from kinspect.checks.check import Evidence, Severity, check
from kinspect.errors import Location
from kinspect.views.boot.placement import PlacementFacts


@check(Severity.ERROR)
def boot_protocol_allows_the_address(placement: PlacementFacts) -> Iterator[Evidence]:
    """The `--at` address is text_offset bytes above a multiple of 2 MiB, and the kernel ends below the physical limit.

    The boot protocol requires it: the kernel maps itself in blocks of 2 MiB before it can print anything. Relocatable
    kernels may start elsewhere, but that is not guaranteed. Load the kernel at one of the addresses in the message;
    U-Boot's booti moves it there by itself.
    Source: Documentation/arch/arm64/booting.rst, "Call the kernel image"; arch/arm64/include/asm/boot.h,
    MIN_KIMG_ALIGN.
    """
    at = (Location(placement.path, "text_offset"),)
    if placement.base is None:
        expected = " or ".join(f"{address:#x}" for address in placement.nearest)
        message = "the boot protocol does not allow this address"
        yield Evidence(message, at, expected, f"{placement.address:#x}")
    if not placement.fits:
        most = f"at most {1 << placement.physical_bits:#x} ({placement.physical_bits} bits)"
        yield Evidence("the kernel ends above the highest physical address", at, most, f"{placement.end:#x}")
