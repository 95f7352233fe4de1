"""Artifacts: files that can be asked. What a file is, is told by its first bytes, never by its name."""

import os
from importlib import import_module
from typing import ClassVar, NamedTuple, TypeVar, cast

from kinspect.errors import KinspectError, Location, MalformedError, WrongKindError
from kinspect.schemas.record import parse_table, size_of
from kinspect.source import Source

HEAD = 4096
"""How much of a file it takes to recognise its kind, at most."""
R = TypeVar("R", bound=NamedTuple)


class Artifact:
    """A file of one kind. Making one reads nothing; every part is read when it is first asked for."""

    kind: ClassVar[str]
    wrapping: ClassVar[bool] = False
    """Whether it is a wrapping around a kernel image."""
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

    def at(self, part: str = "", offset: int | None = None) -> Location:
        """A place in this file."""
        return Location(self.path, part, offset)

    def record(self, record: type[R], offset: int, part: str = "") -> R:
        """The record of fixed size at `offset`."""
        return parse_table(record, self.source.read(offset, size_of(record), part))[0]

    def close(self) -> None:
        """Close the file. A later question opens it again."""
        self.source.close()

    def __enter__(self) -> "Artifact":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Signature(NamedTuple):
    """Bytes at a place that tell a kind, and the class that reads it (`module:Class`; empty when nothing does).

    `more` are further bytes, at their own place.
    """

    offset: int
    magic: bytes
    reader: str
    name: str
    more: tuple[int, bytes] = (0, b"")


MODULE, COMPRESSED = "module:Module", "compressed:Compressed"
SIGNATURES = (
    Signature(56, b"ARM\x64", "image:Image", "an arm64 Image"),
    Signature(0, b"\x7fELF", MODULE, "a relocatable ELF file (.ko or .o)", (16, b"\1\0")),
    Signature(0, b"\x7fELF", "vmlinux:Vmlinux", "an ELF file"),
    Signature(4, b"zimg", "zboot:Zboot", "an EFI zboot image"),
    Signature(0, b"\x1f\x8b", COMPRESSED, "gzip-compressed data"),
    Signature(0, b"BZh", COMPRESSED, "bzip2-compressed data"),
    Signature(0, b"\xfd7zXZ\0", COMPRESSED, "xz-compressed data"),
    Signature(0, b"\x28\xb5\x2f\xfd", COMPRESSED, "zstd-compressed data"),
    Signature(0, b"\x02\x21\x4c\x18", COMPRESSED, "lz4-compressed data (legacy frame)"),
    Signature(0, b"\x04\x22\x4d\x18", COMPRESSED, "lz4-compressed data (frame)"),
    Signature(0, b"\x89LZO\0\r\n\x1a\n", COMPRESSED, "lzop-compressed data"),
    Signature(0, b"\x5d\0\0", COMPRESSED, "lzma-compressed data"),
    Signature(0, b"\xd0\x0d\xfe\xed", "dtb:Dtb", "a flattened device tree"),
    Signature(0, b"\x27\x05\x19\x56", "", "a U-Boot uImage"),
    Signature(0, b"MZ", "", "a PE/COFF file without an arm64 Image header"),
    Signature(0, b"!<arch>\n", "", "an ar archive"),
    Signature(0, b"!<thin>\n", "", "a thin ar archive"),
)
SYMVERS = Signature(0, b"", "symvers:Symvers", "a Module.symvers")
"""Text: told by its first lines."""
FOLDER = "module_tree:ModuleTree"
_ELF_HEADER = 64


def signature_of(head: bytes) -> Signature | None:
    """The first signature that the first bytes of a file bear."""
    for signature in SIGNATURES:
        further, magic = signature.more
        if head.startswith(signature.magic, signature.offset) and head.startswith(magic, further):
            return signature
    if b"\tEXPORT_" in head:
        from kinspect.artifacts.symvers import Symvers

        return SYMVERS if Symvers.recognises(head) else None
    return None


def signature_in(source: Source) -> Signature | None:
    """The signature that a file bears; a compressed module bears a module's."""
    found = signature_of(source.head(HEAD))
    if found and found.reader == COMPRESSED:
        from kinspect.artifacts.decompression import opening

        inside = signature_of(opening(source, _ELF_HEADER))
        return inside if inside and inside.reader == MODULE else found
    return found


def described(head: bytes) -> str:
    """What the first bytes of a file say it is, in a few words."""
    signature = signature_of(head)
    return signature.name if signature else "a file of no kind that kinspect knows"


def artifact_in(path: Source | str | os.PathLike[str], kind: type[Artifact] | None = None) -> Artifact:
    """The artifact in a file, of the class that its first bytes ask for; a folder is one of modules.

    Raises UnreadableError, MalformedError for an empty file, WrongKindError when kinspect has no reader for it; when a
    `kind` was wanted, that kind's reason why the file is none.
    """
    source = path if isinstance(path, Source) else Source(path)
    if kind is None and os.path.isdir(source.path):
        return _read_by(FOLDER, source)
    if not source.size:
        raise MalformedError("empty file", Location(source.path))
    signature = signature_in(source)
    if signature is None or not signature.reader:
        if kind:
            raise kind.refusal(source)
        raise WrongKindError(f"{described(source.head(HEAD))}: kinspect does not read it", Location(source.path))
    return _read_by(signature.reader, source)


def _read_by(reader: str, source: Source) -> Artifact:
    module, name = reader.split(":")
    return cast(Artifact, getattr(import_module(f"kinspect.artifacts.{module}"), name)(source))


A = TypeVar("A", bound=Artifact)


def wanted(kind: type[A], path: Artifact | str | os.PathLike[str]) -> A:
    """The artifact in a file that must be of one kind. WrongKindError says what it is instead, and what helps."""
    found = path if isinstance(path, Artifact) else artifact_in(path, kind)
    if isinstance(found, kind):
        return found
    hint = f" ({found.hint})" if found.hint else ""
    signature = signature_in(found.source)
    raise WrongKindError(
        f"wrong kind of file{hint}",
        Location(found.path),
        expected=kind.kind,
        actual=signature.name if signature else found.kind,
    )
