"""The report: whole, self-contained, and refused where one is already."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from caloforge.errors import RequestError
from caloforge.evaluation import Evaluation
from caloforge.reports import render_html, write, write_report
from caloforge.reports.wording import percent


@pytest.fixture(scope="module")
def page(evaluation: Evaluation) -> str:
    return render_html(evaluation)


class Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.links: list[str] = []
        self.ids: list[str] = []
        self.images = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        facts = dict(attrs)
        self.links += [facts[key] or "" for key in ("src", "href") if key in facts]
        if facts.get("id"):
            self.ids.append(facts["id"] or "")
        if tag == "img":
            self.images += 1
            assert facts["alt"]
        if tag not in ("img", "meta", "link", "input"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_the_page_is_well_formed_and_needs_nothing_else(page: str, evaluation: Evaluation) -> None:
    tags = Tags()
    tags.feed(page)
    assert not tags.open
    assert all(link.startswith(("data:image/", "#")) for link in tags.links)
    assert {link[1:] for link in tags.links if link.startswith("#")} <= set(tags.ids)
    assert tags.images == len(evaluation.histograms) + 6 + len(evaluation.samples)
    assert "url(" not in page
    policy = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'sha256-"
    assert f'content="{policy}' in page
    assert len(page) < 6_000_000


def test_the_page_says_what_was_found(page: str, evaluation: Evaluation) -> None:
    text = re.sub(r"<[^>]+>", "", page)
    assert "150 \N{MULTIPLICATION SIGN}" in text
    assert "core against core, file included: 1 ms against 150 ms" in text
    assert "+5.00 %" in text
    for item in evaluation.samples[0].distances:
        value = item.wasserstein.value
        assert f"{value.value:.3f} ± {value.error:.3f}" in text


def test_words_from_files_are_escaped(page: str) -> None:
    assert "<b>bold</b>" not in page
    assert "&lt;b&gt;bold&lt;/b&gt;" in page


def test_bold_marks_what_is_within_the_floor(page: str, evaluation: Evaluation) -> None:
    table = page[page.index('id="table"') : page.index('id="regions"')]
    rows = dict(re.findall(r"<tr><td>(\w[^<]*)</td>\s*<td class=\"(\w+)\">", table.split("<h3>")[1]))
    for item in evaluation.samples[0].distances:
        assert (rows[item.name.replace("_", " ")] == "within") == item.wasserstein.within_floor
    assert rows["response"] == "large"


def test_json_and_page_are_written_and_not_written_over(
    evaluation: Evaluation, page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(write, "render_html", lambda _: page)  # drawing twice more would show nothing new
    path = write_report(evaluation, tmp_path / "report")
    figures = json.loads((tmp_path / "report" / "report.json").read_text(encoding="utf-8"))
    assert figures == evaluation.to_json()
    assert sorted(path.name for path in path.parent.iterdir()) == ["report.csv", "report.html", "report.json"]
    path.write_text("mine", encoding="utf-8")
    with pytest.raises(RequestError, match="--overwrite"):
        write_report(evaluation, tmp_path / "report")
    assert path.read_text(encoding="utf-8") == "mine"
    write_report(evaluation, tmp_path / "report", overwrite=True)
    assert path.read_text(encoding="utf-8") == page


def test_an_output_that_is_a_file_or_has_no_parent_is_refused(evaluation: Evaluation, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("mine", encoding="utf-8")
    with pytest.raises(RequestError, match="is a file"):
        write_report(evaluation, file)
    with pytest.raises(RequestError, match="does not exist"):
        write_report(evaluation, tmp_path / "no" / "report")


def test_a_percentage_that_rounds_to_zero_has_no_sign() -> None:
    assert percent(-0.00001, 1) == "0.0 %"
    assert percent(-0.012, 1) == "-1.2 %"
