"""The names that code in the kernel itself has under /sys/module: no module of such a name loads.

Code has one when it has a parameter that is shown there, or a version. In an Image the rows of parameters are found
from the name of one that every kernel has, and their pointers from the relocations that the kernel applies at start-up,
or in place.
Source: kernel/params.c, param_sysfs_builtin() and version_sysfs_builtin().
"""

import re
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from kinspect.artifacts.elf.vmlinux import Vmlinux
from kinspect.errors import KinspectError
from kinspect.schemas.elf import Rela
from kinspect.schemas.record import offsets, parse_table, size_of
from kinspect.schemas.tables import KernelParam
from kinspect.views.tables.kernel import param
from kinspect.views.tables.parts import contents
from kinspect.views.tables.relocations import DynamicRelocations

_ANCHORS = (b"printk.time", b"module.sig_enforce", b"rcupdate.rcu_expedited", b"workqueue.power_efficient")
_RELATIVE = b"\x03\x04\0\0\0\0\0\0"
"""R_AARCH64_RELATIVE as r_info of a symbol-less row."""
_ROW, _RELA = size_of(KernelParam), size_of(Rela)
_VERSION, _MODULE_NAME = 72, 56
"""The size of struct module_version_attribute, and the offset of the module's name in it."""
_IMAGE_ALIGNMENT, _SEGMENT_ALIGNMENT = 1 << 21, 1 << 16
_MOST_ROWS, _LONGEST = 1 << 14, 256
_WITHOUT_PREFIX = "kernel"


def names_in_vmlinux(vmlinux: Vmlinux) -> frozenset[str]:
    """The names; none where the tables cannot be read."""
    try:
        return frozenset(_of_vmlinux(vmlinux))
    except KinspectError:
        return frozenset()


def names_in_image(data: bytes) -> frozenset[str]:
    """The names in the bytes of an Image; none where the tables are not found."""
    found = parameters_in(data)
    return found.names() if found else frozenset()


def _prefix(name: str) -> str:
    return name.partition(".")[0] if "." in name else _WITHOUT_PREFIX


def _of_vmlinux(vmlinux: Vmlinux) -> Iterator[str]:
    section = vmlinux.section("__param")
    if section is not None:
        rows = param(vmlinux, section, contents(vmlinux, section, KernelParam))
        columns = {column.name: cells for column, cells in rows.items()}
        for name, permissions in zip(columns["name"], columns["permissions"], strict=True):
            if permissions != "0000":
                yield _prefix(str(name))
    section = vmlinux.section("__modver")
    if section is None or not section.in_file:
        return
    data, addends = vmlinux.contents(section), DynamicRelocations(vmlinux).addends
    for start in range(_MODULE_NAME, len(data) - 7, _VERSION):
        address = addends.get(section.address + start) or int.from_bytes(data[start : start + 8], "little")
        target = vmlinux.section_at(address)
        if target is not None and target.in_file:
            offset = target.offset + address - target.address
            text = vmlinux.source.read(offset, min(_LONGEST, vmlinux.size - offset))
            yield text.partition(b"\0")[0].decode("latin-1")


class _Pointers(NamedTuple):
    """The pointers of an Image: its address, and by offset those that are not in place."""

    data: bytes
    base: int
    addends: Mapping[int, int]

    def target(self, offset: int) -> int:
        """The offset that the pointer at an offset leads to."""
        return (self.addends.get(offset) or int.from_bytes(self.data[offset : offset + 8], "little")) - self.base

    def text(self, offset: int) -> str | None:
        """The text that the pointer at an offset leads to; None without one."""
        start = self.target(offset)
        if not 0 <= start < len(self.data):
            return None
        text = self.data[start : start + _LONGEST].partition(b"\0")[0]
        return text.decode("ascii") if text.isascii() and text and text.decode("ascii").isprintable() else None


class ImageParameters(NamedTuple):
    """The table of parameters in an Image: the pointers in it, and the offsets of its rows."""

    pointers: _Pointers
    rows: range

    def names(self) -> frozenset[str]:
        """The names under /sys/module that the kernel's own code has."""
        return frozenset(_of_image(self.pointers, self.rows))

    def variable(self, parameter: str) -> int | None:
        """The offset of the variable that a parameter sets; None without this parameter."""
        start = next((start for start in self.rows if self.pointers.text(start) == parameter), None)
        return None if start is None else self.pointers.target(start + offsets(KernelParam)["arg"])


def parameters_in(data: bytes) -> ImageParameters | None:
    """The parameters in the bytes of an Image; None when they are not found."""
    found = _relocated_row(data) or _row_in_place(data)
    if found is None:
        return None
    pointers, start = found
    while _is_row(pointers, start - _ROW):
        start -= _ROW
    end = start
    while end < start + _MOST_ROWS * _ROW and _is_row(pointers, end):
        end += _ROW
    return ImageParameters(pointers, range(start, end, _ROW))


def _of_image(pointers: _Pointers, rows: range) -> Iterator[str]:
    for start in rows:
        name = pointers.text(start)
        if name and _param(pointers.data, start).perm:
            yield _prefix(name)
    start = rows.stop
    while pointers.text(start) == "version":
        name = pointers.text(start + _MODULE_NAME)
        if name:
            yield name
        start += _VERSION


def _pointers(data: bytes) -> _Pointers | None:
    """The relocations: the first long run of relative ones."""
    found = data.find(_RELATIVE)
    while found >= 0 and not all(data.startswith(_RELATIVE, found + turn * _RELA) for turn in range(1, 4)):
        found = data.find(_RELATIVE, found + 1)
    if found < 0:
        return None
    start = end = found - offsets(Rela)["r_info"]
    while data[end + 8 : end + 16] == _RELATIVE:
        end += _RELA
    words = memoryview(data)[start:end].cast("Q")
    places, addends = words[0::3].tolist(), words[2::3].tolist()
    base = min(addends) & -_IMAGE_ALIGNMENT
    return _Pointers(data, base, {place - base: addend for place, addend in zip(places, addends, strict=True)})


def _relocated_row(data: bytes) -> tuple[_Pointers, int] | None:
    """The pointers of a kernel with a table of relocations, and the offset of the row of a parameter."""
    pointers = _pointers(data)
    start = None if pointers is None else _some_row(pointers)
    return None if pointers is None or start is None else (pointers, start)


def _row_in_place(data: bytes) -> tuple[_Pointers, int] | None:
    """The same in a kernel whose pointers are all in place: linked with RELR, or never moved.

    Its address is that of a parameter's name in what is its row.
    """
    for anchor in _ANCHORS:
        text = data.find(b"\0" + anchor + b"\0") + 1
        low = re.escape((text & 0xFFFF).to_bytes(2, "little"))
        for found in re.finditer(low + rb"[\s\S]{4}\xff\xff", data) if text else ():
            base = int.from_bytes(found[0], "little") - text
            pointers = _Pointers(data, base, {})
            if found.start() % 8 == 0 and base % _SEGMENT_ALIGNMENT == 0 and _is_row(pointers, found.start()):
                return pointers, found.start()
    return None


def _some_row(pointers: _Pointers) -> int | None:
    """The offset of the row of a parameter that every kernel has."""
    for anchor in _ANCHORS:
        text = pointers.data.find(b"\0" + anchor + b"\0") + 1
        if not text:
            continue
        address = pointers.base + text
        places = [place for place, addend in pointers.addends.items() if addend == address]
        places.append(pointers.data.find(address.to_bytes(8, "little")))
        for place in places:
            if place >= 0 and _is_row(pointers, place):
                return place
    return None


def _param(data: bytes, start: int) -> KernelParam:
    return parse_table(KernelParam, data[start : start + _ROW])[0]


def _is_row(pointers: _Pointers, start: int) -> bool:
    if not 0 <= start <= len(pointers.data) - _ROW or pointers.text(start) is None:
        return False
    row = _param(pointers.data, start)
    module = pointers.addends.get(start + offsets(KernelParam)["mod"])
    return not (row.mod or module) and row.perm < 0o1000 and row.flags < 4 and not any(row.padding)
