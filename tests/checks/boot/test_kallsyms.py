"""Each check of kallsyms fails when, and only when, its fault is put in."""

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from kinspect.artifacts.boot.image import Image
from kinspect.artifacts.build.system_map import SystemMap
from kinspect.artifacts.elf.vmlinux import Vmlinux
from kinspect.artifacts.kinds import open_as
from kinspect.artifacts.raw.kallsyms_order import name_order
from kinspect.inspection.report import run_checks
from kinspect.schemas import elf
from kinspect.views.kernel.image_symbols import image_symbols
from tests.conftest import OLD_KERNEL, SAMPLE, Build, kernel_named
from tests.support import Named, Part, elf_of
from tests.toy_kallsyms import BASE, LAYOUTS, Toy, image, symbols
from tests.views.kernel.test_image_symbols import ALL_KERNELS

CHECKS = "boot.kallsyms"
SECTIONS = {
    "t": (1, elf.STB_LOCAL), "T": (1, elf.STB_GLOBAL), "W": (1, elf.STB_WEAK), "d": (2, elf.STB_LOCAL),
    "D": (2, elf.STB_GLOBAL),
}  # fmt: skip


def vmlinux_of(folder: Path, toys: Sequence[Toy]) -> Vmlinux:
    parts = [
        Part(".text", bytes(16), BASE, elf.SHF_ALLOC | elf.SHF_EXECINSTR),
        Part(".data", bytes(16), BASE + 0x10000, elf.SHF_ALLOC | elf.SHF_WRITE),
    ]
    named = []
    for toy in toys:
        section, binding = SECTIONS[toy.letter]
        named.append(Named(toy.name, BASE + toy.offset, section, binding << 4 | elf.STT_NOTYPE))
    path = folder / "vmlinux"
    path.write_bytes(elf_of(*parts, symbols=named))
    return Vmlinux(path)


def map_of(folder: Path, toys: Sequence[Toy]) -> SystemMap:
    path = folder / "System.map"
    path.write_text("".join(f"{BASE + toy.offset:016x} {toy.letter} {toy.name}\n" for toy in toys))
    return SystemMap(path)


def image_of(folder: Path, data: bytes) -> Image:
    path = folder / "Image"
    path.write_bytes(data)
    return Image(path)


def found(*artifacts: Image | Vmlinux | SystemMap) -> dict[str, str]:
    report = run_checks(artifacts, CHECKS)
    return {finding.id: str(finding.evidence) for finding in report.findings}


@pytest.mark.parametrize("pairs", [True, False])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_good_image(layout: str, pairs: bool, tmp_path: Path) -> None:
    """Also one that does not say where it was linked."""
    toys = symbols()
    image_file = image_of(tmp_path, image(toys, layout, pairs=pairs)[0])
    assert found(image_file, vmlinux_of(tmp_path, toys), map_of(tmp_path, toys)) == {}


def test_images_without_kallsyms(tmp_path: Path) -> None:
    assert found(Image(SAMPLE / "Image"), Vmlinux(SAMPLE / "vmlinux"), map_of(tmp_path, symbols())) == {}


def test_a_marker(tmp_path: Path) -> None:
    data, places = image()
    at = places["markers"] + 4
    image_file = image_of(tmp_path, data[:at] + bytes((data[at] ^ 1,)) + data[at + 1 :])
    assert set(found(image_file, vmlinux_of(tmp_path, symbols()))) == {"kallsyms-is-consistent"}


def test_an_order(tmp_path: Path) -> None:
    data, places = image()
    at = places["offsets"] + 4 * 100
    image_file = image_of(tmp_path, data[:at] + data[at + 4 : at + 8] + data[at : at + 4] + data[at + 8 :])
    found_ = found(image_file)
    assert set(found_) == {"kallsyms-is-in-order"}
    assert "out of order" in found_["kallsyms-is-in-order"]


@pytest.mark.parametrize(("letter", "name"), [("t", "two words"), ("%", "name"), ("t", "verti~cal")])
def test_a_name(letter: str, name: str, tmp_path: Path) -> None:
    toys = symbols()
    toys[2] = toys[2]._replace(letter=letter, name=name)
    data, places = image(toys)
    if name == "verti~cal":
        token = data.index(b"}\0~\0", places["tokens"]) + 2
        data = data[:token] + b"\x0b" + data[token + 1 :]
    assert set(found(image_of(tmp_path, data))) == {"kallsyms-names-are-valid"}


@pytest.mark.parametrize(
    "changed",
    [
        lambda toy: toy._replace(offset=toy.offset + 4),
        lambda toy: toy._replace(letter="T"),
        lambda toy: toy._replace(name="other"),
    ],
    ids=["address", "type", "name"],
)
def test_another_vmlinux_and_system_map(changed: Callable[[Toy], Toy], tmp_path: Path) -> None:
    toys = symbols()
    others = [*toys[:2], changed(toys[2]), *toys[3:]]
    image_file = image_of(tmp_path, image(toys)[0])
    both = found(image_file, vmlinux_of(tmp_path, others), map_of(tmp_path, others))
    assert set(both) == {"kallsyms-is-of-vmlinux", "kallsyms-is-of-system-map"}
    assert all(text.startswith("1 symbol of kallsyms not in") and toys[2].name in text for text in both.values())


def test_another_build(tmp_path: Path) -> None:
    toys = symbols()
    others = [toy._replace(offset=toy.offset + 16) for toy in toys]
    text = found(image_of(tmp_path, image(toys)[0]), vmlinux_of(tmp_path, others))["kallsyms-is-of-vmlinux"]
    assert text.startswith("not the same build: ")


def test_a_vmlinux_that_was_stripped_in_part(tmp_path: Path) -> None:
    toys = symbols()
    kept = [toy for toy in toys if toy.letter.isupper()]
    image_file = image_of(tmp_path, image(toys)[0])
    assert found(image_file, vmlinux_of(tmp_path, kept)) == {}
    kept[1] = kept[1]._replace(offset=kept[1].offset + 4)
    assert set(found(image_file, vmlinux_of(tmp_path, kept))) == {"kallsyms-is-of-vmlinux"}


@pytest.mark.corpus
@pytest.mark.parametrize("name", ALL_KERNELS)
def test_real_kernels(name: str) -> None:
    kernel = kernel_named(name)
    assert found(Image(kernel.image), Vmlinux(kernel.vmlinux), SystemMap(kernel.folder / "System.map")) == {}


@pytest.mark.corpus
def test_kernels_of_different_builds(build: Build) -> None:
    other = kernel_named("bookworm-cloud")
    both = found(Image(other.image), Vmlinux(build.out / "vmlinux"), SystemMap(build.out / "System.map"))
    assert set(both) == {"kallsyms-is-of-vmlinux", "kallsyms-is-of-system-map"}


SORTED = ("6.2", "6.4", "7.0", "absolute 6.4")


@pytest.mark.parametrize("layout", SORTED)
def test_a_number_in_the_order_of_names(layout: str, tmp_path: Path) -> None:
    """One of a symbol that is there twice, one of none, and two that changed places."""
    data, places = image(symbols(), layout)
    at = places["seqs"] + 3 * 400
    for number, message in (
        (data[at - 3 : at], "wrong symbol number"),
        (b"\xff\xff\xff", "wrong symbol number"),
        (None, "the names are out of order"),
    ):
        # Far apart, so that more than what follows a dot differs.
        other = places["seqs"] + 3 * 10
        broken = bytearray(data)
        broken[at : at + 3] = number or data[other : other + 3]
        if number is None:
            broken[other : other + 3] = data[at : at + 3]
        said = found(image_of(tmp_path, bytes(broken)))
        assert set(said) == {"kallsyms-finds-names"}
        assert message in said["kallsyms-finds-names"]


def test_names_that_differ_after_a_dot_only(tmp_path: Path) -> None:
    """Link-time optimization sorts them by what is before the dot."""
    toys = [Toy(0x1000 + 16 * index, "t", f"same.{900 - index}") for index in range(300)]
    toys = sorted([*symbols(), *toys])
    data, places = image(toys, "6.4")
    order = sorted(range(len(toys)), key=lambda number: toys[number].name.partition(".")[0])
    table = b"".join(number.to_bytes(3, "big") for number in order)
    at = places["seqs"]
    assert data[at : at + len(table)] != table
    assert found(image_of(tmp_path, data[:at] + table + data[at + len(table) :])) == {}


def test_something_else_where_the_order_of_names_could_be(tmp_path: Path) -> None:
    data, places = image(symbols(), "6.4")
    at = places["seqs"]
    for junk in (bytes(3 * 700), bytes(range(256)) * 9):
        assert found(image_of(tmp_path, data[:at] + junk + data[at + len(junk) :])) == {}


@pytest.mark.corpus
@pytest.mark.parametrize("name", ALL_KERNELS)
def test_the_order_of_names_of_real_kernels(name: str, tmp_path: Path) -> None:
    """6.1 of Debian has it too; two symbols that change places are noticed."""
    real = open_as(Image, kernel_named(name).image)
    order = name_order(real.source, image_symbols(real).kallsyms, real.searched)
    assert (order is None) == (name == OLD_KERNEL)
    assert found(real) == {}
    if order is not None:
        data = bytearray(real.source.read(0, real.size))
        at = order.place.offset + 3000
        data[at : at + 3], data[at + 3000 : at + 3003] = data[at + 3000 : at + 3003], data[at : at + 3]
        assert set(found(image_of(tmp_path, bytes(data)))) == {"kallsyms-finds-names"}
