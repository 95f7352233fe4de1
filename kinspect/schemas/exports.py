"""Exported symbols, as vmlinux and the Image hold them.

Each table is sorted by name: the kernel searches it by bisection.
"""

from typing import NamedTuple

from kinspect.schemas.record import S32, U8, U32

FLAG_GPL = 1


class KernelSymbol(NamedTuple):
    """One row of `__ksymtab` or `__ksymtab_gpl`: places relative to the address of each field itself (PREL32).

    Since 5.4; `name` and `namespace` point into `__ksymtab_strings`, and a namespace of 0 is none.
    Source: include/linux/export-internal.h; kernel/module/internal.h, struct kernel_symbol.
    """

    value: S32
    name: S32
    namespace: S32


class Crc(NamedTuple):
    """One row of `__kcrctab` or `__kcrctab_gpl`: the version of the symbol with the same index.

    Source: include/linux/export-internal.h, SYMBOL_CRC.
    """

    crc: U32


class SymbolFlags(NamedTuple):
    """One row of `__kflagstab`, with which one `__ksymtab` serves all licences: bit 0 is GPL.

    Source: include/linux/export-internal.h.
    """

    flags: U8
