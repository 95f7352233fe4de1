"""The kernel's tests of what a module says of itself, before it has memory.

Source: kernel/module/main.c, early_mod_check(), check_modinfo(); kernel/module/version.c.
"""

from enum import StrEnum
from errno import EPERM
from typing import NamedTuple

from kinspect.schemas.module import ModversionInfo
from kinspect.schemas.record import column, size_of
from kinspect.views.loader.elf import refuse
from kinspect.views.loader.load_info import LoadInfo, text_of
from kinspect.views.loader.verdict import Refusal, Result

LAYOUT = "module_layout"
NO_LIVEPATCH = "module is marked as livepatch module, but livepatch support is disabled"
"""Only a kernel without live patching can say so."""
_ROW = size_of(ModversionInfo)


def blacklisted(attempt: LoadInfo) -> Result:
    if attempt.name and attempt.name in attempt.kernel.blacklist:
        return Refusal(EPERM, (f"Module {attempt.name} is blacklisted",))
    return None


def layout_version(attempt: LoadInfo) -> Result:
    """The CRC of `module_layout`: whether struct module and those around it are the kernel's."""
    export = attempt.kernel.exports.get(LAYOUT)
    if not attempt.kernel.modversions or export is None or export.crc is None:
        return None
    versions = versions_of(attempt)
    if versions.kind is VersionTable.NONE:
        return force(attempt, LAYOUT)
    fault = versions.fault(LAYOUT, export.crc)
    return refuse(f"{attempt.name}: {fault}") if fault else None


class VersionTable(StrEnum):
    """The tables of CRCs that a module may have."""

    NONE = "none"
    SHORT = "__versions"
    EXTENDED = "__version_ext_crcs"


class RequiredCrcs(NamedTuple):
    """The CRC that each symbol must have for a module. Source: kernel/module/version.c, check_version()."""

    kind: VersionTable
    crcs: dict[str, int]

    def fault(self, symbol: str, crc: int) -> str:
        """What the kernel says when a symbol with a CRC is not the one that the module wants; else empty."""
        wanted = self.crcs.get(symbol)
        if wanted is None:
            return "" if self.kind is VersionTable.EXTENDED else f"no symbol version for {symbol}"
        return "" if wanted == crc else f"disagrees about version of symbol {symbol}"


def versions_of(attempt: LoadInfo) -> RequiredCrcs:
    """The CRCs in a module; of several for one name the first counts."""
    if attempt.index["ext_crc"]:
        names = text_of(attempt.bytes_of(attempt.index["ext_name"])).split("\0")
        data = attempt.bytes_of(attempt.index["ext_crc"])
        crcs = memoryview(data[: len(data) & ~3]).cast("I").tolist()
        return RequiredCrcs(VersionTable.EXTENDED, dict(reversed(list(zip(names, crcs, strict=False)))))
    if not attempt.index["vers"]:
        return RequiredCrcs(VersionTable.NONE, {})
    data = attempt.bytes_of(attempt.index["vers"])
    text = text_of(data[: len(data) - len(data) % _ROW])
    # A name that fills its place reads on into the next row's CRC: it is nobody's.
    names = [text[at + 8 : at + _ROW].partition("\0")[0] for at in range(0, len(text), _ROW)]
    crcs = list(column(ModversionInfo, "crc", data[: len(text)]))
    return RequiredCrcs(VersionTable.SHORT, dict(zip(reversed(names), reversed(crcs), strict=True)))


def force(attempt: LoadInfo, reason: str) -> Refusal | None:
    """What try_to_force_load() does: taint, or refuse where the kernel cannot force."""
    if not attempt.kernel.forces:
        return refuse()
    attempt.forced.append(reason)
    return None


def vermagic(attempt: LoadInfo) -> Result:
    found, wanted = attempt.info("vermagic"), attempt.kernel.vermagic
    if found is None:
        return force(attempt, "bad vermagic")
    same = found == wanted
    # Where both have CRCs, they say more than the release.
    if attempt.kernel.modversions and attempt.index["vers"]:
        same = _after_release(found) == _after_release(wanted)
    return None if same else refuse(f"{attempt.name}: version magic '{found}' should be '{wanted}'")


def _after_release(text: str) -> str:
    return text[text.find(" ") :] if " " in text else ""


def livepatch(attempt: LoadInfo) -> Result:
    if attempt.info("livepatch") is not None and attempt.kernel.says(NO_LIVEPATCH):
        return refuse(f"{attempt.struct_name}: {NO_LIVEPATCH}")
    return None
