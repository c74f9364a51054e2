"""Conditions: their densities, their form in files, their domain, their mirror images."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from caloforge.detector import (
    Conditions,
    Detector,
    check_domain,
    check_same,
    concatenate_conditions,
    draw_conditions,
    from_file_form,
    mirror_cells,
    real_numbers,
)
from caloforge.detector.mirror import check_symmetry
from caloforge.errors import DomainError, RequestError
from caloforge.showers import ShowerFile, Showers


def through_file(conditions: Conditions) -> Conditions:
    form = conditions.to_file_form()
    return from_file_form(conditions.detector, form.incident_energies, form.momentum, form.position, form.pdg)


def test_file_form_is_inverted_exactly_to_float32(lhcb: Detector) -> None:
    drawn = draw_conditions(lhcb, 2, 0, 5000)
    form = drawn.to_file_form()
    np.testing.assert_allclose(np.linalg.norm(form.momentum, axis=1), form.incident_energies[:, 0], rtol=3e-7)
    assert (form.momentum[:, 2] > 0).all()
    again = through_file(drawn)
    np.testing.assert_allclose(again.matrix, drawn.matrix, rtol=3e-7, atol=3e-7)
    np.testing.assert_array_equal(again.pdg, drawn.pdg)


def test_the_direction_has_the_tangents_of_its_angles(lhcb: Detector) -> None:
    row = np.array([[10_000.0, 1.0, -2.0, 0.3, -0.1]])
    form = Conditions(lhcb, row, np.array([11], dtype=np.int32)).to_file_form()
    px, py, pz = form.momentum[0]
    assert px / pz == pytest.approx(np.tan(0.3), rel=1e-6)
    assert py / pz == pytest.approx(np.tan(-0.1), rel=1e-6)
    assert form.position.tolist() == [[1.0, -2.0]]


def test_domain(lhcb: Detector) -> None:
    inside = draw_conditions(lhcb, 1, 0, 4)
    edge = Conditions(lhcb, np.stack([lhcb.low, lhcb.high]), np.array([11, 11]))
    assert not check_domain(through_file(edge), lhcb.low, lhcb.high).any()
    outside = Conditions(lhcb, inside.matrix.copy(), inside.pdg)
    outside.matrix[2, 0] = 250_000.0
    with pytest.raises(DomainError, match=r"energy 250 GeV of event 2 .* 1 GeV to 100 GeV; .*--allow-extra"):
        check_domain(outside, lhcb.low, lhcb.high)
    with pytest.raises(DomainError, match="of event 3002 lies"):
        check_domain(outside, lhcb.low, lhcb.high, first=3000)
    flags = check_domain(outside, lhcb.low, lhcb.high, allow_extrapolation=True)
    assert flags.tolist() == [False, False, True, False]
    outside = Conditions(lhcb, inside.matrix.copy(), inside.pdg)
    outside.matrix[1, 3] = np.radians(-30)
    with pytest.raises(DomainError, match="angle_xz -30 deg of event 1 .* -20 deg to 20 deg"):
        check_domain(outside, lhcb.low, lhcb.high)


def test_a_particle_outside_the_domain_is_refused_always(lhcb: Detector) -> None:
    conditions = Conditions(lhcb, draw_conditions(lhcb, 1, 0, 2).matrix, np.array([11, 22]))
    with pytest.raises(DomainError, match="PDG code 22"):
        check_domain(conditions, lhcb.low, lhcb.high, [11], allow_extrapolation=True)


def test_impossible_conditions_are_refused(lhcb: Detector) -> None:
    good = draw_conditions(lhcb, 1, 0, 3)
    with pytest.raises(RequestError, match=r"shape \(N, 5\)"):
        Conditions(lhcb, good.matrix[:, :4], good.pdg)
    with pytest.raises(RequestError, match="pdg must have shape"):
        Conditions(lhcb, good.matrix, good.pdg[:2])
    for column, value, message in ((1, np.nan, "'x' of event 1 is nan"), (0, -5.0, "energy of event 1 is -5 MeV")):
        matrix = good.matrix.copy()
        matrix[1, column] = value
        with pytest.raises(RequestError, match=message):
            Conditions(lhcb, matrix, good.pdg)
    for codes, found in (([11, 11.5, 11], "11.5"), ([11, 11, 5e9], "5000000000"), ([11, np.nan, 11], "nan")):
        with pytest.raises(RequestError, match=f"whole PDG codes.*got {found}"):
            Conditions(lhcb, good.matrix, np.array(codes))
    with pytest.raises(RequestError, match=r"momentum must have shape \(3, 3\)"):
        from_file_form(lhcb, np.ones(3), np.ones((3, 2)), np.ones((3, 2)), np.full(3, 11))


@pytest.mark.parametrize("vector", [(0, 0, 0), (1, 0, -1), (0, 1, 0), (np.inf, 0, np.inf), (0, np.nan, 1)])
def test_a_momentum_that_does_not_enter_is_refused(lhcb: Detector, vector: tuple[float, float, float]) -> None:
    momentum = np.tile([0.0, 0.0, 5e3], (3, 1))
    momentum[1] = vector
    with pytest.raises(RequestError, match=r"momentum of event 1 is \(.*p_z > 0"):
        from_file_form(lhcb, np.full(3, 5e3), momentum, np.zeros((3, 2)), np.full(3, 11))


@pytest.mark.parametrize("values", [np.array(["1", "2"]), np.ones(2) + 1j, np.array([1, None]), np.ones(2, dtype=bool)])
def test_what_is_no_real_number_is_refused_not_converted(values: object) -> None:
    with pytest.raises(RequestError, match="energies must be real numbers; got the type"):
        real_numbers("energies", values)


def test_slices_and_joins(lhcb: Detector) -> None:
    drawn = draw_conditions(lhcb, 1, 0, 10)
    joined = concatenate_conditions([drawn[:4], drawn[4:]])
    np.testing.assert_array_equal(joined.matrix, drawn.matrix)
    np.testing.assert_array_equal(drawn[np.array([7, 2])].matrix, drawn.matrix[[7, 2]])
    with pytest.raises(RequestError, match="at least one part"):
        concatenate_conditions([])


FLIPS = [(False, False), (True, False), (False, True), (True, True)]


@pytest.mark.parametrize(("x", "y"), FLIPS)
def test_mirror_is_an_involution_and_conserves_energy(showers: Showers, x: bool, y: bool) -> None:
    flip_x, flip_y = np.full(len(showers), x), np.full(len(showers), y)
    once = mirror_cells(showers.energies, showers.detector, flip_x, flip_y)
    assert once.dtype == np.float32
    np.testing.assert_array_equal(np.sort(once, axis=1), np.sort(showers.energies, axis=1))
    np.testing.assert_array_equal(mirror_cells(once, showers.detector, flip_x, flip_y), showers.energies)
    image = showers.conditions.mirrored(flip_x, flip_y)
    np.testing.assert_array_equal(image.mirrored(flip_x, flip_y).matrix, showers.conditions.matrix)


def test_mirror_reflects_barycentre_and_momentum_event_by_event(showers: Showers, lhcb: Detector) -> None:
    flip_x = np.arange(len(showers)) % 2 == 0
    flip_y = np.arange(len(showers)) % 3 == 0
    sign = np.stack([np.where(flip_x, -1, 1), np.where(flip_y, -1, 1)], axis=1)
    before = showers.energies.astype(np.float64) @ lhcb.cell_centres
    after = mirror_cells(showers.energies, lhcb, flip_x, flip_y).astype(np.float64) @ lhcb.cell_centres
    np.testing.assert_allclose(after, sign * before, rtol=1e-9, atol=1e-6)
    form, image = showers.conditions.to_file_form(), showers.conditions.mirrored(flip_x, flip_y).to_file_form()
    np.testing.assert_array_equal(image.momentum[:, :2], sign * form.momentum[:, :2])
    np.testing.assert_array_equal(image.momentum[:, 2], form.momentum[:, 2])
    np.testing.assert_array_equal(image.position, sign * form.position)


def test_a_mirror_that_is_no_symmetry_is_refused(lhcb: Detector) -> None:
    lopsided = dataclasses.replace(lhcb, symmetries=("mirror_x",))
    yes, no = np.array([True]), np.array([False])
    check_symmetry(lopsided, yes, no)
    with pytest.raises(RequestError, match="mirror_y is no symmetry of lhcb-ecal"):
        mirror_cells(np.zeros((1, 900), dtype=np.float32), lopsided, no, yes)


def test_full_simulation_lies_in_the_domain(shared_data: Path, lhcb: Detector) -> None:
    with ShowerFile(shared_data / "lhcb-ecal-electron-test.h5") as file:
        conditions = file.conditions()
        check_same(file.detector, lhcb, file.path.name, "the shipped detector", "make it again")
    assert len(conditions) == 10_000
    assert not check_domain(conditions, lhcb.low, lhcb.high, lhcb.particles).any()
    again = through_file(conditions)
    np.testing.assert_allclose(again.matrix, conditions.matrix, rtol=3e-7, atol=3e-7)
