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
    """What modinfo prints, value by value, each with the newline (or NUL) that ends it.

    `field` selects the values of one key, as -F does; `null` is -0. Bytes that are not UTF-8 become surrogates, which
    surrogateescape encodes as in the file. As with modinfo, the file name is printed before an error.
    Raises KinspectError where modinfo prints an error message.
    """
    end = "\0" if null else "\n"
    # modinfo does not print the name of a file that does not exist.
    module.source.head(1)
    if field in (None, "filename"):
        yield ("" if field else "filename:       ") + _absolute(module.path) + end
    if field != "filename":
        found = pairs(module)
        for line in _all_lines(found, null) if field is None else _values(found, field):
            yield line + end


def pairs(module: Module) -> tuple[Pair, ...]:
    """The keys and values that modinfo prints: those of `.modinfo`, then those of the signature."""
    if b".modinfo" not in module.sections:
        raise MalformedError("no information about the module", module.at(".modinfo"), expected="a section .modinfo")
    # libkmod ignores a section with a single byte that is not NUL.
    readable = len(module.section(b".modinfo").lstrip(b"\0")) > 1
    return (module.modinfo if readable else ()) + _signature(module)


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
        # printf pads an empty string to a negative width as well, on the other side: hence abs.
        yield f"{key}={value}" if null else f"{key}:{' ' * abs(15 - _size(key))}{value}"
    for name, text, kind in _parameters(found):
        value = f"{name}:{kind}" if text is None else f"{name}:{text}{_in_brackets(kind)}"
        yield f"parm:           {value}"


def _in_brackets(kind: str | None) -> str:
    return "" if kind is None else f" ({kind})"


def _parameters(found: Iterable[Pair]) -> Iterator[tuple[str, str | None, str | None]]:
    """Name, description and type of each parameter, the last one first, as in modinfo's linked list."""
    merged: dict[str, tuple[str | None, str | None]] = {}
    for key, value in found:
        name, colon, text = value.partition(":")
        if key in _PARAMETERS and colon:
            before = merged.get(name, (None, None))
            merged[name] = (text, before[1]) if key == "parm" else (before[0], text)
    yield from ((name, *merged[name]) for name in reversed(merged))


def _signature(module: Module) -> tuple[Pair, ...]:
    """What modinfo prints of the signature; nothing if it cannot parse it or name its key."""
    found = module.trailer
    if found is None:
        return ()
    info = found.info
    names = info.sig_len + info.signer_len + info.key_id_len
    known = info.algo < len(OLD_ALGORITHMS) and info.hash < len(OLD_HASHES) and info.id_type < len(ID_TYPES)
    if not known or not info.sig_len or names > found.offset:
        return ()
    parts = _of_message(module, found) if info.id_type == PKCS7 else _of_trailer(module, found)
    if parts is None:
        return ()
    signer, key, hashed, signature = parts
    return (
        ("sig_id", ID_TYPES[info.id_type]),
        ("signer", signer.split(b"\0", 1)[0].decode("utf-8", "surrogateescape")),
        ("sig_key", in_hex(key)),
        ("sig_hashalgo", hashed),
        ("signature", in_hex(signature)),
    )


def _of_message(module: Module, found: Trailer) -> tuple[bytes, bytes, str, bytes] | None:
    """Signer, serial number, hash and signature of a PKCS#7 message."""
    try:
        signed = module.signed_message(found)
    except MalformedError:
        return None
    if signed.key_id is not None or signed.hash not in OLD_HASHES:
        return None
    return signed.issuer, signed.serial, signed.hash, signed.signature


def _of_trailer(module: Module, found: Trailer) -> tuple[bytes, bytes, str, bytes]:
    signer, key = old_names(module.data, found)
    return signer, key, OLD_HASHES[found.info.hash], module.data[found.start : found.offset]


def in_hex(data: bytes) -> str:
    """Bytes as modinfo prints them, 20 per line: `01:AB:...`, then a newline and two tabs."""
    lines = (data[start : start + _BYTES_IN_A_LINE] for start in range(0, len(data), _BYTES_IN_A_LINE))
    return ":\n\t\t".join(line.hex(":").upper() for line in lines)


def _size(key: str) -> int:
    return len(key) if key.isascii() else len(key.encode("utf-8", "surrogateescape"))


def _absolute(path: str) -> str:
    """The absolute path, relative paths below the shell's name of the current folder, which may contain symlinks."""
    if os.path.isabs(path):
        return path
    folder = os.environ.get("PWD", "")
    if not os.path.isabs(folder) or not os.path.exists(folder) or not os.path.samefile(folder, "."):
        folder = os.getcwd()
    return f"{folder}/{path}"
