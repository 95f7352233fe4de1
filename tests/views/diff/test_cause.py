"""Each cause of a difference is named where it is the cause, and not where another one is."""

import random
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from kinspect.artifacts.boot.image import Image
from kinspect.artifacts.elf.vmlinux import Vmlinux
from kinspect.inspection import kernel as inspection
from kinspect.views.diff.cause import Cause, cause_of
from kinspect.views.diff.comparison import compare
from kinspect.views.diff.explanation import explain
from kinspect.views.diff.facts import DiffFacts
from tests.conftest import SAMPLE, Kernel
from tests.support import patched

Tool = Callable[[str], str]
# 4 is a word, 4096 a page: what a loader or a packer puts in or takes out.
SHIFTS = (1, 4, 512, 4096, -1, -4, -512, -4096)


def cause(image: bytes, folder: Path, vmlinux: str | Path = SAMPLE / "vmlinux") -> Cause:
    path = folder / "Image"
    path.write_bytes(image)
    return cause_of(Vmlinux(vmlinux), Image(path))


@pytest.fixture(scope="module")
def flat() -> bytes:
    """The Image of the sample."""
    return (SAMPLE / "Image").read_bytes()


# ---- Another length.


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        (bytes(1), Cause("padded", "the Image is padded with 1 byte of 0x00")),
        (bytes(5000), Cause("padded", "the Image is padded with 5,000 bytes of 0x00")),
        (b"\xff" * 300_000, Cause("padded", "the Image is padded with 300,000 bytes of 0xff")),
        (b"dtb", Cause("appended", "the Image has 3 bytes appended")),
        (bytes(300_000) + b"x", Cause("appended", "the Image has 300,001 bytes appended")),
        (b"x" + bytes(300_000), Cause("appended", "the Image has 300,001 bytes appended")),
    ],
)
def test_a_longer_image(more: bytes, expected: Cause, flat: bytes, tmp_path: Path) -> None:
    assert cause(flat + more, tmp_path) == expected


@pytest.mark.parametrize("missing", [1, 512, 4096, 135_616, 135_680])
def test_a_shorter_image(missing: int, flat: bytes, tmp_path: Path) -> None:
    told = "1 byte" if missing == 1 else f"{missing:,} bytes"
    expected = Cause("truncated", f"the Image is truncated by {told}")
    assert cause(flat[: len(flat) - missing], tmp_path) == expected


def test_a_real_kernel_of_another_length(kernel: Kernel, tmp_path: Path) -> None:
    image = Path(kernel.image).read_bytes()
    assert cause(image + bytes(1 << 20), tmp_path, kernel.vmlinux).id == "padded"
    assert cause(image + image[:4096], tmp_path, kernel.vmlinux).id == "appended"
    assert cause(image[:-4096], tmp_path, kernel.vmlinux).id == "truncated"


# ---- A signature.


class Signer(NamedTuple):
    """A key made for the tests, and the program that signs with it."""

    words: tuple[str, ...]

    def sign(self, image: Path | str, output: Path) -> Path:
        subprocess.run([*self.words, "--output", str(output), str(image)], check=True, capture_output=True)
        return output


@pytest.fixture(scope="module")
def signer(tool: Tool, tmp_path_factory: pytest.TempPathFactory) -> Signer:
    folder = tmp_path_factory.mktemp("key")
    key, certificate = str(folder / "key"), str(folder / "certificate")
    command = [tool("openssl"), "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=test", "-days", "2"]
    subprocess.run([*command, "-keyout", key, "-out", certificate], check=True, capture_output=True)
    return Signer((tool("sbsign"), "--key", key, "--cert", certificate))


def signed_as(size: int, flat_size: int) -> Cause:
    told = f"a certificate table of {size - flat_size:,} bytes"
    return Cause("signed", f"the Image is this vmlinux, signed afterwards: {told}")


def test_a_signed_sample(flat: bytes, signer: Signer, tmp_path: Path) -> None:
    signed = signer.sign(SAMPLE / "Image", tmp_path / "Image")
    assert cause_of(Vmlinux(SAMPLE / "vmlinux"), Image(signed)) == signed_as(signed.stat().st_size, len(flat))
    comparison = compare(Vmlinux(SAMPLE / "vmlinux"), Image(signed))
    # The checksum, and the place and size of the certificate table: all in the header.
    assert [found.stretch.offset for found in comparison.ranges] == [0]
    assert 0 < comparison.differing_bytes <= 12


def test_a_sample_signed_twice(flat: bytes, signer: Signer, tmp_path: Path) -> None:
    once = signer.sign(SAMPLE / "Image", tmp_path / "once")
    twice = signer.sign(once, tmp_path / "Image")
    assert twice.stat().st_size > once.stat().st_size
    assert cause_of(Vmlinux(SAMPLE / "vmlinux"), Image(twice)) == signed_as(twice.stat().st_size, len(flat))


def test_a_signed_real_kernel(kernel: Kernel, signer: Signer, tmp_path: Path) -> None:
    signed = signer.sign(kernel.image, tmp_path / "Image")
    size = Path(kernel.image).stat().st_size
    assert cause_of(Vmlinux(kernel.vmlinux), Image(signed)) == signed_as(signed.stat().st_size, size)


def test_a_signed_image_that_was_changed_is_not_called_signed(flat: bytes, signer: Signer, tmp_path: Path) -> None:
    signed = signer.sign(SAMPLE / "Image", tmp_path / "signed").read_bytes()
    changed = bytearray(signed)
    changed[0x10000] ^= 1
    assert cause(bytes(changed), tmp_path).id == "changed"
    assert cause(signed + bytes(8), tmp_path).id == "changed"
    assert cause(signed[:-8], tmp_path).id == "changed"
    # The checksum alone, without a signature.
    assert cause(signed[:0x100] + flat[0x100:], tmp_path).id == "changed"


# ---- Another build.


def test_two_real_kernels(kernels: tuple[Kernel, Kernel]) -> None:
    for one, other in (kernels, kernels[::-1]):
        found = cause_of(Vmlinux(one.vmlinux), Image(other.image))
        assert (found.id, found.message) == ("another build", "the two come from different builds")
        assert [name for name, _, _ in found.facts] == ["build id", "banner"]
        assert found.facts[0][1:] == (inspected_build_id(one.vmlinux), inspected_build_id(other.vmlinux))
        assert one.release in found.facts[1][1]
        assert other.release in found.facts[1][2]


def inspected_build_id(path: str) -> str:
    done = subprocess.run(["aarch64-linux-gnu-readelf", "-n", path], capture_output=True, text=True, check=True)
    return done.stdout.partition("Build ID: ")[2].split()[0]


def rebuilt(flat: bytes, build_id: bytes | None, banner: bytes = b"6.1.0-hello") -> bytes:
    """The sample as another build leaves it: with another build id, another banner, and some other code."""
    image = bytearray(flat.replace(b"6.1.0-hello", banner))
    if build_id is not None:
        at = flat.index(b"GNU\0") + 4
        image[at : at + 20] = build_id
    image[0x10A10:0x10A18] = b"\x1f\x20\x03\xd5" * 2
    return bytes(image)


def test_a_rebuilt_sample(flat: bytes, tmp_path: Path) -> None:
    old_id = flat[flat.index(b"GNU\0") + 4 :][:20].hex()
    found = cause(rebuilt(flat, bytes(range(20)), b"6.1.0-world"), tmp_path)
    assert (found.id, found.message) == ("another build", "the two come from different builds")
    assert found.facts[0] == ("build id", old_id, bytes(range(20)).hex())
    name, old, new = found.facts[1]
    assert (name, old.replace("6.1.0-hello", "6.1.0-world")) == ("banner", new)
    found = cause(rebuilt(flat, bytes(range(20))), tmp_path)
    assert (found.id, found.facts) == ("another build", (("build id", old_id, bytes(range(20)).hex()),))


# ---- Shifted.


@pytest.mark.parametrize("shift", SHIFTS[:-1])
@pytest.mark.parametrize("place", [0x10000, 0x10800])
def test_a_shifted_sample(place: int, shift: int, flat: bytes, tmp_path: Path) -> None:
    shifted = flat[:place] + (b"\xa5" * shift + flat[place:] if shift > 0 else flat[place - shift :])
    found = cause(shifted, tmp_path)
    assert found.id == "shifted", found
    direction, size = "later" if shift > 0 else "earlier", abs(shift)
    told = "1 byte" if size == 1 else f"{size:,} bytes"
    first = int(found.message.split()[2], 16)
    assert found.message == f"from offset {first:#x} on, the contents are {told} {direction}"
    # Nearly there: the bytes that follow may be those that were there.
    assert place <= first < place + 16


@pytest.mark.parametrize("shift", [1, 4, 4096, -4, -512])
def test_a_shifted_real_kernel(shift: int, kernel: Kernel, tmp_path: Path) -> None:
    image = Path(kernel.image).read_bytes()
    place = 0x20000 if abs(shift) == 4 else len(image) // 2
    shifted = image[:place] + (b"\xa5" * shift + image[place:] if shift > 0 else image[place - shift :])
    found = cause(shifted, tmp_path, kernel.vmlinux)
    assert found.id == "shifted", found
    told = f"{abs(shift):,} byte{'s' * (abs(shift) > 1)} {'later' if shift > 0 else 'earlier'}"
    assert found.message.endswith(f"on, the contents are {told}")


# ---- Changed, and nothing else.

SAME_BUILD = "the same build (banner and build id agree), changed after the link in"


def test_a_patched_sample(flat: bytes, tmp_path: Path) -> None:
    image = bytearray(flat)
    image[0x10000:0x10010] = bytes(16)
    assert cause(bytes(image), tmp_path) == Cause("changed", f"{SAME_BUILD} one place")
    image[0x10800:0x10801] = bytes(1)
    image[0x12000:0x12001] = b"x"
    assert cause(bytes(image), tmp_path) == Cause("changed", f"{SAME_BUILD} 3 places")


@pytest.mark.parametrize("mask", [0x01, 0x80, 0xFF])
def test_a_changed_byte_is_no_other_cause(mask: int, flat: bytes, tmp_path: Path) -> None:
    chance = random.Random(mask)
    notes, banner = flat.index(b"GNU\0") - 12, flat.index(b"Linux version 6.1.0-hello (hello@sample) (aarch64")
    places = [*range(64), *range(0x40, 0x200, 5), *range(notes - 8, notes + 40), *range(banner - 4, banner + 60)]
    for place in [*places, *(chance.randrange(len(flat)) for _ in range(100))]:
        image = bytearray(flat)
        image[place] ^= mask
        found = cause(bytes(image), tmp_path)
        assert (found.id, found.facts) == ("changed", ()), hex(place)
        assert found.message.endswith("in one place")


def test_changed_bytes_of_a_real_kernel_are_no_other_cause(kernel: Kernel, tmp_path: Path) -> None:
    chance, image = random.Random(7), Path(kernel.image).read_bytes()
    for count in (1, 2, 100):
        copy = bytearray(image)
        for _ in range(count):
            copy[chance.randrange(len(copy))] ^= 1 << chance.randrange(8)
        where = "one place" if count == 1 else f"{count} places"
        assert cause(bytes(copy), tmp_path, kernel.vmlinux) == Cause("changed", f"{SAME_BUILD} {where}")


def test_a_block_moved_within_is_a_change(flat: bytes, tmp_path: Path) -> None:
    image = flat[:0x10200] + flat[0x10800:0x10900] + flat[0x10300:0x10800] + flat[0x10200:0x10300] + flat[0x10900:]
    assert cause(image, tmp_path).id == "changed"


def test_some_blocks_found_elsewhere_are_no_shift(flat: bytes, tmp_path: Path) -> None:
    moved = flat[:0x10900] + bytes(0x40) + flat[0x10900:0x10B00]
    assert cause(moved + bytes(len(flat) - len(moved)), tmp_path).id == "changed"


def test_an_image_of_zeros(flat: bytes, tmp_path: Path) -> None:
    found = cause(flat[:64] + bytes(len(flat) - 64), tmp_path)
    assert found.id == "changed"
    assert found.message.startswith("the Image differs in ")


# ---- Less to tell by.


def test_an_image_without_banner(flat: bytes, tmp_path: Path) -> None:
    image = flat.replace(b"Linux version ", b"Linux_version ")
    found = cause(image, tmp_path)
    assert found.id == "changed"
    assert found.message.startswith("the same build (build id agrees), changed after the link in 2 places")


def without_build_id(folder: Path) -> tuple[Path, bytes]:
    """A vmlinux whose note of the build id has another owner, and its Image."""
    vmlinux, image = ((SAMPLE / name).read_bytes() for name in ("vmlinux", "Image"))
    owner = image.index(b"GNU\0")
    assert vmlinux.count(image[owner : owner + 24]) == 1
    copy = patched(SAMPLE / "vmlinux", {vmlinux.index(image[owner : owner + 24]): b"XYZ\0"}, folder)
    return copy, image[:owner] + b"XYZ" + image[owner + 3 :]


def test_a_vmlinux_without_build_id(flat: bytes, tmp_path: Path) -> None:
    vmlinux, image = without_build_id(tmp_path)
    assert Vmlinux(vmlinux).build_id is None
    (tmp_path / "Image").write_bytes(image)
    assert compare(Vmlinux(vmlinux), Image(tmp_path / "Image")).same
    changed = image[:0x10000] + bytes(16) + image[0x10010:]
    same = "the same build (banner agrees), changed after the link in"
    assert cause(changed, tmp_path, vmlinux) == Cause("changed", f"{same} one place")
    assert cause(rebuilt(image, None, b"6.1.0-world"), tmp_path, vmlinux).id == "another build"
    # That the Image has a build id and vmlinux has none tells nothing of the build.
    assert cause(flat, tmp_path, vmlinux) == Cause("changed", f"{same} one place")


def stripped(tool: Tool, folder: Path) -> Path:
    path = folder / "vmlinux"
    subprocess.run([tool("aarch64-linux-gnu-strip"), "-s", "-o", str(path), str(SAMPLE / "vmlinux")], check=True)
    return path


def test_a_stripped_vmlinux(flat: bytes, tool: Tool, tmp_path: Path) -> None:
    vmlinux = stripped(tool, tmp_path)
    assert len(Vmlinux(vmlinux).symbols) == 0
    (tmp_path / "Image").write_bytes(flat)
    assert compare(Vmlinux(vmlinux), Image(tmp_path / "Image")).same
    changed = bytearray(flat)
    for place in (0x10000, 0x10801, 0x11008, 0x12000):
        changed[place] ^= 0xFF
    assert cause(bytes(changed), tmp_path, vmlinux) == Cause("changed", f"{SAME_BUILD} 4 places")
    why = explain(Vmlinux(vmlinux), Image(tmp_path / "Image"), 10)
    places = [(found.section, found.place, found.line) for found in why.differences]
    assert places == [
        (".text", ".text+0x0", None),
        (".text", ".text+0x801", None),
        (".rodata", ".rodata+0x8", None),
        ("(gap)", "after .got.plt", None),
    ]
    assert {tally.name: tally.bytes for tally in why.symbols} == {".text": 2, ".rodata": 1}
    assert why.without_lines == "vmlinux has no line information (.debug_aranges)"


def test_a_broken_symbol_table_leaves_sections_and_lines(flat: bytes, tmp_path: Path) -> None:
    vmlinux = Vmlinux(SAMPLE / "vmlinux")
    symbols = vmlinux.section(".symtab")
    assert symbols is not None
    entry_size = vmlinux.header.e_shoff + symbols.number * 64 + 56
    copy = patched(SAMPLE / "vmlinux", {entry_size: b"\x19"}, tmp_path)
    (tmp_path / "Image").write_bytes(flat[:0x10800] + b"\xff" + flat[0x10801:])
    report = inspection.diff(copy, tmp_path / "Image")
    assert report.exit_code == 1
    why = report.facts_of(DiffFacts)[0].why
    assert why is not None
    assert [(found.section, found.place) for found in why.differences] == [(".text", ".text+0x800")]
    assert why.differences[0].line == "entry.S:57"


def test_broken_dwarf_leaves_sections_and_symbols(flat: bytes, tmp_path: Path) -> None:
    vmlinux = Vmlinux(SAMPLE / "vmlinux")
    ranges = vmlinux.section(".debug_aranges")
    assert ranges is not None
    size = vmlinux.header.e_shoff + ranges.number * 64 + 32
    copy = patched(SAMPLE / "vmlinux", {size: (1 << 40).to_bytes(8, "little")}, tmp_path)
    (tmp_path / "Image").write_bytes(flat[:0x10A10] + b"\xff" + flat[0x10A11:])
    report = inspection.diff(copy, tmp_path / "Image")
    assert report.exit_code == 1
    why = report.facts_of(DiffFacts)[0].why
    assert why is not None
    assert why.without_lines is not None
    assert ".debug_aranges" in why.without_lines
    assert [found.section for found in why.differences] == [".text"]
    assert why.differences[0].line is None
