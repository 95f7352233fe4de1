"""Recorded oopses of a module of ours (tests/load/oops.c), as three kernels printed them on their serial consoles."""

import os
import random
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import kinspect
from kinspect.artifacts.elf.vmlinux import Vmlinux
from kinspect.inspection.symbols.trace import log_decoder
from kinspect.views.trace.facts import TraceFacts
from tests.conftest import SAMPLE, kernel_named

LOGS = sorted((Path(__file__).parent / "logs").glob("*.log"))
BY_NAME = [pytest.param(path, id=path.stem) for path in LOGS]


def lines_of(path: Path) -> list[str]:
    return path.read_text().splitlines()


@pytest.mark.parametrize("path", BY_NAME)
def test_another_kernel_is_said_to_be_another(path: Path) -> None:
    lines = lines_of(path)
    report = kinspect.trace(SAMPLE / "vmlinux", lines)
    facts = report.facts_of(TraceFacts)[0]
    symbols = sum(len(re.findall(r"\+0x[0-9a-f]+/0x", line)) for line in lines)
    assert facts.places == symbols > 12
    assert facts.decoded == 0
    assert list(log_decoder(SAMPLE / "vmlinux").lines(lines)) == lines
    (release,) = {one.identity.release for one in facts.logged}
    assert release in lines[0]
    assert len(facts.logged) == 2  # the banner, and the line with the CPU
    found = {finding.id for finding in report.findings}
    assert found == {"log-is-of-this-kernel", "logged-symbols-fit-the-kernel", "logged-modules-are-found"}
    assert {frame.module for frame in facts.frames} == {"", "oops_null"}
    assert facts.kernel_offset


@pytest.mark.corpus
@pytest.mark.parametrize("path", BY_NAME)
def test_its_own_kernel(path: Path) -> None:
    kernel = kernel_named(path.stem)
    if kernel.release not in lines_of(path)[0]:
        pytest.skip(f"the log is of another update than {kernel.release}")
    report = kinspect.trace(kernel.vmlinux, lines_of(path))
    facts = report.facts_of(TraceFacts)[0]
    assert report.ok
    assert [finding.id for finding in report.findings] == ["logged-modules-are-found"]
    in_kernel = [frame for frame in facts.frames if not frame.module]
    assert all(frame.decoded and frame.sources for frame in in_kernel)
    sources = [str(one.source) for frame in in_kernel for one in frame.sources]
    assert any(source.startswith("init/main.c:") for source in sources)
    assert any(source.startswith("arch/arm64/kernel/syscall.c:") for source in sources)


@pytest.mark.corpus
def test_functions_of_one_name_and_size_are_all_told() -> None:
    """drivers/virtio has two of this name; their size is the same."""
    vmlinux = kernel_named("trixie-cloud").vmlinux
    symbols = log_decoder(vmlinux).kernel.symbols
    found = symbols.named("vp_get_status")
    sizes = {one.sizes[-1] for one in found}
    assert (len(found), len(sizes)) == (2, 1)
    line = f" vp_get_status+0x8/{sizes.pop():#x}"
    (decoded,) = log_decoder(vmlinux).lines([line])
    assert re.fullmatch(
        r" vp_get_status \(drivers/virtio/virtio_pci_\w+\.c:\d+ or drivers/virtio/virtio_pci_\w+\.c:\d+\)", decoded
    )
    (frame,) = kinspect.trace(vmlinux, [line]).facts_of(TraceFacts)[0].frames
    assert (frame.sources, len(frame.alternatives), frame.address) == ((), 2, None)
    # An address beside it decides.
    raw = found[1].address + 8
    pair = f"[<{raw:x}>] vp_get_status+0x8/{found[1].sizes[-1]:#x}"
    offset = "Kernel Offset: 0x0 from 0xffff800080000000"
    (exact,) = kinspect.trace(vmlinux, [offset, pair]).facts_of(TraceFacts)[0].frames
    assert exact.sources == frame.alternatives[1]
    assert exact.address == raw


@pytest.mark.corpus
def test_twenty_addresses_take_no_longer_than_addr2line(tool: Callable[[str], str], tmp_path: Path) -> None:
    """Seconds of the processor, of the best of some runs: addr2line -i reads the symbols and all units first."""
    kernel = kernel_named("bookworm-cloud")
    text = Vmlinux(kernel.vmlinux).section(".text")
    assert text is not None
    chance = random.Random(20)
    addresses = "".join(f"{chance.randrange(text.address, text.end) & ~3:x}\n" for _ in range(20))
    path = tmp_path / "addresses"
    path.write_text(addresses)
    theirs = [tool("aarch64-linux-gnu-addr2line"), "-i", "-e", kernel.vmlinux]
    ours = [sys.executable, "-m", "kinspect", "trace", kernel.vmlinux, str(path)]

    def seconds(command: list[str]) -> float:
        before = os.times()
        subprocess.run(command, input=addresses, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, text=True)
        after = os.times()
        return after.children_user + after.children_system - before.children_user - before.children_system

    runs = [(seconds(ours), seconds(theirs)) for _ in range(4)]
    # Python itself starts in a tenth of a second more, and a busy machine is uneven.
    assert min(one for one, _ in runs) < min(other for _, other in runs) + 0.25


@pytest.mark.corpus
@pytest.mark.parametrize("name", ["bookworm-cloud", "trixie-cloud", "backports-cloud"])
def test_sizes_and_names_of_a_vmlinux_are_those_that_the_kernel_prints(name: str) -> None:
    """The kernel prints what is in kallsyms: a vmlinux has more symbols, and others at the same address."""
    kernel = kernel_named(name)
    vmlinux, image = log_decoder(kernel.vmlinux).kernel.symbols, log_decoder(kernel.image).kernel
    symbols = kinspect.symbols(kernel.image).facts_of(kinspect.SymbolsFacts)[0]
    checked = 0
    addresses: list[int] = []
    for name_, letter, address in zip(symbols.names, symbols.letters, symbols.addresses, strict=True):
        if letter in "tTwW" and address is not None:
            found = [one for one in vmlinux.named(name_) if one.address == address]
            assert found, name_
            ours = found[0]
            (theirs,) = [one for one in image.symbols.named(name_) if one.address == address]
            assert theirs.last or ours.has_size(theirs.sizes[-1]), (ours, theirs)
            checked += 1
            addresses.append(address)
    assert checked > 40_000
    chance = random.Random(3)
    wrong = []
    for address in chance.sample(addresses, 1000):
        one, other = vmlinux.at(address + 4), image.symbols.at(address + 4)
        if one and other and (one.name, one.sizes[-1]) != (other.name, other.sizes[-1]):
            wrong.append((one, other))
    assert wrong == []
