"""The kernel's tests of .modinfo and of versions, before a module has memory.

Source: kernel/module/main.c, early_mod_check(), check_modinfo(); kernel/module/version.c.
"""

from enum import StrEnum
from errno import EPERM
from sys import intern
from typing import NamedTuple

from kinspect.schemas.module import ModversionInfo
from kinspect.schemas.record import column, size_of
from kinspect.views.loader.elf import refuse
from kinspect.views.loader.load_info import LoadInfo, text_of
from kinspect.views.loader.verdict import Refusal, Result, Unknown

LAYOUT = "module_layout"
NO_LIVEPATCH = "module is marked as livepatch module, but livepatch support is disabled"
"""Only a kernel without live patching has this message."""
_ROW = size_of(ModversionInfo)


def blacklisted(info: LoadInfo) -> Result:
    if info.name and info.name in info.kernel.blacklist:
        return Refusal(EPERM, (f"Module {info.name} is blacklisted",))
    return None


def layout_version(info: LoadInfo) -> Result:
    """The CRC of `module_layout`, which covers struct module and the types around it."""
    export = info.kernel.exports.get(LAYOUT)
    if not info.kernel.modversions or export is None or export.crc is None:
        return None
    versions = versions_of(info)
    if versions.kind is VersionTable.NONE:
        return force(info, LAYOUT)
    if versions.lacks(LAYOUT) and not info.kernel.refuses_missing_crcs:
        return None if info.kernel.refuses_missing_crcs is False else depends_on_crc(LAYOUT)
    fault = versions.fault(LAYOUT, export.crc)
    return refuse(f"{info.name}: {fault}") if fault else None


class VersionTable(StrEnum):
    """Which table of CRCs a module has."""

    NONE = "none"
    SHORT = "__versions"
    EXTENDED = "__version_ext_crcs"


class RequiredCrcs(NamedTuple):
    """The CRCs that a module was built with, by symbol. Source: kernel/module/version.c, check_version()."""

    kind: VersionTable
    crcs: dict[str, int]

    def lacks(self, symbol: str) -> bool:
        """Whether the kernel finds no CRC of a symbol, which it may take for a fault of the toolchain."""
        return self.kind is VersionTable.SHORT and symbol not in self.crcs

    def fault(self, symbol: str, crc: int) -> str:
        """The kernel's message when the CRC of an exported symbol is not the module's; empty when it is."""
        required = self.crcs.get(symbol)
        if required is None:
            return "" if self.kind is VersionTable.EXTENDED else f"no symbol version for {symbol}"
        return "" if required == crc else f"disagrees about version of symbol {symbol}"


def depends_on_crc(symbol: str) -> Unknown:
    """The verdict on a module without the CRC of a symbol where the kernel's code does not show what it does."""
    return Unknown(f"no CRC of {symbol}: kernels since 4.9 warn and load the module, Debian's refuse it")


def versions_of(info: LoadInfo) -> RequiredCrcs:
    """The CRCs in a module; the first of each name counts."""
    return info.cached(_versions_of)


def _versions_of(info: LoadInfo) -> RequiredCrcs:
    if info.index["ext_crc"]:
        names = text_of(info.unloaded(info.index["ext_name"])).split("\0")
        data = info.unloaded(info.index["ext_crc"])
        crcs = memoryview(data[: len(data) & ~3]).cast("I").tolist()
        return RequiredCrcs(VersionTable.EXTENDED, dict(reversed(list(zip(names, crcs, strict=False)))))
    if not info.index["vers"]:
        return RequiredCrcs(VersionTable.NONE, {})
    data = info.unloaded(info.index["vers"])
    text = text_of(data[: len(data) - len(data) % _ROW])
    # The kernel reads a name that fills its row on into the next CRC: it matches no symbol.
    names = [intern(text[at + 8 : at + _ROW].partition("\0")[0]) for at in range(0, len(text), _ROW)]
    crcs = list(column(ModversionInfo, "crc", data[: len(text)]))
    return RequiredCrcs(VersionTable.SHORT, dict(zip(reversed(names), reversed(crcs), strict=True)))


def force(info: LoadInfo, reason: str) -> Refusal | None:
    """What try_to_force_load() does: note a taint, or refuse when the kernel cannot force."""
    if not info.kernel.can_force:
        return refuse()
    info.forced.append(reason)
    return None


def vermagic(info: LoadInfo) -> Result:
    found, required = info.get_modinfo("vermagic"), info.kernel.vermagic
    if found is None:
        return force(info, "bad vermagic")
    same = found == required
    # With CRCs on both sides the kernel does not compare the release.
    if info.kernel.modversions and info.index["vers"]:
        same = _after_release(found) == _after_release(required)
    return None if same else refuse(f"{info.name}: version magic '{found}' should be '{required}'")


def _after_release(text: str) -> str:
    return text[text.find(" ") :] if " " in text else ""


def livepatch(info: LoadInfo) -> Result:
    if info.get_modinfo("livepatch") is not None and info.kernel.has_message(NO_LIVEPATCH):
        return refuse(f"{info.struct_name}: {NO_LIVEPATCH}")
    return None
