"""Neutron cross sections below 20 MeV as smooth functions of mass and energy, without resonances.

Good enough to start hadron showers; not for work in which low-energy neutrons matter.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

ENERGIES = np.geomspace(1e-11, 20.0, 400)  # MeV
ELEMENTS = range(1, 93)
_BARN = 1e-22  # mm^2, the unit of area in Geant4 being mm^2
_THERMAL = 2.53e-8  # MeV
_FM2 = 0.01  # barn


def mass_number(Z: int) -> float:
    """The mass number of greatest stability by the liquid-drop model, A = 2 Z (1 + 0.0075 A^(2/3)); 1 for hydrogen.

    >>> [round(mass_number(Z)) for Z in (1, 6, 26, 82)]
    [1, 12, 58, 207]
    """
    if Z == 1:
        return 1.0
    A = 2.0 * Z
    for _ in range(30):
        A = 2 * Z * (1 + 0.0075 * A ** (2 / 3))
    return A


def wavelength(energies: Array) -> Array:
    """The reduced wavelength of a neutron in fm, hbar c / sqrt(2 m E)."""
    return np.asarray(197.327 / np.sqrt(2 * 939.565 * energies))


def inelastic(Z: int, energies: Array) -> Array:
    """Cross section in barn of everything but elastic scattering and capture.

    It opens at the energy of a typical first excited level, 4.4 MeV (12/A)^(6/5), and rises within some MeV to
    pi (0.12 A^(1/3) + 0.21)^2 barn measured at 14 MeV (N. N. Flerov and V. M. Talyzin, Atomnaya Energiya 1 (1956) 155).
    """
    A = mass_number(Z)
    if A < 3:
        return np.zeros_like(energies)
    level = 20.0 if Z == 2 else 4.4 * (12 / A) ** 1.2
    above = np.maximum(energies - level * (1 + 1 / A), 0.0) / max(level, 1.5)
    # Light nuclei have few levels: carbon has 0.45 barn at 14 MeV, not 0.74.
    geometric = math.pi * (0.12 * A ** (1 / 3) + 0.21) ** 2 * (1 - math.exp(-A / 15))
    return np.asarray(geometric * (1 - np.exp(-0.7 * above)))


def elastic(Z: int, energies: Array) -> Array:
    """Elastic cross section in barn: of a hard sphere at low energy, the shadow of a black disc at high energy.

    For hydrogen the effective-range formula of neutron and proton, triplet and singlet (J. L. Gammel, in: Fast Neutron
    Physics, 1963), 20.4 barn at rest.
    """
    if Z == 1:
        triplet = 3 * math.pi / (1.206 * energies + (-1.86 + 0.09415 * energies + 0.000131 * energies**2) ** 2)
        singlet = math.pi / (1.206 * energies + (0.4223 + 0.13 * energies) ** 2)
        return np.asarray(triplet + singlet)
    R = 1.35 * mass_number(Z) ** (1 / 3)  # fm
    total = 2 * math.pi * (R + wavelength(energies)) ** 2 * _FM2
    sphere = 4 * math.pi * R**2 * _FM2
    # The black disc holds where the wave is short against the nucleus.
    weight = 1 / (1 + (wavelength(energies) / R) ** 2)
    return np.asarray((1 - weight) * sphere + weight * np.maximum(total - inelastic(Z, energies), 0.3 * sphere))


def capture(Z: int, energies: Array) -> Array:
    """Radiative capture in barn: 0.332 barn for hydrogen at thermal energy, 4 mbarn for carbon, else 2 barn; as 1/v."""
    thermal = {1: 0.332, 2: 0.0, 6: 0.004, 8: 0.0002}.get(Z, 2.0)
    return np.asarray(thermal * np.sqrt(_THERMAL / energies))


def tables(Z: int) -> dict[str, str]:
    """The files of ``neutron`` in G4PARTICLEXS for element ``Z``, by name: energies in MeV, cross sections in mm^2."""
    return {
        f"{name}{Z}": _vector(function(Z, ENERGIES) * _BARN)
        for name, function in (("inel", inelastic), ("el", elastic), ("cap", capture))
    }


def _vector(values: Array) -> str:
    head = f"{ENERGIES[0]:.9g} {ENERGIES[-1]:.9g} {len(ENERGIES)}\n{len(ENERGIES)}\n"
    return head + "".join(f"{e:.9g} {v:.9g}\n" for e, v in zip(ENERGIES, values, strict=True))
