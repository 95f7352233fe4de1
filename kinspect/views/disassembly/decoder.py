"""Machine instructions as assembly text, by the library `capstone`, the extra `kinspect[disasm]`.

Without the library, instructions are shown as their words.
"""

from collections.abc import Iterable
from functools import cache
from struct import pack
from typing import Any

EXTRA = "kinspect[disasm]"


@cache  # an import that fails searches every folder of sys.path again
def can_disassemble() -> bool:
    """Whether the library is installed."""
    try:
        import capstone  # noqa: F401
    except ImportError:
        return False
    return True


class Decoder:
    """A64 instructions as text. Raises ImportError without the library."""

    def __init__(self) -> None:
        from capstone import CS_ARCH_ARM64, CS_MODE_ARM, Cs

        self._capstone: Any = Cs(CS_ARCH_ARM64, CS_MODE_ARM)

    def decoded(self, word: int, at: int = 0) -> tuple[str, str]:
        """The mnemonic and the operands of an instruction at an address; `.inst` and the word if there is none."""
        for _, _, mnemonic, operands in self._capstone.disasm_lite(pack("<I", word), at, 1):
            return mnemonic, operands
        return ".inst", f"{word:#010x}"


def readable_words(words: Iterable[int | None]) -> tuple[str, ...]:
    """Words as they are shown without the library."""
    return tuple("" if word is None else f".inst {word:#010x}" for word in words)
