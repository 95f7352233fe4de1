"""Checks of the indexes beside the modules, `modules.*.bin`, against the texts."""

from collections.abc import Iterator
from itertools import chain

from kinspect.artifacts.depmod.kmod_index import Values
from kinspect.artifacts.module.scan import module_name
from kinspect.artifacts.module.tree import ModuleTree
from kinspect.checks.check import Evidence, Severity, check
from kinspect.checks.wording import summarized
from kinspect.errors import MalformedError
from kinspect.views.depmod.files import BUILTIN_ALIASES, INDEXES
from kinspect.views.depmod.index import sorted_values
from kinspect.views.depmod.texts import (
    Entry,
    builtin_alias_entries,
    builtin_entries,
    builtin_name_entries,
    builtin_of_modinfo,
    normalised_alias,
)
from kinspect.views.depmod.tree import depmod_of


@check(Severity.ERROR)
def indexes_are_of_their_texts(tree: ModuleTree) -> Iterator[Evidence]:
    """Each index `modules.*.bin` has the contents of the text file next to it.

    modprobe reads the indexes, not the text files: an edited text file has no effect, and an outdated index makes it
    miss modules or load the wrong ones. Run `depmod RELEASE`. Only contents are compared, because the order differs
    between kmod 30 and 34. If the index is what depmod makes of the modules, the text file was edited, and another
    check reports it. Up to kmod 29, modules.builtin.alias.bin may be empty, or contain the names of the modules among
    its keys.
    Source: kmod, shared/hash.c and tools/depmod.c, index_write().
    """
    for name, made_of in INDEXES.items():
        index = tree.index(name)
        may_be_empty = name == BUILTIN_ALIASES or (made_of and not tree.source_of(made_of))
        if index is None or (not index.size and may_be_empty):
            continue
        try:
            entries = index.entries
        except MalformedError as error:
            yield Evidence.of(error)
            continue
        texts = [_ascii(entries_of) for entries_of in _text_entries(tree, name)]
        if texts and entries not in texts and entries != depmod_of(tree).entries(name):
            yield _index_difference(tree, name, texts[0], entries)


def _ascii(entries: Iterator[Entry]) -> dict[str, Values]:
    return sorted_values(entry for entry in entries if entry[0].isascii())


def _index_difference(tree: ModuleTree, name: str, expected: dict[str, Values], found: dict[str, Values]) -> Evidence:
    missing = [key for key in expected if key not in found]
    added = [key for key in found if key not in expected]
    changed = [key for key in expected if key in found and expected[key] != found[key]]
    counts = f"{len(missing):,} missing, {len(added):,} added, {len(changed):,} changed"
    keys = summarized([*missing, *added, *changed])
    at = (tree.location(name), tree.location(_text_of(name)))
    return Evidence(f"the index differs from {_text_of(name)}: {counts} ({keys})", at)


def _text_of(name: str) -> str:
    return INDEXES[name] or name.removesuffix(".bin")


def _text_entries(tree: ModuleTree, name: str) -> Iterator[Iterator[Entry]]:
    """What the index of a text should hold; nothing without a text, two choices when the text is made from another."""
    text = tree.text(_text_of(name)) if name != "modules.dep.bin" else b""
    if text is None or tree.dep is None:
        return
    lines = text.decode("utf-8", "surrogateescape").split("\n")
    numbers = {module_name(row.path): number for number, row in enumerate(tree.dep.rows)}
    match name:
        case "modules.dep.bin":
            prefix, rows = tree.dep.prefix, enumerate(tree.dep.rows)
            paths = ((number, row.path, map(prefix.__add__, (f"{row.path}:", *row.needs))) for number, row in rows)
            yield ((module_name(path), number, " ".join(line)) for number, path, line in paths)
        case "modules.builtin.bin":
            yield builtin_entries(text)
            yield builtin_entries(builtin_of_modinfo(tree.text("modules.builtin.modinfo") or b""))
        case "modules.builtin.alias.bin":
            yield builtin_alias_entries(text)
            yield chain(builtin_alias_entries(text), builtin_name_entries(text))
        case _:
            aliases = (line.split(" ", 1)[1].rpartition(" ") for line in lines if line.startswith("alias "))
            symbols = name == "modules.symbols.bin"
            yield (
                (key, numbers.get(owner, -1), owner)
                for alias, _, owner in aliases
                if (key := alias if symbols else normalised_alias(alias)) is not None
            )
