"""Build logs: the real ones whole, and crafted ones for what no good build prints."""

import random
import re
import subprocess
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from kinspect.checks.build.log import step_text
from kinspect.inspection.log import log_of
from kinspect.inspection.report import run_checks
from kinspect.views.buildlog import parser as module
from kinspect.views.buildlog.commands import Step, step_of_command
from kinspect.views.buildlog.facts import BuildLogFacts, BuildOutcome, build_log_facts
from kinspect.views.buildlog.output_folder import built_facts
from kinspect.views.buildlog.parser import BuildLog
from kinspect.views.buildlog.tags import TAGS
from tests.conftest import Build

LOGS = (
    *("build", "modules_install", "nothing", "failed-kconfig", "failed-cc", "failed-cc-keep-going"),
    *("failed-ld", "failed-modpost", "failed-dtc"),
    *(name + verbose for name in ("start", "part", "install") for verbose in ("", "-v1", "-v2")),
)


def read(data: bytes, size: int = 1 << 17) -> BuildLog:
    """A log read in pieces of a size."""
    log = BuildLog()
    for start in range(0, len(data), size):
        log.feed(data[start : start + size])
    log.close()
    return log


def facts(text: str | bytes) -> BuildLogFacts:
    return build_log_facts("log", read(text.encode() if isinstance(text, str) else text))


def steps(log: BuildLog) -> Counter[Step]:
    """Every step with how often it is there, counted apart from the tallies."""
    found = Counter(dict.fromkeys(log.steps(), 1))
    assert {(tally.tag, tally.mark) for tally in log.tallies()} == {(step.tag, step.mark) for step in found}
    return found


@pytest.fixture(params=[pytest.param(name, marks=pytest.mark.corpus) for name in LOGS])
def real(request: pytest.FixtureRequest, build: Build) -> Path:
    """Each of the real logs in turn."""
    return Path(build.log(request.param))


def test_no_line_of_a_real_log_is_lost_or_unknown(real: Path) -> None:
    data = real.read_bytes()
    log = read(data)
    assert log.lines == data.count(b"\n") == sum(log.account)
    assert log.unknown == []
    assert log.account.unknown == 0


def test_the_same_is_read_from_any_pieces(real: Path) -> None:
    data = real.read_bytes()[:300_000]
    whole = read(data, len(data))
    for size in (1, 7, 4096) if len(data) < 40_000 else (4099,):
        parts = read(data, size)
        assert (parts.account, parts.tallies(), parts.messages) == (whole.account, whole.tallies(), whole.messages)
        assert parts.last == whole.last


@pytest.mark.corpus
@pytest.mark.parametrize("name", [name for name in LOGS if "-v" not in name])
def test_tallies_are_what_grep_counts(build: Build, name: str) -> None:
    real = Path(build.log(name))
    pattern = r"  [A-Z][A-Z0-9.]+ +(\[M\] +)?[^ ]+$"
    told = subprocess.run(["grep", "-aoE", pattern, real], capture_output=True, text=True).stdout
    theirs = Counter(tuple(line.split()[:-1]) for line in told.splitlines())
    log = read(real.read_bytes())
    ours = {(tally.tag, f"[{tally.mark}]") if tally.mark else (tally.tag,): tally.steps for tally in log.tallies()}
    assert ours == theirs
    for tally in log.tallies():
        assert sum(count for _, count in tally.folders) == tally.steps


# What make V=1 does not print at all, or not where the steps are.
HIDDEN = ("UPD", "CHK", "SYNC")


@pytest.mark.corpus
@pytest.mark.parametrize("name", ["start", "part", "install"])
@pytest.mark.parametrize("verbose", ["v1", "v2"])
def test_whole_commands_and_reasons_are_the_same_steps(build: Build, name: str, verbose: str) -> None:
    quiet, other = (read(Path(build.log(log)).read_bytes()) for log in (name, f"{name}-{verbose}"))
    hidden = HIDDEN if verbose == "v1" else ()
    theirs = {step for step in steps(quiet) if step.tag not in hidden}
    ours = {step for step in steps(other) if step.tag not in hidden}
    if verbose == "v1":
        # The command names the release and not the folder.
        theirs = {
            step._replace(target=step.target.rpartition("/")[2]) if step.tag == "DEPMOD" else step for step in theirs
        }
    assert ours == theirs
    counts = {(tally.tag, tally.mark): tally.steps for tally in quiet.tallies() if tally.tag not in hidden}
    assert {(one.tag, one.mark): one.steps for one in other.tallies() if one.tag not in hidden} == counts
    assert other.verbosity == int(verbose[1])
    assert quiet.verbosity == 0


@pytest.mark.corpus
def test_the_real_build_ended_with_an_image(build: Build) -> None:
    told = facts(Path(build.log("build")).read_bytes())
    assert told.outcome == BuildOutcome.IMAGE
    assert {"vmlinux", "System.map", "Module.symvers", "arch/arm64/boot/Image"} <= set(told.products)
    assert told.modules == len(list(build.out.resolve().rglob("*.ko")))
    assert told.device_trees == len(list(build.out.resolve().rglob("*.dtb")))
    installed = facts(Path(build.log("modules_install")).read_bytes())
    assert installed.outcome == BuildOutcome.DONE
    assert installed.installed == len(list(build.modules.rglob("*.ko"))) == told.modules
    objects = sum(row.built_in + row.modular for row in told.folders)
    # Each object of a step is there, and has the note of what it was made by.
    assert objects == sum((build.out / step.target).exists() for step in compiled(build))


def compiled(build: Build) -> Iterator[Step]:
    for step in read(Path(build.log("build")).read_bytes()).steps():
        if step.tag in ("CC", "AS") and step.target.endswith(".o"):
            yield step


@pytest.mark.corpus
def test_the_real_build_left_what_its_log_says(build: Build, tmp_path: Path) -> None:
    log = read(Path(build.log("build")).read_bytes())
    told = built_facts("log", log.steps(), str(build.out), Path(build.log("build")).stat().st_mtime)
    assert told.files > 1500
    assert (told.missing, told.stale) == (0, ())
    (tmp_path / "vmlinux").write_bytes(b"")
    empty = built_facts("log", log.steps(), str(tmp_path), None)
    assert (empty.files, empty.missing) == (told.files, told.files - 1)


@pytest.mark.corpus
@pytest.mark.parametrize(
    ("name", "failure", "place", "step"),
    [
        ("failed-cc", "fs/nls/nls_ascii.o", "../fs/nls/nls_ascii.c", "CC [M] fs/nls/nls_ascii.o"),
        ("failed-cc-keep-going", "fs/nls/nls_ascii.o", "../fs/nls/nls_ascii.c", "CC [M] fs/nls/nls_ascii.o"),
        ("failed-ld", "vmlinux", "", "LD .tmp_vmlinux.kallsyms1"),
        ("failed-modpost", "Module.symvers", "", "MODPOST Module.symvers"),
        (
            "failed-dtc",
            "arch/arm64/boot/dts/bitmain/bm1880-sophon-edge.dtb",
            "bm1880-sophon-edge.dts",
            "DTC arch/arm64",
        ),
        ("failed-kconfig", "olddefconfig", "init/Kconfig", ""),
    ],
)
def test_a_real_failure_is_named_with_its_step(build: Build, name: str, failure: str, place: str, step: str) -> None:
    told = facts(Path(build.log(name)).read_bytes())
    assert told.outcome == BuildOutcome.FAILED
    assert told.failures == (failure,)
    assert told.errors == sum(message.severity == "error" for message in told.messages) > 0
    first = told.messages[0]
    assert place in first.path
    assert (step_text(first.step) if first.step else "").startswith(step)
    line = Path(build.log(name)).read_text().splitlines()[first.number - 1]
    assert first.text in line
    assert {finding.id for finding in run_checks((told,), "build.log").findings} >= {
        "build-is-finished",
        "build-has-no-errors",
    }


@pytest.mark.corpus
def test_every_tag_of_the_kernels_makefiles_is_known(build: Build) -> None:
    """What scripts/, arch/arm64 and the folders of the build can print, kinspect explains."""
    found = set()
    for folder in ("scripts", "arch/arm64", "certs", "init", "kernel", "lib", "usr", "security", "fs", "rust", "."):
        for path in (build.source / folder).glob("Makefile*") if folder == "." else (build.source / folder).rglob("*"):
            if path.is_file() and path.name.startswith(("Makefile", "Kbuild")):
                found |= set(
                    re.findall(r"^\s*quiet_cmd_\S+\s*[:?]?=\s*([A-Z][A-Z0-9._]+)\b", path.read_text(), re.MULTILINE)
                )
    found |= set(
        re.findall(r"^\s*info \"?([A-Z]+)", (build.source / "scripts/link-vmlinux.sh").read_text(), re.MULTILINE)
    )
    assert len(found) > 50
    assert found - TAGS.keys() == set()


# Where the sources of 6.1 do not have it: tags of newer kernels, and of older ones.
OTHER_KERNELS = {"OVL", "FIT", "RSTRIP", "SORTEX", "SYMLINK"}


@pytest.mark.corpus
def test_the_sources_that_tags_cite_have_them(build: Build) -> None:
    looked = 0
    for tag in TAGS.values():
        for cited in tag.source.split("; "):
            path, _, command = cited.partition(", ")
            files = [path for path in build.source.glob(path) if path.is_file()]
            if tag.name in OTHER_KERNELS or cited.startswith("and "):
                continue
            text = "".join(path.read_text() for path in files)
            assert (command or tag.name) in text, cited
            looked += 1
    assert looked > 90


QUIET = """\
make[1]: Entering directory '/k/out'
  GEN     Makefile
  CC      init/main.o
  CC [M]  fs/nls/nls_utf8.o
  LD      vmlinux
  OBJCOPY arch/arm64/boot/Image
make[1]: Leaving directory '/k/out'
"""


def prefixed(prefix: str) -> str:
    return "".join(f"{prefix}{line}\n" for line in QUIET.splitlines())


@pytest.mark.parametrize(
    "text",
    [
        QUIET.replace("\n", "\r\n"),
        prefixed("\x1b[32m").replace("\n", "\x1b[0m\n"),
        prefixed("2026-01-02T03:04:05.1234567Z "),
        "\ufeff" + prefixed("2026-01-02T03:04:05.1234567Z "),
        prefixed("[2026-01-02T03:04:05.123Z] "),
        prefixed("#12 3.456 "),
        prefixed("2026-01-02T03:04:05.1Z #12 3.456 "),
        prefixed("[  12.3s] "),
        prefixed("[  12.345678] "),
        prefixed("[03:04:05] "),
        prefixed("03:04:05 "),
        prefixed("Jan  2 03:04:05 "),
        prefixed("2026-01-02T03:04:05.123456Z 01O "),
        # One line of many only: others have none.
        QUIET.replace("  LD ", "[03:04:05]   LD "),
        QUIET.replace("  LD ", "50%\r  LD "),
    ],
)
def test_what_ci_adds_is_taken_off(text: str) -> None:
    expected = facts(QUIET)
    assert facts(text)._replace(path="") == expected._replace(path="")
    assert expected.outcome == BuildOutcome.IMAGE
    assert expected.account.unknown == 0


def test_two_jobs_on_one_line_are_two_steps() -> None:
    log = read(b"..+...+++*..  CC      kernel/fork.o\n  CC      a/b.o  AS [M]  c/d.o\n")
    assert set(log.steps()) == {
        Step("CC", "", "kernel/fork.o"),
        Step("CC", "", "a/b.o"),
        Step("AS", "M", "c/d.o"),
    }
    assert (log.lines, log.account.steps) == (2, 2)


MESSAGES = [
    ("../fs/a.c:12:3: error: no such thing", "error", "compiler", "../fs/a.c", 12),
    ("../fs/a.c:12:3: fatal error: a.h: No such file or directory", "error", "compiler", "../fs/a.c", 12),
    ("../fs/a.c:12:3: internal compiler error: Segmentation fault", "error", "compiler", "../fs/a.c", 12),
    ("../fs/a.c:12:3: warning: unused variable 'x' [-Wunused-variable]", "warning", "compiler", "../fs/a.c", 12),
    (
        "<stdin>:1515:2: warning: #warning syscall clone3 not implemented [-Wcpp]",
        "warning",
        "compiler",
        "<stdin>",
        1515,
    ),
    ("clang: error: unknown argument: '-fx'", "error", "clang", "", None),
    ("../arch/arm64/a.S:7: Error: unknown mnemonic `nopp' -- `nopp'", "error", "assembler", "../arch/arm64/a.S", 7),
    ("aarch64-linux-gnu-ld: cannot find -lx: No such file", "error", "linker", "", None),
    ("/usr/bin/ld.bfd: warning: a.o: missing .note.GNU-stack section", "warning", "linker", "", None),
    ("ld.lld: error: undefined symbol: nowhere", "error", "linker", "", None),
    ("a.c:(.text+0x10): undefined reference to `nowhere'", "error", "linker", "a.c", None),
    ('ERROR: modpost: "x" [fs/a.ko] undefined!', "error", "modpost", "", None),
    ('ERROR: "x" [fs/a.ko] undefined!', "error", "modpost", "", None),
    ("WARNING: modpost: missing MODULE_LICENSE() in fs/a.o", "warning", "modpost", "", None),
    ("WARNING: modpost: vmlinux.o: section mismatch in reference: a -> b", "warning", "modpost", "", None),
    ("WARNING: vmlinux.o(.text+0x1): Section mismatch in reference", "warning", "modpost", "", None),
    ("FATAL: modpost: a.o: no symbol", "error", "modpost", "", None),
    (".config:7:warning: symbol value 'x' invalid for Y", "warning", "kconfig", ".config", 7),
    ("../init/Kconfig:20: syntax error", "error", "kconfig", "../init/Kconfig", 20),
    ("drivers/Kconfig:9:error: recursive dependency detected!", "error", "kconfig", "drivers/Kconfig", 9),
    ("WARNING: unmet direct dependencies detected for X", "warning", "kconfig", "", None),
    ("a/b.dts:12.3-15.5: Warning (unit_address_vs_reg): /soc: text", "warning", "dtc", "a/b.dts", 12),
    ("Error: ../a/b.dtsi:12.3-4 syntax error", "error", "dtc", "../a/b.dtsi", 12),
    ("a/b.dtb: Warning (reg_format): /soc:reg: text", "warning", "dtc", "a/b.dtb", None),
    ("FATAL ERROR: Unable to parse input tree", "error", "dtc", "", None),
    ("vmlinux.o: warning: objtool: f+0x12: unreachable instruction", "warning", "objtool", "vmlinux.o", None),
    ("depmod: ERROR: Cycle detected: a -> b -> a", "error", "depmod", "", None),
    ("/bin/sh: 1: flex: not found", "error", "shell", "", None),
    ("../scripts/a.sh: line 3: x: command not found", "error", "shell", "../scripts/a.sh", 3),
    ("BTF: .tmp_vmlinux.btf: pahole (pahole) is not available", "error", "pahole", "", None),
    ("error[E0425]: cannot find value `x` in this scope", "error", "rustc", "", None),
    ("Traceback (most recent call last):", "error", "python", "", None),
    ("Inconsistent kallsyms data", "error", "link-vmlinux", "", None),
    ("make[2]: warning: Clock skew detected.  Your build may be incomplete.", "warning", "make", "", None),
    (
        "../arch/arm64/Makefile:23: ld does not support --fix-cortex-a53-843419",
        "warning",
        "make",
        "../arch/arm64/Makefile",
        23,
    ),
    ("Makefile:9: warning: overriding recipe for target 'x'", "warning", "make", "Makefile", 9),
]


@pytest.mark.parametrize(("line", "severity", "tool", "path", "number"), MESSAGES, ids=lambda one: str(one)[:40])
def test_who_says_what_of_which_place(line: str, severity: str, tool: str, path: str, number: int | None) -> None:
    told = facts(f"  CC      fs/b.o\n{line}\n")
    (message,) = told.messages
    assert (message.severity, message.tool, message.path, message.line) == (severity, tool, path, number)
    assert message.number == 2
    assert told.account.unknown == 0
    assert (told.errors, told.warnings) == ((1, 0) if severity == "error" else (0, 1))


def test_what_explains_a_message_belongs_to_it() -> None:
    told = facts(
        "  CC      fs/a.o\n  CC      fs/b.o\n"
        "In file included from ../include/linux/x.h:3,\n                 from ../fs/a.c:9:\n"
        "../include/linux/x.h: In function 'f':\n../include/linux/x.h:7:1: warning: text [-Wx]\n"
        "    7 | int f;\n      | ^~~\n../include/linux/x.h:7:1: note: declared here\n"
        "cc1: some warnings being treated as errors\n  AR      fs/built-in.a\n"
    )
    assert (told.account.steps, told.account.messages, told.warnings, told.errors) == (3, 8, 1, 0)
    assert told.messages[0].text == "text [-Wx]"


def test_an_included_file_is_of_the_step_that_includes_it() -> None:
    told = facts(
        "  CC      fs/a.o\n  CC      fs/b.o\nIn file included from ../include/linux/x.h:3,\n"
        "                 from ../fs/a.c:9:\n../include/linux/y.h:7:1: error: text\n"
    )
    assert told.messages[0].step == Step("CC", "", "fs/a.o")


@pytest.mark.parametrize(
    ("text", "outcome"),
    [
        (QUIET, BuildOutcome.IMAGE),
        (QUIET[: QUIET.index("make[1]: Leaving")], BuildOutcome.CUT),
        (QUIET + QUIET, BuildOutcome.IMAGE),
        (QUIET + QUIET[: QUIET.index("make[1]: Leaving")], BuildOutcome.CUT),
        (QUIET[QUIET.index("  GEN") :], BuildOutcome.IMAGE),
        (QUIET[: QUIET.index("LD  ")], BuildOutcome.CUT),
        ("  CC      init/main.o\n", BuildOutcome.CUT),
        ("  LD      vmlinux.o\n", BuildOutcome.CUT),
        ("  CC      fs/a.o", BuildOutcome.CUT),
        ("  CC      fs/a.o\n", BuildOutcome.DONE),
        ("  CALL    a.sh\nmake: Nothing to be done for 'all'.\n", BuildOutcome.DONE),
        (QUIET + "make: *** [Makefile:250: __sub-make] Error 2\n", BuildOutcome.FAILED),
        (QUIET + "make: *** No rule to make target 'x'.  Stop.\n", BuildOutcome.FAILED),
        (QUIET + "Makefile:9: *** no compiler.  Stop.\n", BuildOutcome.FAILED),
        (QUIET + "make[1]: [Makefile:2: x] Error 1 (ignored)\n", BuildOutcome.IMAGE),
        (QUIET + "make[1]: *** Waiting for unfinished jobs....\n", BuildOutcome.IMAGE),
    ],
)
def test_how_it_ended(text: str, outcome: BuildOutcome) -> None:
    told = facts(text)
    assert told.outcome == outcome
    ids = {finding.id for finding in run_checks((told,), "build.log").findings}
    assert ("build-is-finished" in ids) == (outcome in (BuildOutcome.FAILED, BuildOutcome.CUT))


def test_files_that_are_missing_stale_or_newer_are_named(tmp_path: Path) -> None:
    import os

    wanted = ("vmlinux", "arch/arm64/boot/Image", "init/main.o", "fs/nls/nls_utf8.o")
    for name in wanted:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
        os.utime(tmp_path / name, (1000, 1000))
    log = read(QUIET.encode())
    good = built_facts("log", log.steps(), str(tmp_path), 1000)
    assert (good.files, good.missing, good.changed, good.stale) == (4, 0, 0, ())
    assert run_checks((good,), "build.log").findings == ()
    (tmp_path / "init/main.o").unlink()
    os.utime(tmp_path / "vmlinux", (2000, 2000))
    bad = built_facts("log", log.steps(), str(tmp_path), 1000)
    assert bad.missing_names == ("init/main.o",)
    assert bad.changed_names == ("vmlinux",)
    assert [stale.path for stale in bad.stale] == ["arch/arm64/boot/Image"]
    ids = [finding.id for finding in run_checks((bad,), "build.log").findings]
    assert ids == ["built-files-are-there", "built-files-are-fresh", "built-files-are-of-this-log"]


def test_unknown_lines_are_counted_and_listed() -> None:
    told = facts(QUIET + "what is this\n\x00\xff\n")
    assert told.account.unknown == 2
    assert told.unknown[0] == (8, "what is this")
    (finding,) = run_checks((told,), "build.log").findings
    assert (finding.id, finding.severity) == ("build-log-is-understood", "info")


@pytest.mark.parametrize("seed", range(20))
def test_rubbish_is_read_to_its_end(seed: int) -> None:
    chance = random.Random(seed)
    pieces = [
        QUIET.encode(),
        chance.randbytes(3000),
        b"  CC      " + bytes(chance.choices(b"ab/ \n\r\x00\x1b[", k=2000)),
        b"make[1]: *** [" * 30,
        "\n".join(line for line, *_ in MESSAGES).encode(),
    ]
    data = b"".join(chance.choices(pieces, k=12))
    log = read(data, chance.randrange(1, 5000))
    assert log.lines == sum(log.account) == data.count(b"\n") + (not data.endswith(b"\n"))
    build_log_facts("log", log)


UNITS = (
    "A",
    " ",
    "  CC ",
    "a/",
    "ld",
    "Kconfig",
    "Makefile",
    "(A) [",
    " -D__DTS__ ",
    ":1",
    "a:1: ",
    "error: ",
    "> ",
    "-o ",
    "make: *** ",
    "\uff1a",
    "“/a",
    "'a ",
    ". a",
    "a.c: b ",
    "[x] |",
    "a\t",
    "##[error]",
    "錯誤",
)


@pytest.mark.parametrize("unit", UNITS)
@pytest.mark.parametrize("start", ["", "  ", "  gcc -E ", "make: *** [", "make: *** ", "../a.c:1:1: ", "a: "])
def test_no_line_takes_long(unit: str, start: str) -> None:
    """A regular expression that tries again and again would take minutes for 100 KB."""
    import time

    line = (start + unit * 200_000)[:100_000]
    began = time.process_time()
    read(f"make -f x\n{line}\n{line}x\n".encode())
    assert time.process_time() - began < 2


def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LONGEST_LINE", 1000)
    monkeypatch.setattr(module, "MOST_STEPS", 100)
    monkeypatch.setattr(module, "MOST_KEPT", 10)
    log = BuildLog()
    for number in range(500):
        log.feed(f"  CC      f{number}/a.o\n  CC      f{number}/b.o - due to target missing\n".encode())
        log.feed(f"a.c:{number}: error: x\nunknown {number}\nmake: *** [a{number}] Error 1\n".encode())
        log.feed(b"x" * 700)
        log.feed(b"y" * 700)
        assert log._tail_size <= 1000
        log.feed(b"\n")
    log.close()
    assert (log.lines, sum(log.account), log.account.steps) == (3000, 3000, 1000)
    assert sum(tally.steps for tally in log.tallies()) == 1000
    assert len(log._named) <= 101
    assert len(log._others) <= 102
    assert len(log._heads) <= 102
    assert (len(log.messages), log.severities["error"]) == (10, 500)
    assert len(log.unknown) == len(log.failures) == 10


def test_commands_that_are_no_step_are_none() -> None:
    for command in ("../scripts/check-local-export a.o", "{ echo a.ko; :; } > fs/modules.order", "", "gcc -E a.c", ":"):
        assert step_of_command(command) is None


@pytest.mark.parametrize(
    ("command", "step"),
    [
        ("gcc -Wp,-MMD,a.d -o scripts/a ../scripts/a.c", Step("HOSTCC", "", "scripts/a")),
        ("ccache gcc -o scripts/a ../scripts/a.c", Step("HOSTCC", "", "scripts/a")),
        ("g++ -c -o scripts/a.o ../scripts/a.cc", Step("HOSTCXX", "", "scripts/a.o")),
        ("gcc -o scripts/a a.o b.o", Step("HOSTLD", "", "scripts/a")),
        ("clang --target=aarch64-linux-gnu -D__KERNEL__ -DMODULE -c -o a.o ../a.c", Step("CC", "M", "a.o")),
        ("aarch64-linux-gnu-gcc -D__KERNEL__ -D__ASSEMBLY__ -c -o a.o ../a.S", Step("AS", "", "a.o")),
        ("aarch64-linux-gnu-gcc -D__KERNEL__ -E -o a.i ../a.c", Step("CPP", "", "a.i")),
        ("aarch64-linux-gnu-gcc -static -o usr/x ../usr/x.c", Step("CC", "U", "usr/x")),
        ("ld.lld -r -o fs/a.o @fs/a.mod", Step("LD", "M", "fs/a.o")),
        ("aarch64-linux-gnu-ld -r -T scripts/module.lds -o fs/a.ko fs/a.o fs/a.mod.o", Step("LD", "M", "fs/a.ko")),
        ("llvm-objcopy -O binary vmlinux arch/arm64/boot/Image", Step("OBJCOPY", "", "arch/arm64/boot/Image")),
        ("../scripts/depmod.sh 6.12.0", Step("DEPMOD", "", "6.12.0")),
        ("cp fs/a.ko /x/lib/modules/6/kernel/fs/a.ko", Step("INSTALL", "", "/x/lib/modules/6/kernel/fs/a.ko")),
        ("ln -s /k/out /x/lib/modules/6/build", Step("SYMLINK", "", "/x/lib/modules/6/build")),
        ("cat a | lz4 -l -9 - - > a.lz4", Step("LZ4", "", "a.lz4")),
    ],
)
def test_commands_are_steps(command: str, step: Step) -> None:
    assert step_of_command(command) == step


def test_a_report_of_pieces() -> None:
    report = log_of([QUIET[:50].encode(), QUIET[50:].encode()], "name")
    assert report.ok
    assert report.facts_of(BuildLogFacts)[0].lines == 7
