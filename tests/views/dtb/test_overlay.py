"""Overlays are merged as fdtoverlay does it, to the byte; why one does not apply is said in words."""

import random
import re
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import pytest

from kinspect.artifacts.dtb.blob import Dtb, DtbKind
from kinspect.artifacts.dtb.structure import Node
from kinspect.errors import KinspectError, MalformedError, UnsupportedError, sentence
from kinspect.source import Source
from kinspect.views.dtb.editable import EditableTree
from kinspect.views.dtb.merging import KEEPS_PHANDLES, merged
from kinspect.views.dtb.overlay import OverlayChange, OverlayProblem
from tests.conftest import SAMPLE
from tests.toy_dtb import END, END_NODE, NOP, Toy, begin, blob, cells, prop, toy

Tool = Callable[[str], str]
HELLO, LAMP = SAMPLE / "dtb" / "hello.dtb", SAMPLE / "dtb" / "hello-lamp.dtbo"
OLD, NEW = (1, 6, 1), KEEPS_PHANDLES


def tree(data: bytes, name: str = "base.dtb") -> Dtb:
    return Dtb(Source(name, data))


class Overlay(NamedTuple):
    """A tool that applies overlays, and its version."""

    tool: str
    version: tuple[int, ...]

    def __call__(self, folder: Path, base: Path, overlays: Sequence[Path]) -> bytes:
        """The merged tree; empty when an overlay does not apply."""
        out = folder / "merged.dtb"
        out.unlink(missing_ok=True)
        command = [self.tool, "-i", str(base), "-o", str(out), *map(str, overlays)]
        done = subprocess.run(command, capture_output=True, timeout=60, check=False)
        return out.read_bytes() if done.returncode == 0 else b""


@pytest.fixture(scope="session")
def fdtoverlay(tool: Tool) -> Overlay:
    """The fdtoverlay of this machine."""
    path = tool("fdtoverlay")
    text = subprocess.run([path, "--version"], capture_output=True, text=True, check=True).stdout
    return Overlay(path, tuple(map(int, re.findall(r"\d+", text)[:3])))


def ours(base: Path, overlays: Sequence[Path], version: tuple[int, ...]) -> bytes:
    return merged(Dtb(base), [Dtb(path) for path in overlays], version)[1]


def test_the_sample(fdtoverlay: Overlay, tmp_path: Path) -> None:
    found = ours(HELLO, [LAMP], fdtoverlay.version)
    assert found
    assert found == fdtoverlay(tmp_path, HELLO, [LAMP])


def test_what_the_sample_changes() -> None:
    facts, data = merged(Dtb(HELLO), [Dtb(LAMP)])
    (lamp,) = facts.overlays
    assert (lamp.applied, lamp.nodes_added, lamp.properties_added, lamp.properties_changed) == (True, 1, 4, 1)
    assert lamp.changes[:2] == (
        OverlayChange("/soc@0/lamp@a000000", "status", b"disabled\0", b"okay\0"),
        OverlayChange("/soc@0/lamp@a000000", "clocks", None, cells(2)),
    )
    assert lamp.changes[-1] == OverlayChange("/soc@0/bell@a001000")
    after = tree(data)
    bell = after.number_of("/soc@0/bell@a001000")
    assert bell is not None
    assert facts.size == len(data)
    assert after.nodes[bell].property("compatible") is not None


NAMES = ("n", "n@1", "n@2", "m", "soc", "soc@0", "k,x@7")
PROPERTIES = ("status", "reg", "a", "b-long-name", "tus", "x", "phandle-like", "clocks")


class Sources:
    """Sources of random trees."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)

    def value(self, labels: Sequence[str]) -> str:
        number = self.random.randrange
        forms = [
            "",
            f' = "{"s" * number(9)}"',
            f" = <{' '.join(str(number(1 << 32)) for _ in range(number(1, 5)))}>",
            f" = [{' '.join(f'{number(256):02x}' for _ in range(number(1, 30)))}]",
            ' = "okay"',
        ]
        if labels:
            label = self.random.choice(labels)
            forms += [f" = <&{label} {number(99)}>", f' = [00 01], <&{label}>, "t"']
        return self.random.choice(forms)

    def body(self, depth: int, prefix: str, known: list[str], refer: Sequence[str]) -> str:
        """What is in a node; `known` takes its labels."""
        some = self.random.sample(PROPERTIES, self.random.randrange(5))
        parts = [f"{name}{self.value(refer)};" for name in some]
        for name in self.random.sample(NAMES, self.random.randrange(3 if depth > 1 else 4)) if depth < 4 else ():
            label = ""
            if self.random.random() < 0.6:
                known.append(f"{prefix}{len(known)}")
                label = f"{known[-1]}: "
            parts.append(f"{label}{name} {{ {self.body(depth + 1, prefix, known, refer)} }};")
        return " ".join(parts)

    def base(self, known: list[str]) -> str:
        parts = [self.body(1, "b", known, []), 'aliases { al = "/soc"; };' if self.random.random() < 0.5 else ""]
        parts += [f"ref {{ r = <&{self.random.choice(known)}>; }};"] if known and self.random.random() < 0.7 else []
        reserved = "/memreserve/ 0x1000 0x100;" if self.random.random() < 0.3 else ""
        return f"/dts-v1/; {reserved} / {{ {' '.join(parts)} }};"

    def overlay(self, number: int, known: list[str], wrong: float) -> str:
        mine: list[str] = []
        fragments = []
        for index in range(self.random.randrange(1, 4)):
            targets = ['target-path = "/";'] * 2
            targets += [f"target = <&{self.random.choice(known)}>;"] * 3 if known else []
            if self.random.random() < wrong:
                targets = [
                    "",
                    "target = <&nolabel>;",
                    'target-path = "/soc";',
                    'target-path = "/n/n";',
                    'target-path = "al/n";',
                ]
            kind = "__overlay__" if self.random.random() < 0.95 else "__dormant__"
            label = f"f{number}_{index}: " if self.random.random() < 0.03 else ""
            body = self.body(2, f"o{number}_", mine, [*known, *mine])
            fragments.append(f"fragment@{index} {{ {self.random.choice(targets)} {label}{kind} {{ {body} }}; }};")
        known += mine
        return f"/dts-v1/; /plugin/; / {{ {' '.join(fragments)} }};"


def compiled(dtc: str, source: str, path: Path, symbols: bool) -> Path:
    words = ["-@"] if symbols else []
    command = [dtc, "-q", "-I", "dts", "-O", "dtb", "-o", str(path), *words, "-"]
    subprocess.run(command, input=source, text=True, capture_output=True, check=True)
    return path


@pytest.mark.parametrize("seed", range(6))
def test_random_overlays(seed: int, dtc: str, fdtoverlay: Overlay, tmp_path: Path) -> None:
    applied = 0
    sources = Sources(seed)
    for _ in range(12):
        known: list[str] = []
        base = compiled(dtc, sources.base(known), tmp_path / "base.dtb", sources.random.random() < 0.95)
        wrong = 0.3 if sources.random.random() < 0.3 else 0
        overlays = [
            compiled(dtc, sources.overlay(number, known, wrong), tmp_path / f"{number}.dtbo", True)
            for number in range(sources.random.randrange(1, 4))
        ]
        expected = fdtoverlay(tmp_path, base, overlays)
        assert ours(base, overlays, fdtoverlay.version) == expected, [base.read_bytes(), overlays]
        applied += bool(expected)
    assert applied


def test_broken_overlays_are_never_merged_otherwise(fdtoverlay: Overlay, tmp_path: Path) -> None:
    """What fdtoverlay writes of a damaged file is what we write, unless we refuse to read the file."""
    source, merges = random.Random(99), 0
    for _ in range(60):
        files = [HELLO, LAMP]
        number = source.randrange(2)
        data = bytearray(files[number].read_bytes())
        data[source.randrange(len(data))] ^= 1 << source.randrange(8)
        files[number] = tmp_path / "damaged"
        files[number].write_bytes(data)
        try:
            found = ours(files[0], files[1:], fdtoverlay.version)
        except KinspectError:
            continue
        assert found == fdtoverlay(tmp_path, files[0], files[1:])
        merges += bool(found)
    assert merges


@pytest.mark.corpus
def test_real_trees(dtbs: list[Path], dtc: str, fdtoverlay: Overlay, tmp_path: Path) -> None:
    """An overlay onto the root and /chosen of real trees, whether they have labels or not."""
    source = '/dts-v1/; /plugin/; &{/} { model = "changed"; a { b; }; }; &{/chosen} { x: y { p = <&x>; }; };'
    overlay = compiled(dtc, source, tmp_path / "a.dtbo", True)
    for base in dtbs[:: max(1, len(dtbs) // 40)]:
        if Dtb(base).form == DtbKind.TREE:
            assert ours(base, [overlay], fdtoverlay.version) == fdtoverlay(tmp_path, base, [overlay])


def fragment(*inside: Toy, properties: Sequence[tuple[str, bytes]] = (), **target: bytes) -> Toy:
    """A fragment: `target` or `target_path`, and what it changes."""
    named = [(name.replace("_", "-"), value) for name, value in target.items()]
    return Toy("fragment@0", named, [Toy("__overlay__", properties, inside)])


def fixups(*entries: tuple[str, bytes]) -> Toy:
    return Toy("__fixups__", entries)


UART = Toy("uart@1", [("phandle", cells(7))])
SYMBOLS = Toy("__symbols__", [("uart", b"/soc/uart@1\0"), ("gone", b"/soc/gone\0"), ("bare", b"/soc/bare\0")])
SOC = Toy("soc", [], [UART, Toy("bare")])
BASE = toy(Toy("aliases", [("serial0", b"/soc/uart@1\0")]), SOC, SYMBOLS)
TARGET = b"/fragment@0:target:0\0"
ONES = cells(0xFFFFFFFF)
REFUSED = {
    "the base has no label lamp": [fragment(target=ONES), fixups(("lamp", TARGET))],
    "the label gone of the base leads to no node: /soc/gone": [fragment(target=ONES), fixups(("gone", TARGET))],
    "/soc/bare, which has the label bare in the base, has no phandle": [
        fragment(target=ONES),
        fixups(("bare", TARGET)),
    ],
    "the target of the fragment is not resolved": [fragment(target=ONES)],
    "the target of the fragment is not a phandle": [fragment(target=b"\0\0")],
    "no node of the base has the phandle of the target": [fragment(target=cells(99))],
    "the fragment has no target": [fragment()],
    "the base has no node /soc/uart@2, the target of the fragment: /soc has no uart@2": [
        fragment(target_path=b"/soc/uart@2\0")
    ],
    "the base has no node /bus, the target of the fragment": [fragment(target_path=b"/bus\0")],
    "the base has no alias spi0, with which the target spi0/dev starts": [fragment(target_path=b"spi0/dev\0")],
    "__fixups__ is broken: expected PATH:PROPERTY:OFFSET": [fixups(("uart", b"/fragment@0:target\0"))],
    "__fixups__ is broken: the overlay has no such node": [fixups(("uart", b"/no:target:0\0"))],
    "__fixups__ is broken: the overlay has no such property": [
        fragment(target_path=b"/\0"),
        fixups(("uart", b"/fragment@0:no:0\0")),
    ],
    "__fixups__ is broken: no list of strings": [fixups(("uart", b"/fragment@0"))],
    "__local_fixups__ is broken: no such property": [Toy("__local_fixups__", [("no", cells(0))])],
    "__local_fixups__ is broken: no such node": [Toy("__local_fixups__", [], [Toy("no")])],
    "__local_fixups__ is broken: an offset is outside of the property": [
        Toy("__local_fixups__", [("#size-cells", cells(1))])
    ],
    "a phandle is not 4 bytes long": [Toy("a", [("phandle", b"\0")])],
    "the phandle does not fit behind those of the base, up to 0x7": [Toy("a", [("phandle", cells(0xFFFFFFF8))])],
    "a label of the overlay is no path": [fragment(target_path=b"/\0"), Toy("__symbols__", [("x", b"x\0")])],
    "a label of the overlay leads to no fragment": [
        fragment(target_path=b"/\0"),
        Toy("__symbols__", [("x", b"/fragment@1/__overlay__/a\0")]),
    ],
}
"""How the reason begins, for the nodes of an overlay."""


def problem(overlay: bytes, base: bytes = BASE, version: tuple[int, ...] = OLD) -> OverlayProblem:
    facts, data = merged(tree(base), [tree(overlay, "a.dtbo")], version)
    (applied,) = facts.overlays
    assert applied.problem is not None
    assert (applied.applied, facts.size, data) == (False, None, b"")
    return applied.problem


@pytest.mark.parametrize("reason", REFUSED)
def test_why_an_overlay_does_not_apply(reason: str, fdtoverlay: Overlay, tmp_path: Path) -> None:
    data = toy(*REFUSED[reason])
    found = problem(data)
    assert sentence(found.message, found.expected, found.actual).startswith(reason)
    assert found.at.path == "a.dtbo"
    if "an offset is outside" in reason:
        return  # later versions of fdtoverlay write outside of the property
    (tmp_path / "base").write_bytes(BASE)
    (tmp_path / "overlay").write_bytes(data)
    assert fdtoverlay(tmp_path, tmp_path / "base", [tmp_path / "overlay"]) == b""


def test_a_base_without_labels() -> None:
    found = problem(toy(fragment(target=ONES), fixups(("uart", TARGET))), toy(SOC))
    assert found.message == "the base has no labels, and so no uart: compile it with `dtc -@`"
    assert found.error == "FDT_ERR_NOTFOUND"
    assert f"{found.at}".startswith("a.dtbo: /__fixups__ uart at 0x")


def test_the_order_of_overlays() -> None:
    """The second defines the label that the first needs."""
    first = toy(fragment(target=ONES), fixups(("bell", TARGET)))
    bell = Toy("__symbols__", [("bell", b"/fragment@0/__overlay__/bell\0")])
    second = toy(fragment(Toy("bell", [("phandle", cells(1))]), target_path=b"/soc\0"), bell)
    overlays = [tree(first, "first"), tree(second, "second"), tree(second, "third")]
    facts, _ = merged(tree(BASE), overlays)
    tried = [(one.applied, one.problem is None) for one in facts.overlays]
    assert tried == [(False, False), (False, True), (False, True)]
    reason = facts.overlays[0].problem
    assert reason is not None
    assert reason.message == "the base has no label bell; second defines it: apply that one first"
    facts, data = merged(tree(BASE), [overlays[1], overlays[0]])
    assert all(one.applied for one in facts.overlays)
    number = tree(data).number_of("/__symbols__")
    assert number is not None
    label = tree(data).nodes[number].property("bell")
    assert label is not None
    assert label.texts == ("/soc/bell",)


def renumbering() -> bytes:
    """An overlay that gives the node of the base a phandle: its source has a label on __overlay__."""
    contents = fragment(Toy("led", [("of", cells(1))]), properties=[("phandle", cells(1))], target=ONES)
    local = Toy(
        "__local_fixups__", [], [Toy("fragment@0", [], [Toy("__overlay__", [], [Toy("led", [("of", cells(0))])])])]
    )
    return toy(contents, fixups(("uart", TARGET)), local)


def phandle_of(node: Node) -> tuple[int, ...]:
    found = node.property("phandle")
    return found.cells if found else ()


@pytest.mark.parametrize(("version", "phandle"), [(OLD, 8), (NEW, 7)])
def test_the_phandle_of_the_base(version: tuple[int, ...], phandle: int) -> None:
    facts, data = merged(tree(BASE), [tree(renumbering(), "a.dtbo")], version)
    (applied,) = facts.overlays
    after = tree(data)
    uart, led = after.number_of("/soc/uart@1"), after.number_of("/soc/uart@1/led")
    assert uart is not None
    assert led is not None
    assert phandle_of(after.nodes[uart]) == (phandle,)
    of = after.nodes[led].property("of")
    assert of is not None
    assert of.cells == (phandle,)
    assert [(before, now) for _, before, now in applied.replaced] == ([(7, 8)] if version == OLD else [])


def test_a_target_that_is_lost() -> None:
    """The labels of the overlay are looked up by the phandle that it has changed."""
    overlay = tree(renumbering(), "a.dtbo")
    labelled = toy(
        fragment(properties=[("phandle", cells(1))], target=ONES),
        fixups(("uart", TARGET)),
        Toy("__symbols__", [("frag0", b"/fragment@0/__overlay__\0")]),
    )
    assert merged(tree(BASE), [overlay])[1]
    found = problem(labelled)
    assert found.message.startswith("the overlay changes the phandle of its target /soc/uart@1 from 0x7 to 0x8")
    assert merged(tree(BASE), [tree(labelled)], NEW)[1]


def test_blocks_in_another_order(fdtoverlay: Overlay, tmp_path: Path) -> None:
    """libfdt packs them first, for which totalsize may be too small."""
    strings = b"value\0"
    structure = begin("") + NOP + prop(0, b"abc") + END_NODE + END
    for room in (0, 2, 8):
        data = blob(structure, strings)
        start = 40 + 16
        data = (
            blob(
                structure,
                strings,
                off_dt_strings=start,
                off_dt_struct=start + 8,
                totalsize=len(data) + 2 + room,
                last_comp_version=2,
            )[:start]
            + strings
            + bytes(2)
            + structure
            + bytes(room)
        )
        base, overlay = tmp_path / "base.dtb", tmp_path / "a.dtbo"
        base.write_bytes(data)
        overlay.write_bytes(toy(fragment(Toy("n", [("v", b"12345")]), target_path=b"/\0")))
        expected = fdtoverlay(tmp_path, base, [overlay])
        try:
            found = ours(base, [overlay], fdtoverlay.version)
        except MalformedError:
            found = b""
        assert found == expected


def test_the_padding_shows_what_was_there(fdtoverlay: Overlay, tmp_path: Path) -> None:
    base, overlay = tmp_path / "base.dtb", tmp_path / "a.dtbo"
    base.write_bytes(toy(Toy("n", [("v", b"\xaa" * 8)], [Toy("below", [("w", b"\xbb" * 8)])])))
    for size in range(20):
        changes = [("v", b"x" * size), ("new", b"y" * size)]
        overlay.write_bytes(toy(fragment(properties=changes, target_path=b"/n\0")))
        assert ours(base, [overlay], fdtoverlay.version) == fdtoverlay(tmp_path, base, [overlay])


def test_a_truncated_base() -> None:
    with pytest.raises(KinspectError, match="the device tree is truncated"):
        EditableTree(tree(BASE[:-1]))
    with pytest.raises(MalformedError, match="the memory reservations do not end"):
        EditableTree(tree(toy(reserved=())))


def test_hostile_overlays_take_bounded_time() -> None:
    many = 4000
    owners = [Toy(f"a{number}", [("phandle", cells(1))]) for number in range(many)]
    again = [Toy("__overlay__", [("phandle", cells(1))])]
    shared = toy(*[Toy(f"f@{number}", [("target", cells(1))], again) for number in range(many)])
    far = Toy("x" * (1 << 16), [("phandle", cells(1))])
    labels = [(f"s{number}", b"/fragment@0/__overlay__\0") for number in range(many)]
    long = toy(fragment(target=cells(1)), Toy("__symbols__", labels))
    references = toy(
        fragment(properties=[("v", bytes(1 << 18))], target_path=b"/\0"),
        Toy("__local_fixups__", [], [Toy("fragment@0", [], [Toy("__overlay__", [("v", cells(*range(1 << 16)))])])]),
    )
    started = time.process_time()
    with pytest.raises(UnsupportedError, match="too many nodes share their phandles"):
        merged(tree(toy(*owners)), [tree(shared)])
    with pytest.raises(UnsupportedError, match="the labels of the merged tree are too long"):
        merged(tree(toy(far)), [tree(long)])
    assert merged(tree(toy()), [tree(references)])[1]
    assert time.process_time() - started < 20
