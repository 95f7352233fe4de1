"""A wrapped kernel unpacks to the kernel, byte for byte, or to one error with the location of the fault."""

import lzma
import os
import random
import resource
import subprocess
import sys
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest

import kinspect
from kinspect.artifacts.boot import container as wrapping
from kinspect.artifacts.boot.image import Image
from kinspect.artifacts.boot.zboot import Zboot
from kinspect.artifacts.layer import Layer
from kinspect.artifacts.module.ko import Module
from kinspect.errors import KinspectError, MalformedError, UnsupportedError, WrongKindError
from kinspect.inspection import kernel as inspection
from kinspect.inspection.unpack import unpack
from kinspect.views.diff.facts import DiffFacts
from tests.conftest import SAMPLE, Kernel
from tests.toy_zboot import (
    COMMANDS,
    NAMES,
    PAYLOAD,
    appended,
    compressed,
    lz4_stored,
    padded,
    squeezed,
    zboot,
)

Tool = Callable[[str], str]
IMAGE = (SAMPLE / "Image").read_bytes()
VMLINUX = str(SAMPLE / "vmlinux")
LIBRARIES = ("gzip", "bzip2", "lzma", "xz", "lz4")


def written(folder: Path, data: bytes, name: str = "Image.packed") -> Path:
    path = folder / name
    path.write_bytes(data)
    return path


def opened(path: Path) -> Image:
    found = kinspect.open(path)
    assert isinstance(found, Image)
    return found


def raw(image: Image) -> bytes:
    return image.source.read(0, image.size)


@pytest.mark.parametrize("form", COMMANDS)
def test_a_real_image_in_every_compression(form: str, kernel: Kernel, tool: Tool, tmp_path: Path) -> None:
    whole = Path(kernel.image).read_bytes()
    data = compressed(whole, form, tool)
    path = written(tmp_path, data)
    image = opened(path)
    assert raw(image) == whole
    name = form.split()[0]
    assert image.layers == (Layer(name, name, len(data), 0, len(data), len(whole), 0),)
    report = inspection.image(path)
    assert report.findings == ()
    assert {"appended-size-is-right", "nothing-follows-the-stream", "pe-header-is-readable"} <= set(report.ran)
    (facts,) = inspection.diff(kernel.vmlinux, path).facts_of(DiffFacts)
    assert (facts.same, facts.actual_size, facts.layers) == (True, len(whole), image.layers)
    assert unpack(path, str(tmp_path / "Image")).ok
    with open(path, "rb") as file, open(tmp_path / "theirs", "wb") as theirs:
        subprocess.run([tool(COMMANDS[form][0]), "-dc"], stdin=file, stdout=theirs, check=True)
    assert subprocess.run([tool("cmp"), tmp_path / "Image", tmp_path / "theirs"]).returncode == 0


@pytest.mark.parametrize("name", NAMES)
def test_a_real_image_in_zboot(name: str, kernel: Kernel, tool: Tool, tmp_path: Path) -> None:
    whole = Path(kernel.image).read_bytes()
    padding = padded(whole)
    payload = compressed(padding, NAMES[name], tool)
    file = zboot(payload, name, None if name == "gzip" else len(padding))
    path = written(tmp_path, file, "vmlinuz.efi")
    image = opened(path)
    assert raw(image) == whole
    layer = Layer("EFI zboot", NAMES[name], len(file), PAYLOAD, len(payload), len(padding), len(padding) - len(whole))
    assert image.layers == (layer,)
    assert layer.padding > 0
    report = inspection.image(path)
    assert report.findings == ()
    assert report.ran.count("pe-header-is-readable") == 2
    (facts,) = inspection.diff(kernel.vmlinux, path).facts_of(DiffFacts)
    assert facts.same


STRONGEST = {
    "gzip": ["gzip", "-9", "-c"],
    "bzip2": ["bzip2", "-9", "-c"],
    "lzma": ["lzma", "-9e", "-c"],
    "xz": ["xz", "-9e", "--check=sha256", "-c"],
    "xz as the kernel's": ["xz", "--check=crc32", "--lzma2=dict=128MiB", "-c"],
    "zstd": ["zstd", "-q", "--ultra", "-22", "--long=27", "-c"],
    "lz4": ["lz4", "-q", "-l", "-12", "-c"],
}


@pytest.mark.parametrize("form", STRONGEST)
def test_the_strongest_levels_are_read(form: str, tool: Tool, tmp_path: Path) -> None:
    name, *options = STRONGEST[form]
    done = subprocess.run([tool(name), *options], input=IMAGE, capture_output=True, check=True)
    assert raw(opened(written(tmp_path, done.stdout))) == IMAGE


@pytest.mark.parametrize("form", LIBRARIES)
def test_the_appended_size_is_no_part_of_the_image(form: str, tmp_path: Path) -> None:
    image = opened(written(tmp_path, squeezed(IMAGE, form) + appended(len(IMAGE))))
    assert raw(image) == IMAGE


def test_wrappings_in_wrappings(tmp_path: Path) -> None:
    inner = zboot(squeezed(IMAGE, "xz"), "xzkern", len(IMAGE))
    path = written(tmp_path, squeezed(squeezed(inner, "bzip2"), "gzip"))
    image = opened(path)
    assert raw(image) == IMAGE
    assert [layer.title for layer in image.layers] == ["gzip", "bzip2", "EFI zboot (xz)"]
    assert isinstance(image.wrapped_in, Zboot)
    assert inspection.diff(VMLINUX, path).ok
    assert str(image.field("res3")) == f"{path}: unpacked res3 at 0x28"


def test_too_many_wrappings(tmp_path: Path) -> None:
    data = IMAGE
    for _ in range(4):
        data = squeezed(data, "gzip")
    assert raw(opened(written(tmp_path, data))) == IMAGE
    with pytest.raises(UnsupportedError, match="too many nested wrappings: expected at most 4, found more"):
        kinspect.open(written(tmp_path, squeezed(data, "gzip")))


def test_a_vmlinux_in_gzip_is_one(tmp_path: Path) -> None:
    path = written(tmp_path, squeezed((SAMPLE / "vmlinux").read_bytes(), "gzip"))
    assert inspection.diff(path, written(tmp_path, squeezed(IMAGE, "lzma"), "Image.lzma")).ok


def test_a_module_unpacks_itself(tmp_path: Path) -> None:
    plain = SAMPLE / "modules/lib/modules/6.1.0-hello/kernel/drivers/hello/hello-door.ko"
    module = kinspect.open(written(tmp_path, squeezed(plain.read_bytes(), "gzip"), "hello-door.ko.gz"))
    assert isinstance(module, Module)
    assert (module.facts.compression, module.layers) == ("gzip", ())


def test_the_recorded_flags_are_those_of_the_image(tmp_path: Path) -> None:
    path = written(tmp_path, squeezed(IMAGE, "gzip"), "Image.gz")
    written(tmp_path, b"savedcmd_arch/arm64/boot/Image.gz := cat Image | gzip -n -f -9 > Image.gz\n", ".Image.gz.cmd")
    flags = "-O binary -R .note -R .note.gnu.build-id -R .comment -S"
    written(tmp_path, f"savedcmd_Image := objcopy {flags} vmlinux Image\n".encode(), ".Image.cmd")
    (facts,) = inspection.diff(VMLINUX, path).facts_of(DiffFacts)
    assert facts.same
    assert facts.flags.origin == str(tmp_path / ".Image.cmd")


def test_padding_is_left_off_only_when_it_is_padding(tmp_path: Path) -> None:
    for data in (IMAGE, padded(IMAGE)[:-1], padded(IMAGE)[:-1] + b"\1", padded(IMAGE) + b"\0"):
        image = opened(written(tmp_path, zboot(squeezed(data, "gzip"), "gzip")))
        assert raw(image) == data
        assert image.layers[0].padding == 0
    assert raw(opened(written(tmp_path, zboot(squeezed(padded(IMAGE), "gzip"), "gzip")))) == IMAGE
    # A compressed file has no padding.
    assert raw(opened(written(tmp_path, squeezed(padded(IMAGE), "gzip")))) == padded(IMAGE)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (zboot(b"nothing", "other", 9), "unknown compression: found other"),
    ],
)
def test_what_is_not_read_says_so(data: bytes, message: str, tmp_path: Path) -> None:
    with pytest.raises(UnsupportedError, match=message):
        kinspect.open(written(tmp_path, data))


def test_real_lzop_is_read(tool: Tool, tmp_path: Path) -> None:
    lzop = subprocess.run([tool("lzop"), "-9", "-c"], input=IMAGE, capture_output=True, check=True).stdout
    for data in (lzop, zboot(lzop, "lzo", len(IMAGE))):
        image = opened(written(tmp_path, data))
        assert raw(image) == IMAGE
        assert image.layers[0].compression == "lzo"


@pytest.mark.parametrize("form", LIBRARIES)
def test_what_is_no_kernel_is_named(form: str, tmp_path: Path) -> None:
    for data, found in ((b"", "nothing"), (b"text\n" * 100, "a text file"), (bytes(100_000), "nothing but zeros")):
        said = rf"inside {form}( \(.*\))?: expected a kernel, found {found}|has no blocks"
        with pytest.raises(KinspectError, match=said):
            kinspect.open(written(tmp_path, squeezed(data, form)))


def test_another_kind_inside_is_named_with_its_wrapping(tmp_path: Path) -> None:
    path = written(tmp_path, squeezed((SAMPLE / "vmlinux").read_bytes(), "gzip"))
    with pytest.raises(WrongKindError, match="expected an arm64 Image, found an ELF file in gzip"):
        inspection.image(path)


# Hostile input.


@pytest.mark.parametrize("form", LIBRARIES)
def test_27_a_stream_that_is_cut_anywhere(form: str, tmp_path: Path) -> None:
    data = squeezed(IMAGE, form)
    for cut in [*range(1, 40), *range(40, len(data) - 20, len(data) // 50), *range(len(data) - 20, len(data))]:
        path = written(tmp_path, data[:cut])
        with pytest.raises(KinspectError) as caught:
            raw(opened(path))
        assert str(caught.value).startswith(f"{path}: "), cut
        if cut > 13:
            assert isinstance(caught.value, MalformedError), cut
            assert "truncated" in str(caught.value) or "no block" in str(caught.value), cut


@pytest.mark.parametrize("form", LIBRARIES)
def test_27_a_stream_with_other_bytes_somewhere(form: str, tmp_path: Path) -> None:
    data, chance = squeezed(IMAGE, form), random.Random(form)
    refused = 0
    for _ in range(60):
        broken = bytearray(data)
        for _ in range(chance.randint(1, 3)):
            broken[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
        try:
            raw(opened(written(tmp_path, bytes(broken))))
        except KinspectError:
            refused += 1
    # Neither lz4 nor lzma has a checksum of the contents.
    assert refused > 50 or form in ("lz4", "lzma")


@pytest.mark.parametrize("form", LIBRARIES)
def test_26_a_bomb_stops_at_the_largest_kernel(form: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wrapping, "LARGEST_KERNEL", 10 << 20)
    assert opened(written(tmp_path, squeezed(IMAGE.ljust(10 << 20, b"\0"), form))).size == 10 << 20
    path = written(tmp_path, squeezed(IMAGE.ljust((10 << 20) + 1, b"\0"), form))
    with pytest.raises(
        UnsupportedError, match=r"too large when decompressed: expected at most 10,485,760 bytes \(--limit\), f"
    ):
        kinspect.open(path)


def test_26_wrappings_share_the_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wrapping, "LARGEST_KERNEL", 10 << 20)
    inner = squeezed(IMAGE.ljust(6 << 20, b"\0"), "gzip")
    assert opened(written(tmp_path, squeezed(inner, "gzip"))).size == 6 << 20
    with pytest.raises(UnsupportedError, match="too large when decompressed"):
        kinspect.open(written(tmp_path, squeezed(inner.ljust(6 << 20, b"\0"), "gzip")))


def test_26_a_real_bomb_takes_bounded_memory(tmp_path: Path) -> None:
    # 16 GiB of zeros after an Image, in a file of 75 MB: the same 64 MiB again and again.
    stream = zlib.compressobj(1, wbits=31)
    head = stream.compress(IMAGE) + stream.flush(zlib.Z_FULL_FLUSH)
    again = stream.compress(bytes(64 << 20)) + stream.flush(zlib.Z_FULL_FLUSH)
    with open(tmp_path / "bomb.gz", "wb") as file:
        file.write(head)
        for _ in range(256):
            file.write(again)
    command = [sys.executable, "-m", "kinspect", "image", str(tmp_path / "bomb.gz")]
    limit = (3 << 30, 3 << 30)
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        timeout=120,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, limit),
    )
    said = "too large when decompressed: expected at most 1,073,741,824 bytes (--limit), found more"
    assert (done.returncode, done.stdout, done.stderr) == (2, "", f"kinspect: {tmp_path}/bomb.gz: {said}\n")


def test_26_what_is_no_kernel_is_not_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wrapping, "LARGEST_KERNEL", 10 << 20)
    with pytest.raises(WrongKindError, match="inside gzip"):
        kinspect.open(written(tmp_path, squeezed(bytes(64 << 20), "gzip")))


def test_29_a_huge_window_is_refused(tmp_path: Path) -> None:
    filters = [{"id": lzma.FILTER_LZMA2, "preset": 0, "dict_size": 1 << 30}]
    with pytest.raises(UnsupportedError, match="xz stream at 0x0: the stream needs a window of 1 GiB"):
        kinspect.open(written(tmp_path, lzma.compress(IMAGE, lzma.FORMAT_XZ, filters=filters)))
    data = bytearray(squeezed(IMAGE, "lzma"))
    data[1:5] = (1 << 30).to_bytes(4, "little")
    with pytest.raises(UnsupportedError, match="lzma stream at 0x0: the stream needs a window of 1 GiB"):
        kinspect.open(written(tmp_path, bytes(data)))


def test_29_a_huge_window_of_zstd_is_refused(tmp_path: Path, tool: Tool) -> None:
    command = [tool("zstd"), "-q", "--long=31", "--no-check", "-c"]
    data = bytearray(subprocess.run(command, input=IMAGE, capture_output=True, check=True).stdout)
    assert data[4] & 0x20 == 0
    data[5] = 31 - 10 << 3  # the base-2 logarithm of the window, less 10
    with pytest.raises(UnsupportedError, match="zstd stream at 0x0: the stream needs a window of 2 GiB"):
        kinspect.open(written(tmp_path, bytes(data)))


def test_54_a_sparse_file_that_begins_like_gzip(tmp_path: Path) -> None:
    path = written(tmp_path, squeezed(b"text", "gzip"))
    os.truncate(path, 1 << 40)
    with pytest.raises(WrongKindError, match="inside gzip"):
        kinspect.open(path)
    path = written(tmp_path, squeezed(IMAGE, "gzip"))
    os.truncate(path, 1 << 40)
    assert raw(opened(path)) == IMAGE


def test_lz4_literals_of_every_length(tmp_path: Path) -> None:
    for size in (64, 64 + 14, 64 + 15, 64 + 16, 64 + 15 + 254, 64 + 15 + 255, 64 + 15 + 256):
        data = IMAGE[:size]
        assert kinspect.open(written(tmp_path, lz4_stored(data))).source.read(0, size) == data
