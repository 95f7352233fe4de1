"""Closed, full and broken streams, and Ctrl-C: an exit status, one line at most, never a traceback."""

import os
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from kinspect.reports.formats.csv import _line
from kinspect.reports.terminal import LONGEST, escaped
from tests.conftest import SAMPLE

KINSPECT = shlex.join([sys.executable, "-m", "kinspect"])
IMAGE, VMLINUX = SAMPLE / "Image", SAMPLE / "vmlinux"
MODULE = SAMPLE / "modules/lib/modules/6.1.0-hello/kernel/lib/hello_text.ko"


def shell(command: str) -> tuple[int, str]:
    """The status of a command, and what it writes to the streams that are left."""
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=60)
    assert "Traceback" not in done.stderr
    assert "internal error" not in done.stderr
    assert len(done.stderr.splitlines()) <= 1
    return done.returncode, done.stderr


@pytest.mark.parametrize(
    "command",
    [
        f"image {IMAGE} >&-",
        f"image {IMAGE} --json >&-",
        f"image {IMAGE} >&- 2>&-",
        f"image {IMAGE} <&- >&- 2>&-",
        f"image {IMAGE} >/dev/full",
        f"image {IMAGE} >/dev/full 2>/dev/full",
        "image /nonexistent 2>&-",
        "image /nonexistent 2>/dev/full",
        f"module {MODULE} --modinfo >&-",
        f"unpack {IMAGE} -o - >&-",
        f"config {IMAGE} 2>&-",
        "log - <&-",
        "--help >&-",
        "--version >&-",
        "check --help >/dev/full",
        "nosuch 2>&-",
        f"size {VMLINUX} --html /dev/null/x 2>&-",
    ],
)
def test_closed_and_full_streams_are_errors(command: str) -> None:
    assert shell(f"{KINSPECT} {command}")[0] == 2


@pytest.mark.parametrize("command", [f"image {IMAGE} <&-", f"image {IMAGE} 2>&-", f"image -q {IMAGE} >&-"])
def test_streams_that_are_not_needed_may_be_closed(command: str) -> None:
    assert shell(f"{KINSPECT} {command}") == (0, "")


@pytest.mark.parametrize(
    ("command", "status"),
    [("--help", 2), ("check --help", 2), (f"module {MODULE} --modinfo", 2), (f"image {IMAGE}", 0)],
)
def test_a_reader_that_goes_away_is_no_noise(command: str, status: int) -> None:
    code = f"{KINSPECT} {command} | (exec <&-; sleep 0.1); exit ${{PIPESTATUS[0]}}"
    # The reader is gone before anything is written.
    assert shell(f"sleep 0; {code}") == (status, "")


def test_an_output_is_not_mixed_with_a_closed_stream(tmp_path: Path) -> None:
    """The first file that is opened would become standard error."""
    assert shell(f"{KINSPECT} unpack {IMAGE} -o {tmp_path}/out <&- 2>&-")[0] == 0
    assert (tmp_path / "out").read_bytes() == IMAGE.read_bytes()


@pytest.mark.parametrize("delay", [0.0, 0.01, 0.02, 0.03, 0.05, 0.08, 0.15])
@pytest.mark.parametrize("command", [["log", "-"], ["log", "-", "--format", "text"]])
def test_ctrl_c(command: list[str], delay: float) -> None:
    reading, writing = os.pipe()
    child = subprocess.Popen(
        [sys.executable, "-X", "faulthandler", "-c", CHILD, str(writing), *command],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        pass_fds=[writing],
    )
    # From the first line of ours on; what happens before is the interpreter's.
    assert os.read(reading, 1) == b"x"
    time.sleep(delay)
    child.send_signal(signal.SIGINT)
    _, errors = child.communicate(timeout=30)
    os.close(reading)
    os.close(writing)
    assert "Traceback" not in errors
    assert child.returncode == 130


CHILD = """if True:
    import sys
    from kinspect import __main__
    import _signal, os
    real = _signal.signal
    def first(*arguments):
        found = real(*arguments)
        _signal.signal = real
        os.write(unit, b"x")
        return found
    _signal.signal = first
    unit = int(sys.argv.pop(1))
    __main__.run()
"""


def test_a_background_job_ignores_ctrl_c() -> None:
    code = "import signal, sys; signal.signal(signal.SIGINT, signal.SIG_IGN); from kinspect.__main__ import run; run()"
    child = subprocess.Popen(
        [sys.executable, "-c", code, "log", "-"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    time.sleep(0.2)
    child.send_signal(signal.SIGINT)
    assert child.communicate(b"  CC      a.o\n", timeout=30)[1] == b""
    assert child.returncode in (0, 1)


def test_what_github_would_take_for_a_command_is_escaped() -> None:
    assert escaped("  ::error::x") == "  \\x3a:error::x"
    assert escaped("a ##[error]x") == "a ##\\x5berror]x"
    assert escaped("std::string") == "std::string"


def test_long_names_are_cut() -> None:
    found = escaped("a" * (1 << 20))
    assert len(found) < LONGEST + 100
    assert "1,048,576 characters" in found


def test_csv_holds_no_formulas() -> None:
    assert _line(["=1+1", "@x", "+1", "-x", "-", -5, "a"]) == "'=1+1,'@x,'+1,'-x,-,-5,a"


def test_options_in_errors_are_escaped() -> None:
    status, error = shell(f"{KINSPECT} size {VMLINUX} --sort $'\\e[31mx'")
    assert status == 2
    assert "\\x1b[31mx" in error
    assert "\x1b" not in error
