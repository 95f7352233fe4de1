"""Modules for the load tests, made for a real kernel: our own assembly, and real ones with a fault in them.

None of ours has an init function, and none of the real ones that are changed: nothing of them ever runs.
"""

import subprocess
import tempfile
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import NamedTuple

from kinspect.artifacts.compression.streams import decompressed
from kinspect.schemas.module import SIGNATURE_MARKER, ModuleSignature
from kinspect.schemas.record import parse, size_of
from kinspect.source import Source
from kinspect.views.loader.kernel import TargetKernel
from tests.toy_module import assembled, signed

TRAMPOLINES = """
    .section .plt, "ax"
    .byte 0
    .section .init.plt, "a"
    .byte 0
    .section .text.ftrace_trampoline, "ax"
    .byte 0
    .section .init.text.ftrace_trampoline, "a"
    .byte 0
"""
"""What the kernel fills itself: scripts/module.lds.S of arm64 puts them into every module."""

LARGE_STRUCT = 2048
"""Bytes of struct module for a kernel that does not say how many it has (no BTF): more than any."""


class Given(NamedTuple):
    """An export of a module of ours."""

    name: str
    gpl: bool = False
    crc: int = 0x12345678
    space: str = ""


def text(
    kernel: TargetKernel,
    name: str = "toy",
    *,
    needs: Iterable[str] = (),
    weak: Iterable[str] = (),
    exports: Iterable[Given] = (),
    versions: Mapping[str, int] | None = None,
    more: str = "",
    trampolines: str = TRAMPOLINES,
    this_module: str | None = None,
    **info: str | tuple[str, ...] | None,
) -> str:
    """The assembly of a module that loads; whatever is given makes it another one.

    `versions` are CRCs beside those of the kernel, or instead of them; `info` replaces pairs of .modinfo, None drops.
    """
    needs, weak, exports = tuple(needs), tuple(weak), tuple(exports)
    told: dict[str, str | tuple[str, ...] | None] = {
        "license": "GPL", "intree": "Y", "name": name, "vermagic": kernel.vermagic, **info,
    }  # fmt: skip
    parts = [f'    .section .gnu.linkonce.this_module, "aw"\n    .balign 64\n    .zero 24\n    .asciz "{name}"\n']
    parts[0] += f"    .zero {kernel.struct_size or LARGE_STRUCT} - 24 - {len(name) + 1}\n"
    if this_module is not None:
        parts[0] = this_module
    parts += ['    .section .modinfo, "a"\n']
    for key, values in told.items():
        for value in (values,) if isinstance(values, str) else values or ():
            parts.append(f'    .asciz "{key}={value}"\n')
    parts.append("    .data\n")
    parts += [f"    .weak {one}\n" for one in weak]
    parts += [f"    .quad {one}\n" for one in (*needs, *weak)]
    if kernel.modversions:
        crcs = {one: kernel.exports[one].crc for one in ("module_layout", *needs, *weak) if one in kernel.exports}
        parts.append('    .section __versions, "a"\n')
        for one, crc in {**crcs, **(versions or {})}.items():
            parts.append(f'    .quad {crc or 0:#x}\n    .asciz "{one}"\n    .zero {55 - len(one)}\n')
    # The kernel looks exports up by bisection.
    parts += [exported(kernel, one) for one in sorted(exports)]
    return "".join(parts) + trampolines + more


def exported(kernel: TargetKernel, one: Given) -> str:
    """The assembly of an export, in the tables that a kernel has."""
    table = "__ksymtab" if kernel.export_flags or not one.gpl else "__ksymtab_gpl"
    parts = f"""
    .section __ksymtab_strings, "aMS", %progbits, 1
__kstrtab_{one.name}: .asciz "{one.name}"
__kstrtabns_{one.name}: .asciz "{one.space}"
    .text
{one.name}: ret
    .section {table}, "a"
    .balign 4
__ksymtab_{one.name}: .long {one.name} - ., __kstrtab_{one.name} - ., __kstrtabns_{one.name} - .
"""
    if kernel.modversions:
        parts += f'    .section {table.replace("ksymtab", "kcrctab")}, "a"\n    .long {one.crc:#x}\n'
    if kernel.export_flags:
        parts += f'    .section __kflagstab, "a"\n    .byte {int(one.gpl)}\n'
    return parts


def toy(kernel: TargetKernel, name: str = "toy", **given: object) -> bytes:
    """A module of ours. Its arguments are those of `text`."""
    return assembled(text(kernel, name, **given))  # type: ignore[arg-type]


@cache
def real(folder: Path, name: str) -> bytes:
    """A real module, decompressed, by its file's name without extensions."""
    path = next(path for path in folder.rglob(f"{name}.ko*"))
    return decompressed(Source(path), 64 << 20)


def unsigned(data: bytes) -> bytes:
    """A module without its signature."""
    if not data.endswith(SIGNATURE_MARKER):
        return data
    end = len(data) - len(SIGNATURE_MARKER) - size_of(ModuleSignature)
    return data[: end - parse(ModuleSignature, data[end:]).sig_len]


def openssl(*words: str, data: bytes = b"") -> bytes:
    """What openssl prints."""
    return subprocess.run(["openssl", *words], input=data, capture_output=True, check=True).stdout


class Key(NamedTuple):
    """A key and its certificate, as files."""

    key: Path
    certificate: Path


def new_key(folder: Path, name: str, kind: str = "rsa:2048", *words: str) -> Key:
    """A key of our own with a certificate that it signs itself; `kind` is `rsa:BITS` or a curve."""
    found = Key(folder / f"{name}.key", folder / f"{name}.pem")
    made = ["-newkey", kind] if ":" in kind else ["-newkey", "ec", "-pkeyopt", f"ec_paramgen_curve:{kind}"]
    files = ["-keyout", str(found.key), "-out", str(found.certificate)]
    openssl("req", "-x509", *made, "-nodes", "-days", "3650", "-subj", f"/CN={name}", *files, *words)
    return found


def signed_by(key: Key, data: bytes, hashed: str = "sha256", *words: str) -> bytes:
    """A module signed as scripts/sign-file.c does it: no certificates, no attributes, by issuer and serial number."""
    with tempfile.TemporaryDirectory() as place:
        path = Path(place) / "data"
        path.write_bytes(data)
        message = openssl(
            "cms", "-sign", "-binary", "-noattr", "-nosmimecap", "-md", hashed, "-outform", "DER", "-in", str(path),
            "-signer", str(key.certificate), "-inkey", str(key.key), *(words or ("-nocerts",)),
        )  # fmt: skip
    return with_message(data, message)


def with_message(data: bytes, message: bytes, **fields: int) -> bytes:
    """A module with a signature behind it, whatever that is."""
    return signed(data, message, **fields)
