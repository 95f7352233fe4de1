"""Each check of an Image and its vmlinux together fails when, and only when, its fault is put in."""

import struct
from collections.abc import Callable
from pathlib import Path

import pytest

from kinspect.artifacts.boot.image import Image
from kinspect.artifacts.elf.vmlinux import Vmlinux
from kinspect.inspection.report import run_checks
from kinspect.schemas.image import ImageHeader
from kinspect.schemas.record import offsets
from tests.conftest import Kernel

TOPICS = ("boot.vmlinux", "size.image")
CONTENTS, MEMORY, LENGTH = "image-is-objcopy-of-vmlinux", "sections-sum-to-image-size", "sections-sum-to-file-size"
TEXT = 0x10004


def larger(data: bytes) -> bytes:
    start = offsets(ImageHeader)["image_size"]
    (size,) = struct.unpack_from("<Q", data, start)
    return data[:start] + struct.pack("<Q", size + 0x1000) + data[start + 8 :]


def found_in(vmlinux: str | Path, image: str | Path) -> list[str]:
    return [finding.id for finding in run_checks((Vmlinux(vmlinux), Image(image)), *TOPICS).findings]


FAULTS: dict[str, tuple[Callable[[bytes], bytes], list[str]]] = {
    "nothing": (lambda data: data, []),
    "one byte": (lambda data: data[:TEXT] + bytes([data[TEXT] ^ 1]) + data[TEXT + 1 :], [CONTENTS]),
    "image_size": (larger, [CONTENTS, MEMORY]),
    "padded": (lambda data: data + bytes(512), [CONTENTS, LENGTH]),
    "cut": (lambda data: data[:-512], [CONTENTS, LENGTH]),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_found_and_no_other(fault: str, sample: Path, tmp_path: Path) -> None:
    change, expected = FAULTS[fault]
    (tmp_path / "Image").write_bytes(change((sample / "Image").read_bytes()))
    assert found_in(sample / "vmlinux", tmp_path / "Image") == expected


def test_real_kernels(kernel: Kernel) -> None:
    assert found_in(kernel.vmlinux, kernel.image) == []


@pytest.mark.corpus
def test_the_image_of_another_kernel(kernels: tuple[Kernel, Kernel]) -> None:
    assert found_in(kernels[0].vmlinux, kernels[1].image) == [CONTENTS, MEMORY, LENGTH]
