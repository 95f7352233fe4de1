"""The page of sizes groups the same bytes in other ways, saves its table, and fits narrow windows."""

import csv
import io
import json
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from kinspect.inspection.size import SizeQuery, answer
from kinspect.reports.html.size import page, sizes_page
from kinspect.views.size.grouped import PARTS, GroupedSizes, Grouping
from kinspect.views.size.node import SizeNode
from tests.browser import Browser
from tests.conftest import SAMPLE, Kernel
from tests.reports.html.conftest import Show
from tests.reports.html.test_size import COMPARED, TREE, group, names, opened, text

LONG = "a_symbol_with_a_name_that_is_longer_than_any_column_of_the_table_is_wide_on_a_telephone_isra_constprop_init"
DETAIL = group(
    "total",
    group(
        "code",
        group(
            ".text",
            group("drivers", group("net", group("tun.c", SizeNode("probe", 4_000, 4_000), SizeNode("open", 900, 900)))),
            group("fs", group("ext4.c", SizeNode("probe", 2_000, 2_000))),
            group(".", group("main.c", SizeNode(LONG, 50, 50))),
        ),
    ),
    group("data", group(".data", group("drivers", group("net", group("tun.c", SizeNode("table", 1_000, 1_000)))))),
    group("BTF", group(".BTF", SizeNode("[.BTF]", 3_000, 3_000))),
    group("alignment", SizeNode("[alignment]", 100, 300)),
)
VIEWS = {
    "Folders": {"drivers": 5_900, "[.BTF]": 3_000, "fs": 2_000, "[alignment]": 100, ".": 50},
    "Files": {
        "drivers/net/tun.c": 5_900,
        "[.BTF]": 3_000,
        "fs/ext4.c": 2_000,
        "[alignment]": 100,
        "main.c": 50,
    },
    "Symbols": {
        "probe (drivers/net/tun.c)": 4_000,
        "[.BTF]": 3_000,
        "probe (fs/ext4.c)": 2_000,
        "table": 1_000,
        "open": 900,
        "[alignment]": 100,
        LONG: 50,
    },
    "Sections": {".text": 6_950, ".BTF": 3_000, ".data": 1_000, "[alignment]": 100},
    "Kinds": {"code": 6_950, "BTF": 3_000, "data": 1_000, "alignment": 100},
}
PAGE = ("folder", "source", "symbol")


@pytest.fixture
def window(browser: Browser) -> Iterator[Browser]:
    """The browser, whose window a test may change."""
    yield browser
    browser.media()
    browser.size(1200, 800)


def pick(browser: Browser, title: str) -> None:
    """Choose a grouping, and wait until it is shown."""
    browser.value(f"[...document.querySelectorAll('#by button')].find(one => one.innerText === {title!r}).click()")
    browser.wait(f"!treemap.busy && document.querySelector('#by [aria-pressed=true]').innerText === {title!r}")


def table(browser: Browser) -> dict[str, int]:
    """The names in the table with their exact bytes in the Image."""
    titles = browser.value("[...document.querySelectorAll('#rows td:nth-child(2)')].map(one => one.title)")
    return {name: int(title.split()[0].replace(",", "")) for name, title in zip(names(browser), titles, strict=True)}


def saved(browser: Browser, folder: Path) -> tuple[str, list[list[str]]]:
    """The name and the rows of the file that the button saves."""
    browser.call("Page.setDownloadBehavior", behavior="allow", downloadPath=str(folder))
    before = set(folder.glob("*.csv"))
    browser.value("document.getElementById('csv').click()")
    until = time.monotonic() + 20
    while not (found := set(folder.glob("*.csv")) - before):
        assert time.monotonic() < until
        time.sleep(0.05)
    (path,) = found
    return path.name, list(csv.reader(io.StringIO(path.read_text(encoding="utf-8"))))


def test_the_same_bytes_are_grouped_in_every_way(browser: Browser, show: Show) -> None:
    show(DETAIL, by=PAGE)
    assert text(browser, "#by") == "Folders Files Symbols Sections Kinds"
    assert text(browser, "#by [aria-pressed=true]") == "Folders"
    for title, rows in (*VIEWS.items(), *VIEWS.items()):
        pick(browser, title)
        assert table(browser) == rows
        assert text(browser, "#total").startswith("total 10.8 KiB 11.0 KiB")
    pick(browser, "Sections")
    browser.value("document.querySelector('#rows a').click()")
    opened(browser, ".text")
    assert names(browser) == ["drivers", "fs", "."]
    browser.value("history.back()")
    opened(browser, "")
    browser.value("history.back()")
    browser.wait("!treemap.busy && document.querySelector('#by [aria-pressed=true]').innerText === 'Kinds'")
    browser.value("location.hash = 'drivers/net'")
    browser.wait("!treemap.busy && treemap.here === 'drivers/net'")
    assert text(browser, "#by [aria-pressed=true]") == "Folders"


def test_a_hash_names_the_grouping(browser: Browser, show: Show) -> None:
    show(DETAIL, by=PAGE, part="#?3/.text/drivers")
    browser.wait("!treemap.busy && treemap.here === '.text/drivers'")
    assert text(browser, "#by [aria-pressed=true]") == "Sections"
    for part in ("#?9/.text", "#?x/fs"):
        browser.value(f"location.hash = {part!r}")
        browser.wait("!treemap.busy && treemap.here === ''")
        assert text(browser, "#by [aria-pressed=true]") == "Folders"


@pytest.mark.parametrize(
    ("by", "title", "first"),
    [
        (("section",), "Sections", ".text"),
        (("kind", "section", "folder", "source", "symbol"), "Kinds", "code"),
        (("symbol",), "Symbols", "probe (drivers/net/tun.c)"),
        (("section", "symbol"), "section, symbol", ".text"),
        (("source", "kind"), "source, kind", "drivers/net/tun.c"),
    ],
)
def test_what_was_asked_for_is_shown_first(
    by: tuple[str, ...], title: str, first: str, browser: Browser, show: Show
) -> None:
    show(DETAIL, by=by)
    assert text(browser, "#by [aria-pressed=true]") == title
    assert names(browser)[0] == first
    if by == ("section", "symbol"):
        browser.value("document.querySelector('#rows a').click()")
        opened(browser, ".text")
        assert names(browser) == ["probe", "open", LONG]
        # Both functions of that name.
        assert table(browser)["probe"] == 6_000


def test_a_search_is_kept_in_another_grouping(browser: Browser, show: Show) -> None:
    show(DETAIL, by=PAGE)
    browser.value("document.getElementById('search').value = 'probe'; document.getElementById('search').oninput()")
    browser.wait("document.querySelectorAll('#rows tr').length === 2")
    pick(browser, "Kinds")
    assert names(browser) == ["code/.text/drivers/net/tun.c/probe", "code/.text/fs/ext4.c/probe"]


def test_a_tree_without_parts_has_one_grouping(browser: Browser, show: Show) -> None:
    show(TREE)
    assert browser.value("document.getElementById('by').hidden")


def test_the_table_is_saved_as_csv(browser: Browser, show: Show, tmp_path: Path) -> None:
    show(DETAIL, by=PAGE)
    name, rows = saved(browser, tmp_path)
    assert name == "sizes-folders.csv"
    assert rows[0] == ["name", "image_bytes", "memory_bytes"]
    assert {row[0]: int(row[1]) for row in rows[1:]} == VIEWS["Folders"]
    pick(browser, "Symbols")
    browser.value("document.getElementById('search').value = 'probe'; document.getElementById('search').oninput()")
    browser.wait("document.querySelectorAll('#rows tr').length === 2")
    name, rows = saved(browser, tmp_path)
    assert name == "sizes-symbols.csv"
    assert rows[1:] == [["probe (drivers/net/tun.c)", "4000", "4000"], ["probe (fs/ext4.c)", "2000", "2000"]]


def test_csv_of_two_builds_in_the_order_of_the_table(browser: Browser, show: Show, tmp_path: Path) -> None:
    show(COMPARED, compared=True)
    browser.value("document.querySelectorAll('#rows a')[2].click()")
    opened(browser, "mm")
    name, rows = saved(browser, tmp_path)
    assert name == "sizes-mm.csv"
    assert rows == [
        ["name", "image_bytes", "memory_bytes", "image_bytes_before", "memory_bytes_before"],
        ["mm/same.c", "70000", "70000", "70000", "70000"],
        ["mm/slub.c", "150000", "160000", "400000", "420000"],
    ]


def test_no_name_is_a_formula_or_a_line_of_its_own(browser: Browser, show: Show, tmp_path: Path) -> None:
    hostile = ["=1+1", "@x", "-2", '"a",b', "+", "plain"]
    many = [SizeNode(f"many{number:03}", 1, 1) for number in range(400)]
    show(group("t", *(SizeNode(name, 100 - at, 100 - at) for at, name in enumerate(hostile)), *many))
    assert len(names(browser)) == 300
    _, rows = saved(browser, tmp_path)
    assert [row[0] for row in rows[1:7]] == ["'=1+1", "'@x", "'-2", '"a",b', "+", "plain"]
    assert len(rows) == 1 + 6 + 400, "also the rows that the page does not show at once"


CUT = """[...document.querySelectorAll('body *')].filter((one) => {
  const style = getComputedStyle(one), cut = one.scrollWidth > one.clientWidth + 1 && style.overflowX !== 'visible';
  return one.clientWidth && cut && !['CANVAS', 'INPUT'].includes(one.tagName);
}).map((one) => `${one.tagName}#${one.id}.${one.className}: ${one.textContent}`)"""


@pytest.mark.parametrize("width", [320, 360, 412, 500])
@pytest.mark.parametrize("compared", [False, True])
def test_nothing_is_cut_in_a_narrow_window(width: int, compared: bool, window: Browser, show: Show) -> None:
    window.size(width, 740)
    root = group("total", *COMPARED.children, group(LONG, SizeNode(LONG, 9_999_999, 9_999_999, 5, 1)))
    show(root if compared else DETAIL, compared=compared, by=() if compared else PAGE, title=f"/srv/{LONG}/vmlinux")
    for title in ("",) if compared else VIEWS:
        if title:
            pick(window, title)
        assert window.value("document.documentElement.scrollWidth") <= width
        assert window.value(CUT) == []
        right = window.value(
            "Math.max(...[...document.querySelectorAll('td, th, button:not([hidden]), #path li > *, .words')]"
            ".map(one => one.getBoundingClientRect().right))"
        )
        assert right <= width
        if title in ("", "Symbols"):
            assert LONG in names(window)
            shown = window.value(
                f"[...document.querySelectorAll('.words')].find(e => e.textContent === {LONG!r}).innerText"
            )
            assert shown == LONG
    assert window.value("document.getElementById('map').clientHeight") > 300


def test_a_path_keeps_its_end(window: Browser, show: Show) -> None:
    """In a table that is too narrow, and in the map, the middle of a name gives way."""
    path = group("a/path/to/a/file/with/many/folders/and/the/name/at/its/end.c", SizeNode(LONG, 1, 1))
    show(group("total", path, SizeNode("short", 1, 1)))
    first, end = window.value(
        "[document.querySelector('.words .start'), document.querySelector('.words .end')]"
        ".map((one) => [one.textContent, one.scrollWidth <= one.clientWidth, getComputedStyle(one).textOverflow])"
    )
    assert first == ["a/path/to/a/file/with/many/folders/and/the/name/at/its", False, "ellipsis"]
    assert end[0] == "/end.c"
    assert names(window) == [path.name, "short"]
    # What has room is one text, to be found and copied.
    assert window.value("document.querySelectorAll('.words')[1].childElementCount") == 0
    # And with room, whatever was shortened is whole again.
    window.size(3000, 800)
    window.wait("!document.querySelector('.words .start')")


def test_a_page_that_was_loaded_does_not_say_so(browser: Browser, show: Show) -> None:
    show(TREE)
    assert browser.value("document.getElementById('loading').hidden")
    assert browser.value("document.querySelector('main').ariaBusy") == "false"
    assert browser.value("document.querySelectorAll(':disabled').length") == 0


def test_the_page_says_that_it_is_loading(browser: Browser, tmp_path: Path) -> None:
    """As long as the script has not run, the words are there and nothing can be pressed."""
    waiting = tmp_path / "waiting.html"
    waiting.write_text(page(TREE, "vmlinux", False).replace('<script type="module">', '<script type="text/plain">'))
    browser.open(waiting.as_uri())
    assert text(browser, "#loading") == "Loading ..."
    assert browser.value("document.querySelector('main').ariaBusy") == "true"
    assert browser.value("[...document.querySelectorAll('nav button, nav input, #csv')].every((one) => one.disabled)")


def test_the_keyboard_moves_through_the_table(browser: Browser, show: Show) -> None:
    show(DETAIL, by=PAGE)
    browser.press("/")
    browser.press("ArrowDown", 40)
    assert browser.value("document.activeElement.textContent") == "drivers"
    browser.press("ArrowDown", 40)
    assert browser.value("document.activeElement.textContent") == "fs"
    browser.press("ArrowUp", 38)
    browser.press("Enter", 13)
    opened(browser, "drivers")
    browser.value("document.querySelectorAll('#by button')[4].focus()")
    browser.press("Enter", 13)
    browser.wait("!treemap.busy && document.querySelector('#by [aria-pressed=true]').innerText === 'Kinds'")


def contrast(browser: Browser, selector: str) -> float:
    """The ratio of the luminances of an element's text and of what is behind it."""
    colours = browser.value(
        f"""(() => {{
          const one = document.querySelector({selector!r}), of = (style) => style.match(/[\\d.]+/g).map(Number);
          let behind = one;
          while (of(getComputedStyle(behind).backgroundColor)[3] === 0) behind = behind.parentElement;
          return [getComputedStyle(one).color, getComputedStyle(behind).backgroundColor].map(of);
        }})()"""
    )

    def luminance(colour: list[float]) -> float:
        parts = [part / 255 for part in colour[:3]]
        linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    light, dark = sorted(map(luminance, colours), reverse=True)
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_words_stand_out_from_what_is_behind_them(scheme: str, window: Browser, show: Show) -> None:
    """By 4.5 to 1, as WCAG 2 wants it."""
    window.media(prefers_color_scheme=scheme)
    show(DETAIL, by=PAGE)
    for selector in ("h1", "dt", "#rows a", "#rows .file", "#by [aria-pressed=true]", "#by button", "#legend", "kbd"):
        if window.value(f"!!document.querySelector({selector!r})"):
            assert contrast(window, selector) >= 4.5, selector


def test_the_page_of_a_kernel_switches() -> None:
    """Only where the same bytes can be grouped in other ways."""
    for grouping, switches in (
        (Grouping(PAGE), True),
        (Grouping(("section",)), True),
        (Grouping(PAGE, section=".text"), True),
        (Grouping(("object",)), False),
        (Grouping(PAGE, depth=1), False),
        (Grouping(PAGE, match="fs"), False),
        (Grouping(("section",), domain="vmlinux"), False),
    ):
        (facts,) = answer(SAMPLE / "vmlinux", None, SizeQuery(grouping, parts=True)).facts_of(GroupedSizes)
        assert (facts.parts is not None) is switches, grouping
        if facts.parts is not None:
            assert facts.parts[:5] == facts.root[:5]
        assert sizes_page(facts).isascii()
    (facts,) = answer(SAMPLE / "vmlinux", None, SizeQuery(Grouping(PAGE))).facts_of(GroupedSizes)
    assert facts.parts is None


def rows_of(node: SizeNode) -> dict[str, int]:
    """What the table of a tree shows."""
    return {child.name: child.file for child in node.children}


def test_groupings_of_a_real_kernel(kernel: Kernel, browser: Browser, show: Show) -> None:
    """The page's sums are those of `size --by`, and the page is not much larger than one with a single grouping."""
    (facts,) = answer(kernel.vmlinux, None, SizeQuery(Grouping(PAGE), parts=True)).facts_of(GroupedSizes)
    made, single = sizes_page(facts), sizes_page(facts._replace(parts=None))
    assert len(made) < 1.3 * len(single)
    show(facts.root, text=made)
    assert table(browser) == dict(sorted(rows_of(facts.root).items(), key=lambda row: -row[1])[:300])
    for title, by in (("Sections", "section"), ("Kinds", "kind"), ("Files", "source")):
        pick(browser, title)
        (other,) = answer(kernel.vmlinux, None, SizeQuery(Grouping((by,)))).facts_of(GroupedSizes)
        expected = {name.removeprefix("./"): size for name, size in rows_of(other.root).items()}
        found = table(browser)
        assert found == {name: expected[name] for name in found}, title
        assert len(found) == min(300, len(expected))
    started = time.monotonic()
    pick(browser, "Symbols")
    print(f"{len(made):,} bytes, {len(single):,} with one grouping; symbols after {time.monotonic() - started:.2f} s")
    assert time.monotonic() - started < 10
    assert all(one >= other for one, other in pairwise(table(browser).values()))


def test_parts_are_no_part_of_the_json(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    from kinspect.cli import main

    page, other = tmp_path / "page.html", tmp_path / "other.html"
    documents = []
    for more in ([], ["--html", str(page)]):
        assert main(["size", str(SAMPLE / "vmlinux"), "--by", ",".join(PAGE), "--json", *more]) == 0
        documents.append(json.loads(capsys.readouterr().out))
    assert documents[0] == documents[1]
    # The page is the same, whatever is printed beside it.
    assert main(["size", str(SAMPLE / "vmlinux"), "--html", str(other)]) == 0
    assert capsys.readouterr().out == f"{other}: written; open it in a browser\n"
    assert other.read_text() == page.read_text()
    assert PARTS[0] == "kind"
