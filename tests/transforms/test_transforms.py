"""Transforms: the round trip is the identity, the exponent is the true one, nothing works unfitted."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.special import inv_boxcox

from caloforge.errors import FormatError, RequestError
from caloforge.transforms import (
    TRANSFORMS,
    BoxCoxTransform,
    Chain,
    IncidentEnergyTransform,
    LogTransform,
    ThresholdTransform,
    Transform,
    make_chain,
    restore,
)
from caloforge.transforms.base import Floats

N, CELLS = 6, 7
INCIDENT = np.geomspace(1e3, 1e5, N)
TRAINING = np.random.default_rng(3).gamma(0.3, 50.0, (N, CELLS))

energies = arrays(np.float64, (N, CELLS), elements=st.floats(0, 9000, width=64))
anything = arrays(np.float64, (N, CELLS), elements=st.floats(-1e6, 1e6, width=64))


def chain() -> Chain:
    return make_chain([("incident-energy", {}), ("box-cox", {"epsilon": 1e-5})])


@pytest.mark.parametrize("make", [LogTransform, BoxCoxTransform, IncidentEnergyTransform, chain])
@given(cells=energies)
@settings(max_examples=40, deadline=None)
def test_forward_then_inverse_is_the_identity(make: Callable[[], Transform | Chain], cells: Floats) -> None:
    fitted = make().fit(np.maximum(TRAINING, cells.max() * np.eye(N, CELLS)), INCIDENT)
    back = fitted.inverse(fitted.forward(cells, INCIDENT), INCIDENT)
    np.testing.assert_allclose(back, cells, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("name", sorted(TRANSFORMS))
@given(values=anything)
@settings(max_examples=40, deadline=None)
def test_forward_keeps_the_order_of_energies(name: str, values: Floats) -> None:
    fitted = TRANSFORMS[name]().fit(TRAINING, INCIDENT)
    row = np.sort(np.abs(values[:1]), axis=1)
    assert (np.diff(fitted.forward(row, INCIDENT[:1])) >= 0).all()


@pytest.mark.parametrize("make", [LogTransform, BoxCoxTransform, ThresholdTransform])
@given(values=arrays(np.float64, (N, CELLS), elements=st.floats(-50, 50, width=64)))
@settings(max_examples=40, deadline=None)
def test_whatever_a_network_gives_becomes_an_energy(make: Callable[[], Transform], values: Floats) -> None:
    back = make().fit(TRAINING, INCIDENT).inverse(values, INCIDENT)
    assert np.isfinite(back).all()
    assert (back >= 0).all()


@given(cells=energies, threshold=st.floats(0.001, 100))
@settings(max_examples=40, deadline=None)
def test_threshold_empties_the_cells_below_it_and_no_other(cells: Floats, threshold: float) -> None:
    fitted = ThresholdTransform(threshold).fit(TRAINING, INCIDENT)
    kept = fitted.inverse(fitted.forward(cells, INCIDENT), INCIDENT)
    assert ((kept == cells) == ((cells >= threshold) | (cells == 0))).all()
    assert (kept[cells < threshold] == 0).all()


@pytest.mark.parametrize("exponent", [-0.4, 0.0, 0.25, 0.7])
def test_maximum_likelihood_finds_the_true_exponent(exponent: float) -> None:
    normal = np.random.default_rng(5).normal(0.5, 0.4, (400, 100))
    cells = inv_boxcox(normal, exponent)
    fitted = BoxCoxTransform(epsilon=1e-12).fit(cells, np.ones(400))
    assert abs(fitted.exponent - exponent) < 0.03
    values = fitted.forward(cells, np.ones(400))
    assert abs(values.mean()) < 1e-6
    assert abs(values.std() - 1) < 1e-6


def test_the_exponent_agrees_with_scipys_own_fit() -> None:
    from scipy.stats import boxcox_normmax

    cells = np.random.default_rng(9).gamma(0.5, 3.0, (100, 30)) + 0.01
    fitted = BoxCoxTransform(epsilon=1e-12).fit(cells, np.ones(100))
    assert abs(fitted.exponent - boxcox_normmax(cells.ravel(), method="mle")) < 1e-4


def test_empty_cells_do_not_move_the_exponent() -> None:
    cells = np.random.default_rng(9).gamma(0.5, 3.0, (100, 30)) + 0.01
    with_empty = np.hstack([cells, np.zeros((100, 70))])
    alone, diluted = (BoxCoxTransform().fit(data, np.ones(100)).exponent for data in (cells, with_empty))
    assert alone == diluted


def test_normalised_training_showers_sum_to_one_on_average() -> None:
    values = IncidentEnergyTransform().fit(TRAINING, INCIDENT).forward(TRAINING, INCIDENT)
    assert abs(values.sum(axis=1).mean() - 1) < 1e-12


@pytest.mark.parametrize("name", sorted(TRANSFORMS))
def test_an_unfitted_transform_refuses_to_work(name: str) -> None:
    for use in ("forward", "inverse"):
        with pytest.raises(RequestError, match="not fitted"):
            getattr(TRANSFORMS[name](), use)(TRAINING, INCIDENT)
    with pytest.raises(RequestError, match="not fitted"):
        TRANSFORMS[name]().state()


def test_a_restored_chain_does_what_the_fitted_one_did() -> None:
    steps = [("threshold", {"threshold": 0.5}), ("incident-energy", {}), ("box-cox", {"epsilon": 1e-4})]
    fitted = make_chain(steps).fit(TRAINING, INCIDENT)
    again = restore(fitted.state())
    assert [transform.name for transform in again.transforms] == [name for name, _ in steps]
    np.testing.assert_array_equal(again.forward(TRAINING, INCIDENT), fitted.forward(TRAINING, INCIDENT))
    np.testing.assert_array_equal(again.inverse(TRAINING, INCIDENT), fitted.inverse(TRAINING, INCIDENT))


@pytest.mark.parametrize(
    "state",
    [{}, {"00/pickle/x": 1.0}, {"01/log/epsilon": 1.0}, {"00/log/other": 1.0}, {"epsilon": 1.0}],
)
def test_a_foreign_state_is_refused(state: dict[str, float]) -> None:
    with pytest.raises(FormatError):
        restore(state)


@pytest.mark.parametrize(
    ("cells", "incident"),
    [
        (TRAINING[0], INCIDENT[:1]),
        (TRAINING, INCIDENT[:2]),
        (np.where(TRAINING > 1, np.nan, TRAINING), INCIDENT),
        (TRAINING, -INCIDENT),
        (-TRAINING, INCIDENT),
        (np.zeros((0, CELLS)), np.zeros(0)),
        (np.zeros((N, CELLS)), INCIDENT),
    ],
)
def test_data_that_cannot_be_showers_is_refused(cells: Floats, incident: Floats) -> None:
    with pytest.raises(RequestError):
        BoxCoxTransform().fit(cells, incident)


def test_unknown_names_and_options_are_named() -> None:
    with pytest.raises(RequestError, match=r"did you mean 'box-cox'.*threshold"):
        make_chain([("boxcox", {})])
    with pytest.raises(RequestError, match="epsilno"):
        make_chain([("log", {"epsilno": 1.0})])
