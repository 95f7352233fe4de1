"""Oopses of real kernels are decoded as addr2line and scripts/decode_stacktrace.sh decode them."""

import os
import posixpath
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

import kinspect
from kinspect.artifacts.elf.file import Elf
from kinspect.artifacts.elf.vmlinux import Vmlinux
from kinspect.inspection.symbols.trace import log_decoder
from kinspect.views.trace.facts import TracedFrame, TraceFacts
from tests.conftest import LOAD_KERNELS, Build, Kernel, kernel_named
from tests.load.oops import FAULTS, loading, oopses

Tool = Callable[[str], str]
PREFIX = "aarch64-linux-gnu-"
ADDR2LINE = f"{PREFIX}addr2line"
_DISCRIMINATOR = re.compile(r" \(discriminator \d+\)")
_SYMBOL = re.compile(r"[^+\s]+\+0x[0-9a-f]+/0x[0-9a-f]+(?: \[\w+\])?")


class Oops(NamedTuple):
    """A kernel, what it printed, and the folder of the modules that failed."""

    kernel: Kernel
    log: str
    folder: Path

    def facts(self, kernel: str = "", log: str = "") -> TraceFacts:
        report = kinspect.trace(kernel or self.kernel.vmlinux, (log or self.log).splitlines(), [self.folder])
        return report.facts_of(TraceFacts)[0]


@pytest.fixture(scope="module", params=[pytest.param(name, marks=pytest.mark.corpus) for name in LOAD_KERNELS])
def oops(request: pytest.FixtureRequest, tool: Tool, tmp_path_factory: pytest.TempPathFactory) -> Oops:
    """A kernel that was given each of the failing modules, the one that ends it last."""
    tool("qemu-system-aarch64")
    kernel, folder = kernel_named(request.param), tmp_path_factory.mktemp("oops")
    faults = [fault for fault in FAULTS if fault not in ("canary", "lockup")]
    # An oops damages the kernel, which may hang before the end.
    for _ in range(3):
        log = oopses(kernel.image, loading(kernel.image), folder, [*faults, "canary"])
        if "Kernel Offset" in log:
            break
    assert "Kernel Offset" in log, log[-3000:]
    return Oops(kernel, log, folder)


def addr2line(path: str, addresses: list[int], section: str, command: str) -> list[list[tuple[str, str]]]:
    """The functions and lines of each address, without discriminators."""
    words = [command, "-a", "-i", "-f", "-e", path, *(["-j", section] if section else [])]
    asked = "".join(f"{address:#x}\n" for address in addresses)
    found: list[list[tuple[str, str]]] = []
    lines = iter(subprocess.run(words, input=asked, capture_output=True, text=True, check=True).stdout.splitlines())
    for line in lines:
        if line.startswith("0x"):
            found.append([])
        else:
            found[-1].append((line, posixpath.normpath(_DISCRIMINATOR.sub("", next(lines)))))
    return found


def assert_as_addr2line(path: str, frames: list[TracedFrame], section: str, tool: Tool) -> None:
    # GNU's addr2line knows no line in some functions of .init.text and .ref.text; LLVM's does, and has no sections.
    tools = (ADDR2LINE,) if section else (ADDR2LINE, "llvm-addr2line")
    answers = [addr2line(path, [one.address or 0 for one in frames], section, tool(name)) for name in tools]
    for number, frame in enumerate(frames):
        ours = [str(one.source).lstrip("/") for one in frame.sources]
        theirs = [[line for _, line in answer[number]] for answer in answers]
        assert any(is_same(ours, lines) for lines in theirs), (frame, theirs)


def is_same(ours: list[str], theirs: list[str]) -> bool:
    """Whether the lines are the same; our paths are relative to the folder of the build."""
    pairs = zip(ours, theirs, strict=False)
    return len(ours) == len(theirs) and all(f"/{path}".endswith(f"/{line}") for line, path in pairs)


def test_each_place_is_as_in_addr2line(oops: Oops, tool: Tool) -> None:
    facts = oops.facts()
    assert facts.places == facts.decoded > 90
    assert all(frame.sources for frame in facts.frames)
    in_kernel = [frame for frame in facts.frames if not frame.module]
    assert len(in_kernel) > 70
    assert_as_addr2line(oops.kernel.vmlinux, in_kernel, "", tool)
    for name in {frame.module for frame in facts.frames if frame.module}:
        for section in (".text", ".init.text"):
            frames = [one for one in facts.frames if (one.module, one.section) == (name, section)]
            assert frames or section != ".text"
            assert_as_addr2line(str(oops.folder / f"{name}.ko"), frames, section, tool)


def test_inlined_calls_are_there(oops: Oops) -> None:
    walks = [one for one in oops.facts().frames if (one.module, one.symbol) == ("oops_null", "walk")]
    assert len(walks) == 2  # pc, and the first of the trace
    for frame in walks:
        assert [one.function for one in frame.sources] == ["value_of", "sum_of", "walk"]


def test_the_script_says_the_same(oops: Oops, build: Build, tool: Tool) -> None:
    tool(f"{PREFIX}nm")
    script = build.source / "scripts" / "decode_stacktrace.sh"
    base = subprocess.run(
        [tool("readelf"), "--debug-dump=info", "--dwarf-depth=1", oops.kernel.vmlinux],
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=False, errors="replace",
    ).stdout[:1 << 20]  # fmt: skip
    folder = re.search(r"DW_AT_comp_dir.*: (\S+)$", base, re.MULTILINE)
    assert folder is not None
    # Without the instructions, for which the script calls another one, and without (P), which this one does not know.
    log = "\n".join(line.removesuffix(" (P)") for line in oops.log.splitlines() if "Code:" not in line) + "\n"
    done = subprocess.run(
        ["bash", str(script), oops.kernel.vmlinux, folder[1], str(oops.folder)],
        input=log, capture_output=True, text=True, check=True, env={**os.environ, "CROSS_COMPILE": PREFIX},
    )  # fmt: skip
    ours = list(log_decoder(oops.kernel.vmlinux, [oops.folder]).lines(log.splitlines()))
    theirs = done.stdout.splitlines()
    assert len(ours) == len(theirs)
    same = 0
    for line, other in zip(ours, theirs, strict=True):
        mine, his = " ".join(line.split()), " ".join(other.split())
        if "??:?" in his or "main.c:?" in his or _SYMBOL.search(his):
            continue  # it found no line, or no symbol: weak ones, and those followed by a comma
        if "init_module" in his:
            continue  # it takes the offset in .init.text for one in .text
        assert mine == his
        same += mine != " ".join(log.splitlines()[ours.index(line)].split())
    assert same > 60


def test_an_image_alone_gives_the_functions(oops: Oops) -> None:
    decoder = log_decoder(oops.kernel.image, [oops.folder])
    lines = [line for line in oops.log.splitlines() if "[oops_" not in line]
    assert list(decoder.lines(lines)) == lines
    ours, other = oops.facts(oops.kernel.image), oops.facts()
    fields = ("line", "symbol", "offset", "address", "module", "decoded")
    pairs = zip(ours.frames, other.frames, strict=True)
    assert all(getattr(one, name) == getattr(two, name) for one, two in pairs for name in fields)
    assert ours.kernel_offset == other.kernel_offset
    assert (ours.compared, ours.code) == (other.compared, ())
    assert ours.compared >= 5
    # The addresses where the kernel ran.
    shift, in_kernel = ours.kernel_offset or 0, [frame for frame in ours.frames if not frame.module]
    raw = [f"{(frame.address or 0) + shift:x}" for frame in in_kernel]
    offset = next(line for line in oops.log.splitlines() if "Kernel Offset" in line)
    found = list(log_decoder(oops.kernel.image).lines([*raw, offset]))
    names = [f"{frame.symbol}+{frame.offset:#x}/{frame.size:#x}" for frame in in_kernel]
    aliases = sum(not line.endswith(f" {name}") for line, name in zip(found[:-1], names, strict=True))
    assert aliases < 4


def test_nothing_is_wrong_with_the_log_of_the_kernel(oops: Oops) -> None:
    for kernel in (oops.kernel.vmlinux, oops.kernel.image):
        report = kinspect.trace(kernel, oops.log.splitlines(), [oops.folder])
        assert report.ok
        assert report.findings == ()


def test_the_log_of_another_kernel_is_said_to_be_so(oops: Oops) -> None:
    for name in LOAD_KERNELS:
        if name != oops.kernel.name:
            report = kinspect.trace(kernel_named(name).image, oops.log.splitlines(), [oops.folder])
            ids = {finding.id for finding in report.findings}
            assert {"log-is-of-this-kernel", "logged-symbols-fit-the-kernel"} <= ids
    # One instruction of a Code: line, in the kernel.
    facts = oops.facts()
    line = oops.log.splitlines().index(next(one for one in oops.log.splitlines()[::-1] if "Code: " in one))
    lines = oops.log.splitlines()
    lines[line] = re.sub(r"Code: \w{8}", "Code: 12345678", lines[line])
    changed = oops.facts(log="\n".join(lines))
    assert (len(facts.code), len(changed.code)) == (0, 1)


@pytest.mark.corpus
def test_a_lockup(tool: Tool, tmp_path: Path) -> None:
    tool("qemu-system-aarch64")
    kernel = kernel_named("bookworm-cloud")
    words = "sysctl.kernel.watchdog_thresh=1 softlockup_panic=1"
    log = oopses(kernel.image, loading(kernel.image), tmp_path, ["lockup"], words)
    assert "soft lockup" in log
    facts = kinspect.trace(kernel.vmlinux, log.splitlines(), [tmp_path]).facts_of(TraceFacts)[0]
    assert facts.places == facts.decoded
    assert "fail" in {frame.symbol for frame in facts.frames if frame.module}
    assert facts.kernel_offset


@pytest.mark.corpus
def test_a_module_by_its_build_id(tool: Tool, tmp_path: Path) -> None:
    kernel = kernel_named("bookworm-cloud")
    from tests.load.oops import failing

    path = failing(loading(kernel.image), "null", tmp_path)
    build_id = Elf(path).build_id
    assert build_id is not None
    line = " walk+0x10/0x30 [oops_null {}]"
    (decoded,) = log_decoder(kernel.vmlinux, [tmp_path]).lines([line.format(build_id.hex())])
    assert re.fullmatch(r" walk \(\S+oops\.c:\d+.*\) oops_null", decoded)
    other = line.format(build_id[::-1].hex())
    report = kinspect.trace(kernel.vmlinux, [other], [tmp_path])
    assert [str(one.evidence).partition(" (")[0] for one in report.findings] == ["1 module not decoded"]
    assert f"is from another build: build ID {build_id.hex()}" in str(report.findings[0].evidence)
    # The same module, its DWARF apart.
    objcopy = tool(f"{PREFIX}objcopy")
    debug = tmp_path / "debug" / "oops_null.ko.debug"
    debug.parent.mkdir()
    subprocess.run([objcopy, "--only-keep-debug", str(path), str(debug)], check=True)
    stripped = tmp_path / "stripped" / "oops_null.ko"
    stripped.parent.mkdir()
    subprocess.run([objcopy, "--strip-debug", str(path), str(stripped)], check=True)
    for folders in ([debug.parent], [debug.parent, stripped.parent], [debug]):
        assert list(log_decoder(kernel.vmlinux, folders).lines([line.format(build_id.hex())])) == [decoded]
    assert list(log_decoder(kernel.vmlinux, [stripped.parent]).lines([" walk+0x10/0x30 [oops_null]"])) == [
        " walk+0x10/0x30 [oops_null]"
    ]
    assert Vmlinux(kernel.vmlinux).has_code
