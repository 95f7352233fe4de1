"""Structures of a loadable module (.ko) other than ELF's."""

from typing import Annotated, NamedTuple

from kinspect.schemas.record import U8, U32, U64, Raw

SIGNATURE_MARKER = b"~Module signature appended~\n"
PKCS7 = 2


class ModversionInfo(NamedTuple):
    """One row of `__versions`: the CRC of a symbol that the module needs. Longer names are in `__version_ext_names`.

    Source: include/linux/module.h, struct modversion_info.
    """

    crc: U64
    name: Annotated[bytes, Raw(56)]  # NUL-padded


class ModuleSignature(NamedTuple):
    """The 12 bytes between the signature appended to a module and the marker that ends the file.

    Source: include/linux/module_signature.h, struct module_signature.
    """

    algo: U8
    hash: U8
    id_type: U8
    signer_len: U8
    key_id_len: U8
    padding: Annotated[bytes, Raw(3)]
    sig_len_bytes: Annotated[bytes, Raw(4)]

    @property
    def sig_len(self) -> int:
        """The size of the signature in bytes; the only big-endian number in a module."""
        return int.from_bytes(self.sig_len_bytes, "big")


class ThisModule(NamedTuple):
    """The start of `.gnu.linkonce.this_module`; the rest depends on the kernel's configuration.

    Source: include/linux/module.h, struct module.
    """

    state: U32
    padding: U32
    list_next: U64
    list_prev: U64
    name: Annotated[bytes, Raw(56)]  # NUL-padded
