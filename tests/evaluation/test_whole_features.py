"""Figures of all observables together, against closed forms, constructed point sets and independent computations."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.linalg import sqrtm
from scipy.optimize import curve_fit
from scipy.stats import kstest

from caloforge.errors import RequestError
from caloforge.evaluation.frechet import frechet_distance, frechet_physics_distance, intercept
from caloforge.evaluation.kernel import kernel_p_value, kernel_physics_distance, squared_discrepancy
from caloforge.evaluation.manifold import Manifold, nearest
from caloforge.evaluation.memorisation import distances_to, memorisation
from caloforge.evaluation.permutation import Kind, half_samples, judged, p_value, relabelled
from caloforge.evaluation.prd import Clusterings, curve_area, k_means
from caloforge.evaluation.resampling import Plan, Weights, bootstrap, nominal


def gaussians(n: int, seed: int, shift: float = 0.0, features: int = 4) -> np.ndarray:
    """Correlated normal features of different sizes."""
    rng = np.random.default_rng(seed)
    mixing = np.random.default_rng(99).normal(size=(features, features)) + 2 * np.eye(features)
    return (rng.normal(size=(n, features)) @ mixing + shift) * np.arange(1, features + 1)


@given(shift=st.floats(-3, 3), scale=st.floats(0.0, 3.0), seed=st.integers(0, 50))
def test_the_frechet_distance_of_commuting_gaussians_is_the_closed_form(shift: float, scale: float, seed: int) -> None:
    rotation = np.linalg.qr(np.random.default_rng(seed).normal(size=(5, 5)))[0]
    first, second = np.arange(1.0, 6.0), scale * np.arange(5.0, 0.0, -1.0)
    found = frechet_distance(
        np.zeros(5), rotation * first @ rotation.T, np.full(5, shift), rotation * second @ rotation.T
    )
    assert found == pytest.approx(5 * shift**2 + ((first**0.5 - second**0.5) ** 2).sum(), abs=1e-6)


def test_the_frechet_distance_of_any_gaussians_agrees_with_the_matrix_root_and_is_symmetric() -> None:
    rng = np.random.default_rng(1)
    a, b = (x @ x.T for x in rng.normal(size=(2, 7, 7)))
    m, k = rng.normal(size=(2, 7))
    expected = ((m - k) ** 2).sum() + np.trace(a + b - 2 * np.real(sqrtm(a @ b)))
    assert frechet_distance(m, a, k, b) == pytest.approx(expected, abs=1e-6)
    assert frechet_distance(k, b, m, a) == pytest.approx(expected, abs=1e-6)
    assert frechet_distance(m, a, m, a) == pytest.approx(0.0, abs=1e-6)


def test_the_line_has_the_intercept_and_error_of_curve_fit_with_bounds() -> None:
    rng = np.random.default_rng(2)
    x = np.linspace(1 / 20_000, 1 / 50_000, 10)
    for truth in ((0.02, 30.0), (0.02, -30.0), (0.0, 30.0)):
        y = truth[0] + truth[1] * x + 1e-5 * rng.normal(size=10)
        bounds, precise = ([0, 0], [np.inf, np.inf]), {"xtol": 1e-14, "ftol": 1e-14, "gtol": 1e-14}
        fit, covariance = curve_fit(lambda u, a, b: a + b * u, x / x.max(), y, bounds=bounds, **precise)
        value, error = intercept(x, y)
        assert value == pytest.approx(fit[0], abs=1e-7)
        assert error == pytest.approx(covariance[0, 0] ** 0.5, rel=1e-3)


def published(reference: np.ndarray, sample: np.ndarray) -> float:
    """The Frechet physics distance as its paper has it, in the plainest code, with other random numbers."""
    scale = np.abs(reference).max(axis=0)
    rng = np.random.default_rng(42)
    sizes = (1 / np.linspace(1 / 20_000, 1 / 50_000, 10)).astype(int)
    means = []
    for size in sizes:
        values = []
        for _ in range(20):
            x, y = (side[rng.choice(len(side), size)] / scale for side in (reference, sample))
            a, b = np.cov(x, rowvar=False), np.cov(y, rowvar=False)
            shift = ((x.mean(axis=0) - y.mean(axis=0)) ** 2).sum()
            values.append(shift + np.trace(a) + np.trace(b) - 2 * np.trace(np.real(sqrtm(a @ b))))
        means.append(np.mean(values))
    fit, _ = curve_fit(lambda x, a, b: a + b * x, 1 / sizes, means, bounds=([0, 0], [np.inf, np.inf]))
    return float(fit[0])


def test_the_frechet_physics_distance_agrees_with_a_plain_computation_and_with_the_truth() -> None:
    shift = 0.5
    reference, sample = gaussians(50_000, 1), gaussians(50_000, 2, shift)
    found = frechet_physics_distance(reference, sample, seed=1)
    assert found.published
    assert found.sizes == (20_000, 50_000)
    assert found.value == pytest.approx(published(reference, sample), abs=1e-3)
    truth = (shift * np.arange(1, 5) / np.abs(reference).max(axis=0)) ** 2
    assert found.value == pytest.approx(truth.sum(), abs=1e-3)


def test_fewer_events_give_smaller_batches_and_say_so() -> None:
    found = frechet_physics_distance(gaussians(3000, 1), gaussians(2000, 2), seed=1)
    assert not found.published
    assert found.sizes == (800, 2000)
    assert found.value < 2e-3


def test_the_physics_distances_do_not_depend_on_the_units_of_the_features() -> None:
    reference, sample = gaussians(1500, 1), gaussians(1500, 2, 0.3)
    units = np.array([1e3, 1e-3, 25.4, 1.0])
    one, other = (frechet_physics_distance(reference * u, sample * u, seed=1).value for u in (1.0, units))
    assert one == pytest.approx(other, rel=1e-9)
    first, second = (kernel_physics_distance(reference * u, sample * u, seed=1) for u in (1.0, units))
    assert first.value == pytest.approx(second.value, rel=1e-9)


def test_the_discrepancy_is_the_double_sum() -> None:
    rng = np.random.default_rng(3)
    x, y = rng.normal(size=(7, 3)), rng.normal(size=(5, 3))

    def k(a: np.ndarray, b: np.ndarray) -> float:
        return float((a @ b / 3 + 1) ** 4)

    expected = (
        sum(k(a, b) for i, a in enumerate(x) for j, b in enumerate(x) if i != j) / (7 * 6)
        + sum(k(a, b) for i, a in enumerate(y) for j, b in enumerate(y) if i != j) / (5 * 4)
        - 2 * sum(k(a, b) for a in x for b in y) / 35
    )
    assert squared_discrepancy(x, y) == pytest.approx(expected, rel=1e-12)


def test_the_discrepancy_is_zero_on_average_for_equal_distributions() -> None:
    values = [squared_discrepancy(gaussians(150, 2 * i) / 20, gaussians(150, 2 * i + 1) / 20) for i in range(200)]
    assert abs(np.mean(values)) < 3 * np.std(values) / 200**0.5


@pytest.mark.parametrize("paired", [False, True])
def test_p_values_are_uniform_for_equal_distributions_and_small_for_others(paired: bool) -> None:
    found = [
        kernel_p_value(gaussians(60, 2 * i), gaussians(60, 2 * i + 1), paired=paired, permutations=99, seed=i)
        for i in range(100)
    ]
    assert kstest(found, "uniform").pvalue > 0.001
    assert kernel_p_value(gaussians(300, 1), gaussians(300, 2, 1.0), paired=paired, permutations=199, seed=1) == 0.005


def test_precision_recall_density_and_coverage_of_points_on_a_line() -> None:
    reference, sample = np.array([0.0, 1.0, 2.0, 12.0]), np.array([0.5, 0.6, 4.0])
    points = np.concatenate([sample, reference])[:, None]
    found = Manifold(points, neighbours=1).figures(nominal(3, 4))
    # Reference balls: 0 -> [-1, 1], 1 -> [0, 2], 2 -> [1, 3], 12 -> [2, 22]; sample: 0.5 and 0.6 -> +-0.1, 4 -> +-3.4.
    assert found["precision"] == pytest.approx(1.0)  # 0.5 and 0.6 in the first two, 4 in the last
    assert found["recall"] == pytest.approx(2 / 4)  # 1 and 2 in [0.6, 7.4]
    assert found["density"] == pytest.approx((2 + 2 + 1) / 3)
    assert found["coverage"] == pytest.approx(3 / 4)  # nothing in [1, 3]


def test_disjoint_samples_have_none_of_the_four_and_a_collapsed_one_lacks_recall() -> None:
    rng = np.random.default_rng(4)
    reference = rng.normal(size=(200, 3))
    found = Manifold(np.concatenate([rng.normal(100.0, 1.0, (150, 3)), reference])).figures(nominal(150, 200))
    assert set(found.values()) == {0.0}
    narrow = Manifold(np.concatenate([0.05 * rng.normal(size=(200, 3)), reference])).figures(nominal(200, 200))
    assert narrow["precision"] == 1.0
    assert narrow["density"] > 1.0
    assert narrow["recall"] < 0.05


def test_density_and_coverage_have_their_known_means_for_equal_distributions() -> None:
    rng = np.random.default_rng(5)
    draws = [Manifold(rng.exponential(size=(200, 2))).figures(nominal(100, 100)) for _ in range(100)]
    k, n = 5, 100
    coverage = 1 - np.prod([(n - 1 - j) / (2 * n - 1 - j) for j in range(k)])
    for name, expected in (("density", 1.0), ("coverage", coverage)):
        values = [draw[name] for draw in draws]
        assert abs(np.mean(values) - expected) < 3.5 * np.std(values) / 10


def test_the_lists_of_neighbours_give_what_all_distances_give() -> None:
    rng = np.random.default_rng(6)
    sample, reference = 0.02 * rng.normal(size=(400, 2)), rng.normal(size=(500, 2))  # most lists hold one side only
    found = Manifold(np.concatenate([sample, reference]), neighbours=3).figures(nominal(400, 500))

    def apart(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        distance: np.ndarray = np.linalg.norm(a[:, None] - b[None], axis=2)
        return distance

    radius = np.sort(apart(reference, reference), axis=1)[:, 3]
    inside = apart(reference, sample) <= radius[:, None]
    own = np.sort(apart(sample, sample), axis=1)[:, 3]
    assert found["precision"] == pytest.approx(inside.any(axis=0).mean())
    assert found["density"] == pytest.approx(inside.sum() / (3 * 400))
    assert found["coverage"] == pytest.approx(inside.any(axis=1).mean())
    assert found["recall"] == pytest.approx((apart(sample, reference) <= own[:, None]).any(axis=0).mean())


def test_nearest_finds_the_nearest() -> None:
    rng = np.random.default_rng(7)
    queries, points = rng.normal(size=(30, 6)), rng.normal(size=(50, 6))
    full = np.linalg.norm(queries[:, None] - points[None], axis=2)
    np.testing.assert_allclose(distances_to(queries, points), full.min(axis=1))
    index = np.concatenate([block for block, _ in nearest(queries, points, 4)])
    np.testing.assert_array_equal(index, np.argsort(full, axis=1)[:, :4])


def test_the_area_is_one_for_equal_zero_for_disjoint_and_symmetric() -> None:
    p, q = np.array([0.2, 0.3, 0.5, 0.0]), np.array([0.0, 0.0, 0.0, 1.0])
    assert curve_area(p, p) == pytest.approx(1.0, abs=1e-4)
    assert curve_area(p, q) == pytest.approx(0.0, abs=1e-9)
    r = np.array([0.5, 0.1, 0.2, 0.2])
    assert curve_area(p, r) == pytest.approx(curve_area(r, p), abs=1e-4)


def test_clusters_of_separate_points_are_found_and_half_the_modes_give_half_the_area() -> None:
    rng = np.random.default_rng(8)
    centres = 100 * np.arange(4)[:, None]
    reference = (centres + rng.normal(size=(4, 100))).reshape(-1, 1)
    half = reference[:200]
    labels = k_means(reference, 4, seed=0, run=0)
    assert len(labels) == 400
    found = Clusterings(np.concatenate([half, reference]), seed=1).area(nominal(200, 400))["prd_auc"]
    assert found == pytest.approx(0.5, abs=0.02)


def test_p_values_count_the_value_itself() -> None:
    assert p_value(5.0, [1.0] * 99) == 0.01
    assert p_value(1.0, [1.0] * 99) == 1.0
    assert p_value(0.0, [1.0] * 99, "below") == 0.01
    assert p_value(0.0, [1.0] * 399, "both") == 0.005


def test_the_spread_of_halves_is_the_standard_error() -> None:
    x = np.random.default_rng(9).exponential(size=1000)

    def metric(weights: Weights) -> dict[str, float]:
        return {"mean": float(weights.sample @ x - weights.reference @ x)}

    truth = x.std() * (1 / 400 + 1 / 600) ** 0.5
    for resampling in (half_samples, bootstrap):
        plan = Plan(400, 600, False, 400, 200, 1)
        found = judged(metric, plan, {"mean": Kind(0.0, 1.0, plan.noise, "both")}, 99, resampling)["mean"]
        assert found.value.error == pytest.approx(truth, rel=0.15)
        assert found.floor.error == pytest.approx(truth, rel=0.15)


def test_labels_are_dealt_out_to_sides_of_the_same_sizes() -> None:
    for weights in relabelled(30, 50, False, 5, 1):
        assert (weights.sample > 0).sum() == 30
        assert ((weights.sample > 0) ^ (weights.reference > 0)).all()


def test_a_copied_training_set_is_detected_and_held_out_showers_are_not() -> None:
    training, held_out, fresh = gaussians(3000, 1), gaussians(1000, 2), gaussians(1000, 3)
    honest = memorisation(fresh, held_out, training)
    assert abs(honest.nearer.value - 0.5) < 3 * honest.nearer.error
    assert min(honest.nearer_p, honest.near_p) > 0.01
    copy = memorisation(training[:1000], held_out, training)
    assert copy.nearer.value == 1.0
    assert copy.same == 1000
    assert max(copy.nearer_p, copy.near_p) < 1e-10
    noisy = memorisation(training[:1000] + 0.05 * gaussians(1000, 4), held_out, training)
    assert noisy.nearer_p < 1e-10
    mixed = memorisation(np.concatenate([training[:50], 1.5 * fresh[:950]]), held_out, training)
    assert mixed.nearer_p > 0.01  # what was copied is lost among what is off
    assert mixed.near_p < 1e-6


def test_p_values_of_memorisation_are_uniform_for_held_out_showers() -> None:
    found = [memorisation(*(gaussians(n, 3 * i + j) for j, n in enumerate((200, 200, 300)))) for i in range(100)]
    assert kstest([item.nearer_p for item in found], "uniform").pvalue > 0.001
    assert np.mean([item.near_p < 0.05 for item in found]) < 0.12


def test_what_cannot_be_computed_raises() -> None:
    x = gaussians(200, 1)
    with pytest.raises(RequestError, match="in the training file"):
        memorisation(x[:50], x[50:100], x[60:])
    with pytest.raises(RequestError, match="at least 8"):
        frechet_physics_distance(x[:7], x, seed=1)
    with pytest.raises(RequestError, match="NaN"):
        kernel_physics_distance(x, np.where(x > 1, np.nan, x), seed=1)
    with pytest.raises(RequestError, match="more"):
        Manifold(x[:20]).figures(nominal(4, 16))
