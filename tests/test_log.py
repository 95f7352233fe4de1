"""`kinspect log` as its users meet it: files, pipes, terminals, and its page of the documentation."""

import json
import os
import pty
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from kinspect.reports.buildlog.tags import markdown
from kinspect.views.buildlog.explanation import command_facts
from kinspect.views.buildlog.tags import TAGS
from tests.conftest import ROOT, Build
from tests.support import read_terminal
from tests.test_cli import SCHEMA, document, kinspect
from tests.test_house import command_modules

PAGE = ROOT / "docs" / "build-log.md"
PROSE = str(ROOT / "pyproject.toml")
HEADING = "## Every tag\n\n"
GOOD = """\
make[1]: Entering directory '/k/out'
  CC      init/main.o
  LD      vmlinux
  OBJCOPY arch/arm64/boot/Image
make[1]: Leaving directory '/k/out'
"""
LOG = """\
make[1]: Entering directory '/home/me/linux/out'
  GEN     Makefile
  CALL    ../scripts/checksyscalls.sh
  CC      init/main.o
  CC [M]  fs/nls/nls_utf8.o
  CC      kernel/fork.o
../fs/nls/nls_utf8.c: In function 'uni2char':
../fs/nls/nls_utf8.c:14:16: error: 'lenght' undeclared (first use in this function)
   14 |         return lenght;
      |                ^~~~~~
make[4]: *** [../scripts/Makefile.build:250: fs/nls/nls_utf8.o] Error 1
make[3]: *** [../scripts/Makefile.build:500: fs/nls] Error 2
make[3]: *** Waiting for unfinished jobs....
  AR      init/built-in.a
make[2]: *** [../scripts/Makefile.build:500: fs] Error 2
make[1]: *** [/home/me/linux/Makefile:2000: .] Error 2
make[1]: Leaving directory '/home/me/linux/out'
make: *** [Makefile:250: __sub-make] Error 2
"""


@pytest.fixture
def good(tmp_path: Path) -> str:
    (tmp_path / "build.log").write_text(GOOD)
    return str(tmp_path / "build.log")


@pytest.fixture
def failed(tmp_path: Path) -> str:
    (tmp_path / "failed.log").write_text(LOG)
    return str(tmp_path / "failed.log")


def piped(data: bytes, *words: str) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-m", "kinspect", "log", "-", *words]
    return subprocess.run(command, input=data, capture_output=True, timeout=60)


def test_the_page_has_every_tag() -> None:
    text = PAGE.read_text()
    assert text[text.index(HEADING) + len(HEADING) :] == markdown(), "python tests/test_log.py writes it anew"
    assert all(tag.source and len(tag.meaning) > 4 for tag in TAGS.values())


def test_exit_status_and_json(good: str, failed: str) -> None:
    assert kinspect("log", good).returncode == 0
    assert kinspect("log", good, "-q").stdout == ""
    (facts,) = document("log", good)["facts"]
    assert (facts["outcome"], facts["products"]) == ("image", ["vmlinux", "arch/arm64/boot/Image"])
    done = kinspect("log", failed)
    assert done.returncode == 1
    assert done.stdout.endswith("not good: the build failed, 1 error\n")
    found = document("log", failed)
    assert [one["id"] for one in found["findings"]] == ["build-is-finished", "build-has-no-errors"]
    assert found["facts"][0]["failures"] == ["fs/nls/nls_utf8.o"]
    (message,) = found["facts"][0]["messages"]
    assert message["step"] == {"tag": "CC", "mark": "M", "target": "fs/nls/nls_utf8.o"}
    assert sum(found["facts"][0]["account"].values()) == found["facts"][0]["lines"] == LOG.count("\n")


def test_a_folder_that_lacks_what_was_made(good: str, tmp_path: Path) -> None:
    found = document("log", good, "--build", str(tmp_path))
    assert found["exit_code"] == 1
    assert found["facts"][1]["missing_names"] == ["arch/arm64/boot/Image", "init/main.o", "vmlinux"]
    shown = kinspect("log", good, "--build", str(tmp_path)).stdout
    assert "3 files made by this build are missing" in shown
    assert shown.endswith("not good: the build made a kernel image, 3 files missing\n")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "kinspect: log: no log given: expected a file, or - for standard input\n"),
        (("missing",), "kinspect: missing: No such file or directory\n"),
        ((PROSE,), f"kinspect: {PROSE}: not a build log: expected the output of make, found "),
        (("GOOD", "--build", "missing"), "kinspect: missing: not a folder: expected the O= folder of the build\n"),
        (("--explain", "MODPSOT"), "kinspect: --explain: unknown tag (did you mean MODPOST"),
        (("--explain-command", PROSE), f"kinspect: {PROSE}: no command: expected a command that make V=1 prints"),
        (("--explain-command", "some prose"), "kinspect: --explain-command: no command: expected a command that make "),
        (("--explain-command", "missing"), "kinspect: missing: No such file or directory\n"),
    ],
)
def test_an_error_is_one_line_and_status_2(words: tuple[str, ...], said: str, good: str) -> None:
    done = kinspect("log", *(good if word == "GOOD" else word for word in words))
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert done.stderr.startswith(said)


def explained(*words: str) -> dict[str, Any]:
    """The JSON document of an explanation, held against the schema; it is no report."""
    found: dict[str, Any] = json.loads(kinspect("log", *words, "--json").stdout)
    jsonschema.validate(found, SCHEMA)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**found, "ok": True}, SCHEMA)
    return found


def test_a_tag_is_explained(good: str) -> None:
    assert kinspect("log", "--explain", "cc [M]").stdout.startswith("CC: compiles C, for modules\n\n")
    assert explained("--explain", "MODPOST")["tag"]["name"] == "MODPOST"
    for name in ("ASN.1", "LD32"):
        assert kinspect("log", "--explain", name).stdout.startswith(f"{name}: {TAGS[name].meaning}\n")


def test_all_tags_and_the_marks_are_listed() -> None:
    shown = kinspect("log", "--explain").stdout
    assert [line.split()[0] for line in shown.splitlines() if line] == [*sorted(TAGS), "[M]", "[U]", "[C]"]
    assert all(f"  {tag.meaning}\n" in shown for tag in TAGS.values())
    assert len(explained("--explain")["tags"]) == len(TAGS)
    assert kinspect("log", "--explain", "[m]").stdout == "[M] after a tag: for modules\n"


COMMAND = (
    "  ccache aarch64-linux-gnu-gcc -Wp,-MMD,fs/.a.o.d -nostdinc -I../include -I ./include -include ../include/k.h"
    " -D__KERNEL__ -DMODULE -DX='\"y z\"' -mgeneral-regs-only -O2 -Werror=vla -Wno-main -fno-x -c -o fs/a.o ../fs/a.c"
)


def test_each_word_of_a_command_is_explained(tmp_path: Path) -> None:
    shown = kinspect("log", "--explain-command", COMMAND).stdout
    assert shown.startswith("CC [M] fs/a.o: compiles C\n\n  ccache  ")
    assert all(len(line) <= 80 for line in shown.splitlines())
    found = explained("--explain-command", COMMAND)["command"]
    assert found["step"] == {"tag": "CC", "mark": "M", "target": "fs/a.o"}
    words = {word["text"]: word["meaning"] for word in found["words"]}
    assert words["aarch64-linux-gnu-gcc"] == "the C compiler"
    assert words["-I ./include"] == words["-I../include"] == "looks for headers in this folder"
    assert words['-DX="y z"'] == "defines a macro"
    assert words["-Werror=vla"] == "makes this warning an error"
    assert words["-o fs/a.o"] == "the file to write"
    assert list(words)[-1] == "../fs/a.c"
    assert all(words.values())
    saved = tmp_path / ".a.o.cmd"
    depends = "deps_fs/a.o := \\\n    $(wildcard include/config/XEN) \\\n  ../include/a.h \\\n"
    saved.write_text(f"savedcmd_fs/a.o := {COMMAND.strip()}\n\nsource_fs/a.o := ../fs/a.c\n\n{depends}\n")
    again = explained("--explain-command", str(saved))["command"]
    assert again == {**found, "files": ["../include/a.h"], "options": ["XEN"]}
    (tmp_path / "v1.log").write_text(f"make -f x\n{COMMAND}\n")
    assert explained("--explain-command", str(tmp_path / "v1.log"))["command"] == found


@pytest.mark.corpus
def test_commands_of_a_real_build_have_few_unknown_words(build: Build) -> None:
    unknown: set[str] = set()
    for line in Path(build.log("part-v1")).read_text().splitlines():
        if " -D__KERNEL__" in line and (facts := command_facts(line)):
            unknown |= {word.text for word in facts.words if word.text.startswith("-") and not word.meaning}
            assert len(facts.words) > 20
    assert unknown <= {"-q", "-"}  # of grep, and standard input


def test_ctrl_c_prints_what_was_read_so_far() -> None:
    command = [sys.executable, "-m", "kinspect", "log", "-", "--through"]
    child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert child.stdin is not None
    assert child.stdout is not None
    assert child.stderr is not None
    child.stdin.write(b"  CC      init/main.o\n")
    child.stdin.flush()
    assert child.stdout.readline() == b"  CC      init/main.o\n"
    child.send_signal(signal.SIGINT)
    child.stdin.write(b"make[1]: *** [Makefile:2: init/main.o] Interrupt\n")
    child.stdin.flush()
    shown = child.stderr.read()
    assert child.wait(timeout=20) == 130
    assert b"make failed at init/main.o: Interrupt" in shown
    assert shown.endswith(b"not good: the build failed\n")
    for stream in (child.stdin, child.stdout, child.stderr):
        stream.close()


def test_standard_input_that_is_closed_is_one_error() -> None:
    done = subprocess.run(["sh", "-c", f"{sys.executable} -m kinspect log - <&-"], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "kinspect: standard input: closed: expected the output of make\n"


def test_a_pipe_is_read_and_passed_through() -> None:
    assert piped(GOOD.encode()).stdout.endswith(b"good: the build made a kernel image\n")
    data = GOOD.encode() + bytes(range(256)) * 50 + b"  CC      \xff"
    done = piped(data, "--through")
    assert done.stdout == data
    assert done.stderr.startswith(b"standard input: build log, ")
    assert piped(b"").returncode == 2
    assert piped(LOG.encode(), "-q").returncode == 1


def test_a_reader_that_goes_away_does_not_stop_the_report(failed: str) -> None:
    script = f"{{ cat {failed}; sleep 0.3; cat {failed}; }} | {sys.executable} -m kinspect log - --through | head -n 1"
    done = subprocess.run(["sh", "-c", script], capture_output=True, text=True)
    assert done.stdout.count("\n") == 1
    assert done.stderr.endswith("not good: the build failed, 2 errors\n")


def test_a_terminal_shows_a_live_line_and_a_pipe_does_not() -> None:
    ours, theirs = pty.openpty()
    environment = {**os.environ, "TERM": "xterm"}
    command = [sys.executable, "-m", "kinspect", "log", "-"]
    child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=theirs, env=environment)
    os.close(theirs)
    assert child.stdin is not None
    assert child.stdout is not None
    start = time.monotonic()
    while time.monotonic() - start < 2:
        child.stdin.write(b"  CC      init/main.o\n")
        child.stdin.flush()
        time.sleep(0.05)
    child.stdin.close()
    assert b"the log is cut off" in child.stdout.read()
    child.stdout.close()
    shown = read_terminal(ours)
    assert child.wait() == 1
    assert "steps" in shown
    assert "CC init/main.o" in shown
    assert piped(GOOD.encode()).stderr == b""


def test_a_log_loads_only_what_it_needs(good: str) -> None:
    loaded = command_modules("log", good)
    assert loaded.isdisjoint({"typer", "inspect", "rich", "construct", "elftools", "json"})
    assert loaded.isdisjoint(
        {f"kinspect.{name}" for name in ("views.objcopy", "artifacts.vmlinux", "artifacts.symbols")}
    )
    assert "kinspect.views.buildlog.parser" in loaded


@pytest.mark.corpus
def test_a_real_build_is_good(build: Build) -> None:
    found = document("log", build.log("build"), "--build", str(build.out))
    assert found["ok"] is True
    assert found["findings"] == []
    told, lying = found["facts"]
    assert told["outcome"] == "image"
    assert (lying["missing"], lying["stale"]) == (0, [])
    text = kinspect("log", build.log("build")).stdout
    assert text.endswith("good: the build made a kernel image\n")
    assert "not known to kinspect" not in text


if __name__ == "__main__":
    text = PAGE.read_text()
    PAGE.write_text(text[: text.index(HEADING) + len(HEADING)] + markdown())
