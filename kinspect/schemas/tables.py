"""Tables that the kernel's linker script collects in vmlinux. A "relative" field is an offset from its own address."""

from typing import Annotated, NamedTuple

from kinspect.schemas.record import S8, S16, S32, U8, U16, U32, U64, Raw

BTF_MAGIC = 0xEB9F


class ExceptionTableEntry(NamedTuple):
    """One row of `__ex_table`: an instruction that may fault, and where to continue when it does.

    Source: arch/arm64/include/asm/extable.h, struct exception_table_entry.
    """

    insn: S32  # relative
    fixup: S32  # relative
    type: S16
    data: S16


class ExceptionTableEntryUntyped(NamedTuple):
    """One row of `__ex_table` before 5.16. Source: as ExceptionTableEntry, of those kernels."""

    insn: S32  # relative
    fixup: S32  # relative


class AltInstruction(NamedTuple):
    """One row of `.altinstructions`: code that is replaced at boot on processors with a capability.

    Source: arch/arm64/include/asm/alternative.h, struct alt_instr.
    """

    orig_offset: S32  # relative
    alt_offset: S32  # relative
    cpucap: U16
    orig_len: U8
    alt_len: U8


class BugEntry(NamedTuple):
    """One row of `__bug_table` with CONFIG_DEBUG_BUGVERBOSE: a BUG() or WARN() and its source line.

    Source: include/asm-generic/bug.h, struct bug_entry; arch/arm64/include/asm/asm-bug.h.
    """

    bug_addr_disp: S32  # relative
    file_disp: S32  # relative
    line: U16
    flags: U16


class BugEntryTerse(NamedTuple):
    """One row of `__bug_table` without CONFIG_DEBUG_BUGVERBOSE. Source: as BugEntry."""

    bug_addr_disp: S32  # relative
    flags: U16
    padding: U16


class KernelParam(NamedTuple):
    """One row of `__param`: a parameter on the kernel's command line.

    In a relocatable kernel the pointers are zero in the file; `.rela.dyn` has their values.
    Source: include/linux/moduleparam.h, struct kernel_param.
    """

    name: U64
    mod: U64
    ops: U64
    perm: U16
    level: S8
    flags: U8
    padding: Annotated[bytes, Raw(4)]
    arg: U64


class BtfHeader(NamedTuple):
    """The header of `.BTF`; offsets count from its end. Source: include/uapi/linux/btf.h, struct btf_header."""

    magic: U16
    version: U8
    flags: U8
    hdr_len: U32
    type_off: U32
    type_len: U32
    str_off: U32
    str_len: U32
