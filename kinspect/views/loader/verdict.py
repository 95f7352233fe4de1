"""Verdicts: what the kernel would do with a module."""

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
"""The taints of a module, in the order of their letters in /sys/module/NAME/taint.

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
    """What the kernel would do with a module; UNKNOWN when the files do not decide it.

    CRASHES: the kernel reads or writes memory that is not the module's, without a test: it oopses, or runs on damaged.
    """

    LOADS = "loads"
    REFUSED = "refused"
    CRASHES = "crashes"
    UNKNOWN = "unknown"


class Refusal(NamedTuple):
    """The errno of finit_module(), and the lines of the kernel's log that say why."""

    errno: int
    log_lines: tuple[str, ...] = ()


class Unknown(NamedTuple):
    """The files do not decide what the kernel would do; `why` says what is missing."""

    why: str


class Crash(NamedTuple):
    """The kernel crashes, or damages its memory: `why` says where."""

    why: str


Result = Refusal | Crash | Unknown | None
"""The result of one of the kernel's tests; None when the module passes."""


class SymbolFault(NamedTuple):
    """A symbol for which a module is refused: a short reason, and the module that exports it, or `kernel`."""

    symbol: str
    fault: str
    owner: str = ""


class Signer(NamedTuple):
    """The signer of a module; `verified` is the result of the verification, in a few words."""

    name: str
    key: str
    algorithm: str
    verified: str


class Verdict(NamedTuple):
    """What the kernel would do with a module.

    `errno` is that of finit_module() when the outcome is REFUSED, else 0. `log_lines` are all lines of the kernel's log
    about the module, in their order. `taints` are letters of TAINTS. `symbols` are those that do not resolve, or whose
    version disagrees. `why` says what is missing when the outcome is UNKNOWN, and what goes wrong when it is CRASHES.
    """

    path: str
    name: str
    outcome: Outcome
    errno: int = 0
    log_lines: tuple[str, ...] = ()
    taints: str = ""
    symbols: tuple[SymbolFault, ...] = ()
    why: str = ""
    signer: Signer | None = None

    @property
    def loads(self) -> bool:
        """Whether the module is known to load."""
        return self.outcome is Outcome.LOADS


def listed(name: str, namespace: str) -> bool:
    """Whether a namespace `module:a,b-*` lists a module: a final `*` matches anything, `-` and `_` are the same.

    Source: kernel/module/main.c, verify_module_namespace().
    """
    if not namespace.startswith(MODULE_NAMESPACE) or namespace == MODULE_NAMESPACE:
        return False
    name = name.replace("-", "_")
    for pattern in namespace.removeprefix(MODULE_NAMESPACE).replace("-", "_").split(","):
        if name == pattern or (pattern.endswith("*") and name.startswith(pattern[:-1])):
            return True
    return False
