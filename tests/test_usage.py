"""What arguments mean beyond options: help, a path without a command, `-`; and usage errors, each of one line."""

import gzip
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kinspect import cli
from kinspect.cli import main
from kinspect.commands.interface.examples import EXAMPLES
from kinspect.commands.interface.usage import _NOT_INPUT
from kinspect.errors import Location, MalformedError
from samples.hello.examples import make_examples
from tests.conftest import SAMPLE
from tests.test_docs import environment, sample_in
from tests.toy_tree import kmod_version

VMLINUX, IMAGE = str(SAMPLE / "vmlinux"), str(SAMPLE / "Image")
SYMVERS = str(SAMPLE / "modules" / "Module.symvers")
MODULES = str(SAMPLE / "modules")
DTB = str(SAMPLE / "dtb" / "hello.dtb")
DOOR = next((SAMPLE / "modules").rglob("hello-door.ko"))
DOOR_PATH = str(DOOR)
TYPED = str(SAMPLE / "abi" / "new" / "vmlinux")
GROUPS = "needs groups: expected --by, --against, --budget or --html too"
Capture = pytest.CaptureFixture[str]


@pytest.fixture
def said(capsys: Capture) -> Callable[..., str]:
    """The one line that a command says to refuse its arguments."""

    def refusal(*words: str | Path) -> str:
        status = main([str(word) for word in words])
        out, err = capsys.readouterr()
        assert (status, out, err.count("\n")) == (2, "", 1), words
        assert err.startswith("kinspect: ")
        return err.removeprefix("kinspect: ").rstrip("\n")

    return refusal


def piped(data: bytes | Path, *words: str | Path) -> subprocess.CompletedProcess[bytes]:
    """Run a command whose standard input is a pipe, or a file."""
    command = [sys.executable, "-m", "kinspect", *map(str, words)]
    if isinstance(data, bytes):
        return subprocess.run(command, input=data, capture_output=True, timeout=60)
    with data.open("rb") as file:
        return subprocess.run(command, stdin=file, capture_output=True, timeout=60)


def test_without_arguments_three_commands_to_try_are_named(capsys: Capture) -> None:
    assert main([]) == 2
    out, err = capsys.readouterr()
    tried = [line.split()[1] for line in out.splitlines() if line.startswith("  kinspect ")]
    assert (tried, err) == (["check", "size", "log"], "")
    assert max(map(len, out.splitlines())) <= 80


def test_help_is_a_command(capsys: Capture) -> None:
    for words, same in ((["help"], ["--help"]), (["help", "help"], ["-h"]), (["help", "-h"], ["-h"])):
        assert main(words) == 0
        expected = capsys.readouterr()
        assert main(same) == 0
        assert capsys.readouterr() == expected
        assert "\n  check " in expected.out
    for name in cli.COMMANDS:
        assert main(["help", name]) == 0
        expected = capsys.readouterr()
        assert main([name, "--help"]) == 0
        assert capsys.readouterr() == expected
        assert f"Usage: kinspect {name}" in expected.out


ENDS_WITH_1 = (
    "kinspect abi abi/old abi/new",
    "kinspect diff vmlinux Image.patched",
    "kinspect config Image",
    "kinspect config -q Image",
    "kinspect log logs/failed.log",
)


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_examples_in_the_help_work(name: str, tmp_path: Path) -> None:
    copy = sample_in(tmp_path)
    make_examples(copy)
    for _, line in EXAMPLES[name]:
        done = subprocess.run(["sh", "-c", line], cwd=copy, capture_output=True, text=True, env=environment(copy))
        assert done.returncode == (line in ENDS_WITH_1), (line, done.stderr)
        log_is_shown = "--through" in line or "kinspect trace" in line
        assert done.stderr == "" or line == "kinspect config Image" or log_is_shown, line


def test_every_help_ends_with_examples(capsys: Capture) -> None:
    assert list(EXAMPLES) == list(cli.COMMANDS)
    for name, examples in EXAMPLES.items():
        assert 2 <= len(examples) <= 3
        assert main(["help", name]) == 0
        text = capsys.readouterr().out.partition("\nExamples:\n")[2]
        assert [line.strip() for line in text.splitlines() if line.startswith("  kinspect") or "|" in line] == [
            line for _, line in examples
        ]
        assert max(map(len, text.splitlines())) <= 80
    assert {line for examples in EXAMPLES.values() for _, line in examples} >= set(ENDS_WITH_1)


def test_a_path_without_a_command_is_checked(capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(SAMPLE)
    for words in (["Image"], ["./Image"], ["Image", "vmlinux", "System.map"], ["--json", "Image"], ["Image", "--json"]):
        assert main(words) == 0
        found = capsys.readouterr()
        assert main(["check", *words]) == 0
        assert capsys.readouterr() == found
    assert main(["gone/Image"]) == 2
    assert capsys.readouterr().err == "kinspect: gone/Image: No such file or directory\n"


def test_what_is_no_file_is_not_standard_input(said: Callable[..., str]) -> None:
    """Every option takes `-` for a file, or for itself: `--symbol -` is no file."""
    import typer

    files = ("FILE", "FOLDER", "VMLINUX", "IMAGE", "SYMVERS", "BASE", "KERNEL", "PATH")
    others = {"--html", "--explain-command", "--base"}  # a file to write, a command, and either of both
    command: Any = typer.main.get_command(cli.typer_app(cli.COMMANDS))
    for found in command.commands.values():
        for option in found.params:
            if option.param_type_name == "option" and not option.is_flag and not others & set(option.opts):
                is_file = any(word in option.metavar for word in files)
                assert {name in _NOT_INPUT for name in option.opts} == {not is_file}, option.opts
    assert said("size", VMLINUX, "--section", "-") == f"{VMLINUX}: -: no such section"
    assert said("dtb", DTB, "--path=-") == f"{DTB}: -: no such node"


def test_an_error_names_the_option_as_it_is_written(said: Callable[..., str]) -> None:
    assert said("size", VMLINUX, "--by", "x").startswith("--by: not possible: expected each of section, ")
    assert said("size", IMAGE, "--by", "source").startswith("--by: not possible: expected ")
    assert said("size", VMLINUX, "--domain", "x").startswith("--domain: not possible: expected one of ")
    assert said("size", VMLINUX, "--match", "(").startswith("--match: not a regular expression")
    assert said("size", IMAGE, "--savings").startswith("--savings: not possible: expected a vmlinux")


def test_an_empty_path_is_shown(said: Callable[..., str]) -> None:
    assert said("image", "") == said("size", VMLINUX, "--against", "") == "'': No such file or directory"
    assert said("unpack", IMAGE, "--out", "") == "'': is not a regular file: it is not written to"
    assert said("size", VMLINUX, "--section", "") == f"{VMLINUX}: no such section"
    assert str(MalformedError("a problem", Location(""))) == "a problem"


def test_flags_may_come_before_the_command(capsys: Capture) -> None:
    assert main(["-q", "image", IMAGE]) == 0
    assert capsys.readouterr().out == ""
    assert main(["image", "--json", IMAGE]) == 0
    expected = capsys.readouterr()
    assert main(["--json", "image", IMAGE]) == 0
    assert capsys.readouterr() == expected


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (("imge", IMAGE), "imge: no such command or file (did you mean image?)"),
        (("modle", IMAGE), "modle: no such command or file (did you mean module or modules?)"),
        (("version",), "version: no such command or file (did you mean --version?)"),
        (("",), "'': no such command or file (`kinspect help` lists the commands)"),
        (("check", IMAGE, "--zebra"), "--zebra: no such option of check (`kinspect help check` lists them)"),
        (("size", VMLINUX, "--top", "5"), f"--top: {GROUPS}"),
        (("size", VMLINUX, "--depth", "5"), f"--depth: {GROUPS}"),
        (("size", VMLINUX, "--map", "x"), f"--map: {GROUPS}"),
        (
            ("size", VMLINUX, "--by", "symbol", "--sort", "name"),
            "--sort: not possible with groups: expected no --by and the like",
        ),
        (("depmod", MODULES, "-o", "-", "--json"), "--json: not possible with --out -"),
        (("depmod", ".", "-o", "indexes"), ".: no modules are in this folder"),
        (("frobnicate",), "frobnicate: no such command or file (`kinspect help` lists the commands)"),
        (("help", "dif"), "dif: no such command (did you mean diff?)"),
        (("help", "xyz"), "xyz: no such command (`kinspect help` lists them)"),
        (("--versoin",), "--versoin: no such option (did you mean --version?)"),
        (("--ignore", "x", "check", "."), "--ignore: no such option (options come after the command)"),
        (("image", "--jsn", IMAGE), "--jsn: no such option of image (did you mean --json?)"),
        (("image", IMAGE, "--certificate", "x"), "--certificate: no such option of image (did you mean --cert?)"),
        (("image", "-z", IMAGE), "-z: no such option of image (`kinspect help image` lists them)"),
        (("image",), "image: IMAGE... is missing: expected kinspect image IMAGE..."),
        (("diff", VMLINUX), "diff: IMAGE is missing: expected kinspect diff VMLINUX IMAGE"),
        (
            ("diff", VMLINUX, IMAGE, "c", "d"),
            "diff: too many arguments: expected kinspect diff VMLINUX IMAGE, found c d",
        ),
        (("size", VMLINUX, "--depth"), "--depth: needs a value"),
        (("size", VMLINUX, "--json=x"), "--json: takes no value"),
        (("size", VMLINUX, "--depth", "x"), "--depth: unknown value: expected a whole number of at least 1, found x"),
        (("size", VMLINUX, "--top=-1"), "--top: unknown value: expected a whole number of at least 0, found -1"),
        (
            ("depmod", MODULES, "--kmod", "new", "-o", "x"),
            "--kmod: unknown value: expected a whole number, found new",
        ),
        (("image", IMAGE, "--json", "--format", "sarif"), "--format sarif: not possible with --json"),
        (("size", VMLINUX, "--csv", "--json"), "--csv: not possible with --json"),
        (("abi", SYMVERS, SYMVERS, "--format", "ksymvers", "--json"), "--format ksymvers: not possible with --json"),
        (("size", VMLINUX, "--html", "-", "--json"), "--json or --csv: not possible with --html -"),
        (("size", VMLINUX, "--html=-", "--format", "markdown"), "--format markdown: not possible with --html -"),
        (("unpack", IMAGE, "-o", "-", "--json"), "--json: not possible with --out -"),
        (("module", DOOR_PATH, "-F", "name", "--json"), "--json: not possible with an option of modinfo"),
        (("module", DOOR_PATH, "--modinfo", "--symvers", SYMVERS), "--symvers: not possible with an option of modinfo"),
        (("log", "--explain", "CC", "--through"), "--through: not possible with --explain"),
        (("log", "--explain-command", "gcc -c a.c", "--build", "."), "--build: not possible with --explain-command"),
        (("log", "x", "--explain-command", "gcc -c a.c"), "x: not possible with --explain-command"),
        (("log", "x", "--through"), "--through: only of standard input: expected -, found x"),
        (("dtb", DTB, "--dtc", "1.7.1"), "--onto: missing: expected the device tree that the overlays are applied to"),
        (("dtb", DTB, "--onto", DTB, "--tree", "-o", "x"), "--tree: not possible with --out"),
        (("dtb", DTB, "--onto", DTB, "--path", "/", "-o", "-"), "--path: not possible with --out"),
        (("dtb", DTB, "--onto", DTB, "-o", "-", "--json"), "--json: not possible with --out -"),
        (("types", TYPED, "gadget", "--find", "x"), "--find: not possible with the name of a type: found gadget"),
        (("types", "gadget", TYPED), "gadget: no such file; the file comes first, then the names of types"),
        (("image", "-", "-"), "-: used twice: expected standard input for one file only"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_a_usage_error_is_one_line_that_says_what_to_do(
    words: tuple[str, ...], line: str, said: Callable[..., str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert said(*words) == line
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(
    ("words", "near"),
    [
        (("checks", "image-is-objcopy"), "image-is-objcopy-of-vmlinux"),
        (("check", IMAGE, "--ignore", "weak-symbols-are-exprted"), "weak-symbols-are-exported"),
        (("check", IMAGE, "--select", "image-fit-image-size"), "image-fits-image-size"),
        (("check", IMAGE, "--require", "Image,modules,sysem.map"), "system.map"),
        (("vmlinux", VMLINUX, "--table", "__ksymtb"), "__ksymtab"),
        (("size", VMLINUX, "--section", ".txt"), ".text"),
        (("size", VMLINUX, "--by", "section,foldr"), "folder"),
        (("size", VMLINUX, "--by", "symbols"), "symbol"),
        (("size", VMLINUX, "--domain", "memry"), "memory"),
        (("size", VMLINUX, "--sort", "Size"), "size"),
        (("image", IMAGE, "--format", "jason"), "json or jsonl"),
        (("dtb", DTB, "--path", "/soc/uatr"), "/soc/uart"),
        (("log", "--explain", "modpst"), "MODPOST"),
        (("file", IMAGE, "--file-version", "5.49"), "5.48"),
        (("abi", SYMVERS, SYMVERS, "--format", "ksymver"), "ksymvers"),
        (("types", TYPED, "gadgt"), "gadget"),
        (("abi", f"{SAMPLE}/abi/old", f"{SAMPLE}/abi/new", "--symbol", "clock_rat"), "clock_rate"),
    ],
    ids=lambda value: " ".join(value[-2:]) if isinstance(value, tuple) else "",
)
def test_the_nearest_name_is_suggested(words: tuple[str, ...], near: str, said: Callable[..., str]) -> None:
    found = said(*words)
    assert f"did you mean {near}" in found
    # Nothing is suggested for what is like nothing.
    assert "did you mean" not in said(*words[:-1], "Q" * 1000)


@pytest.mark.parametrize(
    ("option", "text", "near"),
    [
        ("--policy", 'ignor = ["x"]', "ignore"),
        ("--policy", 'ignore = ["image-fit-image-size"]', "image-fits-image-size"),
        ("--budget", '[sections.".text"]\nfile = 1', "section"),
        ("--budget", '[section.".text"]\nfil = 1', "file"),
    ],
)
def test_the_nearest_name_is_suggested_in_files(
    option: str, text: str, near: str, tmp_path: Path, capsys: Capture
) -> None:
    (tmp_path / "a.toml").write_text(text)
    words = ("check", IMAGE) if option == "--policy" else ("size", VMLINUX)
    assert main([*words, option, str(tmp_path / "a.toml")]) == 2
    assert f"(did you mean {near}" in capsys.readouterr().err


def test_a_file_with_the_name_of_a_command(said: Callable[..., str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(SAMPLE)
    assert "`kinspect check vmlinux` checks the file of that name" in said("vmlinux")


def test_a_format_without_a_table_is_refused_before_anything_is_written(
    tmp_path: Path, said: Callable[..., str]
) -> None:
    for words in (
        ("check", IMAGE),
        ("diff", VMLINUX, IMAGE),
        ("symvers", SYMVERS),
        ("modules", MODULES),
        ("abi", SYMVERS, SYMVERS),
        ("dtb", DTB),
        ("log", SAMPLE / "logs/build.log"),
        ("unpack", IMAGE, "-o", tmp_path / "out"),
        ("config", IMAGE),
    ):
        assert said(*words, "--format", "csv").startswith(f"--format csv: {words[0]} has no table")
    assert os.listdir(tmp_path) == []


def test_csv_of_what_has_a_table(tmp_path: Path, capsys: Capture) -> None:
    for words, head in (
        (["size", VMLINUX], "path,file,memory"),
        (["size", VMLINUX, "--savings"], "id,sort,file,memory,places"),
        (["vmlinux", VMLINUX, "--table", "__ksymtab"], "address,symbol,name,namespace,crc,licence"),
        (["depmod", MODULES, "-o", str(tmp_path)], "name,size"),
    ):
        assert main([*words, "--format", "csv"]) == 0
        out = capsys.readouterr().out.splitlines()
        assert out[0] == head
        assert len(out) > 5
        assert {line.count(",") for line in out} == {head.count(",")}
    rows = dict(line.split(",") for line in out[1:])
    assert {name: int(size) for name, size in rows.items()} == {
        path.name: path.stat().st_size for path in tmp_path.iterdir()
    }


def test_a_page_on_standard_output(tmp_path: Path, capsys: Capture) -> None:
    (tmp_path / "budget").write_text('[section.".text"]\nmemory = 1\n')
    words = ["size", VMLINUX, "--budget", str(tmp_path / "budget"), "--html"]
    assert main([*words, str(tmp_path / "page")]) == 1
    report = capsys.readouterr().out
    assert main([*words, "-"]) == 1
    out, err = capsys.readouterr()
    assert out == (tmp_path / "page").read_text()
    assert out.startswith("<!")
    assert err.strip().splitlines()[-1] == report.splitlines()[-1]


def test_depmod_on_standard_output_is_depmod_n(tool: Callable[[str], str], tmp_path: Path) -> None:
    shutil.copytree(SAMPLE / "modules" / "lib", tmp_path / "lib")
    command = [tool("depmod"), "-n", "-b", str(tmp_path), "6.1.0-hello"]
    theirs = subprocess.run(command, capture_output=True, check=True).stdout
    before = sorted(tmp_path.rglob("*"))
    done = piped(b"", "depmod", tmp_path, "-o", "-", "--kmod", str(kmod_version(tool("depmod"))))
    assert (done.returncode, done.stdout) == (0, theirs)
    assert done.stderr.strip().startswith(b"good: ")
    assert sorted(tmp_path.rglob("*")) == before


def test_budgets_in_every_format(tmp_path: Path, capsys: Capture) -> None:
    (tmp_path / "budget").write_text('[section.".text"]\nmemory = 1\n')
    for form in ("text", "json", "jsonl", "sarif", "junit", "github", "markdown"):
        assert main(["size", VMLINUX, "--budget", str(tmp_path / "budget"), "--format", form]) == 1
        assert "sizes-are-within-budget" in capsys.readouterr().out


JUDGING = (
    ("check", IMAGE),
    ("image", IMAGE),
    ("vmlinux", VMLINUX),
    ("diff", VMLINUX, IMAGE),
    ("size", VMLINUX, IMAGE),
    ("unpack", IMAGE, "-o", "OUT/x"),
    ("config", IMAGE),
    ("module", DOOR_PATH),
    ("symvers", SYMVERS),
    ("modules", MODULES),
    ("depmod", MODULES, "-o", "OUT/m"),
    ("abi", SYMVERS, SYMVERS),
    ("types", TYPED),
    ("symbols", VMLINUX),
    ("dtb", DTB),
    ("load", IMAGE, MODULES),
    ("log", str(SAMPLE / "logs/failed.log")),
)


def test_usage_has_no_braces(capsys: Capture) -> None:
    """Braces stand for alternatives."""
    for command in cli.COMMANDS:
        assert main(["help", command]) == 0
        usage = capsys.readouterr().out.splitlines()[0]
        assert usage.startswith(f"Usage: kinspect {command} [OPTIONS]")
        assert "{" not in usage


@pytest.mark.parametrize("words", JUDGING, ids=lambda words: str(words[0]))
def test_every_command_that_judges_takes_every_format(words: tuple[str, ...], tmp_path: Path, capsys: Capture) -> None:
    given = [word.replace("OUT", str(tmp_path)) for word in words]
    status = main([*given, "-q"])
    assert capsys.readouterr().out == ""
    for form in ("text", "json", "jsonl", "sarif", "junit", "github", "markdown"):
        for order in ([*given, "--format", form], [given[0], f"--format={form}", *given[1:]]):
            assert main(order) == status
            out, err = capsys.readouterr()
            assert out or (form == "text" and err), form


def test_lists_take_commas_and_repeats(tmp_path: Path, capsys: Capture) -> None:
    folder = tmp_path / "a,b"
    folder.mkdir()
    for name in ("one.conf", "two.conf"):
        (folder / name).write_text("")
        (tmp_path / name).write_text("")
    both = f"{tmp_path}/one.conf,{tmp_path}/two.conf"
    for command, option, first, second in (
        (["check", IMAGE], "--require", "image", "vmlinux"),
        (["check", IMAGE], "--ignore", "image-fits-image-size", "weak-symbols-are-exported"),
        (["check", IMAGE], "--select", "image-fits-image-size", "weak-symbols-are-exported"),
        (["size", VMLINUX], "--by", "kind", "section"),
        (["modules", MODULES], "-C", f"{tmp_path}/one.conf", f"{tmp_path}/two.conf"),
    ):
        assert main([*command, option, first, option, second]) in (0, 1)
        expected = capsys.readouterr()
        for listed in (f"{first},{second}", f"{first}, {second},"):
            assert main([*command, option, listed]) in (0, 1)
            assert capsys.readouterr() == expected
    # A path that exists may have a comma.
    assert main(["modules", MODULES, "-C", str(folder), "-C", both]) == 0


INPUTS: tuple[tuple[Path, tuple[str | Path, ...]], ...] = (
    (Path(IMAGE), ("image", "-")),
    (Path(IMAGE), ("check", "-")),
    (Path(IMAGE), ("-",)),
    (Path(IMAGE), ("check", VMLINUX, "-")),
    (Path(IMAGE), ("diff", VMLINUX, "-")),
    (Path(VMLINUX), ("diff", "-", IMAGE)),
    (Path(VMLINUX), ("vmlinux", "-")),
    (Path(VMLINUX), ("vmlinux", "-", "--table", "__ksymtab")),
    (Path(VMLINUX), ("size", "-", "--by", "symbol")),
    (Path(VMLINUX), ("size", VMLINUX, "--against", "-")),
    (Path(VMLINUX), ("size", VMLINUX, "--against=-")),
    (Path(SYMVERS), ("symvers", "-")),
    (Path(TYPED), ("types", "-", "gadget")),
    (Path(SYMVERS), ("abi", SYMVERS, "-")),
    (Path(SYMVERS), ("modules", MODULES, "--symvers", "-")),
    (DOOR, ("module", "-")),
    (DOOR, ("module", "-F", "license", "-")),
    (Path(DTB), ("dtb", "-")),
)


@pytest.mark.parametrize(
    ("path", "words"), INPUTS, ids=lambda value: " ".join(map(str, value)) if isinstance(value, tuple) else ""
)
def test_standard_input_is_a_file_like_any_other(path: Path, words: tuple[str | Path, ...]) -> None:
    from_pipe = piped(path.read_bytes(), *words)
    assert (from_pipe.returncode, from_pipe.stderr) == (0, b"")
    from_file = piped(path, *words)
    assert (from_file.stdout, from_file.stderr) == (from_pipe.stdout, b"")
    assert b"/dev/stdin" in from_pipe.stdout or "-F" in words


def test_standard_input_of_file_and_unpack(tool: Callable[[str], str]) -> None:
    data = Path(IMAGE).read_bytes()
    theirs = subprocess.run([tool("file"), "-"], input=data, capture_output=True, check=True).stdout
    assert piped(data, "file", "-").stdout == theirs
    assert piped(Path(IMAGE), "file", "-").stdout == theirs
    assert piped(gzip.compress(data), "unpack", "-", "-o", "-").stdout == data
    assert piped(gzip.compress(data), "unpack", "-o", "-", "-").stdout == data


def test_standard_input_that_is_none() -> None:
    for redirected, reason in (
        ("<&-", "standard input: closed"),
        ("</dev/null", ""),
    ):
        script = f"{sys.executable} -m kinspect image - {redirected}"
        done = subprocess.run(["sh", "-c", script], capture_output=True, text=True, timeout=60)
        assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
        assert reason in done.stderr
    assert piped(b"", "image", "-").stderr == b"kinspect: /dev/stdin: empty file\n"


def test_a_pipe_without_end_is_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    code = (
        "import sys; import kinspect.commands.interface.usage as usage; usage.LARGEST_INPUT = 1 << 20\n"
        "from kinspect.cli import main; sys.exit(main(['image', '-']))"
    )
    script = f'yes | "{sys.executable}" -c "$CODE"'
    done = subprocess.run(
        ["sh", "-c", script], capture_output=True, text=True, timeout=60, env={**os.environ, "CODE": code}
    )
    assert done.returncode == 2
    assert done.stderr.startswith("kinspect: standard input: too long: write it to a file first: expected at most")
