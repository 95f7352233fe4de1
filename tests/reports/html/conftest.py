"""A browser for the tests of pages, and a page opened in it."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from kinspect.reports.html.size import page
from kinspect.views.size.node import SizeNode
from tests.browser import Browser

Show = Callable[..., None]


@pytest.fixture(scope="module")
def browser(tool: Callable[[str], str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    found = Browser(tool("chromium"), tmp_path_factory.mktemp("browser"))
    found.size(1200, 800)
    yield found
    found.close()


@pytest.fixture
def show(browser: Browser, tmp_path: Path) -> Iterator[Show]:
    """Open the page of a tree; after the test nothing must have gone wrong in it, and it must have loaded nothing."""
    path = tmp_path / "sizes #1.html"
    # The browser is that of the tests before.
    browser.problems.clear()
    browser.requests.clear()

    def shown(
        root: SizeNode,
        compared: bool = False,
        part: str = "",
        title: str = "vmlinux",
        notes: Any = (),
        text: str = "",
        by: Sequence[str] = (),
    ) -> None:
        path.write_text(text or page(root, title, compared, notes, by), encoding="ascii")
        browser.open(path.as_uri() + part)
        browser.wait("window.treemap?.firstDraw > 0")

    yield shown
    assert browser.problems == []
    assert {url.partition("#")[0] for url in browser.requests} == ({path.as_uri()} if path.exists() else set())
