"""The kinds of files, recognised by their first bytes and never by their names.

A new kind is one row of KINDS.
"""

import os
import re
from collections.abc import Callable
from importlib import import_module
from typing import NamedTuple, TypeVar, cast, overload

from kinspect.artifacts.artifact import Artifact, wrapping_suffix
from kinspect.artifacts.compression.magics import MAGICS
from kinspect.artifacts.raw.limits import HEAD
from kinspect.errors import Location, MalformedError, UnreadableError, UnsupportedError, WrongKindError
from kinspect.source import Source

A = TypeVar("A", bound=Artifact)
TEXT = "a text file"
"""The kind of a text that is nothing else."""
MOST_LAYERS = 4
"""Nested wrappings around a kernel: a zboot image in a .gz has two."""


class Kind:
    """A kind of file.

    `reader` is the class that reads it, as `folder.module:Class`; empty when kinspect does not read it. A file is of
    this kind when it has all `marks` (bytes at an offset), or when its first lines match `pattern`. `facts` is the
    function that collects its facts, as `folder.module:function`, where they take more than the reader. `hint` says
    what to do with a file that kinspect does not read; a reader has its own. `refined` is a function that takes an
    artifact of this kind and the class that is needed, and returns the artifact or one of a kind that only its
    contents show.
    """

    def __init__(
        self,
        name: str,
        reader: str = "",
        marks: tuple[tuple[int, bytes], ...] = (),
        pattern: bytes = b"",
        facts: str = "",
        hint: str = "",
        refined: str = "",
    ) -> None:
        self.name, self.reader, self.marks, self.pattern, self.facts = name, reader, marks, pattern, facts
        self._refined = refined
        self._hint = hint

    @property
    def hint(self) -> str:
        """What to do with such a file, when another kind was expected."""
        return cast(type[Artifact], _named(self.reader)).hint if self.reader else self._hint

    def recognises(self, head: bytes) -> bool:
        """Whether a file that starts with `head` is of this kind."""
        if self.marks:
            return all(head.startswith(magic, offset) for offset, magic in self.marks)
        return re.match(self.pattern, head) is not None

    def read(self, source: Source) -> Artifact:
        """The artifact in a file of this kind. Reads nothing yet."""
        return cast(Artifact, _named(self.reader)(source))

    def open(self, source: Source, kind: type[Artifact] | None) -> Artifact:
        """The artifact in a file of this kind, of which one of class `kind` is needed, or any."""
        artifact = self.read(source)
        return cast(Artifact, _named(self._refined)(artifact, kind)) if self._refined else artifact

    def facts_of(self, artifact: Artifact) -> NamedTuple:
        """The facts of an artifact of this kind."""
        return cast(NamedTuple, _named(self.facts)(artifact)) if self.facts else artifact.facts


def _named(path: str) -> Callable[..., object]:
    """What a row names: imported when it is used."""
    module, name = path.split(":")
    found: Callable[..., object] = getattr(import_module(f"kinspect.artifacts.{module}"), name)
    return found


IMAGE = Kind("an arm64 Image", "boot.image:Image", ((56, b"ARM\x64"),))
MODULE = Kind(
    "a relocatable ELF file (.ko or .o)",
    "module.ko:Module",
    ((0, b"\x7fELF"), (16, b"\1\0")),
    facts="module.description:module_facts",
)
ZBOOT = Kind("an EFI zboot image", "boot.zboot:Zboot", ((4, b"zimg"),))
UKI = rb"(?s)MZ.{62,3968}?PE\0\0\x64\xaa.{18,2048}?\.linux\0\0"
"""A PE header for arm64, in whose section table there is .linux."""
KINDS = (
    # Before the Image: one whose magic number was changed to that of an Image is still a zboot image.
    ZBOOT,
    IMAGE,
    MODULE,
    Kind("an ELF file", "elf.vmlinux:Vmlinux", ((0, b"\x7fELF"),)),
    *(Kind(title, "boot.compressed:Compressed", ((0, magic),)) for magic, _, title in MAGICS),
    Kind("a U-Boot uImage", "boot.uimage:Uimage", ((0, b"\x27\x05\x19\x56"),)),
    Kind("a unified kernel image (UKI)", "boot.uki:Uki", pattern=UKI),
    Kind("an Android boot image", "android.boot_image:AndroidBoot", ((0, b"ANDROID!"),)),
    Kind("an Android vendor boot image", "android.boot_image:VendorBoot", ((0, b"VNDRBOOT"),)),
    Kind("an Android DTBO image", "android.dtbo:Dtbo", ((0, b"\xd7\xb7\xab\x1e"),)),
    Kind("an Android vbmeta image", "android.verified:Vbmeta", ((0, b"AVB0"),)),
    Kind("a flattened device tree", "dtb.blob:Dtb", ((0, b"\xd0\x0d\xfe\xed"),), refined="boot.fit:fit_or_tree"),
    Kind("the types of a kernel (BTF)", "btf.table:Btf", ((0, b"\x9f\xeb\x01"),)),
    Kind("a kernel configuration", "build.kernel_config:KernelConfig", ((0, b"#\n# Automatically generated file"),)),
    Kind(
        "a Module.symvers",
        "build.symvers:Symvers",
        # One of the first 8 lines is an export, perhaps with blanks for tabs, or something else for the CRC.
        pattern=rb"(?:[^\n]*\n){0,7}(?:[0-9a-fA-FxX]*\t[^\t\n]*\t(?:[^\t\n]*\t){0,2}EXPORT_|"
        rb"0x[0-9a-fA-F]{1,16} \S+ (?:\S+ ){0,2}EXPORT_[A-Z_]+[ \r\n]|"
        rb"[^\s:]+\t[^\t\n]+\t(?:[^\t\n]*\t){0,2}EXPORT_[A-Z_]+[\t\r\n])",
    ),
    Kind("a System.map", "build.system_map:SystemMap", pattern=rb"[0-9a-f]{16} [A-Za-z] \S+\n"),
)
"""In order: the first kind that recognises a file is taken."""
FOLDER = Kind("a folder of modules", "module.tree:ModuleTree")


def kind_of(head: bytes) -> Kind | None:
    """The kind of a file that starts with `head`, also one that kinspect does not read; None when it is unknown."""
    for kind in KINDS:
        if kind.recognises(head):
            return kind
    foreign = cast(tuple[Kind, ...], _named("foreign:KINDS"))
    return next((kind for kind in foreign if kind.recognises(head)), None)


def description(head: bytes) -> str:
    """The name of the kind of a file that starts with `head`."""
    kind = kind_of(head)
    return kind.name if kind else "a file of unknown kind"


def advice(head: bytes) -> str:
    """` (what to do)` with a file that starts with `head`, when another kind was expected; or nothing."""
    kind = kind_of(head)
    return f" ({kind.hint})" if kind and kind.hint else ""


def refuse_other_kinds(source: Source, expected: str, reader: str = "") -> None:
    """Raise WrongKindError when a file is certainly of a kind that `reader` does not read.

    For files that have no mark of their own: a text, an empty file and a file of unknown kind are let through.
    """
    refuse_folder(source, expected)
    head = source.head(HEAD)
    kind = kind_of(head) if head else None
    if kind is not None and kind.name != TEXT and (not reader or kind.reader != reader):
        problem = f"wrong kind of file{advice(head)}"
        raise WrongKindError(problem, Location(source.path), expected=expected, actual=kind.name)


def plausible(artifact: A) -> A:
    """An artifact that was not opened by its first bytes, unless they are certainly those of another kind."""
    refuse_other_kinds(artifact.source, artifact.kind, _reader_of(type(artifact)))
    return artifact


def refuse_folder(source: Source, expected: str) -> None:
    """Raise UnreadableError for a folder where a file is expected."""
    if os.path.isdir(source.path):
        problem = "is a directory (name a file in it; `kinspect check` takes whole folders)"
        raise UnreadableError(problem, Location(source.path), expected=expected)


@overload
def open_artifact(path: Source | str | os.PathLike[str]) -> Artifact: ...
@overload
def open_artifact(path: Source | str | os.PathLike[str], kind: type[A]) -> A: ...
def open_artifact(path: Source | str | os.PathLike[str], kind: type[Artifact] | None = None) -> Artifact:
    """The artifact in a file, by its first bytes; a folder is a tree of modules.

    A compressed file or a zboot image is unpacked in memory: the artifact is the innermost one, and `layers` lists
    what it was unpacked from. With a `kind`, such as `kinspect.Image`, it must be of that class.

    Raises UnreadableError; MalformedError for an empty file; WrongKindError when kinspect does not read such files or
    the artifact is of another kind; and as `Wrapping.unpacked` does.
    """
    return _innermost(path, None) if kind is None else open_as(kind, path)


def open_as(kind: type[A], path: Artifact | Source | str | os.PathLike[str]) -> A:
    """The artifact in a file, which must be of one kind. Otherwise WrongKindError says what it is and what to do."""
    found = path if isinstance(path, Artifact) else _innermost(path, kind)
    if isinstance(found, kind):
        return found
    hint = f" ({found.hint})" if found.hint else ""
    raise WrongKindError(
        f"wrong kind of file{hint}",
        Location(found.path),
        expected=kind.kind,
        actual=_name_of(type(found)) + wrapping_suffix(found.layers),
    )


def _innermost(path: Source | str | os.PathLike[str], kind: type[Artifact] | None) -> Artifact:
    source = path if isinstance(path, Source) else Source(path)
    if os.path.isdir(source.path) and (kind is None or _reader_of(kind) == FOLDER.reader):
        return FOLDER.read(source)
    refuse_folder(source, kind.kind if kind else "a file")
    head = source.head(HEAD)
    if not head:
        raise MalformedError("empty file", Location(source.path))
    found = kind_of(head)
    if found is None or not found.reader:
        name, hint = description(head), advice(head)
        if kind:
            raise kind.refusal(source, name, hint)
        raise WrongKindError(f"unsupported kind of file{hint}", Location(source.path), actual=name)
    artifact = found.open(source, kind)
    for _ in range(MOST_LAYERS):
        # A container of a boot loader may be what is asked for.
        if (kind and isinstance(artifact, kind)) or artifact.inside is None:
            return artifact
        artifact = artifact.inside
    if artifact.inside is not None:
        problem = "too many nested wrappings"
        raise UnsupportedError(problem, artifact.at(), expected=f"at most {MOST_LAYERS}", actual="more")
    return artifact


def _reader_of(artifact: type[Artifact]) -> str:
    return f"{artifact.__module__.removeprefix('kinspect.artifacts.')}:{artifact.__name__}"


def _name_of(artifact: type[Artifact]) -> str:
    return next((kind.name for kind in KINDS if kind.reader == _reader_of(artifact)), artifact.kind)
