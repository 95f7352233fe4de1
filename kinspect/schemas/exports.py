"""Exported symbols, as vmlinux and the Image hold them.

Each table is sorted by name: the kernel searches it by bisection.
"""

from typing import NamedTuple

from kinspect.schemas.record import S32, U8, U32, U64

FLAG_GPL = 1


class KernelSymbol(NamedTuple):
    """One row of `__ksymtab` or `__ksymtab_gpl`: offsets from the address of each field itself (PREL32).

    Since 5.4. `name` and `namespace` point into `__ksymtab_strings`; 0 stands for no namespace.
    Source: include/linux/export-internal.h; kernel/module/internal.h, struct kernel_symbol.
    """

    value: S32
    name: S32
    namespace: S32


class KernelSymbolUnnamespaced(NamedTuple):
    """One row of `__ksymtab` from 4.19 to 5.3, before there were namespaces: offsets as in KernelSymbol.

    Source: include/linux/export.h, struct kernel_symbol, with CONFIG_HAVE_ARCH_PREL32_RELOCATIONS.
    """

    value: S32
    name: S32


class KernelSymbolAbsolute(NamedTuple):
    """One row of `__ksymtab` before 4.19: pointers.

    In a relocatable kernel they are zero in the file; `.rela.dyn` has their values.
    Source: include/linux/export.h, struct kernel_symbol.
    """

    value: U64
    name: U64


class Crc(NamedTuple):
    """One row of `__kcrctab` or `__kcrctab_gpl`: the version of the symbol with the same index.

    Source: include/linux/export-internal.h, SYMBOL_CRC.
    """

    crc: U32


class SymbolFlags(NamedTuple):
    """One row of `__kflagstab`, which lets one `__ksymtab` hold exports of all licences. Bit 0: GPL only.

    Source: include/linux/export-internal.h.
    """

    flags: U8
