"""What kinspect predicts of modules, proven on real kernels that boot.

How nothing of a changed module runs: none of them has an init function (they are ours, or libraries), and a bit is
flipped in no code or data, nor in what tells the kernel which code to write over. Where the kernel uses a number of the
file without a test, kinspect says that it does not know: such a case is counted here and not loaded, for it may stop
the machine. Whether a refusal came from the kernel or from a driver's own init is told by `initcall_debug`: the kernel
writes a line before it calls a function of the module.
"""

from collections.abc import Callable
from itertools import islice
from pathlib import Path

import pytest

from kinspect.artifacts.boot.image import Image
from kinspect.artifacts.build.kernel_config import KernelConfig
from kinspect.artifacts.compression.streams import decompressed
from kinspect.artifacts.elf.vmlinux import Vmlinux
from kinspect.artifacts.module.tree import ModuleTree
from kinspect.source import Source
from kinspect.views.loader.kernel import TargetKernel
from kinspect.views.loader.preflight import preflight
from kinspect.views.loader.simulator import Simulator
from kinspect.views.loader.tree import Candidates, in_load_order
from kinspect.views.loader.verdict import Outcome
from kinspect.views.signing.verification import EXTRA, can_verify
from tests.conftest import CLANG_KERNEL, CORPUS, LOAD_KERNELS, Kernel, kernel_named, missing
from tests.load import cases, faults
from tests.load.machine import GCC, HUNG, KILLED, QEMU, Command, boot
from tests.load.modules import new_key, real, toy
from tests.load.proof import STARTED, Case, Proof, attempts, disagreements, in_log, is_within, prove, same_lines

FLIPS, SEED = 200, 6
SINGLES, PAIRS, SIGNATURES, NOT_KNOWN = 300, 120, 60, 0.03
OUTSIDE = "lies outside its section"


@pytest.fixture(scope="module", autouse=True)
def _tools(tool: Callable[[str], str]) -> None:
    """qemu boots the machine, the cross compiler makes its program and the modules, openssl signs."""
    for name in (QEMU, GCC, "openssl"):
        tool(name)
    if not can_verify():
        missing("cryptography", f"the extra {EXTRA} brings it")


BOOTED = (*LOAD_KERNELS, CLANG_KERNEL)


@pytest.fixture(scope="session", params=[pytest.param(name, marks=pytest.mark.corpus) for name in BOOTED])
def kernel(request: pytest.FixtureRequest) -> Kernel:
    """Each of the kernels that are booted, in turn."""
    if request.param == CLANG_KERNEL and not (CORPUS / CLANG_KERNEL / ".complete").exists():
        pytest.skip(f"takes ten minutes to build: bash tests/corpus/build.sh {CORPUS} {CLANG_KERNEL}")
    return kernel_named(request.param)


def loading(kernel: Kernel, cmdline: str = "") -> TargetKernel:
    """A kernel as it is booted: from the Image alone, and its .config, which says that signatures are not enforced."""
    return TargetKernel(Image(kernel.image), KernelConfig(kernel.folder / "config").options, cmdline)


def agree(proofs: list[Proof]) -> None:
    assert list(disagreements(proofs)) == []


def test_the_table_of_cases(kernel: Kernel, tmp_path: Path) -> None:
    into = loading(kernel)
    table = [
        *cases.good(into),
        *cases.told(into, kernel.name),
        *cases.symbols(into, kernel.name),
        *cases.memory(into),
        *cases.broken(into),
        *cases.signatures(into, kernel.folder, tmp_path),
        *cases.tainting(into),
    ]
    assert len(table) > 150
    proofs = prove(kernel.image, into, table)
    agree(proofs)
    assert {proof.verdict.outcome for proof in proofs} == {Outcome.LOADS, Outcome.REFUSED}
    assert len({proof.verdict.errno for proof in proofs}) > 5


def test_truncations_and_flipped_bits(kernel: Kernel) -> None:
    into, machine = loading(kernel), Simulator(loading(kernel))
    flipped: list[Case] = []
    unknown = 0
    for case in cases.flips(into, kernel.name, kernel.folder, SEED):
        verdict = machine.load(preflight(into, case.name, case.loads[0]))
        machine.remove(verdict.name)
        if verdict.outcome is Outcome.UNKNOWN:
            unknown += 1
            continue
        flipped.append(case)
        if len(flipped) == FLIPS:
            break
    cut = list(cases.truncations(kernel.folder))
    proofs = prove(kernel.image, into, [*cut, *flipped])
    agree(proofs)
    assert len(cut) == 100
    assert unknown < FLIPS / 5
    assert sum(not proof.verdict.loads for proof in proofs[len(cut) :]) > 10


@pytest.mark.parametrize("kind", ["singles", "pairs", "signatures"])
def test_faults_drawn_by_lot(kernel: Kernel, tmp_path: Path, kind: str) -> None:
    """No verdict disagrees with the kernel, few are not known, and what is predicted to crash does."""
    into = loading(kernel)
    match kind:
        case "singles":
            drawn = list(faults.singles(into, SEED, SINGLES))
        case "pairs":
            drawn = list(faults.pairs(into, SEED, PAIRS))
        case _:
            drawn = list(faults.signatures(into, new_key(tmp_path, "stranger"), SEED, SIGNATURES))
    assert len(drawn) == {"singles": SINGLES, "pairs": PAIRS, "signatures": SIGNATURES}[kind]
    proofs = prove(kernel.image, into, drawn)
    agree(proofs)
    unknown = [str(proof) for proof in proofs if proof.verdict.outcome is Outcome.UNKNOWN]
    assert len(unknown) < len(drawn) * NOT_KNOWN, unknown
    # What is written behind a section may hit memory that is there: the kernel is damaged, and goes on for a while.
    crashes = [
        (proof, case)
        for proof, case in zip(proofs, drawn, strict=True)
        if proof.verdict.outcome is Outcome.CRASHES and OUTSIDE not in proof.verdict.why
    ]
    answers = attempts(kernel.image, [proof for proof, _ in crashes], [case.loads[0] for _, case in crashes])
    survived = [
        f"{proof}: {answer[1:]}"
        for (proof, _), answer in zip(crashes, answers, strict=True)
        if answer is not None and answer.errno not in (KILLED, HUNG)
    ]
    assert survived == []


@pytest.mark.parametrize(
    "words", ["module.sig_enforce=1", "lockdown=integrity", "module_blacklist=other,toy module.sig_enforce"]
)
def test_words_of_the_command_line(kernel: Kernel, tmp_path: Path, words: str) -> None:
    into = loading(kernel, words)
    signed = real(kernel.folder, "cordic")
    stranger = next(case for case in cases.signatures(into, kernel.folder, tmp_path) if case.name == "stranger")
    table = [
        Case("genuine", (signed,)),
        Case("unsigned", (toy(into),)),
        Case("unsigned, another vermagic", (toy(into, "b", vermagic="x"),)),
        Case("no module", (b"text",)),
        stranger,
        Case("another machine", (signed[:18] + b"\x3e" + signed[19:],)),
    ]
    proofs = prove(kernel.image, into, table, cmdline=words)
    agree(proofs)
    heeded = "lockdown" not in words or into.has_message("kernel_lockdown")
    assert [proof.verdict.loads for proof in proofs[:2]] == [True, not heeded]


def test_the_blacklist(kernel: Kernel) -> None:
    into = loading(kernel, "module_blacklist=toy,,b-c")
    loads = [toy(into), toy(into, "b-c"), toy(into, "b"), toy(into, vermagic="x"), toy(into, trampolines="")]
    proofs = prove(kernel.image, into, [Case("listed", (data,)) for data in loads], cmdline="module_blacklist=toy,,b-c")
    agree(proofs)
    assert [proof.verdict.errno for proof in proofs] == [1, 1, 0, 1, 1]


def test_the_whole_tree(kernel: Kernel) -> None:
    """Every module of the kernel's own tree, in the order of its dependencies, as far as the machine lets them start.

    A module whose init fails is gone, and those that need it are predicted anew: then they are refused, and must be.
    """
    into = loading(kernel)
    candidates = Candidates(into)
    tree = ModuleTree(kernel.folder / "lib")
    order = [one.module for one in in_load_order(candidates.of_tree(tree))]
    predicted = [Simulator.load(machine, one) for machine in [Simulator(into)] for one in order]
    assert {verdict.outcome for verdict in predicted} == {Outcome.LOADS}
    files = {f"/m/{at}.ko": decompressed(Source(one.path), 64 << 20) for at, one in enumerate(order)}
    answers = boot(kernel.image, files, [Command("load", path) for path in files])
    machine, wrong, started = Simulator(into), [], 0
    for one, answer in zip(order, answers, strict=True):
        verdict = machine.load(one)
        ran = any(STARTED.match(line) for line in answer.log)
        started += ran
        if verdict.loads:
            agrees = ran or answer.errno == 0
            if answer.errno:
                machine.remove(verdict.name)
        else:
            words = [in_log(word) for word in verdict.log_lines]
            agrees = not ran and answer.errno == verdict.errno and same_lines(words, list(answer.log))
        if not agrees:
            wrong.append(f"{one.path}: predicted {verdict[2:6]}, kernel {answer[1:]}")
    assert wrong == []
    assert started > len(order) / 3


@pytest.mark.corpus
def test_signatures_of_one_kernel_are_not_those_of_the_other(kernels: tuple[Kernel, Kernel]) -> None:
    into = {kernel.name: loading(kernel) for kernel in kernels}
    right, wrong = "verified: Build time autogenerated kernel key", "the kernel does not have the key"
    for kernel in kernels:
        paths = list(kernel.folder.joinpath("lib").rglob("*.ko*"))
        assert len(paths) > 900
        found: dict[str, set[str]] = {other.name: set() for other in kernels}
        for path in paths:
            data = decompressed(Source(path), 64 << 20)
            for other in kernels:
                signer = preflight(into[other.name], str(path), data).signer
                found[other.name].add(signer.verified if signer else "unsigned")
        assert found == {other.name: {right if other is kernel else wrong} for other in kernels}


def test_image_and_vmlinux_say_the_same(kernel: Kernel) -> None:
    one, other = loading(kernel), TargetKernel(Vmlinux(kernel.vmlinux))
    for part in (
        "order",
        "vermagic",
        "exports",
        "certificates",
        "struct_size",
        "can_force",
        "export_flags",
        "needs_imports",
    ):
        assert getattr(one, part) == getattr(other, part)
    assert other.enforced is False
    assert TargetKernel(Image(kernel.image)).enforced is False


def test_a_prediction_that_is_wrong_is_seen(kernel: Kernel) -> None:
    """The proof itself: a kernel of which kinspect believes something else disagrees."""
    into = loading(kernel)
    into.__dict__["vermagic"] = into.vermagic.replace("SMP", "SMQ")
    proofs = prove(kernel.image, into, [Case("plain", (toy(loading(kernel)),)), Case("its own", (toy(into),))])
    assert len(list(disagreements(proofs))) == 2
    assert not is_within(["a", "b"], ["b", "a"])
    assert not same_lines(["a"], ["a", "b"])
    assert list(islice(disagreements([proofs[0]._replace(answer=None)]), 1)) == []
