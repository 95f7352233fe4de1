"""The files of a build are found in their places, each once, and nothing else."""

import os
from pathlib import Path

import pytest

from kinspect.artifacts.build.tree import BUILT, PLACES, build_files, opened
from kinspect.errors import MalformedError, UnreadableError
from tests.conftest import SAMPLE
from tests.toy_build import put


def roles(folder: Path) -> list[tuple[str, str]]:
    return [(piece.role, os.path.relpath(piece.path, folder)) for piece in build_files(str(folder))]


def test_every_place_is_looked_at(tmp_path: Path) -> None:
    for role, places in PLACES.items():
        for number, place in enumerate(places):
            folder = tmp_path / f"{role} {number}"
            path = place.replace("**/*", "a/b/c").replace("*", "6.1")
            data = b"070701" + bytes(104) if role == "initramfs" else b"anything"
            put(folder / path / "kernel/a.ko" if role == "modules" else folder / path, data)
            assert (role, path) in roles(folder), place


def test_the_first_place_of_a_kind_is_taken(tmp_path: Path) -> None:
    for path in (
        "System.map",
        "boot/System.map-6.1",
        "vmlinux",
        "vmlinux.unstripped",
        "arch/arm64/boot/Image",
        "Image",
    ):
        put(tmp_path / path, b"anything")
    assert roles(tmp_path) == [
        ("vmlinux", "vmlinux"),
        ("vmlinux", "vmlinux.unstripped"),
        ("System.map", "System.map"),
        ("Image", "arch/arm64/boot/Image"),
    ]


def test_what_only_looks_like_it_is_left(tmp_path: Path) -> None:
    for path in ("vmlinux.o", "Image.cmd", "vmlinux-6.1.elf", "arch/arm64/boot/dts/a.dts", "boot/vmlinuz-6.1/a"):
        put(tmp_path / path, b"anything")
    put(tmp_path / "System.map", b"ffffffffffffffff B The real System.map is elsewhere\n")
    assert roles(tmp_path) == []


def test_links_to_folders_are_not_followed_for_device_trees(tmp_path: Path) -> None:
    put(tmp_path / "arch/arm64/boot/dts/vendor/board.dtb", b"anything")
    for name in ("one", "two"):
        (tmp_path / "arch/arm64/boot/dts/vendor" / name).symlink_to("..")
    assert roles(tmp_path) == [("device tree", "arch/arm64/boot/dts/vendor/board.dtb")]


def test_a_name_that_is_a_pattern_is_a_name(tmp_path: Path) -> None:
    put(tmp_path / "a[bc]*" / "boot/vmlinuz-6.1", b"anything")
    put(tmp_path / "ab" / "boot/vmlinuz-6.1", b"anything")
    assert roles(tmp_path / "a[bc]*") == [("Image", "boot/vmlinuz-6.1")]


def test_modules(tmp_path: Path) -> None:
    """Modules in the folder of a build are built ones, elsewhere installed ones."""
    put(tmp_path / "built/fs/a.ko", b"anything")
    assert roles(tmp_path / "built") == []
    put(tmp_path / "built/include/config/auto.conf", b"")
    assert roles(tmp_path / "built") == [(BUILT, ".")]
    for name in ("modules.order", "modules.dep", "kernel/a.ko"):
        put(tmp_path / name.replace("/", "-") / name, b"")
        assert roles(tmp_path / name.replace("/", "-")) == [("modules", ".")]
    put(tmp_path / "empty/include/config/auto.conf", b"")
    assert roles(tmp_path / "empty") == []


def test_files_that_cannot_be_opened(tmp_path: Path) -> None:
    (tmp_path / "vmlinux").symlink_to("nowhere")
    os.mkfifo(tmp_path / "System.map")
    put(tmp_path / ".config", b"")
    problems = []
    for piece in build_files(str(tmp_path)):
        with pytest.raises((UnreadableError, MalformedError)) as caught:
            opened(piece)
        problems.append((piece.role, caught.value.problem))
    assert problems == [
        ("config", "empty file"),
        ("vmlinux", "No such file or directory"),
        ("System.map", "is a FIFO"),
    ]
    for path in ("nowhere", str(SAMPLE / "Image")):
        with pytest.raises(UnreadableError):
            list(build_files(path))
