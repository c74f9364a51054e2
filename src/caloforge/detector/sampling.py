"""Conditions drawn at random: from the detector's densities, for the particles of a mixture."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from caloforge.detector.base import ConditionSpec, Detector
from caloforge.detector.conditions import Conditions
from caloforge.detector.mixture import Mixture, Particle
from caloforge.errors import RequestError
from caloforge.random import uniforms
from caloforge.units import describe

STREAM = "conditions"

Energy = float | tuple[float, float]
"""A fixed energy, or a range of energies; MeV."""


def draw_conditions(
    detector: Detector,
    seed: int,
    start: int,
    count: int,
    pdg: Particle | Mixture | None = None,
    energy: Energy | None = None,
) -> Conditions:
    """Draw conditions of the events ``start`` to ``start + count`` from the detector's densities.

    Args:
        pdg: PDG code of the particle, or the weights of several; the detector's first by default.
        energy: a fixed energy, or another range with the same density (of a list: those inside the range); MeV.

    Each column is the inverse of its distribution function at one uniform of the stream "conditions", so a row depends
    on the seed and its event number only. Particles have a stream of their own.

    Raises:
        RequestError: a particle the detector does not take, or an energy that is not positive.

    >>> from caloforge.detector import load_detector
    >>> draw_conditions(load_detector("lhcb-ecal"), seed=1, start=0, count=3, energy=5000.0).column("energy")
    array([5000., 5000., 5000.])
    """
    mixture = Mixture.of(detector.particles[0] if pdg is None else pdg)
    check_particles(detector, mixture.codes)
    numbers = uniforms(seed, STREAM, start, count, len(detector.conditions))
    matrix = np.empty_like(numbers)
    for column, spec in enumerate(detector.conditions):
        if spec.name == "energy" and energy is not None:
            spec = _narrowed(spec, energy)
        matrix[:, column] = _quantiles(spec, numbers[:, column])
    return Conditions(detector, matrix, mixture.draw(seed, start, count))


def check_particles(detector: Detector, codes: Iterable[int]) -> None:
    """Make sure that the detector takes every one of the particles.

    Raises:
        RequestError: it does not take one of them; names the first, and those it takes.
    """
    for code in codes:
        if code not in detector.particles:
            valid = ", ".join(str(particle) for particle in detector.particles)
            raise RequestError(f"{detector.name} does not take the particle with PDG code {code}; it takes: {valid}")


def _quantiles(spec: ConditionSpec, numbers: NDArray[np.float64]) -> NDArray[np.float64]:
    """The inverse of the distribution function at ``numbers`` in (0, 1)."""
    low, high = spec.low, spec.high
    if spec.density == "list":
        return np.array(spec.values)[(numbers * len(spec.values)).astype(np.int64)]
    if spec.density == "1/E":
        return np.asarray(low * (high / low) ** numbers)
    return low + (high - low) * numbers


def _narrowed(spec: ConditionSpec, energy: Energy) -> ConditionSpec:
    """The energy fixed to one value, or with its density in another range."""
    low, high = (energy, energy) if isinstance(energy, int | float) else energy
    if not 0 < low <= high < np.inf:
        raise RequestError(f"the energy must be positive, and a range ascending; got {low:g} to {high:g} MeV")
    if low == high:
        return replace(spec, low=low, high=high, density="list", values=(low,))
    if spec.density != "list":
        return replace(spec, low=low, high=high)
    values = tuple(value for value in spec.values if low <= value <= high)
    if not values:
        valid = ", ".join(describe(value, spec.unit) for value in spec.values)
        raise RequestError(
            f"the energies of the detector are {valid}, none of them from {low:g} to {high:g} MeV; "
            f"give a range that holds one, or the same energy twice to fix it"
        )
    return replace(spec, low=values[0], high=values[-1], values=values)
