"""Names of symbols as they are compared: without the numbers and hashes that compilers and linkers put into them."""

import re

_NUMBERS = re.compile(r"\.(?:llvm\.\w+|lto_priv\.\d+|cfi_jt|\d+)")
_COUNTED = ("__UNIQUE_ID_", "__initcall__kmod_", "__addressable_", "___addressable_", "__exitcall_", "__BTF_ID__")
_DIGITS = re.compile(r"\d+")
_CLONE = re.compile(r"\.(?:isra|constprop|llvm|lto_priv|cfi)\b.*")
_LINKER = re.compile(
    r"__AArch64(?:ADRP|AbsLong|AbsXO|BTI|Long)\w*?Thunk_|__CortexA53843419_|__(?:erratum_\d+_veneer_|bti_veneer)|_+\w*_(?:bti_)?veneer$|e8\d+@"
)
_PARTS = ("@", "eneer", "Thunk_", "_CortexA53")
_DATA_IN_CODE = re.compile(r"(?:__pi_|__efistub_|__kvm_nvhe_)+(?:\$d(?:\..*)?|_text)")
"""A mapping symbol of data in an object whose symbols got a prefix, and the start of the Image there."""
_BOUNDARY = re.compile(
    r"_text|_[se](?:init)?text|__init_(?:begin|end)|__(?:init|exit)text_(?:begin|end)|__\w+text_(?:start|end|begin)"
    r"|__kvm_nvhe__{1,2}(?:start|stop|end|hyp)_\w+|__relocate_new_kernel_(?:start|end)|__nosave_(?:begin|end)"
    r"|(?:idmap|swapper|reserved|tramp|init)(?:_idmap)?_pg_dir|__efi_fpsimd_end|__(?:start|stop|end)_\w+"
)


def compared_name(name: str) -> str:
    """A name without the numbers of clones and static variables: `f.isra.1` as `f.isra`, `f.llvm.123` as `f`."""
    if "." in name:
        name = _NUMBERS.sub("", name)
    return _DIGITS.sub("", name) if name.startswith(_COUNTED) else name


def source_name(name: str) -> str:
    """The name of the function that the compiler made a clone of."""
    return _CLONE.sub("", name)


def is_of_linker(name: str) -> bool:
    """Whether the linker made it: a veneer to reach a distant function or to avoid an erratum of the Cortex-A53."""
    return ("@" in name or "eneer" in name or "Thunk_" in name or "_CortexA53" in name) and _LINKER.match(
        name
    ) is not None


def is_boundary(name: str) -> bool:
    """Whether it marks where a part of the kernel begins or ends, and nothing of its own."""
    if "$d" in name or name == "__efistub__text":
        return _DATA_IN_CODE.fullmatch(name) is not None
    return name[0] in "_isrt" and _BOUNDARY.fullmatch(name) is not None
