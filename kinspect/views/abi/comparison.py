"""The types of two kernels compared: which changed by themselves, which only with others, and what reaches them."""

from collections.abc import Iterable, Iterator
from functools import cached_property
from typing import NamedTuple

from kinspect.artifacts.dwarf.variables import VariableType
from kinspect.errors import UnsupportedError
from kinspect.views.abi.definitions import Definition, Definitions
from kinspect.views.abi.reach import reached_sets, shortest_paths
from kinspect.views.btf.layout import size_of_type

MOST_CAUSES = 1 << 13
"""Between 5.10 and 7.3, 2,554 types changed by themselves."""


class ExportTypes(NamedTuple):
    """What changed of the types of an exported function.

    `causes` are the types that changed by themselves and that it reaches; `prototypes` the old and the new one where
    they differ. Not `certain` are causes of which only a further definition appeared, which others may use.
    """

    causes: tuple[str, ...]
    prototypes: tuple[str, str] | None
    certain: bool

    @property
    def changed(self) -> bool:
        """Whether something changed for sure."""
        return self.certain or self.prototypes is not None


class TypeComparison:
    """The types of two kernels, or of a module in both: its comparison continues that of the kernels, `base`.

    A type changed by itself when its members, their types or order, or the values of an enum differ. When only its
    size or the offsets of its members differ, a type inside it changed. All raise MalformedError for broken types.

    `by_crc` means that CRCs decide, which change with the name behind a typedef. If they do not, a typedef of the same
    number type is the same type: `u8` is an `unsigned char`, whether by way of `__u8` or not.
    """

    def __init__(
        self, old: Definitions, new: Definitions, base: "TypeComparison | None" = None, by_crc: bool = True
    ) -> None:
        self.old, self.new, self.base = old, new, base
        self.by_crc: bool = base.by_crc if base else by_crc

    @cached_property
    def _changes(self) -> tuple[list[str], list[str], list[str]]:
        """The names of its own types: changed by themselves; in layout alone; with a further definition.

        The last are those of which the new kernel has another definition besides all that the old one has: which of
        them an export uses is not known.
        """
        old, new = self.old.ids, self.new.ids
        itself: list[str] = []
        layout: list[str] = []
        further: list[str] = []
        for name in sorted({*old, *new}):
            before, after = self.old.of(name), self.new.of(name)
            if not before or not after:
                # The other kernel has no definition: a difference where it declares the type all the same.
                if name in (self.new if before else self.old).forwards:
                    itself.append(name)
                continue
            sets = [{definition[1:] for definition in side} for side in (before, after)]
            if sets[0] == sets[1] or (not self.by_crc and self._same_number(before, after)):
                continue
            if sets[0] < sets[1]:
                further.append(name)
            else:
                shapes = [{definition.shape for definition in side} for side in (before, after)]
                (layout if shapes[0] == shapes[1] else itself).append(name)
        return itself, layout, further

    def _same_number(self, before: Iterable[Definition], after: Iterable[Definition]) -> bool:
        """Whether all definitions of a name are typedefs of the same number type."""
        pairs = ((self.old, before), (self.new, after))
        found = {side.number_type(definition.id) for side, definitions in pairs for definition in definitions}
        return len(found) == 1 and None not in found

    @cached_property
    def knock_ons(self) -> dict[str, frozenset[str]]:
        """The types whose layout alone changed, each with the types inside it that changed by themselves."""
        itself, layout, further = self._changes
        changed = {*itself, *further, *(self.base.cause_set if self.base else ())}
        moved = {*layout, *(self.base.knock_ons if self.base else ())}
        return {name: roots for name in layout if (roots := self._roots(name, changed, moved))}

    def _roots(self, name: str, changed: set[str], moved: set[str]) -> frozenset[str]:
        found, seen, left = set(), {name}, [name]
        while left:
            at = left.pop()
            for inner in self.old.embedded(at) | self.new.embedded(at):
                if inner not in seen:
                    seen.add(inner)
                    if inner in changed:
                        found.add(inner)
                    elif inner in moved:
                        left.append(inner)
        # What keeps its size moves nothing, except by its alignment.
        resized = {inner for inner in found if self._sizes(self.old, inner) != self._sizes(self.new, inner)}
        return frozenset(resized or found)

    @staticmethod
    def _sizes(side: Definitions, name: str) -> set[int | None]:
        return {size_of_type(side.types, definition.id) for definition in side.of(name)}

    @cached_property
    def causes(self) -> list[str]:
        """The types that changed by themselves, the kernel's first; also one whose layout changed without a reason."""
        return (self.base.causes if self.base else []) + self._own_causes

    @cached_property
    def _own_causes(self) -> list[str]:
        itself, layout, further = self._changes
        known = self.base.cause_set if self.base else frozenset()
        own = itself + [name for name in layout if name not in self.knock_ons] + further
        found = [name for name in own if name not in known]
        if len(found) > MOST_CAUSES:
            at, expected = self.new.types.at(self.new.types.part), f"at most {MOST_CAUSES:,} types"
            raise UnsupportedError("too many types differ", at, expected=expected, actual=f"{len(found):,}")
        return found

    @cached_property
    def _certain(self) -> int:
        """The causes that are changes for sure, as bits."""
        further = {*self._changes[2]}
        known = self.base._certain if self.base else 0
        first = len(self.causes) - len(self._own_causes)
        own = (1 << first + number for number, name in enumerate(self._own_causes) if name not in further)
        return known | sum(own)

    @cached_property
    def cause_set(self) -> frozenset[str]:
        """The causes, to look one up."""
        return frozenset(self.causes)

    @cached_property
    def _reached(self) -> dict[str, int]:
        """For each of its own types of the old kernel, the causes that it reaches, as bits."""
        own = {*self.old.ids, *self._own_causes}
        marks = {name: 1 << number for number, name in enumerate(self.causes) if name in own}
        # What the kernel's types reach is known, but for those that the module defines too.
        known = self.base._reached if self.base else {}
        for name in known.keys() & own:
            marks[name] = marks.get(name, 0) | known[name]
        known = known if known.keys().isdisjoint(own) else {name: known[name] for name in known.keys() - own}
        return reached_sets(sorted(own), self.old.neighbours, marks, known)

    def _bits(self, name: str) -> int:
        """The causes that a type reaches."""
        found = self._reached.get(name)
        return found if found is not None else self.base._bits(name) if self.base else 0

    def of_export(self, name: str) -> ExportTypes | None:
        """What changed for an exported function; None when one of the kernels has no prototype of that name."""
        old, new = self.old.functions.get(name), self.new.functions.get(name)
        if old is None or new is None:
            return None
        texts = self.old.prototype(old, name), self.new.prototype(new, name)
        return self._found(self.old.references(old), texts)

    def of_variable(self, name: str, old: VariableType, new: VariableType) -> ExportTypes:
        """What changed for an exported variable whose types are known from DWARF."""
        return self._found(old.names, (f"{old.text} {name}", f"{new.text} {name}"))

    def _found(self, references: Iterable[str], texts: tuple[str, str]) -> ExportTypes:
        bits = 0
        for reference in references:
            bits |= self._bits(reference)
        prototypes = texts if texts[0] != texts[1] else None
        certain = bits & self._certain
        return ExportTypes(self._names(certain if certain or prototypes else bits), prototypes, bool(certain))

    def _names(self, bits: int) -> tuple[str, ...]:
        known = self._sets
        if bits not in known:
            known[bits] = tuple(name for number, name in enumerate(self.causes) if bits >> number & 1)
        return known[bits]

    @cached_property
    def _sets(self) -> dict[int, tuple[str, ...]]:
        return {0: ()}

    def starts(self, export: str) -> frozenset[str]:
        """The types that the prototype of an exported function refers to, in the old kernel."""
        number = self.old.functions.get(export)
        return frozenset() if number is None else self.old.references(number)

    def paths(self, exports: Iterable[str]) -> dict[str, tuple[str, str | None]]:
        """Shortest paths from some exports to every type; see `shortest_paths`."""
        return shortest_paths({name: sorted(self.starts(name)) for name in exports}, self._sorted)

    def _sorted(self, name: str) -> Iterator[str]:
        return iter(sorted(self.old.neighbours(name)))
