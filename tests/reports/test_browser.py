"""The page in a real browser: nothing fails, nothing is fetched, and what it draws is what report.json says."""

from __future__ import annotations

import dataclasses
import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from caloforge.evaluation import Evaluation
from caloforge.evaluation.metrics import METRICS
from caloforge.evaluation.results import SampleResult
from caloforge.reports import render_html
from caloforge.reports.wording import significant

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

NASTY = "</script><b id='nasty'>$&amp;</b><img src=x onerror=alert(1)>"
NAMES = ("chromium", "chromium-browser", "google-chrome")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    playwright = pytest.importorskip("playwright.sync_api", reason="no playwright: pip install 'caloforge[test]'")
    path = next(filter(None, map(shutil.which, NAMES)), None)
    if path is None:
        pytest.skip(f"none of {', '.join(NAMES)} to open the page in: apt-get install chromium")
    with playwright.sync_playwright() as driver, driver.chromium.launch(executable_path=path) as browser:
        yield browser


@pytest.fixture(scope="module")
def nasty(evaluation: Evaluation) -> Evaluation:
    """The second sample has a label that would break out of the page if anything let it."""

    def label(old: str) -> str:
        return NASTY if old == "other" else old

    def renamed(sample: SampleResult) -> SampleResult:
        return dataclasses.replace(sample, info=dataclasses.replace(sample.info, label=label(sample.info.label)))

    return dataclasses.replace(
        evaluation,
        samples=[renamed(sample) for sample in evaluation.samples],
        ranking=[dataclasses.replace(rank, label=label(rank.label)) for rank in evaluation.ranking],
    )


@pytest.fixture(scope="module")
def report(nasty: Evaluation, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("page") / "report.html"
    path.write_text(render_html(nasty), encoding="utf-8")
    return path


@dataclass
class Opened:
    """A page and everything that it complained about or asked for."""

    page: Page
    said: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)


@pytest.fixture
def open_page(browser: Browser, report: Path) -> Iterator[Callable[..., Opened]]:
    contexts = []

    def opened(width: int = 1280, *, script: bool = True) -> Opened:
        context = browser.new_context(viewport={"width": width, "height": 900}, java_script_enabled=script)
        contexts.append(context)
        found = Opened(context.new_page())
        found.page.on("console", lambda message: found.said.append(message.text))
        found.page.on("pageerror", lambda error: found.said.append(str(error)))
        found.page.on("request", lambda request: found.asked.append(request.url))
        found.page.goto(report.as_uri(), wait_until="load")
        return found

    yield opened
    for context in contexts:
        context.close()


def test_nothing_fails_nothing_is_fetched_and_every_plot_is_there(
    open_page: Callable[..., Opened], report: Path, nasty: Evaluation
) -> None:
    found = open_page()
    widths = found.page.eval_on_selector_all("img", "images => images.map((image) => image.naturalWidth)")
    assert len(widths) > len(nasty.histograms)
    assert min(widths) > 0
    for part in range(1 + len(nasty.histograms[0].parts)):  # every one can be drawn
        found.page.select_option("#part", index=part)
        for number in range(len(nasty.histograms)):
            found.page.select_option("#observable", index=number)
        found.page.check("#logarithmic")
    assert found.page.locator("#explorer svg").inner_html().count("NaN") == 0
    assert found.said == []
    assert [url for url in found.asked if not url.startswith("data:")] == [report.as_uri()]


def test_a_label_stays_a_label(open_page: Callable[..., Opened], nasty: Evaluation) -> None:
    page = open_page().page
    assert page.locator("#nasty").count() == 0
    assert page.locator("table.ranking td", has_text=NASTY).count() == 1
    assert page.locator("#explorer .legend span").all_text_contents()[1:] == [item.info.label for item in nasty.samples]


@pytest.mark.parametrize(("number", "part"), [(0, 0), (5, 2), (9, 5)])
def test_the_chosen_observable_is_drawn_with_the_figures_of_the_report(
    open_page: Callable[..., Opened], nasty: Evaluation, number: int, part: int
) -> None:
    page = open_page().page
    before = page.locator("#explorer svg").inner_html()
    page.select_option("#observable", index=number)
    page.select_option("#part", index=part)
    assert (page.locator("#explorer svg").inner_html() == before) == (number == part == 0)
    histogram = nasty.histograms[number]
    counts = histogram.parts[part - 1] if part else histogram
    for curve, expected in enumerate([counts.reference, *counts.samples]):
        path = page.locator(f"#explorer svg path.counts[data-sample='{curve}']").get_attribute("d")
        heights = [300 - float(height) for height in re.findall(r"V([-\d.e]+)", path or "")]
        assert len(heights) == len(expected)
        top = max(heights)
        assert [height / top for height in heights] == pytest.approx([value / max(expected) for value in expected])
    rows = page.locator("#explorer tbody tr").all()
    for sample_number, sample in enumerate(nasty.samples):
        items = sample.regions[part - 1].distances if part else sample.distances
        item = next((item for item in items if item.name == histogram.name), None)
        for row, metric in zip(rows, METRICS, strict=False):
            cell = row.locator("td").nth(1 + sample_number)
            if item is None:
                assert cell.inner_text() == "not computable"
                continue
            distance = item.figures[metric]
            value, floor = significant(distance.value), significant(distance.strictest_floor)
            assert cell.inner_text().split("\n") == [value, f"floor {floor}"]
            assert (cell.get_attribute("class") == "within") == distance.within_floor


def test_a_click_on_a_heading_sorts(open_page: Callable[..., Opened], nasty: Evaluation) -> None:
    page = open_page().page
    headings = page.locator("table.ranking thead th")
    labels = page.locator("table.ranking tbody.ranked td:first-child")
    assert labels.all_text_contents() == [rank.label for rank in nasty.ranking]
    name = "wasserstein_worst"
    column = 1 + list(nasty.ranking[0].figures).index(name)
    for direction, reverse in (("ascending", False), ("descending", True)):
        headings.nth(column).locator("button").click()
        assert headings.nth(column).get_attribute("aria-sort") == direction
        expected = sorted(nasty.ranking, key=lambda rank: rank.figures[name].value, reverse=reverse)
        assert labels.all_text_contents() == [rank.label for rank in expected]
    assert page.locator("table.ranking tbody.floor tr").count() == 1


@pytest.mark.parametrize("width", [380, 1280])
def test_nothing_sticks_out_of_the_window(open_page: Callable[..., Opened], width: int) -> None:
    page = open_page(width).page
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_without_script_the_page_is_whole_but_for_the_choice(open_page: Callable[..., Opened]) -> None:
    page = open_page(script=False).page
    assert page.locator("#explorer").is_hidden()
    assert page.locator("img.observable").first.is_visible()
    assert page.locator("table.ranking tbody.ranked tr").count() == 2


def test_the_choice_has_the_labels_of_the_plots_without_their_mathematics(
    open_page: Callable[..., Opened], nasty: Evaluation
) -> None:
    page = open_page().page
    for number in range(len(nasty.histograms)):
        page.select_option("#observable", index=number)
        text = page.locator("#explorer svg text.label").text_content() or ""
        assert text.strip()
        assert not set("$\\{}") & set(text)
