"""The demo, with a small model and a small reference in the place of the shipped ones."""

from __future__ import annotations

import importlib
import importlib.util
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from caloforge.cli import main
from caloforge.models import bundle as bundles
from caloforge.models.neighbour import fit_neighbour
from caloforge.showers import ShowerFile, Showers, load, save

verb: Any = importlib.import_module("caloforge.cli.demo")


@pytest.fixture
def shipped(make_showers: Callable[..., Showers], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "bundles"
    folder.mkdir()
    provenance = {"seconds_per_event_core": 0.25, "geant4": "made up"}
    save(folder / "lhcb-ecal-reference.h5", make_showers(400, seed=1), source="geant4", provenance=provenance)
    save(tmp_path / "full.h5", make_showers(1000, seed=2), source="geant4", provenance={})
    fit_neighbour(tmp_path / "full.h5", folder / "lhcb-ecal-neighbour.caloforge")
    monkeypatch.setattr(bundles, "SHIPPED", folder)
    monkeypatch.setattr(verb, "GEANT4_SHOWERS", 100)  # the fewest that can be compared
    return folder


@pytest.fixture
def without_geant4(monkeypatch: pytest.MonkeyPatch) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "geant4_pybind" else find(name))


@pytest.mark.usefixtures("geant4")
def test_the_demo_measures_geant4_in_the_same_run(
    shipped: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "demo"
    assert main(["demo", "-o", str(output), "-n", "150", "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    fast, full = load(printed["showers"]), load(printed["full"])
    np.testing.assert_allclose(full.conditions.matrix, fast.conditions.matrix[:100], rtol=1e-5, atol=1e-6)
    with ShowerFile(printed["full"]) as file:
        assert file.source == "geant4"
        seconds = file.provenance["seconds_per_event_core"]
    assert printed["geant4_seconds"] == seconds
    assert printed["speed_up"] == pytest.approx(seconds / printed["core_seconds"])
    assert f"ms against {1000 * seconds:.3g} ms" in (output / "report" / "report.html").read_text()


@pytest.mark.usefixtures("without_geant4")
def test_the_demo_leaves_showers_and_a_report(
    shipped: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "demo"
    assert main(["demo", "-o", str(output), "-n", "600", "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert len(load(printed["showers"])) == printed["n"] == 600
    same, reference = load(printed["same_conditions"]), load(shipped / "lhcb-ecal-reference.h5")
    np.testing.assert_allclose(same.conditions.matrix, reference.conditions.matrix, rtol=1e-5, atol=1e-6)  # float32
    report = Path(printed["report"])
    assert report == output / "report" / "report.html"
    assert "<img" in report.read_text() or "<svg" in report.read_text()
    assert len(json.loads((output / "report" / "report.json").read_text())["samples"]) == 2
    with ShowerFile(printed["showers"]) as file:
        seconds = file.provenance["seconds_per_shower_core"]
    assert printed["speed_up"] == pytest.approx(0.25 / seconds)
    assert f"core against core, file included: {1000 * seconds:.3g} ms against 250 ms" in report.read_text()
    before = report.read_bytes()
    assert main(["demo", "-o", str(output), "-n", "600"]) == 2
    assert "--overwrite" in capsys.readouterr().err
    assert report.read_bytes() == before


@pytest.mark.usefixtures("shipped", "without_geant4")
def test_make_demo_runs_again_and_git_ignores_what_it_writes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    root = Path(__file__).parents[2]
    recipe = re.search(r"^\t\$\(BIN\)/caloforge (demo.*)$", (root / "Makefile").read_text(), re.MULTILINE)
    assert recipe is not None
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(verb, "evaluate", lambda *_, **__: None)  # the comparison has its own tests
    monkeypatch.setattr(verb, "write_report", lambda *_, **__: None)
    for _ in range(2):
        assert main([*recipe[1].split(), "-n", "150"]) == 0
        text = capsys.readouterr().out
        assert "times faster, core against core, file included" in text
        assert "to measure Geant4 beside it: pip install 'caloforge[fullsim]'" in text
    assert len(load(tmp_path / "caloforge-demo" / "fast.h5")) == 150
    assert "/caloforge-demo/" in (root / ".gitignore").read_text().splitlines()


@pytest.mark.usefixtures("shipped")
def test_a_demo_that_cannot_be_written_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("not a folder")
    assert main(["demo", "-o", str(tmp_path / "file")]) == 2
    assert main(["demo", "-o", str(tmp_path / "out"), "-n", "0"]) == 2
    assert capsys.readouterr().err.count("error: ") == 2
