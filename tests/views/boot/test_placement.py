"""A kernel at an address: what memory it needs, and whether it can start there."""

import gzip
from typing import Any

import pytest

from kinspect.artifacts.boot.image import Image
from kinspect.schemas.image import ImageHeader
from kinspect.schemas.record import build, parse
from kinspect.source import Source
from kinspect.views.boot.placement import PlacementFacts, placement_facts
from tests.conftest import SAMPLE, Build, Kernel, kernel_named

IMAGE = (SAMPLE / "Image").read_bytes()
HEADER = parse(ImageHeader, IMAGE[:64])
MIB = 1 << 20


def placed(address: int, data: bytes = b"", **fields: Any) -> PlacementFacts:
    image = data or build(HEADER._replace(**fields)) + IMAGE[64:]
    return placement_facts(Image(Source("Image", image)), address)


@pytest.mark.parametrize(
    ("text_offset", "address", "base", "nearest"),
    [
        (0, 0x80000000, 0x80000000, ()),
        (0, 0x80080000, None, (0x80000000, 0x80200000)),
        (0x80000, 0x80080000, 0x80000000, ()),
        (0x80000, 0x80000000, None, (0x7FE80000, 0x80080000)),
        (0x80000, 0x80000, 0, ()),
        (0x80000, 0, None, (0x80000,)),
        (0, 0, 0, ()),
    ],
)
def test_base(text_offset: int, address: int, base: int | None, nearest: tuple[int, ...]) -> None:
    facts = placed(address, text_offset=text_offset)
    assert (facts.base, facts.nearest) == (base, nearest)
    for other in facts.nearest:
        assert placed(other, text_offset=text_offset).base is not None


def test_memory() -> None:
    facts = placed(0x40000000, image_size=5 * MIB)
    assert (facts.memory, facts.end, facts.sized) == (5 * MIB, 0x40500000, True)
    old = placed(0x40080000, image_size=0, text_offset=0x1234)
    assert (old.text_offset, old.memory, old.sized, old.base) == (0x80000, len(IMAGE), False, 0x40000000)


@pytest.mark.parametrize(("flags", "bits"), [(0xA, 52), (0xE, 52)])
def test_highest_address(flags: int, bits: int) -> None:
    last = (1 << bits) - 2 * MIB
    assert placed(last, flags=flags, image_size=2 * MIB).fits
    assert not placed(last, flags=flags, image_size=2 * MIB + 4096).fits


def test_config_says_the_bits() -> None:
    text = b"#\n# Automatically generated file; DO NOT EDIT.\n# Linux/arm64 6.1.0 Kernel Configuration\n#\n"
    text += b"CONFIG_ARM64_VA_BITS=39\nCONFIG_ARM64_PA_BITS=40\n"
    facts = placed(0, IMAGE + b"IKCFG_ST" + gzip.compress(text) + b"IKCFG_ED")
    assert (facts.virtual_bits, facts.physical_bits) == ((39,), 40)


@pytest.mark.corpus
@pytest.mark.parametrize("name", ["bullseye-cloud", "bookworm-cloud", "trixie-cloud", "backports-cloud"])
def test_bits_of_real_kernels(name: str) -> None:
    """The address of _text, against the .config beside it."""
    kernel: Kernel = kernel_named(name)
    facts = placement_facts(Image(kernel.image), 0)
    config = (kernel.folder / "config").read_text()
    assert any(f"\nCONFIG_ARM64_VA_BITS={bits}\n" in config for bits in facts.virtual_bits)


@pytest.mark.corpus
def test_bits_of_a_small_kernel(build: Build) -> None:
    facts = placement_facts(Image(str(build.out / "arch/arm64/boot/Image")), 0)
    config = (build.out / ".config").read_text()
    assert any(f"\nCONFIG_ARM64_VA_BITS={bits}\n" in config for bits in facts.virtual_bits)
