"""The calibration: exact for exact clusters, unbiased at given true energy for fluctuating ones."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from caloforge.detector import load_detector
from caloforge.errors import RequestError
from caloforge.observables import ShowerAxis, shower_axis
from caloforge.random import normals, uniforms
from caloforge.reconstruction import Calibration, Clusters, calibrate

Floats = NDArray[np.float64]


def conditions_of(energy: Floats) -> Floats:
    """Particles of these energies in random directions, through random points."""
    draws = uniforms(1, "test", 0, len(energy), 4) - 0.5
    return np.column_stack([energy, 10 * draws[:, :2], 0.7 * draws[:, 2:]])


def axis_of(energy: Floats) -> ShowerAxis:
    return shower_axis(conditions_of(energy), load_detector("lhcb-ecal"))


def clusters_of(energy: Floats, position: Floats | None = None) -> Clusters:
    n = len(energy)
    place = np.zeros((n, 2)) if position is None else position
    return Clusters(energy, energy, energy, place, np.zeros((n, 2)), np.ones((n, 1)))


def energies(n: int, low: float = 1e3, high: float = 1e5) -> Floats:
    return low * (high / low) ** uniforms(5, "test/energies", 0, n, 1)[:, 0]


def test_a_linear_detector_is_calibrated_exactly() -> None:
    truth = energies(200)
    found = calibrate(clusters_of(0.14 * truth), axis_of(truth))
    np.testing.assert_allclose(found.factors, [1 / 0.14, 0.0, 0.0], atol=1e-9)
    np.testing.assert_allclose(found.energy(clusters_of(0.14 * truth)), truth, rtol=1e-10)


def test_a_factor_of_the_right_form_is_found_again() -> None:
    cluster = energies(300, 130.0, 14_000.0)
    scale = float(np.exp(np.log(cluster).mean()))
    log = np.log(cluster / scale)
    truth = cluster * (7.0 + 0.2 * log - 0.03 * log**2)
    found = calibrate(clusters_of(cluster), axis_of(truth))
    np.testing.assert_allclose(found.factors, [7.0, 0.2, -0.03], rtol=1e-8)
    np.testing.assert_allclose(found.energy(clusters_of(cluster)), truth, rtol=1e-10)


def test_linearity_holds_at_given_true_energy_where_clusters_fluctuate() -> None:
    truth = energies(200_000)
    spread = np.hypot(0.15 / np.sqrt(truth / 1000), 0.02)
    cluster = 0.14 * truth * (1 + spread * normals(2, "test", 0, len(truth), 1)[:, 0])
    found = calibrate(clusters_of(cluster), axis_of(truth))
    ratio = found.energy(clusters_of(cluster)) / truth
    for low, high in ((1e3, 1.5e3), (1.5e3, 1e4), (1e4, 7e4), (7e4, 1e5)):
        part = ratio[(truth >= low) & (truth < high)]
        # A least-squares fit of the energy to the cluster is 2 % off at the lower end.
        assert abs(part.mean() - 1) < 4 * part.std() / len(part) ** 0.5 + 5e-4


def test_the_depth_is_that_of_the_clusters() -> None:
    truth = energies(100)
    axis = axis_of(truth)
    cluster = 0.14 * truth
    log = np.log(cluster) - np.log(cluster).mean()
    position = axis.at((118.0 + 14.0 * log)[:, None])
    found = calibrate(clusters_of(cluster, position), axis)
    np.testing.assert_allclose(found.depths, [118.0, 14.0])
    np.testing.assert_allclose(found.residual(clusters_of(cluster, position), axis), 0.0, atol=1e-9)


def test_particles_along_the_normal_have_the_position_of_their_impact() -> None:
    truth = energies(100)
    axis = shower_axis(np.column_stack([truth, np.full((100, 2), 3.0), np.zeros((100, 2))]), load_detector("lhcb-ecal"))
    position = np.full((100, 2), 5.0)
    found = calibrate(clusters_of(truth, position), axis)
    np.testing.assert_allclose(found.residual(clusters_of(truth, position), axis), 2.0)


@pytest.mark.parametrize(
    ("truth", "factors"),
    [
        (np.full(50, 5e4), 1),
        (np.repeat([1e3, 1e4], 25), 2),
        (np.linspace(9e3, 1.1e4, 50), 1),
        (np.geomspace(1e3, 1e5, 50), 3),
    ],
)
def test_factors_are_as_many_as_the_energies_can_tell(truth: Floats, factors: int) -> None:
    found = calibrate(clusters_of(0.1 * truth), axis_of(truth))
    assert len(found.factors) == factors
    np.testing.assert_allclose(found.energy(clusters_of(0.1 * truth)), truth, rtol=1e-9)


def test_beyond_the_clusters_it_knows_the_factor_stays() -> None:
    found = Calibration((7.0, 0.5), 1000.0, -1.0, 1.0, (0.0, 0.0))
    far = np.array([1e-3, 1000.0 / math.e, 1000.0 * math.e, 1e6])
    np.testing.assert_allclose(found.energy(clusters_of(far)) / far, [6.5, 6.5, 7.5, 7.5])
    assert found.energy(clusters_of(np.zeros(1)))[0] == 0.0


def test_weights_count_as_repetitions_and_zero_as_absence() -> None:
    truth = energies(60)
    cluster = 0.1 * truth * (1 + 0.1 * normals(3, "test", 0, 60, 1)[:, 0])
    times = np.arange(60.0) % 3
    rows = np.repeat(np.arange(60), times.astype(int))
    axis, repeated = axis_of(truth), shower_axis(conditions_of(truth)[rows], load_detector("lhcb-ecal"))
    weighted = calibrate(clusters_of(cluster), axis, times)
    plain = calibrate(clusters_of(cluster[rows]), repeated)
    np.testing.assert_allclose(weighted.factors, plain.factors, rtol=1e-9)
    np.testing.assert_allclose(weighted.depths, plain.depths, atol=1e-9)
    assert (weighted.low, weighted.high) == pytest.approx((plain.low, plain.high))


def test_too_few_clusters_are_refused() -> None:
    truth = energies(60)
    cluster = np.where(np.arange(60) < 19, truth, 0.0)
    with pytest.raises(RequestError, match="19 clusters with energy are too few"):
        calibrate(clusters_of(cluster), axis_of(truth))
    with pytest.raises(RequestError, match="do not follow"):
        calibrate(clusters_of(np.full(60, 5.0)), axis_of(truth))
