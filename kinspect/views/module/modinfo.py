"""What modinfo prints of a module, to the byte. Source: kmod 30, tools/modinfo.c and libkmod."""

import os
from collections.abc import Iterable, Iterator

from kinspect.artifacts.module.ko import Module
from kinspect.artifacts.module.signature import ID_TYPES, OLD_ALGORITHMS, OLD_HASHES, Trailer, old_names
from kinspect.errors import MalformedError
from kinspect.schemas.module import PKCS7

Pair = tuple[str, str]
SHORT_FIELDS = {"-a": "author", "-d": "description", "-l": "license", "-p": "parm", "-n": "filename"}
"""The fields that modinfo has an option of one letter for."""
_PARAMETERS = ("parm", "parmtype")
_BYTES_IN_A_LINE = 20


def modinfo(module: Module, field: str | None = None, null: bool = False) -> Iterator[str]:
    """What modinfo prints, a value at a time, each with the newline (or NUL) that ends it.

    `field` prints the values of one key alone, as -F does; `null` is -0. Bytes that are no UTF-8 come as surrogates, so
    that encoding with surrogateescape gives what the file has. As there, the file name comes before what may fail.
    Raises KinspectError for what modinfo has an error message for.
    """
    end = "\0" if null else "\n"
    # Where there is no file at all not even its name is told.
    module.source.head(1)
    if field in (None, "filename"):
        yield ("" if field else "filename:       ") + _absolute(module.path) + end
    if field != "filename":
        found = pairs(module)
        told = _all_lines(found, null) if field is None else _values(found, field)
        for line in told:
            yield line + end


def pairs(module: Module) -> tuple[Pair, ...]:
    """The keys and values that modinfo knows: those of `.modinfo`, then those of the signature."""
    if b".modinfo" not in module.sections:
        raise MalformedError("no information about the module", module.at(".modinfo"), expected="a section .modinfo")
    # Where one byte alone is not NUL, libkmod sees nothing.
    told = len(module.section(b".modinfo").lstrip(b"\0")) > 1
    return (module.modinfo if told else ()) + _signature(module)


def _values(found: Iterable[Pair], field: str) -> Iterator[str]:
    if field == "parm":
        for name, text, kind in _parameters(found):
            yield f"{name}: ({kind})" if text is None else f"{name}:{text}{_in_brackets(kind)}"
    else:
        yield from (value for key, value in found if key == field)


def _all_lines(found: tuple[Pair, ...], null: bool) -> Iterator[str]:
    for key, value in found:
        if key in _PARAMETERS:
            continue
        # As printf has it, a negative width pads on the other side of nothing: as many blanks.
        yield f"{key}={value}" if null else f"{key}:{' ' * abs(15 - _size(key))}{value}"
    for name, text, kind in _parameters(found):
        told = f"{name}:{kind}" if text is None else f"{name}:{text}{_in_brackets(kind)}"
        yield f"parm:           {told}"


def _in_brackets(kind: str | None) -> str:
    return "" if kind is None else f" ({kind})"


def _parameters(found: Iterable[Pair]) -> Iterator[tuple[str, str | None, str | None]]:
    """Name, description and type of each parameter, the last one first, as modinfo links them."""
    merged: dict[str, tuple[str | None, str | None]] = {}
    for key, value in found:
        name, colon, text = value.partition(":")
        if key in _PARAMETERS and colon:
            before = merged.get(name, (None, None))
            merged[name] = (text, before[1]) if key == "parm" else (before[0], text)
    yield from ((name, *merged[name]) for name in reversed(merged))


def _signature(module: Module) -> tuple[Pair, ...]:
    """What modinfo tells of the signature: nothing of one that it cannot read, or whose key it cannot name."""
    found = module.trailer
    if found is None:
        return ()
    info = found.info
    names = info.sig_len + info.signer_len + info.key_id_len
    known = info.algo < len(OLD_ALGORITHMS) and info.hash < len(OLD_HASHES) and info.id_type < len(ID_TYPES)
    if not known or not info.sig_len or names > found.offset:
        return ()
    told = _of_message(module, found) if info.id_type == PKCS7 else _of_trailer(module, found)
    if told is None:
        return ()
    signer, key, hashed, signature = told
    return (
        ("sig_id", ID_TYPES[info.id_type]),
        ("signer", signer.split(b"\0", 1)[0].decode("utf-8", "surrogateescape")),
        ("sig_key", in_hex(key)),
        ("sig_hashalgo", hashed),
        ("signature", in_hex(signature)),
    )


def _of_message(module: Module, found: Trailer) -> tuple[bytes, bytes, str, bytes] | None:
    try:
        told = module.signed_message(found)
    except MalformedError:
        return None
    if told.key_id is not None or told.hash not in OLD_HASHES:
        return None
    return told.issuer, told.serial, told.hash, told.signature


def _of_trailer(module: Module, found: Trailer) -> tuple[bytes, bytes, str, bytes]:
    signer, key = old_names(module.data, found)
    return signer, key, OLD_HASHES[found.info.hash], module.data[found.start : found.offset]


def in_hex(data: bytes) -> str:
    """Bytes as modinfo writes them, 20 in a line: `01:AB:...`, then a newline and two tabs."""
    lines = (data[start : start + _BYTES_IN_A_LINE] for start in range(0, len(data), _BYTES_IN_A_LINE))
    return ":\n\t\t".join(line.hex(":").upper() for line in lines)


def _size(key: str) -> int:
    return len(key) if key.isascii() else len(key.encode("utf-8", "surrogateescape"))


def _absolute(path: str) -> str:
    """The path below the current folder as the shell calls it, which may lead through symbolic links."""
    if os.path.isabs(path):
        return path
    folder = os.environ.get("PWD", "")
    if not os.path.isabs(folder) or not os.path.exists(folder) or not os.path.samefile(folder, "."):
        folder = os.getcwd()
    return f"{folder}/{path}"
