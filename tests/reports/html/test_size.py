"""The page of sizes, in a real browser, opened from a file as its user opens it."""

import re
import time
from pathlib import Path
from typing import Any

import pytest

from kinspect.artifacts.elf.vmlinux import Vmlinux
from kinspect.reports.html.size import page
from kinspect.schemas.elf import SHN_LORESERVE, STT_FILE
from kinspect.views.size.account import sizes
from kinspect.views.size.node import SizeNode
from tests.browser import Browser
from tests.conftest import Kernel
from tests.reports.html.conftest import Show

LIMIT = 5_000_000
FIRST_DRAW = 2000  # milliseconds
HOSTILE = (
    "</script><img src=x onerror=\"document.title='broken'\">",
    "<!--<script>",
    "\"'`${document.title='broken'}$title&lt;",
    "a\0b\x1b[31m\x7f",
    "\u2028\u2029\u202e\u200f",
    "\udc80\udcff\ud800",
    "x" * 10_000,
    "a/b#c?d%zz:1",
    "__proto__",
    "",
)


def group(name: str, *children: SizeNode) -> SizeNode:
    return SizeNode(
        name,
        sum(child.file for child in children),
        sum(child.memory for child in children),
        sum(child.file_before for child in children),
        sum(child.memory_before for child in children),
        children,
    )


TREE = group(
    "vmlinux",
    group(
        "drivers",
        group("net", SizeNode("tun.c", 400_000, 450_000), SizeNode("veth.c", 200_000, 200_000)),
        group("tty", group("vt.c", SizeNode("con_init", 90_000, 90_000), SizeNode("vt_ioctl", 10_000, 10_000))),
    ),
    group("fs", SizeNode("ext4.c", 300_000, 300_000), SizeNode("proc.c", 100_000, 100_000)),
    group("mm", SizeNode("slub.c", 150_000, 380_000), SizeNode("vmscan.c", 50_000, 50_000)),
    SizeNode("alignment after .rodata", 40_000, 60_000),
)
COMPARED = group(
    "vmlinux",
    group("fs", SizeNode("ext4.c", 300_000, 300_000, 200_000, 200_000), SizeNode("new.c", 100_000, 100_000)),
    group(
        "mm",
        SizeNode("slub.c", 150_000, 160_000, 400_000, 420_000),
        SizeNode("same.c", 70_000, 70_000, 70_000, 70_000),
    ),
    group("gone", SizeNode("gone.c", 0, 0, 80_000, 80_000)),
)


def boxes(browser: Browser) -> dict[str, dict[str, Any]]:
    """What the treemap has, by path."""
    return {box["path"]: box for box in browser.value("treemap.boxes") if not box["small"]}


def point_in(browser: Browser, path: str) -> tuple[float, float]:
    """A point of the window, in the upper left corner of a box: a group's own line."""
    frame = browser.value("(({x, y}) => ({x, y}))(document.getElementById('map').getBoundingClientRect())")
    box = boxes(browser)[path]
    return frame["x"] + box["x"] + min(6, box["w"] / 2), frame["y"] + box["y"] + min(6, box["h"] / 2)


def colour(browser: Browser, path: str) -> tuple[int, int, int]:
    """The colour of the map just inside a box's lower right corner, where no words are."""
    box = boxes(browser)[path]
    x, y = box["x"] + box["w"] - 4, box["y"] + box["h"] - 4
    red, green, blue, _ = browser.value(
        f"""(() => {{
          const pixel = new OffscreenCanvas(1, 1).getContext("2d", {{ willReadFrequently: true }});
          pixel.drawImage(document.getElementById("map"), -{x} * devicePixelRatio, -{y} * devicePixelRatio);
          return [...pixel.getImageData(0, 0, 1, 1).data];
        }})()"""
    )
    return red, green, blue


def names(browser: Browser) -> list[str]:
    """The first column of the table."""
    found: list[str] = browser.value(
        "[...document.querySelectorAll('#rows td:first-child')].map(one => one.textContent)"
    )
    return found


def text(browser: Browser, selector: str) -> str:
    found: str = browser.value(f"document.querySelector({selector!r}).innerText")
    return " ".join(found.split())


def opened(browser: Browser, path: str) -> None:
    """Wait until a folder is open, and its zoom at an end."""
    browser.wait(f"treemap.here === {path!r} && !treemap.moving")


def test_the_browser_tells_what_a_page_does_wrong(browser: Browser, tmp_path: Path) -> None:
    path = tmp_path / "wrong.html"
    path.write_text("<img src=http://127.0.0.1:9/a.png><script>console.error('said'); throw Error('thrown')</script>")
    browser.open(path.as_uri())
    browser.wait("document.images[0].complete")
    assert "http://127.0.0.1:9/a.png" in browser.requests
    assert any("said" in problem for problem in browser.problems)
    assert any("thrown" in problem for problem in browser.problems)


def test_the_treemap_draws_what_the_tree_says(browser: Browser, show: Show) -> None:
    show(TREE, notes=[("release", "6.1.0"), ("unattributed", "0.6 %")])
    found = boxes(browser)
    width, height = browser.value("(({ clientWidth: w, clientHeight: h }) => [w, h])(document.getElementById('map'))")
    assert {"drivers", "drivers/net/tun.c", "drivers/tty/vt.c/con_init", "fs/proc.c", "mm/slub.c"} <= found.keys()
    for child in TREE.children:
        box = found[child.name]
        assert box["w"] * box["h"] == pytest.approx(width * height * child.file / TREE.file, rel=0.02)
    for path, box in found.items():
        outer = found.get(path.rpartition("/")[0], {"x": 0, "y": 0, "w": width, "h": height})
        assert outer["x"] <= box["x"] < box["x"] + box["w"] <= outer["x"] + outer["w"] + 0.01
        assert outer["y"] <= box["y"] < box["y"] + box["h"] <= outer["y"] + outer["h"] + 0.01
    leaves = ["drivers/net/tun.c", "fs/ext4.c", "mm/slub.c", "alignment after .rodata"]
    assert len({colour(browser, path) for path in leaves}) == len(leaves)
    assert text(browser, "h1") == "vmlinux"
    assert text(browser, "dl") == "release 6.1.0 unattributed 0.6 %"
    assert text(browser, "#headline") == "1.3 MiB in the Image 1.6 MiB in memory"
    assert browser.value("document.querySelector('#headline div').title") == "1,340,000 bytes"
    assert browser.value("document.getElementById('area').hidden") is True


def test_a_click_opens_a_folder_and_escape_leaves_it(browser: Browser, show: Show) -> None:
    show(TREE)
    browser.click(*point_in(browser, "drivers"))
    opened(browser, "drivers")
    assert browser.value("location.hash") == "#drivers"
    assert text(browser, "#path") == "vmlinux drivers"
    assert names(browser) == ["net", "tty"]
    assert "fs" not in boxes(browser)
    # A symbol opens the innermost folder whose name is seen around it.
    browser.click(*point_in(browser, "drivers/tty/vt.c/con_init"))
    opened(browser, "drivers/tty/vt.c")
    assert names(browser) == ["con_init", "vt_ioctl"]
    browser.press("Escape", 27)
    opened(browser, "drivers/tty")
    browser.press("Backspace", 8)
    opened(browser, "drivers")
    browser.value("history.back()")
    opened(browser, "drivers/tty")
    browser.value("document.querySelector('#path a').click()")
    opened(browser, "")
    assert text(browser, "#path") == "vmlinux"


def test_the_keyboard_alone_will_do(browser: Browser, show: Show) -> None:
    show(TREE)
    browser.value("document.getElementById('map').focus()")
    browser.press("ArrowRight", 39)
    assert text(browser, "#tip").startswith("drivers 683.6 KiB in the Image, 52.2 % of all")
    browser.press("ArrowDown", 40)
    browser.press("Enter", 13)
    opened(browser, "fs")


def test_who_wants_no_motion_gets_none(browser: Browser, show: Show) -> None:
    show(TREE)
    zoom = "(location.hash = 'fs', new Promise((done) => addEventListener('hashchange', () => done(treemap.moving))))"
    assert browser.value(zoom) is True
    try:
        browser.media(prefers_reduced_motion="reduce")
        assert browser.value(zoom.replace("'fs'", "'mm'")) is False
    finally:
        browser.media()


def test_the_hash_opens_a_folder(browser: Browser, show: Show) -> None:
    show(TREE, part="#drivers/tty")
    assert browser.value("treemap.here") == "drivers/tty"
    # As far as it can be followed; a leaf cannot be opened.
    for part in ("#drivers/tty/none", "#drivers/tty/%zz", "#drivers/tty:1"):
        browser.value(f"location.hash = {part!r}")
        opened(browser, "drivers" if part.endswith(":1") else "drivers/tty")
    browser.value("location.hash = 'fs/ext4.c'")
    opened(browser, "fs")


def test_equal_names_stay_apart(browser: Browser, show: Show) -> None:
    show(group("", group("a", SizeNode("one", 5_000, 5_000)), group("a", SizeNode("two", 3_000, 3_000))))
    browser.value("document.querySelectorAll('#rows a')[1].click()")
    browser.wait("document.querySelector('#rows').innerText.includes('two')")
    assert browser.value("location.hash") == "#a:1"


def test_the_table_sorts(browser: Browser, show: Show) -> None:
    show(TREE)
    by_size = ["drivers", "fs", "mm", "alignment after .rodata"]
    assert names(browser) == by_size
    assert text(browser, "#heads [aria-sort=descending]") == "Share"
    assert text(browser, "#rows tr") == "drivers 683.6 KiB 732.4 KiB 52.2 %"
    assert text(browser, "#total") == "vmlinux 1.3 MiB 1.6 MiB 100.0 %"

    def click(column: int) -> str:
        browser.value(f"document.querySelectorAll('#heads button')[{column}].click()")
        found: str = browser.value(f"document.querySelectorAll('#heads th')[{column}].ariaSort")
        return found

    assert click(0) == "ascending"
    assert names(browser) == sorted(by_size)
    assert click(0) == "descending"
    assert names(browser) == sorted(by_size, reverse=True)
    assert click(2) == "descending"
    assert names(browser) == ["drivers", "mm", "fs", "alignment after .rodata"]
    assert click(2) == "ascending"
    assert names(browser) == ["alignment after .rodata", "fs", "mm", "drivers"]
    assert browser.value("document.querySelectorAll('#heads [aria-sort]').length") == 1
    browser.value("document.querySelectorAll('#rows tr')[2].click()")
    opened(browser, "mm")


def test_bytes_in_memory(browser: Browser, show: Show) -> None:
    show(TREE)
    smaller = boxes(browser)["mm"]
    browser.value("document.querySelector('#measure [value=memory]').click()")
    larger = boxes(browser)["mm"]
    shares = larger["w"] * larger["h"] / (smaller["w"] * smaller["h"])
    assert shares == pytest.approx((430_000 / 1_640_000) / (200_000 / 1_340_000), rel=0.02)
    assert names(browser)[1] == "mm"
    assert text(browser, "#measure [aria-pressed=true]") == "In memory"


def test_a_search_lights_up(browser: Browser, show: Show) -> None:
    show(TREE)
    lit, other = colour(browser, "mm/slub.c"), colour(browser, "fs/ext4.c")
    browser.value("document.getElementById('search').focus()")
    for character in "SLUB":
        browser.press(character)
    browser.wait("document.querySelector('#rows').innerText.includes('slub')")
    assert names(browser) == ["mm/slub.c"]
    assert text(browser, "#total") == "1 found in vmlinux 146.5 KiB 371.1 KiB 11.2 %"
    assert colour(browser, "mm/slub.c") == lit
    faded = colour(browser, "fs/ext4.c")
    assert faded != other
    assert max(faded) - min(faded) < 8
    browser.press("Escape", 27)
    browser.wait("document.querySelectorAll('#rows tr').length === 4")
    assert colour(browser, "fs/ext4.c") == other


def test_two_builds(browser: Browser, show: Show) -> None:
    show(COMPARED, compared=True)
    assert text(browser, "#headline") == (
        "605.5 KiB in the Image \u2212127.0 KiB (\u221217.3 %) 615.2 KiB in memory \u2212136.7 KiB (\u221218.2 %)"
    )
    assert text(browser, "#legend") == "removed, smaller larger, new"
    assert text(browser, "#heads [aria-sort=descending]") == "Growth"
    assert names(browser) == ["fs", "gone", "mm"]
    assert text(browser, "#rows tr") == "fs 390.6 KiB 390.6 KiB 64.5 % +195.3 KiB"
    title = browser.value("document.querySelector('#rows td:last-child').title")
    assert title == "+200,000 bytes; before 200,000 bytes"
    red, _, blue = colour(browser, "fs/new.c")
    assert red > blue + 90, "what is new is orange"
    red, _, less_blue = colour(browser, "fs/ext4.c")
    assert red > less_blue + 30
    assert blue < less_blue, "what is larger is less orange than what is new"
    red, _, blue = colour(browser, "mm/slub.c")
    assert blue > red + 30, "what is smaller is blue"
    red, green, blue = colour(browser, "mm/same.c")
    assert red == green == blue, "what is as before is grey"
    assert "gone" not in boxes(browser)
    browser.value("document.querySelector('#area [value=growth]').click()")
    found = boxes(browser)
    assert "mm/same.c" not in found
    gone, new = found["gone/gone.c"], found["fs/new.c"]
    assert gone["w"] * gone["h"] == pytest.approx(0.8 * new["w"] * new["h"], rel=0.25)
    browser.point(*point_in(browser, "gone/gone.c"))
    browser.wait("!document.getElementById('tip').hidden")
    assert "removed, \u221278.1 KiB" in text(browser, "#tip")


@pytest.mark.parametrize("compared", [False, True])
def test_hostile_names_do_nothing(browser: Browser, show: Show, compared: bool) -> None:
    leaves = [SizeNode(name, 9_000 + at, 9_000 + at, 5_000, 5_000) for at, name in enumerate(HOSTILE)]
    nested = [group(name, SizeNode(name, 8_000, 8_000), group(name, *leaves[:3])) for name in HOSTILE]
    for title in HOSTILE[:6]:
        root = group(title, *leaves, *nested)
        notes = [(name, name) for name in HOSTILE]
        show(root, compared=compared, title=title, notes=notes)
        assert browser.value("document.title") != "broken"
        assert browser.value("document.images.length") == 0
        assert browser.value("document.scripts.length") == 1
        listed = set(names(browser))
        assert {
            HOSTILE[0],
            HOSTILE[2],
            "a\\x00b\\x1b[31m\\x7f",
            "\\x80\\xff\\ud800",
            "__proto__",
            "(no name)",
        } <= listed
    for at in range(len(HOSTILE)):
        browser.value("location.hash = ''")
        opened(browser, "")
        browser.value(f"document.querySelectorAll('#rows a')[{at}].click()")
        browser.wait(
            "location.hash.length > 1 && document.querySelectorAll('#path li').length === 2 && !treemap.moving"
        )
        assert len(names(browser)) == 2
        browser.point(*point_in(browser, next(iter(boxes(browser)))))
        browser.wait("!document.getElementById('tip').hidden")
    assert browser.value("document.title") != "broken"
    assert browser.value("document.images.length") == 0
    assert browser.value("innerWidth >= document.documentElement.scrollWidth"), "no name makes the page wider"


def test_the_page_is_ascii_and_names_nothing_outside() -> None:
    made = page(group(HOSTILE[0], SizeNode(HOSTILE[5], 1, 1)), HOSTILE[2], False, [(HOSTILE[4], HOSTILE[0])])
    assert made.isascii()
    assert made.count("</script>") == 2
    assert re.findall(r"https?://|url\(|@import|\bsrc=(?!x)", made) == []
    assert "<img" not in made


def test_the_policy_of_the_page_forbids_what_is_not_its_own(browser: Browser, show: Show) -> None:
    show(TREE)
    told = browser.value(
        """(async () => {
          const found = [];
          document.addEventListener("securitypolicyviolation", (event) => found.push(event.effectiveDirective));
          new Image().src = "http://127.0.0.1:9/a.png";
          document.body.append(Object.assign(document.createElement("script"), { textContent: "window.ran = 1" }));
          await fetch("http://127.0.0.1:9/").catch(() => 0);
          await new Promise((done) => setTimeout(done, 200));
          return [found.sort().join(), window.ran ?? 0];
        })()"""
    )
    assert told == ["connect-src,img-src,script-src-elem", 0]
    browser.problems.clear()
    browser.requests[:] = [url for url in browser.requests if url.startswith("file:")]


def test_a_deep_tree(browser: Browser, show: Show) -> None:
    root = SizeNode("leaf", 1_000_000, 1_000_000)
    for _ in range(5_000):
        root = group("d", root)
    show(root)
    assert len(boxes(browser)) >= 10
    browser.click(*point_in(browser, "d/d/d"))
    opened(browser, "d/d/d")


def test_an_empty_tree(browser: Browser, show: Show) -> None:
    for compared in (False, True):
        show(SizeNode("nothing", 0, 0), compared=compared)
        assert browser.value("treemap.boxes.length") == 0
        assert text(browser, "#headline").startswith("0 B in the Image")


def test_the_screen_of_the_user(browser: Browser, show: Show) -> None:
    try:
        browser.size(1000, 700, 2)
        browser.media(prefers_color_scheme="dark")
        show(TREE)
        width, shown = browser.value(
            "(({ width, clientWidth }) => [width, clientWidth])(document.getElementById('map'))"
        )
        assert width == 2 * shown
        night = colour(browser, "fs/ext4.c")
        browser.media(prefers_color_scheme="light")
        until = time.monotonic() + 10
        while sum(colour(browser, "fs/ext4.c")) < sum(night) + 150:
            assert time.monotonic() < until
        browser.size(400, 700, 1)
        browser.wait("document.getElementById('map').clientWidth < 400")
        browser.wait("treemap.boxes.every((box) => box.x + box.w < 400)")
        assert browser.value("document.getElementById('map').clientHeight") > 300
    finally:
        browser.media()
        browser.size(1200, 800)


def wide_tree(compared: bool) -> SizeNode:
    """100,000 symbols in 2,000 sources in 200 folders, with names as long as a kernel's."""
    folders = []
    for folder in range(200):
        sources = []
        for source in range(10):
            numbers = range(50 * (10 * folder + source), 50 * (10 * folder + source + 1))
            symbols = []
            for number in numbers:
                size = 4 + number * 7919 % 4001
                before = (size - number % 3 * 4, size) if compared else (0, 0)
                symbols.append(SizeNode(f"symbol_number_{number * 104_729 % 1_000_003:x}_init", size, size, *before))
            sources.append(group(f"source{source}.c", *symbols))
        folders.append(group(f"folder{folder}", *sources))
    return group("vmlinux", *folders)


@pytest.mark.parametrize("compared", [False, True])
def test_100_000_leaves(browser: Browser, show: Show, compared: bool) -> None:
    root = wide_tree(compared)
    made = page(root, "vmlinux", compared)
    assert len(made) < LIMIT
    show(root, compared=compared, text=made)
    taken = browser.value("treemap.firstDraw")
    print(f"100,000 leaves: {len(made):,} bytes, drawn after {taken:.0f} ms")
    assert taken < FIRST_DRAW
    assert len(boxes(browser)) > 5_000
    browser.click(*point_in(browser, "folder7"))
    opened(browser, "folder7")
    assert len(names(browser)) == 10


def symbols_by_source(path: str) -> dict[tuple[str, str], tuple[int, int]]:
    """The bytes of a real kernel by (section, source, symbol): each symbol up to the next, in file and in memory."""
    vmlinux = Vmlinux(path)
    symbols, spans = vmlinux.symbols, sizes(vmlinux).spans
    placed, source = [], ""
    for index in range(len(symbols)):
        if symbols.infos[index] & 15 == STT_FILE:
            source = symbols.name(index)
        elif 0 < symbols.sections[index] < SHN_LORESERVE and not (name := symbols.name(index)).startswith("$"):
            placed.append((symbols.values[index], f"{source[:1] or '?'}/{source or '?'}", name))
    placed.sort()
    found: dict[tuple[str, str], tuple[int, int]] = {}
    at = 0
    for span in spans:
        start, end, source, name = span.address, span.address + span.size, "?", span.name
        while True:
            while at < len(placed) and placed[at][0] <= start:
                source, name = placed[at][1:] if placed[at][0] == start else (source, name)
                at += 1
            upto = min(placed[at][0], end) if at < len(placed) else end
            file, memory = found.get((source, name), (0, 0))
            in_file = max(0, min(upto, span.address + span.file_size) - start)
            found[source, name] = file + in_file, memory + upto - start
            if upto == end:
                break
            start = upto
    return found


def source_tree(new: dict[tuple[str, str], tuple[int, int]], old: dict[tuple[str, str], tuple[int, int]]) -> SizeNode:
    folders: dict[str, dict[str, list[SizeNode]]] = {}
    for path, name in new | old:
        folder, _, source = path.partition("/")
        leaf = SizeNode(name, *new.get((path, name), (0, 0)), *old.get((path, name), (0, 0)))
        folders.setdefault(folder, {}).setdefault(source, []).append(leaf)
    made = (
        group(folder, *(group(source, *leaves) for source, leaves in inside.items()))
        for folder, inside in folders.items()
    )
    return group("vmlinux", *made)


def test_real_kernels(browser: Browser, show: Show, kernel: Kernel) -> None:
    root = source_tree(symbols_by_source(kernel.vmlinux), {})
    found = sizes(Vmlinux(kernel.vmlinux))
    assert (root.file, root.memory) == (found.file_size, found.memory_size)
    look(browser, show, root, compared=False)


@pytest.mark.corpus
def test_two_real_kernels(kernels: tuple[Kernel, Kernel], browser: Browser, show: Show) -> None:
    old, new = (symbols_by_source(kernel.vmlinux) for kernel in kernels)
    look(browser, show, source_tree(new, old), compared=True)


def look(browser: Browser, show: Show, root: SizeNode, compared: bool) -> None:
    """Open a real page; it draws in time, a click zooms, the table sorts and has the tree's own numbers."""
    made = page(root, "vmlinux", compared)
    leaves = sum(len(source.children) for folder in root.children for source in folder.children)
    show(root, compared=compared, text=made)
    taken = browser.value("treemap.firstDraw")
    print(f"{leaves:,} leaves: {len(made):,} bytes, drawn after {taken:.0f} ms")
    assert leaves > 90_000
    assert len(made) < LIMIT
    assert taken < FIRST_DRAW
    assert browser.value("document.querySelector('#total td:nth-child(2)').title") == f"{root.file:,} bytes"
    largest = max(root.children, key=lambda child: child.file)
    browser.click(*point_in(browser, largest.name))
    opened(browser, largest.name)
    assert browser.value("document.querySelector('#total td:nth-child(3)').title") == f"{largest.memory:,} bytes"
    browser.value("document.querySelectorAll('#heads button')[1].click()")
    assert browser.value("document.querySelectorAll('#heads th')[1].ariaSort") == "descending"
    wanted = [child.file for child in sorted(largest.children, key=lambda child: -child.file)]
    titles = browser.value("[...document.querySelectorAll('#rows td:nth-child(2)')].map(one => one.title)")
    assert [int(title.split()[0].replace(",", "")) for title in titles] == wanted[:300]
    browser.press("Escape", 27)
    opened(browser, "")
