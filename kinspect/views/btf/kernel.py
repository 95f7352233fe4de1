"""Where the types of a file are: the BTF of a vmlinux, an Image, a module."""

from kinspect.artifacts.artifact import Artifact
from kinspect.artifacts.boot.image import Image
from kinspect.artifacts.btf.table import Btf
from kinspect.artifacts.elf.vmlinux import Vmlinux
from kinspect.artifacts.module.ko import Module
from kinspect.artifacts.raw.embedded import Extent
from kinspect.errors import UnsupportedError, WrongKindError
from kinspect.source import Source

SECTION, BASE_SECTION = ".BTF", ".BTF.base"


def types_of(artifact: Artifact, base: Btf | None = None) -> Btf:
    """The types in a kernel, a module or a file of BTF. A module needs the types of its kernel, the `base`.

    UnsupportedError when it contains none, or when a module has no base; WrongKindError for another kind of file.
    """
    if isinstance(artifact, Btf):
        return artifact if base is None else Btf(artifact.source, base)
    if isinstance(artifact, Module):
        return _of_module(artifact, base)
    if not isinstance(artifact, Image | Vmlinux):
        problem = "contains no types"
        raise WrongKindError(problem, artifact.at(), expected="a vmlinux, an Image or a module", actual=artifact.kind)
    place = types_place(artifact)
    if place is None:
        raise _without(artifact)
    return _part(artifact, artifact.source.read(*place, SECTION))


def types_place(kernel: Image | Vmlinux) -> Extent | None:
    """Where the types are in the file; None without any."""
    if isinstance(kernel, Image):
        return kernel.embedded.btf
    section = kernel.section(SECTION)
    return Extent(section.offset, section.file_size) if section else None


def has_types(kernel: Image | Vmlinux) -> bool:
    """Whether a kernel contains type information."""
    return types_place(kernel) is not None


def kernel_types(kernel: Image | Vmlinux) -> Btf:
    """The types of a kernel, read once. Raises as `types_of` does."""
    return kernel.cached(types_of)


def _of_module(module: Module, base: Btf | None) -> Btf:
    data, own_base = module.section(SECTION.encode()), module.section(BASE_SECTION.encode())
    if not data:
        raise _without(module)
    if own_base:
        # It builds on the types that it brings along, and not on the kernel's.
        return _part(module, data, _part(module, own_base, part=BASE_SECTION))
    if base is None:
        problem = "the types of a module continue those of its kernel (name it with --base)"
        raise UnsupportedError(problem, module.at(SECTION))
    return _part(module, data, base)


def _part(artifact: Artifact, data: bytes, base: Btf | None = None, part: str = SECTION) -> Btf:
    return Btf(Source(artifact.path, data), base, part)


def _without(artifact: Artifact) -> UnsupportedError:
    return UnsupportedError("contains no type information (CONFIG_DEBUG_INFO_BTF)", artifact.at(SECTION))
