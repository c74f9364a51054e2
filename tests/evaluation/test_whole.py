"""The table of whole showers: a perfect sample, wrong ones, a copy, and figures that cannot be computed."""

from __future__ import annotations

import csv
import dataclasses
import sys
from collections.abc import Callable, Iterator
from io import StringIO
from pathlib import Path

import numpy as np
import pytest

from caloforge.errors import FormatError, RequestError
from caloforge.evaluation import evaluate
from caloforge.evaluation.collect import collect
from caloforge.evaluation.components import fit_components
from caloforge.evaluation.events import chosen
from caloforge.evaluation.network_inputs import NetworkPlan, Training
from caloforge.evaluation.network_rows import NETWORKS
from caloforge.evaluation.profile import depth_moments
from caloforge.evaluation.results import Evaluation, WholeShower
from caloforge.evaluation.whole import head
from caloforge.reports import render_html
from caloforge.reports.rows import as_csv
from caloforge.showers import Showers, save

Make = Callable[..., Showers]
FEATURES = ("fpd", "kpd", "precision", "recall", "density", "coverage", "prd_auc", "image_frechet")
COPY = ("nearer_to_training", "near_training")


def write(path: Path, showers: Showers, source: str = "model") -> Path:
    save(path, showers, source=source, provenance={})  # type: ignore[arg-type]
    return path


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, make_showers: Make) -> Path:
    folder = tmp_path_factory.mktemp("whole")
    training = make_showers(600, seed=7)
    write(folder / "full.h5", make_showers(500, seed=1), "geant4")
    write(folder / "good.h5", make_showers(400, seed=2))
    write(folder / "copy.h5", training[:300])
    write(folder / "training.h5", training, "geant4")
    wide = make_showers(500, seed=1)
    image = wide.energies.reshape(-1, 30, 30)
    blurred = (0.7 * image + 0.3 * np.roll(image, 1, axis=1)).reshape(-1, 900).astype(np.float32)
    layers = wide.layer_energies
    assert layers is not None
    swapped = layers[:, [*range(10), 40, *range(11, 40), 10, *range(41, 66)]]
    write(folder / "wrong.h5", dataclasses.replace(wide, energies=blurred, layer_energies=swapped))
    return folder


@pytest.fixture(scope="module", autouse=True)
def _few_draws() -> Iterator[None]:
    """All other figures of an evaluation are the business of other tests."""
    module = sys.modules["caloforge.evaluation.evaluate"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "FULL", module.QUICK)
        yield


@pytest.fixture(scope="module")
def found(folder: Path) -> Evaluation:
    files = [folder / name for name in ("good.h5", "wrong.h5", "copy.h5")]
    return evaluate(files, folder / "full.h5", training=folder / "training.h5")


def rows(evaluation: Evaluation, index: int) -> dict[str, WholeShower]:
    return {row.name: row for row in evaluation.samples[index].whole}


def test_a_perfect_sample_is_not_told_apart(found: Evaluation) -> None:
    good = rows(found, 0)
    assert list(good) == [*FEATURES, "layers_auc", *COPY]
    for row in good.values():
        assert row.value is not None
        assert row.p_value is not None
        assert row.floor is not None
        assert row.p_value > 0.003, row
        assert abs(row.value.value - row.floor.value) < 5 * max(row.floor.error, row.value.error), row


def test_a_wrong_sample_is_told_apart(found: Evaluation) -> None:
    wrong = rows(found, 1)
    assert found.samples[1].same_conditions
    assert {"fpd", "kpd", "image_frechet", "layers_auc"} <= {row.name for row in wrong.values() if row.differs}
    assert wrong["fpd"].floor_paired is not None
    assert not any(wrong[name].differs for name in COPY)


def test_a_copy_of_the_training_set_is_told_apart(found: Evaluation) -> None:
    copy = rows(found, 2)
    assert all(copy[name].differs for name in COPY)
    assert copy["near_training"].details["same"] == 300


def test_the_page_has_the_table(found: Evaluation) -> None:
    page = render_html(found)
    section = page[page.index('<section id="whole">') : page.index('<section id="correlations">')]
    assert section.count("<table>") == 3
    assert "kernel physics distance" in section
    assert "not the published figure" in section


def test_the_csv_has_every_row(found: Evaluation) -> None:
    lines = [line for line in csv.DictReader(StringIO(as_csv(found))) if line["observable"] == "whole showers"]
    table = {(line["sample"], line["figure"]): line for line in lines}
    for sample in found.samples:
        for row in sample.whole:
            assert row.value is not None
            assert float(table[sample.info.label, row.name]["value"]) == pytest.approx(row.value.value, rel=1e-4)
            assert float(table[sample.info.label, f"{row.name}_p_value"]["value"]) == pytest.approx(
                row.p_value, rel=1e-4
            )


def test_quick_leaves_them_out_and_contradictions_are_refused(folder: Path, tmp_path: Path) -> None:
    result = evaluate(folder / "good.h5", folder / "full.h5", quick=True)
    assert result.samples[0].whole == []
    assert 'id="whole"' not in render_html(result)
    for options in ({"networks": ["resnet18"]}, {"training": folder / "training.h5"}):
        with pytest.raises(RequestError, match="quick"):
            evaluate(folder / "good.h5", folder / "full.h5", quick=True, **options)
    with pytest.raises(FormatError, match="no such file"):
        evaluate(folder / "good.h5", folder / "full.h5", training=tmp_path / "none.h5")
    with pytest.raises(RequestError, match="unknown network 'resnet'; did you mean 'resnet18'"):
        evaluate(folder / "good.h5", folder / "full.h5", networks=["resnet"])


def test_of_long_files_the_start_is_kept(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for module, name in (("collect", "HEAD_EVENTS"), ("whole", "HEAD_EVENTS"), ("collect", "BLOCK")):
        monkeypatch.setattr(sys.modules[f"caloforge.evaluation.{module}"], name, 200)
    sample = collect(folder / "full.h5", progress=lambda *step: None)
    assert len(sample) == 500
    assert sample.layers is not None
    assert len(sample.layers) == 200
    rows = head(sample, seed=1)
    assert rows.tolist() == list(range(200))
    start = chosen(sample, rows)
    assert len(start) == 200
    assert start.layers is not None
    assert start.depth is not None
    np.testing.assert_allclose(depth_moments(start.layers, sample.detector), start.depth)


def test_networks_of_any_size_make_rows_too(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    short = Training(epochs=2, batch=50, rate=1e-3)
    plan = NetworkPlan(layers=1, hidden=8, dense=short, width=4, resnet=short)
    monkeypatch.setattr(sys.modules["caloforge.evaluation.evaluate"], "PLAN", plan)
    result = evaluate(folder / "wrong.h5", folder / "full.h5", networks=NETWORKS, max_events=150)
    found = rows(result, 0)
    assert set(NETWORKS) <= set(found)
    for name in NETWORKS:
        assert found[name].value is not None
        assert found[name].details["epoch"] in (1.0, 2.0)


def test_what_cannot_be_computed_says_why(make_showers: Make, tmp_path: Path, folder: Path) -> None:
    showers = make_showers(100, seed=4)
    bare = dataclasses.replace(showers, layer_energies=None, absorber_energies=None)
    path = write(tmp_path / "few.h5", bare)
    full = write(tmp_path / "full.h5", make_showers(120, seed=5), "geant4")
    result = evaluate(path, full, training=full)
    table = rows(result, 0)
    assert "layers_auc" not in table
    assert table["memorisation"].value is None
    assert "held-out" in table["memorisation"].note
    assert table["image_frechet"].value is None
    page = render_html(result)
    assert "not computable: 120 of 120 reference showers are in the training file" in page
    with pytest.raises(RequestError, match="principal components need more"):
        fit_components(full, np.arange(20), 900)


def test_components_of_a_file_do_not_depend_on_the_blocks(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first, others = np.arange(400), np.arange(100, 400, 3)
    whole = fit_components(folder / "full.h5", first, 900)
    monkeypatch.setattr("caloforge.evaluation.events.BLOCK", 70)
    parts = fit_components(folder / "full.h5", first, 900)
    np.testing.assert_allclose(whole.mean, parts.mean, rtol=1e-9)
    scores = parts.project(folder / "full.h5", others)
    assert scores.shape == (100, 30)
    np.testing.assert_allclose(whole.project(folder / "full.h5", others), scores, atol=1e-6)
    np.testing.assert_allclose(whole.vectors.T @ whole.vectors, np.eye(30), atol=1e-9)


def test_depth_moments_of_a_single_layer_have_no_spread(make_showers: Make) -> None:
    detector = make_showers(1).detector
    energies = np.zeros((3, 66))
    energies[0, 5], energies[1] = 7.0, 1.0
    mean, spread = depth_moments(energies, detector).T
    assert mean == pytest.approx([33.0, 198.0, 0.0])
    assert spread == pytest.approx([0.0, 6 * ((66**2 - 1) / 12) ** 0.5, 0.0], abs=1e-6)
