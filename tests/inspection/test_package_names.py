"""Paths in a temporary folder become the names of files in packages, wherever they are in a report."""

from pathlib import Path
from typing import NamedTuple

import pytest

from kinspect.errors import Location, MalformedError, TruncatedError
from kinspect.inspection.package.naming import PackageNames, UnpackedFile, renamed

FOLDER = "/tmp/a b/kinspect-x1/all"
FILES = (
    UnpackedFile("boot/vmlinuz-6.1", "a.deb", "boot/vmlinuz-6.1"),
    UnpackedFile("usr/lib/modules/6.1/a.ko", "a.deb", "lib/modules/6.1/a.ko"),
    UnpackedFile("usr/lib/modules/6.1/b.ko", "a.deb", "lib/modules/6.1/b.ko"),
    UnpackedFile("usr/lib/modules/6.1/c.ko", "b.deb", "usr/lib/modules/6.1/c.ko"),
    UnpackedFile("boot/with blank, and more", "b.deb", "boot/with blank, and more"),
)


class Facts(NamedTuple):
    path: str
    size: int
    places: tuple[Location, ...] = ()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f"{FOLDER}/boot/vmlinuz-6.1", "a.deb:boot/vmlinuz-6.1"),
        (f"{FOLDER}/usr/lib/modules/6.1/c.ko", "b.deb:usr/lib/modules/6.1/c.ko"),
        # A folder is of the package that most of it is from, and so is what is not there.
        (f"{FOLDER}/usr/lib/modules/6.1", "a.deb:lib/modules/6.1"),
        (f"{FOLDER}/usr/lib/modules/6.1/", "a.deb:lib/modules/6.1"),
        (f"{FOLDER}/usr/lib/modules/6.1/modules.dep", "a.deb:lib/modules/6.1/modules.dep"),
        (f"{FOLDER}/dtbs/x.dtb", "2 packages:dtbs/x.dtb"),
        (FOLDER, "2 packages"),
        (f"{FOLDER}/", "2 packages"),
        (f"{FOLDER}/boot/with blank, and more", "b.deb:boot/with blank, and more"),
        (f"3 lines not in {FOLDER}/boot/vmlinuz-6.1, 2 missing", "3 lines not in a.deb:boot/vmlinuz-6.1, 2 missing"),
        (f"'{FOLDER}/boot/vmlinuz-6.1'", "'a.deb:boot/vmlinuz-6.1'"),
        (f"{FOLDER}/boot/vmlinuz-6.1:dtb", "a.deb:boot/vmlinuz-6.1:dtb"),
        (f"{FOLDER}/boot/initrd: {FOLDER}/boot/vmlinuz-6.1", "a.deb:boot/initrd: a.deb:boot/vmlinuz-6.1"),
        (f"{FOLDER}2/boot", f"{FOLDER}2/boot"),
        ("boot/vmlinuz-6.1", "boot/vmlinuz-6.1"),
        ("", ""),
    ],
)
def test_a_text(text: str, expected: str) -> None:
    assert PackageNames(FOLDER, FILES, "2 packages")(text) == expected


def test_the_folder_of_an_archive_of_modules() -> None:
    files = (*FILES, UnpackedFile("a.ko", "dist.tar", "a.ko"))
    assert PackageNames(FOLDER, files, "3 packages")(FOLDER) == "dist.tar"
    assert PackageNames(FOLDER, (*files, UnpackedFile("b.ko", "b.tar", "b.ko")), "4 packages")(FOLDER) == "4 packages"


def test_a_folder_that_is_reached_through_a_link(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    names = PackageNames(str(tmp_path / "link"), FILES, "a.deb")
    for folder in ("real", "link"):
        assert names(str(tmp_path / folder / "boot/vmlinuz-6.1")) == "a.deb:boot/vmlinuz-6.1"


def test_a_report() -> None:
    names = PackageNames(FOLDER, FILES, "2 packages")
    place = f"{FOLDER}/boot/vmlinuz-6.1"
    facts = Facts(place, 7, (Location(place, "res3", 0x20),))
    error = TruncatedError("too short", Location(place), expected=4, actual=f"that of {place}")
    found = renamed({place: [facts, (facts, None, b"bytes")], "error": error}, names)
    expected = Facts("a.deb:boot/vmlinuz-6.1", 7, (Location("a.deb:boot/vmlinuz-6.1", "res3", 0x20),))
    assert found["a.deb:boot/vmlinuz-6.1"] == [expected, (expected, None, b"bytes")]
    changed = found["error"]
    assert isinstance(changed, TruncatedError)
    assert str(changed) == "a.deb:boot/vmlinuz-6.1: too short: expected 4, found that of a.deb:boot/vmlinuz-6.1"
    # What has no such path is the same object.
    other = Facts("vmlinux", 1, (Location("vmlinux"),))
    assert renamed(other, names) is other
    assert str(renamed(MalformedError("broken", Location("x")), names)) == "x: broken"
