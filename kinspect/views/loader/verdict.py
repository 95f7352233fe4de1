"""What the kernel would say of a module: the words of a verdict."""

from enum import StrEnum
from typing import NamedTuple

TAINTS = {
    "P": "proprietary",
    "F": "forced",
    "C": "staging",
    "O": "out of tree",
    "E": "unsigned",
    "K": "livepatch",
    "N": "test",
}
"""The taints of a module, in the order in which /sys/module/NAME/taint has their letters.

Source: kernel/panic.c, taint_flags.
"""


GPL_COMPATIBLE = (
    "GPL",
    "GPL v2",
    "GPL and additional rights",
    "Dual BSD/GPL",
    "Dual MIT/GPL",
    "Dual MPL/GPL",
)
"""Source: include/linux/license.h, license_is_gpl_compatible()."""
MODULE_NAMESPACE = "module:"


class Outcome(StrEnum):
    """What would become of a module."""

    LOADS = "loads"
    REFUSED = "refused"
    UNKNOWN = "unknown"


class Refusal(NamedTuple):
    """The errno that finit_module() gives, and the lines of the kernel's log that tell why."""

    errno: int
    words: tuple[str, ...] = ()


class Unknown(NamedTuple):
    """What the files do not tell."""

    why: str


Result = Refusal | Unknown | None
"""What a test of the kernel says; None when the module passed it."""


class SymbolFault(NamedTuple):
    """A symbol for which the module is refused: what is wrong, in a few words, and who has it."""

    symbol: str
    fault: str
    owner: str = ""


class Signer(NamedTuple):
    """Who signed a module, and whether that was verified: `verified` says how it went, in a few words."""

    name: str
    key: str
    algorithm: str
    verified: str


class Verdict(NamedTuple):
    """What the kernel would say of a module. `errno` is 0 unless it is refused; `taints` are letters of TAINTS.

    `words` are all lines of the kernel's log about it, in their order. `why` says what is not known.
    `symbols` are those that are not resolved, or disagree.
    """

    path: str
    name: str
    outcome: Outcome
    errno: int = 0
    words: tuple[str, ...] = ()
    taints: str = ""
    symbols: tuple[SymbolFault, ...] = ()
    why: str = ""
    signer: Signer | None = None

    @property
    def loads(self) -> bool:
        """Whether it is known that the module loads."""
        return self.outcome is Outcome.LOADS


def listed(name: str, namespace: str) -> bool:
    """Whether a namespace `module:a,b-*` has a module: a last `*` stands for anything, `-` is `_`.

    Source: kernel/module/main.c, verify_module_namespace().
    """
    if not namespace.startswith(MODULE_NAMESPACE) or namespace == MODULE_NAMESPACE:
        return False
    name = name.replace("-", "_")
    for pattern in namespace.removeprefix(MODULE_NAMESPACE).replace("-", "_").split(","):
        if name == pattern or (pattern.endswith("*") and name.startswith(pattern[:-1])):
            return True
    return False
