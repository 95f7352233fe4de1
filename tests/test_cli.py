"""The command line as its users meet it: whole processes, their output, their exit status."""

import functools
import inspect
import itertools
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from kinspect import cli
from kinspect.errors import KinspectError
from kinspect.inspection.report import checks_of
from kinspect.reports.formats import FORMATS
from tests.conftest import ROOT, SAMPLE, Kernel
from tests.toy_tree import kmod_version, ko, real_depmod, tree_of

VMLINUX, IMAGE = str(SAMPLE / "vmlinux"), str(SAMPLE / "Image")
MODULES = str(SAMPLE / "modules")
SYMVERS = str(SAMPLE / "modules" / "Module.symvers")
MODULE = str(SAMPLE / "modules" / "lib/modules/6.1.0-hello/kernel/drivers/hello/hello-door.ko")
DTB, OVERLAY = str(SAMPLE / "dtb" / "hello.dtb"), str(SAMPLE / "dtb" / "hello-lamp.dtbo")
SCHEMA = json.loads((ROOT / "docs" / "report.schema.json").read_text())


def kinspect(*words: str, **more: str) -> subprocess.CompletedProcess[str]:
    """Run the command."""
    environment = {**os.environ, **more}
    command = [sys.executable, "-m", "kinspect", *words]
    return subprocess.run(command, capture_output=True, text=True, env=environment, timeout=60)


def document(*words: str) -> dict[str, Any]:
    """The JSON document that a command prints, held against the schema."""
    done = kinspect(*words, "--json")
    found: dict[str, Any] = json.loads(done.stdout)
    jsonschema.validate(found, SCHEMA)
    assert found["exit_code"] == done.returncode
    return found


@pytest.fixture
def changed(tmp_path: Path) -> str:
    """The sample's Image with one byte of its text changed."""
    data = bytearray((SAMPLE / "Image").read_bytes())
    data[0x10004] ^= 0xFF
    (tmp_path / "Image").write_bytes(data)
    return str(tmp_path / "Image")


def test_the_schema_is_a_schema() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)


COMMANDS = [
    ("check", VMLINUX, IMAGE, str(SAMPLE / "System.map")),
    ("image", IMAGE),
    ("vmlinux", VMLINUX),
    ("vmlinux", VMLINUX, "--table", "__ksymtab"),
    ("diff", VMLINUX, IMAGE),
    ("size", VMLINUX, IMAGE),
    ("size", VMLINUX),
    ("module", MODULE),
    ("symvers", SYMVERS, "--vmlinux", IMAGE, "--modules", MODULES),
    ("symvers", SYMVERS, "--vmlinux", VMLINUX),
    ("modules", MODULES, "--symvers", SYMVERS),
    ("abi", SYMVERS, SYMVERS),
    ("dtb", DTB, OVERLAY),
    ("dtb", DTB, "--tree"),
    ("dtb", DTB, "--path", "serial0"),
    ("file", IMAGE, VMLINUX),
]


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_a_good_file_gives_status_0_and_valid_json(words: tuple[str, ...]) -> None:
    assert kinspect(*words).returncode == 0
    found = document(*words)
    assert found["ok"] is True
    assert found["facts"]


@pytest.mark.parametrize("words", [words for words in COMMANDS if words[0] != "file"], ids=" ".join)
def test_quiet_prints_nothing(words: tuple[str, ...]) -> None:
    done = kinspect(*words, "-q")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_a_pipe_gets_no_colour(words: tuple[str, ...]) -> None:
    assert "\x1b" not in kinspect(*words).stdout


def spied(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> tuple[Callable[..., int], Callable[..., int], list[dict[str, Any]]]:
    """A command, what is called in its place, and the arguments of each call."""
    command = cli._command(name)
    called: list[dict[str, Any]] = []

    @functools.wraps(command)
    def spy(*args: Any, **kwargs: Any) -> int:
        arguments = inspect.signature(command).bind(*args, **kwargs)
        arguments.apply_defaults()
        called.append(arguments.arguments)
        return 0

    monkeypatch.setattr(cli, "_command", lambda _: spy)
    return command, spy, called


@pytest.mark.parametrize("name", cli.COMMANDS)
def test_a_plain_call_is_what_typer_would_call(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    command, spy, called = spied(name, monkeypatch)
    plain = 0
    for words in itertools.product(("a", "b c", "-q", "--json", "--quiet"), repeat=3):
        for count in range(4):
            call = cli.plain_call(command, list(words[:count]))
            if call:
                plain += 1
                called.clear()
                spy(*call.args, **call.keywords)  # type: ignore[attr-defined]
                assert cli._run_by_typer([name, *words[:count]]) == 0
                assert called[0] == called[1], words[:count]
    assert plain >= 10


@pytest.mark.parametrize("name", cli.COMMANDS)
def test_plain_options_are_what_typer_would_read(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    command, spy, called = spied(name, monkeypatch)
    for option in (*cli._TEXTS, *cli._NUMBERS, *cli._LISTS):
        value = "7" if option in cli._NUMBERS else "folder,symbol"
        for words in (
            ["a", "b", option, value],
            [f"{option}={value}", "a"],
            ["a", option, value, "-q"],
            ["a", option, value, f"{option}={value}"],
            ["a", option],
        ):
            call = cli.plain_call(command, words)
            called.clear()
            try:
                status = cli._run_by_typer([name, *words])
            except KinspectError:
                status = 2
            if call:
                spy(*call.args, **call.keywords)  # type: ignore[attr-defined]
                assert called[0] == called[1], words
                assert status == 0


@pytest.mark.parametrize("words", [("--top", "x"), ("--top", "-1"), ("--top", "²"), ("--top",), ("--by", "--json")])
def test_typer_reads_values_that_are_not_plain(words: tuple[str, ...]) -> None:
    assert cli.plain_call(cli._command("size"), ["vmlinux", *words]) is None


@pytest.mark.parametrize("words", [("diff", "a"), ("diff", "a", "b", "c"), ("image",), ("file", "x", "-q"), ("size",)])
def test_typer_reads_what_is_not_plain(words: tuple[str, ...]) -> None:
    assert cli.plain_call(cli._command(words[0]), list(words[1:])) is None
    assert re.fullmatch(r"kinspect: .*\n", kinspect(*words).stderr)


def test_a_word_that_an_option_does_not_take_is_one_line() -> None:
    done = kinspect("size", VMLINUX, "--sort", "colour")
    expected = "kinspect: --sort: unknown value: expected one of address, size, name, found colour\n"
    assert (done.returncode, done.stderr) == (2, expected)
    done = kinspect("checks", "quux")
    assert (done.returncode, done.stderr) == (2, "kinspect: quux: no such check (`kinspect checks` lists all)\n")


COMMAND_NAMES = (
    "check",
    "image",
    "file",
    "vmlinux",
    "diff",
    "size",
    "unpack",
    "config",
    "module",
    "symvers",
    "modules",
    "depmod",
    "abi",
    "load",
    "dtb",
    "log",
    "checks",
)


def test_depmod_writes_what_the_sample_has(tmp_path: Path) -> None:
    found = document("depmod", MODULES, "-o", str(tmp_path), "--kmod", "30")
    written = {file["name"] for file in found["facts"][0]["written"]}
    assert "modules.dep" in written
    for name in written:
        assert (tmp_path / name).read_bytes() == (Path(MODULES) / "lib/modules/6.1.0-hello" / name).read_bytes(), name


@pytest.mark.parametrize("line", ["override a * kernel", "search built-in updates"])
def test_depmod_follows_its_configuration(line: str, tmp_path: Path, tool: Callable[[str], str]) -> None:
    paths = ("kernel/a.ko", "extra/a.ko", "updates/a.ko", "kernel/b.ko")
    tree_of(tmp_path, {path: ko([f"x{number}"], ["x0"] if number == 3 else []) for number, path in enumerate(paths)})
    folder, file = tmp_path / "toy.d", tmp_path / "more.conf"
    folder.mkdir()
    (folder / "toy.conf").write_text(f"{line}\n")
    file.write_text("exclude extra\n")
    config = ("-C", str(folder), "--config", str(file))
    expected = real_depmod(tool("depmod"), tmp_path, "-C", str(folder), "-C", str(file))
    out = ("--out", str(tmp_path / "out"), "--kmod", str(kmod_version(tool("depmod"))))
    replaced = {"modules-are-not-replaced"}
    assert ids("depmod", str(tmp_path), *out, *config) == replaced
    assert {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()} == expected
    assert sorted(expected["modules.dep"].splitlines()) == [b"kernel/a.ko:", b"kernel/b.ko: kernel/a.ko"]
    # What depmod wrote is right for who follows the same configuration, and for nobody else.
    assert ids("modules", str(tmp_path), *config) == replaced
    assert ids("modules", str(tmp_path)) > replaced
    assert ids("modules", str(tmp_path), *config, "-C", "gone") == {*replaced, "depmod-configuration-is-understood"}


def ids(*words: str) -> set[str]:
    return {finding["id"] for finding in document(*words)["findings"]}


def test_module_prints_what_modinfo_prints(tool: Callable[[str], str]) -> None:
    theirs = subprocess.run([tool("modinfo"), MODULE], capture_output=True, text=True, check=True).stdout
    assert kinspect("module", MODULE, "--modinfo").stdout == theirs
    theirs = subprocess.run([tool("modinfo"), "-F", "alias", MODULE], capture_output=True, text=True, check=True).stdout
    assert kinspect("module", MODULE, "-F", "alias").stdout == theirs


@pytest.mark.parametrize("option", ["-a", "-d", "-l", "-p", "-n", "--author", "--parameters", "-0n", "-0p"])
def test_module_takes_the_options_of_modinfo(option: str, kernel: Kernel, tool: Callable[[str], str]) -> None:
    paths = [str(path) for path in sorted((kernel.folder / "lib").rglob("*.ko*"))[::40]]
    theirs = subprocess.run([tool("modinfo"), option, *paths], capture_output=True, text=True, check=True).stdout
    assert kinspect("module", option, *paths).stdout == theirs
    assert theirs


def test_module_tells_one_field_at_a_time() -> None:
    done = kinspect("module", MODULE, "-a", "-F", "license")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "kinspect: --field: more than one field: expected one, found author, license\n"


def test_a_difference_gives_status_1_in_every_mode(changed: str) -> None:
    done = kinspect("diff", VMLINUX, changed)
    assert done.returncode == 1
    assert "changed after the link in one place" in done.stdout
    assert kinspect("diff", VMLINUX, changed, "-q").returncode == 1
    found = document("diff", VMLINUX, changed)
    assert found["ok"] is False
    assert [finding["id"] for finding in found["findings"]] == ["image-is-objcopy-of-vmlinux"]


def test_the_verdict_counts_checks_and_not_what_they_found(tmp_path: Path) -> None:
    shutil.copytree(Path(MODULES) / "lib/modules/6.1.0-hello", tmp_path / "tree")
    (tmp_path / "tree/modules.symbols").unlink()
    with (tmp_path / "tree/modules.dep").open("a") as dep:
        dep.write("kernel/a.ko:\nkernel/b.ko:\n")
    done = kinspect("modules", str(tmp_path / "tree"))
    assert done.stdout.count("[modules-of-modules-dep-are-there]") == 2
    assert re.search(r"^not good: 1 of \d\d checks failed, 1 warning$", done.stdout, re.MULTILINE)


def test_text_and_json_tell_the_same(changed: str) -> None:
    text = kinspect("diff", VMLINUX, changed).stdout
    (facts,) = document("diff", VMLINUX, changed)["facts"]
    (difference,) = facts["why"]["differences"]
    for told in (hex(difference["offset"]), difference["place"], difference["line"], facts["why"]["message"]):
        assert told in text


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("image", "missing"), "missing: No such file or directory"),
        (("image", "."), ".: is a directory"),
        (("image", VMLINUX), "expected an arm64 Image, found an ELF file"),
        (("diff", IMAGE, __file__), "expected a vmlinux or an Image, found a text file"),
        (("size", SYMVERS), "expected an arm64 vmlinux"),
        (("vmlinux", VMLINUX, "--table", "nothing"), "nothing"),
    ],
)
def test_an_error_is_one_line_and_status_2(words: tuple[str, ...], said: str) -> None:
    done = kinspect(*words)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1
    assert said in done.stderr
    assert document(*words)["errors"]


@pytest.mark.parametrize("words", [("image",), ("nothing",), ("size", VMLINUX, "--sort", "x"), ("checks", "x")])
def test_wrong_words_are_status_2(words: tuple[str, ...]) -> None:
    done = kinspect(*words)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert done.stderr


def test_several_images_are_each_judged_and_the_worst_counts(changed: str) -> None:
    done = kinspect("image", IMAGE, "missing", changed)
    assert done.returncode == 2
    assert done.stdout.count("arm64 Image, 135,680 bytes") == 2
    assert done.stderr == "kinspect: missing: No such file or directory\n"


def test_an_interrupt_is_status_130(tmp_path: Path) -> None:
    code = (
        "import os, signal, sys\n"
        "import kinspect.inspection.kernel as inspection\n"
        "inspection.image = lambda *given: os.kill(os.getpid(), signal.SIGINT)\n"
        "from kinspect.cli import main\n"
        "sys.exit(main(['image', 'x']))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 130 or done.returncode == -signal.SIGINT
    assert "Traceback" not in done.stderr


def test_a_reader_that_goes_away_is_quiet() -> None:
    script = f"{sys.executable} -m kinspect vmlinux {VMLINUX} --table .symtab | head -n 1"
    done = subprocess.run(["sh", "-c", script], capture_output=True, text=True)
    assert done.stderr == ""
    assert done.stdout.count("\n") == 1


def test_a_full_disk_is_status_2() -> None:
    with open("/dev/full", "w") as full:
        command = [sys.executable, "-m", "kinspect", "size", VMLINUX]
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True)
    assert done.returncode == 2
    assert done.stderr == "kinspect: standard output: cannot write: No space left on device\n"


def test_an_internal_error_is_one_line_and_status_2() -> None:
    code = (
        "import sys, kinspect.inspection.kernel as inspection\n"
        "inspection.image = lambda *given: {}['gone']\n"
        "from kinspect.cli import main\n"
        "sys.exit(main(['image', 'x']))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr.startswith("kinspect: internal error: KeyError: 'gone'")
    assert done.stderr.count("\n") == 1


def test_names_are_escaped(tmp_path: Path) -> None:
    path = tmp_path / "Im\x1b[31mage\u202e"
    path.write_bytes((SAMPLE / "Image").read_bytes())
    done = kinspect("image", str(path))
    assert "Im\\x1b[31mage\\u202e: arm64 Image" in done.stdout
    assert "\x1b" not in done.stdout
    done = kinspect("image", str(path) + "gone")
    assert "Im\\x1b[31mage\\u202egone" in done.stderr
    raw = os.fsdecode(bytes(tmp_path) + b"/\xff")
    os.link(path, raw)
    (facts,) = document("image", raw)["facts"]
    assert facts["path"] == f"{tmp_path}/\\xff"


def test_version_and_help() -> None:
    assert re.fullmatch(r"kinspect \d+\.\d+\.\d+\n", kinspect("--version").stdout)
    commands = kinspect("--help").stdout
    for name in COMMAND_NAMES:
        assert f"\n  {name} " in commands
        assert kinspect(name, "-h").returncode == 0


def test_checks_are_listed_and_explained() -> None:
    every = checks_of()
    listed = kinspect("checks").stdout.splitlines()
    assert [line.split()[0] for line in listed] == [check.id for check in every]
    for check in every:
        assert "Source: " in check.doc or check.id == "image-size-is-below-4-gib", f"{check.id} cites no source"
    done = kinspect("checks", "image-is-objcopy-of-vmlinux")
    assert done.stdout.startswith("image-is-objcopy-of-vmlinux (error; needs an arm64 vmlinux and an arm64 Image)\n")
    assert json.loads(kinspect("checks", "--json").stdout)["checks"][0]["id"] == every[0].id


def test_the_checks_reference_is_up_to_date() -> None:
    from kinspect.reports.checks import reference

    assert (ROOT / "docs" / "checks.md").read_text() == reference(checks_of())


def test_real_kernels(kernel: Kernel) -> None:
    assert kinspect("diff", kernel.vmlinux, kernel.image).stdout.splitlines()[-1].startswith("good: ")
    for words in (("image", kernel.image), ("vmlinux", kernel.vmlinux), ("size", kernel.vmlinux, kernel.image)):
        found = document(*words)
        assert found["ok"] is True
        assert found["findings"] == []
        assert kernel.release in json.dumps(found) or words[0] == "size"


@pytest.mark.parametrize("form", ["vmlinux", "Image"])
def test_real_modules_against_their_kernel(form: str, kernel: Kernel) -> None:
    folder, symvers = str(kernel.folder / "lib/modules" / kernel.release), str(kernel.folder / "Module.symvers")
    found = document("modules", folder, "--symvers", symvers, "--vmlinux", str(kernel.folder / form))
    assert found["exit_code"] == 0
    assert {finding["severity"] for finding in found["findings"]} == {"info"}
    assert "vermagic-is-the-kernels" in found["checks"]
    # Once against the exports in Module.symvers, once against those of the kernel itself.
    for check in ("needed-symbols-are-exported", "namespaces-of-the-kernel-are-imported"):
        assert found["checks"].count(check) == 2


@pytest.mark.corpus
@pytest.mark.parametrize("form", ["vmlinux", "Image"])
def test_real_modules_against_another_kernel(form: str, kernels: tuple[Kernel, Kernel]) -> None:
    folder = kernels[0].folder / "lib/modules" / kernels[0].release
    found = document("modules", str(folder), "--vmlinux", str(kernels[1].folder / form))
    assert found["exit_code"] == 1
    assert "needed-symbols-are-exported" in found["checks"]
    # Exports that are missing follow from the other release.
    messages = {finding["id"]: finding["message"] for finding in found["findings"] if finding["severity"] != "info"}
    assert "needed-symbols-are-exported" not in messages
    assert re.search(r"\([1-9]\d\d findings that follow from it left out\)", messages["vermagic-is-the-kernels"])


FORMATTED = [words for words in COMMANDS if words[0] not in ("file", "size")]


@pytest.mark.parametrize("words", FORMATTED, ids=" ".join)
def test_a_command_takes_every_format(words: tuple[str, ...]) -> None:
    starts = {
        "json": "{\n",
        "jsonl": '{"facts": ',
        "sarif": "{\n",
        "junit": "<?xml ",
        "markdown": "## ✅ kinspect: good",
    }
    for form, start in starts.items():
        done = kinspect(*words, "--format", form)
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout.startswith(start)
    assert kinspect(*words, "--format", "github").stdout.splitlines()[-1].startswith("good: ")
    assert kinspect(*words, "--format", "json").stdout == kinspect(*words, "--json").stdout
    assert kinspect(*words, "--format", "sarif", "-q").stdout == ""


def test_an_unknown_format_is_one_line_before_any_work(tmp_path: Path) -> None:
    expected = f"kinspect: --format: unknown value: expected one of {', '.join(FORMATS)}, found x\n"
    done = kinspect("depmod", MODULES, "-o", str(tmp_path), "--format", "x")
    assert (done.returncode, done.stdout, done.stderr) == (2, "", expected)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("form", FORMATS)
def test_a_hostile_name_says_nothing_of_its_own(form: str, tmp_path: Path) -> None:
    path = os.fsdecode(bytes(tmp_path) + b"/I\n::error::x\x1b[31m]]>\xff|`")
    Path(path).write_bytes((SAMPLE / "Image").read_bytes() + bytes(1 << 20))
    done = kinspect("image", path, path + "gone", "--format", form)
    assert done.returncode == 2
    assert not [line for line in done.stdout.splitlines() if line.startswith("::error::x")]
    assert "\x1b" not in done.stdout + done.stderr
    assert done.stderr.count("\n") == 1
