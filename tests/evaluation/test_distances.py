"""Distances, errors and floors against exact answers and known distributions."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import wasserstein_distance

from caloforge.errors import RequestError
from caloforge.evaluation import distance
from caloforge.evaluation.distances import bin_index, compare, histogram_edges, joint_band, why_not
from caloforge.evaluation.resampling import Plan, bootstrap, halves, nominal, swapped_pairs


@given(shift=st.floats(-10, 10), scale=st.floats(0.1, 10))
def test_a_shift_of_the_whole_sample_is_its_own_distance(shift: float, scale: float) -> None:
    reference = np.random.default_rng(1).normal(size=200) * scale
    assert distance("wasserstein", reference + shift, reference) == pytest.approx(
        abs(shift) / reference.std(), abs=1e-9
    )


@given(n=st.integers(3, 60), m=st.integers(3, 60), seed=st.integers(0, 100))
def test_wasserstein_agrees_with_scipy_for_any_sizes(n: int, m: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    sample, reference = rng.normal(0.3, 1.2, n).round(1), rng.exponential(size=m)
    expected = wasserstein_distance(sample, reference) / reference.std()
    assert distance("wasserstein", sample, reference) == pytest.approx(expected, abs=1e-12)


def test_separation_is_zero_for_equal_and_one_for_disjoint_samples() -> None:
    x = np.linspace(0, 1, 1000)
    assert distance("separation", x, x) == 0.0
    assert distance("separation", x + 10, x, edges=np.linspace(0, 11, 12)) == pytest.approx(1.0)
    # Two bins, h1 = (1, 0), h2 = (1/2, 1/2): 1/2 (1/4 / (3/2) + 1/4 / (1/2)) = 1/3.
    sample, reference = np.array([0.1] * 4), np.array([0.1, 0.1, 0.9, 0.9])
    assert distance("separation", sample, reference, edges=np.array([0, 0.5, 1])) == pytest.approx(1 / 3)


def test_weights_sum_to_one_on_each_side_and_sides_do_not_overlap() -> None:
    draws = [nominal(30, 50), *bootstrap(30, 50, False, 3, 1), *halves(30, 50, 3, 1), *swapped_pairs(40, 3, 1)]
    for weights in draws:
        assert weights.sample.sum() == pytest.approx(1.0)
        assert weights.reference.sum() == pytest.approx(1.0)
        assert (weights.sample * weights.reference == 0).all()
    for weights in halves(30, 50, 3, 1):
        assert (weights.sample[:30] == 0).all()
        assert (weights.reference[:30] == 0).all()


def test_a_paired_bootstrap_keeps_pairs_together() -> None:
    for weights in bootstrap(25, 25, True, 4, 2):
        np.testing.assert_array_equal(weights.sample[:25], weights.reference[25:])


def test_the_floor_is_the_mean_distance_of_independent_samples_of_these_sizes() -> None:
    rng = np.random.default_rng(3)
    n, m = 300, 1000
    reference = rng.normal(size=m)
    edges = histogram_edges(reference)
    found = compare({"x": rng.normal(size=n)}, {"x": reference}, {"x": edges}, Plan(n, m, False, 10, 300, 1))[0]
    truth = [(rng.normal(size=n), rng.normal(size=m)) for _ in range(200)]
    for name, figure in found.figures.items():
        expected = float(np.mean([distance(name, a, b, edges=edges) for a, b in truth]))
        assert figure.floor.value == pytest.approx(expected, rel=0.15), name


def test_the_floor_of_a_divergence_counts_the_bins_that_small_halves_leave_empty() -> None:
    rng = np.random.default_rng(7)
    n, edges = 300, {"x": np.linspace(-4, 4, 51)}
    found = []
    for turn in range(200):
        sample, reference = {"x": rng.normal(size=n)}, {"x": rng.normal(size=n)}
        found.append(compare(sample, reference, edges, Plan(n, n, False, 2, 10, turn))[0].figures["separation"])
    values, floors = ([getattr(item, part).value for item in found] for part in ("value", "floor"))
    # Halves scaled by the number of showers alone are 10 % low; the mean of the values is known to 1.3 %.
    assert np.mean(values) / np.mean(floors) == pytest.approx(1.0, abs=0.03)


def test_the_bootstrap_error_is_the_spread_of_repeated_experiments() -> None:
    rng = np.random.default_rng(4)
    n = 400

    def shifted() -> tuple[np.ndarray, np.ndarray]:
        return rng.normal(1.0, 1.0, n), rng.normal(0.0, 1.0, n)

    sample, reference = shifted()
    edges = histogram_edges(reference)
    found = compare({"x": sample}, {"x": reference}, {"x": edges}, Plan(n, n, False, 200, 5, 1))[0]
    spread = float(np.std([wasserstein_distance(*shifted()) for _ in range(200)]))
    assert found.wasserstein.value.error == pytest.approx(spread, rel=0.25)


def test_equal_conditions_have_a_lower_floor_that_still_covers_a_perfect_sample() -> None:
    rng = np.random.default_rng(5)
    common = rng.normal(size=2000)
    sample, reference, wrong = (common + shift + 0.2 * rng.normal(size=2000) for shift in (0.0, 0.0, 0.05))
    edges = {"x": histogram_edges(reference)}
    plan = Plan(2000, 2000, True, 20, 60, 1)
    good = compare({"x": sample}, {"x": reference}, edges, plan)[0].wasserstein
    bad = compare({"x": wrong}, {"x": reference}, edges, plan)[0].wasserstein
    assert good.floor_paired is not None
    assert good.floor_paired.value < 0.5 * good.floor.value
    assert good.within_floor
    assert not bad.within_floor


def test_a_wrong_sample_is_beyond_the_floor_and_a_right_one_is_not() -> None:
    rng = np.random.default_rng(6)
    reference = {"x": rng.normal(size=3000)}
    edges = {"x": histogram_edges(reference["x"])}
    plan = Plan(3000, 3000, False, 20, 60, 1)
    assert compare({"x": rng.normal(size=3000)}, reference, edges, plan)[0].wasserstein.within_floor
    assert not compare({"x": rng.normal(0.2, 1.0, 3000)}, reference, edges, plan)[0].wasserstein.within_floor


def test_the_band_of_several_figures_is_the_largest_excess_of_each_draw_over_the_others() -> None:
    rng = np.random.default_rng(8)
    several = [{"halves": rng.gamma(shape, size=12)} for shape in (1.0, 5.0, 50.0)]
    largest = []
    for draw in range(12):
        excess = []
        for draws in several:
            others = np.delete(draws["halves"], draw)
            excess.append((draws["halves"][draw] - others.mean()) / others.std(ddof=1))
        largest.append(max(excess))
    assert joint_band(several) == pytest.approx(sorted(largest)[-1])


def test_all_figures_of_a_perfect_sample_are_within_the_band_19_times_of_20() -> None:
    rng = np.random.default_rng(9)
    beyond = 0
    for _ in range(2000):
        common = rng.normal(size=40)
        values = np.exp(0.3 * (common + rng.normal(size=(25, 40))))  # the last draw of each is the sample
        floor = values[:, :-1]
        band = joint_band([{"halves": row} for row in floor])
        beyond += bool(((values[:, -1] - floor.mean(axis=1)) / floor.std(axis=1, ddof=1) > band).any())
    assert abs(beyond / 2000 - 0.05) < 4 * (0.05 * 0.95 / 2000) ** 0.5


def test_every_value_has_a_bin_and_lattice_values_share_bins_equally() -> None:
    values = np.arange(0, 91) / 900
    edges = histogram_edges(values, bins=30, lattice=1 / 900)
    counts = np.bincount(bin_index(values, edges))
    assert counts.sum() == len(values)
    assert len(set(counts[1:-1])) == 1
    assert set(bin_index(np.array([-99.0, 99.0]), edges)) == {0, len(edges) - 2}


def test_the_groups_that_bound_the_memory_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(5)
    sample, reference = ({name: rng.normal(size=50) for name in "abc"} for _ in range(2))
    edges = {name: histogram_edges(reference[name]) for name in "abc"}
    plan = Plan(50, 50, False, 4, 4, 1)
    together = compare(sample, reference, edges, plan)
    monkeypatch.setattr("caloforge.evaluation.distances.VALUES", 1)
    assert compare(sample, reference, edges, plan) == together


def test_what_a_handful_of_showers_alone_has_is_no_distance() -> None:
    reference, sample = np.zeros(500), np.zeros(500)
    reference[:1] = 3.0
    sample[:18] = 2.0
    expected = "only 19 showers of fast and the reference differ from 0; it takes 20"
    assert why_not({"fast": sample}, reference) == expected
    sample[18] = 2.0
    assert why_not({"fast": sample}, reference) is None


def test_what_cannot_be_computed_raises() -> None:
    x = np.linspace(0, 1, 10)
    with pytest.raises(RequestError, match="same value"):
        distance("wasserstein", x, np.ones(10))
    with pytest.raises(RequestError, match="NaN"):
        distance("wasserstein", np.array([np.nan, 1.0]), x)
    with pytest.raises(RequestError, match="empty"):
        distance("wasserstein", np.array([]), x)
    with pytest.raises(RequestError, match="did you mean 'wasserstein'"):
        distance("waserstein", x, x)
