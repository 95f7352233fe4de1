"""Verdicts on modules with a fault that tests/load found to be wrong or not known: each is what the kernels did."""

from collections.abc import Callable
from errno import EBADMSG, EEXIST, EINVAL, ENOEXEC
from pathlib import Path

import pytest

from kinspect.schemas.record import build
from kinspect.schemas.tables import KernelParam
from kinspect.views.loader.built_in import names_in_image
from kinspect.views.loader.kernel import Order, TargetKernel
from kinspect.views.loader.preflight import preflight
from kinspect.views.loader.relocation.areas import Area
from kinspect.views.loader.relocation.values import Address, Space, address_space, distances, fits, values
from kinspect.views.loader.simulator import Simulator
from kinspect.views.loader.verdict import Outcome, Verdict
from tests.conftest import kernel_named
from tests.load import faults
from tests.load.faults import section
from tests.load.modules import new_key, signed_by, toy, with_message
from tests.load.test_loading import loading
from tests.toy_module import trailer

LOADS, REFUSED, CRASHES, UNKNOWN = Outcome.LOADS, Outcome.REFUSED, Outcome.CRASHES, Outcome.UNKNOWN
OLD, NEW = "bookworm-cloud", "trixie-cloud"


def verdict(kernel: TargetKernel, data: bytes) -> Verdict:
    return Simulator(kernel).load(preflight(kernel, "toy.ko", data))


@pytest.fixture(scope="module", params=[pytest.param(name, marks=pytest.mark.corpus) for name in (OLD, NEW)])
def target(request: pytest.FixtureRequest, tool: Callable[[str], str]) -> TargetKernel:
    tool("aarch64-linux-gnu-gcc")
    return loading(kernel_named(request.param))


OVERFLOW, DUPLICATE = "overflow in relocation type 261 val 0", "/sections/.init.text'"


@pytest.mark.parametrize(
    ("fault", "older", "newer", "errno", "line"),
    [
        ("export 2 at 0 257 toy_data 0", UNKNOWN, UNKNOWN, 0, ""),
        ("export 1 at 4 257 toy_data 0", CRASHES, CRASHES, 0, ""),
        ("export 1 at 0 261 toy_one 1", LOADS, LOADS, 0, ""),
        (".data..percpu and __ksymtab_strings swapped", CRASHES, CRASHES, 0, ""),
        (".data and .symtab swapped", CRASHES, CRASHES, 0, ""),
        (".gnu.linkonce.this_module and __ksymtab swapped", CRASHES, None, 0, ""),
        (".symtab size 0x8", REFUSED, REFUSED, ENOEXEC, OVERFLOW),
        (".symtab named .init.text", LOADS, REFUSED, EEXIST, DUPLICATE),
        (".symtab aligned to 0x8000000000000000", CRASHES, CRASHES, 0, ""),
        (".rela.data named .plt", LOADS, LOADS, 0, ""),
        (".symtab named .plt", REFUSED, REFUSED, ENOEXEC, "module symtab section missing"),
        (".rela.text 282 to toy_code over 0x8000001", UNKNOWN, UNKNOWN, 0, ""),
        ("283 against toy_absolute of value 0x8000001", LOADS, LOADS, 0, ""),
        (".rela.text 283 to _printk over 0xffffffe000", UNKNOWN, UNKNOWN, 0, ""),
        ("_ftrace_events of 8 bytes b'\\x00', flags 3, type 8", UNKNOWN, UNKNOWN, 0, ""),
        ("__patchable_function_entries of 8 bytes b'\\x00', flags 0, type 7", LOADS, LOADS, 0, ""),
    ],
)
def test_faults(target: TargetKernel, fault: str, older: Outcome, newer: Outcome | None, errno: int, line: str) -> None:
    expected = older if target.order is Order.FIRST else newer
    if expected is None:
        return
    found = next(one for kind in faults.kinds().values() for one in kind if one.name == fault)
    result = verdict(target, found.apply(faults.base(target)))
    assert result.outcome is expected, result
    if expected is REFUSED:
        assert result.errno == errno
        assert result.log_lines[-1].endswith(line)


def test_an_alignment_that_the_kernel_makes_smaller(target: TargetKernel) -> None:
    data = section(faults.base(target), ".data..percpu", sh_addralign=1 << 14)
    assert "toy_0000: per-cpu alignment 16384 > 4096" in verdict(target, data).log_lines


DATA_OID = bytes.fromhex("06092a864886f70d010701")


@pytest.mark.parametrize(
    ("old", "new", "errno", "lines"),
    [
        # A constructed tag without its bit.
        (b"\x30", b"\x10", 0, ()),
        # The version is read before anything behind it.
        (b"\x02\x01\x01", b"\x02\x01\x05", EINVAL, ("PKCS7: Unsupported SignedData version",)),
        # The identifier is noted twice, and the element does not end there.
        (DATA_OID, b"\x06\x08" + DATA_OID[2:], EBADMSG, ("PKCS7: Unknown OID: [45] 1.2.840.113549.1.7",) * 2),
        # No length: what follows is no element of the message.
        (b"\x02\x01\x01", b"\x30\x80\x01", EBADMSG, ()),
    ],
)
def test_signatures(
    target: TargetKernel, tmp_path: Path, old: bytes, new: bytes, errno: int, lines: tuple[str, ...]
) -> None:
    data = toy(target)
    signed = signed_by(new_key(tmp_path, "stranger"), data)
    message = signed[len(data) : -len(trailer(0))]
    found = verdict(target, with_message(data, message.replace(old, new, 1)))
    assert (found.errno, found.log_lines if errno else ()) == (errno, lines)


def test_parameters_of_a_kernel_whose_pointers_are_in_place() -> None:
    """A kernel linked with RELR, or one that never moves."""
    base, names = 0xFFFFFE0008000000, 0x10100
    data = bytearray(0x20000)
    texts = [b"printk.time", b"block.events_dfl_poll_msecs", b"quiet"]
    for number, text in enumerate(texts):
        place = names + 0x40 * number
        data[place : place + len(text)] = text
        fields = dict.fromkeys(KernelParam._fields, 0) | {"name": base + place, "perm": 0o644}
        row = KernelParam(**{key: value for key, value in fields.items() if key != "padding"}, padding=bytes(4))
        data[0x8000 + 40 * number : 0x8000 + 40 * (number + 1)] = build(row)
    assert names_in_image(bytes(data)) == {"printk", "block", "kernel"}


@pytest.mark.parametrize(("bits", "expected"), [(48, True), (39, True), (None, None)])
def test_the_bits_of_an_address_decide(bits: int | None, expected: bool | None) -> None:
    """From the top of all addresses to a module: out of reach, but perhaps not where the bits are not known."""
    memory = address_space(bits, randomized=True, direct=False)
    top, place = Address(Space.ABSOLUTE, (1 << 64) - (1 << 35)), Address(Area(False, 0), 0)
    out_of_reach = fits(distances(top, place, memory), (-(1 << 32), (1 << 32) - 1)) is False
    assert (out_of_reach or None) is expected
    assert values(top, memory) == ((top.offset, top.offset),)
