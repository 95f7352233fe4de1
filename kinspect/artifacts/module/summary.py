"""What is kept of each module when a whole tree is read: all that depmod and the checks need, but no bytes."""

from collections.abc import Callable
from typing import NamedTuple, TypeVar

from kinspect.artifacts.module.exports import Export
from kinspect.artifacts.module.ko import Module
from kinspect.artifacts.module.signature import AppendedSignature, is_rest_of_signature
from kinspect.errors import KinspectError
from kinspect.schemas.elf import SectionHeader
from kinspect.schemas.record import size_of

_NAME_OFFSET, _NAME_SIZE = 24, 56
"""The name in struct module: include/linux/module.h, MODULE_NAME_LEN on a 64-bit machine."""
T = TypeVar("T")


class ModuleSummary(NamedTuple):
    """A module of a tree. Parts that could not be read are empty, and `errors` says why; sizes are in bytes.

    `path` is relative to the tree's folder, `name` is the one that modprobe uses. `needs` are the undefined symbols in
    the order of the symbol table, and whether each is weak; `layout_needs` are names in `__versions` that are not
    among them, usually only `module_layout`. `provides` are the symbols that depmod takes for exports: the names of
    CRCs, or without CONFIG_MODVERSIONS every string of `__ksymtab_strings`, namespaces too. `struct_name` and
    `struct_size` are those of struct module. `lost_signature` means that a signature without its trailer follows.
    """

    path: str
    name: str
    size: int = 0
    modinfo: tuple[tuple[str, str], ...] = ()
    needs: dict[str, bool] = {}
    layout_needs: tuple[str, ...] = ()
    provides: tuple[str, ...] = ()
    exports: tuple[Export, ...] = ()
    versions: dict[str, int] = {}
    signature: AppendedSignature | None = None
    struct_name: str = ""
    struct_size: int = 0
    errors: tuple[KinspectError, ...] = ()
    lost_signature: bool = False

    def values(self, key: str) -> list[str]:
        """All values of a key of `.modinfo`."""
        return [value for name, value in self.modinfo if name == key]


def summary(module: Module, path: str) -> ModuleSummary:
    """Read a module once, keep what is needed and drop its bytes. A part that cannot be read becomes an error."""
    errors: list[KinspectError] = []

    def read(part: Callable[[], T], otherwise: T) -> T:
        try:
            return part()
        except KinspectError as error:
            # One fault may break several parts, but is one error.
            if str(error) not in map(str, errors):
                errors.append(_alone(error))
            return otherwise

    try:
        size = module.size
        # First, outside of any cached_property: see Module.data.
        _ = module.data
        _ = module.header
        name, struct_size = read(lambda: _struct(module), ("", 0))
        return ModuleSummary(
            path,
            module.name,
            size,
            read(lambda: module.modinfo, ()),
            read(lambda: module.undefined, {}),
            read(lambda: _layout_needs(module), ()),
            read(lambda: _provided(module), ()),
            read(lambda: module.exports, ()),
            read(lambda: module.versions, {}),
            read(lambda: module.signature, None),
            name,
            struct_size,
            tuple(errors),
            not errors and _lost_signature(module),
        )
    except KinspectError as error:
        return ModuleSummary(path, module.name, errors=(_alone(error),))
    finally:
        module.release()


def _alone(error: KinspectError) -> KinspectError:
    """An error without its frames, which would keep the bytes of the module."""
    reason: BaseException | None = error
    while reason is not None:
        reason.__traceback__ = None
        reason = reason.__cause__ or reason.__context__
    return error


def _struct(module: Module) -> tuple[str, int]:
    data = module.section(b".gnu.linkonce.this_module")
    name = data[_NAME_OFFSET : _NAME_OFFSET + _NAME_SIZE].split(b"\0", 1)[0]
    return name.decode("ascii", "surrogateescape"), len(data)


def _lost_signature(module: Module) -> bool:
    """Whether something is left of a signature behind the ELF contents, which end with the section table."""
    header, data = module.header, module.data
    end = header.e_shoff + header.e_shnum * size_of(SectionHeader)
    return len(data) > end and not module.trailer and is_rest_of_signature(data[end:])


def _layout_needs(module: Module) -> tuple[str, ...]:
    versions, undefined = module.short_versions, module.undefined
    found = versions.keys() - undefined.keys()
    return tuple(found if len(found) < 2 else filter(found.__contains__, versions))


def _provided(module: Module) -> tuple[str, ...]:
    """Source: kmod, libkmod/libkmod-elf.c, kmod_elf_get_symbols()."""
    found = tuple(module.labels["crc"])
    if found:
        return found
    strings = module.section(b"__ksymtab_strings").decode("ascii", "surrogateescape")
    return tuple(filter(None, strings.split("\0")))
