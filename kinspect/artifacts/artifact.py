"""Artifacts: files that can be asked. What a file is, is told by its first bytes, never by its name."""

import os
import re
from collections.abc import Callable, Hashable
from importlib import import_module
from typing import TYPE_CHECKING, ClassVar, NamedTuple, TypeVar, cast

from kinspect.errors import KinspectError, Location, MalformedError, UnsupportedError, WrongKindError
from kinspect.schemas.record import parse_table, size_of
from kinspect.source import Source

if TYPE_CHECKING:
    from kinspect.artifacts.boot.container import Layer, Wrapping

HEAD = 4096
"""How much of a file it takes to recognise its kind, at most."""
MOST_LAYERS = 4
"""Wrappings around a kernel, one in the other: a zboot image in gzip has two."""
R = TypeVar("R", bound=NamedTuple)
T = TypeVar("T")


class Artifact:
    """A file of one kind. Making one reads nothing; every part is read when it is first asked for."""

    kind: ClassVar[str]
    wrapping: ClassVar[bool] = False
    """Whether it is a Wrapping."""
    wrapped_in: "Wrapping | None" = None
    """What it came out of, when it is not a file by itself."""
    hint: ClassVar[str] = ""
    """What helps a person who took it for something else."""

    @classmethod
    def refusal(cls, source: Source) -> KinspectError:
        """Why a file that bears no signature that kinspect reads is not of this kind."""
        return WrongKindError(
            "wrong kind of file", Location(source.path), expected=cls.kind, actual=described(source.head(HEAD))
        )

    def __init__(self, source: Source | str | os.PathLike[str]) -> None:
        self.source = source if isinstance(source, Source) else Source(source)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.path!r})"

    @property
    def path(self) -> str:
        """The path as it was given."""
        return self.source.path

    @property
    def size(self) -> int:
        """The size of the file in bytes."""
        return self.source.size

    @property
    def facts(self) -> NamedTuple:
        """What the file says of itself, as plain values."""
        raise NotImplementedError

    @property
    def wrappings(self) -> "tuple[Wrapping, ...]":
        """The wrappings that it came out of, the outermost first."""
        return (*self.wrapped_in.wrappings, self.wrapped_in) if self.wrapped_in else ()

    @property
    def layers(self) -> "tuple[Layer, ...]":
        """The same in numbers."""
        return tuple(wrapping.layer for wrapping in self.wrappings)

    def at(self, part: str = "", offset: int | None = None) -> Location:
        """A place in this file; an offset in what was unpacked is called that."""
        unpacked = "unpacked " if self.wrapped_in and offset is not None else ""
        return Location(self.path, (unpacked + part).rstrip(), offset)

    def record(self, record: type[R], offset: int, part: str = "") -> R:
        """The record of fixed size at `offset`."""
        return parse_table(record, self.source.read(offset, size_of(record), part))[0]

    def cached(self, view: Callable[..., T], *arguments: Hashable) -> T:
        """`view(self, *arguments)`: computed when it is first asked for, and kept as long as this artifact is."""
        known: dict[tuple[object, ...], T] = self.__dict__.setdefault("_views", {})
        key = (view, *arguments)
        if key not in known:
            known[key] = view(self, *arguments)
        return known[key]

    def close(self) -> None:
        """Close the file. A later question opens it again."""
        self.source.close()

    def __enter__(self) -> "Artifact":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class FileMagic(NamedTuple):
    """Bytes at a place that tell a kind, and the class that reads it (`module:Class`; empty when nothing does).

    `more` are further bytes, at their own place.
    """

    offset: int
    magic: bytes
    reader: str
    name: str
    more: tuple[int, bytes] = (0, b"")


MODULE = "module.ko:Module"
IMAGE = FileMagic(56, b"ARM\x64", "boot.image:Image", "an arm64 Image")
SIGNATURES = (
    IMAGE,
    FileMagic(0, b"\x7fELF", MODULE, "a relocatable ELF file (.ko or .o)", (16, b"\1\0")),
    FileMagic(0, b"\x7fELF", "elf.vmlinux:Vmlinux", "an ELF file"),
    FileMagic(4, b"zimg", "boot.zboot:Zboot", "an EFI zboot image"),
    FileMagic(0, b"\x1f\x8b", "boot.compressed:Compressed", "gzip-compressed data"),
    FileMagic(0, b"BZh", "boot.compressed:Compressed", "bzip2-compressed data"),
    FileMagic(0, b"\xfd7zXZ\0", "boot.compressed:Compressed", "xz-compressed data"),
    FileMagic(0, b"\x28\xb5\x2f\xfd", "boot.compressed:Compressed", "zstd-compressed data"),
    FileMagic(0, b"\x02\x21\x4c\x18", "boot.compressed:Compressed", "lz4-compressed data (legacy frame)"),
    FileMagic(0, b"\x04\x22\x4d\x18", "boot.compressed:Compressed", "lz4-compressed data (frame)"),
    FileMagic(0, b"\x89LZO\0\r\n\x1a\n", "boot.compressed:Compressed", "lzop-compressed data"),
    FileMagic(0, b"\x5d\0\0", "boot.compressed:Compressed", "lzma-compressed data"),
    FileMagic(0, b"\xd0\x0d\xfe\xed", "dtb.blob:Dtb", "a flattened device tree"),
    FileMagic(0, b"\x27\x05\x19\x56", "", "a U-Boot uImage"),
    FileMagic(0, b"MZ", "", "a PE/COFF file without an arm64 Image header"),
    FileMagic(0, b"!<arch>\n", "", "an ar archive"),
    FileMagic(0, b"!<thin>\n", "", "a thin ar archive"),
)
SYMVERS = FileMagic(0, b"", "build.symvers:Symvers", "a Module.symvers")
CONFIG = FileMagic(
    0, b"#\n# Automatically generated file", "build.kernel_config:KernelConfig", "a kernel configuration"
)
SYSTEM_MAP = FileMagic(0, b"", "build.system_map:SystemMap", "a System.map")
"""Texts: told by their first lines."""
_LINE_OF_MAP = re.compile(rb"[0-9a-f]{16} [A-Za-z] \S+\n")
FOLDER = "module.tree:ModuleTree"


def signature_of(head: bytes) -> FileMagic | None:
    """The first signature that the first bytes of a file bear."""
    for signature in SIGNATURES:
        further, magic = signature.more
        if head.startswith(signature.magic, signature.offset) and head.startswith(magic, further):
            return signature
    if b"\tEXPORT_" in head:
        from kinspect.artifacts.build.symvers import Symvers

        return SYMVERS if Symvers.recognises(head) else None
    if head.startswith(CONFIG.magic):
        return CONFIG
    return SYSTEM_MAP if _LINE_OF_MAP.match(head) else None


def wrapping_suffix(layers: "tuple[Layer, ...]") -> str:
    """What something came out of, in words: ` in EFI zboot (gzip) in xz`; nothing when it is a file by itself."""
    return "".join(f" in {layer.title}" for layer in reversed(layers))


def described(head: bytes) -> str:
    """What the first bytes of a file say it is, in a few words."""
    signature = signature_of(head)
    return signature.name if signature else "a file of no kind that kinspect knows"


def open_artifact(path: Source | str | os.PathLike[str], kind: type[Artifact] | None = None) -> Artifact:
    """The artifact in a file, of the class that its first bytes ask for; a folder is one of modules.

    What is compressed, or in a zboot image, is unpacked in memory: the artifact is what lies inside, with its `layers`.
    Raises UnreadableError, MalformedError for an empty file, WrongKindError when kinspect has no reader for it; when a
    `kind` was wanted, that kind's reason why the file is none; and as `Wrapping.unpacked` does.
    """
    source = path if isinstance(path, Source) else Source(path)
    if kind is None and os.path.isdir(source.path):
        return read_by(FOLDER, source)
    head = source.head(HEAD)
    if not head:
        raise MalformedError("empty file", Location(source.path))
    signature = signature_of(head)
    if signature is None or not signature.reader:
        if kind:
            raise kind.refusal(source)
        raise WrongKindError(f"{described(head)}: kinspect does not read it", Location(source.path))
    found = read_by(signature.reader, source)
    for _ in range(MOST_LAYERS):
        if not found.wrapping:
            return found
        found = cast("Wrapping", found).inside
    if found.wrapping:
        problem = "wrappings in wrappings"
        raise UnsupportedError(problem, found.at(), expected=f"at most {MOST_LAYERS}", actual="more")
    return found


def read_by(reader: str, source: Source) -> Artifact:
    """The artifact of the class that a signature names."""
    module, name = reader.split(":")
    return cast(Artifact, getattr(import_module(f"kinspect.artifacts.{module}"), name)(source))


def _name_of(kind: type[Artifact]) -> str:
    """What signatures call a kind of artifact."""
    reader = f"{kind.__module__.removeprefix('kinspect.artifacts.')}:{kind.__name__}"
    return next((signature.name for signature in SIGNATURES if signature.reader == reader), kind.kind)


A = TypeVar("A", bound=Artifact)


def open_as(kind: type[A], path: Artifact | str | os.PathLike[str]) -> A:
    """The artifact in a file that must be of one kind. WrongKindError says what it is instead, and what helps."""
    found = path if isinstance(path, Artifact) else open_artifact(path, kind)
    if isinstance(found, kind):
        return found
    hint = f" ({found.hint})" if found.hint else ""
    raise WrongKindError(
        f"wrong kind of file{hint}",
        Location(found.path),
        expected=kind.kind,
        actual=_name_of(type(found)) + wrapping_suffix(found.layers),
    )
