"""The forms of build logs: languages, encodings, prefixes, the programs around make, causes without a known message."""
# ruff: noqa: RUF001, E501

import gettext
from collections.abc import Iterator
from pathlib import Path

import pytest

from kinspect.views.buildlog.commands import Step
from kinspect.views.buildlog.facts import BuildOutcome
from tests.views.buildlog.test_parser import QUIET, facts, read

FAILED = """\
make[1]: Entering directory '/k/out'
  CC      drivers/char/lamp.o
drivers/char/lamp.c:41:9: error: 'x' undeclared
make[2]: *** [scripts/Makefile.build:250: drivers/char/lamp.o] Error 1
make[1]: *** [Makefile:1992: drivers] Error 2
make[1]: Leaving directory '/k/out'
"""
PREFIXES = (
    *("> ", "| ", "linux-board> ", "builder-1  | ", "[🔨] ", "[build : compile] ", "node │ ", "pod-1 build\t"),
    *("2024-05-18 10:00:00 | node1 | ", "builder-1  | 2024-05-18T08:01:02.123Z ", "[Pipeline] [10:00:00] "),
    *("build\tBuild kernel\t2024-05-18T08:01:03.1234567Z ", "build\tBuild\t\ufeff2024-05-18T08:01:03.1234567Z "),
)


@pytest.mark.parametrize("prefix", PREFIXES)
@pytest.mark.parametrize("text", [QUIET, FAILED])
def test_a_prefix_of_all_lines_is_removed(prefix: str, text: str) -> None:
    # The first line is of make, from which a prefix is learned only where it ends with a mark.
    lines = text.splitlines()[0 if prefix[-2] in "|>]│" or "Z " in prefix else 1 :]
    expected = facts("".join(f"{line}\n" for line in lines))
    found = facts("".join(f"{prefix}{line}\n" for line in lines))
    assert found == expected
    assert found.account.unknown == 0


def test_a_prefix_is_learned_from_steps_with_reasons() -> None:
    lines = (
        "  CC      fs/a.o - due to target missing",
        "fs/a.c:1:2: error: text",
        "  CC      fs/b.o - not in $(targets)",
    )
    found, expected = (facts("".join(f"{prefix}{line}\n" for line in lines)) for prefix in ("| ", ""))
    assert found == expected
    assert (found.verbosity, found.errors, found.account.steps) == (2, 1, 2)


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("size", [1, 3, 1 << 17])
def test_utf_16_is_read(encoding: str, size: int) -> None:
    data = FAILED.replace("\n", "\r\n").encode(encoding)
    if encoding == "utf-16-be":
        data = b"\xfe\xff" + data
    found = read(data, size)
    expected = read(FAILED.encode())
    assert (found.account, found.messages, found.failures) == (expected.account, expected.messages, expected.failures)


def test_the_end_of_another_line_does_not_hide_a_failure() -> None:
    found = facts(
        "  BTFIDS  vmlinux\nFAILED: load BTF from vmlinux: Unknown error -22make: *** [Makefile:1: vmlinux] Error 255\n"
    )
    assert (found.outcome, found.failures) == (BuildOutcome.FAILED, ("vmlinux",))
    (message,) = found.messages
    assert (message.tool, message.text) == ("resolve_btfids", "load BTF from vmlinux: Unknown error -22")
    assert found.lines == sum(found.account) == 2
    assert facts("  CC      a.o\n^Cmake[2]: *** [Makefile:1: a.o] Interrupt\n").failures == ("a.o",)
    assert facts("fold:start:make  CC      init/main.o\n").last == Step("CC", "", "init/main.o")


def catalogues() -> Iterator[tuple[str, gettext.GNUTranslations]]:
    """make's own translations, where the machine has them."""
    for path in sorted(Path("/usr/share/locale").glob("*/LC_MESSAGES/make.mo")):
        with path.open("rb") as file:
            yield path.parts[-3], gettext.GNUTranslations(file)


LANGUAGES = dict(catalogues())


@pytest.mark.parametrize("language", LANGUAGES)
def test_make_is_read_in_every_language(language: str) -> None:
    text = LANGUAGES[language].gettext
    if text("%s[%u]: Entering directory '%s'\n").startswith("%s[%u]: Entering"):
        pytest.skip("a translation of an older make")
    entering = text("%s[%u]: Entering directory '%s'\n").strip() % ("make", 1, "/k/out")
    leaving = text("%s[%u]: Leaving directory '%s'\n").strip() % ("make", 1, "/k/out")
    failed = text("%s[%s: %s] Error %d%s%s") % ("*** ", "../scripts/Makefile.build:250", "fs/a.o", 1, "", "")
    if failed.endswith("Error 1"):
        failed = text("%s[%s: %s] Error %d%s") % ("*** ", "../scripts/Makefile.build:250", "fs/a.o", 1, "")
    waiting = text("*** Waiting for unfinished jobs....")
    deleting = text("*** Deleting file '%s'") % "fs/a.o"
    no_rule = text("%sNo rule to make target '%s', needed by '%s'%s")
    for number, name in enumerate(("*** ", "fs/a.c", "fs/a.o", text(".  Stop.\n").strip("\n")), 1):
        no_rule = no_rule.replace(f"%{number}$s", name) if "$s" in no_rule else no_rule.replace("%s", name, 1)
    assert facts(f"{entering}\n  CC      fs/a.o\n").outcome == BuildOutcome.CUT
    good = facts(f"{entering}\n  CC      fs/a.o\n{leaving}\n")
    assert (good.outcome, good.account.make, good.account.unknown) == (BuildOutcome.DONE, 2, 0)
    assert facts(f"{entering}\n  CC      fs/a.o\nmake[1]: {waiting}\n{leaving}\n").outcome == BuildOutcome.DONE
    assert facts(f"{entering}\n  CC      fs/a.o\nmake[1]: {deleting}\n{leaving}\n").outcome == BuildOutcome.DONE
    bad = facts(f"{entering}\n  CC      fs/a.o\nmake[1]: {failed}\n{leaving}\n")
    assert (bad.outcome, bad.failures) == (BuildOutcome.FAILED, ("fs/a.o",))
    bad = facts(f"{entering}\n  CC      fs/b.o\nmake[1]: {no_rule}\n{leaving}\n")
    assert (bad.outcome, bad.errors) == (BuildOutcome.FAILED, 1)


@pytest.mark.parametrize(
    ("encoding", "entering", "leaving"),
    [
        ("latin-1", "make[1]: Verzeichnis »/k/out« wird betreten", "make[1]: Verzeichnis »/k/out« wird verlassen"),
        ("koi8-r", "make[1]: вход в каталог '/k/out'", "make[1]: выход из каталога '/k/out'"),
        ("gbk", "make[1]: 进入目录'/k/out'", "make[1]: 离开目录'/k/out'"),
    ],
)
def test_a_log_in_another_encoding_is_cut_where_it_is(encoding: str, entering: str, leaving: str) -> None:
    start = f"{entering}\n  CC      fs/a.o\n".encode(encoding)
    assert facts(start).outcome == BuildOutcome.CUT
    assert facts(start + f"{leaving}\n".encode(encoding)).outcome == BuildOutcome.DONE


@pytest.mark.parametrize(
    ("line", "severity"),
    [
        ("fs/a.c:1:2: Fehler: text", "error"),
        ("fs/a.c:1:2: schwerwiegender Fehler: text", "error"),
        ("fs/a.c:1:2: Warnung: text", "warning"),
        ("fs/a.c:1:2: erreur: text", "error"),
        ("fs/a.c:1:2: attention: text", "warning"),
        ("fs/a.c:1:2: aviso: text", "warning"),
        ("fs/a.c:1:2: エラー: text", "error"),
        ("fs/a.c:1:2: 警告: text", "warning"),
        ("fs/a.c:1:2: 错误：text", "error"),
        ("fs/a.c:1:2: 致命错误：text", "error"),
        ("fs/a.c:1:2: 警告：text", "warning"),
        ("fs/a.c:1:2: ошибка: text", "error"),
        ("fs/a.c:1:2: предупреждение: text", "warning"),
        ("fs/a.c(1,2): Error C0: text", "error"),
    ],
)
def test_gcc_is_read_in_other_languages(line: str, severity: str) -> None:
    found = facts(f"  CC      fs/a.o\n{line}\n  CC      fs/b.o\n")
    (message,) = found.messages
    assert (message.severity, message.path, message.line, message.text) == (severity, "fs/a.c", 1, "text")
    assert message.step == Step("CC", "", "fs/a.o")


def failing(lines: str, status: str = "Error 1") -> tuple[str, int]:
    """The first error of a log that ends with lines and a failure, and the number of errors."""
    found = facts(
        f"  CC      a.o\n  GEN     x.h\n{lines}\nmake[1]: *** [Makefile:9: x.h] {status}\nmake: *** [all] Error 2\n"
    )
    assert (found.outcome, found.failures) == (BuildOutcome.FAILED, ("x.h",))
    assert all(message.step == Step("GEN", "", "x.h") for message in found.messages if message.severity == "error")
    return next((message.text for message in found.messages), ""), found.errors


@pytest.mark.parametrize(
    ("lines", "text"),
    [
        ("/bin/sh: bc: not found", "bc: not found"),
        ("/bin/sh: bc: command not found", "bc: command not found"),
        ("/usr/bin/env: 'python': No such file or directory", "'python': No such file or directory"),
        ("cp: error writing 'x.h': No space left on device", "error writing 'x.h': No space left on device"),
        ('./scripts/x: 1: ./scripts/x: Syntax error: ")" unexpected', './scripts/x: Syntax error: ")" unexpected'),
        ("pahole: x: Invalid argument", "x: Invalid argument"),
        ("FAILED unresolved symbol vfs_lamp", "unresolved symbol vfs_lamp"),
        ("LLVM ERROR: out of memory", "out of memory"),
        (
            'Traceback (most recent call last):\n  File "x.py", line 3\n    import yaml\nImportError: yaml',
            "ImportError: yaml",
        ),
        ('***\n*** Config "x" not found!\n***\n*** Run y.\n***', 'Config "x" not found! Run y.'),
        ("something strange\nhappened here", "something strange happened here"),
        ("something strange\n  CC      b.o\n  CC      c.o", "something strange"),
    ],
)
def test_the_cause_of_a_failure_is_named(lines: str, text: str) -> None:
    assert failing(lines) == (text, 1)


def test_a_signal_needs_no_cause() -> None:
    assert failing("something strange", "Interrupt") == ("", 0)
    assert failing("", "Error 1") == ("", 0)


def test_no_rule_names_what_needs_it() -> None:
    found = facts(
        "  CC      a.o\nmake[1]: *** No rule to make target 'b.pem', needed by 'certs/c'.  Stop.\nmake: *** [certs] Error 2\n"
    )
    assert found.failures == ("certs/c",)
    assert [message.text for message in found.messages] == ["No rule to make target 'b.pem', needed by 'certs/c'"]


def test_old_make_says_it_twice() -> None:
    found = facts("  LD      vmlinux\nMakefile:9: recipe for target 'vmlinux' failed\nmake: *** [vmlinux] Error 1\n")
    assert (found.failures, found.warnings, found.messages) == (("vmlinux",), 0, ())
    found = facts(
        "  LD      vmlinux\nMakefile:9: die Regel für Ziel „vmlinux“ scheiterte\nmake: *** [vmlinux] Fehler 1\n"
    )
    assert (found.failures, found.warnings, found.messages) == (("vmlinux",), 0, ())


@pytest.mark.parametrize(
    "line",
    [
        "ERROR: target/linux failed to build.",
        "    ERROR: target/linux failed to build.",
        "error: builder for '/nix/store/x.drv' failed with exit code 2;",
        "ERROR: Task (/x/linux_6.6.bb:do_compile) failed with exit code '1'",
        "ERROR: Job failed: exit code 2",
        "##[error]Process completed with exit code 2.",
        "==> ERROR: A failure occurred in build().",
        'The command "make" exited with 2.',
        "# exit code: 2",
        "Target //common:kernel_dist failed to build",
    ],
)
def test_a_program_around_make_says_that_it_failed(line: str) -> None:
    found = facts(f"  CC      a.o\n{line}\n")
    assert (found.outcome, len(found.failures), found.errors) == (BuildOutcome.FAILED, 1, 0)


def test_an_error_of_another_program_does_not_spoil_a_good_build() -> None:
    found = facts(QUIET + "error: externally-managed-environment\nfind: 'x': No such file or directory\n")
    assert (found.outcome, found.errors, found.warnings) == (BuildOutcome.IMAGE, 0, 2)
    assert {message.severity for message in found.messages} == {"warning"}
    found = facts(QUIET + "fs/a.c:1:2: error: text\n")
    assert (found.outcome, found.errors, found.warnings) == (BuildOutcome.IMAGE, 1, 0)


def test_rustc_gives_the_place_on_the_next_line() -> None:
    found = facts(
        "  RUSTC L rust/kernel.o\nerror[E0425]: text\n  --> rust/lamp.rs:12:5\n   |\n12 | x\n\nerror: aborting due to 1 previous error\n"
    )
    (message,) = found.messages
    assert (message.tool, message.path, message.line) == ("rustc", "rust/lamp.rs", 12)
