"""Files against a reference file."""

from __future__ import annotations

import csv
import dataclasses
import importlib
import json
from collections.abc import Callable
from io import StringIO
from pathlib import Path

import h5py
import numpy as np
import pytest

from caloforge.detector import Detector, detector_from_toml, draw_conditions, load_detector
from caloforge.errors import FormatError, RequestError
from caloforge.evaluation import Evaluation, evaluate
from caloforge.evaluation.distances import why_not
from caloforge.evaluation.evaluate import Effort
from caloforge.random import uniforms
from caloforge.reports import render_html, wording
from caloforge.reports.rows import as_csv
from caloforge.reports.write import MAX_PLOTS
from caloforge.showers import ShowerFile, Showers, save

Make = Callable[..., Showers]


def write(path: Path, showers: Showers, source: str = "model") -> Path:
    save(path, showers, source=source, provenance={"seconds_per_shower": 0.001})  # type: ignore[arg-type]
    return path


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, make_showers: Make) -> Path:
    folder = tmp_path_factory.mktemp("files")
    reference, good = make_showers(600, seed=1), make_showers(500, seed=2)
    write(folder / "full.h5", reference, "geant4")
    write(folder / "good.h5", good)
    write(folder / "scaled.h5", dataclasses.replace(reference, energies=reference.energies * np.float32(1.03)))
    return folder


@pytest.fixture(scope="module")
def found(folder: Path) -> Evaluation:
    return evaluate([folder / "good.h5", folder / "scaled.h5"], folder / "full.h5", quick=True)


def test_a_perfect_sample_is_within_the_floor(found: Evaluation) -> None:
    good = found.samples[0]
    assert not good.same_conditions
    assert not good.warnings
    assert sum(item.wasserstein.within_floor for item in good.distances) >= len(good.distances) - 2
    assert abs(good.classifier.auc.value - 0.5) < 4 * good.classifier.auc.error
    for value, error in zip(good.ratio.response, good.ratio.response_error, strict=True):
        assert abs(value - 1) < 4 * error


def test_three_per_cent_too_much_energy_are_seen(found: Evaluation) -> None:
    scaled = found.samples[1]
    assert scaled.same_conditions
    assert scaled.ratio.response == pytest.approx([1.03] * len(scaled.ratio.response), rel=1e-5)
    assert scaled.ratio.resolution == pytest.approx([1.0] * len(scaled.ratio.resolution), rel=1e-4)
    distances = {item.name: item.wasserstein for item in scaled.distances}
    assert not distances["response"].within_floor
    assert distances["width_along"].within_floor


def test_displays_stand_at_the_same_conditions_where_there_are(found: Evaluation) -> None:
    assert [d.index for d in found.samples[1].displays] == [d.index for d in found.reference.displays]
    for shown, near in zip(found.reference.displays, found.samples[0].displays, strict=True):
        assert abs(np.log(shown.conditions[0] / near.conditions[0])) < 0.2


def test_histograms_hold_every_shower(found: Evaluation) -> None:
    for histogram in found.histograms:
        assert sum(histogram.reference) == 600
        assert [sum(counts) for counts in histogram.samples] == [500, 600]


def test_mean_images_are_the_means_of_the_files(found: Evaluation, folder: Path) -> None:
    with ShowerFile(folder / "good.h5") as file:
        expected = file.read().energies.mean(axis=0)
    np.testing.assert_allclose(found.samples[0].mean_image, expected, rtol=1e-4, atol=1e-6)


def test_the_json_is_strict_and_repeats_with_the_seed(found: Evaluation, folder: Path) -> None:
    plain = found.to_json()
    assert json.loads(json.dumps(plain, allow_nan=False)) == plain
    again = evaluate([folder / "good.h5", folder / "scaled.h5"], folder / "full.h5", quick=True).to_json()
    assert {**again, "seconds": 0} == {**plain, "seconds": 0}
    other = evaluate(folder / "good.h5", folder / "full.h5", quick=True, seed=5).to_json()
    first, second = (tree["samples"][0]["distances"][0]["figures"]["wasserstein"]["value"] for tree in (plain, other))
    assert first["value"] == second["value"]
    assert first["error"] != second["error"]


def test_showers_copied_from_the_reference_are_noticed(folder: Path, tmp_path: Path) -> None:
    with ShowerFile(folder / "full.h5") as file:
        copied = write(tmp_path / "copied.h5", file.read(0, 400))
    result = evaluate(copied, folder / "full.h5", quick=True).samples[0]
    assert any(line.startswith("400 of 400 showers are the very showers") for line in result.warnings)


def test_different_conditions_are_noticed(folder: Path, make_showers: Make, tmp_path: Path) -> None:
    showers = make_showers(900, seed=3)
    high = write(tmp_path / "high.h5", showers[showers.conditions.column("energy") > 5000])
    result = evaluate(high, folder / "full.h5", quick=True).samples[0]
    assert any("conditions differ" in line and "energy" in line for line in result.warnings)


def test_an_observable_without_spread_is_named_not_scored(make_showers: Make, tmp_path: Path) -> None:
    def dim(seed: int) -> Showers:
        showers = make_showers(300, seed=seed)
        return dataclasses.replace(showers, energies=np.minimum(showers.energies, np.float32(40.0)))

    result = evaluate(write(tmp_path / "a.h5", dim(1)), write(tmp_path / "b.h5", dim(2)), quick=True)
    assert "every reference shower has the same value" in result.skipped["sparsity_50"]
    assert "sparsity_50" not in {item.name for item in result.samples[0].distances}


def test_a_central_cell_without_energy_is_named_and_the_rest_stays(make_showers: Make, tmp_path: Path) -> None:
    def blind(seed: int) -> Showers:
        showers = make_showers(150, seed=seed)
        energies = showers.energies.copy()
        energies[:, 30 * 14 + 14] = 0.0
        return dataclasses.replace(showers, energies=energies)

    result = evaluate(write(tmp_path / "a.h5", blind(1)), write(tmp_path / "b.h5", blind(2)), quick=True)
    assert result.skipped["correlation of 1 of the central 10 x 10 cells (a)"].endswith(": 434")
    assert result.samples[0].correlations.distance is not None
    assert "correlation of 1 of the central 10 x 10 cells (a): not computable" in render_html(result)


def test_weights_that_undo_a_choice_of_energies_bring_back_the_reference(
    folder: Path, make_showers: Make, tmp_path: Path
) -> None:
    showers = make_showers(2400, seed=7)
    fraction = np.log(showers.conditions.column("energy") / 1000) / np.log(100)
    accepted = 0.25 + 0.75 * fraction
    chosen = showers[uniforms(1, "test/choice", 0, 2400, 1)[:, 0] < accepted]
    weights = 1 / (0.25 + 0.75 * np.log(chosen.conditions.column("energy") / 1000) / np.log(100))
    raw = write(tmp_path / "raw.h5", chosen)
    weighted = write(tmp_path / "weighted.h5", dataclasses.replace(chosen, weights=weights))
    found = evaluate([raw, weighted], folder / "full.h5", quick=True)
    first, second = found.samples
    assert any("conditions differ" in line for line in first.warnings)
    assert not any("conditions differ" in line for line in second.warnings)
    assert second.info.effective_events == pytest.approx(weights.sum() ** 2 / (weights**2).sum())
    assert first.info.effective_events == first.info.events == second.info.events
    assert abs(second.classifier.auc.value - 0.5) < 4 * second.classifier.auc.error
    assert sum(found.histograms[0].samples[1]) == pytest.approx(weights.sum())
    expected = np.average(chosen.energies, axis=0, weights=weights)
    np.testing.assert_allclose(second.mean_image, expected, rtol=1e-4, atol=1e-6)
    assert any("weighted showers (worth" in line for line in wording.support(second, found))


def test_weights_that_leave_too_little_or_subtract_are_refused(
    folder: Path, make_showers: Make, tmp_path: Path
) -> None:
    showers = make_showers(150)
    one = np.ones(150)
    one[0] = 1000.0
    with pytest.raises(RequestError, match="its 150 showers count as 1,"):
        evaluate(write(tmp_path / "one.h5", dataclasses.replace(showers, weights=one)), folder / "full.h5")
    one[0] = -1.0
    with pytest.raises(RequestError, match="1 of 150 weights are negative"):
        evaluate(write(tmp_path / "minus.h5", dataclasses.replace(showers, weights=one)), folder / "full.h5")


def test_what_is_not_computable_in_a_part_says_why(make_showers: Make, tmp_path: Path) -> None:
    full, showers = make_showers(450, seed=1), make_showers(450, seed=2)
    low = showers[showers.conditions.column("energy") < 6000]
    result = evaluate(write(tmp_path / "low.h5", low), write(tmp_path / "full.h5", full, "geant4"), quick=True)
    parts = [part for part in result.samples[0].regions if part.variable == "energy"]
    assert len(parts) == 3
    assert parts[0].distances
    assert not parts[2].distances
    assert "a comparison needs 100 of each" in parts[2].not_computable["response"]
    table = list(csv.DictReader(StringIO(as_csv(result))))
    missing = [row for row in table if row["note"].startswith("not computable") and row["observable"] == "response"]
    assert missing
    assert not any(row["value"] for row in missing)


def test_an_observable_that_is_not_finite_is_a_row_that_says_so() -> None:
    bad = np.array([0.5, np.nan, np.inf])
    assert why_not({"fast": bad}, np.arange(3.0)) == "2 of 3 values of fast are NaN or infinite"
    assert why_not({"fast": np.arange(3.0)}, bad) == "2 of 3 values of the reference are NaN or infinite"
    assert why_not({"fast": np.empty(0)}, np.arange(3.0)) == "fast has no showers"
    assert "2 of 3 of fast have another" in str(why_not({"fast": np.arange(3.0)}, np.zeros(9)))
    assert why_not({"fast": np.zeros(30)}, np.arange(30.0)) is None  # a constant sample is far off, not perfect


def test_files_that_cannot_be_compared_are_refused(folder: Path, make_showers: Make, tmp_path: Path) -> None:
    full = folder / "full.h5"
    with pytest.raises(RequestError, match="is the reference itself"):
        evaluate(full, full)
    with pytest.raises(FormatError, match="no such file"):
        evaluate(tmp_path / "none.h5", full)
    with pytest.raises(RequestError, match="at least one"):
        evaluate([], full)
    with pytest.raises(RequestError, match="at least 100"):
        evaluate(write(tmp_path / "few.h5", make_showers(50)), full)
    with pytest.raises(RequestError, match="0 showers; a comparison needs at least 100"):
        evaluate(write(tmp_path / "empty.h5", make_showers(10)[:0]), full)
    showers = make_showers(120)
    toml = showers.detector.toml.replace('name = "lhcb-ecal"', 'name = "other"')
    other = detector_from_toml(toml)
    conditions = dataclasses.replace(showers.conditions, detector=other)
    foreign = write(tmp_path / "other.h5", dataclasses.replace(showers, detector=other, conditions=conditions))
    with pytest.raises(RequestError, match="different detectors: name"):
        evaluate(foreign, full)
    wide = detector_from_toml(showers.detector.toml.replace("[20.0, 20.0]", "[10.0, 20.0]"))
    conditions = dataclasses.replace(showers.conditions, detector=wide)
    strips = write(tmp_path / "strips.h5", dataclasses.replace(showers, detector=wide, conditions=conditions))
    with pytest.raises(RequestError, match=r"900 cells in 1 layers \(30 x 30 cells of 10 x 20 mm\) in one"):
        evaluate(strips, full)
    for factor in (1e-3, 1e3):  # GeV and keV
        energies = showers.energies * np.float32(factor)
        other_unit = write(tmp_path / f"{factor}.h5", dataclasses.replace(showers, energies=energies))
        with pytest.raises(RequestError, match="a unit is wrong: both must be in MeV"):
            evaluate(other_unit, full)
    dark = write(tmp_path / "dark.h5", dataclasses.replace(showers, energies=np.zeros_like(showers.energies)))
    with pytest.raises(RequestError, match="all 120 showers are empty"):
        evaluate(dark, full)
    damaged = write(tmp_path / "nan.h5", showers)
    with h5py.File(damaged, "a") as file:
        file["showers"][7, 7] = np.nan
    with pytest.raises(FormatError):
        evaluate(damaged, full)


def test_geant4_against_geant4_on_real_showers(shared_data: Path, tmp_path: Path) -> None:
    with ShowerFile(shared_data / "lhcb-ecal-electron-test.h5") as file:
        first = write(tmp_path / "first.h5", file.read(0, 2500), "geant4")
        second = write(tmp_path / "second.h5", file.read(2500, 5000), "geant4")
    result = evaluate(first, second, quick=True).samples[0]
    assert sum(item.wasserstein.within_floor for item in result.distances) >= len(result.distances) - 3
    assert abs(result.classifier.auc.value - 0.5) < 4 * result.classifier.auc.error
    assert result.correlations.distance is not None
    assert result.correlations.distance.spreads_above_floor < 4


def test_fixed_conditions_have_no_range_to_divide_by(tmp_path: Path, make_showers: Make, lhcb: Detector) -> None:
    text = lhcb.toml.replace('low = 1000.0\nhigh = 100000.0\ndensity = "1/E"', "value = 12345.678")
    fixed = detector_from_toml(text.replace('low = -20.0\nhigh = 20.0\ndensity = "uniform"', "value = 0.0"))
    assert (fixed.low == fixed.high).sum() == 2
    full = write(tmp_path / "full.h5", make_showers(400, seed=1, detector=fixed), "geant4")
    other = write(tmp_path / "other.h5", make_showers(400, seed=2, detector=fixed))
    same = write(tmp_path / "same.h5", make_showers(400, seed=1, detector=fixed))
    found = evaluate([other, same], full, quick=True)
    assert [sample.same_conditions for sample in found.samples] == [False, True]
    # Without a range for the energy, the other conditions still decide which showers are shown beside each other.
    assert [shown.index for shown in found.samples[1].displays] == [shown.index for shown in found.reference.displays]


@pytest.mark.parametrize("name", ["atlas-barrel", "calochallenge-2"])
def test_detectors_with_layers_are_compared_too(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    detector = load_detector(name)
    scale = np.linspace(1.0, 1.5, detector.n_cells)  # the sample has more energy in its back
    for file, number in (("reference", 0), ("sample", 1)):
        conditions = draw_conditions(detector, number, 0, 330)
        energies = uniforms(number, "test", 0, 330, detector.n_cells) ** 8 * scale**number
        write(tmp_path / f"{file}.h5", Showers(detector, conditions, energies.astype(np.float32)))
    effort = Effort(bootstraps=5, floors=20, regional=5, cells=5, matrices=5, rotations=1)
    monkeypatch.setattr(importlib.import_module("caloforge.evaluation.evaluate"), "QUICK", effort)
    result = evaluate(tmp_path / "sample.h5", tmp_path / "reference.h5", quick=True)
    distances = {item.name: item.wasserstein for item in result.samples[0].distances}
    assert not distances["mean_depth"].within_floor
    assert distances["barycentre_x"].within_floor
    assert len(result.reference.correlations.matrix) == len(detector.cell_layers)
    assert {region.variable for region in result.samples[0].regions} == {"energy"}
    assert render_html(result).count('class="observable"') == min(len(result.histograms), MAX_PLOTS)
