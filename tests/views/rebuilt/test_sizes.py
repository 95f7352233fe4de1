"""`kinspect size IMAGE` gives the answers for the vmlinux, as far as the Image has the data."""

import json
from pathlib import Path

import jsonschema
import pytest

from kinspect.artifacts.elf.vmlinux import Vmlinux
from kinspect.cli import main
from kinspect.errors import MalformedError
from kinspect.inspection.size import SizeQuery, answer, size
from kinspect.views.size.account import Sizes
from kinspect.views.size.grouped import GroupedSizes, Grouping
from tests.conftest import OLD_KERNEL, ROOT, SAMPLE, kernel_named
from tests.toy_kallsyms import image
from tests.toy_zboot import squeezed

SCHEMA = json.loads((ROOT / "docs" / "report.schema.json").read_text())
Capture = pytest.CaptureFixture[str]
Groups = dict[str, tuple[int, int]]


def groups(path: str, by: str, section: str | None = None) -> Groups:
    (facts,) = size(path, by=by, section=section).facts
    assert isinstance(facts, GroupedSizes)
    return {node.name: (node.file, node.memory) for node in facts.root.children}


@pytest.mark.corpus
@pytest.mark.parametrize("name", ["trixie-cloud", "backports-cloud"])
def test_kinds_and_sections(name: str) -> None:
    kernel = kernel_named(name)
    ours, theirs = groups(kernel.image, "kind"), groups(kernel.vmlinux, "kind")
    assert ours.keys() == theirs.keys()
    for kind in ("relocations", "exports", "per-CPU data", "page tables"):
        assert ours[kind] == theirs[kind], kind
    # Others differ by alignment, and 7.3 has page tables in .pgtbl.
    for kind, (file, memory) in ours.items():
        assert abs(file - theirs[kind][0]) <= 4096, kind
        assert abs(memory - theirs[kind][1]) <= 0x5400, kind
    ours, theirs = groups(kernel.image, "section"), groups(kernel.vmlinux, "section")
    same = {section for section in ours if ours[section] == theirs.get(section)}
    assert len(same) >= 30
    assert same >= {".text", ".data", ".init.text", ".BTF", "__ksymtab", "__param", "__bug_table", ".data..percpu"}


@pytest.mark.corpus
@pytest.mark.parametrize("name", [OLD_KERNEL, "bookworm-cloud", "backports-cloud"])
def test_functions(name: str) -> None:
    kernel = kernel_named(name)
    ours, theirs = groups(kernel.image, "symbol", ".text"), groups(kernel.vmlinux, "symbol", ".text")
    assert sum(memory for _, memory in ours.values()) == pytest.approx(
        sum(memory for _, memory in theirs.values()), 1e-5
    )
    shared = ours.keys() & theirs.keys()
    assert len(shared) > 36_000
    assert sum(ours[symbol] == theirs[symbol] for symbol in shared) / len(shared) > 0.96


@pytest.mark.corpus
@pytest.mark.parametrize("name", [OLD_KERNEL, "bookworm-cloud", "trixie-cloud", "backports-cloud"])
def test_totals_are_those_of_the_header(name: str) -> None:
    kernel = kernel_named(name)
    (ours,), (theirs,) = size(kernel.image).facts, size(kernel.vmlinux).facts
    assert isinstance(ours, Sizes)
    assert isinstance(theirs, Sizes)
    assert (ours.file_size, ours.memory_size) == (theirs.file_size, theirs.memory_size)
    assert (ours.file_size, ours.memory_size) == (ours.image_file_size, ours.image_size)
    freed = [sum(span.size for span in facts.spans if span.freed) for facts in (ours, theirs)]
    assert freed[0] == freed[1]
    everything = Vmlinux(kernel.vmlinux).path.find("bookworm") < 0 and name != OLD_KERNEL
    assert (not ours.notes) == everything
    assert not ours.parts


@pytest.fixture
def toy(tmp_path: Path) -> Path:
    path = tmp_path / "Image.gz"
    path.write_bytes(squeezed(image()[0], "gzip"))
    return path


def test_against_another_image_and_a_budget(toy: Path, tmp_path: Path, capsys: Capture) -> None:
    assert main(["size", str(toy), "--against", str(SAMPLE / "Image"), "--by", "kind"]) == 0
    assert f"{toy} compared with {SAMPLE / 'Image'}: what grew, by kind" in capsys.readouterr().out
    budget = tmp_path / "limits.toml"
    budget.write_text("[budget]\nimage = 1\n")
    assert main(["size", str(toy), "--budget", str(budget), "-q"]) in (1, 2)


def test_what_an_image_does_not_know_is_refused(toy: Path, capsys: Capture) -> None:
    for words, said in (
        (["--by", "folder,symbol"], "by: not possible: expected section, kind, symbol: an Image has no sources"),
        (["--by", "segment"], "by: not possible"),
        (["--domain", "vmlinux"], "domain: not possible: expected memory or file, of an Image"),
        (["--savings"], "savings: not possible: expected a vmlinux, found an arm64 Image"),
    ):
        assert main(["size", str(toy), *words]) == 2
        out, err = capsys.readouterr()
        assert (out, err.count("\n")) == ("", 1)
        assert said in err
    with pytest.raises(MalformedError, match="expected a vmlinux"):
        answer(toy, None, SizeQuery(Grouping(("kind",)), linker_map=SAMPLE / "README.md"))


def test_text_and_json_and_a_page(toy: Path, tmp_path: Path, capsys: Capture) -> None:
    for words in (["size", toy], ["size", toy, "--by", "symbol"]):
        assert main([*map(str, words)]) == 0
        said = capsys.readouterr().out
        assert "vmlinux itself" not in said
        assert main([*map(str, words), "--json"]) == 0
        jsonschema.validate(json.loads(capsys.readouterr().out), SCHEMA)
    page = tmp_path / "page.html"
    assert main(["size", str(toy), "--html", str(page)]) == 0
    assert page.read_text().startswith("<!")
    assert main(["size", str(SAMPLE / "Image")]) == 0
    assert "no kallsyms: the kernel was built without CONFIG_KALLSYMS" in capsys.readouterr().out
