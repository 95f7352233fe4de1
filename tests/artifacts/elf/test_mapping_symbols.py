"""The object map from mapping symbols, in symbol tables of all kinds."""

from collections.abc import Sequence
from pathlib import Path

from kinspect.artifacts.elf.file import Elf
from kinspect.artifacts.elf.mapping_symbols import ObjectMap, object_map
from kinspect.schemas.elf import SHF_ALLOC, SHN_ABS, STB_GLOBAL, STT_FILE, STT_FUNC, STT_NOTYPE, STT_OBJECT
from tests.support import Named, Part, elf_of

TEXT, DATA = 1, 2


def found(folder: Path, *symbols: Named) -> ObjectMap:
    path = folder / "vmlinux"
    parts = (Part(".text", bytes(64), 0x1000, SHF_ALLOC), Part(".data", bytes(64), 0x2000, SHF_ALLOC))
    path.write_bytes(elf_of(*parts, symbols=symbols))
    return object_map(Elf(path).symbols)


def file(name: str) -> Named:
    return Named(name, 0, SHN_ABS, STT_FILE)


def mark(name: str, value: int, section: int = TEXT) -> Named:
    return Named(name, value, section, STT_NOTYPE)


def pairs(linked: ObjectMap, section: int) -> Sequence[tuple[int, str]]:
    starts, owners = linked.blocks[section]
    return [(start, linked.objects[owner] if owner >= 0 else "") for start, owner in zip(starts, owners, strict=True)]


def test_objects_begin_at_their_marks(tmp_path: Path) -> None:
    linked = found(
        tmp_path,
        *(file("main.c"), mark("$x", 0x1000), mark("$d", 0x1008), mark("$d", 0x2000, DATA)),
        *(file("fork.c"), mark("$x", 0x1010), mark("$d", 0x2010, DATA)),
    )
    assert linked.objects == ("main.c", "fork.c")
    assert pairs(linked, TEXT) == [(0x1000, "main.c"), (0x1010, "fork.c")]
    assert pairs(linked, DATA) == [(0x2000, "main.c"), (0x2010, "fork.c")]


def test_names_of_marks(tmp_path: Path) -> None:
    """LLVM numbers them, objcopy may add a prefix; no other names are mapping symbols."""
    linked = found(
        tmp_path,
        *(file("a.c"), mark("$x.0", 0x1000), file("b.c"), mark("$d.12", 0x1008), file("c.c"), mark("__pi_$x", 0x1010)),
        *(file("d.c"), mark("__efistub_$d.3", 0x1018), file("e.c"), mark("$xy", 0x1020), mark("money$", 0x1024)),
        *(mark("$", 0x1028), mark("$dollar.1", 0x102C), file("f.c"), mark("__kvm_nvhe_$x", 0x1030)),
    )
    names = [(0x1000, "a.c"), (0x1008, "b.c"), (0x1010, "c.c"), (0x1018, "d.c"), (0x1030, "f.c")]
    assert pairs(linked, TEXT) == names


def test_static_variables_are_marks(tmp_path: Path) -> None:
    """The assembler marks nothing in an object whose data begins with text."""
    variable = Named("text", 0x2010, DATA, STT_OBJECT, 8)
    linked = found(tmp_path, file("a.c"), mark("$d", 0x2000, DATA), file("b.c"), variable)
    assert pairs(linked, DATA) == [(0x2000, "a.c"), (0x2010, "b.c")]


def test_what_was_global_is_nobodys(tmp_path: Path) -> None:
    """The linker lists hidden globals after a FILE without a name: they belong to no object, and not to b.c."""
    linked = found(
        tmp_path,
        *(file("a.c"), mark("$d", 0x2000, DATA), file("b.c"), mark("$d", 0x2010, DATA)),
        *(file(""), Named("hidden", 0x2008, DATA, STT_OBJECT, 4), mark("$d", 0x2020, DATA)),
        *(Named("open", 0x2004, DATA, STB_GLOBAL << 4 | STT_OBJECT, 4), Named("f", 0x1000, TEXT, STT_FUNC)),
    )
    assert pairs(linked, DATA) == [(0x2000, "a.c"), (0x2010, "b.c"), (0x2020, "")]
    assert TEXT not in linked.blocks


def test_of_several_at_one_address_the_last_counts(tmp_path: Path) -> None:
    """The first objects contributed nothing."""
    linked = found(
        tmp_path, file("a.c"), mark("$d", 0x2000, DATA), file("b.c"), mark("$d", 0x2000, DATA), mark("$x", 0, SHN_ABS)
    )
    assert pairs(linked, DATA) == [(0x2000, "a.c"), (0x2000, "b.c")]
    assert SHN_ABS not in linked.blocks


def test_without_files_or_marks(tmp_path: Path) -> None:
    assert found(tmp_path, Named("f", 0x1000)) == ObjectMap((), {})
    assert found(tmp_path, file("a.c"), Named("f", 0x1000)) == ObjectMap(("a.c",), {})
    assert pairs(found(tmp_path, mark("$x", 0x1000)), TEXT) == [(0x1000, "")]
