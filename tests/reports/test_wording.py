"""What a report says about sample sizes, and its table of rows, against known numbers."""

from __future__ import annotations

import csv
import dataclasses
from io import StringIO

import numpy as np
import pytest

from caloforge.evaluation import Evaluation, Measured
from caloforge.evaluation.distances import compare
from caloforge.evaluation.metrics import METRICS
from caloforge.evaluation.resampling import Plan
from caloforge.evaluation.results import Distance
from caloforge.evaluation.standing import stand_in
from caloforge.reports.rows import as_csv
from caloforge.reports.wording import significant, two_digits, verdict


def test_a_sample_within_its_floor_has_no_limit() -> None:
    assert stand_in(Distance(Measured(0.02, 0.005), Measured(0.018, 0.004), None, 2.0), 1, 5000) is None


def test_an_excess_equal_to_the_floor_stands_in_for_the_size_compared() -> None:
    twice = stand_in(Distance(Measured(0.02, 0.0), Measured(0.01, 0.001), None, 2.0), 2, 5000)
    assert twice is not None
    assert twice.showers == pytest.approx(5000)  # a divergence: linear
    quadrature = stand_in(Distance(Measured(2**0.5 * 0.02, 0.001), Measured(0.02, 0.001), None, 2.0), 1, 5000)
    assert quadrature is not None
    assert quadrature.showers == pytest.approx(5000)
    assert quadrature.low < 5000
    assert quadrature.high is not None
    assert quadrature.high > 5000


def test_equal_conditions_take_their_own_floor_off_and_keep_the_noise_of_others() -> None:
    found = stand_in(Distance(Measured(0.025, 0.0), Measured(0.04, 0.01), Measured(0.015, 0.001), 2.0), 1, 10_000)
    assert found is not None
    assert found.showers == pytest.approx(10_000 * 0.04**2 / (0.025**2 - 0.015**2))


def test_a_difference_lost_in_its_error_has_no_upper_limit() -> None:
    found = stand_in(Distance(Measured(0.03, 0.02), Measured(0.02, 0.004), None, 2.0), 1, 1000)
    assert found is not None
    assert found.high is None


@pytest.mark.parametrize("name", ["wasserstein", "separation"])
def test_the_size_is_that_at_which_the_noise_is_as_large_as_the_true_distance(name: str) -> None:
    """A shift of 0.1 sigma has Wasserstein-1 0.1: the size follows from the floor, whatever size measured it."""
    rng = np.random.default_rng(1)
    edges = {"x": np.linspace(-3, 3, 31)}
    found = []
    for n in (2000, 8000):
        sample, reference = {"x": rng.normal(0.1, 1.0, n)}, {"x": rng.normal(size=n)}
        item = compare(sample, reference, edges, Plan(n, n, False, 60, 60, 1))[0]
        size = stand_in(item.figures[name], METRICS[name].order, n)
        assert size is not None
        found.append(size)
    assert found[0].low < found[1].showers
    assert found[0].high is None or found[0].high > 0.7 * found[1].showers
    if name == "wasserstein":  # floor 0.8 sqrt(2 / N) of the mean |difference of F|, about 0.56 sqrt(2 / N) per sigma
        floor = item.figures[name].floor.value * 8000**0.5
        assert found[1].showers == pytest.approx((floor / 0.1) ** 2, rel=0.35)


def test_numbers_are_as_exact_as_they_deserve() -> None:
    assert two_digits(12_345) == "12,000"
    assert two_digits(0.4) == "0"
    assert significant(Measured(12.3456, 0.42)) == "12.35 ± 0.42"
    assert significant(Measured(1234.5, 42.0)) == "1234 ± 42"
    assert significant(Measured(0.25, 0.0)) == "0.25"


def test_the_verdict_names_every_side(evaluation: Evaluation) -> None:
    scaled, other = evaluation.samples
    words = " ".join(verdict(scaled, evaluation))
    distances = {item.name: item.wasserstein for item in scaled.distances}
    assert not distances["response"].within_floor
    alike = [name for name, item in distances.items() if item.within_floor]
    assert f"{len(alike)} of {len(distances)} observables" in words
    assert f"Distinguishable: {len(distances) - len(alike)} of {len(distances)}" in words
    assert "fast can stand in for a sample of about" in words
    perfect = dataclasses.replace(other, distances=[item for item in other.distances if item.wasserstein.within_floor])
    words = " ".join(verdict(perfect, evaluation))
    assert "Distinguishable" not in words
    assert "can stand in for a sample of 240 showers of Geant4 at least" in words  # 2 * 300 * 200 / 500


def test_the_table_has_every_figure_with_its_floor(evaluation: Evaluation) -> None:
    rows = list(csv.DictReader(StringIO(as_csv(evaluation))))
    sample = evaluation.samples[1]
    label = sample.info.label
    for item in sample.distances:
        for figure, found in item.figures.items():
            row = next(
                row
                for row in rows
                if (row["sample"], row["observable"], row["region"], row["figure"]) == (label, item.name, "all", figure)
            )
            assert float(row["value"]) == pytest.approx(found.value.value, rel=1e-5)
            assert float(row["error"]) == pytest.approx(found.value.error, rel=1e-5)
            assert float(row["floor"]) == pytest.approx(found.floor.value, rel=1e-5)
            assert float(row["floor_error"]) == pytest.approx(found.floor.error, rel=1e-5)
    figures = {row["figure"] for row in rows}
    assert {"classifier_auc", "response", "resolution_over_reference", "kolmogorov_smirnov_p_value"} <= figures
    assert {row["sample"] for row in rows} == {"fast", "other", "Geant4"}
    histogram = evaluation.histograms[0]
    bins = [row for row in rows if (row["sample"], row["observable"]) == (label, histogram.name)]
    assert sum(float(row["value"]) for row in bins if row["region"].startswith("bin")) == 200
    keys = [(row["sample"], row["observable"], row["region"], row["figure"]) for row in rows]
    assert len(set(keys)) == len(keys)
