"""The verb ``evaluate``: what it prints, what it leaves, and its exit codes."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from caloforge.cli import main
from caloforge.reports import write
from caloforge.showers import Showers, save


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, make_showers: Callable[..., Showers]) -> Path:
    folder = tmp_path_factory.mktemp("verb")
    save(folder / "full.h5", make_showers(200, seed=1), source="geant4", provenance={})
    save(folder / "fast.h5", make_showers(200, seed=2), source="model", provenance={})
    return folder


def arguments(folder: Path, output: Path, *more: str) -> list[str]:
    files = [str(folder / "fast.h5"), "--reference", str(folder / "full.h5")]
    return ["evaluate", *files, "-o", str(output), "--quick", *more]


def test_it_writes_the_report_and_prints_its_path(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments(folder, tmp_path / "report")) == 0
    out = capsys.readouterr().out
    assert str(tmp_path / "report" / "report.html") in out
    assert "classifier AUC" in out
    assert main(arguments(folder, tmp_path / "report")) == 2
    assert "--overwrite" in capsys.readouterr().err


def test_json_on_the_output_is_the_report_and_nothing_else(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(write, "render_html", lambda _: "<html></html>")  # the page is the business of other tests
    assert main(arguments(folder, tmp_path / "report", "--json", "--seed", "3")) == 0
    printed = json.loads(capsys.readouterr().out)
    written = json.loads((tmp_path / "report" / "report.json").read_text(encoding="utf-8"))
    assert printed == {"report": str(tmp_path / "report" / "report.html"), **written}
    assert printed["seed"] == 3


def test_a_bad_file_costs_one_line_exit_code_2_and_no_output(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cut = tmp_path / "cut.h5"
    cut.write_bytes((folder / "fast.h5").read_bytes()[:3000])
    line = ["evaluate", str(cut), "--reference", str(folder / "full.h5"), "-o", str(tmp_path / "report")]
    assert main(line) == 2
    error = capsys.readouterr().err
    assert [text for text in error.splitlines() if text.startswith("error:")] == error.strip().splitlines()[-1:]
    assert not (tmp_path / "report").exists()
