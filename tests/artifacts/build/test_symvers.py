"""Module.symvers is read in every layout, and broken lines are data."""

import time
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kinspect.artifacts.build.symvers import LARGEST, LONGEST_LINE, MOST_LINES, BrokenLine, Layout, Symvers
from kinspect.artifacts.kinds import kind_of
from kinspect.errors import MalformedError, TruncatedError, UnreadableError, UnsupportedError
from kinspect.inspection.report import run_checks
from kinspect.reports.build.symvers import lines as symvers_lines
from kinspect.reports.terminal import Style
from kinspect.source import Source
from tests.conftest import SAMPLE, Kernel

LAST = b"0x12345678\ta\tvmlinux\tEXPORT_SYMBOL\t\n0xabcdef01\tb\tdrivers/net/tun\tEXPORT_SYMBOL_GPL\tNET\n"
THIRD = b"0x12345678\ta\t\tvmlinux\tEXPORT_SYMBOL\n0xabcdef01\tb\tNET\tdrivers/net/tun\tEXPORT_SYMBOL_GPL\n"
FOUR = b"0x12345678\ta\tvmlinux\tEXPORT_SYMBOL\n0xabcdef01\tb\tdrivers/net/tun\tEXPORT_SYMBOL_GPL\n"
Written = Callable[[bytes], Symvers]


@pytest.fixture
def written(tmp_path: Path) -> Written:
    """A Module.symvers of given bytes."""

    def made(data: bytes) -> Symvers:
        path = tmp_path / "Module.symvers"
        path.write_bytes(data)
        return Symvers(path)

    return made


class Held(Source):
    """A file in memory."""

    def __init__(self, data: bytes) -> None:
        super().__init__("Module.symvers")
        self._unit = 1 << 30
        self._held = data

    def close(self) -> None:
        """There is nothing to close."""


@pytest.mark.parametrize(
    ("data", "layout", "namespaces"),
    [
        (LAST, Layout.NAMESPACE_LAST, ["", "NET"]),
        (THIRD, Layout.NAMESPACE_THIRD, ["", "NET"]),
        (FOUR, Layout.NO_NAMESPACE, ["", ""]),
    ],
)
def test_layouts(written: Written, data: bytes, layout: Layout, namespaces: list[str]) -> None:
    for text in (data, data.replace(b"\n", b"\r\n"), data.removesuffix(b"\n")):
        symvers = written(text)
        rows = symvers.rows
        assert symvers.layout == layout
        assert list(rows.numbers) == [1, 2]
        assert list(rows.crcs) == [0x12345678, 0xABCDEF01]
        assert rows.names == ["a", "b"]
        assert rows.modules == ["vmlinux", "drivers/net/tun"]
        assert rows.types == ["EXPORT_SYMBOL", "EXPORT_SYMBOL_GPL"]
        assert rows.namespaces == namespaces
        assert symvers.gpl == [False, True]
        assert symvers.broken == ()


def test_types_of_old_kernels(written: Written) -> None:
    types = ["EXPORT_SYMBOL_GPL_FUTURE", "EXPORT_UNUSED_SYMBOL", "EXPORT_UNUSED_SYMBOL_GPL", "(unknown)"]
    lines = [f"0x0000000{index}\ts{index}\tvmlinux\t{kind}\n" for index, kind in enumerate(types, start=1)]
    symvers = written("".join(lines).encode())
    assert symvers.rows.types == types
    assert symvers.gpl == [False, False, True, False]
    assert symvers.known_types.issuperset(types)
    assert "(unknown)" not in written(LAST).known_types


def test_broken_lines_are_data(written: Written) -> None:
    symvers = written(b"0x1\tshort\tvmlinux\n" + LAST + b"\n" + LAST.replace(b"NET", b"NET\tmore") + b"x")
    assert symvers.broken == (
        BrokenLine(1, ("0x1", "short", "vmlinux")),
        BrokenLine(4, ("",)),
        BrokenLine(6, ("0xabcdef01", "b", "drivers/net/tun", "EXPORT_SYMBOL_GPL", "NET", "more")),
        BrokenLine(7, ("x",)),
    )
    assert list(symvers.rows.numbers) == [2, 3, 5]
    assert symvers.rows.names == ["a", "b", "a"]
    assert symvers.index == {"a": 0, "b": 1}
    assert symvers.facts.broken_lines == 4


@pytest.mark.parametrize(
    "crc",
    [
        "12345678",
        "0x1234567",
        "0x123456789",
        "0x1234567g",
        "0X12345678",
        "0x0x345678",
        " 0x1234567",
        "0x+1234567",
        "0x12_45678",
        "0x\uff112345678",
        "",
        "0x12345 78",
    ],
)
def test_values_that_are_not_crcs(written: Written, crc: str) -> None:
    symvers = written(LAST.replace(b"0x12345678", crc.encode("utf-8")))
    assert list(symvers.rows.crcs) == [None, 0xABCDEF01]
    assert symvers.facts.versions == 1


def test_upper_case_digits_are_a_crc(written: Written) -> None:
    assert list(written(LAST.replace(b"abcdef01", b"ABCDEF01")).rows.crcs) == [0x12345678, 0xABCDEF01]


def test_bytes_that_are_no_text_are_kept(written: Written) -> None:
    symvers = written(LAST.replace(b"\ta\t", b"\ta\xff\0\xc3\xa9\t"))
    name = symvers.rows.names[0]
    assert name.encode("ascii", "surrogateescape") == b"a\xff\0\xc3\xa9"
    assert symvers.unprintable == [1]
    assert written(LAST).unprintable == []
    assert written(LAST.replace(b"\n", b"\r\n")).unprintable == []
    assert written(LAST.replace(b"\tb", b"\r\tb")).unprintable == [2]


def test_an_empty_file(written: Written) -> None:
    symvers = written(b"")
    assert symvers.lines == []
    assert symvers.facts.exports == 0
    assert symvers.layout == Layout.NAMESPACE_LAST
    assert written(b"\n").broken == (BrokenLine(1, ("",)),)


def test_a_line_has_a_limit(written: Written) -> None:
    longest = b"x" * LONGEST_LINE
    assert written(LAST + longest + b"\n" + LAST).lines[2] == longest.decode()
    for data, line in ((LAST + longest + b"x\n" + LAST, 3), (longest + b"x", 1), (LAST * 9 + longest * 3, 19)):
        with pytest.raises(MalformedError, match=f"symvers:{line}: a line is too long"):
            _ = written(data).data


def test_a_line_of_100_mb_is_not_read_to_its_end(tmp_path: Path) -> None:
    path = tmp_path / "Module.symvers"
    with path.open("wb") as file:
        file.truncate(100 << 20)
    started = time.process_time()
    with pytest.raises(MalformedError, match="too long"):
        _ = Symvers(path).facts
    assert time.process_time() - started < 0.5


def test_a_file_has_a_limit(written: Written) -> None:
    with pytest.raises(UnsupportedError, match="lines"):
        _ = written(b"\n" * (MOST_LINES + 1)).data
    line = b"x" * (LONGEST_LINE - 1) + b"\n"
    with pytest.raises(UnsupportedError, match="bytes"):
        _ = written(line * (LARGEST // len(line) + 1)).data
    assert written(b"\n" * MOST_LINES).facts.broken_lines == MOST_LINES


def test_a_missing_file() -> None:
    with pytest.raises(UnreadableError, match="No such file"):
        _ = Symvers("/nowhere/Module.symvers").facts


BLANKS = LAST.replace(b"\t", b" ")
UNKNOWN = b"(unknown)\tlamp\tvmlinux\tEXPORT_SYMBOL\t\n"


def is_symvers(head: bytes) -> bool:
    kind = kind_of(head)
    return kind is not None and kind.reader == "build.symvers:Symvers"


@pytest.mark.parametrize(
    "data", [LAST, THIRD, FOUR, b"\n0x1\n" + LAST, LAST.replace(b"\n", b"\r\n"), LAST[30:], BLANKS, UNKNOWN]
)
def test_a_symvers_is_recognised(data: bytes) -> None:
    assert is_symvers(data[:4096])


@pytest.mark.parametrize(
    "head",
    [
        b"",
        b"\x7fELF" + bytes(60),
        b"0x12345678",
        b"ffff800080000000 T _text\n",
        b"kernel/a.ko: kernel/b.ko\n",
        b"alias symbol:EXPORT_SYMBOL a\n",
        b"int\ta;\tx\tEXPORT_SYMBOL(a);\n",
        b"the macro is EXPORT_SYMBOL or EXPORT_SYMBOL_GPL\n",
        b"see:\tx\tEXPORT_SYMBOL\n",
    ],
)
def test_another_file_is_not(head: bytes) -> None:
    assert not is_symvers(head)


def test_the_sample_is_recognised(sample: Path) -> None:
    found = [path.name for path in sample.iterdir() if path.is_file() and is_symvers(path.read_bytes()[:4096])]
    assert found == ["Module.symvers"]


FIELD = st.sampled_from(
    [b"0x12345678", b"0x00000000", b"a", b"b", b"vmlinux", b"EXPORT_SYMBOL", b"NS", b"", b"\xff", b" "]
)
LINE = st.lists(FIELD, min_size=1, max_size=6).map(b"\t".join)


@given(st.lists(LINE, max_size=12), st.sampled_from([b"\n", b"\r\n"]), st.booleans())
def test_any_lines_are_read_as_a_plain_reader_does(lines: list[bytes], end: bytes, ended: bool) -> None:
    data = end.join(lines) + end * ended
    symvers = Symvers(Held(data))
    plain = data.replace(b"\r\n", b"\n").split(b"\n")
    if not plain[-1]:
        plain.pop()
    wanted = 4 if symvers.layout == Layout.NO_NAMESPACE else 5
    texts = [line.decode("ascii", "surrogateescape").split("\t") for line in plain]
    assert [line.number for line in symvers.broken] == [
        number for number, fields in enumerate(texts, start=1) if len(fields) != wanted
    ]
    whole = [(number, fields) for number, fields in enumerate(texts, start=1) if len(fields) == wanted]
    assert list(symvers.rows.numbers) == [number for number, _ in whole]
    assert symvers.rows.names == [fields[1] for _, fields in whole]
    assert symvers.crc_texts == [fields[0] for _, fields in whole]
    assert list(symvers.rows.crcs) == [
        int(fields[0], 16) if fields[0].startswith("0x") else None for _, fields in whole
    ]
    _ = symvers.facts


@given(st.binary(max_size=300))
def test_any_bytes_are_judged(data: bytes) -> None:
    symvers = Symvers(Held(data))
    report = run_checks((symvers,), "symvers.text", "symvers.exports")
    assert report.ran
    assert not any("\x1b" in line for line in symvers_lines(symvers.facts, Style(False)))


def test_the_sample_as_text(sample: Path) -> None:
    lines = list(symvers_lines(Symvers(sample / "Module.symvers").facts, Style(False)))
    assert lines[0] == f"{sample}/Module.symvers: Module.symvers, 517 bytes"
    assert lines[2:] == [
        "  exports    11",
        "  of         11  vmlinux",
        "              0  0 modules",
        "  type        6  EXPORT_SYMBOL",
        "              5  EXPORT_SYMBOL_GPL",
        "  namespace   1  HELLO_UART",
        "",
        "  versions  11 CRCs",
        "  columns   CRC, symbol, module, type, namespace (since 5.6)",
    ]


def test_a_name_of_a_namespace_is_escaped(written: Written) -> None:
    text = "\n".join(symvers_lines(written(LAST.replace(b"NET", b"N\x1b[1mT")).facts, Style(False)))
    assert "N\\x1b[1mT" in text


def test_a_real_file_is_read_as_a_plain_reader_does(kernel: Kernel) -> None:
    symvers = Symvers(kernel.folder / "Module.symvers")
    plain = [line.split("\t") for line in (kernel.folder / "Module.symvers").read_text().splitlines()]
    rows = symvers.rows
    found = zip(rows.crcs, rows.names, rows.modules, rows.types, rows.namespaces, strict=True)
    assert [[f"{crc:#010x}", *others] for crc, *others in found] == plain
    assert list(rows.numbers) == list(range(1, len(plain) + 1))
    facts = symvers.facts
    assert (facts.exports, facts.broken_lines) == (len(plain), 0)
    assert facts.kernel_exports == sum(line[2] == "vmlinux" for line in plain)
    assert facts.modules == len({line[2] for line in plain}) - 1
    assert facts.versions == sum(line[0] != "0x00000000" for line in plain)


def test_a_real_file_is_read_and_judged_fast(kernel: Kernel) -> None:
    run_checks((Symvers(SAMPLE / "Module.symvers"),), "symvers.text", "symvers.exports")  # imports
    spent = []
    for _ in range(3):
        started = time.process_time()
        symvers = Symvers(kernel.folder / "Module.symvers")
        run_checks((symvers,), "symvers.text", "symvers.exports")
        _ = symvers.facts
        spent.append(time.process_time() - started)
    assert min(spent) < 0.15


def test_a_source_that_is_cut_while_read(written: Written) -> None:
    symvers = written(LAST)
    _ = symvers.size
    Path(symvers.path).write_bytes(b"")
    with pytest.raises((UnreadableError, TruncatedError)):
        _ = symvers.data
