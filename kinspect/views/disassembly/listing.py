"""Functions as assembly, with what they refer to by name: `bl _printk`, `ldr w0, [x1, :lo12:jiffies]`."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple, Protocol

from kinspect.views.disassembly.decoder import Decoder
from kinspect.views.kernel.instructions import (
    BRANCH,
    CLASSES,
    PAGE,
    SHORT,
    ZERO,
    branch_target,
    low_bits,
    overwrites,
    page_target,
    short_target,
)

_REACH = 24
"""Instructions from an adrp to one that adds the low bits."""
_FARTHEST = 2048
"""Instructions back from one that may add the low bits."""
_ADRP = 0x9F000000, 0x90000000
_LAST = re.compile(r"#?(?:0x[0-9a-f]+|\d+)$")
_IMMEDIATE = re.compile(r"#(?:0x[0-9a-f]+|\d+)(, lsl #12)?")
_BASE = re.compile(r"\[(\w+)(?:, #(?:0x[0-9a-f]+|\d+))?\]")
_LONGEST = 40


class Code(Protocol):
    """What a listing needs of a kernel. Offsets count from `_text`."""

    @property
    def words(self) -> memoryview:
        """The instructions."""

    @property
    def names(self) -> Mapping[int, str]:
        """The symbols by offset."""

    def symbol_at(self, offset: int) -> str:
        """The symbol that holds an offset, with the place in it; empty if there is none."""

    def text_at(self, offset: int) -> str | None:
        """The string at an offset, if there is one."""

    def target_of(self, offset: int) -> int:
        """Where a branch to an offset ends up, which may go to a veneer of the linker."""

    def replaced(self, start: int, lane: int) -> int | None:
        """The instruction that a branch stands for, if the linker moved it into a veneer."""


class ListedInstruction(NamedTuple):
    """An instruction `offset` bytes after the start of its function, as text.

    `key` is what is compared: the text without targets that may move. `inside` is the offset of a target in the same
    function, `outside` that of another target without a name, from `_text`.
    """

    offset: int
    text: str
    key: str
    inside: int | None = None
    outside: int | None = None


class Listing:
    """The functions of a kernel as assembly."""

    def __init__(self, code: Code, decoder: Decoder) -> None:
        self.code, self._decoder = code, decoder

    def function(self, start: int, size: int) -> Iterator[ListedInstruction]:
        """All instructions of a function."""
        words = self.words(start, size)
        return (self.instruction(words, start, lane) for lane in range(len(words)))

    def words(self, start: int, size: int) -> list[int]:
        """The instructions of a function, those in place of which the linker branches to a veneer included."""
        words = self.code.words[start >> 2 : start + size >> 2].tolist()
        for lane, word in enumerate(words):
            if word >> 26 == 0x05:
                words[lane] = self.code.replaced(start, lane) or word
        return words

    def instruction_at(self, start: int, size: int, lane: int) -> ListedInstruction:
        """One instruction of a function."""
        words: Sequence[int] = self.code.words[start >> 2 : start + size >> 2]
        moved = self.code.replaced(start, lane) if words[lane] >> 26 == 0x05 else None
        if moved is not None:
            words = [*words[:lane], moved, *words[lane + 1 :]]
        return self.instruction(words, start, lane)

    def instruction(self, words: Sequence[int], start: int, lane: int) -> ListedInstruction:
        """One instruction of a function that starts at an offset and has these words."""
        word, at = words[lane], start + 4 * lane
        kind = CLASSES[word >> 24]
        mnemonic, operands = self._decoder.decoded(word, at)
        if kind in (BRANCH, SHORT):
            target = branch_target(word, at) if kind == BRANCH else short_target(word, at)
            return self._with_target(4 * lane, mnemonic, operands, start, (len(words), target))
        if kind == PAGE:
            target, known = self._page(words, start, lane)
            name, place = self._known(target) if known else ("", target)
            prefix = operands.partition(",")[0]
            shown = name or (f"_text+{target:#x}" if known else "...")
            return ListedInstruction(
                4 * lane, f"{mnemonic} {prefix}, {shown}", f"{mnemonic} {prefix}, {'' if place else name}", None,
                place if known else None,
            )  # fmt: skip
        target_of_low = self._low(words, start, lane)
        if target_of_low is not None:
            name, place = self._known(target_of_low)
            shown = f":lo12:{name or f'_text+{target_of_low:#x}'}"
            texts = [_with_low(operands, text) for text in (shown, ":lo12:" if place is not None else shown)]
            return ListedInstruction(4 * lane, f"{mnemonic} {texts[0]}", f"{mnemonic} {texts[1]}", None, place)
        text = f"{mnemonic} {operands}".rstrip()
        return ListedInstruction(4 * lane, text, text)

    def _with_target(
        self, offset: int, mnemonic: str, operands: str, start: int, place: tuple[int, int]
    ) -> ListedInstruction:
        """A branch."""
        size, target = 4 * place[0], place[1]
        before = f"{mnemonic} {_LAST.sub('', operands)}"
        if 0 < target - start < size or (target == start and not mnemonic.startswith("bl")):
            return ListedInstruction(offset, f"{before}<+{target - start:#x}>", before, target - start)
        target = self.code.target_of(target)
        name = self.code.names.get(target)
        if name is not None:
            return ListedInstruction(offset, before + name, before + name)
        return ListedInstruction(
            offset, before + (self.code.symbol_at(target) or f"_text+{target:#x}"), before, None, target
        )

    def _known(self, target: int) -> tuple[str, int | None]:
        """What is at an offset, and the offset itself if it has no name of its own: then it may have moved."""
        name = self.code.names.get(target)
        if name is not None:
            return name, None
        text = self.code.text_at(target)
        if text is not None:
            return f'"{_shown(text)}"', target if len(text) > _LONGEST else None
        return self.code.symbol_at(target), target

    def _page(self, words: Sequence[int], start: int, lane: int) -> tuple[int, bool]:
        """What an adrp refers to, from the first instruction that adds the low bits to it; that of an adr is known."""
        word = words[lane]
        page, register = page_target(word, start + 4 * lane), word & ZERO
        if not word >> 31:
            return page, True
        for at in range(lane + 1, min(lane + _REACH, len(words))):
            after = words[at]
            low = low_bits(after) if after >> 5 & ZERO == register else None
            if low is not None:
                return page + low, True
            if overwrites(after, register):
                break
        return page, False

    def _low(self, words: Sequence[int], start: int, lane: int) -> int | None:
        """The address that an instruction completes whose base register has a page from an adrp."""
        low, register = low_bits(words[lane]), words[lane] >> 5 & ZERO
        if low is None or register == ZERO:
            return None
        at = page_before(words, lane, register)
        return None if at is None else page_target(words[at], start + 4 * at) + low


def page_before(words: Sequence[int], lane: int, register: int) -> int | None:
    """The adrp before an instruction whose page is still in a register; None if something else is in it."""
    for at in range(lane - 1, max(-1, lane - 1 - _FARTHEST), -1):
        word = words[at]
        if word & _ADRP[0] == _ADRP[1] and word & ZERO == register:
            return at
        if overwrites(word, register):
            return None
    return None


def _with_low(operands: str, text: str) -> str:
    if "[" in operands:
        return _BASE.sub(lambda found: f"[{found[1]}, {text}]", operands)
    registers = operands.split(", ")[:2]
    return ", ".join([*registers, text])


def _shown(text: str) -> str:
    text = text.encode("unicode_escape").decode().replace('"', '\\"')
    if len(text) <= _LONGEST:
        return text
    # Of texts that differ, the end may: a number of a line.
    return f"{text[: _LONGEST // 2]}...{text[3 - _LONGEST // 2 :]}"
