"""The house keeps its floors: what a module may import, and what a command must not pay for."""

import ast
import gzip
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path

import pytest

import kinspect

PACKAGE = Path(__file__).parent.parent / "kinspect"
FLOORS = [
    "errors",
    "source",
    "workers",
    "schemas",
    "artifacts",
    "views",
    "checks",
    "inspection",
    "reports",
    "commands",
    "cli",
    "__main__",
]
HEAVY = ("typer", "rich", "construct", "elftools")
MODULES = sorted(PACKAGE.rglob("*.py"))


def name_of(path: Path) -> str:
    """A module's name below the package: `artifacts.boot.image`; of a package, that of its folder."""
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


NAMES = {name_of(path) for path in MODULES}


def imported(path: Path) -> set[str]:
    """The kinspect modules that a module imports anywhere: at its top, in functions, for types."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "kinspect":
            below = node.module.partition(".")[2]
            names = {f"{below}.{alias.name}".lstrip(".") for alias in node.names}
            found |= {name if name in NAMES else below for name in names}
    return found - {"", name_of(path)}


def floor(module: str) -> int:
    return FLOORS.index(module.split(".")[0])


def room(module: str) -> str:
    """The folder that a module lies in, one below its floor; of a module on the floor itself, the module."""
    return ".".join(module.split(".")[:2])


def circles(arrows: Mapping[str, set[str]]) -> list[str]:
    """The nodes that can be reached from themselves."""

    def reached(start: str) -> set[str]:
        found, left = set[str](), [start]
        while left:
            new = arrows.get(left.pop(), set()) - found
            found |= new
            left += new
        return found

    return sorted(node for node in arrows if node in reached(node))


def test_that_there_are_modules() -> None:
    assert len(MODULES) > 150


@pytest.mark.parametrize("path", [path for path in MODULES if path.parent != PACKAGE], ids=name_of)
def test_a_module_imports_from_its_own_floor_or_below(path: Path) -> None:
    assert {other for other in imported(path) if floor(other) > floor(name_of(path))} == set()


def test_no_modules_import_each_other() -> None:
    assert circles({name_of(path): imported(path) for path in MODULES}) == []


def test_rooms_of_a_floor_stand_on_each_other_one_way() -> None:
    arrows: dict[str, set[str]] = {}
    for path in MODULES:
        own = room(name_of(path))
        arrows.setdefault(own, set()).update(room(other) for other in imported(path) if room(other) != own)
    assert circles(arrows) == []


def test_the_documentation_lists_every_room() -> None:
    rooms: dict[str, list[str]] = {}
    for floor_name in ("artifacts", "views", "checks", "reports"):
        for folder in sorted((PACKAGE / floor_name).iterdir()):
            if (folder / "__init__.py").exists():
                rooms.setdefault(folder.name, []).append(floor_name)
    text = (PACKAGE.parent / "docs" / "architecture.md").read_text()
    listed = re.findall(r"^\| `([a-z]+)` \| ([a-z, ]+) \|", text, re.MULTILINE)
    assert {name: floors.split(", ") for name, floors in listed} == rooms
    assert [name for name, _ in listed] == sorted(rooms)


def test_circles_are_found() -> None:
    assert circles({"a": {"b"}, "b": {"c"}, "c": {"b"}, "d": {"a"}}) == ["b", "c"]


@pytest.mark.parametrize("folder", sorted({path.parent for path in MODULES}), ids=lambda path: path.name)
def test_a_folder_is_small(folder: Path) -> None:
    assert sum(path.name != "__init__.py" for path in folder.glob("*.py")) <= 14


@pytest.mark.parametrize("path", [path for path in MODULES if path.name != "__init__.py"], ids=name_of)
def test_a_name_does_not_repeat_its_folder(path: Path) -> None:
    assert path.stem.split("_")[0] != path.parent.name


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_a_module_has_one_subject(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= 300, "over 250 lines needs a reason, over 300 a split"


def test_a_class_name_means_one_thing() -> None:
    names = Counter(
        node.name
        for path in MODULES
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ClassDef)
    )
    assert [name for name, count in names.items() if count > 1] == []


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_nothing_is_kept_behind_a_callers_back(path: Path) -> None:
    """A cache of one entry is a hidden channel from one call to the next: Artifact.cached and arguments are not."""
    assert not re.search(r"lru_cache\(maxsize=[12]\)", path.read_text())


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_only_the_command_line_prints_and_only_the_source_opens(path: Path) -> None:
    name = path.relative_to(PACKAGE).as_posix()
    called = {
        node.func.id
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
    }
    assert "open" not in called
    assert "print" not in called or name in ("cli.py", "commands/interface/output.py", "reports/checks.py")


def modules_after(code: str) -> set[str]:
    """The top-level modules, and those of kinspect, that are loaded after some code ran in a new interpreter."""
    script = f"{code}\nimport sys\nprint('\\n'.join(sys.modules), file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return set(done.stderr.split())


def test_importing_kinspect_loads_nothing() -> None:
    loaded = modules_after("import kinspect")
    assert loaded.isdisjoint(HEAVY)
    assert {name for name in loaded if name.startswith("kinspect.")} == set()


def test_every_public_name_is_there() -> None:
    modules_after("import kinspect\nfor name in kinspect.__all__: assert getattr(kinspect, name) is not None, name")


def test_a_type_checker_sees_what_is_imported_at_run_time() -> None:
    tree = ast.parse((PACKAGE / "__init__.py").read_text())
    seen = {"open": "artifacts.kinds"}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("kinspect."):
            seen.update({alias.asname: node.module.partition(".")[2] for alias in node.names if alias.asname})
    assert seen == {name: module.split(":")[0] for name, module in kinspect._NAMES.items()}


def facts_classes() -> dict[str, str]:
    """The classes of facts that inspections return, as their types say, with their modules."""
    source = "\n".join(path.read_text() for path in (PACKAGE / "inspection").glob("*.py"))
    names = set(re.findall(r"\w+", " ".join(re.findall(r"Report\[([^\]]+)\]", source)))) - {"Never", "F", "K"}
    return {name: kinspect._NAMES[name] for name in names}


@pytest.mark.parametrize(("name", "module"), sorted(facts_classes().items()))
def test_facts_have_their_text_and_json_in_the_mirrored_module(name: str, module: str) -> None:
    assert module.split(".")[0] in ("artifacts", "views")
    mirror = import_module(f"kinspect.reports.{module.partition('.')[2]}")
    assert callable(mirror.lines)
    assert callable(mirror.document)
    assert all(type_.__doc__ for type_ in [getattr(kinspect, name)])


def test_there_are_classes_of_facts() -> None:
    assert len(facts_classes()) >= 22


def command_modules(*words: str) -> set[str]:
    return modules_after(f"from kinspect.cli import main\nassert main({list(words)!r}) == 0")


def test_diff_of_equal_files_loads_only_what_it_needs(sample: Path) -> None:
    loaded = command_modules("diff", str(sample / "vmlinux"), str(sample / "Image"))
    assert loaded.isdisjoint({"typer", "inspect", "rich", "construct", "elftools", "json"})
    assert loaded.isdisjoint({"zlib", "bz2", "lzma"})
    unwanted = {
        "views.diff.explanation",
        "views.diff.cause",
        "views.size.account",
        "views.filetype.line",
        "artifacts.dwarf.line_program",
    }
    unwanted |= {"artifacts.boot.container", "artifacts.compression.streams", "artifacts.raw.embedded"}
    assert loaded.isdisjoint({f"kinspect.{name}" for name in unwanted})
    assert "kinspect.views.diff.comparison" in loaded


def test_dtb_loads_only_what_it_needs(sample: Path) -> None:
    loaded = command_modules("dtb", str(sample / "dtb" / "hello.dtb"), "-q")
    assert loaded.isdisjoint({"typer", "inspect", "rich", "construct", "elftools", "json"})
    assert loaded.isdisjoint(
        {"kinspect.artifacts.elf.file", "kinspect.artifacts.depmod.modules_dep", "kinspect.views.dtb.dts"}
    )


def test_image_loads_only_what_it_needs(sample: Path) -> None:
    loaded = command_modules("image", str(sample / "Image"))
    # Since Python 3.14 pdb, which construct imports, imports json.
    assert loaded.isdisjoint({"typer", "rich", "elftools"} | ({"json"} if sys.version_info < (3, 14) else set()))
    unwanted = {
        "views.diff.comparison",
        "views.size.account",
        "artifacts.elf.vmlinux",
        "artifacts.elf.symbols",
        "artifacts.dwarf.line_program",
    }
    unwanted |= {"artifacts.boot.container", "artifacts.compression.streams", "checks.boot.container"}
    assert loaded.isdisjoint({f"kinspect.{name}" for name in unwanted})
    assert "kinspect.artifacts.boot.image" in loaded


def test_a_wrapped_image_loads_only_the_compression_that_it_has(sample: Path, tmp_path: Path) -> None:
    (tmp_path / "Image.gz").write_bytes(gzip.compress((sample / "Image").read_bytes()))
    loaded = command_modules("diff", str(sample / "vmlinux"), str(tmp_path / "Image.gz"))
    assert loaded.isdisjoint({"typer", "construct", "bz2", "lzma", "backports.zstd", "compression.zstd"})
    assert loaded.isdisjoint({"kinspect.artifacts.compression.lz4", "kinspect.artifacts.boot.zboot"})
    assert "kinspect.artifacts.boot.container" in loaded


def test_size_loads_only_what_it_needs(sample: Path) -> None:
    loaded = command_modules("size", str(sample / "vmlinux"))
    assert loaded.isdisjoint({"typer", "inspect", "rich", "construct", "elftools", "json"})
    assert loaded.isdisjoint(
        {f"kinspect.{name}" for name in ("views.diff.comparison", "views.diff.objcopy", "artifacts.dwarf.line_program")}
    )
    assert "kinspect.views.size.account" in loaded


def test_file_loads_only_what_it_needs(sample: Path) -> None:
    loaded = command_modules("file", str(sample / "Image"))
    assert loaded.isdisjoint({"typer", "inspect", "rich", "construct", "elftools", "json"})
    assert loaded.isdisjoint({"kinspect.schemas.elf", "kinspect.schemas.zboot"})
    assert "kinspect.views.filetype.line" in loaded


def test_modules_are_deferred_until_they_are_used() -> None:
    defer = "import sys\nfrom kinspect.__main__ import _defer_imports\n_defer_imports()\nimport hashlib, pickle"
    assert {"_hashlib", "_pickle"}.isdisjoint(modules_after(defer))
    used = "from hashlib import sha256\nassert sha256(b'').hexdigest()[:4] == 'e3b0'\nimport hashlib as again"
    loaded = modules_after(f"{defer}\n{used}\nassert again.sha256 is sha256\nassert pickle.loads(pickle.dumps(1)) == 1")
    assert {"_hashlib", "_pickle"} <= loaded


def test_a_command_does_not_load_the_debugger_of_construct(sample: Path) -> None:
    words = ["kinspect", "image", str(sample / "Image"), "-q"]
    code = f"import os, sys\nos._exit, sys.argv = (lambda status: None), {words!r}"
    loaded = modules_after(f"{code}\nfrom kinspect.__main__ import run\nrun()")
    assert "construct.core" in loaded or "construct" in loaded
    assert {"pdb", "_hashlib", "_pickle"}.isdisjoint(loaded)


def test_symbols_loads_only_what_it_needs(sample: Path) -> None:
    loaded = command_modules("symbols", str(sample / "vmlinux"))
    assert loaded.isdisjoint({"typer", "inspect", "rich", "construct", "elftools", "json"})
    assert loaded.isdisjoint({"kinspect.views.diff.comparison", "kinspect.views.size.account"})
    assert "kinspect.views.kernel.listed_symbols" in loaded
