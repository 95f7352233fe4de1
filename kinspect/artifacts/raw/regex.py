"""Extended regular expressions of POSIX, searched in linear time.

Python's `re` backtracks: some expressions take longer than anybody waits. Here an expression becomes an automaton of
limited size, of which states are made as a text needs them. Source: regcomp(3), which depmod calls.
"""

from kinspect.artifacts.raw.regex_syntax import WORD, Assert, Parser, Set, Split

_MOST_STATES = 2000
_END = ""


class _State:
    """Steps that are reached, with what the last character was; the next state for each character."""

    __slots__ = ("before", "following", "steps")

    def __init__(self, steps: tuple[int, ...], before: str) -> None:
        self.steps, self.before = steps, before
        self.following: dict[str, _State | None] = {}


class Regex:
    """An expression. RegexError when it is none, or too large."""

    def __init__(self, pattern: str) -> None:
        self.pattern = pattern
        self.program = Parser(pattern).program()
        self._forget()

    def _forget(self) -> None:
        self._states: dict[tuple[tuple[int, ...], str], _State] = {}
        self._start = self._state((0,), "start")

    def search(self, text: str) -> bool:
        """Whether the expression matches some part of a text."""
        state = self._start
        for char in text:
            try:
                following = state.following[char]
            except KeyError:
                following = self._next(state, char)
            if following is None:
                return True
            state = following
        try:
            return state.following[_END] is None
        except KeyError:
            return self._next(state, _END) is None

    def _next(self, state: _State, char: str) -> _State | None:
        """The state after a character, or _END; None when the expression has matched before it."""
        reached = self._closure(state, char)
        if reached is None:
            following = None
        else:
            program = self.program
            taken = [step + 1 for step in reached if char != _END and program[step].takes(char)]  # type: ignore[union-attr]
            if len(self._states) > _MOST_STATES:
                self._forget()
            following = self._state(tuple(sorted({0, *taken})), "word" if char and WORD.takes(char) else "other")
        state.following[char] = following
        return following

    def _state(self, steps: tuple[int, ...], before: str) -> _State:
        return self._states.setdefault((steps, before), _State(steps, before))

    def _closure(self, state: _State, char: str) -> list[int] | None:
        """The steps that take a character, reached from a state before `char`; None when the end is reached."""
        program, pending, seen, found = self.program, list(state.steps), set(state.steps), []
        while pending:
            at = pending.pop()
            if at == len(program):
                return None
            step = program[at]
            match step:
                case Set():
                    found.append(at)
                    continue
                case Split(first, second):
                    targets = {at + first, at + second}
                case Assert(kind):
                    targets = {at + 1} if _holds(kind, state.before, char) else set()
            pending += targets - seen
            seen |= targets
        return found


def _holds(kind: str, before: str, char: str) -> bool:
    """Whether an assertion holds between the kind of the last character and the next one."""
    if kind in "^$":
        return before == "start" if kind == "^" else char == _END
    was, comes = before == "word", char != _END and WORD.takes(char)
    return {"b": was != comes, "B": was == comes, "<": comes and not was, ">": was and not comes}[kind]
