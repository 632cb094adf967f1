"""The report in a browser: it loads nothing, breaks nothing, fits, sorts, filters and folds."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import pytest
from axe_playwright_python.sync_playwright import Axe
from fabricated_study import Recipe, fabricate
from playwright.sync_api import Browser, Page, sync_playwright

from mammoshift.report.build import build_report

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
QUIET = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-sync"]
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed")


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("browser")
    recipe = Recipe(arms=("resnet", "vit", "net"), targets=("cmmd", "dmid", "mias"), patients=40)
    build_report(fabricate(folder / "in", recipe), folder / "out")
    return (folder / "out" / "index.html").as_uri()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        yield started
        started.close()


def opened(browser: Browser, address: str, width: int, height: int = 800) -> Page:
    page = browser.new_page(viewport={"width": width, "height": height})
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("request", lambda request: said.append(request.url))
    page.goto(address)
    assert said == [address]
    return page


@pytest.mark.parametrize("width", [400, 1280, 1600])
def test_the_page_fits_its_window(browser: Browser, address: str, width: int) -> None:
    page = opened(browser, address, width)
    page.evaluate("document.querySelectorAll('details').forEach((fold) => { fold.open = true; })")
    wide = page.evaluate(
        "(width) => [...document.querySelectorAll('body *')]"
        ".filter((part) => !part.closest('.scroll, nav'))"
        ".filter((part) => part.getBoundingClientRect().right > width + 1)"
        ".map((part) => part.outerHTML)",
        width,
    )
    assert wide == []
    assert page.evaluate("document.documentElement.scrollWidth") == width


def test_what_is_cut_on_a_phone_says_so_and_the_summary_is_not(
    browser: Browser, address: str
) -> None:
    page = opened(browser, address, 400)
    box = page.locator("#figure-summary svg").bounding_box()
    assert box is not None
    assert box["x"] + box["width"] <= 400
    assert not page.locator("#figure-summary .cue").is_visible()
    assert page.locator("#table-auc_detail .cue").is_visible()
    wide = opened(browser, address, 1600)
    assert not wide.locator("#table-auc .cue").is_visible()


def test_the_first_screen_holds_the_verdict_and_the_summary(browser: Browser, address: str) -> None:
    page = opened(browser, address, 1280, 800)
    verdict = page.locator(".findings").first.bounding_box()
    figure = page.locator("#figure-summary svg").bounding_box()
    assert verdict is not None
    assert figure is not None
    assert verdict["y"] + verdict["height"] <= 800
    assert figure["y"] + figure["height"] <= 800


def test_axe_finds_nothing(browser: Browser, address: str) -> None:
    page = opened(browser, address, 1280)
    page.evaluate("document.querySelectorAll('details').forEach((fold) => { fold.open = true; })")
    found = Axe().run(page)
    assert len(found.response["passes"]) > 10
    assert found.response["violations"] == []


def test_a_table_is_sorted_filtered_and_unfolded(browser: Browser, address: str) -> None:
    page = opened(browser, address, 1280)
    block = page.locator("#table-auc_detail")
    rows = block.locator("tbody tr:not([hidden])")
    total = int(block.locator("table").get_attribute("data-rows") or 0)
    head = block.locator("thead th.number button").first
    column = head.evaluate("(button) => button.parentElement.cellIndex")
    texts = f"(rows) => rows.map((row) => Number.parseFloat(row.cells[{column}].textContent))"
    again = block.locator("th.repeats small").first
    assert not again.is_visible()
    head.click()
    assert again.is_visible()
    rising = rows.evaluate_all(texts)
    assert rising == sorted(rising)
    head.click()
    falling = rows.evaluate_all(texts)
    assert falling == sorted(falling, reverse=True)
    block.locator(".filter input").fill("vit")
    assert rows.count() == sum(
        "vit" in text for text in block.locator("tbody tr").all_inner_texts()
    )
    assert 0 < rows.count() < total


def test_a_long_table_shows_its_first_rows_and_the_rest_on_demand(
    browser: Browser, address: str
) -> None:
    page = opened(browser, address, 1280)
    page.goto(f"{address}#operating-points")
    block = page.locator("#table-operating_points")
    total = int(block.locator("table").get_attribute("data-rows") or 0)
    rows = block.locator("tbody tr:not([hidden])")
    assert rows.count() == 12 < total
    block.locator(".more").click()
    assert rows.count() == total


def test_a_link_into_a_folded_section_opens_it(browser: Browser, address: str) -> None:
    page = opened(browser, address, 1280)
    assert not page.locator("#table-training").is_visible()
    page.goto(f"{address}#training")
    assert page.locator("#table-training").is_visible()
