"""`kinspect trace` on the command line: what goes where, and the exit status."""

import json
import os
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest

from tests.conftest import ROOT, SAMPLE
from tests.test_house import command_modules

LOG = SAMPLE / "logs" / "oops.log"
VMLINUX = str(SAMPLE / "vmlinux")
SCHEMA = jsonschema.Draft202012Validator(json.loads((ROOT / "docs" / "report.schema.json").read_text()))


def kinspect(*words: str, data: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [sys.executable, "-m", "kinspect", "trace", *words], input=data, capture_output=True, check=False
    )


def test_the_log_alone_is_on_standard_output() -> None:
    done = kinspect(VMLINUX, str(LOG))
    assert done.returncode == 0
    ours, plain = done.stdout.splitlines(), LOG.read_bytes().splitlines()
    assert len(ours) == len(plain)
    assert [line for line in ours if line not in plain] == [
        b"[    0.413411] pc : probe_read (lib.S:26)",
        b"[    0.413588] lr : test_exceptions (hello.c:53)",
        b"[    0.414081]  probe_read (lib.S:26)",
        b"[    0.414180]  test_exceptions (hello.c:53)",
        b"[    0.414287]  start_kernel (hello.c:72)",
    ]
    assert done.stderr.splitlines()[-1] == b"good: 5 checks, nothing wrong"


@pytest.mark.parametrize("words", [("-",), ()])
def test_standard_input(words: tuple[str, ...]) -> None:
    data = LOG.read_bytes()
    done = kinspect(VMLINUX, *words, data=data)
    assert done.stdout == kinspect(VMLINUX, str(LOG)).stdout
    assert done.stderr.startswith(b"standard input: 16 lines, 5 of 5 addresses decoded\n")


def test_bytes_pass_unchanged() -> None:
    data = b"\xff\x00\x1b[31m\r\n \xe2\x82" + b"x" * 100_000 + b"\r\r\n\n no end"
    done = kinspect(VMLINUX, "-", data=data)
    assert (done.returncode, done.stdout) == (2, data)


@pytest.mark.parametrize("data", [b"", b"make: Nothing to be done.\n"])
def test_what_is_no_log_is_not_good(data: bytes) -> None:
    done = kinspect(VMLINUX, "-", data=data)
    assert (done.returncode, done.stdout) == (2, data)
    assert b"standard input: no kernel messages in the log: expected a `Linux version` line" in done.stderr
    assert b"good:" not in done.stderr


def test_lines_come_at_once() -> None:
    """What a pipe has is decoded before there is more."""
    command = [sys.executable, "-m", "kinspect", "trace", VMLINUX, "-"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        assert process.stdin
        assert process.stdout
        process.stdin.write(b" print+0x8/0x60\n")
        process.stdin.flush()
        assert process.stdout.readline() == b" print (print.c:28)\n"
        process.stdin.write(b"rest")
        process.stdin.close()
        assert process.stdout.read() == b"rest"
    assert process.returncode == 0


def test_json_has_the_frames() -> None:
    done = kinspect(VMLINUX, str(LOG), "--json")
    document = json.loads(done.stdout)
    SCHEMA.validate(document)
    (facts,) = document["facts"]
    assert (facts["kind"], facts["places"], facts["decoded"]) == ("trace", 5, 5)
    assert facts["kernel_offset"] == "0x24e1d0a00000"
    assert facts["frames"][1] == {
        "line": 6, "symbol": "test_exceptions", "offset": 0x28, "size": 0x54, "module": None, "section": None,
        "address": "0xffff800008015388", "printed": None, "decoded": True,
        "sources": [{"function": "test_exceptions", "path": "hello.c", "line": 53, "discriminator": None}],
        "alternatives": [],
    }  # fmt: skip
    assert done.stderr == b""


@pytest.mark.parametrize("form", ["jsonl", "sarif", "junit", "github", "markdown"])
def test_other_formats(form: str) -> None:
    done = kinspect(VMLINUX, str(LOG), "--format", form)
    assert (done.returncode, done.stderr) == (0, b"")


def test_exit_status(tmp_path: Path) -> None:
    other = tmp_path / "other.log"
    other.write_bytes(LOG.read_bytes().replace(b"6.1.0-hello", b"6.1.1-hello"))
    for words, status in (
        ((VMLINUX, str(LOG), "-q"), 0),
        ((VMLINUX, str(other), "-q"), 1),
        ((VMLINUX, str(tmp_path / "nothing"), "-q"), 2),
        ((str(tmp_path / "nothing"), str(LOG)), 2),
        ((str(SAMPLE / "Image"), str(LOG)), 2),
        ((VMLINUX, VMLINUX), 2),
        ((VMLINUX, str(LOG), "--at", "12"), 2),
        ((VMLINUX, "--at", "x y"), 2),
        ((VMLINUX, str(LOG), "--modules", str(tmp_path / "nothing")), 2),
        ((VMLINUX, "--at", "12"), 0),
    ):
        done = kinspect(*words)
        assert done.returncode == status, words
        if "-q" in words and status != 2:
            assert done.stdout + done.stderr == b""
        if status == 2:
            assert done.stdout == b""
            assert done.stderr.startswith(b"kinspect: ")
            assert done.stderr.count(b"\n") == 1


def test_a_reader_that_goes_away() -> None:
    command = f"'{sys.executable}' -m kinspect trace '{VMLINUX}' - | head -c 10"
    done = subprocess.run(["sh", "-c", command], input=b"x\n" * 500_000, capture_output=True, check=False)
    assert done.stdout == b"x\n" * 5
    assert b"Traceback" not in done.stderr


def test_a_terminal_gets_no_control_characters() -> None:
    reader, writer = os.openpty()
    command = [sys.executable, "-m", "kinspect", "trace", VMLINUX, "-"]
    done = subprocess.run(command, input=b"a\x1b[31mb\x07\tc\n", stdout=writer, stderr=subprocess.PIPE, check=False)
    os.close(writer)
    assert os.read(reader, 1000) == b"a\\x1b[31mb\\x07\tc\r\n"
    os.close(reader)
    assert done.returncode == 2


def test_it_loads_only_what_it_needs() -> None:
    loaded = command_modules("trace", VMLINUX, str(LOG))
    assert loaded.isdisjoint({"typer", "inspect", "rich", "construct", "elftools", "json"})
    assert "kinspect.artifacts.module.ko" not in loaded
