"""Conditions drawn at random have the densities asked for, and an event does not depend on the others."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from caloforge.detector import (
    Detector,
    Mixture,
    check_domain,
    detector_from_toml,
    draw_conditions,
    from_file_form,
    load_detector,
)
from caloforge.errors import RequestError
from caloforge.models.bundle import Domain

ENERGY = 'low = 1000.0\nhigh = 100000.0\ndensity = "1/E"'
X = 'name = "x"\nunit = "mm"\nlow = -5.0\nhigh = 5.0\ndensity = "uniform"'
ANGLE = 'low = -20.0\nhigh = 20.0\ndensity = "uniform"'


def changed(detector: Detector, old: str, new: str) -> Detector:
    assert old in detector.toml
    return detector_from_toml(detector.toml.replace(old, new))


@settings(deadline=None)
@given(start=st.integers(0, 10**9), count=st.integers(1, 50), data=st.data())
def test_drawn_conditions_belong_to_their_event(start: int, count: int, data: st.DataObject) -> None:
    lhcb = load_detector("lhcb-ecal")
    row = data.draw(st.integers(0, count - 1))
    together = draw_conditions(lhcb, 5, start, count)
    alone = draw_conditions(lhcb, 5, start + row, 1)
    np.testing.assert_array_equal(together.matrix[row], alone.matrix[0])


def test_densities(lhcb: Detector) -> None:
    drawn = draw_conditions(lhcb, 11, 0, 20_000)
    unit = (drawn.matrix - lhcb.low) / (lhcb.high - lhcb.low)
    unit[:, 0] = np.log(drawn.column("energy") / 1e3) / np.log(100)
    for column in unit.T:
        assert stats.kstest(column, "uniform").pvalue > 1e-4
    assert not check_domain(drawn, lhcb.low, lhcb.high).any()
    assert (drawn.pdg == 11).all()


def test_a_fixed_energy_or_another_range_leaves_the_rest(lhcb: Detector) -> None:
    free = draw_conditions(lhcb, 1, 0, 500)
    fixed = draw_conditions(lhcb, 1, 0, 500, energy=5000.0)
    ranged = draw_conditions(lhcb, 1, 0, 500, energy=(2000.0, 4000.0))
    assert (fixed.column("energy") == 5000.0).all()
    assert 2000 <= ranged.column("energy").min() < ranged.column("energy").max() <= 4000
    for other in (fixed, ranged):
        np.testing.assert_array_equal(other.matrix[:, 1:], free.matrix[:, 1:])


@pytest.mark.parametrize("energy", [0.0, -1.0, (5.0, 2.0), float("nan"), float("inf")])
def test_an_impossible_energy_is_refused(lhcb: Detector, energy: float | tuple[float, float]) -> None:
    with pytest.raises(RequestError, match="energy must be positive"):
        draw_conditions(lhcb, 1, 0, 1, energy=energy)


def test_a_particle_the_detector_does_not_take_is_refused(lhcb: Detector) -> None:
    with pytest.raises(RequestError, match="does not take the particle with PDG code 13; it takes: 11, -11, 22"):
        draw_conditions(lhcb, 1, 0, 1, pdg=13)


def test_log_uniform_is_another_name_of_one_over_energy(lhcb: Detector) -> None:
    other = changed(lhcb, 'density = "1/E"', 'density = "log-uniform"')
    assert other.conditions == lhcb.conditions
    np.testing.assert_array_equal(draw_conditions(other, 3, 0, 50).matrix, draw_conditions(lhcb, 3, 0, 50).matrix)


def test_each_value_of_a_list_is_equally_likely(lhcb: Detector) -> None:
    steps = changed(lhcb, 'unit = "MeV"\n' + ENERGY, 'unit = "GeV"\nvalues = [16, 1, 4.0]')
    spec = steps.conditions[0]
    assert (spec.low, spec.high, spec.density, spec.values) == (1e3, 16e3, "list", (1e3, 4e3, 16e3))
    drawn = draw_conditions(steps, 5, 0, 30_000)
    values, counts = np.unique(drawn.column("energy"), return_counts=True)
    assert values.tolist() == [1e3, 4e3, 16e3]
    assert stats.chisquare(counts).pvalue > 1e-4
    np.testing.assert_array_equal(drawn.matrix[:, 1:], draw_conditions(lhcb, 5, 0, 30_000).matrix[:, 1:])
    some = draw_conditions(steps, 5, 0, 100, energy=(2e3, 20e3))
    assert set(some.column("energy").tolist()) == {4e3, 16e3}
    assert set(draw_conditions(steps, 5, 0, 10, energy=2e3).column("energy").tolist()) == {2e3}
    with pytest.raises(RequestError, match="energies of the detector are 1 GeV, 4 GeV, 16 GeV, none of them from 5000"):
        draw_conditions(steps, 5, 0, 1, energy=(5e3, 6e3))


def test_a_list_that_a_mirror_leaves_as_it_is(lhcb: Detector) -> None:
    steps = changed(lhcb, X, 'name = "x"\nunit = "mm"\nvalues = [5, -5, 0, 1.5, -1.5]')
    assert steps.conditions[1].values == (-5.0, -1.5, 0.0, 1.5, 5.0)


def test_a_fixed_condition_never_changes_and_lies_in_its_domain(lhcb: Detector) -> None:
    fixed = changed(changed(lhcb, ENERGY, "value = 12345.678"), ANGLE, "value = 0.0")
    assert fixed.conditions[0].values == (12345.678,)
    assert (fixed.low == fixed.high).tolist() == [True, False, False, True, False]
    drawn = draw_conditions(fixed, 1, 0, 500)
    assert set(drawn.column("energy").tolist()) == {12345.678}
    assert set(drawn.column("angle_xz").tolist()) == {0.0}
    form = drawn.to_file_form()
    read = from_file_form(fixed, form.incident_energies, form.momentum, form.position, form.pdg)
    assert not check_domain(read, fixed.low, fixed.high).any()
    domain = Domain.covered(read)
    assert domain.high[0] == domain.low[0] == pytest.approx(12345.678)
    with pytest.raises(RequestError, match="12.5 GeV of event 0 lies outside the domain 12.3457 GeV to 12.3457 GeV"):
        check_domain(draw_conditions(fixed, 1, 0, 1, energy=12_500.0), fixed.low, fixed.high)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (ENERGY, "", "conditions.0: energy needs either low, high and density, .*; got none of them"),
        (ENERGY, "low = 1.0", "got low"),
        (ENERGY, ENERGY + "\nvalue = 3.0", "got density and high and low and value"),
        (ENERGY, "value = 3.0\nvalues = [1.0]", "got value and values"),
        (ENERGY, "values = []", "conditions.0.values: .*at least 1"),
        (ENERGY, "values = [1.0, 1.0]", "values must differ from one another"),
        (ENERGY, "values = [1.0, 0.0]", "energy needs low > 0; got 0.0"),
        (ENERGY, "value = -1.0", "energy needs low > 0; got -1.0"),
        (ENERGY, "value = nan", "conditions.0.value: .*finite"),
        (ENERGY, 'value = "much"', "conditions.0.value: .*valid number"),
        (ENERGY, "values = 3.0", "conditions.0.values: .*valid tuple"),
        (ENERGY, "value = 3.0\nvlaues = [1.0]", "unknown key; did you mean 'values'"),
        ('density = "1/E"', 'density = "log"', "conditions.0.density: .*'log-uniform'"),
        (ENERGY, 'low = 0.0\nhigh = 9.0\ndensity = "log-uniform"', "density log-uniform needs low > 0"),
        (ANGLE, "values = [-95.0, 95.0]", "angle_xz must stay below 90 degrees"),
        (ANGLE, "value = 10.0", r"line \d+.*mirror_x changes the sign of angle_xz, .*symmetric about 0; got 10.0"),
        (X, 'name = "x"\nunit = "mm"\nvalues = [0.0, 5.0]', "mirror_x changes the sign of x"),
        (X, 'name = "x"\nunit = "mm"\nvalues = [-5.0, 1.0, 5.0]', "symmetric about 0; got -5.0, 1.0, 5.0"),
    ],
)
def test_a_wrong_density_is_refused(lhcb: Detector, old: str, new: str, message: str) -> None:
    with pytest.raises(RequestError, match=message):
        changed(lhcb, old, new)


def test_a_mixture_has_its_shares_and_changes_nothing_else(lhcb: Detector) -> None:
    drawn = draw_conditions(lhcb, 7, 0, 40_000, {11: 3, 211: 1})
    assert set(drawn.pdg.tolist()) == {11, 211}
    assert stats.binomtest(int((drawn.pdg == 211).sum()), len(drawn), 0.25).pvalue > 1e-4
    alone = draw_conditions(lhcb, 7, 0, 40_000)
    np.testing.assert_array_equal(drawn.matrix, alone.matrix)
    assert set(alone.pdg.tolist()) == {11}
    # The particle says nothing about the energy: the two kinds have the same spectrum.
    energy = drawn.column("energy")
    assert stats.ks_2samp(energy[drawn.pdg == 11], energy[drawn.pdg == 211]).pvalue > 1e-4
    np.testing.assert_array_equal(draw_conditions(lhcb, 7, 1234, 5, {211: 10, 11: 30.0}).pdg, drawn.pdg[1234:1239])


@given(st.dictionaries(st.integers(-3000, 3000), st.floats(1e-3, 1e3), min_size=1, max_size=6))
def test_shares_add_up_and_every_event_has_a_particle(weights: dict[int, float]) -> None:
    mixture = Mixture.of(weights)
    assert math.isclose(sum(mixture.shares), 1)
    assert mixture.codes == tuple(sorted(weights))
    assert set(mixture.draw(1, 0, 200).tolist()) <= set(weights)
    assert Mixture.of(mixture) == mixture
    assert Mixture.of(dict(reversed(weights.items()))).codes == mixture.codes


def test_one_particle_is_a_mixture_of_one() -> None:
    assert Mixture.of(-11) == Mixture.of({-11: 5}) == Mixture((-11,), (1.0,))
    assert Mixture.of(-11).to_json() == -11
    assert Mixture.of({211: 1, -11: 1}).to_json() == {"-11": 0.5, "211": 0.5}


@pytest.mark.parametrize(
    ("particle", "message"),
    [
        ({}, "mixture of particles is empty"),
        ({11: 0}, "weight of the particle 11 in a mixture must be positive; got 0"),
        ({11: 1, 22: -2}, "weight of the particle 22 in a mixture must be positive; got -2"),
        ({11: math.nan}, "got nan"),
        ({11: math.inf}, "got inf"),
        ({11: "3"}, "weights of particles must be real numbers"),
        ({11: True}, "weights of particles must be real numbers"),
        ({11.5: 1}, "whole PDG codes, .*got 11.5"),
        ("pi+", "pdg must be real numbers"),
        ({11: 1, 13: 1}, "lhcb-ecal does not take the particle with PDG code 13"),
    ],
)
def test_a_wrong_mixture_is_refused(lhcb: Detector, particle: dict[int, float], message: str) -> None:
    with pytest.raises(RequestError, match=message):
        draw_conditions(lhcb, 1, 0, 1, particle)
