"""The formulas behind the built-in tables against exact limits, published values and reference tables."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from caloforge.fullsim import bremsstrahlung, neutrons, photoelectric

Array = NDArray[np.float64]

# Particle Data Group, Atomic and nuclear properties of materials: molar mass in g/mol, X0 in g/cm^2.
RADIATION_LENGTHS = {6: (12.011, 42.70), 13: (26.982, 24.01), 26: (55.845, 13.84), 29: (63.546, 12.86),
                     74: (183.84, 6.76), 82: (207.2, 6.37), 92: (238.029, 6.00)}  # fmt: skip

# Two intervals with the shape of lead's: a1..a4 in barn and powers of MeV, K edge at 88 keV.
LEADLIKE = np.array([[1e-5, 0.0, 0.0, 1.0, 0.0], [0.015, 0.0, 0.0, 1.5, 0.0], [0.088, 0.0, 0.0, 6.0, 0.0]])


@pytest.fixture(scope="module")
def reference_tables() -> Path:
    """Published bremsstrahlung and photoelectric tables, which are not part of the repository."""
    folder = Path(os.environ.get("CALOFORGE_GEANT4_DATA") or Path(__file__).parents[3] / "shared" / "geant4-data")
    found = sorted(folder.glob("G4EMLOW*"))
    if not found:
        pytest.skip(f"no G4EMLOW in {folder}; set CALOFORGE_GEANT4_DATA to the folder that has it")
    return found[-1]


def read_brems(text: str) -> tuple[Array, Array, Array]:
    numbers = np.array(text.split(), dtype=np.float64)
    assert numbers[0] == 1
    n_shares, n_energies = int(numbers[1]), int(numbers[2])
    assert len(numbers) == 3 + n_shares + n_energies + n_shares * n_energies
    shares, logs, values = np.split(numbers[3:], [n_shares, n_shares + n_energies])
    return shares, np.exp(logs), values.reshape(n_energies, n_shares)


def read_vectors(text: str, *, indexed: bool) -> list[tuple[Array, Array]]:
    """The vectors of a photoelectric file, read as Geant4 does: by the counts in their heads."""
    numbers = iter(text.split())
    vectors: list[tuple[Array, Array]] = []
    for first in numbers:
        last, n = float(next(numbers)), int(next(numbers))
        assert int(next(numbers)) == (len(vectors) if indexed else n)
        points = np.array([float(next(numbers)) for _ in range(2 * n)]).reshape(n, 2)
        assert (points[0, 0], points[-1, 0]) == (float(first), last)
        assert (np.diff(points[:, 0]) > 0).all()
        vectors.append((points[:, 0], points[:, 1]))
    return vectors


@pytest.mark.parametrize("Z", RADIATION_LENGTHS)
def test_radiation_lengths_are_those_of_the_particle_data_group(Z: int) -> None:
    mass, published = RADIATION_LENGTHS[Z]
    assert bremsstrahlung.radiation_length(Z, mass) == pytest.approx(published, rel=0.003)


@pytest.mark.parametrize("Z", [1, 4, 6, 29, 82, 92])
def test_at_high_energy_the_spectrum_is_that_of_complete_screening(Z: int) -> None:
    shares = np.linspace(0.02, 0.95, 20)
    limit = bremsstrahlung.complete_screening(Z, shares)
    np.testing.assert_allclose(bremsstrahlung.theory(Z, shares, np.array(1e7)), limit, rtol=1e-3)
    np.testing.assert_allclose(bremsstrahlung.chi(Z, shares, np.array(1e7)), limit, rtol=0.05)


@pytest.mark.parametrize("Z", [6, 26, 29, 74, 82])
def test_radiation_length_from_the_table_itself(Z: int) -> None:
    """At 10 GeV the energy radiated in 1 g/cm^2 is E/X0: within 2 %, as far as screening is complete there."""
    shares, energies, values = read_brems(bremsstrahlung.table(Z))
    row = int(np.argmin(np.abs(energies - 1e4)))
    mass, published = RADIATION_LENGTHS[Z]
    atoms = 6.02214076e23 / mass * 1e-27
    inverse = np.trapezoid(values[row], shares) * Z**2 * atoms
    # The loss of a real electron also has the term (Z^2 + Z)/9 (1 - y), 1 to 2 %, that X0 leaves out by definition.
    mean_log = bremsstrahlung.radiation_logarithms(Z)[0] - bremsstrahlung.coulomb_correction(Z)
    assert 1 / inverse * (1 + 1 / (18 * mean_log)) == pytest.approx(published, rel=0.02)


def test_at_high_energy_a_nucleus_without_screening_radiates_as_in_the_textbook() -> None:
    """Bare nucleus, E >> m: k dsigma/dk = 4 alpha r_e^2 (4/3 - 4/3 y + y^2) (ln(2 E E'/(m k)) - 1/2)."""
    T, share = np.array(1e4), np.array([0.1, 0.5, 0.8])
    before = 1 + T / bremsstrahlung.ELECTRON_MASS
    k = share * (before - 1)
    after = before - k
    y = k / before
    expected = 4 * bremsstrahlung._UNIT * (4 / 3 - 4 / 3 * y + y**2) * (np.log(2 * before * after / k) - 0.5)
    np.testing.assert_allclose(bremsstrahlung._bethe_heitler(before, after, k), expected, rtol=1e-4)


@pytest.mark.parametrize("Z", [1, 2, 3, 6, 47, 79, 82, 92])
def test_spectra_are_smooth_and_positive_for_every_element(Z: int) -> None:
    shares, energies, values = read_brems(bremsstrahlung.table(Z))
    assert shares[0] == 0
    assert shares[-1] == 1
    assert (np.diff(shares) > 0).all()
    assert energies[0] <= 1e-3
    assert energies[-1] >= 1e4 * (1 - 1e-7)
    assert (values > 0).all()
    between = values[energies > 0.01]
    assert np.abs(np.diff(np.log(between[:, :20]), axis=0)).max() < 0.3


def test_radiative_loss_agrees_with_the_published_tables(reference_tables: Path) -> None:
    """Within 1.5 % from 30 keV to 10 GeV for every element but hydrogen, half a per cent on average."""
    files = sorted((reference_tables / "brem_SB").glob("br[0-9]*"))
    assert files
    deviations = []
    for path in files:
        Z = int(path.name[2:])
        shares, energies, values = read_brems(path.read_text())
        ours = bremsstrahlung.chi(Z, shares[None, :], energies[:, None])
        ratio = np.asarray(np.trapezoid(ours, shares, axis=1) / np.trapezoid(values, shares, axis=1))
        used = energies > 0.029
        if Z == 1:
            np.testing.assert_allclose(ratio[used], 1, atol=0.08)
        else:
            deviations.append(ratio[used] - 1)
    assert np.abs(deviations).max() < 0.015
    assert np.sqrt(np.mean(np.square(deviations))) < 0.005


def test_photoelectric_tables_are_the_coefficients_they_were_made_of() -> None:
    files = photoelectric.tables(82, LEADLIKE)
    ((above, high),) = read_vectors(files["pe-cs-82.dat"], indexed=False)
    ((below, low),) = read_vectors(files["pe-le-cs-82.dat"], indexed=False)
    assert above[0] == pytest.approx(0.088, rel=1e-9)
    assert below[-1] < 0.088
    for energies, values in ((above, high), (below, low)):
        np.testing.assert_allclose(values, photoelectric.cross_section(LEADLIKE, energies) * energies**3, rtol=1e-6)
    # Between the points Geant4 interpolates sigma E^3 linearly, on both sides of the edge.
    for energy in (0.0149, 0.0151, 0.05, 0.087, 0.0881, 1.0):
        energies, values = (above, high) if energy > 0.088 else (below, low)
        expected = photoelectric.cross_section(LEADLIKE, np.array(energy)) * energy**3
        assert np.interp(energy, energies, values) == pytest.approx(expected, rel=1e-6)


def test_shells_share_the_whole_cross_section() -> None:
    """Jumps by 1.5 and 4: three quarters of what is above the K edge, then a third of the rest."""
    levels = photoelectric.shells(LEADLIKE)
    np.testing.assert_allclose(levels, [(0.088, 0.75), (0.015, 1 / 3), (1e-5, 1.0)], rtol=1e-5)
    files = photoelectric.tables(82, LEADLIKE)
    assert files["pe-high-82.dat"].split()[:3] == ["3", "3", "1e9"]
    components = read_vectors(files["pe-ss-cs-82.dat"], indexed=True)
    assert [energies[0] for energies, _ in components] == pytest.approx([0.088, 0.015, 1e-5])
    for energy in (0.01, 0.02, 0.1, 5.0):
        parts = [np.interp(energy, e, v) for e, v in components if energy >= e[0]]
        assert sum(parts) == pytest.approx(photoelectric.cross_section(LEADLIKE, np.array(energy)) * energy**3)


def test_an_atom_of_one_shell_has_no_files_of_shells() -> None:
    files = photoelectric.tables(1, np.array([[1.36e-5, 0.0, 0.0, 1.0, 0.0]]))
    assert sorted(files) == ["pe-cs-1.dat", "pe-high-1.dat", "pe-low-1.dat"]
    assert files["pe-high-1.dat"].split() == ["1", "1", "1e9", "1.36e-05", *"000000"]


def test_photoelectric_cross_sections_against_the_published_ones(geant4: None, reference_tables: Path) -> None:
    """Above the K edge within 5 %, on average within 2 %, for the elements of calorimeters."""
    elements = (13, 18, 26, 29, 50, 74, 82)
    for Z, intervals in photoelectric.sandia_intervals(elements).items():
        path = reference_tables / "epics2017" / "phot" / f"pe-cs-{Z}.dat"
        ((energies, values),) = read_vectors(path.read_text(), indexed=False)
        assert photoelectric.shells(intervals)[0][0] == pytest.approx(energies[0], rel=0.005)
        at = np.geomspace(energies[0] * 1.01, 10.0, 50)
        ratio = photoelectric.cross_section(intervals, at) * at**3 / np.interp(at, energies, values)
        np.testing.assert_allclose(ratio, 1, atol=0.06)
        assert abs(ratio.mean() - 1) < 0.025


def test_neutrons_meet_measured_values() -> None:
    """Hydrogen at rest 20.4 and at 14 MeV 0.69 barn; all but elastic at 14 MeV: carbon 0.45, iron 1.4, lead 2.5."""
    at_rest, at_14 = np.array([1e-9]), np.array([14.0])
    assert neutrons.elastic(1, at_rest)[0] == pytest.approx(20.4, rel=0.02)
    assert neutrons.elastic(1, at_14)[0] == pytest.approx(0.69, rel=0.02)
    assert neutrons.capture(1, np.array([2.53e-8]))[0] == pytest.approx(0.332)
    for Z, measured, tolerance in ((6, 0.45, 0.3), (26, 1.4, 0.1), (82, 2.5, 0.1)):
        assert neutrons.inelastic(Z, at_14)[0] == pytest.approx(measured, rel=tolerance)


@pytest.mark.parametrize("Z", [1, 2, 6, 26, 82, 92])
def test_neutron_files_hold_the_functions(Z: int) -> None:
    files = neutrons.tables(Z)
    assert sorted(files) == [f"cap{Z}", f"el{Z}", f"inel{Z}"]
    for name, function in (
        (f"el{Z}", neutrons.elastic),
        (f"inel{Z}", neutrons.inelastic),
        (f"cap{Z}", neutrons.capture),
    ):
        ((energies, values),) = read_vectors(files[name], indexed=False)
        np.testing.assert_allclose(values / 1e-22, function(Z, energies), rtol=1e-6, atol=1e-9)
        assert (values >= 0).all()
        # Geant4 takes the points as a logarithmic vector.
        np.testing.assert_allclose(np.diff(np.log(energies)), np.log(20 / 1e-11) / 399, rtol=1e-5)
