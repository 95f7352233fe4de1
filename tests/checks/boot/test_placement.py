"""The check of a kernel at an address, by the command."""

import json

import pytest

from kinspect.cli import main
from kinspect.schemas.image import ImageHeader
from kinspect.schemas.record import parse
from tests.conftest import SAMPLE

HEADER = parse(ImageHeader, (SAMPLE / "Image").read_bytes()[:64])


def test_command(capsys: pytest.CaptureFixture[str]) -> None:
    image = str(SAMPLE / "Image")
    lead = HEADER.text_offset
    assert main(["image", "--at", hex(0x80000000 + lead), image]) == 0
    capsys.readouterr()
    assert main(["image", "--at", hex(0x80001000 + lead), image]) == 1
    out = capsys.readouterr().out
    assert f"expected {0x80000000 + lead:#x} or {0x80200000 + lead:#x}, found {0x80001000 + lead:#x}" in out
    assert "boot-protocol-allows-the-address" in out
    assert main(["image", "--at", "ffffffffffff", image, "--json"]) == 1
    facts = json.loads(capsys.readouterr().out)["facts"]
    assert facts[-1]["kind"] == "placement"
    assert facts[-1]["base"] is None
    assert main(["image", "--at", "here", image]) == 2


def test_end_of_memory(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["image", "--at", hex((1 << 52) - (2 << 20)), str(SAMPLE / "Image")]) == 0
    assert main(["image", "--at", hex(1 << 52), str(SAMPLE / "Image")]) == 1
    assert "the kernel ends above the highest physical address" in capsys.readouterr().out
