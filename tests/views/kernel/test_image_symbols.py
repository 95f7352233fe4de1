"""The names, type letters and addresses in an Image are those of its vmlinux and System.map."""

import re
import struct
from collections import Counter
from pathlib import Path

import pytest

from kinspect.artifacts.boot.image import Image
from kinspect.artifacts.build.system_map import SystemMap
from kinspect.artifacts.elf.vmlinux import Vmlinux
from kinspect.artifacts.kinds import open_as
from kinspect.errors import KinspectError, MalformedError, UnsupportedError
from kinspect.views.kernel.image_symbols import image_symbols
from kinspect.views.kernel.symbols import symbol_lines
from tests.conftest import OLD_KERNEL, SAMPLE, Build, kernel_named
from tests.toy_kallsyms import BASE, LAYOUTS, image, symbols

ALL_KERNELS = (OLD_KERNEL, "bookworm-cloud", "trixie-cloud", "backports-cloud")
_DROPPED = re.compile(
    rb"\S+ (?:[aANUnw] .*|\S (?:\$|\.L|L0|__crc_|__efistub_|__kvm_nvhe_\$|__kvm_nvhe_\.L|__AArch64ADRPThunk_|"
    rb"__kcfi_typeid_|__kstrtab_|__kstrtabns_|__pi_\$|__pi_\.L|\.LASANPC|kallsyms_(?:addresses|offsets|relative_base|"
    rb"num_syms|names|markers|seqs_of_names|token_table|token_index)$).*|\S \S+_(?:veneer|from_arm|from_thumb))"
)
"""What scripts/mksysmap and scripts/kallsyms.c of 5.10 to 7.x leave out."""
_DROPPED_BY_OLD = re.compile(rb"\S+ \S __kvm_nvhe_.*")
"""What those of 5.10 leave out too."""


def lines(path: Path | str) -> list[bytes]:
    found = image_symbols(open_as(Image, path))
    assert found.start is not None
    rows = zip(found.offsets, found.letters, found.names, strict=True)
    return [b"%016x %b %b" % (found.start + offset, letter.encode(), name.encode()) for offset, letter, name in rows]


def kept(theirs: list[bytes], everything: bool, old: bool) -> Counter[bytes]:
    """The lines of nm that kallsyms keeps: without KALLSYMS_ALL only those in the two ranges of text."""
    named = {line.split(b" ", 2)[2]: int(line[:16], 16) for line in theirs}
    ranges = [
        (named[b"_stext"], named[b"_etext"], b"_etext"),
        (named[b"_sinittext"], named[b"_einittext"], b"_einittext"),
    ]

    def in_text(line: bytes) -> bool:
        address, name = int(line[:16], 16), line.split(b" ", 2)[2]
        return any(first <= address < end or (address == end and name == last) for first, end, last in ranges)

    lines = (line for line in theirs if not _DROPPED.fullmatch(line) and not (old and _DROPPED_BY_OLD.fullmatch(line)))
    return Counter(line for line in lines if everything or in_text(line))


def equal(
    path: Path | str, system_map: Path | str, vmlinux: Path | str, everything: bool, least: int, old: bool = False
) -> None:
    ours = Counter(lines(path))
    assert ours.total() >= least
    for theirs in (list(SystemMap(system_map).lines), list(symbol_lines(Vmlinux(vmlinux)))):
        assert ours - Counter(theirs) == Counter()
        assert sorted((kept(theirs, everything, old) - ours).elements())[:20] == []


@pytest.mark.corpus
@pytest.mark.parametrize("name", ALL_KERNELS)
def test_real_kernels(name: str) -> None:
    kernel = kernel_named(name)
    everything = "\nCONFIG_KALLSYMS_ALL=y" in (kernel.folder / "config").read_text()
    equal(kernel.image, kernel.folder / "System.map", kernel.vmlinux, everything, 39_000, name == OLD_KERNEL)


@pytest.mark.corpus
@pytest.mark.parametrize("packed", ["Image", "Image.gz", "vmlinuz.efi", "Image.zst"])
def test_a_real_build(build: Build, packed: str) -> None:
    path = build.out / "arch/arm64/boot" / packed
    equal(path, build.out / "System.map", build.out / "vmlinux", True, 20_000)


def toy(folder: Path, data: bytes) -> Image:
    path = folder / "Image"
    path.write_bytes(data)
    return Image(path)


@pytest.mark.parametrize("number", [600, 700, 768, 1025])
@pytest.mark.parametrize("relocatable", [False, True])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout(layout: str, relocatable: bool, number: int, tmp_path: Path) -> None:
    toys = symbols(number)
    found = image_symbols(toy(tmp_path, image(toys, layout, relocatable=relocatable)[0]))
    assert list(zip(found.offsets, found.letters, found.names, strict=True)) == toys
    assert found.start == BASE
    assert found.known_from


@pytest.mark.parametrize("relocatable", [False, True])
def test_kernels_whose_first_symbol_is_not_text(relocatable: bool, tmp_path: Path) -> None:
    """Without KALLSYMS_ALL the base is that of a later symbol."""
    toys = symbols()[1:]
    found = image_symbols(toy(tmp_path, image(toys, "5.10", relocatable=relocatable)[0]))
    assert (found.offsets, found.start) == ([one.offset for one in toys], BASE)


def test_without_a_base_and_pairs_only_offsets_are_known(tmp_path: Path) -> None:
    found = image_symbols(toy(tmp_path, image(layout="7.0", pairs=False)[0]))
    assert (found.offsets, found.start) == ([one.offset for one in symbols()], None)


def test_pairs_that_disagree(tmp_path: Path) -> None:
    """Two pointers for one address and two for another: neither is believed."""
    data = bytearray(image(layout="7.0")[0])
    place = next(one.offset for one in symbols() if one.name == "init_mm")
    struct.pack_into("<QQ", data, place, *(BASE + (1 << 21) + one.offset for one in symbols()[-3:-5:-1]))
    assert image_symbols(toy(tmp_path, bytes(data))).start is None


@pytest.mark.parametrize(("agreeing", "start"), [(1, None), (2, BASE)])
def test_how_many_pairs_must_agree(agreeing: int, start: int | None, tmp_path: Path) -> None:
    data = bytearray(image(layout="7.0", pairs=False)[0])
    places = {one.name: one.offset for one in symbols()}
    for owner, target in (("init_mm", "swapper_pg_dir"), ("init_task", "init_cred"))[:agreeing]:
        struct.pack_into("<Q", data, places[owner] + 0x48, BASE + places[target])
    assert image_symbols(toy(tmp_path, bytes(data))).start == start


def test_an_image_without_kallsyms() -> None:
    with pytest.raises(UnsupportedError, match="CONFIG_KALLSYMS"):
        image_symbols(Image(SAMPLE / "Image"))


@pytest.mark.parametrize(
    ("table", "message"), [("markers", "no markers"), ("names", "markers"), ("prel", "no offsets")]
)
def test_a_table_that_is_gone(table: str, message: str, tmp_path: Path) -> None:
    data, places = image(layout="7.0")
    size = {"markers": 12, "names": 4000, "prel": 2800}[table]
    broken = data[: places[table]] + b"\xa5" * size + data[places[table] + size :]
    with pytest.raises(UnsupportedError, match=message):
        image_symbols(toy(tmp_path, broken))


def test_too_much_text_is_refused(tmp_path: Path) -> None:
    """A token of 60,000 characters, in many names, would fill the memory."""
    toys = [*symbols()[:1], *(one._replace(name="~" * 100) for one in symbols(3000)[1:])]
    data, places = image(toys, "5.10")
    tokens = data[places["tokens"] : places["index"]].rstrip(b"\0").split(b"\0")[:256]
    tokens[ord("~")] = b"~" * 60_000
    sizes = [0]
    for token in tokens[:-1]:
        sizes.append(sizes[-1] + len(token) + 1)
    table = b"".join(token + b"\0" for token in tokens)
    broken = data[: places["tokens"]] + table.ljust(-(-len(table) // 8) * 8, b"\0") + struct.pack("<256H", *sizes)
    with pytest.raises(UnsupportedError, match="too long"):
        image_symbols(toy(tmp_path, broken.ljust(len(data), b"\0")))


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("bucket", [1, 2])
def test_a_marker_that_is_wrong(layout: str, bucket: int, tmp_path: Path) -> None:
    data, places = image(layout=layout)
    width = 8 if "markers8" in LAYOUTS[layout] else 4
    at = places["markers"] + bucket * width
    if bucket == 2:
        at -= width
    broken = data[:at] + bytes((data[at] ^ 1,)) + data[at + 1 :]
    with pytest.raises(MalformedError, match="disagree") as caught:
        image_symbols(toy(tmp_path, broken))
    assert caught.value.at.offset == at


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_truncation_and_many_changes(layout: str, tmp_path: Path) -> None:
    """Whatever the bytes, only a KinspectError is raised, and soon."""
    data, places = image(layout=layout)
    low, high = min(places.values()) - 16, places["index"] + 512 + 9000
    for step in range(0, high - low, 397):
        at = low + step
        for broken in (data[:at], data[:at] + b"\xff" * 8 + data[at + 8 :], data[:at] + bytes(64) + data[at + 64 :]):
            try:
                found = image_symbols(toy(tmp_path, broken))
            except KinspectError:
                continue
            assert len(found.names) == len(found.letters) == len(found.offsets)
