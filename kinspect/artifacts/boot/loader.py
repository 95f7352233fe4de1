"""What a boot loader does with a kernel."""

from typing import Literal, NamedTuple


class LoaderVerdict(NamedTuple):
    """Whether a loader takes a kernel: `yes`; `if` the condition in `note` holds; `no`, and `note` says why."""

    loader: str
    takes: Literal["yes", "if", "no"]
    note: str = ""
