"""Response, classifier, ROC and correlations against exact answers and simulated experiments."""

from __future__ import annotations

import numpy as np
import pytest

from caloforge.detector import Detector
from caloforge.errors import RequestError, WorkError
from caloforge.evaluation import Measured, binned_response, energy_edges, response_ratio
from caloforge.evaluation.classifier import classify
from caloforge.evaluation.correlations import LogShares, compare_correlations, correlation_matrix
from caloforge.evaluation.resampling import Plan
from caloforge.evaluation.roc import auc_with_error


def test_response_and_resolution_of_two_bins() -> None:
    found = binned_response([1, 2, 3, 40, 50, 60], [10, 10, 10, 100, 100, 100], [5, 50, 100])
    assert found.events == [3, 3]
    assert found.response == pytest.approx([0.2, 0.5])
    assert found.resolution == pytest.approx([0.5, 0.2])
    assert found.response_error == pytest.approx([0.1 / 3**0.5, 0.1 / 3**0.5])


@pytest.mark.parametrize("shape", ["normal", "tails"])
def test_errors_of_response_and_resolution_are_the_spread_of_repeated_experiments(shape: str) -> None:
    rng = np.random.default_rng(1)

    def experiment() -> tuple[float, float, float, float]:
        noise = rng.normal(size=400) if shape == "normal" else rng.standard_t(8, size=400)
        found = binned_response(100.0 * (0.15 + 0.02 * noise), np.full(400, 100.0), [50, 150])
        return found.response[0], found.response_error[0], found.resolution[0], found.resolution_error[0]

    results = np.array([experiment() for _ in range(600)])
    spread, mean = results.std(axis=0), results.mean(axis=0)
    assert mean[1] == pytest.approx(spread[0], rel=0.1)
    assert mean[3] == pytest.approx(spread[2], rel=0.15)


def test_a_weighted_response_is_that_of_repeated_events_with_the_error_of_effective_ones() -> None:
    rng = np.random.default_rng(11)
    visible, incident = rng.normal(15.0, 1.0, 300), rng.uniform(90, 110, 300)
    times = rng.integers(1, 4, 300)
    found = binned_response(visible, incident, [50, 150], times.astype(float))
    repeated = binned_response(np.repeat(visible, times), np.repeat(incident, times), [50, 150])
    effective = times.sum() ** 2 / (times**2).sum()
    assert found.events == [300]
    assert found.energy == pytest.approx(repeated.energy)
    assert found.response == pytest.approx(repeated.response)
    assert found.resolution == pytest.approx(repeated.resolution, rel=0.003)  # n - 1 of other n
    growth = (times.sum() / effective) ** 0.5
    assert found.response_error == pytest.approx([growth * error for error in repeated.response_error], rel=0.003)
    with pytest.raises(RequestError, match="as many"):
        binned_response(visible, incident, [50, 150], [1.0])


def test_the_ratio_of_a_scaled_sample_is_its_scale() -> None:
    rng = np.random.default_rng(2)
    incident = rng.uniform(1, 100, 500)
    visible = incident * rng.normal(0.15, 0.01, 500)
    edges = [1.0, 10.0, 100.0]
    ratio = response_ratio(binned_response(1.03 * visible, incident, edges), binned_response(visible, incident, edges))
    assert ratio.response == pytest.approx([1.03, 1.03])
    assert ratio.resolution == pytest.approx([1.0, 1.0])


@pytest.mark.parametrize(
    ("visible", "incident", "edges", "message"),
    [
        ([1, 2], [10, 10], [5, 50], "at least 3"),
        ([1, 2, 3], [10, 10], [5, 50], "as many"),
        ([1, 2, 3], [10, 10, 10], [50, 5], "must rise"),
        ([0, 0, 0], [10, 10, 10], [5, 50], "empty"),
    ],
)
def test_a_response_that_cannot_be_computed_raises(
    visible: list[float], incident: list[float], edges: list[float], message: str
) -> None:
    with pytest.raises(RequestError, match=message):
        binned_response(visible, incident, edges)


def test_energy_bins_are_six_where_there_are_events_and_fewer_where_not() -> None:
    many = np.geomspace(1000, 100_000, 5000)
    edges = energy_edges(1000, 100_000, [many, many[::2]])
    assert len(edges) == 7
    assert np.diff(np.log(edges)) == pytest.approx(np.full(6, np.log(100) / 6), rel=1e-5)
    few = np.geomspace(1000, 100_000, 25)
    assert 1 < len(energy_edges(1000, 100_000, [many, few])) < 7
    narrow = np.geomspace(5000, 6000, 5000)
    assert energy_edges(1000, 100_000, [narrow, many]) == pytest.approx(np.geomspace(5000, 6000, 7), rel=1e-2)
    with pytest.raises(RequestError, match="--like"):
        energy_edges(1000, 100_000, [np.full(50, 1000.0), np.full(50, 9000.0)])


def test_auc_is_the_share_of_ordered_pairs() -> None:
    rng = np.random.default_rng(3)
    scores, labels = rng.normal(size=80).round(1), rng.integers(0, 2, 80)
    up, down = scores[labels == 1], scores[labels == 0]
    pairs = (up[:, None] > down[None]) + 0.5 * (up[:, None] == down[None])
    assert auc_with_error(scores, labels).value == pytest.approx(pairs.mean())


def test_the_error_of_the_auc_is_the_spread_of_repeated_experiments() -> None:
    rng = np.random.default_rng(4)
    labels = np.repeat([0, 1], 150)
    found = [auc_with_error(rng.normal(size=300) + 0.7 * labels, labels) for _ in range(300)]
    assert np.mean([f.error for f in found]) == pytest.approx(np.std([f.value for f in found]), rel=0.15)


def test_the_classifier_sees_a_shift_and_nothing_where_there_is_none() -> None:
    rng = np.random.default_rng(5)
    reference, same = rng.normal(size=(800, 3)), rng.normal(size=(800, 3))
    shifted = same + np.array([0.0, 2.0, 0.0])
    blind = classify(same, reference, ["a", "b", "c"], paired=False, seed=1)
    assert abs(blind.auc.value - 0.5) < 4 * blind.auc.error
    seen = classify(shifted, reference, ["a", "b", "c"], paired=False, seed=1)
    assert seen.auc.value > 0.85
    assert seen.error_rate < 0.25
    assert next(iter(seen.importance)) == "b"
    assert abs(seen.floor.value - 0.5) < 4 * seen.floor.error


def test_pairs_with_equal_conditions_do_not_pull_the_auc_below_one_half() -> None:
    rng = np.random.default_rng(6)
    conditions = rng.normal(size=(1000, 2))
    sample, reference = (np.column_stack([conditions, rng.normal(size=1000)]) for _ in range(2))
    together = classify(sample, reference, ["x", "y", "e"], paired=True, seed=1).auc
    apart = classify(sample, reference, ["x", "y", "e"], paired=False, seed=1).auc
    assert abs(together.value - 0.5) < 4 * together.error
    assert apart.value < 0.5 - 3 * apart.error  # what splitting pairs would do


def test_correlations_of_known_mixtures() -> None:
    rng = np.random.default_rng(7)
    a, b = rng.normal(size=(2, 40_000))
    matrix = correlation_matrix(np.stack([a, b, a + b], axis=1), np.full(40_000, 1 / 40_000))
    expected = [[1, 0, 0.5**0.5], [0, 1, 0.5**0.5], [0.5**0.5, 0.5**0.5, 1]]
    np.testing.assert_allclose(matrix, expected, atol=0.02)


def test_a_cell_without_spread_correlates_with_nothing() -> None:
    a = np.random.default_rng(8).normal(size=500)
    matrix = correlation_matrix(np.stack([a, np.full(500, -9.2), -a], axis=1), np.full(500, 1 / 500))
    np.testing.assert_allclose(matrix, [[1, 0, -1], [0, 0, 0], [-1, 0, 1]], atol=1e-12)


def test_cells_without_spread_are_left_out_of_the_distance(lhcb: Detector) -> None:
    rng = np.random.default_rng(9)
    cells = LogShares(lhcb).members
    sample, reference = rng.normal(size=(2, 120, len(cells))).astype(np.float32)
    plan = Plan(120, 120, False, 6, 6, 1)
    alone = compare_correlations(sample, reference, lhcb, plan)[0].distance
    assert alone is not None
    sample[:, 3] = reference[:, 7] = -9.2
    reference[1:, 11] = -9.2  # one event in 120: some bootstraps and halves have none
    found, own = compare_correlations(sample, reference, lhcb, plan)
    assert found.left_out == cells[[3, 7]].tolist()
    assert own.left_out == cells[[7]].tolist()
    assert np.isfinite(found.matrix).all()
    assert found.distance is not None
    assert found.distance.value.value == pytest.approx(alone.value.value, rel=0.1)
    sample[:, 1:] = -9.2
    assert compare_correlations(sample, reference, lhcb, plan)[0].distance is None


def test_the_central_cells_are_a_square_about_the_middle(lhcb: Detector) -> None:
    central = LogShares(lhcb)
    centres = lhcb.cell_centres[central.members]
    np.testing.assert_allclose(centres.mean(axis=0), 0.0, atol=1e-9)
    assert central.what == "the central 10 x 10 cells"


def test_a_figure_that_is_not_finite_raises() -> None:
    with pytest.raises(WorkError, match="not finite"):
        Measured(float("nan"), 0.1)
