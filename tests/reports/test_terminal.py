"""What commands print on a terminal: every table in its width, colour by the usual rules, the verdict in the last line.

Every command of README and docs/ runs on a terminal of 80 columns, and so do all commands on real kernels.
"""

import io
import json
import re
import shlex
import sys
from pathlib import Path

import pytest

from kinspect import cli
from kinspect.checks.check import Evidence, Finding, Severity
from kinspect.errors import Location, UnreadableError
from kinspect.inspection.report import Report
from kinspect.reports.layout import columns, paragraph, shortened, titled, wrapped
from kinspect.reports.terminal import COLOUR, Style, visible_width
from kinspect.reports.verdict import verdict
from samples.hello.examples import make_examples
from tests.conftest import ROOT, SAMPLE, Build, Kernel
from tests.support import on_a_terminal
from tests.test_docs import CONSOLE, environment, pages_with, sample_in

NARROW = Style(False, 40)
COLOURS = "\x1b\\[[0-9;]*m"
VERBATIM = re.compile(
    r"kinspect (file|config|trace)\b|dtb .*--(tree|path)\b|module .*(--modinfo|-F)|--(json|format|csv)|-h\b|--help"
    r"|\| sed\b"
)
"""Commands that print what another program prints, or a document for one, and into a pipe: that stays as it is."""
WORDS = {0: {"good"}, 1: {"not good", "incomplete"}, 2: {"could not tell", "not good"}}


def plain(text: str) -> str:
    return re.sub(COLOURS, "", text)


def too_wide(text: str, width: int = 80) -> list[str]:
    """Lines wider than the terminal, except those of one word, such as the path of a finding: that is there to copy."""
    return [line for line in plain(text).splitlines() if visible_width(line) > width and " " in line.strip()]


# tables


@pytest.mark.parametrize(
    ("text", "width", "short"),
    [
        ("arch/arm64/kernel/vdso/setup.o", 30, "arch/arm64/kernel/vdso/setup.o"),
        ("arch/arm64/kernel/vdso/setup.o", 29, "arch/arm64/kernel/…/setup.o"),
        ("arch/arm64/kernel/vdso/setup.o", 21, "arch/arm64/…/setup.o"),
        ("arch/arm64/kernel/vdso/setup.o", 10, "…/setup.o"),
        ("arch/arm64/kernel/vdso/setup.o", 8, "…/se…p.o"),
        ("/boot/vmlinuz-6.1", 15, "/…/vmlinuz-6.1"),
        ("do_notify_resume_and_more+0x10/0x44", 20, "do_n…_more+0x10/0x44"),
        ("do_notify_resume+0x10/0x44", 10, "do_n…/0x44"),
        ("__kvm_nvhe_a_very_long_symbol", 11, "__kvm…ymbol"),
        ("名前名前名前", 7, "名…名前"),
        ("  \x1b[2m[alignment]\x1b[0m", 9, "  \x1b[2m[al…nt]\x1b[0m"),
    ],
)
def test_names_are_shortened_in_the_middle(text: str, width: int, short: str) -> None:
    assert shortened(text, width) == short
    assert visible_width(short) <= width


def test_a_table_keeps_everything_without_a_width() -> None:
    row = ("a" * 100, "b" * 100, "c " * 100)
    assert list(columns(Style(False), [row], "/><")) == [f"  {row[0]}  {row[1]}  {row[2]}".rstrip()]


def test_names_are_shortened_before_text_is_wrapped() -> None:
    row = ("12 B", "include/config/kernel.release", "some text that says more")
    for width, line in (
        (65, "  12 B  include/config/kernel.release  some text that says more"),
        (60, "  12 B  include/…/kernel.release  some text that says more"),
    ):
        assert list(columns(Style(False, width), [row], ">/<")) == [line]
    lines = list(columns(NARROW, [row], ">/<"))
    assert len(lines) > 1
    assert max(map(visible_width, lines)) <= 40


def test_columns_are_left_out_by_importance() -> None:
    rows = [("name", "1" * 10, "2" * 10, "3" * 10)]
    assert list(columns(Style(False, 48), rows, "/>>=", drop=(1, 2))) == [f"  name  {'1' * 10}  {'2' * 10}  {'3' * 10}"]
    assert list(columns(NARROW, rows, "/>>=", drop=(1, 2))) == [f"  name  {'2' * 10}  {'3' * 10}"]
    assert list(titled(Style(False, 20), ("a", "b", "c", "d"), rows, "/>>=", drop=(1, 2))) == [
        "  a     d",
        f"  name  {'3' * 10}",
    ]


def test_wide_characters_and_colours_do_not_shift_columns() -> None:
    rows = [("名前", "x"), ("\x1b[1mab\x1b[0m", "x"), ("e\u0301", "x")]
    assert [plain(line).index("x") for line in columns(Style(True), rows, "<<")] == [6, 8, 9]


def test_text_is_wrapped_at_words() -> None:
    assert list(wrapped(NARROW, "error     " + "word " * 9, 10)) == [
        "error     word word word word word word",
        "          word word word",
    ]
    path = "/" + "a" * 50
    assert list(wrapped(NARROW, f"    {path} is missing")) == [f"    {path}", "        is missing"]
    assert list(paragraph(NARROW, "word " * 9, "  ")) == ["  word word word word word word word", "  word word"]
    assert list(wrapped(Style(False), "word " * 99)) == ["word " * 99]


# the width


class Screen(io.StringIO):
    """A terminal without a device."""

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("given", "width"), [("", 80), ("100", 100), ("12", 40), ("0", 80), ("-3", 80), ("wide", 80), ("9" * 5000, 10_000)]
)
def test_columns_is_the_width_of_a_terminal(given: str, width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", given)
    assert Style.of(Screen()).width == width
    assert Style.of(io.StringIO()).width is None


def test_the_size_of_the_terminal_is_its_width() -> None:
    command = [sys.executable, "-m", "kinspect", "vmlinux", "vmlinux"]
    texts = [plain(on_a_terminal(command, width, SAMPLE, PYTHONPATH=str(ROOT))[1]) for width in (60, 80, 200, 0)]
    assert [too_wide(text, width) for text, width in zip(texts, (60, 80, 200, 80), strict=True)] == [[], [], [], []]
    assert texts[3] == texts[1]
    assert "load address" in texts[2]
    assert "load address" not in texts[1]


def test_a_pipe_gets_all_text_whatever_columns_says(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    cli.main(["vmlinux", str(SAMPLE / "vmlinux")])
    everything = capsys.readouterr().out
    monkeypatch.setenv("COLUMNS", "40")
    cli.main(["vmlinux", str(SAMPLE / "vmlinux")])
    assert capsys.readouterr().out == everything
    assert "load address" in everything


@pytest.mark.parametrize("page", pages_with(CONSOLE), ids=lambda page: page.name)
def test_every_documented_command_fits_80_columns(page: Path, tmp_path: Path) -> None:
    copy = sample_in(tmp_path)
    more = {name: environment(copy)[name] for name in ("PATH", "PYTHONPATH", "LC_ALL")}
    ran = 0
    for block in CONSOLE.findall(page.read_text()):
        for line in re.findall(r"^\$ (.*)$", block, re.M):
            status, text = on_a_terminal(["sh", "-c", line], 80, copy, **more)
            ran += "kinspect" in line
            if not VERBATIM.search(line) and "kinspect" in line:
                assert too_wide(text) == [], line
                assert status in (0, 1, 2), line
    assert ran or page.name == "sizes.md"


@pytest.mark.corpus
def test_every_command_on_real_kernels_fits_80_columns(kernel: Kernel) -> None:
    tables = ("__ksymtab", "__ex_table", ".symtab", ".rela.dyn", "__param")
    commands = [
        "check .",
        "image Image",
        "vmlinux vmlinux",
        *(f"vmlinux vmlinux --table {name}" for name in tables),
        "diff vmlinux Image",
        "size vmlinux Image",
        "size vmlinux --by folder,symbol",
        "size vmlinux --by kind,object --domain file",
        "size vmlinux --savings",
        "symvers Module.symvers --vmlinux Image",
        "modules lib",
        "abi Module.symvers Module.symvers",
        "abi Image vmlinux",
        "types Image",
        "types Image task_struct net_device_ops 'enum *'",
        "types Image --find flags",
    ]
    modules = sorted(kernel.folder.glob("lib/modules/*/kernel/drivers/net/**/*.ko*"))[:40]
    commands += [f"module {module.relative_to(kernel.folder)} --symvers Module.symvers" for module in modules[:3]]
    if modules:
        commands.append(f"types {modules[0].relative_to(kernel.folder)} '*' --base Image")
    commands.append("load Image " + " ".join(str(module.relative_to(kernel.folder)) for module in modules))
    for command in commands:
        words = [sys.executable, "-m", "kinspect", *shlex.split(command)]
        status, text = on_a_terminal(words, 80, kernel.folder, PYTHONPATH=str(ROOT))
        assert text, command
        assert status in (0, 1, 2), command
        assert too_wide(text) == [], command


@pytest.mark.corpus
@pytest.mark.parametrize("more", ["", "--all", "--symbol 'dev*'"])
def test_two_real_kernels_fit_80_columns(kernels: tuple[Kernel, Kernel], more: str) -> None:
    old, new = (shlex.quote(str(kernel.folder)) for kernel in kernels)
    words = [sys.executable, "-m", "kinspect", *shlex.split(f"abi {old} {new} {more}")]
    status, text = on_a_terminal(words, 80, kernels[0].folder, PYTHONPATH=str(ROOT))
    assert status == 1
    assert "not good: " in plain(text).splitlines()[-1]
    assert too_wide(text) == []


@pytest.mark.corpus
@pytest.mark.parametrize("command", ["load NEW MODULE --built-for OLD", "modules MODULES --vmlinux NEW --built-for OLD",
                                     "symvers SYMVERS --vmlinux NEW --built-for OLD"])  # fmt: skip
def test_modules_on_another_real_kernel_fit_80_columns(kernels: tuple[Kernel, Kernel], command: str) -> None:
    old, new = kernels
    modules = next(old.folder.glob("lib/modules/*"))
    paths = {
        "OLD": old.image,
        "NEW": new.image,
        "MODULE": next(modules.rglob("net/dummy.ko*")),
        "MODULES": modules,
        "SYMVERS": old.folder / "Module.symvers",
    }
    words = [sys.executable, "-m", "kinspect", *(str(paths.get(word, word)) for word in command.split())]
    status, text = on_a_terminal(words, 80, old.folder, PYTHONPATH=str(ROOT))
    assert status in (1, 2)
    assert too_wide(text) == []


@pytest.mark.corpus
def test_every_command_on_a_real_build_fits_80_columns(build: Build) -> None:
    commands = [
        "check out",
        "size out/vmlinux --by folder,object",
        "modules install",
        "abi out/Module.symvers out/Module.symvers",
    ]
    commands += [f"log logs/{log.name}" for log in sorted(build.logs.glob("*.log"))]
    for command in commands:
        words = [sys.executable, "-m", "kinspect", *shlex.split(command)]
        _, text = on_a_terminal(words, 80, build.out.parent, PYTHONPATH=str(ROOT))
        assert text, command
        assert too_wide(text) == [], command


def test_bars_fit_the_width() -> None:
    command = [sys.executable, "-m", "kinspect", "size", "vmlinux", "--by", "folder,symbol"]
    lengths = []
    for width in (60, 80, 160):
        _, text = on_a_terminal(command, width, SAMPLE, PYTHONPATH=str(ROOT), NO_COLOR="1")
        assert too_wide(text, width) == []
        lengths.append(max(line.count("█") for line in text.splitlines()))
    assert lengths == sorted(lengths)
    assert lengths[1] > 0
    assert lengths[2] == 24


# colour


@pytest.mark.parametrize(
    ("when", "names", "terminal", "pipe"),
    [
        ("auto", {}, True, False),
        ("auto", {"NO_COLOR": "1"}, False, False),
        ("auto", {"NO_COLOR": ""}, True, False),
        ("auto", {"FORCE_COLOR": "1"}, True, True),
        ("auto", {"FORCE_COLOR": "0"}, True, False),
        ("auto", {"FORCE_COLOR": ""}, True, False),
        ("auto", {"CLICOLOR_FORCE": "1"}, True, True),
        ("auto", {"CLICOLOR_FORCE": "0"}, True, False),
        ("auto", {"NO_COLOR": "1", "FORCE_COLOR": "1"}, False, False),
        ("auto", {"CLICOLOR": "0"}, False, False),
        ("auto", {"CLICOLOR": "1"}, True, False),
        ("auto", {"CLICOLOR": "0", "CLICOLOR_FORCE": "1"}, True, True),
        ("auto", {"TERM": "dumb"}, False, False),
        ("auto", {"TERM": "dumb", "FORCE_COLOR": "1"}, True, True),
        ("always", {"NO_COLOR": "1", "TERM": "dumb"}, True, True),
        ("never", {"FORCE_COLOR": "1"}, False, False),
    ],
)
def test_when_there_is_colour(
    when: str, names: dict[str, str], terminal: bool, pipe: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("NO_COLOR", "FORCE_COLOR", "CLICOLOR_FORCE", "CLICOLOR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    for name, value in names.items():
        monkeypatch.setenv(name, value)
    before = COLOUR.set(when)
    assert (Style.of(Screen()).on, Style.of(io.StringIO()).on) == (terminal, pipe)
    COLOUR.reset(before)


@pytest.mark.parametrize(
    "words",
    [
        ["--color=always", "image", "Image"],
        ["--color", "always", "image", "Image"],
        ["image", "--color=always", "Image"],
        ["image", "Image", "--color", "always"],
        ["image", "Image", "--color=never", "--color=always"],
        ["checks", "image-fits-image-size", "--color=always"],
        ["log", "--explain", "CC", "--color=always"],
        ["log", "logs/build.log", "--color=always"],
        ["modules", "--color=always", "modules"],
        ["size", "vmlinux", "--by", "kind", "--color=always"],
    ],
    ids=" ".join,
)
def test_color_is_an_option_of_every_command_and_before_it(
    words: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(SAMPLE)
    monkeypatch.setenv("NO_COLOR", "1")
    cli.main(words)
    coloured = capsys.readouterr().out
    assert "\x1b[" in coloured
    assert COLOUR.get() == "auto"
    cli.main([word for word in words if not word.startswith("--color") and word != "always"])
    assert capsys.readouterr().out == plain(coloured)


def test_what_color_takes(capsys: pytest.CaptureFixture[str]) -> None:
    for words in (["--color", "blue", "image", "Image"], ["image", "Image", "--color=blue"]):
        assert cli.main(words) == 2
        assert (
            capsys.readouterr().err
            == "kinspect: --color: unknown value: expected one of auto, always, never, found blue\n"
        )
    assert cli.main(["image", "--", "--color=always"]) == 2
    assert capsys.readouterr().err.startswith("kinspect: --color=always: ")


def test_colour_changes_no_character_on_a_terminal() -> None:
    command = [sys.executable, "-m", "kinspect", "size", "vmlinux", "Image"]
    _, coloured = on_a_terminal(command, 200, SAMPLE, PYTHONPATH=str(ROOT))
    _, uncoloured = on_a_terminal(command, 200, SAMPLE, PYTHONPATH=str(ROOT), NO_COLOR="1")
    assert "\x1b[1;32mgood\x1b[0m" in coloured
    assert plain(coloured) == uncoloured


def test_the_version(capsys: pytest.CaptureFixture[str]) -> None:
    texts = []
    for words in (["-V"], ["--version"]):
        assert cli.main(words) == 0
        texts.append(capsys.readouterr().out)
    assert re.fullmatch(r"kinspect \d+\.\d+\.\d+\n", texts[0])
    assert texts[0] == texts[1]


# the verdict


def finding(severity: Severity, name: str = "a-check") -> Finding:
    return Finding(name, severity, Evidence("wrong", (Location("file"),)))


ERROR, WARNING, UNDECIDED = map(finding, (Severity.ERROR, Severity.WARNING, Severity.UNDECIDED))
UNREAD = UnreadableError("missing", Location("file"))


@pytest.mark.parametrize(
    ("findings", "errors", "expected"),
    [
        ((), (), "good: 2 checks, nothing wrong"),
        ((WARNING, WARNING), (), "good: 2 checks, 2 warnings"),
        ((ERROR, ERROR), (), "not good: 1 of 2 checks failed"),
        ((ERROR, WARNING, UNDECIDED), (), "not good: 1 of 2 checks failed, 1 warning"),
        ((ERROR, finding(Severity.UNDECIDED, "b-check")), (), "not good: 1 of 2 checks failed, 1 could not run"),
        ((UNDECIDED,), (), "could not tell: 2 checks, 1 could not run"),
        ((), (UNREAD,), "could not tell: 2 checks; 1 file not read"),
        ((ERROR,), (UNREAD,), "not good: 1 of 2 checks failed; 1 file not read"),
    ],
)
def test_the_words_of_the_verdict(
    findings: tuple[Finding, ...], errors: tuple[UnreadableError, ...], expected: str
) -> None:
    report = Report((), findings, ("a-check", "b-check"), errors)
    assert str(verdict(report)) == expected
    assert expected.split(":")[0] in WORDS[report.exit_code]


def test_there_is_no_verdict_where_nothing_is_judged() -> None:
    assert verdict(Report()) is None


COMMANDS = [
    "check out",
    "check out/.config",
    "check Image vmlinux",
    "check Image.patched vmlinux",
    "image Image Image.bz2",
    "vmlinux vmlinux",
    "diff vmlinux Image",
    "diff vmlinux Image.patched",
    "size vmlinux Image",
    "size vmlinux --budget budget.toml",
    "symvers Module.symvers --vmlinux Image",
    "symvers modules/Module.symvers --vmlinux Image",
    "module modules/lib/modules/6.1.0-hello/kernel/drivers/hello/hello-door.ko",
    "modules modules",
    "depmod modules/lib/modules/6.1.0-hello -o indexes",
    "load out/arch/arm64/boot/Image out/drivers/hello/hello-door.ko",
    "load out/vmlinux modules",
    "abi Module.symvers Module.symvers",
    "abi modules/Module.symvers Module.symvers",
    "abi abi/old abi/new",
    "abi abi/old abi/new --symbol driver_name",
    "types abi/new/vmlinux",
    "dtb dtb/hello.dtb",
    "log logs/failed.log",
    "log logs/build.log",
    "unpack Image.bz2 -o unpacked",
]


@pytest.fixture(scope="module")
def examples(tmp_path_factory: pytest.TempPathFactory) -> Path:
    copy = sample_in(tmp_path_factory.mktemp("examples"))
    make_examples(copy)
    (copy / "budget.toml").write_text('[image]\nimage_size = "100 KiB"\n')
    return copy


@pytest.mark.parametrize("command", COMMANDS)
def test_the_verdict_is_the_last_line_of_every_command(
    command: str, examples: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(examples)
    status = cli.main(command.split())
    *before, empty, last = capsys.readouterr().out.splitlines()
    assert empty == ""
    assert before
    assert re.split("[:;]", last)[0] in WORDS[status], last
    # Nothing else looks like one.
    assert not [
        line for line in before if re.match(r"(good|not good|incomplete|could not tell|same|different): ", line)
    ] or (command.startswith("image"))


def test_diff_of_two_builds_ends_after_the_cause(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Unless --ranges asks for places; a document has them in any case."""
    vmlinux, image = SAMPLE / "vmlinux", tmp_path / "Image"
    data = (SAMPLE / "Image").read_bytes()
    build_id = bytes.fromhex("7e0b8037c7a54560209d051bc58181e1c48894e8")
    assert data.count(build_id) == 1
    data = data.replace(build_id, bytes(reversed(build_id))).replace(b"6.1.0-hello", b"6.2.0-hello")
    image.write_bytes(data)
    places = []
    for more in ([], ["--ranges", "1"], ["--ranges=0"]):
        assert cli.main(["diff", str(vmlinux), str(image), *more]) == 1
        text = capsys.readouterr().out
        assert "the two come from different builds" in text
        places.append(len(re.findall(r"^ {6}vmlinux  ", text, re.M)))
        assert ("section" in text) == bool(more)
    assert places == [0, 1, 0]
    cli.main(["diff", str(vmlinux), str(image), "--json"])
    assert json.loads(capsys.readouterr().out)["facts"][0]["why"]["differences"]
