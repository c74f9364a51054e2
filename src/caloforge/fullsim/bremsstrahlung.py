"""Bremsstrahlung of electrons in the field of an atom, as the scaled spectrum that Geant4 reads.

Geant4 samples photons below 1 GeV from chi(u, T) = (beta^2 / Z^2) k dsigma/dk in millibarn, with u = k/T the share of
the kinetic energy T that the photon takes (S. M. Seltzer and M. J. Berger, At. Data Nucl. Data Tables 35 (1986) 345).
Here chi is the Bethe-Heitler formula 3BN of H. W. Koch and J. W. Motz (Rev. Mod. Phys. 31 (1959) 920) with Elwert's
factor for the field of the nucleus at low energy, and screening, Coulomb correction and the field of the atomic
electrons by Y.-S. Tsai (Rev. Mod. Phys. 46 (1974) 815), to which it tends at high energy. A smooth correction in
(T, Z, u), a few per cent above 10 MeV and some tens of per cent below 1 MeV, brings it to the published spectra and
radiative stopping powers.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

ELECTRON_MASS = 0.51099895  # MeV
FINE_STRUCTURE = 1.0 / 137.035999
_UNIT = FINE_STRUCTURE * 79.40788  # alpha r_e^2 in millibarn
# Tsai's table B.2: below Z = 5 the Thomas-Fermi model fails, and exact radiation logarithms replace it.
_LIGHT = {1: (5.31, 6.144), 2: (4.79, 5.621), 3: (4.74, 5.805), 4: (4.71, 5.924)}
# The two scales (MeV) below which the Coulomb correction and radiation in the field of the electrons fade.
_COULOMB_SCALE = 3.0
_ELECTRON_SCALE = 0.5

# The correction is exp(sum of c s^i z^j u^l), with s = ln(1 + 5 MeV/T) / 8.5 and z = Z/100, and for the
# last four, which act below 20 keV only, r = ln(1 + 5 keV/T). Fitted by benchmarks/fit_bremsstrahlung.py.
POWERS = (
    *((i, j, m) for i in range(6) for j in range(2) for m in range(4 if i == 0 else 3) if i + j + m <= 6),
    *(("r", j, m) for j in range(2) for m in range(2)),
)
# fmt: off
COEFFICIENTS = (
    0.043, -0.401, 0.83, -0.513, -0.097, 0.859, -2.139, 1.489, 1.51, -5.933,
    4.54, -1.765, 3.259, 6.123, -16.087, 47.366, -35.191, 29.606, -12.646, -23.536,
    47.702, -102.486, 63.928, -107.235, 31.998, 24.558, -58.59, 90.572, -34.874, 139.617,
    -43.241, 10.627, -3.004, -43.813, 7.957, -13.744, -10.776, 9.582,
)
# fmt: on

# k/T and T/MeV of the tables; the spectrum is interpolated linearly in k/T and ln T.
SHARES = (0.0, 0.025, 0.05, 0.075, *(i / 20 for i in range(2, 19)), 0.925, 0.95, 0.97, 0.99, 0.995, 0.999, 0.9999, 1.0)
ENERGIES = tuple(np.geomspace(1e-3, 1e4, 71))


def coulomb_correction(Z: int) -> float:
    """f(Z) of H. Davies, H. A. Bethe and L. C. Maximon (Phys. Rev. 93 (1954) 788), as Tsai's equation 3.3."""
    a = (FINE_STRUCTURE * Z) ** 2
    return a * (1 / (1 + a) + 0.20206 - 0.0369 * a + 0.0083 * a**2 - 0.002 * a**3)


def radiation_logarithms(Z: int) -> tuple[float, float]:
    """Tsai's L_rad (the nucleus) and L'_rad (the electrons)."""
    return _LIGHT.get(Z) or (math.log(184.15 * Z ** (-1 / 3)), math.log(1194.0 * Z ** (-2 / 3)))


def complete_screening(Z: int, share: Array) -> Array:
    """k dsigma/dk / Z^2 in millibarn at infinite energy: Tsai's equation 3.83, with ``share`` = k/E."""
    nucleus, electrons = radiation_logarithms(Z)
    lines = 4 * (nucleus - coulomb_correction(Z)) + 4 * electrons / Z
    return _UNIT * ((4 / 3 - 4 / 3 * share + share**2) * lines + 4 / 9 * (1 - share) * (1 + 1 / Z))


def radiation_length(Z: int, mass: float) -> float:
    """X0 in g/cm^2 of an element of molar mass ``mass`` in g/mol, by the formula of complete screening.

    1/X0 = 4 alpha r_e^2 N_A/A (Z^2 (L_rad - f) + Z L'_rad), Tsai's equation 3.66.

    >>> round(radiation_length(82, 207.2), 2)
    6.37
    """
    nucleus, electrons = radiation_logarithms(Z)
    atoms = 6.02214076e23 / mass * 1e-27  # of one gram, times a millibarn in cm^2
    return 1 / (4 * _UNIT * atoms * (Z**2 * (nucleus - coulomb_correction(Z)) + Z * electrons))


def theory(Z: int, u: Array, T: Array) -> Array:
    """chi(u, T) in millibarn before the correction; u within (0, 1), T in MeV; arrays broadcast."""
    k = u * T / ELECTRON_MASS
    before = 1 + T / ELECTRON_MASS
    after = before - k
    p0, p = np.sqrt(before**2 - 1), np.sqrt(after**2 - 1)
    beta0, beta = p0 / before, p / after
    y = k / before
    # Momentum left to the atom, p0 - p - k, written so that nothing cancels; Tsai's gamma and epsilon at any energy.
    transfer = k * (1 / (before + p0) + 1 / (after + p)) / (p0 + p)
    angular = 4 / 3 - 4 / 3 * y + y**2
    nucleus = beta0**2 * _bethe_heitler(before, after, k) + _UNIT * _screening(Z, transfer, angular, y)
    elwert = -np.expm1(-2 * np.pi * FINE_STRUCTURE * Z / beta0) / -np.expm1(-2 * np.pi * FINE_STRUCTURE * Z / beta)
    nucleus = nucleus * beta0 / beta * elwert
    coulomb = 4 * _UNIT * angular * coulomb_correction(Z) * T / (T + _COULOMB_SCALE)
    electrons = _UNIT / Z * _electron_field(Z, transfer, angular, y) * beta0**2 * T / (T + _ELECTRON_SCALE)
    return np.asarray(np.maximum(nucleus - coulomb + electrons, 1e-9))


def correction(Z: int, u: Array, T: Array) -> Array:
    """The fitted factor on :func:`theory`."""
    total = np.zeros(np.broadcast_shapes(np.shape(u), np.shape(T)))
    for coefficient, column in zip(COEFFICIENTS, columns(Z, u, T), strict=True):
        total += coefficient * column
    return np.exp(total)


def columns(Z: int, u: Array, T: Array) -> list[Array]:
    """The functions of (Z, u, T) that the coefficients of the correction multiply."""
    s = np.log1p(5.0 / T) / 8.5
    r = np.log1p(0.005 / T)
    return [(r if i == "r" else s**i) * (Z / 100) ** j * u**m for i, j, m in POWERS]  # type: ignore[operator]


def chi(Z: int, u: Array, T: Array) -> Array:
    """The scaled spectrum in millibarn; u within [0, 1], T in MeV; arrays broadcast."""
    u = np.clip(u, 1e-4, 1 - 1e-4)  # the formula has logarithms of both ends
    return theory(Z, u, T) * correction(Z, u, T)


def table(Z: int) -> str:
    """The file ``brem_SB/br{Z}`` of G4EMLOW: the grid of k/T, that of ln T, then a row of chi for each T."""
    shares, energies = np.array(SHARES), np.array(ENERGIES)
    values = chi(Z, shares[None, :], energies[:, None])
    rows = [shares, np.log(energies), *values]
    return f"1 {len(shares)} {len(energies)}\n" + "".join(" ".join(f"{x:.9g}" for x in row) + "\n" for row in rows)


def _bethe_heitler(before: Array, after: Array, k: Array) -> Array:
    """Formula 3BN of Koch and Motz: k dsigma/dk / Z^2 in millibarn; energies in electron masses."""
    p0, p = np.sqrt(before**2 - 1), np.sqrt(after**2 - 1)
    product, pp = before * after, p0 * p
    log0, log1 = 2 * np.log(before + p0), 2 * np.log(after + p)
    log = 2 * np.log((product + pp - 1) / k)
    inner = (product + p0**2) / p0**3 * log0 - (product + p**2) / p**3 * log1 + 2 * k * product / pp**2
    return np.asarray(
        _UNIT
        * (p / p0)
        * (
            4 / 3
            - 2 * product * (p**2 + p0**2) / pp**2
            + log0 * after / p0**3
            + log1 * before / p**3
            - log0 * log1 / pp
            + log * (8 / 3 * product / pp + k**2 * (product**2 + pp**2) / pp**3 + k / (2 * pp) * inner)
        )
    )


def _screening(Z: int, transfer: Array, angular: Array, y: Array) -> Array:
    """What Tsai's phi_1 and phi_2 (3.38, 3.39) add to the field of a bare nucleus."""
    shift = 4 * (radiation_logarithms(Z)[0] - math.log(184.15 * Z ** (-1 / 3)))
    gamma = 200 * transfer * Z ** (-1 / 3) * math.exp(shift / 4)
    decay = 4 * (1 - 0.6 * np.exp(-0.9 * gamma) - 0.4 * np.exp(-1.5 * gamma))
    phi1 = -2 * np.log1p((0.55846 * gamma) ** 2) - decay
    bare = -4 - 4 * np.log(0.55846 * gamma)
    return np.asarray(angular * (phi1 - bare) + 2 / 3 * (1 - y) * (2 / 3) / (1 + 6.5 * gamma + 6 * gamma**2))


def _electron_field(Z: int, transfer: Array, angular: Array, y: Array) -> Array:
    """Tsai's psi_1 and psi_2 (3.40, 3.41): the field of one atomic electron."""
    shift = 4 * (radiation_logarithms(Z)[1] - math.log(1194.0 * Z ** (-2 / 3)))
    epsilon = 200 * transfer * Z ** (-2 / 3) * math.exp(shift / 4)
    decay = 4 * (1 - 0.7 * np.exp(-8 * epsilon) - 0.3 * np.exp(-29.2 * epsilon))
    psi1 = 28.340 + shift - 2 * np.log1p((3.621 * epsilon) ** 2) - decay - 8 / 3 * math.log(Z)
    small = 2 / 3 * (1 - y) * (2 / 3) / (1 + 40 * epsilon + 400 * epsilon**2)
    return np.asarray(angular * np.maximum(psi1, 0.0) + small)
