"""Types, made one by one: declarations, layout, search, the raw listing, and what is not valid."""

from pathlib import Path
from struct import pack

import pytest

from kinspect.artifacts.btf.table import Btf
from kinspect.cli import main
from kinspect.errors import KinspectError, MalformedError, TruncatedError, UnsupportedError
from kinspect.reports.btf.layout import lines
from kinspect.reports.terminal import Style
from kinspect.schemas import btf
from kinspect.source import Source
from kinspect.views.btf.declarations import Declarations
from kinspect.views.btf.layout import type_facts
from kinspect.views.btf.raw import raw_lines
from kinspect.views.btf.search import member_facts, types_by_name
from kinspect.views.btf.validity import faults_of
from tests.conftest import SAMPLE
from tests.toy_btf import ToyBtf


def shown(toy: ToyBtf, number: int) -> list[str]:
    types = toy.btf
    return list(lines(type_facts(types, number, Declarations(types)), Style(False)))


def test_declarations() -> None:
    toy = ToyBtf()
    number = toy.integer("int")
    device = toy.struct("device", 4, [("id", number, 0)])
    pointer = toy.pointer(device)
    constant = toy.add(btf.CONST, third=device)
    to_constant = toy.pointer(constant)
    constant_pointer = toy.add(btf.CONST, third=pointer)
    array = toy.array(pointer, 4)
    to_array = toy.pointer(array)
    probe = toy.prototype(number, [("device", pointer), ("", 0)])
    to_probe = toy.pointer(probe)
    probes = toy.array(to_probe, 2)
    nothing = toy.prototype(0)
    anonymous = toy.struct("", 4, [("a", number, 0)], btf.UNION)
    known = {
        0: "void",
        number: "int",
        device: "struct device",
        pointer: "struct device *",
        to_constant: "const struct device *",
        constant_pointer: "struct device *const",
        array: "struct device *[4]",
        to_array: "struct device *(*)[4]",
        to_probe: "int (*)(struct device *, ...)",
        probes: "int (*[2])(struct device *, ...)",
        nothing: "void (void)",
        anonymous: "union { int a; }",
    }
    declarations = Declarations(toy.btf)
    assert {key: declarations.of(key) for key in known} == known
    assert declarations.named(probes, "probes") == "int (*probes[2])(struct device *, ...)"
    assert declarations.named(to_array, "all") == "struct device *(*all)[4]"


def test_a_struct_with_holes_and_bitfields() -> None:
    toy = ToyBtf()
    byte, number, long = toy.integer("u8", 1), toy.integer("unsigned int"), toy.integer("u64", 8)
    inner = toy.struct("", 8, [("low", byte, 0), ("high", number, 32)])
    union = toy.struct("", 8, [("whole", long, 0), ("", inner, 0)], btf.UNION)
    found = toy.bitfields(
        "packet",
        40,
        [("kind", byte, 0, 0), ("", union, 64, 0), ("ready", number, 128, 1), ("mode", number, 131, 3),
         ("end", long, 192, 0), ("last", byte, 256, 0)],
    )  # fmt: skip
    assert shown(toy, found) == [
        "toy.btf: struct packet, 40 bytes, 1 cache line",
        "",
        "  offset  size  struct packet {",
        "       0     1      u8 kind;",
        "       1     7      /* hole */",
        "                    union {",
        "       8     8          u64 whole;",
        "                        struct {",
        "       8     1              u8 low;",
        "       9     3              /* hole */",
        "      12     4              unsigned int high;",
        "       8     8          };",
        "       8     8      };",
        "    16:0     4      unsigned int ready : 1;",
        "                    /* hole of 2 bits */",
        "    16:3     4      unsigned int mode : 3;",
        "                    /* hole of 26 bits */",
        "             4      /* hole */",
        "      24     8      u64 end;",
        "      32     1      u8 last;",
        "      33     7      /* padding */",
        "                };",
        "",
        "  6 members, 11 bytes in 2 holes, 28 bits in 2 holes of bits, 7 bytes of padding",
    ]


def test_cache_lines() -> None:
    toy = ToyBtf()
    byte = toy.integer("u8", 1)
    buffer, long = toy.array(byte, 60), toy.integer("u64", 8)
    found = toy.struct("x", 80, [("a", buffer, 0), ("b", long, 60 * 8), ("c", long, 68 * 8)])
    assert [line.strip() for line in shown(toy, found) if "cache line" in line] == [
        "toy.btf: struct x, 80 bytes, 2 cache lines",
        "/* cache line 1, which started 4 bytes before */",
    ]


def test_what_is_found_by_name_and_by_member() -> None:
    toy = ToyBtf()
    number = toy.integer("int")
    inner = toy.struct("", 4, [("id", number, 0)])
    toy.struct("device", 8, [("state", number, 0), ("", inner, 32)])
    toy.struct("driver", 4, [("id", number, 0)])
    toy.add(btf.TYPEDEF, "driver", number)
    toy.function("device_add", number, [("id", number)])
    types = toy.btf
    assert [facts.name for facts in types_by_name(types, ["d*r"])] == ["driver", "driver"]
    assert [facts.kind for facts in types_by_name(types, ["typedef driver", "struct driver"])] == ["typedef", "struct"]
    assert next(types_by_name(types, ["device_add"])).declaration == "int device_add(int id)"
    found = member_facts(types, "id").members
    assert [(row.owner, row.offset, row.declaration) for row in found] == [
        ("struct device", 4, "int id"),
        ("struct driver", 0, "int id"),
    ]
    with pytest.raises(MalformedError, match=r"no type of that name \(did you mean driver\?\): found drivr"):
        list(types_by_name(types, ["drivr"]))
    with pytest.raises(MalformedError, match="no member of that name: found ids"):
        member_facts(types, "ids")


def test_a_long_declaration_stays_in_its_column() -> None:
    toy = ToyBtf()
    parameter = toy.pointer(toy.struct("a_parameter", 8, []))
    prototype = toy.prototype(0, [("", parameter)] * 3)
    found = toy.struct("operations", 8, [("call", toy.pointer(prototype), 0)])
    facts = type_facts(toy.btf, found, Declarations(toy.btf))
    assert list(lines(facts, Style(False, 72)))[2:5] == [
        "  offset  size  struct operations {",
        "       0     8      void (*call)(struct a_parameter *, struct",
        "                            a_parameter *, struct a_parameter *);",
    ]
    assert "*, struct a_parameter *, struct a_parameter *);" in "".join(lines(facts, Style(False)))


@pytest.fixture
def on_disk(tmp_path: Path) -> str:
    """The path of a file with types."""
    toy = ToyBtf()
    toy.struct("device", 4, [("state", toy.integer("int"), 0)])
    (tmp_path / "types.btf").write_bytes(toy.data)
    return str(tmp_path / "types.btf")


def test_the_raw_listing_is_printed_with_its_tabs(on_disk: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["types", on_disk, "--format", "raw"]) == 0
    assert "\n\t'state' type_id=1 bits_offset=0\n" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["PATH", "device", "--find", "state"], "--find: not possible with the name of a type: found device"),
        (["PATH", "--find", "stat"], "PATH: no member of that name: found stat"),
        ([str(SAMPLE / "abi/new")], f"{SAMPLE}/abi/new: is a directory"),
        ([str(SAMPLE / "abi/new/vmlinux"), "--base", str(SAMPLE / "abi/new/vmlinux")], "--base: only of a module"),
    ],
)
def test_what_types_refuses(words: list[str], message: str, on_disk: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["types", *(word.replace("PATH", on_disk) for word in words)]) == 2
    assert capsys.readouterr().err.startswith(f"kinspect: {message.replace('PATH', on_disk)}")


def test_a_module_continues_the_kernel() -> None:
    kernel = ToyBtf()
    number = kernel.integer("int")
    kernel.struct("device", 4, [("id", number, 0)])
    module = ToyBtf(kernel)
    pointer = module.pointer(2)
    module.struct("gadget", 16, [("parent", pointer, 0), ("id", number, 64)])
    types = module.btf
    assert (types.first, types.end) == (3, 5)
    assert Declarations(types).of(pointer) == "struct device *"
    assert [facts.id for facts in types_by_name(types, ["gadget", "device"])] == [4, 2]
    assert list(raw_lines(types)) == [
        "[3] PTR '(anon)' type_id=2",
        "[4] STRUCT 'gadget' size=16 vlen=2",
        "\t'parent' type_id=3 bits_offset=0",
        "\t'id' type_id=1 bits_offset=64",
    ]
    assert faults_of(types) == []


def faulty(toy: ToyBtf) -> list[tuple[int, str]]:
    return [(fault.id, fault.problem) for fault in faults_of(toy.btf)]


def test_what_is_not_valid() -> None:
    toy = ToyBtf()
    number = toy.integer("int")
    assert faulty(toy) == []
    toy.add(btf.PTR, third=90)
    toy.add(btf.FUNC, "f", number)
    toy.add(btf.TYPEDEF, "", number)
    toy.struct("s", 4, [("past", number, 64)])
    toy.add(btf.PTR, "named", number)
    prototype = toy.prototype(0)
    toy.struct("t", 4, [("f", prototype, 0)])
    toy.types += pack("<III", 5000, btf.INT << 24, 4) + pack("<I", 32)
    toy.end += 1
    assert faulty(toy) == [
        (2, "refers to a type that does not exist"),
        (3, "a function without a prototype"),
        (4, "a type of this kind needs a name"),
        (5, "the member past starts past the end"),
        (6, "a type of this kind has no name"),
        (8, "the member f has no size"),
        (9, "the name is outside the strings"),
    ]


def test_a_type_that_contains_itself() -> None:
    toy = ToyBtf()
    toy.struct("s", 4, [("inner", 2, 0)])
    toy.array(1, 3)
    toy.struct("fine", 8, [("next", 4, 0)])
    toy.pointer(3)
    assert faulty(toy) == [(2, "contains itself")]


def test_types_without_an_end() -> None:
    toy = ToyBtf()
    toy.add(btf.TYPEDEF, "a", 2)
    toy.add(btf.CONST, third=3)
    toy.add(btf.CONST, third=2)
    toy.struct("", 8, [("a", 5, 0), ("b", 5, 0)])
    toy.pointer(4)
    types = toy.btf
    with pytest.raises(MalformedError, match="nested too deeply"):
        Declarations(types).of(2)
    with pytest.raises(MalformedError, match="nested too deeply"):
        Declarations(types).of(4)


def test_anonymous_types_that_double() -> None:
    toy = ToyBtf()
    inner = toy.integer("int")
    for _ in range(40):
        inner = toy.struct("", 4, [("a", inner, 0), ("b", inner, 0)])
    outer = toy.struct("outer", 4, [("all", inner, 0)])
    types = toy.btf
    assert len(Declarations(types).of(inner)) < 20_000
    with pytest.raises(MalformedError, match="too many members in nested anonymous types"):
        type_facts(types, outer, Declarations(types))


def cut(data: bytes, **fields: int) -> Btf:
    """BTF with other values in its header."""
    names = ("hdr_len", "type_off", "type_len", "str_off", "str_len")
    changed = bytearray(data)
    for name, value in fields.items():
        at = 4 + 4 * names.index(name)
        changed[at : at + 4] = pack("<I", value)
    return Btf(Source("toy.btf", bytes(changed)))


def test_the_header() -> None:
    toy = ToyBtf()
    toy.integer("int")
    data = toy.data
    for fields in ({"type_len": 1 << 31}, {"str_len": 400}, {"hdr_len": 8}, {"type_off": 1 << 30}):
        with pytest.raises(TruncatedError, match="BTF ends past its data"):
            cut(data, **fields).facts  # noqa: B018
    with pytest.raises(MalformedError, match="not aligned"):
        cut(data, type_len=15).facts  # noqa: B018
    with pytest.raises(TruncatedError, match="the last type ends past the types"):
        cut(data, type_len=12).facts  # noqa: B018
    with pytest.raises(UnsupportedError, match="unknown version of BTF: expected 1, found 2"):
        Btf(Source("x", data[:2] + b"\2" + data[3:])).facts  # noqa: B018
    with pytest.raises(MalformedError, match="not BTF"):
        Btf(Source("x", b"\0" * 30)).facts  # noqa: B018


def test_unknown_kinds() -> None:
    toy = ToyBtf()
    toy.add(25)
    with pytest.raises(UnsupportedError, match="type 1 at 0x18: unknown kind of type: expected 1 to 19, found 25"):
        toy.btf.facts  # noqa: B018


def test_cut_anywhere() -> None:
    """Whatever is missing, the error is ours."""
    toy = ToyBtf()
    number = toy.integer("int")
    inner = toy.struct("", 4, [("a", number, 0)])
    toy.bitfields("s", 8, [("a", number, 0, 3), ("", inner, 32, 0)])
    toy.enum("e", [("A", 1), ("B", -1)])
    toy.function("f", number, [("x", number)])
    data = toy.data
    for size in range(len(data)):
        for changed in (data[:size], data[:size] + b"\xff" + data[size + 1 :], data[:size] + bytes(len(data) - size)):
            types = Btf(Source("toy.btf", changed))
            try:
                list(raw_lines(types))
                declarations = Declarations(types)
                for each in types.ids:
                    type_facts(types, each, declarations)
                member_facts(types, "a")
                faults_of(types)
            except KinspectError:
                pass


def test_many_members() -> None:
    toy = ToyBtf()
    number = toy.integer("int")
    found = toy.struct("wide", 4 * 0xFFFF, [(f"m{at}", number, 32 * at) for at in range(0xFFFF)])
    types = toy.btf
    facts = type_facts(types, found, Declarations(types))
    assert (len(facts.members), facts.padding) == (0xFFFF, 0)
