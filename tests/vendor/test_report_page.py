"""Reports in headless Chromium: no complaints, nothing loaded, sorting, keys, widths, themes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from math import isfinite
from pathlib import Path

import numpy as np
import pytest

from bmnetu.report.numbers import cosine, digits, percent
from tests.report.reports import HOSTILE, LAYERS, calibrated, compiled, failed
from tests.report.test_numbers import COSINES, TEXTS
from tests.vendor.chromium import Page, opened

NAMES = "[...document.querySelectorAll('#table-box tbody tr')].map((r) => r.cells[0].textContent)"
SELECTED = "document.querySelector('#details h3')?.textContent"
CUT = HOSTILE[:27] + "…"
"""A long name in the table."""


KINDS: dict[str, Callable[[Path], Path]] = {
    "compiled": lambda folder: compiled(folder)[1],
    "failed": lambda folder: failed(folder)[1],
    "calibrated": calibrated,
}


@pytest.fixture(scope="module", params=list(KINDS))
def page(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report of each kind."""
    folder = tmp_path_factory.mktemp(request.param)
    return KINDS[request.param](folder)


@pytest.fixture(scope="module")
def compiled_page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report of a compilation."""
    return compiled(tmp_path_factory.mktemp("page"), opt=2)[1]


@pytest.fixture
def browser(compiled_page: Path) -> Iterator[Page]:
    """The report of a compilation, opened."""
    with opened(compiled_page) as found:
        yield found


def click(page: Page, text: str, inside: str = "body") -> None:
    """Clicks the button with that text."""
    buttons = f"[...document.querySelectorAll({inside + ' button'!r})]"
    page.value(f"{buttons}.find((b) => b.textContent === {text!r}).click()")


def test_a_page_loads_at_once_and_without_complaints(page: Path) -> None:
    with opened(page) as found:
        assert found.value("document.title").startswith("net: ")
        rows = found.value(NAMES)
        assert set(rows) >= {*LAYERS, "data"} - {HOSTILE}
        assert CUT in rows
        nodes = found.value("document.querySelectorAll('#graph-box .node').length")
        assert nodes == len(LAYERS) + 1
        timing = "performance.getEntriesByType('navigation')[0].loadEventEnd"
        assert found.value(timing) < 5000  # about 200 ms; this machine may be busy
        for width in (1440, 390):
            for dark in (False, True):
                found.resize(width, 900, dark)
                assert found.value("document.documentElement.scrollWidth") <= width
        assert found.complaints == []
        assert found.requests == [page.resolve().as_uri()]


def test_numbers_are_those_of_python(browser: Page) -> None:
    """The page's own functions give the texts of :mod:`bmnetu.report.numbers`."""
    rng = np.random.default_rng(0)
    signs, powers = rng.choice([-1.0, 1.0], 300), rng.uniform(-9, 9, 300)
    numbers = [x for x in TEXTS if isfinite(x)] + (signs * 10**powers).tolist()
    assert browser.value(f"{numbers!r}.map(digits)") == [digits(x) for x in numbers]
    parts = rng.uniform(0, 1, 50).tolist()
    assert browser.value(f"{parts!r}.map(percent)") == [percent(x) for x in parts]
    near = [*COSINES, *(1 - 10 ** rng.uniform(-8, 0, 50)).tolist()]
    assert browser.value(f"{near!r}.map(cosine)") == [cosine(x) for x in near]


def test_a_complaint_would_be_heard(tmp_path: Path) -> None:
    """A script that a name could bring in does not run, and says so."""
    page = tmp_path / "page.html"
    report = compiled(tmp_path)[1].read_text("utf-8")
    evil = "<script>document.title = 'evil'</script><img src='http://example.com/x.png'></body>"
    page.write_text(report.replace("</body>", evil), "utf-8")
    with opened(page) as found:
        assert found.value("document.title") != "evil"
        assert any("Content Security Policy" in said for said in found.complaints)


def test_sorting_and_filtering(browser: Page) -> None:
    assert browser.value(NAMES)[:3] == ["data", "conv", "relu"]
    click(browser, "Layer", "#table-box")
    names = browser.value(NAMES)
    assert names[1:4] == ["branch", "conv", "data"]
    click(browser, "Layer", "#table-box")
    assert browser.value(NAMES) == names[::-1]
    click(browser, "Cycles", "#table-box")
    cycles = browser.value(f"{NAMES}.map((name) => layers.find((l) => l.name === name)?.cycles)")
    known = [count for count in cycles if count is not None]
    assert known == sorted(known, reverse=True)
    assert len(known) >= 4
    assert browser.value("[...document.querySelectorAll('th[aria-sort=descending]')].length") == 1
    browser.value("text = document.querySelector('#table-bar input'); text.value = 'POOL';"
                  "text.dispatchEvent(new Event('input'))")
    assert browser.value(NAMES) == [CUT]


def test_a_click_in_the_graph_selects(browser: Page) -> None:
    browser.value("document.querySelectorAll('#graph-box .node')[3]"
                  ".dispatchEvent(new MouseEvent('click', {bubbles: true}))")
    assert browser.value(SELECTED) == HOSTILE
    row = "document.querySelector('#table-box tr[aria-selected=true]').cells[0].textContent"
    assert browser.value(row) == CUT
    assert browser.value("document.querySelectorAll('script').length") == 2
    assert browser.value("document.querySelectorAll('img').length") == 0


def test_keys(browser: Page) -> None:
    browser.value("document.getElementById('graph-box').focus()")
    browser.press("ArrowDown")
    assert browser.value(SELECTED) == "data"
    browser.press("ArrowDown")
    assert browser.value(SELECTED) == "conv"
    browser.press("ArrowUp")
    assert browser.value(SELECTED) == "data"
    browser.press("Enter")
    focused = "document.activeElement.cells[0].textContent"
    assert browser.value(focused) == "data"
    browser.press("ArrowDown")
    assert browser.value(focused) == browser.value(SELECTED) == "conv"
    browser.press("End")
    assert browser.value(SELECTED) == "fc"
    browser.press("Enter")
    assert browser.value("document.activeElement.id") == "graph-box"
    browser.value("document.getElementById('time-canvas').focus()")
    browser.press("Home")
    browser.press("ArrowDown")
    assert browser.value(SELECTED)
    assert browser.complaints == []


def test_everything_is_reached_by_tab(browser: Page) -> None:
    reached: list[str] = []
    for _ in range(60):
        browser.press("Tab")
        reached.append(browser.value(
            "document.activeElement.id || document.activeElement.textContent.trim()"
            " || document.activeElement.tagName"
        ))  # fmt: skip
    assert reached[0] == "Skip to the table of layers"
    order = ["Graph", "Error", "graph-box", "INPUT", "Layer", "time-canvas", "memory-canvas"]
    places = [reached.index(name) for name in order]
    assert places == sorted(places)


def test_colours_of_the_graph(browser: Page) -> None:
    rects = "[...document.querySelectorAll('#graph-box rect')]"
    fills = f"new Set({rects}.map((r) => r.getAttribute('fill')))"
    click(browser, "Data type", "#graph-bar")
    assert browser.value(f"[...{fills}]") == ["#e69f00"]
    assert browser.value("document.querySelector('.legend').textContent") == "float32"
    click(browser, "Time", "#graph-bar")
    assert browser.value(f"{fills}.size") >= 3
    pressed = "document.querySelector('#graph-bar [aria-pressed=true]').textContent"
    assert browser.value(pressed) == "Time"


def test_the_time_can_be_zoomed(browser: Page) -> None:
    picture = "document.getElementById('{}').toDataURL()"
    before = [browser.value(picture.format(name)) for name in ("time-canvas", "memory-canvas")]
    click(browser, "+", "#time-bar")
    after = [browser.value(picture.format(name)) for name in ("time-canvas", "memory-canvas")]
    assert all(a != b for a, b in zip(before, after, strict=True))
    click(browser, "Show all", "#time-bar")
    assert browser.value(picture.format("time-canvas")) == before[0]
