"""A kernel that is compared with another, as a listing of its functions needs it."""

from collections.abc import Mapping

from kinspect.views.changes.bodies import replaced, through_veneers
from kinspect.views.changes.names import is_boundary
from kinspect.views.changes.side import KernelSide
from kinspect.views.changes.targets import text_at

_SHORTEST = 3
"""Characters of a text in data that has a name."""


class SideCode:
    """The code of one kernel."""

    def __init__(self, side: KernelSide) -> None:
        self._side = side

    @property
    def words(self) -> memoryview:
        """The instructions."""
        return self._side.words

    @property
    def names(self) -> Mapping[int, str]:
        """The symbols by offset."""
        return self._side.names

    def symbol_at(self, offset: int) -> str:
        """The symbol that holds an offset, with the place in it; empty if there is none."""
        start = self._side.owner(offset)
        return "" if start is None or is_boundary(self._side.names.get(start, "_")) else self._side.symbol_at(offset)

    def text_at(self, offset: int) -> str | None:
        """The string at an offset outside of code, if there is one."""
        if offset < self._side.code_end or self._side.data[offset - 1 : offset] != b"\0":
            return None
        text = text_at(self._side.data, offset)
        # A short one in data with a name may be a number.
        if not text or (len(text) < _SHORTEST and self.symbol_at(offset)):
            return None
        return text.decode("utf-8", "backslashreplace")

    def target_of(self, offset: int) -> int:
        """Where a branch to an offset ends up, which may go to a veneer of the linker."""
        return through_veneers(self._side, offset)

    def replaced(self, start: int, lane: int) -> int | None:
        """The instruction that a branch stands for, if the linker moved it into a veneer."""
        return replaced(self._side, start, lane)
