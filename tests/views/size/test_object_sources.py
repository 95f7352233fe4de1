"""Objects are joined with the sources that they were made from."""

from kinspect.artifacts.dwarf.compile_units import CompileUnit
from kinspect.artifacts.elf.mapping_symbols import ObjectMap
from kinspect.views.size.object_sources import object_sources, stem

TEXT, DATA = 1, 2


def told(objects: list[str], code: dict[int, int], units: list[CompileUnit]) -> list[str]:
    """The sources of objects, of which some have code at addresses."""
    starts = sorted(code)
    return object_sources(ObjectMap(tuple(objects), {TEXT: (starts, [code[at] for at in starts])}), [TEXT], units)


def unit(path: str, *starts: int, part: str = "") -> CompileUnit:
    return CompileUnit(path, part, tuple((start, start + 0x100) for start in starts))


def test_one_name_in_many_folders() -> None:
    """Code tells them apart, whatever their order."""
    units = [unit(f"{folder}/main.c", 0x1000 * number) for number, folder in enumerate("abcde", start=1)]
    code = {0x3000: 0, 0x1000: 1, 0x5000: 2, 0x2000: 3, 0x4000: 4}
    sources = told(["main.c"] * 5, code, units)
    assert sources == ["c/main.c", "a/main.c", "e/main.c", "b/main.c", "d/main.c"]


def test_objects_without_code_lie_between_others() -> None:
    """Three tables of one name: each is the one between its neighbours in the link."""
    units = [
        *(unit("a/main.c", 0x1000), unit("a/table.c"), unit("b/main.c", 0x2000), unit("b/table.c")),
        *(unit("b/more.c", 0x3000), unit("c/table.c")),
    ]
    sources = told(
        ["main.c", "table.c", "main.c", "table.c", "more.c", "table.c"], {0x1000: 0, 0x2000: 2, 0x3000: 4}, units
    )
    assert sources == [one.path for one in units]


def test_a_name_that_only_one_unit_has() -> None:
    units = [unit("a/main.c", 0x1000), unit("a/late.c"), unit("b/main.c", 0x2000)]
    assert told(["main.c", "main.c", "late.c"], {0x1000: 0, 0x2000: 1}, units) == ["a/main.c", "b/main.c", "a/late.c"]


def test_prefixes_of_objcopy() -> None:
    units = [
        *(unit("arch/pi/map.c", 0x1000), unit("drivers/libstub/fdt.c", 0x2000), unit("nvhe/host.S", 0x3000)),
        *(unit("nvhe/mm.c", 0x4000), unit("nvhe/table.c"), unit("mm/mm.c", 0x5000)),
    ]
    names = ["__pi_map.c", "__efistub_fdt.c", "__kvm_nvhe_host.nvhe.o", "__kvm_nvhe_mm.c", "__kvm_nvhe_table.c", "mm.c"]
    assert told(names, {0x1000: 0, 0x2000: 1, 0x3000: 2, 0x4000: 3, 0x5000: 5}, units) == [one.path for one in units]


def test_crates_have_their_parts() -> None:
    units = [
        unit("/usr/library/core/src/lib.rs", 0x1000, part="core.1b61-cgu.0"),
        unit("rust/kernel/lib.rs", 0x2000, part="kernel.8135-cgu.0"),
        unit("rust/helpers/helpers.c", 0x3000),
    ]
    names = ["core.1b61-cgu.0", "kernel.8135-cgu.0", "helpers.c"]
    assert told(names, {0x1000: 0, 0x2000: 1, 0x3000: 2}, units) == [one.path for one in units]


def test_a_stray_mark_in_the_code_of_another_says_nothing() -> None:
    """An object that is named otherwise than the unit whose code it marks is not that unit's."""
    units = [unit("a/main.c", 0x1000), unit("a/other.c", 0x2000)]
    assert told(["main.c", "stub.o"], {0x1000: 0, 0x2000: 1}, units) == ["a/main.c", "?/stub.o"]


def test_without_units_names_are_all() -> None:
    assert told(["main.c", "head.o"], {0x1000: 0, 0x2000: 1}, []) == ["?/main.c", "?/head.o"]
    assert told([], {}, [unit("a/main.c", 0x1000)]) == []


def test_stems() -> None:
    assert [stem(path) for path in ("init/main.c", "fdt.stub.o", ".tmp_x.o", "head")] == [
        "main",
        "fdt",
        "tmp_x",
        "head",
    ]
